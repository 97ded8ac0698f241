/**
 * Where ports are: what was told of them, whether or not a topology has them; by network and by place in it, for rows. Serves site.ts,
 * which finds what follows for hosts.
 */
import { STEP_LENGTH } from '../lib/steps.ts';
import type { Port, Topology } from '../topology/model.ts';
import { Collections } from './collections.ts';
import { Facts } from './facts.ts';

/** Ports and their hosts by the places of their ids in a collection: what is at a place that is nobody's means nothing. */
export interface PlacedPorts {
  readonly ports: Port[];
  readonly hosts: string[];
}

/** A port that was elsewhere, or nowhere. */
export interface Move {
  readonly port: Port;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export class PortPlaces {
  /** The host of each port of the topology, of hosts that it has. */
  readonly locations = new Facts<string>();
  /** Ids of these ports. By network id. */
  readonly portsOf = new Collections();
  readonly #placed = new Map<string, PlacedPorts>();
  /** What was said of the others. */
  readonly #told = new Map<string, string>();
  #topology: Topology | undefined;

  /** Take in another topology, in steps. Ports are where they were: `located` is told of each. */
  *setTopologySteps(topology: Topology, located: (port: Port, host: string) => void): Generator<void, void> {
    this.#topology = topology;
    const locations = new Map<string, string>();
    const portsOf = new Map<string, string[]>();
    let count = 0;
    for (const port of topology.ports.values()) {
      if (++count % STEP_LENGTH === 0) yield;
      const host = this.locations.get(port.id) ?? this.#told.get(port.id);
      if (host === undefined || !topology.hosts.has(host)) continue;
      locations.set(port.id, host);
      const ids = portsOf.get(port.networkId);
      if (ids === undefined) portsOf.set(port.networkId, [port.id]);
      else ids.push(port.id);
      located(port, host);
    }
    yield* this.#keepApart(locations);
    yield* this.locations.takeAllSteps(locations);
    yield* this.portsOf.replaceAllSteps(portsOf);
    for (const id of this.#placed.keys()) if (!topology.networks.has(id)) this.#placed.delete(id);
    for (const [id, host] of locations) {
      const port = topology.ports.get(id);
      if (port !== undefined) this.#place(port, this.portsOf.placeOf(port.networkId, id), host);
      if (++count % STEP_LENGTH === 0) yield;
    }
  }

  /** A port is on a host, or nowhere. Returns what that changes. */
  move(portId: string, host: string | undefined): Move | undefined {
    const port = this.#topology?.ports.get(portId);
    const after = port !== undefined && host !== undefined && this.#topology?.hosts.has(host) ? host : undefined;
    if (host === after) this.#told.delete(portId);
    else if (host !== undefined) this.#told.set(portId, host);
    const before = this.locations.get(portId);
    if (port === undefined || before === after) return undefined;
    this.locations.set(portId, after);
    if (after === undefined) this.portsOf.delete(port.networkId, portId);
    else {
      this.#place(port, this.portsOf.add(port.networkId, portId), after);
      if (before !== undefined) this.portsOf.touch(port.networkId, portId);
    }
    return { port, before, after };
  }

  /** The ports of a network that are somewhere; to be asked for again when the network is another. */
  placedPorts(networkId: string): PlacedPorts {
    let placed = this.#placed.get(networkId);
    if (placed === undefined) {
      placed = { ports: [], hosts: [] };
      this.#placed.set(networkId, placed);
    }
    return placed;
  }

  /** What was said of a port is in `locations`, or else among what was told: many ports are not kept twice. */
  *#keepApart(locations: ReadonlyMap<string, string>): Generator<void, void> {
    let count = 0;
    for (const [id, host] of this.locations.all) {
      if (!locations.has(id)) this.#told.set(id, host);
      if (++count % STEP_LENGTH === 0) yield;
    }
    for (const id of this.#told.keys()) {
      if (locations.has(id)) this.#told.delete(id);
      if (++count % STEP_LENGTH === 0) yield;
    }
  }

  #place(port: Port, place: number, host: string): void {
    const { ports, hosts } = this.placedPorts(port.networkId);
    ports[place] = port;
    hosts[place] = host;
  }
}
