/**
 * What `heddle status` tells: hosts, bridges, connections, generations, flows, the last pass, and in words what is still waited
 * for. Read from the controller at the moment of asking; also the shape of `heddle status --json`, which scripts read.
 */
import { LIMITS } from '../lib/limits.ts';
import type { BridgeStatus } from '../switch/status.ts';
import type { Controller } from './controller.ts';
import type { HostAgent } from './host-agent.ts';
import type { PassFigures } from './pass-figures.ts';
import { managementDirectory, waitsForFlows } from './restore-wait.ts';
import { bridgesOf } from './wanted.ts';

export interface ControllerStatus {
  /** Nothing is waited for: every switch is what the topology says. */
  readonly converged: boolean;
  /** What is waited for, in words. */
  readonly waitingFor: readonly string[];
  readonly warnings: readonly string[];
  /** Counts the changes of what should be, since this controller started. */
  readonly generation: number;
  readonly topology: TopologyStatus;
  readonly lastPass: PassFigures | undefined;
  readonly process: ProcessStatus;
  readonly hosts: readonly HostStatus[];
}

export interface TopologyStatus {
  readonly file: string;
  readonly loadedAt: string;
  /** Of the last reading, when it did not validate: the topology before it is in force. */
  readonly errors: readonly string[];
}

export interface ProcessStatus {
  readonly pid: number;
  readonly uptimeS: number;
  /** Resident memory. */
  readonly memorySize: number;
}

export interface HostStatus {
  readonly name: string;
  readonly ovsdb: string;
  /** live, connecting, backoff ... */
  readonly ovsdbPhase: string;
  readonly ovsdbError: string | undefined;
  readonly ovsVersion: string | undefined;
  readonly localVlans: Readonly<Record<string, number>>;
  readonly ovsdbWrites: {
    readonly sessions: number;
    readonly transactions: number;
    readonly writes: number;
    readonly failures: number;
  };
  readonly bridges: readonly BridgeStatus[];
}

export function readStatus(controller: Controller, topology: TopologyStatus): ControllerStatus {
  const agents = [...controller.agents.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const waitingFor = agents.flatMap((agent) => waits(agent));
  if (controller.isPassing) waitingFor.unshift('the pass that is under way');
  if (!controller.isStarted) waitingFor.unshift('the first answer of every host');
  return {
    converged: waitingFor.length === 0,
    waitingFor,
    warnings: [...warnings(controller, topology), ...agents.flatMap(hostWarnings)],
    generation: controller.generation,
    topology,
    lastPass: controller.lastPass,
    process: { pid: process.pid, uptimeS: Math.round(process.uptime()), memorySize: process.memoryUsage.rss() },
    hosts: agents.map(readHost),
  };
}

function readHost(agent: HostAgent): HostStatus {
  const { host, ovsdb } = agent;
  return {
    name: agent.name,
    ovsdb: host.ovsdb,
    ovsdbPhase: ovsdb.phase,
    ovsdbError: agent.isLive ? undefined : ovsdb.error?.message,
    ovsVersion: agent.view?.root?.ovs_version,
    localVlans: Object.fromEntries([...agent.localVlans].sort()),
    ovsdbWrites: { ...agent.counts },
    bridges: bridgesOf(host).flatMap((name) => agent.installers.get(name)?.status() ?? []),
  };
}

function waits(agent: HostAgent): string[] {
  const { name, host, view } = agent;
  if (view === undefined)
    return [`${name}: its OVSDB at ${host.ovsdb} (${agent.ovsdb.error?.message ?? 'no answer yet'})`];
  if (!agent.isLive)
    return [`${name}: its OVSDB at ${host.ovsdb} to come back (${agent.ovsdb.error?.message ?? 'lost'})`];
  if (!agent.isWritten || agent.isWriting)
    return [`${name}: its OVSDB to be written (${agent.lastFailure ?? 'under way'})`];
  const waiting = bridgesOf(host).flatMap((bridge) => {
    if (!view.bridges.has(bridge)) return [`${name}: somebody to create bridge ${bridge} (bridge_mappings)`];
    const status = agent.installers.get(bridge)?.status();
    if (status?.follows === true) return [];
    if (status?.connected !== true) return [`${name}: bridge ${bridge} to connect`];
    const isConfirmed = status.passCount > 0 && status.generationConfirmed === status.generationWanted;
    return isConfirmed ? [] : [`${name}: bridge ${bridge} to confirm generation ${status.generationWanted}`];
  });
  if (waitsForFlows(view)) waiting.push(`${name}: flow-restore-wait to end, once every bridge has its flows`);
  return waiting;
}

function warnings(controller: Controller, topology: TopologyStatus): string[] {
  const found: string[] = [];
  const { length: errorCount } = topology.errors;
  if (errorCount > 0) {
    const errors = errorCount === 1 ? '1 error' : `${errorCount} errors`;
    found.push(
      `${topology.file} was not taken (${errors}, see the log or heddle check); the one before it is in force`,
    );
  }
  const { stateFailure } = controller;
  if (stateFailure !== undefined)
    found.push(`${stateFailure}; what is not written there is lost when heddle ends, and is tried again until then`);
  found.push(...controller.compiler.warnings());
  const { conflictCount } = controller;
  if (conflictCount > 0) {
    const flows = conflictCount === 1 ? '1 flow' : `${conflictCount} flows`;
    found.push(`two rules want different flows in one place: ${flows} not installed (the log names the rules)`);
  }
  for (const { peer, dpid } of controller.strangers.slice(0, LIMITS.namedFlows)) {
    const id = dpid.toString(16).padStart(16, '0');
    found.push(`a bridge with datapath id ${id} is connected from ${peer} and belongs to no host of the topology`);
  }
  return found;
}

function hostWarnings(agent: HostAgent): string[] {
  const found: string[] = [];
  if (waitsForFlows(agent.view) && managementDirectory(agent.host) === undefined) {
    found.push(
      `${agent.name}: its switch refuses controllers until flow-restore-wait is removed, and its management sockets are on ` +
        'another machine; there: ovs-vsctl remove Open_vSwitch . other_config flow-restore-wait',
    );
  }
  for (const [bridge, installer] of agent.installers) {
    const { refusedFlowCount, refusedFlows } = installer.status();
    const [first] = refusedFlows;
    if (first === undefined) continue;
    found.push(
      `${agent.name} ${bridge}: ${refusedFlowCount} flows refused, the first of ${first.object} (${first.rule}): ${first.error}`,
    );
  }
  for (const [name, { ports }] of agent.view?.bridges ?? []) {
    for (const { interfaces, port } of ports.values()) {
      for (const { error } of interfaces) {
        if (error !== undefined) found.push(`${agent.name} ${name}: port ${port.name}: ${error}`);
      }
    }
  }
  return found;
}
