/**
 * THE field table: every match field that heddle knows, one row each. Text, encoder, decoder and parser derive from the row;
 * a new field is a new row and a vector. Sources: ovs-fields(7), OpenFlow 1.3.5 §7.2.3.7 (OXM_OF_*), nicira-ext (NXM_NX_*).
 */

/** Values up to 48 bits are numbers, wider ones bigints; MAC and IPv4 addresses are numbers, IPv6 addresses bigints. */
export type FieldValue = number | bigint;

/** OXM classes; `ericoxm` is the experimenter class with Ericsson's id, for nd_reserved and nd_options_type. */
export type OxmClass = 'oxm' | 'nxm0' | 'nxm1' | 'xreg' | 'ericoxm';

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
  | 'ct';

export interface Field {
  /** The name in `set_field:…->NAME` and in ovs-fields(7). */
  readonly ovsName: string;
  /** An older name, which matches are printed under where ovs-ofctl does so: `dl_src` for eth_src. */
  readonly alias?: string;
  readonly bits: number;
  /** Code points, the one we write over OpenFlow 1.3 first. */
  readonly codes: readonly (readonly [OxmClass, number])[];
  readonly format: FieldFormat;
  readonly maskable: 'none' | 'bitwise';
  readonly prerequisite: Prerequisite;
}

