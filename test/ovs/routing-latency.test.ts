/**
 * A guest of a routed network is plugged in, moved and unplugged, fifty times, on three hosts that all have the router: how long
 * from its row in the OVSDB to the last barrier on the last of the hosts, and that every host has its flows then, and has
 * afterwards exactly the flows that it had before.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPEN_VSWITCH, OvsdbClient } from '../../src/ovsdb/index.ts';
import type { BridgeStatus } from '../../src/switch/status.ts';
import { ControlledSite } from '../support/controlled-site.ts';
import { waitFor } from '../support/ovs-sandbox.ts';

const HOSTS = ['node1', 'node2', 'node3'];
const PLUG_COUNT = 50;

const port = (id: string, network: string, ip: string) => ({ id, network, fixed_ips: [ip] });
/** Of green, odd, and of blue. */
const GUESTS = Array.from({ length: PLUG_COUNT }, (_, index) => {
  const network = index % 2 === 0 ? 'blue' : 'green';
  return { ...port(`guest${index}`, network, `10.0.${network === 'blue' ? 0 : 1}.${100 + index}`), index };
});

/** Barriers that a change of one port may cost, in time. */
const RATIO_MAX = 60;

let site: ControlledSite;
const clients: { close(): void }[] = [];

beforeAll(async () => {
  site = await ControlledSite.start({
    hosts: { node1: {}, node2: {}, node3: {} },
    networks: [
      { id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ id: 'blue4', cidr: '10.0.0.0/24' }] },
      { id: 'green', network_type: 'vxlan', segmentation_id: 1002, subnets: [{ id: 'green4', cidr: '10.0.1.0/24' }] },
    ],
    routers: [{ id: 'router', interfaces: [{ subnet: 'blue4' }, { subnet: 'green4' }] }],
    ports: [
      port('blue1', 'blue', '10.0.0.11'),
      port('green2', 'green', '10.0.1.12'),
      port('blue3', 'blue', '10.0.0.13'),
      ...GUESTS.map(({ index: _index, ...guest }) => guest),
    ],
  });
  // The router is on every host from the beginning.
  await site.plug('node1', 'blue1');
  await site.plug('node2', 'green2');
  await site.plug('node3', 'blue3');
  for (const host of HOSTS) {
    await waitFor(`the router on ${host}`, async () => (await routedFlows(host)).length > 5);
  }
  await site.inStep();
}, 60_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await site.stop();
});

const routedFlows = (host: string): Promise<string[]> => site.host(host).dumpFlows('br-int', 'table=36');

/** Half of a distribution, and nearly all of it. */
function summary(values: readonly number[]): { readonly median: number; readonly p99: number; readonly max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { median: at(0.5), p99: at(0.99), max: at(1) };
}

const modCount = ({ flowMods }: BridgeStatus): number => flowMods.add + flowMods.modify + flowMods.delete;

/** When the last barrier was that confirmed changed flows, by host. */
function watchPasses(): ReadonlyMap<string, number> {
  const lastMs = new Map<string, number>();
  const mods = new Map<string, number>();
  for (const { bridges } of site.status().hosts) {
    for (const status of bridges) mods.set(`${status.host} ${status.bridge}`, modCount(status));
  }
  site.controller.observer = {
    pass: () => undefined,
    bridgePass: (status) => {
      const key = `${status.host} ${status.bridge}`;
      if (mods.get(key) === modCount(status)) return;
      mods.set(key, modCount(status));
      lastMs.set(status.host, performance.now());
    },
  };
  return lastMs;
}

/** Second readers of the hosts' OVSDBs: when the row of a port had its number, or was gone; by host and port. */
function watchRows(): ReadonlyMap<string, number> {
  const changedMs = new Map<string, number>();
  for (const host of HOSTS) {
    const ofports = new Map<string, number>();
    const client = new OvsdbClient({
      target: `unix:${site.host(host).databaseSocket}`,
      model: OPEN_VSWITCH,
      tables: { Interface: ['name', 'ofport'] },
      onDelta: () => {
        const nowMs = performance.now();
        const rows = new Map([...client.replica.table('Interface').values()].map((row) => [row.name, row.ofport ?? 0]));
        for (const name of new Set([...rows.keys(), ...ofports.keys()])) {
          if (rows.get(name) !== ofports.get(name)) changedMs.set(`${host} ${name}`, nowMs);
        }
        ofports.clear();
        for (const [name, ofport] of rows) ofports.set(name, ofport);
      },
    });
    clients.push(client);
    client.start();
  }
  return changedMs;
}

