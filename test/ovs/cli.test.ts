/** Commands that ask a running controller, a switch or a database: what they print is what those hold. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { heddle } from '../cli/command-line.ts';
import { BLUE } from '../support/controlled-site.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { serverDump } from '../support/ovsdb-dump.ts';
import { RunningHeddle } from '../support/running-heddle.ts';

const HEDDLE = join(import.meta.dirname, '..', '..', 'bin', 'heddle.js');

let running: RunningHeddle;
const site = () => running.site;
const ask = (...args: readonly string[]) => heddle(...args, '--control', running.process.control);

beforeAll(async () => {
  const networks = [
    ...(BLUE.networks ?? []),
    {
      id: 'red',
      network_type: 'vlan',
      physical_network: 'physnet1',
      segmentation_id: 100,
      subnets: [{ cidr: '10.1.0.0/24' }],
    },
  ];
  const host = { bridge_mappings: { physnet1: 'br-eth2' } };
  running = await RunningHeddle.prepare({
    networks,
    ports: [...(BLUE.ports ?? []), { id: 'red1', network: 'red' }].map((port) => ({
      ...port,
      host: (port as { id?: string }).id === 'blue2' ? 'node2' : 'node1',
    })),
    hosts: { node1: host, node2: host },
  });
  for (const sandbox of site().hosts.values()) await sandbox.vsctl('add-br', 'br-eth2');
  running.run();
  for (const name of ['node1', 'node2']) {
    await waitFor('br-int', async () => (await site().host(name).vsctl('list-br')).includes('br-int'));
  }
  await site().plug('node1', 'blue1');
  await site().plug('node1', 'red1');
  await site().plug('node2', 'blue2');
  await site().untilColumn('node1', 'Interface', 'vxlan-ac1c000c', 'type', 'vxlan');
  await running.process.converged();
});
afterAll(() => running.stop());

const flowLines = (out: string): string[] => out.split('\n').filter((line) => line.startsWith('cookie='));
/** Local VLANs count up in their own order on a switch, names and numbers differ too: what is left is the same. */
const bare = (lines: readonly string[]): string[] => [...lines].sort();

