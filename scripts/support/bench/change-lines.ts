/**
 * Lines of one change on the large site: told to the compiler, as switches and ports come and go; and in the file, which is compared
 * with the one before it and so costs what the site is large. Serves lines.ts and growth-lines.ts.
 */
import type { Compiler } from '../../../src/compiler/compiler.ts';
import { zonesOfAll } from '../../../src/compiler/zones.ts';
import type { Topology } from '../../../src/topology/model.ts';
import { collectGarbage, type Line, median, quantile, type Row } from './measure.ts';
import { compileLarge, largeSiteDocument, writeAll } from './model-lines.ts';
import { factsOf, loadSite, networkName, portName, type SiteDocument } from './site.ts';

const CHANGED_NETWORK = 7;
const CHANGED_PORT = portName(CHANGED_NETWORK, 3);
/** Has a floating IP. */
const FLOATING_PORT = portName(CHANGED_NETWORK, 4);
const OTHER_PORT = portName(CHANGED_NETWORK, 6);
/** Of the network of these. */
const ROUTER = `router${Math.floor(CHANGED_NETWORK / 2)}`;
const OUTSIDE = 'outside';
const FLOATING_IP = '198.51.100.10';

/** Two changes, the second of which undoes the first. */
export interface MeasuredChange {
  readonly what: string;
  readonly changes: readonly (() => void)[];
  /** Absent: as large as what changes. */
  readonly targetMs?: number;
}

/** One port leaves its host and comes back; goes to another host that has its network, and back; a host leaves and joins. */
export function changesOf(compiler: Compiler, topology: Topology): readonly MeasuredChange[] {
  const { home, other } = placesOf(compiler, topology, CHANGED_PORT);
  const plugged = [...topology.ports.values()].flatMap(({ id, host }) => (host === home ? id : []));
  const facts = factsOf(compiler, topology, home, plugged);
  const tell = (host: string | undefined) => () => compiler.setPortLocation(CHANGED_PORT, host);
  return [
    { what: 'one port added or removed', changes: [tell(undefined), tell(home)], targetMs: 5 },
    { what: 'one port moved', changes: [tell(other), tell(home)], targetMs: 5 },
    {
      what: "one host's switches gone or back",
      changes: [() => compiler.setHostFacts(home, undefined), () => compiler.setHostFacts(home, facts)],
    },
  ];
}

/** The host of a port, and another that has its network. */
function placesOf(compiler: Compiler, topology: Topology, portId: string) {
  const port = topology.ports.get(portId);
  const home = port?.host;
  if (port === undefined || home === undefined) throw new Error('the port has no host');
  const other = [...compiler.site.hostsOf.elementsOf(port.networkId)].find((host) => host !== home);
  return { home, other };
}

export interface MeasureOptions {
  readonly rounds?: number;
  /** Rounds that do not count. */
  readonly warmups?: number;
}

/** Told, compiled and encoded for all hosts that it concerns. */
export function measureChanges(
  compiler: Compiler,
  { changes }: MeasuredChange,
  { rounds = 40, warmups = 10 }: MeasureOptions = {},
): { readonly times: readonly number[]; readonly bridges: readonly number[] } {
  const times: number[] = [];
  const bridges = new Set<number>();
  collectGarbage();
  for (let round = -warmups; round < rounds; round++) {
    for (const change of changes) {
      const start = performance.now();
      change();
      const result = compiler.pass();
      writeAll(result);
      if (round < 0) continue;
      times.push(performance.now() - start);
      bridges.add(result.changes.length);
    }
  }
  return { times, bridges: [...bridges] };
}

/** The large site with a way outside for one router, a floating IP, and wires on the hosts that have its network. */
function changedSite(shrink: number): SiteDocument {
  const document = largeSiteDocument(shrink);
  const wired = new Set(
    document.ports.flatMap(({ network, host }) => (network === networkName(CHANGED_NETWORK) ? host : [])),
  );
  const [gatewayHost] = wired;
  return {
    ...document,
    hosts: document.hosts.map((host) => ({
      ...host,
      ...(wired.has(host.name) && { bridge_mappings: { physnet: 'br-ex' } }),
      ...(host.name === gatewayHost && { agent_mode: 'dvr_snat' }),
    })),
    networks: [
      ...document.networks,
      {
        id: OUTSIDE,
        network_type: 'flat',
        physical_network: 'physnet',
        external: true,
        subnets: [{ id: `${OUTSIDE}-subnet`, cidr: '198.51.100.0/24' }],
      },
    ],
    routers: withOne(document.routers, ROUTER, { external_gateway_info: { network: OUTSIDE } }),
    floating_ips: [floatingIp(FLOATING_PORT)],
  };
}

