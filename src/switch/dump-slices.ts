/**
 * A dump of a large bridge in slices, one after the other. Serves compare-bridge.ts.
 *
 * ovs-vswitchd answers a flow-stats request in one go, in the thread that forwards packets of the userspace datapath: 100,000 flows
 * keep it for half a second, and packets are lost. So a bridge with many flows is asked table by table, and of a table with many
 * for those with each value of some low bits of the cookie: these are a hash of the origin (flow/cookie.ts), and whatever a cookie
 * is, it falls into one slice. For every slice the switch walks the whole table, which is why a table that has few is not cut.
 *
 * Between two slices its thread takes 32 packets of each port, and is at the next slice if we ask at once: at 20 ms a slice that is
 * less than arrives, and after half a second of it packets are lost. So it is left alone for a moment, in which its loop runs
 * freely; meanwhile what has come is compared. That holds for all bridges of one switch together, which have one thread.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS } from '../lib/limits.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { FlowSelection } from '../openflow/messages.ts';

export interface SliceOptions<T> {
  readonly dump: (selection: FlowSelection) => Promise<readonly T[]>;
  /** Called once, with how many flows there will be; the first is asked for when it resolves. Default: at once. */
  readonly enter?: (flowCount: number) => Promise<void>;
  /** Called with each slice, while the switch forwards packets. Default: nothing. */
  readonly take?: (slice: readonly T[]) => Promise<void>;
  /** Shared by the bridges of one switch. Default: a lane of its own. */
  readonly lane?: SliceLane;
}

/**
 * Slices of one switch, one after the other whichever bridge they are of, and a rest behind each: the rest of one bridge is none
 * while another one is asked.
 */
export class SliceLane {
  #rested: Promise<unknown> = Promise.resolve();

  /** Ask for a slice when those before it have come. Gives, and rejects with, what it does. */
  run<Result>(slice: () => Promise<Result>): Promise<Result> {
    let startMs = 0;
    const done = this.#rested.then(() => {
      startMs = performance.now();
      return slice();
    });
    const rest = (): Promise<unknown> | undefined =>
      // A short one has kept nobody.
      performance.now() - startMs >= LIMITS.dumpPauseMs ? delay(LIMITS.dumpPauseMs) : undefined;
    this.#rested = done.then(rest, rest);
    return done;
  }
}

/** All that `dump` gives for the whole bridge. Rejects with ConnectionClosedError, OpenFlowError, and as these do. */
export async function inSlices<T>(connection: SwitchConnection, options: SliceOptions<T>): Promise<readonly T[]> {
  const { dump, enter = async () => undefined, take = async () => undefined, lane = new SliceLane() } = options;
  const slices: (readonly T[])[] = [];
  const flowCounts = await connection.flowCounts();
  const flowCount = sumOf(flowCounts);
  await enter(flowCount);
  for (const selection of selections(flowCounts, flowCount)) {
    const slice = await lane.run(() => dump(selection));
    slices.push(slice);
    await take(slice);
  }
  return slices.flat();
}

const sumOf = (flowCounts: ReadonlyMap<number, number>): number =>
  [...flowCounts.values()].reduce((before, count) => before + count, 0);

function* selections(flowCounts: ReadonlyMap<number, number>, sum: number): Generator<FlowSelection> {
  // The counts were the dump.
  if (sum === 0) return;
  if (sum <= LIMITS.dumpSliceLength) {
    yield {};
    return;
  }
  for (const [table, count] of flowCounts) {
    const bitCount = sliceBits(count);
    if (bitCount === 0) yield { table };
    const cookieMask = (1n << BigInt(bitCount)) - 1n;
    if (bitCount > 0) for (let cookie = 0n; cookie <= cookieMask; cookie++) yield { table, cookie, cookieMask };
  }
}

/** How many bits of the cookie make slices of at most `LIMITS.dumpSliceLength` flows, if they are spread evenly. */
function sliceBits(flowCount: number): number {
  return Math.max(0, Math.ceil(Math.log2(flowCount / LIMITS.dumpSliceLength)));
}
