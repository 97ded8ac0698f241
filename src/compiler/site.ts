/**
 * The site: what the topology and the places of its ports mean for each host. Which networks it has, who else has them, which
 * tunnels it needs. The one truth for the compiler, which makes flows of it, and the controller, which makes OVSDB rows of it.
 * Kept up to date change by change; pure.
 */

import type { Ip } from '../lib/addresses.ts';
import { HeddleError } from '../lib/errors.ts';
import { finish, STEP_LENGTH } from '../lib/steps.ts';
import type { TunnelType } from '../pipeline/br-tun.ts';
import type { Host, Port, Topology } from '../topology/model.ts';
import { Collections, type Names } from './collections.ts';
import { PairFacts } from './facts.ts';
import { GatewayPlaces } from './gateway-places.ts';
import { isTunnelled, tunnelPortName } from './names.ts';
import { PairCounts } from './pair-counts.ts';
import { PortPlaces } from './port-places.ts';
import { buildRoutingSteps, hasRouters, NO_ROUTING, type RoutedRouter, type RoutingModel } from './routing.ts';

export { isTunnelled } from './names.ts';

/** A tunnel that a host needs. */
export interface TunnelNeed {
  /** As in HostFacts.tunnel.tunnels. */
  readonly key: string;
  readonly type: TunnelType;
  readonly remoteHost: string;
  readonly localIp: Ip;
  readonly remoteIp: Ip;
  /** Neutron's name of the port. */
  readonly portName: string;
  /** BFD runs on it: one of its ends can be a gateway among several. */
  readonly isWatched: boolean;
}

/** What a tunnel port is known by on its host: `vxlan/node2`. */
export function tunnelKey(type: TunnelType, remoteHost: string): string {
  return `${type}/${remoteHost}`;
}

/** The parts of a tunnel key. */
export function tunnelKeyParts(key: string): { type: TunnelType; remoteHost: string } {
  const slash = key.indexOf('/');
  const type = key.slice(0, slash);
  if (!isTunnelled(type))
    throw new HeddleError('BAD_TUNNEL_KEY', `"${key}" is no tunnel key, as vxlan/node2 is`, { key });
  return { type, remoteHost: key.slice(slash + 1) };
}

/** Only a host with a tunnel endpoint has a tunnel bridge. */
export function hasTunnelBridge(host: Host): boolean {
  return host.localIp !== undefined;
}

/** A port that a router serves: not one of a router's own. */
export function isServiceable({ deviceOwner }: Pick<Port, 'deviceOwner'>): boolean {
  return !deviceOwner.startsWith('network:router_');
}

/** What there is of an iface-id that may be plugged in, as a port or as a router's; undefined: nobody declared it. */
export function declaredPort(
  topology: Topology,
  routing: RoutingModel,
  id: string,
): { readonly networkId: string; readonly adminStateUp: boolean } | undefined {
  const port = topology.ports.get(id);
  if (port !== undefined) return port;
  const plugged = routing.pluggedPorts.get(id);
  return plugged && { networkId: plugged.networkId, adminStateUp: true };
}

const NONE: ReadonlySet<string> = new Set();

