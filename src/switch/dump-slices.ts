/**
 * A dump of a large bridge in slices, one after the other. Serves installer.ts.
 *
 * ovs-vswitchd answers a flow-stats request in one go, in the thread that forwards packets of the userspace datapath: 100,000 flows
 * keep it for half a second, and packets are lost. So a bridge with many flows is asked for those with each value of some low
 * bits of the cookie; these are a hash of the origin (flow/cookie.ts), and whatever a cookie is, it falls into one slice.
 */
import { LIMITS } from '../lib/limits.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { FlowSelection } from '../openflow/messages.ts';

/** All that `dump` gives for the whole bridge. Rejects with ConnectionClosedError, OpenFlowError, and as `dump` does. */
export async function inSlices<T>(
  connection: SwitchConnection,
  dump: (selection: FlowSelection) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const [aggregate] = await connection.multipart({ kind: 'aggregate' });
  const bitCount = sliceBits(aggregate?.flowCount ?? 0);
  if (bitCount === 0) return dump({});
  const cookieMask = (1n << BigInt(bitCount)) - 1n;
  const slices: (readonly T[])[] = [];
  for (let cookie = 0n; cookie <= cookieMask; cookie++) slices.push(await dump({ cookie, cookieMask }));
  return slices.flat();
}

/** How many bits of the cookie make slices of at most `LIMITS.dumpSliceLength` flows, if they are spread evenly. */
function sliceBits(flowCount: number): number {
  return Math.max(0, Math.ceil(Math.log2(flowCount / LIMITS.dumpSliceLength)));
}
