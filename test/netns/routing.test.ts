/**
 * East-west: guests of networks that a router connects reach each other, on one host and across hosts, through flows alone. What
 * the headers are at each place is looked at with tcpdump: seed 002 of DVR ("Packet 1" to "Packet 4") says what they must be.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/support/lab/command.ts';
import type { Guest } from '../../scripts/support/lab/guest.ts';
import { GUEST_LINK } from '../../scripts/support/lab/guest.ts';
import { UNDERLAY_LINK } from '../../scripts/support/lab/lab.ts';
import { exchange } from '../support/exchange.ts';
import { untilAnswered } from '../support/reach.ts';
import { DEFAULT_MTU, macOf, Site, type SiteNetwork, type SitePort } from '../support/site.ts';

const GATEWAY_MAC = { blue: 'fa:16:3e:01:00:01', green: 'fa:16:3e:01:00:02', earth: 'fa:16:3e:01:00:03' } as const;
const GATEWAY = { blue: '10.0.0.1', green: '20.0.0.1', earth: '30.0.0.1' } as const;
const GATEWAY6 = { blue: 'fd00:a::1', green: 'fd00:b::1', earth: 'fd00:c::1' } as const;

const networks: SiteNetwork[] = [
  {
    id: 'blue',
    network_type: 'vxlan',
    segmentation_id: 1001,
    subnets: [
      { id: 'blue4', cidr: '10.0.0.0/24' },
      { id: 'blue6', cidr: 'fd00:a::/64' },
    ],
  },
  {
    id: 'green',
    network_type: 'vxlan',
    segmentation_id: 1002,
    subnets: [
      { id: 'green4', cidr: '20.0.0.0/24' },
      { id: 'green6', cidr: 'fd00:b::/64' },
    ],
  },
  {
    id: 'earth',
    network_type: 'vlan',
    segmentation_id: 101,
    physical_network: 'physnet1',
    subnets: [
      { id: 'earth4', cidr: '30.0.0.0/24' },
      { id: 'earth6', cidr: 'fd00:c::/64' },
    ],
  },
  // Another tenant's, with no router.
  { id: 'red', network_type: 'vxlan', segmentation_id: 1003, subnets: [{ cidr: '40.0.0.0/24' }] },
];

const port = (id: string, network: string, host: string, addresses: readonly string[], number: number): SitePort => ({
  id,
  network,
  host,
  mac_address: macOf(number),
  fixed_ips: addresses,
});

const ports: SitePort[] = [
  port('blue1', 'blue', 'node1', ['10.0.0.11', 'fd00:a::11'], 0x101),
  port('blue2', 'blue', 'node2', ['10.0.0.12', 'fd00:a::12'], 0x102),
  port('green1', 'green', 'node1', ['20.0.0.11', 'fd00:b::11'], 0x201),
  port('green2', 'green', 'node2', ['20.0.0.12', 'fd00:b::12'], 0x202),
  port('earth1', 'earth', 'node1', ['30.0.0.11', 'fd00:c::11'], 0x301),
  port('earth2', 'earth', 'node2', ['30.0.0.12', 'fd00:c::12'], 0x302),
  port('red1', 'red', 'node1', ['40.0.0.11'], 0x401),
  port('red3', 'red', 'node3', ['40.0.0.13'], 0x403),
];

const routers = [
  {
    id: 'router',
    interfaces: (['blue', 'green', 'earth'] as const).flatMap((network) =>
      [`${network}4`, `${network}6`].map((subnet) => ({ subnet, mac_address: GATEWAY_MAC[network] })),
    ),
  },
];

/** Source and destination of the frame, and of the frame inside it where it is a tunnel's. */
const macsOf = (frame: string): readonly string[] =>
  [...frame.matchAll(/((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) > ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})/g)].map(
    ([, source, destination]) => `${source} > ${destination}`,
  );

const isRequest = (frame: string): boolean => /ICMP echo request/.test(frame);

