/**
 * Actions of OpenFlow 1.3.5 §7.2.5, where Open vSwitch writes them so over OpenFlow 1.3. Rows of ACTIONS in actions.ts.
 */
import { FIELDS } from '../flow/fields.ts';
import { PORT } from '../flow/flow.ts';
import type { ActionRows } from './action-row.ts';
import { asFieldValue, beginAction, beginNicira, endAction } from './action-row.ts';
import { writeMaskedOxm, writeOxm } from './match.ts';
import { type OxmRow, oxmRow, readOxmHeader, readValue, valueSize } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

const OUTPUT = 0;
const DEC_TTL = 24;
const SET_FIELD = 25;
const NX_DEC_TTL_CONTROLLERS = 21;
const NX_DEC_TTL = 18;
const NX_REG_LOAD = 7;
const NX_REG_LOAD2 = 33;
/** OFPCML_NO_BUFFER: the whole packet to the controller. */
const WHOLE_PACKET = 0xffff;
const BITS_OF_REG_LOAD = 64;

function write16(slab: Slab, code: number, value: number): void {
  const start = slab.reserve(8);
  slab.view.setUint16(start, code);
  slab.view.setUint16(start + 2, 8);
  slab.view.setUint16(start + 4, value);
}

function write32(slab: Slab, code: number, value: number): void {
  const start = slab.reserve(8);
  slab.view.setUint16(start, code);
  slab.view.setUint16(start + 2, 8);
  slab.view.setUint32(start + 4, value);
}

/** Bytes of a value in set_field and NXAST_REG_LOAD2: the field's, or as few as hold it for tunnel metadata. */
function setSize(row: OxmRow, value: bigint): number {
  return row.size === 0 ? valueSize(value) : row.size;
}

/**
 * OpenFlow 1.3 has no masks in set_field: Open vSwitch writes a masked one as one NXAST_REG_LOAD for each run of mask bits,
 * lowest first, or, for fields that it cannot name there, as one NXAST_REG_LOAD2.
 */
function writeMaskedSet(slab: Slab, row: OxmRow, value: bigint, mask: bigint): void {
  if (row.size === 0 || row.experimenter !== 0) {
    const start = beginNicira(slab, NX_REG_LOAD2);
    const size = Math.max(setSize(row, value), setSize(row, mask));
    writeMaskedOxm(slab, row, value, mask, size);
    endAction(slab, start);
    return;
  }
  let bit = 0;
  for (let rest = mask; rest !== 0n; ) {
    while ((rest & 1n) === 0n) {
      rest >>= 1n;
      bit += 1;
    }
    let length = 0;
    while ((rest & 1n) === 1n && length < BITS_OF_REG_LOAD) {
      rest >>= 1n;
      length += 1;
    }
    writeRegLoad(slab, row, { bit, length, value: (value >> BigInt(bit)) & ((1n << BigInt(length)) - 1n) });
    bit += length;
  }
}

function writeRegLoad(
  slab: Slab,
  row: OxmRow,
  load: { readonly bit: number; readonly length: number; readonly value: bigint },
): void {
  const start = beginNicira(slab, NX_REG_LOAD);
  slab.u16((load.bit << 6) | (load.length - 1));
  slab.u32(row.actionHeader);
  slab.u64(load.value);
  endAction(slab, start);
}

