/**
 * The provider's side: two external networks with VLAN tags on one provider bridge, guests that are plugged into one of them
 * directly, routes by neighbours outside, a next hop with a link-local address, and a provider's router that changes its MAC, or
 * is silent while the controller restarts. Rows 74 and 79 of the seeds, and what issue trackers of this field are full of.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/support/lab/command.ts';
import type { Guest } from '../../scripts/support/lab/guest.ts';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';
import { GATEWAY_ON_NODE3, HOST_MAC } from '../support/north-south-site.ts';
import {
  hops,
  OutsideWorld,
  PROVIDER,
  PROVIDER_ADDRESSES,
  seenAs,
  tellPeers,
  WORLD,
} from '../support/outside-world.ts';
import { untilAnswered } from '../support/reach.ts';
import { macOf, Site, type SiteOptions } from '../support/site.ts';

const GATEWAY = { ip: '203.0.113.21', ip6: 'fd00:e::21', mac: macOf(0x121) } as const;
const FLOATING = { a: '203.0.113.31', c: '198.18.1.33' } as const;
const OTHER = { ip: '198.18.1.1', gatewayIp: '198.18.1.21', gatewayMac: macOf(0x122) } as const;
const NEW_MAC = '0e:00:00:00:ee:99';
/** Behind q, which is on the external network. */
const BEHIND = { ip: '192.88.7.1', ip6: 'fd00:77::1' } as const;
const PRIVATE = /\b10\.[12]\.0\.\d+\b/;

const port = (id: string, network: string, host: string, number: number, fixedIps: readonly string[]) => ({
  id,
  network,
  host,
  mac_address: macOf(number),
  fixed_ips: fixedIps,
});

const OPTIONS: SiteOptions = {
  bystanders: ['edge'],
  segments: [{ name: 'wan', bridge: 'br-eth2' }],
  hostsByName: GATEWAY_ON_NODE3,
  networks: [
    {
      id: 'blue',
      network_type: 'vxlan',
      segmentation_id: 1001,
      subnets: [
        { id: 'blue4', cidr: '10.1.0.0/24' },
        { id: 'blue6', cidr: 'fd00:b::/64' },
      ],
    },
    { id: 'red', network_type: 'vxlan', segmentation_id: 1002, subnets: [{ id: 'red4', cidr: '10.2.0.0/24' }] },
    {
      id: 'public',
      network_type: 'vlan',
      segmentation_id: 200,
      physical_network: 'wan',
      external: true,
      subnets: [
        { id: 'public4', cidr: '203.0.113.0/24', gateway_ip: PROVIDER.ip },
        { id: 'public6', cidr: 'fd00:e::/64', gateway_ip: 'fe80::ee' },
      ],
    },
    {
      id: 'other',
      network_type: 'vlan',
      segmentation_id: 201,
      physical_network: 'wan',
      external: true,
      subnets: [{ id: 'other4', cidr: '198.18.1.0/24', gateway_ip: OTHER.ip }],
    },
  ],
  ports: [
    port('a', 'blue', 'node1', 0x11, ['10.1.0.11', 'fd00:b::11']),
    port('d', 'blue', 'node1', 0x14, ['10.1.0.14', 'fd00:b::14']),
    port('c', 'red', 'node2', 0x23, ['10.2.0.13']),
    port('e', 'red', 'node2', 0x25, ['10.2.0.15']),
    // On the external network itself: where the floating IP is, on another host, on the gateway host.
    port('p', 'public', 'node1', 0x31, ['203.0.113.61', 'fd00:e::61']),
    port('s', 'public', 'node2', 0x33, ['203.0.113.63', 'fd00:e::63']),
    {
      ...port('q', 'public', 'node3', 0x32, ['203.0.113.62', 'fd00:e::62']),
      allowed_address_pairs: [{ ip_address: '192.88.7.0/24' }, { ip_address: 'fd00:77::/64' }],
    },
  ],
  further: {
    routers: [
      {
        id: 'r',
        interfaces: [{ subnet: 'blue4' }, { subnet: 'blue6' }],
        external_gateway_info: {
          network: 'public',
          external_fixed_ips: [GATEWAY.ip, GATEWAY.ip6],
          mac_address: GATEWAY.mac,
        },
        routes: [
          { destination: '192.88.7.0/24', nexthop: '203.0.113.62' },
          { destination: 'fd00:77::/64', nexthop: 'fd00:e::62' },
        ],
      },
      {
        id: 'r2',
        interfaces: [{ subnet: 'red4' }],
        external_gateway_info: {
          network: 'other',
          external_fixed_ips: [OTHER.gatewayIp],
          mac_address: OTHER.gatewayMac,
        },
      },
    ],
    floating_ips: [
      { floating_ip_address: FLOATING.a, floating_network: 'public', port: 'a' },
      { floating_ip_address: FLOATING.c, floating_network: 'other', port: 'c' },
    ],
  },
};

