/**
 * The compiler: facts in, flows out. The controller gives it a topology, what the switches show and where ports are, and after
 * any number of changes asks for one pass. Pure: no clock, no input, no output.
 */
import type { Match } from '../flow/flow.ts';
import type { Ip } from '../lib/addresses.ts';
import { finish } from '../lib/steps.ts';
import { readRegisters } from '../pipeline/router-registers.ts';
import type { Topology } from '../topology/model.ts';
import type { BridgeBook, BridgeChange, Origin } from './book.ts';
import { Engine, type PassResult } from './engine.ts';
import { siteOwner } from './owners.ts';
import type { Site } from './site.ts';
import { type HostFacts, type ResolvedNeighbour, type RouterZones, World } from './world.ts';

export type { BridgeBook, BridgeChange, Conflict, DesiredFlow, Origin } from './book.ts';
export type { PassResult } from './engine.ts';
export type { Binding, HostFacts, ResolvedNeighbour, RouterZones } from './world.ts';

/** A packet's registers, in the words of the topology. */
export interface RouterRegisters {
  readonly routerId?: string;
  /** The router on its gateway host; else on the host of the guest. */
  readonly isGateway?: true;
  /** The network that the packet is in: where it came from, and once routed where it goes. */
  readonly networkId?: string;
  readonly nextHop?: Ip;
}

export class Compiler {
  readonly #world = new World();
  readonly #engine = new Engine(siteOwner(this.#world));

  /** What the topology means for each host: networks, tunnels. Up to date at any time, also between passes. */
  get site(): Site {
    return this.#world.site;
  }

  /** Replace the topology. Only what differs in meaning is rendered anew. */
  setTopology(topology: Topology): void {
    finish(this.setTopologySteps(topology));
  }

  /** Likewise in steps. No pass may be under way, and no other fact of the site may be told before they are over. */
  setTopologySteps(topology: Topology): Generator<void, void> {
    return this.#world.setTopologySteps(topology);
  }

  /** What a host's switches show. undefined: nothing is known of them, and nothing desired on them. */
  setHostFacts(host: string, facts: HostFacts | undefined): void {
    this.#world.setHostFacts(host, facts);
  }

  /** The MAC that was allocated to a host for distributed routing, whether or not its switches are known. */
  setHostMac(host: string, mac: number | undefined): void {
    this.#world.setHostMac(host, mac);
  }

  /** Where a port is. undefined: nowhere, which is also where ports are that nobody told of. */
  setPortLocation(portId: string, host: string | undefined): void {
    this.#world.site.setPortLocation(portId, host);
  }

  /** Likewise, for many ports at once. */
  setPortLocations(locations: Iterable<readonly [portId: string, host: string | undefined]>): void {
    finish(this.setPortLocationsSteps(locations));
  }

  /** Likewise in steps. */
  setPortLocationsSteps(
    locations: Iterable<readonly [portId: string, host: string | undefined]>,
  ): Generator<void, void> {
    return this.#world.site.setPortLocationsSteps(locations);
  }

  /** What is plugged into a host's br-int, by iface-id: whose ports of routers are there that somebody else plugs. */
  setPluggedPorts(host: string, ids: ReadonlySet<string>): void {
    this.#world.site.setPluggedPorts(host, ids);
  }

  /** An address that the topology gives to no port is at a port, with this MAC; undefined: at none. */
  setNeighbour(networkId: string, ip: Ip, found: ResolvedNeighbour | undefined): void {
    this.#world.setNeighbour(networkId, ip, found);
  }

  /** Somebody on an external network is at this MAC, as a host sees it; undefined: nobody is known to be. */
  setOutsideNeighbour(host: string, networkId: string, ip: Ip, mac: number | undefined): void {
    this.#world.setOutsideNeighbour(host, networkId, ip, mac);
  }

  /** Hosts that go before others as gateways, whatever their priorities, by router id. */
  setGatewayLeads(leads: ReadonlyMap<string, string>): void {
    this.site.setGatewayLeads(leads);
  }

  /** The conntrack zones of every router that translates. */
  setZones(zones: ReadonlyMap<string, RouterZones>): void {
    this.#world.zones.setAll(zones);
  }

  /** What of the topology is not done, or not done wholly, for people to read. */
  warnings(): readonly string[] {
    return [...this.site.routing.warnings, ...this.site.gateways.model.warnings];
  }

  /** What the registers of a packet that a host's br-int sent up say. Absent: nothing, or of what is gone. */
  readRegisters(host: string, match: Match): RouterRegisters {
    const { router, network, nextHopIpv4, nextHopIpv6 } = readRegisters(match);
    const { routing, gateways } = this.site;
    const gatewayId = router === undefined ? undefined : gateways.model.idsByKey.get(router);
    const routerId = router === undefined ? undefined : (gatewayId ?? routing.idsByKey.get(router));
    const networkId = network === undefined ? undefined : this.#world.networkAt(host, network);
    const nextHop = nextHopIpv6 ?? nextHopIpv4;
    return {
      ...(routerId !== undefined && { routerId }),
      ...(gatewayId !== undefined && { isGateway: true as const }),
      ...(networkId !== undefined && { networkId }),
      ...(nextHop !== undefined && { nextHop }),
    };
  }

  /** Render what the changes since the last pass touch. */
  pass(): PassResult {
    const result = this.#engine.pass();
    this.#world.endPass();
    return result;
  }

  /** Likewise in steps: Engine.passSteps. */
  *passSteps(handOver: (change: BridgeChange) => void): Generator<void, Omit<PassResult, 'changes'>> {
    const result = yield* this.#engine.passSteps(handOver);
    this.#world.endPass();
    return result;
  }

  /** Have the next pass render everything. The result is the same; that is what tests and operators use it for. */
  recompute(): void {
    this.#engine.invalidateAll();
  }

  /** The flows that should be on a bridge; undefined where none ever were. */
  book(host: string, bridge: string): BridgeBook | undefined {
    return this.#engine.book(host, bridge);
  }

  books(): IterableIterator<BridgeBook> {
    return this.#engine.books();
  }

  /** The origin with the place in the topology file, as the file is now. */
  locate(origin: Origin): Origin {
    const topology = this.site.topology;
    if (topology === undefined) return origin;
    const space = origin.object.indexOf(' ');
    const id = origin.object.slice(space + 1);
    const { hosts: host, networks: network, ports: port, routers: router } = topology;
    const places = { host, network, port, router, floating_ip: topology.floatingIps } as const;
    const kind = origin.object.slice(0, space);
    if (!Object.hasOwn(places, kind)) return origin;
    const source = places[kind as keyof typeof places].get(id)?.origin;
    return source === undefined ? origin : { ...origin, path: source.path, line: source.line };
  }
}
