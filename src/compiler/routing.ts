/**
 * Routers as the compiler needs them: what the topology says of each, taken apart and put together anew for those who look it
 * up by router, by network, by subnet and by port. Pure; made whole from each topology.
 */
import { originHash } from '../flow/cookie.ts';
import { type Ip, ipToText, type Prefix, prefixContains } from '../lib/addresses.ts';
import { finish } from '../lib/steps.ts';
import type { Host, Router, RouterPort, Topology } from '../topology/model.ts';

/** A router that is on every host which needs it. */
export interface RoutedRouter {
  readonly id: string;
  /** What stands for it in a register: 32 bits, never 0, of its own. */
  readonly key: number;
  readonly dataplane: Router['dataplane'];
  /** Sorted. */
  readonly networkIds: readonly string[];
  /** Sorted by network, then MAC. */
  readonly interfaces: readonly RoutedInterface[];
  /** Of its own subnets, and by neighbours on them. One for each destination of each kind. */
  readonly routes: readonly RoutedRoute[];
}

/** A MAC of a router's on a network. */
export interface RoutedInterface {
  readonly networkId: string;
  readonly macAddress: number;
  /** Sorted by subnet. */
  readonly addresses: readonly { readonly ip: Ip; readonly subnetId: string }[];
}

export interface RoutedRoute {
  readonly destination: Prefix;
  readonly networkId: string;
  /** Absent: the router is attached to the destination. */
  readonly nextHop?: Ip;
}

/** A router's address on a subnet, as the subnet's guests know it. */
export interface Gateway {
  readonly routerId: string;
  readonly networkId: string;
  readonly subnetId: string;
  readonly macAddress: number;
  readonly ip: Ip;
  /** iface-ids of the ports that say that the router is on a host (qr, sg); absent: it is flows. */
  readonly portIds?: readonly string[];
}

/** A router's port that somebody else plugs into br-int. */
export interface PluggedPort {
  readonly routerId: string;
  readonly networkId: string;
  readonly macAddress: number;
  /** An interface, a centralised port, or the gateway port. */
  readonly kind: 'qr' | 'sg' | 'qg';
  /** Absent for the gateway port. */
  readonly subnetId?: string;
  readonly ip?: Ip;
}

export interface RoutingModel {
  /** By id. */
  readonly routers: ReadonlyMap<string, RoutedRouter>;
  /** Ids by key. */
  readonly idsByKey: ReadonlyMap<number, string>;
  /** By subnet id, in order of router. */
  readonly gateways: ReadonlyMap<string, readonly Gateway[]>;
  /** By iface-id. */
  readonly pluggedPorts: ReadonlyMap<string, PluggedPort>;
  /** iface-ids of interfaces, by network id; in order of router, then subnet. */
  readonly pluggedInterfaces: ReadonlyMap<string, readonly string[]>;
  /** What of the topology's routers is not done, or not done wholly, for people to read. */
  readonly warnings: readonly string[];
}

export const NO_ROUTING: RoutingModel = {
  routers: new Map(),
  idsByKey: new Map(),
  gateways: new Map(),
  pluggedPorts: new Map(),
  pluggedInterfaces: new Map(),
  warnings: [],
};

/** A router is some 100 µs of work: its subnets, its routes, and in gateways.ts who can be its gateway host. */
export const ROUTERS_A_STEP = 16;

/** Whether a host has routers at all. */
export function hasRouters({ settings }: Topology, host: Host): boolean {
  return settings.enableDistributedRouting && host.agentMode !== 'legacy';
}

export function buildRouting(topology: Topology): RoutingModel {
  return finish(buildRoutingSteps(topology));
}

/** Likewise in steps. */
export function* buildRoutingSteps(topology: Topology): Generator<void, RoutingModel> {
  const routers = new Map<string, RoutedRouter>();
  const gateways = new Map<string, Gateway[]>();
  const pluggedPorts = new Map<string, PluggedPort>();
  const pluggedInterfaces = new Map<string, string[]>();
  const keys = routerKeys(topology.routers.keys());
  for (const [index, id] of [...topology.routers.keys()].sort().entries()) {
    if (index % ROUTERS_A_STEP === 0) yield;
    const router = topology.routers.get(id);
    if (router === undefined) continue;
    for (const [portId, port] of pluggedPortsOf(router)) {
      pluggedPorts.set(portId, port);
      if (port.kind === 'qr' && router.distributed) append(pluggedInterfaces, port.networkId, portId);
    }
    if (!router.distributed) continue;
    const routed = routedRouter(router, topology, keys.get(id) ?? 0);
    routers.set(id, routed);
    for (const gateway of gatewaysOf(router)) append(gateways, gateway.subnetId, gateway);
  }
  yield;
  const warnings = [...ambiguous(topology, gateways), ...chained(topology)];
  const idsByKey = new Map([...keys].map(([id, key]) => [key, id]));
  return { routers, idsByKey, gateways, pluggedPorts, pluggedInterfaces, warnings };
}

/** A hash of the id, so that a router has one key wherever and whenever; where two are equal, the later id takes the next. */
function routerKeys(ids: Iterable<string>): ReadonlyMap<string, number> {
  const keys = new Map<string, number>();
  const taken = new Set([0]);
  for (const id of [...ids].sort()) {
    let key = originHash('router', id);
    while (taken.has(key)) key = (key + 1) >>> 0;
    taken.add(key);
    keys.set(id, key);
  }
  return keys;
}

