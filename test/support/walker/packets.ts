/** From packets to the headers that the walker walks with, and to the words of `ofproto/trace`. */
import { FIELDS, type FieldName, type FieldValue } from '../../../src/flow/fields.ts';
import { type Match, PORT } from '../../../src/flow/flow.ts';
import { fieldsOf, normaliseMatch, VLAN_PRESENT } from '../../../src/flow/match.ts';
import { formatValue } from '../../../src/flow/values.ts';
import { encodePacket } from '../../../src/packet/encode.ts';
import {
  type Frame,
  ICMPV6_TYPE,
  type Ipv4,
  type Ipv6,
  type NdMessage,
  PROTOCOL,
  type Transport,
} from '../../../src/packet/packet.ts';
import { Headers } from './headers.ts';

type Values = { [Name in FieldName]?: FieldValue };

/** The headers of a frame, as a switch extracts them. */
export function headersOf(frame: Frame): Headers {
  const { source, destination, vlans, payload } = frame;
  const tags = vlans.map(({ id, priority }) => (priority << 13) | VLAN_PRESENT | id);
  const values: Values = { ethSrc: source, ethDst: destination };
  switch (payload.kind) {
    case 'opaque':
      values.ethType = payload.etherType;
      break;
    case 'arp':
      values.ethType = 0x0806;
      values.arpOp = payload.operation;
      values.arpSpa = payload.senderIp;
      values.arpTpa = payload.targetIp;
      values.arpSha = payload.senderMac;
      values.arpTha = payload.targetMac;
      break;
    default:
      addIp(values, payload);
  }
  return new Headers(values, tags, encodePacket(frame).length - 4 * tags.length);
}

function addIp(values: Values, packet: Ipv4 | Ipv6): void {
  const tos = packet.kind === 'ipv4' ? packet.tos : packet.trafficClass;
  values.ethType = packet.kind === 'ipv4' ? 0x0800 : 0x86dd;
  values.ipDscp = tos >>> 2;
  values.ipEcn = tos & 3;
  values.ipTtl = packet.kind === 'ipv4' ? packet.ttl : packet.hopLimit;
  values.ipProto = protocolOf(packet.payload);
  values[packet.kind === 'ipv4' ? 'ipv4Src' : 'ipv6Src'] = packet.source;
  values[packet.kind === 'ipv4' ? 'ipv4Dst' : 'ipv6Dst'] = packet.destination;
  if (packet.kind === 'ipv6') values.ipv6Label = packet.flowLabel;
  addTransport(values, packet.payload);
}

function protocolOf(transport: Transport): number {
  switch (transport.kind) {
    case 'raw':
      return transport.protocol;
    case 'udp':
    case 'tcp':
    case 'icmpv4':
      return PROTOCOL[transport.kind];
    default:
      return PROTOCOL.icmpv6;
  }
}

function addTransport(values: Values, transport: Transport): void {
  switch (transport.kind) {
    case 'raw':
      return;
    case 'udp':
      values.udpSrc = transport.sourcePort;
      values.udpDst = transport.destinationPort;
      return;
    case 'tcp':
      values.tcpSrc = transport.sourcePort;
      values.tcpDst = transport.destinationPort;
      values.tcpFlags = transport.flags;
      return;
    case 'icmpv4':
      values.icmpv4Type = transport.type;
      values.icmpv4Code = transport.code;
      return;
    case 'icmpv6':
      values.icmpv6Type = transport.type;
      values.icmpv6Code = transport.code;
      return;
    default:
      addNd(values, transport);
  }
}

function addNd(values: Values, message: NdMessage): void {
  values.icmpv6Type = ICMPV6_TYPE[message.kind];
  values.icmpv6Code = 0;
  if (!('target' in message)) return;
  values.ndTarget = message.target;
  for (const option of message.options) {
    if (option.kind === 'sourceLinkLayer') values.ndSll = option.mac;
    if (option.kind === 'targetLinkLayer') values.ndTll = option.mac;
  }
}

/** What a packet is, apart from where it came in and what was noted about it. */
const PACKET_FIELDS = /^(eth|arp|ip|tcp|udp|sctp|icmp|nd)/;

/** The fields of the packet itself as a match: what `ofproto/trace` takes, and what two walks are compared by. */
export function packetMatch(headers: Headers): Match {
  const match: Values = {};
  for (const [name, value] of Object.entries(headers.values) as [FieldName, FieldValue][]) {
    if (PACKET_FIELDS.test(name)) match[name] = value;
  }
  match.vlanVid = headers.get('vlanVid');
  if (headers.tags.length > 0) match.vlanPcp = headers.get('vlanPcp');
  return normaliseMatch(match);
}

/**
 * A packet on a port in the words of `ofproto/trace`: it takes each field by its own name, and not by those that stand for
 * several (tp_src, icmp_type for IPv6), which is what dumps have.
 */
export function traceText(headers: Headers, ofport: number): string {
  const { vlanVid, vlanPcp, ...rest } = packetMatch(headers);
  const match: Match = rest;
  const parts = [`in_port=${ofport === PORT.local ? 'LOCAL' : ofport}`];
  if (headers.get('tunnelId') !== 0n) parts.push(`tun_id=${headers.get('tunnelId')}`);
  if (vlanVid !== undefined && vlanVid !== 0)
    parts.push(`dl_vlan=${Number(vlanVid) & 0xfff}`, `dl_vlan_pcp=${vlanPcp}`);
  for (const name of fieldsOf(match)) {
    const value = match[name];
    if (value !== undefined) parts.push(`${FIELDS[name].ovsName}=${formatValue(name, value)}`);
  }
  return parts.join();
}
