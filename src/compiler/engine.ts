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
import { type Collection, type Fact, type Follower, pairKey, type Readable, type Reader } from './facts.ts';
import { Rows, type Stale } from './rows.ts';
import { Shared } from './shared.ts';
import type { Rendered } from './templates.ts';

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
  readAll(collection: Collection): ReadonlySet<string>;
  /** An owner below this one, for as long as this one says so. */
  child(owner: OwnerName): void;
  /** An owner below this one for each element, now and later. An element that joins or leaves renders nothing but its own. */
  each(collection: Collection, ownerOf: (element: string) => OwnerName): void;
  /**
   * Flows of this owner's for each element, now and later: for what comes in thousands. An element that joins, leaves or is
   * touched renders nothing but its own; what `flowsOf` reads through this view makes the whole owner stale.
   */
  rows(collection: Collection, place: Place, flowsOf: (element: string) => Rendered): void;
}

/** A bridge. */
export type Place = Pick<Placement, 'host' | 'bridge'>;

export type Render = (view: View, ...names: string[]) => readonly Placement[];

/** A kind of owner, and the names that make it this one. */
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
  readonly #ledgers = new Map<string, BridgeLedger>();
  readonly #root: Owner;
  #stale: Stale[] = [];

  constructor(root: OwnerName) {
    this.#root = new Owner(this, root);
    this.#stale.push(this.#root);
  }

  /** Render what is stale. */
  pass(): PassResult {
    const changes: BridgeChange[] = [];
    return { ...finish(this.passSteps((change) => changes.push(change))), changes };
  }

  /**
   * Likewise in steps. Facts may change between them: whoever has read one is rendered again, before the pass ends. `handOver` is
   * given a bridge's change at the moment from which its book says so; until then it says what it said before the pass.
   */
  *passSteps(handOver: (change: BridgeChange) => void): Generator<void, Omit<PassResult, 'changes'>> {
    let rendered = 0;
    // Rendering an owner may add owners below it to the end of this list.
    for (let index = 0; index < this.#stale.length; index++) {
      const stale = this.#stale[index];
      if (stale !== undefined) rendered += yield* stale.renderIfStale();
      yield;
    }
    this.#stale = [];
    const conflicts: Conflict[] = [];
    for (const ledger of this.#ledgers.values()) {
      if (!ledger.isTouched) continue;
      const change = ledger.takeChange();
      if (change !== undefined) handOver(change);
      conflicts.push(...ledger.conflicts());
      yield;
    }
    return { conflicts, rendered };
  }

  /** Everyone is stale. */
  invalidateAll(): void {
    this.#root.invalidateTree();
  }

  book(host: string, bridge: string): BridgeBook | undefined {
    return this.#ledgers.get(pairKey(host, bridge));
  }

  books(): IterableIterator<BridgeBook> {
    return this.#ledgers.values();
  }

  /** For owners. */
  ledger(host: string, bridge: string): BridgeLedger {
    const key = pairKey(host, bridge);
    let ledger = this.#ledgers.get(key);
    if (ledger === undefined) {
      ledger = new BridgeLedger(host, bridge, this.#shared);
      this.#ledgers.set(key, ledger);
    }
    return ledger;
  }

  /** For owners. */
  markStale(stale: Stale): void {
    this.#stale.push(stale);
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

class Owner implements Reader, Stale, View {
  readonly #engine: Engine;
  readonly #name: OwnerName;
  #isStale = true;
  #hasEnded = false;
  #reads: Readable[] = [];
  #claims: readonly Claim[] = NOTHING;
  #children: Map<string, Owner> | undefined;
  #followings: Following[] | undefined;
  #rows: Rows[] | undefined;

  constructor(engine: Engine, name: OwnerName) {
    this.#engine = engine;
    this.#name = name;
  }

  invalidate(): void {
    if (this.#isStale || this.#hasEnded) return;
    this.#isStale = true;
    this.#engine.markStale(this);
  }

  invalidateTree(): void {
    this.invalidate();
    for (const child of this.#children?.values() ?? []) child.invalidateTree();
    for (const following of this.#followings ?? []) following.invalidateTree();
  }

  *renderIfStale(): Generator<void, number> {
    if (!this.#isStale || this.#hasEnded) return 0;
    this.#isStale = false;
    const children = this.#children;
    const followings = this.#followings;
    const rows = this.#rows;
    this.#forgetReads();
    this.#children = undefined;
    this.#followings = undefined;
    this.#rows = undefined;
    const placements = this.#name.render(this, ...this.#name.names);
    this.#adopt(children, followings);
    this.#place(placements);
    for (const former of rows ?? NOTHING) former.end();
    return 1 + (yield* this.#beginRows());
  }

  /** The owner and all below it are no more, and nor are their flows. */
  end(): void {
    this.#hasEnded = true;
    this.#forgetReads();
    for (const child of this.#children?.values() ?? []) child.end();
    for (const following of this.#followings ?? []) following.end();
    for (const rows of this.#rows ?? []) rows.end();
    this.#children = undefined;
    this.#followings = undefined;
    this.#rows = undefined;
    this.#place(NOTHING);
  }

  read<T>(fact: Fact<T>): T | undefined {
    this.#remember(fact);
    return fact.value;
  }

  readAll(collection: Collection): ReadonlySet<string> {
    this.#remember(collection);
    return collection.elements;
  }

  child(name: OwnerName): void {
    this.#children ??= new Map();
    this.#children.set(keyOf(name), this.spawn(name));
  }

  each(collection: Collection, ownerOf: (element: string) => OwnerName): void {
    this.#followings ??= [];
    this.#followings.push(new Following(this, collection, ownerOf));
  }

  rows(collection: Collection, { host, bridge }: Place, flowsOf: (element: string) => Rendered): void {
    const ledger = this.#engine.ledger(host, bridge);
    this.#rows ??= [];
    this.#rows.push(new Rows({ collection, ledger, flowsOf, markStale: (rows) => this.#engine.markStale(rows) }));
  }

  /** For followings: a new owner, not yet rendered. */
  spawn(name: OwnerName): Owner {
    return new Owner(this.#engine, name);
  }

  /** For followings: render it in the pass to come, or in this one. */
  start(child: Owner): void {
    this.#engine.markStale(child);
  }

  /** Go on with the owners that were below before, end those that are no more, start those that are new. */
  #adopt(children: ReadonlyMap<string, Owner> | undefined, followings: readonly Following[] | undefined): void {
    const hasNone = children === undefined && followings === undefined;
    if (hasNone && this.#children === undefined && this.#followings === undefined) return;
    const earlier = new Map(children);
    for (const following of followings ?? []) following.handOver(earlier);
    const takeOver = (key: string, fresh: Owner): Owner => {
      const known = earlier.get(key);
      if (known === undefined) this.start(fresh);
      earlier.delete(key);
      return known ?? fresh;
    };
    for (const [key, fresh] of this.#children ?? []) this.#children?.set(key, takeOver(key, fresh));
    for (const following of this.#followings ?? []) following.begin(takeOver);
    for (const gone of earlier.values()) gone.end();
  }

  *#beginRows(): Generator<void, number> {
    let rendered = 0;
    for (const rows of this.#rows ?? NOTHING) rendered += yield* rows.begin();
    return rendered;
  }

  #place(placements: readonly Placement[]): void {
    for (const { ledger, flows, groups, meters } of this.#claims) {
      ledger.releaseAll(flows);
      for (const desired of groups ?? NOTHING) ledger.releaseGroup(desired);
      for (const desired of meters ?? NOTHING) ledger.releaseMeter(desired);
    }
    this.#claims = placements.length === 0 ? NOTHING : placements.map((placement) => this.#claim(placement));
  }

  #claim({ host, bridge, flows, groups, meters }: Placement): Claim {
    const ledger = this.#engine.ledger(host, bridge);
    const claims = ledger.claimAll(flows);
    for (const desired of groups ?? NOTHING) ledger.claimGroup(desired);
    for (const desired of meters ?? NOTHING) ledger.claimMeter(desired);
    return { ledger, flows: claims, groups, meters };
  }

  #remember(source: Readable): void {
    if (source.addReader(this)) this.#reads.push(source);
  }

  #forgetReads(): void {
    for (const source of this.#reads) source.removeReader(this);
    this.#reads = [];
  }
}

/** The owners below one owner, one for each element of a collection. */
class Following implements Follower {
  readonly #parent: Owner;
  readonly #collection: Collection;
  readonly #ownerOf: (element: string) => OwnerName;
  readonly #children = new Map<string, { readonly key: string; readonly owner: Owner }>();

  constructor(parent: Owner, collection: Collection, ownerOf: (element: string) => OwnerName) {
    this.#parent = parent;
    this.#collection = collection;
    this.#ownerOf = ownerOf;
    // At once: a collection that nobody follows may be forgotten.
    collection.follow(this);
  }

  begin(takeOver: (key: string, fresh: Owner) => Owner): void {
    for (const element of this.#collection.elements) {
      const name = this.#ownerOf(element);
      const key = keyOf(name);
      this.#children.set(element, { key, owner: takeOver(key, this.#parent.spawn(name)) });
    }
  }

  /** Give the owners to whoever follows next. */
  handOver(owners: Map<string, Owner>): void {
    this.#collection.unfollow(this);
    for (const child of this.#children.values()) owners.set(child.key, child.owner);
  }

  end(): void {
    this.#collection.unfollow(this);
    for (const child of this.#children.values()) child.owner.end();
  }

  invalidateTree(): void {
    for (const child of this.#children.values()) child.owner.invalidateTree();
  }

  added(element: string): void {
    const name = this.#ownerOf(element);
    const child = this.#parent.spawn(name);
    this.#children.set(element, { key: keyOf(name), owner: child });
    this.#parent.start(child);
  }

  /** What an owner below has read tells it by itself. */
  touched(): void {}

  removed(element: string): void {
    const child = this.#children.get(element);
    invariant(child !== undefined, 'An element that leaves was there.', { element });
    this.#children.delete(element);
    child.owner.end();
  }
}

function keyOf({ kind, names }: OwnerName): string {
  return [kind, ...names].join('\0');
}
