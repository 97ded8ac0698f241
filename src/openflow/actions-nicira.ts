/**
 * Nicira's actions (nicira-ext, ovs-actions(7)) apart from learn and ct. Rows of ACTIONS in actions.ts.
 */
import type { Action } from '../flow/action.ts';
import { PORT } from '../flow/flow.ts';
import type { ActionRows } from './action-row.ts';
import {
  type ActionOf,
  beginNicira,
  endAction,
  readPackedRange,
  readRange,
  unpackRange,
  writePackedRange,
} from './action-row.ts';
import { STANDARD_ACTIONS } from './actions-standard.ts';
import type { Cursor } from './cursor.ts';
import { portFrom16, portTo16, writeFieldHeader } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

const NX_REG_MOVE = 6;
const NX_NOTE = 8;
const NX_MULTIPATH = 10;
const NX_RESUBMIT = 1;
const NX_RESUBMIT_TABLE = 14;
const NX_OUTPUT_REG = 15;
const NX_EXIT = 17;
const NX_CONTROLLER = 20;
const NX_STACK_PUSH = 27;
const NX_STACK_POP = 28;
const NX_CONJUNCTION = 34;
const NX_CONTROLLER2 = 37;
const NX_OUTPUT_TRUNC = 39;
const NX_CLONE = 42;
const NX_CT_CLEAR = 43;
const NX_RESUBMIT_TABLE_CT = 44;
const NX_DEC_NSH_TTL = 48;
const NX_CHECK_PKT_LARGER = 49;

const REASON_ACTION = 1;
const WHOLE_PACKET = 0xffff;
const ANY_TABLE = 0xff;
const NO_METER = 0xffff_ffff;

/** NXAC2PT_*: the properties of NXAST_CONTROLLER2. */
const CONTROLLER_PROPERTIES = { maxLength: 0, controllerId: 1, reason: 2, userdata: 3, pause: 4, meter: 5 } as const;

const MULTIPATH_FIELDS = [
  'eth_src',
  'symmetric_l4',
  'symmetric_l3l4',
  'symmetric_l3l4+udp',
  'nw_src',
  'nw_dst',
] as const;
const MULTIPATH_ALGORITHMS = ['modulo_n', 'hash_threshold', 'hrw', 'iter_hash'] as const;

function writeBare(slab: Slab, code: number): void {
  endAction(slab, beginNicira(slab, code));
}

/** 16 bits, whose padding counts as part of the property. */
function writeProperty16(slab: Slab, type: number, value: number): void {
  slab.u16(type);
  slab.u16(8);
  slab.u16(value);
  slab.reserve(2);
}

/** As Open vSwitch: plain output where that says it all, NXAST_CONTROLLER where that does, else NXAST_CONTROLLER2. */
function writeController(slab: Slab, action: ActionOf<'controller'>): void {
  const maxLength = action.maxLength ?? WHOLE_PACKET;
  const reason = action.reason ?? REASON_ACTION;
  const controllerId = action.controllerId ?? 0;
  if (action.userdata !== undefined || action.pause === true || action.meter !== undefined) {
    writeController2(slab, action, { maxLength, reason, controllerId });
  } else if (reason === REASON_ACTION && controllerId === 0) {
    STANDARD_ACTIONS.output.write(slab, { type: 'output', port: PORT.controller, maxLength });
  } else {
    const start = beginNicira(slab, NX_CONTROLLER);
    slab.u16(maxLength);
    slab.u16(controllerId);
    slab.u8(reason);
    endAction(slab, start);
  }
}

function writeController2(
  slab: Slab,
  action: ActionOf<'controller'>,
  common: { maxLength: number; reason: number; controllerId: number },
): void {
  const start = beginNicira(slab, NX_CONTROLLER2);
  slab.reserve(6);
  if (common.maxLength !== WHOLE_PACKET) writeProperty16(slab, CONTROLLER_PROPERTIES.maxLength, common.maxLength);
  if (common.controllerId !== 0) writeProperty16(slab, CONTROLLER_PROPERTIES.controllerId, common.controllerId);
  if (common.reason !== REASON_ACTION) {
    slab.u16(CONTROLLER_PROPERTIES.reason);
    slab.u16(5);
    slab.u8(common.reason);
    slab.reserve(3);
  }
  if (action.userdata !== undefined && action.userdata.length > 0) {
    const property = slab.reserve(4);
    slab.view.setUint16(property, CONTROLLER_PROPERTIES.userdata);
    slab.raw(action.userdata);
    slab.setLength(property, 2);
    slab.pad(property);
  }
  if (action.pause === true) {
    slab.u16(CONTROLLER_PROPERTIES.pause);
    slab.u16(4);
    slab.reserve(4);
  }
  if (action.meter !== undefined) {
    slab.u16(CONTROLLER_PROPERTIES.meter);
    slab.u16(8);
    slab.u32(action.meter);
  }
  endAction(slab, start);
}

type MutableController = { -readonly [Key in keyof ActionOf<'controller'>]: ActionOf<'controller'>[Key] };

