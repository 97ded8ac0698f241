/**
 * Structures of fixed size, declared once as a table of their fields: the reader is a binary-parser compiled at load, the
 * writer walks the same table. Serves the codec-*.ts files for everything but flows, matches and actions.
 */
import { Parser } from 'binary-parser';
import { invariant } from '../lib/errors.ts';
import type { Cursor } from './cursor.ts';
import type { Slab } from './slab.ts';

const HIGH_UNIT = 0x1_0000_0000;

/** Numbers by their bits, `text` with its bytes, and padding by its bytes. */
export type StructField =
  | readonly [name: string, type: 'u8' | 'u16' | 'u32' | 'u48' | 'u64']
  | readonly [name: string, type: 'text', size: number]
  | readonly ['', 'pad', number];

export interface Struct<T> {
  readonly size: number;
  /** Throws WireError TRUNCATED where the cursor has fewer bytes. The value shares no memory with the bytes. */
  read(cursor: Cursor): T;
  write(slab: Slab, value: T): void;
  /** Read structures up to the cursor's end. */
  readAll(cursor: Cursor): T[];
}

function readU48(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 6);
  return view.getUint16(0) * HIGH_UNIT + view.getUint32(2);
}

/** Text up to its first zero byte. */
function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function addField(parser: Parser, [name, type, size]: StructField): number {
  switch (type) {
    case 'u8':
      parser.uint8(name);
      return 1;
    case 'u16':
      parser.uint16(name);
      return 2;
    case 'u32':
      parser.uint32(name);
      return 4;
    case 'u48':
      parser.buffer(name, { length: 6, formatter: readU48 });
      return 6;
    case 'u64':
      parser.uint64(name);
      return 8;
    case 'text':
      parser.buffer(name, { length: size, formatter: readText });
      return size;
    case 'pad':
      parser.skip(size);
      return size;
  }
}

function writeField(slab: Slab, [, type, size]: StructField, value: unknown): void {
  if (type === 'pad') slab.reserve(size);
  else if (type === 'u64') slab.u64(value as bigint);
  else if (type === 'text') slab.text(value as string, size);
  else slab[type](value as number);
}

/** A structure of OpenFlow, big-endian. `T` has a property for each named field. */
export function struct<T extends object>(...fields: readonly StructField[]): Struct<T> {
  const parser = new Parser().endianness('big');
  let size = 0;
  for (const field of fields) size += addField(parser, field);
  invariant(parser.sizeOf() === size, 'a structure has the size of its fields', { size });
  parser.compile();
  const read = (cursor: Cursor): T => {
    const offset = cursor.take(size);
    return parser.parse(cursor.bytes.subarray(offset, offset + size)) as T;
  };
  return {
    size,
    read,
    write(slab, value) {
      const values = value as Readonly<Record<string, unknown>>;
      for (const field of fields) writeField(slab, field, values[field[0]]);
    },
    readAll(cursor) {
      const values: T[] = [];
      while (cursor.left > 0) values.push(read(cursor));
      return values;
    },
  };
}
