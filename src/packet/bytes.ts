/** Reading and writing bytes in network order, and the Internet checksum. Serves decode.ts and encode.ts. */
import { PacketError } from './packet-error.ts';

const HIGH_UNIT = 0x1_0000_0000;

/** A position in a packet, and an end that no read passes. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  offset = 0;
  #end: number;

  constructor(bytes: Uint8Array) {
    // Not as a Buffer, whose slices share its memory.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  get end(): number {
    return this.#end;
  }

  get left(): number {
    return this.#end - this.offset;
  }

  /** What follows `size` bytes from here is not read: padding. Throws PACKET_TRUNCATED where there are fewer. */
  narrow(size: number, what: string): void {
    if (size > this.left) {
      throw new PacketError('PACKET_TRUNCATED', this.offset, `${what} declares ${size} bytes, ${this.left} are left`);
    }
    this.#end = this.offset + size;
  }

  #take(size: number): number {
    const { offset } = this;
    if (size > this.left) {
      throw new PacketError('PACKET_TRUNCATED', offset, `${size} bytes were due, ${this.left} are left`);
    }
    this.offset = offset + size;
    return offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u48(): number {
    const offset = this.#take(6);
    return this.#view.getUint16(offset) * HIGH_UNIT + this.#view.getUint32(offset + 2);
  }

  u128(): bigint {
    const offset = this.#take(16);
    return (this.#view.getBigUint64(offset) << 64n) | this.#view.getBigUint64(offset + 8);
  }

  /** A copy of `size` bytes, by default of all that are left. */
  copy(size: number = this.left): Uint8Array {
    const offset = this.#take(size);
    return this.bytes.slice(offset, offset + size);
  }
}

/** Bytes of known size, filled from the front. */
export class Writer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#offset, value);
    this.#offset += 1;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#offset, value);
    this.#offset += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#offset, value);
    this.#offset += 4;
    return this;
  }

  u48(value: number): this {
    return this.u16(Math.floor(value / HIGH_UNIT)).u32(value % HIGH_UNIT);
  }

  u128(value: bigint): this {
    this.#view.setBigUint64(this.#offset, value >> 64n);
    this.#view.setBigUint64(this.#offset + 8, value & 0xffff_ffff_ffff_ffffn);
    this.#offset += 16;
    return this;
  }

  put(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#offset);
    this.#offset += bytes.length;
    return this;
  }
}

/** The one's complement sum of RFC 1071 over 16-bit words, an odd last byte as the high half of one; `seed` goes in first. */
export function checksumOf(bytes: Uint8Array, seed = 0): number {
  let sum = seed;
  for (let index = 0; index < bytes.length; index += 2) sum += ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);
  return ~fold(sum) & 0xffff;
}

function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** Addresses, protocol and size as the checksums of transport protocols count them in: a seed for checksumOf. */
export function pseudoHeaderSum(
  addresses: { readonly source: number | bigint; readonly destination: number | bigint },
  protocol: number,
  size: number,
): number {
  let sum = protocol + (size & 0xffff) + (size >>> 16);
  for (const address of [addresses.source, addresses.destination]) {
    for (let rest = BigInt(address); rest > 0n; rest >>= 16n) sum += Number(rest & 0xffffn);
  }
  return fold(sum);
}
