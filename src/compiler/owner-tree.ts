/**
 * The owners as they live: what each has read, claims and has below it. Serves engine.ts, which renders those that are stale.
 *
 * What an owner below reads is its own affair: it is known by its names alone, so nothing that its parent read can go stale in it.
 */
import { invariant } from '../lib/errors.ts';
import type { DesiredGroup, DesiredMeter } from '../pipeline/origin.ts';
import type { BridgeLedger } from './book.ts';
import type { Collection, Follower, Names } from './collections.ts';
import type { Fact, Readable, Reader } from './facts.ts';
import { Rows, type RowsOptions, type Stale } from './rows.ts';
import type { OwnerName, Place, Placement, View } from './view.ts';

/** What owners have of the engine. */
export interface Works {
  /** What the owner that is being rendered has read so far: its own list is as long as it must be. */
  readonly reads: Readable[];
  ledger(host: string, bridge: string): BridgeLedger;
  markStale(stale: Stale): void;
}

/** Flows, groups and meters of an owner as they stand in a book. */
interface Claim {
  readonly ledger: BridgeLedger;
  readonly flows: number;
  readonly groups: readonly DesiredGroup[] | undefined;
  readonly meters: readonly DesiredMeter[] | undefined;
}

const NOTHING: readonly never[] = [];
/** Never changed: a list of reads that is longer is another one. */
const NO_READS: Readable[] = [];

export class Owner implements Reader, Stale, View {
  readonly #works: Works;
  readonly name: OwnerName;
  #isStale = true;
  #isRendering = false;
  #hasEnded = false;
  #reads: Readable[] = NO_READS;
  #claims: readonly Claim[] = NOTHING;
  #children: Map<string, Owner> | undefined;
  #followings: Following[] | undefined;
  #rows: Rows[] | undefined;

  constructor(works: Works, name: OwnerName) {
    this.#works = works;
    this.name = name;
  }

  get host(): string {
    return this.name.names[0] ?? '';
  }

  get isStale(): boolean {
    return this.#isStale && !this.#hasEnded;
  }

