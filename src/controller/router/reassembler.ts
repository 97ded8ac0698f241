/**
 * Putting fragments together (RFC 791 §3.2, RFC 8200 §4.5) that guests send to a router's own addresses: a long ping is
 * answered as a short one is. Bounded whatever guests send: so many packets of one guest and in all, so many bytes, so long. A
 * packet whose parts overlap is given up whole (RFC 5722). A pure state machine.
 */
import { LIMITS } from '../../lib/limits.ts';
import { decodeHeaders } from '../../packet/decode.ts';
import { encodePacket } from '../../packet/encode.ts';
import type { Frame, Ipv4, Ipv6 } from '../../packet/packet.ts';
import type { RouterPacket } from './responder.ts';

/** A part of a packet: which one, where in it, and what. */
interface Fragment {
  /** Host, port, and what RFC 791 and RFC 8200 tell packets by. */
  readonly key: string;
  readonly host: string;
  readonly ofport: number;
  readonly offset: number;
  readonly isLast: boolean;
  readonly data: Uint8Array;
  readonly frame: Frame;
}

/** A packet of which some is there. */
interface Partial {
  readonly host: string;
  readonly ofport: number;
  readonly startedMs: number;
  /** In order of offset, without overlaps. */
  readonly fragments: readonly Fragment[];
  /** Of their data. */
  readonly size: number;
}

export interface ReassemblerState {
  /** The oldest first. */
  readonly partials: ReadonlyMap<string, Partial>;
}

export const INITIAL_REASSEMBLER: ReassemblerState = { partials: new Map() };

/**
 * Take in a packet: gives it back when it is whole, or made whole by this part; undefined when it is not, or never will be.
 * Throws PacketError.
 */
export function reassemble(
  state: ReassemblerState,
  packet: RouterPacket,
  nowMs: number,
): readonly [ReassemblerState, RouterPacket | undefined] {
  const fragment = fragmentOf(packet);
  if (fragment === undefined) return [state, packet];
  const partials = new Map([...state.partials].filter(([, one]) => nowMs - one.startedMs < LIMITS.reassemblyTimeoutMs));
  const before = partials.get(fragment.key);
  partials.delete(fragment.key);
  const added = add(before, fragment, nowMs);
  if (added === undefined) return [{ partials }, undefined];
  const whole = join(added.fragments);
  if (whole !== undefined) return [{ partials }, { ...packet, packet: whole }];
  makeRoom(partials, added);
  partials.set(fragment.key, added);
  return [{ partials }, undefined];
}

function fragmentOf({ host, ofport, packet: bytes }: RouterPacket): Fragment | undefined {
  const frame = decodeHeaders(bytes);
  const { payload: packet } = frame;
  if ((packet.kind !== 'ipv4' && packet.kind !== 'ipv6') || packet.payload.kind !== 'raw') return undefined;
  const place = packet.kind === 'ipv4' ? placeOfIpv4(packet) : placeOfIpv6(packet);
  if (place === undefined) return undefined;
  const { identity, offset, moreFragments } = place;
  const key = [host, ofport, packet.kind, packet.source, packet.destination, ...identity].join('\0');
  return { key, host, ofport, offset, isLast: !moreFragments, data: packet.payload.bytes, frame };
}

interface FragmentPlace {
  readonly identity: readonly number[];
  readonly offset: number;
  readonly moreFragments: boolean;
}

function placeOfIpv4({ identification, fragmentOffset, moreFragments, payload }: Ipv4): FragmentPlace | undefined {
  if (fragmentOffset === 0 && !moreFragments) return undefined;
  const protocol = payload.kind === 'raw' ? payload.protocol : 0;
  return { identity: [identification, protocol], offset: fragmentOffset, moreFragments };
}

function placeOfIpv6({ extensions }: Ipv6): FragmentPlace | undefined {
  const fragment = extensions.find((one) => one.kind === 'fragment');
  if (fragment === undefined || (fragment.offset === 0 && !fragment.moreFragments)) return undefined;
  const { identification, offset, moreFragments } = fragment;
  return { identity: [identification], offset, moreFragments };
}

const endOf = ({ offset, data }: Fragment): number => offset + data.length;

/** What is there with one more; undefined: it can never be whole. */
function add(before: Partial | undefined, fragment: Fragment, nowMs: number): Partial | undefined {
  const { host, ofport, isLast, data } = fragment;
  // All but the last are whole units, or nothing would fit behind them.
  if (data.length === 0 || (!isLast && data.length % 8 !== 0)) return undefined;
  const { startedMs = nowMs, fragments: others = [], size = 0 } = before ?? {};
  const rival = others.find((one) => one.offset < endOf(fragment) && fragment.offset < endOf(one));
  if (rival !== undefined) return before !== undefined && isSame(rival, fragment) ? before : undefined;
  const fragments = [...others, fragment].sort((a, b) => a.offset - b.offset);
  if (fragments.slice(0, -1).some((one) => one.isLast)) return undefined;
  return { host, ofport, startedMs, fragments, size: size + data.length };
}

/** The network may deliver a part twice. */
function isSame(one: Fragment, other: Fragment): boolean {
  return one.offset === other.offset && one.isLast === other.isLast && Buffer.compare(one.data, other.data) === 0;
}

/** IPv4 and IPv6 count a packet's length in 16 bits. */
const DATA_SIZE_MAX = 65_535 - 60;

/** The whole frame, once there are no holes. */
function join(fragments: readonly Fragment[]): Uint8Array | undefined {
  const [first] = fragments;
  if (first === undefined || first.offset !== 0 || fragments.at(-1)?.isLast !== true) return undefined;
  if (fragments.some((one, index) => index > 0 && one.offset !== endOf(fragments[index - 1] ?? one))) return undefined;
  const bytes = new Uint8Array(Buffer.concat(fragments.map(({ data }) => data)));
  const { payload: packet } = first.frame;
  if ((packet.kind !== 'ipv4' && packet.kind !== 'ipv6') || packet.payload.kind !== 'raw') return undefined;
  if (bytes.length > DATA_SIZE_MAX) return undefined;
  const payload = { ...packet.payload, bytes };
  if (packet.kind === 'ipv4') {
    return encodePacket({ ...first.frame, payload: { ...packet, moreFragments: false, payload } });
  }
  const extensions = packet.extensions.filter((one) => one.kind !== 'fragment');
  return encodePacket({ ...first.frame, payload: { ...packet, extensions, payload } });
}

/** Who is over a bound loses what is oldest: first a guest its own, then whoever has it. */
function makeRoom(partials: Map<string, Partial>, { host, ofport, size }: Partial): void {
  const own = [...partials].filter(([, one]) => one.host === host && one.ofport === ofport);
  for (const [key] of own.slice(0, Math.max(0, own.length - LIMITS.reassembledPacketsPerPort + 1)))
    partials.delete(key);
  let total = size;
  for (const one of partials.values()) total += one.size;
  for (const [key, one] of partials) {
    if (partials.size < LIMITS.reassembledPackets && total <= LIMITS.reassembledSize) return;
    partials.delete(key);
    total -= one.size;
  }
}
