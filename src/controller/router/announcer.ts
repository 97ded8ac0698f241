/**
 * Telling the world outside where addresses of ours are: a floating IP or a gateway's address that is new, or has moved, is
 * announced three times by gratuitous ARP (RFC 5227 §3), and what it left behind in conntrack is flushed, twice. A pure state
 * machine.
 */
import { ipToText } from '../../lib/addresses.ts';

export const ANNOUNCING = { times: 3, intervalMs: 1_000 } as const;

/** A switch goes on for a moment by the flows that it had, and makes entries of who goes on talking: they are flushed once more. */
export const FLUSH_AGAIN_MS = 1_000;

/** An address of ours on an external network, and where it is served. */
export interface ServedAddress {
  readonly host: string;
  readonly networkId: string;
  readonly ip: number;
  readonly mac: number;
  /** Of a floating IP: what its connections are known by. */
  readonly connections?: FloatingConnections;
}

/** Connections of a floating IP in conntrack. */
export interface FloatingConnections {
  readonly dnatZone: number;
  readonly snatZone: number;
  readonly fixedIp: number;
}

export interface Announcement {
  readonly served: ServedAddress;
  /** How often it has been said. */
  readonly count: number;
  readonly dueMs: number;
}

export interface AnnouncerState {
  /** By network and address. */
  readonly served: ReadonlyMap<string, ServedAddress>;
  /** Those that are still to be said. */
  readonly announcements: ReadonlyMap<string, Announcement>;
  /** What was left a moment ago, by host besides, and is flushed once more. */
  readonly flushes: ReadonlyMap<string, { readonly served: ServedAddress; readonly dueMs: number }>;
}

export type AnnouncerEvent =
  /** All that is served now. */
  { readonly type: 'served'; readonly addresses: readonly ServedAddress[] } | { readonly type: 'tick' };

export type AnnouncerEffect =
  | { readonly type: 'announce'; readonly served: ServedAddress }
  /** The address has left the host, or leads elsewhere: its connections there must end. */
  | { readonly type: 'flush'; readonly served: ServedAddress };

export const servedKey = ({ networkId, ip }: Pick<ServedAddress, 'networkId' | 'ip'>): string =>
  `${networkId}\0${ipToText(ip)}`;

/** With what was served in an earlier life: who is where it was needs no announcement. */
export function rememberedAnnouncer(addresses: Iterable<ServedAddress>): AnnouncerState {
  const served = new Map([...addresses].map((one) => [servedKey(one), one]));
  return { served, announcements: new Map(), flushes: new Map() };
}

export function announcerWakeMs({ announcements, flushes }: AnnouncerState): number | undefined {
  let wakeMs: number | undefined;
  for (const { dueMs } of [...announcements.values(), ...flushes.values()])
    if (wakeMs === undefined || dueMs < wakeMs) wakeMs = dueMs;
  return wakeMs;
}

export function announcerStep(
  state: AnnouncerState,
  event: AnnouncerEvent,
  nowMs: number,
): readonly [AnnouncerState, readonly AnnouncerEffect[]] {
  return event.type === 'served' ? takeServed(state, event.addresses, nowMs) : tick(state, nowMs);
}

function takeServed(
  state: AnnouncerState,
  addresses: readonly ServedAddress[],
  nowMs: number,
): readonly [AnnouncerState, readonly AnnouncerEffect[]] {
  const served = new Map(addresses.map((one) => [servedKey(one), one]));
  const announcements = new Map(state.announcements);
  const flushes = new Map(state.flushes);
  const effects: AnnouncerEffect[] = [];
  for (const [key, before] of state.served) {
    const after = served.get(key);
    if (after === undefined) announcements.delete(key);
    if (before.connections !== undefined && !keepsConnections(before, after)) {
      effects.push({ type: 'flush', served: before });
      flushes.set(flushKey(before), { served: before, dueMs: nowMs + FLUSH_AGAIN_MS });
    }
  }
  // Where it is again, as it was, connections may have begun that are to live.
  for (const [key, { served: left }] of flushes) {
    if (keepsConnections(left, served.get(servedKey(left)))) flushes.delete(key);
  }
  for (const [key, after] of served) {
    const before = state.served.get(key);
    if (before?.host === after.host && before.mac === after.mac) continue;
    effects.push({ type: 'announce', served: after });
    announcements.set(key, { served: after, count: 1, dueMs: nowMs + ANNOUNCING.intervalMs });
  }
  return [{ served, announcements, flushes }, effects];
}

const flushKey = (served: ServedAddress): string =>
  `${served.host}\0${servedKey(served)}\0${served.connections?.fixedIp}`;

function keepsConnections(before: ServedAddress, after: ServedAddress | undefined): boolean {
  const [left, right] = [before.connections, after?.connections];
  if (left === undefined || right === undefined || before.host !== after?.host) return false;
  return left.fixedIp === right.fixedIp && left.dnatZone === right.dnatZone && left.snatZone === right.snatZone;
}

function tick(state: AnnouncerState, nowMs: number): readonly [AnnouncerState, readonly AnnouncerEffect[]] {
  const announcements = new Map(state.announcements);
  const effects: AnnouncerEffect[] = [];
  for (const [key, { served, count, dueMs }] of state.announcements) {
    if (dueMs > nowMs) continue;
    effects.push({ type: 'announce', served });
    if (count + 1 >= ANNOUNCING.times) announcements.delete(key);
    else announcements.set(key, { served, count: count + 1, dueMs: nowMs + ANNOUNCING.intervalMs });
  }
  const flushes = new Map(state.flushes);
  for (const [key, { served, dueMs }] of state.flushes) {
    if (dueMs > nowMs) continue;
    effects.push({ type: 'flush', served });
    flushes.delete(key);
  }
  return [{ ...state, announcements, flushes }, effects];
}
