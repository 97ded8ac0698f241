/**
 * Flows of a bridge as they were at one moment, made values one by one, when somebody asks: a change of a whole site is held by its
 * numbers. Serves book.ts and those who send whole books.
 */
import { invariant } from '../lib/errors.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import type { FlowSlab } from './flow-slab.ts';

export class FlowList {
  readonly #slab: FlowSlab;
  readonly #ids: readonly number[];
  /** By id: flows that have left the slab since. */
  readonly #kept = new Map<number, DesiredFlow>();

  /** For FlowTable, which says what leaves the slab. */
  constructor(slab: FlowSlab, ids: readonly number[]) {
    this.#slab = slab;
    this.#ids = ids;
  }

  get length(): number {
    return this.#ids.length;
  }

  at(index: number): DesiredFlow {
    const id = this.#ids[index];
    invariant(id !== undefined, 'A flow of the list.', { index });
    return this.#kept.get(id) ?? this.#slab.desired(id);
  }

  /**
   * The flow-mod: command add, xid 0; right until another flow of this process is encoded or kept. undefined: a flow that is kept
   * as a value.
   */
  frameAt(index: number): Uint8Array | undefined {
    const id = this.#ids[index];
    invariant(id !== undefined, 'A flow of the list.', { index });
    return this.#kept.size > 0 && this.#kept.has(id) ? undefined : this.#slab.templatedFrame(id);
  }

  all(): DesiredFlow[] {
    return this.#ids.map((id) => this.#kept.get(id) ?? this.#slab.desired(id));
  }

  /** A flow is about to leave the slab. */
  keep(id: number): void {
    // Whether it is one of this list's is not asked: that would cost as much as to keep it.
    if (!this.#kept.has(id)) this.#kept.set(id, this.#slab.desired(id));
  }
}
