/**
 * Flow dumps kept as bytes: what a reconcile compares with encoded flow-mods without decoding either. Serves connection.ts
 * and switch/.
 *
 * An entry of a flow-stats reply (ofp_flow_stats, OpenFlow 1.3.5 §7.3.5.2):
 *
 *      0       2      3    4           8           12        14       16       18      20     24        32
 *     +--------+------+----+-----------+-----------+---------+--------+--------+-------+------+---------+----
 *     | length | table| pad| durationS | durationNs| priority| idle   | hard   | flags | pad  | cookie  | ...
 *     +--------+------+----+-----------+-----------+---------+--------+--------+-------+------+---------+----
 *     32 packet count, 40 byte count, 48 ofp_match (padded to 8), then instructions
 */
import { HeddleError } from '../lib/errors.ts';

/** One installed flow, its match and instructions as they came. */
export interface RawFlow {
  readonly table: number;
  readonly priority: number;
  readonly idleTimeoutS: number;
  readonly hardTimeoutS: number;
  /** Bits of FLOW_FLAGS. */
  readonly flags: number;
  /** The cookie as two 32-bit halves: no bigint per flow. */
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /** ofp_match: type, length and OXMs, without the pad behind them. */
  readonly matchBytes: Uint8Array;
  /** All instructions; empty: drop. */
  readonly instructionBytes: Uint8Array;
  /** The whole ofp_flow_stats entry. */
  readonly bytes: Uint8Array;
}

/** Header (8), multipart header (8). */
const ENTRIES_OFFSET = 16;
const MATCH_OFFSET = 48;
const MATCH_SIZE_MIN = 4;
const TABLE_STATS_SIZE = 24;

/** OFPMPF_REPLY_MORE of a multipart reply frame (OpenFlow 1.3.5 §7.3.5). */
export function multipartHasMore(frame: Uint8Array): boolean {
  return ((frame[11] ?? 0) & 1) !== 0;
}

/** All entries of the parts of a flow-stats reply; as cutFlows. */
export function cutFlowDump(frames: readonly Uint8Array[]): RawFlow[] {
  const flows: RawFlow[] = [];
  for (const frame of frames) for (const flow of cutFlows(frame)) flows.push(flow);
  return flows;
}

/**
 * Cut one part of a flow-stats reply into entries, which are views on it. Throws HeddleError BAD_FLOW_DUMP when a declared
 * length does not fit.
 */
export function cutFlows(frame: Uint8Array): RawFlow[] {
  const flows: RawFlow[] = [];
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let offset = ENTRIES_OFFSET;
  while (offset < frame.length) {
    if (offset + MATCH_OFFSET + MATCH_SIZE_MIN > frame.length) throw bad('an entry is cut short', offset);
    const end = offset + view.getUint16(offset);
    const matchStart = offset + MATCH_OFFSET;
    const matchEnd = matchStart + view.getUint16(matchStart + 2);
    const instructionStart = matchStart + ((matchEnd - matchStart + 7) & ~7);
    if (end > frame.length || matchEnd < matchStart + MATCH_SIZE_MIN || instructionStart > end) {
      throw bad('a length does not fit', offset);
    }
    flows.push({
      table: view.getUint8(offset + 2),
      priority: view.getUint16(offset + 12),
      idleTimeoutS: view.getUint16(offset + 14),
      hardTimeoutS: view.getUint16(offset + 16),
      flags: view.getUint16(offset + 18),
      cookieHigh: view.getUint32(offset + 24),
      cookieLow: view.getUint32(offset + 28),
      matchBytes: frame.subarray(matchStart, matchEnd),
      instructionBytes: frame.subarray(instructionStart, end),
      bytes: frame.subarray(offset, end),
    });
    offset = end;
  }
  return flows;
}

/** Flows of each table that has any, from the parts of a table-stats reply (ofp_table_stats, OpenFlow 1.3.5 §7.3.5.3). */
export function flowCounts(frames: readonly Uint8Array[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const frame of frames) {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    for (let offset = ENTRIES_OFFSET; offset + TABLE_STATS_SIZE <= frame.length; offset += TABLE_STATS_SIZE) {
      const count = view.getUint32(offset + 4);
      if (count > 0) counts.set(view.getUint8(offset), count);
    }
  }
  return counts;
}

function bad(what: string, offset: number): HeddleError {
  return new HeddleError('BAD_FLOW_DUMP', `unreadable flow dump: ${what} at byte ${offset} of a part`, { offset });
}
