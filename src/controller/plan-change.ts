/**
 * The flow-mods that one topology taking another's place would cause, computed without a switch. Serves `heddle plan`; pure. The
 * same compiler lives through both, so the answer is what the controller would send, but for made-up ofports and VLANs.
 */
import { type DesiredGroup, type DesiredMeter, flowKey } from '../compiler/book.ts';
import { type BridgeBook, type BridgeChange, Compiler, type DesiredFlow, type Origin } from '../compiler/compiler.ts';
import { OfflineSite } from '../compiler/offline.ts';
import type { Flow } from '../flow/flow.ts';
import { type FlowTextOptions, formatFlow } from '../flow/format.ts';
import { formatGroup, formatMeter } from '../flow/format-group.ts';
import type { Topology } from '../topology/model.ts';
import { allocateHostMacs } from './host-macs.ts';
import { bridgesOf } from './wanted.ts';

/** One flow-mod: a line of a file that `ovs-ofctl --names add-flows` reads. */
export interface PlannedFlowMod {
  readonly command: 'add' | 'modify_strict' | 'delete_strict';
  /** With ports by name; for `delete_strict` without actions. */
  readonly text: string;
  /** For `modify_strict`: what is replaced. */
  readonly was?: string;
  readonly origin: Origin;
}

/** A group or a meter that comes, changes or goes; port numbers by name. */
export interface PlannedNumbered {
  readonly subject: 'group' | 'meter';
  readonly command: 'add' | 'modify' | 'delete';
  /** As `ovs-ofctl dump-groups` and `dump-meters` print it, on one line. */
  readonly text: string;
  /** For `modify`: what is replaced. */
  readonly was?: string;
  readonly origin: Origin;
}

export interface PlannedBridge {
  readonly host: string;
  readonly bridge: string;
  readonly counts: { readonly add: number; readonly modify: number; readonly delete: number };
  /** By command, table, priority. */
  readonly flowMods: readonly PlannedFlowMod[];
  /** Meters, then groups, by number; what is added is there before the flows that name it, what goes, goes after them. */
  readonly numberedMods: readonly PlannedNumbered[];
}

/**
 * By host and bridge. Bridges on which nothing changes are left out, and so are hosts that leave: heddle lets go of those and
 * leaves their flows. Throws LocalVlanError.
 */
export function planChange(before: Topology, after: Topology): readonly PlannedBridge[] {
  const site = new OfflineSite();
  const oldMacs = allocateHostMacs(before.hosts.values(), new Map(), before.settings.dvrBaseMac);
  site.take(before, { hostMacs: oldMacs });
  const held = new Map<string, HeldBridge>(
    [...site.compiler.books()].map((book) => [`${book.host} ${book.bridge}`, hold(book)]),
  );
  const newMacs = allocateHostMacs(after.hosts.values(), oldMacs, after.settings.dvrBaseMac);
  const changes = site.take(after, { hostMacs: newMacs });
  // Places in the old file: the site's compiler knows the new one's alone.
  const oldFile = new Compiler();
  oldFile.setTopology(before);
  const portNames = new Map<string, ReadonlyMap<number, string>>(
    site.bridges.map((one) => [`${one.host} ${one.bridge}`, one.portNames]),
  );
  const planned: PlannedBridge[] = [];
  for (const change of changes) {
    const host = after.hosts.get(change.host);
    if (host === undefined || !bridgesOf(host).includes(change.bridge)) continue;
    const key = `${change.host} ${change.bridge}`;
    const names = portNames.get(key);
    const request = { change, held: held.get(key), format: names === undefined ? {} : { portNames: names } };
    const places: Places = {
      locate: (origin) => site.compiler.locate(origin),
      locateOld: (origin) => oldFile.locate(origin),
    };
    const flowMods = planBridge(request, places);
    const numberedMods = planNumbered(request, places);
    if (flowMods.length === 0 && numberedMods.length === 0) continue;
    planned.push({ host: change.host, bridge: change.bridge, counts: countsOf(flowMods), flowMods, numberedMods });
  }
  return planned.sort((left, right) => compareText(left.host, right.host) || compareText(left.bridge, right.bridge));
}

