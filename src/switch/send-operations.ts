/**
 * Mods to one bridge, in bounded atomic bundles, and the culprits of what it refuses. Serves installer.ts.
 *
 * A small difference is one bundle: the bridge goes from what it had to what it should have at once. A large one is cut into
 * bundles of LIMITS.bundleLength: groups, then what puts flows, then what deletes flows (make before break), then groups that
 * nobody names any more. Puts go from the last table to the first, and in a table from the highest priority to the lowest;
 * deletes the other way round: a packet meets a table only when it is filled, and an exception before what it is an exception
 * to (docs/decisions/0001-bundle-order.md).
 *
 * Open vSwitch takes no meter-mods in bundles (OFPBFC_MSG_UNSUP): meters are put before the first bundle, and removed after the last.
 */
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { BatchResult, SwitchConnection } from '../openflow/connection.ts';
import { FRAME, u16 } from './flow-bytes.ts';
import type { Operation, Refusal } from './operations.ts';
import { TurnQueue } from './turn-queue.ts';

export interface SendResult {
  /** What the switch did not take; everything else is in place. */
  readonly refused: readonly Refusal[];
  /** Bundles that were rolled back and sent again without their culprits. */
  readonly rolledBackCount: number;
}

/** Room that a bundle-add header takes from the message in it. */
const BUNDLE_ADD_HEADER_SIZE = 24;

/**
 * Send all operations and wait until the switch has processed them. Rejects with ConnectionClosedError only: what the switch
 * refuses is in the result, and does not keep the rest from being applied.
 */
export async function sendOperations(
  connection: SwitchConnection,
  operations: readonly Operation[],
  turns: TurnQueue = new TurnQueue(),
): Promise<SendResult> {
  const result = { refused: [] as Refusal[], rolledBackCount: 0 };
  const { meterPuts, groupPuts, flowPuts, flowDeletes, groupDeletes, meterDeletes } = await turns.run(
    inOrder(operations),
  );
  await sendSingly(connection, meterPuts, result);
  if (operations.length <= LIMITS.bundleLength) {
    await sendChunk(connection, [...groupPuts, ...flowPuts, ...flowDeletes, ...groupDeletes], result);
  } else {
    for (const phase of [groupPuts, flowPuts, flowDeletes, groupDeletes]) await sendPhase(connection, phase, result);
  }
  await sendSingly(connection, meterDeletes, result);
  return result;
}

interface OrderedOperations {
  readonly meterPuts: readonly Operation[];
  readonly groupPuts: readonly Operation[];
  readonly flowPuts: readonly Operation[];
  readonly flowDeletes: readonly Operation[];
  readonly groupDeletes: readonly Operation[];
  readonly meterDeletes: readonly Operation[];
}

function* inOrder(operations: readonly Operation[]): Generator<void, OrderedOperations> {
  const meterPuts: Operation[] = [];
  const groupPuts: Operation[] = [];
  const flowPuts = new Map<number, Operation[]>();
  const flowDeletes = new Map<number, Operation[]>();
  const groupDeletes: Operation[] = [];
  const meterDeletes: Operation[] = [];
  for (const operation of operations) {
    yield;
    const isDelete = operation.kind === 'delete';
    if (operation.subject === 'meter') (isDelete ? meterDeletes : meterPuts).push(operation);
    else if (operation.subject === 'group') (isDelete ? groupDeletes : groupPuts).push(operation);
    else {
      const byRank = isDelete ? flowDeletes : flowPuts;
      const rank = operation.table * PRIORITIES + u16(operation.frame, FRAME.priority);
      const alike = byRank.get(rank);
      if (alike === undefined) byRank.set(rank, [operation]);
      else alike.push(operation);
    }
  }
  return {
    meterPuts,
    groupPuts,
    flowPuts: byRankUpwards(flowPuts).reverse().flat(),
    flowDeletes: byRankUpwards(flowDeletes).flat(),
    groupDeletes,
    meterDeletes,
  };
}

const PRIORITIES = 0x1_0000;

function byRankUpwards(byRank: ReadonlyMap<number, readonly Operation[]>): (readonly Operation[])[] {
  return [...byRank].sort(([left], [right]) => left - right).map(([, alike]) => alike);
}

interface Result {
  readonly refused: Refusal[];
  rolledBackCount: number;
}

/** One by one, each of which stands or falls by itself, and one barrier. */
export async function sendSingly(
  connection: SwitchConnection,
  batch: readonly Operation[],
  result: Result,
): Promise<void> {
  if (batch.length === 0) return;
  takeRefused(await connection.batch(batch.map(({ frame }) => frame)), batch, result);
}

/** All of one phase, no more than LIMITS.bundlesInFlight bundles at once. */
async function sendPhase(connection: SwitchConnection, phase: readonly Operation[], result: Result): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < phase.length) {
      const chunk = phase.slice(next, next + LIMITS.bundleLength);
      next += chunk.length;
      await sendChunk(connection, chunk, result);
    }
  };
  await Promise.all(Array.from({ length: LIMITS.bundlesInFlight }, worker));
}

/** One bundle; without its culprits again when it is rolled back, and one by one when it has too many. */
async function sendChunk(connection: SwitchConnection, chunk: readonly Operation[], result: Result): Promise<void> {
  let remaining: readonly Operation[] = chunk.filter(fitsIntoBundle);
  const oversized = remaining.length === chunk.length ? [] : chunk.filter((operation) => !fitsIntoBundle(operation));
  for (let attempt = 0; remaining.length > 0 && attempt < LIMITS.bundleAttempts; attempt += 1) {
    const outcome = await settled(connection, connection.bundle(remaining.map(({ frame }) => frame)));
    const culprits = takeRefused(outcome, remaining, result);
    if (outcome.committed) {
      remaining = [];
    } else {
      result.rolledBackCount += 1;
      remaining = remaining.filter((_operation, index) => !culprits.has(index));
      // Rolled back for no message in particular: to try the same again would be to fail the same again.
      if (culprits.size === 0) break;
    }
  }
  await sendSingly(connection, [...remaining, ...oversized], result);
}

function fitsIntoBundle({ frame }: Operation): boolean {
  return frame.length + BUNDLE_ADD_HEADER_SIZE <= LIMITS.openflowMessageSize;
}

/** The barrier goes out right behind the bundle, not after its answer: one round trip. */
async function settled(connection: SwitchConnection, bundle: Promise<BatchResult>): Promise<BatchResult> {
  const [outcome] = await Promise.all([bundle, connection.barrier()]);
  return outcome;
}

function takeRefused(outcome: BatchResult, sent: readonly Operation[], result: Result): ReadonlySet<number> {
  const culprits = new Set<number>();
  for (const { index, error } of outcome.refused) {
    if (culprits.has(index)) continue;
    culprits.add(index);
    const operation = sent[index];
    result.refused.push({ desired: operation?.desired, operation, error });
  }
  return culprits;
}

/** For callers that want to tell the end of a connection from a refusal. */
export function isClosed(error: unknown): boolean {
  return error instanceof HeddleError && error.code === 'CONNECTION_CLOSED';
}
