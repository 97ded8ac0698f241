/**
 * Which host has what of the ways outside: gateways of routers, floating IPs, external networks. Serves site.ts, which tells of
 * topologies and moved ports and asks what each host needs; and owners, which follow the collections.
 */
import { type Ip, ipToText } from '../lib/addresses.ts';
import type { Topology } from '../topology/model.ts';
import { Collections } from './collections.ts';
import { Facts, sameMeaning } from './facts.ts';
import {
  type BoundFloatingIp,
  buildGatewaysSteps,
  floatingIpPlace,
  type GatewayModel,
  type GatewayRouter,
  NO_GATEWAYS,
} from './gateways.ts';
import type { RoutingModel } from './routing.ts';

/** Where a floating IP is served. */
export interface FloatingIpPlace {
  readonly host: string;
  /** On the host of its port; else on the gateway host of its router. */
  readonly isAtPort: boolean;
}

export class GatewayPlaces {
  /** By router id. */
  readonly routers = new Facts<GatewayRouter>(sameMeaning);
  /** By id. */
  readonly floatingIps = new Facts<BoundFloatingIp>(sameMeaning);
  readonly floatingIpPlaces = new Facts<FloatingIpPlace>(sameMeaning);
  /** Ids of routers whose gateway is on a host, and of floating IPs that it serves. By host name. */
  readonly gatewaysOn = new Collections();
  readonly floatingIpsOn = new Collections();
  /** Ids of the external networks that a host serves. By host name. */
  readonly externalNetworksOn = new Collections();
  /** Ids of floating IPs, and of routers with a gateway, by external network. */
  readonly floatingIpsOf = new Collections();
  readonly gatewaysOf = new Collections();
  /** Ids of routers with a gateway, by the networks that it has ports on inside. */
  readonly gatewaysInside = new Collections();
  /** Hosts ask each other whether they live: there are routers with several gateway hosts. Under one key, ''. */
  readonly watching = new Facts<true>();
  /** Ids of networks with a router that is on gateway hosts alone. */
  #centralNetworks: ReadonlySet<string> = new Set();
  /** Gateways of an external network's subnets, by its id. */
  readonly nextHops = new Facts<readonly Ip[]>(sameMeaning);
  #topology: Topology | undefined;
  #model: GatewayModel = NO_GATEWAYS;
  #leads: ReadonlyMap<string, string> = new Map();
  readonly #locationOf: (portId: string) => string | undefined;
  /** Ids of floating IPs, by the port that they lead to, and by the address (addressKey). */
  readonly #byPort = new Map<string, string[]>();
  readonly #byAddress = new Map<string, string[]>();
  /** Who was found to have an address: port ids by address; and the other way round. */
  readonly #holders = new Map<string, string>();
  readonly #held = new Map<string, Set<string>>();

  /** `locationOf`: the host of a port, as it is at any time. */
  constructor(locationOf: (portId: string) => string | undefined) {
    this.#locationOf = locationOf;
  }

  get model(): GatewayModel {
    return this.#model;
  }

  get centralNetworks(): ReadonlySet<string> {
    return this.#centralNetworks;
  }

