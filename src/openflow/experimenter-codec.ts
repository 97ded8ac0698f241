/**
 * Experimenter messages that we know: ONF bundles (extension 230) and flow monitors (187), and Nicira's (nicira-ext). Rows
 * of MESSAGES in codec.ts.
 */
import type { Ip } from '../lib/addresses.ts';
import type { Cursor } from './cursor.ts';
import { type ReadFieldsOptions, readFields, writeFields } from './match.ts';
import type { MessageHeader, MessageRows } from './message-row.ts';
import { BUNDLE_CONTROLS, type BundleControl, type CtTuple, type MessageOf, ROLES, type Role } from './messages.ts';
import { NICIRA_EXPERIMENTER, ONF_EXPERIMENTER } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

export const OFPT_EXPERIMENTER = 4;
/** ONF_ET_BUNDLE_ADD_MESSAGE */
export const ONF_BUNDLE_ADD = 2301;
export const NXT_PACKET_IN2 = 30;

/** NXPINT_*: the properties of NXT_PACKET_IN2 and NXT_RESUME. */
const PACKET_PROPERTIES = {
  packet: 0,
  totalSize: 1,
  bufferId: 2,
  table: 3,
  cookie: 4,
  reason: 5,
  metadata: 6,
  userdata: 7,
  continuation: 8,
} as const;
/** NXT_CT_*: the properties of NXT_CT_FLUSH, and those of the tuples within. */
const CT_PROPERTIES = { original: 0, reply: 1, zone: 2 } as const;
const TUPLE_PROPERTIES = {
  source: 0,
  destination: 1,
  sourcePort: 2,
  destinationPort: 3,
  icmpId: 4,
  type: 5,
  code: 6,
} as const;

const SKIP: ReadFieldsOptions = { skipUnknown: true };
/** An IPv4 address in the 128 bits of a tuple: ::ffff:a.b.c.d */
const IPV4_MAPPED = 0xffff_0000_0000n;

const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

type PacketIn2 = MessageOf<'packetIn2'>;
type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function beginProperty(slab: Slab, type: number): number {
  const start = slab.reserve(4);
  slab.view.setUint16(start, type);
  return start;
}

function endProperty(slab: Slab, start: number): void {
  slab.setLength(start, 2);
  slab.pad(start);
}

function writeBytes(slab: Slab, type: number, data: Uint8Array): void {
  const start = beginProperty(slab, type);
  slab.raw(data);
  endProperty(slab, start);
}

/** A property that is one number of 1 or 4 bytes. */
function writeNumber(slab: Slab, type: number, size: 1 | 4, value: number): void {
  const start = beginProperty(slab, type);
  if (size === 1) slab.u8(value);
  else slab.u32(value);
  endProperty(slab, start);
}

function writePacketProperties(slab: Slab, message: PacketIn2 | MessageOf<'resume'>): void {
  const start = beginProperty(slab, PACKET_PROPERTIES.packet);
  slab.raw(message.data);
  endProperty(slab, start);
  if (message.totalSize !== undefined) writeNumber(slab, PACKET_PROPERTIES.totalSize, 4, message.totalSize);
  if (message.bufferId !== undefined) writeNumber(slab, PACKET_PROPERTIES.bufferId, 4, message.bufferId);
  if (message.table !== undefined) writeNumber(slab, PACKET_PROPERTIES.table, 1, message.table);
  if (message.cookie !== undefined) {
    const cookie = beginProperty(slab, PACKET_PROPERTIES.cookie);
    slab.reserve(4);
    slab.u64(message.cookie);
    endProperty(slab, cookie);
  }
  if (message.reason !== undefined) writeNumber(slab, PACKET_PROPERTIES.reason, 1, message.reason);
  const metadata = beginProperty(slab, PACKET_PROPERTIES.metadata);
  writeFields(slab, message.match);
  endProperty(slab, metadata);
  if (message.continuation !== undefined) {
    // Nested properties: 4 bytes of padding go before them.
    const continuation = beginProperty(slab, PACKET_PROPERTIES.continuation);
    slab.reserve(4);
    slab.raw(message.continuation);
    endProperty(slab, continuation);
  }
  if (message.userdata !== undefined) writeBytes(slab, PACKET_PROPERTIES.userdata, message.userdata);
}

function readPacketProperty(cursor: Cursor, type: number, packet: Mutable<PacketIn2>): void {
  switch (type) {
    case PACKET_PROPERTIES.packet:
      packet.data = cursor.copy();
      break;
    case PACKET_PROPERTIES.totalSize:
      packet.totalSize = cursor.u32();
      break;
    case PACKET_PROPERTIES.bufferId:
      packet.bufferId = cursor.u32();
      break;
    case PACKET_PROPERTIES.table:
      packet.table = cursor.u8();
      break;
    case PACKET_PROPERTIES.cookie:
      cursor.take(4);
      packet.cookie = cursor.u64();
      break;
    case PACKET_PROPERTIES.reason:
      packet.reason = cursor.u8();
      break;
    case PACKET_PROPERTIES.metadata:
      packet.match = readFields(cursor, SKIP);
      break;
    case PACKET_PROPERTIES.userdata:
      packet.userdata = cursor.copy();
      break;
    case PACKET_PROPERTIES.continuation:
      cursor.take(4);
      packet.continuation = cursor.copy();
      break;
  }
}

