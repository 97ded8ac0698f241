/**
 * Flow-mods to one bridge, in bounded atomic bundles, and the culprits of what it refuses. Serves installer.ts.
 *
 * A small difference is one bundle: the bridge goes from what it had to what it should have at once. A large one is cut into
 * bundles of LIMITS.bundleLength: what puts flows first, then what deletes (make before break). Among the puts high tables
 * go first, among the deletes low tables, so that no packet is sent to a table that is not filled yet.
 */
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { BatchResult, SwitchConnection } from '../openflow/connection.ts';
import type { FlowOperation, RefusedFlow } from './reconcile.ts';

export interface SendResult {
  /** What the switch did not take; everything else is in place. */
  readonly refused: readonly RefusedFlow[];
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
  operations: readonly FlowOperation[],
): Promise<SendResult> {
  const result = { refused: [] as RefusedFlow[], rolledBackCount: 0 };
  const puts = operations.filter(({ kind }) => kind !== 'delete');
  const deletes = operations.filter(({ kind }) => kind === 'delete');
  if (operations.length <= LIMITS.bundleLength) {
    await sendChunk(connection, [...puts, ...deletes], result);
    return result;
  }
  puts.sort((left, right) => right.table - left.table);
  deletes.sort((left, right) => left.table - right.table);
  for (const phase of [puts, deletes]) await sendPhase(connection, phase, result);
  return result;
}

interface Result {
  readonly refused: RefusedFlow[];
  rolledBackCount: number;
}

/** All of one phase, no more than LIMITS.bundlesInFlight bundles at once. */
async function sendPhase(connection: SwitchConnection, phase: readonly FlowOperation[], result: Result): Promise<void> {
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
async function sendChunk(connection: SwitchConnection, chunk: readonly FlowOperation[], result: Result): Promise<void> {
  let remaining: readonly FlowOperation[] = chunk.filter(fitsIntoBundle);
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
  const single = [...remaining, ...oversized];
  if (single.length === 0) return;
  takeRefused(await connection.batch(single.map(({ frame }) => frame)), single, result);
}

function fitsIntoBundle({ frame }: FlowOperation): boolean {
  return frame.length + BUNDLE_ADD_HEADER_SIZE <= LIMITS.openflowMessageSize;
}

/** The barrier goes out right behind the bundle, not after its answer: one round trip. */
async function settled(connection: SwitchConnection, bundle: Promise<BatchResult>): Promise<BatchResult> {
  const [outcome] = await Promise.all([bundle, connection.barrier()]);
  return outcome;
}

function takeRefused(outcome: BatchResult, sent: readonly FlowOperation[], result: Result): ReadonlySet<number> {
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
