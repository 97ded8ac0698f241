/**
 * What a bridge holds against what it should hold: pure, by bytes. Serves installer.ts.
 *
 * A desired flow is encoded once and compared with the dump as it came. Only what does not meet its like by bytes is decoded
 * and encoded again by our own writer, so that another order of fields on the switch is not taken for drift for ever.
 */
import { cookieParts } from '../flow/cookie.ts';
import { FLOW_FLAGS } from '../flow/flow.ts';
import { HeddleError } from '../lib/errors.ts';
import type { RawFlow } from '../openflow/flow-dump.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import { byteKey, decodeRawFlow, deleteFrame, FlowEncoder, rawCookie, sameBytes } from './flow-bytes.ts';

/** A flow-mod to send. `frame` is the whole message; its xid is set by who sends it. */
export interface FlowOperation {
  readonly kind: 'add' | 'modify' | 'delete';
  readonly table: number;
  readonly frame: Uint8Array;
  /** The flow wanted, or the one that is wanted no more; absent: the flow was never ours. */
  readonly desired?: DesiredFlow;
  /** The flow found on the switch. */
  readonly installed?: RawFlow;
}

/** A desired flow that no flow-mod can carry, or that the switch refused. */
export interface RefusedFlow {
  readonly desired: DesiredFlow | undefined;
  readonly operation: FlowOperation | undefined;
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
  readonly refused: readonly RefusedFlow[];
}

/** What of a flow's flags the switch keeps, and dumps. */
const KEPT_FLAGS = FLOW_FLAGS.sendFlowRemoved.bit | FLOW_FLAGS.noPacketCounts.bit | FLOW_FLAGS.noByteCounts.bit;

/** A desired flow that has no like by bytes (yet). */
interface Unmet {
  readonly desired: DesiredFlow;
  readonly frame: Uint8Array;
  readonly installed: RawFlow | undefined;
}

/** Compare every desired flow with a whole dump. */
export function reconcile(desired: Iterable<DesiredFlow>, installed: readonly RawFlow[]): Difference {
  const byKey = new Map<string, RawFlow>();
  for (const raw of installed) byKey.set(byteKey(raw.table, raw.priority, raw.matchBytes), raw);

  const encoder = new FlowEncoder();
  const refused: RefusedFlow[] = [];
  const unmet = new Map<string, Unmet>();
  let sameCount = 0;
  for (const one of desired) {
    const error = tryEncode(encoder, one);
    if (error !== undefined) {
      refused.push({ desired: one, operation: undefined, error });
      continue;
    }
    const { frame } = encoder;
    const key = byteKey(frameTable(frame), u16(frame, FRAME.priority), encoder.matchBytes);
    const raw = byKey.get(key);
    if (raw !== undefined) byKey.delete(key);
    if (raw !== undefined && sameAttributes(frame, raw) && sameBytes(encoder.instructionBytes, raw.instructionBytes)) {
      sameCount += 1;
    } else {
      unmet.set(key, { desired: one, frame: encoder.take(), installed: raw });
    }
  }
  sameCount += settleByMeaning(unmet, byKey, encoder);
  return { ...sortOut(unmet.values(), byKey.values()), sameCount, refused };
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

/** The flow-mod asks for what the switch says. */
function sameAttributes(frame: Uint8Array, raw: RawFlow): boolean {
  return (
    u16(frame, FRAME.idleTimeout) === raw.idleTimeoutS &&
    u16(frame, FRAME.hardTimeout) === raw.hardTimeoutS &&
    (u16(frame, FRAME.flags) & KEPT_FLAGS) === (raw.flags & KEPT_FLAGS) &&
    u32(frame, FRAME.cookieLow) === raw.cookieLow &&
    u32(frame, FRAME.cookieHigh) === raw.cookieHigh
  );
}

/**
 * Bring together what means the same in other bytes. Takes out of `unmet` what is as it should be and gives their number; what
 * is on the switch under other bytes of the same match leaves `left` and becomes a change.
 */
function settleByMeaning(unmet: Map<string, Unmet>, left: Map<string, RawFlow>, encoder: FlowEncoder): number {
  let sameCount = 0;
  for (const [key, { installed, frame }] of unmet) {
    if (installed !== undefined && sameAttributes(frame, installed) && sameWhenWritten(installed, frame, encoder)) {
      unmet.delete(key);
      sameCount += 1;
    }
  }
  for (const [key, raw] of left) {
    const flow = decodeRawFlow(raw);
    if (flow === undefined) continue;
    encoder.encode(flow);
    const met = byteKey(flow.table, flow.priority, encoder.matchBytes);
    const wanted = unmet.get(met);
    if (wanted === undefined || wanted.installed !== undefined) continue;
    left.delete(key);
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

/** Offsets in ofp_flow_mod (OpenFlow 1.3.5 §7.3.4.1). */
const FRAME = {
  cookieHigh: 8,
  cookieLow: 12,
  table: 24,
  idleTimeout: 26,
  hardTimeout: 28,
  priority: 30,
  flags: 44,
} as const;

function frameTable(frame: Uint8Array): number {
  return frame[FRAME.table] ?? 0;
}

function u16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function u32(bytes: Uint8Array, offset: number): number {
  return u16(bytes, offset) * 0x1_0000 + u16(bytes, offset + 2);
}

function sortOut(
  unmet: Iterable<Unmet>,
  left: Iterable<RawFlow>,
): Pick<Difference, 'missing' | 'changed' | 'stale' | 'foreign' | 'learnedCount'> {
  const missing: FlowOperation[] = [];
  const changed: FlowOperation[] = [];
  const stale: FlowOperation[] = [];
  const foreign: FlowOperation[] = [];
  let learnedCount = 0;
  for (const { desired, frame, installed } of unmet) {
    const table = frameTable(frame);
    if (installed === undefined) missing.push({ kind: 'add', table, frame, desired });
    else changed.push({ kind: 'modify', table, frame, desired, installed });
  }
  for (const raw of left) {
    const kind = cookieParts(rawCookie(raw))?.kind;
    if (kind === 'learned') {
      learnedCount += 1;
      continue;
    }
    const operation = { kind: 'delete', table: raw.table, frame: deleteFrame(raw), installed: raw } as const;
    if (kind === undefined) foreign.push(operation);
    else stale.push(operation);
  }
  return { missing, changed, stale, foreign, learnedCount };
}
