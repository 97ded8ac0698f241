/**
 * Matches as text: PRINTED is the order and the names of `ovs-ofctl dump-flows`, and the reader takes those, the names of
 * ovs-fields(7), and their aliases and shorthands.
 */
import { FIELD_NAMES, FIELDS, type FieldName, type FieldValue, fullMask } from './fields.ts';
import type { Masked, Match } from './flow.ts';
import {
  ETH_TYPE,
  ethTypeOf,
  IP_PROTO,
  maskedOf,
  missingPrerequisite,
  normaliseMatch,
  partsOf,
  VLAN_PRESENT,
} from './match.ts';
import { FlowTextError, type KeyValue, type Piece, parseNumber } from './scan.ts';
import { formatHex, formatValue, type ParseOptions, parseValue, type TextOptions } from './values.ts';

type Print = (entry: FieldValue | Masked, match: Match, options: TextOptions) => string;

/** `name=value` as the format of the field prints it. */
function plain(name: FieldName, label: string = FIELDS[name].ovsName): Print {
  return (entry, _match, options) => `${label}=${formatValue(name, entry, options)}`;
}

/** Ports, ids and the like: decimal, and hexadecimal with 0x even for zero where a mask is given. */
function number16(label: string): Print {
  return (entry) =>
    typeof entry === 'object'
      ? `${label}=0x${entry.value.toString(16)}/0x${entry.mask.toString(16)}`
      : `${label}=${entry}`;
}

/** Hexadecimal with leading zeros. */
function padded(label: string, digits: number): Print {
  const hex = (value: FieldValue) => `0x${value.toString(16).padStart(digits, '0')}`;
  return (entry) =>
    typeof entry === 'object' ? `${label}=${hex(entry.value)}/${hex(entry.mask)}` : `${label}=${hex(entry)}`;
}

/** The VLAN header: by id and priority where they are tested whole on a tagged packet, else by its bits. */
const printVlanVid: Print = (entry, match) => {
  const { value, mask } = typeof entry === 'object' ? entry : { value: entry, mask: 0x1fff };
  const [vid, vidMask] = [Number(value), Number(mask)];
  const pcp = match.vlanPcp;
  if ((vid & VLAN_PRESENT) !== 0 && vidMask === 0x1fff) return `dl_vlan=${vid & 0xfff}`;
  if ((vid & VLAN_PRESENT) !== 0 && vidMask === VLAN_PRESENT && pcp !== undefined) return '';
  const bits = pcp === undefined ? [vid, vidMask] : [vid | (Number(pcp) << 13), vidMask | 0xe000];
  const [tci = 0, tciMask = 0] = bits;
  return `vlan_tci=0x${tci.toString(16).padStart(4, '0')}/0x${tciMask.toString(16).padStart(4, '0')}`;
};

const printVlanPcp: Print = (entry, match) =>
  printVlanVid(match.vlanVid ?? 0, match, {}).startsWith('vlan_tci') ? '' : `dl_vlan_pcp=${entry}`;

const REGISTERS = Array.from({ length: 16 }, (_, index) => `reg${index}` as FieldName);
const TUN_METADATA = Array.from({ length: 8 }, (_, index) => `tunMetadata${index}` as FieldName);

/** Where the protocol shorthand stands, after the fields of connection tracking. */
const PROTOCOL = 'protocol';

