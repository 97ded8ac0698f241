/**
 * ICMP errors about a packet (RFC 792, RFC 1812 §4.3 and §5.2.7, RFC 1191; RFC 4443 §3 for IPv6), and the packets that must not
 * be answered with one. Serves controller/router/.
 */
import type { Ip } from '../lib/addresses.ts';
import { invariant } from '../lib/errors.ts';
import { decodeHeaders } from './decode.ts';
import { isUnicastMac } from './neighbours.ts';
import { type Frame, ICMPV4_TYPE, ICMPV6_TYPE, type Ipv4, type Ipv6, PROTOCOL, type Transport } from './packet.ts';

/** Type and code, for IPv4 and for IPv6. */
const ERRORS = {
  networkUnreachable: { ipv4: [ICMPV4_TYPE.unreachable, 0], ipv6: [ICMPV6_TYPE.unreachable, 0] },
  hostUnreachable: { ipv4: [ICMPV4_TYPE.unreachable, 1], ipv6: [ICMPV6_TYPE.unreachable, 3] },
  protocolUnreachable: { ipv4: [ICMPV4_TYPE.unreachable, 2], ipv6: [ICMPV6_TYPE.parameterProblem, 1] },
  portUnreachable: { ipv4: [ICMPV4_TYPE.unreachable, 3], ipv6: [ICMPV6_TYPE.unreachable, 4] },
  tooBig: { ipv4: [ICMPV4_TYPE.unreachable, 4], ipv6: [ICMPV6_TYPE.tooBig, 0] },
  timeExceeded: { ipv4: [ICMPV4_TYPE.timeExceeded, 0], ipv6: [ICMPV6_TYPE.timeExceeded, 0] },
} as const satisfies Record<string, { readonly [Kind in 'ipv4' | 'ipv6']: readonly [type: number, code: number] }>;

export type IcmpErrorReason = keyof typeof ERRORS;

export interface IcmpErrorOptions {
  readonly reason: IcmpErrorReason;
  /** The router that complains: its address, of the offending packet's family, and MAC on the network it came from. */
  readonly from: { readonly ip: Ip; readonly mac: number };
  /** Of the network that it does not fit into; with `tooBig`, and only then. */
  readonly mtu?: number;
}

/** The whole error packet, IP header included (RFC 1812 §4.3.2.3; RFC 4443 §2.4 c). */
const IPV4_ERROR_SIZE_MAX = 576;
const IPV6_ERROR_SIZE_MAX = 1280;
const ICMP_HEADER_SIZE = 8;
const IPV4_HEADER_SIZE = 20;
const IPV6_HEADER_SIZE = 40;
const TTL = 64;
/** Precedence "internetwork control" (RFC 1812 §4.3.2.5). */
const TOS = 0xc0;

/**
 * The error about `offending` (a whole frame), to who sent it, with the frame's VLAN tags; undefined where there must be none.
 * Throws PacketError where the frame cannot be read down to IP.
 */
export function icmpError(offending: Uint8Array, options: IcmpErrorOptions): Frame | undefined {
  const frame = decodeHeaders(offending);
  const { payload } = frame;
  invariant((options.mtu !== undefined) === (options.reason === 'tooBig'), 'An MTU belongs to tooBig.', {});
  if (payload.kind !== 'ipv4' && payload.kind !== 'ipv6') return undefined;
  const isPath = payload.kind === 'ipv6' && options.reason === 'tooBig';
  // Path MTU discovery of multicast is the one thing that answers to what was sent to many (RFC 4443 §2.4 e.3).
  if (!isPath && (!isUnicastMac(frame.destination) || isToMany(payload.destination))) return undefined;
  if (!isUnicastMac(frame.source) || !isOneHost(payload.source) || !isAnswerable(payload)) return undefined;
  const quote = ipBytesOf(offending, frame, payload);
  const macs = { source: options.from.mac, destination: frame.source, vlans: frame.vlans };
  if (payload.kind === 'ipv4') return { ...macs, payload: ipv4Error(payload, quote, options) };
  return { ...macs, payload: ipv6Error(payload, quote, options) };
}

