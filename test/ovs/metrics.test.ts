/** `heddle run --metrics`: a scrape of a controller at work says what the switches themselves say (src/controller/metrics.ts). */
import { afterEach, expect, test } from 'vitest';
import { Metrics, MetricsServer } from '../../src/controller/metrics.ts';
import { BLUE, ControlledSite } from '../support/controlled-site.ts';

let site: ControlledSite;
let server: MetricsServer | undefined;
afterEach(async () => {
  await server?.close();
  await site.stop();
});

/** Name and labels, as in the text, to value. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`http://127.0.0.1:${server?.port}/metrics`);
  expect(response.status).toBe(200);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

const ofBridge = (name: string, bridge: string, more = ''): string => `${name}{host="node1",bridge="${bridge}"${more}}`;

test('a scrape says what the switch says', async () => {
  site = await ControlledSite.prepare({ ...BLUE, settings: { drift: 'report' } });
  const controller = await site.startController();
  server = await MetricsServer.listen('127.0.0.1:0', new Metrics(controller));
  await site.converged();
  await site.plug('node1', 'blue1');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await site.inStep();

  const before = await scrape();
  for (const bridge of ['br-int', 'br-tun']) {
    const installed = (await site.host().dumpFlows(bridge)).length;
    expect(before.get(ofBridge('heddle_flows_desired', bridge))).toBe(installed);
    expect(before.get(ofBridge('heddle_openflow_connected', bridge))).toBe(1);
    expect(before.get(ofBridge('heddle_openflow_connections_total', bridge))).toBe(1);
    expect(before.get(ofBridge('heddle_flow_mods_total', bridge, ',kind="add"'))).toBeGreaterThanOrEqual(installed);
    expect(before.get(ofBridge('heddle_openflow_follows', bridge))).toBe(0);
    for (const kind of ['group', 'meter'])
      expect(before.get(ofBridge(`heddle_${kind}_mods_total`, bridge, ',kind="add"'))).toBe(0);
    expect(before.get(ofBridge('heddle_bridge_packet_ins_total', bridge, ',kind="dropped"'))).toBe(0);
    const wanted = before.get(ofBridge('heddle_generation_wanted', bridge));
    expect(wanted).toBeGreaterThan(0);
    expect(before.get(ofBridge('heddle_generation_confirmed', bridge))).toBe(wanted);
  }
  expect(before.get('heddle_ovsdb_sessions_total{host="node1"}')).toBe(1);
  expect(before.get('heddle_ovsdb_connected{host="node1"}')).toBe(1);
  expect(before.get('heddle_ovsdb_writes_total{host="node1"}')).toBeGreaterThan(5);
  const rows = JSON.parse(await site.host().vsctl('--format=json', 'list', 'Interface')) as { data: unknown[] };
  expect(before.get('heddle_ovsdb_replica_rows{host="node1"}')).toBeGreaterThan(rows.data.length);
  expect(before.get('heddle_pass_seconds_count')).toBeGreaterThan(0);
  expect(before.get('heddle_bridge_pass_seconds_count{kind="change"}')).toBeGreaterThan(0);
  expect(before.get('process_resident_memory_bytes')).toBeGreaterThan(2 ** 20);
  expect(before.has('nodejs_eventloop_lag_p99_seconds')).toBe(true);
  expect(before.get('heddle_log_lines_suppressed_total')).toBe(0);
  expect(before.get('heddle_state_unwritten')).toBe(0);
});

test('drift and reconnects are counted, and a host that is gone shows no more', async () => {
  site = await ControlledSite.prepare({ ...BLUE, settings: { drift: 'report' }, hosts: { node1: {}, node2: {} } });
  const controller = await site.startController();
  server = await MetricsServer.listen('127.0.0.1:0', new Metrics(controller));
  await site.converged();
  await site.host().ofctl('add-flow', 'br-int', 'cookie=0x77,table=9,actions=drop');
  await site.host().stopDatabase();
  await site.host().startDatabase();
  await site.until(
    'the database is back',
    async () => (await scrape()).get('heddle_ovsdb_sessions_total{host="node1"}') === 2,
  );
  for (const [name, installer] of site.controller.agents.get('node1')?.installers ?? []) {
    if (name === 'br-int') installer.audit();
  }
  await site.until('drift is counted', async () => {
    const found = (await scrape()).get(ofBridge('heddle_drift_total', 'br-int', ',kind="foreign"'));
    return (found ?? 0) >= 1;
  });
  site.change({}, { node1: {} });
  await site.until('node2 is gone', async () => ![...(await scrape()).keys()].some((name) => name.includes('node2')));
});

test('other paths are not found, and a taken port is told', async () => {
  site = await ControlledSite.prepare();
  const controller = await site.startController();
  const metrics = new Metrics(controller);
  server = await MetricsServer.listen('127.0.0.1:0', metrics);
  expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(404);
  await expect(MetricsServer.listen(`127.0.0.1:${server.port}`, metrics)).rejects.toThrow(/in use.*--metrics another/s);
});
