/**
 * Flow-mods of one shape, of which there are thousands: recorded once from the one writer (flow-codec.ts), with holes where the
 * values go. Serves compiler/, which keeps such flows as the few bytes that differ, and whoever encodes them.
 *
 * A record is those few bytes:
 *
 *      0               4
 *     +---------------+-------------+-------------+----
 *     | cookie, low   | variable 0  | variable 1  | ...      each in network order, in as few bytes as hold its bits
 *     +---------------+-------------+-------------+----
 *
 * Where each of them goes is not said by anybody: it is found by writing the flow with one byte changed after the other. A
 * template is what the writer does, or it is not made.
 */
import type { Flow } from '../flow/flow.ts';
import { writeFlowMod } from './flow-codec.ts';
import { factorAt, flowHash, hashOfSum, sumOf } from './flow-hash.ts';
import { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

/** A MAC, an IPv4 address, a VLAN: a number of up to 48 bits. An IPv6 address: a bigint. */
export type TemplateValue = number | bigint;

/** A flow as it is compared and sent. */
export interface EncodedFlow {
  readonly table: number;
  readonly priority: number;
  /** The whole flow-mod: command add, xid 0. */
  readonly frame: Uint8Array;
  /** ofp_match without its padding. */
  readonly matchBytes: Uint8Array;
  readonly instructionBytes: Uint8Array;
}

const COOKIE_LOW_OFFSET = 12;
const COOKIE_SIZE = 4;
const TABLE_OFFSET = 24;
const PRIORITY_OFFSET = 30;
const MATCH_OFFSET = 48;
const USUAL_SIZE = 512;
/** Random flows that a template is held against before it is believed. */
const TRIALS = 4;

/** Where records stand: the same bytes in two ways of reading them. */
export interface RecordBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function recordBytes(size: number): RecordBytes {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

export interface TemplateSource {
  /** Bits of each variable: 1 to 128. */
  readonly bits: readonly number[];
  /** The flows with these values, one for each variable: numbers up to 48 bits, bigints above. Always as many. */
  readonly flowsOf: (values: readonly TemplateValue[]) => readonly Flow[];
}

/** Which byte of a record, changed in which bits, goes to which byte of the frame. */
interface Copy {
  readonly from: number;
  readonly to: number;
  readonly constant: number;
}

/** Where flows are written before their bytes are kept. */
export function flowScratch(): Slab {
  return new Slab(USUAL_SIZE);
}

/** The bytes of a flow-mod of command add and xid 0. Throws WireError. `slab`: to be used again. */
export function encodeFlow(flow: Flow, slab: Slab = flowScratch()): Uint8Array {
  return writeFlow(flow, slab).slice();
}

/** Likewise: right until the slab is used again. */
export function writeFlow(flow: Flow, slab: Slab): Uint8Array {
  slab.clear();
  writeFlowMod(slab, { flow, command: 'add', xid: 0 });
  return slab.bytes.subarray(0, slab.end);
}

/** Match and instructions of a flow-mod of ours. */
export function viewFlowMod(frame: Uint8Array): EncodedFlow {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const matchEnd = MATCH_OFFSET + view.getUint16(MATCH_OFFSET + 2);
  return {
    table: view.getUint8(TABLE_OFFSET),
    priority: view.getUint16(PRIORITY_OFFSET),
    frame,
    matchBytes: frame.subarray(MATCH_OFFSET, matchEnd),
    instructionBytes: frame.subarray(MATCH_OFFSET + ((matchEnd - MATCH_OFFSET + 7) & ~7)),
  };
}

export class FlowTemplate implements EncodedFlow {
  readonly table: number;
  readonly priority: number;
  readonly frame: Uint8Array;
  readonly matchBytes: Uint8Array;
  readonly instructionBytes: Uint8Array;
  /** Bytes of a record. */
  readonly recordSize: number;
  /** The places of the variables that the flow says, among those of its source; the others are not in its records. */
  readonly variables: readonly number[];
  readonly #sizes: readonly number[];
  readonly #view: DataView;
  /** Four bytes that stay together and as they are go in one piece. */
  readonly #wordsFrom: Uint8Array;
  readonly #wordsTo: Uint16Array;
  readonly #from: Uint8Array;
  readonly #to: Uint16Array;
  readonly #constant: Uint8Array;
  /** For the hash: which bytes of a record are in the match, what they are changed in, and what each adds. */
  readonly #hashFrom: Uint8Array;
  readonly #hashConstant: Uint8Array;
  readonly #hashFactors: Int32Array;
  readonly #hashBase: number;

  /** For recordTemplates. `copies`: from bytes of a record of all variables. */
  constructor(frame: Uint8Array, bits: readonly number[], copies: readonly Copy[]) {
    const view = viewFlowMod(frame);
    this.table = view.table;
    this.priority = view.priority;
    this.frame = view.frame;
    this.matchBytes = view.matchBytes;
    this.instructionBytes = view.instructionBytes;
    const layout = layoutOf(bits);
    const variables = layout.flatMap(({ start, end }, variable) =>
      copies.some(({ from }) => from >= start && from < end) ? variable : [],
    );
    // The same bytes without the variables that this flow does not say.
    const kept = layoutOf(variables.map((variable) => bits[variable] ?? 0));
    const moved = new Map<number, number>(Array.from({ length: COOKIE_SIZE }, (_, byte) => [byte, byte]));
    variables.forEach((variable, place) => {
      const [before, after] = [layout[variable], kept[place]];
      if (before === undefined || after === undefined) return;
      for (let byte = 0; byte < before.end - before.start; byte++) moved.set(before.start + byte, after.start + byte);
    });
    this.variables = variables;
    this.#sizes = kept.map(({ start, end }) => end - start);
    this.recordSize = kept.at(-1)?.end ?? COOKIE_SIZE;
    this.#view = new DataView(this.frame.buffer, this.frame.byteOffset, this.frame.byteLength);
    const placed = copies.map((copy) => ({ ...copy, from: moved.get(copy.from) ?? 0 }));
    const { words, rest } = inWords(placed);
    this.#wordsFrom = Uint8Array.from(words, ({ from }) => from);
    this.#wordsTo = Uint16Array.from(words, ({ to }) => to);
    this.#from = Uint8Array.from(rest, ({ from }) => from);
    this.#to = Uint16Array.from(rest, ({ to }) => to);
    this.#constant = Uint8Array.from(rest, ({ constant }) => constant);
    const hashed = placed.filter(({ to }) => to >= MATCH_OFFSET && to < MATCH_OFFSET + this.matchBytes.length);
    this.#hashFrom = Uint8Array.from(hashed, ({ from }) => from);
    this.#hashConstant = Uint8Array.from(hashed, ({ constant }) => constant);
    this.#hashFactors = Int32Array.from(hashed, ({ to }) => factorAt(to - MATCH_OFFSET));
    this.#hashBase = sumWithout(this, new Set(hashed.map(({ to }) => to - MATCH_OFFSET)));
  }

  /** flowHash of the flow of a record, which need not be made for that. */
  hash(bytes: Uint8Array, offset: number): number {
    const from = this.#hashFrom;
    const constant = this.#hashConstant;
    const factors = this.#hashFactors;
    let sum = this.#hashBase;
    for (let index = 0; index < from.length; index++) {
      const byte = (bytes[offset + (from[index] as number)] as number) ^ (constant[index] as number);
      sum = (sum + Math.imul(byte, factors[index] as number)) | 0;
    }
    return hashOfSum(sum);
  }

  /** Write a record: low half of the cookie, and the values of all variables of the source. */
  putRecord(bytes: Uint8Array, offset: number, cookieLow: number, values: readonly TemplateValue[]): void {
    putNumber(bytes, offset, COOKIE_SIZE, cookieLow);
    let next = offset + COOKIE_SIZE;
    for (let place = 0; place < this.variables.length; place++) {
      const size = this.#sizes[place] ?? 0;
      const value = values[this.variables[place] ?? 0] ?? 0;
      if (typeof value === 'number') putNumber(bytes, next, size, value);
      else putBigint(bytes, next, size, value);
      next += size;
    }
  }

  /** The values of a record into `values`, at the places of the variables that the flow says. */
  readRecord(bytes: Uint8Array, offset: number, values: TemplateValue[]): void {
    let next = offset + COOKIE_SIZE;
    for (let place = 0; place < this.variables.length; place++) {
      const size = this.#sizes[place] ?? 0;
      values[this.variables[place] ?? 0] = size > 6 ? getBigint(bytes, next, size) : getNumber(bytes, next, size);
      next += size;
    }
  }

  /** Make `frame` and the views on it those of this record: right until the next fill. */
  fill({ bytes, view }: RecordBytes, offset: number): this {
    const { frame } = this;
    const wordsFrom = this.#wordsFrom;
    const wordsTo = this.#wordsTo;
    for (let index = 0; index < wordsTo.length; index++) {
      this.#view.setUint32(wordsTo[index] as number, view.getUint32(offset + (wordsFrom[index] as number)));
    }
    const from = this.#from;
    const to = this.#to;
    const constant = this.#constant;
    for (let index = 0; index < to.length; index++) {
      frame[to[index] as number] = (bytes[offset + (from[index] as number)] as number) ^ (constant[index] as number);
    }
    return this;
  }
}

/** What the bytes of a match that stay the same add up to. */
function sumWithout({ table, priority, matchBytes }: EncodedFlow, changing: ReadonlySet<number>): number {
  let sum = sumOf({ table, priority, matchBytes });
  matchBytes.forEach((byte, index) => {
    if (!changing.has(index)) sum = (sum + Math.imul(byte, factorAt(index))) | 0;
  });
  return sum;
}

/** Copies of four bytes in a row, told by their first; and the rest. */
function inWords(copies: readonly Copy[]): { readonly words: Copy[]; readonly rest: Copy[] } {
  const sorted = copies.toSorted((left, right) => left.to - right.to);
  const words: Copy[] = [];
  const rest: Copy[] = [];
  for (let index = 0; index < sorted.length; ) {
    const first = sorted[index] as Copy;
    const four = sorted.slice(index, index + 4);
    const isWord =
      four.length === 4 &&
      four.every(
        ({ from, to, constant }, byte) => constant === 0 && from === first.from + byte && to === first.to + byte,
      );
    if (isWord) words.push(first);
    else rest.push(first);
    index += isWord ? 4 : 1;
  }
  return { words, rest };
}

interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Where variables stand in a record. */
function layoutOf(bits: readonly number[]): readonly Extent[] {
  let start = COOKIE_SIZE;
  return bits.map((width) => {
    const extent = { start, end: start + Math.ceil(width / 8) };
    start = extent.end;
    return extent;
  });
}

/**
 * Record the flows of a source, a template for each. undefined: one of them is no shape with holes in it, or cannot be written.
 */
export function recordTemplates(source: TemplateSource): readonly FlowTemplate[] | undefined {
  try {
    return record(source);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function record({ bits, flowsOf }: TemplateSource): readonly FlowTemplate[] | undefined {
  const slab = flowScratch();
  const write = (values: readonly TemplateValue[]) => flowsOf(values).map((flow) => encodeFlow(flow, slab));
  const zeros = bits.map((width) => asValue(0n, width));
  const bases = write(zeros);
  const cookie = Array.from({ length: COOKIE_SIZE }, (_, byte) => byte);
  const copies = bases.map(() => cookie.map((from): Copy => ({ from, to: COOKIE_LOW_OFFSET + from, constant: 0 })));
  for (const [variable, { start, end }] of layoutOf(bits).entries()) {
    const width = bits[variable] ?? 0;
    for (let from = start; from < end; from++) {
      const shift = BigInt(8 * (end - 1 - from));
      const probe = (0xffn << shift) & ((1n << BigInt(width)) - 1n);
      const changed = write(zeros.with(variable, asValue(probe, width)));
      const isShape = bases.every((base, row) =>
        noteCopies(copies[row] ?? [], { base, changed: changed[row], from, mask: Number(probe >> shift) }),
      );
      if (!isShape) return undefined;
    }
  }
  const templates = bases.map((base, row) => new FlowTemplate(base.slice(), bits, copies[row] ?? []));
  return holds(templates, bits, write) ? templates : undefined;
}

/** Where a changed byte of a record shows. False: not as that byte. */
function noteCopies(
  copies: Copy[],
  probe: {
    readonly base: Uint8Array;
    readonly changed: Uint8Array | undefined;
    readonly from: number;
    readonly mask: number;
  },
): boolean {
  const { base, changed, from, mask } = probe;
  if (changed?.length !== base.length) return false;
  for (let to = 0; to < base.length; to++) {
    const constant = base[to] ?? 0;
    const difference = constant ^ (changed[to] ?? 0);
    if (difference === 0) continue;
    if (difference !== mask || copies.some((copy) => copy.to === to)) return false;
    copies.push({ from, to, constant });
  }
  return true;
}

/** Templates and writer agree. Values are drawn without a clock or chance: equal inputs, equal templates. */
function holds(
  templates: readonly FlowTemplate[],
  bits: readonly number[],
  write: (values: readonly TemplateValue[]) => readonly Uint8Array[],
): boolean {
  let seed = 0x9e3779b97f4a7c15n;
  const draw = (width: number): TemplateValue => {
    seed = (seed * 0xda942042e4dd58b5da942042e4dd58b5n + 1n) & ((1n << 160n) - 1n);
    return asValue((seed >> 24n) & ((1n << BigInt(width)) - 1n), width);
  };
  return Array.from({ length: TRIALS }, () => bits.map(draw)).every((values) =>
    write(values).every((wanted, row) => {
      const template = templates[row];
      if (template === undefined) return false;
      const record = recordBytes(template.recordSize);
      template.putRecord(record.bytes, 0, new DataView(wanted.buffer).getUint32(COOKIE_LOW_OFFSET), values);
      const { frame } = template.fill(record, 0);
      return Buffer.compare(frame, wanted) === 0 && template.hash(record.bytes, 0) === flowHash(viewFlowMod(wanted));
    }),
  );
}

/** As flows have it: numbers up to 48 bits, bigints above. */
function asValue(value: bigint, width: number): TemplateValue {
  return width > 48 ? value : Number(value);
}

function putNumber(bytes: Uint8Array, offset: number, size: number, value: number): void {
  let low = value >>> 0;
  let next = offset + size - 1;
  const lowEnd = size > 4 ? offset + size - 4 : offset;
  for (; next >= lowEnd; next--) {
    bytes[next] = low;
    low >>>= 8;
  }
  if (size <= 4) return;
  let high = Math.floor(value / 0x1_0000_0000);
  for (; next >= offset; next--) {
    bytes[next] = high;
    high >>>= 8;
  }
}

function getNumber(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let byte = 0; byte < size; byte++) value = value * 0x100 + (bytes[offset + byte] ?? 0);
  return value;
}

function putBigint(bytes: Uint8Array, offset: number, size: number, value: bigint): void {
  let rest = value;
  for (let next = offset + size - 1; next >= offset; next--) {
    bytes[next] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}

function getBigint(bytes: Uint8Array, offset: number, size: number): bigint {
  let value = 0n;
  for (let byte = 0; byte < size; byte++) value = (value << 8n) | BigInt(bytes[offset + byte] ?? 0);
  return value;
}