const PRINTED: readonly (readonly [FieldName | typeof PROTOCOL, Print])[] = [
  ['pktMark', plain('pktMark')],
  ['dpHash', plain('dpHash')],
  ['conjId', plain('conjId')],
  ['actsetOutput', plain('actsetOutput')],
  ['ctState', plain('ctState')],
  ['ctZone', number16('ct_zone')],
  ['ctMark', plain('ctMark')],
  ['ctLabel', plain('ctLabel')],
  ['ctNwSrc', plain('ctNwSrc')],
  ['ctIpv6Src', plain('ctIpv6Src')],
  ['ctNwDst', plain('ctNwDst')],
  ['ctIpv6Dst', plain('ctIpv6Dst')],
  ['ctNwProto', plain('ctNwProto')],
  ['ctTpSrc', number16('ct_tp_src')],
  ['ctTpDst', number16('ct_tp_dst')],
  ['packetType', plain('packetType')],
  [PROTOCOL, (_entry, match) => protocolOf(match)?.word ?? ''],
  ...REGISTERS.map((name) => [name, plain(name)] as const),
  ['tunnelId', plain('tunnelId')],
  ['tunSrc', plain('tunSrc')],
  ['tunDst', plain('tunDst')],
  ['tunIpv6Src', plain('tunIpv6Src')],
  ['tunIpv6Dst', plain('tunIpv6Dst')],
  ['tunGbpId', number16('tun_gbp_id')],
  ['tunGbpFlags', plain('tunGbpFlags')],
  ['tunFlags', (entry) => `tun_flags=${formatValue('tunFlags', maskedOf('tunFlags', entry))}`],
  ...TUN_METADATA.map((name) => [name, plain(name)] as const),
  ['metadata', plain('metadata')],
  ['inPort', plain('inPort', 'in_port')],
  ['vlanVid', printVlanVid],
  ['vlanPcp', printVlanPcp],
  ['ethSrc', plain('ethSrc', 'dl_src')],
  ['ethDst', plain('ethDst', 'dl_dst')],
  ['ethType', padded('dl_type', 4)],
  ['ipv6Src', plain('ipv6Src')],
  ['ipv6Dst', plain('ipv6Dst')],
  ['ipv6Label', padded('ipv6_label', 5)],
  ['arpSpa', plain('arpSpa')],
  ['arpTpa', plain('arpTpa')],
  ['ipv4Src', plain('ipv4Src', 'nw_src')],
  ['ipv4Dst', plain('ipv4Dst', 'nw_dst')],
  ['ipProto', plain('ipProto')],
  ['arpOp', plain('arpOp')],
  ['arpSha', plain('arpSha')],
  ['arpTha', plain('arpTha')],
  ['ipDscp', (entry) => `nw_tos=${Number(entry) << 2}`],
  ['ipEcn', plain('ipEcn')],
  ['ipTtl', plain('ipTtl')],
  ['mplsLabel', plain('mplsLabel')],
  ['mplsTc', plain('mplsTc')],
  ['mplsTtl', plain('mplsTtl')],
  ['mplsBos', plain('mplsBos')],
  ['ipFrag', plain('ipFrag', 'nw_frag')],
  ['icmpv4Type', plain('icmpv4Type')],
  ['icmpv4Code', plain('icmpv4Code')],
  ['icmpv6Type', plain('icmpv6Type', 'icmp_type')],
  ['icmpv6Code', plain('icmpv6Code', 'icmp_code')],
  ['ndTarget', plain('ndTarget')],
  ['ndSll', plain('ndSll')],
  ['ndTll', plain('ndTll')],
  ['ndReserved', plain('ndReserved')],
  ['ndOptionsType', plain('ndOptionsType')],
  ['tcpSrc', number16('tp_src')],
  ['udpSrc', number16('tp_src')],
  ['sctpSrc', number16('tp_src')],
  ['tcpDst', number16('tp_dst')],
  ['udpDst', number16('tp_dst')],
  ['sctpDst', number16('tp_dst')],
  ['tcpFlags', plain('tcpFlags')],
];
const PRINT_RANK: ReadonlyMap<string, number> = new Map(PRINTED.map(([name], index) => [name, index]));

interface Protocol {
  readonly word: string;
  readonly ethType: number;
  readonly ipProto?: number;
}

/** The words for an Ethernet type and IP protocol. IGMP is read by its number, as ovs-ofctl prints it over OpenFlow 1.3. */
const PROTOCOLS: readonly Protocol[] = [
  { word: 'icmp', ethType: ETH_TYPE.ipv4, ipProto: IP_PROTO.icmpv4 },
  { word: 'tcp', ethType: ETH_TYPE.ipv4, ipProto: IP_PROTO.tcp },
  { word: 'udp', ethType: ETH_TYPE.ipv4, ipProto: IP_PROTO.udp },
  { word: 'sctp', ethType: ETH_TYPE.ipv4, ipProto: IP_PROTO.sctp },
  { word: 'icmp6', ethType: ETH_TYPE.ipv6, ipProto: IP_PROTO.icmpv6 },
  { word: 'tcp6', ethType: ETH_TYPE.ipv6, ipProto: IP_PROTO.tcp },
  { word: 'udp6', ethType: ETH_TYPE.ipv6, ipProto: IP_PROTO.udp },
  { word: 'sctp6', ethType: ETH_TYPE.ipv6, ipProto: IP_PROTO.sctp },
  { word: 'ip', ethType: ETH_TYPE.ipv4 },
  { word: 'ipv6', ethType: ETH_TYPE.ipv6 },
  { word: 'arp', ethType: ETH_TYPE.arp },
  { word: 'rarp', ethType: ETH_TYPE.rarp },
  { word: 'mpls', ethType: ETH_TYPE.mpls },
  { word: 'mplsm', ethType: ETH_TYPE.mplsMulticast },
];
const PROTOCOL_WORDS: ReadonlyMap<string, Protocol> = new Map(
  [...PROTOCOLS, { word: 'ip4', ethType: ETH_TYPE.ipv4 }].map((row) => [row.word, row]),
);

