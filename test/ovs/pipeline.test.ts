/**
 * The golden site's node1 on a real switch: Open vSwitch takes every flow and dumps it as we print it, and its own
 * ofproto/trace says that packets go where the pipeline means them to go, and lies nowhere.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Compiler, type HostFacts } from '../../src/compiler/compiler.ts';
import { allocateLocalVlans } from '../../src/compiler/names.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { ipToText } from '../../src/lib/addresses.ts';
import { loadTopology } from '../../src/topology/load.ts';
import { OvsSandbox } from '../support/ovs-sandbox.ts';

const FILE = new URL('../pipeline/golden/site/topology.yaml', import.meta.url);
const HOST = 'node1';

let sandbox: OvsSandbox;
let compiler: Compiler;
let port: (id: string) => number;

/** Build the host's bridges and ports, and say what came of it. */
async function build(): Promise<{ facts: HostFacts; ports: ReadonlyMap<string, number> }> {
  for (const bridge of ['br-int', 'br-tun', 'br-ex', 'br-eth1']) await sandbox.addBridge(bridge);
  const patch = (bridge: string, name: string, peer: string) =>
    sandbox.addPort(bridge, name, 'type=patch', `options:peer=${peer}`);
  const patchTun = await patch('br-int', 'patch-tun', 'patch-int');
  const patchInt = await patch('br-tun', 'patch-int', 'patch-tun');
  const patchPhys = new Map<string, number>();
  const physical = new Map<string, { patchInt: number }>();
  const ports = new Map<string, number>();
  for (const bridge of ['br-eth1', 'br-ex']) {
    patchPhys.set(bridge, await patch('br-int', `int-${bridge}`, `phy-${bridge}`));
    physical.set(bridge, { patchInt: await patch(bridge, `phy-${bridge}`, `int-${bridge}`) });
    ports.set(`wire-${bridge}`, await sandbox.addPort(bridge, `wire-${bridge}`));
  }
  const localVlans = allocateLocalVlans(compiler.site.networksOn(HOST), new Map());
  const bindings = new Map<string, { ofport: number; name: string }>();
  for (const { id, networkId, host } of compiler.site.topology?.ports.values() ?? []) {
    if (host !== HOST) continue;
    const ofport = await sandbox.addPort('br-int', id);
    await sandbox.vsctl('set', 'Port', id, `tag=${localVlans.get(networkId)}`);
    bindings.set(id, { ofport, name: id });
    ports.set(id, ofport);
  }
  const tunnels = new Map<string, number>();
  for (const { key, type, remoteIp, localIp, portName } of compiler.site.tunnelsOf(HOST)) {
    const options = [`options:remote_ip=${ipToText(remoteIp)}`, `options:local_ip=${ipToText(localIp)}`];
    const columns = [`type=${type}`, 'options:in_key=flow', 'options:out_key=flow', ...options];
    tunnels.set(key, await sandbox.addPort('br-tun', portName, ...columns));
    ports.set(key, tunnels.get(key) ?? 0);
  }
  const integration = { patchTun, patchPhys, ports: bindings, deadPorts: [] };
  return { facts: { localVlans, integration, tunnel: { patchInt, tunnels }, physical }, ports };
}

beforeAll(async () => {
  sandbox = await OvsSandbox.start();
  const loaded = loadTopology(readFileSync(FILE, 'utf8'), { file: 'topology.yaml' });
  if (!('topology' in loaded)) throw new Error('the golden site does not validate');
  compiler = new Compiler();
  compiler.setTopology(loaded.topology);
  for (const { id, host } of loaded.topology.ports.values()) compiler.setPortLocation(id, host);
  const { facts, ports } = await build();
  port = (id) => {
    const ofport = ports.get(id);
    if (ofport === undefined) throw new Error(`there is no port ${id}`);
    return ofport;
  };
  compiler.setHostFacts(HOST, facts);
  compiler.pass();
  for (const { bridge } of compiler.books()) {
    await sandbox.ofctlWithInput(linesOf(bridge).join('\n'), 'add-flows', bridge, '-');
  }
});

