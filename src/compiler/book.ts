/**
 * The book: every flow that should exist, by bridge, and why. Owners (compiler/engine.ts) write it, switch/ compares switches
 * with it, the command line prints it.
 *
 * A bridge's book is keyed by what OpenFlow takes for identity (table, priority, match). Owners that render the same flow share
 * it; owners that render unequal flows under one key are a conflict: a fixed order decides which is installed, and both are named.
 */
import type { Action } from '../flow/action.ts';
import type { FieldName, FieldValue } from '../flow/fields.ts';
import type { Flow, Masked, Match } from '../flow/flow.ts';

/** Why a flow exists: the rule that made it and the topology object it was made for. */
export interface Origin {
  readonly rule: string;
  /** Kind and id: `port blue2`, `network blue`, `host node1`. */
  readonly object: string;
  /** Where the topology file says so, when it does: `ports[3]`. */
  readonly path?: string;
  readonly line?: number;
}

export interface DesiredFlow {
  readonly flow: Flow;
  readonly origin: Origin;
}

/**
 * What one pass changed on one bridge. `put` are flows to add or to replace in place, `remove` are flows as they were. Groups
 * and meters will stand beside the flows: added before them, removed after them.
 */
export interface BridgeChange {
  readonly host: string;
  readonly bridge: string;
  readonly put: readonly DesiredFlow[];
  readonly remove: readonly DesiredFlow[];
}

/** Two rules that want unequal flows under one key. `installed` is the one that the fixed order chose. */
export interface Conflict {
  readonly host: string;
  readonly bridge: string;
  readonly installed: DesiredFlow;
  readonly refused: readonly DesiredFlow[];
}

/** What identifies a flow on a bridge (OpenFlow 1.3.5 §6.4, strict). */
export type FlowIdentity = Pick<Flow, 'table' | 'priority' | 'match'>;

/** The desired flows of one bridge, for readers. */
export interface BridgeBook {
  readonly host: string;
  readonly bridge: string;
  /** Number of flows. */
  readonly size: number;
  /** Every desired flow once, in no particular order. */
  flows(): IterableIterator<DesiredFlow>;
  /** The desired flow with this table, priority and match. */
  find(identity: FlowIdentity): DesiredFlow | undefined;
}

/** Table, priority and match as one string: equal for equal flows, whatever the order of their fields. */
export function flowKey(flow: FlowIdentity): string {
  return `${flow.table},${flow.priority}${matchKey(flow.match)}`;
}

function matchKey(match: Match): string {
  const names = Object.keys(match) as FieldName[];
  if (names.length > 1) names.sort();
  let key = '';
  for (const name of names) {
    const value = match[name];
    if (value !== undefined) key += `,${name}=${isMasked(value) ? `${value.value}/${value.mask}` : value}`;
  }
  return key;
}

function isMasked(value: FieldValue | Masked): value is Masked {
  return typeof value === 'object';
}

/** Equal in what the switch does: actions, timeouts and flags. The cookie is not compared. */
export function sameBehaviour(left: Flow, right: Flow): boolean {
  return left === right || behaviourKey(left) === behaviourKey(right);
}

/** Actions, timeouts and flags as one string. */
export function behaviourKey(flow: Flow): string {
  const extras = [flow.idleTimeoutS ?? 0, flow.hardTimeoutS ?? 0, flow.flags ?? 0];
  return `${extras.join(',')};${flow.actions.map(actionKey).join(';')}`;
}

function actionKey(action: Action): string {
  return JSON.stringify(action, jsonValue);
}

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)));
}
