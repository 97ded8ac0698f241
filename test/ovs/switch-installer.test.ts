/** One bridge kept equal to its book, on a real switch: what is sent, what is not, and what ovs-ofctl then sees. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BridgeLedger, type DesiredFlow, flowKey } from '../../src/compiler/book.ts';
import type { Action } from '../../src/flow/action.ts';
import { cookieOf } from '../../src/flow/cookie.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { LIMITS } from '../../src/lib/limits.ts';
import { BridgeInstaller } from '../../src/switch/installer.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { Switchboard } from '../support/switchboard.ts';

const DPID = 0xa1n;

let sandbox: OvsSandbox;
let board: Switchboard;
let book: BridgeLedger;
/** What the book's flows are claimed by, by flowKey. */
let claims: Map<string, number>;
let installer: BridgeInstaller;
let drift: 'repair' | 'report';
let generation: number;

beforeEach(async () => {
  sandbox = await OvsSandbox.start();
  board = new Switchboard();
  await sandbox.addBridge('br-int', { datapathId: '00000000000000a1' });
  book = new BridgeLedger('node1', 'br-int');
  claims = new Map();
  drift = 'repair';
  generation = 0;
  installer = newInstaller();
  board.onConnection = (connection) => installer.attach(connection);
});

afterEach(async () => {
  installer.close();
  await board.close();
  await sandbox.stop();
});

function newInstaller(): BridgeInstaller {
  const { logger, limitedLog } = board;
  return new BridgeInstaller({
    host: 'node1',
    bridge: 'br-int',
    book: () => book,
    drift: () => drift,
    logger,
    limitedLog,
  });
}

async function connected(): Promise<void> {
  const before = installer.connection;
  board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
  await board.connected(DPID, before);
  await installer.settled();
}

function desired(object: string, flow: Omit<Flow, 'cookie'>): DesiredFlow {
  const origin = { rule: 'fdb', object, path: 'ports[0]', line: 12 };
  return { flow: { ...flow, cookie: cookieOf('rendered', origin.rule, object) }, origin };
}

/** A row of UCAST_TO_TUN as l2population makes it. */
function remote(index: number, ofport = 2): DesiredFlow {
  return desired(`port p${index}`, {
    table: 20,
    priority: 2,
    match: { vlanVid: 0x1000 | (1 + (index % 4000)), ethDst: 0x02_00_00_00_00_00 + index },
    actions: [{ type: 'popVlan' }, { type: 'load', destination: TUN_ID, value: BigInt(1000 + index) }, output(ofport)],
  });
}

const TUN_ID = { field: 'tunnelId', start: 0, length: 64 } as const;

function output(port: number): Action {
  return { type: 'output', port };
}

function miss(table: number, ...actions: Action[]): DesiredFlow {
  return desired(`table ${table}`, { table, priority: 0, match: {}, actions });
}

/** Change the book as the compiler does, and tell the installer. */
function edit(put: readonly DesiredFlow[], remove: readonly DesiredFlow[] = []): void {
  for (const one of [...remove, ...put]) {
    const claim = claims.get(flowKey(one.flow));
    if (claim !== undefined) book.releaseAll(claim);
    claims.delete(flowKey(one.flow));
  }
  for (const one of put) claims.set(flowKey(one.flow), book.claimAll([one]));
  generation += 1;
  const change = book.takeChange();
  if (change !== undefined) installer.apply(change, generation);
}

/** ovs-ofctl's own comparison of the switch with our text, both ways; and the exact set as text. */
async function expectEqualToBook(): Promise<void> {
  const ours = [...book.flows()].map(({ flow }) => formatFlow(flow));
  const file = join(sandbox.directory, 'book.flows');
  await writeFile(file, `${ours.join('\n')}\n`);
  expect(await sandbox.ofctl('diff-flows', 'br-int', file)).toBe('');
  const theirs = await sandbox.dumpFlows('br-int');
  expect(theirs.map(withoutSpace).sort()).toEqual(ours.map(withoutSpace).sort());
}

function withoutSpace(line: string): string {
  return line.replaceAll(', ', ',').trim();
}

