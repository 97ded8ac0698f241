/**
 * What a router says to who speaks to it from outside, and what its part on the gateway host says to anyone: ICMP errors, and
 * resets. Pure. The guests' own side is responder.ts.
 */

import type { BoundFloatingIp, GatewayRouter } from '../../compiler/gateways.ts';
import { type Ip, prefixContains } from '../../lib/addresses.ts';
import { decodeHeaders, decodePacket } from '../../packet/decode.ts';
import { encodePacket } from '../../packet/encode.ts';
import { type IcmpErrorReason, icmpError, isLaterFragment } from '../../packet/icmp-error.ts';
import { type Frame, PROTOCOL, type Transport } from '../../packet/packet.ts';
import { PacketError } from '../../packet/packet-error.ts';
import { tcpReset } from '../../packet/tcp-reset.ts';

export interface OutsideComplaint {
  readonly reason: IcmpErrorReason;
  readonly mtu?: number;
}

/** The destination of a packet that can be read as far. */
export function destinationOf(packet: Uint8Array): { readonly mac: number; readonly ip: Ip } | undefined {
  const { destination: mac, payload } = decodeHeaders(packet);
  return payload.kind === 'ipv4' || payload.kind === 'ipv6' ? { mac, ip: payload.destination } : undefined;
}

/** Whether a packet may be cut up on its way: IPv4 that does not forbid it (RFC 791 §2.3). */
export function isCuttable(packet: Uint8Array): boolean {
  const { payload } = decodeHeaders(packet);
  return payload.kind === 'ipv4' && !payload.dontFragment;
}

/**
 * About a packet to a floating IP, before it was translated: in the name of the floating IP, which is all of the router that its
 * sender knows. Undefined where there must be none. Throws PacketError.
 */
export function complainAsFloatingIp(packet: Uint8Array, complaint: OutsideComplaint): Uint8Array | undefined {
  const to = destinationOf(packet);
  if (to === undefined) return undefined;
  const frame = icmpError(packet, { ...complaint, from: to });
  return frame && encodePacket(frame);
}

/**
 * A packet that came from outside for a floating IP, and has been translated: as it was before, and the network that it came by.
 * Undefined: it is no such packet. Throws PacketError.
 */
export function beforeTranslation(
  packet: Uint8Array,
  router: GatewayRouter,
  floatingIps: Iterable<BoundFloatingIp>,
): { readonly packet: Uint8Array; readonly networkId: string } | undefined {
  const frame = decodePacket(packet);
  const { payload } = frame;
  if (payload.kind !== 'ipv4' || router.ways.some(({ subnet }) => prefixContains(subnet, payload.source)))
    return undefined;
  for (const { routerId, fixedIp, floatingIp, networkId } of floatingIps) {
    if (routerId !== router.id || fixedIp !== payload.destination) continue;
    return { packet: encodePacket({ ...frame, payload: { ...payload, destination: floatingIp } }), networkId };
  }
  return undefined;
}

/** About a packet that came to a gateway: in the name of its address on the sender's subnet, else of the one outside. */
export function complainAsGateway(
  packet: Uint8Array,
  router: GatewayRouter,
  complaint: OutsideComplaint,
): Uint8Array | undefined {
  const { destination: mac, payload } = decodeHeaders(packet);
  if (payload.kind !== 'ipv4' && payload.kind !== 'ipv6') return undefined;
  const ip = addressTowards(router, payload.source);
  const isFromOutside = !router.ways.some(({ subnet }) => prefixContains(subnet, payload.source));
  // Conntrack does not translate what an error quotes of a fragment: it would tell of addresses inside.
  if (isFromOutside && payload.kind === 'ipv4' && (payload.moreFragments || payload.fragmentOffset > 0))
    return undefined;
  const frame = ip === undefined ? undefined : icmpError(packet, { ...complaint, from: { ip, mac } });
  return frame && encodePacket(frame);
}

/** What was sent to a gateway's own address and is no echo request. */
export function answerAsGateway(packet: Uint8Array): Uint8Array | undefined {
  const frame = decodePacket(packet);
  const { payload, destination: mac } = frame;
  if ((payload.kind !== 'ipv4' && payload.kind !== 'ipv6') || isLaterFragment(payload)) return undefined;
  const from = { ip: payload.destination, mac };
  let answer: Frame | undefined;
  switch (protocolOf(payload.payload)) {
    case PROTOCOL.tcp:
      answer = tcpReset(frame);
      break;
    case PROTOCOL.udp:
      answer = icmpError(packet, { reason: 'portUnreachable', from });
      break;
    case PROTOCOL.icmpv4:
    case PROTOCOL.icmpv6:
      return undefined;
    default:
      answer = icmpError(packet, { reason: 'protocolUnreachable', from });
  }
  return answer && encodePacket(answer);
}

function protocolOf(transport: Transport): number {
  if (transport.kind === 'raw') return transport.protocol;
  if (transport.kind === 'tcp' || transport.kind === 'udp' || transport.kind === 'icmpv4')
    return PROTOCOL[transport.kind];
  return PROTOCOL.icmpv6;
}

function addressTowards({ ways, outside }: GatewayRouter, peer: Ip): Ip | undefined {
  const way = ways.find(({ subnet }) => prefixContains(subnet, peer));
  return (
    way?.ip ??
    outside?.addresses.find((ip) => typeof ip === typeof peer) ??
    ways.find(({ ip }) => typeof ip === typeof peer)?.ip
  );
}

/** Runs what reads a packet; undefined where the packet cannot be read. */
export function whenReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof PacketError) return undefined;
    throw error;
  }
}
