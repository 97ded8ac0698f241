/**
 * OFPT_MULTIPART_REQUEST and _REPLY (OpenFlow 1.3.5 §7.3.5): one row per kind. Serves codec.ts.
 */
import { PORT } from '../flow/flow.ts';
import type { Cursor } from './cursor.ts';
import {
  readFlowSelection,
  readFlowStatsEntry,
  readFlowUpdate,
  writeFlowSelection,
  writeFlowStatsEntry,
  writeFlowUpdate,
} from './flow-codec.ts';
import { groupDescs, groupStats, meterConfigs, meterStats, PORT_STRUCT } from './group-codec.ts';
import { readMatch, writeMatch } from './match.ts';
import {
  type FlowMonitor,
  GROUP_ALL,
  METER_ALL,
  type MessageOf,
  type MultipartReply,
  type MultipartRequest,
  type PortStats,
  TABLE_ALL,
  type TableStats,
} from './messages.ts';
import { ONF_EXPERIMENTER } from './oxm.ts';
import type { Slab } from './slab.ts';
import { type Struct, struct } from './struct.ts';
import { WireError } from './wire-error.ts';

const MORE = 1;
const EXPERIMENTER = 0xffff;
/** ONFST_FLOW_MONITOR (ONF extension 187). */
const ONF_FLOW_MONITOR = 1870;

type Kind = MultipartReply['kind'];
type RequestOf<K extends Kind> = Extract<MultipartRequest, { kind: K }>;
type ReplyOf<K extends Kind> = Extract<MultipartReply, { kind: K }>;

interface MultipartRow<K extends Kind> {
  readonly code: number;
  /** Of experimenter kinds: the experimenter's id and type. */
  readonly experimenter?: readonly [id: number, type: number];
  writeRequest(slab: Slab, request: RequestOf<K>): void;
  readRequest(cursor: Cursor): RequestOf<K>;
  writeReply(slab: Slab, reply: ReplyOf<K>): void;
  readReply(cursor: Cursor): ReplyOf<K>;
}

type DescReply = Omit<ReplyOf<'desc'>, 'kind'>;
const DESC = struct<DescReply>(
  ['manufacturer', 'text', 256],
  ['hardware', 'text', 256],
  ['software', 'text', 256],
  ['serialNumber', 'text', 32],
  ['datapath', 'text', 256],
);

const AGGREGATE = struct<Omit<ReplyOf<'aggregate'>, 'kind'>>(
  ['packetCount', 'u64'],
  ['byteCount', 'u64'],
  ['flowCount', 'u32'],
  ['', 'pad', 4],
);

const TABLE_STATS = struct<TableStats>(
  ['table', 'u8'],
  ['', 'pad', 3],
  ['activeCount', 'u32'],
  ['lookupCount', 'u64'],
  ['matchedCount', 'u64'],
);

const PORT_STATS = struct<PortStats>(
  ['port', 'u32'],
  ['', 'pad', 4],
  ['receivedPackets', 'u64'],
  ['sentPackets', 'u64'],
  ['receivedBytes', 'u64'],
  ['sentBytes', 'u64'],
  ['receiveDropped', 'u64'],
  ['sendDropped', 'u64'],
  ['receiveErrors', 'u64'],
  ['sendErrors', 'u64'],
  ['frameErrors', 'u64'],
  ['overrunErrors', 'u64'],
  ['crcErrors', 'u64'],
  ['collisions', 'u64'],
  ['durationS', 'u32'],
  ['durationNs', 'u32'],
);

const METER_FEATURES = struct<Omit<ReplyOf<'meterFeatures'>, 'kind'>>(
  ['maxMeter', 'u32'],
  ['bandTypes', 'u32'],
  ['capabilities', 'u32'],
  ['maxBands', 'u8'],
  ['maxColor', 'u8'],
  ['', 'pad', 2],
);

/** A number that selects, with its padding: the request of statistics by port, group or meter. */
function writeSelector(slab: Slab, value: number): void {
  slab.u32(value);
  slab.reserve(4);
}

function readSelector(cursor: Cursor): number {
  const value = cursor.u32();
  cursor.take(4);
  return value;
}

const none = (): void => {};

/** A kind whose request says nothing. */
function bare<K extends 'desc' | 'table' | 'portDesc' | 'groupDesc' | 'groupFeatures' | 'meterFeatures'>(
  kind: K,
): { writeRequest: () => void; readRequest: () => { kind: K } } {
  return { writeRequest: none, readRequest: () => ({ kind }) };
}

function writeAll<T extends object>(slab: Slab, type: Struct<T>, values: readonly T[]): void {
  for (const value of values) type.write(slab, value);
}

function readAll<T>(cursor: Cursor, read: (cursor: Cursor) => T): T[] {
  const values: T[] = [];
  while (cursor.left > 0) values.push(read(cursor));
  return values;
}

