/**
 * Flows of one bridge, packed: some fifty bytes each, found by the bytes of their identity (table, priority, match). Serves
 * flow-table.ts, which says who wants them.
 *
 * A flow has a small number, its id, and under that id a place in each of some columns. A templated flow is its record in the
 * slab (openflow/template.ts), its row and its object's name (shared.ts); any other is kept as a value, its bytes in the slab.
 */
import { flowKey } from '../flow/match.ts';
import { HeddleError, invariant } from '../lib/errors.ts';
import { type FlowPlace, flowHash } from '../openflow/flow-hash.ts';
import type { Slab } from '../openflow/slab.ts';
import {
  type EncodedFlow,
  type RecordBytes,
  recordBytes,
  type TemplateValue,
  viewFlowMod,
  writeFlow,
} from '../openflow/template.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import type { Room, Shared } from './shared.ts';
import { type RenderedRows, type RowNumbers, TemplatedFlow, type TemplateRow } from './templates.ts';

/** No flow. */
export const NO_FLOW = -1;

const FIRST_LENGTH = 64;
const FIRST_SIZE = 4096;
const COOKIE_SIZE = 4;
/** ofp_header.length (OpenFlow 1.3.5 §7.1). */
const LENGTH_OFFSET = 2;

/** What is kept of each flow: the number of its row, or VALUE; of its name; its hash; where its bytes are; the flow that it leads to. */
const ROW = 0;
const NAME = 1;
const HASH = 2;
const OFFSET = 3;
const CHAIN = 4;
const COLUMNS = 5;

/** What stands in place of a row with flows that are kept as values. */
const VALUE = 0;

const NO_ROOM: Room = { length: 0, size: 0 };

export class FlowSlab {
  readonly #shared: Shared;
  #length = 0;
  /** By id: COLUMNS numbers each. One array, since thousands of small ones cost more than what they hold. */
  #columns: Int32Array;
  /** Flows that are kept as values; and of those that no flow-mod can carry what they are found by. */
  readonly #values = new Map<number, DesiredFlow>();
  readonly #unwritable = new Map<number, EncodedFlow>();
  readonly #freeIds: number[] = [];
  /** Records, and the flow-mods of values. */
  #records: RecordBytes;
  #end = 0;
  /** Offsets of what is free again, by size. */
  #free: Map<number, number[]> | undefined;
  readonly #scratch: Slab;
  /** Open addressing, linear probing: id + 1 of the flow, 0 where there is none. */
  #slots: Int32Array;
  #indexed = 0;

