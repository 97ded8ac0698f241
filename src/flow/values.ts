/**
 * Values of fields as text, both ways, by the format of the field's row; and bit ranges of fields, `NXM_NX_REG0[0..15]`.
 * Spelling as in ovs-fields(7) and as ovs-ofctl prints it.
 */
import { ipFromText, ipToText, ipv4FromText, ipv6FromText, macFromText, macToText } from '../lib/addresses.ts';
import { HeddleError } from '../lib/errors.ts';
import type { Subfield } from './action.ts';
import {
  FIELD_NAMES,
  FIELDS,
  type Field,
  type FieldFormat,
  type FieldName,
  type FieldValue,
  fullMask,
  isWide,
} from './fields.ts';
import type { Masked } from './flow.ts';
import { formatPort, parsePort } from './port-text.ts';
import { cut, FlowTextError, type Piece, parseBig, parseNumber, slice } from './scan.ts';

export interface TextOptions {
  /** Names to print for ports; without it their numbers. */
  readonly portNames?: ReadonlyMap<number, string>;
}

export interface ParseOptions {
  /** Ports that may be called by name. */
  readonly portNumbers?: ReadonlyMap<string, number>;
}

export const CT_STATE_FLAGS = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'] as const;
export const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns'] as const;
export const TUN_FLAGS = ['oam'] as const;

/** Bits of ip_frag: any fragment at all, and one that is not the first. */
const FRAG_TEXTS: readonly { readonly text: string; readonly value: number; readonly mask: number }[] = [
  { text: 'no', value: 0, mask: 3 },
  { text: 'first', value: 1, mask: 3 },
  { text: 'later', value: 3, mask: 3 },
  { text: 'yes', value: 1, mask: 1 },
  { text: 'not_later', value: 0, mask: 2 },
];

/** `0`, or 0x and no leading zeros. */
export function formatHex(value: FieldValue): string {
  return value === 0 || value === 0n ? '0' : `0x${value.toString(16)}`;
}

/** The value of a field, with `/mask` where one is given. */
export function formatValue(name: FieldName, entry: FieldValue | Masked, options: TextOptions = {}): string {
  const { value, mask } = typeof entry === 'object' ? entry : { value: entry, mask: undefined };
  const format: FieldFormat = FIELDS[name].format;
  switch (format) {
    case 'decimal':
      return mask === undefined ? `${value}` : `${value}/${formatHex(mask)}`;
    case 'hex':
      return mask === undefined ? formatHex(value) : `${formatHex(value)}/${formatHex(mask)}`;
    case 'mac':
      return mask === undefined ? macToText(Number(value)) : `${macToText(Number(value))}/${macToText(Number(mask))}`;
    case 'ipv4':
    case 'ipv6':
      return mask === undefined ? ipToText(value) : `${ipToText(value)}/${formatIpMask(mask)}`;
    case 'port':
      return formatPort(Number(value), options.portNames);
    case 'packetType':
      return formatPacketType(Number(value));
    case 'frag':
      return formatFrag(Number(value), Number(mask ?? 3));
    case 'ctState':
      return formatFlags(CT_STATE_FLAGS, Number(value), mask);
    case 'tcpFlags':
      return formatFlags(TCP_FLAGS, Number(value), mask);
    case 'tunFlags':
      return formatFlags(TUN_FLAGS, Number(value), mask);
  }
}

/** Namespace and type (OpenFlow 1.5 §7.2.3.11); of the namespaces only that of Ethernet types, 1, is printed in decimal. */
function formatPacketType(value: number): string {
  const [namespace, type] = [value >>> 16, formatHex(value & 0xffff)];
  return `(${namespace === 1 ? '1' : formatHex(namespace)},${type})`;
}

/** A mask as prefix length where it is one, else as an address. */
function formatIpMask(mask: FieldValue): string {
  const bits = typeof mask === 'number' ? 32n : 128n;
  const zeros = (1n << bits) - 1n - BigInt(mask);
  const contiguous = (zeros & (zeros + 1n)) === 0n;
  return contiguous ? `${bits - BigInt(zeros === 0n ? 0 : zeros.toString(2).length)}` : ipToText(mask);
}

