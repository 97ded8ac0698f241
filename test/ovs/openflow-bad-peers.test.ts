/** Peers that talk nonsense, or nothing: each is dropped with one line, and a real bridge beside them notices nothing. */
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import type { SwitchConnection } from '../../src/openflow/connection.ts';
import type { OpenFlowListener } from '../../src/openflow/listener.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { type LogLine, Switchboard } from '../support/switchboard.ts';

let sandbox: OvsSandbox;
let board: Switchboard;
let listener: OpenFlowListener;
let port: number;
let bridge: SwitchConnection;
const sockets: Socket[] = [];

beforeEach(async () => {
  sandbox = await OvsSandbox.start();
  board = new Switchboard();
  ({ port, listener } = await board.listen());
  await sandbox.addBridge('br-int', { datapathId: '00000000000000a1', controllers: [`tcp:127.0.0.1:${port}`] });
  bridge = await board.connected(0xa1n);
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await board.close();
  await sandbox.stop();
});

interface Peer {
  readonly socket: Socket;
  /** What we told it, as it came. */
  readonly received: () => Buffer;
  readonly isClosed: () => boolean;
}

async function peer(...hex: readonly string[]): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', port });
  sockets.push(socket);
  const chunks: Buffer[] = [];
  let closed = false;
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  for (const each of hex) socket.write(Buffer.from(each.replaceAll(' ', ''), 'hex'));
  return { socket, received: () => Buffer.concat(chunks), isClosed: () => closed };
}

/** The lines about peers that were dropped, not about the bridge. */
function drops(): LogLine[] {
  return board.lines.filter(({ msg }) => msg.startsWith('OpenFlow peer dropped') || msg === 'bridge dropped');
}

async function bridgeGoesOn(): Promise<void> {
  expect(bridge.isOpen).toBe(true);
  await bridge.barrier();
  expect(board.connections.filter(({ dpid }) => dpid === 0xa1n)).toHaveLength(1);
  expect(board.lines.filter(({ msg }) => msg === 'bridge disconnected')).toEqual([]);
}

const HELLO_13 = '04 00 0010 00000001 0001 0008 00000010';
const FEATURES_REPLY = '04 06 0020 00000002 00000000000000ee 00000000 fe 00 0000 0000004f 00000000';
const PORT_DESC_REPLY = '04 13 0010 00000006 000d 0000 00000000';

