/**
 * `heddle flows`: what should be on the switches. From a file alone (ports by name, local VLANs counted up), or with --live as
 * the running controller holds it. The text is ovs-ofctl's, so that diff and grep work across both.
 */

import type { DesiredFlow, Origin } from '../compiler/compiler.ts';
import { compileOffline } from '../compiler/offline.ts';
import { askControl, defaultControlPath } from '../controller/control-socket.ts';
import { allocateHostMacs } from '../controller/host-macs.ts';
import type { LiveBridge } from '../controller/live-flows.ts';
import { readTopologyFile } from '../controller/topology-file.ts';
import { type FlowTextOptions, formatFlow } from '../flow/format.ts';
import { parseFlow } from '../flow/parse.ts';
import { HeddleError } from '../lib/errors.ts';
import { formatTopologyError } from '../topology/error.ts';
import type { Topology } from '../topology/model.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, paint, plural, type Terminal } from './output.ts';

export interface FlowsOptions {
  readonly live?: boolean;
  readonly host?: string;
  readonly bridge?: string;
  readonly table?: string;
  readonly object?: string;
  /** undefined: names without a switch, numbers with one. */
  readonly names?: boolean;
  readonly explain?: boolean;
  readonly ofctl?: boolean;
  readonly control?: string;
  readonly json?: boolean;
}

/** The flows of one bridge, wherever they come from. */
interface BridgeFlows {
  readonly host: string;
  readonly bridge: string;
  readonly portNames: ReadonlyMap<number, string>;
  readonly flows: readonly DesiredFlow[];
}

export async function flows(file: string | undefined, options: FlowsOptions, terminal: Terminal): Promise<ExitStatus> {
  if ((file === undefined) === (options.live !== true)) {
    terminal.talk('heddle flows: give a FILE, or --live --host HOST (heddle flows --help shows how)\n');
    return EXIT.usage;
  }
  if (options.live && options.host === undefined) {
    terminal.talk('heddle flows: --live needs --host HOST\n');
    return EXIT.usage;
  }
  const table = options.table === undefined ? undefined : Number(options.table);
  if (table !== undefined && !(Number.isInteger(table) && table >= 0 && table <= 254)) {
    terminal.talk(`heddle flows: --table ${options.table}: tables have numbers from 0 to 254\n`);
    return EXIT.usage;
  }
  const bridges = file === undefined ? await askLive(options) : compileFile(file, options, terminal);
  if (bridges === undefined) return EXIT.finding;
  if (options.ofctl && bridges.length > 1) {
    const names = bridges.map(({ host, bridge }) => `${host} ${bridge}`).join(', ');
    terminal.talk(`heddle flows: --ofctl writes a file for one bridge: give --host and --bridge, of ${names}\n`);
    return EXIT.usage;
  }
  const chosen = bridges.map((bridge) => choose(bridge, table, options.object));
  if (options.object !== undefined && chosen.every((bridge) => bridge.flows.length === 0)) {
    throw new HeddleError(
      'NO_OBJECT',
      `no flow here comes of "${options.object}": give the id of a network, port or host; --explain shows what flows come of`,
    );
  }
  if (options.json) terminal.out(formatJson(chosen.map((bridge) => bridgeJson(bridge, textOptions(bridge, options)))));
  else print(chosen, options, terminal);
  return EXIT.success;
}

async function askLive({ host, bridge, control }: FlowsOptions): Promise<readonly BridgeFlows[]> {
  const path = control ?? defaultControlPath(process.env, process.getuid?.() ?? 0);
  const answer = (await askControl(path, 'flows', { host, bridge })) as readonly LiveBridge[];
  return answer.map((live) => ({
    host: live.host,
    bridge: live.bridge,
    portNames: new Map(live.portNames),
    flows: live.flows.map(({ text, origin }) => ({ flow: parseFlow(text), origin })),
  }));
}

