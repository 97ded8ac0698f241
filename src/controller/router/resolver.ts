/**
 * Finding addresses on attached subnets that the topology does not place: allowed address pairs, what stands behind a port
 * without port security. A pure state machine over ARP and neighbour discovery (RFC 826, RFC 4861 §7).
 *
 *     (none) --packet--> asking --claim--> reachable --60 s--> probing --claim--> reachable
 *     asking --3 asks unanswered--> failed --3 s--> (none)     probing --3 probes unanswered--> (none)
 *     failed --claim--> reachable
 *
 * What is needed (the address behind a floating IP, where no port has it for its own) is asked for without a packet, and for as
 * long as nobody has it.
 *
 * A claim (an ARP reply, a gratuitous ARP, a neighbour advertisement) counts only from a port that may have the address. It moves
 * an address at once. One that nobody asked for says nothing new: it is not remembered.
 */
import type { Ip } from '../../lib/addresses.ts';
import { encodePacket } from '../../packet/encode.ts';
import { arpRequest, type NeighbourClaim, neighborSolicitation } from '../../packet/neighbours.ts';
import type { Neighbour, Refusal, RouterEffect } from './effects.ts';
import { isAttached, isSubnetBroadcast, mayHave, mayOwn, type RouterModel, sourceOf } from './model.ts';
import { entriesWithout, keyOf, makeRoom, refuseHolding } from './resolver-bounds.ts';
import { complain, type RouterPacket } from './responder.ts';

/** RFC 4861 §10: MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT, RETRANS_TIMER. Linux and Neutron's routers keep an entry as long. */
export const RESOLVING = {
  asks: 3,
  askIntervalMs: 1_000,
  /** What nobody has is not asked for again so soon. */
  failedMs: 3_000,
  /** Nor is what is needed. */
  silentMs: 5_000,
  /** What an earlier life knew is asked for after so long. */
  rememberedMs: 1_000,
  reachableMs: 60_000,
  probes: 3,
  probeIntervalMs: 1_000,
} as const;

/** A packet on its way to an address. */
export interface HeldPacket extends RouterPacket {
  readonly routerId: string;
  /** It came to the router's part on a gateway host; `networkId` is the network that it goes to. */
  readonly isAtGateway?: true;
}

/** An address that is always wanted, and the router that asks for it. */
export interface NeededAddress {
  readonly networkId: string;
  readonly ip: Ip;
  readonly routerId: string;
}

/** Who had an address in an earlier life, and the router that asked. */
export interface RememberedNeighbour {
  readonly routerId: string;
  readonly neighbour: Neighbour;
}

interface EntryBase {
  /** The network that the address is on. */
  readonly networkId: string;
  readonly ip: Ip;
  /** The router that asks. */
  readonly routerId: string;
  /** When something happens of itself. */
  readonly dueMs: number;
}

export type ResolverEntry =
  | (EntryBase & { readonly phase: 'asking'; readonly asks: number; readonly held: readonly HeldPacket[] })
  | (EntryBase & { readonly phase: 'reachable'; readonly neighbour: Neighbour })
  | (EntryBase & { readonly phase: 'probing'; readonly neighbour: Neighbour; readonly probes: number })
  | (EntryBase & { readonly phase: 'failed' });

export interface ResolverState {
  /** By network and address, the oldest first. */
  readonly entries: ReadonlyMap<string, ResolverEntry>;
  /** By network and address. */
  readonly needed: ReadonlyMap<string, NeededAddress>;
}

export type ResolverEvent =
  /** These addresses are needed, and no others. */
  | { readonly type: 'needed'; readonly addresses: readonly NeededAddress[] }
  /** A packet for an address (its destination, or a route's next hop) that no flow knows. */
  | { readonly type: 'packet'; readonly packet: HeldPacket; readonly networkId: string; readonly ip: Ip }
  /** A guest says that it has an address. */
  | { readonly type: 'claim'; readonly host: string; readonly ofport: number; readonly claim: NeighbourClaim }
  /** Networks, routers or ports are not what they were. */
  | { readonly type: 'modelChanged' }
  /** Time passed: `resolverWakeMs` is reached, or may be. */
  | { readonly type: 'tick' };

