/**
 * What is served on the gateway host: floating IPs of guests whose host has not the wire or leaves it alone, a router that is not
 * distributed, and one that does not translate.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OutsideWorld, PUBLIC, seenAs, tellPeers, WIRE, WORLD } from '../support/outside-world.ts';
import { untilAnswered } from '../support/reach.ts';
import { macOf, Site, type SiteOptions } from '../support/site.ts';

const GATEWAYS = { distributed: '203.0.113.21', central: '203.0.113.22', plain: '203.0.113.23' } as const;
const FLOATING = { a: '203.0.113.31', c: '203.0.113.32', g: '203.0.113.33' } as const;

const network = (id: string, number: number) => ({
  id,
  network_type: 'vxlan' as const,
  segmentation_id: 1000 + number,
  subnets: [{ id: `${id}4`, cidr: `10.${number}.0.0/24` }],
});

const port = (id: string, networkId: string, host: string, subnet: number, number: number) => ({
  id,
  network: networkId,
  host,
  mac_address: macOf(0x10 * subnet + number),
  fixed_ips: [`10.${subnet}.0.${number}`],
});

const gateway = (ip: string, number: number, further = {}) => ({
  network: 'public',
  external_fixed_ips: [ip],
  mac_address: macOf(0x120 + number),
  ...further,
});

const OPTIONS: SiteOptions = {
  segments: [{ name: WIRE, bridge: 'br-ex' }],
  hostsByName: {
    node1: { bridge_mappings: {} },
    node2: { agent_mode: 'dvr_no_external' },
    node3: { agent_mode: 'dvr_snat' },
  },
  networks: [network('blue', 1), network('red', 2), network('green', 3), network('grey', 4), PUBLIC],
  ports: [
    port('a', 'blue', 'node1', 1, 11),
    port('b', 'blue', 'node2', 1, 12),
    port('c', 'red', 'node1', 2, 11),
    port('d', 'green', 'node2', 3, 11),
    port('e', 'grey', 'node2', 4, 11),
    port('g', 'blue', 'node2', 1, 13),
  ],
  further: {
    routers: [
      { id: 'distributed', interfaces: [{ subnet: 'blue4' }], external_gateway_info: gateway(GATEWAYS.distributed, 1) },
      {
        id: 'central',
        distributed: false,
        interfaces: [{ subnet: 'red4' }, { subnet: 'green4' }],
        external_gateway_info: gateway(GATEWAYS.central, 2),
      },
      {
        id: 'plain',
        interfaces: [{ subnet: 'grey4' }],
        external_gateway_info: gateway(GATEWAYS.plain, 3, { enable_snat: false }),
      },
    ],
    floating_ips: [
      { floating_ip_address: FLOATING.a, floating_network: 'public', port: 'a' },
      { floating_ip_address: FLOATING.c, floating_network: 'public', port: 'c' },
      { floating_ip_address: FLOATING.g, floating_network: 'public', port: 'g' },
    ],
  },
};

describe('on the gateway host', () => {
  let site: Site;
  let outside: OutsideWorld;
  const namespaceOf = (name: string) => site.guest(name).namespace;

  beforeAll(async () => {
    site = await Site.up(OPTIONS);
    outside = await OutsideWorld.create(site, [`10.4.0.0/24 via ${GATEWAYS.plain}`]);
    await tellPeers(outside.world);
    for (const { id, fixed_ips } of OPTIONS.ports) {
      const [, subnet] = fixed_ips[0]?.split('.') ?? [];
      await namespaceOf(id).ip([`route add default via 10.${subnet}.0.1`]);
      await tellPeers(namespaceOf(id));
    }
    for (const { id } of OPTIONS.ports) await untilAnswered(site.guest(id), WORLD.ip);
  }, 120_000);

  afterAll(() => site?.down());

  const macBehind = async (ip: string): Promise<string | undefined> => {
    const { stdout } = await outside.provider.runAny(['arping', '-c', '1', '-w', '2', '-I', 'eth0', ip]);
    expect(stdout).toMatch(/Received 1 response/);
    return /\[([0-9A-F:]+)\]/i.exec(stdout)?.[1]?.toLowerCase();
  };

  test('a floating IP whose host has not the wire works both ways, at the MAC of the gateway', async () => {
    expect(await seenAs(namespaceOf('a'), WORLD.ip)).toBe(FLOATING.a);
    expect(await seenAs(outside.world, FLOATING.a)).toBe(WORLD.ip);
    expect(await macBehind(FLOATING.a)).toBe(macOf(0x121));
    expect(await seenAs(namespaceOf('b'), FLOATING.a)).toBe(GATEWAYS.distributed);
    expect(await seenAs(namespaceOf('a'), FLOATING.a)).toBe(FLOATING.a);
  });

  test('so does one whose host has the wire and leaves it alone (dvr_no_external)', async () => {
    expect(await seenAs(namespaceOf('g'), WORLD.ip)).toBe(FLOATING.g);
    expect(await seenAs(outside.world, FLOATING.g)).toBe(WORLD.ip);
    expect(await macBehind(FLOATING.g)).toBe(macOf(0x121));
    expect(await seenAs(namespaceOf('g'), FLOATING.a)).toBe(FLOATING.g);
  });

  test('a router that is not distributed routes, translates and serves floating IPs there', async () => {
    expect(await seenAs(namespaceOf('d'), WORLD.ip)).toBe(GATEWAYS.central);
    expect(await seenAs(namespaceOf('c'), WORLD.ip)).toBe(FLOATING.c);
    expect(await seenAs(outside.world, FLOATING.c)).toBe(WORLD.ip);
    expect(await seenAs(namespaceOf('c'), '10.3.0.11')).toBe('10.2.0.11');
    expect(await seenAs(namespaceOf('d'), FLOATING.c)).toBe(GATEWAYS.central);
    expect(await site.guest('c').ping('10.2.0.1')).toMatchObject({ received: 3 });
    expect(await site.guest('c').arping('10.2.0.1')).toBeDefined();
    expect(await macBehind(GATEWAYS.central)).toBe(macOf(0x122));
  });

  test('a router that does not translate routes both ways', async () => {
    expect(await seenAs(namespaceOf('e'), WORLD.ip)).toBe('10.4.0.11');
    expect(await seenAs(outside.world, '10.4.0.11')).toBe(WORLD.ip);
    expect(await macBehind(GATEWAYS.plain)).toBe(macOf(0x123));
  });

  test('a floating IP of one router reaches that of another', async () => {
    expect(await seenAs(namespaceOf('a'), FLOATING.c)).toBe(FLOATING.a);
    expect(await seenAs(namespaceOf('c'), FLOATING.a)).toBe(FLOATING.c);
    expect(await seenAs(namespaceOf('e'), FLOATING.a)).toBe('10.4.0.11');
  });
});
