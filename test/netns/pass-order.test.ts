/**
 * A change is one pass for each bridge, and nothing says in which order they arrive: bridges are late, are told twice, are told
 * what was meant for earlier, or are left in the middle of a bundle. Whatever happens, the tables end as they do without it, and
 * meanwhile nobody hears a network that he is not in. The streams of OpenFlow are held and released by a proxy; nothing is said
 * in another order on one stream, which TCP would not do either.
 *
 * Between two states of one file a guest changes its network, a VLAN and a VNI change, one network leaves a host, and another one
 * comes to it. HEDDLE_ORDER=all tries each bridge in each place.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/support/lab/command.ts';
import { isBundle, OrderedSite } from '../support/ordered-site.ts';

const SUBNETS = [{ cidr: '10.0.0.0/24' }];
const vxlan = (id: string, segmentationId: number) =>
  ({ id, network_type: 'vxlan', segmentation_id: segmentationId, subnets: SUBNETS }) as const;
const vlan = (id: string, segmentationId: number) =>
  ({ ...vxlan(id, segmentationId), network_type: 'vlan', physical_network: 'physnet1' }) as const;

const STEADY = [
  { id: 'blue2', network: 'blue' },
  { id: 'red2', network: 'red' },
  { id: 'green1', network: 'green' },
  { id: 'green2', network: 'green' },
  { id: 'cable1', network: 'cable' },
  { id: 'cable2', network: 'cable' },
  { id: 'wire1', network: 'wire' },
  { id: 'wire2', network: 'wire' },
] as const;

/** Who may ever be heard by whom: those who are in its network before or after. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  blue2: ['blue1', 'mover'],
  red2: ['mover'],
  green1: ['green2'],
  green2: ['green1'],
  cable2: ['cable1'],
  wire2: ['wire1'],
  fresh2: ['fresh1'],
};
/** In each state: who is heard, for certain. */
const HEARD = [
  { blue2: 'mover', green1: 'green2', green2: 'green1', cable2: 'cable1', wire2: 'wire1' },
  { red2: 'mover', green1: 'green2', green2: 'green1', cable2: 'cable1', wire2: 'wire1', fresh2: 'fresh1' },
] as const;
const BEFORE = 0;
const AFTER = 1;
type State = typeof BEFORE | typeof AFTER;

const BRIDGES = ['node1 br-int', 'node1 br-tun', 'node1 br-eth2', 'node2 br-int', 'node2 br-tun', 'node2 br-eth2'];
const isThorough = process.env.HEDDLE_ORDER === 'all';

let site: OrderedSite;
const tables: Record<string, string[]>[] = [];

beforeAll(async () => {
  const networks = [vxlan('red', 1002), vxlan('green', 1003), vlan('cable', 102)];
  site = await OrderedSite.up({
    guests: {
      blue1: 'node1',
      mover: 'node1',
      fresh1: 'node1',
      green1: 'node1',
      cable1: 'node1',
      wire1: 'node1',
      blue2: 'node2',
      red2: 'node2',
      fresh2: 'node2',
      green2: 'node2',
      cable2: 'node2',
      wire2: 'node2',
    },
    listeners: Object.keys(ALLOWED),
    states: [
      {
        networks: [...networks, vxlan('blue', 1001), vlan('wire', 101)],
        ports: [...STEADY, { id: 'blue1', network: 'blue' }, { id: 'mover', network: 'blue' }],
      },
      {
        networks: [...networks, vxlan('blue', 1011), vlan('wire', 111), vxlan('fresh', 1009)],
        ports: [
          ...STEADY,
          { id: 'mover', network: 'red' },
          { id: 'fresh1', network: 'fresh' },
          { id: 'fresh2', network: 'fresh' },
        ],
      },
    ],
  });
  // Once without any trouble each: with this everything else is compared.
  for (const state of [BEFORE, AFTER, BEFORE] as const) {
    await goTo(state);
    await whole(state);
  }
}, 90_000);

afterAll(() => site?.down());

beforeEach(() => {
  for (const bridge of site.bridges) bridge.takePasses();
});

/** Have heddle read the other file, and wait until it has computed what follows. */
async function goTo(state: State): Promise<void> {
  const generation = await site.generation();
  site.write(state);
  if (tables.length > 0) while ((await site.generation()) === generation) await delay(5);
}

