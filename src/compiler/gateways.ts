/**
 * What the topology says of ways outside, as the compiler needs it: for each router the part that is on gateway hosts, and which
 * hosts those can be; and every floating IP. Pure; made whole from each topology.
 */
import { originHash } from '../flow/cookie.ts';
import { type Ip, type Prefix, prefixContains, prefixToText } from '../lib/addresses.ts';
import { LIMITS } from '../lib/limits.ts';
import { finish, STEP_LENGTH } from '../lib/steps.ts';
import type { Host, Network, Router, Topology } from '../topology/model.ts';
import { isTunnelled } from './names.ts';
import {
  compareText,
  hasRouters,
  ROUTERS_A_STEP,
  type RoutedRouter,
  type RoutingModel,
  routedRouter,
} from './routing.ts';

/** A router on its gateway hosts. */
export interface GatewayRouter {
  readonly id: string;
  /** Whether the hosts of its guests route too, and send here what they cannot. */
  readonly isDistributed: boolean;
  /** The part on gateway hosts: a key of its own, and the ports that it has there (sg). */
  readonly part: RoutedRouter;
  /** Of its interfaces, by what leads to the gateway: the subnet, and the gateway's address there. */
  readonly ways: readonly WayToGateway[];
  readonly outside?: Outside;
  /** Hosts that can be its gateway, the best first: by priority, but for one that goes before all others. */
  readonly hosts: readonly string[];
  /** The same by priority alone. */
  readonly candidates: readonly string[];
}

export interface WayToGateway {
  readonly networkId: string;
  readonly subnet: Prefix;
  readonly ip: Ip;
}

/** A router's gateway port (qg). */
export interface Outside {
  readonly networkId: string;
  readonly macAddress: number;
  readonly addresses: readonly Ip[];
  readonly enableSnat: boolean;
  /** Of the external network. */
  readonly subnets: readonly Prefix[];
  /** The external network's gateways, one of each family at most. */
  readonly nextHops: readonly Ip[];
  /** The router's routes by neighbours on the external network; one for each destination. */
  readonly routes: readonly OutsideRoute[];
}

export interface OutsideRoute {
  readonly destination: Prefix;
  readonly nextHop: Ip;
}

/** A floating IP that leads somewhere. */
export interface BoundFloatingIp {
  readonly id: string;
  readonly networkId: string;
  readonly floatingIp: number;
  readonly fixedIp: number;
  readonly portId: string;
  /** Network of the port. */
  readonly portNetworkId: string;
  readonly routerId: string;
  readonly isDistributed: boolean;
  /** Of the external network: its subnets, and the gateway of the one that the floating IP is of, else of the router. */
  readonly subnets: readonly Prefix[];
  readonly gatewayIp?: number;
  /** Of its router, by neighbours on the external network. */
  readonly routes: readonly OutsideRoute[];
}

export interface GatewayModel {
  /** By router id. */
  readonly routers: ReadonlyMap<string, GatewayRouter>;
  /** By id. */
  readonly floatingIps: ReadonlyMap<string, BoundFloatingIp>;
  /** Router ids by the key of their part on gateway hosts. */
  readonly idsByKey: ReadonlyMap<number, string>;
  /** What cannot be done, for people to read. */
  readonly warnings: readonly string[];
}

export const NO_GATEWAYS: GatewayModel = {
  routers: new Map(),
  floatingIps: new Map(),
  idsByKey: new Map(),
  warnings: [],
};

/** `leads`: hosts that go before others of their router, whatever the priorities, by router id. */
export function buildGateways(
  topology: Topology,
  routing: RoutingModel,
  leads: ReadonlyMap<string, string> = new Map(),
): GatewayModel {
  return finish(buildGatewaysSteps(topology, routing, leads));
}

/** Likewise in steps. */
export function* buildGatewaysSteps(
  topology: Topology,
  routing: RoutingModel,
  leads: ReadonlyMap<string, string>,
): Generator<void, GatewayModel> {
  const routers = new Map<string, GatewayRouter>();
  const idsByKey = new Map<number, string>();
  for (const [index, id] of [...topology.routers.keys()].sort().entries()) {
    if (index % ROUTERS_A_STEP === 0) yield;
    const router = topology.routers.get(id);
    if (router?.dataplane !== 'flows') continue;
    if (router.distributed && router.externalGatewayInfo === undefined) continue;
    let key = originHash('gateway', id);
    while (key === 0 || idsByKey.has(key) || routing.idsByKey.has(key)) key = (key + 1) >>> 0;
    idsByKey.set(key, id);
    const gateway = gatewayRouter(router, topology, key);
    routers.set(id, { ...gateway, hosts: ledBy(gateway.hosts, leads.get(id)) });
  }
  const floatingIps = new Map<string, BoundFloatingIp>();
  for (const id of topology.floatingIps.keys()) {
    if (floatingIps.size % STEP_LENGTH === 0) yield;
    const bound = boundFloatingIp(id, topology, routers);
    if (bound !== undefined) floatingIps.set(id, bound);
  }
  const warnings: string[] = [];
  for (const [index, router] of [...routers.values()].entries()) {
    if (index % ROUTERS_A_STEP === 0) yield;
    warnings.push(...homeless(router), ...alone(router, topology));
  }
  warnings.push(...unannounced(routers.values()));
  return { routers, floatingIps, idsByKey, warnings };
}

