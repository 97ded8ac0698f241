/**
 * Match fields on the wire: one compiled row per row of FIELDS, with the headers (OpenFlow 1.3.5 §7.2.3.2) and the place in
 * the order in which Open vSwitch writes them. Serves match.ts and the actions, which name fields by the same headers.
 *
 * Two facts of Open vSwitch 3.1, found by dumping from a real switch (test/openflow/vectors):
 * - In matches and set_field it writes the standard code point where there is one; in all Nicira actions (move, load, push,
 *   learn, ...) the NXM one.
 * - A match is written in the order of ORDER below, whatever order it came in.
 */
import {
  FIELDS,
  type Field,
  type FieldName,
  type FieldValue,
  fullMask,
  type OxmClass,
  type OxmCode,
} from '../flow/fields.ts';
import { InvariantError, invariant } from '../lib/errors.ts';
import type { Cursor } from './cursor.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

export const ONF_EXPERIMENTER = 0x4f4e4600;
export const NICIRA_EXPERIMENTER = 0x0000_2320;

const OXM_EXPERIMENTER_CLASS = 0xffff;
const CLASS_NUMBERS = {
  nxm0: 0x0000,
  nxm1: 0x0001,
  ericoxm: 0x1000,
  oxm: 0x8000,
  xreg: 0x8001,
  onfoxm: OXM_EXPERIMENTER_CLASS,
} as const satisfies Record<OxmClass, number>;

/** The order of fields in a match that Open vSwitch writes. */
const ORDER = [
  ...['packetType', 'dpHash', 'conjId', 'inPort', 'inPortNxm', 'actsetOutput'],
  ...['ethSrc', 'ethDst', 'ethType', 'vlanVid', 'vlanTci', 'vlanPcp'],
  ...['mplsTc', 'mplsBos', 'mplsTtl', 'mplsLabel', 'ipv4Src', 'ipv4Dst', 'ipv6Src', 'ipv6Dst'],
  ...['ipFrag', 'ipTos', 'ipDscp', 'ipEcn', 'ipTtl', 'ipv6Label', 'ipProto'],
  ...['tcpSrc', 'tcpDst', 'tcpFlags', 'udpSrc', 'udpDst', 'sctpSrc', 'sctpDst', 'icmpv4Type', 'icmpv4Code'],
  ...['icmpv6Type', 'icmpv6Code', 'ndReserved', 'ndTarget', 'ndOptionsType', 'ndSll', 'ndTll'],
  ...['arpOp', 'arpSpa', 'arpTpa', 'arpSha', 'arpTha'],
  ...['tunnelId', 'tunFlags', 'tunSrc', 'tunDst', 'tunIpv6Src', 'tunIpv6Dst', 'tunGbpId', 'tunGbpFlags'],
  ...['tunMetadata0', 'tunMetadata1', 'tunMetadata2', 'tunMetadata3'],
  ...['tunMetadata4', 'tunMetadata5', 'tunMetadata6', 'tunMetadata7'],
  ...['reg0', 'reg1', 'reg2', 'reg3', 'reg4', 'reg5', 'reg6', 'reg7'],
  ...['reg8', 'reg9', 'reg10', 'reg11', 'reg12', 'reg13', 'reg14', 'reg15'],
  ...['xreg0', 'xreg1', 'xreg2', 'xreg3', 'xreg4', 'xreg5', 'xreg6', 'xreg7', 'xxreg0', 'xxreg1', 'xxreg2', 'xxreg3'],
  ...['pktMark', 'ctState', 'ctZone', 'ctMark', 'ctLabel', 'ctNwSrc', 'ctNwDst', 'ctIpv6Src', 'ctIpv6Dst'],
  ...['ctNwProto', 'ctTpSrc', 'ctTpDst', 'metadata'],
] as const satisfies readonly FieldName[];

/** Fields whose exact value Open vSwitch writes under a mask: that of the bits it knows. */
const MASKED_WHEN_EXACT: readonly FieldName[] = ['ctState', 'tunFlags'];
/** Fields that Open vSwitch writes as others; match.ts does it before it writes them. */
const REWRITTEN = /^(x{1,2}reg\d|vlanTci|ipTos|inPortNxm)$/;

export interface OxmRow {
  readonly name: FieldName;
  /** Index in OXM_ROWS and in the order of the wire. */
  readonly rank: number;
  /** Header without mask for matches and set_field; for `experimenter` ones its length includes the id. */
  readonly header: number;
  /** Header for Nicira actions. */
  readonly actionHeader: number;
  /** The id that follows the header; 0 for none. */
  readonly experimenter: number;
  /** Bytes of a value; 0 for tunMetadata, whose size is its value's. */
  readonly size: number;
  /** All bits that count. */
  readonly full: FieldValue;
  /** Fewer bits count than there are in a value, all of them within 32. */
  readonly partial: boolean;
  /** The mask that an exact value is written under; 0 for none. */
  readonly exactMask: number;
  readonly rewritten: boolean;
}

function headerOf(code: OxmCode, size: number): number {
  const length = size + (code[0] === 'onfoxm' ? 4 : 0);
  return ((CLASS_NUMBERS[code[0]] << 16) | (code[1] << 9) | length) >>> 0;
}

function sizeOf(field: Field): number {
  return field.bits > 128 ? 0 : field.bits / 8;
}

