/**
 * Who renders routers: on each host the routers that it has, their networks, and everyone on those networks, here or elsewhere;
 * and what guests of theirs get from it. Beside owners.ts, which calls these.
 */
import { ipFromText } from '../lib/addresses.ts';
import { remotePort } from '../pipeline/br-tun.ts';
import * as dvr from '../pipeline/dvr.ts';
import { packetInMeters } from '../pipeline/packet-in-reasons.ts';
import * as routerIn from '../pipeline/router-in.ts';
import * as routerOut from '../pipeline/router-out.ts';
import * as routerRoute from '../pipeline/router-route.ts';
import { bridgeOf, type LocalNetwork, localNetwork, wayOut } from './local-network.ts';
import { flows, NO_FLOWS, NOTHING, onInt, onTun } from './placement.ts';
import type { PortParts } from './port-parts.ts';
import { compareGateways, gatewaysOf, restored } from './restored.ts';
import type { PluggedPort, RoutedInterface, RoutedRouter } from './routing.ts';
import { isServiceable, isTunnelled, tunnelKey } from './site.ts';
import { owner, type Placement, type View } from './view.ts';
import { portObject, type World } from './world.ts';

/** What the rows of one MAC of a router's between hosts are made of. */
type RouterMac = Pick<RoutedInterface, 'macAddress'> & {
  readonly object: string;
  readonly ips: readonly (number | bigint)[];
};

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
      const there = localNetwork(this.#world, view, name, id);
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
    view.each(this.#world.neighboursOf.at(networkId), (ip) => this.resolved(name, networkId, ip));
    const there = localNetwork(this.#world, view, name, networkId);
    if (there === undefined) return NOTHING;
    const { profile, localVlan, network } = there;
    const { templates, features } = profile;
    const here = templates.part(routerRoute.neighbour, { localVlan, isOutside: network.external });
    const bridge = { host: name, bridge: profile.integrationBridge };
    const placed = this.#world.site.ports.placedPorts(networkId);
    view.rows(this.#world.site.ports.portsOf.at(networkId), bridge, (_id, place) => {
      const port = placed.ports[place];
      const part = port && this.#neighbours.of(port, place);
      return part === undefined ? NO_FLOWS : templates.renderParts(routerRoute.neighbour, part, here, features);
    });
    const ofport = wayOut(this.#world, view, there);
    if (ofport === undefined) return NOTHING;
    const entity = { object: `network ${networkId}`, localVlan, ofport };
    return onInt(name, profile, flows(profile, entity, routerOut.deliverOutside));
  });

  /** An address that the controller has found behind a port. Its MAC may be another than the port's. */
  readonly resolved = owner('resolved neighbour', (view, name, networkId, ipText) => {
    const there = localNetwork(this.#world, view, name, networkId);
    const found = view.read(this.#world.neighbours.at(networkId, ipText));
    if (there === undefined || found === undefined) return NOTHING;
    const { profile, localVlan } = there;
    const { macAddress, portId } = found;
    const object = portObject(portId);
    const entity = { object, localVlan, macAddress, addresses: [ipFromText(ipText)] };
    const row = onInt(name, profile, flows(profile, entity, routerRoute.resolvedNeighbour));
    const port = view.read(this.#world.ports.at(portId));
    if (port === undefined || port.macAddress === macAddress) return row;
    const location = view.read(this.#world.site.ports.locations.at(portId));
    if (location !== name) return [...row, ...this.#behindTunnel(view, there, { object, macAddress, location })];
    const ofport = view.read(this.#world.bindings.at(name, portId))?.ofport;
    if (ofport === undefined) return row;
    const receiver = { object, macAddress, ofport };
    const gateways = gatewaysOf(this.#world, view, name, port);
    const here = flows(profile, { ...receiver, localVlan }, routerOut.deliverHere);
    here.push(...restored(this.#world, view, there, receiver, gateways));
    return [...row, ...onInt(name, profile, here)];
  });

  /** Ports of routers that somebody else has plugged in, of one network. */
  readonly pluggedRouters = owner('plugged routers', (view, name, networkId) => {
    const portIds = view.readAll(this.#world.pluggedInterfaces.at(networkId));
    const there = localNetwork(this.#world, view, name, networkId);
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
