/** What each action does to a packet on its way through one bridge. Serves walker.ts, which moves packets between bridges. */
import type { Action, ActionType } from '../../../src/flow/action.ts';
import { type Flow, PORT } from '../../../src/flow/flow.ts';
import type { Bucket, Group } from '../../../src/flow/group.ts';
import { VLAN_PRESENT } from '../../../src/flow/match.ts';
import type { Headers } from './headers.ts';
import { learnedFlow, portOf } from './learn.ts';
import { WalkError } from './model.ts';

/** What actions ask of the bridge that the packet is on. */
export interface Surroundings {
  /** Through a table, and whatever it leads to. */
  lookUp(context: Context, lookup: Lookup): void;
  /** Out of a port, IN_PORT, NORMAL and the like included. */
  output(context: Context, port: number): void;
  packetIn(context: Context, reason: number): void;
  learn(context: Context, flow: Flow): void;
  /** conntrack; what goes on in a table does so when all else is done. */
  track(context: Context, action: Action & { readonly type: 'ct' }): void;
  group(context: Context, id: number): Group | undefined;
  isAlive(context: Context, port: number): boolean;
}

export interface Lookup {
  readonly table: number;
  readonly depth: number;
  /** The port that the flow is looked up by; the packet's own is what it stays. */
  readonly inPort?: number;
}

/** A packet on a bridge. */
export interface Context {
  readonly around: Surroundings;
  headers: Headers;
  /** The table that is being looked up. */
  table: number;
  /** The flow that was found there is one for everything that nothing else matches. */
  isTableMiss: boolean;
  depth: number;
  /** Written actions, by type: done at the end, if nothing cleared them. */
  actionSet: Map<ActionType, Action>;
  /** `exit` was met. */
  hasExited: boolean;
}

export function perform(context: Context, actions: readonly Action[]): void {
  for (const action of actions) {
    if (context.hasExited) return;
    const handler = HANDLERS[action.type] as Handler<ActionType> | undefined;
    if (handler === undefined) throw new WalkError(`the walker does not know the action ${action.type}`);
    if (handler(context, action) === 'end') return;
  }
}

/** On a copy: nothing that happens to it comes back. */
function performOnCopy(context: Context, actions: readonly Action[]): void {
  perform({ ...context, headers: context.headers.clone(), actionSet: new Map() }, actions);
}

/** `end`: the rest of the list is not done. */
type Handler<Type extends ActionType> = (
  context: Context,
  action: Action & { readonly type: Type },
) => 'end' | undefined;

/** A handler that never ends the list. */
function always<Type extends ActionType>(
  handler: (context: Context, action: Action & { readonly type: Type }) => void,
): Handler<Type> {
  return (context, action) => {
    handler(context, action);
    return undefined;
  };
}

const nothing = always(() => {});
const OFPR_NO_MATCH = 0;
const OFPR_ACTION = 1;
const OFPR_INVALID_TTL = 2;

