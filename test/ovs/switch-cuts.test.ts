/**
 * The OpenFlow stream breaks, anywhere: at every message boundary and at random bytes, in both directions, while the book changes.
 * Whatever happens, the switch ends equal to the book. The seed is in the name of the test; HEDDLE_CUT_RUNS and HEDDLE_CUT_SEED
 * choose others.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DesiredFlow } from '../../src/compiler/book.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { formatGroup, formatMeter } from '../../src/flow/format-group.ts';
import type { SwitchConnection } from '../../src/openflow/connection.ts';
import type { OpenFlowDialer } from '../../src/openflow/dialer.ts';
import { decodeRawFlow } from '../../src/switch/flow-bytes.ts';
import { desired, group, meter, miss, OneBridge, output, remote } from '../support/one-bridge.ts';
import { type Cut, OpenFlowProxy } from '../support/openflow-proxy.ts';
import { waitFor } from '../support/ovs-sandbox.ts';

const RUNS = Number(process.env.HEDDLE_CUT_RUNS ?? 400);
const SEED = Number(process.env.HEDDLE_CUT_SEED ?? Math.floor(Math.random() * 2 ** 32));
/** Of messages: beyond the handshake, the dumps, the bundle and its replies. */
const BOUNDARIES = 40;
const BYTES_MAX = 6_000;
/** Every so many runs ovs-ofctl has a look too. */
const SECOND_OPINION_INTERVAL = 25;

let bridge: OneBridge;
let proxy: OpenFlowProxy;
let dialer: OpenFlowDialer;
let observer: SwitchConnection;

beforeAll(async () => {
  bridge = await OneBridge.start();
  const { sandbox, board } = bridge;
  // Before an answer is written, and in the middle of a message.
  sandbox.allowCutConnections();
  board.onConnection = () => undefined;
  board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
  observer = await board.connected(0xa1n);
  board.onConnection = (connection) => bridge.installer.attach(connection);
  proxy = await OpenFlowProxy.start(sandbox.mgmtPath('br-int'), join(sandbox.directory, 'proxy'));
  dialer = board.dial(`unix:${proxy.path}`);
});

afterAll(async () => {
  await bridge.stop();
  await proxy.stop();
});

/** Numbers from 0 to `below`, always the same for one seed (xorshift32). */
function dice(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const roll = dice(SEED);

/** A few flows come, a few change, a few go; now and then the group and the meter that some of them name. */
function editAtRandom(): void {
  const put: DesiredFlow[] = [miss(20), miss(0, { type: 'goto', table: 20 })];
  const remove: DesiredFlow[] = [];
  for (let count = roll(12); count > 0; count -= 1) put.push(remote(roll(60), 1 + roll(3)));
  for (let count = roll(8); count > 0; count -= 1) remove.push(remote(roll(60)));
  const { book } = bridge;
  const [knownGroup] = book.groups();
  const [knownMeter] = book.meters();
  const hasNumbers = roll(3) > 0;
  const grouped = desired('port g', { table: 5, priority: 1, match: {}, actions: [{ type: 'group', group: 9 }] });
  const metered = desired('port m', {
    table: 6,
    priority: 1,
    match: {},
    actions: [{ type: 'meter', meter: 7 }, output(1)],
  });
  if (knownGroup !== undefined) book.releaseGroup(knownGroup);
  if (knownMeter !== undefined) book.releaseMeter(knownMeter);
  if (hasNumbers) {
    book.claimGroup(group(9, 1 + roll(3), 4));
    book.claimMeter(meter(7, 100 + roll(3)));
    put.push(grouped, metered);
  } else {
    remove.push(grouped, metered);
  }
  bridge.edit(put, remove);
}

async function onSwitch(): Promise<string[]> {
  const flows = await observer.dumpFlows();
  const groups = await observer.multipart({ kind: 'groupDesc' });
  const meters = await observer.multipart({ kind: 'meterConfig' });
  return [
    ...flows.map((raw) => {
      const flow = decodeRawFlow(raw);
      return flow === undefined ? 'unknown' : formatFlow(flow);
    }),
    ...groups.flatMap((part) => part.groups.map((group) => formatGroup(group))),
    ...meters.flatMap((part) => part.meters.map(formatMeter)),
  ].sort();
}

function inBook(): string[] {
  const { book } = bridge;
  return [
    ...[...book.flows()].map(({ flow }) => formatFlow(flow)),
    ...[...book.groups()].map((one) => formatGroup(one.group)),
    ...[...book.meters()].map((one) => formatMeter(one.meter)),
  ].sort();
}

/** Every boundary of either side in turn, then bytes anywhere. */
function cutOf(run: number): Cut {
  const side = run % 2 === 0 ? 'controller' : 'switch';
  const boundary = (run >> 1) % (2 * BOUNDARIES);
  if (boundary < BOUNDARIES) return { side, afterMessages: 1 + boundary };
  return { side, afterBytes: 1 + roll(BYTES_MAX) };
}

/** Connect until a connection lives, however often it is cut, and wait until the bridge is settled. */
async function settle(): Promise<void> {
  await waitFor('the bridge is settled', async () => {
    if (bridge.installer.connection === undefined) {
      dialer.retryNow();
      return false;
    }
    const { generationWanted, generationConfirmed, passCount } = bridge.installer.status();
    return passCount > 0 && generationWanted === generationConfirmed;
  });
  await bridge.installer.settled();
}

test(`${RUNS} cuts, seed ${SEED}`, { timeout: 60_000 + RUNS * 200 }, async () => {
  for (let run = 0; run < RUNS; run += 1) {
    const cuts = [cutOf(run)];
    proxy.cutOf = () => cuts.shift();
    // The next connection is the one that will be cut; edits fall before, into and after it.
    bridge.installer.connection?.close();
    editAtRandom();
    await waitFor('a connection, cut or not', () => {
      dialer.retryNow();
      return cuts.length === 0;
    });
    editAtRandom();
    await new Promise((resolve) => setImmediate(resolve));
    editAtRandom();
    await settle();
    expect(await onSwitch(), `run ${run}`).toEqual(inBook());
    if (run % SECOND_OPINION_INTERVAL === 0) await bridge.expectEqualToBook();
  }
  // Most cuts fell into what was said; the others would have come after it.
  expect(proxy.cutCount).toBeGreaterThan(RUNS / 4);
  expect(bridge.installer.status().degraded).toBe(false);
  process.stdout.write(`${RUNS} runs, ${proxy.cutCount} cuts, seed ${SEED}\n`);
});
