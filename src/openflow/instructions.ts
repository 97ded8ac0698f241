/**
 * Instructions (OpenFlow 1.3.5 §7.2.4): a flow's one list of actions to the instructions of the wire and back, in the order
 * in which Open vSwitch writes and prints them: meter, apply-actions, clear-actions, write-actions, write-metadata, goto.
 */
import type { Action } from '../flow/action.ts';
import type { ActionOf } from './action-row.ts';
import { isWireAction, readActions, writeAction, writeActions } from './actions.ts';
import type { Cursor } from './cursor.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

const INSTRUCTIONS = {
  goto: 1,
  writeMetadata: 2,
  writeActions: 3,
  applyActions: 4,
  clearActions: 5,
  meter: 6,
} as const;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

/** Write a flow's actions as instructions. Throws WireError BAD_VALUE where an instruction stands twice. */
export function writeInstructions(slab: Slab, actions: readonly Action[]): void {
  let meter: ActionOf<'meter'> | undefined;
  let clear: ActionOf<'clearActions'> | undefined;
  let write: ActionOf<'writeActions'> | undefined;
  let metadata: ActionOf<'writeMetadata'> | undefined;
  let goto: ActionOf<'goto'> | undefined;
  let applied = 0;
  for (const action of actions) {
    switch (action.type) {
      case 'meter':
        meter = once(meter, action);
        break;
      case 'clearActions':
        clear = once(clear, action);
        break;
      case 'writeActions':
        write = once(write, action);
        break;
      case 'writeMetadata':
        metadata = once(metadata, action);
        break;
      case 'goto':
        goto = once(goto, action);
        break;
      default:
        applied += 1;
    }
  }
  if (meter !== undefined) writeMeter(slab, meter.meter);
  if (applied > 0) writeApply(slab, actions);
  if (clear !== undefined) writeHeader(slab, INSTRUCTIONS.clearActions, 8);
  if (write !== undefined) writeWrite(slab, write.actions);
  if (metadata !== undefined) writeMetadata(slab, metadata);
  if (goto !== undefined) {
    const start = writeHeader(slab, INSTRUCTIONS.goto, 8);
    slab.view.setUint8(start + 4, goto.table);
  }
}

function once<T extends Action>(before: T | undefined, action: T): T {
  if (before !== undefined) throw new WireError('BAD_VALUE', 0, `the instruction ${action.type} stands twice`);
  return action;
}

function writeHeader(slab: Slab, type: number, size: number): number {
  const start = slab.reserve(size);
  slab.view.setUint16(start, type);
  slab.view.setUint16(start + 2, size);
  return start;
}

function writeMeter(slab: Slab, meter: number): void {
  const start = writeHeader(slab, INSTRUCTIONS.meter, 8);
  slab.view.setUint32(start + 4, meter);
}

function writeApply(slab: Slab, actions: readonly Action[]): void {
  const start = writeHeader(slab, INSTRUCTIONS.applyActions, 8);
  for (const action of actions) {
    if (isWireAction(action.type)) writeAction(slab, action);
  }
  slab.setLength(start, 2);
}

function writeWrite(slab: Slab, actions: readonly Action[]): void {
  const start = writeHeader(slab, INSTRUCTIONS.writeActions, 8);
  writeActions(slab, actions);
  slab.setLength(start, 2);
}

function writeMetadata(slab: Slab, metadata: ActionOf<'writeMetadata'>): void {
  const start = writeHeader(slab, INSTRUCTIONS.writeMetadata, 24);
  slab.view.setBigUint64(start + 8, metadata.value);
  slab.view.setBigUint64(start + 16, metadata.mask ?? ALL_ONES);
}

/** Read instructions up to the cursor's end. Throws WireError, UNKNOWN_INSTRUCTION among others. */
export function readInstructions(cursor: Cursor): Action[] {
  /** By type: what was read. */
  const read: (Action[] | undefined)[] = [];
  while (cursor.offset < cursor.end) {
    const start = cursor.offset;
    const type = cursor.u16();
    const size = cursor.u16();
    if (size < 8 || size % 8 !== 0) throw new WireError('BAD_LENGTH', start, `an instruction of ${size} bytes`);
    const outer = cursor.narrow(start, size, 'an instruction');
    if (read[type] !== undefined) throw new WireError('BAD_VALUE', start, `instruction ${type} stands twice`);
    read[type] = readInstruction(cursor, type, start);
    cursor.finish('an instruction');
    cursor.end = outer;
  }
  if (read.length === 0) return [];
  const [, goto, metadata, write, apply, clear, meter] = read;
  const actions = apply ?? [];
  if (meter !== undefined) actions.unshift(...meter);
  for (const instruction of [clear, write, metadata, goto]) {
    if (instruction !== undefined) actions.push(...instruction);
  }
  return actions;
}

function readInstruction(cursor: Cursor, type: number, start: number): Action[] {
  switch (type) {
    case INSTRUCTIONS.meter:
      return [{ type: 'meter', meter: cursor.u32() }];
    case INSTRUCTIONS.applyActions:
      cursor.take(4);
      return readActions(cursor);
    case INSTRUCTIONS.clearActions:
      cursor.take(4);
      return [{ type: 'clearActions' }];
    case INSTRUCTIONS.writeActions:
      cursor.take(4);
      return [{ type: 'writeActions', actions: readActions(cursor) }];
    case INSTRUCTIONS.writeMetadata: {
      cursor.take(4);
      const value = cursor.u64();
      const mask = cursor.u64();
      return [mask === ALL_ONES ? { type: 'writeMetadata', value } : { type: 'writeMetadata', value, mask }];
    }
    case INSTRUCTIONS.goto: {
      const table = cursor.u8();
      cursor.take(3);
      return [{ type: 'goto', table }];
    }
    default:
      throw new WireError('UNKNOWN_INSTRUCTION', start, `instruction ${type}`);
  }
}
