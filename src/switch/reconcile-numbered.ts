/**
 * Groups and meters of a bridge against those that it should hold: pure. Serves installer.ts, beside reconcile.ts for flows.
 *
 * Neither has a cookie, so that what nobody wants is foreign, whoever made it.
 */
import { METER_FLAGS } from '../flow/meter.ts';
import { HeddleError } from '../lib/errors.ts';
import type { Group, Meter } from '../openflow/messages.ts';
import type { DesiredGroup, DesiredMeter } from '../pipeline/origin.ts';
import { sameBytes } from './flow-bytes.ts';
import { type GroupOperation, groupFrame, type MeterOperation, meterFrame, type Refusal } from './operations.ts';

export interface NumberedDifference<Operation> {
  readonly missing: readonly Operation[];
  readonly changed: readonly Operation[];
  readonly foreign: readonly Operation[];
  /** Could not be encoded. */
  readonly refused: readonly Refusal[];
}

/** Meters above are the switch's own: of the slow path, of packets to the controller (OFPM_MAX, OpenFlow 1.3.5 §7.3.4.4). */
const METER_MAX = 0xffff0000;

export function reconcileGroups(
  desired: Iterable<DesiredGroup>,
  installed: Iterable<Group>,
): NumberedDifference<GroupOperation> {
  const left = new Map([...installed].map((group) => [group.group, group]));
  const missing: GroupOperation[] = [];
  const changed: GroupOperation[] = [];
  const refused: Refusal[] = [];
  for (const one of desired) {
    const found = left.get(one.group.group);
    left.delete(one.group.group);
    try {
      const frame = groupFrame('add', one.group);
      if (found === undefined) missing.push({ subject: 'group', kind: 'add', frame, desired: one });
      else if (!sameGroup(frame, found)) {
        const operation = { subject: 'group', kind: 'modify', frame: groupFrame('modify', one.group) } as const;
        changed.push({ ...operation, desired: one, installed: found });
      }
    } catch (error) {
      refused.push(unwritable(one, error));
    }
  }
  const foreign = [...left.values()].map(
    (group): GroupOperation => ({
      subject: 'group',
      kind: 'delete',
      frame: groupFrame('delete', group),
      installed: group,
    }),
  );
  return { missing, changed, foreign, refused };
}

function sameGroup(frame: Uint8Array, found: Group): boolean {
  return !found.buckets.some(({ unknown }) => unknown !== undefined) && sameBytes(frame, groupFrame('add', found));
}

export function reconcileMeters(
  desired: Iterable<DesiredMeter>,
  installed: Iterable<Meter>,
): NumberedDifference<MeterOperation> {
  const left = new Map([...installed].map((meter) => [meter.meter, meter]));
  const missing: MeterOperation[] = [];
  const changed: MeterOperation[] = [];
  const refused: Refusal[] = [];
  for (const one of desired) {
    const found = left.get(one.meter.meter);
    left.delete(one.meter.meter);
    try {
      const wanted = meterFrame('add', comparable(one.meter));
      if (found === undefined) {
        missing.push({ subject: 'meter', kind: 'add', frame: meterFrame('add', one.meter), desired: one });
      } else if (!sameBytes(wanted, meterFrame('add', comparable(found)))) {
        const operation = { subject: 'meter', kind: 'modify', frame: meterFrame('modify', one.meter) } as const;
        changed.push({ ...operation, desired: one, installed: found });
      }
    } catch (error) {
      refused.push(unwritable(one, error));
    }
  }
  const foreign = [...left.values()]
    .filter(({ meter }) => meter <= METER_MAX)
    .map(
      (meter): MeterOperation => ({
        subject: 'meter',
        kind: 'delete',
        frame: meterFrame('delete', meter),
        installed: meter,
      }),
    );
  return { missing, changed, foreign, refused };
}

/** Without the flag, a burst size means nothing; Open vSwitch reports one of its own choice. */
function comparable(meter: Meter): Meter {
  if ((meter.flags & METER_FLAGS.burst) !== 0) return meter;
  return { ...meter, bands: meter.bands.map((band) => ({ ...band, burstSize: 0 })) };
}

function unwritable(desired: DesiredGroup | DesiredMeter, error: unknown): Refusal {
  if (error instanceof HeddleError) return { desired, operation: undefined, error };
  throw error;
}
