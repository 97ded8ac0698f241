/** Figures: medians, fits, and the row in which every line of the bench gives its own. Serves all lines. */

/** One row of the table: what heddle takes, and what the floor takes for the same in the same run. */
export interface Row {
  readonly what: string;
  readonly unit: 'ms' | 's' | '/s' | 'bytes' | 'exponent' | 'MiB';
  readonly heddle: number;
  /** Absent: the target is a figure of its own. */
  readonly floor?: number;
  /** What the floor is, in a few words. */
  readonly floorIs?: string;
  /** Heddle against the floor; more is worse. */
  readonly ratio?: number;
  /** The bound on ratio, or on the figure, as the issue has it. */
  readonly target?: string;
  readonly isMet?: boolean;
  /** Others, doing the same in the same run: name to figure in the same unit. */
  readonly peers?: Readonly<Record<string, number>>;
  /** What else is worth knowing. */
  readonly note?: string;
}

export interface LineOptions {
  readonly rounds: number;
  /** Sizes are divided by this: 1 is what the targets are for. */
  readonly shrink: number;
}

/** One line of the bench; run in a process of its own. */
export type Line = (options: LineOptions) => Promise<readonly Row[]>;

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Milliseconds of each of `rounds` runs of `work`, after `warmups` that do not count. */
export async function timed(
  work: () => unknown,
  { rounds, warmups = 0 }: { readonly rounds: number; readonly warmups?: number },
): Promise<number[]> {
  const times: number[] = [];
  for (let round = -warmups; round < rounds; round++) {
    collectGarbage();
    const start = performance.now();
    await work();
    if (round >= 0) times.push(performance.now() - start);
  }
  return times;
}

/**
 * Milliseconds that this thread computed since; what others do on the machine, and helper threads, hardly count. For ratios that
 * must hold on a busy one.
 */
export function threadMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(since);
  return (user + system) / 1_000;
}

/** Milliseconds that this thread computes for each of `rounds` runs of `work`, after `warmups` that do not count. */
export function computed(
  work: () => unknown,
  { rounds, warmups = 0 }: { readonly rounds: number; readonly warmups?: number },
): number[] {
  const times: number[] = [];
  for (let round = -warmups; round < rounds; round++) {
    collectGarbage();
    const start = process.threadCpuUsage();
    work();
    if (round >= 0) times.push(threadMs(start));
  }
  return times;
}

/** Where the process was given --expose-gc: what one round leaves behind is not the next one's to clear. */
export function collectGarbage(): void {
  globalThis.gc?.();
}

/** The exponent of a power law through points (size, cost), by least squares of logarithms. */
export function exponentOf(points: readonly (readonly [number, number])[]): number {
  const logs = points.map(([size, cost]) => [Math.log(size), Math.log(cost)] as const);
  const meanX = logs.reduce((sum, [x]) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, [, y]) => sum + y, 0) / logs.length;
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const variance = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return covariance / variance;
}
