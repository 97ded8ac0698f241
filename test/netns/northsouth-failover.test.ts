/**
 * A gateway host dies, with the controller alive and with it stopped: what left by it leaves by the other one, within the time
 * that BFD takes; what did not go by it notices nothing. Seed 002. The times are printed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/support/lab/command.ts';
import {
  FLOATING,
  floatingIps,
  GATEWAY,
  HOST_MAC,
  NORTH_SOUTH,
  NorthSouth,
  ROUTER,
} from '../support/north-south-site.ts';
import { seenAs, WORLD } from '../support/outside-world.ts';
import { DEFAULT_HOSTS, type SiteOptions } from '../support/site.ts';

/** Two gateway hosts; guests on the others alone. */
const OPTIONS: SiteOptions = {
  ...NORTH_SOUTH,
  hosts: [...DEFAULT_HOSTS, 'node4'],
  hostsByName: {
    ...NORTH_SOUTH.hostsByName,
    node3: { dvr_mac: HOST_MAC.node3, agent_mode: 'dvr_snat', gateway_priority: 20 },
    node4: { dvr_mac: 'fa:16:3f:00:00:04', agent_mode: 'dvr_snat', gateway_priority: 10 },
  },
  ports: NORTH_SOUTH.ports.filter(({ id }) => id !== 'f'),
  further: { routers: [ROUTER], floating_ips: floatingIps('a', 'b', 'c') },
};

const PROVOKED =
  /node3|connection|BFD|bfd|unreachable|No such file|jsonrpc|rconn|stream|tunnel|neigh|NOT|ovsdb|openflow/i;

describe('a gateway host dies', () => {
  let up: NorthSouth | undefined;

  afterEach(() => up?.site.down({ provoked: PROVOKED }));

  /** The longest time without an answer from outside, for who goes out by the gateway. */
  async function outage(site: NorthSouth, kill: () => Promise<void>): Promise<number> {
    expect(await seenAs(site.namespaceOf('d'), WORLD.ip)).toBe(GATEWAY.ip);
    await onlyOneAnswers(site);
    const ping = await site.guest('d').startPing(WORLD.ip, 20);
    await kill();
    // What is lost is a gap only when something comes after it.
    await eventually('it answers again', async () => (await seenAs(site.namespaceOf('d'), WORLD.ip)) === GATEWAY.ip);
    await delay(200);
    return (await ping.stop()).longestGapMs;
  }

  /** Every gateway host has the same MAC: who answers twice are two. */
  async function onlyOneAnswers({ outside }: NorthSouth): Promise<void> {
    const { stdout } = await outside.provider.runAny(['arping', '-c', '2', '-w', '3', '-I', 'eth0', GATEWAY.ip]);
    expect(stdout).toMatch(/Received 2 response/);
    expect(await outside.ping(GATEWAY.ip)).toMatchObject({ received: 3 });
  }

  const KINDS = [
    ['its switch is killed', async (site: NorthSouth) => site.site.lab.host('node3').stopSwitch('SIGKILL')],
    [
      'it is cut off',
      async ({ site: { lab } }: NorthSouth) => {
        const host = lab.host('node3');
        await Promise.all(['underlay', 'public', 'management'].map((wire) => lab.setWire(host, wire, 'down')));
      },
    ],
  ] as const;

  test.each(
    KINDS.flatMap(([name, kill]) =>
      (['alive', 'stopped'] as const).map((controller) => [name, controller, kill] as const),
    ),
  )(
    '%s, the controller is %s',
    async (name, controller, kill) => {
      const site = await NorthSouth.up(OPTIONS);
      up = site;
      if (controller === 'stopped') await site.site.heddle.stop();
      const others = [await site.guest('a').startPing(WORLD.ip, 10), await site.guest('d').startPing('20.0.0.15', 10)];
      const outageMs = await outage(site, () => kill(site));
      process.stdout.write(`${name}, controller ${controller}: SNAT is back after ${Math.round(outageMs)} ms\n`);
      expect(outageMs).toBeLessThan(1_000);
      await onlyOneAnswers(site);
      expect(await seenAs(site.namespaceOf('d'), WORLD.ip)).toBe(GATEWAY.ip);
      expect(await seenAs(site.namespaceOf('e'), FLOATING.a)).toBe(GATEWAY.ip);
      await delay(500);
      const results = await Promise.all(others.map((ping) => ping.stop()));
      for (const { sent, received } of results) expect(sent - received).toBeLessThanOrEqual(2);
    },
    120_000,
  );

  const isServing = async (site: NorthSouth, name: string): Promise<boolean> => {
    await site.site.lab.host(name).appctl('dpctl/flush-conntrack');
    await site.guest('e').ping(WORLD.ip, { count: 1 });
    return (await site.site.lab.host(name).appctl('dpctl/dump-conntrack')).includes(WORLD.ip);
  };

  test.each([false, true])(
    'it comes back, and serves again only if it shall (ha_preempt: %s)',
    async (preempts) => {
      const site = await NorthSouth.up({ ...OPTIONS, settings: { ha_preempt: preempts } });
      up = site;
      const { lab } = site.site;
      expect([await isServing(site, 'node3'), await isServing(site, 'node4')]).toEqual([true, false]);
      const capture = await lab.captureWire('public', 'arp');
      await lab.setWire(lab.host('node3'), 'underlay', 'down');
      await eventually('the other one serves', () => isServing(site, 'node4'));
      const announced = (frame: string) =>
        frame.includes(`who-has ${GATEWAY.ip}`) && frame.includes(`tell ${GATEWAY.ip}`);
      await eventually('it is announced', () => capture.frames.filter(announced).length >= 3);
      await capture.stop();
      await lab.setWire(lab.host('node3'), 'underlay', 'up');
      if (preempts) await eventually('the better one serves again', () => isServing(site, 'node3'));
      else {
        await eventually('its tunnels are up again', async () =>
          (await lab.host('node4').vsctl('get', 'Interface', 'vxlan-ac1c000d', 'bfd_status:state')).includes('up'),
        );
        await delay(1_000);
        expect([await isServing(site, 'node3'), await isServing(site, 'node4')]).toEqual([false, true]);
      }
      await onlyOneAnswers(site);
    },
    120_000,
  );

  test('it is taken out of service in the file: nothing is lost but its translations', async () => {
    const site = await NorthSouth.up(OPTIONS);
    up = site;
    const others = [
      await site.guest('a').startPing(WORLD.ip, 10),
      await site.guest('d').startPing('20.0.0.15', 10),
      await site.guest('d').startPing(WORLD.ip, 10),
    ];
    await site.change({ hostsByName: { ...OPTIONS.hostsByName, node3: { dvr_mac: HOST_MAC.node3 } } });
    await eventually('the other one serves', () => isServing(site, 'node4'));
    await onlyOneAnswers(site);
    const [floating, inside, translated] = await Promise.all(others.map((ping) => ping.stop()));
    process.stdout.write(`drained: SNAT had a gap of ${translated?.longestGapMs} ms\n`);
    for (const result of [floating, inside])
      expect((result?.sent ?? 0) - (result?.received ?? 0)).toBeLessThanOrEqual(2);
    expect(translated?.longestGapMs).toBeLessThan(1_000);
  }, 120_000);
});
