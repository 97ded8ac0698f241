/**
 * Messages of OpenFlow 1.3.5 §7.3 to §7.5: one row each. Rows of MESSAGES in codec.ts.
 */
import { readActions, writeActions } from './actions.ts';
import type { Cursor } from './cursor.ts';
import { EXPERIMENTER_ERROR, errorName } from './error-names.ts';
import { OFPT_FLOW_MOD, readFlowMod, readFlowRemoved, writeFlowModBody, writeFlowRemoved } from './flow-codec.ts';
import { PORT_STRUCT, readGroupMod, readMeterMod, writeGroupMod, writeMeterMod } from './group-codec.ts';
import { readMatch, writeMatch } from './match.ts';
import type { MessageHeader, MessageRows } from './message-row.ts';
import { type AsyncConfig, type MessageOf, type MessageType, NO_BUFFER, ROLES, type Role } from './messages.ts';
import {
  readMultipartReply,
  readMultipartRequest,
  writeMultipartReply,
  writeMultipartRequest,
} from './multipart-codec.ts';
import type { Slab } from './slab.ts';
import { struct } from './struct.ts';
import { WireError } from './wire-error.ts';

type Fields<Type extends MessageType> = Omit<MessageOf<Type>, 'type' | 'xid'>;

const HELLO_VERSION_BITMAP = 1;
const BITS_OF_WORD = 32;
/** Of a packet's metadata only the fields that we know are kept; the packet is what counts. */
const METADATA = { skipUnknown: true } as const;

const FEATURES = struct<Fields<'featuresReply'>>(
  ['dpid', 'u64'],
  ['bufferCount', 'u32'],
  ['tableCount', 'u8'],
  ['auxiliaryId', 'u8'],
  ['', 'pad', 2],
  ['capabilities', 'u32'],
  ['', 'pad', 4],
);
const CONFIG = struct<Fields<'setConfig'>>(['flags', 'u16'], ['missSendLength', 'u16']);
const PORT_MOD = struct<Fields<'portMod'>>(
  ['port', 'u32'],
  ['', 'pad', 4],
  ['macAddress', 'u48'],
  ['', 'pad', 2],
  ['config', 'u32'],
  ['mask', 'u32'],
  ['advertise', 'u32'],
  ['', 'pad', 4],
);
const TABLE_MOD = struct<Fields<'tableMod'>>(['table', 'u8'], ['', 'pad', 3], ['config', 'u32']);
const PACKET_IN = struct<Omit<Fields<'packetIn'>, 'match' | 'data'>>(
  ['bufferId', 'u32'],
  ['totalSize', 'u16'],
  ['reason', 'u8'],
  ['table', 'u8'],
  ['cookie', 'u64'],
);

const nothing = (): void => {};

function writeHello(slab: Slab, { versions }: MessageOf<'hello'>): void {
  if (versions === undefined) return;
  const start = slab.reserve(4);
  slab.view.setUint16(start, HELLO_VERSION_BITMAP);
  const words = Math.floor(Math.max(0, ...versions) / BITS_OF_WORD) + 1;
  for (let word = 0; word < words; word++) {
    let bits = 0;
    for (const version of versions) {
      if (Math.floor(version / BITS_OF_WORD) === word) bits |= 1 << (version % BITS_OF_WORD);
    }
    slab.u32(bits);
  }
  slab.setLength(start, 2);
  slab.pad(start);
}

/** Elements that we do not know are passed over (OpenFlow 1.3.5 §7.5.1). */
function readHello(cursor: Cursor, { version, xid }: MessageHeader): MessageOf<'hello'> {
  let versions: number[] | undefined;
  while (cursor.left > 0) {
    const start = cursor.offset;
    const type = cursor.u16();
    const outer = cursor.narrow(start, cursor.u16(), 'an element of HELLO');
    if (type === HELLO_VERSION_BITMAP) {
      versions = [];
      for (let word = 0; cursor.left >= 4; word += 1) {
        const bits = cursor.u32();
        for (let bit = 0; bit < BITS_OF_WORD; bit++) {
          if ((bits & (1 << bit)) !== 0) versions.push(word * BITS_OF_WORD + bit);
        }
      }
    }
    cursor.offset = cursor.end;
    cursor.end = outer;
    cursor.pad(start);
  }
  return versions === undefined ? { type: 'hello', xid, version } : { type: 'hello', xid, version, versions };
}