/** What plain output to the controller says as well is read as that, as Open vSwitch prints it. */
function readController(cursor: Cursor, code: number): Action {
  const action: MutableController = { type: 'controller' };
  if (code === NX_CONTROLLER) readController1(cursor, action);
  else readController2(cursor, action);
  for (const key in action) {
    if (key !== 'type' && key !== 'maxLength') return action;
  }
  return { type: 'output', port: PORT.controller, maxLength: action.maxLength ?? WHOLE_PACKET };
}

function readController1(cursor: Cursor, action: MutableController): void {
  const maxLength = cursor.u16();
  const controllerId = cursor.u16();
  const reason = cursor.u8();
  cursor.take(1);
  if (maxLength !== WHOLE_PACKET) action.maxLength = maxLength;
  if (controllerId !== 0) action.controllerId = controllerId;
  if (reason !== REASON_ACTION) action.reason = reason;
}

function readController2(cursor: Cursor, action: MutableController): void {
  cursor.take(6);
  while (cursor.left >= 4) {
    const start = cursor.offset;
    const type = cursor.u16();
    const outer = cursor.narrow(start, cursor.u16(), 'a property of controller()');
    readControllerProperty(cursor, type, action);
    cursor.offset = cursor.end;
    cursor.end = outer;
    cursor.pad(start);
  }
  if (action.maxLength === WHOLE_PACKET) delete action.maxLength;
  if (action.controllerId === 0) delete action.controllerId;
  if (action.reason === REASON_ACTION) delete action.reason;
  if (action.meter === NO_METER) delete action.meter;
}

function readControllerProperty(cursor: Cursor, type: number, action: MutableController): void {
  switch (type) {
    case CONTROLLER_PROPERTIES.maxLength:
      action.maxLength = cursor.u16();
      break;
    case CONTROLLER_PROPERTIES.controllerId:
      action.controllerId = cursor.u16();
      break;
    case CONTROLLER_PROPERTIES.reason:
      action.reason = cursor.u8();
      break;
    case CONTROLLER_PROPERTIES.userdata:
      action.userdata = cursor.copy();
      break;
    case CONTROLLER_PROPERTIES.pause:
      action.pause = true;
      break;
    case CONTROLLER_PROPERTIES.meter:
      action.meter = cursor.u32();
      break;
    default:
      throw new WireError('UNKNOWN_ACTION', cursor.offset, `controller() with an unknown property ${type}`);
  }
}

