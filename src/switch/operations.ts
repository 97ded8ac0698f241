/**
 * What is sent to a bridge: mods of flows, groups and meters, with what they are for. Serves everything in switch/.
 */
import type { Desired } from '../compiler/book.ts';
import type { HeddleError } from '../lib/errors.ts';
import { encodeMessage } from '../openflow/codec.ts';
import type { RawFlow } from '../openflow/flow-dump.ts';
import type { Group, Meter } from '../openflow/messages.ts';
import type { DesiredFlow, DesiredGroup, DesiredMeter } from '../pipeline/origin.ts';
import { FlowEncoder, frameKey, frameTable, u32 } from './flow-bytes.ts';

/** Where ofp_group_mod and ofp_meter_mod have their number (OpenFlow 1.3.5 §7.3.4.2, §7.3.4.3). */
const NUMBER_OFFSET = 12;

type Kind = 'add' | 'modify' | 'delete';

/** A flow-mod to send. `frame` is the whole message; its xid is set by who sends it. */
export interface FlowOperation {
  readonly subject: 'flow';
  readonly kind: Kind;
  readonly table: number;
  readonly frame: Uint8Array;
  /** The flow wanted, or the one that is wanted no more; absent: the flow was never ours. */
  readonly desired?: DesiredFlow;
  /** The flow found on the switch. */
  readonly installed?: RawFlow;
}

export interface GroupOperation {
  readonly subject: 'group';
  readonly kind: Kind;
  readonly frame: Uint8Array;
  readonly desired?: DesiredGroup;
  readonly installed?: Group;
}

export interface MeterOperation {
  readonly subject: 'meter';
  readonly kind: Kind;
  readonly frame: Uint8Array;
  readonly desired?: DesiredMeter;
  readonly installed?: Meter;
}

export type Operation = FlowOperation | GroupOperation | MeterOperation;

/** What no message can carry, or the switch refused. */
export interface Refusal {
  readonly desired: Desired | undefined;
  readonly operation: Operation | undefined;
  readonly error: HeddleError;
}

/** What an operation is about, as a string: byteKey of a flow, the number of a group or a meter. None is like another. */
export function operationKey(operation: Operation): string {
  if (operation.subject === 'flow') return frameKey(operation.frame);
  return numberKey(operation.subject, u32(operation.frame, NUMBER_OFFSET));
}

export const numberKey = (subject: 'group' | 'meter', number: number): string => `${subject} ${number}`;

/**
 * Turns what is desired into operations. OpenFlow has one message for a flow that is new and one that is replaced, but two for
 * a group or meter, so that it is remembered which of those the bridge has.
 */
export class OperationEncoder {
  readonly #flows = new FlowEncoder();
  readonly #present = new Set<string>();

  /** What the bridge holds now, by numberKey. */
  reset(present: Iterable<string>): void {
    this.#present.clear();
    for (const key of present) this.#present.add(key);
  }

  /** Throws WireError for what no message can carry. */
  encode(desired: Desired, remove: boolean): Operation {
    if ('flow' in desired) {
      this.#flows.encodeDesired(desired, remove ? 'deleteStrict' : 'add');
      const frame = this.#flows.take();
      return { subject: 'flow', kind: remove ? 'delete' : 'add', table: frameTable(frame), frame, desired };
    }
    const subject = 'group' in desired ? 'group' : 'meter';
    const key = numberKey(subject, 'group' in desired ? desired.group.group : desired.meter.meter);
    const kind = remove ? 'delete' : this.#present.has(key) ? 'modify' : 'add';
    return 'group' in desired
      ? { subject: 'group', kind, frame: groupFrame(kind, desired.group), desired }
      : { subject: 'meter', kind, frame: meterFrame(kind, desired.meter), desired };
  }

  /** This is sent now. */
  note(operation: Operation): void {
    if (operation.subject === 'flow') return;
    if (operation.kind === 'delete') this.#present.delete(operationKey(operation));
    else this.#present.add(operationKey(operation));
  }
}

export function groupFrame(command: Kind, group: Group): Uint8Array {
  const buckets = command === 'delete' ? [] : group.buckets;
  return encodeMessage({ type: 'groupMod', xid: 0, command, ...group, buckets });
}

export function meterFrame(command: Kind, meter: Meter): Uint8Array {
  const bands = command === 'delete' ? [] : meter.bands;
  return encodeMessage({ type: 'meterMod', xid: 0, command, ...meter, bands });
}