  invalidate(): void {
    if (this.#isStale || this.#hasEnded) return;
    this.#isStale = true;
    this.#works.markStale(this);
  }

  invalidateTree(): void {
    this.invalidate();
    for (const child of this.#children?.values() ?? NOTHING) child.invalidateTree();
    for (const following of this.#followings ?? NOTHING) following.invalidateTree();
  }

  render(): number {
    if (!this.isStale) return 0;
    this.#isStale = false;
    const children = this.#children;
    const followings = this.#followings;
    const rows = this.#rows;
    this.#forgetReads();
    this.#children = undefined;
    this.#followings = undefined;
    this.#rows = undefined;
    this.#place(this.#renderNow());
    this.#adopt(children, followings);
    for (const former of rows ?? NOTHING) former.end();
    // After the owners below: their flows are as quickly there as they ever were.
    for (const fresh of this.#rows ?? NOTHING) this.#works.markStale(fresh);
    return 1;
  }

  /** The owner and all below it are no more, and nor are their flows. */
  end(): void {
    this.#hasEnded = true;
    this.#forgetReads();
    for (const child of this.#children?.values() ?? NOTHING) child.end();
    for (const following of this.#followings ?? NOTHING) following.end();
    for (const rows of this.#rows ?? NOTHING) rows.end();
    this.#children = undefined;
    this.#followings = undefined;
    this.#rows = undefined;
    this.#place(NOTHING);
  }

  read<T>(fact: Fact<T>): T | undefined {
    this.#remember(fact);
    return fact.value;
  }

  readAll(collection: Collection): Names {
    this.#remember(collection);
    return collection;
  }

  child(name: OwnerName): void {
    this.#children ??= new Map();
    this.#children.set(keyOf(name), new Owner(this.#works, name));
  }

  each(collection: Collection, ownerOf: (element: string) => OwnerName): void {
    this.#followings ??= [];
    this.#followings.push(new Following(this, collection, ownerOf));
  }

  rows(collection: Collection, { host, bridge }: Place, flowsOf: RowsOptions['flowsOf']): void {
    this.#rows ??= [];
    this.#rows.push(new Rows({ collection, ledger: this.#works.ledger(host, bridge), flowsOf, queue: this.#works }));
  }

  /** For followings: a new owner, to be rendered in the pass to come, or in this one. */
  start(name: OwnerName): Owner {
    const child = new Owner(this.#works, name);
    this.#works.markStale(child);
    return child;
  }

  /** Go on with the owners that were below before, end those that are no more, start those that are new. */
  #adopt(children: ReadonlyMap<string, Owner> | undefined, followings: readonly Following[] | undefined): void {
    const hasNone = children === undefined && followings === undefined;
    if (hasNone && this.#children === undefined && this.#followings === undefined) return;
    const earlier = new Map(children);
    for (const following of followings ?? NOTHING) following.handOver(earlier);
    const takeOver = (name: OwnerName): Owner => {
      const key = earlier.size === 0 ? '' : keyOf(name);
      const known = earlier.get(key);
      if (known === undefined) return this.start(name);
      earlier.delete(key);
      return known;
    };
    for (const [key, fresh] of this.#children ?? NOTHING) this.#children?.set(key, takeOver(fresh.name));
    for (const following of this.#followings ?? NOTHING) following.begin(takeOver);
    for (const gone of earlier.values()) gone.end();
  }

  #renderNow(): readonly Placement[] {
    const { reads } = this.#works;
    reads.length = 0;
    this.#isRendering = true;
    try {
      return this.name.render(this, ...this.name.names);
    } finally {
      this.#isRendering = false;
      this.#reads = reads.length === 0 ? NO_READS : reads.slice();
    }
  }

  #place(placements: readonly Placement[]): void {
    for (const { ledger, flows, groups, meters } of this.#claims) {
      ledger.releaseAll(flows);
      for (const desired of groups ?? NOTHING) ledger.releaseGroup(desired);
      for (const desired of meters ?? NOTHING) ledger.releaseMeter(desired);
    }
    if (placements.length === 0) this.#claims = NOTHING;
    else this.#claims = placements.map((placement) => this.#claim(placement));
  }

  #claim({ host, bridge, flows, groups, meters }: Placement): Claim {
    const ledger = this.#works.ledger(host, bridge);
    const claims = ledger.claimAll(flows);
    for (const desired of groups ?? NOTHING) ledger.claimGroup(desired);
    for (const desired of meters ?? NOTHING) ledger.claimMeter(desired);
    return { ledger, flows: claims, groups, meters };
  }

  #remember(source: Readable): void {
    if (!source.addReader(this)) return;
    if (this.#isRendering) this.#works.reads.push(source);
    else this.#reads = [...this.#reads, source];
  }

  #forgetReads(): void {
    const reads = this.#reads;
    this.#reads = NO_READS;
    for (const source of reads) source.removeReader(this);
  }
}

/** The owners below one owner, one for each element of a collection. */
class Following implements Follower {
  readonly #parent: Owner;
  readonly #collection: Collection;
  readonly #ownerOf: (element: string) => OwnerName;
  readonly #children = new Map<string, Owner>();

  constructor(parent: Owner, collection: Collection, ownerOf: (element: string) => OwnerName) {
    this.#parent = parent;
    this.#collection = collection;
    this.#ownerOf = ownerOf;
    // At once: a collection that nobody follows may be forgotten.
    collection.follow(this);
  }

  begin(takeOver: (name: OwnerName) => Owner): void {
    for (const element of this.#collection) this.#children.set(element, takeOver(this.#ownerOf(element)));
  }

  /** Give the owners to whoever follows next. */
  handOver(owners: Map<string, Owner>): void {
    this.#collection.unfollow(this);
    for (const child of this.#children.values()) owners.set(keyOf(child.name), child);
  }

  end(): void {
    this.#collection.unfollow(this);
    for (const child of this.#children.values()) child.end();
  }

  invalidateTree(): void {
    for (const child of this.#children.values()) child.invalidateTree();
  }

  added(element: string): void {
    this.#children.set(element, this.#parent.start(this.#ownerOf(element)));
  }

  /** What an owner below has read tells it by itself. */
  touched(): void {}

  removed(element: string): void {
    const child = this.#children.get(element);
    invariant(child !== undefined, 'An element that leaves was there.', { element });
    this.#children.delete(element);
    child.end();
  }
}

function keyOf({ kind, names }: OwnerName): string {
  return [kind, ...names].join('\0');
}
