/**
 * The soak run: steps in bursts, and after each burst a quiet point, at which every bridge's own dump of flows, groups and meters
 * is the book, line for line, and memory is taken. Serves main.ts and test/soak/soak.test.ts.
 */

import { bridgesOf } from '../../../src/controller/wanted.ts';
import type { ControlledSite } from '../../../test/support/controlled-site.ts';
import { Random } from '../fuzz/random.ts';
import { type MemorySample, residentSizeOf, sampleMemory, type Trend, trendOf } from './memory-trend.ts';
import { SoakedSite } from './steps.ts';

const BURST_MAX = 5;
const QUIET_DEADLINE_MS = 30_000;
/** Until all code paths have run and caches are as full as they get. From then on one controller lives to the end. */
const WARM_UP_SHARE = 0.25;
/** Of so many quiet points of the warm-up, at one heddle is started anew and must find nothing to do. */
const QUIET_RESTART_ODDS = 6;
const SAMPLE_INTERVAL_MS = 1_000;
/** What a line through the samples may rise from the end of the warm-up to the end of the run. */
const HEAP_GROWTH_MAX_SIZE = 8 * 1024 * 1024;
/** Pages that the allocator holds without use come and go by themselves. */
const RESIDENT_GROWTH_MAX_SIZE = 64 * 1024 * 1024;
const SAY_INTERVAL_MS = 60_000;
const REMEMBERED_STEPS = 40;

export interface SoakOptions {
  readonly durationMs: number;
  readonly seed: number;
  readonly say: (line: string) => void;
  /** Ends the run early, as if its time were over. */
  readonly signal?: AbortSignal;
}

export interface SoakResult {
  readonly seed: number;
  readonly steps: number;
  readonly stepsByKind: Readonly<Record<string, number>>;
  readonly quietPoints: number;
  readonly slowestQuietMs: number;
  /** The most that all books held at a quiet point. */
  readonly flows: number;
  readonly groups: number;
  readonly meters: number;
  /** Of this process, with the site's own lists in it. */
  readonly heap: Trend;
  readonly resident: Trend;
  /** The largest resident sets of the daemons of one host, in bytes: they are restarted now and then. */
  readonly vswitchdSize: number;
  readonly databaseSize: number;
}

/** The largest of what is looked at besides this process's memory. */
class Largest {
  readonly #site: ControlledSite;
  flows = 0;
  groups = 0;
  meters = 0;
  vswitchdSize = 0;
  databaseSize = 0;

  constructor(site: ControlledSite) {
    this.#site = site;
  }

  sample(): void {
    for (const { vswitchdPid, databasePid } of this.#site.hosts.values()) {
      this.vswitchdSize = Math.max(this.vswitchdSize, residentSizeOf(vswitchdPid) ?? 0);
      this.databaseSize = Math.max(this.databaseSize, residentSizeOf(databasePid) ?? 0);
    }
    const { agents, compiler } = this.#site.controller;
    const books = [...agents.values()].flatMap(({ name, host }) =>
      bridgesOf(host).flatMap((bridge) => compiler.book(name, bridge) ?? []),
    );
    this.flows = Math.max(
      this.flows,
      sum(books, (book) => book.size),
    );
    this.groups = Math.max(
      this.groups,
      sum(books, (book) => [...book.groups()].length),
    );
    this.meters = Math.max(
      this.meters,
      sum(books, (book) => [...book.meters()].length),
    );
  }
}

function sum<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}

/** Another life of heddle, of which nothing has changed: no bridge and no OVSDB may be sent anything. */
async function restartUnchanged(site: ControlledSite): Promise<void> {
  await site.stopController();
  await site.startController();
  await site.inStep(QUIET_DEADLINE_MS);
  for (const { name, bridges, ovsdbWrites } of site.status().hosts) {
    const sent = bridges.flatMap(({ bridge, flowMods, groupMods, meterMods }) => {
      const count = [flowMods, groupMods, meterMods].reduce((all, one) => all + one.add + one.modify + one.delete, 0);
      return count === 0 ? [] : [`${bridge}: ${JSON.stringify({ flowMods, groupMods, meterMods })}`];
    });
    if (sent.length > 0 || ovsdbWrites.writes > 0) {
      const told = site.lines.filter(({ msg }) => /drifted|OVSDB write/.test(msg)).map((line) => JSON.stringify(line));
      throw new Error(`started anew, unchanged, ${name} was sent ${sent.join(', ')}, ${told.join('\n')}`);
    }
  }
}

const mebibytes = (size: number): string => `${(size / 2 ** 20).toFixed(1)} MiB`;

/** Throws with the last steps when a bridge is not what its book says at a quiet point, or memory has grown. */
export async function runSoak({ durationMs, seed, say, signal }: SoakOptions): Promise<SoakResult> {
  const soaked = await SoakedSite.start(new Random(seed));
  const { site } = soaked;
  const largest = new Largest(site);
  const pace = new Random(seed + 1);
  const startMs = performance.now();
  const history: string[] = [];
  const samples: MemorySample[] = [];
  let [steps, quietPoints, slowestQuietMs, saidMs] = [0, 0, 0, startMs];
  try {
    while (performance.now() - startMs < durationMs && signal?.aborted !== true) {
      soaked.mayRestart = performance.now() - startMs < WARM_UP_SHARE * durationMs;
      for (let count = 1 + pace.below(BURST_MAX); count > 0; count--) {
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
      if (soaked.mayRestart) {
        if (pace.isChance(QUIET_RESTART_ODDS)) await restartUnchanged(site);
        continue;
      }
      if (performance.now() - (samples.at(-1)?.atMs ?? 0) < SAMPLE_INTERVAL_MS) continue;
      const sample = sampleMemory();
      samples.push(sample);
      largest.sample();
      if (performance.now() - saidMs < SAY_INTERVAL_MS) continue;
      saidMs = performance.now();
      const sizes = `heap ${mebibytes(sample.heapSize)}, resident ${mebibytes(sample.residentSize)}`;
      say(`${steps} steps, ${quietPoints} quiet points, ${sizes}`);
    }
  } catch (cause) {
    await site.stop().catch(() => undefined);
    throw new Error(`seed ${seed}, step ${steps}, after:\n  ${history.join('\n  ')}\n${cause}`, { cause });
  }
  await site.stop();
  if (samples.length === 0) throw new Error(`seed ${seed}: ended before memory was taken; nothing differed until then`);
  const result: SoakResult = {
    seed,
    steps,
    stepsByKind: Object.fromEntries([...soaked.counts].sort()),
    quietPoints,
    slowestQuietMs: Math.round(slowestQuietMs),
    flows: largest.flows,
    groups: largest.groups,
    meters: largest.meters,
    heap: trendOf(samples, 'heapSize'),
    resident: trendOf(samples, 'residentSize'),
    vswitchdSize: largest.vswitchdSize,
    databaseSize: largest.databaseSize,
  };
  if (result.heap.growthSize > HEAP_GROWTH_MAX_SIZE || result.resident.growthSize > RESIDENT_GROWTH_MAX_SIZE)
    throw new Error(`seed ${seed}: memory grows: ${JSON.stringify(result)}`);
  return result;
}
