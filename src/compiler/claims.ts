/**
 * What owners claim under keys, and which claim stands where several do. Serves book.ts, which has one such table for the
 * groups of a bridge and one for its meters; flow-table.ts does the same for flows, which are many.
 */
import { invariant } from '../lib/errors.ts';
import type { Origin } from '../pipeline/origin.ts';

/** How the claims of one kind compare. */
export interface ClaimKind<Claim> {
  /** Nothing need be sent when one takes the other's place. */
  readonly isSame: (left: Claim, right: Claim) => boolean;
  /** Both can be meant under one key: no conflict. */
  readonly isCompatible: (left: Claim, right: Claim) => boolean;
  /** Orders claims whose rule and object are the same. */
  readonly contentOf: (claim: Claim) => string;
}

/** What changed under the keys touched since the last time. */
export interface ClaimChange<Claim> {
  readonly put: readonly Claim[];
  readonly remove: readonly Claim[];
}

/** The claim that stands under a key, and those that lost against it. */
export interface Contest<Claim> {
  readonly installed: Claim;
  readonly refused: readonly Claim[];
}

export class ClaimTable<Key, Claim extends { readonly origin: Origin }> {
  readonly #kind: ClaimKind<Claim>;
  readonly #installed = new Map<Key, Claim>();
  /** All claims of the keys that more than one claim stands for, in the fixed order. */
  readonly #rivals = new Map<Key, Claim[]>();
  /** Keys touched since the last `takeChange`, and what they stood for before; null: nothing. */
  #touched = new Map<Key, Claim | null>();

  constructor(kind: ClaimKind<Claim>) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#installed.size;
  }

  get isTouched(): boolean {
    return this.#touched.size > 0;
  }

  /** What stood when this pass began, here and in `get`: it is no change before it is taken. */
  *values(): Generator<Claim> {
    for (const [key, claim] of this.#installed) if (!this.#touched.has(key)) yield claim;
    for (const before of this.#touched.values()) if (before !== null) yield before;
  }

  get(key: Key): Claim | undefined {
    const before = this.#touched.get(key);
    return before === undefined ? this.#installed.get(key) : (before ?? undefined);
  }

  claim(key: Key, claim: Claim): void {
    const installed = this.#installed.get(key);
    this.#touch(key, installed);
    if (installed === undefined) {
      this.#installed.set(key, claim);
      return;
    }
    const rivals = this.#rivals.get(key) ?? [installed];
    rivals.push(claim);
    rivals.sort((left, right) => compareRivals(left, right, this.#kind.contentOf));
    this.#rivals.set(key, rivals);
    this.#installed.set(key, firstOf(rivals));
  }

  release(key: Key, claim: Claim): void {
    this.#touch(key, this.#installed.get(key));
    const rivals = this.#rivals.get(key);
    if (rivals === undefined) {
      this.#installed.delete(key);
      return;
    }
    rivals.splice(rivals.indexOf(claim), 1);
    this.#installed.set(key, firstOf(rivals));
    if (rivals.length === 1) this.#rivals.delete(key);
  }

  /** What changed since this was last asked. */
  takeChange(): ClaimChange<Claim> {
    const put: Claim[] = [];
    const remove: Claim[] = [];
    for (const [key, before] of this.#touched) {
      const after = this.#installed.get(key);
      if (after === undefined) {
        if (before !== null) remove.push(before);
      } else if (before === null || !this.#kind.isSame(before, after)) put.push(after);
    }
    this.#touched = new Map();
    return { put, remove };
  }

  contests(): readonly Contest<Claim>[] {
    const contests: Contest<Claim>[] = [];
    for (const rivals of this.#rivals.values()) {
      const installed = firstOf(rivals);
      const refused = rivals.filter((rival) => !this.#kind.isCompatible(rival, installed));
      if (refused.length > 0) contests.push({ installed, refused });
    }
    return contests;
  }

  #touch(key: Key, installed: Claim | undefined): void {
    if (!this.#touched.has(key)) this.#touched.set(key, installed ?? null);
  }
}

/**
 * The fixed order in which rivals for one key are tried: by rule, then by object. Within one owner's rule and object nothing
 * but the content tells two claims apart.
 */
export function compareRivals<Claim extends { readonly origin: Origin }>(
  left: Claim,
  right: Claim,
  contentOf: ClaimKind<Claim>['contentOf'],
): number {
  return (
    compareText(left.origin.rule, right.origin.rule) ||
    compareText(left.origin.object, right.origin.object) ||
    compareText(contentOf(left), contentOf(right))
  );
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function firstOf<Claim>(rivals: readonly Claim[]): Claim {
  const first = rivals[0];
  invariant(first !== undefined, 'A contested key has a claim.');
  return first;
}
