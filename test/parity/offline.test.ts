/** Parity with Neutron's agent, without a switch: every step of a capture, as a topology, yields exactly its flows. */
import { describe, expect, test } from 'vitest';
import type { DesiredFlow } from '../../src/compiler/book.ts';
import { Compiler } from '../../src/compiler/compiler.ts';
import { cookieParts } from '../../src/flow/cookie.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { DEVIATIONS } from '../../src/pipeline/deviations.ts';
import { loadTopology } from '../../src/topology/load.ts';
import type { Topology } from '../../src/topology/model.ts';
import { hostFactsOf, loadScenario, type Scenario, type ScenarioStep } from './scenario.ts';

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

/** A flow as the captures have it. */
function neutronLine({ flow }: DesiredFlow): string {
  return formatFlow(flow, { hideCookie: true }).replace(/cookie=0x[0-9a-f]+/, (text) => {
    expect(cookieParts(BigInt(text.slice('cookie='.length)))?.kind).toBe('learned');
    return 'cookie=AGENT';
  });
}

const counterparts = (flows: Iterable<DesiredFlow>): readonly string[] =>
  [...flows]
    .filter(({ origin }) => !ADDITIONAL_RULES.has(origin.rule))
    .map(neutronLine)
    .sort();

function topologyOf(scenario: Scenario, step: ScenarioStep): Topology {
  const loaded = loadTopology(JSON.stringify(step.document), { file: `${scenario.name}-${step.name}.json` });
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors, null, 2));
  return loaded.topology;
}

/** Tell a compiler what the world is like after a step. */
function tell(compiler: Compiler, scenario: Scenario, step: ScenarioStep): void {
  const topology = topologyOf(scenario, step);
  compiler.setTopology(topology);
  compiler.setPluggedPorts(scenario.host, new Set(step.plugged.keys()));
  compiler.setHostFacts(scenario.host, hostFactsOf(scenario, step));
  for (const id of topology.ports.keys()) compiler.setPortLocation(id, step.locations.get(id));
}

describe.each(SCENARIOS)('%s', (name) => {
  const scenario = loadScenario(name);
  const bridges = [...(scenario.steps[0]?.expected.keys() ?? [])];
  const compiler = new Compiler();

  test.each(scenario.steps)('$name', (step) => {
    tell(compiler, scenario, step);
    const { changes, conflicts } = compiler.pass();
    const scratch = new Compiler();
    tell(scratch, scenario, step);
    scratch.pass();
    for (const bridge of bridges) {
      expect(counterparts(compiler.book(scenario.host, bridge)?.flows() ?? [])).toEqual(step.expected.get(bridge));
      expect(counterparts(scratch.book(scenario.host, bridge)?.flows() ?? [])).toEqual(step.expected.get(bridge));
    }
    expect([...scratch.books()].map((book) => book.bridge).sort()).toEqual([...bridges].sort());
    expect(conflicts).toEqual([]);
    // Step by step, not only in the end: what Neutron changed is what we change.
    if (step === scenario.steps[0]) return;
    for (const bridge of bridges) {
      const change = changes.find((candidate) => candidate.bridge === bridge);
      const put = counterparts(change?.put ?? []);
      expect(put).toEqual(step.added.get(bridge));
      expect(counterparts(change?.remove ?? []).every((line) => step.removed.get(bridge)?.includes(line))).toBe(true);
    }
  });
});
