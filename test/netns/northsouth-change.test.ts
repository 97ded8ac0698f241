/**
 * Floating IPs that come, go and move, under connections that run; and a controller that restarts under them. What becomes of
 * connections: who gets a floating IP leaves its gateway's address, so that old connections break, and new ones are the
 * floating IP's; who loses it is the gateway again, and nothing of the old ones lives on.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Capture } from '../../scripts/support/lab/capture.ts';
import { eventually } from '../../scripts/support/lab/command.ts';
import { Conversation, repeatWords } from '../support/conversation.ts';
import { EchoedStream, echoDatagrams } from '../support/echoed-stream.ts';
import {
  FLOATING,
  floatingIps,
  GATEWAY,
  HOST_MAC,
  NORTH_SOUTH,
  NorthSouth,
  ROUTER,
} from '../support/north-south-site.ts';
import { seenAs, WIRE, WORLD } from '../support/outside-world.ts';

const further = (...ids: (keyof typeof FLOATING)[]) => ({ routers: [ROUTER], floating_ips: floatingIps(...ids) });

const isAnnouncement = (ip: string, mac: string) => (frame: string) =>
  frame.includes(`${mac} > ff:ff:ff:ff:ff:ff`) && frame.includes(`who-has ${ip}`) && frame.includes(`tell ${ip}`);

const PRIVATE = /\b(10\.0\.0|20\.0\.0)\.\d+\b/;
/** Datagrams from 300 ports. */
const SEND_FROM_MANY = `
import socket, sys
for _ in range(300):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b'x', (sys.argv[1], 9))
    sender.close()
`;
/** Where guests and the world repeat what they hear. */
const PORT = 7000;
const ECHO_PORT = 7001;

