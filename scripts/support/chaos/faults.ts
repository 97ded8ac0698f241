/**
 * What goes wrong at a site: each fault by name, how it is done, and from which moment on the site could be whole again. Serves
 * `scripts/chaos` and test/netns/chaos.test.ts.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from '../lab/host.ts';
import { type BRIDGES, type ChaosSite, flowsOf } from './chaos-site.ts';
import { PHYSICAL_BRIDGE } from './chaos-topology.ts';

export interface FaultOptions {
  /** How long what is taken away stays away. */
  readonly holdMs: number;
}

export interface Fault {
  readonly name: string;
  /** What it should cost where it is not nothing; for the reader of the table. */
  readonly note?: string;
  /** The desired flows are others afterwards. */
  readonly changesFlows?: boolean;
  /** Lasts as long as `holdMs` says. */
  readonly isLong?: boolean;
  /**
   * Do it, and undo what only we can undo. Comes back when from then on it is for others to mend, with that moment
   * (performance.now).
   */
  readonly inject: (site: ChaosSite, options: FaultOptions) => Promise<number>;
  /** What neighbouring controllers lost in facts measured on such a machine (0 / 1,000 / 5,000 further ports). */
  readonly peers?: string;
}

async function restartHeddle(site: ChaosSite, signal: 'SIGKILL' | 'SIGTERM', between?: () => unknown): Promise<number> {
  await site.heddle.stop(signal);
  await between?.();
  site.heddle = site.startHeddle();
  return performance.now();
}

const node1 = (site: ChaosSite): Host => site.lab.host('node1');

/** Reset TCP connections of every host; `filter` is ss(8)'s. Both sides notice at once. */
async function cut(site: ChaosSite, filter: (host: Host) => string): Promise<number> {
  const [begunMs] = await Promise.all([
    performance.now(),
    ...site.hosts.map((host) => host.namespace.run(['ss', '-K', ...filter(host).split(' ')])),
  ]);
  return begunMs;
}

const wipe = (bridge: (typeof BRIDGES)[number], peers: string): Fault => ({
  name: `somebody deletes every flow of ${bridge}`,
  peers,
  inject: async (site) => {
    const begunMs = performance.now();
    await node1(site).ofctl(bridge, 'del-flows');
    return begunMs;
  },
});

/** What the same costs with Open vSwitch's own tool, which knows beforehand what to put back, and does so at once. */
const wipeAndRefill = (bridge: (typeof BRIDGES)[number]): Fault => ({
  name: `every flow of ${bridge} deleted and put back by ovs-ofctl, while no controller runs`,
  note: 'what of it is not ours',
  inject: (site) =>
    restartHeddle(site, 'SIGTERM', async () => {
      const host = node1(site);
      const file = join(site.lab.directory, 'refill.flows');
      const flows = await flowsOf(host, bridge);
      writeFileSync(file, flows.join('\n'));
      for (const stream of site.streams) await stream.mark();
      await host.ofctl(bridge, 'del-flows');
      await host.ofctl(bridge, 'add-flows', '--bundle', file);
    }),
});

