/**
 * Two minutes of scripts/soak: random edits, guests that come, go and move, and faults, with another seed each time. A part of its
 * own, because it takes its time whatever the machine, beside something else (scripts/support/test/main.ts).
 */
import { expect, test } from 'vitest';
import { runSoak } from '../../scripts/support/soak/soak.ts';

const SOAK_MS = 120_000;
const mebibytes = (size: number): string => `${(size / 2 ** 20).toFixed(1)} MiB`;

test(
  `random edits, plugs, moves and faults for ${SOAK_MS / 1_000} s`,
  async () => {
    const seed = Date.now() % 1_000_000_000;
    const { steps, quietPoints, heap, resident } = await runSoak({ durationMs: SOAK_MS, seed, say: () => undefined });
    process.stdout.write(
      `soak, seed ${seed}: ${steps} steps, ${quietPoints} quiet points, heap ${mebibytes(heap.growthSize)} more, resident ${mebibytes(resident.growthSize)}\n`,
    );
    expect(steps, `seed ${seed}`).toBeGreaterThan(10);
    expect(quietPoints, `seed ${seed}`).toBeGreaterThan(5);
  },
  SOAK_MS + 60_000,
);
