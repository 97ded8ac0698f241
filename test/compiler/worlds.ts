/** Whole sites as values: what tests give a compiler, and random ones for properties. */
import fc from 'fast-check';
import { type BridgeBook, Compiler, type HostFacts } from '../../src/compiler/compiler.ts';
import { allocateLocalVlans } from '../../src/compiler/names.ts';
import { tunnelKey } from '../../src/compiler/site.ts';
import { zonesOfAll } from '../../src/compiler/zones.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { flowKey } from '../../src/flow/match.ts';
import type { Prefix } from '../../src/lib/addresses.ts';
import type {
  FloatingIp,
  Host,
  Network,
  NetworkType,
  Port,
  Router,
  RouterGateway,
  Settings,
  Subnet,
  Topology,
} from '../../src/topology/model.ts';

const SOMEWHERE = { path: 'somewhere', line: 1, column: 1 };

export const SETTINGS: Settings = {
  dvrBaseMac: 0xfa163f000000,
  enableDistributedRouting: true,
  l2Population: true,
  arpResponder: true,
  drift: 'repair',
  haPreempt: false,
  bfd: { minTxMs: 100, minRxMs: 100, mult: 3 },
};

export function makeHost(name: string, given: Partial<Host> = {}): Host {
  return {
    name,
    ovsdb: 'unix:/run/openvswitch/db.sock',
    agentMode: 'dvr',
    gatewayPriority: 0,
    controllers: [],
    bridges: { integration: 'br-int', tunnel: 'br-tun' },
    datapathType: 'system',
    bridgeMappings: new Map(),
    origin: SOMEWHERE,
    ...given,
  };
}

export function makeNetwork(id: string, networkType: NetworkType, given: Partial<Network> = {}): Network {
  return { id, name: id, networkType, mtu: 1450, external: false, subnetIds: [], origin: SOMEWHERE, ...given };
}

export function makePort(id: string, networkId: string, given: Partial<Port> = {}): Port {
  return {
    id,
    networkId,
    macAddress: 0xfa163e000000,
    fixedIps: [],
    deviceOwner: 'compute:nova',
    portSecurityEnabled: true,
    allowedAddressPairs: [],
    securityGroups: [],
    adminStateUp: true,
    origin: SOMEWHERE,
    ...given,
  };
}

/** A subnet in one of the prefixes that random addresses are in. */
export function makeSubnet(id: string, networkId: string, cidr: Prefix): Subnet {
  return {
    id,
    networkId,
    ipVersion: typeof cidr.address === 'number' ? 4 : 6,
    cidr,
    enableDhcp: true,
    dnsNameservers: [],
    hostRoutes: [],
    allocationPools: [],
    origin: SOMEWHERE,
  };
}

export function makeRouter(id: string, given: Partial<Router> = {}): Router {
  return {
    id,
    distributed: true,
    dataplane: 'flows',
    interfaces: [],
    snatPorts: [],
    routes: [],
    origin: SOMEWHERE,
    ...given,
  };
}

export function makeTopology(given: {
  readonly settings?: Partial<Settings>;
  readonly hosts?: readonly Host[];
  readonly networks?: readonly Network[];
  readonly subnets?: readonly Subnet[];
  readonly ports?: readonly Port[];
  readonly routers?: readonly Router[];
  readonly floatingIps?: readonly FloatingIp[];
}): Topology {
  return {
    settings: { ...SETTINGS, ...given.settings },
    hosts: new Map(given.hosts?.map((host) => [host.name, host])),
    networks: new Map(given.networks?.map((network) => [network.id, network])),
    subnets: new Map(given.subnets?.map((subnet) => [subnet.id, subnet])),
    ports: new Map(given.ports?.map((port) => [port.id, port])),
    routers: new Map(given.routers?.map((router) => [router.id, router])),
    floatingIps: new Map(given.floatingIps?.map((floating) => [floating.id, floating])),
    securityGroups: new Map(),
  };
}

/** Everything that a compiler is told. */
export interface Inputs {
  readonly topology: Topology;
  readonly facts: ReadonlyMap<string, HostFacts>;
  readonly locations: ReadonlyMap<string, string>;
  readonly hostMacs: ReadonlyMap<string, number>;
  /** Key: network and address. */
  readonly neighbours: ReadonlyMap<string, Neighbour>;
}

