/**
 * `heddle diff`: what should be on a host's switches against what is there. With a file, heddle looks for itself: at the hosts'
 * OVSDBs for ofports and local VLANs, at the bridges' management sockets for flows; with --live the running controller does.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { BridgeDifference, DifferenceLine } from '../controller/bridge-difference.ts';
import { compareInstalled } from '../controller/bridge-difference.ts';
import { askControl, defaultControlPath } from '../controller/control-socket.ts';
import { dumpBridge } from '../controller/dump-bridge.ts';
import { examine } from '../controller/examine.ts';
import { managementDirectory } from '../controller/restore-wait.ts';
import { defaultStateDirectory, EMPTY_STATE, readState, type State, StateError } from '../controller/state-store.ts';
import { survey } from '../controller/survey.ts';
import type { SwitchView } from '../controller/switch-view.ts';
import { readTopologyFile } from '../controller/topology-file.ts';
import { bridgesOf } from '../controller/wanted.ts';
import { type FlowTextOptions, formatFlow } from '../flow/format.ts';
import { parseFlow } from '../flow/parse.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import { formatTopologyError } from '../topology/error.ts';
import type { Host, Topology } from '../topology/model.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { originText } from './flows.ts';
import { formatJson, paint, plural, type Style, type Terminal } from './output.ts';
import { readTls, type TlsOptions } from './tls.ts';

export interface DiffOptions extends TlsOptions {
  readonly live?: boolean;
  readonly host?: string;
  readonly bridge?: string;
  readonly watch?: boolean;
  /** Ports by name instead of number. */
  readonly names?: boolean;
  readonly state?: string;
  readonly control?: string;
  readonly json?: boolean;
}

/** Exits 1 when there is a difference. With --watch it goes on until it is interrupted, and the last look counts. */
export async function diff(file: string | undefined, options: DiffOptions, terminal: Terminal): Promise<ExitStatus> {
  const { host, live } = options;
  if ((file === undefined) === (live !== true) || host === undefined) {
    terminal.talk('heddle diff: give a FILE or --live, and --host HOST (heddle diff --help shows how)\n');
    return EXIT.usage;
  }
  const look = (): Promise<readonly BridgeDifference[] | undefined> =>
    file === undefined ? askLive(host, options) : lookAt(file, host, options, terminal);
  let shown = await look();
  if (shown === undefined) return EXIT.finding;
  show(shown, options, terminal);
  if (options.watch) shown = await watch(shown, look, options, terminal);
  return shown.some(({ lines }) => lines.length > 0) ? EXIT.finding : EXIT.success;
}

/** Look again and again, and show what there is whenever it is not what was shown last. */
async function watch(
  first: readonly BridgeDifference[],
  look: () => Promise<readonly BridgeDifference[] | undefined>,
  options: DiffOptions,
  terminal: Terminal,
): Promise<readonly BridgeDifference[]> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  let shown = first;
  let complaint = '';
  while (!interrupted.signal.aborted) {
    await delay(LIMITS.diffIntervalMs, undefined, { signal: interrupted.signal }).catch(() => undefined);
    if (interrupted.signal.aborted) break;
    try {
      const next = await look();
      complaint = '';
      if (next === undefined || linesKey(next) === linesKey(shown)) continue;
      shown = next;
      show(shown, options, terminal);
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      // A switch that is away now may be back at the next look.
      if (error.message !== complaint) terminal.talk(`heddle diff: ${error.message}\n`);
      complaint = error.message;
    }
  }
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  return shown;
}

const linesKey = (bridges: readonly BridgeDifference[]): string => JSON.stringify(bridges.map(({ lines }) => lines));

async function askLive(host: string, { bridge, control }: DiffOptions): Promise<readonly BridgeDifference[]> {
  const path = control ?? defaultControlPath(process.env, process.getuid?.() ?? 0);
  return (await askControl(path, 'diff', { host, bridge })) as readonly BridgeDifference[];
}

async function lookAt(
  file: string,
  hostName: string,
  options: DiffOptions,
  terminal: Terminal,
): Promise<readonly BridgeDifference[] | undefined> {
  const state = knownState(options, terminal);
  const reading = readTopologyFile(file, state.derived);
  if ('errors' in reading) {
    for (const error of reading.errors) terminal.talk(`${formatTopologyError(error)}\n`);
    return undefined;
  }
  const { topology } = reading;
  const host = findHost(topology, hostName);
  const bridges = chooseBridges(host, options.bridge);
  const directory = socketDirectory(host);
  const views = await lookAtAll(topology, host, options, terminal);
  const compiler = survey({ topology, views, state });
  const differences: BridgeDifference[] = [];
  for (const bridge of bridges) {
    const installed = await dumpBridge(`unix:${directory}/${bridge}.mgmt`);
    const ports = views.get(host.name)?.bridges.get(bridge)?.ports ?? new Map();
    differences.push({
      host: host.name,
      bridge,
      portNames: [...ports].flatMap(([name, { ofport }]) => (ofport === undefined ? [] : [[ofport, name] as const])),
      ...compareInstalled(compiler.book(host.name, bridge), installed, (origin) => compiler.locate(origin)),
    });
  }
  return differences;
}

