/** The flow that a learn action adds (ovs-actions(7), learn). */
import type { Action, LearnSpec } from '../../../src/flow/action.ts';
import { FIELDS, type FieldName, type FieldValue, isWide } from '../../../src/flow/fields.ts';
import { type Flow, type Masked, type Match, PORT } from '../../../src/flow/flow.ts';
import type { Headers } from './headers.ts';

type LearnAction = Action & { readonly type: 'learn' };

export function learnedFlow(learn: LearnAction, headers: Headers): Flow {
  const match: { [Name in FieldName]?: FieldValue | Masked } = {};
  const actions: Action[] = [];
  for (const spec of learn.specs) {
    if (spec.kind === 'match' || spec.kind === 'matchImmediate') addMatch(match, spec, headers);
    else actions.push(learnedAction(spec, headers));
  }
  const { table, priority, cookie = 0n } = learn;
  return { table, priority, cookie, match: match as Match, actions };
}

type MatchSpec = LearnSpec & { readonly kind: 'match' | 'matchImmediate' };

function addMatch(match: { [Name in FieldName]?: FieldValue | Masked }, spec: MatchSpec, headers: Headers): void {
  const { field, start, length } = spec.destination;
  const bits = BigInt(spec.kind === 'match' ? headers.read(spec.source) : spec.value);
  const value = bits << BigInt(start);
  const mask = ((1n << BigInt(length)) - 1n) << BigInt(start);
  match[field] = isWide(FIELDS[field]) ? { value, mask } : { value: Number(value), mask: Number(mask) };
}

function learnedAction(spec: Exclude<LearnSpec, MatchSpec>, headers: Headers): Action {
  switch (spec.kind) {
    case 'output':
      return { type: 'output', port: portOf(Number(headers.read(spec.source))) };
    case 'load':
      return { type: 'load', destination: spec.destination, value: headers.read(spec.source) };
    default:
      return { type: 'load', destination: spec.destination, value: spec.value };
  }
}

/** A port out of a register or out of in_port, which has 16 bits. */
export function portOf(bits: number): number {
  return bits >= 0xfff8 && bits <= 0xffff ? bits + (PORT.inPort - 0xfff8) : bits;
}
