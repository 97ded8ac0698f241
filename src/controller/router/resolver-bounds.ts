/** What keeps the resolver small whatever guests send: how much it remembers, and how much it holds. Serves resolver.ts. */
import type { Ip } from '../../lib/addresses.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Refusal } from './effects.ts';
import type { HeldPacket, ResolverEntry, ResolverState } from './resolver.ts';

/** IPv4 and IPv6 addresses of one number have keys of their own. */
export function keyOf({ networkId, ip }: { readonly networkId: string; readonly ip: Ip }): string {
  return `${networkId}\0${typeof ip === 'bigint' ? 6 : 4}:${ip}`;
}

export function entriesWithout(state: ResolverState, keys: ReadonlySet<string>): ReadonlyMap<string, ResolverEntry> {
  return new Map([...state.entries].filter(([key]) => !keys.has(key)));
}

/**
 * The state with room for one more address of a network: an address that nobody has, and of which that is remembered, makes
 * way, the oldest first. Undefined: there is no room.
 */
export function makeRoom(state: ResolverState, networkId: string): ResolverState | undefined {
  const ofNetwork = [...state.entries].filter(([, entry]) => entry.networkId === networkId);
  const isNetworkFull = ofNetwork.length >= LIMITS.resolvedAddressesPerNetwork;
  if (!isNetworkFull && state.entries.size < LIMITS.resolvedAddresses) return state;
  const candidates = isNetworkFull ? ofNetwork : [...state.entries];
  const failed = candidates.find(([, entry]) => entry.phase === 'failed');
  return failed === undefined ? undefined : { ...state, entries: entriesWithout(state, new Set([failed[0]])) };
}

/** Why a packet cannot be held until an address is found; undefined where it can. */
export function refuseHolding(
  state: ResolverState,
  { networkId, ip }: { readonly networkId: string; readonly ip: Ip },
  { packet }: HeldPacket,
): Refusal | undefined {
  const count = { address: 0, network: 0, all: 0, size: packet.length };
  for (const entry of state.entries.values()) {
    if (entry.phase !== 'asking') continue;
    const { length } = entry.held;
    count.all += length;
    if (entry.networkId === networkId) count.network += length;
    if (entry.networkId === networkId && entry.ip === ip) count.address = length;
    for (const held of entry.held) count.size += held.packet.length;
  }
  if (count.address >= LIMITS.heldPacketsPerAddress) return 'tooManyForAddress';
  if (count.network >= LIMITS.heldPacketsPerNetwork) return 'tooManyForNetwork';
  return count.all >= LIMITS.heldPackets || count.size > LIMITS.heldPacketsSize ? 'tooManyPackets' : undefined;
}
