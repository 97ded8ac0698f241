/** What others do to a bridge's flows: told as it happens, with line and origin, and put right; on a real switch, with times. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cookieOf } from '../../src/flow/cookie.ts';
import { encodeMessage } from '../../src/openflow/codec.ts';
import { desired, meter, miss, OneBridge, output, remote } from '../support/one-bridge.ts';
import { OpenFlowProxy } from '../support/openflow-proxy.ts';
import { waitFor } from '../support/ovs-sandbox.ts';

let bridge: OneBridge;

beforeEach(async () => {
  bridge = await OneBridge.start();
});

afterEach(async () => {
  await bridge.stop();
});

const driftCount = (): number => Object.values(bridge.installer.status().drift).reduce((sum, count) => sum + count, 0);

/** Milliseconds from the end of the command, when the switch has just done it, until `isSo`. */
async function msUntil(isSo: () => boolean, ...command: readonly [string, ...string[]]): Promise<number> {
  await bridge.ofctl(...command);
  const startMs = performance.now();
  await waitFor(command.join(' '), isSo);
  return Math.round(performance.now() - startMs);
}

const P1 = 'table=20,priority=2,dl_vlan=2,dl_dst=02:00:00:00:00:01';

describe('a flow', () => {
  test.each([
    [
      'removed',
      'missing',
      ['del-flows', '--strict', P1],
      { kind: 'missing', object: 'port p1', rule: 'fdb', line: 12 },
    ],
    [
      'changed',
      'changed',
      ['mod-flows', '--strict', `${P1},actions=drop`],
      { kind: 'changed', object: 'port p1', line: 12 },
    ],
    [
      'added',
      'foreign',
      ['add-flow', 'table=9,in_port=5,actions=output:6'],
      { flow: expect.stringContaining('table=9') },
    ],
  ] as const)(
    '%s by somebody else is told within 100 ms, and put right',
    async (_what, kind, [command, ...args], line) => {
      bridge.edit([miss(20), remote(1), remote(2)]);
      await bridge.connect();
      const ms = await msUntil(() => driftCount() > 0, command, ...args);
      expect(ms).toBeLessThan(100);
      await bridge.installer.settled();
      await bridge.expectEqualToBook();
      expect(bridge.installer.status().drift).toEqual({ foreign: 0, missing: 0, changed: 0, stale: 0, [kind]: 1 });
      expect(bridge.board.complaints).toMatchObject([
        { msg: 'a flow has drifted', host: 'node1', bridge: 'br-int', ...line },
      ]);
      process.stdout.write(`drift ${kind}: told ${ms} ms after ovs-ofctl had ended\n`);
    },
  );

  test('drift: report tells and leaves it', async () => {
    bridge.drift = 'report';
    bridge.edit([miss(20), remote(1)]);
    await bridge.connect();
    const { flowMods } = bridge.installer.status();
    await msUntil(() => driftCount() === 1, 'del-flows', '--strict', P1);
    await msUntil(() => driftCount() === 2, 'add-flow', 'table=9,actions=drop');
    await bridge.installer.settled();
    expect(bridge.installer.status()).toMatchObject({ flowMods, drift: { missing: 1, foreign: 1 } });
    expect(await bridge.sandbox.dumpFlows('br-int')).toHaveLength(2);
  });

  test('drift: report tells of each once, until it changes or goes', async () => {
    bridge.drift = 'report';
    bridge.edit([miss(20), remote(1), remote(2)]);
    await bridge.connect();
    const { installer, board } = bridge;
    const audit = async (): Promise<void> => {
      installer.audit();
      await installer.settled();
    };
    await msUntil(() => driftCount() === 1, 'del-flows', '--strict', P1);
    const p2 = P1.replace('dl_vlan=2', 'dl_vlan=3').replace('00:01', '00:02');
    await msUntil(() => driftCount() === 2, 'mod-flows', '--strict', `${p2},actions=drop`);
    await msUntil(() => driftCount() === 3, 'add-flow', 'table=9,actions=drop');
    const told = { missing: 1, changed: 1, foreign: 1, stale: 0 };
    // Found again by audits, and by a new connection as far as it is foreign.
    for (let count = 0; count < 3; count += 1) await audit();
    expect(installer.status()).toMatchObject({ drift: told, leftDriftCount: 3 });
    expect(board.complaints).toHaveLength(3);
    // Another state is news; the same command once more is not.
    await msUntil(() => driftCount() === 4, 'mod-flows', '--strict', `${p2},actions=output:9`);
    await bridge.ofctl('mod-flows', '--strict', `${p2},actions=output:9`);
    await audit();
    expect(installer.status()).toMatchObject({ drift: { ...told, changed: 2 }, leftDriftCount: 3 });
    // What went, and comes back, is news too.
    await bridge.ofctl('del-flows', '--strict', 'table=9,priority=32768');
    await waitFor('it is seen to go', () => installer.status().leftDriftCount === 2);
    await msUntil(() => driftCount() === 5, 'add-flow', 'table=9,actions=drop');
    // What is ours is sent on a new connection, and is right from then on; what is not stays, and is known.
    await bridge.connect();
    await audit();
    expect(installer.status()).toMatchObject({ drift: { ...told, changed: 2, foreign: 2 }, leftDriftCount: 1 });
    // From now on it is repaired, and nothing is left.
    bridge.drift = 'repair';
    await audit();
    expect(installer.status().leftDriftCount).toBe(0);
    await bridge.expectEqualToBook();
  });

  test('with our cookie that nobody wants is stale', async () => {
    bridge.edit([miss(20)]);
    await bridge.connect();
    const cookie = `cookie=0x${cookieOf('rendered', 'fdb', 'port gone').toString(16)}`;
    await msUntil(() => driftCount() > 0, 'add-flow', `table=9,${cookie},actions=drop`);
    await bridge.installer.settled();
    expect(bridge.installer.status().drift).toMatchObject({ stale: 1, foreign: 0 });
    await bridge.expectEqualToBook();
  });
});

