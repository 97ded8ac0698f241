/**
 * Who renders what: the tree of owners, from the site down to one port seen from one host. An owner gathers facts into the
 * entity of a rule; what is not known yet (an ofport, a local VLAN) makes no entity, and so no flow. Rules are in pipeline/.
 */
import { advertisementSpoof, arpSpoof, type GuardedPort, ipSpoof, macSpoof } from '../pipeline/anti-spoof.ts';
import * as int from '../pipeline/br-int.ts';
import * as phys from '../pipeline/br-phys.ts';
import * as tun from '../pipeline/br-tun.ts';
import type { Port } from '../topology/model.ts';
import { type OwnerName, owner, type Placement, type View } from './engine.ts';
import { pairKey } from './facts.ts';
import { GatewayOwners } from './gateway-owners.ts';
import { flows, NOTHING, onInt, onTun } from './placement.ts';
import { RouterOwners } from './router-owners.ts';
import { isTunnelled, tunnelKey, tunnelKeyParts } from './site.ts';
import { ALL, type World } from './world.ts';

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

  constructor(world: World) {
    this.#world = world;
    this.#routers = new RouterOwners(world);
    this.#gateways = new GatewayOwners(world);
  }

  readonly host = owner('host', (view, name) => {
    view.child(this.integrationBridge(name));
    view.child(this.tunnelBridge(name));
    view.child(this.#routers.routing(name));
    view.child(this.#gateways.waysOutside(name));
    view.each(this.#world.physicalBridgesOf.at(name), (bridge) => this.physicalBridge(name, bridge));
    view.each(this.#world.routingHosts.at(ALL), (other) => this.hostMac(name, other));
    view.each(this.#world.tunnelsOf.at(name), (key) => this.tunnelPort(name, key));
    view.each(this.#world.localNetworksOf.at(name), (network) => this.networkOnHost(name, network));
    view.each(this.#world.boundPortsOf.at(name), (port) => this.boundPort(name, port));
    view.each(this.#world.deadPortsOf.at(name), (ofport) => this.deadPort(name, ofport));
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
    const patchInt = view.read(this.#world.physicalPatchInt.at(pairKey(name, bridge)));
    const outside =
      patchInt === undefined ? [] : flows(profile, { object, ofport: patchInt }, phys.fromEither, phys.untranslated);
    const patchPhys = view.read(this.#world.patchPhys.at(pairKey(name, bridge)));
    const inside = patchPhys === undefined ? [] : flows(profile, { object, ofport: patchPhys }, int.providerDefault);
    return [{ host: name, bridge, flows: [...misses, ...outside] }, ...onInt(name, profile, inside)];
  });

  /** The MAC of a host that routes, seen from a host: its own, or another's. */
  readonly hostMac = owner('host MAC', (view, name, other) => {
    const profile = view.read(this.#world.profiles.at(name));
    const mac = view.read(this.#world.hostMacs.at(other));
    if (profile === undefined || mac === undefined) return NOTHING;
    const at = (ofport: number) => ({ object: `host ${other}`, hostMac: mac, ofport });
    const placements: Placement[] = [];
    const patchTun = view.read(this.#world.patchTun.at(name));
    if (patchTun !== undefined) {
      const rule = name === other ? int.toThisHostByTunnel : int.routedElsewhereByTunnel;
      placements.push(...onInt(name, profile, flows(profile, at(patchTun), rule)));
    }
    const patchInt = view.read(this.#world.patchInt.at(name));
    if (patchInt !== undefined && name !== other) {
      placements.push(...onTun(name, profile, flows(profile, at(patchInt), tun.routedElsewhere)));
    }
    for (const bridge of view.readAll(this.#world.physicalBridgesOf.at(name))) {
      const patchPhys = view.read(this.#world.patchPhys.at(pairKey(name, bridge)));
      if (patchPhys !== undefined) {
        const rule = name === other ? int.toThisHostByProvider : int.routedElsewhereByProvider;
        placements.push(...onInt(name, profile, flows(profile, at(patchPhys), rule)));
      }
      const physicalPatch = view.read(this.#world.physicalPatchInt.at(pairKey(name, bridge)));
      if (physicalPatch !== undefined && name !== other) {
        placements.push({ host: name, bridge, flows: flows(profile, at(physicalPatch), phys.routedElsewhereOnWire) });
      }
    }
    return placements;
  });

  readonly tunnelPort = owner('tunnel port', (view, name, key) => {
    const profile = view.read(this.#world.profiles.at(name));
    const ofport = view.read(this.#world.tunnels.at(pairKey(name, key)));
    if (profile === undefined || ofport === undefined) return NOTHING;
    const { type, remoteHost } = tunnelKeyParts(key);
    return onTun(name, profile, flows(profile, { object: `host ${remoteHost}`, type, ofport }, tun.fromTunnel));
  });

  readonly networkOnHost = owner('network', (view, name, network) => {
    view.child(this.segment(name, network));
    view.child(this.flood(name, network));
    view.each(this.#world.site.portsOf.at(network), (port) => this.tunnelledPort(name, network, port));
    return NOTHING;
  });

  /** What a network is called outside: on tunnels, or on a physical network. */
  readonly segment = owner('segment', (view, name, networkId) => {
    const profile = view.read(this.#world.profiles.at(name));
    const network = view.read(this.#world.networks.at(networkId));
    const localVlan = view.read(this.#world.localVlans.at(pairKey(name, networkId)));
    if (profile === undefined || network === undefined || localVlan === undefined) return NOTHING;
    const object = `network ${networkId}`;
    const { networkType: type, segmentationId, physicalNetwork } = network;
    if (isTunnelled(type)) {
      if (segmentationId === undefined || view.read(this.#world.tunnelBridges.at(name)) === undefined) return NOTHING;
      return onTun(name, profile, flows(profile, { object, type, segmentationId, localVlan }, tun.tunnelToLocalVlan));
    }
    const bridge = physicalNetwork === undefined ? undefined : profile.bridgeMappings.get(physicalNetwork);
    if (bridge === undefined) return NOTHING;
    const wire = { object, localVlan, ...(segmentationId === undefined ? {} : { segmentationId }) };
    const placements: Placement[] = [];
    const inside = view.read(this.#world.patchPhys.at(pairKey(name, bridge)));
    if (inside !== undefined) {
      placements.push(...onInt(name, profile, flows(profile, { ...wire, ofport: inside }, int.providerToLocalVlan)));
    }
    const outside = view.read(this.#world.physicalPatchInt.at(pairKey(name, bridge)));
    if (outside !== undefined) {
      const entity = { ...wire, ofport: outside };
      placements.push({ host: name, bridge, flows: flows(profile, entity, phys.localVlanToProvider) });
    }
    return placements;
  });

  readonly flood = owner('flood', (view, name, networkId) => {
    const profile = view.read(this.#world.profiles.at(name));
    const network = view.read(this.#world.networks.at(networkId));
    const localVlan = view.read(this.#world.localVlans.at(pairKey(name, networkId)));
    if (profile === undefined || network?.segmentationId === undefined || localVlan === undefined) return NOTHING;
    const { networkType: type, segmentationId } = network;
    if (!isTunnelled(type)) return NOTHING;
    const keys = profile.features.l2Population
      ? [...view.readAll(this.#world.site.hostsOf.at(networkId))].map((host) => tunnelKey(type, host))
      : [...view.readAll(this.#world.tunnelsOf.at(name))].filter((key) => tunnelKeyParts(key).type === type);
    const ofports = keys.flatMap((key) => view.read(this.#world.tunnels.at(pairKey(name, key))) ?? []);
    if (ofports.length === 0) return NOTHING;
    const entity = { object: `network ${networkId}`, localVlan, segmentationId, ofports };
    return onTun(name, profile, flows(profile, entity, tun.flood));
  });

  /** A port of a tunnelled network, seen from a host that has the network: it is there, or behind a tunnel. */
  readonly tunnelledPort = owner('tunnelled port', (view, name, networkId, portId) => {
    const location = view.read(this.#world.site.locations.at(portId));
    const profile = view.read(this.#world.profiles.at(name));
    const network = view.read(this.#world.networks.at(networkId));
    const port = view.read(this.#world.ports.at(portId));
    const localVlan = view.read(this.#world.localVlans.at(pairKey(name, networkId)));
    if (profile === undefined || network?.segmentationId === undefined || localVlan === undefined) return NOTHING;
    if (port === undefined || !port.adminStateUp || port.deviceOwner === EVERYWHERE) return NOTHING;
    if (location === undefined || !isTunnelled(network.networkType)) return NOTHING;
    const object = `port ${portId}`;
    const ipv4Addresses = port.fixedIps.flatMap(({ ipAddress }) => (typeof ipAddress === 'number' ? ipAddress : []));
    if (location === name) {
      const isReady = view.read(this.#world.tunnelBridges.at(name)) !== undefined;
      return isReady
        ? onTun(name, profile, flows(profile, { object, localVlan, ipv4Addresses }, tun.arpForLocal))
        : NOTHING;
    }
    const ofport = view.read(this.#world.tunnels.at(pairKey(name, tunnelKey(network.networkType, location))));
    if (ofport === undefined) return NOTHING;
    const { macAddress } = port;
    const entity = { object, localVlan, segmentationId: network.segmentationId, macAddress, ipv4Addresses, ofport };
    return onTun(name, profile, flows(profile, entity, tun.remotePort));
  });

  readonly boundPort = owner('bound port', (view, name, portId) => {
    view.child(this.#routers.routedPort(name, portId));
    view.child(this.#routers.centralisedPort(name, portId));
    // A router's port that somebody else plugs speaks for everyone.
    if (view.read(this.#world.pluggedPorts.at(portId)) !== undefined) return NOTHING;
    const profile = view.read(this.#world.profiles.at(name));
    const ofport = view.read(this.#world.bindings.at(pairKey(name, portId)))?.ofport;
    if (profile === undefined || ofport === undefined) return NOTHING;
    const port = view.read(this.#world.ports.at(portId));
    const object = `port ${portId}`;
    const dead = port?.adminStateUp === true ? [] : flows(profile, { object, ofport }, int.deadPort);
    const guarded =
      port === undefined || !isGuarded(port)
        ? []
        : flows(profile, guardedPort(port, ofport), macSpoof, arpSpoof, advertisementSpoof, ipSpoof);
    return onInt(name, profile, [...dead, ...guarded]);
  });

  readonly deadPort = owner('dead port', (view, name, ofport) => {
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined) return NOTHING;
    const entity = { object: `ofport ${ofport}`, ofport: Number(ofport) };
    return onInt(name, profile, flows(profile, entity, int.deadPort));
  });

  readonly site = owner('site', (view: View) => {
    view.each(this.#world.hosts.at(ALL), this.host);
    return NOTHING;
  });
}

/** DHCP and router ports speak for others; port security is not for them. */
function isGuarded(port: Port): boolean {
  return port.portSecurityEnabled && !port.deviceOwner.startsWith('network:');
}

function guardedPort(port: Port, ofport: number): GuardedPort {
  const fixed = port.fixedIps.map(({ ipAddress: address }) => ({
    macAddress: port.macAddress,
    prefix: { address, length: typeof address === 'number' ? 32 : 128 },
  }));
  const allowed = port.allowedAddressPairs.map(({ macAddress, ipAddress: prefix }) => ({ macAddress, prefix }));
  return {
    object: `port ${port.id}`,
    ofport,
    macAddresses: [...new Set([port.macAddress, ...allowed.map((pair) => pair.macAddress)])],
    pairs: [...fixed, ...allowed],
  };
}