describe('on a connect', () => {
  test('a fresh bridge gets all of the book, with its cookies, and confirms the generation', async () => {
    edit([miss(0, { type: 'goto', table: 20 }), miss(20), remote(1), remote(2)]);
    await connected();
    await expectEqualToBook();
    expect(installer.status()).toMatchObject({
      connected: true,
      epoch: 1,
      dpid: DPID,
      generationWanted: 1,
      generationConfirmed: 1,
      desiredFlowCount: 4,
      flowMods: { add: 4, modify: 0, delete: 0 },
      degraded: false,
      lastPassKind: 'reconcile',
    });
    const dump = await sandbox.ofctl(
      'dump-flows',
      'br-int',
      `cookie=0x${cookieOf('rendered', 'fdb', 'port p1').toString(16)}/-1`,
    );
    expect(dump).toContain('dl_dst=02:00:00:00:00:01');
  });

  test('a bridge that is right already gets no flow-mod, whoever connects', async () => {
    edit([miss(0), miss(20), ...Array.from({ length: 200 }, (_, index) => remote(index))]);
    await connected();
    const counts = async (): Promise<string[]> =>
      (await sandbox.ofctl('dump-flows', 'br-int')).match(/duration=[\d.]+/g) ?? [];
    const before = await counts();
    // A controller started anew: another installer, another connection, the same book.
    installer.close();
    installer = newInstaller();
    await connected();
    expect(installer.status().flowMods).toEqual({ add: 0, modify: 0, delete: 0 });
    expect(installer.status().desiredFlowCount).toBe(202);
    // No flow was replaced: none of them is younger than it was.
    const after = await counts();
    const age = (text = ''): number => Number(text.slice('duration='.length));
    expect(after.every((duration, index) => age(duration) >= age(before[index]))).toBe(true);
  });

  test('what is missing is added, what differs is replaced, what is stale or foreign is removed, the rest stays', async () => {
    edit([miss(20), remote(1), remote(2), remote(3)]);
    await connected();
    installer.close();
    await sandbox.ofctl('del-flows', 'br-int', 'table=20,dl_dst=02:00:00:00:00:01');
    await sandbox.ofctl(
      'mod-flows',
      '--strict',
      'br-int',
      'table=20,priority=2,dl_vlan=3,dl_dst=02:00:00:00:00:02,actions=drop',
    );
    await sandbox.ofctl('add-flow', 'br-int', 'table=7,priority=9,in_port=5,idle_timeout=900,actions=output:6');
    // It matches whatever the others match: a delete that is not strict would take them with it.
    await sandbox.ofctl(
      'add-flow',
      'br-int',
      `table=20,cookie=0x${cookieOf('rendered', 'fdb', 'port gone').toString(16)},actions=drop`,
    );
    // A flow that a learn() action of ours would have made.
    const learnt = cookieOf('learned', 'learn', 'network blue').toString(16);
    await sandbox.ofctl(
      'add-flow',
      'br-int',
      `table=20,priority=1,cookie=0x${learnt},vlan_tci=0x0005/0x0fff,dl_dst=02:00:00:00:00:99,actions=output:4`,
    );

    installer = newInstaller();
    await connected();
    expect(installer.status()).toMatchObject({
      flowMods: { add: 1, modify: 1, delete: 2 },
      drift: { foreign: 1, missing: 0, changed: 0, stale: 0 },
      learnedFlowCount: 1,
    });
    await sandbox.ofctl(
      '--strict',
      'del-flows',
      'br-int',
      'table=20,priority=1,vlan_tci=0x0005/0x0fff,dl_dst=02:00:00:00:00:99',
    );
    await expectEqualToBook();
    expect(board.complaints).toMatchObject([
      { msg: 'a flow has drifted', flow: expect.stringContaining('idle_timeout=900'), bridge: 'br-int', host: 'node1' },
    ]);
  });

  test('drift: report leaves foreign flows where they are, and counts them', async () => {
    drift = 'report';
    await sandbox.ofctl('add-flow', 'br-int', 'table=7,priority=9,in_port=5,actions=output:6');
    edit([miss(20)]);
    await connected();
    expect(installer.status()).toMatchObject({ flowMods: { add: 1, modify: 0, delete: 0 }, drift: { foreign: 1 } });
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(2);
  });

  test('cookies, timeouts and flags of another value are replaced too', async () => {
    const timed = desired('port p1', {
      table: 3,
      priority: 1,
      match: { inPort: 1 },
      actions: [],
      idleTimeoutS: 60,
      flags: 1,
    });
    edit([timed]);
    await connected();
    await expectEqualToBook();
    for (const wrong of [
      'idle_timeout=61,send_flow_rem',
      'idle_timeout=60',
      'idle_timeout=60,hard_timeout=9,send_flow_rem',
    ]) {
      installer.close();
      await sandbox.ofctl('del-flows', 'br-int');
      const cookie = `cookie=0x${timed.flow.cookie.toString(16)}`;
      await sandbox.ofctl('add-flow', 'br-int', `table=3,priority=1,${cookie},in_port=1,${wrong},actions=drop`);
      installer = newInstaller();
      await connected();
      expect(installer.status().flowMods, wrong).toEqual({ add: 0, modify: 1, delete: 0 });
      await expectEqualToBook();
    }
  });

  test('5,000 flows go in bundles of bounded length, and go away again', async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => remote(index));
    expect(many.length).toBeGreaterThan(LIMITS.bundleLength);
    edit([miss(0, { type: 'goto', table: 20 }), miss(20), ...many]);
    await connected();
    expect(installer.status().flowMods.add).toBe(5_002);
    await expectEqualToBook();
    edit([], many);
    await installer.settled();
    expect(installer.status().flowMods.delete).toBe(5_000);
    await expectEqualToBook();
  });

  test('a large book on an empty bridge: what changes while it is sent, and what is refused, comes out right', async () => {
    const many = Array.from({ length: 3 * LIMITS.bundleLength }, (_, index) => remote(index));
    const wrong = desired('port wrong', {
      table: 21,
      priority: 1,
      match: {},
      actions: [{ type: 'group', group: 4711 }],
    });
    edit([miss(20), wrong, ...many]);
    board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
    // The first bundle is on its way: some of what follows leaves the book, some changes, some is new.
    await waitFor('the first is sent', () => installer.status().flowMods.add > 0);
    edit([remote(10_000, 7), remote(50_000)], many.slice(11_000, 11_500));
    await installer.settled();
    expect(installer.status()).toMatchObject({ degraded: true, refusedFlowCount: 1, generationConfirmed: generation });
    edit([], [wrong]);
    await installer.settled();
    await expectEqualToBook();
  });

  test('a switch that lost everything gets everything again', async () => {
    edit([miss(20), remote(1)]);
    await connected();
    const first = installer.connection;
    await sandbox.restartVswitchd();
    await waitFor('another connection', () => installer.connection !== undefined && installer.connection !== first);
    await installer.settled();
    await expectEqualToBook();
    expect(installer.status()).toMatchObject({ connectionCount: 2, flowMods: { add: 4 } });
  });
});

