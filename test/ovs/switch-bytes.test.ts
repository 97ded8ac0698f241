/**
 * Flows as the switch dumps them against flows as we write them, byte by byte: every flow that Neutron's agent installs in the
 * captures.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { flowKey } from '../../src/compiler/book.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import type { SwitchConnection } from '../../src/openflow/connection.ts';
import { byteKey, FlowEncoder, sameBytes } from '../../src/switch/flow-bytes.ts';
import { reconcile } from '../../src/switch/reconcile.ts';
import { sendOperations } from '../../src/switch/send-operations.ts';
import { capturedFlows } from '../flow/second-opinion.ts';
import { OvsSandbox } from '../support/ovs-sandbox.ts';
import { Switchboard } from '../support/switchboard.ts';

let sandbox: OvsSandbox;
let board: Switchboard;
let connection: SwitchConnection;

beforeEach(async () => {
  sandbox = await OvsSandbox.start();
  board = new Switchboard();
  await sandbox.addBridge('br-int', { datapathId: '00000000000000a1' });
  board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
  connection = await board.connected(0xa1n);
});

afterEach(async () => {
  await board.close();
  await sandbox.stop();
});

const origin = { rule: 'capture', object: 'agent' };

/**
 * Every flow of the captures under one cookie, in rounds: each has every table, priority and match at most once, the next has
 * other actions for them.
 */
function rounds(): Flow[][] {
  const variants = new Map<string, Flow[]>();
  const seen = new Set<string>();
  for (const text of capturedFlows()) {
    const flow = { ...parseFlow(text), cookie: 0x4844_0101_0000_0001n };
    if (seen.has(formatFlow(flow))) continue;
    seen.add(formatFlow(flow));
    const key = flowKey(flow);
    variants.set(key, [...(variants.get(key) ?? []), flow]);
  }
  const count = Math.max(...[...variants.values()].map(({ length }) => length));
  return Array.from({ length: count }, (_, round) =>
    [...variants.values()].flatMap((flows) => flows[round] ?? flows.at(-1) ?? []),
  );
}

test('every flow of the captures comes back in the bytes in which we write it', async () => {
  const encoder = new FlowEncoder();
  const written = new Set<string>();
  for (const flows of rounds()) {
    const desired = flows.map((flow) => ({ flow, origin }));
    const { missing, changed, stale } = reconcile(desired, await connection.dumpFlows());
    const { refused } = await sendOperations(connection, [...missing, ...changed, ...stale]);
    expect(
      refused.map(({ error, desired: one }) => `${error.code} ${one && 'flow' in one && formatFlow(one.flow)}`),
    ).toEqual([]);

    const dump = await connection.dumpFlows();
    expect(dump).toHaveLength(flows.length);
    const byKey = new Map(dump.map((raw) => [byteKey(raw.table, raw.priority, raw.matchBytes), raw]));
    const others = flows.filter((flow) => {
      written.add(formatFlow(flow));
      encoder.encode(flow);
      const raw = byKey.get(byteKey(flow.table, flow.priority, encoder.matchBytes));
      return raw === undefined || !sameBytes(raw.instructionBytes, encoder.instructionBytes);
    });
    expect(others.map((flow) => formatFlow(flow))).toEqual([]);
    const after = reconcile(desired, dump);
    expect(after).toMatchObject({ sameCount: flows.length, missing: [], changed: [], stale: [], foreign: [] });
  }
  expect(written.size).toBeGreaterThan(280);
});
