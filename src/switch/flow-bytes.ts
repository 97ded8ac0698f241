/**
 * Flows as the bytes by which they are compared and sent. Serves reconcile.ts and installer.ts.
 */
import { TemplatedFlow } from '../compiler/templates.ts';
import { FLOW_FLAGS, type Flow } from '../flow/flow.ts';
import { readFlowStats, writeFlowMod } from '../openflow/codec.ts';
import { OFPT_FLOW_MOD, OPENFLOW_VERSION } from '../openflow/flow-codec.ts';
import type { RawFlow } from '../openflow/flow-dump.ts';
import { FLOW_MOD_COMMANDS, type FlowModCommand } from '../openflow/messages.ts';
import { Slab } from '../openflow/slab.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';

/** Offsets in ofp_flow_mod (OpenFlow 1.3.5 §7.3.4.1). */
export const FRAME = {
  cookieHigh: 8,
  cookieLow: 12,
  table: 24,
  idleTimeout: 26,
  hardTimeout: 28,
  priority: 30,
  flags: 44,
  match: 48,
} as const;
/** What of a flow's flags the switch keeps, and dumps. */
const KEPT_FLAGS = FLOW_FLAGS.sendFlowRemoved.bit | FLOW_FLAGS.noPacketCounts.bit | FLOW_FLAGS.noByteCounts.bit;

/** A flow-mod of the usual kind; the slab grows for others. */
const USUAL_SIZE = 1024;
const POOL_SIZE = 16 * 1024;
const EMPTY = new Uint8Array(0);

/**
 * Writes one flow-mod at a time into one slab. `frame`, `matchBytes` and `instructionBytes` are views on it, right until the
 * next flow is encoded, by whomever; `take` copies the frame for sending.
 */
export class FlowEncoder {
  readonly #slab = new Slab(USUAL_SIZE);
  #pool: Uint8Array = EMPTY;
  #taken = 0;
  frame: Uint8Array = EMPTY;
  matchBytes: Uint8Array = EMPTY;
  instructionBytes: Uint8Array = EMPTY;

  /** Throws WireError for a flow that no message can carry. */
  encode(flow: Flow, command: FlowModCommand = 'add'): void {
    const slab = this.#slab;
    slab.rewind(0);
    writeFlowMod(slab, { flow, command, xid: 0 });
    this.frame = slab.bytes.subarray(0, slab.end);
    const matchEnd = FRAME.match + slab.view.getUint16(FRAME.match + 2);
    this.matchBytes = slab.bytes.subarray(FRAME.match, matchEnd);
    this.instructionBytes = slab.bytes.subarray(FRAME.match + paddedTo8(matchEnd - FRAME.match), slab.end);
  }

  /** As encode. A flow of which there are thousands is not made a value for it. */
  encodeDesired(desired: DesiredFlow, command: FlowModCommand = 'add'): void {
    if (!(desired instanceof TemplatedFlow) || command !== 'add') {
      this.encode(desired.flow, command);
      return;
    }
    const { frame, matchBytes, instructionBytes } = desired.encoded();
    this.frame = frame;
    this.matchBytes = matchBytes;
    this.instructionBytes = instructionBytes;
  }

  /** A copy of the frame, or of another. Taken frames stand side by side: memory of its own for each of 100,000 would be most of what a cold sync costs. */
  take(frame: Uint8Array = this.frame): Uint8Array {
    if (this.#taken + frame.length > this.#pool.length) {
      this.#pool = new Uint8Array(Math.max(POOL_SIZE, frame.length));
      this.#taken = 0;
    }
    const start = this.#taken;
    this.#taken += frame.length;
    this.#pool.set(frame, start);
    return this.#pool.subarray(start, this.#taken);
  }
}

function paddedTo8(size: number): number {
  return (size + 7) & ~7;
}

/** What OpenFlow takes for identity, as a string: table, priority and the bytes of the match. */
export function byteKey(table: number, priority: number, matchBytes: Uint8Array): string {
  const { buffer, byteOffset, byteLength } = matchBytes;
  return String.fromCharCode(table, priority) + Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}

/** byteKey of a flow-mod. */
export function frameKey(frame: Uint8Array): string {
  const matchEnd = FRAME.match + u16(frame, FRAME.match + 2);
  return byteKey(frameTable(frame), u16(frame, FRAME.priority), frame.subarray(FRAME.match, matchEnd));
}

export function frameTable(frame: Uint8Array): number {
  return frame[FRAME.table] ?? 0;
}

export function u16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

export function u32(bytes: Uint8Array, offset: number): number {
  return u16(bytes, offset) * 0x1_0000 + u16(bytes, offset + 2);
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  // A call into the runtime costs more than the comparison of the few bytes of a match.
  for (let index = 0; index < left.length; index += 1) if (left[index] !== right[index]) return false;
  return true;
}

/** The flow-mod asks for what the switch says. */
export function sameAttributes(frame: Uint8Array, raw: RawFlow): boolean {
  return (
    u16(frame, FRAME.idleTimeout) === raw.idleTimeoutS &&
    u16(frame, FRAME.hardTimeout) === raw.hardTimeoutS &&
    (u16(frame, FRAME.flags) & KEPT_FLAGS) === (raw.flags & KEPT_FLAGS) &&
    u32(frame, FRAME.cookieLow) === raw.cookieLow &&
    u32(frame, FRAME.cookieHigh) === raw.cookieHigh
  );
}

/** The cookie of a dumped flow. */
export function rawCookie(raw: RawFlow): bigint {
  return (BigInt(raw.cookieHigh) << 32n) | BigInt(raw.cookieLow);
}

/** The flow of a dump entry as a value; undefined when it holds something that we do not know. */
export function decodeRawFlow(raw: RawFlow): Flow | undefined {
  const stats = readFlowStats(raw.bytes);
  return stats.unknown === undefined ? stats.flow : undefined;
}

/** DELETE_STRICT for a dumped flow, by its bytes: also for flows that hold what we do not know. */
export function deleteFrame(raw: Pick<RawFlow, 'table' | 'priority' | 'matchBytes'>): Uint8Array {
  const frame = Buffer.alloc(FRAME.match + paddedTo8(raw.matchBytes.length));
  frame.writeUInt8(OPENFLOW_VERSION, 0);
  frame.writeUInt8(OFPT_FLOW_MOD, 1);
  frame.writeUInt16BE(frame.length, 2);
  frame.writeUInt8(raw.table, FRAME.table);
  frame.writeUInt8(FLOW_MOD_COMMANDS.deleteStrict, FRAME.table + 1);
  frame.writeUInt16BE(raw.priority, FRAME.priority);
  // buffer_id, out_port and out_group: none, any, any.
  frame.fill(0xff, FRAME.priority + 2, FRAME.priority + 14);
  frame.set(raw.matchBytes, FRAME.match);
  return frame;
}
