/**
 * Flows on the wire: OFPT_FLOW_MOD (OpenFlow 1.3.5 §7.3.4.1), flow statistics (§7.3.5.2), OFPT_FLOW_REMOVED (§7.4.2) and the
 * updates of a flow monitor (ONF extension 187). `writeFlowMod` is the one writer of flow-mods.
 */
import type { Action } from '../flow/action.ts';
import type { Flow, Match } from '../flow/flow.ts';
import { PORT } from '../flow/flow.ts';
import { LIMITS } from '../lib/limits.ts';
import { Cursor } from './cursor.ts';
import { readInstructions, writeInstructions } from './instructions.ts';
import { readMatch, writeMatch } from './match.ts';
import {
  FLOW_MOD_COMMANDS,
  type FlowModCommand,
  type FlowModOptions,
  type FlowSelection,
  type FlowStats,
  type FlowUpdate,
  GROUP_ANY,
  type MessageOf,
  NO_BUFFER,
  TABLE_ALL,
} from './messages.ts';
import { Slab } from './slab.ts';
import { struct } from './struct.ts';
import { WireError } from './wire-error.ts';

export const OPENFLOW_VERSION = 4;
export const OFPT_FLOW_MOD = 14;
const HEADER_SIZE = 8;
const COMMANDS = Object.keys(FLOW_MOD_COMMANDS) as readonly FlowModCommand[];
/** Timeouts of 0 mean "never", flags of 0 "none": a flow says nothing then. */
type MutableFlow = { -readonly [Key in keyof Flow]: Flow[Key] };

/** A flow-mod: what it does with its flow, and its transaction id. */
export type FlowMod = FlowModOptions & { readonly flow: Flow; readonly xid: number };

/**
 * Append an OFPT_FLOW_MOD. Throws WireError (BAD_VALUE, TOO_LARGE) for a flow that OpenFlow 1.3 cannot say; the slab is then
 * as it was before.
 */
export function writeFlowMod(slab: Slab, flowMod: FlowMod): void {
  const start = slab.end;
  slab.limit = start + LIMITS.openflowMessageSize;
  try {
    putFlowMod(slab, flowMod);
  } catch (error) {
    slab.rewind(start);
    throw error;
  }
}

/** As writeFlowMod, within another message. */
export function putFlowMod(slab: Slab, flowMod: FlowMod): void {
  const start = slab.reserve(HEADER_SIZE);
  slab.bytes[start] = OPENFLOW_VERSION;
  slab.bytes[start + 1] = OFPT_FLOW_MOD;
  slab.view.setUint32(start + 4, flowMod.xid);
  writeFlowModBody(slab, flowMod);
  slab.setLength(start, 2);
}

/** What follows the header. */
export function writeFlowModBody(slab: Slab, flowMod: FlowMod): void {
  const flow = flowMod.flow;
  const start = slab.reserve(40);
  const { bytes, view } = slab;
  view.setBigUint64(start, flow.cookie);
  if (flowMod.cookieMask !== undefined) view.setBigUint64(start + 8, flowMod.cookieMask);
  bytes[start + 16] = flow.table;
  bytes[start + 17] = FLOW_MOD_COMMANDS[flowMod.command];
  if (flow.idleTimeoutS !== undefined) view.setUint16(start + 18, flow.idleTimeoutS);
  if (flow.hardTimeoutS !== undefined) view.setUint16(start + 20, flow.hardTimeoutS);
  view.setUint16(start + 22, flow.priority);
  view.setUint32(start + 24, flowMod.bufferId ?? NO_BUFFER);
  view.setUint32(start + 28, flowMod.outPort ?? PORT.any);
  view.setUint32(start + 32, flowMod.outGroup ?? GROUP_ANY);
  if (flow.flags !== undefined) view.setUint16(start + 36, flow.flags);
  writeMatch(slab, flow.match);
  writeInstructions(slab, flow.actions);
}

/** Read the body of an OFPT_FLOW_MOD. */
export function readFlowMod(cursor: Cursor, xid: number): MessageOf<'flowMod'> {
  const start = cursor.offset;
  const cookie = cursor.u64();
  const cookieMask = cursor.u64();
  const table = cursor.u8();
  const command = COMMANDS[cursor.u8()];
  if (command === undefined) throw new WireError('BAD_VALUE', start, 'a flow-mod of unknown command');
  const idleTimeoutS = cursor.u16();
  const hardTimeoutS = cursor.u16();
  const priority = cursor.u16();
  const bufferId = cursor.u32();
  const outPort = cursor.u32();
  const outGroup = cursor.u32();
  const flags = cursor.u16();
  cursor.take(2);
  const match = readMatch(cursor);
  const flow: MutableFlow = { table, priority, match, actions: readInstructions(cursor), cookie };
  setTimes(flow, idleTimeoutS, hardTimeoutS, flags);
  return { type: 'flowMod', xid, command, flow, cookieMask, bufferId, outPort, outGroup };
}