function compileRow(name: FieldName, rank: number): OxmRow {
  const field: Field = FIELDS[name];
  const size = sizeOf(field);
  const [first] = field.codes;
  invariant(first !== undefined, 'a field needs a code', { name });
  const nicira = field.codes.find(([oxmClass]) => oxmClass === 'nxm0' || oxmClass === 'nxm1') ?? first;
  const full = fullMask(name);
  return {
    name,
    rank,
    header: headerOf(first, size),
    actionHeader: headerOf(nicira, size === 0 ? TUN_METADATA_SIZE : size),
    experimenter: first[0] === 'onfoxm' ? ONF_EXPERIMENTER : 0,
    size,
    full,
    partial: typeof full === 'number' && full !== 2 ** field.bits - 1,
    exactMask: MASKED_WHEN_EXACT.includes(name) ? Number(full) : 0,
    rewritten: REWRITTEN.test(name),
  };
}

/** Longest value of a tunnel metadata field (ovs-fields(7)). */
const TUN_METADATA_SIZE = 124;

export const OXM_ROWS: readonly OxmRow[] = ORDER.map(compileRow);

const ROW_BY_NAME = new Map<FieldName, OxmRow>(OXM_ROWS.map((row) => [row.name, row]));
/** By class and field number (the upper 23 bits of a header). */
const ROW_BY_CODE = new Map<number, OxmRow>();
for (const row of OXM_ROWS) {
  const field: Field = FIELDS[row.name];
  for (const [oxmClass, number] of field.codes) {
    ROW_BY_CODE.set(((CLASS_NUMBERS[oxmClass] << 16) | (number << 9)) >>> 9, row);
  }
}
invariant(ROW_BY_NAME.size === Object.keys(FIELDS).length, 'every field has a place in ORDER');

export function oxmRow(name: FieldName): OxmRow {
  const row = ROW_BY_NAME.get(name);
  if (row === undefined) throw new InvariantError('no such field', { name });
  return row;
}

const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

function badValue(row: OxmRow, value: FieldValue): never {
  throw new WireError('BAD_VALUE', 0, `${row.name} cannot be ${value}`);
}

/** Write a value (or mask) of `row` in `size` bytes. Throws WireError BAD_VALUE when it does not fit. */
export function writeValue(slab: Slab, row: OxmRow, value: FieldValue, size: number): void {
  if (typeof value === 'number' && size <= 6) {
    if (!(value >= 0 && value < 2 ** (size * 8)) || !Number.isInteger(value)) badValue(row, value);
    if (size === 4) slab.u32(value);
    else if (size === 2) slab.u16(value);
    else if (size === 6) slab.u48(value);
    else if (size === 1) slab.u8(value);
    else slab.big(BigInt(value), size);
    return;
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) badValue(row, value);
  const wide = typeof value === 'number' ? BigInt(value) : value;
  if (size === 8) {
    if (wide < 0n || wide > UINT64_MAX) badValue(row, value);
    slab.u64(wide);
    return;
  }
  if (wide < 0n || wide >> BigInt(size * 8) !== 0n) badValue(row, value);
  slab.big(wide, size);
}

/** Bytes that a value needs, at least one. */
export function valueSize(value: FieldValue): number {
  return Math.max(1, Math.ceil(value.toString(16).length / 2));
}

/** Read a value of `size` bytes: a bigint for fields wider than 48 bits. */
export function readValue(cursor: Cursor, row: OxmRow, size: number): FieldValue {
  if (row.size === 0 || row.size > 6) return size === 8 ? cursor.u64() : cursor.big(size);
  switch (size) {
    case 1:
      return cursor.u8();
    case 2:
      return cursor.u16();
    case 4:
      return cursor.u32();
    default:
      return cursor.u48();
  }
}

/** A header as read: what follows is `size` bytes of value and, if `masked`, as many of mask. */
export interface OxmHeader {
  readonly row: OxmRow | undefined;
  readonly masked: boolean;
  /** Bytes of the value; for an unknown field of value and mask together. */
  readonly size: number;
}

/** Read an OXM header. Throws WireError; an unknown field is told, not thrown: the caller knows if it can live with it. */
export function readOxmHeader(cursor: Cursor): OxmHeader {
  const start = cursor.offset;
  const header = cursor.u32();
  const masked = (header & 0x100) !== 0;
  let length = header & 0xff;
  if (header >>> 16 === OXM_EXPERIMENTER_CLASS) {
    if (length < 4) throw new WireError('BAD_LENGTH', start, 'an experimenter field without its id');
    length -= 4;
    if (cursor.u32() !== ONF_EXPERIMENTER) return { row: undefined, masked, size: length };
  }
  const row = ROW_BY_CODE.get(header >>> 9);
  if (row === undefined) return { row, masked, size: length };
  const size = masked ? length / 2 : length;
  const variable = row.size === 0 && size >= 1 && size <= TUN_METADATA_SIZE && Number.isInteger(size);
  if (size !== row.size && !variable) {
    throw new WireError('BAD_LENGTH', start, `${row.name} with ${length} bytes`);
  }
  return { row, masked, size };
}

/** Write the header by which Nicira actions name a field. */
export function writeFieldHeader(slab: Slab, name: FieldName): void {
  slab.u32(oxmRow(name).actionHeader);
}

/** Read the header by which Nicira actions name a field. Throws WireError UNKNOWN_FIELD. */
export function readFieldHeader(cursor: Cursor): FieldName {
  const start = cursor.offset;
  const { row, masked } = readOxmHeader(cursor);
  if (row === undefined || masked) throw new WireError('UNKNOWN_FIELD', start, 'a field that heddle does not know');
  return row.name;
}

/** 32-bit port numbers of OpenFlow 1.3 to the 16 bits of Nicira actions, and back. */
export function portTo16(port: number): number {
  return port >= 0xffff_ff00 ? port & 0xffff : port;
}
export function portFrom16(port: number): number {
  return port >= 0xff00 ? (port | 0xffff_0000) >>> 0 : port;
}
