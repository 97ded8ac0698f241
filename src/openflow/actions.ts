/**
 * THE table of actions on the wire, and lists of them: bytes as Open vSwitch itself writes them over OpenFlow 1.3. A new
 * action is a new row and a vector in test/openflow/vectors.
 */
import type { Action } from '../flow/action.ts';
import { InvariantError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import {
  type ActionLists,
  type ActionRow,
  type ActionRows,
  EXPERIMENTER_ACTION,
  type WireActionType,
} from './action-row.ts';
import { CT_ACTIONS } from './actions-ct.ts';
import { LEARN_ACTIONS } from './actions-learn.ts';
import { NICIRA_ACTIONS } from './actions-nicira.ts';
import { STANDARD_ACTIONS } from './actions-standard.ts';
import type { Cursor } from './cursor.ts';
import { NICIRA_EXPERIMENTER } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

export const ACTIONS = {
  ...STANDARD_ACTIONS,
  ...NICIRA_ACTIONS,
  ...CT_ACTIONS,
  ...LEARN_ACTIONS,
} as const satisfies ActionRows;

type AnyRow = ActionRow<WireActionType>;

const ROWS = new Map<string, AnyRow>(Object.entries(ACTIONS as Readonly<Record<string, AnyRow>>));
const STANDARD = new Map<number, AnyRow>();
const NICIRA = new Map<number, AnyRow>();
for (const row of ROWS.values()) {
  for (const code of row.codes.standard ?? []) STANDARD.set(code, row);
  for (const code of row.codes.nicira ?? []) NICIRA.set(code, row);
}

const LISTS: ActionLists = { write: writeActions, read: readActions };

export function isWireAction(type: string): type is WireActionType {
  return ROWS.has(type);
}

/** Write actions one after the other. Throws WireError TOO_LARGE or BAD_VALUE. */
export function writeActions(slab: Slab, actions: readonly Action[]): void {
  for (const action of actions) writeAction(slab, action);
}

/** Write one action. */
export function writeAction(slab: Slab, action: Action): void {
  const row = ROWS.get(action.type);
  if (row === undefined) throw new InvariantError('an instruction among actions', { type: action.type });
  row.write(slab, action as Parameters<AnyRow['write']>[1], LISTS);
}

/** Read actions up to the cursor's end. Throws WireError, UNKNOWN_ACTION and UNKNOWN_FIELD among others. */
export function readActions(cursor: Cursor): Action[] {
  cursor.depth += 1;
  if (cursor.depth > LIMITS.actionDepth) {
    throw new WireError('TOO_LARGE', cursor.offset, `actions within actions, more than ${LIMITS.actionDepth} deep`);
  }
  const actions: Action[] = [];
  while (cursor.offset < cursor.end) actions.push(readAction(cursor));
  cursor.depth -= 1;
  return actions;
}

function readAction(cursor: Cursor): Action {
  const start = cursor.offset;
  const type = cursor.u16();
  const size = cursor.u16();
  if (size < 8 || size % 8 !== 0) throw new WireError('BAD_LENGTH', start, `an action of ${size} bytes`);
  const outer = cursor.narrow(start, size, 'an action');
  const action = readBody(cursor, type, start);
  if (cursor.left >= 8) throw new WireError('BAD_LENGTH', cursor.offset, `${cursor.left} bytes too many in an action`);
  cursor.offset = cursor.end;
  cursor.end = outer;
  return action;
}

function readBody(cursor: Cursor, type: number, start: number): Action {
  if (type !== EXPERIMENTER_ACTION) {
    const row = STANDARD.get(type);
    if (row === undefined) throw new WireError('UNKNOWN_ACTION', start, `action ${type}`);
    return row.read(cursor, type, LISTS);
  }
  const experimenter = cursor.u32();
  const subtype = cursor.u16();
  const row = experimenter === NICIRA_EXPERIMENTER ? NICIRA.get(subtype) : undefined;
  if (row === undefined) {
    throw new WireError('UNKNOWN_ACTION', start, `action ${subtype} of experimenter 0x${experimenter.toString(16)}`);
  }
  return row.read(cursor, subtype, LISTS);
}
