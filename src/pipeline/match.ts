/**
 * Words for matches. Fields have their names of the field table, and a few words of our own stand for what is said often:
 * `vlan`, and a prefix wherever an address may stand.
 */
import type { FieldName, FieldValue } from '../flow/fields.ts';
import type { Masked, Match } from '../flow/flow.ts';
import { type Prefix, prefixMask } from '../lib/addresses.ts';

/** What a rule may match. Absent fields match anything. */
export interface FlowMatch extends Match {
  /** VLAN id of a tagged frame (1 to 4095), or a frame without a tag. Stands for the raw field vlanVid. */
  readonly vlan?: number | 'untagged';
}

const OFPVID_PRESENT = 0x1000;

/** A frame whose destination has one owner. */
export const UNICAST: Masked = { value: 0, mask: 0x0100_0000_0000 };
/** A frame to many: multicast or broadcast. */
export const MULTICAST: Masked = { value: 0x0100_0000_0000, mask: 0x0100_0000_0000 };
export const BROADCAST = 0xffff_ffff_ffff;

export const arp = (match: FlowMatch = {}): FlowMatch => ({ ethType: 0x0806, ...match });
export const ipv4 = (match: FlowMatch = {}): FlowMatch => ({ ethType: 0x0800, ...match });
export const ipv6 = (match: FlowMatch = {}): FlowMatch => ({ ethType: 0x86dd, ...match });
export const udp4 = (match: FlowMatch = {}): FlowMatch => ipv4({ ipProto: 17, ...match });

/** Any frame with a tag. */
export const TAGGED: FlowMatch = { vlanVid: { value: OFPVID_PRESENT, mask: OFPVID_PRESENT } };

/** ICMPv4 types (RFC 792). */
export const ICMPV4 = { echoReply: 0, echoRequest: 8 } as const;

export const icmpv4 = (match: FlowMatch = {}): FlowMatch => ipv4({ ipProto: 1, ...match });

/** ICMPv6 types (RFC 4443, RFC 4861, RFC 2710, RFC 3810). */
export const ICMPV6 = {
  echoRequest: 128,
  echoReply: 129,
  multicastListenerReport: 131,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
  multicastListenerReportV2: 143,
} as const;

export const icmpv6 = (type: keyof typeof ICMPV6, match: FlowMatch = {}): FlowMatch =>
  ipv6({ ipProto: 58, icmpv6Type: ICMPV6[type], ...match });

/** ARP's operation field (RFC 826). */
export const ARP_OP = { request: 1, reply: 2 } as const;

/** An address or a prefix as the value of a match: exact where the prefix is one address. */
export function within(prefix: Prefix): FieldValue | Masked {
  const bits = typeof prefix.address === 'number' ? 32 : 128;
  return prefix.length === bits ? prefix.address : { value: prefix.address, mask: prefixMask(prefix) };
}

/** That a field is within a prefix; nothing where every address is. */
export function inPrefix(field: FieldName, prefix: Prefix): FlowMatch {
  return prefix.length === 0 ? {} : { [field]: within(prefix) };
}

/** The match in the words of the field table. */
export function plainMatch(match: FlowMatch): Match {
  if (match.vlan === undefined) return match;
  const { vlan, ...fields } = match;
  const plain: { [Field in FieldName]?: FieldValue | Masked } = fields;
  plain.vlanVid = vlan === 'untagged' ? 0 : OFPVID_PRESENT | vlan;
  return plain;
}
