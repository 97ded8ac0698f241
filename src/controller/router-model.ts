/**
 * The slow path's picture of the site (router/model.ts), made from the topology and from what is plugged in where. Serves
 * routers.ts, which has it follow both; pure.
 */
import type { HostFacts } from '../compiler/compiler.ts';
import type { Ip } from '../lib/addresses.ts';
import type { AdvertisedSubnet } from '../packet/router-advertisement.ts';
import type { Port, Router, RouterPort, Subnet, Topology } from '../topology/model.ts';
import type { GuestPort, Place, RoutedNetwork, RouterAddress, RouterInterface, RouterModel } from './router/index.ts';

/** What is plugged into the hosts' integration bridges, by host. */
export type PluggedPorts = ReadonlyMap<string, HostFacts['integration']['ports']>;

/** Whether a router is flows, on the hosts of its guests or on gateway hosts alone: those have a slow path. */
const isCompiled = ({ dataplane }: Router): boolean => dataplane === 'flows';

interface HostGuests {
  /** What they were made from. */
  readonly ports: HostFacts['integration']['ports'];
  readonly byOfport: ReadonlyMap<number, GuestPort>;
  /** Routed networks that have guests here. */
  readonly networkIds: readonly string[];
}

/** The picture, of which only what has changed is drawn anew: one port that is plugged in costs as much as its host has ports. */
export class RouterPicture implements RouterModel {
  #topology: Topology | undefined;
  #networks: ReadonlyMap<string, RoutedNetwork> = new Map();
  /** Whose an address is: a port's id, or a router. undefined: nobody has asked yet. */
  #known: ReadonlyMap<string, string> | undefined;
  readonly #locationOf: (portId: string) => string | undefined;
  readonly #hosts = new Map<string, HostGuests>();
  /** By network and host. */
  readonly #places = new Map<string, Map<string, Place>>();

  /** `locationOf`: the host of a port as it is at any time; undefined: nowhere. */
  constructor(locationOf: (portId: string) => string | undefined) {
    this.#locationOf = locationOf;
  }

