/**
 * What the controller would compute for hosts as they are right now, without being the controller: the same functions, fed with
 * one look at each host. Serves `heddle diff FILE`; pure.
 */
import { Compiler } from '../compiler/compiler.ts';
import { allocateZoneNumbers, knownZoneNumbers, zonesOfAll } from '../compiler/zones.ts';
import { ipFromText, macFromText } from '../lib/addresses.ts';
import type { Topology } from '../topology/model.ts';
import { assignLocalVlans, pluggedPorts, readHostFacts } from './host-facts.ts';
import { allocateHostMacs } from './host-macs.ts';
import { locatePort, Sightings } from './port-locations.ts';
import type { State } from './state-store.ts';
import type { SwitchView } from './switch-view.ts';
import { zoneNumbersOf } from './zone-keeper.ts';

export interface SurveyRequest {
  readonly topology: Topology;
  /** What the hosts that answered show, by name. */
  readonly views: ReadonlyMap<string, SwitchView>;
  /** The controller's, where it is known. */
  readonly state: State;
}

/** Compiles everything once. Throws LocalVlanError. */
export function survey(request: SurveyRequest): Compiler {
  const { topology, views, state } = request;
  const hostMacs = new Map(Object.entries(state.hostMacs).map(([name, mac]) => [name, macFromText(mac)]));
  const portHosts = new Map(Object.entries(state.portHosts));
  const compiler = new Compiler();
  compiler.setGatewayLeads(new Map(Object.entries(state.gatewayLeads)));
  compiler.setTopology(topology);
  const routerIds = compiler.site.gateways.model.routers.keys();
  const shown = new Map<string, ReadonlyMap<string, number>>();
  for (const host of topology.hosts.values()) {
    const view = views.get(host.name);
    if (view !== undefined) shown.set(host.name, zoneNumbersOf(host, view));
  }
  const known = knownZoneNumbers(shown, new Map(Object.entries(state.zoneNumbers)));
  compiler.setZones(zonesOfAll(allocateZoneNumbers(routerIds, known)));
  for (const { host, network, ip, mac } of state.outsideNeighbours) {
    compiler.setOutsideNeighbour(host, network, ipFromText(ip), macFromText(mac));
  }
  for (const { network, ip, mac, port } of state.neighbours) {
    compiler.setNeighbour(network, ipFromText(ip), { macAddress: macFromText(mac), portId: port });
  }
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
    const seen = { portId: port.id, sightings: sightings.of(port.id), ...believed };
    compiler.setPortLocation(
      port.id,
      locatePort(seen, (name) => sightings.isKnown(name)),
    );
  }
  for (const host of topology.hosts.values()) {
    const view = views.get(host.name);
    if (view === undefined) continue;
    const networkIds = site.networksOn(host.name);
    const former = new Map(Object.entries(state.localVlans[host.name] ?? {}));
    const vlans = { topology, routing, host, view, networkIds, kept: new Map(), former };
    const localVlans = assignLocalVlans(vlans);
    const tunnels = site.tunnelsOf(host.name);
    compiler.setHostFacts(host.name, readHostFacts({ topology, routing, host, view, localVlans, tunnels }));
  }
  compiler.pass();
  return compiler;
}
