/**
 * Parity with Neutron's agent on a real switch: each capture replayed step by step as a topology file that changes and ports
 * that are plugged and unplugged, through the whole controller, into a real ovs-vswitchd. Its dump must be Neutron's, flow for
 * flow; extra ones fail. src/pipeline/deviations.ts lists what may differ.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Controller } from '../../src/controller/controller.ts';
import { readStatus } from '../../src/controller/status.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { DEVIATIONS } from '../../src/pipeline/deviations.ts';
import { loadTopology } from '../../src/topology/load.ts';
import type { Topology } from '../../src/topology/model.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { loadScenario, type Scenario, type ScenarioStep } from './scenario.ts';

const SCENARIOS = [
  '01_vxlan_l2pop',
  '01b_vxlan_l2pop_no_portsec',
  '01c_vxlan_learning_no_l2pop',
  '02_dvr_vxlan',
  '02b_dvr_ipv6',
  '03_vlan_phys',
  '04_vlan_dvr',
  '05_flat_external',
  '06a_gre_l2pop',
  '06b_geneve_l2pop',
  '07a_arp_mac_spoofing',
  '08_dvr_snat',
];

const ADDITIONAL_RULES = new Set(DEVIATIONS.flatMap((deviation) => deviation.additionalRules ?? []));
const DEADLINE_MS = 10_000;

/** A line with names for ports, so that numbers that the switch chose do not matter, and the agent's cookies left out. */
function nameLine(line: string, ofports: Readonly<Record<string, number>>): string {
  const portNames = new Map(Object.entries(ofports).map(([name, ofport]) => [ofport, name]));
  const flow = parseFlow(line.replace(/cookie=AGENT/, 'cookie=0x1'));
  const text = formatFlow(flow, { hideCookie: true, portNames }).replace(/cookie=0x[0-9a-f]+/, 'cookie=AGENT');
  // Neutron floods in no order, heddle in that of ofports, which a replay cannot choose for tunnels.
  return text.replace(/(?:,output:"?[\w-]+"?)+$/, (outputs) => outputs.split(',').sort().join(','));
}

class Replay {
  readonly #scenario: Scenario;
  readonly #directory = mkdtempSync(join(tmpdir(), 'heddle-parity-'));
  readonly #sandbox: OvsSandbox;
  readonly controller: Controller;
  #plugged: ScenarioStep['plugged'] = new Map();
  #isStarted = false;

  private constructor(scenario: Scenario, sandbox: OvsSandbox) {
    this.#scenario = scenario;
    this.#sandbox = sandbox;
    this.controller = new Controller({
      listen: [],
      ovsdbListen: [],
      stateDirectory: this.#directory,
      logger: silentLogger,
      // The other hosts of the captures are there in name only.
      startupGraceMs: 200,
    });
  }

  static async start(scenario: Scenario): Promise<Replay> {
    const sandbox = await OvsSandbox.start();
    for (const bridge of new Set(Object.values(scenario.bridgeMappings))) await sandbox.addBridge(bridge);
    return new Replay(scenario, sandbox);
  }

  async stop(): Promise<void> {
    await this.controller.close();
    rmSync(this.#directory, { recursive: true, force: true });
    await this.#sandbox.stop();
  }

  async run(step: ScenarioStep): Promise<void> {
    for (const [id, { name }] of this.#plugged) {
      if (!step.plugged.has(id)) await this.#sandbox.vsctl('del-port', 'br-int', name);
    }
    const topology = this.#topology(step);
    if (this.#isStarted) this.controller.setTopology(topology);
    else await this.controller.start(topology);
    this.#isStarted = true;
    await waitFor('every bridge to answer', () => this.#isConnected(step), DEADLINE_MS);
    for (const [id, { name, ofport }] of step.plugged) {
      if (this.#plugged.has(id)) continue;
      const guest = ['type=internal', `ofport_request=${ofport}`, `external_ids:iface-id=${id}`];
      await this.#sandbox.vsctl('add-port', 'br-int', name, '--', 'set', 'Interface', name, ...guest);
    }
    this.#plugged = step.plugged;
  }

  /** Wait until a bridge holds these lines, and give what it holds in the end. */
  async settle(
    step: ScenarioStep,
    bridge: string,
  ): Promise<{ installed: readonly string[]; expected: readonly string[] }> {
    const neutrons = (step.expected.get(bridge) ?? []).map((line) => nameLine(line, step.ofports[bridge] ?? {}));
    const deadlineMs = performance.now() + DEADLINE_MS;
    for (;;) {
      const ofports = this.#ofports(bridge);
      const dump = await this.#sandbox.ofctl('-O', 'OpenFlow13', 'dump-flows', '--no-stats', '--no-names', bridge);
      const lines = dump.split('\n').filter((line) => line.includes('actions='));
      const installed = lines.map((line) => nameLine(line.trim(), ofports)).sort();
      const expected = [...neutrons, ...this.#additional(bridge, ofports)].sort();
      const isSame = installed.length === expected.length && installed.every((line, at) => line === expected[at]);
      if (isSame || performance.now() > deadlineMs) return { installed, expected };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** What is waited for, apart from the hosts that are not there. */
  get waitingFor(): readonly string[] {
    const status = readStatus(this.controller, { file: '', loadedAt: '', errors: [] });
    return status.waitingFor.filter((wait) => wait.startsWith(`${this.#scenario.host}:`));
  }

  #isConnected(step: ScenarioStep): boolean {
    return [...step.expected.keys()].every((bridge) => this.#local?.installers.get(bridge)?.connection !== undefined);
  }

  get #local() {
    return this.controller.agents.get(this.#scenario.host);
  }

  #ofports(bridge: string): Readonly<Record<string, number>> {
    const ports = this.#local?.view?.bridges.get(bridge)?.ports ?? new Map();
    return Object.fromEntries(
      [...ports].flatMap(([name, { ofport }]) => (ofport === undefined ? [] : [[name, ofport]])),
    );
  }

  /** Flows of rules that Neutron has no counterpart of. */
  #additional(bridge: string, ofports: Readonly<Record<string, number>>): readonly string[] {
    const flows = [...(this.controller.compiler.book(this.#scenario.host, bridge)?.flows() ?? [])];
    return flows
      .filter(({ origin }) => ADDITIONAL_RULES.has(origin.rule))
      .map(({ flow }) => nameLine(formatFlow(flow), ofports));
  }

  #topology(step: ScenarioStep): Topology {
    const hosts = (step.document.hosts as readonly Record<string, unknown>[]).map((host) =>
      host.name === this.#scenario.host
        ? { ...host, ovsdb: `unix:${this.#sandbox.databaseSocket}`, mgmt_dir: this.#sandbox.directory }
        : host,
    );
    const loaded = loadTopology(JSON.stringify({ ...step.document, hosts }), { file: `${step.name}.json` });
    if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors, null, 2));
    return loaded.topology;
  }
}

describe.each(SCENARIOS)('%s', (name) => {
  const scenario = loadScenario(name);
  let replay: Replay;
  beforeAll(async () => {
    replay = await Replay.start(scenario);
  });
  afterAll(() => replay.stop());

  test.each(scenario.steps)('$name', async (step) => {
    await replay.run(step);
    for (const bridge of step.expected.keys()) {
      const { installed, expected } = await replay.settle(step, bridge);
      expect(installed).toEqual(expected);
    }
    await waitFor('nothing to be waited for', async () => replay.waitingFor.length === 0, DEADLINE_MS);
  });
});
