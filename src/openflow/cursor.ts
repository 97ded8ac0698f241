/**
 * Where bytes are read: a position and an end that no read passes. Serves every reader of openflow/.
 */
import { WireError } from './wire-error.ts';

const HIGH_UNIT = 0x1_0000_0000;

export class Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  offset: number;
  end: number;
  /** How many lists of actions the one being read lies within. */
  depth = 0;

  constructor(bytes: Uint8Array) {
    // A Buffer's slice() would share memory instead of copying it.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = 0;
    this.end = bytes.length;
  }

  get left(): number {
    return this.end - this.offset;
  }

  /** Step over `size` bytes; gives the offset of the first. Throws WireError TRUNCATED where they are not all there. */
  take(size: number): number {
    const offset = this.offset;
    const next = offset + size;
    if (next > this.end) {
      throw new WireError('TRUNCATED', offset, `${size} bytes were due, ${this.end - offset} are left`);
    }
    this.offset = next;
    return offset;
  }

  u8(): number {
    const offset = this.take(1);
    return this.view.getUint8(offset);
  }

  u16(): number {
    const offset = this.take(2);
    return this.view.getUint16(offset);
  }

  u32(): number {
    const offset = this.take(4);
    return this.view.getUint32(offset);
  }

  u48(): number {
    const offset = this.take(6);
    return this.view.getUint16(offset) * HIGH_UNIT + this.view.getUint32(offset + 2);
  }

  u64(): bigint {
    const offset = this.take(8);
    return this.view.getBigUint64(offset);
  }

  /** `size` bytes as one number. */
  big(size: number): bigint {
    let offset = this.take(size);
    const end = offset + size;
    let value = 0n;
    for (; end - offset >= 8; offset += 8) value = (value << 64n) | this.view.getBigUint64(offset);
    for (; offset < end; offset++) value = (value << 8n) | BigInt(this.view.getUint8(offset));
    return value;
  }

  /** A copy of `size` bytes, by default of all that are left. */
  copy(size: number = this.end - this.offset): Uint8Array {
    const offset = this.take(size);
    return this.bytes.slice(offset, offset + size);
  }

  /** Step over padding up to a multiple of 8 counted from `start`; padding that the sender left out at the end is forgiven. */
  pad(start: number): void {
    const over = (this.offset - start) & 7;
    if (over !== 0) this.offset = Math.min(this.end, this.offset + 8 - over);
  }

  /**
   * Narrow the cursor to a structure that began at `start` and declares `size` bytes; gives the end to set back (`end`)
   * when it has been read. Throws WireError BAD_LENGTH when it is shorter than what was read of it or leaves the message.
   */
  narrow(start: number, size: number, what: string): number {
    const end = start + size;
    if (end > this.end || end < this.offset) {
      throw new WireError('BAD_LENGTH', start, `${what} of ${size} bytes, where ${this.end - start} are left`);
    }
    const outer = this.end;
    this.end = end;
    return outer;
  }

  /** Everything must have been read. */
  finish(what: string): void {
    if (this.offset !== this.end) {
      throw new WireError('BAD_LENGTH', this.offset, `${this.end - this.offset} bytes too many after ${what}`);
    }
  }
}