/** Properties that we do not know are passed over. */
function readPacketProperties(cursor: Cursor, xid: number): PacketIn2 {
  const packet: Mutable<PacketIn2> = { type: 'packetIn2', xid, data: new Uint8Array(0), match: {} };
  while (cursor.left > 0) {
    const start = cursor.offset;
    const type = cursor.u16();
    const outer = cursor.narrow(start, cursor.u16(), 'a property of NXT_PACKET_IN2');
    readPacketProperty(cursor, type, packet);
    cursor.offset = cursor.end;
    cursor.end = outer;
    cursor.pad(start);
  }
  return packet;
}

function readResume(cursor: Cursor, { xid }: MessageHeader): MessageOf<'resume'> {
  const offset = cursor.offset;
  const { continuation, ...packet } = readPacketProperties(cursor, xid);
  if (continuation === undefined) throw new WireError('BAD_VALUE', offset, 'NXT_RESUME without its continuation');
  return { ...packet, type: 'resume', continuation };
}

function writeTuple(slab: Slab, type: number, tuple: CtTuple): void {
  const start = beginProperty(slab, type);
  slab.reserve(4);
  if (tuple.source !== undefined) writeAddress(slab, TUPLE_PROPERTIES.source, tuple.source);
  if (tuple.destination !== undefined) writeAddress(slab, TUPLE_PROPERTIES.destination, tuple.destination);
  if (tuple.sourcePort !== undefined) writePort(slab, TUPLE_PROPERTIES.sourcePort, tuple.sourcePort);
  if (tuple.destinationPort !== undefined) writePort(slab, TUPLE_PROPERTIES.destinationPort, tuple.destinationPort);
  if (tuple.icmpId !== undefined) writePort(slab, TUPLE_PROPERTIES.icmpId, tuple.icmpId);
  if (tuple.icmpType !== undefined) writeNumber(slab, TUPLE_PROPERTIES.type, 1, tuple.icmpType);
  if (tuple.icmpCode !== undefined) writeNumber(slab, TUPLE_PROPERTIES.code, 1, tuple.icmpCode);
  endProperty(slab, start);
}

function writeAddress(slab: Slab, type: number, address: Ip): void {
  const start = beginProperty(slab, type);
  slab.big(typeof address === 'bigint' ? address : IPV4_MAPPED | BigInt(address), 16);
  endProperty(slab, start);
}

/** 16 bits whose padding counts as part of the property. */
function writePort(slab: Slab, type: number, value: number): void {
  slab.u16(type);
  slab.u16(8);
  slab.u16(value);
  slab.reserve(2);
}

function readAddress(cursor: Cursor): Ip {
  const address = cursor.big(16);
  return address >> 32n === IPV4_MAPPED >> 32n ? Number(address & 0xffff_ffffn) : address;
}

function readTuple(cursor: Cursor): CtTuple {
  const tuple: Mutable<CtTuple> = {};
  cursor.take(4);
  while (cursor.left > 0) {
    const start = cursor.offset;
    const type = cursor.u16();
    const outer = cursor.narrow(start, cursor.u16(), 'a property of a tuple');
    if (type === TUPLE_PROPERTIES.source) tuple.source = readAddress(cursor);
    else if (type === TUPLE_PROPERTIES.destination) tuple.destination = readAddress(cursor);
    else if (type === TUPLE_PROPERTIES.sourcePort) tuple.sourcePort = cursor.u16();
    else if (type === TUPLE_PROPERTIES.destinationPort) tuple.destinationPort = cursor.u16();
    else if (type === TUPLE_PROPERTIES.icmpId) tuple.icmpId = cursor.u16();
    else if (type === TUPLE_PROPERTIES.type) tuple.icmpType = cursor.u8();
    else if (type === TUPLE_PROPERTIES.code) tuple.icmpCode = cursor.u8();
    else throw new WireError('BAD_VALUE', start, `property ${type} of a connection's tuple`);
    cursor.offset = cursor.end;
    cursor.end = outer;
    cursor.pad(start);
  }
  return tuple;
}

function writeCtFlush(slab: Slab, message: MessageOf<'ctFlush'>): void {
  slab.u8(message.ipProto);
  slab.reserve(7);
  if (message.original !== undefined) writeTuple(slab, CT_PROPERTIES.original, message.original);
  if (message.reply !== undefined) writeTuple(slab, CT_PROPERTIES.reply, message.reply);
  if (message.zone !== undefined) writePort(slab, CT_PROPERTIES.zone, message.zone);
}

