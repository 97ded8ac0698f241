/**
 * A large difference is several bundles: what the bridge does between two of them (docs/decisions/0001-bundle-order.md). The
 * connection ends behind each commit in turn, and the switch itself says what becomes of frames.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DesiredFlow } from '../../src/compiler/book.ts';
import { LIMITS } from '../../src/lib/limits.ts';
import { desired, miss, OneBridge, output } from '../support/one-bridge.ts';
import { OpenFlowProxy } from '../support/openflow-proxy.ts';
import { waitFor } from '../support/ovs-sandbox.ts';

/** Each has a row in table 0 that leads to its guards in table 25, and one in table 60 that delivers to it: no table fits into a bundle. */
const PORTS = 5_000;
const SAMPLES = [1, 2, 2_500, 4_999, 5_000];

const macOf = (port: number): number => 0x02_00_00_00_00_00 + port;
const macText = (port: number): string =>
  [...Buffer.from(macOf(port).toString(16).padStart(12, '0'), 'hex')]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(':');
const goto = (table: number) => ({ type: 'goto', table }) as const;

/** As br-int's: what comes from a port is looked at in table 25, everything else goes to table 60 at once. */
function pipeline(): DesiredFlow[] {
  const flows = [miss(0, goto(60)), miss(25), miss(60)];
  for (let port = 1; port <= PORTS; port += 1) {
    const object = `port p${port}`;
    flows.push(
      desired(object, { table: 0, priority: 9, match: { inPort: port }, actions: [goto(25)] }),
      desired(object, { table: 25, priority: 2, match: { inPort: port, ethSrc: macOf(port) }, actions: [goto(60)] }),
      desired(object, { table: 25, priority: 1, match: { inPort: port }, actions: [] }),
      desired(object, { table: 60, priority: 4, match: { ethDst: macOf(port) }, actions: [output(port)] }),
    );
  }
  return flows;
}

let bridge: OneBridge;
let proxy: OpenFlowProxy;
/** Connections end behind their first piece, which a barrier ends; while somebody looks, at once. */
let isLookedAt = false;
let pieceCount = 0;
/** Or behind so many, of one connection. */
let piecesLeft = 1;
let answersLeft = 1;
/** Or after so many messages, wherever that is. */
let messagesLeft: number | undefined;

const BARRIER_REQUEST = 20;
const BARRIER_REPLY = 21;

beforeAll(async () => {
  bridge = await OneBridge.start();
  const { sandbox } = bridge;
  sandbox.allowCutConnections();
  // The ports that are traced; the others need not exist.
  for (const port of SAMPLES) {
    await sandbox.addPort('br-int', `p${port}`, 'type=dummy', `ofport_request=${port}`);
  }
  proxy = await OpenFlowProxy.start(sandbox.mgmtPath('br-int'), join(sandbox.directory, 'proxy'));
  proxy.alter = (frame) => {
    if (frame[1] !== BARRIER_REPLY) return;
    pieceCount += 1;
    answersLeft -= 1;
  };
  proxy.cutOf = () => {
    if (isLookedAt) return { side: 'controller', afterMessages: 1 };
    if (messagesLeft !== undefined) return { side: 'controller', afterMessages: messagesLeft };
    return { side: 'controller', afterMessage: isLastPiece, untilAnswer: isLastAnswer };
  };
});

afterAll(async () => {
  await bridge.stop();
  await proxy.stop();
});

function isLastPiece(frame: Uint8Array): boolean {
  if (frame[1] !== BARRIER_REQUEST) return false;
  piecesLeft -= 1;
  return piecesLeft <= 0;
}

function isLastAnswer(frame: Uint8Array): boolean {
  return frame[1] === BARRIER_REPLY && answersLeft <= 0;
}

/** What the bridge does with a frame between two ports: `drop`, or the ofport that it goes to. */
async function verdict(from: number, source: number, to: number): Promise<string> {
  const flow = `in_port=p${from},dl_src=${macText(source)},dl_dst=${macText(to)},dl_type=0x1234`;
  const trace = await bridge.sandbox.appctl('ofproto/trace', 'br-int', flow);
  // The trace says what each table did; the last output is by the number that OpenFlow has for it.
  return /output:(\d+)/.exec(trace)?.[1] ?? 'drop';
}

async function expectSafe(): Promise<string[]> {
  const verdicts: string[] = [];
  for (const from of SAMPLES) {
    const to = SAMPLES.find((port) => port !== from) ?? 0;
    const honest = await verdict(from, from, to);
    expect(['drop', String(to)]).toContain(honest);
    expect(await verdict(from, to, to), `spoofed from port ${from}`).toBe('drop');
    verdicts.push(honest);
  }
  return verdicts;
}

/** Lets each connection go a piece further and looks, until nothing is left to send. Gives the number of pieces. */
async function inSteps(): Promise<number> {
  const dialer = bridge.board.dial(`unix:${proxy.path}`);
  const before = pieceCount;
  for (;;) {
    const known = pieceCount;
    await waitFor('a piece, or nothing to send', () => {
      dialer.retryNow();
      const { connected, generationWanted, generationConfirmed } = bridge.installer.status();
      return pieceCount > known || (connected && generationWanted === generationConfirmed);
    });
    if (pieceCount === known) break;
    isLookedAt = true;
    await waitFor('the cut is noticed', () => bridge.installer.connection === undefined);
    await expectSafe();
    isLookedAt = false;
  }
  dialer.close();
  await waitFor('the connection has ended', () => bridge.installer.connection === undefined);
  return pieceCount - before;
}

test('between the bundles of a bridge that is filled, and of one that is emptied', { timeout: 120_000 }, async () => {
  const flows = pipeline();
  expect(flows.length).toBeGreaterThan(2 * LIMITS.bundleLength);
  bridge.edit(flows);
  expect(await inSteps()).toBeGreaterThanOrEqual(3);
  await bridge.expectEqualToBook();
  expect(await expectSafe()).toEqual(SAMPLES.map((from) => String(SAMPLES.find((port) => port !== from))));

  bridge.edit([], flows);
  expect(await inSteps()).toBeGreaterThanOrEqual(3);
  await bridge.expectEqualToBook();
});

test('between the pieces of one connection that fills an empty bridge', { timeout: 120_000 }, async () => {
  bridge.edit(pipeline());
  const dialer = bridge.board.dial(`unix:${proxy.path}`);
  const cases = [
    { pieces: 1 },
    { pieces: 2 },
    { pieces: 3 },
    { messages: 700 },
    { messages: 6_001 },
    { messages: 9_400 },
  ];
  for (const { pieces = 1, messages } of cases) {
    isLookedAt = true;
    bridge.installer.connection?.close();
    await waitFor('no connection', () => bridge.installer.connection === undefined);
    await bridge.ofctl('del-flows');
    const cutsBefore = proxy.cutCount;
    piecesLeft = pieces;
    answersLeft = pieces;
    messagesLeft = messages;
    isLookedAt = false;
    await waitFor(`the end behind ${messages ?? pieces}`, () => {
      dialer.retryNow();
      return proxy.cutCount > cutsBefore;
    });
    isLookedAt = true;
    await waitFor('the cut is noticed', () => bridge.installer.connection === undefined);
    const flowCount = Number(/flow_count=(\d+)/.exec(await bridge.ofctl('dump-aggregate'))?.[1]);
    if (messages === undefined) expect(flowCount).toBe(pieces * LIMITS.bundleLength);
    // What the switch had not read when its connection ended is lost.
    else expect([flowCount > 0, flowCount < messages]).toEqual([true, true]);
    await expectSafe();
  }
  messagesLeft = undefined;
  dialer.close();
});
