/**
 * The slow path's picture of the site (router/model.ts), made from the topology and from what is plugged in where. Made anew
 * when either changes and somebody asks; pure.
 */
import type { HostFacts } from '../compiler/compiler.ts';
import type { Ip } from '../lib/addresses.ts';
import type { AdvertisedSubnet } from '../packet/router-advertisement.ts';
import type { Port, Router, RouterPort, Subnet, Topology } from '../topology/model.ts';
import type { GuestPort, Place, RoutedNetwork, RouterAddress, RouterInterface, RouterModel } from './router/index.ts';

/** What is plugged into the hosts' integration bridges, by host. */
export type PluggedPorts = ReadonlyMap<string, HostFacts['integration']['ports']>;

/** Whether a router is flows on the hosts of its guests: those alone have a slow path. */
export const isCompiled = (router: Router): boolean => router.dataplane === 'flows' && router.distributed;

export function buildRouterModel(topology: Topology, plugged: PluggedPorts): RouterModel {
  const networks = routedNetworks(topology);
  const guests = new Map<string, ReadonlyMap<number, GuestPort>>();
  const places = new Map<string, Place[]>();
  for (const [host, ports] of [...plugged].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const local = guestsOf(topology, host, ports);
    guests.set(host, local);
    for (const [networkId, ofports] of ofportsByNetwork(local.values())) {
      if (!networks.has(networkId)) continue;
      const list = places.get(networkId) ?? [];
      places.set(networkId, list);
      list.push({ host, ofports });
    }
  }
  const known = knownAddresses(topology);
  return {
    network: (networkId) => networks.get(networkId),
    places: (networkId) => places.get(networkId) ?? [],
    portAt: (host, ofport) => guests.get(host)?.get(ofport),
    isKnown: (networkId, ip) => known.has(addressKey(networkId, ip)),
  };
}

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

/** Addresses that the topology gives to a port or a router, by network. */
function knownAddresses(topology: Topology): ReadonlySet<string> {
  const known = new Set<string>();
  for (const { networkId, fixedIps } of topology.ports.values()) {
    for (const { ipAddress } of fixedIps) known.add(addressKey(networkId, ipAddress));
  }
  for (const router of topology.routers.values()) {
    for (const { networkId, ipAddress } of [...router.interfaces, ...router.snatPorts]) {
      known.add(addressKey(networkId, ipAddress));
    }
  }
  return known;
}
