/**
 * Periodic router advertisements (RFC 4861 §6.2.4): each host that has guests on a network with advertised IPv6 subnets tells
 * them, by their ports, of the routers there. A pure state machine; the shell has the clock and the random numbers.
 */
import { encodePacket } from '../../packet/encode.ts';
import type { Frame } from '../../packet/packet.ts';
import { routerAdvertisement } from '../../packet/router-advertisement.ts';
import type { RouterEffect } from './effects.ts';
import type { RoutedNetwork } from './model.ts';

/**
 * RFC 4861 §6.2.1 and §10. The interval is the one that Neutron gives radvd by default, three of the longest are the lifetime
 * of the router.
 */
export const ADVERTISING = {
  intervalMinMs: 30_000,
  intervalMaxMs: 100_000,
  /** The first few come faster: MAX_INITIAL_RTR_ADVERTISEMENTS, MAX_INITIAL_RTR_ADVERT_INTERVAL. */
  initialCount: 3,
  initialIntervalMaxMs: 16_000,
  /** MIN_DELAY_BETWEEN_RAS. */
  delayMinMs: 3_000,
  lifetimeS: 300,
} as const;

/** A network on a host that has guests on it. */
export interface AdvertisedNetwork {
  readonly host: string;
  readonly network: RoutedNetwork;
  /** The guests'. */
  readonly ofports: readonly number[];
}

interface Advertising extends AdvertisedNetwork {
  /** Since what is said changed. */
  readonly sentCount: number;
  readonly sentMs: number | undefined;
  readonly dueMs: number;
}

export interface AdvertiserState {
  /** By host and network. */
  readonly networks: ReadonlyMap<string, Advertising>;
}

export type AdvertiserEvent =
  /**
   * These are all there are. A network whose last advertised subnet went is told so if it is still among them, with the
   * interfaces that are left.
   */
  | { readonly type: 'networks'; readonly networks: readonly AdvertisedNetwork[] }
  /** Time passed: `advertiserWakeMs` is reached, or may be. */
  | { readonly type: 'tick' };

export type AdvertiserStep = readonly [AdvertiserState, readonly RouterEffect[]];

export const INITIAL_ADVERTISER: AdvertiserState = { networks: new Map() };

/** When the machine wants its next tick; undefined: never. */
export function advertiserWakeMs({ networks }: AdvertiserState): number | undefined {
  let wakeMs: number | undefined;
  for (const { dueMs } of networks.values()) if (wakeMs === undefined || dueMs < wakeMs) wakeMs = dueMs;
  return wakeMs;
}

/** One step. `random` gives numbers from 0 to below 1. */
export function advertiserStep(
  state: AdvertiserState,
  event: AdvertiserEvent,
  nowMs: number,
  random: () => number,
): AdvertiserStep {
  return event.type === 'tick' ? tick(state, nowMs, random) : replace(state, event.networks, { nowMs, random });
}

function tick(state: AdvertiserState, nowMs: number, random: () => number): AdvertiserStep {
  const due = [...state.networks].filter(([, { dueMs }]) => dueMs <= nowMs);
  if (due.length === 0) return [state, []];
  const effects: RouterEffect[] = [];
  const networks = new Map(state.networks);
  for (const [key, one] of due) {
    effects.push(...sendAll(one, advertisementsOf(one.network, { lifetimeS: ADVERTISING.lifetimeS })));
    const sentCount = one.sentCount + 1;
    networks.set(key, { ...one, sentCount, sentMs: nowMs, dueMs: nowMs + intervalMs(sentCount, random) });
  }
  return [{ networks }, effects];
}

function intervalMs(sentCount: number, random: () => number): number {
  const { intervalMinMs, intervalMaxMs, initialCount, initialIntervalMaxMs } = ADVERTISING;
  const interval = intervalMinMs + random() * (intervalMaxMs - intervalMinMs);
  return sentCount < initialCount ? Math.min(interval, initialIntervalMaxMs) : interval;
}

function replace(
  state: AdvertiserState,
  wanted: readonly AdvertisedNetwork[],
  { nowMs, random }: { readonly nowMs: number; readonly random: () => number },
): AdvertiserStep {
  const effects: RouterEffect[] = [];
  const networks = new Map<string, Advertising>();
  for (const one of wanted) {
    const key = `${one.host}\0${one.network.networkId}`;
    const before = state.networks.get(key);
    // What is the same object says the same: of a large site most is, whenever one port is plugged in.
    if (before?.network === one.network) {
      networks.set(key, { ...before, ...one });
      continue;
    }
    if (before !== undefined) effects.push(...withdraw(before.network, one));
    if (advertisementsOf(one.network, { lifetimeS: 0 }).length === 0) continue;
    if (before !== undefined && sayTheSame(before.network, one.network)) {
      networks.set(key, { ...before, ...one });
      continue;
    }
    // Not all at once when a controller starts; and never two of them too close.
    const startMs = nowMs + random() * ADVERTISING.delayMinMs;
    const earliestMs = before?.sentMs === undefined ? startMs : before.sentMs + ADVERTISING.delayMinMs;
    networks.set(key, { ...one, sentCount: 0, sentMs: before?.sentMs, dueMs: Math.max(startMs, earliestMs) });
  }
  return [{ networks }, effects];
}

/** That interfaces which advertised before, and do no more, are no default routers any longer (RFC 4861 §6.2.5). */
function withdraw(before: RoutedNetwork, after: AdvertisedNetwork): readonly RouterEffect[] {
  const still = new Set(advertisers(after.network).map(({ macAddress }) => macAddress));
  const interfaces = advertisers(before).filter(({ macAddress }) => !still.has(macAddress));
  return sendAll(after, advertisementsOf({ ...before, interfaces }, { lifetimeS: 0 }));
}

function sendAll({ host, ofports }: AdvertisedNetwork, frames: readonly Frame[]): readonly RouterEffect[] {
  if (ofports.length === 0) return [];
  return frames.map((frame) => ({ type: 'send', host, ofports, packet: encodePacket(frame) }));
}

function sayTheSame(before: RoutedNetwork, after: RoutedNetwork): boolean {
  const texts = [before, after].map((network) =>
    advertisementsOf(network, { lifetimeS: ADVERTISING.lifetimeS }).map((frame) =>
      Buffer.from(encodePacket(frame)).toString('hex'),
    ),
  );
  return texts[0]?.join() === texts[1]?.join();
}

function advertisers(network: RoutedNetwork): RoutedNetwork['interfaces'] {
  return network.interfaces.filter(({ addresses }) => addresses.some(({ advertised }) => advertised !== undefined));
}

/** One advertisement for each interface that advertises subnets. */
export function advertisementsOf(
  network: RoutedNetwork,
  options: { readonly lifetimeS: number; readonly to?: { readonly mac: number; readonly ip: bigint } },
): readonly Frame[] {
  return advertisers(network).map(({ macAddress, addresses }) => {
    const subnets = addresses.flatMap(({ advertised }) => (advertised === undefined ? [] : [advertised]));
    return routerAdvertisement({ mac: macAddress, mtu: network.mtu, subnets, ...options });
  });
}
