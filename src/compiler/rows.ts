/**
 * The rows of one owner on one bridge: flows for each element of a collection, rendered element by element as they come, change
 * and go. Serves engine.ts, for what comes in thousands and is not worth an owner each.
 */
import { STEP_LENGTH } from '../lib/steps.ts';
import type { BridgeLedger } from './book.ts';
import type { Collection, Follower } from './collections.ts';
import type { Rendered } from './templates.ts';

/** Something to be looked at in the pass to come. */
export interface Stale {
  /** For whose bridges; '': for nobody's. */
  readonly host: string;
  /** There is more to render. */
  readonly isStale: boolean;
  /** Render some of it. Gives how many owners, or rows of one. In between it may become stale again, or end. */
  render(): number;
}

export interface RowsOptions {
  readonly collection: Collection;
  readonly ledger: BridgeLedger;
  /** `place`: of the element in its collection. What claims them gives NO_FLOW, -1, where there are none. */
  readonly flowsOf: (element: string, place: number) => Rendered;
  readonly queue: { markStale(rows: Stale): void };
}

/** The flows of one owner on one bridge, element by element. Whoever makes it has it rendered for the first time. */
export class Rows implements Follower, Stale {
  readonly #options: RowsOptions;
  /** By place of an element: what its flows are released by, and 1; 0: it has none. */
  #claims: number[] = [];
  /** Places that were there at first, and how many of these have been rendered. */
  #firstCount = -1;
  #begun = 0;
  #stale: Set<string> | undefined;
  #isQueued = true;
  #hasEnded = false;

  constructor(options: RowsOptions) {
    this.#options = options;
    options.collection.follow(this);
  }

  get host(): string {
    return this.#options.ledger.host;
  }

  get isStale(): boolean {
    return this.#isQueued;
  }

  end(): void {
    this.#hasEnded = true;
    this.#stale = undefined;
    const { collection, ledger } = this.#options;
    collection.unfollow(this);
    for (const claims of this.#claims) if (claims !== 0) ledger.releaseAll(claims - 1);
    this.#claims = [];
  }

  added(element: string): void {
    this.touched(element);
  }

  touched(element: string): void {
    this.#stale ??= new Set();
    this.#stale.add(element);
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#options.queue.markStale(this);
  }

  removed(element: string): void {
    this.#stale?.delete(element);
    this.#release(this.#options.collection.placeOf(element));
  }

  render(): number {
    const rendered = this.#hasEnded ? 0 : this.#renderFirst() + this.#renderStale();
    this.#isQueued = !this.#hasEnded && (this.#stale !== undefined || this.#begun < this.#firstCount);
    return rendered;
  }

  /** The next ones of those that have never been rendered. */
  #renderFirst(): number {
    const { collection, flowsOf, ledger } = this.#options;
    if (this.#firstCount < 0) {
      this.#firstCount = collection.placeCount;
      this.#claims = new Array<number>(this.#firstCount).fill(0);
    }
    const end = Math.min(this.#begun + STEP_LENGTH, this.#firstCount);
    let rendered = 0;
    for (; this.#begun < end; this.#begun++) {
      const place = this.#begun;
      const element = collection.elementAt(place);
      // It has become stale before, and was rendered as that.
      if (element === undefined || this.#claims[place] !== 0) continue;
      this.#claims[place] = ledger.claimAll(flowsOf(element, place)) + 1;
      rendered += 1;
    }
    return rendered;
  }

  /** What becomes stale between two steps comes to the end of the same set; what leaves is taken out of it. */
  #renderStale(): number {
    const stale = this.#stale;
    if (stale === undefined) return 0;
    const { collection, flowsOf, ledger } = this.#options;
    let rendered = 0;
    for (const element of stale) {
      if (rendered === STEP_LENGTH) return rendered;
      stale.delete(element);
      const place = collection.placeOf(element);
      this.#release(place);
      while (place >= this.#claims.length) this.#claims.push(0);
      this.#claims[place] = ledger.claimAll(flowsOf(element, place)) + 1;
      rendered += 1;
    }
    this.#stale = undefined;
    return rendered;
  }

  #release(place: number): void {
    const claims = this.#claims[place] ?? 0;
    if (claims === 0) return;
    this.#claims[place] = 0;
    this.#options.ledger.releaseAll(claims - 1);
  }
}
