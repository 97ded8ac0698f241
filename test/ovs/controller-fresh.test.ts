/** What the controller makes of hosts: fresh ones, ones that are right already, ones that somebody else prepared. */
import { afterEach, describe, expect, test } from 'vitest';
import { BLUE, ControlledSite } from '../support/controlled-site.ts';

let site: ControlledSite;
afterEach(() => site.stop());

const TWO_HOSTS = { ...BLUE, hosts: { node1: {}, node2: {} } };

/** blue1 on node1, blue2 on node2, and everything that follows from it. */
async function plugBoth(): Promise<void> {
  await site.plug('node1', 'blue1');
  await site.plug('node2', 'blue2');
  await site.untilColumn('node1', 'Port', 'blue1', 'other_config:tag', '"1"');
  await site.untilColumn('node2', 'Port', 'blue2', 'other_config:tag', '"1"');
  await site.untilColumn('node1', 'Interface', 'vxlan-ac1c000c', 'type', 'vxlan');
  await site.inStep();
}

describe('a fresh host', () => {
  test('gets bridges that are secure before they have a controller, and controllers out of band', async () => {
    site = await ControlledSite.start();
    expect((await site.host().vsctl('list-br')).trim().split('\n')).toEqual(['br-int', 'br-tun']);
    for (const bridge of ['br-int', 'br-tun']) {
      expect(await site.get('node1', 'Bridge', bridge, 'fail_mode')).toBe('secure');
      expect(await site.get('node1', 'Bridge', bridge, 'other_config')).toBe(
        '{disable-in-band="true", mac-table-size="50000"}',
      );
      expect((await site.host().vsctl('get-controller', bridge)).trim()).toBe(site.listen);
      expect(await site.get('node1', 'Controller', bridge, 'connection_mode')).toBe('out-of-band');
    }
    // ovsdb-server's own log: no transaction gives a bridge a controller without having made it secure and out of band.
    const records = (await site.database())
      .split('\n')
      .filter((line) => line.startsWith('{"_') || line.includes('"_date"'));
    const firstController = records.findIndex((line) => line.includes('"target"'));
    expect(records.findIndex((line) => line.includes('"fail_mode":"secure"'))).toBeLessThan(firstController);
    expect(records[firstController]).toContain('disable-in-band');
    expect(site.complaints()).toEqual([]);
    await site.inStep();
  });

  test('gets patch ports and tunnel ports with the names and options of Neutron', async () => {
    site = await ControlledSite.start(TWO_HOSTS);
    await plugBoth();
    const get = (name: string, column: string) => site.get('node1', 'Interface', name, column);
    expect([await get('patch-tun', 'type'), await get('patch-tun', 'options')]).toEqual(['patch', '{peer=patch-int}']);
    expect([await get('patch-int', 'type'), await get('patch-int', 'options')]).toEqual(['patch', '{peer=patch-tun}']);
    expect(await get('vxlan-ac1c000c', 'options')).toBe(
      '{df_default="true", egress_pkt_mark="0", in_key=flow, local_ip="172.28.0.11", out_key=flow, remote_ip="172.28.0.12"}',
    );
    const ports = await site.host().vsctl('list-ports', 'br-tun');
    expect(ports.trim().split('\n')).toEqual(['patch-int', 'vxlan-ac1c000c']);
  });

  test.each([
    ['gre', 4294967295],
    ['geneve', 16777215],
  ])('%s tunnels likewise, up to the largest id', async (type, segmentationId) => {
    site = await ControlledSite.start({
      ...TWO_HOSTS,
      networks: [{ ...BLUE.networks?.[0], network_type: type, segmentation_id: segmentationId }],
    });
    await site.plug('node1', 'blue1');
    await site.plug('node2', 'blue2');
    await site.untilColumn('node1', 'Interface', `${type}-ac1c000c`, 'type', type);
    await site.inStep();
  });

  test('tags its guests and writes the other_config keys of Neutron', async () => {
    site = await ControlledSite.start(TWO_HOSTS);
    await plugBoth();
    expect(await site.get('node1', 'Port', 'blue1', 'tag')).toBe('1');
    expect(await site.get('node1', 'Port', 'blue1', 'other_config')).toBe(
      '{net_uuid=blue, network_type=vxlan, physical_network=None, segmentation_id="1001", tag="1"}',
    );
    expect(await site.get('node1', 'Port', 'blue1', 'vlan_mode')).toBe('[]');
  });

  test('leaves what is not its own as it is', async () => {
    site = await ControlledSite.prepare();
    await site
      .host()
      .vsctl('add-br', 'br-else', '--', 'set', 'Bridge', 'br-else', 'other_config:hwaddr=02:00:00:00:00:01');
    await site
      .host()
      .vsctl('add-port', 'br-else', 'else0', 'tag=7', '--', 'set', 'Interface', 'else0', 'type=internal');
    await site.host().vsctl('add-br', 'br-int', '--', 'set', 'Bridge', 'br-int', 'other_config:forward-bpdu=true');
    await site.host().vsctl('set', 'Bridge', 'br-int', 'protocols=OpenFlow10');
    await site.host().vsctl('add-port', 'br-int', 'mine', 'tag=9', '--', 'set', 'Interface', 'mine', 'type=internal');
    const before = await site
      .host()
      .vsctl('--columns=_uuid,name,ports,controller,fail_mode,other_config', 'list', 'Bridge', 'br-else');
    await site.startController();
    await site.inStep();
    const columns = '--columns=_uuid,name,ports,controller,fail_mode,other_config';
    expect(await site.host().vsctl(columns, 'list', 'Bridge', 'br-else')).toBe(before);
    expect(await site.get('node1', 'Bridge', 'br-int', 'other_config:forward-bpdu')).toBe('"true"');
    expect(await site.get('node1', 'Bridge', 'br-int', 'protocols')).toBe('[OpenFlow10, OpenFlow13]');
    expect(await site.get('node1', 'Port', 'mine', 'tag')).toBe('9');
    expect(await site.get('node1', 'Port', 'else0', 'tag')).toBe('7');
  });
});