export const NICIRA_ACTIONS = {
  controller: {
    codes: { nicira: [NX_CONTROLLER, NX_CONTROLLER2] },
    write: writeController,
    read: readController,
  },
  outputReg: {
    codes: { nicira: [NX_OUTPUT_REG] },
    write(slab, action) {
      const start = beginNicira(slab, NX_OUTPUT_REG);
      writePackedRange(slab, action.source);
      slab.u16(action.maxLength ?? WHOLE_PACKET);
      endAction(slab, start);
    },
    read(cursor) {
      const source = readPackedRange(cursor);
      const maxLength = cursor.u16();
      cursor.take(6);
      return maxLength === WHOLE_PACKET ? { type: 'outputReg', source } : { type: 'outputReg', source, maxLength };
    },
  },
  outputTrunc: {
    codes: { nicira: [NX_OUTPUT_TRUNC] },
    write(slab, action) {
      const start = beginNicira(slab, NX_OUTPUT_TRUNC);
      slab.u16(portTo16(action.port));
      slab.u32(action.maxLength);
      endAction(slab, start);
    },
    read: (cursor) => ({ type: 'outputTrunc', port: portFrom16(cursor.u16()), maxLength: cursor.u32() }),
  },
  move: {
    codes: { nicira: [NX_REG_MOVE] },
    write(slab, action) {
      const start = beginNicira(slab, NX_REG_MOVE);
      slab.u16(action.source.length);
      slab.u16(action.source.start);
      slab.u16(action.destination.start);
      writeFieldHeader(slab, action.source.field);
      writeFieldHeader(slab, action.destination.field);
      endAction(slab, start);
    },
    read(cursor) {
      const length = cursor.u16();
      const sourceStart = cursor.u16();
      const destinationStart = cursor.u16();
      const source = readRange(cursor, sourceStart, length);
      return { type: 'move', source, destination: readRange(cursor, destinationStart, length) };
    },
  },
  stackPush: {
    codes: { nicira: [NX_STACK_PUSH] },
    write: (slab, action) => writeStack(slab, NX_STACK_PUSH, action.source),
    read: (cursor) => ({ type: 'stackPush', source: readStack(cursor) }),
  },
  stackPop: {
    codes: { nicira: [NX_STACK_POP] },
    write: (slab, action) => writeStack(slab, NX_STACK_POP, action.destination),
    read: (cursor) => ({ type: 'stackPop', destination: readStack(cursor) }),
  },
  resubmit: {
    codes: { nicira: [NX_RESUBMIT_TABLE, NX_RESUBMIT_TABLE_CT, NX_RESUBMIT] },
    write(slab, action) {
      const start = beginNicira(slab, action.withCt === true ? NX_RESUBMIT_TABLE_CT : NX_RESUBMIT_TABLE);
      slab.u16(portTo16(action.port ?? PORT.inPort));
      slab.u8(action.table ?? ANY_TABLE);
      endAction(slab, start);
    },
    read(cursor, code) {
      const action: { type: 'resubmit'; port?: number; table?: number; withCt?: true } = { type: 'resubmit' };
      const port = portFrom16(cursor.u16());
      const table = cursor.u8();
      cursor.take(3);
      if (port !== PORT.inPort) action.port = port;
      if (table !== ANY_TABLE && code !== NX_RESUBMIT) action.table = table;
      if (code === NX_RESUBMIT_TABLE_CT) action.withCt = true;
      return action;
    },
  },
  ctClear: {
    codes: { nicira: [NX_CT_CLEAR] },
    write: (slab) => writeBare(slab, NX_CT_CLEAR),
    read: () => ({ type: 'ctClear' }),
  },
  note: {
    codes: { nicira: [NX_NOTE] },
    write(slab, action) {
      const start = beginNicira(slab, NX_NOTE);
      slab.raw(action.data);
      endAction(slab, start);
    },
    // The padding cannot be told from the note: what is read has 6 bytes, or 14, or 22, ...
    read: (cursor) => ({ type: 'note', data: cursor.copy() }),
  },
  conjunction: {
    codes: { nicira: [NX_CONJUNCTION] },
    write(slab, action) {
      const start = beginNicira(slab, NX_CONJUNCTION);
      slab.u8(action.clause - 1);
      slab.u8(action.clauseCount);
      slab.u32(action.id);
      endAction(slab, start);
    },
    read(cursor) {
      const clause = cursor.u8() + 1;
      const clauseCount = cursor.u8();
      return { type: 'conjunction', id: cursor.u32(), clause, clauseCount };
    },
  },
  checkPktLarger: {
    codes: { nicira: [NX_CHECK_PKT_LARGER] },
    write(slab, action) {
      const start = beginNicira(slab, NX_CHECK_PKT_LARGER);
      slab.u16(action.length);
      slab.u16(action.destination.start);
      writeFieldHeader(slab, action.destination.field);
      endAction(slab, start);
    },
    read(cursor) {
      const length = cursor.u16();
      const start = cursor.u16();
      return { type: 'checkPktLarger', length, destination: readRange(cursor, start, 1) };
    },
  },
  clone: {
    codes: { nicira: [NX_CLONE] },
    write(slab, action, lists) {
      const start = beginNicira(slab, NX_CLONE);
      slab.reserve(6);
      lists.write(slab, action.actions);
      endAction(slab, start);
    },
    read(cursor, _code, lists) {
      cursor.take(6);
      return { type: 'clone', actions: lists.read(cursor) };
    },
  },
  multipath: {
    codes: { nicira: [NX_MULTIPATH] },
    write(slab, action) {
      const start = beginNicira(slab, NX_MULTIPATH);
      slab.u16(MULTIPATH_FIELDS.indexOf(action.fields));
      slab.u16(action.basis);
      slab.reserve(2);
      slab.u16(MULTIPATH_ALGORITHMS.indexOf(action.algorithm));
      slab.u16(action.links - 1);
      slab.u32(action.argument);
      slab.reserve(2);
      writePackedRange(slab, action.destination);
      endAction(slab, start);
    },
    read(cursor) {
      const offset = cursor.offset;
      const fields = MULTIPATH_FIELDS[cursor.u16()];
      const basis = cursor.u16();
      cursor.take(2);
      const algorithm = MULTIPATH_ALGORITHMS[cursor.u16()];
      const links = cursor.u16() + 1;
      const argument = cursor.u32();
      cursor.take(2);
      if (fields === undefined || algorithm === undefined) {
        throw new WireError('UNKNOWN_ACTION', offset, 'multipath by fields or an algorithm that heddle does not know');
      }
      return {
        type: 'multipath',
        fields,
        basis,
        algorithm,
        links,
        argument,
        destination: unpackRange(cursor, cursor.u16()),
      };
    },
  },
  exit: {
    codes: { nicira: [NX_EXIT] },
    write: (slab) => writeBare(slab, NX_EXIT),
    read: () => ({ type: 'exit' }),
  },
  decNshTtl: {
    codes: { nicira: [NX_DEC_NSH_TTL] },
    write: (slab) => writeBare(slab, NX_DEC_NSH_TTL),
    read: () => ({ type: 'decNshTtl' }),
  },
} as const satisfies Partial<ActionRows>;

function writeStack(slab: Slab, code: number, range: ActionOf<'stackPush'>['source']): void {
  const start = beginNicira(slab, code);
  slab.u16(range.start);
  writeFieldHeader(slab, range.field);
  slab.u16(range.length);
  endAction(slab, start);
}

function readStack(cursor: Cursor): ActionOf<'stackPush'>['source'] {
  const start = cursor.u16();
  const header = cursor.offset;
  cursor.take(4);
  const length = cursor.u16();
  const after = cursor.offset;
  cursor.offset = header;
  const range = readRange(cursor, start, length);
  cursor.offset = after;
  return range;
}
