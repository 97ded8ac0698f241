/**
 * What a row of the action table is, and what rows have in common: the frame of a Nicira action (nicira-ext, struct
 * nx_action_header) and bit ranges. Serves actions-*.ts and the table that joins them, actions.ts.
 */
import type { Action, ActionType, Subfield } from '../flow/action.ts';
import { FIELDS, type Field, type FieldName, type FieldValue, isWide } from '../flow/fields.ts';
import type { Cursor } from './cursor.ts';
import { NICIRA_EXPERIMENTER, readFieldHeader, writeFieldHeader } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

/** OFPAT_EXPERIMENTER */
export const EXPERIMENTER_ACTION = 0xffff;

/** Members of ActionType that are instructions: they stand in a flow's list, never in a list of actions on the wire. */
export type InstructionType = 'meter' | 'clearActions' | 'writeActions' | 'writeMetadata' | 'goto';
export type WireActionType = Exclude<ActionType, InstructionType>;
export type ActionOf<Type extends ActionType> = Extract<Action, { type: Type }>;

/** How rows write and read the lists of actions within their action. */
export interface ActionLists {
  write(slab: Slab, actions: readonly Action[]): void;
  read(cursor: Cursor): Action[];
}

/** OFPAT_* or NXAST_* numbers; where one action has several forms, the row's writer chooses. */
export interface ActionCodes {
  readonly standard?: readonly number[];
  readonly nicira?: readonly number[];
}

export interface ActionRow<Type extends WireActionType> {
  readonly codes: ActionCodes;
  /** Write the action with its header and padding. */
  write(slab: Slab, action: ActionOf<Type>, lists: ActionLists): void;
  /** Read what follows the header; the cursor ends where the action does, and may be left before its padding. */
  read(cursor: Cursor, code: number, lists: ActionLists): Action;
}

export type ActionRows = { readonly [Type in WireActionType]: ActionRow<Type> };

/** Begin a standard action; gives its offset for endAction. */
export function beginAction(slab: Slab, code: number): number {
  const start = slab.reserve(4);
  slab.view.setUint16(start, code);
  return start;
}

/** Begin a Nicira action; gives its offset for endAction. */
export function beginNicira(slab: Slab, code: number): number {
  const start = slab.reserve(10);
  slab.view.setUint16(start, EXPERIMENTER_ACTION);
  slab.view.setUint32(start + 4, NICIRA_EXPERIMENTER);
  slab.view.setUint16(start + 8, code);
  return start;
}

/** Pad an action to 8 bytes and set its length. */
export function endAction(slab: Slab, start: number): void {
  slab.pad(start);
  slab.setLength(start, 2);
}

/** Lowest bit and length in 16 bits, as Nicira actions hold a bit range of up to 64 bits. */
export function packRange(range: Subfield): number {
  if (range.length < 1 || range.length > 64 || range.start < 0 || range.start > 1023) badRange(range);
  return (range.start << 6) | (range.length - 1);
}

export function writePackedRange(slab: Slab, range: Subfield): void {
  slab.u16(packRange(range));
  writeFieldHeader(slab, range.field);
}

/** A range as packRange wrote it and then the field's header. */
export function readPackedRange(cursor: Cursor): Subfield {
  const packed = cursor.u16();
  return unpackRange(cursor, packed);
}

/** A range of which the packed bits are read already and the field's header comes next. */
export function unpackRange(cursor: Cursor, packed: number): Subfield {
  return readRange(cursor, packed >> 6, (packed & 63) + 1);
}

/** The field's header comes next: a range of it. Throws WireError BAD_VALUE where the field has fewer bits. */
export function readRange(cursor: Cursor, start: number, length: number): Subfield {
  const offset = cursor.offset;
  return checkRange({ field: readFieldHeader(cursor), start, length }, offset);
}

export function checkRange(range: Subfield, offset: number): Subfield {
  const field: Field = FIELDS[range.field];
  if (range.length < 1 || range.start + range.length > field.bits) {
    throw new WireError(
      'BAD_VALUE',
      offset,
      `${range.field} has no bits ${range.start} to ${range.start + range.length - 1}`,
    );
  }
  return range;
}

export function badRange(range: Subfield): never {
  throw new WireError(
    'BAD_VALUE',
    0,
    `no action can name ${range.length} bits of ${range.field} from bit ${range.start}`,
  );
}

/** A value in the form that values of a field have: bigint for wide fields. */
export function asFieldValue(name: FieldName, value: bigint): FieldValue {
  return isWide(FIELDS[name]) ? value : Number(value);
}
