/**
 * One bridge, dumped and compared with its book: flows, groups and meters. Serves installer.ts.
 */
import type { BridgeBook } from '../compiler/book.ts';
import type { Action } from '../flow/action.ts';
import { HeddleError } from '../lib/errors.ts';
import { finish } from '../lib/steps.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import type { DumpGate } from './dump-gate.ts';
import { dumpNumbered, type NumberedDump } from './dump-numbered.ts';
import { inSlices } from './dump-slices.ts';
import { FlowEncoder, frameTable } from './flow-bytes.ts';
import {
  type FlowOperation,
  type GroupOperation,
  type MeterOperation,
  numberKey,
  type Operation,
  type Refusal,
} from './operations.ts';
import { type Difference, reconcileSteps } from './reconcile.ts';
import { type NumberedDifference, reconcileGroups, reconcileMeters } from './reconcile-numbered.ts';
import { type OtherFlows, SameFlows } from './same-flows.ts';
import type { TurnQueue } from './turn-queue.ts';

/** A whole bridge as the switch told it. */
export interface BridgeDump extends NumberedDump {
  readonly flowFrames: readonly Uint8Array[];
}

export interface Comparison {
  readonly flows: Difference;
  readonly groups: NumberedDifference<GroupOperation>;
  readonly meters: NumberedDifference<MeterOperation>;
  /**
   * Flows that are as they should be and must be sent again all the same: their controller() names a meter that was not there,
   * and Open vSwitch looks a meter up when the flow comes, not when a packet does.
   */
  readonly unmetered: readonly FlowOperation[];
}

export interface BridgeComparerOptions {
  readonly host: string;
  /** The book as it is now. */
  readonly book: () => BridgeBook;
  /** Tells whether the book has changed. */
  readonly version: () => number;
  readonly turns: TurnQueue;
  /** Default: every dump may be in memory at once. */
  readonly dumps?: DumpGate | undefined;
}

/**
 * Dumps a bridge and compares it with its book, part by part as the dump comes: what is right is out of the way when the dump is
 * whole. The comparison is with the book of one moment; when it changes before that, it is begun anew with the parts that are there.
 */
export class BridgeComparer {
  readonly #options: BridgeComparerOptions;
  #book: BridgeBook;
  #version: number;
  #same: SameFlows;
  #leave: () => void = () => undefined;
  #isClosed = false;

  constructor(options: BridgeComparerOptions) {
    this.#options = options;
    this.#book = options.book();
    this.#version = options.version();
    this.#same = new SameFlows(this.#book);
  }

  /** Rejects with ConnectionClosedError, or HeddleError UNREADABLE_REPLY, BAD_FLOW_DUMP. */
  async dump(connection: SwitchConnection): Promise<BridgeDump> {
    const lane = this.#options.dumps?.laneOf(this.#options.host);
    const [flowFrames, numbered] = await Promise.all([
      inSlices(connection, {
        ...(lane && { lane }),
        dump: (selection) => connection.dumpFlowFrames(selection),
        enter: async (flowCount) => {
          const leave = await this.#options.dumps?.enter(flowCount);
          if (leave !== undefined && this.#isClosed) leave();
          else if (leave !== undefined) this.#leave = leave;
        },
        take: (frames) => this.#options.turns.run(this.#same.take(frames)),
      }),
      dumpNumbered(connection),
    ]);
    return { flowFrames, ...numbered };
  }

  /** `atThatMoment` is called at the moment whose book it is, before anything can change. Throws HeddleError BAD_FLOW_DUMP. */
  async compare<Moment>(
    dump: BridgeDump,
    atThatMoment: () => Moment,
  ): Promise<Comparison & { readonly moment: Moment }> {
    const { turns } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const steps = this.#attempt(dump, { isAnew: attempt > 1, atThatMoment });
      // The third time in one go.
      const found = attempt < 3 ? await turns.run(steps) : finish(steps);
      if (found === undefined) continue;
      const { others, groups, meters, moment, renewed } = found;
      const difference = await turns.run(reconcileSteps(others.wanted, [others.installed]));
      const flows = { ...difference, sameCount: difference.sameCount + others.sameCount };
      const candidates = [...others.same, ...others.wanted];
      const unmetered = renewed.size === 0 ? [] : await turns.run(sendAgain(candidates, renewed, flows));
      return { flows, groups, meters, unmetered, moment };
    }
  }

