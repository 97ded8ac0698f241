/**
 * One bridge, dumped and compared with its book: flows, groups and meters. Serves installer.ts.
 */
import type { BridgeBook } from '../compiler/book.ts';
import type { Action } from '../flow/action.ts';
import { HeddleError } from '../lib/errors.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { cutFlows, type RawFlow } from '../openflow/flow-dump.ts';
import type { Group, Meter } from '../openflow/messages.ts';
import { OpenFlowError } from '../openflow/requests.ts';
import type { DesiredFlow, DesiredGroup, DesiredMeter } from '../pipeline/origin.ts';
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
import { inTurns, STEP_LENGTH } from './turns.ts';

/** A whole bridge as the switch told it. */
export interface BridgeDump {
  readonly flowFrames: readonly Uint8Array[];
  readonly groups: readonly Group[];
  readonly meters: readonly Meter[];
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

/** Rejects with ConnectionClosedError, or HeddleError UNREADABLE_REPLY. */
export async function dumpBridge(connection: SwitchConnection): Promise<BridgeDump> {
  const [flowFrames, groups, meters] = await Promise.all([
    inSlices(connection, (selection) => connection.dumpFlowFrames(selection)),
    orNone(connection.multipart({ kind: 'groupDesc' })),
    orNone(connection.multipart({ kind: 'meterConfig' })),
  ]);
  return {
    flowFrames,
    groups: groups.flatMap((part) => part.groups),
    meters: meters.flatMap((part) => part.meters),
  };
}

/** A switch without groups or meters says so with an error. */
async function orNone<Part>(parts: Promise<readonly Part[]>): Promise<readonly Part[]> {
  try {
    return await parts;
  } catch (error) {
    if (error instanceof OpenFlowError) return [];
    throw error;
  }
}

/** A book as it was at one moment. */
export interface BookSnapshot {
  readonly flows: readonly DesiredFlow[];
  readonly groups: readonly DesiredGroup[];
  readonly meters: readonly DesiredMeter[];
}

export interface ReadBookOptions<Moment> {
  /** Tells whether the book has changed meanwhile; then it is read anew, and the third time in one go. */
  readonly version: () => number;
  /** Called when the last of it is read, before anything can change. */
  readonly atThatMoment: () => Moment;
}

/** Read a book in turns. */
export async function readBook<Moment>(
  book: BridgeBook,
  options: ReadBookOptions<Moment>,
): Promise<BookSnapshot & { readonly moment: Moment }> {
  for (let attempt = 1; ; attempt += 1) {
    const snapshot = await inTurns(readFlows(book, { ...options, isPatient: attempt < 3 }));
    if (snapshot !== undefined) return snapshot;
  }
}

/** undefined: the book has changed, and what was read is of no moment. */
function* readFlows<Moment>(
  book: BridgeBook,
  { version, atThatMoment, isPatient }: ReadBookOptions<Moment> & { readonly isPatient: boolean },
): Generator<void, (BookSnapshot & { readonly moment: Moment }) | undefined> {
  const begin = version();
  const flows: DesiredFlow[] = [];
  for (const flow of book.flows()) {
    flows.push(flow);
    if (!isPatient || flows.length % STEP_LENGTH !== 0) continue;
    yield;
    if (version() !== begin) return undefined;
  }
  return { flows, groups: [...book.groups()], meters: [...book.meters()], moment: atThatMoment() };
}

/** Throws HeddleError BAD_FLOW_DUMP. */
export async function compareBridge(dump: BridgeDump, wanted: BookSnapshot): Promise<Comparison> {
  const groups = reconcileGroups(wanted.groups, dump.groups);
  const meters = reconcileMeters(wanted.meters, dump.meters);
  const renewed = new Set(meters.missing.flatMap(({ desired }) => desired?.meter.meter ?? []));
  const flows = await inTurns(reconcileSteps(wanted.flows, cutParts(dump.flowFrames)));
  const unmetered = renewed.size === 0 ? [] : await inTurns(sendAgain(wanted.flows, renewed, flows));
  return { flows, groups, meters, unmetered };
}

function* cutParts(frames: readonly Uint8Array[]): Generator<readonly RawFlow[]> {
  for (const frame of frames) yield cutFlows(frame);
}

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
