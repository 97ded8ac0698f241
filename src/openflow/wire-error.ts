/**
 * What is wrong with bytes of a peer, or with a value that no message can carry. The one error that the codec throws.
 */
import { HeddleError } from '../lib/errors.ts';

export type WireErrorCode =
  /** The header's version is none of OpenFlow's. */
  | 'BAD_VERSION'
  /** A declared length that does not fit what it counts. */
  | 'BAD_LENGTH'
  /** The bytes end before the value does. */
  | 'TRUNCATED'
  /** A message longer than a limit, or than its 16-bit length can say. */
  | 'TOO_LARGE'
  | 'UNKNOWN_TYPE'
  | 'UNKNOWN_FIELD'
  | 'UNKNOWN_ACTION'
  | 'UNKNOWN_INSTRUCTION'
  /** A value outside of what its field allows. */
  | 'BAD_VALUE';

/** `offset`: byte of the message (or of the slab, when writing) at which it was noticed. */
export class WireError extends HeddleError {
  declare readonly code: WireErrorCode;
  readonly offset: number;

  constructor(code: WireErrorCode, offset: number, message: string) {
    super(code, `${message} (at byte ${offset})`, { offset });
    this.offset = offset;
  }

  /** True for what a later version of the peer may say: to be kept and shown, not to be treated as nonsense. */
  get unknown(): boolean {
    return this.code === 'UNKNOWN_FIELD' || this.code === 'UNKNOWN_ACTION' || this.code === 'UNKNOWN_INSTRUCTION';
  }
}