describe('while connected', () => {
  test('changes are sent as they come, those of one turn together', async () => {
    edit([miss(20)]);
    await connected();
    const { passCount } = installer.status();
    edit([remote(1), remote(2)]);
    edit([remote(2, 7), remote(3)]);
    edit([], [remote(1)]);
    await installer.settled();
    expect(installer.status()).toMatchObject({
      passCount: passCount + 1,
      generationConfirmed: 4,
      lastPassKind: 'change',
    });
    await expectEqualToBook();
  });

  test('a generation that changes nothing here is confirmed without a flow-mod', async () => {
    edit([miss(20)]);
    await connected();
    const { flowMods } = installer.status();
    installer.advance(9);
    await installer.settled();
    expect(installer.status()).toMatchObject({ generationConfirmed: 9, flowMods });
  });

  test('flows deleted behind our back are found by an audit, named and put back', async () => {
    edit([miss(20), remote(1), remote(2)]);
    await connected();
    await sandbox.ofctl('del-flows', 'br-int');
    installer.audit();
    await installer.settled();
    await expectEqualToBook();
    // By the audit or by the switch's own telling, whichever came first.
    expect(installer.status().drift).toEqual({ foreign: 0, missing: 3, changed: 0, stale: 0 });
    expect(board.complaints.map(({ object, rule, kind }) => [kind, rule, object])).toContainEqual([
      'missing',
      'fdb',
      'port p1',
    ]);
  });

  test('drift: report tells what an audit finds and sends nothing', async () => {
    edit([miss(20), remote(1)]);
    await connected();
    drift = 'report';
    await sandbox.ofctl('del-flows', 'br-int', 'table=20,dl_dst=02:00:00:00:00:01');
    const { flowMods } = installer.status();
    await waitFor('the switch told of it', () => installer.status().drift.missing > 0);
    // What is left as it is, an audit finds again, and tells of it no more.
    installer.audit();
    await installer.settled();
    expect(installer.status()).toMatchObject({ flowMods, drift: { missing: 1 }, leftDriftCount: 1 });
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(1);
  });

  test('a newer connection of the same bridge is used; the older stands by and takes over', async () => {
    edit([miss(20)]);
    await connected();
    const first = installer.connection;
    await connected();
    const second = installer.connection;
    expect(installer.status().epoch).toBe(2);
    expect(first?.isOpen).toBe(true);
    await sandbox.ofctl('del-flows', 'br-int');
    second?.close();
    await installer.settled();
    expect(installer.connection).toBe(first);
    // As after every change of connections, the whole bridge is compared.
    await expectEqualToBook();
  });

  test('a connection that ends in the midst of a pass costs nothing but time', async () => {
    edit([miss(20), ...Array.from({ length: 3_000 }, (_, index) => remote(index))]);
    board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
    const first = await board.connected(DPID);
    await waitFor('the bundle is on its way', () => installer.status().flowMods.add > 0);
    first.close();
    await waitFor('another connection', () => installer.connection !== undefined && installer.connection !== first);
    await installer.settled();
    await expectEqualToBook();
    expect(installer.status()).toMatchObject({ generationConfirmed: 1, degraded: false });
  });
});

