/** The reply to an echo request (RFC 792, RFC 4443 §4.2), for requests that no flow could answer. Serves controller/router/. */
import { isToMany } from './icmp-error.ts';
import { isUnicastMac } from './neighbours.ts';
import { type Frame, ICMPV4_TYPE, ICMPV6_TYPE } from './packet.ts';

const TTL = 64;

/**
 * The reply, from the address that was asked; undefined where there must be none, and for what is no echo request. It has the
 * request's identification, which is unique between the two in this direction too.
 */
export function echoReply(request: Frame): Frame | undefined {
  const { payload: packet } = request;
  if (packet.kind !== 'ipv4' && packet.kind !== 'ipv6') return undefined;
  if (!isUnicastMac(request.destination) || isToMany(packet.destination) || isToMany(packet.source)) return undefined;
  const macs = { source: request.destination, destination: request.source, vlans: request.vlans };
  if (packet.kind === 'ipv4') {
    const { payload: icmp, source: destination, destination: source, tos, identification } = packet;
    if (icmp.kind !== 'icmpv4' || icmp.type !== ICMPV4_TYPE.echoRequest || icmp.code !== 0) return undefined;
    const fragment = { identification, dontFragment: false, moreFragments: false, fragmentOffset: 0 };
    const options = new Uint8Array();
    const payload = { ...icmp, type: ICMPV4_TYPE.echoReply };
    return { ...macs, payload: { kind: 'ipv4', source, destination, tos, ...fragment, ttl: TTL, options, payload } };
  }
  const { payload: icmp, source: destination, destination: source, trafficClass } = packet;
  if (icmp.kind !== 'icmpv6' || icmp.type !== ICMPV6_TYPE.echoRequest || icmp.code !== 0) return undefined;
  const header = { trafficClass, flowLabel: 0, hopLimit: TTL, extensions: [] };
  const payload = { ...icmp, type: ICMPV6_TYPE.echoReply };
  return { ...macs, payload: { kind: 'ipv6', source, destination, ...header, payload } };
}
