/**
 * Two routers on one subnet: the guests of each network reach each other by either, on one host and across hosts. What goes
 * between hosts says which host routed it and not which router, so that there the first by name lends its MAC; heddle says so.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/support/lab/command.ts';
import { GUEST_LINK } from '../../scripts/support/lab/guest.ts';
import { untilAnswered } from '../support/reach.ts';
import { macOf, Site, type SiteNetwork, type SitePort } from '../support/site.ts';

const GATEWAYS = {
  alpha: { blue: 'fa:16:3e:0a:00:01', green: 'fa:16:3e:0a:00:02' },
  beta: { blue: 'fa:16:3e:0b:00:01', red: 'fa:16:3e:0b:00:03', green: 'fa:16:3e:0b:00:02' },
} as const;

const network = (id: string, vni: number, cidr: string): SiteNetwork => ({
  id,
  network_type: 'vxlan',
  segmentation_id: vni,
  subnets: [{ id: `${id}4`, cidr }],
});
const networks = [
  network('blue', 1001, '10.0.0.0/24'),
  network('green', 1002, '20.0.0.0/24'),
  network('red', 1003, '30.0.0.0/24'),
];

const port = (id: string, at: string, host: string, address: string, number: number): SitePort => ({
  id,
  network: at,
  host,
  mac_address: macOf(number),
  fixed_ips: [address],
});
const ports = [
  port('blue1', 'blue', 'node1', '10.0.0.11', 0x11),
  port('blue2', 'blue', 'node2', '10.0.0.12', 0x12),
  port('green1', 'green', 'node1', '20.0.0.11', 0x21),
  port('green2', 'green', 'node2', '20.0.0.12', 0x22),
  port('red1', 'red', 'node1', '30.0.0.11', 0x31),
  port('red2', 'red', 'node2', '30.0.0.12', 0x32),
];

/** Both have blue and green; red has beta alone. */
const attach = (subnet: string, mac: string, ip: string) => ({ subnet, mac_address: mac, ip_address: ip });
const routers = [
  {
    id: 'alpha',
    interfaces: [attach('blue4', GATEWAYS.alpha.blue, '10.0.0.1'), attach('green4', GATEWAYS.alpha.green, '20.0.0.1')],
  },
  {
    id: 'beta',
    interfaces: [
      attach('blue4', GATEWAYS.beta.blue, '10.0.0.254'),
      attach('green4', GATEWAYS.beta.green, '20.0.0.254'),
      attach('red4', GATEWAYS.beta.red, '30.0.0.1'),
    ],
  },
];
const WARNING = /subnet blue4 of network blue has 2 routers: what beta routed on another host/;

