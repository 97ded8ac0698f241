/**
 * Virtual IPs: an address that several guests may have, of a port that is nowhere. A floating IP on it follows the guest that has
 * it; a router that is on the gateway host alone finds it too. Beside them, what else guests of such a router get: its
 * advertisements.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/support/lab/command.ts';
import { EchoedStream, echoDatagrams } from '../support/echoed-stream.ts';
import { GATEWAY_ON_NODE3, HOST_MAC } from '../support/north-south-site.ts';
import { OutsideWorld, PUBLIC, seenAs, tellPeers, WIRE, WORLD } from '../support/outside-world.ts';
import { untilAnswered } from '../support/reach.ts';
import { macOf, Site, type SiteOptions } from '../support/site.ts';

const GATEWAY = { ip: '203.0.113.21', mac: macOf(0x121) } as const;
/** Addresses inside, and the floating IPs that lead there: by a distributed router, and by one on the gateway host alone. */
const VIP = { inside: '10.1.0.100', outside: '203.0.113.41' } as const;
const CENTRAL_VIP = { inside: '10.2.0.100', outside: '203.0.113.42' } as const;

/** Where guests send datagrams back. */
const ECHO_PORT = 7001;

const pair = (ip: string) => [{ ip_address: ip }];

const OPTIONS: SiteOptions = {
  segments: [{ name: WIRE, bridge: 'br-ex' }],
  hostsByName: GATEWAY_ON_NODE3,
  networks: [
    {
      id: 'blue',
      network_type: 'vxlan',
      segmentation_id: 1001,
      subnets: [{ id: 'blue4', cidr: '10.1.0.0/24' }],
    },
    {
      id: 'red',
      network_type: 'vxlan',
      segmentation_id: 1002,
      subnets: [
        { id: 'red4', cidr: '10.2.0.0/24' },
        { id: 'red6', cidr: 'fd00:2::/64', ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' },
      ],
    },
    PUBLIC,
  ],
  ports: [
    {
      id: 'a',
      network: 'blue',
      host: 'node1',
      mac_address: macOf(11),
      fixed_ips: ['10.1.0.11'],
      allowed_address_pairs: pair(VIP.inside),
    },
    {
      id: 'b',
      network: 'blue',
      host: 'node2',
      mac_address: macOf(12),
      fixed_ips: ['10.1.0.12'],
      allowed_address_pairs: pair(VIP.inside),
    },
    {
      id: 'c',
      network: 'red',
      host: 'node2',
      mac_address: macOf(13),
      fixed_ips: ['10.2.0.13'],
      allowed_address_pairs: pair(CENTRAL_VIP.inside),
    },
  ],
  nowhere: [
    { id: 'vip', network: 'blue', mac_address: macOf(0x51), fixed_ips: [VIP.inside] },
    { id: 'centralVip', network: 'red', mac_address: macOf(0x52), fixed_ips: [CENTRAL_VIP.inside] },
  ],
  further: {
    routers: [
      {
        id: 'distributed',
        interfaces: [{ subnet: 'blue4' }],
        external_gateway_info: { network: 'public', external_fixed_ips: [GATEWAY.ip], mac_address: GATEWAY.mac },
      },
      {
        id: 'central',
        distributed: false,
        interfaces: [{ subnet: 'red4' }, { subnet: 'red6' }],
        external_gateway_info: { network: 'public', external_fixed_ips: ['203.0.113.22'], mac_address: macOf(0x122) },
      },
    ],
    floating_ips: [
      { floating_ip_address: VIP.outside, floating_network: 'public', port: 'vip' },
      { floating_ip_address: CENTRAL_VIP.outside, floating_network: 'public', port: 'centralVip' },
    ],
  },
};

describe('virtual IPs', () => {
  let site: Site;
  let outside: OutsideWorld;
  const namespaceOf = (name: string) => site.guest(name).namespace;

  beforeAll(async () => {
    site = await Site.up(OPTIONS);
    outside = await OutsideWorld.create(site);
    await tellPeers(outside.world);
    for (const name of ['a', 'b']) await echoDatagrams(namespaceOf(name), ECHO_PORT, VIP.inside);
    for (const [id, gateway] of [
      ['a', '10.1.0.1'],
      ['b', '10.1.0.1'],
      ['c', '10.2.0.1'],
    ] as const) {
      await namespaceOf(id).ip([`route add default via ${gateway}`]);
      await tellPeers(namespaceOf(id));
      await untilAnswered(site.guest(id), WORLD.ip);
    }
  }, 120_000);

  afterAll(() => site?.down());

  /** The MAC of the one who answers for an address outside; two questions have two answers. */
  async function macOfOne(ip: string): Promise<string | undefined> {
    const { stdout } = await outside.provider.runAny(['arping', '-c', '2', '-w', '3', '-I', 'eth0', ip]);
    expect(stdout).toMatch(/Received 2 response/);
    return /\[([0-9A-F:]+)\]/i.exec(stdout)?.[1]?.toLowerCase();
  }

  /** A guest takes the virtual IP and says so; milliseconds until the world reaches it there. */
  async function take(name: 'a' | 'b'): Promise<number> {
    await namespaceOf(name).ip([`address add ${VIP.inside}/32 dev eth0`]);
    const announced = performance.now();
    // It says so at once, and takes a second to end.
    const announcing = namespaceOf(name).run(['arping', '-c', '1', '-U', '-I', 'eth0', VIP.inside]);
    const ask = async () => (await outside.ping(VIP.outside, { count: 1, waitMs: 50 })).received === 1;
    await eventually('the world reaches it', ask, { intervalMs: 10 });
    const reachedMs = performance.now() - announced;
    await announcing;
    return reachedMs;
  }

  const release = (name: 'a' | 'b') => namespaceOf(name).ip([`address del ${VIP.inside}/32 dev eth0`]);

  const connectionsOf = async (host: string): Promise<string[]> =>
    (await site.lab.host(host).appctl('dpctl/dump-conntrack')).split('\n').filter((line) => line.includes(VIP.outside));

  test('while nobody has it, the gateway host answers for it and says that nobody is there', async () => {
    expect(await macOfOne(VIP.outside)).toBe(GATEWAY.mac);
    const { received, output } = await outside.ping(VIP.outside, { count: 1, waitMs: 5_000 });
    expect(received).toBe(0);
    expect(output).toMatch(/From 203\.0\.113\.41 .*Destination Host Unreachable/);
  });

  test('a floating IP goes where the guest is that announces it, with its connections ended where it was', async () => {
    process.stdout.write(`a virtual IP appears: reached from outside after ${Math.round(await take('a'))} ms\n`);
    expect(await macOfOne(VIP.outside)).toBe(HOST_MAC.node1);
    expect(await seenAs(outside.world, VIP.outside)).toBe(WORLD.ip);
    expect(await connectionsOf('node1')).not.toEqual([]);
    const gapsMs: number[] = [];
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
      ['a', 'b'],
    ] as const) {
      const capture = await site.lab.captureWire(WIRE, 'arp');
      const running = await outside.startPing(VIP.outside, 10);
      await release(from);
      await take(to);
      gapsMs.push((await running.stop()).longestGapMs);
      const announced = (frame: string) => frame.includes(`tell ${VIP.outside}`);
      await eventually('it is announced outside', () => capture.frames.some(announced));
      await capture.stop();
      expect(await macOfOne(VIP.outside)).toBe(HOST_MAC[to === 'a' ? 'node1' : 'node2']);
      await eventually('nothing is left of its connections', async () => {
        return (await connectionsOf(from === 'a' ? 'node1' : 'node2')).length === 0;
      });
    }
    const sorted = gapsMs.map(Math.round).sort((left, right) => left - right);
    process.stdout.write(
      `a virtual IP moves to another host: pings from outside had gaps of ${sorted.join(', ')} ms\n`,
    );
    expect(sorted[1]).toBeLessThan(1_000);
  });

  test('the controller starts anew: nothing changes, nothing is lost', async () => {
    const running = await EchoedStream.start(outside.world, VIP.outside, ECHO_PORT);
    await site.heddle.stop();
    await site.restartHeddle();
    // Longer than it takes to ask whether who had the address still has it.
    await delay(1_500);
    expect(await running.stop()).toMatchObject({ missing: [], refused: 0 });
    const { hosts } = await site.heddle.status();
    for (const { bridges } of hosts)
      for (const { flowMods } of bridges) expect(flowMods).toEqual({ add: 0, modify: 0, delete: 0 });
  });

  test('a router on the gateway host alone finds an address that nobody announced', async () => {
    await namespaceOf('c').ip([`address add ${CENTRAL_VIP.inside}/32 dev eth0`]);
    await outside.untilReached(CENTRAL_VIP.outside);
    expect(await seenAs(outside.world, CENTRAL_VIP.outside)).toBe(WORLD.ip);
  });

  test('its guests get its advertisements when they ask', async () => {
    const guest = namespaceOf('c');
    await guest.ip(['link set eth0 down']);
    await guest.run(['sysctl', '-qw', 'net.ipv6.conf.eth0.accept_ra=2', 'net.ipv6.conf.eth0.disable_ipv6=0']);
    await guest.ip(['link set eth0 up']);
    await eventually('an address made from the advertised prefix', async () => {
      const text = await guest.run(['ip', '-6', 'address', 'show', 'dev', 'eth0', 'scope', 'global']);
      return /inet6 fd00:2::f816:3eff:fe00:d\/64/.test(text);
    });
    expect(await guest.run(['ip', '-6', 'route', 'show', 'default'])).toMatch(/via fe80::/);
  });
});