export type ResolverStep = readonly [ResolverState, readonly RouterEffect[]];

export const INITIAL_RESOLVER: ResolverState = { entries: new Map(), needed: new Map() };

/** With what an earlier life knew: it counts, and is asked for soon. */
export function rememberedResolver(remembered: Iterable<RememberedNeighbour>, nowMs: number): ResolverState {
  const entries = new Map<string, ResolverEntry>();
  for (const { routerId, neighbour } of remembered) {
    const { networkId, ip } = neighbour;
    const dueMs = nowMs + RESOLVING.rememberedMs;
    entries.set(keyOf(neighbour), { phase: 'reachable', networkId, ip, routerId, dueMs, neighbour });
  }
  return { entries, needed: new Map() };
}

/** When the machine wants its next tick; undefined: never. */
export function resolverWakeMs({ entries }: ResolverState): number | undefined {
  let wakeMs: number | undefined;
  for (const { dueMs } of entries.values()) if (wakeMs === undefined || dueMs < wakeMs) wakeMs = dueMs;
  return wakeMs;
}

/** All neighbours that were found, for who has to begin anew. */
export function neighboursOf({ entries }: ResolverState): readonly RememberedNeighbour[] {
  return [...entries.values()].flatMap((entry) =>
    'neighbour' in entry ? [{ routerId: entry.routerId, neighbour: entry.neighbour }] : [],
  );
}

/** One step. `nowMs` is any monotonic clock. */
export function resolverStep(
  state: ResolverState,
  event: ResolverEvent,
  nowMs: number,
  model: RouterModel,
): ResolverStep {
  switch (event.type) {
    case 'needed':
      return takeNeeded(state, event.addresses, nowMs, model);
    case 'packet':
      return packetCame(state, event, nowMs, model);
    case 'claim':
      return claimCame(state, event, nowMs, model);
    case 'modelChanged':
      return modelChanged(state, model);
    case 'tick':
      return tick(state, nowMs, model);
  }
}

function put(state: ResolverState, entry: ResolverEntry): ResolverState {
  return { ...state, entries: new Map(state.entries).set(keyOf(entry), entry) };
}

type EventOf<Type extends ResolverEvent['type']> = ResolverEvent & { readonly type: Type };

function packetCame(
  state: ResolverState,
  { packet, networkId, ip }: EventOf<'packet'>,
  nowMs: number,
  model: RouterModel,
): ResolverStep {
  const entry = state.entries.get(keyOf({ networkId, ip }));
  switch (entry?.phase) {
    case 'reachable':
    case 'probing':
      return [state, [releaseOf(packet)]];
    case 'failed':
      return [state, unreachable(model, packet)];
    case 'asking': {
      const refusal = refuseHolding(state, entry, packet);
      if (refusal !== undefined) return [state, refused(packet, refusal)];
      return [put(state, { ...entry, held: [...entry.held, packet] }), []];
    }
    default:
      return ask(state, { packet, networkId, ip }, nowMs, model);
  }
}

/** Begin to ask for an address. */
function ask(
  state: ResolverState,
  { packet, networkId, ip }: { readonly packet: HeldPacket; readonly networkId: string; readonly ip: Ip },
  nowMs: number,
  model: RouterModel,
): ResolverStep {
  const { routerId } = packet;
  if (model.isKnown(networkId, ip)) return [state, refused(packet, 'known')];
  if (isSubnetBroadcast(model, networkId, ip)) return [state, refused(packet, 'broadcast')];
  if (!isAttached(model, { networkId, routerId, peer: ip })) return [state, refused(packet, 'notAttached')];
  const roomy = makeRoom(state, networkId);
  const refusal = roomy === undefined ? 'tooManyAddresses' : refuseHolding(roomy, { networkId, ip }, packet);
  if (roomy === undefined || refusal !== undefined) return [state, refused(packet, refusal ?? 'tooManyAddresses')];
  const entry = beginAsking({ networkId, ip, routerId }, [packet], nowMs);
  return [put(roomy, entry), askEveryone(model, entry)];
}