describe('floating IPs that come and go', () => {
  let up: NorthSouth;
  let wire: Capture;

  beforeAll(async () => {
    up = await NorthSouth.up();
    for (const namespace of [up.outside.world, up.namespaceOf('a'), up.namespaceOf('c')]) {
      await repeatWords(namespace, PORT);
      await echoDatagrams(namespace, ECHO_PORT);
    }
    wire = await up.site.lab.captureWire(WIRE, 'net 10.0.0.0/24 or net 20.0.0.0/24 or icmp');
  }, 120_000);

  // Who talks to a guest that is unplugged is not answered, and heddle says so.
  afterAll(() => up?.site.down({ provoked: /a packet to a router was dropped/ }));

  const connections = async (host: string) =>
    (await up.site.lab.host(host).appctl('dpctl/dump-conntrack')).split('\n').filter((line) => line.includes(WORLD.ip));

  test('a controller that restarts changes no flow, and no connection notices', async () => {
    const streams = {
      'from a floating IP': await stream('a', WORLD.ip),
      'through the gateway': await stream('d', WORLD.ip),
      'through the gateway, to a floating IP': await stream('d', FLOATING.c),
      'to a floating IP': await EchoedStream.start(up.outside.world, FLOATING.a, ECHO_PORT),
      'between networks': await stream('d', '20.0.0.13'),
    };
    const conversations = [
      await talk('a', WORLD.ip),
      await talk('d', WORLD.ip),
      await talk('d', FLOATING.c),
      await Conversation.start(up.outside.world, FLOATING.a, PORT),
    ];
    await up.site.heddle.stop('SIGKILL');
    await up.site.restartHeddle();
    const { flowMods } = await flowModsOf(up);
    const results = await Promise.all(Object.values(streams).map((one) => one.stop()));
    expect(flowMods).toBe(0);
    const counted = Object.keys(streams).map((name, index) => [name, results[index]] as const);
    process.stdout.write(
      `the controller is killed and restarted: ${results.map(({ sent }) => sent).join(', ')} datagrams there and back, ` +
        `${results.flatMap(({ missing }) => missing).length} lost\n`,
    );
    for (const [name, result] of counted) expect(result, name).toMatchObject({ missing: [], refused: 0 });
    for (const conversation of conversations) await conversation.goesOn();
    await Promise.all(conversations.map((conversation) => conversation.stop()));
  });

  const stream = (from: string, target: string) => EchoedStream.start(up.namespaceOf(from), target, ECHO_PORT);
  const talk = (from: string, target: string) => Conversation.start(up.namespaceOf(from), target, PORT);

  test('one that goes takes its connections along, and its guest is the gateway', async () => {
    const toA = await up.outside.ping(FLOATING.a);
    expect(toA).toMatchObject({ received: 3 });
    await up.namespaceOf('a').run(['/usr/bin/python3', '-c', SEND_FROM_MANY, WORLD.ip]);
    const [outwards, inwards, inside] = [
      await talk('a', WORLD.ip),
      await Conversation.start(up.outside.world, FLOATING.a, PORT),
      await talk('a', '20.0.0.13'),
    ];
    const others = [await talk('b', WORLD.ip), await talk('d', WORLD.ip)];
    const ofA = (await connections('node1')).filter((line) => line.includes('10.0.0.11'));
    expect(ofA.length).toBeGreaterThan(250);
    await up.change({ further: further('b', 'c') });
    await eventually('its connections are gone', async () => {
      const left = (await connections('node1')).filter((line) => line.includes('10.0.0.11'));
      return left.length === 0;
    });
    expect(await up.outside.ping(FLOATING.a, { count: 2, waitMs: 300 })).toMatchObject({ received: 0 });
    expect(await seenAs(up.namespaceOf('a'), WORLD.ip)).toBe(GATEWAY.ip);
    expect(await seenAs(up.namespaceOf('b'), WORLD.ip)).toBe(FLOATING.b);
    // It comes from the gateway now, from where the world knows no such connection.
    expect(await outwards.ends()).toBe('ConnectionResetError');
    expect(await inwards.ends()).toBe('TimeoutError');
    for (const conversation of [inside, ...others]) await conversation.goesOn();
    await Promise.all([inside, ...others].map((conversation) => conversation.stop()));
  });

  test('one that comes is announced three times, and its guest is it from then on', async () => {
    const capture = await up.site.lab.captureWire(WIRE, 'arp');
    const other = await stream('b', WORLD.ip);
    const [outwards, inside] = [await talk('a', WORLD.ip), await talk('a', '20.0.0.13')];
    const others = [await talk('b', WORLD.ip), await talk('d', WORLD.ip)];
    await up.change({ further: further('a', 'b', 'c') });
    expect(await seenAs(up.namespaceOf('a'), WORLD.ip)).toBe(FLOATING.a);
    const wanted = isAnnouncement(FLOATING.a, HOST_MAC.node1);
    await eventually('three announcements', () => capture.frames.filter(wanted).length >= 3);
    expect(await other.stop()).toMatchObject({ missing: [], refused: 0 });
    expect(await outwards.ends()).toBe('ConnectionResetError');
    for (const conversation of [inside, ...others]) await conversation.goesOn();
    await Promise.all([inside, ...others].map((conversation) => conversation.stop()));
    const frames = await capture.stop();
    expect(frames.filter(wanted)).toHaveLength(3);
    expect(frames.filter(isAnnouncement(FLOATING.b, HOST_MAC.node1))).toEqual([]);
  });

  test('one whose guest moves to another host is there, and announced from there', async () => {
    const capture = await up.site.lab.captureWire(WIRE, 'arp');
    const ports = NORTH_SOUTH.ports.map((port) => (port.id === 'c' ? { ...port, host: 'node1' } : port));
    await up.guest('c').unplug();
    await up.change({ ports });
    await up.guest('c').plug(up.site.lab.host('node1'));
    await up.namespaceOf('c').ip(['route add default via 20.0.0.1']);
    await eventually('the world reaches it', async () => {
      const { received } = await up.outside.ping(FLOATING.c, { count: 1, waitMs: 500 });
      return received === 1;
    });
    const wanted = isAnnouncement(FLOATING.c, HOST_MAC.node1);
    await eventually('three announcements', () => capture.frames.filter(wanted).length >= 3);
    const asked = await up.outside.provider.runAny(['arping', '-c', '1', '-w', '2', '-I', 'eth0', FLOATING.c]);
    expect(asked.stdout.toLowerCase()).toContain(`[${HOST_MAC.node1}]`);
    expect(asked.stdout).toMatch(/Received 1 response/);
    await capture.stop();
  });

  test('through all of this, no address from inside was ever on the wire outside', async () => {
    const frames = await wire.stop();
    expect(frames.some((frame) => frame.includes(`${FLOATING.a} > ${WORLD.ip}: ICMP`))).toBe(true);
    expect(frames.filter((frame) => PRIVATE.test(frame))).toEqual([]);
  });
});

async function flowModsOf(up: NorthSouth): Promise<{ flowMods: number }> {
  const status = await up.site.heddle.status();
  let flowMods = 0;
  for (const host of status.hosts) {
    for (const bridge of host.bridges) {
      for (const count of Object.values(bridge.flowMods ?? {})) if (typeof count === 'number') flowMods += count;
    }
  }
  return { flowMods };
}
