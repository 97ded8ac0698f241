/** What hosts do about ways outside when they come and go: what is asked, announced and ended, once each, and what is forgotten. */
import { beforeEach, expect, test } from 'vitest';
import { OutsideErrands } from '../../src/controller/outside-errands.ts';
import { flushesOf } from '../../src/controller/outside-served.ts';
import { type ServedAddress, servedKey } from '../../src/controller/router/announcer.ts';
import type { MessageBody } from '../../src/openflow/messages.ts';

const floating = (number: number, host = 'node1') => ({
  host,
  networkId: 'public',
  ip: 0xcb00_7100 + number,
  mac: 0xfa16_3f00_0001,
  connections: { dnatZone: 10, snatZone: 11, fixedIp: 0x0a00_0000 + number },
});

const connected = new Set<string>();
const following = new Set<string>();
const hosts = new Map<string, { readonly follows: boolean }>();
const served = new Map<string, ServedAddress>();
let warnings: string[] = [];
let flushed: (readonly [string, MessageBody])[] = [];
let said: (readonly [string, number])[] = [];
let errands: OutsideErrands;

/** What is under way has been done. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  for (const one of [connected, following, hosts, served]) one.clear();
  [warnings, flushed, said] = [[], [], []];
  for (const host of ['node1', 'node2']) {
    hosts.set(host, {
      get follows() {
        return following.has(host);
      },
    });
    connected.add(host);
  }
  errands = new OutsideErrands({
    limitedLog: { warn: (key: string) => warnings.push(key) } as never,
    agents: hosts,
    sender: { sendToAll: (host, _network, packet) => void said.push([host, packet.length]) },
    connection: (host) =>
      connected.has(host) ? { send: (body: MessageBody) => flushed.push([host, body]) } : undefined,
    settled: async () => undefined,
    isServed: (one) => served.get(servedKey(one))?.host === one.host,
  });
});

test('a host that is connected does it at once, and another controller does it for its own', async () => {
  await errands.ask('node1', 'public', new Uint8Array(60));
  await errands.announce(floating(1));
  await errands.end(floating(2));
  following.add('node2');
  await errands.announce(floating(3, 'node2'));
  await errands.end(floating(3, 'node2'));
  expect(said).toEqual([
    ['node1', 60],
    ['node1', 42],
  ]);
  const { ip, connections } = floating(2);
  expect(flushed).toEqual(flushesOf(ip, connections).map((body) => ['node1', body]));
});

test('a host that is away does it once when it is back, however often it was told; questions are dropped', async () => {
  connected.delete('node1');
  served.set(servedKey(floating(1)), floating(1));
  for (let time = 0; time < 3; time++) {
    await errands.ask('node1', 'public', new Uint8Array(60));
    for (const number of [1, 2]) await errands.announce(floating(number));
    await errands.end(floating(3));
  }
  errands.payOwed();
  await settle();
  expect([said, flushed]).toEqual([[], []]);
  connected.add('node1');
  errands.payOwed();
  errands.payOwed();
  await settle();
  // The second address is not served there any more.
  expect(said).toEqual([['node1', 42]]);
  const { ip, connections } = floating(3);
  expect(flushed).toEqual(flushesOf(ip, connections).map((body) => ['node1', body]));
});

test('what is owed to a host that has left the site is forgotten', async () => {
  connected.delete('node1');
  served.set(servedKey(floating(1)), floating(1));
  await errands.announce(floating(1));
  await errands.end(floating(2));
  const node1 = hosts.get('node1') ?? { follows: false };
  hosts.delete('node1');
  errands.payOwed();
  hosts.set('node1', node1);
  connected.add('node1');
  errands.payOwed();
  await settle();
  expect([said, flushed, warnings]).toEqual([[], [], []]);
});

test('who is owed more than is remembered has its whole zones ended, and the log says so', async () => {
  connected.delete('node1');
  for (let number = 0; number < 300; number++) await errands.end(floating(number));
  expect(new Set(warnings)).toEqual(new Set(['owed flushes node1']));
  connected.add('node1');
  errands.payOwed();
  await settle();
  expect(new Set(flushed.map(([, { type }]) => type))).toEqual(new Set(['ctFlushZone']));
});