/** A router with some of its ports, taken apart. */
export function routedRouter(
  { id, dataplane, interfaces, routes }: Pick<Router, 'id' | 'dataplane' | 'interfaces' | 'routes'>,
  topology: Topology,
  key: number,
): RoutedRouter {
  const byMac = Map.groupBy(interfaces, ({ networkId, macAddress }) => `${networkId}\0${macAddress}`);
  const grouped: RoutedInterface[] = [];
  for (const ports of byMac.values()) {
    const [first] = ports;
    if (first === undefined) continue;
    const { networkId, macAddress } = first;
    const addresses = ports.map(({ ipAddress, subnetId }) => ({ ip: ipAddress, subnetId }));
    grouped.push({ networkId, macAddress, addresses: addresses.sort((a, b) => compareText(a.subnetId, b.subnetId)) });
  }
  grouped.sort((a, b) => compareText(a.networkId, b.networkId) || a.macAddress - b.macAddress);
  const networkIds = [...new Set(interfaces.map(({ networkId }) => networkId))].sort();
  return { id, key, dataplane, networkIds, interfaces: grouped, routes: routesOf({ interfaces, routes }, topology) };
}

function routesOf({ interfaces, routes }: Pick<Router, 'interfaces' | 'routes'>, topology: Topology): RoutedRoute[] {
  const attached: { readonly cidr: Prefix; readonly networkId: string }[] = interfaces.flatMap((port) => {
    const cidr = topology.subnets.get(port.subnetId)?.cidr;
    return cidr === undefined ? [] : [{ cidr, networkId: port.networkId }];
  });
  const routed: RoutedRoute[] = attached.map(({ cidr, networkId }) => ({ destination: cidr, networkId }));
  const seen = new Set<string>();
  for (const { destination, nexthop } of routes) {
    const way = attached.find(({ cidr }) => prefixContains(cidr, nexthop));
    const key = `${ipToText(destination.address)}/${destination.length}`;
    if (way === undefined || seen.has(key)) continue;
    seen.add(key);
    routed.push({ destination, networkId: way.networkId, nextHop: nexthop });
  }
  return routed;
}

function gatewaysOf(router: Router): readonly Gateway[] {
  return router.interfaces.map(({ networkId, subnetId, macAddress, ipAddress: ip, portId }) => {
    const gateway = { routerId: router.id, networkId, subnetId, macAddress, ip };
    if (router.dataplane === 'flows') return gateway;
    const centralisedIds = router.snatPorts.flatMap((sg) => (sg.subnetId === subnetId ? (sg.portId ?? []) : []));
    return { ...gateway, portIds: [...(portId === undefined ? [] : [portId]), ...centralisedIds] };
  });
}

function* pluggedPortsOf(router: Router): Generator<readonly [string, PluggedPort]> {
  if (router.dataplane !== 'namespace') return;
  const { id: routerId, externalGatewayInfo: gateway } = router;
  const describe = (
    { networkId, macAddress, subnetId, ipAddress: ip }: RouterPort,
    kind: 'qr' | 'sg',
  ): PluggedPort => ({
    routerId,
    networkId,
    macAddress,
    kind,
    subnetId,
    ip,
  });
  for (const port of router.interfaces) if (port.portId !== undefined) yield [port.portId, describe(port, 'qr')];
  for (const port of router.snatPorts) if (port.portId !== undefined) yield [port.portId, describe(port, 'sg')];
  if (gateway?.portId === undefined) return;
  yield [gateway.portId, { routerId, networkId: gateway.networkId, macAddress: gateway.macAddress, kind: 'qg' }];
}

/** Frames between hosts say which host routed them, and not which router. */
function ambiguous(topology: Topology, gateways: ReadonlyMap<string, readonly Gateway[]>): readonly string[] {
  const warnings: string[] = [];
  for (const [subnetId, list] of [...gateways].sort(([a], [b]) => compareText(a, b))) {
    const routerIds = [...new Set(list.map(({ routerId }) => routerId))];
    const networkId = topology.subnets.get(subnetId)?.networkId;
    if (routerIds.length < 2 || networkId === undefined) continue;
    const [first, ...others] = routerIds;
    warnings.push(
      `subnet ${subnetId} of network ${networkId} has ${routerIds.length} routers: what ${others.join(', ')} routed on ` +
        `another host reaches its guests with the MAC of ${first}, because nothing between hosts says which router it was`,
    );
  }
  return warnings;
}

/** A router that is flows has no port on a network: the next one does not hear it there. */
function chained(topology: Topology): readonly string[] {
  const compiled = [...topology.routers.values()].filter(({ dataplane }) => dataplane === 'flows');
  return compiled.flatMap(({ id, interfaces, routes }) =>
    routes.flatMap(({ destination, nexthop }) => {
      const networkIds = new Set(interfaces.map(({ networkId }) => networkId));
      const next = compiled.find((other) =>
        other.interfaces.some(({ networkId, ipAddress }) => networkIds.has(networkId) && ipAddress === nexthop),
      );
      if (next === undefined || next.id === id) return [];
      const to = `${ipToText(destination.address)}/${destination.length}`;
      return [
        `router ${id} routes ${to} to ${ipToText(nexthop)}, which is router ${next.id}: both are flows, which do not route a ` +
          `packet twice, so that it is dropped; give one of them the other's subnets, or dataplane: namespace`,
      ];
    }),
  );
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key) ?? [];
  list.push(value);
  lists.set(key, list);
}

export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
