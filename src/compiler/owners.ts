/**
 * Who renders what: the tree of owners, from the site down to one port seen from one host. An owner gathers facts into the
 * entity of a rule; what is not known yet (an ofport, a local VLAN) makes no entity, and so no flow. Rules are in pipeline/.
 */
import * as int from '../pipeline/br-int.ts';
import * as phys from '../pipeline/br-phys.ts';
import * as tun from '../pipeline/br-tun.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import type { Port } from '../topology/model.ts';
import { CentralOwners } from './central-owners.ts';
import { GatewayOwners } from './gateway-owners.ts';
import { GuestOwners } from './guest-owners.ts';
import { bridgeOf, type LocalNetwork, localNetwork } from './local-network.ts';
import { flows, NO_FLOWS, NOTHING, onInt, onTun } from './placement.ts';
import type { MakePart, PortParts } from './port-parts.ts';
import { RouterOwners } from './router-owners.ts';
import { isTunnelled, tunnelKey, tunnelKeyParts } from './site.ts';
import { type OwnerName, owner, type Placement, type View } from './view.ts';
import { ALL, portObject, type World } from './world.ts';

/** Ports of a router that every host has: no host is the place of their MAC. */
const EVERYWHERE = 'network:router_interface_distributed';

/** The root of all owners. */
export function siteOwner(world: World): OwnerName {
  return new SiteOwners(world).site();
}

/** The kinds of owners of one world. */
class SiteOwners {
  readonly #world: World;
  readonly #routers: RouterOwners;
  readonly #gateways: GatewayOwners;
  readonly #guests: GuestOwners;
  /** Of ports with a place, as rows of br-tun have them. */
  readonly #localPorts: PortParts;
  readonly #askedPorts: PortParts;
  readonly #unaskedPorts: PortParts;
  readonly #central: CentralOwners;