describe('guests of networks that a router connects', () => {
  let site: Site;
  let hostMac: (host: string) => Promise<string>;

  beforeAll(async () => {
    site = await Site.up({
      segments: [{ name: 'physnet1', bridge: 'br-eth2' }],
      networks,
      ports,
      further: { routers },
    });
    for (const { id, network } of ports) {
      if (network === 'red') continue;
      const at = network as keyof typeof GATEWAY;
      await site.guest(id).run('ip', 'route', 'add', 'default', 'via', GATEWAY[at]);
      await site.guest(id).run('ip', '-6', 'route', 'add', 'default', 'via', GATEWAY6[at]);
    }
    hostMac = async (host) => {
      const flows = await site.lab.hosts.find(({ name }) => name === host)?.flows('br-tun');
      const line = flows?.find((flow) => /table=1, priority=1,.*->eth_src/.test(flow));
      return /set_field:([0-9a-f:]{17})->eth_src/.exec(line ?? '')?.[1] ?? '';
    };
  }, 120_000);

  afterAll(() => site?.down());

  /** Every pair of networks, on one host and across. */
  const pairs: readonly (readonly [string, string])[] = [
    ['blue1', 'green1'],
    ['blue1', 'green2'],
    ['blue2', 'green1'],
    ['blue1', 'earth1'],
    ['blue1', 'earth2'],
    ['earth1', 'green2'],
  ];

  test.each(pairs)('%s and %s: ping with a TTL one less, TCP, UDP, IPv6', async (from, to) => {
    const [a, b] = [site.guest(from), site.guest(to)];
    await untilAnswered(a, b.ip);
    const ping = await a.ping(b.ip);
    expect(ping).toMatchObject({ sent: 3, received: 3 });
    expect(ping.output.match(/ttl=63\b/g)).toHaveLength(3);
    const ping6 = await a.ping(b.ip6);
    expect(ping6).toMatchObject({ sent: 3, received: 3 });
    expect(ping6.output.match(/ttl=63\b/g)).toHaveLength(3);
    expect(await a.talkTcp(b, 'routed')).toBe('routed');
    for (const [index, protocol] of (['tcp', 'udp'] as const).entries()) {
      for (const address of [b.ip, b.ip6]) {
        const port = 5010 + 2 * index + (address === b.ip ? 0 : 1);
        expect(await exchange({ from: a, to: b, address, protocol, size: 1000, port })).toBe(1000);
      }
    }
  });

  test('what is too big for a network goes on in pieces, unless it must not be cut up', async () => {
    const [earth1, green2] = [site.guest('earth1'), site.guest('green2')];
    const mtu = DEFAULT_MTU.vxlan;
    await untilAnswered(earth1, green2.ip);
    const capture = await site.lab.capture({
      namespace: green2.namespace,
      link: GUEST_LINK,
      direction: 'in',
      filter: 'ip',
    });
    const whole = { size: DEFAULT_MTU.vlan - 28, dontFragment: false };
    const ping = await earth1.ping(green2.ip, whole);
    expect(ping).toMatchObject({ received: 3 });
    expect(ping.output.match(/ttl=63\b/g)).toHaveLength(3);
    const pieces = (await capture.stop()).map((frame) => /offset (\d+), flags \[(.*?)\].*length (\d+)\)/.exec(frame));
    expect(pieces.map((piece) => piece?.slice(1))).toEqual(
      Array(3)
        .fill([
          ['0', '+', '1444'],
          ['1424', 'none', '76'],
        ])
        .flat(),
    );
    // Three fragments of 1500 bytes, 1500 and less, two of which are cut up again; and as many the other way, as sent.
    expect(await earth1.ping(green2.ip, { size: 3972, dontFragment: false })).toMatchObject({ received: 3 });
    expect(
      await exchange({ from: earth1, to: green2, address: green2.ip, protocol: 'udp', size: 4000, port: 5030 }),
    ).toBe(4000);
    const told = await earth1.ping(green2.ip, { ...whole, dontFragment: true, count: 1 });
    expect(told.output).toMatch(new RegExp(`From ${GATEWAY.earth} .*Frag needed.*mtu = ${mtu}`));
    const told6 = await earth1.ping(green2.ip6, { size: DEFAULT_MTU.vlan - 48, count: 1 });
    expect(told6.output).toMatch(/too big.*mtu.*1450/i);
  });

  test.each([
    ['blue1', 'green1'],
    ['blue1', 'green2'],
    ['earth1', 'green2'],
  ])('%s and %s: 4000-byte datagrams, and frames as large as the MTU', async (from, to) => {
    const [a, b] = [site.guest(from), site.guest(to)];
    const mtu = DEFAULT_MTU.vxlan;
    expect(await a.ping(b.ip, { size: 3972 })).toMatchObject({ received: 3 });
    expect(await a.ping(b.ip6, { size: 3952 })).toMatchObject({ received: 3 });
    expect(await exchange({ from: a, to: b, address: b.ip, protocol: 'udp', size: 4000, port: 5020 })).toBe(4000);
    expect(await exchange({ from: a, to: b, address: b.ip, protocol: 'tcp', size: 200_000, port: 5021 })).toBe(200_000);
    expect(await a.ping(b.ip, { size: mtu - 28, dontFragment: true })).toMatchObject({ received: 3 });
    expect(await a.ping(b.ip6, { size: mtu - 48, dontFragment: true })).toMatchObject({ received: 3 });
  });

  test.each(['blue', 'green', 'earth'] as const)(
    'the gateway of %s answers, its own and the others, with TTL 64',
    async (network) => {
      const blue = site.guest('blue2');
      for (const address of [GATEWAY[network], GATEWAY6[network]]) {
        const { received, output } = await blue.ping(address);
        expect(received, address).toBe(3);
        expect(output.match(/ttl=64\b/g)).toHaveLength(3);
        // In fragments, there and back.
        const long = await blue.ping(address, { size: 4000 });
        expect(long.received, address).toBe(3);
        expect(long.output.match(/4008 bytes from .*ttl=64\b/g)).toHaveLength(3);
      }
    },
  );

  test('the four headers', async () => {
    // VM2 is on the blue network of one host, VM1 on the green network of another.
    const [vm2, vm1] = [site.guest('blue2'), site.guest('green1')];
    await untilAnswered(vm2, vm1.ip);
    const capture = (guest: Guest) =>
      site.lab.capture({ namespace: guest.namespace, link: GUEST_LINK, filter: 'icmp' });
    const [atVm2, atVm1, onUnderlay] = await Promise.all([
      capture(vm2),
      capture(vm1),
      site.lab.captureWire('underlay', 'udp port 4789'),
    ]);
    expect(await vm2.ping(vm1.ip)).toMatchObject({ received: 3 });
    const [first, tunnel, last] = (await Promise.all([atVm2.stop(), onUnderlay.stop(), atVm1.stop()])).map((frames) =>
      frames.filter(isRequest),
    );
    // Packet 1: to the MAC of VM2's blue gateway, from its own.
    expect(first?.map(macsOf)).toEqual(Array(3).fill([`${vm2.mac} > ${GATEWAY_MAC.blue}`]));
    // Packet 2 leaves the router from its green MAC to VM1's; it is what br-tun is given, and is seen as packet 3.
    // Packet 3: in the tunnel, of the green network, from the MAC of VM2's host.
    const host2 = await hostMac('node2');
    expect(host2).toMatch(/^fa:16:3f:/);
    expect(tunnel).toHaveLength(3);
    for (const frame of tunnel ?? []) {
      expect(frame).toMatch(/vni 1002\b/);
      expect(macsOf(frame).at(-1)).toBe(`${host2} > ${vm1.mac}`);
    }
    // Packet 4: at VM1, from the MAC of its green gateway.
    expect(last?.map(macsOf)).toEqual(Array(3).fill([`${GATEWAY_MAC.green} > ${vm1.mac}`]));
  });

  test('packet 2: br-int gives br-tun the MAC of the green gateway', async () => {
    const [vm2, vm1] = [site.guest('blue2'), site.guest('green1')];
    const node2 = vm2.host;
    if (node2 === undefined) throw new Error('blue2 is plugged in nowhere');
    const packet = `dl_src=${vm2.mac},dl_dst=${GATEWAY_MAC.blue},icmp,nw_src=${vm2.ip},nw_dst=${vm1.ip},nw_ttl=64`;
    const ofport = await node2.ofportOf(vm2.tap);
    const account = await node2.appctl('ofproto/trace', 'br-int', `in_port=${ofport},${packet}`);
    expect(account).toMatch(new RegExp(`1\\. dl_vlan=\\d+,dl_src=${GATEWAY_MAC.green}, priority 1`));
    expect(account).toMatch(new RegExp(`20\\. dl_vlan=\\d+,dl_dst=${vm1.mac}, priority 2`));
  });

  test("the router's MACs are on no wire, and a third host hears nothing", async () => {
    const third = site.lab.hosts.find(({ name }) => name === 'node3');
    if (third === undefined) throw new Error('no node3');
    const captures = await Promise.all([
      site.lab.captureWire('underlay'),
      site.lab.captureWire('physnet1'),
      site.lab.capture({ namespace: third.namespace, link: UNDERLAY_LINK }),
    ]);
    const [blue1, blue2, green1, earth1, red1, red3] = ['blue1', 'blue2', 'green1', 'earth1', 'red1', 'red3'].map(
      (name) => site.guest(name),
    );
    if (!blue1 || !blue2 || !green1 || !earth1 || !red1 || !red3) throw new Error('a guest is missing');
    for (const guest of [blue1, blue2, green1, earth1]) await guest.forgetNeighbours();
    await blue2.ping(green1.ip);
    await blue2.ping(earth1.ip6);
    await earth1.ping(blue2.ip);
    await blue1.ping(GATEWAY.green);
    await blue1.arping(GATEWAY.blue);
    // What the third host does hear, so that its silence means something.
    expect(await red1.ping(red3.ip)).toMatchObject({ received: 3 });
    const [underlay = [], physnet = [], atThird = []] = await Promise.all(captures.map((capture) => capture.stop()));
    const routerMacs = Object.values(GATEWAY_MAC);
    const wire = [...underlay, ...physnet];
    expect(wire.filter(isRequest).length).toBeGreaterThanOrEqual(9);
    expect(wire.filter((frame) => routerMacs.some((mac) => macsOf(frame).join().includes(mac)))).toEqual([]);
    expect(atThird.filter((frame) => isRequest(frame) && frame.includes('40.0.0.'))).not.toEqual([]);
    expect(atThird.filter((frame) => /(10|20|30)\.0\.0\.|fd00:/.test(frame))).toEqual([]);
  });

  test('ARP for the gateway is answered with its MAC, on this host', async () => {
    const blue = site.guest('blue1');
    const capture = await site.lab.captureWire('underlay', 'udp port 4789');
    expect(await blue.arping(GATEWAY.blue)).toBe(GATEWAY_MAC.blue);
    await blue.ping(site.guest('blue2').ip);
    const frames = await capture.stop();
    expect(frames.some(isRequest)).toBe(true);
    expect(frames.filter((frame) => /ARP.*10\.0\.0\.1\b[^0-9]/.test(frame))).toEqual([]);
  });

  test('a network without a router is not reached', async () => {
    const [blue, red] = [site.guest('blue1'), site.guest('red1')];
    expect(await blue.ping(red.ip, { count: 2, waitMs: 300 })).toMatchObject({ received: 0 });
    await red.run('ip', 'route', 'add', 'default', 'dev', GUEST_LINK);
    expect(await red.ping(blue.ip, { count: 2, waitMs: 300 })).toMatchObject({ received: 0 });
  });

  test('a router follows its guest to a host, and leaves with it', async () => {
    const [blue, green] = [site.guest('blue2'), site.guest('green1')];
    const [, node2, node3] = site.lab.hosts;
    if (node2 === undefined || node3 === undefined) throw new Error('a host is missing');
    const flowsOf = async (host: typeof node3): Promise<string[]> =>
      [...(await host.flows('br-int')), ...(await host.flows('br-tun'))]
        .filter((flow) => !/^cookie=0x484402/.test(flow))
        .sort();
    const isRouted = (flow: string): boolean => /table=3[2-9],/.test(flow);
    const [before2, before3] = await Promise.all([flowsOf(node2), flowsOf(node3)]);
    expect(before3.filter(isRouted)).toEqual([]);
    await blue.move(node3);
    await blue.run('ip', 'route', 'add', 'default', 'via', GATEWAY.blue);
    await untilAnswered(blue, green.ip);
    expect((await blue.ping(green.ip)).output.match(/ttl=63\b/g)).toHaveLength(3);
    expect((await flowsOf(node3)).filter(isRouted).length).toBeGreaterThan(30);
    await blue.move(node2);
    await blue.run('ip', 'route', 'add', 'default', 'via', GATEWAY.blue);
    await untilAnswered(blue, green.ip);
    await eventually(
      'node3 has the flows that it had before',
      async () => (await flowsOf(node3)).join() === before3.join(),
    );
    await eventually('node2 has as many as before', async () => (await flowsOf(node2)).length === before2.length);
  });

  test('what is unplugged leaves nothing behind on any host, and is plugged in again as before', async () => {
    const blue = site.guest('blue2');
    const { host } = blue;
    if (host === undefined) throw new Error('blue2 is plugged in nowhere');
    const before = await site.flows();
    const mentions = new RegExp(`${blue.mac}|10\\.0\\.0\\.12\\b|0xa00000c\\b|fd00:a::12\\b`);
    const mentioning = async (): Promise<number> =>
      [...(await site.flows()).values()].flat().filter((flow) => mentions.test(flow)).length;
    expect(await mentioning()).toBeGreaterThan(6);
    await blue.unplug();
    await eventually('nothing of it is left', async () => (await mentioning()) === 0);
    await blue.plug(host);
    await blue.run('ip', 'route', 'add', 'default', 'via', GATEWAY.blue);
    await untilAnswered(blue, site.guest('green1').ip);
    await site.heddle.converged();
    const after = await site.flows();
    for (const [place, flows] of before) {
      // Its own host may have given its port another number.
      if (place.startsWith(host.name)) expect(after.get(place)?.length, place).toBe(flows.length);
      else expect(after.get(place), place).toEqual(flows);
    }
  });
});