test.each([
  ['garbage', 'GARBAGE', [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n').toString('hex')]],
  ['a length of 0', 'GARBAGE', ['04 00 0000 00000001']],
  ['a length below that of a header', 'GARBAGE', ['04 00 0007 00000001']],
  ['OpenFlow 1.0 only', 'VERSION_REFUSED', ['01 00 0008 00000001']],
  ['OpenFlow 1.5 only, by bitmap', 'VERSION_REFUSED', ['06 00 0010 00000001 0001 0008 00000040']],
  ['another message before HELLO', 'PROTOCOL_VIOLATION', ['04 02 0008 00000001']],
  ['HELLO twice', 'PROTOCOL_VIOLATION', [HELLO_13, HELLO_13]],
  ['a body cut short by its own length', 'GARBAGE', [HELLO_13, '04 06 0010 00000002 00000000000000ee']],
  ['a version that was not agreed', 'GARBAGE', [HELLO_13, '01 05 0008 00000009']],
  [
    'garbage once established',
    'GARBAGE',
    [HELLO_13, FEATURES_REPLY, PORT_DESC_REPLY, '04 03 0000 00000001', 'ff'.repeat(100)],
  ],
])('%s: dropped at once with one line', async (_name, code, hex) => {
  const bad = await peer(...hex);
  await waitFor('its end', bad.isClosed);
  expect(drops()).toMatchObject([{ code, peer: expect.stringMatching(/^tcp:127\.0\.0\.1:\d+$/) }]);
  expect(listener.handshakeCount).toBe(0);
  await bridgeGoesOn();
});

test('a refused version hears why: OFPET_HELLO_FAILED, OFPHFC_INCOMPATIBLE', async () => {
  const bad = await peer('01 00 0008 00000001');
  await waitFor('its end', bad.isClosed);
  // Our HELLO, then an error of type 0, code 0 under the xid of the peer's.
  expect(bad.received().subarray(16, 28).toString('hex')).toMatch(/^0401....00000001000000(00)$/);
});

test('silence of every kind ends at the handshake deadline, not before, with one line each', async () => {
  const startMs = performance.now();
  const silent = await Promise.all([
    peer(),
    peer('04'),
    peer(HELLO_13.slice(0, 12)),
    peer(HELLO_13),
    peer(HELLO_13, FEATURES_REPLY.slice(0, 40)),
    peer(HELLO_13, FEATURES_REPLY),
    // A whole handshake's worth of promise: 65,535 bytes announced, 100 sent.
    peer(HELLO_13, `04 02 ffff 00000005 ${'00'.repeat(92)}`),
  ]);
  expect(silent.some(({ isClosed }) => isClosed())).toBe(false);
  await waitFor('their end', () => silent.every(({ isClosed }) => isClosed()), 2 * LIMITS.handshakeTimeoutMs);
  expect(performance.now() - startMs).toBeGreaterThan(LIMITS.handshakeTimeoutMs - 100);
  // More than a burst of one kind from one address is counted rather than written.
  expect(drops()).toHaveLength(LIMITS.logBurst);
  expect(board.limitedLog.suppressedCount).toBe(silent.length - LIMITS.logBurst);
  expect(drops().every(({ code }) => code === 'HANDSHAKE_TIMEOUT')).toBe(true);
  expect(listener.handshakeCount).toBe(0);
  await bridgeGoesOn();
});

test('an established peer that falls silent is probed and dropped; its ECHO_REQUEST is answered', async () => {
  const half = await peer(HELLO_13, FEATURES_REPLY, PORT_DESC_REPLY);
  const connection = await board.connected(0xeen);
  half.socket.write(Buffer.from('0402000a0000004dbeef', 'hex'));
  await waitFor('the echo reply', () => half.received().includes(Buffer.from('0403000a0000004dbeef', 'hex')));
  const request = connection.barrier().catch((error: { code: string }) => error.code);
  await waitFor('its end', half.isClosed, 3 * LIMITS.echoIntervalMs);
  expect(half.received().includes(Buffer.from('0402000800000007', 'hex'))).toBe(true);
  expect(await request).toBe('CONNECTION_CLOSED');
  expect(drops()).toMatchObject([{ code: expect.stringMatching(/SILENT|REQUEST_TIMEOUT/) }]);
  await bridgeGoesOn();
});

test('a peer that does not read is dropped when its queue is full, and its sender hears of it', async () => {
  const slow = await peer(HELLO_13, FEATURES_REPLY, PORT_DESC_REPLY);
  const connection = await board.connected(0xeen);
  slow.socket.pause();
  const message = new Uint8Array(60_000);
  message.set([4, 14, 60_000 >> 8, 60_000 & 0xff]);
  const many = Array.from({ length: 400 }, () => message);
  const results = Promise.allSettled([1, 2, 3, 4].map(() => connection.batch(many)));
  await waitFor('its end', () => !connection.isOpen);
  expect(
    (await results).every((result) => result.status === 'rejected' && result.reason.code === 'CONNECTION_CLOSED'),
  ).toBe(true);
  expect(drops()).toMatchObject([{ code: 'SLOW_READER' }]);
  await bridgeGoesOn();
});

test('many peers at once that never speak are bounded, and a bridge still gets in', async () => {
  const { handshakesAtOnce } = LIMITS;
  const crowd = await Promise.all(Array.from({ length: handshakesAtOnce + 20 }, () => peer()));
  await waitFor('the bound', () => crowd.filter(({ isClosed }) => isClosed()).length >= 20);
  expect(listener.handshakeCount).toBe(handshakesAtOnce);
  await bridgeGoesOn();
  for (const { socket } of crowd) socket.destroy();
  await waitFor('room', () => listener.handshakeCount === 0);
  await sandbox.addBridge('br-tun', { datapathId: '00000000000000a2', controllers: [`tcp:127.0.0.1:${port}`] });
  await board.connected(0xa2n);
});