const HANDLERS: { readonly [Type in ActionType]?: Handler<Type> } = {
  output: always((context, { port }) => context.around.output(context, port)),
  outputReg: always((context, { source }) =>
    context.around.output(context, portOf(Number(context.headers.read(source)))),
  ),
  outputTrunc: always((context, { port }) => context.around.output(context, port)),
  group: always((context, { group }) => outputGroup(context, group)),
  // What a table's miss sends up has no other reason than that nothing matched (OpenFlow 1.3.5 §5.4).
  controller: always((context, { reason = OFPR_ACTION }) =>
    context.around.packetIn(context, context.isTableMiss && reason === OFPR_ACTION ? OFPR_NO_MATCH : reason),
  ),
  pushVlan: always(({ headers }) => void headers.tags.unshift(VLAN_PRESENT)),
  popVlan: always(({ headers }) => void headers.tags.shift()),
  setTtl: always(({ headers }, { ttl }) => headers.set('ipTtl', ttl)),
  decTtl: (context) => {
    const ttl = Number(context.headers.get('ipTtl'));
    if (ttl <= 1) {
      context.around.packetIn(context, OFPR_INVALID_TTL);
      return 'end';
    }
    context.headers.set('ipTtl', ttl - 1);
    return undefined;
  },
  setField: always(({ headers }, { field, value, mask }) => {
    if (mask === undefined) headers.set(field, value);
    else headers.setMasked(field, value, mask);
  }),
  load: always(({ headers }, { destination, value }) => headers.write(destination, value)),
  move: always(({ headers }, { source, destination }) => headers.write(destination, headers.read(source))),
  stackPush: always(({ headers }, { source }) => void headers.stack.push(headers.read(source))),
  stackPop: always(({ headers }, { destination }) => {
    const value = headers.stack.pop();
    if (value !== undefined) headers.write(destination, value);
  }),
  resubmit: always((context, { port, table = context.table }) => {
    const within = context.table;
    context.around.lookUp(context, {
      table,
      depth: context.depth + 1,
      ...(port === undefined ? {} : { inPort: port }),
    });
    context.table = within;
  }),
  learn: always((context, action) => context.around.learn(context, learnedFlow(action, context.headers))),
  ct: always((context, action) => context.around.track(context, action)),
  ctClear: always(({ headers }) => clearTracking(headers)),
  checkPktLarger: always(({ headers }, { length, destination }) =>
    headers.write(destination, sizeOf(headers) > length ? 1 : 0),
  ),
  clone: always((context, { actions }) => performOnCopy(context, actions)),
  exit: (context) => {
    context.hasExited = true;
    return 'end';
  },
  note: nothing,
  setQueue: nothing,
  meter: nothing,
  clearActions: always((context) => context.actionSet.clear()),
  writeActions: always((context, { actions }) => {
    for (const action of actions) context.actionSet.set(action.type, action);
  }),
  writeMetadata: always(({ headers }, { value, mask }) => {
    headers.setMasked('metadata', value, mask ?? 0xffff_ffff_ffff_ffffn);
  }),
  goto: (context, { table }) => {
    context.around.lookUp(context, { table, depth: context.depth });
    return 'end';
  },
};

/** On the wire, with all its tags. */
export function sizeOf({ size, tags }: Headers): number {
  return size + 4 * tags.length;
}

/** A packet is untracked again after ct, but where ct sent it. */
export function clearTracking(headers: Headers): void {
  for (const name of [
    'ctState',
    'ctZone',
    'ctMark',
    'ctNwSrc',
    'ctNwDst',
    'ctNwProto',
    'ctTpSrc',
    'ctTpDst',
  ] as const) {
    headers.set(name, 0);
  }
  for (const name of ['ctLabel', 'ctIpv6Src', 'ctIpv6Dst'] as const) headers.set(name, 0n);
}

function outputGroup(context: Context, id: number): void {
  const group = context.around.group(context, id);
  if (group === undefined) throw new WalkError(`there is no group ${id}`);
  for (const bucket of bucketsOf(context, group)) performOnCopy(context, bucket.actions);
}

function bucketsOf(context: Context, { groupType, buckets }: Group): readonly Bucket[] {
  switch (groupType) {
    case 'all':
      return buckets;
    case 'fastFailover':
      return buckets.filter((bucket) => isBucketAlive(context, bucket)).slice(0, 1);
    default:
      // Which bucket `select` takes is the switch's choice: the first is as good as any.
      return buckets.slice(0, 1);
  }
}

/** A bucket that watches a group lives while one of that group's buckets does (OpenFlow 1.3.5 §5.6.1). */
function isBucketAlive(context: Context, { watchPort, watchGroup }: Bucket): boolean {
  if (watchGroup === PORT.any) return context.around.isAlive(context, watchPort);
  return context.around.group(context, watchGroup)?.buckets.some((bucket) => isBucketAlive(context, bucket)) === true;
}

/** The order in which a written action set is done (OpenFlow 1.3.5 §5.10). */
const ACTION_SET_ORDER: readonly ActionType[] = [
  'popVlan',
  'pushVlan',
  'decTtl',
  'setField',
  'setQueue',
  'group',
  'output',
];

export function performActionSet(context: Context): void {
  const written = context.actionSet;
  if (written.size === 0) return;
  context.actionSet = new Map();
  const ordered = ACTION_SET_ORDER.filter((type) => !(type === 'output' && written.has('group')));
  perform(
    context,
    ordered.flatMap((type) => written.get(type) ?? []),
  );
}
