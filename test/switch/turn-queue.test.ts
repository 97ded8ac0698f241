/** Work of many bridges at once (src/switch/turn-queue.ts): short turns of the event loop, everyone in turn, nothing lost. */
import { expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { TurnQueue } from '../../src/switch/turn-queue.ts';

const BRIDGES = 200;

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** A step is some 0.1 ms. */
function* work(stepCount: number, onStep: () => void = () => undefined): Generator<void, number> {
  for (let step = 0; step < stepCount; step++) {
    const endMs = performance.now() + 0.1;
    while (performance.now() < endMs);
    onStep();
    yield;
  }
  return stepCount;
}

/** Between two looks at the sockets, in milliseconds of this thread, the longest first. */
async function turnsOf(working: Promise<unknown>): Promise<number[]> {
  const turns: number[] = [];
  let isOver = false;
  void working.then(() => {
    isOver = true;
  });
  for (let lastMs = threadMs(); !isOver; ) {
    await new Promise((resolve) => setImmediate(resolve));
    turns.push(threadMs() - lastMs);
    lastMs = threadMs();
  }
  return turns.sort((left, right) => right - left);
}

test(`${BRIDGES} that work at the same moment share one turn`, async () => {
  const queue = new TurnQueue();
  const stepCounts = Array.from({ length: BRIDGES }, (_, index) => 1 + (index % 40));
  const working = Promise.all(stepCounts.map((count) => queue.run(work(count))));
  const turns = await turnsOf(working);
  expect(await working).toEqual(stepCounts);
  process.stdout.write(`${BRIDGES} at once: ${turns.length} turns, the longest ${turns[0]?.toFixed(1)} ms\n`);
  // By itself each would have had its own: some 300 ms in one turn of the loop. Processor time comes in pieces of 4 ms.
  expect(turns[2]).toBeLessThan(5 * LIMITS.turnMs);
});

test('a short piece of work waits for one turn of each of the others, not for their end', async () => {
  const queue = new TurnQueue();
  let longSteps = 0;
  const long = queue.run(
    work(2_000, () => {
      longSteps += 1;
    }),
  );
  const short = queue.run(work(1));
  await short;
  expect(longSteps).toBeLessThan(1_000);
  expect(await long).toBe(2_000);
});

test('what throws is told, and the others go on', async () => {
  const queue = new TurnQueue();
  function* failing(): Generator<void, number> {
    yield* work(60);
    throw new RangeError('no');
  }
  const outcomes = await Promise.allSettled([queue.run(work(60)), queue.run(failing()), queue.run(work(60))]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('one after the other, of one who waits for each: no turn of the loop is lost on it', async () => {
  const queue = new TurnQueue();
  let loopCount = 0;
  let isOver = false;
  const count = (): void => {
    loopCount += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  for (let piece = 0; piece < 200; piece++) await queue.run(work(1));
  isOver = true;
  // 20 ms of work are some 5 turns; more where others have the processor.
  expect(loopCount).toBeLessThan(100);
});
