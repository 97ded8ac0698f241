/**
 * Ways outside with real traffic: floating IPs, SNAT, and what the provider's wire shows of them. Three hosts, the third one is
 * the gateway host; a provider's router and a machine beyond it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askByUdp, OutsideWorld, PROVIDER, PUBLIC, seenAs, tellPeers, WIRE, WORLD } from '../support/outside-world.ts';
import { untilAnswered } from '../support/reach.ts';
import { macOf, Site } from '../support/site.ts';

const GATEWAY = '203.0.113.21';
const FLOATING = { a: '203.0.113.31', b: '203.0.113.32', c: '203.0.113.33' } as const;

const port = (id: string, network: string, host: string, number: number, ip: string) => ({
  id,
  network,
  host,
  mac_address: macOf(number),
  fixed_ips: [ip],
});

const OPTIONS = {
  segments: [{ name: WIRE, bridge: 'br-ex' }],
  hostsByName: { node3: { agent_mode: 'dvr_snat' } },
  networks: [
    { id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ id: 'blue4', cidr: '10.0.0.0/24' }] },
    { id: 'red', network_type: 'vxlan', segmentation_id: 1002, subnets: [{ id: 'red4', cidr: '20.0.0.0/24' }] },
    PUBLIC,
  ],
  ports: [
    port('a', 'blue', 'node1', 0x11, '10.0.0.11'),
    port('b', 'blue', 'node1', 0x12, '10.0.0.12'),
    port('c', 'red', 'node2', 0x13, '20.0.0.13'),
    port('d', 'blue', 'node1', 0x14, '10.0.0.14'),
    port('e', 'red', 'node2', 0x15, '20.0.0.15'),
    port('f', 'blue', 'node3', 0x16, '10.0.0.16'),
  ],
  further: {
    routers: [
      {
        id: 'r',
        interfaces: [
          { subnet: 'blue4', mac_address: macOf(0x101) },
          { subnet: 'red4', mac_address: macOf(0x102) },
        ],
        external_gateway_info: { network: 'public', external_fixed_ips: [GATEWAY], mac_address: macOf(0x121) },
        snat_ports: [
          { subnet: 'blue4', ip_address: '10.0.0.3', mac_address: macOf(0x103) },
          { subnet: 'red4', ip_address: '20.0.0.3', mac_address: macOf(0x104) },
        ],
      },
    ],
    floating_ips: Object.entries(FLOATING).map(([id, address]) => ({
      floating_ip_address: address,
      floating_network: 'public',
      port: id,
    })),
  },
} as const;

const GATEWAY_OF = { '10': '10.0.0.1', '20': '20.0.0.1' } as const;

describe('ways outside', () => {
  let site: Site;
  let outside: OutsideWorld;
  const guest = (name: string) => site.guest(name);
  const namespaceOf = (name: string) => guest(name).namespace;

  beforeAll(async () => {
    site = await Site.up(OPTIONS as never);
    outside = await OutsideWorld.create(site);
    for (const {
      id,
      fixed_ips: [ip],
    } of OPTIONS.ports) {
      const gateway = GATEWAY_OF[ip?.startsWith('10') ? '10' : '20'];
      await namespaceOf(id).ip([`route add default via ${gateway}`]);
    }
    await tellPeers(outside.world);
    for (const { id } of OPTIONS.ports) await tellPeers(namespaceOf(id));
    await untilAnswered(guest('a'), WORLD.ip);
    await untilAnswered(guest('d'), WORLD.ip);
  }, 120_000);

  afterAll(() => site?.down());

  test('a floating IP is who its guest is outside, both ways', async () => {
    expect(await seenAs(namespaceOf('a'), WORLD.ip)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('c'), WORLD.ip)).toBe(FLOATING.c);
    expect(await outside.ping(FLOATING.a)).toMatchObject({ sent: 3, received: 3 });
    expect(await outside.ping(FLOATING.c)).toMatchObject({ sent: 3, received: 3 });
    expect(await seenAs(outside.world, FLOATING.b)).toBe(WORLD.ip);
  });

  test('guests without one are the gateway, all at once', async () => {
    const seen = await Promise.all(['d', 'e', 'f'].map((name) => seenAs(namespaceOf(name), WORLD.ip)));
    expect(seen).toEqual([GATEWAY, GATEWAY, GATEWAY]);
  });

  test('a floating IP is reached from inside too: from its host, from another, from itself, and from who has none', async () => {
    expect(await seenAs(namespaceOf('a'), FLOATING.b)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('a'), FLOATING.c)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('a'), FLOATING.a)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('d'), FLOATING.a)).toBe(GATEWAY);
    expect(await seenAs(namespaceOf('f'), FLOATING.a)).toBe(GATEWAY);
  });

  test('errors arrive at the socket that they are about', async () => {
    for (const name of ['a', 'd', 'e', 'f']) {
      expect(await askByUdp(namespaceOf(name), WORLD.ip, 9, 4000), name).toBe('ConnectionRefusedError');
    }
    expect(await askByUdp(outside.world, FLOATING.a, 9)).toBe('ConnectionRefusedError');
    expect(await askByUdp(namespaceOf('a'), FLOATING.b, 9)).toBe('ConnectionRefusedError');
    expect(await askByUdp(namespaceOf('a'), FLOATING.a, 9)).toBe('ConnectionRefusedError');
  });

  test('the gateway answers, inside and outside', async () => {
    expect(await outside.ping(GATEWAY)).toMatchObject({ received: 3 });
    expect(await guest('d').ping(GATEWAY)).toMatchObject({ received: 3 });
    expect(await askByUdp(outside.world, GATEWAY, 9)).toBe('ConnectionRefusedError');
  });

  test('nothing unsolicited gets in', async () => {
    await outside.provider.ip([`route add 10.0.0.0/24 via ${GATEWAY}`]);
    expect(await outside.ping('10.0.0.14', { count: 2, waitMs: 500 })).toMatchObject({ received: 0 });
    await outside.provider.ip(['route delete 10.0.0.0/24']);
    expect(PROVIDER.ip).toBeTruthy();
  });
});
