/**
 * ofp_match (OpenFlow 1.3.5 §7.2.3.1): a match to bytes and back. The bytes are those that Open vSwitch would dump for the
 * same match, so that a desired and an installed match compare byte for byte.
 */
import type { FieldName, FieldValue } from '../flow/fields.ts';
import type { Masked, Match } from '../flow/flow.ts';
import { normaliseMatch, VLAN_PRESENT } from '../flow/match.ts';
import type { Cursor } from './cursor.ts';
import { OXM_ROWS, type OxmRow, oxmRow, readOxmHeader, readValue, valueSize, writeValue } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

const OFPMT_OXM = 1;
/** Header bits: "a mask follows", and the length of an experimenter's id. */
const OXM_HAS_MASK = 0x100;
const VLAN_PCP_BITS = 0xe000;
/** The packet type that OVS takes every packet for that has an Ethernet header: as good as no match. */
const ETHERNET = 0;

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
    const field = match[row.name];
    if (field === undefined || (row.name === 'packetType' && field === ETHERNET)) continue;
    if (row.rewritten || (row.name === 'vlanPcp' && match.vlanVid === undefined)) {
      writeFields(slab, rewritten(match));
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
  const masked = typeof field === 'object' && field.mask !== row.full;
  const value = typeof field === 'object' ? field.value : field;
  if (row.size === 0) writeTunMetadata(slab, row, value, masked ? field.mask : undefined);
  else if (!masked && row.exactMask === 0) writeOxm(slab, row, value, row.size);
  else if (!masked) writeMaskedOxm(slab, row, value, row.exactMask, row.size);
  else if (field.mask !== 0 && field.mask !== 0n) writeMaskedOxm(slab, row, value, field.mask, row.size);
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

/** Tunnel metadata in as few bytes as hold it, as ovs-ofctl does: the size of the option is known to the switch alone. */
function writeTunMetadata(slab: Slab, row: OxmRow, value: FieldValue, mask: FieldValue | undefined): void {
  const size = Math.max(valueSize(value), mask === undefined ? 0 : valueSize(mask));
  if (mask === undefined) writeOxm(slab, row, value, size);
  else writeMaskedOxm(slab, row, value, mask, size);
}

/**
 * The same match in the fields that Open vSwitch writes over OpenFlow 1.3: registers in 32-bit parts, vlan_tci, nw_tos and
 * the 16-bit in_port as the fields of the standard, and vlan_pcp never without vlan_vid.
 */
function rewritten(match: Match): Match {
  if (match.vlanTci !== undefined) checkVlanTci(match.vlanTci);
  const normal = normaliseMatch(match);
  if (normal.vlanPcp === undefined || normal.vlanVid !== undefined) return normal;
  return { ...normal, vlanVid: { value: VLAN_PRESENT, mask: VLAN_PRESENT } };
}

/** Of a VLAN header's priority OpenFlow 1.3 matches all bits or none. */
function checkVlanTci(field: FieldValue | Masked): void {
  const mask = Number(typeof field === 'object' ? field.mask : 0xffff);
  const priorityMask = mask & VLAN_PCP_BITS;
  const value = Number(typeof field === 'object' ? field.value : field);
  if (priorityMask === 0 || (priorityMask === VLAN_PCP_BITS && ((mask & VLAN_PRESENT) !== 0 || value === 0))) return;
  throw new WireError('BAD_VALUE', 0, `OpenFlow 1.3 cannot match vlan_tci under 0x${mask.toString(16)}`);
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
    const field = readField(cursor, row, { masked, size });
    if (field !== undefined && !(row.name === 'packetType' && field === ETHERNET)) match[row.name] = field;
  }
  return match;
}

/** A field in the normal form of normaliseMatch: undefined for one that tests nothing. */
function readField(
  cursor: Cursor,
  row: OxmRow,
  form: { readonly masked: boolean; readonly size: number },
): FieldValue | Masked | undefined {
  const start = cursor.offset;
  const value = readValue(cursor, row, form.size);
  if (!form.masked) return value;
  const mask = readValue(cursor, row, form.size);
  if (hasStrayBits(value, mask)) throw new WireError('BAD_VALUE', start, `${row.name} has bits outside of its mask`);
  // A mask that tests nothing says of tunnel metadata that the option is there.
  if (mask === row.full || row.size === 0) return mask === row.full ? value : { value, mask };
  if (typeof mask === 'bigint' || typeof row.full === 'bigint' || typeof value === 'bigint') {
    return mask === 0n ? undefined : { value, mask };
  }
  if (row.partial === false) return mask === 0 ? undefined : { value, mask };
  const tested = mask & row.full;
  if (tested === 0) return undefined;
  return tested === row.full ? value & tested : { value: value & tested, mask: tested };
}

function hasStrayBits(value: FieldValue, mask: FieldValue): boolean {
  if (typeof value === 'number' && typeof mask === 'number' && value <= 0xffff_ffff) return (value & ~mask) !== 0;
  return (BigInt(value) & ~BigInt(mask)) !== 0n;
}
