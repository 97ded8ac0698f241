/**
 * Who renders routers: on each host the routers that it has, their networks, and everyone on those networks, here or elsewhere;
 * and what guests of theirs get from it. Beside owners.ts, which calls these.
 */
import { ipFromText, prefixContains } from '../lib/addresses.ts';
import { remotePort } from '../pipeline/br-tun.ts';
import * as dvr from '../pipeline/dvr.ts';
import { packetInMeters } from '../pipeline/packet-in-reasons.ts';
import * as routerIn from '../pipeline/router-in.ts';
import * as routerOut from '../pipeline/router-out.ts';
import * as routerRoute from '../pipeline/router-route.ts';
import type { Network, Port } from '../topology/model.ts';
import { flows, NO_FLOWS, NOTHING, onInt, onTun } from './placement.ts';
import type { PortParts } from './port-parts.ts';
import type { Gateway, PluggedPort, RoutedInterface, RoutedRouter } from './routing.ts';
import { isServiceable, isTunnelled, tunnelKey } from './site.ts';
import { owner, type Placement, type View } from './view.ts';
import { type HostProfile, portObject, type World } from './world.ts';

/** A network as a host has it. */
interface LocalNetwork {
  readonly host: string;
  readonly profile: HostProfile;
  readonly network: Network;
  readonly localVlan: number;
}

/** What the rows of one MAC of a router's between hosts are made of. */
type RouterMac = Pick<RoutedInterface, 'macAddress'> & {
  readonly object: string;
  readonly ips: readonly (number | bigint)[];
};

/** A MAC behind a port on this host. */
interface LocalReceiver {
  readonly object: string;
  readonly macAddress: number;
  readonly ofport: number;
}

export class RouterOwners {
  readonly #world: World;
  readonly #neighbours: PortParts;

