/**
 * ofp_match (OpenFlow 1.3.5 §7.2.3.1): a match to bytes and back. The bytes are those that Open vSwitch would dump for the
 * same match, so that a desired and an installed match compare byte for byte.
 */
import type { FieldName, FieldValue } from '../flow/fields.ts';
import type { Masked, Match } from '../flow/flow.ts';
import type { Cursor } from './cursor.ts';
import { OXM_ROWS, type OxmRow, oxmRow, portFrom16, readOxmHeader, readValue, valueSize, writeValue } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

const OFPMT_OXM = 1;
/** Header bits: "a mask follows", and the length of an experimenter's id. */
const OXM_HAS_MASK = 0x100;
const VLAN_PRESENT = 0x1000;
const VLAN_VID_BITS = 0x1fff;
const VLAN_PCP_BITS = 0xe000;
const REGISTERS = 16;

type MutableMatch = { -readonly [Name in keyof Match]: Match[Name] };

/** Write ofp_match with its padding. Throws WireError BAD_VALUE for what OpenFlow 1.3 cannot say. */
export function writeMatch(slab: Slab, match: Match): void {
  const start = slab.reserve(4);
  slab.view.setUint16(start, OFPMT_OXM);
  writeFields(slab, match);
  slab.setLength(start, 2);
  slab.pad(start);
}

/** Write the fields of a match, in the switch's order, without ofp_match around them. */
export function writeFields(slab: Slab, match: Match): void {
  const ranks = slab.ranks;
  let count = 0;
  for (const name in match) {
    const row = oxmRow(name as FieldName);
    if (match[row.name] === undefined) continue;
    if (row.rewritten || (row.name === 'vlanPcp' && match.vlanVid === undefined)) {
      writeFields(slab, normaliseMatch(match));
      return;
    }
    let index = count;
    while (index > 0 && (ranks[index - 1] ?? 0) > row.rank) {
      ranks[index] = ranks[index - 1] ?? 0;
      index -= 1;
    }
    ranks[index] = row.rank;
    count += 1;
  }
  for (let index = 0; index < count; index++) {
    const row = OXM_ROWS[ranks[index] ?? 0];
    const value = row === undefined ? undefined : match[row.name];
    if (row !== undefined && value !== undefined) writeField(slab, row, value);
  }
}

function writeField(slab: Slab, row: OxmRow, field: FieldValue | Masked): void {
  if (typeof field === 'object') {
    if (row.size === 0) writeTunMetadata(slab, row, field.value, field.mask);
    else if (field.mask === row.full) writeOxm(slab, row, field.value, row.size);
    else if (BigInt(field.mask) !== 0n) writeMaskedOxm(slab, row, field.value, field.mask, row.size);
  } else if (row.size === 0) {
    writeTunMetadata(slab, row, field, undefined);
  } else if (row.exactMask !== 0) {
    writeMaskedOxm(slab, row, field, row.exactMask, row.size);
  } else {
    writeOxm(slab, row, field, row.size);
  }
}

/** One exact field; also what set_field carries. */
export function writeOxm(slab: Slab, row: OxmRow, value: FieldValue, size: number): void {
  slab.u32(row.size === 0 ? row.header + size : row.header);
  if (row.experimenter !== 0) slab.u32(row.experimenter);
  writeValue(slab, row, value, size);
}

/** One masked field; also what NXAST_REG_LOAD2 carries. */
export function writeMaskedOxm(slab: Slab, row: OxmRow, value: FieldValue, mask: FieldValue, size: number): void {
  slab.u32(row.header + OXM_HAS_MASK + (row.size === 0 ? 2 * size : size));
  if (row.experimenter !== 0) slab.u32(row.experimenter);
  writeValue(slab, row, value, size);
  writeValue(slab, row, mask, size);
}

/** Tunnel metadata in as few words as hold it: the size of the option is known to the switch alone. */
function writeTunMetadata(slab: Slab, row: OxmRow, value: FieldValue, mask: FieldValue | undefined): void {
  const size = Math.ceil(Math.max(valueSize(value), mask === undefined ? 0 : valueSize(mask)) / 4) * 4;
  if (mask === undefined) writeOxm(slab, row, value, size);
  else writeMaskedOxm(slab, row, value, mask, size);
}

/**
 * The same match in the fields that Open vSwitch writes over OpenFlow 1.3: xreg and xxreg as registers, vlan_tci, nw_tos
 * and the 16-bit in_port as vlan_vid, vlan_pcp, ip_dscp and the 32-bit one, and vlan_pcp never without vlan_vid.
 */
