/**
 * What the controller would compute for hosts as they are right now, without being the controller: the same functions, fed with
 * one look at each host. Serves `heddle diff FILE`; pure.
 */
import { Compiler } from '../compiler/compiler.ts';
import type { Topology } from '../topology/model.ts';
import { assignLocalVlans, pluggedPorts, readHostFacts } from './host-facts.ts';
import { allocateHostMacs } from './host-macs.ts';
import { locatePort, Sightings } from './port-locations.ts';
import type { SwitchView } from './switch-view.ts';

export interface SurveyRequest {
  readonly topology: Topology;
  /** What the hosts that answered show, by name. */
  readonly views: ReadonlyMap<string, SwitchView>;
  /** Of the controller's state, where it is known: host MACs by host name, and where ports were last seen. */
  readonly hostMacs: ReadonlyMap<string, number>;
  readonly portHosts: ReadonlyMap<string, string>;
}

/** Compiles everything once. Throws LocalVlanError. */
export function survey({ topology, views, hostMacs, portHosts }: SurveyRequest): Compiler {
  const compiler = new Compiler();
  compiler.setTopology(topology);
  for (const [name, mac] of allocateHostMacs(topology.hosts.values(), hostMacs, topology.settings.dvrBaseMac)) {
    compiler.setHostMac(name, mac);
  }
  const { site } = compiler;
  const { routing } = site;
  const sightings = new Sightings();
  for (const host of topology.hosts.values()) {
    const view = views.get(host.name);
    if (view === undefined) continue;
    const plugged = pluggedPorts({ topology, routing }, host, view);
    compiler.setPluggedPorts(host.name, plugged);
    sightings.update(host.name, plugged);
  }
  for (const port of topology.ports.values()) {
    const lastHost = portHosts.get(port.id);
    const believed = {
      ...(port.host !== undefined && { host: port.host }),
      ...(lastHost !== undefined && { lastHost }),
    };
    const request = { portId: port.id, sightings: sightings.of(port.id), ...believed };
    compiler.setPortLocation(
      port.id,
      locatePort(request, (name) => sightings.isKnown(name)),
    );
  }
  for (const host of topology.hosts.values()) {
    const view = views.get(host.name);
    if (view === undefined) continue;
    const networkIds = site.networksOn(host.name);
    const localVlans = assignLocalVlans({ topology, routing, host, view, networkIds, kept: new Map() });
    const tunnels = site.tunnelsOf(host.name);
    compiler.setHostFacts(host.name, readHostFacts({ topology, routing, host, view, localVlans, tunnels }));
  }
  compiler.pass();
  return compiler;
}
