/**
 * Who renders ways outside: on each host the external networks that it serves, its floating IPs, the gateways of routers that
 * are there, and the way to those that are elsewhere. Beside router-owners.ts; owners.ts calls these.
 */
import { type Ip, ipFromText } from '../lib/addresses.ts';
import { arpForLocal, remotePort } from '../pipeline/br-tun.ts';
import * as gateway from '../pipeline/gateway.ts';
import * as alive from '../pipeline/gateway-alive.ts';
import * as failover from '../pipeline/gateway-failover.ts';
import * as nat from '../pipeline/nat.ts';
import * as outside from '../pipeline/outside.ts';
import { fromRouter } from '../pipeline/router-out.ts';
import { neighbour, route } from '../pipeline/router-route.ts';
import type { Network } from '../topology/model.ts';
import { pairKey } from './facts.ts';
import { FailoverOwners, wayGroupOf } from './failover-owners.ts';
import type { BoundFloatingIp, GatewayRouter } from './gateways.ts';
import { bridgeOf, type LocalNetwork, localNetwork, wayOut } from './local-network.ts';
import { flows, NOTHING, onInt, onTun } from './placement.ts';
import { egressMacs } from './router-owners.ts';
import { isTunnelled, tunnelKey } from './site.ts';
import { owner, type Placement, type View } from './view.ts';
import type { World } from './world.ts';

/** A network and the port to its wire. */
type Wired = LocalNetwork & { readonly ofport: number };

export class GatewayOwners {
  readonly #world: World;
  readonly #failover: FailoverOwners;

  constructor(world: World) {
    this.#world = world;
    this.#failover = new FailoverOwners(world);
  }

