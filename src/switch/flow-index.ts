/**
 * The flows of a dump, found by the bytes that are their identity (table, priority, match), without a string for each. Serves
 * reconcile.ts, for which a string and its hash would cost more than all the rest of the comparison.
 */
import type { RawFlow } from '../openflow/flow-dump.ts';
import { sameBytes } from './flow-bytes.ts';

/** FNV-1a, 32 bits. */
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const INITIAL_LENGTH = 1024;
const NONE = -1;

export interface FlowBytes {
  readonly table: number;
  readonly priority: number;
  readonly matchBytes: Uint8Array;
}

/** A hash table with chains: `#heads` by hash, `#next` from flow to flow, both by position in `#flows`. */
export class FlowIndex {
  #flows: (RawFlow | undefined)[] = [];
  #hashes = new Int32Array(INITIAL_LENGTH);
  #next = new Int32Array(INITIAL_LENGTH);
  #heads = new Int32Array(INITIAL_LENGTH).fill(NONE);

  /** The same flow once more takes the place of the first: it changed while the bridge was dumped. */
  add(flow: RawFlow): void {
    const hash = hashOf(flow);
    const known = this.#position(flow, hash);
    if (known !== NONE) {
      this.#flows[known] = flow;
      return;
    }
    const index = this.#flows.length;
    if (index === this.#heads.length) this.#grow();
    this.#flows.push(flow);
    this.#hashes[index] = hash;
    this.#link(index, hash);
  }

  /** Nothing was ever added. */
  get isEmpty(): boolean {
    return this.#flows.length === 0;
  }

  /** The flow, which is no longer in the index. */
  take(wanted: FlowBytes): RawFlow | undefined {
    const position = this.#position(wanted, hashOf(wanted));
    const flow = this.#flows[position];
    if (flow !== undefined) this.#flows[position] = undefined;
    return flow;
  }

  /** Those that nobody took. */
  *rest(): Generator<RawFlow> {
    for (const flow of this.#flows) if (flow !== undefined) yield flow;
  }

  #position(wanted: FlowBytes, hash: number): number {
    let position = this.#heads[hash & (this.#heads.length - 1)] ?? NONE;
    while (position !== NONE) {
      const flow = this.#flows[position];
      if (this.#hashes[position] === hash && flow !== undefined && sameIdentity(flow, wanted)) return position;
      position = this.#next[position] ?? NONE;
    }
    return NONE;
  }

  #link(index: number, hash: number): void {
    const slot = hash & (this.#heads.length - 1);
    this.#next[index] = this.#heads[slot] ?? NONE;
    this.#heads[slot] = index;
  }

  #grow(): void {
    const length = this.#heads.length * 2;
    const hashes = new Int32Array(length);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    this.#next = new Int32Array(length);
    this.#heads = new Int32Array(length).fill(NONE);
    for (let index = 0; index < this.#flows.length; index += 1) this.#link(index, hashes[index] ?? 0);
  }
}

function hashOf({ table, priority, matchBytes }: FlowBytes): number {
  let hash = Math.imul(Math.imul(FNV_BASIS ^ table, FNV_PRIME) ^ priority, FNV_PRIME);
  for (let index = 0; index < matchBytes.length; index += 1) {
    hash = Math.imul(hash ^ (matchBytes[index] ?? 0), FNV_PRIME);
  }
  // The low bits choose the slot, and FNV mixes upwards.
  return hash ^ (hash >>> 15);
}

function sameIdentity(left: FlowBytes, right: FlowBytes): boolean {
  return left.table === right.table && left.priority === right.priority && sameBytes(left.matchBytes, right.matchBytes);
}
