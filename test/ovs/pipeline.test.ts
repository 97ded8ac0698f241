/**
 * The golden site's node1 on a real switch: Open vSwitch takes every flow and dumps it as we print it, and its own
 * ofproto/trace says that packets go where the pipeline means them to go, and lies nowhere.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Compiler, type HostFacts } from '../../src/compiler/compiler.ts';
import { allocateLocalVlans } from '../../src/compiler/names.ts';
import { formatFlow } from '../../src/flow/format.ts';
import type { Meter } from '../../src/flow/meter.ts';
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
  for (const id of compiler.site.routing.pluggedPorts.keys()) {
    const ofport = await sandbox.addPort('br-int', id);
    bindings.set(id, { ofport, name: id });
    ports.set(id, ofport);
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
  compiler.setPluggedPorts(HOST, new Set(compiler.site.routing.pluggedPorts.keys()));
  const { facts, ports } = await build();
  port = (id) => {
    const ofport = ports.get(id);
    if (ofport === undefined) throw new Error(`there is no port ${id}`);
    return ofport;
  };
  compiler.setHostFacts(HOST, facts);
  compiler.pass();
  for (const { bridge } of compiler.books()) {
    for (const { meter } of compiler.book(HOST, bridge)?.meters() ?? []) {
      await sandbox.ofctl('-O', 'OpenFlow13', 'add-meter', bridge, meterText(meter));
    }
    await sandbox.ofctlWithInput(linesOf(bridge).join('\n'), 'add-flows', bridge, '-');
  }
});

afterAll(async () => {
  await sandbox?.stop();
});

function meterText({ meter, bands: [band] }: Meter): string {
  return `meter=${meter},pktps,burst,bands=type=drop,rate=${band?.rate},burst_size=${band?.burstSize}`;
}

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
    expect(account).toMatch(/32\. priority 0\s+NORMAL/);
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
    const unknown = await trace('br-eth1', `in_port=${port('wire-br-eth1')},dl_vlan=102,${frame}`);
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

const MEADOW = { blue: 'fa:16:3e:01:0b:01', earth: 'fa:16:3e:01:0e:01', ground: 'fa:16:3e:01:10:01' };
const TO_MEADOW = `dl_dst=${MEADOW.blue}`;
const ALL = 'ff:ff:ff:ff:ff:ff';

describe('a router that is flows', () => {
  const fromBlue1 = (packet: string) => trace('br-int', `in_port=${port('blue1')},${BLUE1},${packet}`);
  const ipv4 = (destination: string, ttl = 64, mac = TO_MEADOW): string =>
    `${mac},ip,nw_src=10.0.0.11,nw_dst=${destination},nw_ttl=${ttl}`;
  const ipv6 = (destination: string, ttl = 64): string =>
    `${TO_MEADOW},ipv6,ipv6_src=fd00:b::11,ipv6_dst=${destination},nw_ttl=${ttl}`;
  /** What is sent out in the end, by fields. */
  const finalOf = (account: string): string => /Final flow: (.*)/.exec(account)?.[1] ?? '';
  /** Where a packet's size matters, a trace follows both ways; the second one is that of small packets. */
  const reasonOf = (account: string): string | undefined =>
    [...account.matchAll(/userdata=48\.44\.01\.(\d\d)/g)].at(-1)?.[1];

  test('routes to a guest on this host: MACs of the next network, TTL one less', async () => {
    const { account } = await fromBlue1(ipv4('10.1.0.11'));
    expect(finalOf(account)).toMatch(
      new RegExp(`dl_src=${MEADOW.earth},dl_dst=fa:16:3e:00:0e:01,nw_src=10.0.0.11,nw_dst=10.1.0.11,.*nw_ttl=63`),
    );
    expect(account).toMatch(new RegExp(`output:${port('earth1')}\\s`));
    expect(account).not.toMatch(/bridge\("br-(tun|eth1)"\)/);
  });

  test("routes to a guest on another host, in this host's MAC on the wire", async () => {
    const { account } = await fromBlue1(ipv4('10.1.0.12'));
    expect(account).toMatch(
      new RegExp(`1\\. dl_vlan=4,dl_src=${MEADOW.earth}, priority 1\\s+set_field:fa:16:3f:00:00:01->eth_src`),
    );
    expect(account).toMatch(/set_field:4196->vlan_vid/);
    expect(account).not.toMatch(/bridge\("br-tun"\)/);
  });

  test('routes into a tunnel: the network of the receiver, the MAC of this host, the one tunnel', async () => {
    const packet = `in_port=${port('earth1')},dl_src=fa:16:3e:00:0e:01,dl_dst=${MEADOW.earth},ip,nw_src=10.1.0.11`;
    const { account } = await trace('br-int', `${packet},nw_dst=10.0.0.13,nw_ttl=64`);
    expect(account).toMatch(/set_field:fa:16:3f:00:00:01->eth_src\s+goto_table:2/);
    expect(account).toMatch(
      new RegExp(
        `20\\. dl_vlan=1,dl_dst=fa:16:3e:00:0b:03, .*\\s+pop_vlan\\s+set_field:0x3e9->tun_id\\s+output:${port('vxlan/node2')}\\s`,
      ),
    );
  });

  test('what another host routed gets its source back, and reaches its guest alone', async () => {
    const frame = 'dl_src=fa:16:3f:00:00:02,dl_dst=fa:16:3e:00:0b:01,ip,nw_src=10.1.0.12,nw_dst=10.0.0.11,nw_ttl=63';
    const { account } = await trace('br-tun', `in_port=${port('vxlan/node2')},tun_id=0x3e9,${frame}`);
    expect(account).toMatch(/9\. dl_src=fa:16:3f:00:00:02, priority 1/);
    expect(account).not.toMatch(/10\. priority 1/);
    expect(finalOf(account)).not.toBe('');
    expect(account).toMatch(new RegExp(`set_field:${MEADOW.blue}->eth_src`));
    expect(account).toMatch(new RegExp(`pop_vlan\\s+output:${port('blue1')}\\s`));
  });

  test('the same by a physical network', async () => {
    const frame = 'dl_src=fa:16:3f:00:00:02,dl_dst=fa:16:3e:00:0e:01,ip,nw_src=10.0.0.13,nw_dst=10.1.0.11,nw_ttl=63';
    const { account } = await trace('br-eth1', `in_port=${port('wire-br-eth1')},dl_vlan=100,${frame}`);
    expect(account).toMatch(/3\. dl_src=fa:16:3f:00:00:02, priority 2/);
    expect(account).toMatch(new RegExp(`set_field:${MEADOW.earth}->eth_src`));
    expect(account).toMatch(new RegExp(`pop_vlan\\s+output:${port('earth1')}\\s`));
  });

  test.each([
    ['its own gateway', '10.0.0.1'],
    ['the gateway of another network', '10.2.0.1'],
  ])('answers pings of %s with TTL 64', async (_what, address) => {
    const { account } = await fromBlue1(`${ipv4(address, 1).replace(',ip,', ',icmp,')},icmp_type=8,icmp_code=0`);
    expect(finalOf(account)).toMatch(
      new RegExp(
        `dl_src=${MEADOW.blue},dl_dst=fa:16:3e:00:0b:01,nw_src=${address.replaceAll('.', '\\.')},nw_dst=10.0.0.11,.*nw_ttl=64,.*icmp_type=0`,
      ),
    );
    expect(account).toMatch(/IN_PORT/);
    expect(account).not.toMatch(/userdata/);
  });

  test.each(['fd00:b::1', 'fe80::f816:3eff:fe01:b01'])('answers pings of %s with hop limit 64', async (address) => {
    const { account } = await fromBlue1(
      `${ipv6(address, 1).replace(',ipv6,', ',icmp6,')},icmpv6_type=128,icmpv6_code=0`,
    );
    expect(finalOf(account)).toMatch(
      new RegExp(`dl_src=${MEADOW.blue},.*ipv6_src=${address},ipv6_dst=fd00:b::11,.*nw_ttl=64,.*icmp_type=129`),
    );
    expect(account).toMatch(/IN_PORT/);
  });

  test('answers who asks for its address, and only requests', async () => {
    const arp = (op: number, target: string): string =>
      `dl_dst=${ALL},arp,arp_op=${op},arp_spa=10.0.0.11,arp_tpa=${target},arp_sha=fa:16:3e:00:0b:01`;
    const { account } = await fromBlue1(arp(1, '10.0.0.1'));
    expect(finalOf(account)).toMatch(new RegExp(`arp_spa=10.0.0.1,arp_tpa=10.0.0.11,arp_op=2,arp_sha=${MEADOW.blue}`));
    expect(account).toMatch(/IN_PORT/);
    expect(account).not.toMatch(/bridge\("br-tun"\)/);
    expect((await fromBlue1(arp(2, '10.0.0.1'))).account).toMatch(/32\. priority 0\s+NORMAL/);
  });

  test.each(['fd00:b::1', 'fe80::f816:3eff:fe01:b01'])('answers a solicitation of %s', async (address) => {
    const nd = `dl_dst=33:33:ff:00:00:01,icmp6,ipv6_src=fd00:b::11,ipv6_dst=ff02::1:ff00:1,nw_ttl=255,icmpv6_type=135,icmpv6_code=0`;
    const { account } = await fromBlue1(`${nd},nd_target=${address},nd_sll=fa:16:3e:00:0b:01`);
    expect(finalOf(account)).toMatch(
      new RegExp(
        `dl_src=${MEADOW.blue},dl_dst=fa:16:3e:00:0b:01,ipv6_src=${address},ipv6_dst=fd00:b::11,.*nw_ttl=255,.*icmp_type=136,.*nd_target=${address},.*nd_tll=${MEADOW.blue}`,
      ),
    );
    expect(account).toMatch(/IN_PORT/);
    expect(account).not.toMatch(/bridge\("br-tun"\)/);
  });

  test('tells who would take its address that it is taken', async () => {
    const nd =
      'dl_dst=33:33:ff:00:00:01,icmp6,ipv6_src=::,ipv6_dst=ff02::1:ff00:1,nw_ttl=255,icmpv6_type=135,icmpv6_code=0';
    const { account } = await fromBlue1(`${nd},nd_target=fd00:b::1`);
    expect(finalOf(account)).toMatch(/dl_dst=33:33:00:00:00:01,ipv6_src=fd00:b::1,ipv6_dst=ff02::1,.*icmp_type=136/);
    expect(account).toMatch(/IN_PORT/);
  });

  test.each([
    ['TTL 1', ipv4('10.1.0.11', 1), '01'],
    ['hop limit 1', ipv6('fd00:b::14', 1), '01'],
    ['another protocol to its own address', `${ipv4('10.1.0.1').replace(',ip,', ',tcp,')},tcp_dst=22`, '02'],
    ['no route', ipv4('192.0.2.1'), '03'],
    ['no route (IPv6)', ipv6('2001:db8::1'), '03'],
    ['an address that nobody has', ipv4('10.1.0.99'), '04'],
    ['an address that nobody has (IPv6)', ipv6('fd00:b::99'), '04'],
  ])('sends up what is not its to pass on: %s', async (_what, packet, reason) => {
    const { account, verdict } = await fromBlue1(packet);
    expect(reasonOf(account), account).toBe(reason);
    expect(verdict).not.toMatch(/(^|,)\d/);
  });

  test('sends up a claim of an address that a guest may have, and lets it pass', async () => {
    const claim = `in_port=${port('blue2')},dl_src=00:00:5e:00:01:01,dl_dst=${ALL},arp,arp_op=1`;
    const { account } = await trace('br-int', `${claim},arp_spa=10.0.0.100,arp_tpa=10.0.0.100`);
    expect(reasonOf(account)).toBe('05');
    expect(account).toMatch(/bridge\("br-tun"\)/);
  });

  test('prefers the longest prefix: a subnet of its own, a route, none', async () => {
    const earth = (await fromBlue1(ipv4('172.16.1.2'))).account;
    expect(earth).toMatch(/35\. ip,reg0=0x[0-9a-f]+,nw_dst=172\.16\.0\.0\/12, priority 1024/);
    expect(earth).toMatch(/set_field:fa:16:3e:00:0e:02->eth_dst/);
    const six = await trace('br-int', `in_port=${port('blue1')},${BLUE1},${ipv6('fd00:ff::5')}`);
    expect(six.account).toMatch(/35\. ipv6,reg0=0x[0-9a-f]+,ipv6_dst=fd00:ff::\/48, priority 1096/);
    expect(six.account).toMatch(/set_field:fa:16:3e:00:0b:04->eth_dst/);
  });

  test.each([
    ['a multicast address', ipv4('224.0.0.5')],
    ['a loopback address', ipv4('127.0.0.1')],
    ['a link-local address', ipv6('fe80::1')],
    ['no IP at all', `${TO_MEADOW},dl_type=0x88cc`],
  ])('drops what is sent to its MAC and to %s', async (_what, packet) => {
    expect((await fromBlue1(packet)).verdict).toBe('drop');
  });

  test.each([1, 4, 100])('drops frames of guests with VLAN tag %i', async (vlan) => {
    const { account, verdict } = await fromBlue1(`${ipv4('10.1.0.11')},dl_vlan=${vlan}`);
    expect(account).toMatch(/60\. in_port=\d+,vlan_tci=0x1000\/0x1000, priority 25\s+drop/);
    expect(verdict).toBe('drop');
  });

  test('does not take in what is for the router of another network', async () => {
    const { account } = await fromBlue1(ipv4('10.1.0.11', 64, `dl_dst=${MEADOW.earth}`));
    expect(account).toMatch(/32\. priority 0\s+NORMAL/);
    expect(account).not.toMatch(/35\./);
  });
});