export const FIELDS = {
  dpHash: {
    ovsName: 'dp_hash',
    bits: 32,
    codes: [['nxm1', 35]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  packetType: {
    ovsName: 'packet_type',
    bits: 32,
    codes: [['oxm', 44]],
    format: 'packetType',
    maskable: 'none',
    prerequisite: 'none',
  },
  conjId: {
    ovsName: 'conj_id',
    bits: 32,
    codes: [['nxm1', 37]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'none',
  },
  tunnelId: {
    ovsName: 'tun_id',
    alias: 'tunnel_id',
    bits: 64,
    codes: [
      ['oxm', 38],
      ['nxm1', 16],
    ],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunSrc: {
    ovsName: 'tun_src',
    bits: 32,
    codes: [['nxm1', 31]],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunDst: {
    ovsName: 'tun_dst',
    bits: 32,
    codes: [['nxm1', 32]],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunIpv6Src: {
    ovsName: 'tun_ipv6_src',
    bits: 128,
    codes: [['nxm1', 109]],
    format: 'ipv6',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunIpv6Dst: {
    ovsName: 'tun_ipv6_dst',
    bits: 128,
    codes: [['nxm1', 110]],
    format: 'ipv6',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunFlags: {
    ovsName: 'tun_flags',
    bits: 16,
    codes: [['nxm1', 104]],
    format: 'tunFlags',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunGbpId: {
    ovsName: 'tun_gbp_id',
    bits: 16,
    codes: [['nxm1', 38]],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunGbpFlags: {
    ovsName: 'tun_gbp_flags',
    bits: 8,
    codes: [['nxm1', 39]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata0: {
    ovsName: 'tun_metadata0',
    bits: 992,
    codes: [['nxm1', 40]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata1: {
    ovsName: 'tun_metadata1',
    bits: 992,
    codes: [['nxm1', 41]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata2: {
    ovsName: 'tun_metadata2',
    bits: 992,
    codes: [['nxm1', 42]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata3: {
    ovsName: 'tun_metadata3',
    bits: 992,
    codes: [['nxm1', 43]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata4: {
    ovsName: 'tun_metadata4',
    bits: 992,
    codes: [['nxm1', 44]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata5: {
    ovsName: 'tun_metadata5',
    bits: 992,
    codes: [['nxm1', 45]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata6: {
    ovsName: 'tun_metadata6',
    bits: 992,
    codes: [['nxm1', 46]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  tunMetadata7: {
    ovsName: 'tun_metadata7',
    bits: 992,
    codes: [['nxm1', 47]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  metadata: {
    ovsName: 'metadata',
    bits: 64,
    codes: [['oxm', 2]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  inPort: { ovsName: 'in_port', bits: 32, codes: [['oxm', 0]], format: 'port', maskable: 'none', prerequisite: 'none' },
  pktMark: {
    ovsName: 'pkt_mark',
    bits: 32,
    codes: [['nxm1', 33]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  ctState: {
    ovsName: 'ct_state',
    bits: 32,
    codes: [['nxm1', 105]],
    format: 'ctState',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  ctZone: {
    ovsName: 'ct_zone',
    bits: 16,
    codes: [['nxm1', 106]],
    format: 'hex',
    maskable: 'none',
    prerequisite: 'none',
  },
  ctMark: {
    ovsName: 'ct_mark',
    bits: 32,
    codes: [['nxm1', 107]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  ctLabel: {
    ovsName: 'ct_label',
    bits: 128,
    codes: [['nxm1', 108]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  ctNwProto: {
    ovsName: 'ct_nw_proto',
    bits: 8,
    codes: [['nxm1', 119]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'ct',
  },
  ctNwSrc: {
    ovsName: 'ct_nw_src',
    bits: 32,
    codes: [['nxm1', 120]],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'ct',
  },
  ctNwDst: {
    ovsName: 'ct_nw_dst',
    bits: 32,
    codes: [['nxm1', 121]],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'ct',
  },
  ctIpv6Src: {
    ovsName: 'ct_ipv6_src',
    bits: 128,
    codes: [['nxm1', 122]],
    format: 'ipv6',
    maskable: 'bitwise',
    prerequisite: 'ct',
  },
  ctIpv6Dst: {
    ovsName: 'ct_ipv6_dst',
    bits: 128,
    codes: [['nxm1', 123]],
    format: 'ipv6',
    maskable: 'bitwise',
    prerequisite: 'ct',
  },
  ctTpSrc: {
    ovsName: 'ct_tp_src',
    bits: 16,
    codes: [['nxm1', 124]],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'ct',
  },
  ctTpDst: {
    ovsName: 'ct_tp_dst',
    bits: 16,
    codes: [['nxm1', 125]],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'ct',
  },
  reg0: { ovsName: 'reg0', bits: 32, codes: [['nxm1', 0]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg1: { ovsName: 'reg1', bits: 32, codes: [['nxm1', 1]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg2: { ovsName: 'reg2', bits: 32, codes: [['nxm1', 2]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg3: { ovsName: 'reg3', bits: 32, codes: [['nxm1', 3]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg4: { ovsName: 'reg4', bits: 32, codes: [['nxm1', 4]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg5: { ovsName: 'reg5', bits: 32, codes: [['nxm1', 5]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg6: { ovsName: 'reg6', bits: 32, codes: [['nxm1', 6]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg7: { ovsName: 'reg7', bits: 32, codes: [['nxm1', 7]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg8: { ovsName: 'reg8', bits: 32, codes: [['nxm1', 8]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg9: { ovsName: 'reg9', bits: 32, codes: [['nxm1', 9]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  reg10: {
    ovsName: 'reg10',
    bits: 32,
    codes: [['nxm1', 10]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  reg11: {
    ovsName: 'reg11',
    bits: 32,
    codes: [['nxm1', 11]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  reg12: {
    ovsName: 'reg12',
    bits: 32,
    codes: [['nxm1', 12]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  reg13: {
    ovsName: 'reg13',
    bits: 32,
    codes: [['nxm1', 13]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  reg14: {
    ovsName: 'reg14',
    bits: 32,
    codes: [['nxm1', 14]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  reg15: {
    ovsName: 'reg15',
    bits: 32,
    codes: [['nxm1', 15]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  xreg0: { ovsName: 'xreg0', bits: 64, codes: [['xreg', 0]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xreg1: { ovsName: 'xreg1', bits: 64, codes: [['xreg', 1]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xreg2: { ovsName: 'xreg2', bits: 64, codes: [['xreg', 2]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xreg3: { ovsName: 'xreg3', bits: 64, codes: [['xreg', 3]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xreg4: { ovsName: 'xreg4', bits: 64, codes: [['xreg', 4]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xreg5: { ovsName: 'xreg5', bits: 64, codes: [['xreg', 5]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xreg6: { ovsName: 'xreg6', bits: 64, codes: [['xreg', 6]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xreg7: { ovsName: 'xreg7', bits: 64, codes: [['xreg', 7]], format: 'hex', maskable: 'bitwise', prerequisite: 'none' },
  xxreg0: {
    ovsName: 'xxreg0',
    bits: 128,
    codes: [['nxm1', 111]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  xxreg1: {
    ovsName: 'xxreg1',
    bits: 128,
    codes: [['nxm1', 112]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  xxreg2: {
    ovsName: 'xxreg2',
    bits: 128,
    codes: [['nxm1', 113]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  xxreg3: {
    ovsName: 'xxreg3',
    bits: 128,
    codes: [['nxm1', 114]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  ethSrc: {
    ovsName: 'eth_src',
    alias: 'dl_src',
    bits: 48,
    codes: [
      ['oxm', 4],
      ['nxm0', 2],
    ],
    format: 'mac',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  ethDst: {
    ovsName: 'eth_dst',
    alias: 'dl_dst',
    bits: 48,
    codes: [
      ['oxm', 3],
      ['nxm0', 1],
    ],
    format: 'mac',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  ethType: {
    ovsName: 'eth_type',
    alias: 'dl_type',
    bits: 16,
    codes: [
      ['oxm', 5],
      ['nxm0', 3],
    ],
    format: 'hex',
    maskable: 'none',
    prerequisite: 'none',
  },
  vlanTci: {
    ovsName: 'vlan_tci',
    bits: 16,
    codes: [['nxm0', 4]],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  vlanVid: {
    ovsName: 'vlan_vid',
    bits: 16,
    codes: [['oxm', 6]],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'none',
  },
  vlanPcp: {
    ovsName: 'vlan_pcp',
    alias: 'dl_vlan_pcp',
    bits: 8,
    codes: [['oxm', 7]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'vlan',
  },
  mplsLabel: {
    ovsName: 'mpls_label',
    bits: 32,
    codes: [['oxm', 34]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'mpls',
  },
  mplsTc: {
    ovsName: 'mpls_tc',
    bits: 8,
    codes: [['oxm', 35]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'mpls',
  },
  mplsBos: {
    ovsName: 'mpls_bos',
    bits: 8,
    codes: [['oxm', 36]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'mpls',
  },
  mplsTtl: {
    ovsName: 'mpls_ttl',
    bits: 8,
    codes: [['nxm1', 30]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'mpls',
  },
  ipv4Src: {
    ovsName: 'ip_src',
    alias: 'nw_src',
    bits: 32,
    codes: [
      ['oxm', 11],
      ['nxm0', 7],
    ],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'ipv4',
  },
  ipv4Dst: {
    ovsName: 'ip_dst',
    alias: 'nw_dst',
    bits: 32,
    codes: [
      ['oxm', 12],
      ['nxm0', 8],
    ],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'ipv4',
  },
  ipv6Src: {
    ovsName: 'ipv6_src',
    bits: 128,
    codes: [
      ['oxm', 26],
      ['nxm1', 19],
    ],
    format: 'ipv6',
    maskable: 'bitwise',
    prerequisite: 'ipv6',
  },
  ipv6Dst: {
    ovsName: 'ipv6_dst',
    bits: 128,
    codes: [
      ['oxm', 27],
      ['nxm1', 20],
    ],
    format: 'ipv6',
    maskable: 'bitwise',
    prerequisite: 'ipv6',
  },
  ipv6Label: {
    ovsName: 'ipv6_label',
    bits: 32,
    codes: [
      ['oxm', 28],
      ['nxm1', 27],
    ],
    format: 'hex',
    maskable: 'bitwise',
    prerequisite: 'ipv6',
  },
  ipProto: {
    ovsName: 'nw_proto',
    bits: 8,
    codes: [
      ['oxm', 10],
      ['nxm0', 6],
    ],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'ip',
  },
  ipTos: { ovsName: 'nw_tos', bits: 8, codes: [['nxm0', 5]], format: 'decimal', maskable: 'none', prerequisite: 'ip' },
  ipDscp: { ovsName: 'ip_dscp', bits: 8, codes: [['oxm', 8]], format: 'decimal', maskable: 'none', prerequisite: 'ip' },
  ipEcn: {
    ovsName: 'nw_ecn',
    bits: 8,
    codes: [
      ['oxm', 9],
      ['nxm1', 28],
    ],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'ip',
  },
  ipTtl: { ovsName: 'nw_ttl', bits: 8, codes: [['nxm1', 29]], format: 'decimal', maskable: 'none', prerequisite: 'ip' },
  ipFrag: {
    ovsName: 'ip_frag',
    bits: 8,
    codes: [['nxm1', 26]],
    format: 'frag',
    maskable: 'bitwise',
    prerequisite: 'ip',
  },
  arpOp: {
    ovsName: 'arp_op',
    bits: 16,
    codes: [
      ['oxm', 21],
      ['nxm0', 15],
    ],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'arp',
  },
  arpSpa: {
    ovsName: 'arp_spa',
    bits: 32,
    codes: [
      ['oxm', 22],
      ['nxm0', 16],
    ],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'arp',
  },
  arpTpa: {
    ovsName: 'arp_tpa',
    bits: 32,
    codes: [
      ['oxm', 23],
      ['nxm0', 17],
    ],
    format: 'ipv4',
    maskable: 'bitwise',
    prerequisite: 'arp',
  },
  arpSha: {
    ovsName: 'arp_sha',
    bits: 48,
    codes: [
      ['oxm', 24],
      ['nxm1', 17],
    ],
    format: 'mac',
    maskable: 'bitwise',
    prerequisite: 'arp',
  },
  arpTha: {
    ovsName: 'arp_tha',
    bits: 48,
    codes: [
      ['oxm', 25],
      ['nxm1', 18],
    ],
    format: 'mac',
    maskable: 'bitwise',
    prerequisite: 'arp',
  },
  tcpSrc: {
    ovsName: 'tcp_src',
    bits: 16,
    codes: [
      ['oxm', 13],
      ['nxm0', 9],
    ],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'tcp',
  },
  tcpDst: {
    ovsName: 'tcp_dst',
    bits: 16,
    codes: [
      ['oxm', 14],
      ['nxm0', 10],
    ],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'tcp',
  },
  tcpFlags: {
    ovsName: 'tcp_flags',
    bits: 16,
    codes: [['nxm1', 34]],
    format: 'tcpFlags',
    maskable: 'bitwise',
    prerequisite: 'tcp',
  },
  udpSrc: {
    ovsName: 'udp_src',
    bits: 16,
    codes: [
      ['oxm', 15],
      ['nxm0', 11],
    ],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'udp',
  },
  udpDst: {
    ovsName: 'udp_dst',
    bits: 16,
    codes: [
      ['oxm', 16],
      ['nxm0', 12],
    ],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'udp',
  },
  sctpSrc: {
    ovsName: 'sctp_src',
    bits: 16,
    codes: [['oxm', 17]],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'sctp',
  },
  sctpDst: {
    ovsName: 'sctp_dst',
    bits: 16,
    codes: [['oxm', 18]],
    format: 'decimal',
    maskable: 'bitwise',
    prerequisite: 'sctp',
  },
  icmpv4Type: {
    ovsName: 'icmp_type',
    bits: 8,
    codes: [
      ['oxm', 19],
      ['nxm0', 13],
    ],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'icmpv4',
  },
  icmpv4Code: {
    ovsName: 'icmp_code',
    bits: 8,
    codes: [
      ['oxm', 20],
      ['nxm0', 14],
    ],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'icmpv4',
  },
  icmpv6Type: {
    ovsName: 'icmpv6_type',
    bits: 8,
    codes: [
      ['oxm', 29],
      ['nxm1', 21],
    ],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'icmpv6',
  },
  icmpv6Code: {
    ovsName: 'icmpv6_code',
    bits: 8,
    codes: [
      ['oxm', 30],
      ['nxm1', 22],
    ],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'icmpv6',
  },
  ndTarget: {
    ovsName: 'nd_target',
    bits: 128,
    codes: [
      ['oxm', 31],
      ['nxm1', 23],
    ],
    format: 'ipv6',
    maskable: 'bitwise',
    prerequisite: 'nd',
  },
  ndSll: {
    ovsName: 'nd_sll',
    bits: 48,
    codes: [
      ['oxm', 32],
      ['nxm1', 24],
    ],
    format: 'mac',
    maskable: 'bitwise',
    prerequisite: 'ndSolicit',
  },
  ndTll: {
    ovsName: 'nd_tll',
    bits: 48,
    codes: [
      ['oxm', 33],
      ['nxm1', 25],
    ],
    format: 'mac',
    maskable: 'bitwise',
    prerequisite: 'ndAdvert',
  },
  ndReserved: {
    ovsName: 'nd_reserved',
    bits: 32,
    codes: [['ericoxm', 1]],
    format: 'hex',
    maskable: 'none',
    prerequisite: 'nd',
  },
  ndOptionsType: {
    ovsName: 'nd_options_type',
    bits: 8,
    codes: [['ericoxm', 2]],
    format: 'decimal',
    maskable: 'none',
    prerequisite: 'nd',
  },
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;