function formatFrag(value: number, mask: number): string {
  return FRAG_TEXTS.find((row) => row.value === value && row.mask === mask)?.text ?? '<error>';
}

/** `new|trk` where all flags are tested or set, `+new-est` where the mask says which; a flag without a name is `[200]`. */
function formatFlags(names: readonly string[], value: number, mask: FieldValue | undefined): string {
  const parts: string[] = [];
  const tested = Number(mask ?? value);
  for (let bit = 0; tested >>> bit !== 0; bit++) {
    const flag = 2 ** bit;
    if ((tested & flag) === 0) continue;
    const sign = mask === undefined ? '' : (value & flag) === 0 ? '-' : '+';
    parts.push(`${sign}${names[bit] ?? `[${flag.toString(16)}]`}`);
  }
  if (mask !== undefined) return parts.join('');
  return parts.length === 0 ? '0' : parts.join('|');
}

/**
 * The value of a field from its text, undefined for `*` and `ANY` (anything). Masks may be numbers, addresses and, for IP
 * addresses, prefix lengths. Throws FlowTextError.
 */
export function parseValue(name: FieldName, piece: Piece, options: ParseOptions = {}): FieldValue | Masked | undefined {
  const field: Field = FIELDS[name];
  if (piece.text === '*' || piece.text === 'ANY') return field.format === 'port' ? parsePort(piece) : undefined;
  switch (field.format) {
    case 'port':
      return parsePort(piece, options.portNumbers);
    case 'packetType':
      return parsePacketType(piece);
    case 'frag': {
      const row = FRAG_TEXTS.find(({ text }) => text === piece.text);
      if (row === undefined) throw new FlowTextError(piece, 'should be no, yes, first, later or not_later');
      return row;
    }
    case 'ctState':
      return parseFlags(name, piece, CT_STATE_FLAGS);
    case 'tcpFlags':
      return parseFlags(name, piece, TCP_FLAGS);
    case 'tunFlags':
      return parseFlags(name, piece, TUN_FLAGS);
    default:
      return parsePlain(name, field, piece);
  }
}

function parsePlain(name: FieldName, field: Field, piece: Piece): FieldValue | Masked {
  const { before, after } = cut(piece, '/');
  const value = parseOne(field, before);
  if (after === undefined) return value;
  if (field.maskable === 'none') throw new FlowTextError(after, `${field.ovsName} cannot be matched under a mask`);
  return { value, mask: parseMask(name, field, after) };
}

function parseMask(name: FieldName, field: Field, piece: Piece): FieldValue {
  const isIp = field.format === 'ipv4' || field.format === 'ipv6';
  if (!isIp || !/^\d+$/.test(piece.text)) return parseOne(field, piece);
  const length = parseNumber(piece, field.bits);
  const mask = fullMask(name);
  if (typeof mask === 'number') return mask - (2 ** (32 - length) - 1);
  return mask - ((1n << BigInt(128 - length)) - 1n);
}

function parseOne(field: Field, piece: Piece): FieldValue {
  try {
    if (field.format === 'mac') return macFromText(piece.text);
    if (field.format === 'ipv4') return ipv4FromText(piece.text);
    if (field.format === 'ipv6') return ipv6FromText(piece.text);
  } catch (error) {
    if (error instanceof HeddleError) throw new FlowTextError(piece, error.message);
    throw error;
  }
  return isWide(field) ? parseBig(piece, field.bits) : parseNumber(piece, 2 ** field.bits - 1);
}

function parsePacketType(piece: Piece): number {
  const found = /^\((0x[0-9a-f]+|\d+),(0x[0-9a-f]+|\d+)\)$/i.exec(piece.text);
  const [namespace, type] = [Number(found?.[1]), Number(found?.[2])];
  if (!(namespace <= 0xffff && type <= 0xffff)) throw new FlowTextError(piece, 'should look like (1,0x800)');
  return namespace * 0x10000 + type;
}

