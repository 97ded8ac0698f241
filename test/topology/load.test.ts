/** What a valid file becomes: defaults, derived values, order, and what stays when something else changes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ipToText, macToText, prefixToText } from '../../src/lib/addresses.ts';
import { formatTopologyError, type HeldValues, type LoadedTopology, loadTopology } from '../../src/topology/load.ts';
import type { Port, Topology } from '../../src/topology/model.ts';
import { randomFrom, shuffled, siteDocument } from './sites.ts';

const ROOT = join(import.meta.dirname, '..', '..');

function load(text: string, held?: HeldValues): LoadedTopology {
  const loaded = loadTopology(text, { file: 'f', ...(held !== undefined && { held }) });
  if ('errors' in loaded) throw new Error(loaded.errors.map(formatTopologyError).join('\n'));
  return loaded;
}

/** Everything but where it was written, in the order in which it iterates. */
function meaning(topology: Topology): string {
  return JSON.stringify(topology, (key, value: unknown) => {
    if (key === 'origin') return undefined;
    if (value instanceof Map) return [...value];
    return typeof value === 'bigint' ? `${value}n` : value;
  });
}

const addressesOf = (port: Port | undefined): readonly string[] =>
  port?.fixedIps.map(({ ipAddress }) => ipToText(ipAddress)) ?? [];

describe('defaults', () => {
  const { topology } = load(`
hosts: [{ name: node1 }]
networks:
  - { id: a, network_type: vxlan, segmentation_id: 1, subnets: [{ cidr: 10.1.0.0/24 }, { cidr: 10.0.0.0/24 }, { cidr: "fd00::/64" }] }
  - { id: b, network_type: gre, segmentation_id: 1 }
  - { id: c, network_type: geneve, segmentation_id: 1 }
  - { id: d, network_type: vlan, segmentation_id: 1, physical_network: physnet1 }
  - { id: e, network_type: local, mtu: 9000, name: east, subnets: [{ cidr: 10.0.0.4/31 }, { cidr: 10.0.0.6/32 }, { id: e-v4, cidr: 10.0.0.7/32 }] }
ports: [{ id: p, network: b }]
routers: [{ id: r }]
`);

  test('settings', () => {
    expect(topology.settings).toEqual({
      dvrBaseMac: 0xfa163f000000,
      enableDistributedRouting: true,
      l2Population: true,
      arpResponder: true,
      drift: 'repair',
      haPreempt: false,
      bfd: { minTxMs: 100, minRxMs: 100, mult: 3 },
    });
  });

  test('hosts', () => {
    expect(topology.hosts.get('node1')).toEqual({
      name: 'node1',
      ovsdb: 'unix:/run/openvswitch/db.sock',
      agentMode: 'dvr',
      gatewayPriority: 0,
      controllers: ['tcp:127.0.0.1:6653'],
      bridges: { integration: 'br-int', tunnel: 'br-tun' },
      datapathType: 'system',
      bridgeMappings: new Map(),
      origin: { path: 'hosts[0]', line: 2, column: 9 },
    });
    expect(load('hosts: [{ name: a, controller: null, mgmt_dir: /run/a }]').topology.hosts.get('a')).toMatchObject({
      mgmtDir: '/run/a',
    });
    expect(load('hosts: [{ name: a, controller: null }]').topology.hosts.get('a')?.controllers).toEqual([]);
    const two = ['tcp:192.0.2.1:6653', 'tcp:192.0.2.2:6653'];
    expect(load(`hosts: [{ name: a, controller: [${two}, ${two[0]}] }]`).topology.hosts.get('a')?.controllers).toEqual(
      two,
    );
  });

  test('networks', () => {
    expect([...topology.networks.values()].map(({ id, mtu }) => [id, mtu])).toEqual([
      ['a', 1450],
      ['b', 1458],
      ['c', 1442],
      ['d', 1500],
      ['e', 9000],
    ]);
    expect(topology.networks.get('d')).toEqual({
      id: 'd',
      name: 'd',
      networkType: 'vlan',
      segmentationId: 1,
      physicalNetwork: 'physnet1',
      mtu: 1500,
      external: false,
      subnetIds: [],
      origin: { path: 'networks[3]', line: 7, column: 5 },
    });
    expect(topology.networks.get('e')?.name).toBe('east');
  });

  test('subnets: ids in order of cidr, gateways, pools', () => {
    const facts = [...topology.subnets.values()].map((subnet) => [
      subnet.id,
      prefixToText(subnet.cidr),
      subnet.gatewayIp === undefined ? 'none' : ipToText(subnet.gatewayIp),
      subnet.allocationPools.map(({ start, end }) => `${ipToText(start)} ${ipToText(end)}`).join(),
    ]);
    expect(facts).toEqual([
      ['a-v4', '10.0.0.0/24', '10.0.0.1', '10.0.0.1 10.0.0.254'],
      ['a-v4-2', '10.1.0.0/24', '10.1.0.1', '10.1.0.1 10.1.0.254'],
      ['a-v6', 'fd00::/64', 'fd00::1', 'fd00::1 fd00::ffff:ffff:ffff:ffff'],
      ['e-v4', '10.0.0.7/32', 'none', '10.0.0.7 10.0.0.7'],
      ['e-v4-2', '10.0.0.4/31', '10.0.0.5', '10.0.0.4 10.0.0.5'],
      ['e-v4-3', '10.0.0.6/32', 'none', '10.0.0.6 10.0.0.6'],
    ]);
    expect(topology.networks.get('a')?.subnetIds).toEqual(['a-v4', 'a-v4-2', 'a-v6']);
  });

  test('ports and routers', () => {
    const port = topology.ports.get('p');
    expect(port).toMatchObject({ deviceOwner: 'compute:nova', portSecurityEnabled: true, adminStateUp: true });
    expect(port).toMatchObject({ fixedIps: [], allowedAddressPairs: [], securityGroups: [] });
    expect(port).not.toHaveProperty('host');
    const router = topology.routers.get('r');
    expect(router).toMatchObject({ distributed: true, dataplane: 'flows', interfaces: [], snatPorts: [], routes: [] });
    expect(router).not.toHaveProperty('externalGatewayInfo');
  });
});

