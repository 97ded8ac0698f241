/**
 * The site of the tests of ways outside: three hosts, of which the third is the gateway host; two networks with one router; guests
 * with floating IPs (a, b, c) and without (d, e, f); and a world outside.
 */
import { eventually } from '../../scripts/support/lab/command.ts';
import type { Guest } from '../../scripts/support/lab/guest.ts';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';
import { OutsideWorld, PUBLIC, tellPeers, WIRE, WORLD } from './outside-world.ts';
import { untilAnswered } from './reach.ts';
import { macOf, Site, type SiteOptions } from './site.ts';

export const GATEWAY = { ip: '203.0.113.21', mac: macOf(0x121), ip6: 'fd00:e::21' } as const;
export const FLOATING = { a: '203.0.113.31', b: '203.0.113.32', c: '203.0.113.33' } as const;
export const HOST_MAC = { node1: 'fa:16:3f:00:00:01', node2: 'fa:16:3f:00:00:02', node3: 'fa:16:3f:00:00:03' } as const;
/** Guests' hosts, and one that is a gateway for routers too. */
export const GATEWAY_ON_NODE3 = {
  node1: { dvr_mac: HOST_MAC.node1 },
  node2: { dvr_mac: HOST_MAC.node2 },
  node3: { dvr_mac: HOST_MAC.node3, agent_mode: 'dvr_snat' },
} as const;

const GATEWAY_OF: Readonly<Record<string, readonly string[]>> = {
  blue: ['10.0.0.1', 'fd00:b::1'],
  red: ['20.0.0.1', 'fd00:c::1'],
  green: ['30.0.0.1'],
};

const port = (id: string, network: 'blue' | 'red', host: string, number: number) => ({
  id,
  network,
  host,
  mac_address: macOf(number),
  fixed_ips: network === 'blue' ? [`10.0.0.${number}`, `fd00:b::${number}`] : [`20.0.0.${number}`, `fd00:c::${number}`],
});

export const floatingIps = (...ids: (keyof typeof FLOATING)[]) =>
  ids.map((id) => ({ floating_ip_address: FLOATING[id], floating_network: 'public', port: id }));

export const ROUTER = {
  id: 'r',
  interfaces: [
    { subnet: 'blue4', mac_address: macOf(0x101) },
    { subnet: 'blue6', mac_address: macOf(0x105) },
    { subnet: 'red4', mac_address: macOf(0x102) },
    { subnet: 'red6', mac_address: macOf(0x106) },
  ],
  external_gateway_info: {
    network: 'public',
    external_fixed_ips: [GATEWAY.ip, GATEWAY.ip6],
    mac_address: GATEWAY.mac,
  },
  snat_ports: [
    { subnet: 'blue4', ip_address: '10.0.0.3', mac_address: macOf(0x103) },
    { subnet: 'red4', ip_address: '20.0.0.3', mac_address: macOf(0x104) },
    { subnet: 'blue6', ip_address: 'fd00:b::3', mac_address: macOf(0x107) },
    { subnet: 'red6', ip_address: 'fd00:c::3', mac_address: macOf(0x108) },
  ],
} as const;

export const NORTH_SOUTH: SiteOptions = {
  segments: [{ name: WIRE, bridge: 'br-ex' }],
  hostsByName: GATEWAY_ON_NODE3,
  networks: [
    {
      id: 'blue',
      network_type: 'vxlan',
      segmentation_id: 1001,
      subnets: [
        { id: 'blue4', cidr: '10.0.0.0/24' },
        { id: 'blue6', cidr: 'fd00:b::/64' },
      ],
    },
    {
      id: 'red',
      network_type: 'vxlan',
      segmentation_id: 1002,
      subnets: [
        { id: 'red4', cidr: '20.0.0.0/24' },
        { id: 'red6', cidr: 'fd00:c::/64' },
      ],
    },
    PUBLIC,
  ],
  ports: [
    port('a', 'blue', 'node1', 11),
    port('b', 'blue', 'node1', 12),
    port('c', 'red', 'node2', 13),
    port('d', 'blue', 'node1', 14),
    port('e', 'red', 'node2', 15),
    port('f', 'blue', 'node3', 16),
  ],
  further: { routers: [ROUTER], floating_ips: floatingIps('a', 'b', 'c') },
};

export class NorthSouth {
  readonly site: Site;
  readonly outside: OutsideWorld;
  #options: SiteOptions;

  private constructor(site: Site, outside: OutsideWorld, options: SiteOptions) {
    this.site = site;
    this.outside = outside;
    this.#options = options;
  }

  /** Everyone is up and reaches the world. */
  static async up(options: SiteOptions = NORTH_SOUTH, routes: readonly string[] = []): Promise<NorthSouth> {
    const site = await Site.up(options);
    try {
      const outside = await OutsideWorld.create(site, routes);
      const northSouth = new NorthSouth(site, outside, options);
      await Promise.all(options.ports.map(({ id, network }) => northSouth.#settle(id, network)));
      await tellPeers(outside.world);
      for (const { id } of options.ports) await untilAnswered(site.guest(id), WORLD.ip);
      return northSouth;
    } catch (error) {
      await site.lab.down();
      throw error;
    }
  }

  /** A guest's own routes, and a server in it. */
  async #settle(id: string, network: string): Promise<void> {
    const gateways = GATEWAY_OF[network] ?? [];
    await this.namespaceOf(id).ip(gateways.map((ip) => `route add default via ${ip}`));
    await tellPeers(this.namespaceOf(id));
  }

  guest(name: string): Guest {
    return this.site.guest(name);
  }

  namespaceOf(name: string): Namespace {
    return this.guest(name).namespace;
  }

  /** Change the file, and wait until heddle has followed. */
  async change(change: Partial<SiteOptions>): Promise<void> {
    const { generation } = await this.site.heddle.status();
    this.#options = { ...this.#options, ...change };
    this.site.rewrite(this.#options);
    await eventually('heddle follows', async () => {
      const status = await this.site.heddle.status();
      return status.generation > generation && status.converged;
    });
  }
}
