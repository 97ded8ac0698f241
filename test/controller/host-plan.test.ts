/** What is written to a host: the difference, all of it, and then nothing more (src/controller/host-plan.ts, wanted.ts). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DEAD_VLAN,
  NO_PEER,
  planHost,
  type WantedBridge,
  type WantedHost,
  type WantedTag,
} from '../../src/controller/host-plan.ts';
import { describeWrite } from '../../src/controller/transact.ts';
import { type ModelBridge, ModelHost, type ModelPort } from './model-host.ts';

/** A plan is followed by another when what it made shows up: bridges first, then what is set on them. */
const ROUNDS_MAX = 3;

/** Apply plans until there is none. Gives how many it took. */
function settle(host: ModelHost, wanted: WantedHost): number {
  for (let round = 0; round <= ROUNDS_MAX; round++) {
    const writes = planHost(wanted, host.view);
    if (writes.length === 0) return round;
    host.apply(writes);
  }
  throw new Error(`still to be written: ${planHost(wanted, host.view).map(describeWrite).join('; ')}`);
}

const TARGET = 'tcp:127.0.0.1:6653';
const PHYSICAL = 'br-eth2';

const names = fc.constantFrom(
  'blue1',
  'patch-tun',
  'patch-int',
  'int-br-eth2',
  'vxlan-ac1c000b',
  'vxlan-ac1c000c',
  'tap0',
);
const pairs = fc.dictionary(
  fc.constantFrom('peer', 'remote_ip', 'key', 'net_uuid', 'tag', 'segmentation_id', 'x'),
  fc.constantFrom('a', '1', NO_PEER),
);
const port: fc.Arbitrary<ModelPort> = fc.record(
  {
    name: names,
    type: fc.constantFrom('', 'patch', 'vxlan', 'internal'),
    options: pairs,
    otherConfig: pairs,
    tag: fc.constantFrom(1, 2, DEAD_VLAN),
    trunks: fc.constantFrom([], [1], [DEAD_VLAN]),
    vlanMode: fc.constantFrom('trunk', 'access'),
  },
  { requiredKeys: ['name'] },
);
const SECOND = 'tcp:10.0.0.1:6653';

const bridge = (name: string): fc.Arbitrary<ModelBridge> =>
  fc.record(
    {
      name: fc.constant(name),
      failMode: fc.constantFrom('standalone', 'secure'),
      protocols: fc.constantFrom([], ['OpenFlow10'], ['OpenFlow13'], ['OpenFlow10', 'OpenFlow15']),
      otherConfig: fc.dictionary(
        fc.constantFrom('disable-in-band', 'mac-table-size', 'datapath-id', 'hwaddr'),
        fc.constantFrom('true', 'false', '50000'),
      ),
      controllers: fc.uniqueArray(fc.constantFrom(TARGET, SECOND, 'ptcp:6634'), { maxLength: 2 }),
    },
    { requiredKeys: ['name'] },
  );

/** Hosts in any state: bridges that are there or not, ports of any kind, each name at most once on a host. */
const hosts: fc.Arbitrary<readonly ModelBridge[]> = fc
  .tuple(
    fc.subarray(['br-int', 'br-tun', PHYSICAL, 'br-else']).chain((chosen) => fc.tuple(...chosen.map(bridge))),
    fc.uniqueArray(fc.tuple(port, fc.nat(3)), { maxLength: 6, selector: ([{ name }]) => name }),
  )
  .map(([bridges, ports]) =>
    bridges.map((one, index) => ({
      ...one,
      ports: ports.flatMap(([each, at]) => (at % bridges.length === index ? [each] : [])),
    })),
  );

const tags: fc.Arbitrary<ReadonlyMap<string, WantedTag>> = fc
  .dictionary(
    fc.constantFrom('blue1', 'tap0'),
    fc.oneof(
      fc.constant({ kind: 'dead' as const }),
      fc.record({
        kind: fc.constant('network' as const),
        localVlan: fc.integer({ min: 1, max: 4 }),
        otherConfig: pairs.map((entries) => new Map(Object.entries(entries))),
      }),
    ),
  )
  .map((entries) => new Map(Object.entries(entries)));

const ownBridge = (name: string, ...controllers: readonly string[]): WantedBridge => ({
  name,
  create: { datapathType: 'system' },
  controllers,
});