/** Everything is confirmed, the tables are those of this state, everyone hears his own, and nobody has heard anyone else. */
async function whole(state: State): Promise<void> {
  await site.heddle.converged();
  const now = await site.tables();
  tables[state] ??= now;
  expect(now).toEqual(tables[state]);
  for (const [listener, talker] of Object.entries(HEARD[state])) await site.hears(listener, talker);
  for (const [listener, allowed] of Object.entries(ALLOWED)) {
    const strangers = [...site.heardBy(listener)].filter((name) => !allowed.includes(name));
    expect({ listener, strangers }).toEqual({ listener, strangers: [] });
  }
}

/** There and back. */
const BOTH = [AFTER, BEFORE] as const;

/** What is said to these is held. */
async function withHeld(names: readonly string[], state: State): Promise<void> {
  for (const name of names) site.bridge(name).proxy.hold();
  await goTo(state);
  // Meanwhile the others do what they are told.
  await delay(250);
}

const pairs = (names: readonly string[]) =>
  names.flatMap((name, index) => (index % 2 === 0 ? [[name, names[index + 1] ?? name] as const] : []));

describe('late', () => {
  test.each(isThorough ? BRIDGES.map((name) => [name, name] as const) : pairs(BRIDGES))(
    '%s, and %s',
    async (...names) => {
      for (const [index, state] of BOTH.entries()) {
        const { proxy } = site.bridge(names[index] ?? '');
        await withHeld([names[index] ?? ''], state);
        expect(proxy.heldCount).toBeGreaterThan(0);
        proxy.release();
        await whole(state);
      }
    },
  );

  test.each([
    ['one after the other', BRIDGES],
    ['the other way round', [...BRIDGES].reverse()],
  ])('all of them, %s', async (_order, names) => {
    for (const state of BOTH) {
      await withHeld(names, state);
      for (const name of names) {
        site.bridge(name).proxy.release();
        await delay(30);
      }
      await whole(state);
    }
  });
});

describe('said again', () => {
  test('each pass, when all of them are done', async () => {
    for (const state of BOTH) {
      await goTo(state);
      await whole(state);
      for (const bridge of site.bridges) expect(await bridge.repeat(bridge.takePasses())).toBe(0);
      await whole(state);
    }
  });
});

describe('said late', () => {
  test('each pass, when the next one has been done: it is put right', async () => {
    await goTo(AFTER);
    await whole(AFTER);
    const passes = site.bridges.map((bridge) => ({ bridge, late: bridge.takePasses() }));
    await goTo(BEFORE);
    await whole(BEFORE);
    for (const { bridge, late } of passes) await bridge.repeat(late);
    await eventually('the tables are put right', async () => isDeepStrictEqual(await site.tables(), tables[BEFORE]));
    await whole(BEFORE);
  });

  test.each(isThorough ? BRIDGES : ['node1 br-tun'])(
    '%s, to a controller that starts with another file',
    async (name) => {
      for (const state of BOTH) {
        await site.heddle.stop('SIGKILL');
        site.write(state);
        site.bridge(name).proxy.hold();
        site.restart();
        // The other bridges are done, and what is written to the databases is written.
        await eventually('all but one are confirmed', async () => {
          const { hosts } = await site.heddle.status();
          const bridges = hosts.flatMap((host) => host.bridges);
          return bridges.filter((one) => one.passCount > 0).length === BRIDGES.length - 1;
        });
        await delay(100);
        site.bridge(name).proxy.release();
        await whole(state);
      }
    },
  );
});

describe('controller killed within a bundle', () => {
  const all = [
    ['node1 br-int', 3],
    ['node2 br-eth2', 1],
    ['node1 br-tun', 2],
  ] as const;
  test.each(isThorough ? all : all.slice(-1))('of %s, in message %i', async (name, message) => {
    for (const state of isThorough ? BOTH : ([AFTER] as const)) {
      const { proxy } = site.bridge(name);
      const { cutCount } = proxy;
      let addCount = 0;
      const within = (frame: Uint8Array): number | undefined => {
        if (!isBundle(frame, 'add')) return undefined;
        addCount += 1;
        if (addCount !== message) return undefined;
        void site.heddle.stop('SIGKILL');
        return Math.floor(frame.length / 2);
      };
      proxy.cutOf = () => ({ side: 'controller', within });
      // It is asked for each connection: end this one.
      await site.heddle.stop('SIGKILL');
      site.write(state);
      site.restart();
      await eventually('it is killed', () => proxy.cutCount > cutCount);
      await site.heddle.ended;
      expect(proxy.cutCount).toBe(cutCount + 1);
      proxy.cutOf = () => undefined;
      site.restart();
      await whole(state);
    }
  });
});
