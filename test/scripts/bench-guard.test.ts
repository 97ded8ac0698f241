/**
 * What scripts/bench measures without a switch, small: that encoding, compiling and one change cost no more than some part of what
 * it takes to write each flow once with the plain writer (docs/PERFORMANCE.md). By what this thread computes, turn and turn about with
 * the floor, and by the least of each, so that a slow or busy machine says nothing; the bounds are twice what was measured.
 */
import { beforeAll, expect, test } from 'vitest';
import { changesOf, measureChanges } from '../../scripts/support/bench/change-lines.ts';
import { computed } from '../../scripts/support/bench/measure.ts';
import { compileLarge, encodeBook, largeSiteDocument } from '../../scripts/support/bench/model-lines.ts';
import { compileOneHost, loadSite, ONE_HOST, oneHostSite } from '../../scripts/support/bench/site.ts';
import type { BridgeBook } from '../../src/compiler/book.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { FlowEncoder } from '../../src/switch/flow-bytes.ts';

const ROUNDS = 5;
/** 0.03 to 0.05. */
const ENCODE_RATIO_MAX = 0.1;
/** 1.0 to 1.6. */
const COMPILE_RATIO_MAX = 2.8;
/** Against a thousand flows: 0.17 to 0.27, for some 30 flows on ten hosts and all that must be asked. */
const CHANGE_RATIO_MAX = 0.55;

const topology = loadSite(largeSiteDocument(50));
const encoder = new FlowEncoder();

const least = (times: readonly number[]): number => Math.min(...times);
const flowsOf = (books: Iterable<BridgeBook>): Flow[] =>
  [...books].flatMap((book) => [...book.flows()].map(({ flow }) => flow));

/** The least of each, in milliseconds. */
function compared(
  work: () => unknown,
  flows: readonly Flow[],
): { readonly heddleMs: number; readonly floorMs: number } {
  const heddle: number[] = [];
  const floor: number[] = [];
  const write = (): void => {
    for (const flow of flows) encoder.encode(flow);
  };
  for (let round = 0; round < ROUNDS; round++) {
    heddle.push(...computed(work, { rounds: 1 }));
    floor.push(...computed(write, { rounds: 1 }));
  }
  return { heddleMs: least(heddle), floorMs: least(floor) };
}

function say(what: string, ratio: number): void {
  process.stdout.write(`${what}: ${ratio.toFixed(3)} of writing each flow once\n`);
}

beforeAll(() => {
  // Warm.
  compileLarge(topology);
});

test('encoding a book of the compiler', () => {
  const book = compileOneHost(oneHostSite(20_000)).book(ONE_HOST, 'br-tun');
  if (book === undefined) throw new Error('nothing was compiled');
  const list = book.flowList();
  const slab = new Uint8Array(64 * 1024);
  const times = 10;
  const work = (): void => {
    for (let index = 0; index < times; index++) encodeBook(list, slab);
  };
  const { heddleMs, floorMs } = compared(work, flowsOf([book]));
  expect(encodeBook(list, slab).count).toBeGreaterThan(0.9 * book.size);
  const ratio = heddleMs / times / floorMs;
  say('encoding a book', ratio);
  expect(ratio).toBeLessThan(ENCODE_RATIO_MAX);
});

test('compiling a site, and one change there', () => {
  const { compiler } = compileLarge(topology);
  const flows = flowsOf(compiler.books());
  const { heddleMs, floorMs } = compared(() => compileLarge(topology), flows);
  say(`compiling ${flows.length} flows`, heddleMs / floorMs);
  expect(heddleMs / floorMs).toBeLessThan(COMPILE_RATIO_MAX);

  const [added] = changesOf(compiler, topology);
  if (added === undefined) throw new Error('nothing to change');
  // Each has been made and written before, and its pair puts back what was.
  measureChanges(compiler, added, { rounds: 20 });
  const pairs = 20;
  const times = computed(
    () => {
      for (let index = 0; index < pairs; index++) {
        for (const change of added.changes) {
          change();
          compiler.pass();
        }
      }
    },
    { rounds: ROUNDS },
  );
  const ratio = least(times) / (pairs * added.changes.length) / ((1_000 * floorMs) / flows.length);
  say('one port added or removed, against a thousand flows', ratio);
  expect(ratio).toBeLessThan(CHANGE_RATIO_MAX);
});