  /** A host's ports are another map when they have changed. */
  update(topology: Topology, plugged: PluggedPorts): void {
    if (topology !== this.#topology) {
      this.#topology = topology;
      this.#networks = routedNetworks(topology);
      this.#known = undefined;
      this.#hosts.clear();
      this.#places.clear();
    }
    for (const host of this.#hosts.keys()) if (!plugged.has(host)) this.#remove(host);
    for (const [host, ports] of plugged) {
      if (this.#hosts.get(host)?.ports === ports) continue;
      this.#remove(host);
      this.#add(host, ports, topology);
    }
  }

  network(networkId: string): RoutedNetwork | undefined {
    return this.#networks.get(networkId);
  }

  places(networkId: string): readonly Place[] {
    const places = this.#places.get(networkId)?.values() ?? [];
    return [...places].sort((left, right) => (left.host < right.host ? -1 : 1));
  }

  portAt(host: string, ofport: number): GuestPort | undefined {
    return this.#hosts.get(host)?.byOfport.get(ofport);
  }

  isKnown(networkId: string, ip: Ip): boolean {
    if (this.#topology === undefined) return false;
    this.#known ??= knownAddresses(this.#topology);
    const owner = this.#known.get(addressKey(networkId, ip));
    return owner === OF_ROUTER || (owner !== undefined && this.#locationOf(owner) !== undefined);
  }

  isSeen(host: string): boolean {
    return this.#hosts.has(host);
  }

  #add(host: string, ports: HostFacts['integration']['ports'], topology: Topology): void {
    const byOfport = guestsOf(topology, host, ports);
    const networkIds: string[] = [];
    for (const [networkId, ofports] of ofportsByNetwork(byOfport.values())) {
      if (!this.#networks.has(networkId)) continue;
      const places = this.#places.get(networkId) ?? new Map<string, Place>();
      this.#places.set(networkId, places.set(host, { host, ofports }));
      networkIds.push(networkId);
    }
    this.#hosts.set(host, { ports, byOfport, networkIds });
  }

  #remove(host: string): void {
    for (const networkId of this.#hosts.get(host)?.networkIds ?? []) this.#places.get(networkId)?.delete(host);
    this.#hosts.delete(host);
  }
}

/** No port's id is empty. */
const OF_ROUTER = '';

const addressKey = (networkId: string, ip: Ip): string => `${networkId} ${typeof ip} ${ip}`;

function routedNetworks(topology: Topology): ReadonlyMap<string, RoutedNetwork> {
  const interfaces = new Map<string, RouterInterface[]>();
  for (const router of topology.routers.values()) {
    if (!isCompiled(router)) continue;
    for (const [networkId, ports] of Map.groupBy(router.interfaces, (port) => port.networkId)) {
      const list = interfaces.get(networkId) ?? [];
      interfaces.set(networkId, list);
      list.push(...interfacesOf(router.id, ports, topology));
    }
  }
  const networks = new Map<string, RoutedNetwork>();
  for (const [networkId, list] of interfaces) {
    const mtu = topology.networks.get(networkId)?.mtu;
    if (mtu !== undefined) networks.set(networkId, { networkId, mtu, interfaces: list });
  }
  return networks;
}

/** A router's ports on one network; those that share a MAC are one interface. */
function interfacesOf(routerId: string, ports: readonly RouterPort[], topology: Topology): readonly RouterInterface[] {
  const byMac = [...Map.groupBy(ports, (port) => port.macAddress)].sort(([a], [b]) => a - b);
  return byMac.map(([macAddress, own]) => ({
    routerId,
    macAddress,
    addresses: own.flatMap((port) => routerAddress(port, topology.subnets.get(port.subnetId))),
  }));
}

function routerAddress({ ipAddress }: RouterPort, subnet: Subnet | undefined): RouterAddress[] {
  if (subnet === undefined) return [];
  const advertised = advertisedSubnet(subnet);
  return [{ ip: ipAddress, prefix: subnet.cidr, ...(advertised && { advertised }) }];
}

function advertisedSubnet({ cidr, ipv6RaMode, dnsNameservers }: Subnet): AdvertisedSubnet | undefined {
  if (ipv6RaMode === undefined) return undefined;
  const dnsServers = dnsNameservers.filter((ip) => typeof ip === 'bigint');
  return { prefix: cidr, raMode: ipv6RaMode, dnsServers };
}

function guestsOf(
  topology: Topology,
  host: string,
  ports: HostFacts['integration']['ports'],
): ReadonlyMap<number, GuestPort> {
  const guests = new Map<number, GuestPort>();
  for (const [portId, { ofport }] of ports) {
    const port = topology.ports.get(portId);
    if (port?.adminStateUp !== true) continue;
    guests.set(ofport, { portId, host, ofport, networkId: port.networkId, allowed: allowedOf(port) });
  }
  return guests;
}

function allowedOf(port: Port): GuestPort['allowed'] {
  if (!port.portSecurityEnabled) return 'any';
  const fixed = port.fixedIps.map(({ ipAddress }) => ({
    prefix: { address: ipAddress, length: typeof ipAddress === 'number' ? 32 : 128 },
    macAddress: port.macAddress,
  }));
  const pairs = port.allowedAddressPairs.map(({ ipAddress, macAddress }) => ({ prefix: ipAddress, macAddress }));
  return [...fixed, ...pairs];
}

function ofportsByNetwork(guests: Iterable<GuestPort>): ReadonlyMap<string, readonly number[]> {
  const byNetwork = Map.groupBy(guests, (guest) => guest.networkId);
  return new Map(
    [...byNetwork].map(([networkId, list]) => [networkId, list.map(({ ofport }) => ofport).sort((a, b) => a - b)]),
  );
}

/** Whose the addresses of a topology are, by network. */
function knownAddresses(topology: Topology): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  for (const { id, networkId, fixedIps } of topology.ports.values()) {
    for (const { ipAddress } of fixedIps) known.set(addressKey(networkId, ipAddress), id);
  }
  for (const router of topology.routers.values()) {
    for (const { networkId, ipAddress } of [...router.interfaces, ...router.snatPorts]) {
      known.set(addressKey(networkId, ipAddress), OF_ROUTER);
    }
  }
  return known;
}
