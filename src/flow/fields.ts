/**
 * THE field table: every match field that heddle knows, one row each. Text, encoder, decoder and parser derive from the row;
 * a new field is a new row and a vector. Sources: ovs-fields(7), OpenFlow 1.3.5 §7.2.3.7 (OXM_OF_*), nicira-ext (NXM_NX_*).
 */

/** Values up to 48 bits are numbers, wider ones bigints; MAC and IPv4 addresses are numbers, IPv6 addresses bigints. */
export type FieldValue = number | bigint;

/**
 * OXM classes: `oxm` 0x8000, `xreg` 0x8001 (OXM_OF_PKT_REG*), `nxm0` and `nxm1` Nicira's 0 and 1, `ericoxm` Ericsson's 0x1000
 * (ND extras, 4 bytes of header like the others), `onfoxm` the experimenter class 0xffff with the id of the ONF, 0x4f4e4600
 * (tcp_flags and actset_output over OpenFlow 1.3).
 */
export type OxmClass = 'oxm' | 'nxm0' | 'nxm1' | 'xreg' | 'onfoxm' | 'ericoxm';

/** Class, field number, and the name of the two in headers: `['oxm', 4, 'OXM_OF_ETH_SRC']`. */
export type OxmCode = readonly [OxmClass, number, string];

export type FieldFormat =
  | 'decimal'
  | 'hex'
  | 'mac'
  | 'ipv4'
  | 'ipv6'
  | 'port'
  | 'frag'
  | 'tcpFlags'
  | 'tunFlags'
  | 'ctState'
  | 'packetType';

export type Prerequisite =
  | 'none'
  | 'vlan'
  | 'mpls'
  | 'ip'
  | 'ipv4'
  | 'ipv6'
  | 'arp'
  | 'tcp'
  | 'udp'
  | 'sctp'
  | 'icmpv4'
  | 'icmpv6'
  | 'nd'
  | 'ndSolicit'
  | 'ndAdvert'
  | 'ct'
  | 'ctIpv4'
  | 'ctIpv6';

export interface Field {
  /** The name in `set_field:…->NAME` and in ovs-fields(7). */
  readonly ovsName: string;
  /** Other names that ovs-ofctl takes for it: `dl_src` for eth_src. */
  readonly aliases: readonly string[];
  /** Width of the value on the wire, a multiple of 8. */
  readonly bits: number;
  /** The lowest bits that may be set; `NAME[]` is all of these. */
  readonly significantBits: number;
  /** Code points, the one we write over OpenFlow 1.3 first. */
  readonly codes: readonly OxmCode[];
  /** The name in bit ranges, `NXM_OF_ETH_SRC[0..15]`: Nicira's where it has one. */
  readonly headerName: string;
  readonly format: FieldFormat;
  readonly maskable: 'none' | 'bitwise';
  /** Whether actions may change it. */
  readonly access: 'read' | 'write';
  readonly prerequisite: Prerequisite;
}

const CLASSES: readonly (readonly [string, OxmClass])[] = [
  ['OXM_OF_PKT_REG', 'xreg'],
  ['OXM_OF_', 'oxm'],
  ['NXM_OF_', 'nxm0'],
  ['NXM_NX_', 'nxm1'],
  ['ONFOXM_ET_', 'onfoxm'],
  ['ERICOXM_OF_', 'ericoxm'],
];

function code(text: string): OxmCode {
  const [name = '', number] = text.split(' ');
  const oxmClass = CLASSES.find(([prefix]) => name.startsWith(prefix))?.[1];
  if (oxmClass === undefined || number === undefined) throw new RangeError(`no code point: ${text}`);
  return [oxmClass, Number(number), name];
}

/** `names` is the name and its aliases; `bits` the width, or the width and the significant bits. */
function row(
  names: string,
  bits: number | readonly [number, number],
  format: FieldFormat,
  maskable: Field['maskable'],
  access: Field['access'],
  prerequisite: Prerequisite,
  ...codeTexts: readonly [string, ...string[]]
): Field {
  const [ovsName = '', ...aliases] = names.split(' ');
  const [width, significantBits] = typeof bits === 'number' ? [bits, bits] : bits;
  const codes = codeTexts.map(code);
  const headerName = (codes.find(([oxmClass]) => oxmClass === 'nxm0' || oxmClass === 'nxm1') ?? code(codeTexts[0]))[2];
  return { ovsName, aliases, bits: width, significantBits, codes, headerName, format, maskable, access, prerequisite };
}