function writeMonitor(slab: Slab, monitor: FlowMonitor): void {
  slab.u32(monitor.id);
  slab.u16(monitor.flags);
  const matchSize = slab.reserve(2);
  slab.u32(monitor.outPort ?? PORT.any);
  slab.u8(monitor.table ?? TABLE_ALL);
  slab.reserve(3);
  const match = slab.end;
  writeMatch(slab, monitor.match ?? {});
  slab.view.setUint16(matchSize, slab.view.getUint16(match + 2));
}

function readMonitor(cursor: Cursor): Required<FlowMonitor> {
  const id = cursor.u32();
  const flags = cursor.u16();
  cursor.take(2);
  const outPort = cursor.u32();
  const table = cursor.u8();
  cursor.take(3);
  return { id, flags, outPort, table, match: readMatch(cursor) };
}

function readFlows(cursor: Cursor): ReplyOf<'flow'> {
  const flows: ReplyOf<'flow'>['flows'][number][] = [];
  while (cursor.offset < cursor.end) flows.push(readFlowStatsEntry(cursor));
  return { kind: 'flow', flows };
}

function readGroupFeatures(cursor: Cursor): ReplyOf<'groupFeatures'> {
  const types = cursor.u32();
  const capabilities = cursor.u32();
  const maxGroups = [cursor.u32(), cursor.u32(), cursor.u32(), cursor.u32()];
  return {
    kind: 'groupFeatures',
    types,
    capabilities,
    maxGroups,
    actions: [cursor.u32(), cursor.u32(), cursor.u32(), cursor.u32()],
  };
}

function writeGroupFeatures(slab: Slab, reply: ReplyOf<'groupFeatures'>): void {
  slab.u32(reply.types);
  slab.u32(reply.capabilities);
  for (let type = 0; type < 4; type++) slab.u32(reply.maxGroups[type] ?? 0);
  for (let type = 0; type < 4; type++) slab.u32(reply.actions[type] ?? 0);
}

const MULTIPART = {
  desc: {
    code: 0,
    ...bare('desc'),
    writeReply: (slab, reply) => DESC.write(slab, reply),
    readReply: (cursor) => ({ kind: 'desc', ...DESC.read(cursor) }),
  },
  flow: {
    code: 1,
    writeRequest: writeFlowSelection,
    readRequest: (cursor) => ({ kind: 'flow', ...readFlowSelection(cursor) }),
    writeReply(slab, reply) {
      for (const stats of reply.flows) writeFlowStatsEntry(slab, stats);
    },
    readReply: readFlows,
  },
  aggregate: {
    code: 2,
    writeRequest: writeFlowSelection,
    readRequest: (cursor) => ({ kind: 'aggregate', ...readFlowSelection(cursor) }),
    writeReply: (slab, reply) => AGGREGATE.write(slab, reply),
    readReply: (cursor) => ({ kind: 'aggregate', ...AGGREGATE.read(cursor) }),
  },
  table: {
    code: 3,
    ...bare('table'),
    writeReply: (slab, reply) => writeAll(slab, TABLE_STATS, reply.tables),
    readReply: (cursor) => ({ kind: 'table', tables: TABLE_STATS.readAll(cursor) }),
  },
  portStats: {
    code: 4,
    writeRequest: (slab, request) => writeSelector(slab, request.port ?? PORT.any),
    readRequest: (cursor) => ({ kind: 'portStats', port: readSelector(cursor) }),
    writeReply: (slab, reply) => writeAll(slab, PORT_STATS, reply.ports),
    readReply: (cursor) => ({ kind: 'portStats', ports: PORT_STATS.readAll(cursor) }),
  },
  group: {
    code: 6,
    writeRequest: (slab, request) => writeSelector(slab, request.group ?? GROUP_ALL),
    readRequest: (cursor) => ({ kind: 'group', group: readSelector(cursor) }),
    writeReply: (slab, reply) => groupStats.write(slab, reply.groups),
    readReply: (cursor) => ({ kind: 'group', groups: readAll(cursor, groupStats.read) }),
  },
  groupDesc: {
    code: 7,
    ...bare('groupDesc'),
    writeReply: (slab, reply) => groupDescs.write(slab, reply.groups),
    readReply: (cursor) => ({ kind: 'groupDesc', groups: readAll(cursor, groupDescs.read) }),
  },
  groupFeatures: { code: 8, ...bare('groupFeatures'), writeReply: writeGroupFeatures, readReply: readGroupFeatures },
  meter: {
    code: 9,
    writeRequest: (slab, request) => writeSelector(slab, request.meter ?? METER_ALL),
    readRequest: (cursor) => ({ kind: 'meter', meter: readSelector(cursor) }),
    writeReply: (slab, reply) => meterStats.write(slab, reply.meters),
    readReply: (cursor) => ({ kind: 'meter', meters: readAll(cursor, meterStats.read) }),
  },
  meterConfig: {
    code: 10,
    writeRequest: (slab, request) => writeSelector(slab, request.meter ?? METER_ALL),
    readRequest: (cursor) => ({ kind: 'meterConfig', meter: readSelector(cursor) }),
    writeReply: (slab, reply) => meterConfigs.write(slab, reply.meters),
    readReply: (cursor) => ({ kind: 'meterConfig', meters: readAll(cursor, meterConfigs.read) }),
  },
  meterFeatures: {
    code: 11,
    ...bare('meterFeatures'),
    writeReply: (slab, reply) => METER_FEATURES.write(slab, reply),
    readReply: (cursor) => ({ kind: 'meterFeatures', ...METER_FEATURES.read(cursor) }),
  },
  tableFeatures: {
    code: 12,
    writeRequest: (slab, request) => slab.raw(request.data),
    readRequest: (cursor) => ({ kind: 'tableFeatures', data: cursor.copy() }),
    writeReply: (slab, reply) => slab.raw(reply.data),
    readReply: (cursor) => ({ kind: 'tableFeatures', data: cursor.copy() }),
  },
  portDesc: {
    code: 13,
    ...bare('portDesc'),
    writeReply: (slab, reply) => writeAll(slab, PORT_STRUCT, reply.ports),
    readReply: (cursor) => ({ kind: 'portDesc', ports: PORT_STRUCT.readAll(cursor) }),
  },
  flowMonitor: {
    code: EXPERIMENTER,
    experimenter: [ONF_EXPERIMENTER, ONF_FLOW_MONITOR],
    writeRequest(slab, request) {
      for (const monitor of request.monitors) writeMonitor(slab, monitor);
    },
    readRequest: (cursor) => ({ kind: 'flowMonitor', monitors: readAll(cursor, readMonitor) }),
    writeReply(slab, reply) {
      for (const update of reply.updates) writeFlowUpdate(slab, update);
    },
    readReply: (cursor) => ({ kind: 'flowMonitor', updates: readAll(cursor, readFlowUpdate) }),
  },
  /** What is left: written with the ids that the message names. */
  experimenter: {
    code: EXPERIMENTER,
    writeRequest: writeOpaque,
    readRequest: readOpaque,
    writeReply: writeOpaque,
    readReply: readOpaque,
  },
} as const satisfies { readonly [K in Kind]: MultipartRow<K> };

