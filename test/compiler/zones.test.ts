/** Conntrack zones: of its own for each router, kept for ever (src/compiler/zones.ts). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  allocateZoneNumbers,
  knownZoneNumbers,
  numberOfZones,
  zonesOf,
  zonesOfAll,
  zonesText,
} from '../../src/compiler/zones.ts';

const routerIds = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 20 });

test('no two routers share a zone, and who had one keeps it', () => {
  fc.assert(
    fc.property(routerIds, routerIds, (before, after) => {
      const first = allocateZoneNumbers(before, new Map());
      const second = allocateZoneNumbers(after, first);
      for (const id of after) if (first.has(id)) expect(second.get(id)).toBe(first.get(id));
      const zones = [...zonesOfAll(second).values()].flatMap(({ distributed, gateway }) => [
        ...Object.values(distributed),
        ...Object.values(gateway),
      ]);
      expect(new Set(zones).size).toBe(4 * after.length);
      // Nor with one that is gone, as long as there are others.
      for (const id of after) if (!first.has(id)) expect([...first.values()]).not.toContain(second.get(id));
    }),
  );
});

test('there are zones for 16,383 routers; then those of routers that are gone go on, and then no more', () => {
  const all = new Map(Array.from({ length: 16_383 }, (_, number) => [`r${number}`, number] as const));
  expect(zonesOf(16_382).gateway.snat).toBe(65_532);
  expect(allocateZoneNumbers(['r0', 'new'], all)).toEqual(
    new Map([
      ['r0', 0],
      ['new', 1],
    ]),
  );
  expect(() => allocateZoneNumbers([...all.keys(), 'new'], all)).toThrow(/router new gets no conntrack zones/);
});

test('a text stands for the zones of one router, and another text for none', () => {
  for (const number of [0, 1, 16_382]) expect(numberOfZones(zonesText(number))).toBe(number);
  expect(zonesText(1)).toBe('5-8');
  for (const text of ['', '5', '5-9', '4-7', '0-3', '-3-0', '05-8', '65533-65536', 'x-y', '5-8 ']) {
    expect(numberOfZones(text), text).toBeUndefined();
  }
});

const numbers = fc
  .dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(5))
  .map((one) => new Map(Object.entries(one)));
const hosts = fc.dictionary(fc.constantFrom('n1', 'n2', 'n3'), numbers);

test('what hosts say goes before what is remembered, most of them first, and nobody gets what another has', () => {
  const shown = new Map([
    [
      'n2',
      new Map([
        ['a', 7],
        ['b', 1],
      ]),
    ],
    [
      'n1',
      new Map([
        ['a', 3],
        ['c', 1],
      ]),
    ],
    ['n3', new Map([['a', 7]])],
  ]);
  const remembered = new Map([
    ['a', 0],
    ['b', 2],
    ['d', 7],
    ['e', 9],
  ]);
  // a: two hosts to one. c: of as many, the first by name. b: what is left to it. d: its number is a's.
  expect(Object.fromEntries(knownZoneNumbers(shown, remembered))).toEqual({ a: 7, c: 1, b: 2, e: 9 });
});

test('two controllers that see the same hosts come to the same numbers, and stay with them once hosts are told', () => {
  fc.assert(
    fc.property(hosts, numbers, numbers, (said, mine, others) => {
      const shown = new Map(Object.entries(said));
      const [one, two] = [knownZoneNumbers(shown, mine), knownZoneNumbers(shown, others)];
      for (const [id, number] of knownZoneNumbers(shown, new Map())) {
        expect(one.get(id)).toBe(number);
        expect(two.get(id)).toBe(number);
      }
      expect(new Set(one.values()).size).toBe(one.size);
      const told = new Map([...shown.keys()].map((host) => [host, one]));
      const settled = knownZoneNumbers(told, others);
      if (told.size > 0) for (const [id, number] of one) expect(settled.get(id)).toBe(number);
    }),
  );
});
