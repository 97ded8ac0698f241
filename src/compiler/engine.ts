/**
 * The incremental engine: owners, rendered from facts through a view that remembers what they read. Serves compiler.ts.
 *
 * An owner is a kind and a few names: `remote port (node1, blue, blue2)`. Its kind's `render` is pure: from the view and the
 * names to flows, and to the owners below it. A changed fact makes exactly its readers stale; a pass renders what is stale, whole, and the
 * book's diff removes what an owner no longer renders. There is no uninstall code, and no second way to make a flow:
 * recompute is everyone stale.
 *
 * What an owner below reads is its own affair: it is known by its names alone, so nothing that its parent read can go stale in it.
 */
import { invariant } from '../lib/errors.ts';
import { finish } from '../lib/steps.ts';
import type { DesiredFlow, DesiredGroup, DesiredMeter } from '../pipeline/origin.ts';
import { type BridgeBook, type BridgeChange, BridgeLedger, type Conflict } from './book.ts';
import type { Collection, Follower, Names } from './collections.ts';
import type { Fact, Readable, Reader } from './facts.ts';
import { Rows, type RowsOptions, type Stale } from './rows.ts';
import { Shared } from './shared.ts';

/** Flows of one bridge, and the groups and meters that they name. */
export interface Placement {
  readonly host: string;
  readonly bridge: string;
  readonly flows: readonly DesiredFlow[];
  /** Default: none. */
  readonly groups?: readonly DesiredGroup[];
  /** Default: none. */
  readonly meters?: readonly DesiredMeter[];
}

/** What a render sees: facts, and a way to say which owners are below. */
export interface View {
  /** The value of a fact; the owner is rendered anew when it changes. */
  read<T>(fact: Fact<T>): T | undefined;
  /** All elements; the owner is rendered anew when one joins or leaves. */
  readAll(collection: Collection): Names;
  /** An owner below this one, for as long as this one says so. */
  child(owner: OwnerName): void;
  /** An owner below this one for each element, now and later. An element that joins or leaves renders nothing but its own. */
  each(collection: Collection, ownerOf: (element: string) => OwnerName): void;
  /**
   * Flows of this owner's for each element, now and later: for what comes in thousands. An element that joins, leaves or is
   * touched renders nothing but its own; what `flowsOf` reads through this view makes the whole owner stale.
   */
  rows(collection: Collection, place: Place, flowsOf: RowsOptions['flowsOf']): void;
}

/** A bridge. */
export type Place = Pick<Placement, 'host' | 'bridge'>;

export type Render = (view: View, ...names: string[]) => readonly Placement[];

/** A kind of owner, and the names that make it this one. The first is the host for whose bridges it renders; the root has none. */
export interface OwnerName {
  readonly kind: string;
  readonly render: Render;
  readonly names: readonly string[];
}

/** Declare a kind of owner: returns what names one. */
export function owner<const Names extends readonly string[]>(
  kind: string,
  render: (view: View, ...names: Names) => readonly Placement[],
): (...names: Names) => OwnerName {
  return (...names) => ({ kind, render: render as unknown as Render, names });
}

/** What one pass did. */
export interface PassResult {
  /** One for each bridge whose flows changed. */
  readonly changes: readonly BridgeChange[];
  /** All that stand after this pass on the bridges that it touched. */
  readonly conflicts: readonly Conflict[];
  /** Number of owners, and of rows of owners, rendered. */
  readonly rendered: number;
}

export class Engine {
  readonly #shared = new Shared();
  /** By host, then by bridge. */
  readonly #ledgers = new Map<string, Map<string, BridgeLedger>>();
  readonly #root: Owner;
  /** By host, and in that order. */
  readonly #stale = new Map<string, Stale[]>();
  /** What the owner that is being rendered has read so far: its list is as long as it must be. */
  readonly #reads: Readable[] = [];

