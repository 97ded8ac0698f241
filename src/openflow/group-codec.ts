/**
 * Ports, groups and meters on the wire: in their own messages (OpenFlow 1.3.5 §7.2.1, §7.3.4.2, §7.3.4.3) and in multipart
 * replies (§7.3.5). Serves multipart-codec.ts and message-codec.ts.
 */
import type { Action } from '../flow/action.ts';
import { readActions, writeActions } from './actions.ts';
import type { Cursor } from './cursor.ts';
import {
  type Bucket,
  GROUP_MOD_COMMANDS,
  GROUP_TYPES,
  type Group,
  type GroupModCommand,
  type GroupStats,
  type GroupType,
  METER_MOD_COMMANDS,
  type MessageOf,
  type Meter,
  type MeterBand,
  type MeterModCommand,
  type MeterStats,
  type Port,
} from './messages.ts';
import type { Slab } from './slab.ts';
import { struct } from './struct.ts';
import { WireError } from './wire-error.ts';

const BANDS = { drop: 1, dscpRemark: 2, experimenter: 0xffff } as const;
const GROUP_TYPE_NAMES = Object.keys(GROUP_TYPES) as readonly GroupType[];

/** ofp_port (OpenFlow 1.3.5 §7.2.1). */
export const PORT_STRUCT = struct<Port>(
  ['port', 'u32'],
  ['', 'pad', 4],
  ['macAddress', 'u48'],
  ['', 'pad', 2],
  ['name', 'text', 16],
  ['config', 'u32'],
  ['state', 'u32'],
  ['current', 'u32'],
  ['advertised', 'u32'],
  ['supported', 'u32'],
  ['peer', 'u32'],
  ['currentSpeedKbps', 'u32'],
  ['maxSpeedKbps', 'u32'],
);

interface Counts {
  readonly packetCount: bigint;
  readonly byteCount: bigint;
}
const COUNTS = struct<Counts>(['packetCount', 'u64'], ['byteCount', 'u64']);

const GROUP_STATS = struct<Omit<GroupStats, 'buckets'>>(
  ['group', 'u32'],
  ['referenceCount', 'u32'],
  ['', 'pad', 4],
  ['packetCount', 'u64'],
  ['byteCount', 'u64'],
  ['durationS', 'u32'],
  ['durationNs', 'u32'],
);

const METER_STATS = struct<Omit<MeterStats, 'meter' | 'bands'>>(
  ['flowCount', 'u32'],
  ['packetCount', 'u64'],
  ['byteCount', 'u64'],
  ['durationS', 'u32'],
  ['durationNs', 'u32'],
);

function writeBucket(slab: Slab, bucket: Bucket): void {
  const start = slab.reserve(2);
  slab.u16(bucket.weight);
  slab.u32(bucket.watchPort);
  slab.u32(bucket.watchGroup);
  slab.reserve(4);
  writeActions(slab, bucket.actions);
  slab.setLength(start, 0);
}

function readBucket(cursor: Cursor): Bucket {
  const start = cursor.offset;
  const size = cursor.u16();
  const outer = cursor.narrow(start, size, 'a bucket');
  const end = cursor.end;
  const weight = cursor.u16();
  const watchPort = cursor.u32();
  const watchGroup = cursor.u32();
  cursor.take(4);
  let actions: Action[] = [];
  let unknown: string | undefined;
  try {
    actions = readActions(cursor);
  } catch (error) {
    if (!(error instanceof WireError) || !error.unknown) throw error;
    unknown = error.message;
    cursor.offset = end;
    cursor.depth = 0;
  }
  cursor.end = outer;
  const bucket = { weight, watchPort, watchGroup, actions };
  return unknown === undefined ? bucket : { ...bucket, unknown };
}

function readBuckets(cursor: Cursor): Bucket[] {
  const buckets: Bucket[] = [];
  while (cursor.left > 0) buckets.push(readBucket(cursor));
  return buckets;
}

function groupType(cursor: Cursor): GroupType {
  const offset = cursor.offset;
  const type = GROUP_TYPE_NAMES[cursor.u8()];
  if (type === undefined) throw new WireError('BAD_VALUE', offset, 'a group of unknown type');
  return type;
}

/** ofp_group_desc */
export const groupDescs = {
  write(slab: Slab, groups: readonly Group[]): void {
    for (const group of groups) {
      const start = slab.reserve(2);
      slab.u8(GROUP_TYPES[group.groupType]);
      slab.reserve(1);
      slab.u32(group.group);
      for (const bucket of group.buckets) writeBucket(slab, bucket);
      slab.setLength(start, 0);
    }
  },
  read(this: void, cursor: Cursor): Group {
    const start = cursor.offset;
    const outer = cursor.narrow(start, cursor.u16(), 'a group');
    const type = groupType(cursor);
    cursor.take(1);
    const group = { group: cursor.u32(), groupType: type, buckets: readBuckets(cursor) };
    cursor.end = outer;
    return group;
  },
} as const;