function ledBy(hosts: readonly string[], lead: string | undefined): readonly string[] {
  if (lead === undefined || !hosts.includes(lead)) return hosts;
  return [lead, ...hosts.filter((host) => host !== lead)];
}

function homeless({ id, hosts, outside, isDistributed }: GatewayRouter): readonly string[] {
  if (hosts.length > 0) return [];
  const what = isDistributed ? 'guests without a floating IP do not get out by it' : 'nothing is routed';
  const wire = outside === undefined ? '' : ` and a bridge mapping for network ${outside.networkId}`;
  return [`router ${id} has no gateway host, so that ${what}: no host has agent_mode dvr_snat${wire}`];
}

/** One host serves, others could, and none of them will: who lives is found by tunnels. */
function alone({ id, hosts, outside, part }: GatewayRouter, topology: Topology): readonly string[] {
  const [serving] = hosts;
  const external = outside && topology.networks.get(outside.networkId);
  const spare = ableHosts(topology, external).filter(({ name }) => name !== serving);
  if (hosts.length !== 1 || spare.length === 0) return [];
  const wired = part.networkIds.find(
    (networkId) => !isTunnelled(topology.networks.get(networkId)?.networkType ?? 'local'),
  );
  const why = !topology.settings.l2Population
    ? 'l2_population is off'
    : wired === undefined
      ? `of them ${serving} alone has a local_ip`
      : `its network ${wired} is no tunnelled one`;
  const others = spare.map(({ name }) => name).join(', ');
  return [
    `router ${id} has ${serving} for its gateway host, and ${others} does not take over when that fails, because ${why}: ` +
      `take agent_mode dvr_snat from ${serving} then, and heddle moves it`,
  ];
}