export interface Neighbour {
  readonly networkId: string;
  readonly ip: number | bigint;
  readonly macAddress: number;
  readonly portId: string;
}

function tellNeighbour(compiler: Compiler, { networkId, ip, macAddress, portId }: Neighbour): void {
  compiler.setNeighbour(networkId, ip, { macAddress, portId });
}

/** What the facts of a host mean for routers that somebody else plugs in. */
function tellFacts(compiler: Compiler, host: string, facts: HostFacts | undefined): void {
  compiler.setPluggedPorts(host, new Set(facts?.integration.ports.keys()));
  compiler.setHostFacts(host, facts);
}

/** Tell a compiler all of it. */
export function tell(compiler: Compiler, { topology, facts, locations, hostMacs, neighbours }: Inputs): void {
  compiler.setTopology(topology);
  compiler.setZones(ZONES);
  for (const host of HOSTS) compiler.setOutsideNeighbour(host, EXTERNAL, EXTERNAL_GATEWAY, 0x0e0000000001);
  for (const [port, host] of locations) compiler.setPortLocation(port, host);
  for (const [host, mac] of hostMacs) compiler.setHostMac(host, mac);
  for (const [host, of] of facts) tellFacts(compiler, host, of);
  for (const neighbour of neighbours.values()) tellNeighbour(compiler, neighbour);
}

/** A compiler that has heard it all and has passed once. */
export function compile(inputs: Inputs): Compiler {
  const compiler = new Compiler();
  tell(compiler, inputs);
  compiler.pass();
  return compiler;
}

/** Every flow of every book as a sorted line, cookie included. */
export function textOf(compiler: Compiler): readonly string[] {
  const lines: string[] = [];
  for (const book of compiler.books())
    lines.push(...bookText(book).map((line) => `${book.host} ${book.bridge} ${line}`));
  return lines.sort();
}

export function bookText(book: BridgeBook | undefined): readonly string[] {
  return [...(book?.flows() ?? [])].map(({ flow }) => formatFlow(flow)).sort();
}

/** A switch that takes every change and forgets nothing. */
export class Mirror {
  readonly #lines = new Map<string, string>();

  take({ changes }: ReturnType<Compiler['pass']>): void {
    for (const { host, bridge, put, remove } of changes) {
      const key = (flow: Parameters<typeof flowKey>[0]): string => `${host} ${bridge} ${flowKey(flow)}`;
      for (const { flow } of remove) {
        if (!this.#lines.delete(key(flow))) throw new Error(`removed what was not there: ${formatFlow(flow)}`);
      }
      for (const { flow } of put) this.#lines.set(key(flow), `${host} ${bridge} ${formatFlow(flow)}`);
    }
  }

  get lines(): readonly string[] {
    return [...this.#lines.values()].sort();
  }
}

/** Facts of a host that has everything that the topology gives it. */
export function plainFacts(
  compiler: Compiler,
  host: Host,
  plugged: readonly string[],
  kept: ReadonlyMap<string, number> = new Map(),
): HostFacts {
  const bridges = [...new Set(host.bridgeMappings.values())];
  const tunnels = compiler.site.tunnelsOf(host.name).map(({ key }) => key);
  return {
    localVlans: allocateLocalVlans(compiler.site.networksOn(host.name), kept),
    integration: {
      patchTun: 1,
      patchPhys: new Map(bridges.map((bridge, index) => [bridge, 2 + index])),
      ports: new Map(plugged.map((id, index) => [id, { ofport: 100 + index, name: id }])),
      deadPorts: [],
    },
    tunnel: { patchInt: 1, tunnels: new Map(tunnels.map((key, index) => [key, 10 + index])) },
    physical: new Map(bridges.map((bridge) => [bridge, { patchInt: 1 }])),
  };
}

const HOSTS = ['h1', 'h2', 'h3', 'h4'];
const NETWORKS = ['n1', 'n2', 'n3', 'n4'];
/** A network that is outside of all others. */
const EXTERNAL = 'o1';
const EXTERNAL_IPV4 = 0xcb007100;
const EXTERNAL_IPV6 = 0xfd0en << 112n;
const EXTERNAL_GATEWAY = EXTERNAL_IPV4 + 1;
const PORTS = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7'];
const ROUTERS = ['r1', 'r2', 'r3'];
/** iface-ids of ports of routers: of each router on each subnet. */
const ROUTER_PORTS = ROUTERS.flatMap((router) => NETWORKS.slice(0, 2).map((network) => `${router}-${network}`));
const ZONES = zonesOfAll(new Map(ROUTERS.map((id, index) => [id, index])));
const NETWORK_TYPES: readonly NetworkType[] = ['vxlan', 'gre', 'geneve', 'vlan', 'flat', 'local'];
const PHYSICAL = ['phys1', 'phys2'];

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
/** Now and then anything, mostly nearly all: a site where most things are there has the most flows. */
const subsetOf = <T>(values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.subarray([...values]) },
    { weight: 3, arbitrary: fc.subarray([...values], { minLength: values.length - 1 }) },
  );
const mostly = fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.boolean() });