async function barrierMs(host: string): Promise<number> {
  const connection = site.controller.agents.get(host)?.installers.get('br-int')?.connection;
  if (connection === undefined) throw new Error(`${host} has no connection`);
  const startMs = performance.now();
  await connection.barrier();
  return performance.now() - startMs;
}

const flowCounts = (): readonly string[] =>
  site
    .status()
    .hosts.flatMap(({ bridges }) => bridges.map((one) => `${one.host} ${one.bridge} ${one.desiredFlowCount}`));

test('from the row to the last barrier, there and back, and the flows are those of before', async ({ annotate }) => {
  const passes = watchPasses();
  const rows = watchRows();
  await waitFor('the watches', () => HOSTS.every((host) => rows.has(`${host} br-int`)));
  const baseline = await site.installedFlows();
  const counts = flowCounts();
  const neighbourCount = (await routedFlows('node1')).length;

  /** From the last change of a row that something caused, to the last barrier that it caused on every host. */
  const latencyMs = async (causes: readonly string[], cause: () => Promise<unknown>): Promise<number> => {
    const before = new Map(causes.map((key) => [key, rows.get(key)]));
    const startMs = performance.now();
    await cause();
    await waitFor(`rows ${causes}`, () => causes.every((key) => rows.get(key) !== before.get(key)));
    const rowMs = Math.max(...causes.map((key) => rows.get(key) ?? 0));
    await waitFor('a barrier on every host', () => HOSTS.every((host) => (passes.get(host) ?? 0) > startMs));
    await site.converged();
    return Math.max(...HOSTS.map((host) => passes.get(host) ?? 0)) - rowMs;
  };
  const figures = { barrier: [] as number[], plug: [] as number[], move: [] as number[], unplug: [] as number[] };
  for (const { id, index } of GUESTS) {
    const here = HOSTS[index % 3] ?? '';
    const there = HOSTS[(index + 1) % 3] ?? '';
    for (const host of HOSTS) figures.barrier.push(await barrierMs(host));
    figures.plug.push(await latencyMs([`${here} ${id}`], () => plug(here, id)));
    for (const host of HOSTS) expect(await routedFlows(host)).toHaveLength(neighbourCount + 1);
    // The target of a migration shows the port before the source lets it go.
    figures.move.push(await latencyMs([`${there} ${id}`], () => plug(there, id)));
    await site.host(here).vsctl('del-port', 'br-int', id);
    await site.converged();
    for (const host of HOSTS) expect(await routedFlows(host)).toHaveLength(neighbourCount + 1);
    figures.unplug.push(await latencyMs([`${there} ${id}`], () => site.host(there).vsctl('del-port', 'br-int', id)));
    await waitFor('as many flows as before', () => flowCounts().join() === counts.join());
  }
  expect(await site.installedFlows()).toEqual(baseline);

  const [barrier, ...others] = Object.entries(figures).map(([name, values]) => ({ name, ...summary(values) }));
  for (const { name, median, p99, max } of [barrier, ...others].filter((one) => one !== undefined)) {
    await annotate(`${name}: median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, most ${max.toFixed(2)} ms`);
  }
  // The floor is one barrier on each host, which all answer at once; the rest is OVSDB, compiling, and this machine.
  for (const { name, median } of others) {
    expect(median, `${name} against ${barrier?.median}`).toBeLessThan(Math.max(RATIO_MAX * (barrier?.median ?? 0), 50));
  }
}, 120_000);

async function plug(host: string, id: string): Promise<void> {
  await site
    .host(host)
    .vsctl(...['add-port', 'br-int', id, '--', 'set', 'Interface', id, 'type=internal', `external_ids:iface-id=${id}`]);
}
