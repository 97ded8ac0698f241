/**
 * THE table of OpenFlow 1.3 messages, and messages to bytes and back. Whatever a peer sends, decoding gives a message or
 * throws WireError, and nothing else.
 */
import { LIMITS } from '../lib/limits.ts';
import { Cursor } from './cursor.ts';
import { EXPERIMENTER_MESSAGES, OFPT_EXPERIMENTER, ONF_BUNDLE_ADD } from './experimenter-codec.ts';
import { type FlowMod, OPENFLOW_VERSION, putFlowMod } from './flow-codec.ts';
import { STANDARD_MESSAGES } from './message-codec.ts';
import type { MessageHeader, MessageRow, MessageRows } from './message-row.ts';
import type { Message, MessageOf, MessageType } from './messages.ts';
import { ONF_EXPERIMENTER } from './oxm.ts';
import { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

export {
  decodeInstructions,
  decodeMatch,
  encodeInstructions,
  encodeMatch,
  type FlowMod,
  readFlowStats,
  writeFlowMod,
} from './flow-codec.ts';

const HEADER_SIZE = 8;
/** A slab for one message of the usual kind; it grows for others. */
const USUAL_SIZE = 256;

export const MESSAGES = {
  ...STANDARD_MESSAGES,
  ...EXPERIMENTER_MESSAGES,
  bundleAdd: {
    code: OFPT_EXPERIMENTER,
    experimenter: [ONF_EXPERIMENTER, ONF_BUNDLE_ADD],
    write(slab, message) {
      writeBundleHead(slab, message);
      putMessage(slab, message.message);
    },
    read: readBundleAdd,
  },
  /** What is left: written with the ids that the message names. */
  experimenter: {
    code: OFPT_EXPERIMENTER,
    write(slab, message) {
      slab.u32(message.experimenter);
      slab.u32(message.experimenterType);
      slab.raw(message.data);
    },
    read: (cursor, { xid }) => ({
      type: 'experimenter',
      xid,
      experimenter: cursor.u32(),
      experimenterType: cursor.u32(),
      data: cursor.copy(),
    }),
  },
} as const satisfies MessageRows;

type AnyRow = MessageRow<MessageType>;
const BY_TYPE = MESSAGES as unknown as Readonly<Record<MessageType, AnyRow>>;
const BY_CODE = new Map<number, AnyRow>();
const EXPERIMENTERS: AnyRow[] = [];
for (const row of Object.values(BY_TYPE)) {
  if (row.code !== OFPT_EXPERIMENTER) BY_CODE.set(row.code, row);
  else if (row.experimenter !== undefined) EXPERIMENTERS.push(row);
}

function writeBundleHead(slab: Slab, head: { readonly bundleId: number; readonly flags: number }): void {
  slab.u32(head.bundleId);
  slab.reserve(2);
  slab.u16(head.flags);
}

/** The bytes of a message. Throws WireError (BAD_VALUE, TOO_LARGE) for one that OpenFlow 1.3 cannot say. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const slab = new Slab(USUAL_SIZE);
  writeMessage(slab, message);
  return slab.written();
}

/** Append a message. Throws as encodeMessage; the slab is then as it was before. */
export function writeMessage(slab: Slab, message: Message): void {
  const start = slab.end;
  slab.limit = start + LIMITS.openflowMessageSize;
  try {
    putMessage(slab, message);
  } catch (error) {
    slab.rewind(start);
    throw error;
  }
}

/** Append a flow-mod wrapped into a bundle (ONF extension 230). Throws as writeFlowMod. */
export function writeBundledFlowMod(
  slab: Slab,
  bundle: { readonly bundleId: number; readonly flags: number },
  flowMod: FlowMod,
): void {
  const start = slab.end;
  slab.limit = start + LIMITS.openflowMessageSize;
  try {
    putHeader(slab, BY_TYPE.bundleAdd, OPENFLOW_VERSION, flowMod.xid);
    writeBundleHead(slab, bundle);
    putFlowMod(slab, flowMod);
    slab.setLength(start, 2);
  } catch (error) {
    slab.rewind(start);
    throw error;
  }
}

function putHeader(slab: Slab, row: AnyRow, version: number, xid: number): void {
  const start = slab.reserve(HEADER_SIZE);
  slab.bytes[start] = version;
  slab.bytes[start + 1] = row.code;
  slab.view.setUint32(start + 4, xid);
  if (row.experimenter === undefined) return;
  slab.u32(row.experimenter[0]);
  slab.u32(row.experimenter[1]);
}

function putMessage(slab: Slab, message: Message): void {
  const row = BY_TYPE[message.type];
  const start = slab.end;
  const version = message.type === 'hello' || message.type === 'error' ? message.version : OPENFLOW_VERSION;
  putHeader(slab, row, version, message.xid);
  row.write(slab, message);
  slab.setLength(start, 2);
}

/** Read one whole message, as FrameCutter gives it. Throws WireError. The message shares no memory with the bytes. */
export function decodeMessage(bytes: Uint8Array): Message {
  const cursor = new Cursor(bytes);
  const message = readMessage(cursor);
  cursor.finish('a message');
  return message;
}

function readMessage(cursor: Cursor): Message {
  const start = cursor.offset;
  const version = cursor.u8();
  const code = cursor.u8();
  const size = cursor.u16();
  const xid = cursor.u32();
  const outer = cursor.narrow(start, size, 'a message');
  if (version !== OPENFLOW_VERSION && code !== MESSAGES.hello.code && code !== MESSAGES.error.code) {
    throw new WireError(
      'BAD_VERSION',
      start,
      `a message of OpenFlow version ${version}; heddle speaks ${OPENFLOW_VERSION}`,
    );
  }
  const message = rowAt(cursor, code).read(cursor, { version, xid });
  cursor.finish(`a message of type ${message.type}`);
  cursor.end = outer;
  return message;
}

/** The row of a message of which the header has been read; of a known experimenter message, past its ids. */
function rowAt(cursor: Cursor, code: number): AnyRow {
  if (code !== OFPT_EXPERIMENTER) {
    const row = BY_CODE.get(code);
    if (row === undefined) throw new WireError('UNKNOWN_TYPE', cursor.offset, `a message of type ${code}`);
    return row;
  }
  const ids = cursor.offset;
  const experimenter = cursor.u32();
  const type = cursor.u32();
  for (const row of EXPERIMENTERS) {
    if (row.experimenter?.[0] === experimenter && row.experimenter[1] === type) return row;
  }
  cursor.offset = ids;
  return BY_TYPE.experimenter;
}

function readBundleAdd(cursor: Cursor, { xid }: MessageHeader): MessageOf<'bundleAdd'> {
  const bundleId = cursor.u32();
  cursor.take(2);
  const flags = cursor.u16();
  const start = cursor.offset;
  const message = readMessage(cursor);
  if (message.type === 'bundleAdd') throw new WireError('BAD_VALUE', start, 'a bundle within a bundle');
  // Properties may follow; we know none.
  cursor.offset = cursor.end;
  return { type: 'bundleAdd', xid, bundleId, flags, message };
}
