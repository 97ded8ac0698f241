/**
 * THE action table: one row per action, with the instruction it belongs to and its text both ways; the order of the rows is
 * that of action.ts. learn and ct have files of their own. Formats are those of ovs-ofctl over OpenFlow 1.3 (ovs-actions(7)).
 */
import type { Action, ActionType } from './action.ts';
import { CT } from './action-ct.ts';
import { LEARN } from './action-learn.ts';
import {
  readController,
  readLoad,
  readOutput,
  readPushPop,
  readResubmit,
  readSetField,
  settersOfOpenflow10,
} from './action-readers.ts';
import { type ActionReader, type ActionRow, bare, endAtParenthesis, type Instruction } from './action-row.ts';
import { FIELDS } from './fields.ts';
import { PORT } from './flow.ts';
import { formatPort, isReservedPort } from './port-text.ts';
import {
  cut,
  cutAt,
  FlowTextError,
  type Piece,
  parseBig,
  parseDottedHex,
  parseNumber,
  slice,
  splitList,
} from './scan.ts';
import { formatHex, formatSubfield, formatValue, parseSubfield } from './values.ts';

/** A reader for `word:number`, which `word(number)` also says. */
function numeric(max: number, make: (value: number) => Action): ActionReader {
  return (text) => make(parseNumber(text.value, max));
}

const REASONS = ['no_match', 'action', 'invalid_ttl', 'action_set', 'group', 'packet_out'] as const;
const MULTIPATH_FIELDS = [
  'eth_src',
  'symmetric_l4',
  'symmetric_l3l4',
  'symmetric_l3l4+udp',
  'nw_src',
  'nw_dst',
] as const;
const MULTIPATH_ALGORITHMS = ['modulo_n', 'hash_threshold', 'hrw', 'iter_hash'] as const;