describe('a restart with nothing changed', () => {
  test('sends no flow-mod and writes nothing', async () => {
    site = await ControlledSite.start(TWO_HOSTS);
    await plugBoth();
    await site.stopController();
    const before = await site.database();
    const stoppedAtMs = performance.now();
    await site.logMessages();
    await site.startController();
    await site.inStep();
    expect(await site.database()).toBe(before);
    // The log of messages is at work: it shows that flows were asked for.
    expect(await site.received(/\|tcp:.*OFPST_FLOW request/)).toHaveLength(2);
    expect(await site.mods()).toEqual([]);
    const ages = await site.flowAges('node1', 'br-int');
    expect(Math.min(...ages)).toBeGreaterThan((performance.now() - stoppedAtMs) / 1000 - 0.1);
    const { hosts } = site.status();
    expect(hosts.map(({ ovsdbWrites }) => ovsdbWrites)).toEqual(
      Array(2).fill({ sessions: 1, transactions: 0, writes: 0, failures: 0 }),
    );
    expect(hosts.flatMap(({ bridges }) => bridges.map(({ flowMods }) => flowMods))).toEqual(
      Array(4).fill({ add: 0, modify: 0, delete: 0 }),
    );
  });

  test('nor does a file in another order, or one whose words change and not their meaning', async () => {
    site = await ControlledSite.start(TWO_HOSTS);
    await plugBoth();
    const before = await site.database();
    await site.logMessages();
    const { generation } = site.status();
    site.change({ ports: [...(site.document.ports ?? [])].reverse() });
    site.change({ ports: (site.document.ports ?? []).map((port) => ({ ...port, port_security_enabled: true })) });
    await site.inStep();
    expect(site.status().generation).toBeGreaterThan(generation);
    expect(await site.mods()).toEqual([]);
    expect(await site.database()).toBe(before);
  });
});

describe('local VLANs', () => {
  const THREE = {
    networks: ['a', 'b', 'c'].map((id, index) => ({
      id,
      network_type: 'vxlan',
      segmentation_id: 100 + index,
      subnets: [{ cidr: `10.0.${index}.0/24` }],
    })),
    ports: ['a', 'b', 'c'].map((network) => ({ id: `${network}1`, network })),
  };

  test('survive a restart, also when networks that came before are gone', async () => {
    site = await ControlledSite.start(THREE);
    for (const name of ['a1', 'b1', 'c1']) await site.plug('node1', name);
    await site.untilColumn('node1', 'Port', 'c1', 'tag', '3');
    await site.inStep();
    await site.stopController();
    await site.host().vsctl('del-port', 'br-int', 'a1');
    await site.startController();
    await site.inStep();
    expect([await site.get('node1', 'Port', 'b1', 'tag'), await site.get('node1', 'Port', 'c1', 'tag')]).toEqual([
      '2',
      '3',
    ]);
    await site.plug('node1', 'a1');
    await site.untilColumn('node1', 'Port', 'a1', 'tag', '1');
    await site.inStep();
  });

  test('of a host that Neutron has prepared are taken over as they are', async () => {
    site = await ControlledSite.prepare(THREE);
    await site.host().addBridge('br-int');
    for (const [name, tag, segment] of [
      ['a1', 17, 100],
      ['b1', 4, 101],
    ] as const) {
      const otherConfig = [
        `net_uuid=${name[0]}`,
        'network_type=vxlan',
        'physical_network=None',
        `segmentation_id=${segment}`,
        `tag=${tag}`,
      ];
      await site.plug('node1', name);
      await site.host().vsctl('set', 'Port', name, `tag=${tag}`, ...otherConfig.map((pair) => `other_config:${pair}`));
    }
    await site.plug('node1', 'c1');
    const dump = await site.host().vsctl('--columns=_uuid,name,tag,other_config', 'list', 'Port', 'a1', 'b1');
    await site.startController();
    await site.untilColumn('node1', 'Port', 'c1', 'tag', '1');
    await site.inStep();
    expect(await site.host().vsctl('--columns=_uuid,name,tag,other_config', 'list', 'Port', 'a1', 'b1')).toBe(dump);
    expect(site.status().hosts[0]?.localVlans).toEqual({ a: 17, b: 4, c: 1 });
  });
});
