/** Bridges that others own, that come late, that share an id, that are reached in another way; hosts that come and go. */
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { BLUE, ControlledSite, type SiteDocument } from '../support/controlled-site.ts';

let site: ControlledSite;
afterEach(() => site.stop());

const RED: SiteDocument = {
  networks: [
    {
      id: 'red',
      network_type: 'vlan',
      physical_network: 'physnet1',
      segmentation_id: 100,
      subnets: [{ cidr: '10.1.0.0/24' }],
    },
  ],
  ports: [{ id: 'red1', network: 'red' }],
};
const MAPPED = { node1: { bridge_mappings: { physnet1: 'br-eth2' } } };

describe('a physical bridge', () => {
  test('is not made by heddle: it is waited for, by name, and served when it appears', async () => {
    site = await ControlledSite.prepare({ ...RED, hosts: MAPPED });
    await site.startController();
    const wait = 'node1: somebody to create bridge br-eth2 (bridge_mappings)';
    await site.until('the wait', () => site.status().waitingFor.join() === wait);
    expect((await site.host().vsctl('list-ports', 'br-int')).split('\n')).not.toContain('int-br-eth2');
    await site.plug('node1', 'red1');
    await site.untilColumn('node1', 'Port', 'red1', 'tag', '1');
    expect(site.status().converged).toBe(false);

    await site.host().vsctl('add-br', 'br-eth2');
    await site.untilColumn('node1', 'Interface', 'phy-br-eth2', 'options', '{peer=int-br-eth2}');
    await site.inStep();
    expect(await site.get('node1', 'Bridge', 'br-eth2', 'fail_mode')).toBe('secure');
    const flows = await site.host().dumpFlows('br-eth2');
    expect(flows.some((flow) => /dl_vlan=1 actions=set_field:4196->vlan_vid,NORMAL/.test(flow))).toBe(true);
  });

  test('is joined by a patch that leads nowhere until the flows of both ends are confirmed', async () => {
    site = await ControlledSite.prepare({ ...RED, hosts: MAPPED });
    await site.host().vsctl('add-br', 'br-eth2');
    await site.startController();
    await site
      .plug('node1', 'red1')
      .catch(() => site.until('br-int', async () => (await site.host().vsctl('list-br')).includes('br-int')));
    await site.untilColumn('node1', 'Interface', 'int-br-eth2', 'options', '{peer=phy-br-eth2}');
    await site.inStep();
    // The database's own log of what was written in which order.
    const text = await site.database();
    const [closed, open] = [text.indexOf('["peer","nonexistent-peer"]'), text.indexOf('["peer","phy-br-eth2"]')];
    expect(closed).toBeGreaterThan(0);
    expect(open).toBeGreaterThan(closed);
    // Before the peer was set, both bridges had confirmed their flows; in the log of the controller it shows.
    const lines = site.lines.map((line) => JSON.stringify(line));
    const opened = lines.findIndex((line) => line.includes('options:peer=phy-br-eth2'));
    for (const bridge of ['br-int', 'br-eth2']) {
      const compared = lines.findIndex((line) => line.includes(`"bridge":"${bridge}"`) && line.includes('compared'));
      expect(compared).toBeGreaterThan(0);
      expect(compared).toBeLessThan(opened);
    }
    // Once open, a restart does not close it.
    await site.stopController();
    const before = await site.database();
    await site.startController();
    await site.inStep();
    expect(await site.database()).toBe(before);
  });

  test('that carries traffic for others keeps doing so: NORMAL is there before the patch', async () => {
    site = await ControlledSite.prepare({ ...RED, hosts: MAPPED });
    await site.host().vsctl('add-br', 'br-eth2');
    await site.host().addPort('br-eth2', 'eth2', 'type=internal');
    await site.startController();
    await site.untilColumn('node1', 'Interface', 'int-br-eth2', 'options', '{peer=phy-br-eth2}');
    await site.inStep();
    const trace = await site.host().appctl('ofproto/trace', 'br-eth2', 'in_port=eth2,dl_dst=02:00:00:00:00:02');
    expect(trace).toMatch(/3\. priority 1, .*\n\s+NORMAL\n/);
  });

  test('that goes away is waited for again, and its patch on br-int comes back with it', async () => {
    site = await ControlledSite.prepare({ ...RED, hosts: MAPPED });
    await site.host().vsctl('add-br', 'br-eth2');
    await site.startController();
    await site.untilColumn('node1', 'Interface', 'int-br-eth2', 'options', '{peer=phy-br-eth2}');
    await site.inStep();
    await site.host().vsctl('del-br', 'br-eth2');
    await site.until('the wait', () => site.status().waitingFor.join().includes('create bridge br-eth2'));
    await site.host().vsctl('add-br', 'br-eth2');
    await site.untilColumn('node1', 'Interface', 'phy-br-eth2', 'options', '{peer=int-br-eth2}');
    await site.inStep();
  });
});

