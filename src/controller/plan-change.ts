/**
 * The flow-mods that one topology taking another's place would cause, computed without a switch. Serves `heddle plan`; pure. The
 * same compiler lives through both, so the answer is what the controller would send, but for made-up ofports and VLANs.
 */
import { flowKey } from '../compiler/book.ts';
import { type BridgeChange, Compiler, type DesiredFlow, type Origin } from '../compiler/compiler.ts';
import { OfflineSite } from '../compiler/offline.ts';
import type { Flow } from '../flow/flow.ts';
import { type FlowTextOptions, formatFlow } from '../flow/format.ts';
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

export interface PlannedBridge {
  readonly host: string;
  readonly bridge: string;
  readonly counts: { readonly add: number; readonly modify: number; readonly delete: number };
  /** By command, table, priority. */
  readonly flowMods: readonly PlannedFlowMod[];
}

/**
 * By host and bridge. Bridges on which nothing changes are left out, and so are hosts that leave: heddle lets go of those and
 * leaves their flows. Throws LocalVlanError.
 */
export function planChange(before: Topology, after: Topology): readonly PlannedBridge[] {
  const site = new OfflineSite();
  const oldMacs = allocateHostMacs(before.hosts.values(), new Map(), before.settings.dvrBaseMac);
  site.take(before, { hostMacs: oldMacs });
  const held = new Map<string, ReadonlyMap<string, DesiredFlow>>(
    [...site.compiler.books()].map((book) => [`${book.host} ${book.bridge}`, byKey(book.flows())]),
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
    const flowMods = planBridge(request, {
      locate: (origin) => site.compiler.locate(origin),
      locateOld: (origin) => oldFile.locate(origin),
    });
    if (flowMods.length === 0) continue;
    planned.push({ host: change.host, bridge: change.bridge, counts: countsOf(flowMods), flowMods });
  }
  return planned.sort((left, right) => compareText(left.host, right.host) || compareText(left.bridge, right.bridge));
}

interface BridgeRequest {
  readonly change: BridgeChange;
  /** The flows before. */
  readonly held: ReadonlyMap<string, DesiredFlow> | undefined;
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
    const was = held?.get(flowKey(flow));
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

function byKey(flows: Iterable<DesiredFlow>): ReadonlyMap<string, DesiredFlow> {
  return new Map(Array.from(flows, (desired) => [flowKey(desired.flow), desired]));
}

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);
