/**
 * Our text of flows against dumps of a real switch: without statistics, with them, and with names of ports.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formatFlow, formatFlows, formatFlowWithCounters } from '../../src/flow/format.ts';
import { parseFlow, parseFlowWithCounters } from '../../src/flow/parse.ts';
import { capturedFlows, vectors } from '../flow/second-opinion.ts';
import { OvsSandbox } from '../support/ovs-sandbox.ts';

/** Port names with and without need of quotes. */
const PORT_NAMES = ['eth0', 'tap-1', 'a_b', 'a.b', '9p', 'X1'] as const;

/** What a switch refuses: hashes of its own, Geneve options without a table of them, actions of packets that are not Ethernet. */
const REFUSED = /dp_hash=|tun_metadata|dec_nsh_ttl|packet_type|pop_mpls/;

let sandbox: OvsSandbox;
const ports = new Map<number, string>();

beforeAll(async () => {
  sandbox = await OvsSandbox.start();
  await sandbox.addBridge('br0');
  for (const name of PORT_NAMES) ports.set(await sandbox.addPort('br0', name), name);
  // Flows may name only groups and meters that are there.
  for (const group of [1, 4, 5, 0xffffff00])
    await sandbox.ofctl('add-group', 'br0', `group_id=${group},type=all,bucket=actions=drop`);
  for (const meter of [1, 2, 3])
    await sandbox.ofctl('add-meter', 'br0', `meter=${meter},kbps,band=type=drop,rate=1000`);
});

afterAll(() => sandbox.stop());

it('a dump of all vectors is our text of them', async () => {
  const lines = [...capturedFlows(), ...vectors('flows.txt')].filter((line) => !REFUSED.test(line));
  // One priority each keeps flows with the same match apart; what is said last holds.
  const flows = lines.map((line, index) => line.replace(/,? ?actions=/, `,table=0,priority=${index + 1},actions=`));
  await sandbox.ofctlWithInput(`${flows.join('\n')}\n`, 'add-flows', 'br0', '-');
  const ours = formatFlows(flows.map((line) => parseFlow(line)));
  expect((await sandbox.dumpFlows('br0')).sort()).toEqual([...ours].sort());

  const withCounters = (await sandbox.ofctl('dump-flows', '--no-names', 'br0'))
    .split('\n')
    .filter((line) => line.includes('actions='));
  expect(withCounters).toHaveLength(flows.length);
  for (const line of withCounters) {
    const { flow, counters } = parseFlowWithCounters(line);
    expect(counters && formatFlowWithCounters(flow, counters)).toBe(line.trim());
  }
  await sandbox.ofctl('del-flows', 'br0');
});

it('names of ports are quoted where ovs-ofctl quotes them', async () => {
  const numbers = [...ports.keys()];
  const lines = numbers.map(
    (port) =>
      `table=3,in_port=${port},actions=output:${port},resubmit(${port},4),IN_PORT,output(port=${port},max_len=100)`,
  );
  await sandbox.ofctlWithInput(`${lines.join('\n')}\n`, 'add-flows', 'br0', '-');
  const dump = await sandbox.ofctl('dump-flows', '--no-stats', '--names', 'br0', 'table=3');
  const theirs = dump
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.includes('actions='));
  const flows = lines.map((line) => parseFlow(line));
  expect([...theirs].sort()).toEqual(flows.map((flow) => formatFlow(flow, { portNames: ports })).sort());
  const portNumbers = new Map([...ports].map(([number, name]) => [name, number]));
  const readBack = theirs.map((line) => formatFlow(parseFlow(line, { portNumbers }))).sort();
  expect(readBack).toEqual(flows.map((flow) => formatFlow(flow)).sort());
});
