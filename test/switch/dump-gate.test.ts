/** How many flows of dumps are in memory at one time (src/switch/dump-gate.ts). */
import { expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { DumpGate } from '../../src/switch/dump-gate.ts';

const THIRD = Math.floor(LIMITS.dumpedFlows / 3);

async function isAdmitted(entering: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => setImmediate(() => resolve('later')));
  return (await Promise.race([entering, later])) !== 'later';
}

test('large dumps wait for each other in order, small ones for nobody', async () => {
  const gate = new DumpGate();
  const leave = await Promise.all([1, 2, 3].map(() => gate.enter(THIRD)));
  const large = gate.enter(2 * THIRD);
  const next = gate.enter(LIMITS.dumpSliceLength + 1);
  expect(await isAdmitted(gate.enter(LIMITS.dumpSliceLength))).toBe(true);
  leave[0]?.();
  // Twice is as once.
  leave[0]?.();
  expect(await isAdmitted(large), 'a third is free').toBe(false);
  expect(await isAdmitted(next), 'there is room, but somebody was here before').toBe(false);
  leave[1]?.();
  expect(await isAdmitted(large)).toBe(true);
  leave[2]?.();
  expect(await isAdmitted(next)).toBe(true);
  expect(gate.delayedCount).toBe(2);
});

test('one that is larger than the bound goes alone', async () => {
  const gate = new DumpGate();
  const leave = await gate.enter(5 * LIMITS.dumpedFlows);
  const other = gate.enter(THIRD);
  expect(await isAdmitted(other)).toBe(false);
  leave();
  expect(await isAdmitted(other)).toBe(true);
  const another = gate.enter(5 * LIMITS.dumpedFlows);
  expect(await isAdmitted(another)).toBe(false);
  (await other)();
  expect(await isAdmitted(another)).toBe(true);
});
