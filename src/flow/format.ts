/**
 * Flows as text, as `ovs-ofctl -O OpenFlow13 dump-flows` prints them: the one text of heddle's dumps, golden files and log
 * lines. parse.ts reads it back.
 */
import type { Action } from './action.ts';
import type { ActionRow, FormatContext } from './action-row.ts';
import { ACTIONS } from './actions.ts';
import { FLOW_FLAGS, type Flow } from './flow.ts';
import { formatMatch } from './match-text.ts';
import type { TextOptions } from './values.ts';

export interface FlowTextOptions extends TextOptions {
  /** Leave the cookie out. Default: it is shown where it is not 0. */
  readonly hideCookie?: boolean;
}

/** What a switch counts for a flow, and the ages that Open vSwitch adds to it. */
export interface FlowCounters {
  readonly durationS: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly idleAgeS?: number;
  readonly hardAgeS?: number;
}

/** What a flow has that says no priority (ovs-ofctl(8)); it is not printed. */
export const DEFAULT_PRIORITY = 0x8000;

const FLAGS = Object.values(FLOW_FLAGS);

/**
 * One flow as a line of `dump-flows --no-stats`: `cookie=0x5, table=20, priority=2,dl_vlan=1 actions=output:2`. The match
 * has to be in normal form (match.ts).
 */
export function formatFlow(flow: Flow, options: FlowTextOptions = {}): string {
  const cookie = flow.cookie === 0n || options.hideCookie ? '' : `cookie=0x${flow.cookie.toString(16)}, `;
  const table = flow.table === 0 ? '' : `table=${flow.table}, `;
  return `${cookie}${table}${timeouts(flow)}${body(flow, options)}`;
}

/** One flow as a line of `dump-flows` with its statistics. */
export function formatFlowWithCounters(flow: Flow, counters: FlowCounters, options: FlowTextOptions = {}): string {
  const { durationS, packetCount, byteCount, idleAgeS, hardAgeS } = counters;
  const cookie = options.hideCookie ? '' : `cookie=0x${flow.cookie.toString(16)}, `;
  const counts = `n_packets=${packetCount}, n_bytes=${byteCount}, `;
  const idleAge = idleAgeS === undefined ? '' : `idle_age=${idleAgeS}, `;
  const hardAge = hardAgeS === undefined ? '' : `hard_age=${hardAgeS}, `;
  const start = `${cookie}duration=${formatDuration(durationS)}s, table=${flow.table}, ${counts}`;
  return `${start}${timeouts(flow)}${idleAge}${hardAge}${body(flow, options)}`;
}

/** Whole seconds plainly, others in milliseconds, which is what Open vSwitch counts. */
function formatDuration(seconds: number): string {
  const milliseconds = Math.round(seconds * 1000);
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}` : (milliseconds / 1000).toFixed(3);
}

function timeouts(flow: Flow): string {
  let text = '';
  if (flow.idleTimeoutS) text += `idle_timeout=${flow.idleTimeoutS}, `;
  if (flow.hardTimeoutS) text += `hard_timeout=${flow.hardTimeoutS}, `;
  const flags = flow.flags ?? 0;
  if (flags !== 0) for (const { bit, text: word } of FLAGS) if ((flags & bit) !== 0) text += `${word} `;
  return text;
}

function body(flow: Flow, options: TextOptions): string {
  const priority = flow.priority === DEFAULT_PRIORITY ? '' : `priority=${flow.priority}`;
  const match = formatMatch(flow.match, options);
  const comma = priority !== '' && match !== '' ? ',' : '';
  const space = priority === '' && match === '' ? '' : ' ';
  return `${priority}${comma}${match}${space}actions=${formatActions(flow.actions, options)}`;
}

/** Actions as after `actions=`; none at all is `drop`. */
export function formatActions(actions: readonly Action[], options: TextOptions = {}): string {
  if (actions.length === 0) return 'drop';
  const context: FormatContext = { ...options, formatActions };
  let text = '';
  for (const action of actions)
    text += text === '' ? formatAction(action, context) : `,${formatAction(action, context)}`;
  return text;
}

function formatAction<Type extends Action['type']>(
  action: Extract<Action, { type: Type }>,
  context: FormatContext,
): string {
  // The row of an action's type takes that action: what ACTIONS promises is lost on the way through the index.
  const row = ACTIONS[action.type] as unknown as ActionRow<Type>;
  return row.format(action as Parameters<typeof row.format>[0], context);
}

/** Order of a dump: by table, then highest priority first, then by text. */
export function formatFlows(flows: Iterable<Flow>, options: FlowTextOptions = {}): string[] {
  const lines = Array.from(flows, (flow) => ({ flow, text: formatFlow(flow, options) }));
  lines.sort((a, b) => {
    const [flowA, flowB] = [a.flow, b.flow];
    if (flowA.table !== flowB.table) return flowA.table - flowB.table;
    if (flowA.priority !== flowB.priority) return flowB.priority - flowA.priority;
    if (a.text === b.text) return 0;
    return a.text < b.text ? -1 : 1;
  });
  return lines.map((line) => line.text);
}
