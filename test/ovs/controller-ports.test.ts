/** Ports as they are plugged, renumbered, unplugged and moved: flows and tags follow the switch, and the file where it is silent. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BLUE, ControlledSite } from '../support/controlled-site.ts';

let site: ControlledSite;
afterEach(() => site.stop());

const TWO_HOSTS = { ...BLUE, hosts: { node1: {}, node2: {} } };
const NODE2_TUNNEL = 'vxlan-ac1c000c';

/** Flows of a bridge that mention something. */
async function flowsWith(host: string, bridge: string, text: string): Promise<readonly string[]> {
  const flows = await site.host(host).dumpFlows(bridge);
  return flows.filter((flow) => flow.includes(text)).map((flow) => flow.replace(/^cookie=\w+, /, ''));
}

async function hasPort(host: string, bridge: string, name: string): Promise<boolean> {
  return (await site.host(host).vsctl('list-ports', bridge)).split('\n').includes(name);
}

describe('an iface-id that the topology does not know', () => {
  test('is dead: VLAN 4095, a trunk of nothing else, a drop flow; and comes alive when it is known', async () => {
    site = await ControlledSite.start();
    const ofport = await site.plug('node1', 'stranger');
    await site.untilColumn('node1', 'Port', 'stranger', 'tag', '4095');
    await site.inStep();
    expect(await site.get('node1', 'Port', 'stranger', 'vlan_mode')).toBe('trunk');
    expect(await site.get('node1', 'Port', 'stranger', 'trunks')).toBe('[4095]');
    expect(await flowsWith('node1', 'br-int', `in_port=${ofport} `)).toEqual([
      `priority=2,in_port=${ofport} actions=drop`,
    ]);

    site.change({ ports: [...(site.document.ports ?? []), { id: 'stranger', network: 'blue' }] });
    await site.untilColumn('node1', 'Port', 'stranger', 'tag', '1');
    await site.inStep();
    expect(await site.get('node1', 'Port', 'stranger', 'vlan_mode')).toBe('[]');
    expect(await site.get('node1', 'Port', 'stranger', 'trunks')).toBe('[]');
    expect(await flowsWith('node1', 'br-int', `priority=2,in_port=${ofport} actions=drop`)).toEqual([]);
    expect(await flowsWith('node1', 'br-int', `in_port=${ofport},`)).not.toEqual([]);

    site.change({ ports: BLUE.ports ?? [] });
    await site.untilColumn('node1', 'Port', 'stranger', 'tag', '4095');
    await site.inStep();
    expect(await flowsWith('node1', 'br-int', `in_port=${ofport} `)).toEqual([
      `priority=2,in_port=${ofport} actions=drop`,
    ]);
  });

  test('ports without an iface-id are nobody of ours', async () => {
    site = await ControlledSite.start();
    await site.host().addPort('br-int', 'tap9', 'type=internal');
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
    await site.inStep();
    expect(await site.get('node1', 'Port', 'tap9', 'tag')).toBe('[]');
  });
});

test('a port that is down (admin_state_up: false) is dead, and comes back', async () => {
  site = await ControlledSite.start();
  await site.plug('node1', 'blue1');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  const up = site.document.ports ?? [];
  site.change({ ports: up.map((port) => (port.id === 'blue1' ? { ...port, admin_state_up: false } : port)) });
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '4095');
  await site.inStep();
  site.change({ ports: up });
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await site.inStep();
});

test('what a bridge confirms has nobody look at its host again', async () => {
  site = await ControlledSite.start();
  const ofport = await site.plug('node1', 'blue1');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await site.inStep();
  const confirmed = (): number => site.controller.agents.get('node1')?.installer('br-int').status().passCount ?? 0;
  const before = confirmed();
  const pass = vi.spyOn(site.controller.compiler, 'passSteps');
  await site.host().ofctl('del-flows', 'br-int', `in_port=${ofport}`);
  await site.until('the flows are put back', () => confirmed() > before);
  await site.inStep();
  expect(pass).not.toHaveBeenCalled();
  await site.host().vsctl('set', 'Port', 'blue1', 'tag=7');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  expect(pass).toHaveBeenCalled();
});

test('a changed ofport is followed', async () => {
  site = await ControlledSite.start();
  const before = await site.plug('node1', 'blue1');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await site.inStep();
  expect(await flowsWith('node1', 'br-int', `in_port=${before},`)).not.toEqual([]);
  await site.host().vsctl('set', 'Interface', 'blue1', 'ofport_request=77');
  await site.untilColumn('node1', 'Interface', 'blue1', 'ofport', '77');
  await site.until('flows for port 77', async () => (await flowsWith('node1', 'br-int', 'in_port=77,')).length > 0);
  await site.inStep();
  expect(await flowsWith('node1', 'br-int', `in_port=${before},`)).toEqual([]);
});