/** Hosts with more routers than they can announce by themselves (failover-owners.ts). */
function unannounced(routers: Iterable<GatewayRouter>): readonly string[] {
  const counts = new Map<string, number>();
  for (const { hosts, outside } of routers) {
    if (hosts.length < 2 || outside === undefined) continue;
    for (const host of hosts) counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  const { announcedRouters } = LIMITS;
  const beyond = [...counts].filter(([, count]) => count > announcedRouters);
  return beyond.map(
    ([host, count]) =>
      `host ${host} can be the gateway of ${count} routers that others can serve as well, and announces only the first ` +
      `${announcedRouters} of them outside while no controller runs: spread them over more hosts`,
  );
}

function gatewayRouter(router: Router, topology: Topology, key: number): GatewayRouter {
  const interfaces = router.distributed ? router.snatPorts : router.interfaces;
  const part = routedRouter({ ...router, interfaces }, topology, key);
  const outside = outsideOf(router, topology, part);
  const external = outside && topology.networks.get(outside.networkId);
  const hosts = gatewayHosts(topology, external, canFailOver(topology, interfaces));
  const ways = interfaces.flatMap(({ networkId, subnetId, ipAddress: ip }) => {
    const subnet = topology.subnets.get(subnetId)?.cidr;
    return subnet === undefined ? [] : { networkId, subnet, ip };
  });
  return {
    id: router.id,
    isDistributed: router.distributed,
    part,
    ways,
    ...(outside && { outside }),
    hosts,
    candidates: hosts,
  };
}

function outsideOf(router: Router, topology: Topology, part: RoutedRouter): Outside | undefined {
  const { externalGatewayInfo: gateway } = router;
  if (gateway === undefined) return undefined;
  const { networkId, macAddress, enableSnat, externalFixedIps } = gateway;
  const addresses = externalFixedIps.map(({ ipAddress }) => ipAddress);
  const own = externalFixedIps.flatMap(({ subnetId }) => topology.subnets.get(subnetId)?.gatewayIp ?? []);
  const nextHops = (['number', 'bigint'] as const).flatMap((family) => own.find((ip) => typeof ip === family) ?? []);
  const subnets = subnetsOf(networkId, topology);
  const routes = outsideRoutes(router, part, subnets);
  return { networkId, macAddress, addresses, enableSnat, subnets, nextHops, routes };
}

/** What the router is attached to, or reaches by a neighbour inside, goes there. */
function outsideRoutes({ routes }: Router, part: RoutedRouter, subnets: readonly Prefix[]): readonly OutsideRoute[] {
  const inside = [...part.routes.map(({ destination }) => destination), ...subnets];
  const taken = new Set(inside.map(prefixToText));
  return routes.flatMap(({ destination, nexthop: nextHop }) => {
    const text = prefixToText(destination);
    if (taken.has(text) || !subnets.some((cidr) => prefixContains(cidr, nextHop))) return [];
    taken.add(text);
    return { destination, nextHop };
  });
}

function subnetsOf(networkId: string, topology: Topology): readonly Prefix[] {
  const ids = topology.networks.get(networkId)?.subnetIds ?? [];
  return ids.flatMap((id) => topology.subnets.get(id)?.cidr ?? []);
}

/** Who serves is found by the tunnels: one that lives by physical networks as well has one gateway host alone. */
function canFailOver({ settings, networks }: Topology, interfaces: Router['interfaces']): boolean {
  const types = interfaces.map(({ networkId }) => networks.get(networkId)?.networkType ?? 'local');
  return settings.l2Population && types.every(isTunnelled);
}

/** By priority, then by name. */
function ableHosts(topology: Topology, external: Network | undefined): readonly Host[] {
  const able = [...topology.hosts.values()].filter(
    (host) => host.agentMode === 'dvr_snat' && (external === undefined || reaches(host, external)),
  );
  return able.sort((a, b) => b.gatewayPriority - a.gatewayPriority || compareText(a.name, b.name));
}

/** Without failover the best one alone. */
function gatewayHosts(topology: Topology, external: Network | undefined, failsOver: boolean): readonly string[] {
  const able = ableHosts(topology, external);
  const names = able.map(({ name }) => name);
  const withTunnels = able.filter(({ localIp }) => localIp !== undefined).map(({ name }) => name);
  return failsOver && withTunnels.length > 0 ? withTunnels : names.slice(0, 1);
}

/** Whether a host has the wire of an external network. */
export function reaches(host: Host, { physicalNetwork }: Network): boolean {
  return physicalNetwork !== undefined && host.bridgeMappings.has(physicalNetwork);
}

function boundFloatingIp(
  id: string,
  topology: Topology,
  routers: ReadonlyMap<string, GatewayRouter>,
): BoundFloatingIp | undefined {
  const floating = topology.floatingIps.get(id);
  const target = floating?.target;
  const router = target && routers.get(target.routerId);
  const port = target && topology.ports.get(target.portId);
  if (floating === undefined || target === undefined || router === undefined || port === undefined) return undefined;
  const { floatingIpAddress: floatingIp, floatingNetworkId: networkId } = floating;
  const subnetIds = topology.networks.get(networkId)?.subnetIds ?? [];
  const own = subnetIds.map((subnetId) => topology.subnets.get(subnetId));
  const gatewayIp =
    own.find((subnet) => subnet !== undefined && prefixContains(subnet.cidr, floatingIp))?.gatewayIp ??
    router.outside?.nextHops.find((ip) => typeof ip === 'number');
  return {
    id,
    networkId,
    floatingIp,
    fixedIp: target.fixedIpAddress,
    portId: port.id,
    portNetworkId: port.networkId,
    routerId: router.id,
    isDistributed: router.isDistributed,
    subnets: subnetsOf(networkId, topology),
    routes: router.outside?.routes ?? [],
    ...(typeof gatewayIp === 'number' && { gatewayIp }),
  };
}

/**
 * Where a floating IP is served: on the host of its port, where that one routes and has, and may use, the external network's wire;
 * else on the gateway host of the router.
 */
export function floatingIpPlace(
  floating: BoundFloatingIp,
  model: GatewayModel,
  topology: Topology,
  location: string | undefined,
): { readonly host: string; readonly isAtPort: boolean } | undefined {
  const host = location === undefined ? undefined : topology.hosts.get(location);
  const network = topology.networks.get(floating.networkId);
  const canBeAtPort =
    floating.isDistributed && host !== undefined && network !== undefined && hasRouters(topology, host);
  if (canBeAtPort && host.agentMode !== 'dvr_no_external' && reaches(host, network))
    return { host: host.name, isAtPort: true };
  const [gateway] = model.routers.get(floating.routerId)?.hosts ?? [];
  return gateway === undefined ? undefined : { host: gateway, isAtPort: false };
}
