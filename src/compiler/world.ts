/**
 * The world: every fact that renders may read, from the topology, from the switches, and from where ports are. Written by
 * compiler.ts as inputs come, read by owners.ts through views.
 */
import { type Ip, ipToText } from '../lib/addresses.ts';
import type { Features } from '../pipeline/features.ts';
import type { NatZones } from '../pipeline/nat.ts';
import type { Host, Network, Port, Topology } from '../topology/model.ts';
import { type Collection, Collections } from './collections.ts';
import { Facts, PairFacts, pairKey, sameMeaning } from './facts.ts';
import { TUNNEL_TYPES } from './names.ts';
import { type MakePart, PortParts } from './port-parts.ts';
import { type Gateway, hasRouters, type PluggedPort, type RoutedRouter } from './routing.ts';
import { Site, tunnelKey } from './site.ts';
import { Templates } from './templates.ts';

/** What exists only on a switch. The controller reads it from OVSDB. An ofport that is absent is not known (yet). */
export interface HostFacts {
  /** Network id to local VLAN. */
  readonly localVlans: ReadonlyMap<string, number>;
  readonly integration: {
    readonly patchTun?: number;
    /** Name of the physical bridge to int-br-X. */
    readonly patchPhys: ReadonlyMap<string, number>;
    /** Port id (iface-id) to where it is plugged. */
    readonly ports: ReadonlyMap<string, Binding>;
    /** Ofports of plugged ports that nobody declared. */
    readonly deadPorts: readonly number[];
  };
  /** Absent: the host has no tunnel bridge. */
  readonly tunnel?: {
    readonly patchInt?: number;
    /** By tunnelKey of site.ts. */
    readonly tunnels: ReadonlyMap<string, number>;
  };
  /** By name of the bridge. */
  readonly physical: ReadonlyMap<string, { readonly patchInt?: number }>;
}

/** A port that is plugged. */
export interface Binding {
  readonly ofport: number;
  /** Of the interface. */
  readonly name: string;
}

/** What the topology says of a host, as far as flows depend on it. */
export interface HostProfile {
  readonly features: Features;
  readonly integrationBridge: string;
  readonly tunnelBridge: string;
  /** physical_network to bridge. */
  readonly bridgeMappings: ReadonlyMap<string, string>;
  /** Of the whole site: rows of one shape are of one shape on every host. */
  readonly templates: Templates;
}

/** Who has an address that no port of the topology has for its own. */
export interface ResolvedNeighbour {
  readonly macAddress: number;
  readonly portId: string;
}

/** Conntrack zones of a router: of what it is on the hosts of its guests, and of what it is on the gateway host. */
export interface RouterZones {
  readonly distributed: NatZones;
  readonly gateway: NatZones;
}

/** What flows call a port. */
export function portObject(portId: string): string {
  return `port ${portId}`;
}

/** The key of collections of which there is one. */
export const ALL = '';

export class World {
  readonly site = new Site();

