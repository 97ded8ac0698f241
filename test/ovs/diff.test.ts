/**
 * `heddle diff` against real switches that somebody has tampered with: what ovs-ofctl did is what diff says, from the file alone
 * and from the running controller (src/cli/diff.ts).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type DiffOptions, diff } from '../../src/cli/diff.ts';
import type { BridgeDifference } from '../../src/controller/bridge-difference.ts';
import { serveControl } from '../../src/controller/control-socket.ts';
import { liveDifference } from '../../src/controller/live-difference.ts';
import { BLUE, ControlledSite } from '../support/controlled-site.ts';

let site: ControlledSite;
afterEach(() => site.stop());

async function ask(file: string | undefined, options: DiffOptions) {
  const [out, talk]: [string[], string[]] = [[], []];
  const terminal = {
    out: (text: string) => out.push(text),
    talk: (text: string) => talk.push(text),
    isColoured: false,
  };
  const status = await diff(file, { state: join(site.directory, 'state'), ...options }, terminal);
  return { status, out: out.join(''), talk: talk.join('') };
}

/** node1 has a guest of blue, node2 another; nobody repairs. */
async function bringUp(): Promise<string> {
  const hosts = { node1: {}, node2: {} };
  site = await ControlledSite.start({ ...BLUE, settings: { drift: 'report' }, hosts });
  await site.plug('node1', 'blue1');
  await site.plug('node2', 'blue2');
  await site.until('tunnels', async () => (await site.host().vsctl('list-ports', 'br-tun')).includes('vxlan-'));
  await site.inStep();
  const file = join(site.directory, 'site.json');
  writeFileSync(file, site.text());
  return file;
}

/** One flow away, one changed, one too many. */
async function tamper(): Promise<{ missing: string; different: string; foreign: string }> {
  const [missing = ''] = (await site.host().dumpFlows('br-tun')).filter((flow) =>
    flow.includes('table=20, priority=2'),
  );
  const [different = ''] = (await site.host().dumpFlows('br-tun')).filter((flow) =>
    /table=21, priority=1,.*set_field/.test(flow),
  );
  const identity = (flow: string): string => flow.replace(/^cookie=\w+, /, '').replace(/ actions=.*$/, '');
  const foreign = 'cookie=0x77, table=5, priority=9,dl_vlan=99 actions=drop';
  await site.host().ofctl('--strict', 'del-flows', 'br-tun', identity(missing));
  const cookie = /^cookie=(\w+)/.exec(different)?.[1] ?? '';
  await site.host().ofctl('add-flow', 'br-tun', `cookie=${cookie},${identity(different)},actions=drop`);
  await site.host().ofctl('add-flow', 'br-tun', 'cookie=0x77,table=5,priority=9,dl_vlan=99,actions=drop');
  return { missing, different, foreign };
}