  /** In steps. */
  *setTopologySteps(topology: Topology, routing: RoutingModel): Generator<void, void> {
    const model = yield* buildGatewaysSteps(topology, routing, this.#leads);
    this.#topology = topology;
    this.#model = model;
    const { routers, floatingIps } = model;
    yield* this.routers.setAllSteps(routers);
    yield* this.floatingIps.setAllSteps(floatingIps);
    this.#byPort.clear();
    this.#byAddress.clear();
    const floatingIpsOf = new Map<string, string[]>();
    for (const { id, portId, networkId, portNetworkId, fixedIp } of floatingIps.values()) {
      append(this.#byPort, portId, id);
      append(this.#byAddress, addressKey(portNetworkId, fixedIp), id);
      append(floatingIpsOf, networkId, id);
    }
    const gatewaysOf = new Map<string, string[]>();
    const gatewaysOn = new Map<string, string[]>();
    const gatewaysInside = new Map<string, string[]>();
    for (const { id, hosts, outside, part } of routers.values()) {
      for (const networkId of part.networkIds) append(gatewaysInside, networkId, id);
      for (const host of hosts) append(gatewaysOn, host, id);
      if (outside !== undefined) append(gatewaysOf, outside.networkId, id);
    }
    this.watching.set('', [...routers.values()].some(({ hosts }) => hosts.length > 1) ? true : undefined);
    const places = new Map<string, FloatingIpPlace>();
    const floatingIpsOn = new Map<string, string[]>();
    for (const floating of floatingIps.values()) {
      const place = floatingIpPlace(floating, this.#model, topology, this.#locate(floating));
      if (place === undefined) continue;
      places.set(floating.id, place);
      for (const host of this.#hostsOf(floating, place)) append(floatingIpsOn, host, floating.id);
    }
    const central = [...routers.values()].filter(({ isDistributed }) => !isDistributed);
    this.#centralNetworks = new Set(central.flatMap(({ part }) => part.networkIds));
    yield* this.floatingIpPlaces.setAllSteps(places);
    yield* this.floatingIpsOf.replaceAllSteps(floatingIpsOf);
    yield* this.gatewaysOf.replaceAllSteps(gatewaysOf);
    yield* this.gatewaysInside.replaceAllSteps(gatewaysInside);
    const external = new Set([...gatewaysOf.keys(), ...floatingIpsOf.keys()]);
    this.nextHops.setAll(new Map([...external].map((id) => [id, nextHopsOf(id, topology)])));
    yield* this.gatewaysOn.replaceAllSteps(gatewaysOn);
    yield* this.floatingIpsOn.replaceAllSteps(floatingIpsOn);
    const hosts = new Set([...topology.hosts.keys(), ...gatewaysOn.keys(), ...floatingIpsOn.keys()]);
    this.externalNetworksOn.replaceAll(new Map([...hosts].map((host) => [host, this.#externalNetworks(host)])));
  }

  /** Hosts that go before others as gateways, by router id. Counts with the next topology. */
  setLeads(leads: ReadonlyMap<string, string>): void {
    this.#leads = leads;
  }

  /** A port is elsewhere now. Returns the hosts that serve more or less for it. */
  portMoved(portId: string): readonly string[] {
    const addresses = this.#held.get(portId);
    const led = this.#byPort.get(portId);
    if (addresses === undefined && led === undefined) return NO_HOSTS;
    const held = [...(addresses ?? [])].flatMap((address) => this.#byAddress.get(address) ?? []);
    return this.#place(new Set([...(led ?? []), ...held]));
  }

  /** A port has been found to have an address that is no port's own; undefined: nobody has. Returns likewise. */
  setHolder(networkId: string, ip: Ip, portId: string | undefined): readonly string[] {
    const address = addressKey(networkId, ip);
    const before = this.#holders.get(address);
    if (before === portId) return [];
    if (before !== undefined) {
      const held = this.#held.get(before);
      held?.delete(address);
      if (held?.size === 0) this.#held.delete(before);
    }
    if (portId === undefined) this.#holders.delete(address);
    else {
      this.#holders.set(address, portId);
      this.#held.set(portId, (this.#held.get(portId) ?? new Set()).add(address));
    }
    return this.#place(this.#byAddress.get(address) ?? []);
  }

  /** The host of the port that a floating IP leads to; of who has the address, where that port is nowhere. */
  #locate({ portId, portNetworkId, fixedIp }: BoundFloatingIp): string | undefined {
    const holder = this.#holders.get(addressKey(portNetworkId, fixedIp));
    return this.#locationOf(portId) ?? (holder === undefined ? undefined : this.#locationOf(holder));
  }

  #place(ids: Iterable<string>): readonly string[] {
    const changed = new Set<string>();
    for (const id of ids) {
      const floating = this.#model.floatingIps.get(id);
      if (floating === undefined || this.#topology === undefined) continue;
      const before = this.floatingIpPlaces.get(id);
      const after = floatingIpPlace(floating, this.#model, this.#topology, this.#locate(floating));
      const hostsBefore = this.#hostsOf(floating, before);
      const hostsAfter = this.#hostsOf(floating, after);
      this.floatingIpPlaces.set(id, after);
      for (const host of hostsBefore) {
        if (hostsAfter.includes(host)) continue;
        this.floatingIpsOn.delete(host, id);
        changed.add(host);
      }
      for (const host of hostsAfter) {
        if (hostsBefore.includes(host)) continue;
        this.floatingIpsOn.add(host, id);
        changed.add(host);
      }
    }
    for (const host of changed) this.externalNetworksOn.replace(host, this.#externalNetworks(host));
    return [...changed];
  }

  /** The host that serves a floating IP; on gateway hosts, those that would as well. */
  #hostsOf({ routerId }: BoundFloatingIp, place: FloatingIpPlace | undefined): readonly string[] {
    if (place === undefined) return [];
    return place.isAtPort ? [place.host] : (this.#model.routers.get(routerId)?.hosts ?? []);
  }

  /** Hosts that must know of each other whether they live, by tunnels of a type: those that can be one router's gateway. */
  gatewayPeersOf(host: string): readonly { readonly networkId: string; readonly peer: string }[] {
    return [...this.gatewaysOn.elementsOf(host)].flatMap((id) => {
      const router = this.#model.routers.get(id);
      const peers = router?.hosts.filter((name) => name !== host) ?? [];
      return peers.flatMap((peer) => router?.part.networkIds.map((networkId) => ({ networkId, peer })) ?? []);
    });
  }

  /** Whether a host can be the gateway of a router that has others for it: its tunnels are watched. */
  isWatched(host: string): boolean {
    return [...this.gatewaysOn.elementsOf(host)].some((id) => (this.#model.routers.get(id)?.hosts.length ?? 0) > 1);
  }

  /** Ids of the networks that a host needs for all this. */
  networksOn(host: string): ReadonlySet<string> {
    const networks = new Set(this.externalNetworksOn.elementsOf(host));
    for (const id of this.gatewaysOn.elementsOf(host)) {
      for (const networkId of this.#model.routers.get(id)?.part.networkIds ?? []) networks.add(networkId);
    }
    return networks;
  }

  #externalNetworks(host: string): ReadonlySet<string> {
    const networks = new Set<string>();
    for (const id of this.gatewaysOn.elementsOf(host)) {
      const outside = this.#model.routers.get(id)?.outside;
      if (outside !== undefined) networks.add(outside.networkId);
    }
    for (const id of this.floatingIpsOn.elementsOf(host)) {
      const floating = this.#model.floatingIps.get(id);
      if (floating !== undefined) networks.add(floating.networkId);
    }
    return networks;
  }
}

const NO_HOSTS: readonly string[] = [];

const addressKey = (networkId: string, ip: Ip): string => `${networkId} ${ipToText(ip)}`;

function nextHopsOf(networkId: string, topology: Topology): readonly Ip[] {
  const ids = topology.networks.get(networkId)?.subnetIds ?? [];
  return ids.flatMap((id) => topology.subnets.get(id)?.gatewayIp ?? []);
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  list.push(value);
}