function ipv4Error(offending: Ipv4, quote: Uint8Array, { reason, from, mtu = 0 }: IcmpErrorOptions): Ipv4 {
  invariant(typeof from.ip === 'number', 'A router answers in the family it was asked in.', { reason });
  const [type, code] = ERRORS[reason].ipv4;
  const data = quote.slice(0, IPV4_ERROR_SIZE_MAX - IPV4_HEADER_SIZE - ICMP_HEADER_SIZE);
  return {
    kind: 'ipv4',
    source: from.ip,
    destination: offending.source,
    tos: TOS,
    // Never cut up, so that no identification is needed (RFC 6864 §4.1).
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: TTL,
    options: new Uint8Array(),
    payload: { kind: 'icmpv4', type, code, rest: mtu, data },
  };
}

function ipv6Error(offending: Ipv6, quote: Uint8Array, { reason, from, mtu = 0 }: IcmpErrorOptions): Ipv6 {
  invariant(typeof from.ip === 'bigint', 'A router answers in the family it was asked in.', { reason });
  const [type, code] = ERRORS[reason].ipv6;
  const rest = reason === 'protocolUnreachable' ? nextHeaderOffset(offending) : mtu;
  const data = quote.slice(0, IPV6_ERROR_SIZE_MAX - IPV6_HEADER_SIZE - ICMP_HEADER_SIZE);
  return {
    kind: 'ipv6',
    source: from.ip,
    destination: offending.source,
    trafficClass: TOS,
    flowLabel: 0,
    hopLimit: TTL,
    extensions: [],
    payload: { kind: 'icmpv6', type, code, rest, data },
  };
}

/** Where the packet names its payload's protocol: the pointer of a parameter problem (RFC 4443 §3.4). */
function nextHeaderOffset({ extensions }: Ipv6): number {
  if (extensions.length === 0) return 6;
  const before = extensions.slice(0, -1);
  return before.reduce((sum, one) => sum + (one.kind === 'fragment' ? 8 : one.body.length + 2), IPV6_HEADER_SIZE);
}

/** A copy of the IP packet within a frame, without padding. */
function ipBytesOf(bytes: Uint8Array, frame: Frame, payload: Ipv4 | Ipv6): Uint8Array {
  const start = 14 + 4 * frame.vlans.length;
  const lengthAt = start + (payload.kind === 'ipv4' ? 2 : 4);
  const length = ((bytes[lengthAt] ?? 0) << 8) | (bytes[lengthAt + 1] ?? 0);
  return new Uint8Array(bytes.subarray(start, start + length + (payload.kind === 'ipv4' ? 0 : IPV6_HEADER_SIZE)));
}

/**
 * A fragment that is not the first does not show whether it is part of an ICMP error; those must not be answered with
 * another (RFC 1122 §3.2.2, RFC 4443 §2.4 e).
 */
function isAnswerable(packet: Ipv4 | Ipv6): boolean {
  return !isLaterFragment(packet) && !isIcmpError(packet.payload);
}

export function isLaterFragment(packet: Ipv4 | Ipv6): boolean {
  if (packet.kind === 'ipv4') return packet.fragmentOffset > 0;
  return packet.extensions.some((one) => one.kind === 'fragment' && one.offset > 0);
}

/** `transport` as decodeHeaders leaves it. */
function isIcmpError(transport: Transport): boolean {
  if (transport.kind !== 'raw') return false;
  const [type] = transport.bytes;
  // One without even a type cannot be told from an error.
  if (transport.protocol === PROTOCOL.icmpv4) return type === undefined || ICMPV4_ERRORS.has(type);
  if (transport.protocol !== PROTOCOL.icmpv6) return false;
  return type === undefined || type < ICMPV6_TYPE.echoRequest || type === ICMPV6_TYPE.redirect;
}

/** Unreachable, source quench, redirect, time exceeded, parameter problem. */
const ICMPV4_ERRORS: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);

/** Multicast, or broadcast to all. A subnet's own broadcast address is known to who knows the subnet. */
export function isToMany(ip: Ip): boolean {
  if (typeof ip === 'bigint') return ip >> 120n === 0xffn;
  return (ip >= 0xe000_0000 && ip < 0xf000_0000) || ip === 0xffff_ffff;
}

/** An address that one host can have, and that can be answered. */
function isOneHost(ip: Ip): boolean {
  if (typeof ip === 'bigint') return ip > 1n && !isToMany(ip);
  const first = Math.floor(ip / 0x100_0000);
  return first !== 0 && first !== 127 && first < 224;
}