function expectFindings(text: string, { missing, different, foreign }: Awaited<ReturnType<typeof tamper>>): void {
  const lines = text.split('\n').map((line) => line.replace(/ +/g, ' '));
  expect(lines).toContain(`missing ${missing} # fdb of port blue2 (ports[1], line ${lineOf('"blue2"')})`);
  expect(lines.find((line) => line.startsWith('different'))).toContain(different);
  expect(lines.find((line) => line.startsWith('installed'))).toMatch(/table=21, priority=1,arp,.* actions=drop$/);
  expect(lines).toContain(`foreign ${foreign} # not heddle's`);
  expect(text).toMatch(/^# node1 br-tun: 1 missing, 1 foreign, 1 different; \d+ flows as computed, \d+ learned$/m);
  expect(text).toMatch(/^# node1 br-int: 0 missing, 0 foreign, 0 different; [1-9]/m);
}

/** Where a text stands in the file: the object that holds it begins a line above, as JSON is laid out here. */
function lineOf(text: string): number {
  return site
    .text()
    .split('\n')
    .findIndex((line) => line.includes(text));
}

test('of a file, without a controller, is what was tampered with, and nothing else', async () => {
  const file = await bringUp();
  await site.stopController();
  expect(await ask(file, { host: 'node1' })).toMatchObject({ status: 0, talk: '' });
  const done = await tamper();
  const { status, out } = await ask(file, { host: 'node1' });
  expect(status).toBe(1);
  expectFindings(out, done);
  expect((await ask(file, { host: 'node1', bridge: 'br-int' })).status).toBe(0);
  expect((await ask(file, { host: 'node2' })).status).toBe(0);
});

test('of the running controller says the same, and as JSON', async () => {
  await bringUp();
  const control = join(site.directory, 'control.sock');
  const server = await serveControl(control, { diff: (params) => liveDifference(site.controller, params) });
  try {
    expect((await ask(undefined, { live: true, host: 'node1', control })).status).toBe(0);
    const done = await tamper();
    const text = await ask(undefined, { live: true, host: 'node1', control });
    expect(text.status).toBe(1);
    expectFindings(text.out, done);
    const json = await ask(undefined, { live: true, host: 'node1', bridge: 'br-tun', control, json: true });
    const [bridge] = JSON.parse(json.out) as BridgeDifference[];
    expect(bridge?.lines.map(({ kind }) => kind).sort()).toEqual(['different', 'foreign', 'missing']);
    await expect(ask(undefined, { live: true, host: 'nobody', control })).rejects.toThrow(/no host "nobody".*node1/);
  } finally {
    await server.close();
  }
});

test('groups and meters are in it, of a site with ways outside, from the file alone and from the controller', async () => {
  const bridge_mappings = { wire: 'br-ex' };
  const networks = [
    { id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ id: 'blue4', cidr: '10.0.0.0/24' }] },
    {
      id: 'public',
      network_type: 'flat',
      physical_network: 'wire',
      external: true,
      subnets: [{ cidr: '203.0.113.0/24' }],
    },
  ];
  const blue1 = { id: 'blue1', network: 'blue' };
  site = await ControlledSite.prepare({
    settings: { drift: 'report' },
    hosts: { node1: { agent_mode: 'dvr_snat', bridge_mappings }, node2: { agent_mode: 'dvr_snat', bridge_mappings } },
    networks: [{ id: 'aaa', network_type: 'local', subnets: [{ cidr: '10.9.0.0/24' }] }, ...networks],
    routers: [{ id: 'r', interfaces: [{ subnet: 'blue4' }], external_gateway_info: { network: 'public' } }],
    ports: [blue1, { id: 'aaa1', network: 'aaa', host: 'node1' }],
    floating_ips: [{ floating_ip_address: '203.0.113.50', floating_network: 'public', port: 'blue1' }],
  });
  for (const host of site.hosts.values()) await host.addBridge('br-ex');
  await site.startController();
  await site.converged();
  await site.plug('node1', 'blue1');
  await site.inStep();
  // A network goes; those that nobody is plugged into keep their local VLANs all the same.
  site.change({ networks, ports: [blue1] });
  await site.until('groups', async () => (await site.host('node2').dumpNumbered('br-tun')).length > 0);
  await site.inStep();
  const [, group = ''] = /^group_id=(\d+)/.exec((await site.host('node2').dumpNumbered('br-tun')).join('\n')) ?? [];
  const file = join(site.directory, 'site.json');
  writeFileSync(file, site.text());
  await site.stopController();
  for (const host of ['node1', 'node2']) {
    const { status, out } = await ask(file, { host });
    expect(out).toMatch(
      /^# node\d br-int: 0 missing, 0 foreign, 0 different; \d+ flows, \d+ meters as computed, 0 learned$/m,
    );
    expect(status, out).toBe(0);
  }
  await site.host('node2').ofctl('mod-group', 'br-tun', `group_id=${group},type=all`);
  await site.host('node2').ofctl('add-group', 'br-tun', 'group_id=7,type=all');
  await site.host('node2').ofctl('mod-meter', 'br-int', 'meter=5,pktps,band=type=drop,rate=7');
  await site.host('node2').ofctl('add-meter', 'br-int', 'meter=99,kbps,band=type=drop,rate=7');

  const { status, out } = await ask(file, { host: 'node2' });
  expect(status).toBe(1);
  expectNumbered(out, group);
  // Nobody repairs, so the controller finds the same.
  await site.startController();
  await site.converged();
  const control = join(site.directory, 'control.sock');
  const server = await serveControl(control, { diff: (params) => liveDifference(site.controller, params) });
  try {
    await site.host('node2').ofctl('mod-group', 'br-tun', `group_id=${group},type=all`);
    await site.host('node2').ofctl('mod-meter', 'br-int', 'meter=5,pktps,band=type=drop,rate=7');
    const live = await ask(undefined, { live: true, host: 'node2', control });
    expectNumbered(live.out, group);
  } finally {
    await server.close();
  }
});

function expectNumbered(out: string, group: string): void {
  expect(out).toMatch(new RegExp(`^different group_id=${group},type=ff,bucket=.* # .* of router r \\(`, 'm'));
  expect(out).toMatch(new RegExp(`^installed group_id=${group},type=all$`, 'm'));
  expect(out).toMatch(/^foreign {3}group_id=7,type=all {2}# not computed$/m);
  expect(out).toMatch(/^different meter=5 .* # packet-in-meter of host node2 \(hosts\[1\], line \d+\)$/m);
  expect(out).toMatch(/^foreign {3}meter=99 kbps bands= type=drop rate=7 {2}# not computed$/m);
  expect(out).toMatch(/^# node2 br-tun: 0 missing, 1 foreign, 1 different; \d+ flows, 2 groups, 1 meter as computed/m);
}

test('of a file that says something else is the flows of that', async () => {
  const file = await bringUp();
  writeFileSync(file, site.text().replace(/"10\.0\.0\.11"/, '"10.0.0.99"'));
  const { status, out } = await ask(file, { host: 'node1' });
  expect(status).toBe(1);
  expect(out).toMatch(/^missing .*nw_src=10\.0\.0\.99 .*of port blue1/m);
  expect(out).toMatch(/^foreign .*nw_src=10\.0\.0\.11 .*# was heddle's, is not computed any more/m);
});

test('says how to reach a host whose sockets are elsewhere', async () => {
  site = await ControlledSite.prepare();
  const file = join(site.directory, 'far.json');
  writeFileSync(file, JSON.stringify({ hosts: [{ name: 'far', ovsdb: 'tcp:127.0.0.1:1', local_ip: '172.28.0.11' }] }));
  await expect(ask(file, { host: 'far' })).rejects.toThrow(/management sockets are on another machine.*--live/);
  expect(await ask(file, {})).toMatchObject({ status: 2 });
});