export const FAULTS: readonly Fault[] = [
  {
    name: 'nothing at all',
    note: 'what the machine itself loses and delays',
    inject: async (_site, { holdMs }) => {
      await delay(Math.min(holdMs, 5_000));
      return performance.now();
    },
  },
  {
    name: 'controller killed and restarted',
    peers: 'OVN 10 / 331 / 8,117 lost; Neutron 0',
    inject: (site) => restartHeddle(site, 'SIGKILL'),
  },
  { name: 'controller ended (SIGTERM) and restarted', inject: (site) => restartHeddle(site, 'SIGTERM') },
  {
    name: 'controller restarted with another file',
    changesFlows: true,
    inject: (site) => restartHeddle(site, 'SIGTERM', () => site.rewrite()),
  },
  {
    name: 'file changed while it runs',
    changesFlows: true,
    inject: async (site) => {
      const { generation } = await site.heddle.status();
      const begunMs = performance.now();
      site.rewrite();
      while ((await site.heddle.status()).generation === generation) await delay(5);
      return begunMs;
    },
  },
  {
    name: 'controller gone for a while',
    isLong: true,
    inject: (site, { holdMs }) => restartHeddle(site, 'SIGKILL', () => delay(holdMs)),
  },
  {
    name: 'controller frozen for a while (SIGSTOP)',
    isLong: true,
    inject: async (site, { holdMs }) => {
      process.kill(site.heddle.pid, 'SIGSTOP');
      await delay(holdMs);
      process.kill(site.heddle.pid, 'SIGCONT');
      return performance.now();
    },
  },
  {
    name: 'state directory lost, controller killed and restarted',
    inject: (site) =>
      restartHeddle(site, 'SIGKILL', () => rmSync(site.stateDirectory, { recursive: true, force: true })),
  },
  {
    name: 'two controllers at once, then one, then the other',
    inject: async (site) => {
      const second = site.startSecond();
      try {
        await site.converged(30_000, second);
        await restartHeddle(site, 'SIGKILL');
        await site.converged();
      } finally {
        await second.stop();
      }
      return performance.now();
    },
  },
  {
    name: 'ovsdb-server restarted',
    note: 'the userspace datapath itself stalls without its database',
    peers: 'OVN 872 lost; Neutron 744',
    inject: async (site) => {
      await node1(site).stopDatabase();
      await node1(site).startDatabase();
      return performance.now();
    },
  },
  {
    name: 'ovsdb-server gone for a while',
    isLong: true,
    note: 'likewise',
    inject: async (site, { holdMs }) => {
      await node1(site).stopDatabase();
      await delay(holdMs);
      await node1(site).startDatabase();
      return performance.now();
    },
  },
  {
    name: 'ovsdb-server restarted, while no controller runs',
    note: 'what of it is not ours',
    inject: (site) =>
      restartHeddle(site, 'SIGTERM', async () => {
        await node1(site).stopDatabase();
        await node1(site).startDatabase();
        // Until the switch is back at its database, and so at its packets.
        await node1(site).vsctl('set', 'Open_vSwitch', '.', 'external_ids:chaos=seen');
        await node1(site).vsctl('remove', 'Open_vSwitch', '.', 'external_ids', 'chaos');
      }),
  },
  {
    name: 'ovs-vswitchd killed and restarted',
    note: 'no flow outlives it',
    peers: 'OVN 1,008 lost, 1.0 s; Neutron 2,282, 2.3 s',
    inject: async (site) => {
      await node1(site).stopSwitch('SIGKILL');
      await node1(site).startSwitch();
      return performance.now();
    },
  },
  {
    name: 'OpenFlow connections reset',
    inject: (site) => cut(site, () => 'dport = 6653'),
  },
  {
    name: 'OVSDB connections reset',
    inject: (site) => cut(site, (host) => `src ${host.managementIp} sport = 6640`),
  },
  {
    name: 'management network silent for a while (half-open TCP)',
    isLong: true,
    inject: async (site, { holdMs }) => {
      for (const host of site.hosts) await site.lab.setWire(host, 'management', 'down');
      await delay(holdMs);
      for (const host of site.hosts) await site.lab.setWire(host, 'management', 'up');
      return performance.now();
    },
  },
  {
    name: 'physical bridges adopted, which somebody has been using',
    note: 'Open vSwitch itself takes every flow away, once',
    inject: async (site) => {
      await site.heddle.stop('SIGTERM');
      for (const host of site.hosts) {
        await host.vsctl(
          'del-controller',
          PHYSICAL_BRIDGE,
          '--',
          'remove',
          'Bridge',
          PHYSICAL_BRIDGE,
          'fail_mode',
          'secure',
        );
      }
      // They are learning switches again, as before heddle.
      for (const stream of site.streams) await stream.mark();
      site.heddle = site.startHeddle();
      return performance.now();
    },
  },
  wipe('br-int', 'OVN never heals; Neutron 1,438 lost, 1.4 s'),
  wipe('br-tun', 'Neutron never heals'),
  wipe('br-eth2', ''),
  wipeAndRefill('br-int'),
  wipeAndRefill('br-tun'),
];
