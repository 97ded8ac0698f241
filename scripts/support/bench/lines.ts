/** Every line of the bench by name, in the order of the table. Serves main.ts and the guard in test/bench/. */
import { bridgesLine } from './bridges-line.ts';
import { changeLine } from './change-lines.ts';
import { gapLine } from './gap-line.ts';
import { growthLine } from './growth-lines.ts';
import type { Line } from './measure.ts';
import { compileLine, encodeLine, memoryLine } from './model-lines.ts';
import { onePortLine } from './one-port-line.ts';
import { coldSyncLine, reconcileLine } from './switch-lines.ts';

export const LINES = {
  encode: encodeLine,
  cold: coldSyncLine,
  reconcile: reconcileLine,
  gap: gapLine,
  compile: compileLine,
  change: changeLine,
  port: onePortLine,
  memory: memoryLine,
  growth: growthLine,
  bridges: bridgesLine,
} as const satisfies Record<string, Line>;

export type LineName = keyof typeof LINES;
