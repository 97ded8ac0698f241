/**
 * Cutting packets up (RFC 791 §3.2, RFC 8200 §4.5): IPv4 on a router's way into a network that carries less, either family for
 * what a router itself says at length. The way back is controller/router/reassembler.ts. Serves controller/router/.
 */
import { invariant } from '../lib/errors.ts';
import { decodeHeaders } from './decode.ts';
import { encodePacket } from './encode.ts';
import type { Ipv4, Ipv6, RawTransport } from './packet.ts';

const IPV4_HEADER_SIZE = 20;
const IPV6_HEADER_SIZE = 40;
const FRAGMENT_HEADER_SIZE = 8;
/** Fragments begin at multiples of so many bytes. */
const UNIT_SIZE = 8;
/** Every network carries so much (RFC 791 §3.2): the longest header, and one unit. */
const IPV4_MTU_MIN = 68;

/**
 * A whole frame with an IPv4 packet (itself maybe a fragment) as frames whose packets have at most `mtu` bytes; the frame as it
 * is where it fits. Whether it may be cut up ("don't fragment") is for the caller to look at. Throws PacketError.
 */
export function fragmentIpv4(bytes: Uint8Array, mtu: number): readonly Uint8Array[] {
  const frame = decodeHeaders(bytes);
  const { payload: packet } = frame;
  invariant(packet.kind === 'ipv4', 'Only IPv4 is cut up as IPv4.', { kind: packet.kind });
  invariant(mtu >= IPV4_MTU_MIN, 'A network carries at least 68 bytes.', { mtu });
  const { bytes: data, protocol } = rawOf(packet);
  if (IPV4_HEADER_SIZE + packet.options.length + data.length <= mtu) return [bytes];
  const pieces: Uint8Array[] = [];
  const laterOptions = copiedOptions(packet.options);
  for (let start = 0; start < data.length; ) {
    const options = start === 0 ? packet.options : laterOptions;
    const end = start + roomIn(mtu - IPV4_HEADER_SIZE - options.length, data.length - start);
    const piece: Ipv4 = {
      ...packet,
      options,
      fragmentOffset: packet.fragmentOffset + start,
      // The last piece is followed by what followed the whole.
      moreFragments: packet.moreFragments || end < data.length,
      payload: { kind: 'raw', protocol, bytes: data.subarray(start, end) },
    };
    pieces.push(encodePacket({ ...frame, payload: piece }));
    start = end;
  }
  return pieces;
}

/**
 * A whole frame with an IPv6 packet without extension headers as frames whose packets have at most `mtu` bytes; the frame as it
 * is where it fits. For who sends the packet: nobody on the way may do this. Throws PacketError.
 */
export function fragmentIpv6(bytes: Uint8Array, mtu: number, identification: number): readonly Uint8Array[] {
  const frame = decodeHeaders(bytes);
  const { payload: packet } = frame;
  invariant(packet.kind === 'ipv6' && packet.extensions.length === 0, 'It has nothing but its header and data.', {});
  const { bytes: data, protocol } = rawOf(packet);
  if (IPV6_HEADER_SIZE + data.length <= mtu) return [bytes];
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < data.length; ) {
    const end = offset + roomIn(mtu - IPV6_HEADER_SIZE - FRAGMENT_HEADER_SIZE, data.length - offset);
    const extension = { kind: 'fragment', offset, moreFragments: end < data.length, identification } as const;
    const payload = { kind: 'raw', protocol, bytes: data.subarray(offset, end) } as const;
    pieces.push(encodePacket({ ...frame, payload: { ...packet, extensions: [extension], payload } }));
    offset = end;
  }
  return pieces;
}

/** How much of what is left goes into so much room: all but the last piece are whole units. */
function roomIn(roomSize: number, leftSize: number): number {
  return leftSize <= roomSize ? leftSize : Math.floor(roomSize / UNIT_SIZE) * UNIT_SIZE;
}

const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
/** Bit 7 of an option's type: it goes into every fragment. */
const COPIED = 0x80;

/** The options of every fragment but the first (RFC 791 §3.1), filled up to words. */
function copiedOptions(options: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let index = 0; index < options.length; ) {
    const type = options[index] ?? END_OF_OPTIONS;
    if (type === END_OF_OPTIONS) break;
    if (type === NO_OPERATION) {
      index += 1;
      continue;
    }
    const size = options[index + 1] ?? 0;
    // What cannot be read is not copied, nor what follows it.
    if (size < 2 || index + size > options.length) break;
    if ((type & COPIED) !== 0) kept.push(...options.subarray(index, index + size));
    index += size;
  }
  while (kept.length % 4 !== 0) kept.push(END_OF_OPTIONS);
  return Uint8Array.from(kept);
}

/** As decodeHeaders leaves it. */
function rawOf({ payload }: Ipv4 | Ipv6): RawTransport {
  invariant(payload.kind === 'raw', 'Headers were read, and no more.', { kind: payload.kind });
  return payload;
}