afterAll(async () => {
  await sandbox?.stop();
});

function linesOf(bridge: string): readonly string[] {
  return [...(compiler.book(HOST, bridge)?.flows() ?? [])].map(({ flow }) => formatFlow(flow)).sort();
}

test.each(['br-int', 'br-tun', 'br-ex', 'br-eth1'])('%s holds exactly the book, in our words', async (bridge) => {
  expect((await sandbox.dumpFlows(bridge)).sort()).toEqual(linesOf(bridge));
});

const BLUE1 = 'dl_src=fa:16:3e:00:0b:01';
const TO_BLUE3 = 'dl_dst=fa:16:3e:00:0b:03';
const ALL_NODES = 'dl_dst=33:33:00:00:00:01';

/** Open vSwitch's account of a packet, and its last word on it. */
async function trace(bridge: string, packet: string): Promise<{ account: string; verdict: string }> {
  const account = (await sandbox.appctl('ofproto/trace', bridge, packet)).replaceAll(/, cookie 0x[0-9a-f]+/g, '');
  return { account, verdict: /Datapath actions: (.*)/.exec(account)?.[1] ?? 'none' };
}

describe('a guest', () => {
  const lies: readonly (readonly [string, string, RegExp])[] = [
    ['a MAC', `dl_src=fa:16:3e:99:99:99,${TO_BLUE3},ip,nw_src=10.0.0.11,nw_dst=10.0.0.13`, /25\. No match/],
    ['an IPv4 address', `${BLUE1},${TO_BLUE3},ip,nw_src=10.0.0.66,nw_dst=10.0.0.13`, /30\. ip,in_port=\d+, priority 2/],
    ["a neighbour's IPv4 address", `${BLUE1},${TO_BLUE3},ip,nw_src=10.0.0.12,nw_dst=10.0.0.13`, /30\. ip,/],
    ['an IPv6 address', `${BLUE1},${TO_BLUE3},ipv6,ipv6_src=fd00:b::66,ipv6_dst=fd00:b::14`, /30\. ipv6,/],
    [
      'an ARP sender',
      `${BLUE1},dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=2,arp_spa=10.0.0.1,arp_tpa=10.0.0.13`,
      /24\. priority 0/,
    ],
    [
      'a neighbour advertisement',
      `${BLUE1},${ALL_NODES},icmp6,ipv6_src=fd00:b::11,icmpv6_type=136,nd_target=fd00:b::1`,
      /24\. priority 0/,
    ],
    [
      'the source of its own advertisement',
      `${BLUE1},${ALL_NODES},icmp6,ipv6_src=fd00:b::66,icmpv6_type=136,nd_target=fd00:b::11`,
      /30\. ipv6,/,
    ],
  ];

  test.each(lies)('cannot lie about %s', async (_what, packet, where) => {
    const { account, verdict } = await trace('br-int', `in_port=${port('blue1')},${packet}`);
    expect(verdict, account).toBe('drop');
    expect(account).toMatch(where);
  });

  const truths: readonly (readonly [string, string])[] = [
    ['IPv4 from its address', `${BLUE1},${TO_BLUE3},ip,nw_src=10.0.0.11,nw_dst=10.0.0.13`],
    ['IPv6 from its address', `${BLUE1},${TO_BLUE3},ipv6,ipv6_src=fd00:b::11,ipv6_dst=fd00:b::14`],
    [
      'IPv6 from its link-local address',
      `${BLUE1},${TO_BLUE3},ipv6,ipv6_src=fe80::f816:3eff:fe00:b01,ipv6_dst=fe80::1`,
    ],
    ['its advertisement', `${BLUE1},${ALL_NODES},icmp6,ipv6_src=fd00:b::11,icmpv6_type=136,nd_target=fd00:b::11`],
    [
      'a DHCP discover',
      `${BLUE1},dl_dst=ff:ff:ff:ff:ff:ff,udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,udp_src=68,udp_dst=67`,
    ],
    ['duplicate address detection', `${BLUE1},${ALL_NODES},icmp6,ipv6_src=::,icmpv6_type=135,nd_target=fd00:b::11`],
    ['ARP from its address', `${BLUE1},dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_spa=10.0.0.11,arp_tpa=10.0.0.99`],
  ];

  test.each(truths)('may send %s', async (_what, packet) => {
    const { account } = await trace('br-int', `in_port=${port('blue1')},${packet}`);
    expect(account).toMatch(/60\. priority 3/);
    expect(account).toMatch(/bridge\("br-tun"\)/);
  });

  test('reaches a known guest by the one tunnel that leads there', async () => {
    const packet = `${BLUE1},${TO_BLUE3},ip,nw_src=10.0.0.11,nw_dst=10.0.0.13`;
    const { account } = await trace('br-int', `in_port=${port('blue1')},${packet}`);
    expect(account).toMatch(/20\. dl_vlan=1,dl_dst=fa:16:3e:00:0b:03, priority 2/);
    expect(account).toMatch(new RegExp(`set_field:0x3e9->tun_id\\s+output:${port('vxlan/node2')}\\b`));
    expect(account).not.toMatch(new RegExp(`output:${port('vxlan/node3')}\\b`));
  });

  test.each([
    ['10.0.0.13', /21\. arp,dl_vlan=1,arp_tpa=10\.0\.0\.13,arp_op=1, priority 1[\s\S]*IN_PORT/],
    ['10.0.0.12', /21\. arp,dl_vlan=1,arp_tpa=10\.0\.0\.12,arp_op=1, priority 1\s+drop/],
  ])('who asks for %s is not heard on a tunnel', async (target, where) => {
    const packet = `${BLUE1},dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_spa=10.0.0.11,arp_tpa=${target}`;
    const { account } = await trace('br-int', `in_port=${port('blue1')},${packet}`);
    expect(account).toMatch(where);
    expect(account).not.toMatch(/\b22\. dl_vlan/);
  });
});