export class Site {
  #topology: Topology | undefined;
  #routing: RoutingModel = NO_ROUTING;
  /** Where ports are. */
  readonly ports = new PortPlaces();
  /** Names of the hosts that have ports of a network, a router's that is plugged in among them. By network id. */
  readonly hostsOf = new Collections();
  /** Ids of the networks that a host has: for its ports, or for a router of its. By host name. */
  readonly networksOf = new Collections();
  /** Ids of the routers that are flows on a host. By host name. */
  readonly routersOf = new Collections();
  /** Ids of the networks of those routers. By host name. */
  readonly routedNetworksOf = new Collections();
  /** A network has such a router on a host: (host, network id). */
  readonly routedNetworks = new PairFacts<true>();
  /** A host has ports of a network: (host, network id). */
  readonly presentNetworks = new PairFacts<true>();
  /** Ids of the networks that a host has guests on, and that have a router which is on gateway hosts alone. By host name. */
  readonly centralNetworksOf = new Collections();
  /** The same: (host, network id). */
  readonly centralNetworks = new PairFacts<true>();
  /** Ways outside. */
  readonly gateways = new GatewayPlaces((portId) => this.ports.locations.get(portId));
  /** iface-ids that are plugged into a host's br-int. By host name. */
  readonly #plugged = new Map<string, ReadonlySet<string>>();
  /** How many ports a network, and a subnet, has on a host. */
  #networkCounts = new PairCounts();
  #subnetCounts = new PairCounts();
  /** Names of the hosts that have a network in whatever way. By network id. */
  readonly #membersOf = new Collections();
  /** Ids of the networks that a host has ports of. By host name. */
  readonly #presentOn = new Map<string, ReadonlySet<string>>();
  /** Hosts of the topology. */
  #hosts: readonly string[] = [];
  readonly #tunnels = new Map<string, readonly TunnelNeed[]>();
  #changedHosts = new Set<string>();

  get topology(): Topology | undefined {
    return this.#topology;
  }

  /** What the topology says of routers. */
  get routing(): RoutingModel {
    return this.#routing;
  }