describe('datapath ids', () => {
  test('that two bridges share are told apart, with a warning, once and for all', async () => {
    site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: {}, node2: {} } });
    for (const host of ['node1', 'node2'])
      await site.host(host).addBridge('br-int', { datapathId: '0000aabbccddeeff' });
    await site.startController();
    await site.inStep();
    const ids = await Promise.all(['node1', 'node2'].map((host) => site.get(host, 'Bridge', 'br-int', 'datapath_id')));
    expect(ids).toEqual(['"0000aabbccddeeff"', '"0001aabbccddeeff"']);
    expect(site.complaints()).toMatchObject([
      {
        msg: 'two bridges have one datapath id; this one gets another',
        host: 'node2',
        bridge: 'br-int',
        other: 'node1 br-int',
      },
    ]);
    await site.stopController();
    const databases = [await site.database('node1'), await site.database('node2')];
    await site.startController();
    await site.inStep();
    expect([await site.database('node1'), await site.database('node2')]).toEqual(databases);
    expect(site.complaints()).toHaveLength(1);
  });
});

describe('other ways to a bridge', () => {
  test('mgmt_dir: heddle dials BRIDGE.mgmt and leaves the controllers of bridges alone', async () => {
    site = await ControlledSite.prepare(BLUE);
    site.hostEntries = { node1: { mgmt_dir: site.host().directory } };
    await site.startController({ listen: [] });
    await site.inStep();
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
    await site.inStep();
    expect(await site.get('node1', 'Bridge', 'br-int', 'controller')).toBe('[]');
    expect(site.status().hosts[0]?.bridges.map(({ peer }) => peer)).toEqual(
      ['br-int', 'br-tun'].map((bridge) => `unix:${join(site.host().directory, bridge)}.mgmt`),
    );
  });

  test('controller: null: heddle leaves Bridge.controller alone, and takes the bridge when it calls', async () => {
    site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: { controller: null } } });
    await site.host().addBridge('br-int', { controllers: [site.listen] });
    const before = await site.get('node1', 'Bridge', 'br-int', 'controller');
    await site.startController();
    await site.until('br-int to be served', () => site.status().hosts[0]?.bridges[0]?.passCount === 1);
    expect(await site.get('node1', 'Bridge', 'br-int', 'controller')).toBe(before);
    expect(await site.get('node1', 'Controller', 'br-int', 'max_backoff')).toBe('1000');
    expect(site.status().waitingFor).toEqual(['node1: bridge br-tun to connect']);
    await site.host().vsctl('set-controller', 'br-tun', site.listen);
    await site.inStep();
  });

  test('names of bridges are the file’s', async () => {
    site = await ControlledSite.start({ ...BLUE, hosts: { node1: { bridges: { integration: 's1', tunnel: 's2' } } } });
    expect((await site.host().vsctl('list-br')).trim().split('\n')).toEqual(['s1', 's2']);
    await site.inStep();
  });

  test('a bridge that nobody asked for does not get flows, and is told', async () => {
    site = await ControlledSite.start();
    // Its owner left it in band.
    site.host().allowLog(/in_band\|WARN\|br-else/);
    await site
      .host()
      .vsctl(
        'add-br',
        'br-else',
        '--',
        'set-controller',
        'br-else',
        site.listen,
        '--',
        'set-fail-mode',
        'br-else',
        'secure',
      );
    await site.until('it to call', () => site.controller.strangers.length === 1);
    expect(await site.host().dumpFlows('br-else')).toEqual([]);
    expect(site.status().warnings).toEqual([
      expect.stringMatching(/^a bridge with datapath id [0-9a-f]{16} is connected from tcp:.* belongs to no host/),
    ]);
    await site.inStep();
  });
});

describe('hosts', () => {
  test('that join the file are taken in, and those that leave it keep what they have', async () => {
    site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: {}, node2: {} } });
    site.hostEntries = { node1: {} };
    await site.startController();
    await site.inStep();
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
    await site.inStep();

    site.change({}, { node1: {}, node2: {} });
    await site.until('br-int', async () => (await site.host('node2').vsctl('list-br')).includes('br-int'));
    await site.plug('node2', 'blue2');
    await site.untilColumn('node1', 'Interface', 'vxlan-ac1c000c', 'type', 'vxlan');
    await site.inStep();
    const left = await site.host('node2').dumpFlows('br-int');
    const database = await site.database('node2');

    site.change({}, { node1: {} });
    await site.until('no tunnel', async () => !(await site.host().vsctl('list-ports', 'br-tun')).includes('vxlan'));
    await site.inStep();
    expect(await site.host('node2').dumpFlows('br-int')).toEqual(left);
    expect(await site.database('node2')).toBe(database);
    expect(site.controller.compiler.book('node2', 'br-int')?.size ?? 0).toBe(0);

    site.change({}, { node1: {}, node2: {} });
    await site.untilColumn('node1', 'Interface', 'vxlan-ac1c000c', 'type', 'vxlan');
    await site.inStep();
  });

  test('one that moves to another OVSDB is found there', async () => {
    site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: {}, node2: {} } });
    const [one, two] = ['node1', 'node2'].map((name) => `unix:${site.host(name).databaseSocket}`);
    site.hostEntries = { node1: { ovsdb: one } };
    await site.startController();
    await site.inStep();
    site.change({}, { node1: { ovsdb: two } });
    await site.until('bridges there', async () => (await site.host('node2').vsctl('list-br')).includes('br-tun'));
    await site.converged();
  });
});
