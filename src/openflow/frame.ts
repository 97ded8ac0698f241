/**
 * Cuts a stream into OpenFlow messages by the length in their headers (OpenFlow 1.3.5 §7.1). Serves the channel's socket and
 * the tools that read captures.
 */
import { LIMITS } from '../lib/limits.ts';
import { WireError } from './wire-error.ts';

export const HEADER_SIZE = 8;
/** Highest version that OpenFlow has (1.5); a HELLO may announce a higher one. */
const HIGHEST_VERSION = 6;
const HELLO = 0;

export class FrameCutter {
  readonly #maxSize: number;
  readonly #header = new Uint8Array(HEADER_SIZE);
  /** The message that has begun and is not whole: its bytes, or, before its size is known, the first ones in #header. */
  #partial: Uint8Array | undefined;
  /** Bytes of it that are there. */
  #filled = 0;
  /** Bytes of the stream before the current message. */
  #streamOffset = 0;

  constructor(maxSize: number = LIMITS.openflowMessageSize) {
    this.#maxSize = maxSize;
  }

  /** Bytes that wait for the rest of their message. */
  get pendingSize(): number {
    return this.#filled;
  }

  /**
   * The messages that become whole by `chunk`, in order; whole ones within the chunk share its memory. Throws WireError
   * (BAD_VERSION, BAD_LENGTH, TOO_LARGE) at the first header that no message can have: from there on nothing can be cut.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#filled === 0 && chunk.length - offset >= HEADER_SIZE) {
        const size = this.#sizeOf(chunk, offset);
        if (chunk.length - offset >= size) {
          offset += size;
          this.#streamOffset += size;
          yield chunk.subarray(offset - size, offset);
          continue;
        }
      }
      offset = this.#collect(chunk, offset);
      const whole = this.#partial;
      if (whole !== undefined && this.#filled === whole.length) {
        this.#partial = undefined;
        this.#filled = 0;
        this.#streamOffset += whole.length;
        yield whole;
      }
    }
  }

  /** Take bytes of the message that is not whole: first its header, which says how many follow. */
  #collect(chunk: Uint8Array, from: number): number {
    let offset = from;
    if (this.#partial === undefined) {
      const size = Math.min(HEADER_SIZE - this.#filled, chunk.length - offset);
      this.#header.set(chunk.subarray(offset, offset + size), this.#filled);
      this.#filled += size;
      offset += size;
      if (this.#filled < HEADER_SIZE) return offset;
      this.#partial = new Uint8Array(this.#sizeOf(this.#header, 0));
      this.#partial.set(this.#header);
    }
    const size = Math.min(this.#partial.length - this.#filled, chunk.length - offset);
    this.#partial.set(chunk.subarray(offset, offset + size), this.#filled);
    this.#filled += size;
    return offset + size;
  }

  #sizeOf(bytes: Uint8Array, offset: number): number {
    const version = bytes[offset] ?? 0;
    const size = ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
    if (version === 0 || (version > HIGHEST_VERSION && bytes[offset + 1] !== HELLO)) {
      throw new WireError('BAD_VERSION', this.#streamOffset, `no OpenFlow: a header of version ${version}`);
    }
    if (size < HEADER_SIZE) {
      throw new WireError('BAD_LENGTH', this.#streamOffset, `a message of ${size} bytes, less than its header`);
    }
    if (size > this.#maxSize) {
      throw new WireError('TOO_LARGE', this.#streamOffset, `a message of ${size} bytes; the bound is ${this.#maxSize}`);
    }
    return size;
  }
}
