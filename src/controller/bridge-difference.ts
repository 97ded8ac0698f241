/**
 * Computed against installed, for one bridge, in values that travel over the control socket: the answer to `heddle diff`. Pure
 * but for the dump that it asks a connection for.
 */
import type { BridgeBook, Origin } from '../compiler/compiler.ts';
import { formatFlow } from '../flow/format.ts';
import { formatGroup, formatMeter } from '../flow/format-group.ts';
import type { Group } from '../flow/group.ts';
import type { Meter } from '../flow/meter.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { RawFlow } from '../openflow/flow-dump.ts';
import { dumpNumbered, type NumberedDump } from '../switch/dump-numbered.ts';
import { decodeRawFlow } from '../switch/flow-bytes.ts';
import { type Difference, reconcile } from '../switch/reconcile.ts';
import { reconcileGroups, reconcileMeters } from '../switch/reconcile-numbered.ts';

/**
 * Text of flows is `ovs-ofctl dump-flows --no-stats --no-names`'s, cookie included; of groups and meters `dump-groups`' and
 * `dump-meters`', on one line.
 */
export interface DifferenceLine {
  readonly subject: 'flow' | 'group' | 'meter';
  /** `missing`: not on the switch. `different`: there with other actions, cookie, timeouts or flags. `foreign`: not computed. */
  readonly kind: 'missing' | 'foreign' | 'different';
  /** Of a flow. */
  readonly table?: number;
  /** What should be there; absent for `foreign`. */
  readonly computed?: string;
  /** What is there; absent for `missing`. */
  readonly installed?: string;
  /** Of what should be there. */
  readonly origin?: Origin;
  /** For a `foreign` flow: its cookie is heddle's, from a topology that is in force no more. */
  readonly wasOurs?: boolean;
}

export interface BridgeDifference {
  readonly host: string;
  readonly bridge: string;
  /** Ofport to name. */
  readonly portNames: readonly (readonly [number, string])[];
  /** Meters, groups, then flows by table. */
  readonly lines: readonly DifferenceLine[];
  /** Flows that are as computed. */
  readonly sameCount: number;
  readonly sameGroupCount: number;
  readonly sameMeterCount: number;
  /** Flows that learn() actions made: neither computed nor in the way. */
  readonly learnedCount: number;
}

/** All that a bridge holds. */
export interface InstalledBridge extends NumberedDump {
  readonly flows: readonly RawFlow[];
}

/** Rejects with ConnectionClosedError, or HeddleError UNREADABLE_REPLY, BAD_FLOW_DUMP. */
export async function dumpInstalled(connection: SwitchConnection): Promise<InstalledBridge> {
  const [flows, numbered] = await Promise.all([connection.dumpFlows(), dumpNumbered(connection)]);
  return { flows, ...numbered };
}

/** `book` is absent where nothing is wanted. `locate` adds the place in the topology file. */
export function compareInstalled(
  book: BridgeBook | undefined,
  installed: InstalledBridge,
  locate: (origin: Origin) => Origin,
): Omit<BridgeDifference, 'host' | 'bridge' | 'portNames'> {
  const [wantedGroups, wantedMeters] = [[...(book?.groups() ?? [])], [...(book?.meters() ?? [])]];
  const flows = reconcile(book?.flows() ?? [], installed.flows);
  const groups = reconcileGroups(wantedGroups, installed.groups);
  const meters = reconcileMeters(wantedMeters, installed.meters);
  const lines: DifferenceLine[] = [];
  for (const { missing, changed, foreign, refused } of [meters, groups]) {
    for (const { desired, installed: found } of [...missing, ...changed, ...foreign]) {
      lines.push({
        subject: [desired, found].some((one) => one !== undefined && 'meter' in one) ? 'meter' : 'group',
        kind: desired === undefined ? 'foreign' : found === undefined ? 'missing' : 'different',
        ...(desired !== undefined && { computed: numberedText(desired), origin: locate(desired.origin) }),
        ...(found !== undefined && {
          installed: numberedText('buckets' in found ? { group: found } : { meter: found }),
        }),
      });
    }
    for (const { desired } of refused) {
      if (desired === undefined || 'flow' in desired) continue;
      const subject = 'meter' in desired ? 'meter' : 'group';
      lines.push({ subject, kind: 'missing', computed: numberedText(desired), origin: locate(desired.origin) });
    }
  }
  const wrong = ({ missing, changed, refused }: typeof groups | typeof meters): number =>
    missing.length + changed.length + refused.length;
  return {
    lines: [...lines, ...flowLines(flows, locate)],
    sameCount: flows.sameCount,
    sameGroupCount: wantedGroups.length - wrong(groups),
    sameMeterCount: wantedMeters.length - wrong(meters),
    learnedCount: flows.learnedCount,
  };
}

const numberedText = (one: { readonly group: Group } | { readonly meter: Meter }): string =>
  'group' in one ? formatGroup(one.group) : formatMeter(one.meter);

/** By table. */
function flowLines(difference: Difference, locate: (origin: Origin) => Origin): DifferenceLine[] {
  const { missing, changed, stale, foreign, refused } = difference;
  const lines: DifferenceLine[] = [];
  for (const { desired, installed, table } of [...missing, ...changed]) {
    if (desired === undefined) continue;
    lines.push({
      subject: 'flow',
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
    const { table } = flow;
    lines.push({ subject: 'flow', kind: 'missing', table, computed: formatFlow(flow), origin: locate(origin) });
  }
  for (const [operations, wasOurs] of [
    [stale, true],
    [foreign, false],
  ] as const) {
    for (const { installed, table } of operations) {
      if (installed === undefined) continue;
      lines.push({ subject: 'flow', kind: 'foreign', table, installed: installedText(installed), wasOurs });
    }
  }
  return lines.sort(
    (left, right) => (left.table ?? 0) - (right.table ?? 0) || compareText(textOf(left), textOf(right)),
  );
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
