/** What is flushed on a host that was away while floating IPs left it. */
import { expect, test } from 'vitest';
import { flushesOf, zoneFlushesOf } from '../../src/controller/outside-served.ts';
import { OwedFlushes } from '../../src/controller/owed-flushes.ts';
import type { ServedAddress } from '../../src/controller/router/announcer.ts';
import { LIMITS } from '../../src/lib/limits.ts';

const floating = (
  number: number,
  { host = 'node1', zone = 10 } = {},
): ServedAddress & {
  readonly connections: NonNullable<ServedAddress['connections']>;
} => ({
  host,
  networkId: 'public',
  ip: 0xcb00_7100 + number,
  mac: 0xfa16_3f00_0001,
  connections: { dnatZone: zone, snatZone: zone + 1, fixedIp: 0x0a00_0000 + number },
});

test('each address that left, once, in the order in which they left; and then nothing', () => {
  const owed = new OwedFlushes();
  const [first, second, elsewhere] = [floating(1), floating(2), floating(3, { host: 'node2' })];
  for (const served of [first, second, first, elsewhere]) expect(owed.add(served)).toBe(true);
  expect(owed.hosts).toEqual(['node1', 'node2']);
  expect(owed.take('node1')).toEqual([first, second].flatMap(({ ip, connections }) => flushesOf(ip, connections)));
  expect(owed.hosts).toEqual(['node2']);
  expect(owed.take('node1')).toEqual([]);
});

test('a gateway has no connections to end', () => {
  const owed = new OwedFlushes();
  const { connections: _none, ...gateway } = floating(1);
  expect(owed.add(gateway)).toBe(true);
  expect(owed.hosts).toEqual([]);
});

test('of a host that is owed more than the limit, whole zones: also of what left before, and of what leaves later', () => {
  const owed = new OwedFlushes();
  for (let number = 0; number < LIMITS.owedFlushesPerHost; number++) expect(owed.add(floating(number))).toBe(true);
  expect(owed.add(floating(0)), 'what is owed already').toBe(true);
  expect(owed.add(floating(1_000, { zone: 20 }))).toBe(false);
  expect(owed.add(floating(2, { zone: 30 }))).toBe(false);
  expect(owed.add(floating(1, { host: 'node2' })), 'another host').toBe(true);
  const flushes = owed.take('node1');
  expect(new Set(flushes.map((flush) => flush.type))).toEqual(new Set(['ctFlushZone']));
  expect(flushes).toHaveLength(6 * zoneFlushesOf(1).length);
  const zones = flushes.flatMap((flush) => (flush.type === 'ctFlushZone' ? flush.zone : []));
  expect([...new Set(zones)].sort()).toEqual([10, 11, 20, 21, 30, 31]);
});