  /** Take in another topology, in steps. Ports are where they were. */
  *setTopologySteps(topology: Topology): Generator<void, void> {
    const routing = yield* buildRoutingSteps(topology);
    this.#topology = topology;
    this.#routing = routing;
    this.#networkCounts = new PairCounts();
    this.#subnetCounts = new PairCounts();
    yield* this.ports.setTopologySteps(topology, (port, host) => this.#countPort(port, host, 1));
    yield* this.gateways.setTopologySteps(topology, this.#routing);
    for (const host of new Set([...this.#hosts, ...topology.hosts.keys()])) {
      this.#refreshHost(host);
      yield;
    }
    this.#hosts = [...topology.hosts.keys()];
    this.#tunnels.clear();
    for (const host of topology.hosts.keys()) this.#changedHosts.add(host);
  }

  /** Hosts that go before others as gateways, whatever their priorities, by router id. */
  setGatewayLeads(leads: ReadonlyMap<string, string>): void {
    this.gateways.setLeads(leads);
    if (this.#topology === undefined) return;
    finish(this.gateways.setTopologySteps(this.#topology, this.#routing));
  }

  /** A port is on a host, or nowhere. */
  setPortLocation(portId: string, host: string | undefined): void {
    finish(this.setPortLocationsSteps([[portId, host]]));
  }

  /** Likewise many, in steps: what follows for a host is found once. */
  *setPortLocationsSteps(
    locations: Iterable<readonly [portId: string, host: string | undefined]>,
  ): Generator<void, void> {
    const touched = new Set<string>();
    let count = 0;
    for (const [portId, host] of locations) {
      this.#movePort(portId, host, touched);
      if (++count % STEP_LENGTH === 0) yield;
    }
    for (const host of touched) {
      this.#refreshHost(host);
      yield;
    }
  }

  #movePort(portId: string, host: string | undefined, touched: Set<string>): void {
    const move = this.ports.move(portId, host);
    if (move === undefined) return;
    const { port, before, after } = move;
    if (before !== undefined && this.#countPort(port, before, -1)) touched.add(before);
    if (after !== undefined && this.#countPort(port, after, 1)) touched.add(after);
    for (const place of this.gateways.portMoved(portId)) touched.add(place);
  }

  /** A port has been found to have an address that is no port's own; undefined: nobody has. */
  setHolder(networkId: string, ip: Ip, portId: string | undefined): void {
    for (const host of this.gateways.setHolder(networkId, ip, portId)) this.#refreshHost(host);
  }

  /** What is plugged into a host's br-int, by iface-id: the ports of routers that somebody else plugs need their networks there. */
  setPluggedPorts(host: string, ids: ReadonlySet<string>): void {
    this.#plugged.set(host, ids);
    this.#refreshHost(host);
  }

  /** Ids of the networks that a host has. */
  networksOn(host: string): Names {
    return this.networksOf.elementsOf(host);
  }

  /**
   * The tunnels that a host needs, in order of key. With l2population: to every host with which it shares a tunnelled network.
   * Without: to every host, of each type that the site uses.
   */
  tunnelsOf(host: string): readonly TunnelNeed[] {
    let needs = this.#tunnels.get(host);
    if (needs === undefined) {
      needs = this.#findTunnels(host);
      this.#tunnels.set(host, needs);
    }
    return needs;
  }

  /** The hosts whose networks, tunnels or own settings may have changed since this was last asked. */
  takeChangedHosts(): ReadonlySet<string> {
    const changed = this.#changedHosts;
    this.#changedHosts = new Set();
    return changed;
  }

  /** Whether the host has ports of the network, or of one of the port's subnets, for the first time or no more. */
  #countPort(port: Port, host: string, difference: 1 | -1): boolean {
    let isTurn = this.#networkCounts.add(port.networkId, host, difference);
    if (!isServiceable(port)) return isTurn;
    const { fixedIps } = port;
    for (let index = 0; index < fixedIps.length; index++) {
      const subnetId = fixedIps[index]?.subnetId ?? '';
      // Once, however many addresses of a subnet it has.
      if (index > 0 && fixedIps.findIndex((other) => other.subnetId === subnetId) !== index) continue;
      if (this.#subnetCounts.add(subnetId, host, difference)) isTurn = true;
    }
    return isTurn;
  }

  /** What a host has, for the ports that it has. */
  #refreshHost(host: string): void {
    const isKnown = this.#topology?.hosts.has(host) === true;
    const routers = this.routersNeededOn(host).filter(({ dataplane }) => dataplane === 'flows');
    const outside = isKnown ? this.gateways.networksOn(host) : NONE;
    const routed = new Set([...routers.flatMap(({ networkIds }) => networkIds), ...outside]);
    const present = new Set(isKnown ? [...this.#networkCounts.firstsOf(host), ...this.#pluggedNetworks(host)] : []);
    const networks = new Set([...present, ...routed]);
    const changed = [
      ...syncInverse(this.hostsOf, host, this.#presentOn.get(host) ?? NONE, present),
      ...syncInverse(this.#membersOf, host, this.networksOn(host), networks),
    ];
    for (const id of this.#presentOn.get(host) ?? NONE) {
      if (!present.has(id)) this.presentNetworks.set(host, id, undefined);
    }
    for (const id of present) this.presentNetworks.set(host, id, true);
    this.#presentOn.set(host, present);
    this.#refreshCentral(host, present);
    for (const id of this.routedNetworksOf.elementsOf(host)) {
      if (!routed.has(id)) this.routedNetworks.set(host, id, undefined);
    }
    for (const id of routed) this.routedNetworks.set(host, id, true);
    const routerIds = routers.map(({ id }) => id);
    this.routersOf.replace(host, routerIds);
    this.routedNetworksOf.replace(host, routed);
    this.networksOf.replace(host, networks);
    this.#touch(changed, host);
  }

  #refreshCentral(host: string, present: ReadonlySet<string>): void {
    const described = this.#topology?.hosts.get(host);
    const routes = this.#topology !== undefined && described !== undefined && hasRouters(this.#topology, described);
    const central = new Set([...present].filter((id) => routes && this.gateways.centralNetworks.has(id)));
    for (const id of this.centralNetworksOf.elementsOf(host)) {
      if (!central.has(id)) this.centralNetworks.set(host, id, undefined);
    }
    for (const id of central) this.centralNetworks.set(host, id, true);
    this.centralNetworksOf.replace(host, central);
  }

  #pluggedNetworks(host: string): readonly string[] {
    return [...(this.#plugged.get(host) ?? [])].flatMap((id) => this.#routing.pluggedPorts.get(id)?.networkId ?? []);
  }

  /** The routers that a host needs, of either kind: it has a port on a subnet of theirs. In order of id. */
  routersNeededOn(host: string): readonly RoutedRouter[] {
    const topology = this.#topology;
    const described = topology?.hosts.get(host);
    if (topology === undefined || described === undefined || !hasRouters(topology, described)) return [];
    const ids = new Set<string>();
    for (const subnetId of this.#subnetCounts.firstsOf(host)) {
      for (const { routerId } of this.#routing.gateways.get(subnetId) ?? []) ids.add(routerId);
    }
    return [...ids].sort().flatMap((id) => this.#routing.routers.get(id) ?? []);
  }

  /** Who has these networks may need other tunnels, now that a host has them in another way. */
  #touch(networkIds: readonly string[], host: string): void {
    if (networkIds.length === 0) return;
    const touched = new Set([host]);
    for (const id of networkIds) {
      for (const member of this.#membersOf.elementsOf(id)) touched.add(member);
    }
    for (const name of touched) {
      this.#tunnels.delete(name);
      this.#changedHosts.add(name);
    }
  }

  #findTunnels(host: string): readonly TunnelNeed[] {
    const topology = this.#topology;
    const localIp = topology?.hosts.get(host)?.localIp;
    if (topology === undefined || localIp === undefined) return [];
    const keys = topology.settings.l2Population ? this.#sharedNetworkKeys(topology, host) : meshKeys(topology);
    const needs: TunnelNeed[] = [];
    for (const key of [...keys].sort()) {
      const { type, remoteHost } = tunnelKeyParts(key);
      const remoteIp = topology.hosts.get(remoteHost)?.localIp;
      if (remoteIp === undefined || remoteHost === host) continue;
      const isWatched = [host, remoteHost].some((end) => this.gateways.isWatched(end));
      needs.push({ key, type, remoteHost, localIp, remoteIp, portName: tunnelPortName(type, remoteIp), isWatched });
    }
    return needs;
  }

  /** Two hosts share a network when both have it, and there are ports on at least one of the two. */
  #sharedNetworkKeys(topology: Topology, host: string): Set<string> {
    const keys = new Set<string>();
    for (const networkId of this.networksOn(host)) {
      const type = topology.networks.get(networkId)?.networkType;
      if (type === undefined || !isTunnelled(type)) continue;
      const hasPorts = this.hostsOf.elementsOf(networkId).has(host);
      const others = hasPorts ? this.#membersOf.elementsOf(networkId) : this.hostsOf.elementsOf(networkId);
      for (const remoteHost of others) keys.add(tunnelKey(type, remoteHost));
    }
    for (const { networkId, peer } of this.gateways.gatewayPeersOf(host)) {
      const type = topology.networks.get(networkId)?.networkType;
      if (type !== undefined && isTunnelled(type)) keys.add(tunnelKey(type, peer));
    }
    return keys;
  }
}

function meshKeys(topology: Topology): Set<string> {
  const types = new Set([...topology.networks.values()].map((network) => network.networkType).filter(isTunnelled));
  return new Set([...types].flatMap((type) => [...topology.hosts.keys()].map((remote) => tunnelKey(type, remote))));
}

/** Bring a host into, and out of, the collections of names that it has now, and had before. Returns those that changed. */
function syncInverse(collections: Collections, host: string, before: Names, after: Names): readonly string[] {
  const added = [...after].filter((name) => !before.has(name));
  const removed = [...before].filter((name) => !after.has(name));
  for (const name of added) collections.add(name, host);
  for (const name of removed) collections.delete(name, host);
  return [...added, ...removed];
}
