/**
 * Runs the fuzzer in a thread of its own and watches it: a decoder that hangs, or needs more memory than the thread may have,
 * is told with its input all the same. `scripts/fuzz` is its shell.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { decoders } from './decoders.ts';
import { FuzzFinding, fuzz, type Tally } from './fuzz.ts';
import { INPUT_SIZE_MAX } from './mutate.ts';

const HANG_MS = 10_000;
const WATCH_INTERVAL_MS = 1_000;
/** Of the thread, vectors and all. */
const HEAP_MAX_MIB = 256;
/** A count of inputs, the size of the current one, its bytes; several vectors may stand in one stream. */
const HEAD_SIZE = 8;
const SHARED_SIZE = HEAD_SIZE + 4 * INPUT_SIZE_MAX;

interface Job {
  readonly shared: SharedArrayBuffer;
  readonly inputs: number;
  readonly seed: number;
  readonly only: string;
}

function chosen(only: string): ReturnType<typeof decoders> {
  return decoders().filter(({ name }) => name.includes(only));
}

function work({ shared, inputs, seed, only }: Job): void {
  const head = new Uint32Array(shared, 0, 2);
  const room = new Uint8Array(shared, HEAD_SIZE);
  const tallies = fuzz({
    decoders: chosen(only),
    inputs,
    seed,
    onInput: (_decoder, input) => {
      room.set(input.subarray(0, room.length));
      head[1] = input.length;
      head[0] = (head[0] ?? 0) + 1;
    },
  });
  parentPort?.postMessage(tallies);
}

function currentInput(shared: SharedArrayBuffer): Uint8Array {
  const size = new Uint32Array(shared, 0, 2)[1] ?? 0;
  return new Uint8Array(shared, HEAD_SIZE).slice(0, size);
}

async function watch(job: Job): Promise<readonly Tally[]> {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MAX_MIB },
  });
  const head = new Uint32Array(job.shared, 0, 2);
  let seenCount = 0;
  let seenMs = performance.now();
  let hang: ((error: Error) => void) | undefined;
  const hangs = new Promise<never>((_resolve, reject) => {
    hang = reject;
  });
  const timer = setInterval(() => {
    const nowMs = performance.now();
    if (head[0] !== seenCount) seenMs = nowMs;
    seenCount = head[0] ?? 0;
    if (seenCount > 0 && nowMs - seenMs > HANG_MS)
      hang?.(new FuzzFinding('a decoder', currentInput(job.shared), 'hangs'));
  }, WATCH_INTERVAL_MS);
  try {
    const [tallies] = await Promise.race([once(worker, 'message'), hangs]);
    return tallies as readonly Tally[];
  } catch (error) {
    const isMemory = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    if (!isMemory) throw error;
    const what = `needs more than ${HEAP_MAX_MIB} MiB`;
    throw new FuzzFinding('a decoder', currentInput(job.shared), what, { cause: error });
  } finally {
    clearInterval(timer);
    await worker.terminate();
  }
}

function tableOf(tallies: readonly Tally[]): string {
  const rows = tallies.map(({ name, inputs, refused, totalMs, slowestMs }) => {
    const meanUs = inputs === 0 ? 0 : (1_000 * totalMs) / inputs;
    const figures = [`${inputs}`, `${refused}`, meanUs.toFixed(1), slowestMs.toFixed(1)];
    return `${name.padEnd(26)}${figures.map((text) => text.padStart(12)).join('')}`;
  });
  const titles = ['inputs', 'refused', 'mean µs', 'slowest ms'].map((title) => title.padStart(12));
  return [`${'decoder'.padEnd(26)}${titles.join('')}`, ...rows].join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: `${Date.now() % 1_000_000_000}` },
      only: { type: 'string', default: '' },
    },
  });
  const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
  if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed)) {
    throw new RangeError('--inputs and --seed take whole numbers');
  }
  if (chosen(values.only).length === 0) throw new RangeError(`no decoder's name has "${values.only}" in it`);
  process.stdout.write(`seed ${seed}, ${inputs} inputs\n`);
  const startMs = performance.now();
  const shared = new SharedArrayBuffer(SHARED_SIZE);
  const tallies = await watch({ shared, inputs, seed, only: values.only });
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  const peak = Math.round(process.resourceUsage().maxRSS / 1_024);
  process.stdout.write(`${tableOf(tallies)}\n0 findings in ${seconds} s, at most ${peak} MiB resident\n`);
}

if (isMainThread) {
  await main().catch((error: unknown) => {
    process.stderr.write(`fuzz: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  });
} else {
  work(workerData as Job);
}