describe('a wipe', () => {
  test.each([[100], [5_000], [50_000]])('of %i flows is put right', { timeout: 120_000 }, async (count) => {
    bridge.edit([miss(20), ...Array.from({ length: count }, (_, index) => remote(index))]);
    await bridge.connect();
    const flowCount = async (): Promise<number> =>
      Number(/flow_count=(\d+)/.exec(await bridge.ofctl('dump-aggregate'))?.[1]);
    const { flowMods } = bridge.installer.status();
    const ms = await msUntil(() => bridge.installer.status().flowMods.add >= flowMods.add + count + 1, 'del-flows');
    const sentMs = performance.now();
    await bridge.installer.settled();
    const totalMs = Math.round(ms + performance.now() - sentMs);
    expect(await flowCount()).toBe(count + 1);
    await bridge.expectEqualToBook();
    expect(bridge.installer.status().drift.missing).toBeGreaterThanOrEqual(count + 1);
    process.stdout.write(`wipe of ${count} flows: repaired ${totalMs} ms after ovs-ofctl had ended\n`);
    // The figure is printed; on a machine that others use this still tells repairs from an audit, which would be 300 s away.
    expect(totalMs).toBeLessThan(20_000);
  });
});

describe('what is no drift', () => {
  test('changes of our own, whichever connection they took', async () => {
    bridge.edit([miss(20), remote(1)]);
    await bridge.connect();
    const first = bridge.installer.connection;
    await bridge.connect();
    // On its way when the newer connection came.
    const late = remote(2);
    const lateOnes = first?.batch([encodeMessage({ type: 'flowMod', xid: 0, command: 'add', flow: late.flow })]);
    bridge.edit([late, remote(3)]);
    await lateOnes;
    await bridge.installer.settled();
    bridge.edit([remote(3, 9)], [remote(1)]);
    await bridge.installer.settled();
    await bridge.installer.connection?.barrier();
    await bridge.installer.settled();
    expect(driftCount()).toBe(0);
    await bridge.expectEqualToBook();
  });

  test('flows that learn() makes, and flows that time out of themselves', async () => {
    const ofport = await bridge.sandbox.addPort('br-int', 'p1', 'type=dummy');
    const field = (name: 'ethSrc' | 'ethDst') => ({ field: name, start: 0, length: 48 }) as const;
    const learn = desired('network blue', {
      table: 0,
      priority: 1,
      match: { inPort: ofport },
      actions: [
        {
          type: 'learn',
          table: 8,
          priority: 1,
          cookie: cookieOf('learned', 'learn', 'network blue'),
          hardTimeoutS: 1,
          specs: [{ kind: 'match', source: field('ethSrc'), destination: field('ethDst') }],
        },
        output(7),
      ],
    });
    bridge.edit([learn]);
    await bridge.connect();
    await bridge.sandbox.appctl(
      'netdev-dummy/receive',
      'p1',
      'in_port(1),eth(src=50:54:00:00:00:09,dst=ff:ff:ff:ff:ff:ff),eth_type(0x1234)',
    );
    await waitFor('the flow is learnt', async () => (await bridge.sandbox.dumpFlows('br-int', 'table=8')).length === 1);
    bridge.installer.audit();
    await bridge.installer.settled();
    expect(bridge.installer.status().learnedFlowCount).toBe(1);
    await waitFor('its time is over', async () => (await bridge.sandbox.dumpFlows('br-int', 'table=8')).length === 0);
    await bridge.installer.connection?.barrier();
    await bridge.installer.settled();
    expect(driftCount()).toBe(0);
  });
});

