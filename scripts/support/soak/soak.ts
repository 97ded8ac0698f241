/**
 * The soak run: steps in bursts, and after each burst a quiet point, at which every bridge's own dump is the book, line for
 * line, and memory is taken. Serves main.ts and test/ovs/soak.test.ts.
 */
import { ControlledSite } from '../../../test/support/controlled-site.ts';
import { Random } from '../fuzz/random.ts';
import { HOSTS, SoakedSite } from './steps.ts';

const BURST_MAX = 5;
const QUIET_DEADLINE_MS = 30_000;
/** Until all code paths have run and caches are as full as they get. */
const WARM_UP_SHARE = 0.25;
/** Between the end of the warm-up and the end: what is left of steps that were undone. */
const HEAP_GROWTH_MAX_SIZE = 24 * 1024 * 1024;
/** Without a collection at hand, what the collector has not yet taken counts too. */
const RESIDENT_GROWTH_MAX_SIZE = 160 * 1024 * 1024;
const SAY_INTERVAL_MS = 60_000;
const REMEMBERED_STEPS = 40;

export interface SoakOptions {
  readonly durationMs: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface SoakResult {
  readonly steps: number;
  readonly quietPoints: number;
  readonly slowestQuietMs: number;
  /** `heap` after a collection where there is one (--expose-gc), else the resident set. In bytes. */
  readonly memory: 'heap' | 'resident';
  readonly warmMemorySize: number;
  readonly lastMemorySize: number;
}

const collect = globalThis.gc;

function memorySize(): number {
  collect?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return collect === undefined ? rss : heapUsed + external;
}

/** Throws with the last steps when a bridge is not what its book says at a quiet point, or memory has grown. */
export async function runSoak({ durationMs, seed, say }: SoakOptions): Promise<SoakResult> {
  const random = new Random(seed);
  const site = await ControlledSite.start({
    hosts: Object.fromEntries(HOSTS.map((name) => [name, {}])),
    ...SoakedSite.document([], new Set([0, 1])),
  });
  // Cut connections and restarted daemons are what this is about.
  for (const host of site.hosts.values())
    host.allowLog(/\|(rconn|vconn|jsonrpc|reconnect|stream_\w+|ovsdb_idl)\|WARN\|/);
  const soaked = new SoakedSite(site, random);
  const startMs = performance.now();
  const history: string[] = [];
  let [steps, quietPoints, slowestQuietMs, saidMs] = [0, 0, 0, startMs];
  let warmMemorySize: number | undefined;
  try {
    while (performance.now() - startMs < durationMs) {
      for (let count = 1 + random.below(BURST_MAX); count > 0; count--) {
        history.push(await soaked.step());
        steps += 1;
      }
      history.splice(0, history.length - REMEMBERED_STEPS);
      const burstMs = performance.now();
      await site.inStep(QUIET_DEADLINE_MS);
      quietPoints += 1;
      slowestQuietMs = Math.max(slowestQuietMs, performance.now() - burstMs);
      // The site keeps what was logged; a controller does not.
      site.lines.length = 0;
      if (performance.now() - startMs > WARM_UP_SHARE * durationMs) warmMemorySize ??= memorySize();
      if (performance.now() - saidMs < SAY_INTERVAL_MS) continue;
      saidMs = performance.now();
      say(`${steps} steps, ${quietPoints} quiet points, ${(memorySize() / 2 ** 20).toFixed(1)} MiB`);
    }
  } catch (cause) {
    await site.stop().catch(() => undefined);
    throw new Error(`seed ${seed}, step ${steps}, after:\n  ${history.join('\n  ')}\n${cause}`, { cause });
  }
  const lastMemorySize = memorySize();
  await site.stop();
  const result: SoakResult = {
    steps,
    quietPoints,
    slowestQuietMs: Math.round(slowestQuietMs),
    memory: collect === undefined ? 'resident' : 'heap',
    warmMemorySize: warmMemorySize ?? lastMemorySize,
    lastMemorySize,
  };
  const bound = collect === undefined ? RESIDENT_GROWTH_MAX_SIZE : HEAP_GROWTH_MAX_SIZE;
  if (lastMemorySize - result.warmMemorySize > bound)
    throw new Error(`seed ${seed}: memory grows: ${JSON.stringify(result)}`);
  return result;
}
