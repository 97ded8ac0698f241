/**
 * `ct(...)` and its `nat(...)` as text (ovs-actions(7), ct).
 */
import { ipToText } from '../lib/addresses.ts';
import type { Nat } from './action.ts';
import {
  type ActionOf,
  type ActionRow,
  endAtParenthesis,
  type FormatContext,
  type ParseContext,
} from './action-row.ts';
import { cut, FlowTextError, type KeyValue, keyValue, type Piece, parseNumber, slice, splitList } from './scan.ts';
import { formatSubfield, parseIp, parseSubfield } from './values.ts';

type Ct = ActionOf<'ct'>;
type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Connection tracking helpers by the port that ovs-ofctl means by their name. */
const HELPERS: readonly (readonly [string, number])[] = [
  ['ftp', 21],
  ['tftp', 69],
];

function formatCt(ct: Ct, context: FormatContext): string {
  const parts: string[] = [];
  if (ct.commit) parts.push('commit');
  if (ct.force) parts.push('force');
  if (ct.table !== undefined) parts.push(`table=${ct.table}`);
  if (typeof ct.zone === 'object') parts.push(`zone=${formatSubfield(ct.zone)}`);
  else if (ct.zone) parts.push(`zone=${ct.zone}`);
  if (ct.nat !== undefined) parts.push(formatNat(ct.nat));
  if (ct.exec !== undefined && ct.exec.length > 0) parts.push(`exec(${context.formatActions(ct.exec, context)})`);
  if (ct.alg) parts.push(`alg=${HELPERS.find(([, port]) => port === ct.alg)?.[0] ?? ct.alg}`);
  return `ct(${parts.join(',')})`;
}

function formatNat(nat: Nat): string {
  if (nat.direction === undefined) return 'nat';
  let text: string = nat.direction;
  if (nat.addressMin !== undefined) {
    const hasPort = nat.portMin !== undefined && nat.portMin !== 0;
    const one = (address: number | bigint) =>
      typeof address === 'bigint' && hasPort ? `[${ipToText(address)}]` : ipToText(address);
    text += `=${one(nat.addressMin)}`;
    if (nat.addressMax !== undefined && nat.addressMax !== nat.addressMin) text += `-${one(nat.addressMax)}`;
    if (hasPort) text += `:${nat.portMin}`;
    if (hasPort && nat.portMax !== undefined && nat.portMax !== nat.portMin) text += `-${nat.portMax}`;
  }
  if (nat.persistent) text += ',persistent';
  if (nat.hash) text += ',hash';
  if (nat.random) text += ',random';
  return `nat(${text})`;
}

const SHAPE = 'ct(commit,table=1,zone=5,nat(src=10.0.0.1),exec(set_field:1->ct_mark))';

function readCt(text: KeyValue, context: ParseContext): Ct {
  const ct: Writable<Ct> = { type: 'ct' };
  if (text.delimiter === '') return ct;
  endAtParenthesis(text, SHAPE);
  for (const part of splitList(text.value).map(keyValue)) {
    switch (part.key.text) {
      case 'commit':
        ct.commit = true;
        break;
      case 'force':
        ct.force = true;
        break;
      case 'table':
        ct.table = parseNumber(part.value, 254);
        break;
      case 'zone':
        setZone(ct, part.value);
        break;
      case 'nat':
        ct.nat = readNat(part);
        break;
      case 'exec': {
        const exec = context.parseActions(part.value, context);
        if (exec.length > 0) ct.exec = exec;
        break;
      }
      case 'alg':
        ct.alg = readHelper(part.value);
        break;
      default:
        throw new FlowTextError(part.whole, `is no part of ct(): ${SHAPE}`);
    }
  }
  if (ct.force && !ct.commit) throw new FlowTextError(text.whole, 'force needs commit');
  if (ct.nat?.direction !== undefined && !ct.commit) {
    throw new FlowTextError(
      text.whole,
      'nat(src) and nat(dst) need commit; nat alone translates as the connection says',
    );
  }
  return ct;
}

