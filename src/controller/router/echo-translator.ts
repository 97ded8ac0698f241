/**
 * Pings behind one gateway that have the same identifier and the same receiver: conntrack of the userspace datapath gives no other
 * identifier to the second one, and drops it. Here it gets one, and its answer gets its own back. A pure state machine.
 */
import { LIMITS } from '../../lib/limits.ts';
import { decodePacket } from '../../packet/decode.ts';
import { encodePacket } from '../../packet/encode.ts';
import { type Frame, ICMPV4_TYPE, type Icmpv4, type Ipv4 } from '../../packet/packet.ts';

/** A mapping that nobody used for so long is forgotten: as long as conntrack keeps a ping. */
const IDLE_MS = 30_000;

/** From here on: guests take any, so that which ones we take does not matter; one range is easy to see in a capture. */
const FIRST_ID = 0xc000;
const ID_COUNT = 0x4000;

export interface TranslatedEcho {
  readonly routerId: string;
  /** Who sends, under which identifier, to whom. */
  readonly guest: number;
  readonly id: number;
  readonly receiver: number;
  /** The identifier outside. */
  readonly outsideId: number;
  readonly usedMs: number;
}

/** The longest unused first; by what is seen outside. */
export type EchoState = ReadonlyMap<string, TranslatedEcho>;

interface Echo {
  readonly frame: Frame;
  readonly ip: Ipv4;
  readonly icmp: Icmpv4;
  readonly id: number;
}

const keyOf = (routerId: string, receiver: number, outsideId: number): string =>
  `${routerId}\0${receiver}\0${outsideId}`;

function echoOf(packet: Uint8Array, type: number): Echo | undefined {
  const frame = decodePacket(packet);
  const { payload: ip } = frame;
  if (ip.kind !== 'ipv4' || ip.payload.kind !== 'icmpv4' || ip.payload.type !== type) return undefined;
  return { frame, ip, icmp: ip.payload, id: ip.payload.rest >>> 16 };
}

function rewritten({ frame, ip, icmp }: Echo, id: number, change: Partial<Ipv4>): Uint8Array {
  const rest = ((id << 16) | (icmp.rest & 0xffff)) >>> 0;
  return encodePacket({ ...frame, payload: { ...ip, ...change, payload: { ...icmp, rest } } });
}

/** A request on its way outside: from the gateway's address, with an identifier of its own. Throws PacketError. */
export function translateRequest(
  state: EchoState,
  {
    packet,
    routerId,
    gatewayIp,
  }: { readonly packet: Uint8Array; readonly routerId: string; readonly gatewayIp: number },
  nowMs: number,
): readonly [EchoState, Uint8Array | undefined] {
  const echo = echoOf(packet, ICMPV4_TYPE.echoRequest);
  if (echo === undefined) return [state, undefined];
  const { source: guest, destination: receiver } = echo.ip;
  const living = [...state].filter(([, { usedMs }]) => nowMs - usedMs < IDLE_MS);
  const entries = new Map(living.slice(-(LIMITS.translatedEchoes - 1)));
  const known = [...entries.values()].find(
    (one) => one.routerId === routerId && one.guest === guest && one.receiver === receiver && one.id === echo.id,
  );
  const outsideId = known?.outsideId ?? freeId(entries, { routerId, receiver, id: echo.id });
  const key = keyOf(routerId, receiver, outsideId);
  entries.delete(key);
  entries.set(key, { routerId, guest, id: echo.id, receiver, outsideId, usedMs: nowMs });
  return [entries, rewritten(echo, outsideId, { source: gatewayIp, ttl: echo.ip.ttl - 1 })];
}

function freeId(
  entries: EchoState,
  { routerId, receiver, id }: { readonly routerId: string; readonly receiver: number; readonly id: number },
): number {
  let candidate = FIRST_ID + (id % ID_COUNT);
  while (entries.has(keyOf(routerId, receiver, candidate))) candidate = FIRST_ID + ((candidate + 1) % ID_COUNT);
  return candidate;
}

/** An answer to such a request: to who asked. Undefined: it is none. Throws PacketError. */
export function translateReply(
  state: EchoState,
  { packet, routerId }: { readonly packet: Uint8Array; readonly routerId: string },
): Uint8Array | undefined {
  const echo = echoOf(packet, ICMPV4_TYPE.echoReply);
  const entry = echo && state.get(keyOf(routerId, echo.ip.source, echo.id));
  return echo && entry && rewritten(echo, entry.id, { destination: entry.guest });
}