export const FIELDS = {
  // Names, bits, format, masks, access, prerequisite, code points.
  dpHash: row('dp_hash', 32, 'hex', 'bitwise', 'read', 'none', 'NXM_NX_DP_HASH 35'),
  packetType: row('packet_type', 32, 'packetType', 'none', 'read', 'none', 'OXM_OF_PACKET_TYPE 44'),
  conjId: row('conj_id', 32, 'decimal', 'none', 'read', 'none', 'NXM_NX_CONJ_ID 37'),
  actsetOutput: row('actset_output', 32, 'port', 'none', 'read', 'none', 'ONFOXM_ET_ACTSET_OUTPUT 43'),
  tunnelId: row('tun_id tunnel_id', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_TUNNEL_ID 38', 'NXM_NX_TUN_ID 16'),
  tunSrc: row('tun_src', 32, 'ipv4', 'bitwise', 'write', 'none', 'NXM_NX_TUN_IPV4_SRC 31'),
  tunDst: row('tun_dst', 32, 'ipv4', 'bitwise', 'write', 'none', 'NXM_NX_TUN_IPV4_DST 32'),
  tunIpv6Src: row('tun_ipv6_src', 128, 'ipv6', 'bitwise', 'write', 'none', 'NXM_NX_TUN_IPV6_SRC 109'),
  tunIpv6Dst: row('tun_ipv6_dst', 128, 'ipv6', 'bitwise', 'write', 'none', 'NXM_NX_TUN_IPV6_DST 110'),
  tunGbpId: row('tun_gbp_id', 16, 'decimal', 'bitwise', 'write', 'none', 'NXM_NX_TUN_GBP_ID 38'),
  tunGbpFlags: row('tun_gbp_flags', 8, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_GBP_FLAGS 39'),
  tunFlags: row('tun_flags', [16, 1], 'tunFlags', 'bitwise', 'write', 'none', 'NXM_NX_TUN_FLAGS 104'),
  tunMetadata0: row('tun_metadata0', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA0 40'),
  tunMetadata1: row('tun_metadata1', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA1 41'),
  tunMetadata2: row('tun_metadata2', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA2 42'),
  tunMetadata3: row('tun_metadata3', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA3 43'),
  tunMetadata4: row('tun_metadata4', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA4 44'),
  tunMetadata5: row('tun_metadata5', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA5 45'),
  tunMetadata6: row('tun_metadata6', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA6 46'),
  tunMetadata7: row('tun_metadata7', 992, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_TUN_METADATA7 47'),
  metadata: row('metadata', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_METADATA 2'),
  inPort: row('in_port_oxm', 32, 'port', 'none', 'write', 'none', 'OXM_OF_IN_PORT 0'),
  /** The ingress port in 16 bits, in bit ranges and learn(); matches hold `inPort`. */
  inPortNxm: row('in_port', 16, 'port', 'none', 'write', 'none', 'NXM_OF_IN_PORT 0'),
  pktMark: row('pkt_mark', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_PKT_MARK 33'),
  ctState: row('ct_state', 32, 'ctState', 'bitwise', 'read', 'none', 'NXM_NX_CT_STATE 105'),
  ctZone: row('ct_zone', 16, 'hex', 'none', 'read', 'none', 'NXM_NX_CT_ZONE 106'),
  ctMark: row('ct_mark', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_CT_MARK 107'),
  ctLabel: row('ct_label', 128, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_CT_LABEL 108'),
  ctNwSrc: row('ct_nw_src', 32, 'ipv4', 'bitwise', 'read', 'ctIpv4', 'NXM_NX_CT_NW_SRC 120'),
  ctNwDst: row('ct_nw_dst', 32, 'ipv4', 'bitwise', 'read', 'ctIpv4', 'NXM_NX_CT_NW_DST 121'),
  ctIpv6Src: row('ct_ipv6_src', 128, 'ipv6', 'bitwise', 'read', 'ctIpv6', 'NXM_NX_CT_IPV6_SRC 122'),
  ctIpv6Dst: row('ct_ipv6_dst', 128, 'ipv6', 'bitwise', 'read', 'ctIpv6', 'NXM_NX_CT_IPV6_DST 123'),
  ctNwProto: row('ct_nw_proto', 8, 'decimal', 'none', 'read', 'ct', 'NXM_NX_CT_NW_PROTO 119'),
  ctTpSrc: row('ct_tp_src', 16, 'decimal', 'bitwise', 'read', 'ct', 'NXM_NX_CT_TP_SRC 124'),
  ctTpDst: row('ct_tp_dst', 16, 'decimal', 'bitwise', 'read', 'ct', 'NXM_NX_CT_TP_DST 125'),
  reg0: row('reg0', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG0 0'),
  reg1: row('reg1', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG1 1'),
  reg2: row('reg2', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG2 2'),
  reg3: row('reg3', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG3 3'),
  reg4: row('reg4', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG4 4'),
  reg5: row('reg5', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG5 5'),
  reg6: row('reg6', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG6 6'),
  reg7: row('reg7', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG7 7'),
  reg8: row('reg8', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG8 8'),
  reg9: row('reg9', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG9 9'),
  reg10: row('reg10', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG10 10'),
  reg11: row('reg11', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG11 11'),
  reg12: row('reg12', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG12 12'),
  reg13: row('reg13', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG13 13'),
  reg14: row('reg14', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG14 14'),
  reg15: row('reg15', 32, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_REG15 15'),
  xreg0: row('xreg0', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG0 0'),
  xreg1: row('xreg1', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG1 1'),
  xreg2: row('xreg2', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG2 2'),
  xreg3: row('xreg3', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG3 3'),
  xreg4: row('xreg4', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG4 4'),
  xreg5: row('xreg5', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG5 5'),
  xreg6: row('xreg6', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG6 6'),
  xreg7: row('xreg7', 64, 'hex', 'bitwise', 'write', 'none', 'OXM_OF_PKT_REG7 7'),
  xxreg0: row('xxreg0', 128, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_XXREG0 111'),
  xxreg1: row('xxreg1', 128, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_XXREG1 112'),
  xxreg2: row('xxreg2', 128, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_XXREG2 113'),
  xxreg3: row('xxreg3', 128, 'hex', 'bitwise', 'write', 'none', 'NXM_NX_XXREG3 114'),
  ethSrc: row('eth_src dl_src', 48, 'mac', 'bitwise', 'write', 'none', 'OXM_OF_ETH_SRC 4', 'NXM_OF_ETH_SRC 2'),
  ethDst: row('eth_dst dl_dst', 48, 'mac', 'bitwise', 'write', 'none', 'OXM_OF_ETH_DST 3', 'NXM_OF_ETH_DST 1'),
  ethType: row('eth_type dl_type', 16, 'hex', 'none', 'read', 'none', 'OXM_OF_ETH_TYPE 5', 'NXM_OF_ETH_TYPE 3'),
  /** VLAN header whole (OpenFlow 1.0), in bit ranges and learn(); matches hold `vlanVid` and `vlanPcp`. */
  vlanTci: row('vlan_tci', 16, 'hex', 'bitwise', 'write', 'none', 'NXM_OF_VLAN_TCI 4'),
  /** Bit 12 (0x1000) says that there is a VLAN header; it can be matched, and is not part of `OXM_OF_VLAN_VID[]`. */
  vlanVid: row('vlan_vid', [16, 12], 'decimal', 'bitwise', 'write', 'none', 'OXM_OF_VLAN_VID 6'),
  vlanPcp: row('vlan_pcp dl_vlan_pcp', [8, 3], 'decimal', 'none', 'write', 'vlan', 'OXM_OF_VLAN_PCP 7'),
  mplsLabel: row('mpls_label', [32, 20], 'decimal', 'none', 'write', 'mpls', 'OXM_OF_MPLS_LABEL 34'),
  mplsTc: row('mpls_tc', [8, 3], 'decimal', 'none', 'write', 'mpls', 'OXM_OF_MPLS_TC 35'),
  mplsBos: row('mpls_bos', [8, 1], 'decimal', 'none', 'read', 'mpls', 'OXM_OF_MPLS_BOS 36'),
  mplsTtl: row('mpls_ttl', 8, 'decimal', 'none', 'write', 'mpls', 'NXM_NX_MPLS_TTL 30'),
  ipv4Src: row('ip_src nw_src', 32, 'ipv4', 'bitwise', 'write', 'ipv4', 'OXM_OF_IPV4_SRC 11', 'NXM_OF_IP_SRC 7'),
  ipv4Dst: row('ip_dst nw_dst', 32, 'ipv4', 'bitwise', 'write', 'ipv4', 'OXM_OF_IPV4_DST 12', 'NXM_OF_IP_DST 8'),
  ipv6Src: row('ipv6_src', 128, 'ipv6', 'bitwise', 'write', 'ipv6', 'OXM_OF_IPV6_SRC 26', 'NXM_NX_IPV6_SRC 19'),
  ipv6Dst: row('ipv6_dst', 128, 'ipv6', 'bitwise', 'write', 'ipv6', 'OXM_OF_IPV6_DST 27', 'NXM_NX_IPV6_DST 20'),
  ipv6Label: row(
    'ipv6_label',
    [32, 20],
    'hex',
    'bitwise',
    'write',
    'ipv6',
    'OXM_OF_IPV6_FLABEL 28',
    'NXM_NX_IPV6_LABEL 27',
  ),
  ipProto: row('nw_proto ip_proto', 8, 'decimal', 'none', 'read', 'ip', 'OXM_OF_IP_PROTO 10', 'NXM_OF_IP_PROTO 6'),
  /** The TOS byte with its two lowest bits zero, in bit ranges and actions; matches hold `ipDscp`. */
  ipTos: row('nw_tos', 8, 'decimal', 'none', 'write', 'ip', 'NXM_OF_IP_TOS 5'),
  ipDscp: row('ip_dscp', [8, 6], 'decimal', 'none', 'write', 'ip', 'OXM_OF_IP_DSCP 8'),
  ipEcn: row('nw_ecn ip_ecn', [8, 2], 'decimal', 'none', 'write', 'ip', 'OXM_OF_IP_ECN 9', 'NXM_NX_IP_ECN 28'),
  ipTtl: row('nw_ttl', 8, 'decimal', 'none', 'write', 'ip', 'NXM_NX_IP_TTL 29'),
  ipFrag: row('ip_frag nw_frag', [8, 2], 'frag', 'bitwise', 'read', 'ip', 'NXM_NX_IP_FRAG 26'),
  arpOp: row('arp_op', 16, 'decimal', 'none', 'write', 'arp', 'OXM_OF_ARP_OP 21', 'NXM_OF_ARP_OP 15'),
  arpSpa: row('arp_spa', 32, 'ipv4', 'bitwise', 'write', 'arp', 'OXM_OF_ARP_SPA 22', 'NXM_OF_ARP_SPA 16'),
  arpTpa: row('arp_tpa', 32, 'ipv4', 'bitwise', 'write', 'arp', 'OXM_OF_ARP_TPA 23', 'NXM_OF_ARP_TPA 17'),
  arpSha: row('arp_sha', 48, 'mac', 'bitwise', 'write', 'arp', 'OXM_OF_ARP_SHA 24', 'NXM_NX_ARP_SHA 17'),
  arpTha: row('arp_tha', 48, 'mac', 'bitwise', 'write', 'arp', 'OXM_OF_ARP_THA 25', 'NXM_NX_ARP_THA 18'),
  tcpSrc: row('tcp_src tp_src', 16, 'decimal', 'bitwise', 'write', 'tcp', 'OXM_OF_TCP_SRC 13', 'NXM_OF_TCP_SRC 9'),
  tcpDst: row('tcp_dst tp_dst', 16, 'decimal', 'bitwise', 'write', 'tcp', 'OXM_OF_TCP_DST 14', 'NXM_OF_TCP_DST 10'),
  tcpFlags: row(
    'tcp_flags',
    [16, 12],
    'tcpFlags',
    'bitwise',
    'read',
    'tcp',
    'ONFOXM_ET_TCP_FLAGS 42',
    'NXM_NX_TCP_FLAGS 34',
  ),
  udpSrc: row('udp_src', 16, 'decimal', 'bitwise', 'write', 'udp', 'OXM_OF_UDP_SRC 15', 'NXM_OF_UDP_SRC 11'),
  udpDst: row('udp_dst', 16, 'decimal', 'bitwise', 'write', 'udp', 'OXM_OF_UDP_DST 16', 'NXM_OF_UDP_DST 12'),
  sctpSrc: row('sctp_src', 16, 'decimal', 'bitwise', 'write', 'sctp', 'OXM_OF_SCTP_SRC 17'),
  sctpDst: row('sctp_dst', 16, 'decimal', 'bitwise', 'write', 'sctp', 'OXM_OF_SCTP_DST 18'),
  icmpv4Type: row('icmp_type', 8, 'decimal', 'none', 'write', 'icmpv4', 'OXM_OF_ICMPV4_TYPE 19', 'NXM_OF_ICMP_TYPE 13'),
  icmpv4Code: row('icmp_code', 8, 'decimal', 'none', 'write', 'icmpv4', 'OXM_OF_ICMPV4_CODE 20', 'NXM_OF_ICMP_CODE 14'),
  icmpv6Type: row(
    'icmpv6_type',
    8,
    'decimal',
    'none',
    'write',
    'icmpv6',
    'OXM_OF_ICMPV6_TYPE 29',
    'NXM_NX_ICMPV6_TYPE 21',
  ),
  icmpv6Code: row(
    'icmpv6_code',
    8,
    'decimal',
    'none',
    'write',
    'icmpv6',
    'OXM_OF_ICMPV6_CODE 30',
    'NXM_NX_ICMPV6_CODE 22',
  ),
  ndTarget: row('nd_target', 128, 'ipv6', 'bitwise', 'write', 'nd', 'OXM_OF_IPV6_ND_TARGET 31', 'NXM_NX_ND_TARGET 23'),
  ndSll: row('nd_sll', 48, 'mac', 'bitwise', 'write', 'ndSolicit', 'OXM_OF_IPV6_ND_SLL 32', 'NXM_NX_ND_SLL 24'),
  ndTll: row('nd_tll', 48, 'mac', 'bitwise', 'write', 'ndAdvert', 'OXM_OF_IPV6_ND_TLL 33', 'NXM_NX_ND_TLL 25'),
  ndReserved: row('nd_reserved', 32, 'decimal', 'none', 'write', 'nd', 'ERICOXM_OF_ICMPV6_ND_RESERVED 1'),
  ndOptionsType: row('nd_options_type', 8, 'decimal', 'none', 'write', 'nd', 'ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE 2'),
} satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

/** Every field by its name, its aliases and its header names: `eth_src`, `dl_src`, `NXM_OF_ETH_SRC`, `OXM_OF_ETH_SRC`. */
export const FIELD_NAMES: ReadonlyMap<string, FieldName> = new Map(
  (Object.entries(FIELDS) as readonly (readonly [FieldName, Field])[]).flatMap(([name, field]) =>
    [field.ovsName, ...field.aliases, ...field.codes.map((code) => code[2])].map((text) => [text, name] as const),
  ),
);

/**
 * What a match can test beyond or short of the significant bits: a VLAN id has the bit that says "tagged" beside its 12
 * bits, and Open vSwitch keeps 8 bits of ct_state and of arp_op.
 */
const MATCH_BITS: { readonly [Name in FieldName]?: number } = { vlanVid: 13, ctState: 8, arpOp: 8 };

/** All ones over the bits of a field that a match can test. */
export function fullMask(name: FieldName): FieldValue {
  const field: Field = FIELDS[name];
  const bits = MATCH_BITS[name] ?? field.significantBits;
  return isWide(field) ? (1n << BigInt(bits)) - 1n : 2 ** bits - 1;
}

/** Whether the values of a field are bigints. */
export function isWide(field: Field): boolean {
  return field.bits > 48;
}