  get #bytes(): Uint8Array {
    return this.#records.bytes;
  }

  constructor(shared: Shared, room: Room = NO_ROOM) {
    this.#shared = shared;
    this.#scratch = shared.scratch;
    this.#columns = new Int32Array(Math.max(FIRST_LENGTH, room.length) * COLUMNS);
    this.#records = recordBytes(Math.max(FIRST_SIZE, room.size));
    this.#slots = new Int32Array(slotCountFor(Math.max(FIRST_LENGTH, room.length)));
  }

  /** What its flows have taken so far. */
  get room(): Room {
    return { length: this.#length, size: this.#end };
  }

  /** Keep a flow; it is not found by its identity yet. Gives its id. */
  add(desired: DesiredFlow): number {
    const id = this.#freeIds.pop() ?? this.#newId();
    if (desired instanceof TemplatedFlow) {
      this.#addRecord(id, desired.row, desired, desired.holdName(this.#shared.names, 1));
    } else this.#addValue(id, desired);
    return id;
  }

  /** Hold the name of some rows, for addRow. */
  holdName(rows: RenderedRows): number {
    return rows.holdName(this.#shared.names, rows.rows.length);
  }

  /** As `add`, a flow that never was a value. `name`: the number of its object's name, which is held already. */
  addRow(row: TemplateRow, numbers: RowNumbers, name: number): number {
    const id = this.#freeIds.pop() ?? this.#newId();
    this.#addRecord(id, row, numbers, name);
    return id;
  }

  #addRecord(id: number, row: TemplateRow, numbers: RowNumbers, name: number): void {
    const { template } = row;
    const offset = this.#reserve(template.recordSize);
    const bytes = this.#bytes;
    template.putRecord(bytes, offset, numbers.cookieLow, numbers.values);
    const columns = this.#columns;
    const first = id * COLUMNS;
    columns[first + ROW] = this.#shared.rows.idOf(row);
    columns[first + NAME] = name;
    columns[first + OFFSET] = offset;
    columns[first + HASH] = template.hash(bytes, offset);
  }

  #addValue(id: number, desired: DesiredFlow): void {
    this.#columns[id * COLUMNS + ROW] = VALUE;
    this.#values.set(id, desired);
    const frame = frameOf(desired, this.#scratch);
    if (frame === undefined) {
      const unwritable = unwritableFlow(desired);
      this.#unwritable.set(id, unwritable);
      this.#columns[id * COLUMNS + HASH] = flowHash(unwritable);
      return;
    }
    const offset = this.#reserve(frame.length);
    this.#bytes.set(frame, offset);
    this.#columns[id * COLUMNS + OFFSET] = offset;
    this.#columns[id * COLUMNS + HASH] = flowHash(viewFlowMod(frame));
  }

  /** Forget a flow that is not found any more; its id will be another's. */
  free(id: number): void {
    const row = this.#rowOf(id);
    if (row !== undefined) {
      this.#release(id, row.template.recordSize);
      this.#shared.names.drop(this.#at(id, NAME));
    } else {
      if (!this.#unwritable.delete(id)) this.#release(id, this.#frameSize(id));
      this.#values.delete(id);
    }
    this.#freeIds.push(id);
  }

  /** Remember another flow with this one, or NO_FLOW. */
  chain(id: number, other: number): void {
    this.#columns[id * COLUMNS + CHAIN] = other;
  }

  chained(id: number): number {
    return this.#at(id, CHAIN);
  }

  /** The flow as a value; what it says stays true when the flow is freed. */
  desired(id: number): DesiredFlow {
    const row = this.#rowOf(id);
    if (row === undefined) return this.#valueOf(id);
    const values: TemplateValue[] = [];
    const offset = this.#at(id, OFFSET);
    row.template.readRecord(this.#bytes, offset, values);
    const object = this.#shared.names.nameOf(this.#at(id, NAME));
    return new TemplatedFlow(row, values, object, cookieAt(this.#bytes, offset));
  }

  /** The flow-mod of a flow that is no value. */
  templatedFrame(id: number): Uint8Array | undefined {
    return this.#rowOf(id)?.template.fill(this.#records, this.#at(id, OFFSET)).frame;
  }

  /** The flow as bytes: right until another flow of this process is encoded, or kept. */
  encoded(id: number): EncodedFlow {
    const offset = this.#at(id, OFFSET);
    const row = this.#rowOf(id);
    if (row !== undefined) return row.template.fill(this.#records, offset);
    return this.#unwritable.get(id) ?? viewFlowMod(this.#bytes.subarray(offset, offset + this.#frameSize(id)));
  }

  /** Flows of a later table, and of one table those of higher priority, rank higher. */
  rankOf(id: number): number {
    const { table, priority } = this.#rowOf(id)?.template ?? this.#valueOf(id).flow;
    return table * 0x1_0000 + priority;
  }

  /** Equal in all that the switch sees, the cookie included. */
  isSame(left: number, right: number): boolean {
    const row = this.#at(left, ROW);
    if (row === VALUE || row !== this.#at(right, ROW)) {
      return sameBytes(this.encoded(left).frame.slice(), this.encoded(right).frame);
    }
    const [one, other] = [this.#at(left, OFFSET), this.#at(right, OFFSET)];
    const size = this.#rowOf(left)?.template.recordSize ?? 0;
    for (let byte = 0; byte < size; byte++) if (this.#bytes[one + byte] !== this.#bytes[other + byte]) return false;
    return true;
  }

  /** Equal in table, priority and match. */
  isRival(left: number, right: number): boolean {
    if (this.#at(left, HASH) !== this.#at(right, HASH)) return false;
    const { table, priority, matchBytes } = this.encoded(left);
    return this.#hasIdentity(right, table, priority, matchBytes.slice());
  }

  /** Have the flow found by its identity. No other may be. */
  insert(id: number): void {
    if (2 * (this.#indexed + 1) > this.#slots.length) this.#growSlots();
    this.#indexed += 1;
    this.#place(id);
  }

  /** The flow that is found in place of another of the same identity. */
  replace(before: number, after: number): void {
    this.#slots[this.#slotOf(before)] = after + 1;
  }

  remove(id: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#slotOf(id);
    this.#indexed -= 1;
    // Those behind it move up, unless they stand where they belong.
    for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#at((slots[next] as number) - 1, HASH) & mask;
      const isBetween = hole <= next ? hole < home && home <= next : hole < home || home <= next;
      if (isBetween) continue;
      slots[hole] = slots[next] as number;
      hole = next;
    }
    slots[hole] = 0;
  }

  /** The flow that is found by the identity of this one: itself, another, or NO_FLOW. */
  findLike(id: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const hash = this.#at(id, HASH);
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const found = (slots[slot] as number) - 1;
      if (found === id || (this.#at(found, HASH) === hash && this.isRival(id, found))) return found;
    }
    return NO_FLOW;
  }

  /** The flow that is found by an identity. */
  find({ table, priority, matchBytes }: FlowPlace): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const hash = flowHash({ table, priority, matchBytes });
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const found = (slots[slot] as number) - 1;
      if (this.#at(found, HASH) === hash && this.#hasIdentity(found, table, priority, matchBytes)) return found;
    }
    return NO_FLOW;
  }

  /** The first of some flows, found or not, with an identity. */
  findAmong(ids: Iterable<number>, { table, priority, matchBytes }: FlowPlace): number {
    const hash = flowHash({ table, priority, matchBytes });
    for (const id of ids) {
      if (this.#at(id, HASH) === hash && this.#hasIdentity(id, table, priority, matchBytes)) return id;
    }
    return NO_FLOW;
  }

  /** All ids are below this. */
  get length(): number {
    return this.#length;
  }

  #hasIdentity(id: number, table: number, priority: number, matchBytes: Uint8Array): boolean {
    const encoded = this.encoded(id);
    return encoded.table === table && encoded.priority === priority && sameBytes(encoded.matchBytes, matchBytes);
  }

  #at(id: number, column: number): number {
    return this.#columns[id * COLUMNS + column] as number;
  }

  #rowOf(id: number): TemplateRow | undefined {
    return this.#shared.rows.rowOf(this.#at(id, ROW));
  }

  #valueOf(id: number): DesiredFlow {
    const value = this.#values.get(id);
    invariant(value !== undefined, 'A flow that was freed.', { id });
    return value;
  }

  #frameSize(id: number): number {
    const offset = this.#at(id, OFFSET) + LENGTH_OFFSET;
    return ((this.#bytes[offset] as number) << 8) | (this.#bytes[offset + 1] as number);
  }

  #newId(): number {
    const id = this.#length;
    this.#length += 1;
    if (this.#length * COLUMNS > this.#columns.length) {
      const columns = new Int32Array(moreThan(id) * COLUMNS);
      columns.set(this.#columns);
      this.#columns = columns;
    }
    return id;
  }

  #reserve(size: number): number {
    const free = this.#free?.get(size)?.pop();
    if (free !== undefined) return free;
    const offset = this.#end;
    this.#end += size;
    if (this.#end > this.#bytes.length) {
      const records = recordBytes(moreThan(this.#end));
      records.bytes.set(this.#bytes);
      this.#records = records;
    }
    return offset;
  }

  #release(id: number, size: number): void {
    const offset = this.#at(id, OFFSET);
    this.#free ??= new Map();
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [offset]);
    else free.push(offset);
  }

  #slotOf(id: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#at(id, HASH) & mask;
    while (this.#slots[slot] !== id + 1) {
      invariant(this.#slots[slot] !== 0, 'A flow that is not found by its identity.', { id });
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #place(id: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#at(id, HASH) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = id + 1;
  }

  #growSlots(): void {
    const before = this.#slots;
    this.#slots = new Int32Array(2 * before.length);
    for (const slot of before) if (slot !== 0) this.#place(slot - 1);
  }
}

/** A power of two, at most half of which is taken. */
function slotCountFor(length: number): number {
  return 2 ** Math.ceil(Math.log2(2 * length));
}

/** What grows is made twice as large, and where that is much, half as large again. */
function moreThan(length: number): number {
  return length < 0x4000 ? 2 * length : Math.ceil(1.5 * length);
}

function frameOf(desired: DesiredFlow, scratch: Slab): Uint8Array | undefined {
  try {
    return writeFlow(desired.flow, scratch);
  } catch (error) {
    if (error instanceof HeddleError) return undefined;
    throw error;
  }
}

/** What no flow-mod can carry is kept all the same, under its text: the switch side says that it cannot be sent. */
function unwritableFlow(desired: DesiredFlow): EncodedFlow {
  const { table, priority } = desired.flow;
  const frame = Buffer.from(JSON.stringify([desired.flow, desired.origin], asText), 'utf8');
  return { table, priority, frame, matchBytes: Buffer.from(flowKey(desired.flow)), instructionBytes: EMPTY };
}

const EMPTY = new Uint8Array(0);

function asText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

function cookieAt(bytes: Uint8Array, offset: number): number {
  let cookie = 0;
  for (let byte = 0; byte < COOKIE_SIZE; byte++) cookie = cookie * 0x100 + (bytes[offset + byte] as number);
  return cookie;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}
