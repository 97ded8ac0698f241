/**
 * The incremental engine: owners, rendered from facts through a view that remembers what they read. Serves compiler.ts.
 *
 * An owner is a kind and a few names: `remote port (node1, blue, blue2)`. Its kind's `render` is pure: from the view and the
 * names to flows, and to the owners below it. A changed fact makes exactly its readers stale; a pass renders what is stale, whole, and the
 * book's diff removes what an owner no longer renders. There is no uninstall code, and no second way to make a flow:
 * recompute is everyone stale.
 */
import { finish } from '../lib/steps.ts';
import { type BridgeBook, type BridgeChange, BridgeLedger, type Conflict } from './book.ts';
import type { Readable } from './facts.ts';
import { Owner, type Works } from './owner-tree.ts';
import type { Stale } from './rows.ts';
import { Shared } from './shared.ts';
import type { OwnerName } from './view.ts';

/** What one pass did. */
export interface PassResult {
  /** One for each bridge whose flows changed. */
  readonly changes: readonly BridgeChange[];
  /** All that stand after this pass on the bridges that it touched. */
  readonly conflicts: readonly Conflict[];
  /** Number of owners, and of rows of owners, rendered. */
  readonly rendered: number;
}

const NOTHING: readonly never[] = [];

export class Engine implements Works {
  readonly #shared = new Shared();
  /** By host, then by bridge. */
  readonly #ledgers = new Map<string, Map<string, BridgeLedger>>();
  readonly #root: Owner;
  /** By host, and in that order. */
  readonly #stale = new Map<string, Stale[]>();
  /** For owners. */
  readonly reads: Readable[] = [];

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
      const ledgers = this.#ledgers.get(host);
      for (const ledger of ledgers?.values() ?? NOTHING) yield* ledger.prepareSteps();
      // Meanwhile facts may have changed: its turn comes again.
      if (this.#stale.has(host)) continue;
      for (const ledger of ledgers?.values() ?? NOTHING) {
        if (!ledger.isTouched) continue;
        take(ledger);
        yield;
        yield* ledger.tidySteps();
      }
    }
    // What has left without anybody who was rendered for it.
    for (const ledgers of this.#ledgers.values()) {
      for (const ledger of ledgers.values()) {
        if (!ledger.isTouched) continue;
        yield* ledger.prepareSteps();
        take(ledger);
        yield;
        yield* ledger.tidySteps();
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
  markStale(stale: Stale): void {
    const others = this.#stale.get(stale.host);
    if (others === undefined) this.#stale.set(stale.host, [stale]);
    else others.push(stale);
  }
}
