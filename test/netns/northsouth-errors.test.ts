/**
 * What goes wrong on ways outside, and who hears of it: ICMP errors, resets and path MTUs, translated both ways (rows 45 and 104 of
 * the seeds); and how much gets through when nothing does.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';
import { FLOATING, GATEWAY, NorthSouth } from '../support/north-south-site.ts';
import { askByUdp, askForLarge, hops, knock, PROVIDER, tooLong, WORLD } from '../support/outside-world.ts';

/** At the provider's, and the world's, end of the wire between them. */
const BEYOND = { smallMtu: 1300, gateway: '198.51.100.1', gateway6: 'fd00:f::1' } as const;
const NOBODY = '203.0.113.99';

describe('errors on ways outside', () => {
  let up: NorthSouth;
  const namespaceOf = (name: string): Namespace => up.namespaceOf(name);

  beforeAll(async () => {
    up = await NorthSouth.up();
    await up.outside.provider.ip(
      ['fd00:b::/64', 'fd00:c::/64'].map((prefix) => `route add ${prefix} via ${GATEWAY.ip6}`),
    );
  }, 120_000);

  afterAll(() => up?.site.down());

  test('a closed port is refused at the socket that knocked: by floating IP, by SNAT, from outside, from one to another', async () => {
    const { world } = up.outside;
    for (const name of ['a', 'c', 'e', 'f']) {
      expect(await askByUdp(namespaceOf(name), WORLD.ip, 9), name).toBe('ConnectionRefusedError');
      expect(await knock(namespaceOf(name), WORLD.ip, 82), name).toBe('refused');
    }
    for (const target of [FLOATING.a, FLOATING.c, GATEWAY.ip]) {
      expect(await askByUdp(world, target, 9), target).toBe('ConnectionRefusedError');
      expect(await knock(world, target, 82), target).toBe('refused');
    }
    for (const target of [FLOATING.a, FLOATING.c]) {
      expect(await askByUdp(namespaceOf('a'), target, 9), target).toBe('ConnectionRefusedError');
      expect(await knock(namespaceOf('d'), target, 82), target).toBe('refused');
    }
  });

  test('where nobody is, the host is unreachable: said by the last router before it', async () => {
    const told = await Promise.all(
      ['a', 'd'].map(async (name) => (await up.guest(name).ping(NOBODY, { count: 1, waitMs: 5_000 })).output),
    );
    const complaint = (router: string) =>
      expect.stringContaining(`From ${router} icmp_seq=1 Destination Host Unreachable`);
    expect(told).toEqual([complaint('10.0.0.1'), complaint('10.0.0.3')]);
  });

  test('traceroute shows every hop: from inside and from outside, by ICMP, UDP and TCP, over IPv4 and IPv6', async () => {
    const { world } = up.outside;
    for (const by of ['icmp', 'udp', 'tcp'] as const) {
      expect(await hops(namespaceOf('a'), WORLD.ip, by), by).toEqual(['10.0.0.1', PROVIDER.ip, WORLD.ip]);
      expect(await hops(namespaceOf('d'), WORLD.ip, by), by).toEqual(['10.0.0.1', '10.0.0.3', PROVIDER.ip, WORLD.ip]);
      expect(await hops(world, FLOATING.a, by), by).toEqual([BEYOND.gateway, FLOATING.a, FLOATING.a]);
    }
    expect(await hops(namespaceOf('a'), FLOATING.c)).toEqual(['10.0.0.1', FLOATING.c, FLOATING.c]);
    expect(await hops(namespaceOf('d'), FLOATING.a)).toEqual(['10.0.0.1', '10.0.0.3', FLOATING.a, FLOATING.a]);
    expect(await hops(world, GATEWAY.ip)).toEqual([BEYOND.gateway, GATEWAY.ip]);
    expect(await hops(namespaceOf('e'), WORLD.ip6, 'udp')).toEqual(['fd00:c::1', 'fd00:c::3', PROVIDER.ip6, WORLD.ip6]);
    expect(await hops(world, 'fd00:b::11', 'udp')).toEqual([BEYOND.gateway6, GATEWAY.ip6, 'fd00:b::11']);
  });

  test('what comes from outside and is too big for a tunnelled network: its sender hears 1450, over IPv4 and IPv6', async () => {
    const { world } = up.outside;
    for (const target of [FLOATING.a, FLOATING.c]) {
      expect(await tooLong(world, target, 1472), target).toBe('Message too long 1450');
    }
    for (const target of ['fd00:b::11', 'fd00:b::16']) {
      expect(await tooLong(world, target, 1452), target).toBe('Message too long 1450');
    }
    expect(await up.outside.ping(FLOATING.a, { size: 1422, dontFragment: true })).toMatchObject({ received: 3 });
  });

  test('an answer through SNAT that is too big: the server hears it, without an address from inside, and does better', async () => {
    const { world } = up.outside;
    const capture = await up.site.lab.capture({ namespace: world, link: 'eth0', filter: 'icmp' });
    const answer = await askForLarge(namespaceOf('d'), { namespace: world, ip: WORLD.ip, port: 5353 });
    expect(answer).toEqual({ heard: 'Message too long', came: '1422' });
    const complaint = (await capture.stop()).find((frame) => frame.includes('need to frag (mtu 1450)'));
    expect(complaint).toContain(`${GATEWAY.ip} > ${WORLD.ip}: ICMP ${GATEWAY.ip} unreachable`);
    expect(complaint).toContain(`${WORLD.ip}.5353 > ${GATEWAY.ip}.`);
    expect(complaint).not.toContain('10.0.0.14');
  });

  test('what must not be cut up passes where it fits, and what may be is cut up, both ways', async () => {
    expect(await up.guest('d').ping(WORLD.ip, { size: 1422, dontFragment: true })).toMatchObject({ received: 3 });
    expect(await up.guest('a').ping(WORLD.ip, { size: 4000 })).toMatchObject({ received: 3 });
    await up.guest('d').ping(WORLD.ip, { size: 4000, count: 2 });
    expect(await up.guest('d').ping(WORLD.ip, { size: 4000 })).toMatchObject({ received: 3 });
  });

  test('throughput, by floating IP and by SNAT, both ways', async () => {
    const { world } = up.outside;
    world.start(['timeout', '60', 'iperf3', '-s']);
    namespaceOf('c').start(['timeout', '60', 'iperf3', '-s']);
    const ways = [
      ['floating IP, up', namespaceOf('a'), WORLD.ip, []],
      ['floating IP, down', namespaceOf('a'), WORLD.ip, ['-R']],
      ['SNAT, up', namespaceOf('d'), WORLD.ip, []],
      ['SNAT, down', namespaceOf('d'), WORLD.ip, ['-R']],
      ['from outside', world, FLOATING.c, []],
    ] as const;
    const figures: string[] = [];
    for (const [name, from, target, options] of ways) {
      const output = await from.run(['iperf3', '-J', '-t', '1', '--connect-timeout', '3000', '-c', target, ...options]);
      const mbitps = Math.round(JSON.parse(output).end.sum_received.bits_per_second / 1e6);
      figures.push(`${name} ${mbitps} Mbit/s`);
      expect(mbitps, name).toBeGreaterThan(5);
    }
    process.stdout.write(`throughput: ${figures.join('; ')}\n`);
  });

  test('where the way beyond is smaller, a guest hears it at its socket: by floating IP and SNAT, over IPv4 and IPv6', async () => {
    const { provider, world } = up.outside;
    await provider.ip([`link set eth1 mtu ${BEYOND.smallMtu}`]);
    await world.ip([`link set eth0 mtu ${BEYOND.smallMtu}`]);
    for (const name of ['a', 'c', 'd', 'f']) {
      expect(await tooLong(namespaceOf(name), WORLD.ip, 1400), name).toBe(`Message too long ${BEYOND.smallMtu}`);
      expect(await tooLong(namespaceOf(name), WORLD.ip6, 1390), name).toBe(`Message too long ${BEYOND.smallMtu}`);
    }
  });
});
