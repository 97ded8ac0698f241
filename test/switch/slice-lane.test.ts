/** Slices of one switch's bridges come one after the other, with a rest behind each (src/switch/dump-slices.ts). */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { DumpGate } from '../../src/switch/dump-gate.ts';
import { SliceLane } from '../../src/switch/dump-slices.ts';

interface Asked {
  readonly startMs: number;
  readonly endMs: number;
}

const LONG_MS = LIMITS.dumpPauseMs * 2;

test('two bridges of one host are asked in turn, and the switch rests in between', async () => {
  const gate = new DumpGate();
  const asked: Asked[] = [];
  const slice = async (): Promise<void> => {
    const startMs = performance.now();
    await delay(LONG_MS);
    asked.push({ startMs, endMs: performance.now() });
  };
  const bridge = async (): Promise<void> => {
    for (let count = 0; count < 3; count += 1) await gate.laneOf('node1').run(slice);
  };
  await Promise.all([bridge(), bridge()]);
  expect(asked).toHaveLength(6);
  // Timers are a millisecond early now and then.
  const rests = asked.slice(1).map(({ startMs }, index) => startMs - (asked[index]?.endMs ?? 0));
  for (const rest of rests) expect(rest).toBeGreaterThanOrEqual(LIMITS.dumpPauseMs - 1.5);
});

test('another host waits for nobody', async () => {
  const gate = new DumpGate();
  const never = new Promise<void>(() => undefined);
  void gate.laneOf('node1').run(() => never);
  expect(await gate.laneOf('node2').run(async () => 'a slice')).toBe('a slice');
});

test('a slice that fails is told to who asked, and keeps nobody', async () => {
  const lane = new SliceLane();
  const failed = lane.run(() => Promise.reject(new Error('the connection has ended')));
  const next = lane.run(async () => 'the next');
  await expect(failed).rejects.toThrow('the connection has ended');
  expect(await next).toBe('the next');
});
