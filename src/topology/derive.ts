/**
 * Who has which MAC and which address: what the file says, and what it leaves to us. Serves the checks, which claim and ask,
 * and load.ts, which settles.
 *
 * What a guest can see must not change because something else did, so nothing is handed out in turn. What the file says is
 * taken first. Whoever asks gets a place from a hash of its own name; only when that is taken it tries others, in an order
 * that is its own too. So a further port moves nobody, unless the two truly want the same place; then the name that sorts
 * first has it, whatever the order in the file. Not even that moves anyone who brings along what it was given before
 * (`HeldValues`, which the controller keeps): what was held is kept as long as it is valid and the file gives it to no other.
 */
import { hash } from 'node:crypto';
import { type Ip, ipFromText, ipToText, linkLocalOf, macFromText, macToText } from '../lib/addresses.ts';
import { invariant } from '../lib/errors.ts';
import type { AllocationPool } from './model.ts';
import { compareText, ipPlus, poolContains, poolSize } from './ranges.ts';
import type { Report } from './report.ts';
import type { NetworkItem, SubnetItem } from './site.ts';
import type { Path } from './source.ts';

/** Derived values by the name of what they are for (`port blue1`, `port blue1 on blue-v4`), as text: ready for JSON. */
export interface HeldValues {
  readonly macs: Readonly<Record<string, string>>;
  readonly addresses: Readonly<Record<string, string>>;
}

/** Neutron's base_mac. Ports get addresses under its first three octets. */
export const BASE_MAC = 0xfa163e000000;
export const TAIL_COUNT = 2 ** 24;

/** Hashed places to try before going on to the next free one. */
const PROBES = 64n;

/** Places of `name` among `count`, in the order in which it wants them; every place comes up. */
function* places(name: string, count: bigint): Generator<bigint> {
  const digest = hash('sha256', name, 'buffer');
  const start = digest.readBigUInt64BE(0);
  const step = digest.readBigUInt64BE(8);
  let place = start % count;
  for (let probe = 0n; probe < PROBES; probe++) {
    yield place;
    place = (place + step) % count;
  }
  for (let probe = 0n; probe < count; probe++) {
    yield place;
    place = (place + 1n) % count;
  }
}

interface Claim {
  readonly path: Path;
  /** `port blue1`. */
  readonly owner: string;
}

interface MacClaim extends Claim {
  /** Claims of one group may share a MAC. */
  readonly group?: string;
}

export class MacBook {
  readonly #report: Report;
  readonly #claims = new Map<number, MacClaim>();
  readonly #wanted = new Set<string>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** The file gives `mac` to this owner. */
  claim(mac: number, claim: MacClaim): void {
    const earlier = this.#claims.get(mac);
    if (earlier === undefined) this.#claims.set(mac, claim);
    else if (earlier.group === undefined || earlier.group !== claim.group) {
      const other = `${earlier.owner}, ${this.#report.mention(earlier.path)}`;
      this.#report.wrong(claim.path, `duplicate MAC ${macToText(mac)}: ${other} has it; a MAC is used once`);
    }
  }

  /** Someone needs a MAC. The name is unique. */
  want(name: string): void {
    this.#wanted.add(name);
  }