function writeError(slab: Slab, message: MessageOf<'error'>): void {
  slab.u16(message.experimenter === undefined ? message.errorType : EXPERIMENTER_ERROR);
  slab.u16(message.code);
  if (message.experimenter !== undefined) slab.u32(message.experimenter);
  slab.raw(message.data);
}

function readError(cursor: Cursor, { version, xid }: MessageHeader): MessageOf<'error'> {
  const errorType = cursor.u16();
  const code = cursor.u16();
  if (errorType !== EXPERIMENTER_ERROR) {
    return { type: 'error', xid, version, errorType, code, name: errorName(errorType, code), data: cursor.copy() };
  }
  const experimenter = cursor.u32();
  const name = errorName(errorType, code, experimenter);
  return { type: 'error', xid, version, errorType, code, experimenter, name, data: cursor.copy() };
}

function writeAsync(slab: Slab, config: AsyncConfig): void {
  for (const masks of [config.packetIn, config.portStatus, config.flowRemoved]) {
    slab.u32(masks[0]);
    slab.u32(masks[1]);
  }
}

function readAsync(cursor: Cursor): AsyncConfig {
  return {
    packetIn: [cursor.u32(), cursor.u32()],
    portStatus: [cursor.u32(), cursor.u32()],
    flowRemoved: [cursor.u32(), cursor.u32()],
  };
}

function writeRole(slab: Slab, message: { readonly role: Role; readonly generationId: bigint }): void {
  slab.u32(ROLES[message.role]);
  slab.reserve(4);
  slab.u64(message.generationId);
}

function readRole(cursor: Cursor): { role: Role; generationId: bigint } {
  const offset = cursor.offset;
  const role = (Object.keys(ROLES) as Role[])[cursor.u32()];
  if (role === undefined) throw new WireError('BAD_VALUE', offset, 'a role that is none');
  cursor.take(4);
  return { role, generationId: cursor.u64() };
}

function writePacketOut(slab: Slab, message: MessageOf<'packetOut'>): void {
  slab.u32(message.bufferId ?? NO_BUFFER);
  slab.u32(message.inPort);
  const size = slab.reserve(8);
  const start = slab.end;
  writeActions(slab, message.actions);
  slab.view.setUint16(size, slab.end - start);
  slab.raw(message.data);
}

function readPacketOut(cursor: Cursor, { xid }: MessageHeader): MessageOf<'packetOut'> {
  const bufferId = cursor.u32();
  const inPort = cursor.u32();
  const size = cursor.u16();
  cursor.take(6);
  const outer = cursor.narrow(cursor.offset, size, 'the actions of a packet-out');
  const actions = readActions(cursor);
  cursor.end = outer;
  return { type: 'packetOut', xid, bufferId, inPort, actions, data: cursor.copy() };
}

function writePacketIn(slab: Slab, message: MessageOf<'packetIn'>): void {
  PACKET_IN.write(slab, message);
  writeMatch(slab, message.match);
  slab.reserve(2);
  slab.raw(message.data);
}

function readPacketIn(cursor: Cursor, { xid }: MessageHeader): MessageOf<'packetIn'> {
  const head = PACKET_IN.read(cursor);
  const match = readMatch(cursor, METADATA);
  cursor.take(2);
  return { type: 'packetIn', xid, ...head, match, data: cursor.copy() };
}

