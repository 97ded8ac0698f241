/**
 * What the slow path of routers knows of the site, as plain data: the controller gives it, nothing in this folder changes it.
 * Only routers of `dataplane: flows` are in it.
 */
import { type Ip, linkLocalOf, type Prefix, prefixContains } from '../../lib/addresses.ts';
import type { AdvertisedSubnet } from '../../packet/router-advertisement.ts';

/** A network with at least one router on it. */
export interface RoutedNetwork {
  readonly networkId: string;
  readonly mtu: number;
  /** In order of router, then MAC. */
  readonly interfaces: readonly RouterInterface[];
}

/** One port of a router: a MAC and its addresses on a network. */
export interface RouterInterface {
  readonly routerId: string;
  readonly macAddress: number;
  /** At least one. */
  readonly addresses: readonly RouterAddress[];
}

export interface RouterAddress {
  readonly ip: Ip;
  /** The subnet's. */
  readonly prefix: Prefix;
  /** How the subnet is advertised (IPv6 with ipv6_ra_mode); absent: it is not. */
  readonly advertised?: AdvertisedSubnet;
}

/** A guest's port on a host's br-int. */
export interface GuestPort {
  readonly portId: string;
  readonly host: string;
  readonly ofport: number;
  readonly networkId: string;
  /** What it may say that it has; `any`: port security is off. */
  readonly allowed: readonly AllowedAddress[] | 'any';
}

/** A fixed address or an allowed address pair. */
export interface AllowedAddress {
  readonly prefix: Prefix;
  readonly macAddress: number;
}

/** Ports of a network on one host, local ones alone. */
export interface Place {
  readonly host: string;
  /** At least one. */
  readonly ofports: readonly number[];
}

export interface RouterModel {
  /** Absent: no router is on it. */
  network(networkId: string): RoutedNetwork | undefined;
  /** Who is asked for the addresses of a network. In order of host. */
  places(networkId: string): readonly Place[];
  portAt(host: string, ofport: number): GuestPort | undefined;
  /**
   * Whether the topology says who has an address: a port that is somewhere, or a router. Such an address never moves. That of a
   * port that is nowhere may be at whoever may use it besides its own (a virtual IP).
   */
  isKnown(networkId: string, ip: Ip): boolean;
  /** Whether it is known what is plugged into a host. */
  isSeen(host: string): boolean;
}

/** A router's address on a network, and the MAC that it is at. */
export interface RouterSource {
  readonly ip: Ip;
  readonly mac: number;
}

export interface SourceQuery {
  readonly networkId: string;
  readonly routerId: string;
  /** Who is spoken to. */
  readonly peer: Ip;
}

/**
 * The address by which a router speaks to a peer on a network: the one of the peer's subnet (link-local to link-local), else
 * any of its family; undefined where the router has none there.
 */
export function sourceOf(model: RouterModel, { networkId, routerId, peer }: SourceQuery): RouterSource | undefined {
  const own = (model.network(networkId)?.interfaces ?? []).filter((one) => one.routerId === routerId);
  const candidates = own.flatMap((one) => one.addresses.map((address) => ({ ...address, mac: one.macAddress })));
  const family = candidates.filter(({ ip }) => typeof ip === typeof peer);
  const chosen = family.find(({ prefix }) => prefixContains(prefix, peer)) ?? family[0];
  if (chosen === undefined) return undefined;
  return isLinkLocal(peer) ? { ip: linkLocalOf(chosen.mac), mac: chosen.mac } : { ip: chosen.ip, mac: chosen.mac };
}

/** Whether a router is attached to the subnet of an address on a network. */
export function isAttached(model: RouterModel, { networkId, routerId, peer }: SourceQuery): boolean {
  const interfaces = model.network(networkId)?.interfaces ?? [];
  return interfaces.some(
    (one) =>
      one.routerId === routerId &&
      one.addresses.some(
        ({ ip, prefix }) => prefixContains(prefix, peer) || (typeof ip === 'bigint' && isLinkLocal(peer)),
      ),
  );
}

/** Whether an address means all hosts of a subnet of the network, or the subnet itself (RFC 1812 §4.2.3.1). */
export function isSubnetBroadcast(model: RouterModel, networkId: string, ip: Ip): boolean {
  if (typeof ip === 'bigint') return false;
  return (model.network(networkId)?.interfaces ?? []).some(({ addresses }) =>
    addresses.some(({ prefix }) => {
      if (typeof prefix.address === 'bigint' || prefix.length >= 31) return false;
      return ip === prefix.address || ip === prefix.address + 2 ** (32 - prefix.length) - 1;
    }),
  );
}

function isLinkLocal(ip: Ip): boolean {
  return typeof ip === 'bigint' && ip >> 118n === 0xfe80n >> 6n;
}

/** Whether a port may have an address, at whatever MAC. */
export function mayHave({ allowed }: GuestPort, ip: Ip): boolean {
  return allowed === 'any' || allowed.some(({ prefix }) => prefixContains(prefix, ip));
}

/** Whether a port may say that an address is at a MAC. */
export function mayOwn({ allowed }: GuestPort, { ip, mac }: { readonly ip: Ip; readonly mac: number }): boolean {
  return allowed === 'any' || allowed.some((one) => one.macAddress === mac && prefixContains(one.prefix, ip));
}