/** Leave out what is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as never;
}

const arbitraryAddress = fc.oneof(
  fc.integer({ min: 0x0a000001, max: 0x0a000006 }),
  fc.bigInt({ min: (0xfd00n << 112n) + 1n, max: (0xfd00n << 112n) + 4n }),
);
const arbitraryMac = fc.integer({ min: 0xfa163e000001, max: 0xfa163e000008 });
const arbitraryPrefix = fc.oneof(
  arbitraryAddress.map((address) => ({ address, length: typeof address === 'number' ? 32 : 128 })),
  fc.constantFrom({ address: 0, length: 0 }, { address: 0n, length: 0 }, { address: 0x0a000000, length: 24 }),
);

const arbitraryHost = (name: string): fc.Arbitrary<Host> =>
  fc
    .record({
      localIp: maybe(fc.integer({ min: 0xc0000201, max: 0xc0000209 })),
      dvrMac: maybe(fc.integer({ min: 0xfa163f000001, max: 0xfa163f000004 })),
      agentMode: fc.constantFrom('dvr', 'dvr_snat', 'legacy'),
      bridges: fc.constantFrom({ integration: 'br-int', tunnel: 'br-tun' }, { integration: 's1', tunnel: 's2' }),
      bridgeMappings: subsetOf(PHYSICAL).map((names) => new Map(names.map((name) => [name, `br-${name}`]))),
    })
    .map((given) => makeHost(name, defined(given) as Partial<Host>));

const arbitraryNetwork = (id: string): fc.Arbitrary<Network> =>
  fc
    .record({
      type: fc.oneof(fc.constant('vxlan' as const), fc.constantFrom(...NETWORK_TYPES)),
      segmentationId: fc.integer({ min: 1, max: 4 }),
      physicalNetwork: fc.constantFrom(...PHYSICAL),
    })
    .map(({ type, segmentationId, physicalNetwork }) =>
      makeNetwork(id, type, {
        ...(type === 'flat' || type === 'local' ? {} : { segmentationId }),
        ...(type === 'flat' || type === 'vlan' ? { physicalNetwork } : {}),
      }),
    );

const arbitraryExternal: fc.Arbitrary<Network> = fc
  .record({ segmentationId: maybe(fc.integer({ min: 1, max: 4 })), mtu: fc.constantFrom(1500, 1400) })
  .map(({ segmentationId, mtu }) =>
    makeNetwork(EXTERNAL, segmentationId === undefined ? 'flat' : 'vlan', {
      external: true,
      mtu,
      physicalNetwork: 'phys1',
      subnetIds: [`${EXTERNAL}-4`, `${EXTERNAL}-6`],
      ...(segmentationId !== undefined && { segmentationId }),
    }),
  );

const arbitraryPort = (id: string): fc.Arbitrary<Port> =>
  fc
    .record({
      networkId: fc.constantFrom(...NETWORKS),
      macAddress: arbitraryMac,
      fixedIps: fc
        .array(arbitraryAddress, { maxLength: 3 })
        .map((addresses) => addresses.map((ipAddress) => ({ ipAddress }))),
      deviceOwner: fc.constantFrom('compute:nova', 'network:dhcp', 'network:router_interface_distributed'),
      portSecurityEnabled: fc.boolean(),
      allowedAddressPairs: fc.array(fc.record({ ipAddress: arbitraryPrefix, macAddress: arbitraryMac }), {
        maxLength: 3,
      }),
      adminStateUp: mostly,
    })
    .map(({ networkId, fixedIps, ...given }) =>
      makePort(id, networkId, {
        ...given,
        fixedIps: fixedIps.map(({ ipAddress }) => ({ subnetId: subnetName(networkId, ipAddress), ipAddress })),
      }),
    );

const subnetName = (networkId: string, ip: number | bigint): string => `${networkId}-${typeof ip === 'number' ? 4 : 6}`;

/** Every network has a subnet of each family; those of all networks overlap, as they may. */
const SUBNETS = NETWORKS.flatMap((id) => [
  makeSubnet(`${id}-4`, id, { address: 0x0a000000, length: 24 }),
  makeSubnet(`${id}-6`, id, { address: 0xfd00n << 112n, length: 64 }),
]);

