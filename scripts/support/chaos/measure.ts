/** One fault, measured: what the streams lost, how long until everything is as it was, what was sent for it. */
import { HeddleError } from '../../../src/lib/errors.ts';
import type { ChaosSite } from './chaos-site.ts';
import type { Fault, FaultOptions } from './faults.ts';

export interface StreamLoss {
  readonly stream: string;
  /** Of both ways. */
  readonly sent: number;
  readonly lost: number;
  /** The longest that one way was without a delivery. */
  readonly gapMs: number;
}

export interface Measurement {
  readonly fault: Fault;
  readonly streams: readonly StreamLoss[];
  /** From the moment of Fault.inject until heddle has confirmed everything and the switches hold it; undefined: never. */
  readonly convergedMs: number | undefined;
  readonly flowMods: number;
  readonly databaseWrites: number;
  /** Flows that were not as before at the end; for a change of the file their number says nothing. */
  readonly differences: readonly string[];
}

/** Longer than anything should take; then it is said to never heal. */
const PATIENCE_MS = 30_000;

export async function measure(site: ChaosSite, fault: Fault, options: FaultOptions): Promise<Measurement> {
  const { pid } = site.heddle;
  const before = await site.work();
  for (const stream of site.streams) await stream.mark();
  const begunMs = await fault.inject(site, options);
  const convergedMs = await untilWhole(site, begunMs);
  const streams = await Promise.all(
    site.streams.map(async (stream) => {
      const ways = await stream.losses();
      const sum = (pick: (way: (typeof ways)[number]) => number): number =>
        ways.reduce((total, way) => total + pick(way), 0);
      return {
        stream: stream.name,
        sent: sum(({ sent }) => sent),
        lost: sum(({ lost }) => lost),
        gapMs: Math.max(...ways.map(({ gapMs }) => gapMs)),
      };
    }),
  );
  const after = await site.work();
  // A new process counts from nothing.
  const since = site.heddle.pid === pid ? before : { flowMods: 0, databaseWrites: 0 };
  const differences = fault.changesFlows ? [] : await site.differences();
  if (fault.changesFlows) await site.rememberFlows();
  return {
    fault,
    streams,
    convergedMs,
    flowMods: after.flowMods - since.flowMods,
    databaseWrites: after.databaseWrites - since.databaseWrites,
    differences,
  };
}

async function untilWhole(site: ChaosSite, begunMs: number): Promise<number | undefined> {
  try {
    await site.converged(PATIENCE_MS);
    await site.restored(PATIENCE_MS);
    return performance.now() - begunMs;
  } catch (error) {
    if (error instanceof HeddleError && error.code === 'DEADLINE') return undefined;
    throw error;
  }
}
