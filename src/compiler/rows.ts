/**
 * The rows of one owner on one bridge: flows for each element of a collection, rendered element by element as they come, change
 * and go. Serves engine.ts, for what comes in thousands and is not worth an owner each.
 */
import { STEP_LENGTH } from '../lib/steps.ts';
import type { BridgeLedger } from './book.ts';
import type { Collection, Follower } from './facts.ts';
import { NO_FLOW } from './flow-slab.ts';
import type { Rendered } from './templates.ts';

/** Something to be looked at in the pass to come. */
export interface Stale {
  /** Gives how many owners, or rows of one, it rendered. In steps, between which it may become stale again, or end. */
  renderIfStale(): Generator<void, number>;
}

export interface RowsOptions {
  readonly collection: Collection;
  readonly ledger: BridgeLedger;
  readonly flowsOf: (element: string) => Rendered;
  readonly markStale: (rows: Rows) => void;
}

/** The flows of one owner on one bridge, element by element. */
export class Rows implements Follower, Stale {
  readonly #options: RowsOptions;
  /** By place of an element in the collection: what its flows are released by, and 1; 0: it has none. */
  #claims: number[] = [];
  #stale: Set<string> | undefined;
  #hasEnded = false;

  constructor(options: RowsOptions) {
    this.#options = options;
    options.collection.follow(this);
  }

  /** Render them all, in steps. What joins, leaves or changes meanwhile is seen to. Gives how many. */
  *begin(): Generator<void, number> {
    this.#stale = undefined;
    const { elements, placeCount } = this.#options.collection;
    this.#claims = new Array<number>(placeCount).fill(0);
    let rendered = 0;
    for (const element of elements) {
      if (this.#hasEnded) break;
      this.#render(element);
      rendered += 1;
      if (rendered % STEP_LENGTH === 0) yield;
    }
    return rendered;
  }

  end(): void {
    this.#hasEnded = true;
    this.#stale?.clear();
    this.#options.collection.unfollow(this);
    for (const claims of this.#claims) if (claims !== 0) this.#options.ledger.releaseAll(claims - 1);
    this.#claims = [];
  }

  added(element: string): void {
    this.touched(element);
  }

  touched(element: string): void {
    if (this.#stale === undefined) {
      this.#stale = new Set();
      this.#options.markStale(this);
    }
    this.#stale.add(element);
  }

  removed(element: string): void {
    this.#stale?.delete(element);
    this.#release(this.#options.collection.placeOf(element));
  }

  *renderIfStale(): Generator<void, number> {
    const stale = this.#stale;
    if (stale === undefined) return 0;
    let rendered = 0;
    // What becomes stale between two steps comes to the end of the same set; what leaves is taken out of it.
    for (const element of stale) {
      stale.delete(element);
      this.#render(element);
      rendered += 1;
      if (rendered % STEP_LENGTH === 0) yield;
    }
    this.#stale = undefined;
    return rendered;
  }

  #render(element: string): void {
    const { collection, flowsOf, ledger } = this.#options;
    const place = collection.placeOf(element);
    this.#release(place);
    const claims = ledger.claimAll(flowsOf(element));
    if (claims === NO_FLOW) return;
    while (place >= this.#claims.length) this.#claims.push(0);
    this.#claims[place] = claims + 1;
  }

  #release(place: number): void {
    const claims = this.#claims[place] ?? 0;
    if (claims === 0) return;
    this.#claims[place] = 0;
    this.#options.ledger.releaseAll(claims - 1);
  }
}
