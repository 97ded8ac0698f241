/**
 * `learn(...)` as text (ovs-actions(7), learn).
 */
import type { LearnSpec } from './action.ts';
import { type ActionOf, type ActionRow, endAtParenthesis, type ParseContext } from './action-row.ts';
import { FIELD_NAMES, FIELDS } from './fields.ts';
import {
  cut,
  cutAt,
  FlowTextError,
  type KeyValue,
  keyValue,
  type Piece,
  parseBig,
  parseNumber,
  slice,
  splitList,
} from './scan.ts';
import {
  findSubfield,
  formatHex,
  formatSubfield,
  formatValue,
  parseBits,
  parseSubfield,
  parseValue,
  type TextOptions,
  wholeField,
} from './values.ts';

type Learn = ActionOf<'learn'>;
type WritableLearn = { -readonly [Key in keyof Learn]: Learn[Key] };

const DEFAULT_PRIORITY = 0x8000;

function formatLearn(learn: Learn, options: TextOptions): string {
  let text = `learn(table=${learn.table}`;
  if (learn.idleTimeoutS) text += `,idle_timeout=${learn.idleTimeoutS}`;
  if (learn.hardTimeoutS) text += `,hard_timeout=${learn.hardTimeoutS}`;
  if (learn.finIdleTimeoutS) text += `,fin_idle_timeout=${learn.finIdleTimeoutS}`;
  if (learn.finHardTimeoutS) text += `,fin_hard_timeout=${learn.finHardTimeoutS}`;
  if (learn.priority !== DEFAULT_PRIORITY) text += `,priority=${learn.priority}`;
  if (learn.sendFlowRemoved) text += ',send_flow_rem';
  if (learn.deleteLearned) text += ',delete_learned';
  if (learn.cookie) text += `,cookie=${formatHex(learn.cookie)}`;
  if (learn.limit) text += `,limit=${learn.limit}`;
  if (learn.resultDestination !== undefined) text += `,result_dst=${formatSubfield(learn.resultDestination)}`;
  for (const spec of learn.specs) text += `,${formatSpec(spec, options)}`;
  return `${text})`;
}

function formatSpec(spec: LearnSpec, options: TextOptions): string {
  switch (spec.kind) {
    case 'match': {
      const [destination, source] = [formatSubfield(spec.destination), formatSubfield(spec.source)];
      return destination === source ? destination : `${destination}=${source}`;
    }
    case 'matchImmediate': {
      const { field, length } = spec.destination;
      if (length !== FIELDS[field].significantBits)
        return `${formatSubfield(spec.destination)}=${formatHex(spec.value)}`;
      return `${FIELDS[field].ovsName}=${formatValue(field, spec.value, options)}`;
    }
    case 'load':
      return `load:${formatSubfield(spec.source)}->${formatSubfield(spec.destination)}`;
    case 'loadImmediate':
      return `load:${formatHex(spec.value)}->${formatSubfield(spec.destination)}`;
    case 'output':
      return `output:${formatSubfield(spec.source)}`;
  }
}

/** The plain settings of a learn action by their word. */
const SETTINGS: { readonly [Word: string]: (learn: WritableLearn, value: Piece) => void } = {
  table: (learn, value) => {
    learn.table = parseNumber(value, 254);
  },
  priority: (learn, value) => {
    learn.priority = parseNumber(value, 0xffff);
  },
  idle_timeout: (learn, value) => {
    learn.idleTimeoutS = parseNumber(value, 0xffff);
  },
  hard_timeout: (learn, value) => {
    learn.hardTimeoutS = parseNumber(value, 0xffff);
  },
  fin_idle_timeout: (learn, value) => {
    learn.finIdleTimeoutS = parseNumber(value, 0xffff);
  },
  fin_hard_timeout: (learn, value) => {
    learn.finHardTimeoutS = parseNumber(value, 0xffff);
  },
  cookie: (learn, value) => {
    learn.cookie = parseBig(value, 64);
  },
  limit: (learn, value) => {
    learn.limit = parseNumber(value, 0xffffffff);
  },
  result_dst: (learn, value) => {
    learn.resultDestination = parseSubfield(value);
  },
  send_flow_rem: (learn) => {
    learn.sendFlowRemoved = true;
  },
  delete_learned: (learn) => {
    learn.deleteLearned = true;
  },
};

function readLearn(text: KeyValue, context: ParseContext): Learn {
  endAtParenthesis(text, 'learn(table=20,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])');
  const specs: LearnSpec[] = [];
  const learn: WritableLearn = { type: 'learn', table: 1, priority: DEFAULT_PRIORITY, specs };
  for (const part of splitList(text.value).map(keyValue)) {
    const setting = Object.hasOwn(SETTINGS, part.key.text) ? SETTINGS[part.key.text] : undefined;
    if (setting !== undefined) setting(learn, part.value);
    else specs.push(readSpec(part, context));
  }
  for (const key of [
    'idleTimeoutS',
    'hardTimeoutS',
    'finIdleTimeoutS',
    'finHardTimeoutS',
    'limit',
    'cookie',
  ] as const) {
    if (!learn[key]) delete learn[key];
  }
  return learn;
}

function readSpec(part: KeyValue, context: ParseContext): LearnSpec {
  if (part.key.text === 'output') return { kind: 'output', source: parseSubfield(part.value) };
  if (part.key.text === 'load') return readLoad(part.value);
  const { before, after } = cut(part.whole, '=');
  const destination = parseSubfield(before);
  if (after === undefined) return { kind: 'match', destination, source: destination };
  const source = findSubfield(after);
  if (source !== undefined) {
    requireSameLength(after, source.length, destination.length);
    return { kind: 'match', destination, source };
  }
  const { field } = destination;
  const isName = FIELD_NAMES.get(before.text) === field || before.text.endsWith('[]');
  if (!isName || destination.length !== wholeField(field).length) {
    return { kind: 'matchImmediate', destination, value: parseBits(after, destination) };
  }
  const value = parseValue(field, after, context);
  if (value === undefined || typeof value === 'object')
    throw new FlowTextError(after, 'should be one value, without a mask');
  return { kind: 'matchImmediate', destination, value };
}

function readLoad(piece: Piece): LearnSpec {
  const [from, to] = cutAt(piece, '->', 'load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[]');
  const destination = parseSubfield(to);
  const source = findSubfield(from);
  if (source === undefined)
    return { kind: 'loadImmediate', destination, value: parseBits(slice(from, 0), destination) };
  requireSameLength(piece, source.length, destination.length);
  return { kind: 'load', destination, source };
}

function requireSameLength(piece: Piece, source: number, destination: number): void {
  if (source === destination) return;
  throw new FlowTextError(
    piece,
    `the source has ${source} bits and the destination ${destination}: take as many of both`,
  );
}

export const LEARN: ActionRow<'learn'> = { instruction: 'apply', format: formatLearn, read: { learn: readLearn } };
