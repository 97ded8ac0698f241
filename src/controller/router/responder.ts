/**
 * What a router answers to packets that it does not pass on: ICMP errors, TCP resets, router advertisements that somebody
 * solicited. Pure; a meter has limited the rate before anything gets here.
 */
import { decodeHeaders, decodePacket } from '../../packet/decode.ts';
import { echoReply } from '../../packet/echo-reply.ts';
import { encodePacket } from '../../packet/encode.ts';
import { fragmentIpv4, fragmentIpv6 } from '../../packet/fragment.ts';
import { type IcmpErrorReason, icmpError, isLaterFragment } from '../../packet/icmp-error.ts';
import { type Frame, PROTOCOL, type Transport } from '../../packet/packet.ts';
import { PacketError } from '../../packet/packet-error.ts';
import { tcpReset } from '../../packet/tcp-reset.ts';
import { ADVERTISING, advertisementsOf } from './advertiser.ts';
import type { Refusal, RouterEffect } from './effects.ts';
import { isSubnetBroadcast, type RouterModel, sourceOf } from './model.ts';

/** A packet that came up from a host's br-int, as it was when it entered the router. */
export interface RouterPacket {
  readonly host: string;
  /** The port by which it came. */
  readonly ofport: number;
  /** The network that it came from. */
  readonly networkId: string;
  /** Absent: the router on the network that has the MAC it was sent to. */
  readonly routerId?: string;
  /** A whole frame. */
  readonly packet: Uint8Array;
}

/** Why it came up. */
export type RouterQuestion =
  /** Its TTL would be 0. */
  | { readonly type: 'timeExceeded' }
  /** No route leads to where it wants to go. */
  | { readonly type: 'noRoute' }
  /** It does not fit into the network that it would go to. */
  | { readonly type: 'tooBig'; readonly egressNetworkId: string }
  /** It is for the router itself, and no echo request that a flow could tell: fragments are put together first. */
  | { readonly type: 'ownAddress' }
  | { readonly type: 'routerSolicitation' };

export function respond(model: RouterModel, packet: RouterPacket, question: RouterQuestion): readonly RouterEffect[] {
  switch (question.type) {
    case 'timeExceeded':
      return complain(model, packet, { reason: 'timeExceeded' });
    case 'noRoute':
      return complain(model, packet, { reason: 'networkUnreachable' });
    case 'tooBig': {
      const egress = model.network(question.egressNetworkId);
      if (egress === undefined) return refused(packet, 'notAttached');
      const { mtu } = egress;
      return whenReadable(packet, (frame) => shorten(model, packet, { frame, mtu }), decodeHeaders);
    }
    case 'ownAddress':
      return whenReadable(packet, (frame) => answerOwn(model, packet, frame));
    case 'routerSolicitation':
      return whenReadable(packet, (frame) => advertise(model, packet, frame));
  }
}

/**
 * A packet that is larger than where it goes: IPv4 is cut up on the way unless it must not be (RFC 791 §2.3, RFC 1812 §5.2.7),
 * and its pieces come in where it did; of all else the sender is told.
 */
function shorten(
  model: RouterModel,
  packet: RouterPacket,
  { frame: { payload }, mtu }: { readonly frame: Frame; readonly mtu: number },
): readonly RouterEffect[] {
  if (payload.kind !== 'ipv4' || payload.dontFragment) return complain(model, packet, { reason: 'tooBig', mtu });
  const pieces = fragmentIpv4(packet.packet, mtu);
  // The network carries more now: the flows that say so are on their way.
  if (pieces.length < 2) return refused(packet, 'known');
  const { host, ofport } = packet;
  return pieces.map((piece) => ({ type: 'release', host, ofport, packet: piece }));
}

/** An ICMP error about a packet, back by the port it came from; nothing where there must be none. */
export function complain(
  model: RouterModel,
  packet: RouterPacket,
  error: { readonly reason: IcmpErrorReason; readonly mtu?: number },
): readonly RouterEffect[] {
  return whenReadable(
    packet,
    (frame) => {
      const { payload } = frame;
      if (payload.kind !== 'ipv4' && payload.kind !== 'ipv6') return [];
      const routerId = packet.routerId ?? routerOf(model, packet.networkId, frame.destination);
      if (routerId === undefined) return refused(packet, 'notAttached');
      const isToMany = isSubnetBroadcast(model, packet.networkId, payload.destination);
      if (isToMany || isSubnetBroadcast(model, packet.networkId, payload.source)) return [];
      const from = sourceOf(model, { networkId: packet.networkId, routerId, peer: payload.source });
      if (from === undefined) return refused(packet, 'notAttached');
      return sendBack(packet, icmpError(packet.packet, { ...error, from }));
    },
    decodeHeaders,
  );
}

