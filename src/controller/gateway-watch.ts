/** Which gateway hosts live, as the tunnels to them say (Interface.bfd_status), and which of them routers prefer for that. */
import type { Site } from '../compiler/site.ts';
import type { HostAgent } from './host-agent.ts';
import { chooseLeads, deadHosts, type Liveness } from './router/gateway-leads.ts';

export interface WatchRequest {
  readonly site: Site;
  readonly agents: ReadonlyMap<string, HostAgent>;
  /** What routers preferred so far. */
  readonly leads: ReadonlyMap<string, string>;
  readonly preempts: boolean;
}

export class GatewayWatch {
  /** Gateway hosts that tunnels were up to in this life. */
  readonly #seen = new Set<string>();

  /** What routers prefer now, as chooseLeads. */
  choose({ site, agents, leads, preempts }: WatchRequest): ReadonlyMap<string, string> {
    const dead = deadHosts(gatewayLiveness(agents.values(), site), this.#seen);
    return chooseLeads({ routers: site.gateways.model.routers.values(), leads, dead, preempts });
  }
}

/** Up where any tunnel to the host is; hosts to which no watched tunnel leads are left out. */
function gatewayLiveness(agents: Iterable<HostAgent>, site: Site): ReadonlyMap<string, Liveness> {
  const liveness = new Map<string, Liveness>();
  for (const { name, host, view } of agents) {
    const ports = view?.bridges.get(host.bridges.tunnel)?.ports;
    if (ports === undefined) continue;
    for (const { remoteHost, portName, isWatched } of site.tunnelsOf(name)) {
      const status = isWatched ? ports.get(portName)?.interfaces[0]?.bfd_status.get('state') : undefined;
      if (status === undefined) continue;
      if (status === 'up') liveness.set(remoteHost, 'up');
      else if (!liveness.has(remoteHost)) liveness.set(remoteHost, 'down');
    }
  }
  return liveness;
}