function readCtFlush(cursor: Cursor, { xid }: MessageHeader): MessageOf<'ctFlush'> {
  const message: Mutable<MessageOf<'ctFlush'>> = { type: 'ctFlush', xid, ipProto: cursor.u8() };
  cursor.take(7);
  while (cursor.left > 0) {
    const start = cursor.offset;
    const type = cursor.u16();
    const outer = cursor.narrow(start, cursor.u16(), 'a property of NXT_CT_FLUSH');
    if (type === CT_PROPERTIES.original) message.original = readTuple(cursor);
    else if (type === CT_PROPERTIES.reply) message.reply = readTuple(cursor);
    else if (type === CT_PROPERTIES.zone) message.zone = cursor.u16();
    else throw new WireError('BAD_VALUE', start, `property ${type} of NXT_CT_FLUSH`);
    cursor.offset = cursor.end;
    cursor.end = outer;
    cursor.pad(start);
  }
  return message;
}

function readBundleControl(cursor: Cursor, { xid }: MessageHeader): MessageOf<'bundleControl'> {
  const bundleId = cursor.u32();
  const offset = cursor.offset;
  const control = (Object.keys(BUNDLE_CONTROLS) as BundleControl[])[cursor.u16()];
  if (control === undefined) throw new WireError('BAD_VALUE', offset, 'a bundle control that is none');
  const flags = cursor.u16();
  // Properties may follow; OVS sends none and we know none.
  cursor.offset = cursor.end;
  return { type: 'bundleControl', xid, bundleId, control, flags };
}

export const EXPERIMENTER_MESSAGES = {
  bundleControl: {
    code: OFPT_EXPERIMENTER,
    experimenter: [ONF_EXPERIMENTER, 2300],
    write(slab, message) {
      slab.u32(message.bundleId);
      slab.u16(BUNDLE_CONTROLS[message.control]);
      slab.u16(message.flags);
    },
    read: readBundleControl,
  },
  flowMonitorCancel: {
    code: OFPT_EXPERIMENTER,
    experimenter: [ONF_EXPERIMENTER, 1870],
    write: (slab, message) => slab.u32(message.id),
    read: (cursor, { xid }) => ({ type: 'flowMonitorCancel', xid, id: cursor.u32() }),
  },
  flowMonitorPaused: {
    code: OFPT_EXPERIMENTER,
    experimenter: [ONF_EXPERIMENTER, 1871],
    write: () => {},
    read: (_cursor, { xid }) => ({ type: 'flowMonitorPaused', xid }),
  },
  flowMonitorResumed: {
    code: OFPT_EXPERIMENTER,
    experimenter: [ONF_EXPERIMENTER, 1872],
    write: () => {},
    read: (_cursor, { xid }) => ({ type: 'flowMonitorResumed', xid }),
  },
  roleStatus: {
    code: OFPT_EXPERIMENTER,
    experimenter: [ONF_EXPERIMENTER, 1911],
    write(slab, { role, reason, generationId }) {
      slab.u32(ROLES[role]);
      slab.u8(reason);
      slab.reserve(3);
      slab.u64(generationId);
    },
    read(cursor, { xid }) {
      const offset = cursor.offset;
      const role = ROLE_NAMES[cursor.u32()];
      if (role === undefined) throw new WireError('BAD_VALUE', offset, 'a role that OpenFlow does not have');
      const reason = cursor.u8();
      cursor.take(3);
      const generationId = cursor.u64();
      // Properties may follow; we know none.
      cursor.offset = cursor.end;
      return { type: 'roleStatus', xid, role, reason, generationId };
    },
  },
  setPacketInFormat: {
    code: OFPT_EXPERIMENTER,
    experimenter: [NICIRA_EXPERIMENTER, 16],
    write: (slab, message) => slab.u32(message.format),
    read: (cursor, { xid }) => ({ type: 'setPacketInFormat', xid, format: cursor.u32() }),
  },
  setControllerId: {
    code: OFPT_EXPERIMENTER,
    experimenter: [NICIRA_EXPERIMENTER, 20],
    write(slab, message) {
      slab.reserve(6);
      slab.u16(message.controllerId);
    },
    read(cursor, { xid }) {
      cursor.take(6);
      return { type: 'setControllerId', xid, controllerId: cursor.u16() };
    },
  },
  resume: {
    code: OFPT_EXPERIMENTER,
    experimenter: [NICIRA_EXPERIMENTER, 28],
    write: writePacketProperties,
    read: readResume,
  },
  ctFlushZone: {
    code: OFPT_EXPERIMENTER,
    experimenter: [NICIRA_EXPERIMENTER, 29],
    write(slab, message) {
      slab.reserve(6);
      slab.u16(message.zone);
    },
    read(cursor, { xid }) {
      cursor.take(6);
      return { type: 'ctFlushZone', xid, zone: cursor.u16() };
    },
  },
  packetIn2: {
    code: OFPT_EXPERIMENTER,
    experimenter: [NICIRA_EXPERIMENTER, NXT_PACKET_IN2],
    write: writePacketProperties,
    read: (cursor, { xid }) => readPacketProperties(cursor, xid),
  },
  ctFlush: {
    code: OFPT_EXPERIMENTER,
    experimenter: [NICIRA_EXPERIMENTER, 32],
    write: writeCtFlush,
    read: readCtFlush,
  },
} as const satisfies Partial<MessageRows>;