function takeNeeded(
  state: ResolverState,
  addresses: readonly NeededAddress[],
  nowMs: number,
  model: RouterModel,
): ResolverStep {
  let next: ResolverState = { ...state, needed: new Map(addresses.map((address) => [keyOf(address), address])) };
  const effects: RouterEffect[] = [];
  for (const [key, { networkId, ip, routerId }] of next.needed) {
    if (next.entries.has(key) || model.isKnown(networkId, ip)) continue;
    const roomy = makeRoom(next, networkId);
    // Without room it is asked for when a packet comes, or at the next change.
    if (roomy === undefined) continue;
    const entry = beginAsking({ networkId, ip, routerId }, [], nowMs);
    next = put(roomy, entry);
    effects.push(...askEveryone(model, entry));
  }
  return [next, effects];
}

function beginAsking(
  { networkId, ip, routerId }: NeededAddress,
  held: readonly HeldPacket[],
  nowMs: number,
): ResolverEntry {
  return { phase: 'asking', networkId, ip, routerId, dueMs: nowMs + RESOLVING.askIntervalMs, asks: 1, held };
}

function unreachable(model: RouterModel, packet: HeldPacket): readonly RouterEffect[] {
  if (packet.isAtGateway) return [{ type: 'unreachableFromGateway', packet }];
  return complain(model, packet, { reason: 'hostUnreachable' });
}

function refused({ host, networkId }: RouterPacket, refusal: Refusal): readonly RouterEffect[] {
  return [{ type: 'refused', refusal, host, networkId }];
}

function releaseOf(held: HeldPacket): RouterEffect {
  const { host, ofport, packet } = held;
  return held.isAtGateway ? { type: 'releaseAtGateway', packet: held } : { type: 'release', host, ofport, packet };
}

/** The question, to every guest of the network; where no packet waits, to those alone whose answers would count. */
function askEveryone(model: RouterModel, entry: ResolverEntry): readonly RouterEffect[] {
  const packet = questionOf(model, entry);
  if (packet === undefined) return [];
  const isWaitedFor = entry.phase === 'asking' && entry.held.length > 0;
  return model.places(entry.networkId).flatMap(({ host, ofports }) => {
    const asked = ofports.filter((ofport) => {
      const port = model.portAt(host, ofport);
      return isWaitedFor || (port !== undefined && mayHave(port, entry.ip));
    });
    return asked.length === 0 ? [] : [{ type: 'send', host, ofports: asked, packet } as const];
  });
}

/** The question, to who had the address last. */
function probe(model: RouterModel, entry: EntryBase, { host, ofport, mac }: Neighbour): readonly RouterEffect[] {
  const packet = questionOf(model, entry, mac);
  return packet === undefined ? [] : [{ type: 'send', host, ofports: [ofport], packet }];
}

function questionOf(model: RouterModel, entry: EntryBase, targetMac?: number): Uint8Array | undefined {
  const { networkId, routerId, ip: targetIp } = entry;
  const sender = sourceOf(model, { networkId, routerId, peer: targetIp });
  if (sender === undefined) return undefined;
  const common = { senderMac: sender.mac, ...(targetMac === undefined ? {} : { targetMac }) };
  if (typeof targetIp === 'bigint') {
    return encodePacket(neighborSolicitation({ ...common, senderIp: BigInt(sender.ip), targetIp }));
  }
  return encodePacket(arpRequest({ ...common, senderIp: Number(sender.ip), targetIp }));
}

function claimCame(
  state: ResolverState,
  { host, ofport, claim }: EventOf<'claim'>,
  nowMs: number,
  model: RouterModel,
): ResolverStep {
  const port = model.portAt(host, ofport);
  if (port === undefined) return [state, []];
  const { networkId, portId } = port;
  const entry = state.entries.get(keyOf({ networkId, ip: claim.ip }));
  if (entry === undefined) return [state, []];
  if (model.isKnown(networkId, claim.ip)) return [state, [{ type: 'refused', refusal: 'known', host, networkId }]];
  if (!mayOwn(port, claim)) return [state, [{ type: 'refused', refusal: 'mayNotOwn', host, networkId }]];
  const neighbour: Neighbour = { networkId, ip: claim.ip, mac: claim.mac, portId, host, ofport };
  const dueMs = nowMs + RESOLVING.reachableMs;
  const { ip, routerId } = entry;
  const next = put(state, { phase: 'reachable', networkId, ip, routerId, dueMs, neighbour });
  const isNews = !('neighbour' in entry) || !isSame(entry.neighbour, neighbour);
  const released = entry.phase === 'asking' ? entry.held.map(releaseOf) : [];
  return [next, [...(isNews ? [{ type: 'setNeighbour', neighbour } as const] : []), ...released]];
}