export const STANDARD_MESSAGES = {
  hello: { code: 0, write: writeHello, read: readHello },
  error: { code: 1, write: writeError, read: readError },
  echoRequest: {
    code: 2,
    write: (slab, message) => slab.raw(message.data),
    read: (cursor, { xid }) => ({ type: 'echoRequest', xid, data: cursor.copy() }),
  },
  echoReply: {
    code: 3,
    write: (slab, message) => slab.raw(message.data),
    read: (cursor, { xid }) => ({ type: 'echoReply', xid, data: cursor.copy() }),
  },
  featuresRequest: { code: 5, write: nothing, read: (_cursor, { xid }) => ({ type: 'featuresRequest', xid }) },
  featuresReply: {
    code: 6,
    write: (slab, message) => FEATURES.write(slab, message),
    read: (cursor, { xid }) => ({ type: 'featuresReply', xid, ...FEATURES.read(cursor) }),
  },
  getConfigRequest: { code: 7, write: nothing, read: (_cursor, { xid }) => ({ type: 'getConfigRequest', xid }) },
  getConfigReply: {
    code: 8,
    write: (slab, message) => CONFIG.write(slab, message),
    read: (cursor, { xid }) => ({ type: 'getConfigReply', xid, ...CONFIG.read(cursor) }),
  },
  setConfig: {
    code: 9,
    write: (slab, message) => CONFIG.write(slab, message),
    read: (cursor, { xid }) => ({ type: 'setConfig', xid, ...CONFIG.read(cursor) }),
  },
  packetIn: { code: 10, write: writePacketIn, read: readPacketIn },
  flowRemoved: { code: 11, write: writeFlowRemoved, read: (cursor, { xid }) => readFlowRemoved(cursor, xid) },
  portStatus: {
    code: 12,
    write(slab, message) {
      slab.u8(message.reason);
      slab.reserve(7);
      PORT_STRUCT.write(slab, message.port);
    },
    read(cursor, { xid }) {
      const reason = cursor.u8();
      cursor.take(7);
      return { type: 'portStatus', xid, reason, port: PORT_STRUCT.read(cursor) };
    },
  },
  packetOut: { code: 13, write: writePacketOut, read: readPacketOut },
  flowMod: { code: OFPT_FLOW_MOD, write: writeFlowModBody, read: (cursor, { xid }) => readFlowMod(cursor, xid) },
  groupMod: { code: 15, write: writeGroupMod, read: (cursor, { xid }) => readGroupMod(cursor, xid) },
  portMod: {
    code: 16,
    write: (slab, message) => PORT_MOD.write(slab, message),
    read: (cursor, { xid }) => ({ type: 'portMod', xid, ...PORT_MOD.read(cursor) }),
  },
  tableMod: {
    code: 17,
    write: (slab, message) => TABLE_MOD.write(slab, message),
    read: (cursor, { xid }) => ({ type: 'tableMod', xid, ...TABLE_MOD.read(cursor) }),
  },
  multipartRequest: {
    code: 18,
    write: writeMultipartRequest,
    read: (cursor, { xid }) => readMultipartRequest(cursor, xid),
  },
  multipartReply: { code: 19, write: writeMultipartReply, read: (cursor, { xid }) => readMultipartReply(cursor, xid) },
  barrierRequest: { code: 20, write: nothing, read: (_cursor, { xid }) => ({ type: 'barrierRequest', xid }) },
  barrierReply: { code: 21, write: nothing, read: (_cursor, { xid }) => ({ type: 'barrierReply', xid }) },
  roleRequest: {
    code: 24,
    write: writeRole,
    read: (cursor, { xid }) => ({ type: 'roleRequest', xid, ...readRole(cursor) }),
  },
  roleReply: {
    code: 25,
    write: writeRole,
    read: (cursor, { xid }) => ({ type: 'roleReply', xid, ...readRole(cursor) }),
  },
  getAsyncRequest: { code: 26, write: nothing, read: (_cursor, { xid }) => ({ type: 'getAsyncRequest', xid }) },
  getAsyncReply: {
    code: 27,
    write: writeAsync,
    read: (cursor, { xid }) => ({ type: 'getAsyncReply', xid, ...readAsync(cursor) }),
  },
  setAsync: {
    code: 28,
    write: writeAsync,
    read: (cursor, { xid }) => ({ type: 'setAsync', xid, ...readAsync(cursor) }),
  },
  meterMod: { code: 29, write: writeMeterMod, read: (cursor, { xid }) => readMeterMod(cursor, xid) },
} as const satisfies Partial<MessageRows>;
