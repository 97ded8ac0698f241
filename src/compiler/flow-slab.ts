/**
 * Flows of one bridge, packed: some fifty bytes each, found by the bytes of their identity (table, priority, match). Serves
 * flow-table.ts, which says who wants them.
 *
 * A flow has a small number, its id, and under that id a place in each of some columns. A templated flow is its record in the
 * slab (openflow/template.ts) and its object's name; any other is kept as a value, with its bytes.
 */
import { flowKey } from '../flow/match.ts';
import { HeddleError, invariant } from '../lib/errors.ts';
import type { Slab } from '../openflow/slab.ts';
import { type EncodedFlow, encodeFlow, flowScratch, type TemplateValue, viewFlowMod } from '../openflow/template.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import { TemplatedFlow, type TemplateRow } from './templates.ts';

/** No flow. */
export const NO_FLOW = -1;

const FIRST_LENGTH = 16;
const FIRST_SIZE = 1024;
const COOKIE_SIZE = 4;

/** A flow that is kept as a value. */
interface PlainFlow {
  readonly desired: DesiredFlow;
  readonly encoded: EncodedFlow;
}

export class FlowSlab {
  /** By id: the template, or the whole flow. */
  #contents: (TemplateRow | PlainFlow | undefined)[] = [];
  #objects: string[] = [];
  #hashes = new Int32Array(FIRST_LENGTH);
  #offsets = new Uint32Array(FIRST_LENGTH);
  #chain = new Int32Array(FIRST_LENGTH);
  readonly #freeIds: number[] = [];
  #bytes = new Uint8Array(FIRST_SIZE);
  #end = 0;
  readonly #scratch = flowScratch();
  /** Offsets of records that are free again, by their size. */
  readonly #freeRecords = new Map<number, number[]>();
  /** Open addressing, linear probing: id + 1 of the flow, 0 where there is none. */
  #slots = new Int32Array(2 * FIRST_LENGTH);
  #indexed = 0;

