/** The long run of the soak test: `scripts/soak` is its shell. */
import { parseArgs } from 'node:util';
import { runSoak } from './soak.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      seed: { type: 'string', default: `${Date.now() % 1_000_000_000}` },
    },
  });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (!(minutes > 0) || !Number.isSafeInteger(seed)) throw new RangeError('--minutes and --seed take numbers');
  process.stdout.write(`seed ${seed}, ${minutes} minutes\n`);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  const result = await runSoak({
    durationMs: minutes * 60_000,
    seed,
    signal: interrupted.signal,
    say: (line) => process.stdout.write(`${line}\n`),
  });
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`soak: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
  process.exitCode = 1;
});
