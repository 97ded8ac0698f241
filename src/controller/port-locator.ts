/**
 * Where ports are, of a whole site: asks each host that has changed, and tells the compiler of those that may have moved. Serves
 * controller.ts.
 */
import type { Compiler } from '../compiler/compiler.ts';
import type { Topology } from '../topology/model.ts';
import type { HostAgent } from './host-agent.ts';
import { pluggedPorts } from './host-facts.ts';
import type { Keepsakes } from './keepsakes.ts';
import type { Memory } from './memory.ts';
import { locatePort, Sightings } from './port-locations.ts';

export interface PortLocatorOptions {
  readonly agents: ReadonlyMap<string, HostAgent>;
  readonly compiler: Compiler;
  readonly memory: Memory;
  readonly keepsakes: Keepsakes;
}

export class PortLocator {
  readonly #options: PortLocatorOptions;
  readonly #sightings = new Sightings();
  #isAllStale = false;

  constructor(options: PortLocatorOptions) {
    this.#options = options;
  }

  /** There is another topology. */
  markAll(): void {
    this.#isAllStale = true;
  }

  /** A host left the topology. */
  forget(host: string): void {
    this.#sightings.forget(host);
  }

  /** In steps. */
  *locate(topology: Topology, isStale: (host: string) => boolean): Generator<void, void> {
    const { agents, compiler, keepsakes } = this.#options;
    const moved = new Set<string>();
    for (const agent of agents.values()) {
      const { name, host, view } = agent;
      if (view === undefined) continue;
      keepsakes.recall(agent, view);
      if (!this.#isAllStale && !isStale(name)) continue;
      // From now on, what this host does not show is not there: also ports that only the file puts on it.
      if (!this.#sightings.isKnown(name)) this.#isAllStale = true;
      const plugged = pluggedPorts({ topology, routing: compiler.site.routing }, host, view);
      compiler.setPluggedPorts(name, plugged);
      for (const portId of this.#sightings.update(name, plugged)) moved.add(portId);
      yield;
    }
    const portIds = this.#isAllStale ? topology.ports.keys() : moved;
    this.#isAllStale = false;
    yield* compiler.setPortLocationsSteps(this.#locationsOf(portIds, topology));
  }

  *#locationsOf(portIds: Iterable<string>, topology: Topology): Generator<readonly [string, string | undefined]> {
    const { memory } = this.#options;
    for (const portId of portIds) {
      const port = topology.ports.get(portId);
      if (port === undefined) continue;
      const earlier = { host: port.host, lastHost: memory.portHost(portId) };
      const sightings = this.#sightings.of(portId);
      const host = locatePort({ portId, sightings, ...earlier }, (name) => this.#sightings.isKnown(name));
      // A port that the file gives a host needs no memory of ours.
      memory.rememberPortHost(portId, port.host === undefined ? host : undefined);
      yield [portId, host];
    }
  }
}
