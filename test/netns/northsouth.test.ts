/**
 * Ways outside with real traffic: who guests are outside, who reaches them, and what is seen on the wire. Seed 000 ("Floating
 * IPs"), 001 ("SNAT"), 004; rows 61 to 105 of the seeds.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Capture } from '../../scripts/support/lab/capture.ts';
import { eventually } from '../../scripts/support/lab/command.ts';
import { FLOATING, GATEWAY, HOST_MAC, NorthSouth, ROUTER } from '../support/north-south-site.ts';
import { askByUdp, PROVIDER, seenAs, tellPeers, WIRE, WORLD } from '../support/outside-world.ts';

/** The gateway's in the network of d. */
const SG_MAC = ROUTER.snat_ports[0].mac_address;
const PRIVATE = /\b(10\.0\.0|20\.0\.0)\.\d+\b/;

describe('ways outside', () => {
  let up: NorthSouth;
  /** What the site says outside, from beginning to end. */
  let wire: Capture;

  beforeAll(async () => {
    up = await NorthSouth.up();
    const told = 'net 10.0.0.0/24 or net 20.0.0.0/24 or icmp or arp';
    wire = await up.site.lab.captureWire(WIRE, `not ether src ${PROVIDER.mac} and (${told})`);
  }, 120_000);

  afterAll(() => up?.site.down());

  test('one guest, three destinations, three behaviours: east-west, SNAT, floating IP', async () => {
    expect(await seenAs(up.namespaceOf('d'), '20.0.0.13')).toBe('10.0.0.14');
    expect(await seenAs(up.namespaceOf('d'), WORLD.ip)).toBe(GATEWAY.ip);
    expect(await seenAs(up.namespaceOf('d'), FLOATING.c)).toBe(GATEWAY.ip);
    expect(await seenAs(up.namespaceOf('a'), '20.0.0.13')).toBe('10.0.0.11');
    expect(await seenAs(up.namespaceOf('a'), WORLD.ip)).toBe(FLOATING.a);
    expect(await seenAs(up.namespaceOf('a'), FLOATING.c)).toBe(FLOATING.a);
  });

  test('what goes by SNAT is routed to the gateway’s MAC in its own network, by the MAC of its host, and comes back from that MAC', async () => {
    const { lab } = up.site;
    const underlay = await lab.captureWire('underlay', 'udp port 4789');
    const atGuest = await lab.capture({ namespace: up.namespaceOf('d'), link: 'eth0', filter: 'tcp port 80' });
    expect(await seenAs(up.namespaceOf('d'), WORLD.ip)).toBe(GATEWAY.ip);
    const [inTunnels, ofGuest] = [await underlay.stop(), await atGuest.stop()];
    const out = inTunnels.filter((frame) => frame.includes(`10.0.0.14.`) && frame.includes(`> ${WORLD.ip}.80`));
    expect(out).not.toEqual([]);
    for (const frame of out) expect(frame).toContain(`${HOST_MAC.node1} > ${SG_MAC}`);
    const back = ofGuest.filter((frame) => frame.includes(`${WORLD.ip}.80 > 10.0.0.14.`));
    expect(back).not.toEqual([]);
    for (const frame of back) expect(frame).toMatch(new RegExp(`^\\S+ ${SG_MAC} > `));
  });

  test('a floating IP is who its guest is outside, both ways', async () => {
    expect(await seenAs(up.namespaceOf('c'), WORLD.ip)).toBe(FLOATING.c);
    for (const ip of Object.values(FLOATING)) {
      expect(await up.outside.ping(ip)).toMatchObject({ sent: 3, received: 3 });
      expect(await seenAs(up.outside.world, ip)).toBe(WORLD.ip);
    }
  });

  test('guests without one are the gateway, all at once, from the same port', async () => {
    const seen = await Promise.all(['d', 'e', 'f'].map((name) => seenAs(up.namespaceOf(name), WORLD.ip)));
    expect(seen).toEqual([GATEWAY.ip, GATEWAY.ip, GATEWAY.ip]);
    const asked = await Promise.all(['d', 'e', 'f'].map((name) => askByUdp(up.namespaceOf(name), WORLD.ip, 9, 4321)));
    expect(asked).toEqual(Array(3).fill('ConnectionRefusedError'));
  });

  test('guests that ping one receiver with one identifier all get their answers', async () => {
    const ping = (name: string) =>
      up.namespaceOf(name).runAny(['ping', '-n', '-c', '3', '-i', '0.1', '-W', '1', '-e', '777', WORLD.ip]);
    const results = await Promise.all(['d', 'e', 'f'].map(ping));
    expect(results.map(({ stdout }) => / (\d) received/.exec(stdout)?.[1])).toEqual(['3', '3', '3']);
  });

  test('a floating IP is reached from its host, from another, from its own guest, and from who has none', async () => {
    expect(await seenAs(up.namespaceOf('a'), FLOATING.b)).toBe(FLOATING.a);
    expect(await seenAs(up.namespaceOf('a'), FLOATING.a)).toBe(FLOATING.a);
    expect(await seenAs(up.namespaceOf('e'), FLOATING.a)).toBe(GATEWAY.ip);
    expect(await seenAs(up.namespaceOf('f'), FLOATING.a)).toBe(GATEWAY.ip);
  });

  test('the gateway answers, inside and outside', async () => {
    expect(await up.outside.ping(GATEWAY.ip)).toMatchObject({ received: 3 });
    for (const name of ['d', 'f']) expect(await up.guest(name).ping(GATEWAY.ip), name).toMatchObject({ received: 3 });
    expect(await askByUdp(up.outside.world, GATEWAY.ip, 9)).toBe('ConnectionRefusedError');
    expect(await up.guest('d').ping('10.0.0.3')).toMatchObject({ received: 3 });
  });

  test('nothing unsolicited gets in', async () => {
    const capture = await up.site.lab.capture({ namespace: up.namespaceOf('d'), link: 'eth0', filter: 'icmp' });
    await up.outside.provider.ip([
      `route add 10.0.0.0/24 via ${GATEWAY.ip}`,
      `route add 20.0.0.0/24 via inet ${FLOATING.a}`,
    ]);
    expect(await up.outside.ping('10.0.0.14', { count: 2, waitMs: 500 })).toMatchObject({ received: 0 });
    expect(await up.outside.ping('20.0.0.13', { count: 2, waitMs: 500 })).toMatchObject({ received: 0 });
    await up.outside.provider.ip(['route delete 10.0.0.0/24', 'route delete 20.0.0.0/24']);
    await up.guest('d').ping(WORLD.ip, { count: 1 });
    const frames = await capture.stop();
    expect(frames.some((frame) => frame.includes(`10.0.0.14 > ${WORLD.ip}`))).toBe(true);
    expect(
      frames.filter((frame) => frame.includes(`${WORLD.ip} > 10.0.0.14`) && frame.includes('echo request')),
    ).toEqual([]);
  });

  test('exactly one answers for an address, with the MAC of the host, or of the gateway', async () => {
    const capture = await up.site.lab.captureWire(WIRE, 'arp');
    for (const [ip, mac] of [
      [FLOATING.a, HOST_MAC.node1],
      [FLOATING.b, HOST_MAC.node1],
      [FLOATING.c, HOST_MAC.node2],
      [GATEWAY.ip, GATEWAY.mac],
    ] as const) {
      const asked = await up.outside.provider.runAny(['arping', '-c', '2', '-w', '3', '-I', 'eth0', ip]);
      expect(asked.stdout.toLowerCase(), ip).toContain(`[${mac}]`);
      expect(asked.stdout, ip).toMatch(/Received 2 response/);
      await eventually(
        'the answers are seen',
        () => capture.frames.filter((frame) => frame.includes(`Reply ${ip} `)).length >= 2,
      );
    }
    const nobody = await up.outside.provider.runAny(['arping', '-c', '1', '-w', '1', '-I', 'eth0', '203.0.113.99']);
    expect(nobody.stdout).toMatch(/Received 0 response/);
    await capture.stop();
  });

  test('the wire shows addresses of its own network alone, in the MACs of hosts and of the gateway', async () => {
    const capture = await up.site.lab.captureWire(WIRE);
    await seenAs(up.namespaceOf('a'), WORLD.ip);
    await seenAs(up.namespaceOf('a'), FLOATING.c);
    await seenAs(up.namespaceOf('d'), WORLD.ip);
    await askByUdp(up.outside.world, FLOATING.a, 9);
    const frames = await capture.stop();
    const senders = new Set(frames.map((frame) => /^\S+ (\S+) > /.exec(frame)?.[1]));
    expect(frames.some((frame) => frame.includes(`${FLOATING.a}.`))).toBe(true);
    expect(frames.some((frame) => frame.includes(`${GATEWAY.ip}.`))).toBe(true);
    expect(frames.filter((frame) => PRIVATE.test(frame))).toEqual([]);
    expect([...senders].sort()).toEqual([PROVIDER.mac, HOST_MAC.node1, HOST_MAC.node2, GATEWAY.mac].sort());
  });

  test('IPv6 is routed as it is', async () => {
    const routes = ['fd00:b::/64', 'fd00:c::/64'].map((prefix) => `route add ${prefix} via ${GATEWAY.ip6}`);
    await up.outside.provider.ip(routes);
    await tellPeers(up.outside.world, 81, '::');
    for (const [name, ip6] of [
      ['a', 'fd00:b::11'],
      ['e', 'fd00:c::15'],
      ['f', 'fd00:b::16'],
    ] as const) {
      expect(await seenAs(up.namespaceOf(name), WORLD.ip6, 81), name).toBe(ip6);
      expect(await up.outside.ping(ip6), name).toMatchObject({ received: 3 });
    }
    expect(await up.outside.ping(GATEWAY.ip6)).toMatchObject({ received: 3 });
  });

  test('through all of this, no address from inside was on the wire outside', async () => {
    const frames = await wire.stop();
    expect(frames.some((frame) => frame.includes(`${FLOATING.a} > ${WORLD.ip}: ICMP`))).toBe(true);
    expect(frames.filter((frame) => PRIVATE.test(frame))).toEqual([]);
  });
});