function setTimes(flow: MutableFlow, idleTimeoutS: number, hardTimeoutS: number, flags: number): void {
  if (idleTimeoutS !== 0) flow.idleTimeoutS = idleTimeoutS;
  if (hardTimeoutS !== 0) flow.hardTimeoutS = hardTimeoutS;
  if (flags !== 0) flow.flags = flags;
}

/** ofp_match as encodeMatch gives it, without its padding: what an installed flow's `matchBytes` compare with. */
export function encodeMatch(match: Match): Uint8Array {
  const slab = new Slab(256);
  writeMatch(slab, match);
  return slab.bytes.slice(0, slab.view.getUint16(2));
}

/** Instructions as they stand on the wire: what an installed flow's `instructionBytes` compare with. */
export function encodeInstructions(actions: readonly Action[]): Uint8Array {
  const slab = new Slab(256);
  writeInstructions(slab, actions);
  return slab.bytes.slice(0, slab.end);
}

/** Read ofp_match, with or without its padding. */
export function decodeMatch(bytes: Uint8Array): Match {
  const cursor = new Cursor(bytes);
  const match = readMatch(cursor);
  cursor.finish('a match');
  return match;
}

/** Read instructions. */
export function decodeInstructions(bytes: Uint8Array): Action[] {
  return readInstructions(new Cursor(bytes));
}

/** Match and instructions of a flow, whole or, where they hold what we do not know, as bytes and with a reason. */
interface Content {
  match: Match;
  actions: readonly Action[];
  unknown: string | undefined;
  matchBytes: Uint8Array;
  instructionBytes: Uint8Array;
}

/** Read match and instructions up to the cursor's end. Throws WireError for nonsense, not for what is merely unknown. */
function readContent(cursor: Cursor): Content {
  const { view, bytes, offset, end } = cursor;
  const matchSize = cursor.left < 4 ? 4 : view.getUint16(offset + 2);
  const instructions = offset + ((matchSize + 7) & ~7);
  if (matchSize < 4 || instructions > end) {
    throw new WireError('BAD_LENGTH', offset, `a match of ${matchSize} bytes, where ${end - offset} are left`);
  }
  const content: Content = {
    match: {},
    actions: [],
    unknown: undefined,
    matchBytes: bytes.slice(offset, offset + matchSize),
    instructionBytes: bytes.slice(instructions, end),
  };
  try {
    const match = readMatch(cursor);
    content.actions = readInstructions(cursor);
    content.match = match;
  } catch (error) {
    if (!(error instanceof WireError) || !error.unknown) throw error;
    content.unknown = error.message;
    cursor.end = end;
    cursor.depth = 0;
  }
  cursor.offset = end;
  return content;
}

/** Read one entry of a flow statistics reply (ofp_flow_stats) at the cursor. */
export function readFlowStatsEntry(cursor: Cursor): FlowStats {
  const start = cursor.offset;
  const outer = cursor.narrow(start, cursor.u16(), 'an entry of flow statistics');
  const table = cursor.u8();
  cursor.take(1);
  const durationS = cursor.u32();
  const durationNs = cursor.u32();
  const priority = cursor.u16();
  const idleTimeoutS = cursor.u16();
  const hardTimeoutS = cursor.u16();
  const flags = cursor.u16();
  cursor.take(4);
  const cookie = cursor.u64();
  const packetCount = cursor.u64();
  const byteCount = cursor.u64();
  const { match, actions, unknown, matchBytes, instructionBytes } = readContent(cursor);
  cursor.end = outer;
  const flow: MutableFlow = { table, priority, match, actions, cookie };
  setTimes(flow, idleTimeoutS, hardTimeoutS, flags);
  if (unknown === undefined) {
    return { flow, matchBytes, instructionBytes, durationS, durationNs, packetCount, byteCount };
  }
  return { flow, unknown, matchBytes, instructionBytes, durationS, durationNs, packetCount, byteCount };
}

/** Read one entry of a flow statistics reply by itself. Throws WireError. */
export function readFlowStats(bytes: Uint8Array): FlowStats {
  const cursor = new Cursor(bytes);
  const stats = readFlowStatsEntry(cursor);
  cursor.finish('an entry of flow statistics');
  return stats;
}

/** Write one entry of a flow statistics reply; what is unknown goes out as it came. */
export function writeFlowStatsEntry(slab: Slab, stats: FlowStats): void {
  const { flow } = stats;
  const start = slab.reserve(4);
  slab.view.setUint8(start + 2, flow.table);
  slab.u32(stats.durationS);
  slab.u32(stats.durationNs);
  slab.u16(flow.priority);
  slab.u16(flow.idleTimeoutS ?? 0);
  slab.u16(flow.hardTimeoutS ?? 0);
  slab.u16(flow.flags ?? 0);
  slab.reserve(4);
  slab.u64(flow.cookie);
  slab.u64(stats.packetCount);
  slab.u64(stats.byteCount);
  writeContent(slab, stats);
  slab.setLength(start, 0);
}

