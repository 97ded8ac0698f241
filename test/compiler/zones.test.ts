/** Conntrack zones: of its own for each router, kept for ever (src/compiler/zones.ts). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { allocateZoneNumbers, zonesOf, zonesOfAll } from '../../src/compiler/zones.ts';

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