/** What the controller remembers decides MACs and the places of ports; who may not read it compares without. */
function knownState(options: DiffOptions, terminal: Terminal): State {
  const directory = options.state ?? defaultStateDirectory(process.env, process.getuid?.() ?? 0);
  try {
    return readState(directory);
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    terminal.talk(`heddle diff: ${error.message}; compared without it\n`);
    return EMPTY_STATE;
  }
}

function findHost(topology: Topology, name: string): Host {
  const host = topology.hosts.get(name);
  if (host !== undefined) return host;
  const known = [...topology.hosts.keys()].join(', ');
  throw new HeddleError('NO_HOST', `no host "${name}" in the topology; there are: ${known}`);
}

function chooseBridges(host: Host, wanted: string | undefined): readonly string[] {
  const bridges = bridgesOf(host);
  if (wanted === undefined) return bridges;
  if (bridges.includes(wanted)) return [wanted];
  throw new HeddleError('NO_BRIDGE', `host ${host.name} has no bridge "${wanted}"; it has: ${bridges.join(', ')}`);
}

/** Where `BRIDGE.mgmt` are: the switch itself is asked, beside whatever controls it. */
function socketDirectory(host: Host): string {
  const directory = managementDirectory(host);
  if (directory !== undefined) return directory;
  throw new HeddleError(
    'NO_MGMT',
    `host ${host.name}: its bridges' management sockets are on another machine (ovsdb: ${host.ovsdb}); ` +
      'ask the controller with --live, or run this on the host with ovsdb: unix:… or mgmt_dir: DIR',
  );
}

/** Every host is looked at: where ports are decides what this host floods and tunnels to. */
async function lookAtAll(
  topology: Topology,
  host: Host,
  options: DiffOptions,
  terminal: Terminal,
): Promise<ReadonlyMap<string, SwitchView>> {
  const tls = readTls(options);
  const views = new Map<string, SwitchView>();
  await Promise.all(
    [...topology.hosts.values()].map(async (one) => {
      const examination = await examine(one, tls);
      if (examination.reached) views.set(one.name, examination.view);
      else if (one === host)
        throw new HeddleError('NO_OVSDB', `${one.name}: no OVSDB at ${one.ovsdb}: ${examination.reason}`);
      else
        terminal.talk(
          `heddle diff: ${one.name}: no OVSDB (${examination.reason}); its ports count as where the file puts them\n`,
        );
    }),
  );
  return views;
}

const STYLES: Readonly<Record<DifferenceLine['kind'], Style>> = {
  missing: 'red',
  foreign: 'yellow',
  different: 'cyan',
};

function show(bridges: readonly BridgeDifference[], options: DiffOptions, terminal: Terminal): void {
  if (options.json) {
    terminal.out(formatJson(bridges));
    return;
  }
  for (const one of bridges) {
    const { host, bridge, portNames, lines } = one;
    const counts = (['missing', 'foreign', 'different'] as const).map(
      (kind) => `${lines.filter((line) => line.kind === kind).length} ${kind}`,
    );
    const numbered = [
      ...(one.sameGroupCount > 0 ? [plural(one.sameGroupCount, 'group')] : []),
      ...(one.sameMeterCount > 0 ? [plural(one.sameMeterCount, 'meter')] : []),
    ];
    const same = [plural(one.sameCount, 'flow'), ...numbered].join(', ');
    const rest = `${same} as computed, ${one.learnedCount} learned`;
    terminal.out(`${paint(terminal, 'bold', `# ${host} ${bridge}: ${counts.join(', ')}; ${rest}`)}\n`);
    const format = options.names ? { portNames: new Map(portNames) } : undefined;
    for (const line of lines) for (const text of describe(line, format, terminal)) terminal.out(`${text}\n`);
  }
}

function describe(line: DifferenceLine, format: FlowTextOptions | undefined, terminal: Terminal): string[] {
  const { subject, kind, computed, installed, origin, wasOurs } = line;
  const word = paint(terminal, STYLES[kind], kind.padEnd(9));
  const isRenamed = format !== undefined && subject === 'flow';
  const text = (flow: string): string => (isRenamed ? renamed(flow, format) : flow);
  const comment = paint(
    terminal,
    'gray',
    `# ${origin === undefined ? foreignText(subject, wasOurs) : originText(origin)}`,
  );
  if (kind === 'different') {
    return [`${word} ${text(computed ?? '')}  ${comment}`, `${'installed'} ${text(installed ?? '')}`];
  }
  return [`${word} ${text(computed ?? installed ?? '')}  ${comment}`];
}

/** Groups and meters have no cookie that would tell whose they are. */
function foreignText(subject: DifferenceLine['subject'], wasOurs = false): string {
  if (subject !== 'flow') return 'not computed';
  return wasOurs ? "was heddle's, is not computed any more" : "not heddle's";
}

function renamed(text: string, format: FlowTextOptions): string {
  return text.includes('(what heddle does not know') ? text : formatFlow(parseFlow(text), format);
}