test('an unplugged port leaves no flow on any host, and its network leaves with its last port', async () => {
  site = await ControlledSite.start(TWO_HOSTS);
  await site.inStep();
  const empty = await site.installedFlows();
  await site.plug('node1', 'blue1');
  await site.plug('node2', 'blue2');
  await site.untilColumn('node1', 'Interface', NODE2_TUNNEL, 'type', 'vxlan');
  await site.inStep();
  expect(await flowsWith('node1', 'br-tun', 'arp_tpa=10.0.0.12')).toHaveLength(1);
  await site.host('node2').vsctl('del-port', 'br-int', 'blue2');
  await site.until('no tunnel', async () => !(await hasPort('node1', 'br-tun', NODE2_TUNNEL)));
  await site.inStep();
  expect(await flowsWith('node1', 'br-tun', 'arp_tpa=10.0.0.12')).toEqual([]);
  await site.host('node1').vsctl('del-port', 'br-int', 'blue1');
  await site.until('as at first', async () => JSON.stringify(await site.installedFlows()) === JSON.stringify(empty));
});

describe('places', () => {
  test('a port that shows up on another host moves, and stays where it showed up last', async () => {
    site = await ControlledSite.start(TWO_HOSTS);
    await site.plug('node1', 'blue1');
    await site.plug('node2', 'blue2');
    await site.untilColumn('node1', 'Interface', NODE2_TUNNEL, 'type', 'vxlan');
    await site.inStep();
    const mac = String(site.controller.topology?.ports.get('blue1')?.macAddress.toString(16).match(/../g)?.join(':'));
    expect(await flowsWith('node2', 'br-tun', `dl_dst=${mac}`)).toHaveLength(1);

    // The target of a migration shows the port while the source still has it.
    await site.plug('node2', 'blue1');
    await site.until(
      'its flows on node2 gone',
      async () => (await flowsWith('node2', 'br-tun', `dl_dst=${mac}`)).length === 0,
    );
    await site.inStep();
    await site.host('node1').vsctl('del-port', 'br-int', 'blue1');
    await site.until('no tunnel', async () => !(await hasPort('node1', 'br-tun', NODE2_TUNNEL)));
    await site.inStep();
    // And back.
    await site.plug('node1', 'blue1');
    await site.until('a tunnel', () => hasPort('node1', 'br-tun', NODE2_TUNNEL));
    await site.host('node2').vsctl('del-port', 'br-int', 'blue1');
    await site.inStep();
    expect(await flowsWith('node2', 'br-tun', `dl_dst=${mac}`)).toHaveLength(1);
  });

  test('a port of the file on a host that does not show it is not there', async () => {
    const ports = [{ ...BLUE.ports?.[0], host: 'node2' }, { ...BLUE.ports?.[1] }];
    site = await ControlledSite.start({ ...TWO_HOSTS, ports });
    await site.plug('node1', 'blue2');
    await site.untilColumn('node1', 'Port', 'blue2', 'tag', '1');
    await site.inStep();
    expect(await hasPort('node1', 'br-tun', NODE2_TUNNEL)).toBe(false);
    expect(await flowsWith('node1', 'br-tun', 'arp_tpa=10.0.0.11')).toEqual([]);
    await site.plug('node2', 'blue1');
    await site.until('its ARP entry', async () => (await flowsWith('node1', 'br-tun', 'arp_tpa=10.0.0.11')).length > 0);
    await site.inStep();
  });

  test('a port on a host that never answered is where the file says', async () => {
    const ports = [{ ...BLUE.ports?.[0], host: 'away' }, { ...BLUE.ports?.[1] }];
    site = await ControlledSite.prepare({ ...BLUE, ports });
    site.hostEntries = { ...site.hostEntries, away: {} };
    await site.startController();
    await site.until('started', () => site.controller.isStarted);
    await site.until('br-int', async () => (await site.host().vsctl('list-br')).includes('br-int'));
    await site.plug('node1', 'blue2');
    await site.until('a tunnel to it', () => hasPort('node1', 'br-tun', NODE2_TUNNEL));
    await site.until(
      'its ARP entry',
      async () => (await flowsWith('node1', 'br-tun', 'arp_tpa=10.0.0.11')).length === 1,
    );
    expect(site.status().waitingFor).toEqual([
      expect.stringMatching(/^away: its OVSDB at unix:\/nonexistent\/db\.sock/),
    ]);
  });

  test('a port without a host keeps its place over a restart while its host does not answer', async () => {
    site = await ControlledSite.start(TWO_HOSTS);
    await site.plug('node1', 'blue1');
    await site.plug('node2', 'blue2');
    await site.untilColumn('node1', 'Interface', NODE2_TUNNEL, 'type', 'vxlan');
    await site.inStep();
    await site.stopController();
    await site.host('node2').stopVswitchd();
    await site.host('node2').stopDatabase();
    const before = await site.host('node1').dumpFlows('br-tun');
    await site.logMessages('node1');
    await site.startController();
    await site.until('started', () => site.controller.isStarted);
    await site.until(
      'node1 compared',
      () => site.status().hosts[0]?.bridges.every(({ passCount }) => passCount > 0) === true,
    );
    expect(await site.host('node1').dumpFlows('br-tun')).toEqual(before);
    expect(await site.mods('node1')).toEqual([]);
    expect(await hasPort('node1', 'br-tun', NODE2_TUNNEL)).toBe(true);
  });
});