  /** All ways outside of a host. */
  readonly waysOutside = owner('ways outside', (view, name) => {
    const { gateways } = this.#world.site;
    view.child(this.#failover.aliveness(name));
    view.each(gateways.externalNetworksOn.at(name), (network) => this.externalNetwork(name, network));
    view.each(gateways.gatewaysOn.at(name), (router) => this.gateway(name, router));
    view.each(gateways.floatingIpsOn.at(name), (id) => this.floatingIp(name, id));
    return NOTHING;
  });

  readonly externalNetwork = owner('external network', (view, name, networkId) => {
    const { gateways } = this.#world.site;
    view.each(gateways.floatingIpsOf.at(networkId), (id) => this.floatingNeighbour(name, networkId, id));
    view.each(gateways.gatewaysOf.at(networkId), (router) => this.gatewayNeighbour(name, networkId, router));
    const found = this.#world.outsideNeighboursOf.at(pairKey(name, networkId));
    view.each(found, (ip) => this.outsideNeighbour(name, networkId, ip));
    const there = this.#wired(view, name, networkId);
    if (there === undefined) return NOTHING;
    const { profile, network } = there;
    const wire = wireOf(there);
    const hostMac = view.read(this.#world.hostMacs.at(name));
    const nextHops = view.read(gateways.nextHops.at(networkId)) ?? [];
    const desired = [
      ...flows(profile, { object: `host ${name}` }, nat.translates),
      ...(hostMac === undefined ? [] : flows(profile, { ...wire, macAddress: hostMac }, outside.outsideMac)),
      ...nextHops.flatMap((ip) => flows(profile, { ...wire, ip }, outside.gatewayAnnounced)),
    ];
    const bridge = bridgeOf(profile, network);
    const hasBridge = bridge !== undefined && view.readAll(this.#world.physicalBridgesOf.at(name)).has(bridge);
    const onWire = hasBridge ? [{ host: name, bridge, flows: flows(profile, wire, outside.outsideOnWire) }] : [];
    return [...onInt(name, profile, desired), ...onWire];
  });

  /** A floating IP, seen from a host that serves its network: the MAC that it is at. */
  readonly floatingNeighbour = owner('floating neighbour', (view, name, networkId, id) => {
    const there = localNetwork(this.#world, view, name, networkId);
    const { gateways } = this.#world.site;
    const floating = view.read(gateways.floatingIps.at(id));
    const place = view.read(gateways.floatingIpPlaces.at(id));
    if (there === undefined || floating === undefined || place === undefined) return NOTHING;
    const macAddress = place.isAtPort
      ? view.read(this.#world.hostMacs.at(place.host))
      : view.read(gateways.routers.at(floating.routerId))?.outside?.macAddress;
    if (macAddress === undefined) return NOTHING;
    const entity = { object: `floating_ip ${id}`, localVlan: there.localVlan, ip: floating.floatingIp, macAddress };
    return onInt(name, there.profile, flows(there.profile, entity, outside.ownNeighbour));
  });

  readonly gatewayNeighbour = owner('gateway neighbour', (view, name, networkId, routerId) => {
    const there = localNetwork(this.#world, view, name, networkId);
    const way = view.read(this.#world.site.gateways.routers.at(routerId))?.outside;
    if (there === undefined || way === undefined) return NOTHING;
    const { profile, localVlan } = there;
    const entity = { object: `router ${routerId}`, localVlan, macAddress: way.macAddress };
    const rows = way.addresses.flatMap((ip) => flows(profile, { ...entity, ip }, outside.ownNeighbour));
    return onInt(name, profile, rows);
  });

  readonly outsideNeighbour = owner('outside neighbour', (view, name, networkId, ipText) => {
    const there = localNetwork(this.#world, view, name, networkId);
    const macAddress = view.read(this.#world.outsideNeighbours.at(pairKey(pairKey(name, networkId), ipText)));
    if (there === undefined || macAddress === undefined) return NOTHING;
    const { profile, localVlan } = there;
    const entity = { object: `network ${networkId}`, localVlan, ip: ipFromText(ipText), macAddress };
    return onInt(name, profile, flows(profile, entity, outside.outsideNeighbour));
  });

  /** A floating IP on the host that serves it. */
  readonly floatingIp = owner('floating IP', (view, name, id) => {
    const { gateways } = this.#world.site;
    const floating = view.read(gateways.floatingIps.at(id));
    const isAtPort = view.read(gateways.floatingIpPlaces.at(id))?.isAtPort;
    const router = floating && view.read(gateways.routers.at(floating.routerId));
    const zones = floating && view.read(this.#world.zones.at(floating.routerId));
    const there = floating && this.#wired(view, name, floating.networkId);
    if (floating === undefined || router === undefined || isAtPort === undefined) return NOTHING;
    if (zones === undefined || there === undefined) return NOTHING;
    const macAddress = isAtPort ? view.read(this.#world.hostMacs.at(name)) : router.outside?.macAddress;
    const routerKey = isAtPort ? view.read(this.#world.routers.at(router.id))?.key : router.part.key;
    const inside = view.read(this.#world.networks.at(floating.portNetworkId));
    if (macAddress === undefined || routerKey === undefined || inside === undefined) return NOTHING;
    const { profile, network, localVlan } = there;
    const part = { routerKey, zones: isAtPort ? zones.distributed : zones.gateway };
    const { floatingIp, fixedIp } = floating;
    const object = `floating_ip ${id}`;
    const entity = { object, ...part, localVlan, floatingIp, fixedIp, macAddress };
    const mtu = inside.mtu < network.mtu ? { mtu: inside.mtu } : {};
    const asker = isAtPort ? undefined : this.#failover.askerOf(view, name, router);
    const nextHops = view.read(gateways.nextHops.at(floating.networkId)) ?? [];
    const address = { ...wireOf(there), object, macAddress, ip: floatingIp, nextHops, ...(asker && { asker }) };
    return onInt(name, profile, [
      ...flows(profile, address, outside.arpFromOutside),
      ...flows(profile, { ...entity, ...mtu }, nat.toFloatingIp, nat.fromFloatingIp),
      ...(isAtPort ? flows(profile, { object: `router ${router.id}`, ...part }, nat.answers) : []),
      ...(isAtPort ? [] : flows(profile, { ...entity, gatewayIps: ipv4Of(router) }, nat.floatingToGateway)),
      ...(isAtPort ? flows(profile, floatingRouteOf(entity, floating, { inside, network }), nat.floatingRoute) : []),
    ]);
  });

  /** A router on its gateway host. */
  readonly gateway = owner('gateway', (view, name, routerId) => {
    const router = view.read(this.#world.site.gateways.routers.at(routerId));
    const profile = view.read(this.#world.profiles.at(name));
    if (router === undefined || profile === undefined) return NOTHING;
    const { part } = router;
    const object = `router ${routerId}`;
    const isOneOfSeveral = router.hosts.length > 1;
    const local = new Map<string, LocalNetwork>();
    for (const id of [...part.networkIds, ...(router.outside === undefined ? [] : [router.outside.networkId])]) {
      const there = localNetwork(this.#world, view, name, id);
      if (there !== undefined) local.set(id, there);
    }
    const largest = Math.max(0, ...[...local.values()].map(({ network }) => network.mtu));
    const inside = part.interfaces.flatMap((one) => {
      const there = local.get(one.networkId);
      if (there === undefined) return [];
      const ips = one.addresses.map(({ ip }) => ip);
      const { localVlan } = there;
      const entity = { object, routerKey: part.key, localVlan, macAddress: one.macAddress, isOneOfSeveral };
      return this.#gatewayInterface(view, there, {
        ...entity,
        ipv4Addresses: ips.filter((ip) => typeof ip === 'number'),
      });
    });
    const leaving = [...local].flatMap(([id, { localVlan }]) =>
      flows(profile, { object, routerKey: part.key, localVlan, ...egressMacs(part, id) }, fromRouter),
    );
    const routes = part.routes.flatMap(({ networkId, destination, nextHop }) => {
      const there = local.get(networkId);
      if (there === undefined) return [];
      const { localVlan, network } = there;
      const entity = { object, routerKey: part.key, destination, localVlan, ...(nextHop !== undefined && { nextHop }) };
      return flows(profile, { ...entity, ...(network.mtu < largest && { mtu: network.mtu }) }, route);
    });
    const addresses = [
      ...part.interfaces.flatMap((one) => one.addresses.map(({ ip }) => ip)),
      ...(router.outside?.addresses ?? []),
    ];
    const own = flows(profile, { object, routerKey: part.key, addresses }, gateway.gatewayAddress);
    return [
      ...inside,
      ...onInt(name, profile, [...own, ...leaving, ...routes]),
      ...this.#gatewayOutside(view, name, router, largest),
      ...this.#failover.whoServes(view, name, router),
    ];
  });

  /** What leads to the gateways of a network's routers, on this host or another; and to guests of an external one. */
  readonly gatewaysInside = owner('gateways of network', (view, name, networkId) => {
    const { gatewaysInside, nextHops } = this.#world.site.gateways;
    view.each(gatewaysInside.at(networkId), (router) => this.gatewayInside(name, networkId, router));
    const there = view.read(nextHops.at(networkId)) && this.#wired(view, name, networkId);
    if (there === undefined) return NOTHING;
    return onInt(name, there.profile, flows(there.profile, wireOf(there), outside.fromFloatingIpElsewhere));
  });

  readonly gatewayInside = owner('gateway of network', (view, name, networkId, routerId) => {
    const router = view.read(this.#world.site.gateways.routers.at(routerId));
    const there = localNetwork(this.#world, view, name, networkId);
    if (router === undefined || there === undefined) return NOTHING;
    const placements = router.part.interfaces
      .filter((one) => one.networkId === networkId)
      .flatMap(({ macAddress, addresses }) => {
        const ips = addresses.map(({ ip }) => ip);
        return this.#towardsGateway(view, there, { router, macAddress, ips });
      });
    return [
      ...placements,
      ...this.#failover.wayGroup(view, there, router),
      ...this.#waysToGateway(view, there, router),
    ];
  });

  #wired(view: View, host: string, networkId: string): Wired | undefined {
    const there = localNetwork(this.#world, view, host, networkId);
    const ofport = there && wayOut(this.#world, view, there);
    return there === undefined || ofport === undefined ? undefined : { ...there, ofport };
  }

  #gatewayInterface(view: View, there: LocalNetwork, entity: gateway.GatewayInterface): readonly Placement[] {
    const { host, profile, network } = there;
    const desired = flows(profile, entity, gateway.toGateway);
    const ofport = wayOut(this.#world, view, there);
    if (ofport === undefined) return onInt(host, profile, desired);
    const entrance = { ...entity, ofport };
    if (entity.isOneOfSeveral === true)
      desired.push(...flows(profile, { ...entity, patchTun: ofport }, failover.servedHere));
    desired.push(...flows(profile, entrance, gateway.toGatewayFromOtherHost));
    if (isTunnelled(network.networkType)) desired.push(...flows(profile, entrance, gateway.routedToGatewayByTunnel));
    else {
      const vlan = network.segmentationId ?? ('untagged' as const);
      desired.push(...flows(profile, { ...entrance, vlan }, gateway.routedToGatewayByProvider));
    }
    return onInt(host, profile, desired);
  }

  #gatewayOutside(view: View, name: string, router: GatewayRouter, largest: number) {
    const { id, part, outside: way } = router;
    const zones = view.read(this.#world.zones.at(id))?.gateway;
    const there = way && this.#wired(view, name, way.networkId);
    if (way === undefined || zones === undefined || there === undefined) return NOTHING;
    const { profile, network, localVlan } = there;
    const { macAddress, addresses, enableSnat, subnets, nextHops, routes } = way;
    const object = `router ${id}`;
    const asker = this.#failover.askerOf(view, name, router);
    const wire = { ...wireOf(there), object, macAddress, ...(asker && { asker }) };
    const mtu = network.mtu < largest ? { mtu: network.mtu } : {};
    const leaving = { object, routerKey: part.key, localVlan, ...mtu };
    const ipv4Addresses = addresses.filter((ip) => typeof ip === 'number');
    const announced = asker && { ...wire, ...asker, ip: ipv4Addresses[0] ?? 0 };
    const entity = { object, routerKey: part.key, zones, localVlan, macAddress, ipv4Addresses, enableSnat };
    return onInt(name, profile, [
      ...flows(profile, wire, outside.outsideMac),
      ...(announced ? flows(profile, announced, alive.announced) : []),
      ...ipv4Addresses.flatMap((ip) => flows(profile, { ...wire, ip, nextHops }, outside.arpFromOutside)),
      ...(addresses.length > ipv4Addresses.length
        ? flows(profile, { ...wire, addresses }, outside.solicitationFromOutside)
        : []),
      ...flows(profile, entity, nat.answers, gateway.gatewayOutside),
      ...flows(profile, { ...leaving, nextHops }, gateway.gatewayRoute),
      ...subnets.flatMap((subnet) => flows(profile, { ...leaving, subnet }, gateway.gatewaySubnet)),
      ...routes.flatMap((one) => flows(profile, { ...leaving, ...one }, route)),
    ]);
  }

  /** A gateway's MAC is behind a tunnel, like any port's. */
  #towardsGateway(
    view: View,
    { host, profile, network, localVlan }: LocalNetwork,
    {
      router,
      macAddress,
      ips,
    }: { readonly router: GatewayRouter; readonly macAddress: number; readonly ips: readonly Ip[] },
  ): readonly Placement[] {
    const { networkType: type, segmentationId } = network;
    const [serving] = router.hosts;
    if (serving === undefined || segmentationId === undefined || !isTunnelled(type)) return NOTHING;
    const object = `router ${router.id}`;
    // Guests ask for a gateway only where it is all that there is of its router.
    const ipv4Addresses = router.isDistributed ? [] : ips.filter((ip) => typeof ip === 'number');
    if (router.hosts.length > 1) {
      const isHere = router.hosts.includes(host);
      const way = { object, localVlan, macAddress, group: wayGroupOf(router, network) };
      const chosen = flows(
        profile,
        { ...way, ipv4Addresses: isHere ? [] : ipv4Addresses },
        failover.gatewayBehindTunnels,
      );
      const local = isHere ? flows(profile, { object, localVlan, ipv4Addresses }, arpForLocal) : [];
      return onTun(host, profile, [...chosen, ...local]);
    }
    if (serving === host) {
      const isReady = view.read(this.#world.tunnelBridges.at(host)) !== undefined;
      return isReady
        ? onTun(host, profile, flows(profile, { object, localVlan, ipv4Addresses }, arpForLocal))
        : NOTHING;
    }
    const ofport = view.read(this.#world.tunnels.at(host, tunnelKey(type, serving)));
    if (ofport === undefined) return NOTHING;
    const entity = { object, localVlan, segmentationId, macAddress, ipv4Addresses, ofport };
    return onTun(host, profile, flows(profile, entity, remotePort));
  }

  /** From the router on this host to its gateway, by the networks that it has its guests on. */
  #waysToGateway(view: View, { host, profile, network, localVlan }: LocalNetwork, router: GatewayRouter) {
    const { id } = router;
    const isHere = view.readAll(this.#world.site.routersOf.at(host)).has(id);
    const routerKey = view.read(this.#world.routers.at(id))?.key;
    if (!isHere || routerKey === undefined || router.hosts.length === 0) return NOTHING;
    const object = `router ${id}`;
    const destinations = router.outside?.routes.map(({ destination }) => destination) ?? [];
    const macOf = (ip: Ip): number | undefined =>
      router.part.interfaces.find((one) => one.networkId === network.id && one.addresses.some((own) => own.ip === ip))
        ?.macAddress;
    const desired = router.ways.flatMap(({ networkId, subnet, ip }) => {
      const macAddress = macOf(ip);
      if (networkId !== network.id || macAddress === undefined) return [];
      return [
        ...flows(profile, { object, routerKey, localVlan, subnet, ip, destinations }, gateway.wayToGateway),
        ...flows(profile, { object, localVlan, macAddress, addresses: [ip] }, neighbour),
      ];
    });
    return onInt(host, profile, desired);
  }
}

const ipv4Of = ({ outside: way }: GatewayRouter): readonly number[] =>
  (way?.addresses ?? []).filter((ip) => typeof ip === 'number');

function wireOf({ network, localVlan, ofport }: Wired) {
  const { segmentationId } = network;
  return {
    object: `network ${network.id}`,
    localVlan,
    ofport,
    ...(segmentationId !== undefined && { segmentationId }),
  };
}

function floatingRouteOf(
  { object, routerKey, localVlan, fixedIp }: nat.FloatingIp,
  { subnets, gatewayIp, routes }: BoundFloatingIp,
  { inside, network }: { readonly inside: Network; readonly network: Network },
): nat.FloatingRoute {
  return {
    object,
    routerKey,
    fixedIp,
    localVlan,
    subnets,
    routes,
    ...(gatewayIp !== undefined && { gatewayIp }),
    ...(network.mtu < inside.mtu && { mtu: network.mtu }),
  };
}
