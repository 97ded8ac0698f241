/**
 * The book: every flow, group and meter that should exist, by bridge, and why. Owners (compiler/engine.ts) write it, switch/
 * compares switches with it, the command line prints it.
 *
 * A bridge's flows are keyed by what OpenFlow takes for identity (table, priority, match), groups and meters by their numbers.
 * Owners that render the same share it; owners that render unequal things under one key are a conflict: a fixed order decides
 * which is installed, and both are named.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DesiredFlow, DesiredGroup, DesiredMeter } from '../pipeline/origin.ts';
import { type ClaimKind, ClaimTable } from './claims.ts';
import type { FlowList } from './flow-list.ts';
import { type FlowIdentity, type FlowNumbers, FlowTable } from './flow-table.ts';
import { Shared } from './shared.ts';
import type { Rendered } from './templates.ts';

export { flowKey } from '../flow/match.ts';
export type { DesiredFlow, DesiredGroup, DesiredMeter, Origin } from '../pipeline/origin.ts';
export type { FlowIdentity, FlowNumbers } from './flow-table.ts';

/** Whatever a book holds. */
export type Desired = DesiredFlow | DesiredGroup | DesiredMeter;

/**
 * What one pass changed on one bridge. `put` are flows to add or to replace in place, `remove` are flows as they were; groups
 * and meters likewise. Groups and meters are there before the flows that name them, and go after them.
 */
export interface BridgeChange {
  readonly host: string;
  readonly bridge: string;
  readonly put: readonly DesiredFlow[];
  readonly remove: readonly DesiredFlow[];
  /** Default: none, here and below. */
  readonly putGroups?: readonly DesiredGroup[];
  readonly removeGroups?: readonly DesiredGroup[];
  readonly putMeters?: readonly DesiredMeter[];
  readonly removeMeters?: readonly DesiredMeter[];
}

/** Rules that want unequal things under one key. `installed` is the one that the fixed order chose. */
export interface Conflict {
  readonly host: string;
  readonly bridge: string;
  readonly installed: Desired;
  readonly refused: readonly Desired[];
}

/** What should be on one bridge, for readers: as the last whole pass left it, also while another is under way. */
export interface BridgeBook {
  readonly host: string;
  readonly bridge: string;
  /** Number of flows. */
  readonly size: number;
  /** Every desired flow once, in no particular order. */
  flows(): IterableIterator<DesiredFlow>;
  /** Likewise as of now, from the last table to the first, in a table from the highest priority to the lowest. */
  flowList(): FlowList;
  /** Likewise under numbers, for who compares bytes. */
  flowNumbers(): FlowNumbers;
  /** The desired flow with this table, priority and match. */
  find(identity: FlowIdentity): DesiredFlow | undefined;
  groups(): IterableIterator<DesiredGroup>;
  findGroup(group: number): DesiredGroup | undefined;
  meters(): IterableIterator<DesiredMeter>;
  findMeter(meter: number): DesiredMeter | undefined;
}

const GROUPS: ClaimKind<DesiredGroup> = {
  isSame: (left, right) => isDeepStrictEqual(left.group, right.group),
  isCompatible: (left, right) => isDeepStrictEqual(left.group, right.group),
  contentOf: ({ group }) => contentText(group),
};
const METERS: ClaimKind<DesiredMeter> = {
  isSame: (left, right) => isDeepStrictEqual(left.meter, right.meter),
  isCompatible: (left, right) => isDeepStrictEqual(left.meter, right.meter),
  contentOf: ({ meter }) => contentText(meter),
};

function contentText(content: unknown): string {
  return JSON.stringify(content, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

/** The book of one bridge, for its writer. */
export class BridgeLedger implements BridgeBook {
  readonly host: string;
  readonly bridge: string;
  readonly #flows: FlowTable;
  readonly #groups = new ClaimTable<number, DesiredGroup>(GROUPS);
  readonly #meters = new ClaimTable<number, DesiredMeter>(METERS);

  /** `shared`: that of all bridges of a compiler. */
  constructor(host: string, bridge: string, shared: Shared = new Shared()) {
    this.host = host;
    this.bridge = bridge;
    this.#flows = new FlowTable(shared, bridge);
  }

  get size(): number {
    return this.#flows.size;
  }

  get isTouched(): boolean {
    return this.#flows.isTouched || this.#groups.isTouched || this.#meters.isTouched;
  }

  flows(): IterableIterator<DesiredFlow> {
    return this.#flows.values();
  }

  flowList(): FlowList {
    return this.#flows.list();
  }

  flowNumbers(): FlowNumbers {
    return this.#flows;
  }

  find(identity: FlowIdentity): DesiredFlow | undefined {
    return this.#flows.find(identity);
  }

  groups(): IterableIterator<DesiredGroup> {
    return this.#groups.values();
  }

  findGroup(group: number): DesiredGroup | undefined {
    return this.#groups.get(group);
  }

  meters(): IterableIterator<DesiredMeter> {
    return this.#meters.values();
  }

  findMeter(meter: number): DesiredMeter | undefined {
    return this.#meters.get(meter);
  }

  /** An owner wants these flows. Gives what to release them by, all together. */
  claimAll(desired: Rendered): number {
    return this.#flows.claimAll(desired);
  }

  /** An owner no longer wants the flows that it claimed together. */
  releaseAll(claims: number): void {
    this.#flows.releaseAll(claims);
  }

  claimGroup(desired: DesiredGroup): void {
    this.#groups.claim(desired.group.group, desired);
  }

  releaseGroup(desired: DesiredGroup): void {
    this.#groups.release(desired.group.group, desired);
  }

  claimMeter(desired: DesiredMeter): void {
    this.#meters.claim(desired.meter.meter, desired);
  }

  releaseMeter(desired: DesiredMeter): void {
    this.#meters.release(desired.meter.meter, desired);
  }

  /** In steps, what is long of takeChange. */
  prepareSteps(): Generator<void, void> {
    return this.#flows.prepareSteps();
  }

  /** Likewise what can be done after it. */
  tidySteps(): Generator<void, void> {
    return this.#flows.tidySteps();
  }

  /** What changed since this was last asked; undefined: nothing that a switch would see. */
  takeChange(): BridgeChange | undefined {
    const flows = this.#flows.takeChange();
    const groups = this.#groups.takeChange();
    const meters = this.#meters.takeChange();
    const isChanged = [groups, meters].some(({ put, remove }) => put.length > 0 || remove.length > 0);
    if (!isChanged && flows.isEmpty) return undefined;
    return {
      host: this.host,
      bridge: this.bridge,
      get put() {
        return flows.put;
      },
      remove: flows.remove,
      ...(groups.put.length > 0 && { putGroups: groups.put }),
      ...(groups.remove.length > 0 && { removeGroups: groups.remove }),
      ...(meters.put.length > 0 && { putMeters: meters.put }),
      ...(meters.remove.length > 0 && { removeMeters: meters.remove }),
    };
  }

  conflicts(): readonly Conflict[] {
    const { host, bridge } = this;
    const contests = [...this.#flows.contests(), ...this.#groups.contests(), ...this.#meters.contests()];
    return contests.map((contest) => ({ host, bridge, ...contest }));
  }
}