const EXTERNAL_SUBNETS = [
  { ...makeSubnet(`${EXTERNAL}-4`, EXTERNAL, { address: EXTERNAL_IPV4, length: 24 }), gatewayIp: EXTERNAL_GATEWAY },
  { ...makeSubnet(`${EXTERNAL}-6`, EXTERNAL, { address: EXTERNAL_IPV6, length: 64 }), gatewayIp: EXTERNAL_IPV6 + 1n },
];

const arbitraryGateway: fc.Arbitrary<RouterGateway> = fc
  .record({
    number: fc.integer({ min: 2, max: 5 }),
    hasIpv6: fc.boolean(),
    enableSnat: mostly,
    macAddress: arbitraryMac,
  })
  .map(({ number, hasIpv6, enableSnat, macAddress }) => ({
    networkId: EXTERNAL,
    externalFixedIps: [
      { subnetId: `${EXTERNAL}-4`, ipAddress: EXTERNAL_IPV4 + number },
      ...(hasIpv6 ? [{ subnetId: `${EXTERNAL}-6`, ipAddress: EXTERNAL_IPV6 + BigInt(number) }] : []),
    ],
    enableSnat,
    macAddress,
    origin: SOMEWHERE,
  }));

const arbitraryFloatingIp: fc.Arbitrary<FloatingIp> = fc
  .record({
    number: fc.integer({ min: 6, max: 12 }),
    portId: fc.constantFrom(...PORTS),
    fixed: fc.integer({ min: 1, max: 6 }),
    routerId: fc.constantFrom(...ROUTERS),
    isBound: mostly,
  })
  .map(({ number, portId, fixed, routerId, isBound }) => ({
    id: `f${number}`,
    floatingIpAddress: EXTERNAL_IPV4 + number,
    floatingNetworkId: EXTERNAL,
    ...(isBound && { target: { portId, fixedIpAddress: 0x0a000000 + fixed, routerId } }),
    origin: SOMEWHERE,
  }));

const arbitraryRouter = (id: string): fc.Arbitrary<Router> =>
  fc
    .record({
      subnets: subsetOf(SUBNETS),
      dataplane: fc.constantFrom('flows' as const, 'flows' as const, 'namespace' as const),
      distributed: mostly,
      macs: fc.array(arbitraryMac, { minLength: SUBNETS.length, maxLength: SUBNETS.length }),
      addresses: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: SUBNETS.length, maxLength: SUBNETS.length }),
      routes: fc.array(fc.record({ destination: arbitraryDestination, nexthop: arbitraryAddress }), { maxLength: 3 }),
      gateway: maybe(arbitraryGateway),
    })
    .map(({ subnets, dataplane, distributed, macs, addresses, routes, gateway }) =>
      makeRouter(id, {
        ...(gateway && dataplane === 'flows' && { externalGatewayInfo: gateway }),
        snatPorts: subnets
          .filter(() => gateway !== undefined && distributed && dataplane === 'flows')
          .map(({ id: subnetId, networkId, cidr: { address } }, index) => ({
            networkId,
            subnetId,
            ipAddress: typeof address === 'number' ? address + 7 : address + 7n,
            macAddress: 0xfa163e000100 + index,
            origin: SOMEWHERE,
          })),
        dataplane,
        distributed,
        interfaces: subnets.map(({ id: subnetId, networkId, cidr: { address } }, index) => ({
          networkId,
          subnetId,
          ipAddress:
            typeof address === 'number' ? address + (addresses[index] ?? 1) : address + BigInt(addresses[index] ?? 1),
          macAddress: macs[index] ?? 1,
          ...(dataplane === 'namespace' && { portId: `${id}-${networkId}` }),
          origin: SOMEWHERE,
        })),
        routes: routes.filter(({ destination, nexthop }) => typeof destination.address === typeof nexthop),
      }),
    );