function protocolOf(match: Match): Protocol | undefined {
  const { ethType, ipProto } = match;
  if (typeof ethType !== 'number') return undefined;
  return PROTOCOLS.find((row) => row.ethType === ethType && (row.ipProto === undefined || row.ipProto === ipProto));
}

/** The match, in normal form, as ovs-ofctl prints it: `arp,dl_vlan=1,arp_tpa=10.0.0.1`; nothing for a match of everything. */
export function formatMatch(match: Match, options: TextOptions = {}): string {
  const protocol = protocolOf(match);
  const ranks: number[] = [];
  for (const name of Object.keys(match) as FieldName[]) {
    const isSaid =
      (name === 'ethType' && protocol !== undefined) || (name === 'ipProto' && protocol?.ipProto !== undefined);
    const rank = isSaid ? undefined : PRINT_RANK.get(name);
    if (rank !== undefined) ranks.push(rank);
  }
  if (protocol !== undefined) ranks.push(PRINT_RANK.get(PROTOCOL) ?? 0);
  let text = '';
  for (const rank of ranks.sort((a, b) => a - b)) {
    const [name, print] = PRINTED[rank] ?? [];
    if (name === undefined || print === undefined) continue;
    const part = print((name === PROTOCOL ? undefined : match[name]) ?? 0, match, options);
    if (part !== '') text += text === '' ? part : `,${part}`;
  }
  return text;
}

/** Names whose field depends on the protocol that the match names elsewhere. */
const BY_PROTOCOL: ReadonlyMap<string, (match: Match) => FieldName> = new Map([
  ['tp_src', (match: Match) => transport(match, { tcp: 'tcpSrc', udp: 'udpSrc', sctp: 'sctpSrc' })],
  ['tp_dst', (match: Match) => transport(match, { tcp: 'tcpDst', udp: 'udpDst', sctp: 'sctpDst' })],
  ['icmp_type', (match: Match) => (ethTypeOf(match) === ETH_TYPE.ipv6 ? 'icmpv6Type' : 'icmpv4Type')],
  ['icmp_code', (match: Match) => (ethTypeOf(match) === ETH_TYPE.ipv6 ? 'icmpv6Code' : 'icmpv4Code')],
  ['nw_src', (match: Match) => (isArp(match) ? 'arpSpa' : 'ipv4Src')],
  ['nw_dst', (match: Match) => (isArp(match) ? 'arpTpa' : 'ipv4Dst')],
  ['nw_proto', (match: Match) => (isArp(match) ? 'arpOp' : 'ipProto')],
]);

function isArp(match: Match): boolean {
  const ethType = ethTypeOf(match);
  return ethType === ETH_TYPE.arp || ethType === ETH_TYPE.rarp;
}

/** The field of the transport protocol that a match names; TCP's where it names none. */
export function transport(match: Match, fields: { readonly [Name in 'tcp' | 'udp' | 'sctp']: FieldName }): FieldName {
  if (match.ipProto === IP_PROTO.udp) return fields.udp;
  return match.ipProto === IP_PROTO.sctp ? fields.sctp : fields.tcp;
}

/** Whether a key of flow text belongs to its match. */
export function isMatchKey(key: string): boolean {
  return PROTOCOL_WORDS.has(key) || key === 'eth' || key === 'dl_vlan' || key === 'dl_vlan_pcp' || FIELD_NAMES.has(key);
}

/**
 * The match, in normal form, of the parts of flow text that isMatchKey takes. The protocol may stand after the fields that
 * need it; a field given twice has its last value, as in ovs-ofctl. Throws FlowTextError, also for a missing prerequisite.
 */