test('who undoes every repair does not keep us busy without end', { timeout: 90_000 }, async () => {
  bridge.edit([miss(20), remote(1)]);
  await bridge.connect();
  const { sandbox, board } = bridge;
  board.onConnection = () => undefined;
  board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
  const rival = await board.connected(0xa1n, bridge.installer.connection);
  const wipe = encodeMessage({ type: 'flowMod', xid: 0, command: 'delete', flow: { ...miss(20).flow, table: 0xff } });
  let isFighting = true;
  const fight = (async () => {
    while (isFighting) await rival.batch([wipe]);
  })();
  await waitFor('it is held', () => board.complaints.some(({ msg }) => msg.includes('drift again')));
  const { flowMods } = bridge.installer.status();
  for (let count = 0; count < 50; count += 1) await rival.batch([wipe]);
  expect(bridge.installer.status().flowMods).toEqual(flowMods);
  isFighting = false;
  await fight;
  // When it is over, the bridge is put right all the same.
  await waitFor('the flows are back', async () => (await bridge.sandbox.dumpFlows('br-int')).length === 2, 15_000);
});

describe('where the switch does not tell', () => {
  beforeEach(() => {
    // At the end of the test an audit is under way, as ever.
    bridge.sandbox.allowCutConnections();
  });

  test('of meters, an audit finds them', async () => {
    bridge.restart({ auditIntervalMs: 50 });
    bridge.book.claimMeter(meter(7, 100));
    bridge.edit([miss(20)]);
    await bridge.connect();
    await bridge.ofctl('del-meters');
    await waitFor('the meter is back', () => bridge.installer.status().meterMods.add === 2);
    expect(bridge.installer.status().drift).toMatchObject({ missing: 1 });
    expect(bridge.board.complaints).toMatchObject([{ msg: 'a meter has drifted', rule: 'limits', line: 3 }]);
  });

  test('of anything, as before Open vSwitch 3.0, audits find it', async () => {
    const { sandbox } = bridge;
    const proxy = await OpenFlowProxy.start(sandbox.mgmtPath('br-int'), join(sandbox.directory, 'proxy'));
    // A request that no switch knows, in place of the monitor's.
    proxy.alter = (frame, side) => {
      const isMonitorRequest = side === 'controller' && frame[1] === 18 && frame.readUInt16BE(8) === 0xffff;
      if (isMonitorRequest) frame.writeUInt32BE(9_999, 20);
    };
    sandbox.allowLog(/unknown|bad multipart/i);
    bridge.restart({ auditIntervalMs: 50 });
    bridge.edit([miss(20), remote(1)]);
    await bridge.connect(`unix:${proxy.path}`);
    expect(bridge.installer.status().isWatched).toBe(false);
    await msUntil(() => driftCount() > 0, 'del-flows');
    await bridge.installer.settled();
    await waitFor('the flows are back', async () => (await sandbox.dumpFlows('br-int')).length === 2);
    await bridge.installer.settled();
    await bridge.expectEqualToBook();
    await proxy.stop();
  });
});