  /** The dump is needed no more: another bridge may be dumped. */
  close(): void {
    this.#isClosed = true;
    this.#leave();
  }

  /** undefined: the book has changed meanwhile. */
  *#attempt<Moment>(
    dump: BridgeDump,
    { isAnew, atThatMoment }: { readonly isAnew: boolean; readonly atThatMoment: () => Moment },
  ): Generator<void, (NumberedComparison & { others: OtherFlows; moment: Moment }) | undefined> {
    if (isAnew) {
      this.#book = this.#options.book();
      this.#version = this.#options.version();
      this.#same = new SameFlows(this.#book);
      yield* this.#same.take(dump.flowFrames);
    }
    const { renewed } = compareNumbered(dump, this.#book);
    const others = yield* this.#same.others({ withSame: renewed.size > 0 });
    const isChanged = this.#options.version() !== this.#version || this.#options.book() !== this.#book;
    if (others === undefined || isChanged) return undefined;
    return { ...compareNumbered(dump, this.#book), others, moment: atThatMoment() };
  }
}

interface NumberedComparison extends Pick<Comparison, 'groups' | 'meters'> {
  /** Meters that were not there. */
  readonly renewed: ReadonlySet<number>;
}

function compareNumbered(dump: BridgeDump, book: BridgeBook): NumberedComparison {
  const groups = reconcileGroups(book.groups(), dump.groups);
  const meters = reconcileMeters(book.meters(), dump.meters);
  return { groups, meters, renewed: new Set(meters.missing.flatMap(({ desired }) => desired?.meter.meter ?? [])) };
}

/** Groups and meters alone, of a bridge that has no flow and whose book has others. */
export function compareGroupsAndMeters(dump: BridgeDump, book: BridgeBook): Comparison {
  return { ...compareNumbered(dump, book), flows: NO_DIFFERENCE, unmetered: [] };
}

const NO_DIFFERENCE: Difference = {
  missing: [],
  changed: [],
  stale: [],
  foreign: [],
  learnedCount: 0,
  sameCount: 0,
  refused: [],
};

function* sendAgain(
  flows: readonly DesiredFlow[],
  meters: ReadonlySet<number>,
  { missing, changed }: Difference,
): Generator<void, FlowOperation[]> {
  const sent = new Set([...missing, ...changed].map(({ desired }) => desired));
  const encoder = new FlowEncoder();
  const operations: FlowOperation[] = [];
  for (const desired of flows) {
    yield;
    if (sent.has(desired) || !isMetered(desired.flow.actions, meters)) continue;
    try {
      encoder.encodeDesired(desired);
    } catch (error) {
      // The comparison has refused it already.
      if (error instanceof HeddleError) continue;
      throw error;
    }
    const frame = encoder.take();
    operations.push({ subject: 'flow', kind: 'modify', table: frameTable(frame), frame, desired });
  }
  return operations;
}

function isMetered(actions: readonly Action[], meters: ReadonlySet<number>): boolean {
  return actions.some((action) => {
    if (action.type === 'controller') return action.meter !== undefined && meters.has(action.meter);
    return 'actions' in action && isMetered(action.actions, meters);
  });
}

/** numberKey of every group and meter that the bridge holds. */
export function presentNumbers({ groups, meters }: BridgeDump): string[] {
  return [
    ...groups.map(({ group }) => numberKey('group', group)),
    ...meters.map(({ meter }) => numberKey('meter', meter)),
  ];
}

/** What makes the bridge equal to the book. */
export function operationsOf(comparison: Comparison, options: { readonly keepForeign: boolean }): Operation[] {
  const { flows, groups, meters, unmetered } = comparison;
  const operations: Operation[] = [];
  for (const { missing, changed } of [meters, groups, flows]) {
    for (const operation of missing) operations.push(operation);
    for (const operation of changed) operations.push(operation);
  }
  for (const operation of unmetered) operations.push(operation);
  for (const operation of flows.stale) operations.push(operation);
  if (options.keepForeign) return operations;
  for (const { foreign } of [flows, groups, meters]) for (const operation of foreign) operations.push(operation);
  return operations;
}

export function refusalsOf({ flows, groups, meters }: Comparison): Refusal[] {
  return [...meters.refused, ...groups.refused, ...flows.refused];
}