/** `+trk-new`, `trk|new`, `0x21` or `0x21/0x23`. */
function parseFlags(name: FieldName, piece: Piece, names: readonly string[]): FieldValue | Masked {
  const full = Number(fullMask(name));
  if (/^[+-]/.test(piece.text)) return parseSignedFlags(piece, names, full);
  const { before, after } = cut(piece, '/');
  if (/^[a-z[]/i.test(before.text) && after === undefined) {
    return piece.text.split('|').reduce((sum, word) => sum | flagBit(piece, word, names, full), 0);
  }
  const value = parseNumber(before, full);
  return after === undefined ? value : { value, mask: parseNumber(after, full) };
}

function parseSignedFlags(piece: Piece, names: readonly string[], full: number): Masked {
  let value = 0;
  let mask = 0;
  for (const found of piece.text.matchAll(/([+-])([^+-]*)/g)) {
    const bit = flagBit(slice(piece, found.index + 1, found.index + found[0].length), found[2] ?? '', names, full);
    mask |= bit;
    if (found[1] === '+') value |= bit;
  }
  return { value, mask };
}

function flagBit(piece: Piece, word: string, names: readonly string[], full: number): number {
  const index = names.indexOf(word);
  if (index >= 0) return 2 ** index;
  const number = /^\[?(?:0x)?([0-9a-f]+)\]?$/i.exec(word);
  const bit = number === null ? Number.NaN : Number.parseInt(number[1] ?? '', 16);
  if (!(bit <= full)) throw new FlowTextError(piece, `should be flags out of ${names.join(', ')}, as in +${names[0]}`);
  return bit;
}

/** `NXM_NX_REG0[]`, `NXM_NX_REG0[3]` or `NXM_NX_REG0[0..15]`. */
export function formatSubfield(subfield: Subfield): string {
  const { headerName, significantBits } = FIELDS[subfield.field];
  const { start, length } = subfield;
  if (start === 0 && length === significantBits) return `${headerName}[]`;
  return length === 1 ? `${headerName}[${start}]` : `${headerName}[${start}..${start + length - 1}]`;
}

/** All bits of a field. */
export function wholeField(field: FieldName): Subfield {
  return { field, start: 0, length: FIELDS[field].significantBits };
}

const SUBFIELD = /^([a-z][a-z0-9_]*)(?:\[(?:(\d+)(?:\.\.(\d+))?)?\])?$/i;

/** A bit range, or the name of a field for all of it; undefined where the text is neither. */
export function findSubfield(piece: Piece): Subfield | undefined {
  const found = SUBFIELD.exec(piece.text);
  const field = found === null ? undefined : FIELD_NAMES.get(found[1] ?? '');
  if (found === null || field === undefined) return undefined;
  const whole = wholeField(field);
  if (found[2] === undefined) return whole;
  const start = Number(found[2]);
  const end = Number(found[3] ?? found[2]);
  if (end < start || end >= whole.length) {
    throw new FlowTextError(piece, `${FIELDS[field].ovsName} has the bits 0 to ${whole.length - 1}`);
  }
  return { field, start, length: end - start + 1 };
}

export function parseSubfield(piece: Piece): Subfield {
  const subfield = findSubfield(piece);
  if (subfield === undefined)
    throw new FlowTextError(piece, 'should be a field or bits of it, as in NXM_NX_REG0[0..15]');
  return subfield;
}

/** A number that fits into a bit range. */
export function parseBits(piece: Piece, subfield: Subfield): FieldValue {
  const value = parseBig(piece, subfield.length);
  return isWide(FIELDS[subfield.field]) ? value : Number(value);
}

/** An address of either family. */
export function parseIp(piece: Piece): number | bigint {
  try {
    return ipFromText(piece.text);
  } catch (error) {
    if (error instanceof HeddleError) throw new FlowTextError(piece, error.message);
    throw error;
  }
}
