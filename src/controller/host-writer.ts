/**
 * What a host's OVSDB should say, planned and written, after a pass has sent its flows. Serves controller.ts.
 */
import type { Compiler } from '../compiler/compiler.ts';
import type { Topology } from '../topology/model.ts';
import type { BridgeConnections } from './bridge-connections.ts';
import type { HostAgent } from './host-agent.ts';
import { planHost } from './host-plan.ts';
import type { Keepsakes } from './keepsakes.ts';
import { bridgesAlone, physicalBridges, wantedHost } from './wanted.ts';

export interface HostWriterOptions {
  readonly compiler: Compiler;
  readonly connections: BridgeConnections;
  readonly keepsakes: Keepsakes;
  /** There may be another controller. */
  readonly isElected: boolean;
}

export class HostWriter {
  readonly #options: HostWriterOptions;

  constructor(options: HostWriterOptions) {
    this.#options = options;
  }

  /** With another controller, who programs the host's br-int also writes to its OVSDB. */
  isOurs(agent: HostAgent): boolean {
    return !this.#options.isElected || agent.isMaster;
  }

  write(agent: HostAgent, topology: Topology): void {
    const { name, host, view, localVlans, openPatches } = agent;
    if (view === undefined) return;
    const { compiler, connections, keepsakes, isElected } = this.#options;
    const { routing } = compiler.site;
    for (const bridge of physicalBridges(host)) if (agent.isProgrammed(bridge)) openPatches.add(bridge);
    const wanted = wantedHost({
      ...{ topology, routing, host, view, localVlans, openPatches },
      tunnels: compiler.site.tunnelsOf(name),
      datapathIds: connections.replacementsOf(name),
      keepsControllers: isElected,
      isRendered: (bridge: string) => (compiler.book(name, bridge)?.size ?? 0) > 0,
      keepsakes: keepsakes.of(name),
    });
    const mine = this.isOurs(agent) ? { ...wanted, endsRestoreWait: agent.isWhole } : bridgesAlone(wanted);
    agent.write(planHost(mine, view));
  }
}
