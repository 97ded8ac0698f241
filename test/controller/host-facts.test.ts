/** From rows to facts: ofports, dead ports, local VLANs (src/controller/host-facts.ts). */
import { describe, expect, test } from 'vitest';
import { buildRouting } from '../../src/compiler/routing.ts';
import { assignLocalVlans, pluggedPorts, readHostFacts } from '../../src/controller/host-facts.ts';
import { loadTopology } from '../../src/topology/load.ts';
import type { Host, Topology } from '../../src/topology/model.ts';
import { type ModelBridge, ModelHost, type ModelPort } from './model-host.ts';

function site(): { topology: Topology; host: Host } {
  const text = JSON.stringify({
    hosts: [{ name: 'node1', local_ip: '172.28.0.11', bridge_mappings: { physnet1: 'br-eth2' } }],
    networks: ['a', 'b', 'c'].map((id, index) => ({
      id,
      network_type: 'vxlan',
      segmentation_id: 100 + index,
      subnets: [{ cidr: '10.0.0.0/24' }],
    })),
    ports: ['a', 'b', 'c'].map((id) => ({ id: `${id}1`, network: id })),
  });
  const loaded = loadTopology(text, { file: 'site.json' });
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  const host = loaded.topology.hosts.get('node1');
  if (host === undefined) throw new Error('no host');
  return { topology: loaded.topology, host };
}

const { topology, host } = site();
const routing = buildRouting(topology);
const TUNNEL = {
  key: 'vxlan/node2',
  type: 'vxlan' as const,
  remoteHost: 'node2',
  localIp: 1,
  remoteIp: 2,
  isWatched: false,
  portName: 'vxlan-00000002',
};

function factsOf(bridges: readonly ModelBridge[]) {
  const { view } = new ModelHost(bridges);
  return readHostFacts({ topology, routing, host, view, localVlans: new Map([['a', 1]]), tunnels: [TUNNEL] });
}

describe('facts', () => {
  test('of a host without bridges are that there is nothing', () => {
    expect(factsOf([])).toEqual({
      localVlans: new Map([['a', 1]]),
      integration: expect.objectContaining({ patchPhys: new Map(), ports: new Map(), deadPorts: [] }),
      physical: new Map(),
    });
  });

  test('are ofports of patches, tunnels and guests, by name and type', () => {
    const facts = factsOf([
      {
        name: 'br-int',
        ports: [
          { name: 'patch-tun', type: 'patch', ofport: 7 },
          { name: 'int-br-eth2', type: 'patch', ofport: 8 },
          { name: 'tap1', ifaceId: 'a1', ofport: 9 },
          { name: 'tap2', ifaceId: 'stranger', ofport: 11 },
          { name: 'tap3', ifaceId: 'another', ofport: 10 },
        ],
      },
      {
        name: 'br-tun',
        ports: [
          { name: 'patch-int', type: 'patch', ofport: 1 },
          { name: 'vxlan-00000002', type: 'vxlan', ofport: 5 },
        ],
      },
      { name: 'br-eth2', ports: [{ name: 'phy-br-eth2', type: 'patch', ofport: 3 }] },
    ]);
    expect(facts).toMatchObject({
      integration: {
        patchTun: 7,
        patchPhys: new Map([['br-eth2', 8]]),
        ports: new Map([['a1', { ofport: 9, name: 'tap1' }]]),
        deadPorts: [10, 11],
      },
      tunnel: { patchInt: 1, tunnels: new Map([['vxlan/node2', 5]]) },
      physical: new Map([['br-eth2', { patchInt: 3 }]]),
    });
  });

  test('leave out what has no ofport, or -1, or another type: nothing can match it', () => {
    const facts = factsOf([
      {
        name: 'br-int',
        ports: [
          { name: 'patch-tun', type: 'internal', ofport: 7 },
          { name: 'tap1', ifaceId: 'a1', ofport: null },
          { name: 'tap2', ifaceId: 'b1', ofport: -1 },
          { name: 'tap3', ifaceId: 'stranger', ofport: -1 },
        ],
      },
    ]);
    expect(facts.integration.ports).toEqual(new Map());
    expect(facts.integration.deadPorts).toEqual([]);
    expect('patchTun' in facts.integration).toBe(false);
  });

  test('two ports that claim one iface-id: the first by name counts', () => {
    const bridges = [
      {
        name: 'br-int',
        ports: [
          { name: 'tap2', ifaceId: 'a1' },
          { name: 'tap1', ifaceId: 'a1', ofport: 42 },
        ],
      },
    ];
    expect(factsOf(bridges).integration.ports.get('a1')).toEqual({ ofport: 42, name: 'tap1' });
    expect(pluggedPorts({ topology, routing }, host, new ModelHost(bridges).view)).toEqual(new Set(['a1']));
  });
});

