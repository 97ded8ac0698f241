/**
 * What two matches have to do with each other, and the one form in which equal matches are equal values. The book keys flows
 * by `flowKey`; the switch side and the walker ask for overlap and for prerequisites. Text is in match-text.ts.
 */
import { invariant } from '../lib/errors.ts';
import { FIELDS, type FieldName, type FieldValue, fullMask, type Prerequisite } from './fields.ts';
import type { Flow, Masked, Match } from './flow.ts';

export const ETH_TYPE = {
  ipv4: 0x0800,
  ipv6: 0x86dd,
  arp: 0x0806,
  rarp: 0x8035,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
} as const;
export const IP_PROTO = { icmpv4: 1, igmp: 2, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

/** The bit of a VLAN id that says that there is a VLAN header (OpenFlow 1.3.5 §7.2.3.7, OFPVID_PRESENT). */
export const VLAN_PRESENT = 0x1000;

const RANK: ReadonlyMap<string, number> = new Map(Object.keys(FIELDS).map((name, index) => [name, index]));

type Writable = { -readonly [Field in FieldName]?: FieldValue | Masked };

/** The fields of a match in the order of FIELDS. */
export function fieldsOf(match: Match): FieldName[] {
  const names = Object.keys(match) as FieldName[];
  return names.length < 2 ? names : names.sort((a, b) => (RANK.get(a) ?? 0) - (RANK.get(b) ?? 0));
}

/** Value and mask of an entry; the mask of an exact value is all that the field can be tested for. */
export function maskedOf(name: FieldName, entry: FieldValue | Masked): Masked {
  return typeof entry === 'object' ? entry : { value: entry, mask: fullMask(name) };
}

/**
 * The form in which equal matches are deeply equal, which is also what a switch reports over OpenFlow 1.3: fields in the order
 * of FIELDS; value bits outside the mask zero; no empty masks and none of all ones; registers in 32-bit parts (xreg0 is reg0
 * and reg1); `vlanTci`, `ipTos` and `inPortNxm` as the fields that OpenFlow 1.3 has for them; no packet type of Ethernet.
 * Two names of one field (xreg0 and reg0) hold together, and must not contradict each other.
 */
export function normaliseMatch(match: Match): Match {
  const split: Writable = {};
  for (const name of Object.keys(match) as FieldName[]) {
    const entry = match[name];
    if (entry === undefined) continue;
    for (const [part, partEntry] of partsOf(name, entry)) {
      const present = split[part];
      split[part] = present === undefined ? partEntry : bothOf(part, present, partEntry);
    }
  }
  const normal: Writable = {};
  for (const name of fieldsOf(split)) {
    const entry = normalEntry(name, split[name]);
    if (entry !== undefined && !(name === 'packetType' && entry === 0)) normal[name] = entry;
  }
  return normal;
}

function normalEntry(name: FieldName, entry: FieldValue | Masked | undefined): FieldValue | Masked | undefined {
  if (typeof entry !== 'object') return entry;
  const full = fullMask(name);
  const mask = and(entry.mask, full);
  if (mask === 0 || mask === 0n) return undefined;
  const value = and(entry.value, mask);
  return mask === full ? value : { value, mask };
}

function and(a: FieldValue, b: FieldValue): FieldValue {
  if (typeof a === 'bigint' && typeof b === 'bigint') return a & b;
  const [wideA, wideB] = [Number(a), Number(b)];
  // 48-bit numbers are beyond the bitwise operators, which take 32.
  if (wideA <= 0xffffffff && wideB <= 0xffffffff) return (wideA & wideB) >>> 0;
  return Number(BigInt(wideA) & BigInt(wideB));
}

function or(a: FieldValue, b: FieldValue): FieldValue {
  return typeof a === 'bigint' ? a | BigInt(b) : Number(BigInt(a) | BigInt(b));
}

/** Both claims on a field, which may be parts of a wider one. They cannot contradict each other. */
function bothOf(name: FieldName, a: FieldValue | Masked, b: FieldValue | Masked): Masked {
  const [maskedA, maskedB] = [maskedOf(name, a), maskedOf(name, b)];
  const common = and(maskedA.mask, maskedB.mask);
  const agree = and(maskedA.value, common) === and(maskedB.value, common);
  invariant(agree, 'a match that no packet can have', { field: name, a: maskedA, b: maskedB });
  return {
    value: or(and(maskedA.value, maskedA.mask), and(maskedB.value, maskedB.mask)),
    mask: or(maskedA.mask, maskedB.mask),
  };
}

const WIDE_REGISTER = /^(x?xreg)(\d+)$/;

type Part = readonly [FieldName, FieldValue | Masked];

/** The fields of the normal form that an entry is about: `reg0` and `reg1` for `xreg0`; most fields are their own. */
export function partsOf(name: FieldName, entry: FieldValue | Masked): readonly Part[] {
  const { value, mask } = maskedOf(name, entry);
  switch (name) {
    case 'vlanTci':
      return splitVlanTci(Number(value), Number(mask));
    case 'ipTos':
      return [['ipDscp', Number(value) >>> 2]];
    case 'inPortNxm':
      return [['inPort', Number(value) >= 0xfff8 ? Number(value) + 0xffff0000 : value]];
    default:
      return WIDE_REGISTER.test(name) ? splitRegister(name, BigInt(value), BigInt(mask)) : [[name, entry]];
  }
}

function splitRegister(name: FieldName, value: bigint, mask: bigint): readonly Part[] {
  const [, kind, number] = WIDE_REGISTER.exec(name) ?? [];
  const count = kind === 'xreg' ? 2 : 4;
  return Array.from({ length: count }, (_, part) => {
    const shift = BigInt(32 * (count - 1 - part));
    const register = `reg${Number(number) * count + part}` as FieldName;
    return [register, { value: Number((value >> shift) & 0xffffffffn), mask: Number((mask >> shift) & 0xffffffffn) }];
  });
}

/**
 * A match on the whole VLAN header as OpenFlow 1.3 says it. Without a header there is nothing else to match; a priority is
 * matched whole or not at all.
 */
function splitVlanTci(tci: number, mask: number): readonly Part[] {
  const isUntagged = (mask & VLAN_PRESENT) !== 0 && (tci & VLAN_PRESENT) === 0;
  const vlanVid: Part = ['vlanVid', { value: tci & 0x1fff, mask: mask & 0x1fff }];
  return isUntagged || (mask & 0xe000) === 0 ? [vlanVid] : [vlanVid, ['vlanPcp', tci >>> 13]];
}

/** One string per match: equal exactly when the matches, in normal form, are equal. */
export function matchKey(match: Match): string {
  let key = '';
  for (const name of fieldsOf(match)) {
    const entry = match[name];
    if (entry === undefined) continue;
    key += typeof entry === 'object' ? `${name}=${entry.value}/${entry.mask},` : `${name}=${entry},`;
  }
  return key;
}

/** What identifies a flow on a bridge (OpenFlow 1.3.5 §6.4, strict): table, priority and match, the match in normal form. */
export function flowKey(flow: Pick<Flow, 'table' | 'priority' | 'match'>): string {
  return `${flow.table} ${flow.priority} ${matchKey(flow.match)}`;
}

/** Whether two matches, in normal form, select the same packets by the same words. */
export function sameMatch(a: Match, b: Match): boolean {
  return matchKey(a) === matchKey(b);
}

/** Whether some packet can match both: no field that both test has bits in which they differ. */
export function matchesOverlap(a: Match, b: Match): boolean {
  return fieldsOf(a).every((name) => {
    const [entryA, entryB] = [a[name], b[name]];
    if (entryA === undefined || entryB === undefined) return true;
    const [maskedA, maskedB] = [maskedOf(name, entryA), maskedOf(name, entryB)];
    const common = and(maskedA.mask, maskedB.mask);
    return and(maskedA.value, common) === and(maskedB.value, common);
  });
}

/** Whether every packet that matches `specific` matches `general` too: what a non-strict delete by `general` takes. */
export function matchCovers(general: Match, specific: Match): boolean {
  return fieldsOf(general).every((name) => {
    const [wide, narrow] = [general[name], specific[name]];
    if (wide === undefined) return true;
    if (narrow === undefined) return false;
    const [wideMasked, narrowMasked] = [maskedOf(name, wide), maskedOf(name, narrow)];
    if (and(wideMasked.mask, narrowMasked.mask) !== wideMasked.mask) return false;
    return and(narrowMasked.value, wideMasked.mask) === and(wideMasked.value, wideMasked.mask);
  });
}

/** The Ethernet type that a match says, also where a packet type says it. */
export function ethTypeOf(match: Match): number | undefined {
  const { ethType, packetType } = match;
  if (typeof packetType === 'number' && packetType >>> 16 === 1) return packetType & 0xffff;
  return typeof ethType === 'number' ? ethType : undefined;
}

/** Whether a match says that there is a VLAN header. */
export function isTagged(match: Match): boolean {
  if (match.vlanVid === undefined) return false;
  const { value, mask } = maskedOf('vlanVid', match.vlanVid);
  return (Number(value) & Number(mask) & VLAN_PRESENT) !== 0;
}

/** Flags of ct_state that only a tracked and valid packet has: new, est, rel, rpl, snat, dnat; and inv and trk. */
const CT_VALID = 0xcf;
const CT_INVALID = 0x10;
const CT_TRACKED = 0x20;

const VALID_CT = 'a ct_state with new, est, rel, rpl, snat or dnat set, or +trk-inv';

function hasValidCt(match: Match): boolean {
  if (match.ctState === undefined) return false;
  const { value, mask } = maskedOf('ctState', match.ctState);
  if ((Number(value) & CT_VALID) !== 0) return true;
  return (Number(value) & CT_TRACKED) !== 0 && (Number(mask) & CT_INVALID) !== 0 && (Number(value) & CT_INVALID) === 0;
}

function isIp(match: Match, proto?: number): boolean {
  const ethType = ethTypeOf(match);
  return (ethType === ETH_TYPE.ipv4 || ethType === ETH_TYPE.ipv6) && (proto === undefined || match.ipProto === proto);
}

function isIcmpv6(match: Match, types: readonly number[] = []): boolean {
  if (ethTypeOf(match) !== ETH_TYPE.ipv6 || match.ipProto !== IP_PROTO.icmpv6) return false;
  if (types.length === 0) return true;
  const isCodeZero = match.icmpv6Code === undefined || match.icmpv6Code === 0;
  return isCodeZero && types.some((type) => type === match.icmpv6Type);
}

/** What a match must say before it may test a field (ovs-fields(7)), and how one writes that. */
const PREREQUISITES: {
  readonly [Name in Prerequisite]: { readonly text: string; readonly holds: (match: Match) => boolean };
} = {
  none: { text: '', holds: () => true },
  vlan: { text: 'dl_vlan, or vlan_tci=0x1000/0x1000', holds: isTagged },
  mpls: {
    text: 'mpls or mplsm',
    holds: (match) => ethTypeOf(match) === ETH_TYPE.mpls || ethTypeOf(match) === ETH_TYPE.mplsMulticast,
  },
  ip: { text: 'ip or ipv6', holds: (match) => isIp(match) },
  ipv4: { text: 'ip', holds: (match) => ethTypeOf(match) === ETH_TYPE.ipv4 },
  ipv6: { text: 'ipv6', holds: (match) => ethTypeOf(match) === ETH_TYPE.ipv6 },
  arp: {
    text: 'arp or rarp',
    holds: (match) => ethTypeOf(match) === ETH_TYPE.arp || ethTypeOf(match) === ETH_TYPE.rarp,
  },
  tcp: { text: 'tcp or tcp6', holds: (match) => isIp(match, IP_PROTO.tcp) },
  udp: { text: 'udp or udp6', holds: (match) => isIp(match, IP_PROTO.udp) },
  sctp: { text: 'sctp or sctp6', holds: (match) => isIp(match, IP_PROTO.sctp) },
  icmpv4: {
    text: 'icmp',
    holds: (match) => ethTypeOf(match) === ETH_TYPE.ipv4 && match.ipProto === IP_PROTO.icmpv4,
  },
  icmpv6: { text: 'icmp6', holds: (match) => isIcmpv6(match) },
  nd: { text: 'icmp6 with icmp_type=135 or icmp_type=136, icmp_code 0', holds: (match) => isIcmpv6(match, [135, 136]) },
  ndSolicit: { text: 'icmp6 with icmp_type=135, icmp_code 0', holds: (match) => isIcmpv6(match, [135]) },
  ndAdvert: { text: 'icmp6 with icmp_type=136, icmp_code 0', holds: (match) => isIcmpv6(match, [136]) },
  ct: { text: VALID_CT, holds: hasValidCt },
  ctIpv4: { text: `ip, and ${VALID_CT}`, holds: (match) => hasValidCt(match) && ethTypeOf(match) === ETH_TYPE.ipv4 },
  ctIpv6: { text: `ipv6, and ${VALID_CT}`, holds: (match) => hasValidCt(match) && ethTypeOf(match) === ETH_TYPE.ipv6 },
};

/** The first field of a match, in normal form, whose prerequisite is not there, and what it wants; undefined: none. */
export function missingPrerequisite(match: Match): { readonly field: FieldName; readonly wanted: string } | undefined {
  for (const field of fieldsOf(match)) {
    const row = PREREQUISITES[FIELDS[field].prerequisite];
    if (!row.holds(match)) return { field, wanted: row.text };
  }
  return undefined;
}
