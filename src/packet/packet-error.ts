/** What is wrong with bytes that should be a packet. Thrown by decode.ts, and by nothing else. */
import { HeddleError } from '../lib/errors.ts';

export type PacketErrorCode =
  /** It ends before a header does, or before the length that a header declares. */
  | 'PACKET_TRUNCATED'
  /** A field has a value that it must not have. */
  | 'PACKET_BAD_FIELD'
  | 'PACKET_BAD_CHECKSUM'
  /** It is longer than LIMITS.packetSize, or nested deeper than LIMITS.packetHeaders. */
  | 'PACKET_TOO_LARGE';

export class PacketError extends HeddleError {
  declare readonly code: PacketErrorCode;
  /** 0-based byte of the frame where it was noticed. */
  readonly offset: number;

  constructor(code: PacketErrorCode, offset: number, what: string) {
    super(code, `byte ${offset} of a packet: ${what}`, { offset });
    this.offset = offset;
  }
}