  constructor(world: World) {
    this.#world = world;
    const { templates } = world;
    const partsOf = (make: MakePart): PortParts =>
      world.partsOfPorts((port) => (port.adminStateUp && port.deviceOwner !== EVERYWHERE ? make(port) : undefined));
    this.#localPorts = partsOf((port) =>
      templates.part(tun.arpForLocal, { object: portObject(port.id), ipv4Addresses: ipv4AddressesOf(port) }),
    );
    const remote = (port: Port, ipv4Addresses: readonly number[]) =>
      templates.part(tun.remotePort, { object: portObject(port.id), macAddress: port.macAddress, ipv4Addresses });
    this.#askedPorts = partsOf((port) => remote(port, ipv4AddressesOf(port)));
    this.#unaskedPorts = partsOf((port) => remote(port, []));
    this.#routers = new RouterOwners(world);
    this.#gateways = new GatewayOwners(world);
    this.#guests = new GuestOwners(world);
    this.#central = new CentralOwners(world);
  }

  readonly host = owner('host', (view, name) => {
    view.child(this.integrationBridge(name));
    view.child(this.tunnelBridge(name));
    view.child(this.#routers.routing(name));
    view.child(this.#gateways.waysOutside(name));
    view.child(this.#central.centralRouting(name));
    view.each(this.#world.physicalBridgesOf.at(name), (bridge) => this.physicalBridge(name, bridge));
    view.child(this.hostMacs(name));
    view.child(this.tunnels(name));
    view.each(this.#world.localNetworksOf.at(name), (network) => this.networkOnHost(name, network));
    view.child(this.#guests.guestsOnHost(name));
    return NOTHING;
  });

  readonly integrationBridge = owner('integration bridge', (view, name) => {
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined) return NOTHING;
    const bridge = { object: `host ${name}` };
    return onInt(name, profile, [...int.brInt.misses(profile.features), ...flows(profile, bridge, int.deadVlan)]);
  });

  readonly tunnelBridge = owner('tunnel bridge', (view, name) => {
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined || view.read(this.#world.tunnelBridges.at(name)) === undefined) return NOTHING;
    const misses = tun.brTun.misses(profile.features);
    const ofport = view.read(this.#world.patchInt.at(name));
    if (ofport === undefined) return onTun(name, profile, misses);
    const patch = { object: `host ${name}`, ofport };
    return onTun(name, profile, [...misses, ...flows(profile, patch, tun.fromBrInt, tun.arpToResponder)]);
  });

  readonly physicalBridge = owner('physical bridge', (view, name, bridge) => {
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined) return NOTHING;
    const object = `bridge ${bridge}`;
    const misses = phys.brPhys.misses(profile.features);
    const patchInt = view.read(this.#world.physicalPatchInt.at(name, bridge));
    const outside =
      patchInt === undefined ? [] : flows(profile, { object, ofport: patchInt }, phys.fromEither, phys.untranslated);
    const patchPhys = view.read(this.#world.patchPhys.at(name, bridge));
    const inside = patchPhys === undefined ? [] : flows(profile, { object, ofport: patchPhys }, int.providerDefault);
    return [{ host: name, bridge, flows: [...misses, ...outside] }, ...onInt(name, profile, inside)];
  });

  /**
   * MACs of the hosts that route, seen from a host: its own, and of those whose frames come by a physical network, which can be
   * everyone's. Whose come by a tunnel has one (tunnelPort).
   */
  readonly hostMacs = owner('host MACs', (view, name) => {
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined) return NOTHING;
    const everyHost = this.#world.routingHosts.at(ALL);
    const rowsOn = (bridge: string, flowsOf: (other: string, hostMac: number) => readonly DesiredFlow[]): void =>
      view.rows(everyHost, { host: name, bridge }, (other) => {
        const hostMac = this.#world.hostMacs.get(other);
        return hostMac === undefined ? NO_FLOWS : flowsOf(other, hostMac);
      });
    for (const bridge of view.readAll(this.#world.physicalBridgesOf.at(name))) {
      const inside = view.read(this.#world.patchPhys.at(name, bridge));
      if (inside !== undefined) {
        rowsOn(profile.integrationBridge, (other, hostMac) => {
          const rule = name === other ? int.toThisHostByProvider : int.routedElsewhereByProvider;
          return flows(profile, { object: `host ${other}`, hostMac, ofport: inside }, rule);
        });
      }
      const outside = view.read(this.#world.physicalPatchInt.at(name, bridge));
      if (outside === undefined) continue;
      rowsOn(bridge, (other, hostMac) => {
        if (name === other) return NO_FLOWS;
        return flows(profile, { object: `host ${other}`, hostMac, ofport: outside }, phys.routedElsewhereOnWire);
      });
    }
    const ownMac = view.read(this.#world.hostMacs.at(name));
    const patchTun = view.read(this.#world.patchTun.at(name));
    if (ownMac === undefined || patchTun === undefined) return NOTHING;
    const own = { object: `host ${name}`, hostMac: ownMac, ofport: patchTun };
    return onInt(name, profile, flows(profile, own, int.toThisHostByTunnel));
  });

  /** Tunnels, and what the hosts at their other ends have routed: frames with such a host's MAC come by no other tunnel. */
  readonly tunnels = owner('tunnels', (view, name) => {
    const profile = view.read(this.#world.profiles.at(name));
    const patchInt = view.read(this.#world.patchInt.at(name));
    const patchTun = view.read(this.#world.patchTun.at(name));
    if (profile === undefined || view.read(this.#world.tunnelBridges.at(name)) === undefined) return NOTHING;
    const { tunnels, tunnelsOf, hostMacs } = this.#world;
    view.rows(tunnelsOf.at(name), { host: name, bridge: profile.tunnelBridge }, (key) => {
      const ofport = tunnels.get(name, key);
      if (ofport === undefined) return NO_FLOWS;
      const { type, remoteHost } = tunnelKeyParts(key);
      const object = `host ${remoteHost}`;
      const desired = flows(profile, { object, type, ofport }, tun.fromTunnel);
      const hostMac = hostMacs.get(remoteHost);
      if (hostMac === undefined || patchInt === undefined) return desired;
      desired.push(...flows(profile, { object, hostMac, ofport: patchInt }, tun.routedElsewhere));
      return desired;
    });
    if (patchTun === undefined) return NOTHING;
    view.rows(tunnelsOf.at(name), { host: name, bridge: profile.integrationBridge }, (key) => {
      const { remoteHost } = tunnelKeyParts(key);
      const hostMac = hostMacs.get(remoteHost);
      if (hostMac === undefined || tunnels.get(name, key) === undefined) return NO_FLOWS;
      return flows(profile, { object: `host ${remoteHost}`, hostMac, ofport: patchTun }, int.routedElsewhereByTunnel);
    });
    return NOTHING;
  });

  /** What is rendered of a network as a whole is one owner, since a host has many. */
  readonly networkOnHost = owner('network', (view, name, networkId) => {
    const { pluggedInterfaces, site } = this.#world;
    if (view.readAll(pluggedInterfaces.at(networkId)).size > 0) {
      view.child(this.#routers.pluggedRouters(name, networkId));
    }
    const { gatewaysInside, nextHops } = site.gateways;
    if (view.readAll(gatewaysInside.at(networkId)).size > 0 || view.read(nextHops.at(networkId)) !== undefined) {
      view.child(this.#gateways.gatewaysInside(name, networkId));
    }
    const there = localNetwork(this.#world, view, name, networkId);
    if (there === undefined) return NOTHING;
    if (!isTunnelled(there.network.networkType)) return this.#segment(view, there);
    view.child(this.tunnelledPorts(name, networkId));
    return [...this.#segment(view, there), ...this.#flood(view, there)];
  });

  /** What a network is called outside: on tunnels, or on a physical network. */
  #segment(view: View, { host: name, profile, network, localVlan }: LocalNetwork): readonly Placement[] {
    const object = `network ${network.id}`;
    const { networkType: type, segmentationId } = network;
    if (isTunnelled(type)) {
      if (segmentationId === undefined || view.read(this.#world.tunnelBridges.at(name)) === undefined) return NOTHING;
      return onTun(name, profile, flows(profile, { object, type, segmentationId, localVlan }, tun.tunnelToLocalVlan));
    }
    const bridge = bridgeOf(profile, network);
    if (bridge === undefined) return NOTHING;
    const wire = { object, localVlan, ...(segmentationId === undefined ? {} : { segmentationId }) };
    const placements: Placement[] = [];
    const inside = view.read(this.#world.patchPhys.at(name, bridge));
    if (inside !== undefined) {
      placements.push(...onInt(name, profile, flows(profile, { ...wire, ofport: inside }, int.providerToLocalVlan)));
    }
    const outside = view.read(this.#world.physicalPatchInt.at(name, bridge));
    if (outside !== undefined) {
      const entity = { ...wire, ofport: outside };
      placements.push({ host: name, bridge, flows: flows(profile, entity, phys.localVlanToProvider) });
    }
    return placements;
  }

  /** To everyone else who has the network. */
  #flood(view: View, { host: name, profile, network, localVlan }: LocalNetwork): readonly Placement[] {
    const { id, networkType: type, segmentationId } = network;
    if (segmentationId === undefined || !isTunnelled(type)) return NOTHING;
    const keys = profile.features.l2Population
      ? [...view.readAll(this.#world.site.hostsOf.at(id))].map((host) => tunnelKey(type, host))
      : [...view.readAll(this.#world.tunnelsOf.at(name))].filter((key) => tunnelKeyParts(key).type === type);
    const ofports = keys.flatMap((key) => view.read(this.#world.tunnels.at(name, key)) ?? []);
    if (ofports.length === 0) return NOTHING;
    const entity = { object: `network ${id}`, localVlan, segmentationId, ofports };
    return onTun(name, profile, flows(profile, entity, tun.flood));
  }

  /** The ports of a tunnelled network, seen from a host that has the network: each is there, or behind a tunnel. */
  readonly tunnelledPorts = owner('tunnelled ports', (view, name, networkId) => {
    const there = localNetwork(this.#world, view, name, networkId);
    if (there === undefined) return NOTHING;
    const { profile, network, localVlan } = there;
    const { networkType: type, segmentationId } = network;
    if (segmentationId === undefined || !isTunnelled(type)) return NOTHING;
    const isReady = view.read(this.#world.tunnelBridges.at(name)) !== undefined;
    const here = profile.templates.part(tun.arpForLocal, { localVlan });
    const { templates, features } = profile;
    const ofports = remembered((host) => view.read(this.#world.tunnels.at(name, tunnelKey(type, host))));
    // Where the network is there for a router alone, nobody asks: the router knows whose an address is.
    const isAsked = network.external || view.read(this.#world.site.presentNetworks.at(name, networkId)) === true;
    const placed = this.#world.site.ports.placedPorts(networkId);
    const remoteParts = isAsked ? this.#askedPorts : this.#unaskedPorts;
    const behind = templates.part(tun.remotePort, { localVlan, segmentationId, ofport: 0 });
    view.rows(
      this.#world.site.ports.portsOf.at(networkId),
      { host: name, bridge: profile.tunnelBridge },
      (_id, place) => {
        const port = placed.ports[place];
        const location = placed.hosts[place];
        if (port === undefined || location === undefined) return NO_FLOWS;
        if (location === name) {
          const own = isReady ? this.#localPorts.of(port, place) : undefined;
          return own === undefined ? NO_FLOWS : templates.renderParts(tun.arpForLocal, own, here, features);
        }
        const ofport = ofports(location);
        const other = remoteParts.of(port, place);
        if (other === undefined || ofport === undefined) return NO_FLOWS;
        return templates.renderParts(tun.remotePort, other, behind.having('ofport', ofport), features);
      },
    );
    return NOTHING;
  });

  readonly site = owner('site', (view: View) => {
    view.each(this.#world.hosts.at(ALL), this.host);
    return NOTHING;
  });
}

/** The ones that ARP can ask for. */
function ipv4AddressesOf({ fixedIps }: Port): readonly number[] {
  const addresses: number[] = [];
  for (const { ipAddress } of fixedIps) if (typeof ipAddress === 'number') addresses.push(ipAddress);
  return addresses;
}

/** The same function, called once for each argument. */
function remembered<T>(compute: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const value = known.get(key);
    if (value !== undefined || known.has(key)) return value as T;
    const computed = compute(key);
    known.set(key, computed);
    return computed;
  };
}