/** ofp_group_stats */
export const groupStats = {
  write(slab: Slab, groups: readonly GroupStats[]): void {
    for (const group of groups) {
      const start = slab.reserve(4);
      GROUP_STATS.write(slab, group);
      for (const bucket of group.buckets) COUNTS.write(slab, bucket);
      slab.setLength(start, 0);
    }
  },
  read(this: void, cursor: Cursor): GroupStats {
    const start = cursor.offset;
    const outer = cursor.narrow(start, cursor.u16(), 'statistics of a group');
    cursor.take(2);
    const group = { ...GROUP_STATS.read(cursor), buckets: COUNTS.readAll(cursor) };
    cursor.end = outer;
    return group;
  },
} as const;

export function writeGroupMod(slab: Slab, message: MessageOf<'groupMod'>): void {
  slab.u16(GROUP_MOD_COMMANDS[message.command]);
  slab.u8(GROUP_TYPES[message.groupType]);
  slab.reserve(1);
  slab.u32(message.group);
  for (const bucket of message.buckets) writeBucket(slab, bucket);
}

export function readGroupMod(cursor: Cursor, xid: number): MessageOf<'groupMod'> {
  const offset = cursor.offset;
  const command = (Object.keys(GROUP_MOD_COMMANDS) as GroupModCommand[])[cursor.u16()];
  if (command === undefined) throw new WireError('BAD_VALUE', offset, 'a group-mod of unknown command');
  const type = groupType(cursor);
  cursor.take(1);
  return { type: 'groupMod', xid, command, group: cursor.u32(), groupType: type, buckets: readBuckets(cursor) };
}

function writeBand(slab: Slab, band: MeterBand): void {
  slab.u16(BANDS[band.type]);
  slab.u16(16);
  slab.u32(band.rate);
  slab.u32(band.burstSize);
  if (band.type === 'dscpRemark') {
    slab.u8(band.precedenceLevel);
    slab.reserve(3);
  } else {
    slab.u32(band.type === 'experimenter' ? band.experimenter : 0);
  }
}

function readBand(cursor: Cursor): MeterBand {
  const start = cursor.offset;
  const type = cursor.u16();
  const outer = cursor.narrow(start, cursor.u16(), 'a meter band');
  const rate = cursor.u32();
  const burstSize = cursor.u32();
  const last = cursor.u32();
  cursor.offset = cursor.end;
  cursor.end = outer;
  switch (type) {
    case BANDS.drop:
      return { type: 'drop', rate, burstSize };
    case BANDS.dscpRemark:
      return { type: 'dscpRemark', rate, burstSize, precedenceLevel: last >>> 24 };
    case BANDS.experimenter:
      return { type: 'experimenter', rate, burstSize, experimenter: last };
    default:
      throw new WireError('BAD_VALUE', start, `a meter band of type ${type}`);
  }
}

function readBands(cursor: Cursor): MeterBand[] {
  const bands: MeterBand[] = [];
  while (cursor.left > 0) bands.push(readBand(cursor));
  return bands;
}

/** ofp_meter_config */
export const meterConfigs = {
  write(slab: Slab, meters: readonly Meter[]): void {
    for (const meter of meters) {
      const start = slab.reserve(2);
      slab.u16(meter.flags);
      slab.u32(meter.meter);
      for (const band of meter.bands) writeBand(slab, band);
      slab.setLength(start, 0);
    }
  },
  read(this: void, cursor: Cursor): Meter {
    const start = cursor.offset;
    const outer = cursor.narrow(start, cursor.u16(), 'a meter');
    const flags = cursor.u16();
    const meter = { meter: cursor.u32(), flags, bands: readBands(cursor) };
    cursor.end = outer;
    return meter;
  },
} as const;

/** ofp_meter_stats */
export const meterStats = {
  write(slab: Slab, meters: readonly MeterStats[]): void {
    for (const meter of meters) {
      slab.u32(meter.meter);
      const start = slab.end - 4;
      const size = slab.reserve(8);
      METER_STATS.write(slab, meter);
      for (const band of meter.bands) COUNTS.write(slab, band);
      slab.view.setUint16(size, slab.end - start);
    }
  },
  read(this: void, cursor: Cursor): MeterStats {
    const start = cursor.offset;
    const meter = cursor.u32();
    const outer = cursor.narrow(start, cursor.u16(), 'statistics of a meter');
    cursor.take(6);
    const stats = { meter, ...METER_STATS.read(cursor), bands: COUNTS.readAll(cursor) };
    cursor.end = outer;
    return stats;
  },
} as const;

export function writeMeterMod(slab: Slab, message: MessageOf<'meterMod'>): void {
  slab.u16(METER_MOD_COMMANDS[message.command]);
  slab.u16(message.flags);
  slab.u32(message.meter);
  for (const band of message.bands) writeBand(slab, band);
}

export function readMeterMod(cursor: Cursor, xid: number): MessageOf<'meterMod'> {
  const offset = cursor.offset;
  const command = (Object.keys(METER_MOD_COMMANDS) as MeterModCommand[])[cursor.u16()];
  if (command === undefined) throw new WireError('BAD_VALUE', offset, 'a meter-mod of unknown command');
  const flags = cursor.u16();
  return { type: 'meterMod', xid, command, flags, meter: cursor.u32(), bands: readBands(cursor) };
}
