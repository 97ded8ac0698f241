/**
 * Host MACs of distributed routing: each host has one of its own under `dvr_base_mac`, and keeps it for ever. Serves the
 * controller: a given MAC wins, then the one that was allocated before, else a new one that nobody has had. Pure.
 */
import { originHash } from '../flow/cookie.ts';
import { invariant } from '../lib/errors.ts';

/** The last three bytes of `dvr_base_mac` are ours to fill. */
const TAIL_COUNT = 2 ** 24;

export interface HostMacRequest {
  readonly name: string;
  /** From the file. */
  readonly dvrMac?: number;
}

/**
 * A MAC for each host. `known` holds every MAC ever given, by host name, also of hosts that are gone: those are never
 * given to another host. Returns the hosts' MACs; those not in `known` are to be persisted by the caller.
 */
export function allocateHostMacs(
  hosts: Iterable<HostMacRequest>,
  known: ReadonlyMap<string, number>,
  baseMac: number,
): ReadonlyMap<string, number> {
  const prefix = Math.floor(baseMac / TAIL_COUNT) * TAIL_COUNT;
  const sorted = [...hosts].sort((a, b) => (a.name < b.name ? -1 : 1));
  const taken = new Set(known.values());
  for (const host of sorted) if (host.dvrMac !== undefined) taken.add(host.dvrMac);
  const macs = new Map<string, number>();
  for (const host of sorted) {
    const mac = host.dvrMac ?? known.get(host.name) ?? freeMac(host.name, prefix, taken);
    taken.add(mac);
    macs.set(host.name, mac);
  }
  return macs;
}

function freeMac(name: string, prefix: number, taken: ReadonlySet<number>): number {
  // A deterministic spread over the tails, so that two controllers with the same file agree.
  const start = originHash('host-mac', name) % TAIL_COUNT;
  for (let probe = 0; probe < TAIL_COUNT; probe++) {
    const tail = (start + probe) % TAIL_COUNT;
    // Tail 0 is dvr_base_mac itself, which stands for the prefix.
    if (tail !== 0 && !taken.has(prefix + tail)) return prefix + tail;
  }
  invariant(false, 'no host MAC is left under dvr_base_mac', { name, prefix });
}