function compileFile(file: string, options: FlowsOptions, terminal: Terminal): readonly BridgeFlows[] | undefined {
  const reading = readTopologyFile(file);
  if ('errors' in reading) {
    for (const error of reading.errors) terminal.talk(`${formatTopologyError(error)}\n`);
    return undefined;
  }
  const { topology } = reading;
  checkChoice(topology, options);
  const hostMacs = allocateHostMacs(topology.hosts.values(), new Map(), topology.settings.dvrBaseMac);
  const { bridges, compiler } = compileOffline(topology, { hostMacs, ...(options.host && { host: options.host }) });
  return bridges
    .filter(({ bridge }) => options.bridge === undefined || bridge === options.bridge)
    .map(({ host, bridge, book, portNames }) => ({
      host,
      bridge,
      portNames,
      flows: [...book.flows()].map(({ flow, origin }) => ({ flow, origin: compiler.locate(origin) })),
    }));
}

function checkChoice(topology: Topology, { host, bridge }: FlowsOptions): void {
  if (host !== undefined && !topology.hosts.has(host)) {
    const known = [...topology.hosts.keys()].join(', ');
    throw new HeddleError('NO_HOST', `no host "${host}" in the topology; there are: ${known}`);
  }
  const bridges = new Set<string>();
  for (const { bridges: own, bridgeMappings } of topology.hosts.values()) {
    for (const name of [own.integration, own.tunnel, ...bridgeMappings.values()]) bridges.add(name);
  }
  if (bridge !== undefined && !bridges.has(bridge)) {
    throw new HeddleError(
      'NO_BRIDGE',
      `no host has a bridge "${bridge}"; there are: ${[...bridges].sort().join(', ')}`,
    );
  }
}

function choose(bridge: BridgeFlows, table: number | undefined, object: string | undefined): BridgeFlows {
  const isChosen = ({ flow, origin }: DesiredFlow): boolean =>
    (table === undefined || flow.table === table) && (object === undefined || isOf(origin, object));
  return { ...bridge, flows: bridge.flows.filter(isChosen) };
}

/** `port blue1` is of `blue1`, and of `port blue1`. */
const isOf = (origin: Origin, object: string): boolean =>
  origin.object === object || origin.object.slice(origin.object.indexOf(' ') + 1) === object;

function textOptions({ portNames }: BridgeFlows, { names, live }: FlowsOptions): FlowTextOptions {
  return (names ?? !live) ? { portNames } : {};
}

function print(bridges: readonly BridgeFlows[], options: FlowsOptions, terminal: Terminal): void {
  const isFiltered = options.object !== undefined || options.table !== undefined;
  const shown = bridges.filter((bridge) => bridge.flows.length > 0 || !isFiltered);
  for (const [index, bridge] of shown.entries()) {
    const title = `${bridge.host} ${bridge.bridge}: ${plural(bridge.flows.length, 'flow')}`;
    // In a file for ovs-ofctl a title is a comment; there is no order to keep, so it is the order of a dump.
    if (bridges.length > 1 || options.ofctl) {
      terminal.out(`${index > 0 ? '\n' : ''}${paint(terminal, 'bold', `# ${title}`)}\n`);
    }
    for (const { text, origin } of sortedLines(bridge, options)) {
      if (options.explain) terminal.out(`${paint(terminal, 'gray', `# ${originText(origin)}`)}\n`);
      terminal.out(`${text}\n`);
    }
  }
}

function sortedLines(
  bridge: BridgeFlows,
  options: FlowsOptions,
): readonly { readonly text: string; readonly origin: Origin }[] {
  const format = textOptions(bridge, options);
  // In the order of a dump; the cookie stands first in a line, but says nothing that one would look for.
  return bridge.flows
    .map(({ flow, origin }) => ({ flow, origin, key: formatFlow(flow, { ...format, hideCookie: true }) }))
    .sort((a, b) => a.flow.table - b.flow.table || b.flow.priority - a.flow.priority || (a.key < b.key ? -1 : 1))
    .map(({ flow, origin }) => ({ text: formatFlow(flow, format), origin }));
}

/** `fdb of port blue2 (ports[1], line 31)` */
export function originText({ rule, object, path, line }: Origin): string {
  return `${rule} of ${object}${path === undefined ? '' : ` (${path}, line ${line})`}`;
}

function bridgeJson({ host, bridge, flows: desired }: BridgeFlows, format: FlowTextOptions): unknown {
  const lines = desired.map(({ flow, origin }) => ({
    table: flow.table,
    priority: flow.priority,
    text: formatFlow(flow, format),
    origin,
  }));
  return { host, bridge, flows: lines };
}