const wanteds: fc.Arbitrary<WantedHost> = fc
  .record({
    controllers: fc.subarray([TARGET, SECOND]),
    keepsControllers: fc.boolean(),
    tags,
    tunnels: fc.subarray(['vxlan-ac1c000b', 'vxlan-ac1c000c', 'gre-ac1c000b']),
    isOpen: fc.boolean(),
    datapathId: fc.option(fc.constant('0001aabbccddeeff'), { nil: undefined }),
  })
  .map(({ controllers, keepsControllers, tags: wantedTags, tunnels, isOpen, datapathId }) => ({
    bridges: [
      { ...ownBridge('br-int', ...controllers), ...(datapathId !== undefined && { datapathId }), keepsControllers },
      ownBridge('br-tun', ...controllers),
      { name: PHYSICAL, controllers: [] },
    ],
    patches: [
      { bridge: 'br-int', name: 'patch-tun', peer: 'patch-int', isOpen: true },
      { bridge: 'br-tun', name: 'patch-int', peer: 'patch-tun', isOpen: true },
      { bridge: 'br-int', name: 'int-br-eth2', peer: 'phy-br-eth2', isOpen },
      { bridge: PHYSICAL, name: 'phy-br-eth2', peer: 'int-br-eth2', isOpen },
    ],
    tunnels: tunnels.map((name) => ({
      name,
      type: name.startsWith('gre') ? ('gre' as const) : ('vxlan' as const),
      options: new Map([['remote_ip', '172.28.0.12']]),
    })),
    tunnelBridge: 'br-tun',
    integrationBridge: 'br-int',
    tags: wantedTags,
  }));

/** Names are unique on a host: a wanted port that sits on another bridge is somebody's mistake, told by ovsdb-server. */
function collides(bridges: readonly ModelBridge[], wanted: WantedHost): boolean {
  const home = new Map([
    ...wanted.patches.map((patch) => [patch.name, patch.bridge] as const),
    ...wanted.tunnels.map((tunnel) => [tunnel.name, 'br-tun'] as const),
  ]);
  return bridges.some(({ name, ports = [] }) => ports.some((one) => home.has(one.name) && home.get(one.name) !== name));
}

