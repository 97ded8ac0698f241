/** The slow path's picture of a site that changes is the one that would be made of it from scratch (src/controller/router-model.ts). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PluggedPorts, RouterPicture } from '../../src/controller/router-model.ts';
import { ipFromText } from '../../src/lib/addresses.ts';
import { loadTopology } from '../../src/topology/load.ts';
import type { Topology } from '../../src/topology/model.ts';

const HOSTS = ['node1', 'node2', 'node3'];
const NETWORKS = ['blue', 'green', 'lonely'];
const PORTS = Array.from({ length: 12 }, (_none, index) => ({ id: `port${index}`, network: NETWORKS[index % 3] }));

function topologyOf(routed: readonly string[]): Topology {
  const loaded = loadTopology(
    JSON.stringify({
      hosts: HOSTS.map((name, index) => ({ name, local_ip: `198.51.100.${index + 1}` })),
      networks: NETWORKS.map((id, index) => ({
        id,
        network_type: 'vxlan',
        segmentation_id: 1001 + index,
        subnets: [{ id: `${id}4`, cidr: `10.0.${index}.0/24` }],
      })),
      routers: [{ id: 'router', interfaces: routed.map((id) => ({ subnet: `${id}4` })) }],
      ports: PORTS.map(({ id, network }, index) => ({ id, network, fixed_ips: [`10.0.${index % 3}.${100 + index}`] })),
    }),
    { file: 'site.json' },
  );
  if ('errors' in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded.topology;
}

const TOPOLOGIES = [topologyOf(['blue', 'green']), topologyOf(['green'])];

const seen = (picture: RouterPicture) => ({
  networks: NETWORKS.map((id) => picture.network(id)),
  places: NETWORKS.map((id) => picture.places(id)),
  ports: HOSTS.map((host) => PORTS.map((_none, index) => picture.portAt(host, index + 1)?.portId)),
  known: PORTS.map((_none, index) => picture.isKnown('blue', ipFromText(`10.0.0.${100 + index}`))),
});

/** What is plugged in where, by the index of its port, and which topology holds. */
const worlds = fc.array(
  fc.record({
    topology: fc.constantFrom(...TOPOLOGIES),
    changes: fc.dictionary(fc.constantFrom(...HOSTS), fc.uniqueArray(fc.nat({ max: PORTS.length - 1 }))),
    gone: fc.option(fc.constantFrom(...HOSTS), { nil: undefined }),
  }),
  { maxLength: 8 },
);

const portsOf = (indexes: readonly number[]) =>
  new Map(
    indexes.map((index) => [`port${index}`, { ofport: index + 1 }]),
  ) as unknown as PluggedPorts extends ReadonlyMap<string, infer Ports> ? Ports : never;

describe('the picture', () => {
  test('of a site that changes', () => {
    fc.assert(
      fc.property(worlds, (steps) => {
        const picture = new RouterPicture(() => HOSTS[0]);
        const plugged = new Map(HOSTS.map((host) => [host, portsOf([])]));
        for (const { topology, changes, gone } of steps) {
          for (const [host, indexes] of Object.entries(changes)) plugged.set(host, portsOf(indexes));
          if (gone !== undefined) plugged.delete(gone);
          picture.update(topology, plugged);
          const fresh = new RouterPicture(() => HOSTS[0]);
          fresh.update(topology, new Map(plugged));
          expect(seen(picture)).toEqual(seen(fresh));
        }
      }),
    );
  });

  test('shows guests of routed networks, in order of host', () => {
    const [topology] = TOPOLOGIES;
    if (topology === undefined) throw new Error('no topology');
    const picture = new RouterPicture(() => HOSTS[0]);
    picture.update(
      topology,
      new Map([
        ['node2', portsOf([3, 0, 2])],
        ['node1', portsOf([6])],
      ]),
    );
    expect(picture.places('blue')).toEqual([
      { host: 'node1', ofports: [7] },
      { host: 'node2', ofports: [1, 4] },
    ]);
    expect(picture.places('lonely')).toEqual([]);
    expect(picture.portAt('node2', 3)?.portId).toBe('port2');
    expect(picture.isKnown('blue', ipFromText('10.0.0.100'))).toBe(true);
    expect(picture.isKnown('blue', ipFromText('10.0.0.1'))).toBe(true);
    expect(picture.isKnown('blue', ipFromText('10.0.0.99'))).toBe(false);
  });
});

test('an address is known while the port that has it is somewhere; one of a router always', () => {
  let location: string | undefined;
  const picture = new RouterPicture((portId) => (portId === 'port0' ? location : undefined));
  picture.update(topologyOf(['blue']), new Map());
  const isKnown = (ip: string): boolean => picture.isKnown('blue', ipFromText(ip));
  expect([isKnown('10.0.0.100'), isKnown('10.0.0.1')]).toEqual([false, true]);
  location = 'node1';
  expect(isKnown('10.0.0.100')).toBe(true);
});
