/** The cost of a change is what it touches, whatever the size of the site: counted in owners rendered, not in time. */
import { expect, test } from 'vitest';
import type { HostFacts, PassResult } from '../../src/compiler/compiler.ts';
import { hostName, type LargeSite, largeSite, networkName, portName, tellAll } from './large-site.ts';
import { plainFacts } from './worlds.ts';

const NETWORK = 7;
const PORT = portName(NETWORK, 2);

/** Hosts that have the network of the port that the tests change. */
const HOSTS_OF_NETWORK = 5;

const sizeOf = ({ changes }: PassResult): number =>
  changes.reduce((sum, { put, remove }) => sum + put.length + remove.length, 0);

function withPort(site: LargeSite, change: object): LargeSite['topology'] {
  const port = site.topology.ports.get(PORT);
  if (port === undefined) throw new Error(`no ${PORT}`);
  return { ...site.topology, ports: new Map([...site.topology.ports, [PORT, { ...port, ...change }]]) };
}

/** The same changes on a site of some size: what each pass cost. */
function costs(portCount: number) {
  const site = largeSite({ portCount, hostCount: 20 });
  const compiler = tellAll(site);
  const whole = compiler.pass();
  const cost = (change: () => void) => {
    change();
    const result = compiler.pass();
    return { rendered: result.rendered, flowMods: sizeOf(result), bridges: result.changes.length };
  };
  const home = site.locations.get(PORT) ?? '';
  const before = compiler.site.networksOn(hostName(0)).size;
  return {
    portCount: site.topology.ports.size,
    rendered: whole.rendered,
    networksOnHost: before,
    unplugged: cost(() => compiler.setPortLocation(PORT, undefined)),
    plugged: cost(() => compiler.setPortLocation(PORT, home)),
    readdressed: cost(() =>
      compiler.setTopology(withPort(site, { fixedIps: [{ subnetId: 's', ipAddress: 0x0a0000ff }] })),
    ),
    reordered: cost(() => {
      const { topology } = site;
      compiler.setTopology({
        ...withPort(site, { origin: { path: 'ports[0]', line: 99, column: 1 } }),
        networks: topology.networks,
      });
    }),
    rebound: cost(() => {
      const host = site.topology.hosts.get(home);
      if (host === undefined) throw new Error(`no ${home}`);
      const plugged = [...site.locations].flatMap(([id, name]) => (name === home ? [id] : []));
      const facts = plainFacts(compiler, host, plugged);
      const ports = new Map(facts.integration.ports);
      ports.set(PORT, { ofport: 60_000, name: PORT });
      const changed: HostFacts = { ...facts, integration: { ...facts.integration, ports } };
      compiler.setHostFacts(home, changed);
    }),
  };
}

test('a change of one port renders its readers and nobody else', () => {
  const small = costs(500);
  // Nobody else reads it: itself on each host of its network, or its own binding.
  expect(small.unplugged.rendered).toBeLessThanOrEqual(HOSTS_OF_NETWORK);
  expect(small.plugged.rendered).toBeLessThanOrEqual(HOSTS_OF_NETWORK);
  // And where it is bound, its spoofing protection and what it has of routers, as one row.
  expect(small.readdressed.rendered).toBe(HOSTS_OF_NETWORK + 1);
  expect(small.rebound.rendered).toBe(1);
  // A line that moves in the file is no change; the address goes back to what it was.
  expect(small.reordered.rendered).toBe(HOSTS_OF_NETWORK + 1);
  expect(small.unplugged.flowMods).toBeGreaterThan(0);
});

test('the cost does not grow with the site', () => {
  const small = costs(500);
  const large = costs(5_000);
  expect(large.portCount).toBe(10 * small.portCount);
  expect(large.rendered).toBeGreaterThan(8 * small.rendered);
  for (const change of ['unplugged', 'plugged', 'readdressed', 'reordered', 'rebound'] as const) {
    expect(large[change], change).toEqual(small[change]);
  }
});

test('a network that comes to a host renders itself there, and itself once on the others', () => {
  const site = largeSite({ portCount: 2_000, hostCount: 20 });
  const compiler = tellAll(site);
  compiler.pass();
  const stranger = [...site.topology.hosts.keys()].find(
    (name) => !compiler.site.hostsOf.elementsOf(networkName(NETWORK)).has(name),
  );
  if (stranger === undefined) throw new Error('every host has the network');
  compiler.setPortLocation(PORT, stranger);
  const { rendered } = compiler.pass();
  // The port on each host, and the flood of each host.
  expect(rendered).toBeLessThanOrEqual(2 * HOSTS_OF_NETWORK);
  const host = site.topology.hosts.get(stranger);
  if (host === undefined) throw new Error(`no ${stranger}`);
  const plugged = [...site.locations].flatMap(([id, name]) => (name === stranger && id !== PORT ? [id] : []));
  const kept = plainFacts(compiler, host, plugged).localVlans;
  compiler.setHostFacts(stranger, plainFacts(compiler, host, [...plugged, PORT], kept));
  const arrived = compiler.pass();
  // The network, its ten ports, and the guest.
  expect(arrived.changes.map(({ bridge }) => bridge).sort()).toEqual(['br-int', 'br-tun']);
});