  // From the topology.
  readonly profiles = new Facts<HostProfile>(sameMeaning);
  readonly networks = new Facts<Network>(sameMeaning);
  readonly ports = new Facts<Port>(sameMeaning, {
    changed: (id, port) => {
      for (const parts of this.#portParts) parts.forgetAll();
      // One that is no more has left its network already.
      if (port !== undefined) this.site.ports.portsOf.touch(port.networkId, id);
      if (this.#hostFacts.size > 0) this.#changedPorts.add(id);
    },
  });

  readonly routers = new Facts<RoutedRouter>(sameMeaning);
  /** By subnet id. */
  readonly gateways = new Facts<readonly Gateway[]>(sameMeaning);
  /** Ports of routers that somebody else plugs, by iface-id; and the interfaces among them, by network id. */
  readonly pluggedPorts = new Facts<PluggedPort>(sameMeaning, { changed: (id) => this.#changedPorts.add(id) });
  readonly pluggedInterfaces = new Collections();

  // Found by the controller.
  /** (network id, address as text). */
  readonly neighbours = new PairFacts<ResolvedNeighbour>(sameMeaning);
  /** Addresses as text, by network id. */
  readonly neighboursOf = new Collections();

  /** MACs on external networks. (host, network id, address as text). */
  readonly outsideNeighbours = new Facts<number>();
  /** Addresses as text, by (host, network id). */
  readonly outsideNeighboursOf = new Collections();

  /** Given by the controller, kept for ever. By router id. */
  readonly zones = new Facts<RouterZones>(sameMeaning);

  // From the switches.
  /** (host, network id). */
  readonly localVlans = new PairFacts<number>();
  /** Host to ofport of patch-tun on its br-int, and of patch-int on its br-tun. */
  readonly patchTun = new Facts<number>();
  readonly patchInt = new Facts<number>();
  /** (host, physical bridge) to ofport of int-br-X on br-int, and of phy-br-X on the bridge. */
  readonly patchPhys = new PairFacts<number>();
  readonly physicalPatchInt = new PairFacts<number>();
  /** (host, port id). */
  readonly bindings = new PairFacts<Binding>(sameMeaning, (host, id) => this.#touchGuest(host, id));
  /** (host, tunnel key) to ofport. */
  readonly tunnels = new PairFacts<number>(Object.is, (host, key) => this.tunnelsOf.touch(host, key));
  /** Hosts that have a tunnel bridge. */
  readonly tunnelBridges = new Facts<true>();

  /** MAC of each host that routes. */
  readonly hostMacs = new Facts<number>(Object.is, {
    changed: (host) => {
      this.routingHosts.touch(ALL, host);
      for (const other of this.hosts.elementsOf(ALL)) {
        for (const type of TUNNEL_TYPES) this.tunnelsOf.touch(other, tunnelKey(type, host));
      }
    },
  });

  /** Hosts of the topology whose switches are known. Key: ALL. */
  readonly hosts = new Collections();
  /** Hosts that have a host MAC. Key: ALL. */
  readonly routingHosts = new Collections();
  /** By host: ids of networks with a local VLAN, ids of those of plugged ports, ofports of dead ones, tunnel keys, physical bridges. */
  readonly localNetworksOf = new Collections();
  readonly guestNetworksOf = new Collections();
  readonly deadPortsOf = new Collections();
  readonly tunnelsOf = new Collections();
  readonly physicalBridgesOf = new Collections();

  readonly templates = new Templates();
  readonly #portParts: PortParts[] = [];
  /** Ids of plugged ports, by (host, network id). */
  readonly #guestsOf = new Collections();
  /** Ports that are not what they were before the topology that is taken in. */
  readonly #changedPorts = new Set<string>();
  readonly #hostFacts = new Map<string, HostFacts>();
  readonly #allocatedMacs = new Map<string, number>();

  /** Parts of what flows say of ports. */
  partsOfPorts(make: MakePart): PortParts {
    const parts = new PortParts(make);
    this.#portParts.push(parts);
    return parts;
  }

  /** What was kept for the sake of one pass. */
  endPass(): void {
    for (const parts of this.#portParts) parts.forgetAll();
  }

  /** In steps. */
  *setTopologySteps(topology: Topology): Generator<void, void> {
    yield* this.site.setTopologySteps(topology);
    yield* this.networks.setAllSteps(topology.networks);
    yield* this.ports.setAllSteps(topology.ports);
    const { routing } = this.site;
    yield* this.routers.setAllSteps(routing.routers);
    yield* this.gateways.setAllSteps(routing.gateways);
    yield* this.pluggedPorts.setAllSteps(routing.pluggedPorts);
    yield* this.pluggedInterfaces.replaceAllSteps(routing.pluggedInterfaces);
    this.profiles.setAll(
      new Map(
        [...topology.hosts].map(([name, host]) => [name, profileOf(host, featuresOf(topology, host), this.templates)]),
      ),
    );
    yield;
    for (const name of new Set([...this.#hostFacts.keys(), ...this.routingHosts.elementsOf(ALL)])) this.#refresh(name);
    for (const name of topology.hosts.keys()) this.#refresh(name);
    for (const [name, { integration }] of this.#hostFacts) {
      yield;
      const changed = [...integration.ports.keys()].filter((id) => this.#changedPorts.has(id));
      if (changed.length === 0) continue;
      this.#fileGuests(name);
      for (const id of changed) this.#touchGuest(name, id);
    }
    this.#changedPorts.clear();
  }

  /** Ids of what is plugged in on a host and is of a network; of '': of none. Follow it at once. */
  guestsOf(host: string, networkId: string): Collection {
    return this.#guestsOf.at(pairKey(host, networkId));
  }

  setHostFacts(name: string, facts: HostFacts | undefined): void {
    const before = this.#hostFacts.get(name);
    if (facts === undefined) this.#hostFacts.delete(name);
    else this.#hostFacts.set(name, facts);
    this.#setPairs(name, this.localVlans, before?.localVlans, facts?.localVlans);
    this.#setPairs(name, this.bindings, before?.integration.ports, facts?.integration.ports);
    this.#setPairs(name, this.patchPhys, before?.integration.patchPhys, facts?.integration.patchPhys);
    this.#setPairs(name, this.tunnels, before?.tunnel?.tunnels, facts?.tunnel?.tunnels);
    this.#setPairs(name, this.physicalPatchInt, physicalOfports(before), physicalOfports(facts));
    this.patchTun.set(name, facts?.integration.patchTun);
    this.patchInt.set(name, facts?.tunnel?.patchInt);
    this.tunnelBridges.set(name, facts?.tunnel === undefined ? undefined : true);
    this.localNetworksOf.replace(name, facts?.localVlans.keys() ?? []);
    this.#fileGuests(name);
    this.deadPortsOf.replace(name, facts?.integration.deadPorts.map(String) ?? []);
    this.tunnelsOf.replace(name, facts?.tunnel?.tunnels.keys() ?? []);
    this.physicalBridgesOf.replace(name, facts?.physical.keys() ?? []);
    this.#refresh(name);
  }

  /** The network that a local VLAN stands for on a host. */
  networkAt(host: string, localVlan: number): string | undefined {
    const vlans = this.#hostFacts.get(host)?.localVlans ?? new Map<string, number>();
    return [...vlans].find(([, vlan]) => vlan === localVlan)?.[0];
  }

  /** An address that the topology gives to no port is at a port, or at none. */
  setNeighbour(networkId: string, ip: Ip, found: ResolvedNeighbour | undefined): void {
    const text = ipToText(ip);
    this.neighbours.set(networkId, text, found);
    this.site.setHolder(networkId, ip, found?.portId);
    if (found === undefined) this.neighboursOf.delete(networkId, text);
    else this.neighboursOf.add(networkId, text);
  }

  /** Somebody outside is at a MAC, as a host sees it; or nobody is. */
  setOutsideNeighbour(host: string, networkId: string, ip: Ip, mac: number | undefined): void {
    const place = pairKey(host, networkId);
    const text = ipToText(ip);
    this.outsideNeighbours.set(pairKey(place, text), mac);
    if (mac === undefined) this.outsideNeighboursOf.delete(place, text);
    else this.outsideNeighboursOf.add(place, text);
  }

  /** The MAC that was allocated to a host. It counts where the topology gives none. */
  setHostMac(name: string, mac: number | undefined): void {
    if (mac === undefined) this.#allocatedMacs.delete(name);
    else this.#allocatedMacs.set(name, mac);
    this.#refresh(name);
  }

  /** What is plugged in on a host, each under its network. */
  #fileGuests(host: string): void {
    const byNetwork = new Map<string, string[]>();
    for (const id of this.#hostFacts.get(host)?.integration.ports.keys() ?? []) {
      const networkId = this.#networkOf(id);
      const guests = byNetwork.get(networkId);
      if (guests === undefined) byNetwork.set(networkId, [id]);
      else guests.push(id);
    }
    for (const networkId of this.guestNetworksOf.elementsOf(host)) {
      if (!byNetwork.has(networkId)) this.#guestsOf.replace(pairKey(host, networkId), []);
    }
    for (const [networkId, guests] of byNetwork) this.#guestsOf.replace(pairKey(host, networkId), guests);
    this.guestNetworksOf.replace(host, byNetwork.keys());
  }

  #touchGuest(host: string, portId: string): void {
    this.#guestsOf.touch(pairKey(host, this.#networkOf(portId)), portId);
  }

  /** '': nobody has declared it. */
  #networkOf(portId: string): string {
    return (this.pluggedPorts.get(portId) ?? this.ports.get(portId))?.networkId ?? '';
  }

  /** What follows from several inputs together. */
  #refresh(name: string): void {
    const facts = this.#hostFacts.get(name);
    const host = this.site.topology?.hosts.get(name);
    if (host !== undefined && facts !== undefined) this.hosts.add(ALL, name);
    else this.hosts.delete(ALL, name);
    const routes = this.profiles.get(name)?.features.distributedRouting === true;
    const hostMac = routes ? (host?.dvrMac ?? this.#allocatedMacs.get(name)) : undefined;
    this.hostMacs.set(name, hostMac);
    if (hostMac === undefined) this.routingHosts.delete(ALL, name);
    else this.routingHosts.add(ALL, name);
  }

  #setPairs<T>(
    host: string,
    facts: PairFacts<T>,
    before: ReadonlyMap<string, T> | undefined,
    after: ReadonlyMap<string, T> | undefined,
  ): void {
    for (const key of before?.keys() ?? []) if (!after?.has(key)) facts.set(host, key, undefined);
    for (const [key, value] of after ?? []) facts.set(host, key, value);
  }
}

function physicalOfports(facts: HostFacts | undefined): ReadonlyMap<string, number> {
  const ofports = new Map<string, number>();
  for (const [bridge, { patchInt }] of facts?.physical ?? []) if (patchInt !== undefined) ofports.set(bridge, patchInt);
  return ofports;
}

function profileOf(host: Host, features: Features, templates: Templates): HostProfile {
  return {
    features,
    templates,
    integrationBridge: host.bridges.integration,
    tunnelBridge: host.bridges.tunnel,
    bridgeMappings: host.bridgeMappings,
  };
}

/**
 * What is switched on for a host. A legacy host has no router flows, so it must not have the tables that send what other
 * hosts routed through them: those frames reach its guests as they are.
 */
export function featuresOf(topology: Topology, host: Host): Features {
  const { settings } = topology;
  return {
    distributedRouting: hasRouters(topology, host),
    l2Population: settings.l2Population,
    arpResponder: settings.l2Population && settings.arpResponder,
  };
}