describe('derived values', () => {
  // What guests have seen must never change. These come from another implementation: base + sha256(name)[0..8] mod count.
  test('are for ever', () => {
    const { topology, derived } = load(readFileSync(join(ROOT, 'docs/examples/one-host.yaml'), 'utf8'));
    const seen = [...topology.ports.values()].map((port) => [
      port.id,
      macToText(port.macAddress),
      ...addressesOf(port),
    ]);
    expect(seen).toEqual([
      ['guest1', 'fa:16:3e:c9:99:e3', '10.0.0.110'],
      ['guest2', 'fa:16:3e:97:00:df', '10.0.0.31'],
    ]);
    expect(derived).toEqual({
      macs: { 'port guest1': 'fa:16:3e:c9:99:e3', 'port guest2': 'fa:16:3e:97:00:df' },
      addresses: { 'port guest1 on lab-v4': '10.0.0.110', 'port guest2 on lab-v4': '10.0.0.31' },
    });
  });

  test('of routers', () => {
    const { topology, derived } = load(
      readFileSync(join(ROOT, 'docs/examples/web.yaml'), 'utf8')
        .replace(
          /$/,
          `
routers: [{ id: r, interfaces: [{ subnet: dmz-v4 }, { subnet: dmz-v6 }], external_gateway_info: { network: out } }]
`,
        )
        .replace(
          'networks:',
          'networks:\n  - { id: out, network_type: local, external: true, subnets: [{ cidr: 192.168.20.0/24 }] }',
        ),
    );
    const router = topology.routers.get('r');
    expect(router?.interfaces.map(({ subnetId, ipAddress }) => [subnetId, ipToText(ipAddress)])).toEqual([
      ['dmz-v4', '192.168.10.1'],
      ['dmz-v6', 'fd00:10::1'],
    ]);
    expect(router?.snatPorts.map(({ subnetId }) => subnetId)).toEqual(['dmz-v4', 'dmz-v6']);
    expect(Object.keys(derived.macs).filter((name) => name.startsWith('router'))).toEqual([
      'router r gateway',
      'router r interface dmz-v4',
      'router r interface dmz-v6',
      'router r snat dmz-v4',
      'router r snat dmz-v6',
    ]);
    const addresses = Object.keys(derived.addresses).filter((name) => name.startsWith('router'));
    expect(addresses.sort()).toEqual(['router r gateway on out-v4', 'router r snat dmz-v4', 'router r snat dmz-v6']);
  });

  test('stateless autoconfiguration gives what the guest gives itself (RFC 4291 appendix A)', () => {
    const { topology } = load(`
networks: [{ id: a, network_type: local, subnets: [{ cidr: "2001:db8::/64", ipv6_ra_mode: slaac }] }]
ports: [{ id: p, network: a, mac_address: "34:56:78:9a:bc:de" }]
`);
    expect(addressesOf(topology.ports.get('p'))).toEqual(['2001:db8::3656:78ff:fe9a:bcde']);
  });

  test('fill a pool to its last address, gateway and given addresses left out', () => {
    const ids = Array.from({ length: 12 }, (_, index) => `{ id: p${index}, network: a }`);
    const { topology } = load(`
networks: [{ id: a, network_type: local, subnets: [{ cidr: 10.0.0.0/28, gateway_ip: 10.0.0.14 }] }]
ports: [{ id: given, network: a, fixed_ips: [10.0.0.5] }, ${ids.join(', ')}]
`);
    const all = [...topology.ports.values()].flatMap(addressesOf);
    expect(new Set(all).size).toBe(13);
    const last = all.map((text) => Number(text.split('.')[3])).sort((left, right) => left - right);
    expect(last).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  });

  test('several of one subnet', () => {
    const { topology, derived } = load(`
networks: [{ id: a, network_type: local, subnets: [{ cidr: 10.0.0.0/28 }] }]
ports: [{ id: p, network: a, fixed_ips: [{ subnet: a-v4 }, { subnet: a-v4 }] }]
`);
    expect(new Set(addressesOf(topology.ports.get('p'))).size).toBe(2);
    expect(Object.keys(derived.addresses)).toEqual(['port p on a-v4', 'port p on a-v4 (2)']);
  });
});