function writeOpaque(slab: Slab, body: RequestOf<'experimenter'>): void {
  slab.u32(body.experimenter);
  slab.u32(body.experimenterType);
  slab.raw(body.data);
}

function readOpaque(cursor: Cursor): RequestOf<'experimenter'> {
  return { kind: 'experimenter', experimenter: cursor.u32(), experimenterType: cursor.u32(), data: cursor.copy() };
}

type AnyRow = MultipartRow<Kind>;
const ROWS = Object.values(MULTIPART as unknown as Readonly<Record<string, AnyRow>>);

/** The row of what the cursor stands at; of a known experimenter kind, past its ids. */
function rowAt(cursor: Cursor): AnyRow {
  const start = cursor.offset;
  const code = cursor.u16();
  cursor.take(6);
  if (code !== EXPERIMENTER) {
    const row = ROWS.find((candidate) => candidate.code === code);
    if (row === undefined) throw new WireError('UNKNOWN_TYPE', start, `a multipart message of type ${code}`);
    return row;
  }
  const ids = cursor.offset;
  const experimenter = cursor.u32();
  const type = cursor.u32();
  const row = ROWS.find(({ experimenter: known }) => known?.[0] === experimenter && known[1] === type);
  if (row === undefined) cursor.offset = ids;
  return row ?? (MULTIPART.experimenter as unknown as AnyRow);
}

function writeHead(slab: Slab, row: AnyRow, more: boolean): void {
  slab.u16(row.code);
  slab.u16(more ? MORE : 0);
  slab.reserve(4);
  if (row.experimenter === undefined) return;
  slab.u32(row.experimenter[0]);
  slab.u32(row.experimenter[1]);
}

function rowOf(kind: Kind): AnyRow {
  return MULTIPART[kind] as unknown as AnyRow;
}

export function writeMultipartRequest(slab: Slab, { body, more }: MessageOf<'multipartRequest'>): void {
  const row = rowOf(body.kind);
  writeHead(slab, row, more);
  row.writeRequest(slab, body as RequestOf<Kind>);
}

export function readMultipartRequest(cursor: Cursor, xid: number): MessageOf<'multipartRequest'> {
  const flags = cursor.offset + 2;
  const row = rowAt(cursor);
  const body = row.readRequest(cursor);
  return { type: 'multipartRequest', xid, more: (cursor.view.getUint16(flags) & MORE) !== 0, body };
}

export function writeMultipartReply(slab: Slab, { body, more }: MessageOf<'multipartReply'>): void {
  const row = rowOf(body.kind);
  writeHead(slab, row, more);
  row.writeReply(slab, body as ReplyOf<Kind>);
}

export function readMultipartReply(cursor: Cursor, xid: number): MessageOf<'multipartReply'> {
  const flags = cursor.offset + 2;
  const row = rowAt(cursor);
  const body = row.readReply(cursor);
  return { type: 'multipartReply', xid, more: (cursor.view.getUint16(flags) & MORE) !== 0, body };
}