export const STANDARD_ACTIONS = {
  output: {
    codes: { standard: [OUTPUT] },
    write(slab, action) {
      const start = slab.reserve(16);
      slab.view.setUint16(start, OUTPUT);
      slab.view.setUint16(start + 2, 16);
      slab.view.setUint32(start + 4, action.port);
      const maxLength = action.maxLength ?? (action.port === PORT.controller ? WHOLE_PACKET : 0);
      slab.view.setUint16(start + 8, maxLength);
    },
    read(cursor) {
      const port = cursor.u32();
      const maxLength = cursor.u16();
      cursor.take(6);
      if (maxLength === 0 && port !== PORT.controller) return { type: 'output', port };
      return { type: 'output', port, maxLength };
    },
  },
  group: {
    codes: { standard: [22] },
    write: (slab, action) => write32(slab, 22, action.group),
    read: (cursor) => ({ type: 'group', group: cursor.u32() }),
  },
  setQueue: {
    codes: { standard: [21] },
    write: (slab, action) => write32(slab, 21, action.queue),
    read: (cursor) => ({ type: 'setQueue', queue: cursor.u32() }),
  },
  pushVlan: {
    codes: { standard: [17] },
    write: (slab, action) => write16(slab, 17, action.etherType),
    read: (cursor) => ({ type: 'pushVlan', etherType: cursor.u16() }),
  },
  popVlan: {
    codes: { standard: [18] },
    write: (slab) => write32(slab, 18, 0),
    read: () => ({ type: 'popVlan' }),
  },
  pushMpls: {
    codes: { standard: [19] },
    write: (slab, action) => write16(slab, 19, action.etherType),
    read: (cursor) => ({ type: 'pushMpls', etherType: cursor.u16() }),
  },
  popMpls: {
    codes: { standard: [20] },
    write: (slab, action) => write16(slab, 20, action.etherType),
    read: (cursor) => ({ type: 'popMpls', etherType: cursor.u16() }),
  },
  setMplsTtl: {
    codes: { standard: [15] },
    write: (slab, action) => write32(slab, 15, action.ttl * 0x100_0000),
    read: (cursor) => ({ type: 'setMplsTtl', ttl: cursor.u8() }),
  },
  decMplsTtl: {
    codes: { standard: [16] },
    write: (slab) => write32(slab, 16, 0),
    read: () => ({ type: 'decMplsTtl' }),
  },
  setTtl: {
    codes: { standard: [23] },
    write: (slab, action) => write32(slab, 23, action.ttl * 0x100_0000),
    read: (cursor) => ({ type: 'setTtl', ttl: cursor.u8() }),
  },
  decTtl: {
    codes: { standard: [DEC_TTL], nicira: [NX_DEC_TTL_CONTROLLERS, NX_DEC_TTL] },
    write(slab, action) {
      const ids = action.controllerIds;
      if (ids === undefined) {
        write32(slab, DEC_TTL, 0);
        return;
      }
      const start = beginNicira(slab, NX_DEC_TTL_CONTROLLERS);
      slab.u16(ids.length);
      slab.reserve(4);
      for (const id of ids) slab.u16(id);
      endAction(slab, start);
    },
    read(cursor, code) {
      if (code !== NX_DEC_TTL_CONTROLLERS) return { type: 'decTtl' };
      const count = cursor.u16();
      cursor.take(4);
      const controllerIds: number[] = [];
      for (let index = 0; index < count; index++) controllerIds.push(cursor.u16());
      return { type: 'decTtl', controllerIds };
    },
  },
  setField: {
    codes: { standard: [SET_FIELD], nicira: [NX_REG_LOAD2] },
    write(slab, action) {
      const row = oxmRow(action.field);
      if (action.mask !== undefined && action.mask !== row.full) {
        writeMaskedSet(slab, row, BigInt(action.value), BigInt(action.mask));
        return;
      }
      const start = beginAction(slab, SET_FIELD);
      writeOxm(slab, row, action.value, row.size === 0 ? valueSize(action.value) : row.size);
      endAction(slab, start);
    },
    read(cursor) {
      const offset = cursor.offset;
      const { row, masked, size } = readOxmHeader(cursor);
      if (row === undefined)
        throw new WireError('UNKNOWN_FIELD', offset, 'set_field of a field that heddle does not know');
      const value = readValue(cursor, row, size);
      if (!masked) return { type: 'setField', field: row.name, value };
      return { type: 'setField', field: row.name, value, mask: readValue(cursor, row, size) };
    },
  },
  load: {
    codes: { nicira: [NX_REG_LOAD] },
    write(slab, action) {
      const { field, start: bit, length } = action.destination;
      const row = oxmRow(field);
      const value = BigInt(action.value);
      if (value < 0n || value >> BigInt(length) !== 0n || bit + length > FIELDS[field].bits) {
        throw new WireError('BAD_VALUE', slab.end, `${action.value} does not fit into ${length} bits of ${field}`);
      }
      if (length > BITS_OF_REG_LOAD) {
        throw new WireError('BAD_VALUE', slab.end, `load writes at most ${BITS_OF_REG_LOAD} bits, not ${length}`);
      }
      if (row.size !== 0 && row.experimenter === 0) {
        // One run of bits is one message part as it stands: this is the most frequent action with a value.
        writeRegLoad(slab, row, { bit, length, value });
        return;
      }
      writeMaskedSet(slab, row, value << BigInt(bit), ((1n << BigInt(length)) - 1n) << BigInt(bit));
    },
    read(cursor) {
      const packed = cursor.u16();
      const header = cursor.offset;
      const { row, masked } = readOxmHeader(cursor);
      if (row === undefined || masked)
        throw new WireError('UNKNOWN_FIELD', header, 'load into a field that heddle does not know');
      const destination = { field: row.name, start: packed >> 6, length: (packed & 63) + 1 };
      const value = cursor.u64();
      const fits =
        value >> BigInt(destination.length) === 0n && destination.start + destination.length <= FIELDS[row.name].bits;
      if (!fits) throw new WireError('BAD_VALUE', header, `load of ${value} into bits that ${row.name} does not have`);
      return { type: 'load', destination, value: asFieldValue(row.name, value) };
    },
  },
} as const satisfies Partial<ActionRows>;