  constructor(world: World) {
    this.#world = world;
    this.#neighbours = world.partsOfPorts(({ id, adminStateUp, deviceOwner, macAddress, fixedIps }) => {
      if (!adminStateUp || !isServiceable({ deviceOwner })) return undefined;
      const addresses = fixedIps.map(({ ipAddress }) => ipAddress);
      return world.templates.part(routerRoute.neighbour, { object: portObject(id), macAddress, addresses });
    });
  }

  /** All routing of a host. */
  readonly routing = owner('routing', (view, name) => {
    const { site } = this.#world;
    view.child(this.routingHost(name));
    view.each(site.routersOf.at(name), (router) => this.routerOnHost(name, router));
    view.each(site.routedNetworksOf.at(name), (network) => this.routedNetwork(name, network));
    view.each(this.#world.localNetworksOf.at(name), (network) => this.pluggedRouters(name, network));
    return NOTHING;
  });

  /** What any router needs on a host. */
  readonly routingHost = owner('routing host', (view, name) => {
    const profile = view.read(this.#world.profiles.at(name));
    const { routedNetworksOf, centralNetworksOf } = this.#world.site;
    const isNeeded = [routedNetworksOf, centralNetworksOf].some((one) => view.readAll(one.at(name)).size > 0);
    if (profile === undefined || !isNeeded) return NOTHING;
    const host = { object: `host ${name}` };
    const desired = flows(profile, host, routerIn.notForRouter, routerRoute.neverRouted, routerRoute.travel);
    const meters = packetInMeters(host.object);
    return onInt(name, profile, desired).map((placement) => ({ ...placement, meters }));
  });

  readonly routerOnHost = owner('router', (view, name, routerId) => {
    const router = view.read(this.#world.routers.at(routerId));
    const profile = view.read(this.#world.profiles.at(name));
    if (router === undefined || profile === undefined) return NOTHING;
    const { key: routerKey } = router;
    const object = `router ${routerId}`;
    const desired = flows(
      profile,
      { object, routerKey, addresses: addressesOf(router.interfaces), ipv6Macs: ipv6Macs(router.interfaces) },
      routerRoute.ownAddress,
    );
    const placements: Placement[] = [];
    const local = new Map<string, LocalNetwork>();
    for (const id of router.networkIds) {
      const there = this.#localNetwork(view, name, id);
      if (there !== undefined) local.set(id, there);
    }
    for (const one of router.interfaces) {
      const there = local.get(one.networkId);
      if (there === undefined) continue;
      const { localVlan } = there;
      const ips = one.addresses.map(({ ip }) => ip);
      const entity = { object, routerKey, localVlan, macAddress: one.macAddress, addresses: ips };
      desired.push(
        ...flows(
          profile,
          entity,
          routerIn.toRouterMac,
          routerIn.arpForRouter,
          routerIn.solicitationForRouter,
          routerIn.solicitsRouter,
        ),
      );
      placements.push(...this.#betweenHosts(view, there, { object, macAddress: one.macAddress, ips }));
    }
    for (const [id, { localVlan }] of local) {
      const entity = { object, routerKey, localVlan, ...egressMacs(router, id) };
      desired.push(...flows(profile, entity, routerOut.fromRouter));
    }
    desired.push(...routesOf(router, local).flatMap((entity) => flows(profile, entity, routerRoute.route)));
    return [...onInt(name, profile, desired), ...placements];
  });

  /** A network with a router, and everyone on it. */
  readonly routedNetwork = owner('routed network', (view, name, networkId) => {
    view.child(this.neighbours(name, networkId));
    view.each(this.#world.neighboursOf.at(networkId), (ip) => this.resolved(name, networkId, ip));
    const there = this.#localNetwork(view, name, networkId);
    const ofport = there && this.#wayOut(view, there);
    if (there === undefined || ofport === undefined) return NOTHING;
    const entity = { object: `network ${networkId}`, localVlan: there.localVlan, ofport };
    return onInt(name, there.profile, flows(there.profile, entity, routerOut.deliverOutside));
  });

  readonly neighbours = owner('neighbours', (view, name, networkId) => {
    const there = this.#localNetwork(view, name, networkId);
    if (there === undefined) return NOTHING;
    const { profile, localVlan, network } = there;
    const { templates, features } = profile;
    const here = templates.part(routerRoute.neighbour, { localVlan, isOutside: network.external });
    const place = { host: name, bridge: profile.integrationBridge };
    view.rows(this.#world.site.portsOf.at(networkId), place, (portId) => {
      const port = this.#neighbours.of(portId, this.#world.ports);
      return port === undefined ? NO_FLOWS : templates.renderParts(routerRoute.neighbour, port, here, features);
    });
    return NOTHING;
  });

  /** An address that the controller has found behind a port. Its MAC may be another than the port's. */
  readonly resolved = owner('resolved neighbour', (view, name, networkId, ipText) => {
    const there = this.#localNetwork(view, name, networkId);
    const found = view.read(this.#world.neighbours.at(networkId, ipText));
    if (there === undefined || found === undefined) return NOTHING;
    const { profile, localVlan } = there;
    const { macAddress, portId } = found;
    const object = portObject(portId);
    const entity = { object, localVlan, macAddress, addresses: [ipFromText(ipText)] };
    const row = onInt(name, profile, flows(profile, entity, routerRoute.resolvedNeighbour));
    const port = view.read(this.#world.ports.at(portId));
    if (port === undefined || port.macAddress === macAddress) return row;
    const location = view.read(this.#world.site.locations.at(portId));
    if (location !== name) return [...row, ...this.#behindTunnel(view, there, { object, macAddress, location })];
    const ofport = view.read(this.#world.bindings.at(name, portId))?.ofport;
    if (ofport === undefined) return row;
    const receiver = { object, macAddress, ofport };
    const here = onInt(name, profile, flows(profile, { ...receiver, localVlan }, routerOut.deliverHere));
    return [...row, ...here, ...this.#restored(view, there, receiver, this.#gatewaysOf(view, name, port))];
  });

  /** What a guest's port gets from the routers of its network. */
  readonly routedPort = owner('routed port', (view, name, portId) => {
    const port = view.read(this.#world.ports.at(portId));
    const ofport = view.read(this.#world.bindings.at(name, portId))?.ofport;
    if (port === undefined || ofport === undefined || !port.adminStateUp || !isServiceable(port)) return NOTHING;
    const there = this.#localNetwork(view, name, port.networkId);
    if (there?.profile.features.distributedRouting !== true) return NOTHING;
    const { profile, localVlan } = there;
    const gateways = this.#gatewaysOf(view, name, port);
    const { routedNetworks, centralNetworks } = this.#world.site;
    const isRouted = view.read(routedNetworks.at(name, port.networkId)) === true;
    const isHeard = isRouted || view.read(centralNetworks.at(name, port.networkId)) === true;
    const receiver = { object: portObject(portId), macAddress: port.macAddress, ofport };
    const entity = { ...receiver, localVlan };
    // Also where its own network has no router: the rows that a tag would meet are those of other networks.
    const desired = flows(profile, entity, routerIn.guestVlan);
    if (isRouted) desired.push(...flows(profile, entity, routerOut.deliverHere));
    if (isHeard) {
      desired.push(...flows(profile, entity, routerIn.toRouter));
      desired.push(...flows(profile, watchedGuest(port, ofport), routerIn.watchedGuest));
    }
    return [...onInt(name, profile, desired), ...this.#restored(view, there, receiver, gateways)];
  });

  /** A centralised port (sg) that somebody else has plugged in: routed frames are for it too. */
  readonly centralisedPort = owner('centralised port', (view, name, portId) => {
    const port = view.read(this.#world.pluggedPorts.at(portId));
    const ofport = view.read(this.#world.bindings.at(name, portId))?.ofport;
    if (port?.kind !== 'sg' || port.subnetId === undefined || ofport === undefined) return NOTHING;
    const there = this.#localNetwork(view, name, port.networkId);
    if (there === undefined) return NOTHING;
    const gateways = this.#gatewaysOf(view, name, { fixedIps: [{ subnetId: port.subnetId }] });
    const receiver = { object: portObject(portId), macAddress: port.macAddress, ofport };
    return this.#restored(view, there, receiver, gateways);
  });

  /** Ports of routers that somebody else has plugged in, of one network. */
  readonly pluggedRouters = owner('plugged routers', (view, name, networkId) => {
    const portIds = view.readAll(this.#world.pluggedInterfaces.at(networkId));
    const there = portIds.size === 0 ? undefined : this.#localNetwork(view, name, networkId);
    const hostMac = view.read(this.#world.hostMacs.at(name));
    if (there === undefined || hostMac === undefined) return NOTHING;
    const { profile, network, localVlan } = there;
    const tunnelled = isTunnelled(network.networkType);
    const vlan = tunnelled ? localVlan : (network.segmentationId ?? ('untagged' as const));
    const placements: Placement[] = [];
    const answered: { readonly port: PluggedPort; readonly entity: dvr.PluggedRouterPort }[] = [];
    for (const portId of [...portIds]) {
      const port = view.read(this.#world.pluggedPorts.at(portId));
      const ofport = view.read(this.#world.bindings.at(name, portId))?.ofport;
      if (port?.ip === undefined || ofport === undefined) continue;
      const { macAddress } = port;
      const object = `router ${port.routerId}`;
      const entity = { object, hostMac, macAddress, ofport, vlan, localVlan };
      answered.push({ port, entity });
      if (typeof port.ip === 'number') {
        const rule = tunnelled ? dvr.arpAnswerByTunnel : dvr.arpAnswerByProvider;
        placements.push(...onInt(name, profile, flows(profile, entity, rule)));
      }
      placements.push(...this.#betweenHosts(view, there, { object, macAddress, ips: [port.ip] }));
    }
    answered.sort(({ port: left }, { port: right }) => compareGateways(left, right));
    const ipv6 = answered.find(({ port }) => typeof port.ip === 'bigint')?.entity;
    const first = answered.find(({ port }) => typeof port.ip === 'number')?.entity ?? ipv6;
    const desired = [
      ...(first === undefined ? [] : flows(profile, first, tunnelled ? dvr.answerByTunnel : dvr.answerByProvider)),
      ...(ipv6 === undefined || ipv6 === first
        ? []
        : flows(profile, ipv6, tunnelled ? dvr.ipv6AnswerByTunnel : dvr.ipv6AnswerByProvider)),
    ];
    return [...placements, ...onInt(name, profile, desired)];
  });

  #localNetwork(view: View, host: string, networkId: string): LocalNetwork | undefined {
    const profile = view.read(this.#world.profiles.at(host));
    const network = view.read(this.#world.networks.at(networkId));
    const localVlan = view.read(this.#world.localVlans.at(host, networkId));
    if (profile === undefined || network === undefined || localVlan === undefined) return undefined;
    return { host, profile, network, localVlan };
  }

  /** On br-int, the port to other hosts. */
  #wayOut(view: View, { host, profile, network }: LocalNetwork): number | undefined {
    if (isTunnelled(network.networkType)) return view.read(this.#world.patchTun.at(host));
    const bridge = bridgeOf(profile, network);
    return bridge === undefined ? undefined : view.read(this.#world.patchPhys.at(host, bridge));
  }

  /** A router's MAC stays on its host. */
  #betweenHosts(view: View, there: LocalNetwork, { object, macAddress, ips }: RouterMac): readonly Placement[] {
    const { host, profile, network, localVlan } = there;
    const hostMac = view.read(this.#world.hostMacs.at(host));
    if (hostMac === undefined) return NOTHING;
    const mac = { object, localVlan, macAddress, hostMac };
    if (isTunnelled(network.networkType)) {
      if (view.read(this.#world.tunnelBridges.at(host)) === undefined) return NOTHING;
      const ipv4Addresses = ips.filter((ip) => typeof ip === 'number');
      const entity = { ...mac, ipv4Addresses, hasIpv6: ipv4Addresses.length < ips.length };
      return onTun(host, profile, flows(profile, entity, dvr.routerMacOnTunnels));
    }
    const bridge = bridgeOf(profile, network);
    if (bridge === undefined || !view.readAll(this.#world.physicalBridgesOf.at(host)).has(bridge)) return NOTHING;
    return [{ host, bridge, flows: flows(profile, mac, dvr.routerMacOnWire) }];
  }

  /** What others routed reaches a receiver here with its own router's MAC. */
  #restored(
    view: View,
    there: LocalNetwork,
    receiver: LocalReceiver,
    gateways: readonly Gateway[],
  ): readonly Placement[] {
    const { host, profile, network, localVlan } = there;
    const ipv6 = gateways.find(({ ip }) => typeof ip === 'bigint');
    const first = gateways.find(({ ip }) => typeof ip === 'number') ?? ipv6;
    if (first === undefined) return NOTHING;
    const isOther = ipv6 !== undefined && ipv6.macAddress !== first.macAddress;
    const restored = {
      ...receiver,
      routerMac: first.macAddress,
      ...(isOther && { routerIpv6Mac: ipv6.macAddress }),
    };
    if (isTunnelled(network.networkType)) {
      const entity = { ...restored, vlan: localVlan };
      return onInt(host, profile, flows(profile, entity, dvr.routedByTunnel, dvr.ipv6ByTunnel));
    }
    const patch = network.physicalNetwork === undefined ? undefined : this.#wayOut(view, there);
    if (patch === undefined) return NOTHING;
    const entity = { ...restored, patch, vlan: network.segmentationId ?? ('untagged' as const) };
    return onInt(host, profile, flows(profile, entity, dvr.routedByProvider, dvr.ipv6ByProvider));
  }

  #behindTunnel(
    view: View,
    { host, profile, network, localVlan }: LocalNetwork,
    {
      object,
      macAddress,
      location,
    }: { readonly object: string; readonly macAddress: number; readonly location: string | undefined },
  ): readonly Placement[] {
    const { networkType: type, segmentationId } = network;
    if (location === undefined || segmentationId === undefined || !isTunnelled(type)) return NOTHING;
    const ofport = view.read(this.#world.tunnels.at(host, tunnelKey(type, location)));
    if (ofport === undefined) return NOTHING;
    const entity = { object, localVlan, segmentationId, macAddress, ipv4Addresses: [], ofport };
    return onTun(host, profile, flows(profile, entity, remotePort));
  }

  /** Routers on the subnets of a port that are on this host, in order of router, then subnet. */
  #gatewaysOf(
    view: View,
    host: string,
    { fixedIps }: { readonly fixedIps: readonly { readonly subnetId: string }[] },
  ): readonly Gateway[] {
    const subnetIds = [...new Set(fixedIps.map(({ subnetId }) => subnetId))];
    const gateways = subnetIds.flatMap((subnetId) => view.read(this.#world.gateways.at(subnetId)) ?? []);
    return gateways
      .filter(({ portIds }) => {
        const isHere = (id: string) => view.read(this.#world.bindings.at(host, id)) !== undefined;
        return portIds === undefined || portIds.some(isHere);
      })
      .sort(compareGateways);
  }
}

type Ordered = { readonly routerId: string; readonly subnetId?: string };

function compareGateways(left: Ordered, right: Ordered): number {
  const [a, b] = [left, right].map(({ routerId, subnetId = '' }) => `${routerId}\0${subnetId}`);
  return a === undefined || b === undefined || a === b ? 0 : a < b ? -1 : 1;
}

function bridgeOf(profile: HostProfile, { physicalNetwork }: Network): string | undefined {
  return physicalNetwork === undefined ? undefined : profile.bridgeMappings.get(physicalNetwork);
}

function addressesOf(interfaces: readonly RoutedInterface[]) {
  return interfaces.flatMap(({ addresses }) => addresses.map(({ ip }) => ip));
}

function ipv6Macs(interfaces: readonly RoutedInterface[]): readonly number[] {
  const macs = interfaces.flatMap((one) =>
    one.addresses.some(({ ip }) => typeof ip === 'bigint') ? one.macAddress : [],
  );
  return [...new Set(macs)];
}

export function egressMacs({ interfaces }: RoutedRouter, networkId: string): { ipv4Mac?: number; ipv6Mac?: number } {
  const there = interfaces.filter((one) => one.networkId === networkId);
  const macOf = (family: 'number' | 'bigint') =>
    there.find(({ addresses }) => addresses.some(({ ip }) => typeof ip === family))?.macAddress;
  const [ipv4Mac, ipv6Mac] = [macOf('number'), macOf('bigint')];
  return { ...(ipv4Mac !== undefined && { ipv4Mac }), ...(ipv6Mac !== undefined && { ipv6Mac }) };
}

function routesOf(
  { id, key: routerKey, routes }: RoutedRouter,
  local: ReadonlyMap<string, LocalNetwork>,
): readonly routerRoute.Route[] {
  const largest = Math.max(...[...local.values()].map(({ network }) => network.mtu));
  return routes.flatMap(({ destination, networkId, nextHop }) => {
    const there = local.get(networkId);
    if (there === undefined) return [];
    const { mtu } = there.network;
    return {
      object: `router ${id}`,
      routerKey,
      destination,
      localVlan: there.localVlan,
      ...(nextHop !== undefined && { nextHop }),
      ...(mtu < largest && { mtu }),
    };
  });
}

/** Without port security a port may have any address. */
function watchedGuest(port: Port, ofport: number): routerIn.WatchedGuest {
  const watched = port.portSecurityEnabled
    ? port.allowedAddressPairs.map(({ ipAddress }) => ipAddress)
    : [
        { address: 0, length: 0 },
        { address: 0n, length: 0 },
      ];
  const own = port.fixedIps.map(({ ipAddress }) => ipAddress);
  const known = own.filter((ip) => watched.some((prefix) => prefixContains(prefix, ip)));
  return { object: `port ${port.id}`, ofport, watched, known };
}