/** What a bridge held before. */
interface HeldBridge {
  readonly flows: ReadonlyMap<string, DesiredFlow>;
  readonly groups: ReadonlyMap<number, DesiredGroup>;
  readonly meters: ReadonlyMap<number, DesiredMeter>;
}

interface BridgeRequest {
  readonly change: BridgeChange;
  readonly held: HeldBridge | undefined;
  readonly format: FlowTextOptions;
}

interface Places {
  readonly locate: (origin: Origin) => Origin;
  readonly locateOld: (origin: Origin) => Origin;
}

function planBridge({ change, held, format }: BridgeRequest, { locate, locateOld }: Places): readonly PlannedFlowMod[] {
  const inOrder = (flows: readonly DesiredFlow[]): DesiredFlow[] =>
    [...flows].sort(
      ({ flow: left }, { flow: right }) =>
        left.table - right.table ||
        right.priority - left.priority ||
        compareText(formatFlow(left, format), formatFlow(right, format)),
    );
  const added: PlannedFlowMod[] = [];
  const modified: PlannedFlowMod[] = [];
  for (const { flow, origin } of inOrder(change.put)) {
    const was = held?.flows.get(flowKey(flow));
    const what = { text: formatFlow(flow, format), origin: locate(origin) };
    if (was === undefined) added.push({ command: 'add', ...what });
    else modified.push({ command: 'modify_strict', ...what, was: formatFlow(was.flow, format) });
  }
  const deleted = inOrder(change.remove).map(
    ({ flow, origin }): PlannedFlowMod => ({
      command: 'delete_strict',
      text: identityText(flow, format),
      origin: locateOld(origin),
    }),
  );
  return [...added, ...modified, ...deleted];
}

function planNumbered({ change, held, format }: BridgeRequest, { locate, locateOld }: Places): PlannedNumbered[] {
  const textOf = (one: DesiredGroup | DesiredMeter): string =>
    'group' in one ? formatGroup(one.group, format) : formatMeter(one.meter);
  const numberOf = (one: DesiredGroup | DesiredMeter): number => ('group' in one ? one.group.group : one.meter.meter);
  return NUMBERED.flatMap(({ subject, put, remove, before }) => {
    const puts = (change[put] ?? []).map((desired): PlannedNumbered & { readonly number: number } => {
      const number = numberOf(desired);
      const was = held?.[before].get(number);
      const what = { subject, number, text: textOf(desired), origin: locate(desired.origin) };
      return was === undefined ? { ...what, command: 'add' } : { ...what, command: 'modify', was: textOf(was) };
    });
    const removed = (change[remove] ?? []).map((desired): PlannedNumbered & { readonly number: number } => {
      const origin = locateOld(desired.origin);
      return { subject, number: numberOf(desired), command: 'delete', text: textOf(desired), origin };
    });
    const inOrder = [...puts, ...removed].sort((left, right) => left.number - right.number);
    return inOrder.map(({ number: _number, ...planned }) => planned);
  });
}

/** Where a change and a held bridge have meters, and where groups. */
const NUMBERED = [
  { subject: 'meter', put: 'putMeters', remove: 'removeMeters', before: 'meters' },
  { subject: 'group', put: 'putGroups', remove: 'removeGroups', before: 'groups' },
] as const;

/** Table, priority and match: all that a strict delete looks at. */
function identityText({ table, priority, match }: Flow, format: FlowTextOptions): string {
  const text = formatFlow({ table, priority, match, cookie: 0n, actions: [] }, format);
  return text.replace(/ ?actions=drop$/, '');
}

function countsOf(flowMods: readonly PlannedFlowMod[]): PlannedBridge['counts'] {
  const count = (command: PlannedFlowMod['command']): number =>
    flowMods.filter((flowMod) => flowMod.command === command).length;
  return { add: count('add'), modify: count('modify_strict'), delete: count('delete_strict') };
}

function hold(book: BridgeBook): HeldBridge {
  return {
    flows: new Map(Array.from(book.flows(), (desired) => [flowKey(desired.flow), desired])),
    groups: new Map(Array.from(book.groups(), (desired) => [desired.group.group, desired])),
    meters: new Map(Array.from(book.meters(), (desired) => [desired.meter.meter, desired])),
  };
}

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);
