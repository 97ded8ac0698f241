/**
 * Where messages are written: zeroed bytes that grow when they must, with the position of the next write. Writers leave
 * padding as it is, zero. Serves every writer of openflow/; the channel takes slabs from a pool and gives them back when
 * the socket has taken their bytes.
 */
import { LIMITS } from '../lib/limits.ts';
import { WireError } from './wire-error.ts';

const HIGH_UNIT = 0x1_0000_0000;

export class Slab {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  /** Bytes written so far. */
  end = 0;
  /** No message may reach beyond this byte. */
  limit: number = LIMITS.openflowMessageSize;
  /** Room for writeMatch to sort what it writes. */
  readonly ranks = new Uint8Array(256);

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Take `size` zero bytes; gives the offset of the first. Throws WireError TOO_LARGE beyond the message's limit. */
  reserve(size: number): number {
    const offset = this.end;
    const next = offset + size;
    if (next > this.limit) {
      throw new WireError('TOO_LARGE', offset, `a message may have at most ${LIMITS.openflowMessageSize} bytes`);
    }
    if (next > this.bytes.length) this.grow(next);
    this.end = next;
    return offset;
  }

  private grow(size: number): void {
    const bytes = new Uint8Array(Math.max(size, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.end));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  u8(value: number): void {
    const offset = this.reserve(1);
    this.bytes[offset] = value;
  }

  u16(value: number): void {
    const offset = this.reserve(2);
    this.view.setUint16(offset, value);
  }

  u32(value: number): void {
    const offset = this.reserve(4);
    this.view.setUint32(offset, value);
  }

  /** 48 bits, such as a MAC address. */
  u48(value: number): void {
    const offset = this.reserve(6);
    this.view.setUint16(offset, value / HIGH_UNIT);
    this.view.setUint32(offset + 2, value);
  }

  u64(value: bigint): void {
    const offset = this.reserve(8);
    this.view.setBigUint64(offset, value);
  }

  /** Up to 128 bits, as `size` bytes. */
  big(value: bigint, size: number): void {
    let offset = this.reserve(size) + size;
    let rest = value;
    let left = size;
    while (left >= 8) {
      offset -= 8;
      left -= 8;
      this.view.setBigUint64(offset, rest & 0xffff_ffff_ffff_ffffn);
      rest >>= 64n;
    }
    while (left > 0) {
      offset -= 1;
      left -= 1;
      this.bytes[offset] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }

  raw(data: Uint8Array): void {
    const offset = this.reserve(data.length);
    this.bytes.set(data, offset);
  }

  /** Text of at most `size - 1` bytes of UTF-8 in `size` bytes, zero at the end. */
  text(value: string, size: number): void {
    const offset = this.reserve(size);
    new TextEncoder().encodeInto(value, this.bytes.subarray(offset, offset + size - 1));
  }

  /** Zero bytes up to a multiple of 8 counted from `start`. */
  pad(start: number): void {
    const over = (this.end - start) & 7;
    if (over !== 0) this.reserve(8 - over);
  }

  /** Write the 16-bit length of what began at `start` into its `at`th byte. */
  setLength(start: number, at: number): void {
    this.view.setUint16(start + at, this.end - start);
  }

  /** Undo everything from `start` on. */
  rewind(start: number): void {
    this.bytes.fill(0, start, this.end);
    this.end = start;
  }

  /** What has been written. Shares memory with the slab. */
  written(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.end);
  }

  /** Empty and zero again. */
  clear(): void {
    this.rewind(0);
    this.limit = LIMITS.openflowMessageSize;
  }
}

export interface SlabPoolOptions {
  /** Bytes of a fresh slab. */
  readonly size: number;
  /** Slabs kept for later; further ones are left to the garbage collector. */
  readonly length: number;
}

/** Slabs to be used again. A slab goes back when nobody reads its bytes any more: in the socket's write callback. */
export class SlabPool {
  private readonly options: SlabPoolOptions;
  private readonly free: Slab[] = [];

  constructor(options: SlabPoolOptions) {
    this.options = options;
  }

  take(): Slab {
    return this.free.pop() ?? new Slab(this.options.size);
  }

  release(slab: Slab): void {
    if (this.free.length >= this.options.length || slab.bytes.length > 4 * this.options.size) return;
    slab.clear();
    this.free.push(slab);
  }
}