  /** Keep a flow; it is not found by its identity yet. Gives its id. */
  add(desired: DesiredFlow): number {
    const id = this.#freeIds.pop() ?? this.#newId();
    if (desired instanceof TemplatedFlow) {
      const { row, values, object, cookieLow } = desired;
      const offset = this.#reserve(row.template.recordSize);
      row.template.putRecord(this.#bytes, offset, cookieLow, values);
      this.#contents[id] = row;
      this.#objects[id] = object;
      this.#offsets[id] = offset;
      this.#hashes[id] = hashOf(row.template.fill(this.#bytes, offset));
    } else {
      const encoded = encodedOf(desired, this.#scratch);
      this.#contents[id] = { desired, encoded };
      this.#objects[id] = desired.origin.object;
      this.#hashes[id] = hashOf(encoded);
    }
    return id;
  }

  /** Forget a flow that is not found any more; its id will be another's. */
  free(id: number): void {
    const content = this.#contentOf(id);
    if ('template' in content) {
      const size = content.template.recordSize;
      const free = this.#freeRecords.get(size);
      if (free === undefined) this.#freeRecords.set(size, [this.#offsets[id] as number]);
      else free.push(this.#offsets[id] as number);
    }
    this.#contents[id] = undefined;
    this.#objects[id] = '';
    this.#freeIds.push(id);
  }

  /** Remember another flow with this one, or NO_FLOW. */
  chain(id: number, other: number): void {
    this.#chain[id] = other;
  }

  chained(id: number): number {
    return this.#chain[id] as number;
  }

  /** The flow as a value; what it says stays true when the flow is freed. */
  desired(id: number): DesiredFlow {
    const content = this.#contentOf(id);
    if (!('template' in content)) return content.desired;
    const values: TemplateValue[] = [];
    const offset = this.#offsets[id] as number;
    content.template.readRecord(this.#bytes, offset, values);
    return new TemplatedFlow(content, values, this.#objects[id] ?? '', cookieAt(this.#bytes, offset));
  }

  /** The flow as bytes: right until another flow of this process is encoded. */
  encoded(id: number): EncodedFlow {
    const content = this.#contentOf(id);
    return 'template' in content ? content.template.fill(this.#bytes, this.#offsets[id] as number) : content.encoded;
  }

  /** Equal in all that the switch sees, the cookie included. */
  isSame(left: number, right: number): boolean {
    const [one, other] = [this.#contentOf(left), this.#contentOf(right)];
    if (one !== other) return sameBytes(this.encoded(left).frame.slice(), this.encoded(right).frame);
    if (!('template' in one)) return true;
    return this.#sameRecords(one.template.recordSize, this.#offsets[left] as number, this.#offsets[right] as number);
  }

  /** Equal in table, priority and match. */
  isRival(left: number, right: number): boolean {
    if (this.#hashes[left] !== this.#hashes[right]) return false;
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
      const home = (this.#hashes[(slots[next] as number) - 1] as number) & mask;
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
    const hash = this.#hashes[id] as number;
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const found = (slots[slot] as number) - 1;
      if (found === id || (this.#hashes[found] === hash && this.isRival(id, found))) return found;
    }
    return NO_FLOW;
  }

  /** The flow that is found by an identity. */
  find({ table, priority, matchBytes }: Pick<EncodedFlow, 'table' | 'priority' | 'matchBytes'>): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const hash = hashOf({ table, priority, matchBytes });
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const found = (slots[slot] as number) - 1;
      if (this.#hashes[found] === hash && this.#hasIdentity(found, table, priority, matchBytes)) return found;
    }
    return NO_FLOW;
  }

  /** Ids of all that are found by their identity. */
  *found(): Generator<number> {
    for (const slot of this.#slots) if (slot !== 0) yield slot - 1;
  }

  #hasIdentity(id: number, table: number, priority: number, matchBytes: Uint8Array): boolean {
    const encoded = this.encoded(id);
    return encoded.table === table && encoded.priority === priority && sameBytes(encoded.matchBytes, matchBytes);
  }

  #contentOf(id: number): TemplateRow | PlainFlow {
    const content = this.#contents[id];
    invariant(content !== undefined, 'A flow that was freed.', { id });
    return content;
  }

  #newId(): number {
    const id = this.#contents.length;
    this.#contents.push(undefined);
    this.#objects.push('');
    if (id < this.#hashes.length) return id;
    const hashes = new Int32Array(2 * id);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const offsets = new Uint32Array(2 * id);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const chain = new Int32Array(2 * id);
    chain.set(this.#chain);
    this.#chain = chain;
    return id;
  }

  #reserve(size: number): number {
    const free = this.#freeRecords.get(size)?.pop();
    if (free !== undefined) return free;
    const offset = this.#end;
    this.#end += size;
    if (this.#end > this.#bytes.length) {
      const bytes = new Uint8Array(Math.ceil(1.5 * this.#end));
      bytes.set(this.#bytes);
      this.#bytes = bytes;
    }
    return offset;
  }

  #sameRecords(size: number, left: number, right: number): boolean {
    const bytes = this.#bytes;
    for (let byte = 0; byte < size; byte++) if (bytes[left + byte] !== bytes[right + byte]) return false;
    return true;
  }

  #slotOf(id: number): number {
    const mask = this.#slots.length - 1;
    let slot = (this.#hashes[id] as number) & mask;
    while (this.#slots[slot] !== id + 1) {
      invariant(this.#slots[slot] !== 0, 'A flow that is not found by its identity.', { id });
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #place(id: number): void {
    const mask = this.#slots.length - 1;
    let slot = (this.#hashes[id] as number) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = id + 1;
  }

  #growSlots(): void {
    const before = this.#slots;
    this.#slots = new Int32Array(2 * before.length);
    for (const slot of before) if (slot !== 0) this.#place(slot - 1);
  }
}

/** What no flow-mod can carry is kept all the same, under its text: the switch side says that it cannot be sent. */
function encodedOf(desired: DesiredFlow, scratch: Slab): EncodedFlow {
  try {
    return viewFlowMod(encodeFlow(desired.flow, scratch));
  } catch (error) {
    if (!(error instanceof HeddleError)) throw error;
    const { table, priority } = desired.flow;
    const matchBytes = Buffer.from(flowKey(desired.flow), 'latin1');
    return { table, priority, frame: matchBytes, matchBytes, instructionBytes: new Uint8Array(0) };
  }
}

function cookieAt(bytes: Uint8Array, offset: number): number {
  let cookie = 0;
  for (let byte = 0; byte < COOKIE_SIZE; byte++) cookie = cookie * 0x100 + (bytes[offset + byte] as number);
  return cookie;
}

/** FNV-1a, 32 bits; the low bits choose the slot, and FNV mixes upwards. */
function hashOf({ table, priority, matchBytes }: Pick<EncodedFlow, 'table' | 'priority' | 'matchBytes'>): number {
  let hash = Math.imul(Math.imul(0x811c9dc5 ^ table, 0x01000193) ^ priority, 0x01000193);
  for (let index = 0; index < matchBytes.length; index++) {
    hash = Math.imul(hash ^ (matchBytes[index] as number), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}