describe('local VLANs', () => {
  const remembering = (id: string, tag: number | string, segment = 100 + 'abc'.indexOf(id)): ModelPort => ({
    name: `tap-${id}`,
    ifaceId: `${id}1`,
    otherConfig: { net_uuid: id, tag: `${tag}`, segmentation_id: `${segment}` },
  });
  const assign = (
    ports: readonly ModelPort[],
    networkIds: readonly string[] = [],
    kept = new Map<string, number>(),
    further: { readonly former?: ReadonlyMap<string, number>; readonly isFollowed?: boolean } = {},
  ) => {
    const { view } = new ModelHost([{ name: 'br-int', ports }]);
    return Object.fromEntries(assignLocalVlans({ topology, routing, host, view, networkIds, kept, ...further }));
  };

  test('count up from 1 in order of id on a fresh host', () => {
    expect(assign([], ['c', 'a', 'b'])).toEqual({ a: 1, b: 2, c: 3 });
  });

  test('are those that the ports remember, and new ones go round them', () => {
    expect(assign([remembering('b', 1), remembering('c', 3)], ['a', 'b', 'c'])).toEqual({ b: 1, c: 3, a: 2 });
  });

  test('of the last pass beat what ports remember', () => {
    expect(assign([remembering('a', 9)], ['a'], new Map([['a', 4]]))).toEqual({ a: 4 });
  });

  test("of a network that has left are nobody else's, also while a port that left with it remembers them", () => {
    const former = new Map([['gone', 1]]);
    const dead = { name: 'tap-gone', ifaceId: 'gone1', otherConfig: { net_uuid: 'gone', tag: '1' } };
    expect(assign([dead], ['a'], new Map(), { former })).toEqual({ a: 2 });
    expect(assign([], ['a', 'gone'], new Map(), { former })).toEqual({ a: 2, gone: 1 });
  });

  test("that a port shows are its own, also where we knew them as another's; and before ours, where we follow", () => {
    expect(assign([remembering('a', 1)], ['a'], new Map(), { former: new Map([['b', 1]]) })).toEqual({ a: 1 });
    const kept = new Map([['a', 4]]);
    expect(assign([remembering('a', 9)], ['a', 'b'], kept, { isFollowed: true })).toEqual({ a: 9, b: 1 });
  });

  test('of networks that have no port here are those that the bridge remembers, if they are still the same networks', () => {
    const externalIds = { 'heddle-vlan-a': '9/100', 'heddle-vlan-b': '7/555', 'heddle-vlan-c': 'x/102', other: '1' };
    const { view } = new ModelHost([{ name: 'br-int', ports: [remembering('c', 4)], externalIds }]);
    const networkIds = ['a', 'b', 'c'];
    const vlans = assignLocalVlans({ topology, routing, host, view, networkIds, kept: new Map() });
    expect(Object.fromEntries(vlans)).toEqual({ a: 9, b: 1, c: 4 });
  });

  test.each([
    ['of another segment: made anew under its old name', remembering('a', 9, 555)],
    ['out of range', remembering('a', 4095)],
    ['no number', remembering('a', 'nine')],
    ['zero', remembering('a', 0)],
  ])('that are %s are not believed', (_name, port) => {
    expect(assign([port], ['a'])).toEqual({ a: 1 });
  });

  test('two ports that remember different ones for a network: the first counts, nobody gets two', () => {
    const ports = [remembering('a', 5), { ...remembering('a', 6), name: 'tap-z', ifaceId: 'x' }];
    expect(assign(ports, ['a'])).toEqual({ a: 5 });
  });

  test('two networks that remember one: one of them gets another', () => {
    const vlans = assign([remembering('a', 5), remembering('b', 5)], ['a', 'b']);
    expect(new Set(Object.values(vlans)).size).toBe(2);
    expect(Object.values(vlans)).toContain(5);
  });

  test('a guest that is plugged in has its network here, wherever it counts as being', () => {
    expect(assign([{ name: 'tap1', ifaceId: 'b1' }])).toEqual({ b: 1 });
  });

  test('a host with more networks than VLANs says so', () => {
    const many = Array.from({ length: 4095 }, (_, index) => `n${index}`);
    expect(() => assign([], many)).toThrow(/gets no local VLAN: the host has 4094 networks already/);
  });
});