  constructor(root: OwnerName) {
    this.#root = new Owner(this, root);
    this.markStale(this.#root);
  }

  /** Render what is stale. */
  pass(): PassResult {
    const changes: BridgeChange[] = [];
    return { ...finish(this.passSteps((change) => changes.push(change))), changes };
  }

  /**
   * Likewise in steps: one host after the other, whose bridges are done with it. Facts may change between them: whoever has read
   * one is rendered again, before the pass ends. `handOver` is given a bridge's change at the moment from which its book says so;
   * until then it says what it said before the pass.
   */
  *passSteps(handOver: (change: BridgeChange) => void): Generator<void, Omit<PassResult, 'changes'>> {
    let rendered = 0;
    const conflicts = new Map<BridgeLedger, readonly Conflict[]>();
    const take = (ledger: BridgeLedger): void => {
      const change = ledger.takeChange();
      if (change !== undefined) handOver(change);
      conflicts.set(ledger, ledger.conflicts());
    };
    // To render an owner may add owners below it to the end of a list, and lists to the end of all.
    for (const [host, stale] of this.#stale) {
      for (let index = 0; index < stale.length; index++) {
        const one = stale[index];
        if (one === undefined) continue;
        do {
          rendered += one.render();
          yield;
        } while (one.isStale);
      }
      this.#stale.delete(host);
      for (const ledger of this.#ledgers.get(host)?.values() ?? NOTHING) {
        if (!ledger.isTouched) continue;
        take(ledger);
        yield;
      }
    }
    // What has left without anybody who was rendered for it.
    for (const ledgers of this.#ledgers.values()) {
      for (const ledger of ledgers.values()) {
        if (!ledger.isTouched) continue;
        take(ledger);
        yield;
      }
    }
    return { conflicts: [...conflicts.values()].flat(), rendered };
  }

  /** Everyone is stale. */
  invalidateAll(): void {
    this.#root.invalidateTree();
  }

  book(host: string, bridge: string): BridgeBook | undefined {
    return this.#ledgers.get(host)?.get(bridge);
  }

  *books(): IterableIterator<BridgeBook> {
    for (const ledgers of this.#ledgers.values()) yield* ledgers.values();
  }

  /** For owners. */
  ledger(host: string, bridge: string): BridgeLedger {
    let ledgers = this.#ledgers.get(host);
    if (ledgers === undefined) {
      ledgers = new Map();
      this.#ledgers.set(host, ledgers);
    }
    let ledger = ledgers.get(bridge);
    if (ledger === undefined) {
      ledger = new BridgeLedger(host, bridge, this.#shared);
      ledgers.set(bridge, ledger);
    }
    return ledger;
  }

  /** For owners. */
  get reads(): Readable[] {
    return this.#reads;
  }

  /** For owners. */
  markStale(stale: Stale): void {
    const others = this.#stale.get(stale.host);
    if (others === undefined) this.#stale.set(stale.host, [stale]);
    else others.push(stale);
  }
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

class Owner implements Reader, Stale, View {
  readonly #engine: Engine;
  readonly name: OwnerName;
  #isStale = true;
  #isRendering = false;
  #hasEnded = false;
  #reads: Readable[] = NO_READS;
  #claims: readonly Claim[] = NOTHING;
  #children: Map<string, Owner> | undefined;
  #followings: Following[] | undefined;
  #rows: Rows[] | undefined;

  constructor(engine: Engine, name: OwnerName) {
    this.#engine = engine;
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
    this.#engine.markStale(this);
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
    for (const fresh of this.#rows ?? NOTHING) this.#engine.markStale(fresh);
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
    this.#children.set(keyOf(name), new Owner(this.#engine, name));
  }

  each(collection: Collection, ownerOf: (element: string) => OwnerName): void {
    this.#followings ??= [];
    this.#followings.push(new Following(this, collection, ownerOf));
  }

  rows(collection: Collection, { host, bridge }: Place, flowsOf: RowsOptions['flowsOf']): void {
    this.#rows ??= [];
    this.#rows.push(new Rows({ collection, ledger: this.#engine.ledger(host, bridge), flowsOf, queue: this.#engine }));
  }

  /** For followings: a new owner, to be rendered in the pass to come, or in this one. */
  start(name: OwnerName): Owner {
    const child = new Owner(this.#engine, name);
    this.#engine.markStale(child);
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
    const { reads } = this.#engine;
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
    const ledger = this.#engine.ledger(host, bridge);
    const claims = ledger.claimAll(flows);
    for (const desired of groups ?? NOTHING) ledger.claimGroup(desired);
    for (const desired of meters ?? NOTHING) ledger.claimMeter(desired);
    return { ledger, flows: claims, groups, meters };
  }

  #remember(source: Readable): void {
    if (!source.addReader(this)) return;
    if (this.#isRendering) this.#engine.reads.push(source);
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