export function parseMatch(parts: readonly KeyValue[], options: ParseOptions = {}): Match {
  const match: { -readonly [Field in FieldName]?: FieldValue | Masked } = {};
  const places = new Map<FieldName, Piece>();
  const put = (name: FieldName, entry: FieldValue | Masked | undefined, place: Piece) => {
    delete match[name];
    if (entry !== undefined) match[name] = entry;
    places.set(name, place);
  };
  const isProtocol = (part: KeyValue) => /^(?:eth_type|dl_type|ip_proto|packet_type|eth)$/.test(part.key.text);
  for (const part of parts) {
    const protocol = PROTOCOL_WORDS.get(part.key.text);
    if (protocol !== undefined) {
      put('ethType', protocol.ethType, part.key);
      if (protocol.ipProto !== undefined) put('ipProto', protocol.ipProto, part.key);
    } else if (isProtocol(part) && part.key.text !== 'eth') {
      const name = FIELD_NAMES.get(part.key.text) ?? 'ethType';
      put(name, parseValue(name, part.value, options), part.whole);
    }
  }
  // nw_proto may say which field tp_src is, and itself depends on the Ethernet type.
  const rest = parts.filter((part) => !PROTOCOL_WORDS.has(part.key.text) && !isProtocol(part));
  rest.sort((a, b) => Number(b.key.text === 'nw_proto') - Number(a.key.text === 'nw_proto'));
  for (const part of rest) parseField(part, match, put, options);
  refuseTwoNames(match, places);
  const normal = normaliseMatch(match);
  const missing = missingPrerequisite(normal);
  if (missing === undefined) return normal;
  const place = places.get(missing.field) ?? parts[0]?.whole ?? { text: '', start: 0 };
  throw new FlowTextError(
    place,
    `${FIELDS[missing.field].ovsName} can be matched only together with ${missing.wanted}`,
  );
}

/** Two names of one field, as reg0 and xreg0, are refused: which of them holds would depend on their order. */
function refuseTwoNames(match: Match, places: ReadonlyMap<FieldName, Piece>): void {
  const said = new Map<FieldName, FieldName>();
  for (const name of Object.keys(match) as FieldName[]) {
    for (const [part] of partsOf(name, match[name] ?? 0)) {
      const other = said.get(part);
      const place = places.get(name);
      if (other !== undefined && place !== undefined) {
        throw new FlowTextError(place, `${FIELDS[other].ovsName} matches some of this already: say it once`);
      }
      said.set(part, name);
    }
  }
}

type Put = (name: FieldName, entry: FieldValue | Masked | undefined, place: Piece) => void;

function parseField(part: KeyValue, match: Match, put: Put, options: ParseOptions): void {
  const key = part.key.text;
  if (part.delimiter !== '=' && part.delimiter !== ':')
    throw new FlowTextError(part.whole, `should look like ${key}=value`);
  if (key === 'dl_vlan') {
    const vid = parseNumber(part.value, 0xffff);
    if (vid > 0xfff && vid !== 0xffff)
      throw new FlowTextError(part.value, 'should be a VLAN id from 0 to 4095, or 0xffff for none');
    put('vlanVid', vid === 0xffff ? 0 : VLAN_PRESENT | vid, part.whole);
    return;
  }
  const found = BY_PROTOCOL.get(key)?.(match) ?? FIELD_NAMES.get(key) ?? 'inPort';
  const name = found === 'inPortNxm' ? 'inPort' : found;
  const entry = parseValue(name, part.value, options);
  if (typeof entry !== 'object' && entry !== undefined && entry > fullMask(name)) {
    throw new FlowTextError(part.value, `is more than ${FIELDS[name].ovsName} can be`);
  }
  if (name === 'vlanPcp' && entry !== undefined && match.vlanVid === undefined) {
    put('vlanVid', { value: VLAN_PRESENT, mask: VLAN_PRESENT }, part.whole);
  }
  if (name === 'vlanTci') checkVlanTci(part.value, entry);
  put(name, entry, part.whole);
}

function checkVlanTci(piece: Piece, entry: FieldValue | Masked | undefined): void {
  const mask = typeof entry === 'object' ? Number(entry.mask) : 0xffff;
  const pcpMask = mask & 0xe000;
  const isTaggedOnly = (mask & VLAN_PRESENT) !== 0;
  if (pcpMask === 0 || (pcpMask === 0xe000 && isTaggedOnly)) return;
  const hint = `the mask ${formatHex(mask)} takes parts of the priority, which OpenFlow 1.3 cannot say`;
  throw new FlowTextError(piece, `${hint}: all of 0xf000 or none of 0xe000`);
}
