/**
 * Finding addresses outside: the gateways of external networks, and whoever else is on them, from each host apart, because each
 * host has a wire of its own to them. A pure state machine over ARP and neighbour discovery (RFC 826, RFC 4861 §7).
 *
 *     asking --claim--> known --30 s--> probing --claim--> known
 *     asking --3 asks unanswered--> failed --3 s--> (none)     probing --3 probes unanswered--> (none)
 *
 * What is always needed (a network's gateway) is asked for without a packet that waits, is asked for as long as nobody answers,
 * and keeps the MAC that it had while nobody does: a gateway that is silent for a moment must not cut everyone off.
 */
import { type Ip, ipToText } from '../../lib/addresses.ts';
import { LIMITS } from '../../lib/limits.ts';
import { encodePacket } from '../../packet/encode.ts';
import { arpRequest, type NeighbourClaim, neighborSolicitation } from '../../packet/neighbours.ts';

export const ASKING = {
  asks: 3,
  intervalMs: 1_000,
  failedMs: 3_000,
  knownMs: 30_000,
  /** Between questions for what is needed and silent. */
  silentMs: 5_000,
} as const;

/** An address on an external network, as a host sees it. */
export interface OutsidePlace {
  readonly host: string;
  readonly networkId: string;
  readonly ip: Ip;
}

/** Who asks there: an address of ours of the same family. */
export interface Asker {
  readonly mac: number;
  readonly ip: Ip;
}

/** A packet that waits for an address. What is in it besides is the shell's affair. */
export interface WaitingPacket {
  readonly packet: Uint8Array;
}

export interface OutsideEntry<Packet extends WaitingPacket> extends OutsidePlace {
  /** Always needed. */
  readonly isNeeded: boolean;
  /** Absent: nobody has answered yet. */
  readonly mac?: number;
  /** Unanswered questions. */
  readonly asks: number;
  readonly hasFailed: boolean;
  readonly dueMs: number;
  readonly waiting: readonly Packet[];
}

export type OutsideState<Packet extends WaitingPacket> = ReadonlyMap<string, OutsideEntry<Packet>>;

export type OutsideEvent<Packet extends WaitingPacket> =
  /** What is always needed now; the rest of that kind is needed no more. */
  | { readonly type: 'needed'; readonly places: readonly OutsidePlace[] }
  /** Hosts serve other external networks than before. */
  | { readonly type: 'packet'; readonly place: OutsidePlace; readonly packet: Packet }
  | { readonly type: 'claim'; readonly host: string; readonly networkId: string; readonly claim: NeighbourClaim }
  | { readonly type: 'tick' };

export type OutsideEffect<Packet extends WaitingPacket> =
  | { readonly type: 'ask'; readonly host: string; readonly networkId: string; readonly packet: Uint8Array }
  | { readonly type: 'set'; readonly place: OutsidePlace; readonly mac: number }
  | { readonly type: 'unset'; readonly place: OutsidePlace }
  /** The packet can go on, once the flow for its address is there. */
  | { readonly type: 'goOn'; readonly packet: Packet }
  /** Nobody has the address that the packet is for. */
  | { readonly type: 'unanswered'; readonly packet: Packet }
  | { readonly type: 'refused'; readonly refusal: 'tooManyForAddress' | 'tooManyAddresses'; readonly host: string };

export type AskerOf = (place: OutsidePlace) => Asker | undefined;

export const outsideKey = ({ host, networkId, ip }: OutsidePlace): string => `${host}\0${networkId}\0${ipToText(ip)}`;

/** What was known in an earlier life: it counts at once, and is asked for soon. */
export function rememberedOutside<Packet extends WaitingPacket>(
  known: Iterable<{ readonly place: OutsidePlace; readonly mac: number }>,
  nowMs: number,
): OutsideState<Packet> {
  const entries = [...known].map(({ place, mac }) => {
    const entry = { ...place, mac, isNeeded: false, asks: 0, hasFailed: false, dueMs: nowMs + ASKING.intervalMs };
    return [outsideKey(place), { ...entry, waiting: [] }] as const;
  });
  return new Map(entries);
}

/** When the machine wants its next tick; undefined: never. */
export function outsideWakeMs<Packet extends WaitingPacket>(state: OutsideState<Packet>): number | undefined {
  let wakeMs: number | undefined;
  for (const { dueMs } of state.values()) if (wakeMs === undefined || dueMs < wakeMs) wakeMs = dueMs;
  return wakeMs;
}

/** One step. `nowMs` is any monotonic clock. */
export function outsideStep<Packet extends WaitingPacket>(
  state: OutsideState<Packet>,
  event: OutsideEvent<Packet>,
  nowMs: number,
  askerOf: AskerOf,
): readonly [OutsideState<Packet>, readonly OutsideEffect<Packet>[]] {
  const entries = new Map(state);
  const effects: OutsideEffect<Packet>[] = [];
  switch (event.type) {
    case 'needed':
      takeNeeded(entries, effects, { places: event.places, nowMs, askerOf });
      break;
    case 'packet':
      takePacket(entries, effects, { place: event.place, packet: event.packet, nowMs, askerOf });
      break;
    case 'claim': {
      const { host, networkId, claim } = event;
      takeClaim(entries, effects, { host, networkId, ip: claim.ip }, { mac: claim.mac, nowMs });
      break;
    }
    case 'tick':
      for (const entry of state.values())
        if (entry.dueMs <= nowMs) fallDue(entries, effects, { entry, nowMs, askerOf });
  }
  return [entries, effects];
}

type Entries<Packet extends WaitingPacket> = Map<string, OutsideEntry<Packet>>;

