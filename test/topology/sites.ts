/** Random valid sites as plain documents, and ways to write them down. Serves the property tests of topologies. */
import fc from 'fast-check';

export interface SiteDocument {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly hosts: readonly Readonly<Record<string, unknown>>[];
  readonly networks: readonly Readonly<Record<string, unknown>>[];
  readonly ports: readonly Readonly<Record<string, unknown>>[];
  readonly routers: readonly Readonly<Record<string, unknown>>[];
  readonly floating_ips: readonly Readonly<Record<string, unknown>>[];
  readonly security_groups: readonly Readonly<Record<string, unknown>>[];
}

export interface Size {
  readonly networks: number;
  readonly ports: number;
  readonly hosts: number;
}

const MODES = [{}, { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' }] as const;

function networksOf(count: number, isAutoconfigured: boolean): Readonly<Record<string, unknown>>[] {
  const tenant = Array.from({ length: count }, (_, index) => ({
    id: `net${index}`,
    ...(index % 2 === 0
      ? { network_type: 'vxlan', segmentation_id: index + 1 }
      : { network_type: 'vlan', segmentation_id: index + 1, physical_network: 'physnet1' }),
    subnets: [
      { cidr: `10.0.${index}.0/24`, host_routes: [{ destination: '203.0.113.0/24', nexthop: `10.0.${index}.9` }] },
      { cidr: `fd00:${index}::/64`, ...MODES[isAutoconfigured ? 1 : 0] },
    ],
  }));
  const subnets = [{ cidr: '192.168.0.0/24', allocation_pools: [{ start: '192.168.0.100', end: '192.168.0.200' }] }];
  return [...tenant, { id: 'public', network_type: 'flat', physical_network: 'public', external: true, subnets }];
}

/** A site of at most this size. Of its ports about half say which MAC and which addresses they have. */
export function siteDocument(size: Size): fc.Arbitrary<SiteDocument> {
  const port = fc.record({ network: fc.nat(), host: fc.nat(), isGiven: fc.boolean(), hasGroup: fc.boolean() });
  const shape = fc.record({
    networkCount: fc.integer({ min: 1, max: size.networks }),
    hostCount: fc.integer({ min: 1, max: size.hosts }),
    ports: fc.array(port, { maxLength: size.ports }),
    isAutoconfigured: fc.boolean(),
  });
  return shape.map(({ networkCount, hostCount, ports, isAutoconfigured }) => ({
    settings: { arp_responder: false },
    hosts: Array.from({ length: hostCount }, (_, index) => ({
      name: `node${index}`,
      local_ip: `172.28.0.${index + 1}`,
      bridge_mappings: { physnet1: 'br-eth2', public: 'br-ex' },
    })),
    networks: networksOf(networkCount, isAutoconfigured),
    ports: ports.map((one, index) => ({
      id: `port${index}`,
      network: `net${one.network % networkCount}`,
      host: `node${one.host % hostCount}`,
      security_groups: one.hasGroup ? ['web', 'ping'] : [],
      ...(one.isGiven && {
        mac_address: `fa:16:3e:00:00:${(index + 1).toString(16).padStart(2, '0')}`,
        fixed_ips: [
          `10.0.${one.network % networkCount}.${index + 20}`,
          `fd00:${one.network % networkCount}::${index + 20}`,
        ],
        allowed_address_pairs: ['10.99.0.1', '10.98.0.0/24'],
      }),
    })),
    routers: [
      {
        id: 'r1',
        interfaces: Array.from({ length: networkCount }, (_, index) => [
          { subnet: `net${index}-v4` },
          { subnet: `net${index}-v6` },
        ]).flat(),
        external_gateway_info: { network: 'public' },
        routes: [
          { destination: '203.0.113.0/24', nexthop: '10.0.0.9' },
          { destination: '203.0.112.0/24', nexthop: '10.0.0.8' },
        ],
      },
    ],
    floating_ips: ports.slice(0, 3).map((_, index) => ({
      floating_ip_address: `192.168.0.${index + 10}`,
      floating_network: 'public',
      port: `port${index}`,
    })),
    security_groups: [
      {
        id: 'web',
        rules: [
          { direction: 'ingress', protocol: 'tcp', port_range_min: 80, port_range_max: 80 },
          { direction: 'ingress', remote_group: 'web' },
          { direction: 'egress' },
        ],
      },
      { id: 'ping', rules: [{ direction: 'ingress', protocol: 'icmp' }] },
    ],
  }));
}

/** The same content with every list and every mapping in an order that `random` chooses. Nothing in it is a sequence. */
export function shuffled(value: unknown, random: (below: number) => number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inside]): [string, unknown] => [key, shuffled(inside, random)]);
  for (let last = entries.length - 1; last > 0; last--) {
    const other = random(last + 1);
    const held = entries[last];
    const swapped = entries[other];
    if (held === undefined || swapped === undefined) continue;
    entries[last] = swapped;
    entries[other] = held;
  }
  return Array.isArray(value) ? entries.map(([, inside]) => inside) : Object.fromEntries(entries);
}

/** A generator for `shuffled`, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