describe('any host', () => {
  test('settles in a few rounds, and is then left alone', () => {
    fc.assert(
      fc.property(hosts, wanteds, (bridges, wanted) => {
        fc.pre(!collides(bridges, wanted));
        const host = new ModelHost(bridges);
        settle(host, wanted);
        const rows = host.rows;
        expect(planHost(wanted, host.view)).toEqual([]);
        expect(host.rows).toEqual(rows);
      }),
      { numRuns: 500 },
    );
  });

  test('ends with bridges that are secure and out of band, whatever it began with', () => {
    fc.assert(
      fc.property(hosts, wanteds, (bridges, wanted) => {
        fc.pre(!collides(bridges, wanted));
        const host = new ModelHost(bridges);
        settle(host, wanted);
        for (const { name, controllers, keepsControllers = false } of wanted.bridges) {
          const others = bridges
            .find((one) => one.name === name)
            ?.controllers?.filter((target) => !controllers.includes(target));
          const shown = host.view.bridges.get(name);
          if (shown === undefined) continue;
          expect(shown.bridge.fail_mode).toBe('secure');
          expect(shown.bridge.other_config.get('disable-in-band')).toBe('true');
          expect(['', 'OpenFlow13']).toContain(shown.bridge.protocols.find((one) => one === 'OpenFlow13') ?? '');
          if (controllers.length === 0) continue;
          const targets = [...controllers, ...(keepsControllers ? (others ?? []) : [])];
          expect(shown.controllers.map(({ target }) => target).sort()).toEqual(targets.sort());
          for (const { target, connection_mode: mode } of shown.controllers)
            if (controllers.includes(target)) expect(mode).toBe('out-of-band');
        }
        expect(host.view.bridges.has(PHYSICAL)).toBe(bridges.some(({ name }) => name === PHYSICAL));
      }),
      { numRuns: 300 },
    );
  });

  test('keeps what is not heddle’s: other bridges, other ports, other keys', () => {
    fc.assert(
      fc.property(hosts, wanteds, (bridges, wanted) => {
        fc.pre(!collides(bridges, wanted));
        const host = new ModelHost(bridges);
        const before = host.view;
        settle(host, wanted);
        const after = host.view;
        expect(after.bridges.get('br-else')).toEqual(before.bridges.get('br-else'));
        for (const [name, { bridge: row, ports }] of before.bridges) {
          const now = after.bridges.get(name);
          expect(now?.bridge.other_config.get('hwaddr')).toBe(row.other_config.get('hwaddr'));
          for (const [portName, { port: portRow, interfaces }] of ports) {
            if (/^(vxlan|gre)-/.test(portName)) continue;
            const portNow = now?.ports.get(portName);
            if (!wanted.tags.has(portName)) expect(portNow?.port).toEqual(portRow);
            expect(portNow?.interfaces[0]?.external_ids).toEqual(interfaces[0]?.external_ids);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('one by one', () => {
  const WANTED: WantedHost = {
    bridges: [ownBridge('br-int', TARGET), ownBridge('br-tun', TARGET)],
    patches: [
      { bridge: 'br-int', name: 'patch-tun', peer: 'patch-int', isOpen: true },
      { bridge: 'br-tun', name: 'patch-int', peer: 'patch-tun', isOpen: true },
    ],
    tunnels: [],
    tunnelBridge: 'br-tun',
    integrationBridge: 'br-int',
    tags: new Map(),
  };

  test('a fresh host takes two plans: what is made, then what is set', () => {
    const host = new ModelHost();
    expect(planHost(WANTED, host.view).map(describeWrite)).toEqual([
      'create bridge br-int',
      'create bridge br-tun',
      'create patch port patch-tun on br-int',
      'create patch port patch-int on br-tun',
    ]);
    expect(settle(host, WANTED)).toBe(2);
  });

  test('a controller is never set on a bridge before it is secure: not even in another order of one plan', () => {
    const host = new ModelHost([{ name: 'br-int', failMode: 'standalone' }]);
    const lines = planHost(WANTED, host.view).map(describeWrite);
    const at = (text: string): number => lines.findIndex((line) => line.includes(text));
    expect(at('fail_mode=secure')).toBeLessThan(at('controller of br-int'));
    expect(at('disable-in-band=true')).toBeLessThan(at('controller of br-int'));
  });

  test.each<[string, WantedHost['tunnels'][number]['name'], string, boolean]>([
    ['a tunnel of heddle’s that is not wanted any more', 'vxlan-ac1c000c', 'vxlan', true],
    ['one with an IPv6 name', 'geneve-abcdefgh', 'geneve', true],
    ['somebody’s own tunnel', 'vxlan0', 'vxlan', false],
    ['a tap that happens to be called so', 'vxlan-ac1c000c', 'internal', false],
  ])('%s', (_name, name, type, goes) => {
    const host = new ModelHost([{ name: 'br-tun', ports: [{ name, type }] }]);
    settle(host, WANTED);
    expect(host.view.bridges.get('br-tun')?.ports.has(name)).toBe(!goes);
  });

  test('a patch that is closed is opened when it may be, and one that is open is never closed', () => {
    const patch = { bridge: 'br-int', name: 'int-br-ex', peer: 'phy-br-ex' };
    const host = new ModelHost([{ name: 'br-int' }]);
    const peer = () => host.view.bridges.get('br-int')?.ports.get('int-br-ex')?.interfaces[0]?.options.get('peer');
    settle(host, { ...WANTED, patches: [{ ...patch, isOpen: false }] });
    expect(peer()).toBe(NO_PEER);
    settle(host, { ...WANTED, patches: [{ ...patch, isOpen: true }] });
    expect(peer()).toBe('phy-br-ex');
    settle(host, { ...WANTED, patches: [{ ...patch, isOpen: false }] });
    expect(peer()).toBe('phy-br-ex');
  });

  test('what a host keeps is written, what it has no more goes, and keys of others stay', () => {
    const externalIds = {
      'heddle-zones-gone': '1-4',
      'heddle-vlan-a': '3/101',
      'heddle-dvr-mac': 'old',
      'bridge-id': 'br-int',
    };
    const host = new ModelHost([{ name: 'br-int', externalIds }]);
    const ids = () => Object.fromEntries(host.view.bridges.get('br-int')?.bridge.external_ids ?? []);
    settle(host, WANTED);
    expect(ids()).toEqual(externalIds);
    const keepsakes = new Map([
      ['heddle-dvr-mac', 'new'],
      ['heddle-zones-r', '5-8'],
    ]);
    settle(host, { ...WANTED, bridges: [{ ...ownBridge('br-int', TARGET), keepsakes }] });
    expect(ids()).toEqual({ 'bridge-id': 'br-int', ...Object.fromEntries(keepsakes) });
  });

  test('a network without a segmentation id takes the key of the one before away', () => {
    const host = new ModelHost([
      { name: 'br-int', ports: [{ name: 'blue1', tag: 1, otherConfig: { segmentation_id: '7', keep: 'me' } }] },
    ]);
    const tag = { kind: 'network' as const, localVlan: 1, otherConfig: new Map([['net_uuid', 'flat1']]) };
    settle(host, { ...WANTED, tags: new Map([['blue1', tag]]) });
    expect(host.view.bridges.get('br-int')?.ports.get('blue1')?.port.other_config).toEqual(
      new Map([
        ['keep', 'me'],
        ['net_uuid', 'flat1'],
      ]),
    );
  });
});
