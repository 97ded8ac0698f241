/** `heddle status`: what the running controller says of its hosts and bridges, as a table or as JSON. */
import { askControl, defaultControlPath } from '../controller/control-socket.ts';
import type { ControllerStatus, HostStatus } from '../controller/status.ts';
import { HeddleError } from '../lib/errors.ts';
import type { BridgeStatus } from '../switch/status.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, formatTable, paint, plural, type Terminal } from './output.ts';

export interface StatusOptions {
  readonly host?: string;
  readonly control?: string;
  readonly json?: boolean;
}

/** Exits 1 while something is waited for or refused, so that scripts can wait for it too. */
export async function status(options: StatusOptions, terminal: Terminal): Promise<ExitStatus> {
  const path = options.control ?? defaultControlPath(process.env, process.getuid?.() ?? 0);
  const answer = (await askControl(path, 'status')) as ControllerStatus;
  const hosts = answer.hosts.filter(({ name }) => options.host === undefined || name === options.host);
  if (options.host !== undefined && hosts.length === 0) {
    const known = answer.hosts.map(({ name }) => name).join(', ');
    throw new HeddleError('NO_HOST', `no host "${options.host}" in the topology; there are: ${known}`);
  }
  const shown = { ...answer, hosts };
  terminal.out(options.json ? formatJson(shown) : statusText(shown, terminal));
  return answer.converged && !isDegraded(answer) ? EXIT.success : EXIT.finding;
}

/** For people. */
export function statusText(answer: ControllerStatus, terminal: Terminal): string {
  const { converged, generation, topology, lastPass, process } = answer;
  const state = converged ? whole(answer, terminal) : paint(terminal, 'yellow', 'not converged');
  const pass = lastPass === undefined ? '' : `, last pass ${lastPass.ms.toFixed(1)} ms`;
  const memory = `${(process.memorySize / 2 ** 20).toFixed(0)} MiB`;
  const lines = [
    `${state}, generation ${generation}${pass}, up ${process.uptimeS} s, ${memory}, pid ${process.pid}`,
    `topology ${topology.file}, read ${topology.loadedAt}`,
    '',
  ];
  const rows = answer.hosts.flatMap((host) => hostRows(host, terminal));
  lines.push(
    formatTable(['HOST', 'OVSDB', 'BRIDGE', 'OPENFLOW', 'FLOWS', 'GENERATION', 'SENT', 'DRIFT', 'LAST PASS'], rows),
  );
  for (const wait of answer.waitingFor) lines.push(`${paint(terminal, 'yellow', 'waiting for')} ${wait}`);
  for (const warning of answer.warnings) lines.push(`${paint(terminal, 'red', 'warning')} ${warning}`);
  return `${lines.join('\n').trimEnd()}\n`;
}

/** A switch refuses flows: all others are in place. */
const isDegraded = ({ hosts }: ControllerStatus): boolean =>
  hosts.some(({ bridges }) => bridges.some(({ degraded }) => degraded));

function whole(answer: ControllerStatus, terminal: Terminal): string {
  return isDegraded(answer) ? paint(terminal, 'red', 'degraded') : paint(terminal, 'green', 'converged');
}

function hostRows(host: HostStatus, terminal: Terminal): string[][] {
  const phase = paint(terminal, host.ovsdbPhase === 'live' ? 'green' : 'red', host.ovsdbPhase);
  if (host.bridges.length === 0) return [[host.name, phase, '-']];
  return host.bridges.map((bridge, index) => [
    index === 0 ? host.name : '',
    index === 0 ? phase : '',
    ...bridgeCells(bridge, terminal),
  ]);
}

/** `follows`: another controller programs the bridge. */
function connectionText({ connected, follows }: BridgeStatus, terminal: Terminal): string {
  if (connected) return paint(terminal, 'green', 'up');
  return follows ? paint(terminal, 'yellow', 'follows') : paint(terminal, 'red', 'down');
}

function bridgeCells(bridge: BridgeStatus, terminal: Terminal): string[] {
  const { flowMods, drift } = bridge;
  const generation =
    bridge.generationConfirmed === bridge.generationWanted
      ? `${bridge.generationConfirmed}`
      : `${bridge.generationConfirmed} of ${bridge.generationWanted}`;
  const drifted = drift.foreign + drift.missing + drift.changed + drift.stale;
  const flows = plural(bridge.desiredFlowCount, 'flow');
  return [
    bridge.bridge,
    connectionText(bridge, terminal),
    bridge.degraded ? paint(terminal, 'red', `${flows}, ${bridge.refusedFlowCount} refused`) : flows,
    generation,
    `+${flowMods.add} ~${flowMods.modify} -${flowMods.delete}`,
    `${drifted}`,
    bridge.lastPassMs === undefined ? '-' : `${bridge.lastPassMs.toFixed(1)} ms`,
  ];
}