export function normaliseMatch(match: Match): Match {
  const normal: MutableMatch = { ...match };
  for (const name in match) {
    const row = oxmRow(name as FieldName);
    const field = match[row.name];
    if (field === undefined || !row.rewritten) continue;
    delete normal[row.name];
    if (row.name === 'vlanTci') splitVlanTci(normal, field);
    else if (row.name === 'ipTos') normal.ipDscp = Number(typeof field === 'object' ? field.value : field) >> 2;
    else if (row.name === 'inPortNxm')
      normal.inPort = portFrom16(Number(typeof field === 'object' ? field.value : field));
    else splitRegister(normal, row, field);
  }
  if (normal.vlanPcp !== undefined && normal.vlanVid === undefined) {
    normal.vlanVid = { value: VLAN_PRESENT, mask: VLAN_PRESENT };
  }
  return normal;
}

function splitVlanTci(normal: MutableMatch, field: FieldValue | Masked): void {
  const value = Number(typeof field === 'object' ? field.value : field);
  const mask = Number(typeof field === 'object' ? field.mask : 0xffff);
  const vidMask = mask & VLAN_VID_BITS;
  if (vidMask !== 0) normal.vlanVid = { value: value & vidMask, mask: vidMask };
  const tagged = (value & mask & VLAN_PRESENT) !== 0;
  if ((mask & VLAN_PCP_BITS) === 0 || (vidMask === VLAN_VID_BITS && !tagged)) return;
  if ((mask & VLAN_PCP_BITS) !== VLAN_PCP_BITS || !tagged) {
    throw new WireError(
      'BAD_VALUE',
      0,
      `OpenFlow 1.3 cannot match vlan_tci 0x${value.toString(16)}/0x${mask.toString(16)}`,
    );
  }
  normal.vlanPcp = value >> 13;
}

function splitRegister(normal: MutableMatch, row: OxmRow, field: FieldValue | Masked): void {
  const words = row.size / 4;
  const first = Number(row.name.slice(row.name.indexOf('reg') + 3)) * words;
  const value = BigInt(typeof field === 'object' ? field.value : field);
  const mask = BigInt(typeof field === 'object' ? field.mask : row.full);
  for (let word = 0; word < words; word++) {
    const register = OXM_ROWS[oxmRow('reg0').rank + first + word];
    const shift = BigInt((words - 1 - word) * 32);
    const wordMask = Number((mask >> shift) & 0xffff_ffffn);
    if (register === undefined || first + word >= REGISTERS || wordMask === 0) continue;
    normal[register.name] = { value: Number((value >> shift) & 0xffff_ffffn), mask: wordMask };
  }
}

export interface ReadFieldsOptions {
  /** Leave out fields that we do not know instead of throwing: for a packet's metadata. */
  readonly skipUnknown?: true;
}

const STRICT: ReadFieldsOptions = {};

/** Read ofp_match and its padding. Throws WireError, UNKNOWN_FIELD among others. */
export function readMatch(cursor: Cursor, options: ReadFieldsOptions = STRICT): Match {
  const start = cursor.offset;
  const type = cursor.u16();
  const size = cursor.u16();
  if (type !== OFPMT_OXM) throw new WireError('UNKNOWN_TYPE', start, `a match of type ${type}, where OXM (1) was due`);
  const outer = cursor.narrow(start, size, 'a match');
  const match = readFields(cursor, options);
  cursor.end = outer;
  cursor.pad(start);
  return match;
}

/** Read fields up to the cursor's end. */
export function readFields(cursor: Cursor, options: ReadFieldsOptions): Match {
  const match: MutableMatch = {};
  while (cursor.offset < cursor.end) {
    const start = cursor.offset;
    const { row, masked, size } = readOxmHeader(cursor);
    if (row === undefined) {
      if (options.skipUnknown !== true) {
        const header = cursor.view.getUint32(start).toString(16).padStart(8, '0');
        throw new WireError(
          'UNKNOWN_FIELD',
          start,
          `a match on a field that heddle does not know: OXM header ${header}`,
        );
      }
      cursor.take(size);
      continue;
    }
    if (match[row.name] !== undefined) throw new WireError('BAD_VALUE', start, `${row.name} is matched twice`);
    match[row.name] = readField(cursor, row, { masked, size });
  }
  return match;
}

function readField(cursor: Cursor, row: OxmRow, form: { masked: boolean; size: number }): FieldValue | Masked {
  const start = cursor.offset;
  const value = readValue(cursor, row, form.size);
  if (!form.masked) return value;
  const mask = readValue(cursor, row, form.size);
  const stray =
    typeof value === 'number' && value <= 0x7fff_ffff ? value & ~Number(mask) : BigInt(value) & ~BigInt(mask);
  if (stray !== 0 && stray !== 0n) throw new WireError('BAD_VALUE', start, `${row.name} has bits outside of its mask`);
  return row.size !== 0 && mask === row.full ? value : { value, mask };
}
