/**
 * Flows from text: what `ovs-ofctl add-flow` takes and what `dump-flows` prints, statistics included. The result is in the
 * form that a switch reports over OpenFlow 1.3, so that it compares with what is dumped.
 */
import type { Action } from './action.ts';
import { outputTo } from './action-readers.ts';
import { INSTRUCTIONS, type ParseContext } from './action-row.ts';
import { ACTION_READERS, instructionOf } from './actions.ts';
import { FLOW_FLAGS, type Flow, type Match } from './flow.ts';
import { DEFAULT_PRIORITY, type FlowCounters } from './format.ts';
import { isMatchKey, parseMatch } from './match-text.ts';
import { findPort } from './port-text.ts';
import {
  FlowTextError,
  type KeyValue,
  keyValue,
  type Piece,
  parseBig,
  parseNumber,
  slice,
  splitList,
  trim,
} from './scan.ts';
import type { ParseOptions } from './values.ts';

export interface ParsedFlow {
  readonly flow: Flow;
  /** Absent where the text has no statistics. */
  readonly counters?: FlowCounters;
}

interface Draft {
  table: number;
  priority: number;
  cookie: bigint;
  flags: number;
  idleTimeoutS: number;
  hardTimeoutS: number;
  readonly counters: { -readonly [Key in keyof FlowCounters]?: FlowCounters[Key] };
}

type Setting = (draft: Draft, part: KeyValue) => void;

function flag(bit: number): Setting {
  return (draft) => {
    draft.flags |= bit;
  };
}

function number(key: 'table' | 'priority' | 'idleTimeoutS' | 'hardTimeoutS', max: number): Setting {
  return (draft, { value }) => {
    draft[key] = parseNumber(value, max);
  };
}

function counter(key: 'packetCount' | 'byteCount'): Setting {
  return ({ counters }, { value }) => {
    counters[key] = parseBig(value, 64);
  };
}

function age(key: 'idleAgeS' | 'hardAgeS'): Setting {
  return ({ counters }, { value }) => {
    counters[key] = parseNumber(value, 0xffffffff);
  };
}

const setCookie: Setting = (draft, { value }) => {
  draft.cookie = parseBig(value, 64);
};

const setDuration: Setting = ({ counters }, { value }) => {
  counters.durationS = parseDuration(value);
};

/** What stands beside match and actions. */
const SETTINGS: ReadonlyMap<string, Setting> = new Map<string, Setting>([
  ['table', number('table', 254)],
  ['priority', number('priority', 0xffff)],
  ['cookie', setCookie],
  ['idle_timeout', number('idleTimeoutS', 0xffff)],
  ['hard_timeout', number('hardTimeoutS', 0xffff)],
  ['duration', setDuration],
  ['n_packets', counter('packetCount')],
  ['n_bytes', counter('byteCount')],
  ['idle_age', age('idleAgeS')],
  ['hard_age', age('hardAgeS')],
  ...Object.values(FLOW_FLAGS).map(({ bit, text }) => [text, flag(bit)] as const),
]);

function parseDuration(piece: Piece): number {
  if (!/^\d+(?:\.\d+)?s$/.test(piece.text)) throw new FlowTextError(piece, 'should be seconds, as in 12.5s');
  return Number(piece.text.slice(0, -1));
}

const ACTIONS_KEY = /(?:^|[\s,])actions?=/;

/** One flow from one line. The match is in normal form. Throws FlowTextError (code `BAD_FLOW`), which names the place. */
export function parseFlow(text: string, options: ParseOptions = {}): Flow {
  return parseFlowWithCounters(text, options).flow;
}

/** As parseFlow, and the statistics apart. */
export function parseFlowWithCounters(text: string, options: ParseOptions = {}): ParsedFlow {
  const line: Piece = { text, start: 0 };
  const found = ACTIONS_KEY.exec(text);
  if (found === null)
    throw new FlowTextError(trim(line), 'a flow needs actions, as in actions=output:1 or actions=drop');
  const draft: Draft = {
    table: 0,
    priority: DEFAULT_PRIORITY,
    cookie: 0n,
    flags: 0,
    idleTimeoutS: 0,
    hardTimeoutS: 0,
    counters: {},
  };
  const matchParts: KeyValue[] = [];
  for (const part of splitList(slice(line, 0, found.index)).map(keyValue)) {
    const setting = SETTINGS.get(part.key.text);
    if (setting !== undefined) setting(draft, part);
    else if (isMatchKey(part.key.text)) matchParts.push(part);
    else throw new FlowTextError(part.whole, 'is no field, protocol or setting of a flow');
  }
  const match = parseMatch(matchParts, options);
  const actions = parseActions(slice(line, found.index + found[0].length), match, options);
  return finish(draft, match, actions);
}

function finish(draft: Draft, match: Match, actions: readonly Action[]): ParsedFlow {
  const { table, priority, cookie, flags, idleTimeoutS, hardTimeoutS, counters } = draft;
  const flow: Flow = {
    table,
    priority,
    match,
    actions,
    cookie,
    ...(idleTimeoutS === 0 ? {} : { idleTimeoutS }),
    ...(hardTimeoutS === 0 ? {} : { hardTimeoutS }),
    ...(flags === 0 ? {} : { flags }),
  };
  if (Object.keys(counters).length === 0) return { flow };
  return { flow, counters: { durationS: 0, packetCount: 0n, byteCount: 0n, ...counters } };
}

/**
 * The text after `actions=`. `match` is what the flow matches: setters of OpenFlow 1.0 mean different things by it. Throws
 * FlowTextError, also for instructions that cannot stand in this order.
 */
export function parseActions(text: Piece | string, match: Match = {}, options: ParseOptions = {}): Action[] {
  const piece = typeof text === 'string' ? { text, start: 0 } : text;
  let last = -1;
  const checkOrder = (action: Action, place: Piece) => {
    const instruction = instructionOf(action);
    const rank = INSTRUCTIONS.indexOf(instruction);
    if (rank < last || (rank === last && instruction !== 'apply')) {
      throw new FlowTextError(place, `the instructions of a flow stand once each, in this order: ${ORDER_TEXT}`);
    }
    last = rank;
  };
  return readList(piece, { ...options, match, before: [], parseActions: readNested }, checkOrder);
}

const ORDER_TEXT = 'meter, actions, clear_actions, write_actions, write_metadata, goto_table';

function readNested(piece: Piece, context: ParseContext): Action[] {
  return readList(piece, context, (action, place) => {
    if (instructionOf(action) === 'apply') return;
    throw new FlowTextError(place, 'is an instruction of the flow, and cannot stand inside of an action');
  });
}

function readList(piece: Piece, context: ParseContext, check: (action: Action, place: Piece) => void): Action[] {
  const parts = splitList(piece);
  const actions: Action[] = [];
  for (const part of parts) {
    if (part.text === 'drop') {
      if (parts.length > 1) throw new FlowTextError(part, 'drop stands alone');
      return [];
    }
    const read = readAction(keyValue(part), { ...context, before: [...context.before, ...actions] });
    for (const action of 'type' in read ? [read] : read) {
      check(action, part);
      actions.push(action);
    }
  }
  return actions;
}

function readAction(text: KeyValue, context: ParseContext): Action | readonly Action[] {
  const port = text.delimiter === '' ? findPort(text.key.text, context.portNumbers) : undefined;
  if (port !== undefined) return outputTo(port);
  const reader = ACTION_READERS.get(text.key.text);
  if (reader !== undefined) return reader(text, context);
  throw new FlowTextError(text.whole, 'is no action that heddle knows, and no port');
}