describe('order', () => {
  test('never matters, nor does the format', () => {
    const property = fc.property(siteDocument({ networks: 4, ports: 12, hosts: 3 }), fc.integer(), (document, seed) => {
      const { topology, derived } = load(JSON.stringify(document));
      const other = shuffled(document, randomFrom(seed));
      for (const text of [JSON.stringify(other), stringify(other), JSON.stringify(other, null, 2)]) {
        const reordered = load(text);
        expect(meaning(reordered.topology)).toBe(meaning(topology));
        expect(reordered.derived).toEqual(derived);
      }
    });
    fc.assert(property, { numRuns: 60 });
  });

  test('each object knows where it is', () => {
    const { topology } = load(
      'ports: [{ id: b, network: n },\n  { id: a, network: n }]\nnetworks: [{ id: n, network_type: local }]',
    );
    expect([...topology.ports.values()].map(({ id, origin }) => [id, origin])).toEqual([
      ['a', { path: 'ports[1]', line: 2, column: 3 }],
      ['b', { path: 'ports[0]', line: 1, column: 9 }],
    ]);
  });
});

describe('a further port', () => {
  const grown = fc.tuple(siteDocument({ networks: 2, ports: 25, hosts: 2 }), fc.nat(1)).map(([document, network]) => ({
    before: document,
    after: {
      ...document,
      ports: [{ id: 'newcomer', network: `net${Math.min(network, document.networks.length - 2)}` }, ...document.ports],
    },
  }));
  const withoutNewcomer = (values: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(values).filter(([name]) => !name.includes('newcomer')));

  test('changes nothing of what was derived and held', () => {
    const property = fc.property(grown, ({ before, after }) => {
      const { derived } = load(JSON.stringify(before));
      const later = load(JSON.stringify(after), derived).derived;
      expect(withoutNewcomer(later.addresses)).toEqual(derived.addresses);
      expect(withoutNewcomer(later.macs)).toEqual(derived.macs);
    });
    fc.assert(property, { numRuns: 80 });
  });

  test('without memory, moves nobody unless it takes a place that was somebody else’s', () => {
    let moves = 0;
    const property = fc.property(grown, ({ before, after }) => {
      const earlier = load(JSON.stringify(before)).derived;
      const later = load(JSON.stringify(after)).derived;
      expect(withoutNewcomer(later.macs)).toEqual(earlier.macs);
      const held = new Map(Object.entries(later.addresses).map(([name, ip]) => [`${subnetOf(name)} ${ip}`, name]));
      for (const [name, ip] of Object.entries(earlier.addresses)) {
        if (later.addresses[name] === ip) continue;
        moves++;
        expect(held.get(`${subnetOf(name)} ${ip}`)).toBeDefined();
      }
    });
    fc.assert(property, { numRuns: 80 });
    expect(moves).toBeLessThan(80);
  });

  test('that is given the address of another wins', () => {
    const networks = 'networks: [{ id: a, network_type: local, subnets: [{ cidr: 10.0.0.0/24 }] }]';
    const { topology, derived } = load(`${networks}\nports: [{ id: p, network: a }]`);
    const [address] = addressesOf(topology.ports.get('p'));
    const later = load(
      `${networks}\nports: [{ id: p, network: a }, { id: q, network: a, fixed_ips: [${address}] }]`,
      derived,
    );
    expect(addressesOf(later.topology.ports.get('q'))).toEqual([address]);
    expect(addressesOf(later.topology.ports.get('p'))).not.toEqual([address]);
  });
});

/** Names end in ` on SUBNET`, those of centralised ports in ` snat SUBNET`. */
function subnetOf(name: string): string {
  return (
    name
      .replace(/ \(\d+\)$/, '')
      .split(' ')
      .at(-1) ?? ''
  );
}