function takeNeeded<Packet extends WaitingPacket>(
  entries: Entries<Packet>,
  effects: OutsideEffect<Packet>[],
  {
    places,
    nowMs,
    askerOf,
  }: { readonly places: readonly OutsidePlace[]; readonly nowMs: number; readonly askerOf: AskerOf },
): void {
  const needed = new Map(places.map((place) => [outsideKey(place), place]));
  for (const [key, entry] of entries) {
    if (needed.has(key)) continue;
    // A host that serves a network no more has nobody to ask there with, and nothing to ask for.
    if (askerOf(entry) !== undefined && !entry.isNeeded) continue;
    entries.delete(key);
    if (entry.mac !== undefined) effects.push({ type: 'unset', place: placeOf(entry) });
  }
  for (const [key, place] of needed) {
    const entry = entries.get(key);
    if (entry !== undefined) entries.set(key, { ...entry, isNeeded: true });
    else {
      const begun = {
        ...place,
        isNeeded: true,
        asks: 1,
        hasFailed: false,
        dueMs: nowMs + ASKING.intervalMs,
        waiting: [],
      };
      entries.set(key, begun);
      effects.push(...question<Packet>(begun, askerOf));
    }
  }
}

interface Arrival<Packet> {
  readonly place: OutsidePlace;
  readonly packet: Packet;
  readonly nowMs: number;
  readonly askerOf: AskerOf;
}

function takePacket<Packet extends WaitingPacket>(
  entries: Entries<Packet>,
  effects: OutsideEffect<Packet>[],
  { place, packet, nowMs, askerOf }: Arrival<Packet>,
): void {
  const key = outsideKey(place);
  const entry = entries.get(key);
  if (entry?.mac !== undefined) effects.push({ type: 'goOn', packet });
  else if (entry?.hasFailed === true) effects.push({ type: 'unanswered', packet });
  else if (entry !== undefined) {
    const isFull = entry.waiting.length >= LIMITS.heldPacketsPerAddress;
    if (isFull) effects.push({ type: 'refused', refusal: 'tooManyForAddress', host: place.host });
    else entries.set(key, { ...entry, waiting: [...entry.waiting, packet] });
  } else if (entries.size >= LIMITS.resolvedAddresses) {
    effects.push({ type: 'refused', refusal: 'tooManyAddresses', host: place.host });
  } else {
    const dueMs = nowMs + ASKING.intervalMs;
    const begun = { ...place, isNeeded: false, asks: 1, hasFailed: false, dueMs, waiting: [packet] };
    entries.set(key, begun);
    effects.push(...question<Packet>(begun, askerOf));
  }
}

function takeClaim<Packet extends WaitingPacket>(
  entries: Entries<Packet>,
  effects: OutsideEffect<Packet>[],
  place: OutsidePlace,
  { mac, nowMs }: { readonly mac: number; readonly nowMs: number },
): void {
  const key = outsideKey(place);
  const entry = entries.get(key);
  // What nobody asked for says nothing new.
  if (entry === undefined) return;
  entries.set(key, { ...entry, mac, asks: 0, hasFailed: false, dueMs: nowMs + ASKING.knownMs, waiting: [] });
  if (entry.mac !== mac) effects.push({ type: 'set', place, mac });
  for (const packet of entry.waiting) effects.push({ type: 'goOn', packet });
}

interface Due<Packet extends WaitingPacket> {
  readonly entry: OutsideEntry<Packet>;
  readonly nowMs: number;
  readonly askerOf: AskerOf;
}

function fallDue<Packet extends WaitingPacket>(
  entries: Entries<Packet>,
  effects: OutsideEffect<Packet>[],
  { entry, nowMs, askerOf }: Due<Packet>,
): void {
  const key = outsideKey(entry);
  if (entry.hasFailed && !entry.isNeeded) {
    entries.delete(key);
    return;
  }
  if (entry.asks < ASKING.asks) {
    entries.set(key, { ...entry, asks: entry.asks + 1, dueMs: nowMs + ASKING.intervalMs });
    effects.push(...question<Packet>(entry, askerOf));
    return;
  }
  for (const packet of entry.waiting) effects.push({ type: 'unanswered', packet });
  if (entry.isNeeded) {
    const { mac: _silent, ...anyone } = entry;
    effects.push(...question<Packet>(anyone, askerOf));
    const hasFailed = entry.mac === undefined;
    entries.set(key, { ...entry, hasFailed, dueMs: nowMs + ASKING.silentMs, waiting: [] });
  } else if (entry.mac !== undefined) {
    entries.delete(key);
    effects.push({ type: 'unset', place: placeOf(entry) });
  } else entries.set(key, { ...entry, hasFailed: true, dueMs: nowMs + ASKING.failedMs, waiting: [] });
}

const placeOf = ({ host, networkId, ip }: OutsidePlace): OutsidePlace => ({ host, networkId, ip });

/** To who has the address, as far as that is known; else to everyone. */
function question<Packet extends WaitingPacket>(
  entry: OutsidePlace & { readonly mac?: number },
  askerOf: AskerOf,
): readonly OutsideEffect<Packet>[] {
  const asker = askerOf(entry);
  const { host, networkId, ip: targetIp, mac } = entry;
  if (asker === undefined || typeof asker.ip !== typeof targetIp) return [];
  const common = { senderMac: asker.mac, ...(mac === undefined ? {} : { targetMac: mac }) };
  const frame =
    typeof targetIp === 'bigint'
      ? neighborSolicitation({ ...common, senderIp: BigInt(asker.ip), targetIp })
      : arpRequest({ ...common, senderIp: Number(asker.ip), targetIp });
  return [{ type: 'ask', host, networkId, packet: encodePacket(frame) }];
}
