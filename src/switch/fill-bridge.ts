/**
 * A large book onto a bridge that has no flow: after a restart of the switch, at the first start. There is nothing to compare, and
 * no need to hold the whole book as messages: some are written while the switch applies those before. Serves sender.ts.
 *
 * They go as plain flow-mods: what a bundle gives, all or nothing, is worth nothing where a packet meets no flow before the last
 * ones come (docs/decisions/0001-bundle-order.md).
 */
import type { BridgeBook } from '../compiler/book.ts';
import type { FlowList } from '../compiler/flow-list.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { cutFlows } from '../openflow/flow-dump.ts';
import { type BridgeDump, compareGroupsAndMeters, operationsOf, refusalsOf } from './compare-bridge.ts';
import { FlowEncoder, frameTable } from './flow-bytes.ts';
import type { Operation, Refusal } from './operations.ts';
import { sendOperations, sendSingly } from './send-operations.ts';
import type { TurnQueue } from './turn-queue.ts';
import { STEP_LENGTH } from './turns.ts';

export type { BridgeDump } from './compare-bridge.ts';

export interface FillOptions {
  /** As it is at the moment of the call. */
  readonly book: BridgeBook;
  /** Groups and meters that are not in the book stay. */
  readonly keepForeign: boolean;
  /** Told of all that is about to be sent. */
  readonly noted: (operations: readonly Operation[]) => Generator<void, void>;
  readonly turns: TurnQueue;
}

export interface FillResult {
  readonly sentCount: number;
  readonly refused: readonly Refusal[];
}

/** Whether to fill the bridge rather than compare it. */
export function isToFill({ flowFrames }: BridgeDump, book: BridgeBook): boolean {
  return book.size > LIMITS.bundleLength && flowFrames.every((frame) => cutFlows(frame).length === 0);
}

/**
 * Groups and meters of the book first, then every flow, from the last table to the first. Rejects with ConnectionClosedError only.
 */
export async function fillBridge(
  connection: SwitchConnection,
  dump: BridgeDump,
  options: FillOptions,
): Promise<FillResult> {
  const { book } = options;
  const flows = book.flowList();
  const comparison = compareGroupsAndMeters(dump, book);
  const operations = operationsOf(comparison, options);
  const puts = operations.filter(({ kind }) => kind !== 'delete');
  const deletes = operations.filter(({ kind }) => kind === 'delete');
  const refused: Refusal[] = [...refusalsOf(comparison)];
  const sending = { ...options, refused };
  await sendSome(connection, puts, sending);
  await sendList(connection, flows, sending);
  await sendSome(connection, deletes, sending);
  return { sentCount: flows.length + operations.length, refused };
}

interface Sending extends FillOptions {
  readonly refused: Refusal[];
}

async function sendSome(
  connection: SwitchConnection,
  operations: readonly Operation[],
  { noted, refused, turns }: Sending,
): Promise<void> {
  if (operations.length === 0) return;
  await turns.run(noted(operations));
  const result = await sendOperations(connection, operations, turns);
  refused.push(...result.refused);
}

async function sendList(
  connection: SwitchConnection,
  flows: FlowList,
  { noted, refused, turns }: Sending,
): Promise<void> {
  const result = { refused, rolledBackCount: 0 };
  let next = 0;
  let lastBegun: Promise<unknown> = Promise.resolve();
  const begin = async (start: number): Promise<{ readonly sent: Promise<void> }> => {
    const chunk = await turns.run(
      written(flows, { start, end: Math.min(start + LIMITS.bundleLength, flows.length), refused }),
    );
    await turns.run(noted(chunk));
    return { sent: sendSingly(connection, chunk, result) };
  };
  const worker = async (): Promise<void> => {
    while (next < flows.length) {
      const start = next;
      next += LIMITS.bundleLength;
      // One after the other, or a shorter one overtakes: their order is what keeps packets from half a pipeline.
      const begun = lastBegun.then(() => begin(start));
      lastBegun = begun;
      await (await begun).sent;
    }
  };
  await Promise.all(Array.from({ length: LIMITS.bundlesInFlight }, worker));
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly refused: Refusal[];
}

function* written(flows: FlowList, { start, end, refused }: Range): Generator<void, Operation[]> {
  const encoder = new FlowEncoder();
  const operations: Operation[] = [];
  for (let index = start; index < end; index++) {
    const templated = flows.frameAt(index);
    const desired = flows.at(index);
    try {
      if (templated === undefined) encoder.encodeDesired(desired);
      const frame = encoder.take(templated);
      operations.push({ subject: 'flow', kind: 'add', table: frameTable(frame), frame, desired });
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      refused.push({ desired, operation: undefined, error });
    }
    if (index % STEP_LENGTH === 0) yield;
  }
  return operations;
}