describe('flows', () => {
  test('--live is the dump of the switch, to the letter', async () => {
    for (const bridge of ['br-int', 'br-tun', 'br-eth2']) {
      const { out, status } = await ask('flows', '--live', '--host', 'node1', '--bridge', bridge);
      expect(status).toBe(0);
      expect(bare(flowLines(out))).toEqual(bare(await site().host('node1').dumpFlows(bridge)));
    }
  });

  test('offline is the same as --live, with names for ports', async () => {
    for (const host of ['node1', 'node2']) {
      const live = await ask('flows', '--live', '--host', host, '--names');
      const offline = await heddle('flows', running.file, '--host', host);
      expect(flowLines(live.out).length).toBeGreaterThan(30);
      expect(bare(flowLines(offline.out))).toEqual(bare(flowLines(live.out)));
    }
  });

  test('--explain --live names the line of the file', async () => {
    const { out } = await ask('flows', '--live', '--host', 'node1', '--object', 'blue1', '--explain');
    expect(out).toMatch(/^# \S+ of port blue1 \(ports\[0\], line \d+\)\ncookie=/m);
  });

  test('--ofctl is taken by ovs-ofctl as it is, and what the switch then holds is what was computed', async () => {
    await using sandbox = await OvsSandbox.start();
    for (const bridge of ['br-int', 'br-tun', 'br-eth2']) {
      await sandbox.addBridge(bridge);
      const { out, status } = await heddle(
        'flows',
        running.file,
        '--host',
        'node1',
        '--bridge',
        bridge,
        '--ofctl',
        '--no-names',
      );
      expect(status).toBe(0);
      await sandbox.ofctlWithInput(out, 'add-flows', bridge, '-');
      expect(bare(await sandbox.dumpFlows(bridge))).toEqual(bare(flowLines(out)));
    }
    // With names, on a bridge that has ports of these names: node1's own.
    const named = await heddle('flows', running.file, '--host', 'node1', '--bridge', 'br-int', '--ofctl', '--explain');
    const before = bare(await site().host('node1').dumpFlows('br-int'));
    await site().host('node1').ofctlWithInput(named.out, '--bundle', 'add-flows', 'br-int', '-');
    expect(bare(await site().host('node1').dumpFlows('br-int'))).toEqual(before);
  });

  test('an unknown host or bridge is named, with those there are', async () => {
    expect((await ask('flows', '--live', '--host', 'node9')).talk).toBe(
      'heddle: no host "node9" in the topology; there are: node1, node2\n',
    );
    expect((await ask('flows', '--live', '--host', 'node1', '--bridge', 'x')).talk).toBe(
      'heddle: host node1 has no bridge "x"; it has: br-int, br-tun, br-eth2\n',
    );
  });
});

describe('status', () => {
  test('is an aligned table, and JSON for programs', async () => {
    const { status, out } = await ask('status');
    expect(status).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^converged, generation \d+, last pass [\d.]+ ms, up \d+ s, \d+ MiB, pid \d+$/);
    expect(lines[1]).toMatch(new RegExp(`^topology ${running.file}, read 20`));
    const header = lines.findIndex((line) => line.startsWith('HOST '));
    const column = lines[header]?.indexOf('OPENFLOW') ?? -1;
    const rows = lines.slice(header + 1);
    expect(rows).toHaveLength(6);
    for (const row of rows) expect(row.slice(column)).toMatch(/^up {7,}\d+ flows /);
    const { out: json } = await ask('status', '--json', '--host', 'node2');
    expect(JSON.parse(json)).toMatchObject({
      converged: true,
      waitingFor: [],
      hosts: [{ name: 'node2', ovsdbPhase: 'live' }],
    });
  });

  test('names what a switch refuses, calls that degraded, and exits 1 until it is taken', async () => {
    const sandbox = site().host('node2');
    // Table 24 has no room for the flows of a guest that is plugged in anew.
    const limit = ['--', '--id=@full', 'create', 'Flow_Table', 'flow_limit=1', 'overflow_policy=refuse'];
    await sandbox.vsctl('del-port', 'br-int', 'blue2');
    await running.process.converged();
    await sandbox.vsctl(...limit, '--', 'set', 'Bridge', 'br-int', 'flow_tables:24=@full');
    await site().plug('node2', 'blue2');
    const refused = await waitFor('what is refused', async () => {
      const answer = await ask('status');
      return answer.out.startsWith('degraded, ') && answer;
    });
    expect(refused.status).toBe(1);
    expect(refused.out).toMatch(/^node2 .*br-int +up +\d+ flows, \d refused /m);
    expect(refused.out).toMatch(
      /^warning node2 br-int: \d flows refused, the first of port blue2 \(\S+\): OFPFMFC_TABLE_FULL$/m,
    );
    const lines = running.process.complaints.filter(({ msg }) => msg === 'the switch refused a flow');
    expect(lines[0]).toMatchObject({
      host: 'node2',
      bridge: 'br-int',
      object: 'port blue2',
      error: 'OFPFMFC_TABLE_FULL',
    });
    // All others are in place: the guest's own switch port among them.
    expect((await sandbox.dumpFlows('br-int', 'table=0')).length).toBeGreaterThan(5);
    await sandbox.vsctl('clear', 'Bridge', 'br-int', 'flow_tables');
    await waitFor('it is taken', async () => (await ask('status')).status === 0, 20_000);
    expect(bare(flowLines((await ask('flows', '--live', '--host', 'node2', '--bridge', 'br-int')).out))).toEqual(
      bare(await sandbox.dumpFlows('br-int')),
    );
  });

  test('names a host that is not there, and exits 1 while something is waited for', async () => {
    expect(await ask('status', '--host', 'node9')).toMatchObject({
      status: 1,
      talk: 'heddle: no host "node9" in the topology; there are: node1, node2\n',
    });
    await site().host('node2').stopVswitchd();
    await waitFor('the loss', async () => (await ask('status')).status === 1);
    expect((await ask('status')).out).toMatch(/^waiting for node2: bridge br-\S+ to connect$/m);
    await site().host('node2').startVswitchd();
    await running.process.converged();
  });
});

describe('ovsdb', () => {
  test('dump holds what ovsdb-client prints', async () => {
    const socket = site().host().databaseSocket;
    const server = await serverDump(socket, 'Interface', ['_uuid', 'name', 'ofport', 'type', 'external_ids']);
    const { out, status } = await heddle(
      'ovsdb',
      `unix:${socket}`,
      'dump',
      'Interface',
      'name',
      'ofport',
      'type',
      'external_ids',
      '--json',
    );
    expect(status).toBe(0);
    const theirs = Object.values(server.Interface ?? {}).map(({ name, ofport }) => `${String(name)} ${String(ofport)}`);
    const ours = (JSON.parse(out) as { name: string; ofport: number }[]).map(({ name, ofport }) => `${name} ${ofport}`);
    expect(ours.sort()).toEqual(theirs.sort());
    const table = await heddle(
      'ovsdb',
      `unix:${socket}`,
      'dump',
      'Interface',
      'name',
      'ofport',
      'type',
      'external_ids',
    );
    const [header = '', ...rows] = table.out.trimEnd().split('\n');
    expect(header).toMatch(/^name +ofport +type +external_ids$/);
    expect(rows).toHaveLength(ours.length);
    for (const row of rows) expect(row.slice(header.indexOf('ofport'))).toMatch(/^\d/);
  });

  test('without columns it shows all, and an unknown table or column is named', async () => {
    const connection = `unix:${site().host().databaseSocket}`;
    const { out } = await heddle('ovsdb', connection, 'dump', 'Bridge');
    expect(out.split('\n')[0]).toContain('datapath_id');
    for (const args of [['Bridges'], ['Bridge', 'nam']]) {
      const { status, talk } = await heddle('ovsdb', connection, 'dump', ...args);
      expect(status).toBe(1);
      expect(talk).toMatch(new RegExp(`^heddle: .*${args.at(-1)}`));
    }
  });

  test('monitor prints a line for each row that comes, changes and goes, until it is interrupted', async () => {
    const args = ['ovsdb', `unix:${site().host().databaseSocket}`, 'monitor', 'Port', 'name', 'tag'];
    const child = spawn(process.execPath, [HEDDLE, ...args]);
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await waitFor('the rows that are there', () => /^\+ \w{8} name=blue1 tag=\d+$/m.test(out));
    await site().host().vsctl('add-port', 'br-eth2', 'extra', '--', 'set', 'Interface', 'extra', 'type=internal');
    await waitFor('one that comes', () => /^\+ \w{8} name=extra tag=-$/m.test(out));
    await site().host().vsctl('set', 'Port', 'extra', 'tag=9');
    await waitFor('one that changes', () => /^~ \w{8} name=extra tag=9$/m.test(out));
    await site().host().vsctl('del-port', 'br-eth2', 'extra');
    await waitFor('one that goes', () => /^- \w{8} name=extra tag=9$/m.test(out));
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });
});

