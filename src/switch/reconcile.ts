/**
 * What a bridge holds against what it should hold: pure, by bytes. Serves installer.ts.
 *
 * A desired flow is encoded once and compared with the dump as it came. Only what does not meet its like by bytes is decoded
 * and encoded again by our own writer, so that another order of fields on the switch is not taken for drift for ever.
 */
import { cookieParts } from '../flow/cookie.ts';
import { HeddleError } from '../lib/errors.ts';
import { finish } from '../lib/steps.ts';
import type { RawFlow } from '../openflow/flow-dump.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import {
  decodeRawFlow,
  deleteFrame,
  FlowEncoder,
  FRAME,
  frameKey,
  frameTable,
  rawCookie,
  sameAttributes,
  sameBytes,
  u16,
} from './flow-bytes.ts';
import { FlowIndex } from './flow-index.ts';
import type { FlowOperation } from './operations.ts';
import { STEP_LENGTH } from './turns.ts';

/** A desired flow that no flow-mod can carry. */
export interface UnwritableFlow {
  readonly desired: DesiredFlow;
  readonly operation: undefined;
  readonly error: HeddleError;
}

export interface Difference {
  /** Not on the switch. */
  readonly missing: readonly FlowOperation[];
  /** On the switch with other instructions, cookie, timeouts or flags. */
  readonly changed: readonly FlowOperation[];
  /** Ours by their cookie, and wanted no more. */
  readonly stale: readonly FlowOperation[];
  /** Not ours. */
  readonly foreign: readonly FlowOperation[];
  /** Flows that learn() actions made: neither wanted nor in the way. */
  readonly learnedCount: number;
  /** Flows that are as they should be. */
  readonly sameCount: number;
  /** Could not be encoded. */
  readonly refused: readonly UnwritableFlow[];
}

/** A desired flow that has no like by bytes (yet). */
interface Unmet {
  readonly desired: DesiredFlow;
  readonly frame: Uint8Array;
  readonly installed: RawFlow | undefined;
}

/** Compare every desired flow with a whole dump. */
export function reconcile(desired: Iterable<DesiredFlow>, installed: Iterable<RawFlow>): Difference {
  return finish(reconcileSteps(desired, [installed]));
}

/** As reconcile, in steps of some tens of microseconds: who runs them may do other things in between. The dump comes in parts. */
export function* reconcileSteps(
  desired: Iterable<DesiredFlow>,
  installed: Iterable<Iterable<RawFlow>>,
): Generator<void, Difference> {
  const index = new FlowIndex();
  let stepCount = 0;
  const isStep = (): boolean => {
    stepCount = (stepCount + 1) % STEP_LENGTH;
    return stepCount === 0;
  };
  for (const part of installed) {
    for (const raw of part) {
      index.add(raw);
      if (isStep()) yield;
    }
  }
  const encoder = new FlowEncoder();
  const refused: UnwritableFlow[] = [];
  const unmet: Unmet[] = [];
  let sameCount = 0;
  for (const one of desired) {
    if (isStep()) yield;
    const error = tryEncode(encoder, one);
    if (error !== undefined) {
      refused.push({ desired: one, operation: undefined, error });
      continue;
    }
    const { frame, matchBytes, instructionBytes } = encoder;
    const raw = index.take({ table: frameTable(frame), priority: u16(frame, FRAME.priority), matchBytes });
    if (raw !== undefined && sameAttributes(frame, raw) && sameBytes(instructionBytes, raw.instructionBytes)) {
      sameCount += 1;
    } else {
      unmet.push({ desired: one, frame: encoder.take(), installed: raw });
    }
  }
  const left = new Set<RawFlow>();
  for (const raw of index.rest()) left.add(raw);
  yield;
  // On a bridge that was empty nothing can mean the same.
  if (index.isEmpty) return { ...(yield* sortOut(unmet, left)), sameCount, refused };
  const byKey = new Map<string, Unmet>();
  for (const one of unmet) {
    byKey.set(frameKey(one.frame), one);
    if (isStep()) yield;
  }
  sameCount += yield* settleByMeaning(byKey, left, encoder);
  return { ...(yield* sortOut(byKey.values(), left)), sameCount, refused };
}

function tryEncode(encoder: FlowEncoder, desired: DesiredFlow): HeddleError | undefined {
  try {
    encoder.encodeDesired(desired);
    return undefined;
  } catch (error) {
    if (error instanceof HeddleError) return error;
    throw error;
  }
}

/**
 * Bring together what means the same in other bytes. Takes out of `unmet` what is as it should be and gives their number; what
 * is on the switch under other bytes of the same match leaves `left` and becomes a change.
 */
function* settleByMeaning(
  unmet: Map<string, Unmet>,
  left: Set<RawFlow>,
  encoder: FlowEncoder,
): Generator<void, number> {
  let sameCount = 0;
  for (const [key, { installed, frame }] of unmet) {
    yield;
    if (installed !== undefined && sameAttributes(frame, installed) && sameWhenWritten(installed, frame, encoder)) {
      unmet.delete(key);
      sameCount += 1;
    }
  }
  // Nothing can meet what is left.
  if (unmet.size === 0) return sameCount;
  for (const raw of left) {
    yield;
    const flow = decodeRawFlow(raw);
    if (flow === undefined) continue;
    encoder.encode(flow);
    const met = frameKey(encoder.frame);
    const wanted = unmet.get(met);
    if (wanted === undefined || wanted.installed !== undefined) continue;
    left.delete(raw);
    if (sameAttributes(wanted.frame, raw) && sameWhenWritten(raw, wanted.frame, encoder)) {
      unmet.delete(met);
      sameCount += 1;
    } else {
      unmet.set(met, { ...wanted, installed: raw });
    }
  }
  return sameCount;
}

/** The dumped flow, decoded and written by us, is the same flow-mod. */
function sameWhenWritten(raw: RawFlow, frame: Uint8Array, encoder: FlowEncoder): boolean {
  const flow = decodeRawFlow(raw);
  if (flow === undefined) return false;
  // Flags that the switch does not keep are the desired ones'; sameAttributes has compared the others.
  encoder.encode({ ...flow, flags: u16(frame, FRAME.flags) });
  return sameBytes(encoder.frame, frame);
}

function* sortOut(
  unmet: Iterable<Unmet>,
  left: Iterable<RawFlow>,
): Generator<void, Pick<Difference, 'missing' | 'changed' | 'stale' | 'foreign' | 'learnedCount'>> {
  const missing: FlowOperation[] = [];
  const changed: FlowOperation[] = [];
  const stale: FlowOperation[] = [];
  const foreign: FlowOperation[] = [];
  let learnedCount = 0;
  for (const { desired, frame, installed } of unmet) {
    yield;
    const table = frameTable(frame);
    if (installed === undefined) missing.push({ subject: 'flow', kind: 'add', table, frame, desired });
    else changed.push({ subject: 'flow', kind: 'modify', table, frame, desired, installed });
  }
  for (const raw of left) {
    yield;
    const kind = cookieParts(rawCookie(raw))?.kind;
    // The controller's own are about other things than packets (election.ts).
    if (kind === 'controller') continue;
    if (kind === 'learned') {
      learnedCount += 1;
      continue;
    }
    const operation = deleteInstalled(raw);
    if (kind === undefined) foreign.push(operation);
    else stale.push(operation);
  }
  return { missing, changed, stale, foreign, learnedCount };
}

export function deleteInstalled(raw: RawFlow): FlowOperation {
  return { subject: 'flow', kind: 'delete', table: raw.table, frame: deleteFrame(raw), installed: raw };
}