export const ACTIONS: { readonly [Type in ActionType]: ActionRow<Type> } = {
  output: {
    instruction: 'apply',
    format: ({ port, maxLength }, { portNames }) => {
      if (port === PORT.controller) return `CONTROLLER:${maxLength ?? 0}`;
      return isReservedPort(port) ? formatPort(port) : `output:${formatPort(port, portNames)}`;
    },
    read: { output: readOutput },
  },
  group: {
    instruction: 'apply',
    format: ({ group }) => `group:${group}`,
    read: { group: numeric(0xffffffff, (group) => ({ type: 'group', group })) },
  },
  setQueue: {
    instruction: 'apply',
    format: ({ queue }) => `set_queue:${queue}`,
    read: { set_queue: numeric(0xffffffff, (queue) => ({ type: 'setQueue', queue })) },
  },
  pushVlan: {
    instruction: 'apply',
    format: ({ etherType }) => `push_vlan:${hex4(etherType)}`,
    read: { push_vlan: numeric(0xffff, (etherType) => ({ type: 'pushVlan', etherType })) },
  },
  popVlan: {
    instruction: 'apply',
    format: () => 'pop_vlan',
    read: { pop_vlan: bare({ type: 'popVlan' }), strip_vlan: bare({ type: 'popVlan' }) },
  },
  pushMpls: {
    instruction: 'apply',
    format: ({ etherType }) => `push_mpls:${hex4(etherType)}`,
    read: { push_mpls: numeric(0xffff, (etherType) => ({ type: 'pushMpls', etherType })) },
  },
  popMpls: {
    instruction: 'apply',
    format: ({ etherType }) => `pop_mpls:${hex4(etherType)}`,
    read: { pop_mpls: numeric(0xffff, (etherType) => ({ type: 'popMpls', etherType })) },
  },
  setMplsTtl: {
    instruction: 'apply',
    format: ({ ttl }) => `set_mpls_ttl(${ttl})`,
    read: { set_mpls_ttl: numeric(255, (ttl) => ({ type: 'setMplsTtl', ttl })) },
  },
  decMplsTtl: {
    instruction: 'apply',
    format: () => 'dec_mpls_ttl',
    read: { dec_mpls_ttl: bare({ type: 'decMplsTtl' }) },
  },
  setTtl: {
    instruction: 'apply',
    format: ({ ttl }) => `mod_nw_ttl:${ttl}`,
    read: { mod_nw_ttl: numeric(255, (ttl) => ({ type: 'setTtl', ttl })) },
  },
  decTtl: {
    instruction: 'apply',
    format: ({ controllerIds }) => (controllerIds === undefined ? 'dec_ttl' : `dec_ttl(${controllerIds.join(',')})`),
    read: {
      dec_ttl: (text) => {
        const ids = splitList(text.value).map((id) => parseNumber(id, 0xffff));
        return ids.length === 0 ? { type: 'decTtl' } : { type: 'decTtl', controllerIds: ids };
      },
    },
  },
  setField: {
    instruction: 'apply',
    format: ({ field, value, mask }, context) =>
      `set_field:${formatValue(field, mask === undefined ? value : { value, mask }, context)}->${FIELDS[field].ovsName}`,
    read: { set_field: readSetField, ...settersOfOpenflow10 },
  },
  controller: {
    instruction: 'apply',
    format: (action) => {
      const parts: string[] = [];
      const { reason = 1, maxLength = 0xffff, controllerId = 0, userdata, pause, meter } = action;
      if (reason !== 1) parts.push(`reason=${REASONS[reason] ?? reason}`);
      if (maxLength !== 0xffff) parts.push(`max_len=${maxLength}`);
      if (controllerId !== 0) parts.push(`id=${controllerId}`);
      if (userdata !== undefined && userdata.length > 0) parts.push(`userdata=${dottedHex(userdata)}`);
      if (pause) parts.push('pause');
      if (meter !== undefined) parts.push(`meter_id=${meter}`);
      return `controller(${parts.join(',')})`;
    },
    read: { controller: readController(REASONS), CONTROLLER: readController(REASONS) },
  },
  outputReg: { instruction: 'apply', format: ({ source }) => `output:${formatSubfield(source)}`, read: {} },
  outputTrunc: {
    instruction: 'apply',
    format: ({ port, maxLength }, { portNames }) => `output(port=${formatPort(port, portNames)},max_len=${maxLength})`,
    read: {},
  },
  load: {
    instruction: 'apply',
    format: ({ destination, value }) => `load:${formatHex(value)}->${formatSubfield(destination)}`,
    read: { load: readLoad },
  },
  move: {
    instruction: 'apply',
    format: ({ source, destination }) => `move:${formatSubfield(source)}->${formatSubfield(destination)}`,
    read: {
      move: ({ value }) => {
        const [from, to] = cutAt(value, '->', 'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]');
        const [source, destination] = [parseSubfield(from), parseSubfield(to)];
        if (source.length === destination.length) return { type: 'move', source, destination };
        throw new FlowTextError(
          value,
          `${source.length} bits cannot be moved to ${destination.length}: take as many of both`,
        );
      },
    },
  },
  stackPush: {
    instruction: 'apply',
    format: ({ source }) => `push:${formatSubfield(source)}`,
    read: { push: readPushPop((source) => ({ type: 'stackPush', source })) },
  },
  stackPop: {
    instruction: 'apply',
    format: ({ destination }) => `pop:${formatSubfield(destination)}`,
    read: { pop: readPushPop((destination) => ({ type: 'stackPop', destination })) },
  },
  resubmit: {
    instruction: 'apply',
    format: ({ port, table, withCt }, { portNames }) => {
      const portText = port === undefined ? '' : formatPort(port, portNames);
      if (port !== undefined && table === undefined) return `resubmit:${portText}`;
      return `resubmit(${portText},${table ?? ''}${withCt ? ',ct' : ''})`;
    },
    read: { resubmit: readResubmit },
  },
  learn: LEARN,
  ct: CT,
  ctClear: { instruction: 'apply', format: () => 'ct_clear', read: { ct_clear: bare({ type: 'ctClear' }) } },
  note: {
    instruction: 'apply',
    format: ({ data }) => `note:${dottedHex(data)}`,
    read: { note: ({ value }) => ({ type: 'note', data: paddedNote(parseDottedHex(value)) }) },
  },
  conjunction: {
    instruction: 'apply',
    format: ({ id, clause, clauseCount }) => `conjunction(${id},${clause}/${clauseCount})`,
    read: {
      conjunction: (text) => {
        const shape = 'conjunction(1,1/2): the id, and which of 2 to 64 clauses';
        endAtParenthesis(text, shape);
        const [id, clauses] = cutAt(text.value, ',', shape);
        const [k, n] = cutAt(slice(clauses, clauses.text.length - clauses.text.trimStart().length), '/', shape);
        const [clause, clauseCount] = [parseNumber(k, 64), parseNumber(n, 64)];
        if (clause < 1 || clause > clauseCount || clauseCount < 2)
          throw new FlowTextError(clauses, `should look like ${shape}`);
        return { type: 'conjunction', id: parseNumber(id, 0xffffffff), clause, clauseCount };
      },
    },
  },
  checkPktLarger: {
    instruction: 'apply',
    format: ({ length, destination }) => `check_pkt_larger(${length})->${formatSubfield(destination)}`,
    read: {
      check_pkt_larger: (text) => {
        const shape = 'check_pkt_larger(1500)->NXM_NX_REG0[0]';
        const destination = parseSubfield(cutAt(text.tail, '->', shape)[1]);
        if (destination.length !== 1) throw new FlowTextError(text.tail, `the result is one bit: ${shape}`);
        return { type: 'checkPktLarger', length: parseNumber(text.value, 0xffff), destination };
      },
    },
  },
  clone: {
    instruction: 'apply',
    format: ({ actions }, context) => `clone(${context.formatActions(actions, context)})`,
    read: {
      clone: (text, context) => {
        endAtParenthesis(text, 'clone(output:1)');
        return { type: 'clone', actions: context.parseActions(text.value, context) };
      },
    },
  },
  multipath: {
    instruction: 'apply',
    format: ({ fields, basis, algorithm, links, argument, destination }) =>
      `multipath(${fields},${basis},${algorithm},${links},${argument},${formatSubfield(destination)})`,
    read: {
      multipath: (text) => {
        const shape = 'multipath(eth_src,50,modulo_n,4,0,NXM_NX_REG0[0..15])';
        endAtParenthesis(text, shape);
        const [fields, basis, algorithm, links, argument, destination, more] = splitList(text.value);
        const isWhole = fields && basis && algorithm && links && argument && destination && !more;
        if (!isWhole) throw new FlowTextError(text.whole, `should look like ${shape}`);
        return {
          type: 'multipath',
          fields: oneOf(MULTIPATH_FIELDS, fields),
          basis: parseNumber(basis, 0xffff),
          algorithm: oneOf(MULTIPATH_ALGORITHMS, algorithm),
          links: parseNumber(links, 0x10000),
          argument: parseNumber(argument, 0xffffffff),
          destination: parseSubfield(destination),
        };
      },
    },
  },
  exit: { instruction: 'apply', format: () => 'exit', read: { exit: bare({ type: 'exit' }) } },
  decNshTtl: { instruction: 'apply', format: () => 'dec_nsh_ttl', read: { dec_nsh_ttl: bare({ type: 'decNshTtl' }) } },
  meter: {
    instruction: 'meter',
    format: ({ meter }) => `meter:${meter}`,
    read: { meter: numeric(0xffffffff, (meter) => ({ type: 'meter', meter })) },
  },
  clearActions: {
    instruction: 'clearActions',
    format: () => 'clear_actions',
    read: { clear_actions: bare({ type: 'clearActions' }) },
  },
  writeActions: {
    instruction: 'writeActions',
    format: ({ actions }, context) => `write_actions(${context.formatActions(actions, context)})`,
    read: {
      write_actions: (text, context) => {
        endAtParenthesis(text, 'write_actions(output:1)');
        const actions = context.parseActions(text.value, context);
        return actions.length === 0 ? [] : { type: 'writeActions', actions };
      },
    },
  },
  writeMetadata: {
    instruction: 'writeMetadata',
    format: ({ value, mask }) => `write_metadata:${formatHex(value)}${mask === undefined ? '' : `/${formatHex(mask)}`}`,
    read: {
      write_metadata: (text) => {
        const { before, after } = cut(text.value, '/');
        const value = parseBig(before, 64);
        const mask = after === undefined ? undefined : parseBig(after, 64);
        const isMasked = mask !== undefined && mask !== (1n << 64n) - 1n;
        return isMasked ? { type: 'writeMetadata', value, mask } : { type: 'writeMetadata', value };
      },
    },
  },
  goto: {
    instruction: 'goto',
    format: ({ table }) => `goto_table:${table}`,
    read: { goto_table: numeric(254, (table) => ({ type: 'goto', table })) },
  },
};

/** Every word that begins an action. */
export const ACTION_READERS: ReadonlyMap<string, ActionReader> = new Map(
  Object.values(ACTIONS).flatMap((row) => Object.entries(row.read)),
);

/** The instruction that an action is, or `apply`. */
export function instructionOf(action: Action): Instruction {
  return ACTIONS[action.type].instruction;
}

function hex4(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}

function oneOf<Word extends string>(words: readonly Word[], piece: Piece): Word {
  const word = words.find((candidate) => candidate === piece.text);
  if (word === undefined) throw new FlowTextError(piece, `should be one of ${words.join(', ')}`);
  return word;
}

function dottedHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('.');
}

/** A note fills its action up to a multiple of 8 bytes with zeros, 10 of which are the header. */
export function paddedNote(data: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((Math.max(data.length, 1) + 10) / 8) * 8 - 10);
  padded.set(data);
  return padded;
}