function writeContent(
  slab: Slab,
  content: Pick<FlowStats, 'flow' | 'unknown' | 'matchBytes' | 'instructionBytes'>,
): void {
  if (content.unknown === undefined) {
    writeMatch(slab, content.flow.match);
    writeInstructions(slab, content.flow.actions);
    return;
  }
  const start = slab.end;
  slab.raw(content.matchBytes);
  slab.pad(start);
  slab.raw(content.instructionBytes);
}

/** ofp_flow_stats_request and ofp_aggregate_stats_request (OpenFlow 1.3.5 §7.3.5.2, §7.3.5.3). */
export function writeFlowSelection(slab: Slab, selection: FlowSelection): void {
  slab.u8(selection.table ?? TABLE_ALL);
  slab.reserve(3);
  slab.u32(selection.outPort ?? PORT.any);
  slab.u32(selection.outGroup ?? GROUP_ANY);
  slab.reserve(4);
  slab.u64(selection.cookie ?? 0n);
  slab.u64(selection.cookieMask ?? 0n);
  writeMatch(slab, selection.match ?? {});
}

export function readFlowSelection(cursor: Cursor): Required<FlowSelection> {
  const table = cursor.u8();
  cursor.take(3);
  const outPort = cursor.u32();
  const outGroup = cursor.u32();
  cursor.take(4);
  const cookie = cursor.u64();
  const cookieMask = cursor.u64();
  return { table, outPort, outGroup, cookie, cookieMask, match: readMatch(cursor) };
}

type FlowRemoved = MessageOf<'flowRemoved'>;

const FLOW_REMOVED = struct<Omit<FlowRemoved, 'type' | 'xid' | 'match' | 'unknown'>>(
  ...([
    ['cookie', 'u64'],
    ['priority', 'u16'],
    ['reason', 'u8'],
    ['table', 'u8'],
    ['durationS', 'u32'],
  ] as const),
  ...([
    ['durationNs', 'u32'],
    ['idleTimeoutS', 'u16'],
    ['hardTimeoutS', 'u16'],
  ] as const),
  ...([
    ['packetCount', 'u64'],
    ['byteCount', 'u64'],
  ] as const),
);

export function writeFlowRemoved(slab: Slab, message: FlowRemoved): void {
  FLOW_REMOVED.write(slab, message);
  writeMatch(slab, message.match);
}

export function readFlowRemoved(cursor: Cursor, xid: number): FlowRemoved {
  const removed = FLOW_REMOVED.read(cursor);
  try {
    return { type: 'flowRemoved', xid, ...removed, match: readMatch(cursor) };
  } catch (error) {
    if (!(error instanceof WireError) || !error.unknown) throw error;
    cursor.offset = cursor.end;
    return { type: 'flowRemoved', xid, ...removed, match: {}, unknown: error.message };
  }
}

const UPDATE_EVENTS = ['added', 'deleted', 'modified'] as const;
const ABBREVIATED = 3;

/** Read one update of a flow monitor (struct ofp_flow_update_full and _abbrev). */
export function readFlowUpdate(cursor: Cursor): FlowUpdate {
  const start = cursor.offset;
  const size = cursor.u16();
  const code = cursor.u16();
  const outer = cursor.narrow(start, size, 'an update of a flow monitor');
  if (code === ABBREVIATED) {
    const xid = cursor.u32();
    cursor.finish('an abbreviated update');
    cursor.end = outer;
    return { event: 'abbreviated', xid };
  }
  const event = UPDATE_EVENTS[code];
  if (event === undefined) throw new WireError('BAD_VALUE', start, `event ${code} of a flow monitor`);
  const reason = cursor.u16();
  const priority = cursor.u16();
  const idleTimeoutS = cursor.u16();
  const hardTimeoutS = cursor.u16();
  cursor.take(2);
  const table = cursor.u8();
  cursor.take(1);
  const cookie = cursor.u64();
  const { match, actions, unknown, matchBytes, instructionBytes } = readContent(cursor);
  cursor.end = outer;
  const flow: MutableFlow = { table, priority, match, actions, cookie };
  setTimes(flow, idleTimeoutS, hardTimeoutS, 0);
  const update = { event, reason, flow, matchBytes, instructionBytes };
  return unknown === undefined ? update : { ...update, unknown };
}

export function writeFlowUpdate(slab: Slab, update: FlowUpdate): void {
  const start = slab.reserve(2);
  if (update.event === 'abbreviated') {
    slab.u16(ABBREVIATED);
    slab.u32(update.xid);
    slab.setLength(start, 0);
    return;
  }
  const { flow } = update;
  slab.u16(UPDATE_EVENTS.indexOf(update.event));
  slab.u16(update.reason);
  slab.u16(flow.priority);
  slab.u16(flow.idleTimeoutS ?? 0);
  slab.u16(flow.hardTimeoutS ?? 0);
  const matchSize = slab.reserve(2);
  slab.u8(flow.table);
  slab.reserve(1);
  slab.u64(flow.cookie);
  const match = slab.end;
  writeContent(slab, update);
  slab.view.setUint16(matchSize, slab.view.getUint16(match + 2));
  slab.setLength(start, 0);
}