const arbitraryDestination = fc.constantFrom<Prefix>(
  { address: 0, length: 0 },
  { address: 0n, length: 0 },
  { address: 0xac100000, length: 12 },
  { address: 0xfd01n << 112n, length: 32 },
);

const arbitraryTopology: fc.Arbitrary<Topology> = fc
  .record({
    settings: fc.record({
      enableDistributedRouting: fc.boolean(),
      l2Population: mostly,
      arpResponder: mostly,
    }),
    hosts: subsetOf(HOSTS).chain((names) => fc.tuple(...names.map(arbitraryHost))),
    networks: subsetOf(NETWORKS).chain((ids) => fc.tuple(arbitraryExternal, ...ids.map(arbitraryNetwork))),
    subnets: fc.constant([...SUBNETS, ...EXTERNAL_SUBNETS]),
    floatingIps: fc.array(arbitraryFloatingIp, { maxLength: 6 }),
    ports: subsetOf(PORTS).chain((ids) => fc.tuple(...ids.map(arbitraryPort))),
    routers: subsetOf(ROUTERS).chain((ids) => fc.tuple(...ids.map(arbitraryRouter))),
  })
  .map(makeTopology);

const arbitraryOfport = fc.integer({ min: 1, max: 9 });
const ofportsOf = (names: readonly string[]): fc.Arbitrary<ReadonlyMap<string, number>> =>
  fc
    .tuple(subsetOf(names), fc.array(arbitraryOfport, { minLength: names.length, maxLength: names.length }))
    .map(([keys, ofports]) => new Map(keys.map((key, index) => [key, ofports[index] ?? 1])));

const TUNNEL_KEYS = (['vxlan', 'gre', 'geneve'] as const).flatMap((type) => HOSTS.map((host) => tunnelKey(type, host)));
const BRIDGES = PHYSICAL.map((name) => `br-${name}`);

const arbitraryFacts: fc.Arbitrary<HostFacts> = fc
  .record({
    localVlans: ofportsOf([...NETWORKS, EXTERNAL]),
    patchTun: maybe(arbitraryOfport),
    patchPhys: ofportsOf(BRIDGES),
    ports: ofportsOf([...PORTS, ...ROUTER_PORTS]),
    deadPorts: fc.array(arbitraryOfport, { maxLength: 2 }),
    hasTunnel: mostly,
    patchInt: maybe(arbitraryOfport),
    tunnels: ofportsOf(TUNNEL_KEYS),
    physical: ofportsOf(BRIDGES),
  })
  .map(({ localVlans, patchTun, patchPhys, ports, deadPorts, hasTunnel, patchInt, tunnels, physical }) => ({
    localVlans,
    integration: {
      ...(patchTun === undefined ? {} : { patchTun }),
      patchPhys,
      ports: new Map([...ports].map(([id, ofport]) => [id, { ofport, name: id }])),
      deadPorts: [...new Set(deadPorts)],
    },
    ...(hasTunnel ? { tunnel: { ...(patchInt === undefined ? {} : { patchInt }), tunnels } } : {}),
    physical: new Map([...physical].map(([bridge, ofport]) => [bridge, ofport > 7 ? {} : { patchInt: ofport }])),
  }));

/** One change of the world, as a function on inputs, and what a compiler is told of it. */
export type Edit =
  | { readonly kind: 'topology'; readonly topology: Topology }
  | { readonly kind: 'port'; readonly port: Port }
  | { readonly kind: 'network'; readonly network: Network }
  | { readonly kind: 'router'; readonly router: Router }
  | { readonly kind: 'neighbour'; readonly neighbour: Neighbour; readonly isThere: boolean }
  | { readonly kind: 'facts'; readonly host: string; readonly facts: HostFacts | undefined }
  | { readonly kind: 'location'; readonly port: string; readonly host: string | undefined }
  | { readonly kind: 'hostMac'; readonly host: string; readonly mac: number | undefined }
  | { readonly kind: 'recompute' };

const arbitraryNeighbour: fc.Arbitrary<Neighbour> = fc.record({
  networkId: fc.constantFrom(...NETWORKS),
  ip: arbitraryAddress,
  macAddress: arbitraryMac,
  portId: fc.constantFrom(...PORTS),
});

