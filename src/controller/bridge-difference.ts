/**
 * Computed against installed, for one bridge, in values that travel over the control socket: the answer to `heddle diff`. Pure
 * but for the dump that it asks a connection for.
 */
import type { Origin } from '../compiler/compiler.ts';
import { formatFlow } from '../flow/format.ts';
import type { RawFlow } from '../openflow/flow-dump.ts';
import { decodeRawFlow } from '../switch/flow-bytes.ts';
import type { Difference } from '../switch/reconcile.ts';

/** Text of flows is `ovs-ofctl dump-flows --no-stats --no-names`'s, cookie included. */
export interface DifferenceLine {
  /** `missing`: not on the switch. `different`: there with other actions, cookie, timeouts or flags. `foreign`: not computed. */
  readonly kind: 'missing' | 'foreign' | 'different';
  readonly table: number;
  /** What should be there; absent for `foreign`. */
  readonly computed?: string;
  /** What is there; absent for `missing`. */
  readonly installed?: string;
  /** Of what should be there. */
  readonly origin?: Origin;
  /** For `foreign`: its cookie is heddle's, from a topology that is in force no more. */
  readonly wasOurs?: boolean;
}

export interface BridgeDifference {
  readonly host: string;
  readonly bridge: string;
  /** Ofport to name. */
  readonly portNames: readonly (readonly [number, string])[];
  /** By table. */
  readonly lines: readonly DifferenceLine[];
  /** Flows that are as computed. */
  readonly sameCount: number;
  /** Flows that learn() actions made: neither computed nor in the way. */
  readonly learnedCount: number;
}

/** The lines of a comparison, by table. `locate` adds the place in the topology file. */
export function differenceLines(difference: Difference, locate: (origin: Origin) => Origin): DifferenceLine[] {
  const { missing, changed, stale, foreign, refused } = difference;
  const lines: DifferenceLine[] = [];
  for (const { desired, installed, table } of [...missing, ...changed]) {
    if (desired === undefined) continue;
    lines.push({
      kind: installed === undefined ? 'missing' : 'different',
      table,
      computed: formatFlow(desired.flow),
      ...(installed !== undefined && { installed: installedText(installed) }),
      origin: locate(desired.origin),
    });
  }
  for (const { desired } of refused) {
    if (desired === undefined) continue;
    const { flow, origin } = desired;
    lines.push({ kind: 'missing', table: flow.table, computed: formatFlow(flow), origin: locate(origin) });
  }
  for (const [operations, wasOurs] of [
    [stale, true],
    [foreign, false],
  ] as const) {
    for (const { installed, table } of operations) {
      if (installed !== undefined) lines.push({ kind: 'foreign', table, installed: installedText(installed), wasOurs });
    }
  }
  return lines.sort((left, right) => left.table - right.table || compareText(textOf(left), textOf(right)));
}

const textOf = ({ computed, installed }: DifferenceLine): string => computed ?? installed ?? '';

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

/** A flow of which something is unknown to us is shown as far as OpenFlow itself goes. */
function installedText(raw: RawFlow): string {
  const flow = decodeRawFlow(raw);
  if (flow !== undefined) return formatFlow(flow);
  const bytes = Buffer.from(raw.bytes.buffer, raw.bytes.byteOffset, raw.bytes.byteLength).toString('hex');
  return `table=${raw.table}, priority=${raw.priority} (what heddle does not know: ${bytes})`;
}