function setZone(ct: Writable<Ct>, value: Piece): void {
  if (/^\d/.test(value.text)) {
    const zone = parseNumber(value, 0xffff);
    if (zone !== 0) ct.zone = zone;
    return;
  }
  const zone = parseSubfield(value);
  if (zone.length !== 16) throw new FlowTextError(value, 'a zone has 16 bits, as in NXM_NX_REG6[0..15]');
  ct.zone = zone;
}

function readHelper(value: Piece): number {
  return HELPERS.find(([name]) => name === value.text)?.[1] ?? parseNumber(value, 0xffff);
}

const NAT_SHAPE = 'nat(src=10.0.0.1-10.0.0.9:1024-65535,random)';

function readNat(text: KeyValue): Nat {
  const nat: Writable<Nat> = {};
  if (text.delimiter === '') return nat;
  endAtParenthesis(text, NAT_SHAPE);
  for (const part of splitList(text.value).map(keyValue)) {
    switch (part.key.text) {
      case 'src':
      case 'dst':
        nat.direction = part.key.text;
        if (part.delimiter === '=') readRange(nat, part.value);
        break;
      case 'persistent':
      case 'hash':
      case 'random':
        nat[part.key.text] = true;
        break;
      default:
        throw new FlowTextError(part.whole, `is no part of nat(): ${NAT_SHAPE}`);
    }
  }
  // Without addresses nothing is chosen, and Open vSwitch forgets how it should be.
  return nat.addressMin === undefined && nat.direction !== undefined ? { direction: nat.direction } : nat;
}

/** `10.0.0.1-10.0.0.9:1024-65535`, `fd00::1-fd00::9` or `[fd00::1]-[fd00::9]:80`. The upper ends are left out where they are the lower. */
function readRange(nat: Writable<Nat>, piece: Piece): void {
  const [addresses, ports] = splitPorts(piece);
  const { before: min, after: max } = cut(addresses, '-');
  nat.addressMin = parseIp(unbracket(min));
  const addressMax = max === undefined ? nat.addressMin : parseIp(unbracket(max));
  if (typeof addressMax !== typeof nat.addressMin || addressMax < nat.addressMin) {
    throw new FlowTextError(addresses, 'should be a range of one address family, the lower address first');
  }
  if (addressMax !== nat.addressMin) nat.addressMax = addressMax;
  if (ports === undefined) return;
  const { before: portMin, after: portMax } = cut(ports, '-');
  const lowest = parseNumber(portMin, 0xffff);
  const highest = portMax === undefined ? lowest : parseNumber(portMax, 0xffff);
  if (lowest === 0 && highest === 0) return;
  if (lowest === 0 || highest < lowest)
    throw new FlowTextError(ports, 'should be a range of ports from 1, the lower port first');
  nat.portMin = lowest;
  if (highest !== lowest) nat.portMax = highest;
}

function splitPorts(piece: Piece): readonly [Piece, Piece?] {
  const isBracketed = piece.text.includes('[');
  const colons = piece.text.split(':').length - 1;
  if (!isBracketed && colons !== 1) return [piece];
  const at = isBracketed ? piece.text.lastIndexOf(']') + 1 : piece.text.indexOf(':');
  if (at >= piece.text.length) return [piece];
  if (piece.text[at] !== ':') throw new FlowTextError(piece, `should look like ${NAT_SHAPE}`);
  return [slice(piece, 0, at), slice(piece, at + 1)];
}

function unbracket(piece: Piece): Piece {
  const isBracketed = piece.text.startsWith('[') && piece.text.endsWith(']');
  return isBracketed ? slice(piece, 1, piece.text.length - 1) : piece;
}

export const CT: ActionRow<'ct'> = { instruction: 'apply', format: formatCt, read: { ct: readCt } };