  /** A MAC for each name that wants one. */
  settle(held: HeldValues['macs']): ReadonlyMap<string, number> {
    const settled = new Map<string, number>();
    const taken = new Set(this.#claims.keys());
    const names = [...this.#wanted].sort(compareText);
    for (const name of names) {
      const text = held[name];
      const mac = text === undefined ? undefined : macFromText(text);
      if (mac === undefined || taken.has(mac)) continue;
      taken.add(mac);
      settled.set(name, mac);
    }
    for (const name of names) {
      if (settled.has(name)) continue;
      for (const place of places(name, BigInt(TAIL_COUNT))) {
        const mac = BASE_MAC + Number(place);
        if (taken.has(mac)) continue;
        taken.add(mac);
        settled.set(name, mac);
        break;
      }
      invariant(settled.has(name), 'a topology has fewer ports than there are MACs', { name });
    }
    return settled;
  }
}

interface AddressWish {
  readonly name: string;
  readonly path: Path;
  /** For stateless autoconfiguration: whose MAC the address comes from, by name or as it is. */
  readonly macOf?: string | number;
}

/** Who has which address of one network. */
interface NetworkAddresses {
  readonly claims: Map<Ip, Claim>;
  readonly wishes: Map<SubnetItem, AddressWish[]>;
}

export class AddressBook {
  readonly #report: Report;
  readonly #networks = new Map<NetworkItem, NetworkAddresses>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** The file gives this address of the network to this owner. */
  claim(network: NetworkItem, ip: Ip, claim: Claim): void {
    const { claims } = this.#of(network);
    const earlier = claims.get(ip);
    if (earlier === undefined) claims.set(ip, claim);
    else {
      const other = `${earlier.owner}, ${this.#report.mention(earlier.path)}`;
      const message = `duplicate address ${ipToText(ip)} on network ${network.label}: ${other} has it; give another`;
      this.#report.wrong(claim.path, message);
    }
  }

  /** Someone needs an address of this subnet. Names are unique. */
  want(subnet: SubnetItem, wish: AddressWish): void {
    const { wishes } = this.#of(subnet.network);
    const list = wishes.get(subnet);
    if (list === undefined) wishes.set(subnet, [wish]);
    else list.push(wish);
  }

  /** An address for each name that wants one; a subnet that has too few is reported. */
  settle(held: HeldValues['addresses'], macs: ReadonlyMap<string, number>): ReadonlyMap<string, Ip> {
    const settled = new Map<string, Ip>();
    for (const { claims, wishes } of this.#networks.values()) {
      const taken = new Set(claims.keys());
      for (const [subnet, list] of wishes) {
        list.sort((left, right) => compareText(left.name, right.name));
        if (subnet.gateway !== undefined) taken.add(subnet.gateway);
        for (const wish of list) {
          if (wish.macOf !== undefined) this.#autoconfigure(subnet, wish, { claims, macs, taken, settled });
        }
      }
      for (const [subnet, list] of wishes) {
        const fromPools = list.filter((wish) => wish.macOf === undefined);
        if (this.#hasRoom(subnet, fromPools.length, taken)) allocate(subnet, fromPools, { held, taken, settled });
      }
    }
    return settled;
  }

  /** RFC 4862: the subnet's prefix and an interface id made from the MAC. The guest does the same by itself. */
  #autoconfigure(subnet: SubnetItem, wish: AddressWish, state: AutoconfigureState): void {
    const mac = typeof wish.macOf === 'string' ? state.macs.get(wish.macOf) : wish.macOf;
    const prefix = subnet.draft.cidr?.address;
    if (mac === undefined || typeof prefix !== 'bigint') return;
    const ip = prefix | (linkLocalOf(mac) & 0xffff_ffff_ffff_ffffn);
    const earlier = state.claims.get(ip);
    if (earlier !== undefined) {
      const other = `${earlier.owner}, ${this.#report.mention(earlier.path)}`;
      const message = `${macToText(mac)} gives the address ${ipToText(ip)} on subnet ${subnet.label}, which ${other} has; give another`;
      this.#report.wrong(wish.path, message);
    }
    state.taken.add(ip);
    state.settled.set(wish.name, ip);
  }

  #hasRoom(subnet: SubnetItem, wanted: number, taken: ReadonlySet<Ip>): boolean {
    if (wanted === 0) return true;
    let free = subnet.pools.reduce((sum, pool) => sum + poolSize(pool), 0n);
    if (free < BigInt(taken.size + wanted)) {
      for (const ip of taken) if (subnet.pools.some((pool) => poolContains(pool, ip))) free--;
    } else free = BigInt(wanted);
    if (free >= BigInt(wanted)) return true;
    const message = `${wanted} addresses are to be taken from the pools of subnet ${subnet.label}, which have ${free} left; widen cidr or allocation_pools, or give addresses`;
    this.#report.wrong([...subnet.path, 'allocation_pools'], message);
    return false;
  }

  #of(network: NetworkItem): NetworkAddresses {
    let addresses = this.#networks.get(network);
    if (addresses === undefined) {
      addresses = { claims: new Map(), wishes: new Map() };
      this.#networks.set(network, addresses);
    }
    return addresses;
  }
}

interface AutoconfigureState {
  readonly claims: ReadonlyMap<Ip, Claim>;
  readonly macs: ReadonlyMap<string, number>;
  readonly taken: Set<Ip>;
  readonly settled: Map<string, Ip>;
}

interface AllocateState {
  readonly held: HeldValues['addresses'];
  readonly taken: Set<Ip>;
  readonly settled: Map<string, Ip>;
}

/** Addresses of a subnet with room for all wishes, which are sorted by name. */
function allocate(subnet: SubnetItem, wishes: readonly AddressWish[], { held, taken, settled }: AllocateState): void {
  const isFree = (ip: Ip): boolean => !taken.has(ip) && subnet.pools.some((pool) => poolContains(pool, ip));
  const give = (name: string, ip: Ip): void => {
    taken.add(ip);
    settled.set(name, ip);
  };
  for (const { name } of wishes) {
    const text = held[name];
    const ip = text === undefined ? undefined : ipFromText(text);
    if (ip !== undefined && isFree(ip)) give(name, ip);
  }
  const count = subnet.pools.reduce((sum, pool) => sum + poolSize(pool), 0n);
  for (const { name } of wishes) {
    if (settled.has(name)) continue;
    for (const place of places(name, count)) {
      const ip = placeInPools(subnet.pools, place);
      if (!isFree(ip)) continue;
      give(name, ip);
      break;
    }
    invariant(settled.has(name), 'a subnet with room has a free place', { subnet: subnet.label, name });
  }
}

function placeInPools(pools: readonly AllocationPool[], place: bigint): Ip {
  let rest = place;
  for (const pool of pools) {
    const size = poolSize(pool);
    if (rest < size) return ipPlus(pool.start, rest);
    rest -= size;
  }
  invariant(false, 'a place is below the size of the pools', { place });
}