const neighbourKey = ({ networkId, ip }: Neighbour): string => `${networkId} ${typeof ip} ${ip}`;

export const arbitraryEdit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(...ROUTERS)
      .chain((id) => fc.record({ kind: fc.constant('router' as const), router: arbitraryRouter(id) })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('neighbour' as const),
      neighbour: arbitraryNeighbour,
      isThere: mostly,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('topology' as const), topology: arbitraryTopology }) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(...PORTS)
      .chain((id) => fc.record({ kind: fc.constant('port' as const), port: arbitraryPort(id) })),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(...NETWORKS)
      .chain((id) => fc.record({ kind: fc.constant('network' as const), network: arbitraryNetwork(id) })),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('facts' as const),
      host: fc.constantFrom(...HOSTS),
      facts: maybe(arbitraryFacts),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('location' as const),
      port: fc.constantFrom(...PORTS),
      host: maybe(fc.constantFrom(...HOSTS, 'elsewhere')),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('hostMac' as const),
      host: fc.constantFrom(...HOSTS),
      mac: maybe(fc.integer({ min: 0xfa163f000001, max: 0xfa163f000004 })),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'recompute' as const }) },
);

export const arbitraryInputs: fc.Arbitrary<Inputs> = fc.record({
  topology: arbitraryTopology,
  facts: fc
    .tuple(...HOSTS.map(() => arbitraryFacts))
    .map((all) => new Map(all.map((of, index) => [HOSTS[index] ?? '', of]))),
  locations: fc
    .array(fc.constantFrom(...HOSTS), { minLength: PORTS.length, maxLength: PORTS.length })
    .map((hosts) => new Map(PORTS.map((port, index) => [port, hosts[index] ?? '']))),
  hostMacs: fc.constant(new Map([['h1', 0xfa163f0000aa]])),
  neighbours: fc
    .array(arbitraryNeighbour, { maxLength: 4 })
    .map((all) => new Map(all.map((neighbour) => [neighbourKey(neighbour), neighbour]))),
});

/** The inputs after an edit; the compiler is told only of the edit. */
export function apply(edit: Edit, inputs: Inputs, compiler: Compiler): Inputs {
  switch (edit.kind) {
    case 'topology':
      compiler.setTopology(edit.topology);
      return { ...inputs, topology: edit.topology };
    case 'port':
    case 'network':
    case 'router': {
      const changed = withObject(edit, inputs.topology);
      compiler.setTopology(changed);
      return { ...inputs, topology: changed };
    }
    case 'neighbour': {
      const { neighbour, isThere } = edit;
      if (isThere) tellNeighbour(compiler, neighbour);
      else compiler.setNeighbour(neighbour.networkId, neighbour.ip, undefined);
      const neighbours = withEntry(inputs.neighbours, neighbourKey(neighbour), isThere ? neighbour : undefined);
      return { ...inputs, neighbours };
    }
    case 'facts':
      tellFacts(compiler, edit.host, edit.facts);
      return { ...inputs, facts: withEntry(inputs.facts, edit.host, edit.facts) };
    case 'location':
      compiler.setPortLocation(edit.port, edit.host);
      return { ...inputs, locations: withEntry(inputs.locations, edit.port, edit.host) };
    case 'hostMac':
      compiler.setHostMac(edit.host, edit.mac);
      return { ...inputs, hostMacs: withEntry(inputs.hostMacs, edit.host, edit.mac) };
    case 'recompute':
      compiler.recompute();
      return inputs;
  }
}

function withObject(edit: Extract<Edit, { kind: 'port' | 'network' | 'router' }>, topology: Topology): Topology {
  switch (edit.kind) {
    case 'port':
      return { ...topology, ports: new Map([...topology.ports, [edit.port.id, edit.port]]) };
    case 'network':
      return { ...topology, networks: new Map([...topology.networks, [edit.network.id, edit.network]]) };
    case 'router':
      return { ...topology, routers: new Map([...topology.routers, [edit.router.id, edit.router]]) };
  }
}

function withEntry<T>(map: ReadonlyMap<string, T>, key: string, value: T | undefined): ReadonlyMap<string, T> {
  const copy = new Map(map);
  if (value === undefined) copy.delete(key);
  else copy.set(key, value);
  return copy;
}