describe('doctor', () => {
  test('finds nothing to mend on a site that runs', async () => {
    const { status, out, talk } = await heddle('doctor', running.file);
    // The dummy datapath knows no way out of a tunnel: that is all.
    const findings = out.split('\n').filter((line) => /^(error|warning)/.test(line));
    expect(findings.every((line) => /tunnel vxlan-\w+ has no way out/.test(line))).toBe(true);
    expect(status).toBe(findings.length > 0 ? 1 : 0);
    expect(talk).toMatch(/to mend\n$/);
    expect(out).toMatch(/^ok +node1 +Open vSwitch of unknown version: /m);
  });

  test('says of a sick site what is wrong, where, and what to do', async () => {
    await using sandbox = await OvsSandbox.start();
    sandbox.allowLog(/could not open network device|unknown type|bridge\|WARN|ofproto\|ERR|could not create datapath/);
    mkdirSync(join(site().directory, 'sick'), { recursive: true });
    await sandbox.vsctl('add-br', 'br-int', '--', 'set', 'Bridge', 'br-int', 'protocols=OpenFlow10');
    await sandbox.vsctl(
      '--no-wait',
      'add-port',
      'br-int',
      'ghost0',
      '--',
      'set',
      'Interface',
      'ghost0',
      'type=nonsense',
    );
    const sick = {
      hosts: [
        {
          name: 'sick',
          ovsdb: `unix:${sandbox.databaseSocket}`,
          local_ip: '172.28.0.11',
          bridge_mappings: { physnet1: 'br-eth2' },
        },
        { name: 'gone', ovsdb: 'unix:/nonexistent/db.sock', local_ip: '172.28.0.12' },
        { name: 'far', ovsdb: 'tcp:127.0.0.1:1', local_ip: '172.28.0.13' },
      ],
      networks: BLUE.networks,
      ports: [],
    };
    const file = `${running.file}.sick.json`;
    const { writeFileSync } = await import('node:fs');
    writeFileSync(file, JSON.stringify(sick));
    await waitFor('the switch to see the ghost', async () =>
      (await sandbox.vsctl('get', 'Interface', 'ghost0', 'error')).includes('could not'),
    );
    // As where the kernel module is missing.
    await sandbox.stopVswitchd();
    await sandbox.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'datapath_types=netdev');
    const { status, out, talk } = await heddle('doctor', file);
    expect(status).toBe(1);
    const rows = out.split('\n').map((line) => line.replace(/ {2,}/g, ' | '));
    expect(rows).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^error \| sick \| datapath_type system is not one of this switch's: netdev$/),
        expect.stringMatching(/^error \| sick \| bridge br-eth2 of bridge_mappings does not exist$/),
        expect.stringMatching(/-> ovs-vsctl add-br br-eth2, and give it the interface to physnet1$/),
        expect.stringMatching(/^error \| sick \| interface ghost0: could not open network device ghost0/),
        expect.stringMatching(/^ok \| sick \| bridge br-int speaks OpenFlow10; heddle run adds OpenFlow13$/),
        expect.stringMatching(/^ok \| sick \| bridge br-tun does not exist yet; heddle run makes it$/),
        expect.stringMatching(/^error \| gone \| no OVSDB: Cannot reach unix:\/nonexistent\/db\.sock: connect ENOENT/),
        expect.stringMatching(/-> start openvswitch-switch there, and see that this user may open the socket$/),
        expect.stringMatching(/^error \| far \| no OVSDB: Cannot reach tcp:127\.0\.0\.1:1: connect ECONNREFUSED/),
        expect.stringMatching(/-> on the host: ovs-vsctl set-manager ptcp:1:127\.0\.0\.1$/),
      ]),
    );
    expect(talk).toBe(`${rows.filter((row) => /^(error|warning)/.test(row)).length} things to mend\n`);
    const findings = JSON.parse((await heddle('doctor', '--json', '--state', file, file)).out);
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'error', host: 'gone' }));
    expect(findings).toContainEqual({
      severity: 'error',
      host: '',
      what: expect.stringMatching(/^state file .*: ENOTDIR/),
      advice: 'make it readable, or give --state DIR',
    });
  });
});
