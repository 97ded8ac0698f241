/**
 * What a router answers to packets that it does not pass on: ICMP errors, TCP resets, router advertisements that somebody
 * solicited. Pure; a meter has limited the rate before anything gets here.
 */
import { decodeHeaders, decodePacket } from '../../packet/decode.ts';
import { encodePacket } from '../../packet/encode.ts';
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
  /** It does not fit into the network that it would go to, and must not be cut up. */
  | { readonly type: 'tooBig'; readonly egressNetworkId: string }
  /** It is for the router itself, and no echo request. */
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
      return complain(model, packet, { reason: 'tooBig', mtu: egress.mtu });
    }
    case 'ownAddress':
      return whenReadable(packet, (frame) => answerOwn(model, packet, frame));
    case 'routerSolicitation':
      return whenReadable(packet, (frame) => advertise(model, packet, frame));
  }
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
  switch (protocolOf(payload.payload)) {
    case PROTOCOL.tcp:
      return sendBack(packet, tcpReset(frame));
    case PROTOCOL.udp:
      return complain(model, packet, { reason: 'portUnreachable' });
    case PROTOCOL.icmpv4:
    case PROTOCOL.icmpv6:
      return [];
    default:
      return complain(model, packet, { reason: 'protocolUnreachable' });
  }
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
