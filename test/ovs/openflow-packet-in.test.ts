/** Packets that a real switch sends to the controller: all that NXT_PACKET_IN2 says of them, and how many of them we take. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { encodeMessage } from '../../src/openflow/codec.ts';
import type { PacketIn } from '../../src/openflow/connection.ts';
import { PACKET_IN_REASONS } from '../../src/openflow/messages.ts';
import { desired, meter, OneBridge } from '../support/one-bridge.ts';
import { waitFor } from '../support/ovs-sandbox.ts';

const FRAME = 'ffffffffffff505400000009123400010203';
const REGISTER = { field: 'reg6', start: 0, length: 32 } as const;

let bridge: OneBridge;
let packets: PacketIn[];

beforeEach(async () => {
  bridge = await OneBridge.start();
  packets = [];
});

afterEach(async () => {
  await bridge.stop();
});

function connection() {
  const known = bridge.installer.connection;
  if (known === undefined) throw new Error('not connected');
  return known;
}

test('port, table, cookie, registers, metadata and userdata arrive with it', async () => {
  const ofport = await bridge.sandbox.addPort('br-int', 'p1', 'type=dummy', 'ofport_request=4');
  const flow = desired('router r', {
    table: 0,
    priority: 1,
    match: { inPort: ofport },
    actions: [
      { type: 'load', destination: REGISTER, value: 0xabcd },
      { type: 'setField', field: 'metadata', value: 0x1234n },
      { type: 'controller', maxLength: 0xffff, userdata: Uint8Array.of(0x48, 0x44, 1, 4), meter: 7 },
    ],
  });
  bridge.book.claimMeter(meter(7, 1_000));
  bridge.edit([flow]);
  await bridge.connect();
  connection().subscribe({ packetIn: (packet) => packets.push(packet) });
  await bridge.sandbox.appctl('netdev-dummy/receive', 'p1', FRAME);
  await waitFor('the packet', () => packets.length > 0);
  const [packet] = packets;
  expect(packet).toMatchObject({
    reason: PACKET_IN_REASONS.action,
    table: 0,
    cookie: flow.flow.cookie,
    match: { inPort: ofport, reg6: 0xabcd, metadata: 0x1234n },
    userdata: Uint8Array.of(0x48, 0x44, 1, 4),
  });
  // The dummy device fills up to the length of the shortest frame.
  expect(Buffer.from(packet?.data ?? []).toString('hex')).toMatch(new RegExp(`^${FRAME}`));
  expect(packet?.totalSize).toBe(packet?.data.length);
  expect(bridge.installer.status().packetIns).toEqual({ taken: 1, dropped: 0 });
});

test('a meter lets as many through as it says', async () => {
  const ofport = await bridge.sandbox.addPort('br-int', 'p1', 'type=dummy', 'ofport_request=4');
  const actions = [{ type: 'controller', maxLength: 0xffff, meter: 7 } as const];
  bridge.book.claimMeter(meter(7, 20));
  bridge.edit([desired('router r', { table: 0, priority: 1, match: { inPort: ofport }, actions })]);
  await bridge.connect();
  connection().subscribe({ packetIn: (packet) => packets.push(packet) });
  const startMs = performance.now();
  for (let round = 0; round < 10; round += 1) {
    await bridge.sandbox.appctl('netdev-dummy/receive', 'p1', ...Array.from({ length: 20 }, () => FRAME));
  }
  await waitFor('the meter has dropped some', async () => /packet_count:[1-9]/.test(await meterStats()));
  await connection().barrier();
  const seconds = (performance.now() - startMs) / 1_000;
  expect(packets.length).toBeGreaterThan(0);
  expect(packets.length).toBeLessThanOrEqual(20 + 20 * seconds + 1);
});

/** Of the meter's band: what it dropped. */
async function meterStats(): Promise<string> {
  const text = await bridge.ofctl('meter-stats');
  return text.slice(text.indexOf('bands'));
}

test('more than the bound are left out unread, and nobody waits for them', async () => {
  await bridge.connect();
  let taken = 0;
  connection().subscribe({ packetIn: () => (taken += 1) });
  const packetOut = encodeMessage({
    type: 'packetOut',
    xid: 0,
    inPort: 0xfffffffd,
    actions: [{ type: 'controller', maxLength: 0xffff }],
    data: Buffer.from(FRAME, 'hex'),
  });
  const startMs = performance.now();
  for (let round = 0; round < 40; round += 1) await connection().batch(Array.from({ length: 1_000 }, () => packetOut));
  const seconds = (performance.now() - startMs) / 1_000;
  const { packetIns } = bridge.installer.status();
  expect(packetIns.taken).toBe(taken);
  expect(packetIns.taken).toBeLessThanOrEqual(LIMITS.packetInsPerS * (1 + seconds) + 1);
  expect(packetIns.dropped).toBeGreaterThan(0);
  // Those of connections that have ended count too.
  connection().close();
  expect(bridge.installer.status().packetIns).toEqual(packetIns);
  process.stdout.write(
    `40,000 packets in ${seconds.toFixed(1)} s: ${packetIns.taken} taken, ${packetIns.dropped} left out\n`,
  );
});
