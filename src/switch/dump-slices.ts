/**
 * A dump of a large bridge in slices, one after the other. Serves compare-bridge.ts.
 *
 * ovs-vswitchd answers a flow-stats request in one go, in the thread that forwards packets of the userspace datapath: 100,000 flows
 * keep it for half a second, and packets are lost. So a bridge with many flows is asked table by table, and of a table with many
 * for those with each value of some low bits of the cookie: these are a hash of the origin (flow/cookie.ts), and whatever a cookie
 * is, it falls into one slice. For every slice the switch walks the whole table, which is why a table that has few is not cut.
 */
import { LIMITS } from '../lib/limits.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { FlowSelection } from '../openflow/messages.ts';

export interface SliceOptions<T> {
  readonly dump: (selection: FlowSelection) => Promise<readonly T[]>;
  /** Called with each slice, while the switch is at the next. Default: nothing. */
  readonly take?: (slice: readonly T[]) => Promise<void>;
}

/** All that `dump` gives for the whole bridge. Rejects with ConnectionClosedError, OpenFlowError, and as `dump` and `take` do. */
export async function inSlices<T>(connection: SwitchConnection, options: SliceOptions<T>): Promise<readonly T[]> {
  const { dump, take = async () => undefined } = options;
  const slices: (readonly T[])[] = [];
  let last: readonly T[] = [];
  for (const selection of selections(await connection.flowCounts())) {
    [last] = await Promise.all([dump(selection), takeAfterwards(last, take)]);
    slices.push(last);
  }
  await take(last);
  return slices.flat();
}

/** Once the request that was made in this turn has left. */
async function takeAfterwards<T>(slice: readonly T[], take: (slice: readonly T[]) => Promise<void>): Promise<void> {
  if (slice.length === 0) return;
  await new Promise((resolve) => setImmediate(resolve));
  await take(slice);
}

function* selections(flowCounts: ReadonlyMap<number, number>): Generator<FlowSelection> {
  const sum = [...flowCounts.values()].reduce((before, count) => before + count, 0);
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
