/**
 * `heddle plan OLD NEW`: the flow-mods that the controller would send if OLD were in force and NEW took its place. Offline, with
 * names for port numbers; what keeps its place keeps its ofport and its local VLAN, as on real hosts.
 */
import {
  type PlannedBridge,
  type PlannedFlowMod,
  type PlannedNumbered,
  planChange,
} from '../controller/plan-change.ts';
import { readTopologyFile } from '../controller/topology-file.ts';
import { formatTopologyError } from '../topology/error.ts';
import type { HeldValues, LoadedTopology } from '../topology/load.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { originText } from './flows.ts';
import { formatJson, paint, plural, type Style, type Terminal } from './output.ts';

export interface PlanOptions {
  readonly host?: string;
  readonly bridge?: string;
  readonly json?: boolean;
}

const STYLES: Readonly<Record<PlannedFlowMod['command'], Style>> = {
  add: 'green',
  modify_strict: 'yellow',
  delete_strict: 'red',
};

const NUMBERED_STYLES: Readonly<Record<PlannedNumbered['command'], Style>> = {
  add: 'green',
  modify: 'yellow',
  delete: 'red',
};
const NUMBERED_WORDS: Readonly<Record<PlannedNumbered['command'], string>> = {
  add: 'add',
  modify: 'mod',
  delete: 'del',
};

/** Exits 1 when something would change. */
export async function plan(
  before: string,
  after: string,
  options: PlanOptions,
  terminal: Terminal,
): Promise<ExitStatus> {
  const old = read(before, terminal);
  // What is derived for objects that stay is kept, as the controller keeps it.
  const next = old && read(after, terminal, old.derived);
  if (old === undefined || next === undefined) return EXIT.finding;
  const planned = planChange(old.topology, next.topology).filter(
    ({ host, bridge }) =>
      (options.host === undefined || options.host === host) &&
      (options.bridge === undefined || options.bridge === bridge),
  );
  if (options.json) terminal.out(formatJson(planned));
  else print(planned, terminal);
  return planned.length > 0 ? EXIT.finding : EXIT.success;
}

function read(file: string, terminal: Terminal, held?: HeldValues): LoadedTopology | undefined {
  const reading = readTopologyFile(file, held);
  if (!('errors' in reading)) return reading;
  for (const error of reading.errors) terminal.talk(`${formatTopologyError(error)}\n`);
  return undefined;
}

function print(planned: readonly PlannedBridge[], terminal: Terminal): void {
  for (const { host, bridge, counts, flowMods, numberedMods } of planned) {
    const flows = `# ${host} ${bridge}: ${counts.add} add, ${counts.modify} modify, ${counts.delete} delete`;
    const title = [flows, ...(['group', 'meter'] as const).flatMap((subject) => numberedTitle(numberedMods, subject))];
    terminal.out(`${paint(terminal, 'bold', title.join('; '))}\n`);
    // ovs-ofctl reads neither among flows: comments to it, in the words of its own commands.
    for (const { subject, command, text, was, origin } of numberedMods) {
      const why = paint(terminal, 'gray', `# ${originText(origin)}${was === undefined ? '' : `; was ${was}`}`);
      terminal.out(
        `# ${paint(terminal, NUMBERED_STYLES[command], `${NUMBERED_WORDS[command]}-${subject}`)} ${text}  ${why}\n`,
      );
    }
    for (const { command, text, was, origin } of flowMods) {
      const why = paint(terminal, 'gray', `# ${originText(origin)}${was === undefined ? '' : `; was ${was}`}`);
      terminal.out(`${paint(terminal, STYLES[command], command)} ${text}  ${why}\n`);
    }
  }
  const total = planned.reduce((sum, { flowMods }) => sum + flowMods.length, 0);
  const parts = [plural(total, 'flow-mod')];
  for (const subject of ['group', 'meter'] as const) {
    const count = planned.reduce((sum, { numberedMods }) => sum + ofSubject(numberedMods, subject).length, 0);
    if (count > 0) parts.push(plural(count, `${subject}-mod`));
  }
  terminal.talk(`${parts.join(', ')} on ${plural(planned.length, 'bridge')}\n`);
}

const ofSubject = (mods: readonly PlannedNumbered[], subject: PlannedNumbered['subject']): readonly PlannedNumbered[] =>
  mods.filter((one) => one.subject === subject);

/** `groups: 1 add, 0 modify, 2 delete`, where there are any. */
function numberedTitle(mods: readonly PlannedNumbered[], subject: PlannedNumbered['subject']): string[] {
  const ours = ofSubject(mods, subject);
  if (ours.length === 0) return [];
  const count = (command: PlannedNumbered['command']): string =>
    `${ours.filter((one) => one.command === command).length} ${command}`;
  return [`${subject}s: ${count('add')}, ${count('modify')}, ${count('delete')}`];
}
