/**
 * Whether memory grows: sizes taken over a run, and a line fitted through those after the warm-up. Serves soak.ts. A line rather
 * than first against last, so that one sample at an odd moment says nothing.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface MemorySample {
  readonly atMs: number;
  /** Of this process after a collection: JavaScript objects and buffers. In bytes. */
  readonly heapSize: number;
  /** Of this process, as the kernel counts it. In bytes. */
  readonly residentSize: number;
}

export interface Trend {
  readonly sampleCount: number;
  readonly firstSize: number;
  readonly lastSize: number;
  /** Of the fitted line: what it rises between the first sample and the last, in bytes, and by the hour. */
  readonly growthSize: number;
  readonly growthPerHour: number;
}

/** A whole collection, whether or not node was started with --expose-gc. */
function exposedCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

const collect = exposedCollector();
// The young generation grows to 64 MiB of resident memory by and by, which in a short run looks like a leak.
setFlagsFromString('--semi-space-growth-factor=1');

export function sampleMemory(): MemorySample {
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { atMs: performance.now(), heapSize: heapUsed + external, residentSize: rss };
}

/** Resident set of another process, in bytes; undefined when it is not there. */
export function residentSizeOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  try {
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } catch {
    return undefined;
  }
}

/** Least squares. */
export function trendOf(samples: readonly MemorySample[], size: 'heapSize' | 'residentSize'): Trend {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('no sample was taken');
  const count = samples.length;
  const meanMs = samples.reduce((sum, { atMs }) => sum + atMs, 0) / count;
  const meanSize = samples.reduce((sum, sample) => sum + sample[size], 0) / count;
  const covariance = samples.reduce((sum, sample) => sum + (sample.atMs - meanMs) * (sample[size] - meanSize), 0);
  const variance = samples.reduce((sum, { atMs }) => sum + (atMs - meanMs) ** 2, 0);
  const slope = variance === 0 ? 0 : covariance / variance;
  return {
    sampleCount: count,
    firstSize: first[size],
    lastSize: last[size],
    growthSize: Math.round(slope * (last.atMs - first.atMs)),
    growthPerHour: Math.round(slope * 3_600_000),
  };
}