const floatingIp = (port: string): object => ({
  floating_ip_address: FLOATING_IP,
  floating_network: OUTSIDE,
  port,
});

/** One of them, with more or other properties. */
function withOne<T extends { readonly id: string }>(all: readonly T[], id: string, properties: object): readonly T[] {
  return all.map((one) => (one.id === id ? { ...one, ...properties } : one));
}

/** A host leaves the file, and its ports are nowhere. */
function withoutHost(document: SiteDocument, name: string): object {
  return {
    ...document,
    hosts: document.hosts.filter((host) => host.name !== name),
    ports: document.ports.map((port) => (port.host === name ? { ...port, host: undefined } : port)),
  };
}

/** The same file with one change. */
function filesOf(document: SiteDocument): readonly { readonly what: string; readonly changed: () => object }[] {
  const { ports, routers, hosts } = document;
  const routes = [{ destination: '203.0.113.0/24', nexthop: `10.0.${16 * CHANGED_NETWORK}.20` }];
  return [
    {
      what: "one port's MAC",
      changed: () => ({ ...document, ports: withOne(ports, CHANGED_PORT, { mac_address: 'fa:16:3d:00:00:10' }) }),
    },
    { what: 'a route of one router', changed: () => ({ ...document, routers: withOne(routers, ROUTER, { routes }) }) },
    {
      what: 'where one floating IP leads',
      changed: () => ({ ...document, floating_ips: [floatingIp(OTHER_PORT)] }),
    },
    { what: 'one host, there or not', changed: () => withoutHost(document, hosts.at(-1)?.name ?? '') },
  ];
}

/** The file with the change and without it, by turns: times of each. */
function measureFile(
  compiler: Compiler,
  files: readonly Topology[],
  rounds: number,
): ReturnType<typeof measureChanges> {
  const changes = files.map((topology) => () => compiler.setTopology(topology));
  return measureChanges(compiler, { what: '', changes }, { rounds, warmups: 2 });
}

export const changeLine: Line = async ({ rounds, shrink }) => {
  const document = changedSite(shrink);
  const topology = loadSite(document);
  const { compiler } = compileLarge(topology);
  compiler.setZones(zonesOfAll(new Map([[ROUTER, 1]])));
  compiler.pass();
  const floating = placesOf(compiler, topology, FLOATING_PORT);
  const move = (host: string | undefined) => () => compiler.setPortLocation(FLOATING_PORT, host);
  const told: readonly MeasuredChange[] = [
    ...changesOf(compiler, topology),
    { what: 'one floating IP moved, with its port', changes: [move(floating.other), move(floating.home)], targetMs: 5 },
  ];
  const bridgeCount = [...compiler.books()].length;
  const noteOf = (times: readonly number[], bridges: readonly number[]): string =>
    `p99 ${quantile(times, 0.99).toFixed(2)} ms; ${bridges.join(' or ')} of ${bridgeCount} bridges touched`;
  const rows: Row[] = told.map((change) => {
    const { what, targetMs } = change;
    const { times, bridges } = measureChanges(compiler, change);
    return {
      what: `${what} in that site: compile and encode for all affected hosts`,
      unit: 'ms',
      heddle: median(times),
      ...(targetMs !== undefined && { target: `≤ ${targetMs} ms`, isMet: median(times) <= targetMs }),
      note: noteOf(times, bridges),
    };
  });
  for (const { what, changed } of filesOf(document)) {
    const { times, bridges } = measureFile(compiler, [loadSite(changed()), topology], rounds);
    rows.push({
      what: `in the file of that site ${what}: from the loaded file to flow-mods`,
      unit: 'ms',
      heddle: median(times),
      note: noteOf(times, bridges),
    });
  }
  return rows;
};