const ROUTERS: Readonly<Record<string, readonly string[]>> = {
  blue: ['10.1.0.1', 'fd00:b::1'],
  red: ['10.2.0.1'],
  public: [PROVIDER.ip, PROVIDER.ip6],
};

describe('external networks of a provider', () => {
  let site: Site;
  let outside: OutsideWorld;
  let provider: Guest;
  let other: Guest;
  const namespaceOf = (name: string): Namespace => site.guest(name).namespace;

  /** A machine of the provider's, in a VLAN of the wire: behind a switch of its own, because Linux here has no VLAN links. */
  async function plugIntoVlan(name: string, mac: string, addresses: readonly string[], vlan: number): Promise<Guest> {
    const edge = site.lab.host('edge');
    const guest = await site.lab.addGuest({ name, mac, addresses, mtu: 1500 });
    await guest.plug(edge, 'br-eth2');
    await edge.vsctl('set', 'Port', guest.tap, `tag=${vlan}`);
    return guest;
  }

  beforeAll(async () => {
    site = await Site.up(OPTIONS);
    provider = await plugIntoVlan('provider', PROVIDER.mac, [...PROVIDER_ADDRESSES, 'fe80::ee/64'], 200);
    other = await plugIntoVlan('other', '0e:00:00:00:ee:02', [`${OTHER.ip}/24`], 201);
    outside = await OutsideWorld.create(site, [`fd00:b::/64 via ${GATEWAY.ip6}`], provider.namespace);
    for (const { id, network } of OPTIONS.ports) {
      await namespaceOf(id).ip((ROUTERS[network] ?? []).map((ip) => `route add default via ${ip}`));
      await tellPeers(namespaceOf(id));
      await tellPeers(namespaceOf(id), 81, '::');
    }
    for (const namespace of [outside.world, other.namespace]) {
      await tellPeers(namespace);
      await tellPeers(namespace, 81, '::');
    }
    for (const name of ['a', 'd', 'p', 's', 'q']) await untilAnswered(site.guest(name), WORLD.ip);
    for (const name of ['c', 'e']) await untilAnswered(site.guest(name), OTHER.ip);
  }, 120_000);

  afterAll(() => site?.down());

  test('each router is on its own VLAN: floating IPs and SNAT of both, and nobody in the other’s', async () => {
    const capture = await site.lab.captureWire('wan');
    expect(await seenAs(namespaceOf('a'), WORLD.ip)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('d'), WORLD.ip)).toBe(GATEWAY.ip);
    expect(await seenAs(namespaceOf('c'), OTHER.ip)).toBe(FLOATING.c);
    expect(await seenAs(namespaceOf('e'), OTHER.ip)).toBe(OTHER.gatewayIp);
    expect(await seenAs(outside.world, FLOATING.a)).toBe(WORLD.ip);
    expect(await seenAs(other.namespace, FLOATING.c)).toBe(OTHER.ip);
    const frames = await capture.stop();
    const vlansOf = (address: string) =>
      new Set(frames.filter((frame) => frame.includes(`${address}.`)).map((frame) => /vlan (\d+),/.exec(frame)?.[1]));
    for (const address of [FLOATING.a, GATEWAY.ip]) expect(vlansOf(address), address).toEqual(new Set(['200']));
    for (const address of [FLOATING.c, OTHER.gatewayIp]) expect(vlansOf(address), address).toEqual(new Set(['201']));
    expect(frames.filter((frame) => PRIVATE.test(frame))).toEqual([]);
  });

  test('guests of an external network reach floating IPs and gateways, and are reached, whichever host they are on', async () => {
    for (const [name, ip, ip6] of [
      ['p', '203.0.113.61', 'fd00:e::61'],
      ['s', '203.0.113.63', 'fd00:e::63'],
      ['q', '203.0.113.62', 'fd00:e::62'],
    ] as const) {
      expect(await seenAs(namespaceOf(name), FLOATING.a), name).toBe(ip);
      expect(await seenAs(namespaceOf('a'), ip), name).toBe(FLOATING.a);
      expect(await seenAs(namespaceOf('d'), ip), name).toBe(GATEWAY.ip);
      expect(await seenAs(namespaceOf('a'), ip6, 81), name).toBe('fd00:b::11');
      expect(await site.guest(name).ping(GATEWAY.ip), name).toMatchObject({ received: 3 });
      expect(await site.guest(name).ping(GATEWAY.ip6), name).toMatchObject({ received: 3 });
    }
    const asked = await Promise.all([FLOATING.a, GATEWAY.ip].map((ip) => macsOf(namespaceOf('s'), ip)));
    expect(asked).toEqual([
      [HOST_MAC.node1, HOST_MAC.node1],
      [GATEWAY.mac, GATEWAY.mac],
    ]);
  });

  /** The MACs of all who answer two requests. */
  async function macsOf(asker: Namespace, ip: string): Promise<string[]> {
    const { stdout } = await asker.runAny(['arping', '-c', '2', '-w', '3', '-I', 'eth0', ip]);
    return [...stdout.matchAll(/\[([\dA-F:]+)\]/gi)].map(([, mac]) => mac?.toLowerCase() ?? '');
  }

  test('a router’s routes by neighbours outside: from floating IPs, by SNAT, and IPv6', async () => {
    await namespaceOf('q').ip([
      'link set lo up',
      `address add ${BEHIND.ip}/32 dev lo`,
      `address add ${BEHIND.ip6}/128 dev lo`,
      `route add fd00:b::/64 via ${GATEWAY.ip6}`,
    ]);
    expect(await seenAs(namespaceOf('a'), BEHIND.ip)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('d'), BEHIND.ip)).toBe(GATEWAY.ip);
    expect(await seenAs(namespaceOf('d'), BEHIND.ip6, 81)).toBe('fd00:b::14');
  });

  test('IPv6 by a next hop with a link-local address', async () => {
    expect(await seenAs(namespaceOf('a'), WORLD.ip6, 81)).toBe('fd00:b::11');
    expect(await seenAs(outside.world, 'fd00:b::14', 81)).toBe(WORLD.ip6);
    const [first, , third, last] = await hops(namespaceOf('d'), WORLD.ip6, 'udp');
    expect([first, third, last]).toEqual(['fd00:b::1', PROVIDER.ip6, WORLD.ip6]);
  });

  test('a provider’s router that changes its MAC, and asks somebody anything in it, is followed at once', async () => {
    const pings = [await site.guest('a').startPing(WORLD.ip, 20), await site.guest('d').startPing(WORLD.ip, 20)];
    await provider.namespace.ip([`link set eth0 address ${NEW_MAC}`]);
    for (const ip of [FLOATING.a, GATEWAY.ip]) expect(await macsOf(provider.namespace, ip), ip).toHaveLength(2);
    await untilAnswered(site.guest('a'), WORLD.ip);
    await untilAnswered(site.guest('d'), WORLD.ip);
    await eventually('both go on', () => pings.every((ping) => ping.received > 5));
    const gapsMs = (await Promise.all(pings.map((ping) => ping.stop()))).map(({ longestGapMs }) => longestGapMs);
    process.stdout.write(`provider's router with another MAC: gaps of ${gapsMs.join(' ms, ')} ms\n`);
    for (const gapMs of gapsMs) expect(gapMs).toBeLessThan(5_000);
  });

  test('one that is silent while the controller restarts keeps its MAC: no flow changes, and all is well when it is back', async () => {
    const { tap } = provider;
    await site.lab.host('edge').vsctl('set', 'Port', tap, 'tag=299');
    expect(await seenAs(namespaceOf('a'), WORLD.ip)).toBeUndefined();
    const before = await site.flows();
    await site.heddle.stop('SIGKILL');
    await site.restartHeddle();
    expect(await site.flows()).toEqual(before);
    await site.lab.host('edge').vsctl('set', 'Port', tap, 'tag=200');
    expect(await seenAs(namespaceOf('a'), WORLD.ip)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('d'), WORLD.ip)).toBe(GATEWAY.ip);
  });
});