function isSame(left: Neighbour, right: Neighbour): boolean {
  const { mac, portId, host, ofport } = left;
  return mac === right.mac && portId === right.portId && host === right.host && ofport === right.ofport;
}

function modelChanged(state: ResolverState, model: RouterModel): ResolverStep {
  const gone = new Set<string>();
  const effects: RouterEffect[] = [];
  for (const [key, entry] of state.entries) {
    const { networkId, ip, routerId } = entry;
    const isKnown = model.isKnown(networkId, ip);
    const isWanted = !isKnown && isAttached(model, { networkId, routerId, peer: ip });
    if (isWanted && (!('neighbour' in entry) || isStillThere(model, entry.neighbour))) continue;
    gone.add(key);
    if ('neighbour' in entry) effects.push({ type: 'unsetNeighbour', networkId, ip });
    // What the topology places now has its flows, or will have them when these go on.
    if (isKnown && entry.phase === 'asking') effects.push(...entry.held.map(releaseOf));
  }
  return gone.size === 0 ? [state, effects] : [{ ...state, entries: entriesWithout(state, gone) }, effects];
}

/** On a host that was not seen yet it is taken to be. */
function isStillThere(model: RouterModel, neighbour: Neighbour): boolean {
  if (!model.isSeen(neighbour.host)) return true;
  const port = model.portAt(neighbour.host, neighbour.ofport);
  return port?.portId === neighbour.portId && port.networkId === neighbour.networkId && mayOwn(port, neighbour);
}

function tick(state: ResolverState, nowMs: number, model: RouterModel): ResolverStep {
  const due = [...state.entries.values()].filter(({ dueMs }) => dueMs <= nowMs);
  if (due.length === 0) return [state, []];
  const entries = new Map(state.entries);
  const effects: RouterEffect[] = [];
  for (const entry of due) {
    const key = keyOf(entry);
    const needed = state.needed.get(key);
    const [next, caused] = fallDue(entry, { nowMs, model, isNeeded: needed !== undefined });
    effects.push(...caused);
    const again = next ?? (needed && beginAsking(needed, [], nowMs));
    if (again === undefined) entries.delete(key);
    else entries.set(key, again);
    if (next === undefined && again !== undefined) effects.push(...askEveryone(model, again));
  }
  return [{ ...state, entries }, effects];
}

function fallDue(
  entry: ResolverEntry,
  { nowMs, model, isNeeded }: { readonly nowMs: number; readonly model: RouterModel; readonly isNeeded: boolean },
): readonly [ResolverEntry | undefined, readonly RouterEffect[]] {
  const { networkId, ip, routerId } = entry;
  switch (entry.phase) {
    case 'asking': {
      if (entry.asks < RESOLVING.asks) {
        const next = { ...entry, asks: entry.asks + 1, dueMs: nowMs + RESOLVING.askIntervalMs };
        return [next, askEveryone(model, next)];
      }
      const complaints = entry.held.flatMap((held) => unreachable(model, held));
      const dueMs = nowMs + (isNeeded ? RESOLVING.silentMs : RESOLVING.failedMs);
      return [{ phase: 'failed', networkId, ip, routerId, dueMs }, complaints];
    }
    case 'failed':
      return [undefined, []];
    case 'reachable':
    case 'probing': {
      const probes = entry.phase === 'probing' ? entry.probes : 0;
      if (probes >= RESOLVING.probes) return [undefined, [{ type: 'unsetNeighbour', networkId, ip }]];
      const { neighbour } = entry;
      const dueMs = nowMs + RESOLVING.probeIntervalMs;
      const next: ResolverEntry = { phase: 'probing', networkId, ip, routerId, dueMs, neighbour, probes: probes + 1 };
      return [next, probe(model, next, neighbour)];
    }
  }
}
