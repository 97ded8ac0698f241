/** How many there are of each pair of names, and which pairs there are. Serves site.ts. */

const NONE: ReadonlySet<string> = new Set();

export class PairCounts {
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #firstsOf = new Map<string, Set<string>>();

  /** Count one more or one less. Returns whether the pair is new, or is no more. */
  add(first: string, second: string, difference: 1 | -1): boolean {
    let counts = this.#counts.get(first);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(first, counts);
    }
    const before = counts.get(second) ?? 0;
    const after = before + difference;
    if (after > 0) counts.set(second, after);
    else counts.delete(second);
    const isTurn = before > 0 !== after > 0;
    if (isTurn) this.#index(first, second, after > 0);
    return isTurn;
  }

  /** The first names of pairs with this second one. */
  firstsOf(second: string): ReadonlySet<string> {
    return this.#firstsOf.get(second) ?? NONE;
  }

  #index(first: string, second: string, isThere: boolean): void {
    const firsts = this.#firstsOf.get(second) ?? new Set<string>();
    this.#firstsOf.set(second, firsts);
    if (isThere) firsts.add(first);
    else firsts.delete(first);
  }
}
