/** Which gateway hosts live, as the tunnels to them say (Interface.bfd_status), and which of them routers prefer for that. */
import type { Site, TunnelNeed } from '../compiler/site.ts';
import type { Host } from '../topology/model.ts';
import type { HostAgent } from './host-agent.ts';
import { chooseLeads, deadHosts, type Liveness } from './router/gateway-leads.ts';
import type { SwitchView } from './switch-view.ts';

export interface WatchRequest {
  readonly site: Site;
  readonly agents: ReadonlyMap<string, HostAgent>;
  /** What routers preferred so far. */
  readonly leads: ReadonlyMap<string, string>;
  readonly preempts: boolean;
}

/** What the tunnels of one host said, and what it was read from. */
interface Told {
  readonly host: Host;
  readonly view: SwitchView;
  readonly tunnels: readonly TunnelNeed[];
  readonly liveness: ReadonlyMap<string, Liveness>;
}

export class GatewayWatch {
  /** Gateway hosts that tunnels were up to in this life. */
  readonly #seen = new Set<string>();
  /** By host. Nobody is asked again who has nothing new to say: a site has as many tunnels as pairs of hosts. */
  #told = new Map<string, Told>();

  /** What routers prefer now, as chooseLeads. */
  choose({ site, agents, leads, preempts }: WatchRequest): ReadonlyMap<string, string> {
    const dead = deadHosts(this.#liveness(agents.values(), site), this.#seen);
    return chooseLeads({ routers: site.gateways.model.routers.values(), leads, dead, preempts });
  }

  /** Up where any tunnel to the host is; hosts to which no watched tunnel leads are left out. */
  #liveness(agents: Iterable<HostAgent>, site: Site): ReadonlyMap<string, Liveness> {
    const liveness = new Map<string, Liveness>();
    const told = new Map<string, Told>();
    for (const { name, host, view } of agents) {
      if (view === undefined) continue;
      const tunnels = site.tunnelsOf(name);
      const before = this.#told.get(name);
      const isKnown = before?.view === view && before.tunnels === tunnels && before.host === host;
      const now = isKnown ? before : { host, view, tunnels, liveness: livenessOf(tunnels, view, host.bridges.tunnel) };
      told.set(name, now);
      for (const [remoteHost, state] of now.liveness) {
        if (state === 'up' || !liveness.has(remoteHost)) liveness.set(remoteHost, state);
      }
    }
    this.#told = told;
    return liveness;
  }
}

/** What one host's tunnels say. */
function livenessOf(
  tunnels: readonly TunnelNeed[],
  { bridges }: SwitchView,
  tunnelBridge: string,
): ReadonlyMap<string, Liveness> {
  const liveness = new Map<string, Liveness>();
  const ports = bridges.get(tunnelBridge)?.ports;
  for (const { remoteHost, portName, isWatched } of tunnels) {
    const status = isWatched ? ports?.get(portName)?.interfaces[0]?.bfd_status.get('state') : undefined;
    if (status === undefined) continue;
    if (status === 'up' || !liveness.has(remoteHost)) liveness.set(remoteHost, status === 'up' ? 'up' : 'down');
  }
  return liveness;
}
