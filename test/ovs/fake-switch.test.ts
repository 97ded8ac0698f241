/**
 * The fake switch of the bench (scripts/support/bench/fake-switch.ts) answers what a real one without flows answers: one server
 * asks both the same.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeSwitch } from '../../scripts/support/bench/fake-switch.ts';
import { decodeMessage, encodeMessage } from '../../src/openflow/codec.ts';
import { FrameCutter } from '../../src/openflow/frame.ts';
import { FLOW_MONITOR_FLAGS, type Message, PACKET_IN_FORMATS } from '../../src/openflow/messages.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';

const DPID = 0xfa4en;
const LAST_XID = 99;

let sandbox: OvsSandbox;
beforeAll(async () => {
  sandbox = await OvsSandbox.start();
});
afterAll(async () => {
  await sandbox.stop();
});

const FLOW = { table: 20, priority: 1, match: {}, actions: [], cookie: 1n } as const;
const bundle = { bundleId: 7, flags: 3 } as const;

const QUESTIONS: readonly Message[] = [
  { type: 'featuresRequest', xid: 2 },
  { type: 'setConfig', xid: 3, flags: 0, missSendLength: 0xffff },
  { type: 'setPacketInFormat', xid: 4, format: PACKET_IN_FORMATS.packetIn2 },
  { type: 'echoRequest', xid: 5, data: Buffer.from('echo') },
  { type: 'multipartRequest', xid: 7, more: false, body: { kind: 'table' } },
  { type: 'multipartRequest', xid: 8, more: false, body: { kind: 'flow' } },
  { type: 'multipartRequest', xid: 9, more: false, body: { kind: 'groupDesc' } },
  { type: 'multipartRequest', xid: 10, more: false, body: { kind: 'meterConfig' } },
  { type: 'multipartRequest', xid: 11, more: false, body: { kind: 'aggregate' } },
  {
    type: 'multipartRequest',
    xid: 12,
    more: false,
    body: { kind: 'flowMonitor', monitors: [{ id: 1, flags: FLOW_MONITOR_FLAGS.add | FLOW_MONITOR_FLAGS.delete }] },
  },
  { type: 'bundleControl', xid: 13, control: 'openRequest', ...bundle },
  { type: 'bundleAdd', xid: 14, ...bundle, message: { type: 'flowMod', xid: 14, command: 'add', flow: FLOW } },
  { type: 'bundleControl', xid: 15, control: 'commitRequest', ...bundle },
  { type: 'barrierRequest', xid: 16 },
  { type: 'flowMod', xid: 17, command: 'add', flow: FLOW },
  { type: 'barrierRequest', xid: LAST_XID },
];

/** All that one switch, which is told where to call, says until the last barrier. */
async function answersOf(callThere: (port: number) => Promise<void>): Promise<Message[]> {
  const answers: Message[] = [];
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    const cutter = new FrameCutter();
    sockets.push(socket);
    socket.on('error', () => socket.destroy());
    const hello = { type: 'hello', xid: 1, version: 4, versions: [4] } as const;
    socket.write(Buffer.concat([hello, ...QUESTIONS].map(encodeMessage)));
    socket.on('data', (chunk) => {
      for (const frame of cutter.push(chunk)) answers.push(decodeMessage(frame));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await callThere(address.port);
  await waitFor('the last barrier', () => answers.some(({ xid }) => xid === LAST_XID));
  for (const socket of sockets) socket.destroy();
  server.close();
  return answers.filter(({ xid }) => QUESTIONS.some((question) => question.xid === xid));
}

test('a fake switch answers as a real one', async () => {
  const real = await answersOf(async (port) => {
    const datapathId = DPID.toString(16).padStart(16, '0');
    await sandbox.addBridge('br-int', { datapathId, controllers: [`tcp:127.0.0.1:${port}`] });
  });
  await sandbox.vsctl('del-br', 'br-int');
  let fake: FakeSwitch | undefined;
  const answers = await answersOf(async (port) => {
    fake = new FakeSwitch({ host: '127.0.0.1', port, dpid: DPID });
  });
  expect(answers).toEqual(real);
  expect(answers.map(({ xid }) => xid)).toEqual([2, 5, 7, 8, 9, 10, 11, 12, 13, 15, 16, LAST_XID]);
  expect(fake?.flowModCount).toBe(2);
  fake?.close();
});