/** The router whose interface on the network has a MAC. */
function routerOf(model: RouterModel, networkId: string, mac: number): string | undefined {
  return model.network(networkId)?.interfaces.find(({ macAddress }) => macAddress === mac)?.routerId;
}

function answerOwn(model: RouterModel, packet: RouterPacket, frame: Frame): readonly RouterEffect[] {
  const { payload } = frame;
  if ((payload.kind !== 'ipv4' && payload.kind !== 'ipv6') || isLaterFragment(payload)) return [];
  const transport = payload.payload;
  switch (protocolOf(transport)) {
    case PROTOCOL.tcp:
      return sendBack(packet, tcpReset(frame));
    case PROTOCOL.udp:
      return complain(model, packet, { reason: 'portUnreachable' });
    case PROTOCOL.icmpv4:
    case PROTOCOL.icmpv6:
      return echo(model, packet, frame);
    default:
      return complain(model, packet, { reason: 'protocolUnreachable' });
  }
}

/** To an echo request that came in fragments; so does the reply, where it is longer than the network's packets. */
function echo(model: RouterModel, packet: RouterPacket, request: Frame): readonly RouterEffect[] {
  const network = model.network(packet.networkId);
  const reply = echoReply(request);
  if (network === undefined || reply === undefined) return [];
  const { mtu } = network;
  const { host, ofport } = packet;
  const bytes = encodePacket(reply);
  const pieces = reply.payload.kind === 'ipv4' ? fragmentIpv4(bytes, mtu) : fragmentIpv6(bytes, mtu, echoId(reply));
  return pieces.map((piece) => ({ type: 'send', host, ofports: [ofport], packet: piece }));
}

/** Identifier and sequence: no two requests of a guest have the same within the life of a fragment. */
function echoId({ payload }: Frame): number {
  return payload.kind === 'ipv6' && payload.payload.kind === 'icmpv6' ? payload.payload.rest : 0;
}

/** Neighbour discovery is ICMPv6 too. */
function protocolOf(transport: Transport): number {
  if (transport.kind === 'raw') return transport.protocol;
  if (transport.kind === 'tcp' || transport.kind === 'udp' || transport.kind === 'icmpv4')
    return PROTOCOL[transport.kind];
  return PROTOCOL.icmpv6;
}

/**
 * At once: RFC 4861 §6.2.6 has routers wait up to half a second, lest several answer in one moment on one wire; this one
 * answers one guest on its own port.
 */
function advertise(model: RouterModel, packet: RouterPacket, { source, payload }: Frame): readonly RouterEffect[] {
  const network = model.network(packet.networkId);
  if (payload.kind !== 'ipv6' || payload.payload.kind !== 'routerSolicitation' || network === undefined) return [];
  // Who has no address yet hears the answer as one to all nodes.
  const to = payload.source === 0n ? {} : { to: { mac: source, ip: payload.source } };
  const frames = advertisementsOf(network, { lifetimeS: ADVERTISING.lifetimeS, ...to });
  return frames.flatMap((frame) => sendBack(packet, frame));
}

function sendBack({ host, ofport }: RouterPacket, frame: Frame | undefined): readonly RouterEffect[] {
  return frame === undefined ? [] : [{ type: 'send', host, ofports: [ofport], packet: encodePacket(frame) }];
}

function refused({ host, networkId }: RouterPacket, refusal: Refusal): readonly RouterEffect[] {
  return [{ type: 'refused', refusal, host, networkId }];
}

function whenReadable(
  packet: RouterPacket,
  answer: (frame: Frame) => readonly RouterEffect[],
  decode: (bytes: Uint8Array) => Frame = decodePacket,
): readonly RouterEffect[] {
  let frame: Frame;
  try {
    frame = decode(packet.packet);
  } catch (error) {
    if (error instanceof PacketError) return refused(packet, 'unreadable');
    throw error;
  }
  return answer(frame);
}