describe('floating IPs', () => {
  const head = `
networks:
  - { id: a, network_type: local, subnets: [{ cidr: 10.0.0.0/24 }] }
  - { id: public, network_type: local, external: true, subnets: [{ cidr: 192.168.1.0/24 }] }
ports: [{ id: p, network: a, fixed_ips: [10.0.0.12, 10.0.0.11] }]
routers:
  - { id: r1, interfaces: [{ subnet: a-v4, ip_address: 10.0.0.2 }], external_gateway_info: { network: public } }
  - { id: r2, interfaces: [{ subnet: a-v4 }], external_gateway_info: { network: public } }
`;

  test("lead to the port's first address through the router that is the subnet's gateway", () => {
    const { topology } = load(
      `${head}floating_ips: [{ floating_ip_address: 192.168.1.3, floating_network: public, port: p }]`,
    );
    const target = { portId: 'p', fixedIpAddress: 0x0a00000b, routerId: 'r2' };
    expect(topology.floatingIps.get('192.168.1.3')).toMatchObject({ floatingIpAddress: 0xc0a80103, target });
  });

  test('may lead nowhere yet', () => {
    const { topology } = load(
      `${head}floating_ips: [{ id: f, floating_ip_address: 192.168.1.3, floating_network: public }]`,
    );
    expect(topology.floatingIps.get('f')).not.toHaveProperty('target');
  });
});

describe('routers of namespaces', () => {
  test('have the ports that the file names, and no others', () => {
    const { topology } = load(`
networks:
  - { id: a, network_type: local, subnets: [{ cidr: 10.0.0.0/24 }, { id: b, cidr: 10.0.1.0/24 }] }
  - { id: public, network_type: local, external: true, subnets: [{ cidr: 192.168.1.0/24 }] }
routers:
  - id: r1
    dataplane: namespace
    interfaces: [{ subnet: a-v4, port_id: qr-1 }, { subnet: b, port_id: qr-2 }]
    external_gateway_info: { network: public, port_id: qg-1 }
    snat_ports: [{ subnet: b, port_id: sg-2 }]
`);
    const router = topology.routers.get('r1');
    expect(router?.interfaces.map(({ portId }) => portId)).toEqual(['qr-1', 'qr-2']);
    expect(router?.externalGatewayInfo?.portId).toBe('qg-1');
    expect(router?.snatPorts.map(({ portId }) => portId)).toEqual(['sg-2']);
  });
});

test('icmp of an IPv6 rule is ICMPv6, protocols are numbers', () => {
  const { topology } = load(`
security_groups:
  - id: a
    rules:
      - { direction: ingress, ethertype: IPv6, protocol: icmp }
      - { direction: ingress, protocol: TCP, port_range_min: 1, port_range_max: 2 }
      - { direction: ingress, protocol: "89" }
`);
  expect(topology.securityGroups.get('a')?.rules.map(({ protocol }) => protocol)).toEqual([6, 89, 58]);
});

test('an open quote is an error of the text', () => {
  const loaded = loadTopology('ports:\n  - id: "blue1\n', { file: 'f' });
  expect('errors' in loaded && loaded.errors.map(formatTopologyError)).toEqual([
    'f:3:1: not YAML: Missing closing "quote',
  ]);
});

test('every beginning of a good file is either good or an error of the file, never a crash', () => {
  const text = readFileSync(join(ROOT, 'docs/examples/dvr.yaml'), 'utf8');
  for (let length = 0; length < text.length; length += 7) {
    const loaded = loadTopology(text.slice(0, length), { file: 'f' });
    if ('errors' in loaded) expect(loaded.errors.length).toBeGreaterThan(0);
  }
});

test('every example loads', () => {
  const examples = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'docs/examples/*.yaml'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const paths = examples.trim().split('\n');
  expect(paths.length).toBeGreaterThan(4);
  for (const path of paths) {
    const loaded = loadTopology(readFileSync(join(ROOT, path), 'utf8'), { file: path });
    expect('errors' in loaded ? loaded.errors.map(formatTopologyError) : []).toEqual([]);
  }
});

test('the example of the contract says the defaults', () => {
  const text = readFileSync(join(ROOT, 'docs/examples/dvr.yaml'), 'utf8');
  const { topology } = load(text);
  expect([...topology.hosts.values()].map(({ name, dvrMac }) => [name, macToText(dvrMac ?? 0)])).toEqual([
    ['node1', 'fa:16:3f:09:34:f2'],
    ['node2', 'fa:16:3f:64:a0:74'],
    ['node3', 'fa:16:3f:4e:4f:98'],
  ]);
  expect(topology.floatingIps.get('192.168.1.3')?.target).toEqual({
    portId: 'blue2',
    fixedIpAddress: 0x0a000004,
    routerId: 'r1',
  });
});