describe('a flow that the switch refuses', () => {
  const wrong = desired('port bad', {
    table: 20,
    priority: 3,
    match: { inPort: 4 },
    actions: [{ type: 'group', group: 4242 }],
  });

  test('is named with its object and rule; the rest lands; the bridge is degraded until it is right', async () => {
    edit([miss(20), remote(1), wrong, remote(2)]);
    await connected();
    expect(installer.status()).toMatchObject({
      degraded: true,
      refusedFlowCount: 1,
      generationConfirmed: 1,
      refusedFlows: [{ rule: 'fdb', object: 'port bad', error: 'OFPBAC_BAD_OUT_GROUP', flow: formatFlow(wrong.flow) }],
    });
    expect(board.complaints).toMatchObject([
      {
        msg: 'the switch refused a flow',
        host: 'node1',
        bridge: 'br-int',
        rule: 'fdb',
        object: 'port bad',
        path: 'ports[0]',
        line: 12,
        error: 'OFPBAC_BAD_OUT_GROUP',
        flow: formatFlow(wrong.flow),
      },
    ]);
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(3);

    // What it waited for appears: the next try puts it right, without anybody's doing.
    await sandbox.ofctl('add-group', 'br-int', 'group_id=4242,type=all,bucket=actions=output:1');
    await waitFor('the flow is taken', () => !installer.status().degraded);
    await installer.settled();
    await expectEqualToBook();
  });

  test('is forgotten when it is wanted no more', async () => {
    edit([miss(20), wrong]);
    await connected();
    expect(installer.status().degraded).toBe(true);
    edit([], [wrong]);
    await installer.settled();
    expect(installer.status().degraded).toBe(false);
    await expectEqualToBook();
  });

  test('many of them are all named by status and counted, and the rest still lands', async () => {
    const many = Array.from({ length: 30 }, (_, index) =>
      desired(`port bad${index}`, {
        table: 20,
        priority: 3,
        match: { inPort: 100 + index },
        actions: [{ type: 'group', group: 4242 + index }],
      }),
    );
    edit([miss(20), ...many, ...Array.from({ length: 100 }, (_, index) => remote(index))]);
    await connected();
    expect(installer.status()).toMatchObject({ refusedFlowCount: 30, errorCount: 30 });
    expect(installer.status().refusedFlows).toHaveLength(LIMITS.namedFlows);
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(101);
  });
});