describe('two routers on one subnet', () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.up({ hosts: ['node1', 'node2'], networks, ports, further: { routers } });
    for (const name of ['red1', 'red2']) await site.guest(name).run('ip', 'route', 'add', 'default', 'via', '30.0.0.1');
  }, 120_000);

  afterAll(() => site?.down({ provoked: /subnet \w+ of network \w+ has 2 routers/ }));

  /** Have guests send by a router to all that is not theirs. */
  const use = async (router: 'alpha' | 'beta'): Promise<void> => {
    const last = router === 'alpha' ? '1' : '254';
    for (const name of ['blue1', 'blue2'])
      await site.guest(name).run('ip', 'route', 'replace', 'default', 'via', `10.0.0.${last}`);
    for (const name of ['green1', 'green2'])
      await site.guest(name).run('ip', 'route', 'replace', 'default', 'via', `20.0.0.${last}`);
  };

  /** Source MACs of the echo requests that come in at a guest while another pings it. */
  const sourcesSeen = async (from: string, to: string): Promise<string[]> => {
    const [a, b] = [site.guest(from), site.guest(to)];
    await untilAnswered(a, b.ip);
    const capture = await site.lab.capture({
      namespace: b.namespace,
      link: GUEST_LINK,
      direction: 'in',
      filter: 'icmp[icmptype] == icmp-echo',
    });
    const { received, output } = await a.ping(b.ip);
    expect(received, `${from} to ${to}`).toBe(3);
    expect(output.match(/ttl=63\b/g)).toHaveLength(3);
    const frames = await capture.stop();
    return [...new Set(frames.map((frame) => / ((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) > /.exec(frame)?.[1] ?? ''))];
  };

  test.each(['alpha', 'beta'] as const)('by %s, on one host: its own MAC is what the receiver sees', async (router) => {
    await use(router);
    expect(await sourcesSeen('blue1', 'green1')).toEqual([GATEWAYS[router].green]);
    expect(await sourcesSeen('green1', 'blue1')).toEqual([GATEWAYS[router].blue]);
  });

  test.each(['alpha', 'beta'] as const)(
    'by %s, across hosts: the MAC of the first is what the receiver sees',
    async (router) => {
      await use(router);
      for (const [from, to] of [
        ['blue1', 'green2'],
        ['blue2', 'green1'],
      ] as const) {
        expect(await sourcesSeen(from, to)).toEqual([GATEWAYS.alpha.green]);
        expect(await sourcesSeen(to, from)).toEqual([GATEWAYS.alpha.blue]);
        expect(await site.guest(from).talkTcp(site.guest(to), `by ${router}`)).toBe(`by ${router}`);
      }
    },
  );

  test('there by one and back by the other', async () => {
    await use('alpha');
    for (const name of ['green1', 'green2'])
      await site.guest(name).run('ip', 'route', 'replace', 'default', 'via', '20.0.0.254');
    expect(await sourcesSeen('blue1', 'green1')).toEqual([GATEWAYS.alpha.green]);
    expect(await sourcesSeen('blue1', 'green2')).toEqual([GATEWAYS.alpha.green]);
    expect(await sourcesSeen('green2', 'blue1')).toEqual([GATEWAYS.alpha.blue]);
  });

  test('what only one of them has is reached by that one, and by the other not', async () => {
    await use('beta');
    expect(await sourcesSeen('blue1', 'red1')).toEqual([GATEWAYS.beta.red]);
    expect(await sourcesSeen('blue1', 'red2')).toEqual([GATEWAYS.beta.red]);
    await site.guest('blue1').run('ip', 'route', 'replace', 'default', 'via', '10.0.0.1');
    const { output, received } = await site.guest('blue1').ping('30.0.0.11', { count: 1, waitMs: 500 });
    expect(received).toBe(0);
    expect(output).toMatch(/From 10\.0\.0\.1 .*Destination Net Unreachable/);
  });

  test('both gateways answer for themselves', async () => {
    const blue1 = site.guest('blue1');
    expect(await blue1.arping('10.0.0.1')).toBe(GATEWAYS.alpha.blue);
    expect(await blue1.arping('10.0.0.254')).toBe(GATEWAYS.beta.blue);
    for (const address of ['10.0.0.1', '10.0.0.254']) expect(await blue1.ping(address)).toMatchObject({ received: 3 });
  });

  test('status, doctor and the log say what cannot be told apart, as long as it cannot', async () => {
    const inStatus = async (): Promise<number> =>
      (await site.heddle.status()).warnings.filter((warning) => WARNING.test(warning)).length;
    const inLog = (): number =>
      site.heddle.log.filter(({ level, msg }) => level === 'warn' && WARNING.test(msg)).length;
    const inDoctor = async (): Promise<number> => {
      const { stdout } = await site.lab.controller.runAny([process.execPath, 'bin/heddle.js', 'doctor', site.file]);
      return stdout.split('\n').filter((line) => WARNING.test(line)).length;
    };
    expect([await inStatus(), await inDoctor(), inLog()]).toEqual([1, 1, 1]);
    site.rewrite({ further: { routers: routers.slice(0, 1) } });
    await eventually('status has no such warning', async () => (await inStatus()) === 0);
    expect(await inDoctor()).toBe(0);
    site.rewrite({});
    await eventually('status has it again', async () => (await inStatus()) === 1);
    await eventually('and the log', () => inLog() === 2);
  });
});
