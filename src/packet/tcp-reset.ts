/** The reset that a closed port sends (RFC 9293 §3.10.7.1). Serves controller/router/. */

import { isToMany } from './icmp-error.ts';
import { isUnicastMac } from './neighbours.ts';
import { type Frame, TCP_FLAGS, type Tcp } from './packet.ts';

const TTL = 64;

/** The reset in answer to a TCP segment; undefined where there must be none, and for what is no TCP segment. */
export function tcpReset(frame: Frame): Frame | undefined {
  const { payload: packet } = frame;
  if (packet.kind !== 'ipv4' && packet.kind !== 'ipv6') return undefined;
  if (packet.payload.kind !== 'tcp' || (packet.payload.flags & TCP_FLAGS.rst) !== 0) return undefined;
  if (!isUnicastMac(frame.destination) || isToMany(packet.destination) || isToMany(packet.source)) return undefined;
  const macs = { source: frame.destination, destination: frame.source, vlans: frame.vlans };
  const payload = resetOf(packet.payload);
  if (packet.kind === 'ipv4') {
    const { source: destination, destination: source } = packet;
    const fragment = { identification: 0, dontFragment: true, moreFragments: false, fragmentOffset: 0 };
    const options = new Uint8Array();
    return { ...macs, payload: { kind: 'ipv4', source, destination, tos: 0, ...fragment, ttl: TTL, options, payload } };
  }
  const { source: destination, destination: source } = packet;
  const header = { trafficClass: 0, flowLabel: 0, hopLimit: TTL, extensions: [] };
  return { ...macs, payload: { kind: 'ipv6', source, destination, ...header, payload } };
}

function resetOf(segment: Tcp): Tcp {
  const { sourcePort: destinationPort, destinationPort: sourcePort, flags } = segment;
  const isAcknowledging = (flags & TCP_FLAGS.ack) !== 0;
  const controls = ((flags & TCP_FLAGS.syn) !== 0 ? 1 : 0) + ((flags & TCP_FLAGS.fin) !== 0 ? 1 : 0);
  return {
    kind: 'tcp',
    sourcePort,
    destinationPort,
    sequence: isAcknowledging ? segment.acknowledgement : 0,
    acknowledgement: isAcknowledging ? 0 : (segment.sequence + segment.data.length + controls) % 0x1_0000_0000,
    flags: isAcknowledging ? TCP_FLAGS.rst : TCP_FLAGS.rst | TCP_FLAGS.ack,
    window: 0,
    urgentPointer: 0,
    options: new Uint8Array(),
    data: new Uint8Array(),
  };
}
