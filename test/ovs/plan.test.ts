/**
 * `heddle plan`: its lines, given to ovs-ofctl as they are, take a real switch from the old topology's flows to the new one's
 * (src/controller/plan-change.ts, src/cli/plan.ts).
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plan } from '../../src/cli/plan.ts';
import { OfflineSite } from '../../src/compiler/offline.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { formatGroup } from '../../src/flow/format-group.ts';
import { loadTopology } from '../../src/topology/load.ts';
import { OvsSandbox } from '../support/ovs-sandbox.ts';

const OLD = readFileSync(new URL('../../docs/examples/three-hosts.yaml', import.meta.url), 'utf8');
/** An address changes, a port goes, a network sorts in before all others. */
const NEW = OLD.replace('fixed_ips: [10.0.0.12, "fd00:1::12"]', 'fixed_ips: [10.0.0.22, "fd00:1::12"]')
  .replace(/^.*id: green2,.*$/m, '')
  .replace(
    'networks:\n',
    'networks:\n  - { id: aaa, network_type: vxlan, segmentation_id: 900, subnets: [{ cidr: 10.5.0.0/24 }] }\n',
  )
  .replace('ports:\n', 'ports:\n  - { id: aaa1, network: aaa, host: node1, fixed_ips: [10.5.0.5] }\n');

function read(text: string, held?: { macs: Record<string, string>; addresses: Record<string, string> }) {
  const loaded = loadTopology(text, { file: 'topology.yaml', ...(held && { held }) });
  if ('errors' in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded;
}

describe('heddle plan', () => {
  let sandbox: OvsSandbox;
  let directory = '';
  beforeAll(async () => {
    sandbox = await OvsSandbox.start();
    directory = mkdtempSync(join(tmpdir(), 'heddle-plan-'));
    writeFileSync(join(directory, 'old.yaml'), OLD);
    writeFileSync(join(directory, 'new.yaml'), NEW);
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await sandbox.stop();
  });

  async function planned(from: string, to: string, ...bridge: string[]): Promise<{ status: number; out: string }> {
    const out: string[] = [];
    const terminal = { out: (text: string) => out.push(text), talk: () => undefined, isColoured: false };
    const [host, name] = bridge;
    const options = { ...(host !== undefined && { host }), ...(name !== undefined && { bridge: name }) };
    const status = await plan(join(directory, from), join(directory, to), options, terminal);
    return { status, out: out.join('') };
  }

  test.each([
    ['node1', 'br-int'],
    ['node1', 'br-tun'],
    ['node3', 'br-tun'],
  ])('on %s, %s, is what ovs-ofctl needs to get from one to the other', async (host, bridge) => {
    const before = read(OLD);
    const after = read(NEW, before.derived);
    const site = new OfflineSite();
    site.take(before.topology);
    const oldFlows = [...(site.compiler.book(host, bridge)?.flows() ?? [])].map(({ flow }) => formatFlow(flow));
    site.take(after.topology);
    const newFlows = [...(site.compiler.book(host, bridge)?.flows() ?? [])].map(({ flow }) => formatFlow(flow));
    expect(newFlows).not.toEqual(oldFlows);
    const ports = site.bridges.find((one) => one.host === host && one.bridge === bridge)?.portNames ?? new Map();

    await sandbox.addBridge(bridge);
    for (const [ofport, name] of ports) {
      expect(await sandbox.addPort(bridge, name, 'type=dummy', `ofport_request=${ofport}`)).toBe(ofport);
    }
    await sandbox.ofctlWithInput(oldFlows.join('\n'), '--bundle', 'add-flows', bridge, '-');
    const { status, out } = await planned('old.yaml', 'new.yaml', host, bridge);
    expect(status).toBe(1);
    await sandbox.ofctlWithInput(out, '--bundle', '--names', 'add-flows', bridge, '-');
    expect((await sandbox.dumpFlows(bridge)).sort()).toEqual(newFlows.sort());
    await sandbox.vsctl('del-br', bridge);
  });

  test('groups and meters stand among the flows as comments, in words that ovs-ofctl takes', async () => {
    const dvr = readFileSync(new URL('../../docs/examples/dvr.yaml', import.meta.url), 'utf8');
    const twoGateways = dvr.replace('name: node3', 'name: node3\n    agent_mode: dvr_snat');
    writeFileSync(join(directory, 'dvr.yaml'), dvr);
    writeFileSync(join(directory, 'two.yaml'), twoGateways);
    writeFileSync(join(directory, 'none.yaml'), '{ hosts: [{ name: node1, local_ip: 192.0.2.11 }] }');
    const { out } = await planned('dvr.yaml', 'two.yaml', 'node1', 'br-tun');
    expect(out).toMatch(/^# node1 br-tun: 1 add, 2 modify, 0 delete; groups: 2 add, 0 modify, 0 delete\n/);
    const site = new OfflineSite();
    site.take(read(dvr).topology);
    site.take(read(twoGateways).topology);
    const ports = site.bridges.find((one) => one.host === 'node1' && one.bridge === 'br-tun')?.portNames ?? new Map();
    await sandbox.addBridge('br-tun');
    for (const [ofport, name] of ports) await sandbox.addPort('br-tun', name, 'type=dummy', `ofport_request=${ofport}`);
    for (const [, group = ''] of out.matchAll(/^# add-group (.*?) {2}#/gm))
      await sandbox.ofctl('add-group', 'br-tun', group);
    await sandbox.ofctlWithInput(out, '--names', 'add-flows', 'br-tun', '-');
    const wanted = [...(site.compiler.book('node1', 'br-tun')?.groups() ?? [])].map(({ group }) => formatGroup(group));
    expect(wanted).toHaveLength(2);
    expect((await sandbox.dumpNumbered('br-tun')).sort()).toEqual(wanted.sort());
    await sandbox.vsctl('del-br', 'br-tun');

    const { out: fromNone } = await planned('none.yaml', 'dvr.yaml', 'node1', 'br-int');
    expect(fromNone).toMatch(
      /^# add-meter meter=5 pktps burst bands= type=drop rate=\d+ burst_size=\d+ {2}# packet-in-meter of/m,
    );
    const { out: back } = await planned('two.yaml', 'dvr.yaml', 'node1', 'br-tun');
    expect(back.match(/^# del-group group_id=\d+,type=ff/gm)).toHaveLength(2);
  });

  test('says what changes, where, why, and counts it by bridge', async () => {
    const { out } = await planned('old.yaml', 'new.yaml', 'node3', 'br-tun');
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^# node3 br-tun: \d+ add, 0 modify, \d+ delete$/);
    expect(out).toMatch(
      /^delete_strict table=21, .*arp_tpa=10\.0\.0\.12\S+ {2}# fdb of port blue2 \(ports\[1\], line \d+\)$/m,
    );
    expect(out).not.toMatch(/^# node[12]/m);
  });

  test('of a file to itself is nothing, and exits with 0', async () => {
    expect(await planned('old.yaml', 'old.yaml')).toEqual({ status: 0, out: '' });
  });

  test('of a changed comment is nothing', async () => {
    writeFileSync(join(directory, 'comment.yaml'), `# another word\n${OLD}`);
    expect(await planned('old.yaml', 'comment.yaml')).toEqual({ status: 0, out: '' });
  });
});
