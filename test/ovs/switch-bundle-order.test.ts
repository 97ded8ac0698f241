/**
 * A large difference is several bundles: what the bridge does between two of them (docs/decisions/0001-bundle-order.md). The
 * connection ends behind each commit in turn, and the switch itself says what becomes of frames.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DesiredFlow } from '../../src/compiler/book.ts';
import { LIMITS } from '../../src/lib/limits.ts';
import { BUNDLE_CONTROLS } from '../../src/openflow/messages.ts';
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
/** Connections end behind their first bundle; while somebody looks, at once. */
let isLookedAt = false;
let commitCount = 0;
/** Or behind so many, of one connection. */
let commitsLeft = 1;
let answersLeft = 1;

beforeAll(async () => {
  bridge = await OneBridge.start();
  const { sandbox } = bridge;
  sandbox.allowLog(/(vconn|rconn|stream_unix)\|WARN\|.*(Broken pipe|Connection reset)/);
  // The ports that are traced; the others need not exist.
  for (const port of SAMPLES) {
    await sandbox.addPort('br-int', `p${port}`, 'type=dummy', `ofport_request=${port}`);
  }
  proxy = await OpenFlowProxy.start(sandbox.mgmtPath('br-int'), join(sandbox.directory, 'proxy'));
  proxy.alter = (frame) => {
    if (!isBundleControl(frame, BUNDLE_CONTROLS.commitReply)) return;
    commitCount += 1;
    answersLeft -= 1;
  };
  proxy.cutOf = () =>
    isLookedAt
      ? { side: 'controller', afterMessages: 1 }
      : { side: 'controller', afterMessage: isCommit, untilAnswer: isCommitted };
});

afterAll(async () => {
  await bridge.stop();
  await proxy.stop();
});

function isCommit(frame: Uint8Array): boolean {
  if (!isBundleControl(frame, BUNDLE_CONTROLS.commitRequest)) return false;
  commitsLeft -= 1;
  return commitsLeft <= 0;
}

function isCommitted(frame: Uint8Array): boolean {
  return isBundleControl(frame, BUNDLE_CONTROLS.commitReply) && answersLeft <= 0;
}

/** ONF_ET_BUNDLE_CONTROL of this type (ONF extension 230). */
function isBundleControl(frame: Uint8Array, control: number): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return view.getUint8(1) === 4 && view.getUint32(12) === 2300 && view.getUint16(20) === control;
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

/** Lets each connection go a commit further and looks, until nothing is left to send. Gives the number of commits. */
async function inSteps(): Promise<number> {
  const dialer = bridge.board.dial(`unix:${proxy.path}`);
  const before = commitCount;
  for (;;) {
    const known = commitCount;
    await waitFor('a commit, or nothing to commit', () => {
      dialer.retryNow();
      const { connected, generationWanted, generationConfirmed } = bridge.installer.status();
      return commitCount > known || (connected && generationWanted === generationConfirmed);
    });
    if (commitCount === known) break;
    isLookedAt = true;
    await waitFor('the cut is noticed', () => bridge.installer.connection === undefined);
    await expectSafe();
    isLookedAt = false;
  }
  dialer.close();
  await waitFor('the connection has ended', () => bridge.installer.connection === undefined);
  return commitCount - before;
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

test('between the bundles of one connection that fills an empty bridge', { timeout: 120_000 }, async () => {
  bridge.edit(pipeline());
  const dialer = bridge.board.dial(`unix:${proxy.path}`);
  for (const commits of [1, 2, 3, 4]) {
    isLookedAt = true;
    bridge.installer.connection?.close();
    await waitFor('no connection', () => bridge.installer.connection === undefined);
    await bridge.ofctl('del-flows');
    const cutsBefore = proxy.cutCount;
    commitsLeft = commits;
    answersLeft = commits;
    isLookedAt = false;
    await waitFor(`the end behind commit ${commits}`, () => {
      dialer.retryNow();
      return commitsLeft <= 0 && proxy.cutCount > cutsBefore;
    });
    isLookedAt = true;
    await waitFor('the cut is noticed', () => bridge.installer.connection === undefined);
    const flowCount = Number(/flow_count=(\d+)/.exec(await bridge.ofctl('dump-aggregate'))?.[1]);
    expect(flowCount).toBe(commits * LIMITS.bundleLength);
    await expectSafe();
  }
  dialer.close();
});