describe('from outside', () => {
  test.each([
    ['an unknown VNI', 'br-tun', () => `in_port=${port('vxlan/node2')},tun_id=0x999,${BLUE1},${TO_BLUE3}`],
    ['the VNI of another type', 'br-tun', () => `in_port=${port('gre/node2')},tun_id=0x3e9,${BLUE1},${TO_BLUE3}`],
    ['an unknown VLAN', 'br-int', () => `in_port=${port('earth1')},dl_vlan=4095,${BLUE1},${TO_BLUE3}`],
  ])('%s goes nowhere', async (_what, bridge, packet) => {
    expect((await trace(bridge, packet())).verdict).toBe('drop');
  });

  test('an unknown VLAN of a wire stops at br-int, a known one becomes a local VLAN', async () => {
    const frame = 'dl_src=fa:16:3e:00:0e:02,dl_dst=fa:16:3e:00:0e:01,ip,nw_src=10.1.0.12,nw_dst=10.1.0.11';
    const known = await trace('br-eth1', `in_port=${port('wire-br-eth1')},dl_vlan=100,${frame}`);
    expect(known.account).toMatch(/set_field:4100->vlan_vid/);
    expect(known.verdict).not.toBe('drop');
    const unknown = await trace('br-eth1', `in_port=${port('wire-br-eth1')},dl_vlan=101,${frame}`);
    expect(unknown.account).toMatch(/0\. in_port=\d+, priority 2\s+drop/);
  });

  test('a VNI of this host becomes a local VLAN', async () => {
    const frame = `dl_src=fa:16:3e:00:0b:03,dl_dst=fa:16:3e:00:0b:01,ip,nw_src=10.0.0.13,nw_dst=10.0.0.11`;
    const { account, verdict } = await trace('br-tun', `in_port=${port('vxlan/node2')},tun_id=0x3e9,${frame}`);
    expect(account).toMatch(/4\. tun_id=0x3e9, priority 1/);
    expect(account).toMatch(/set_field:4097->vlan_vid/);
    expect(verdict).not.toBe('drop');
  });
});
