/**
 * Peers that talk nonsense to a running heddle, over OpenFlow, OVSDB and the control socket: each is told of once and
 * dropped, the real hosts notice nothing, and memory does not grow with what they send.
 */
import { connect, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LogLine } from '../../scripts/support/heddle-process.ts';
import { LIMITS } from '../../src/lib/limits.ts';
import { BLUE, freePort } from '../support/controlled-site.ts';
import { type FakeAnswers, FakeOvsdbServer, reply } from '../support/fake-ovsdb-server.ts';
import { waitFor } from '../support/ovs-sandbox.ts';
import { RunningHeddle } from '../support/running-heddle.ts';

/** What heddle may need more than before, whatever it was sent. */
const GROWTH_MAX_SIZE = 96 * 1024 * 1024;

let heddle: RunningHeddle;
let ovsdbPort: number;
const sockets: Socket[] = [];

beforeAll(async () => {
  heddle = await RunningHeddle.prepare(BLUE);
  ovsdbPort = await freePort();
  heddle.run('--ovsdb-listen', `tcp:127.0.0.1:${ovsdbPort}`);
  await heddle.process.converged();
  await heddle.site.plug('node1', 'blue1');
  await heddle.site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await heddle.process.converged();
  await heddle.site.logMessages();
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => heddle.stop());

/** Somebody connects to a port of heddle's and says something. Gives how it ends. */
async function say(
  port: number,
  ...chunks: readonly (string | Buffer)[]
): Promise<{ closed: () => boolean; socket: Socket }> {
  const socket = connect({ host: '127.0.0.1', port });
  sockets.push(socket);
  let closed = false;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  socket.resume();
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  for (const chunk of chunks) socket.write(chunk);
  return { closed: () => closed, socket };
}

const openflowPort = (): number => Number(heddle.site.listen.split(':').at(-1));
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const warnings = (): number => heddle.process.complaints.length;

/** The real host is served, and never had to come back. */
async function realHostIsServed(): Promise<void> {
  const status = await heddle.status();
  const [node1] = status.hosts.filter(({ name }) => name === 'node1');
  expect(node1?.ovsdbPhase).toBe('live');
  expect(node1?.bridges.map(({ connected, connectionCount }) => [connected, connectionCount])).toEqual([
    [true, 1],
    [true, 1],
  ]);
}

/** And it was told nothing new. */
async function realHostGoesOn(): Promise<void> {
  await realHostIsServed();
  expect(await heddle.site.mods()).toEqual([]);
}

const HELLO = '04 00 0010 00000001 0001 0008 00000010';

describe('OpenFlow', () => {
  test.each([
    ['garbage', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['OpenFlow 1.0 alone', hex('01 00 0008 00000001')],
    ['a length of 0', hex('04 00 0000 00000001')],
    ['a length of 65535 in a HELLO, and rubbish', hex(`04 00 ffff 00000001 ${'ff'.repeat(65_527)}`)],
    ['a features reply that is too short', hex(`${HELLO} 04 06 0010 00000002 00000000000000ee`)],
  ])('%s is dropped at once, with one line', async (_name, bytes) => {
    const before = warnings();
    const peer = await say(openflowPort(), bytes);
    await waitFor('its end', peer.closed);
    await waitFor('its line', () => warnings() > before);
    expect(heddle.process.complaints.slice(before)).toMatchObject([
      { level: 'warn', msg: 'OpenFlow peer dropped during the handshake', reason: expect.any(String) },
    ]);
    await realHostGoesOn();
  });

  test('half a message, no HELLO, a HELLO and silence: dropped after the handshake deadline, and no earlier', async () => {
    const fromMs = performance.now();
    const peers = await Promise.all([
      say(openflowPort()),
      say(openflowPort(), hex('04 00 00')),
      say(openflowPort(), hex(HELLO)),
    ]);
    await waitFor('their end', () => peers.every(({ closed }) => closed()), 3 * LIMITS.handshakeTimeoutMs);
    expect(performance.now() - fromMs).toBeGreaterThan(LIMITS.handshakeTimeoutMs - 200);
    await realHostGoesOn();
  });

  test('a bridge nobody knows that promises 65,535 bytes again and again costs nothing', async () => {
    const before = (await heddle.status()).process.memorySize;
    const junk = Buffer.concat([hex('04 02 ffff 00000005'), Buffer.alloc(65_527)]);
    const { socket } = await say(openflowPort(), hex(HELLO));
    for (let count = 0; count < 500 && !socket.destroyed; count++) {
      await new Promise((resolve) => socket.write(junk, resolve));
    }
    expect((await heddle.status()).process.memorySize - before).toBeLessThan(GROWTH_MAX_SIZE);
    await realHostGoesOn();
  });

  test('a hundred connections at once are taken, bounded and let go', async () => {
    const before = warnings();
    const peers = await Promise.all(Array.from({ length: 100 }, () => say(openflowPort(), 'nonsense nonsense')));
    await waitFor('their end', () => peers.every(({ closed }) => closed()));
    // Five lines of one kind in ten seconds; the rest is counted.
    expect(warnings() - before).toBeLessThanOrEqual(LIMITS.logBurst);
    await realHostGoesOn();
  });
});

describe('an ovsdb-server of the file', () => {
  /** heddle is given another host, whose ovsdb-server lies, and says what it thinks of it. */
  async function withLiar(answers: FakeAnswers, expected: RegExp, growthMaxSize = GROWTH_MAX_SIZE): Promise<void> {
    const fake = await FakeOvsdbServer.start(answers);
    const { site } = heddle;
    const entries = site.hostEntries;
    const before = (await heddle.status()).process.memorySize;
    const flows = await heddle.site.host().dumpFlows('br-tun');
    try {
      site.hostEntries = { ...entries, liar: { ovsdb: fake.target } };
      heddle.write(site.text());
      const told = (): LogLine[] => heddle.process.complaints.filter(({ server }) => server === fake.target);
      await waitFor('a line about it', () => told().length > 0, 15_000);
      const lines = told();
      expect(JSON.stringify(lines[0])).toMatch(expected);
      // One for each time it was tried.
      expect(lines.length).toBeLessThanOrEqual(fake.connectionCount);
      const { waitingFor } = await heddle.status();
      expect(waitingFor).toContainEqual(expect.stringMatching(/^liar: its OVSDB at tcp:/));
      expect((await heddle.status()).process.memorySize - before).toBeLessThan(growthMaxSize);
      await realHostIsServed();
    } finally {
      site.hostEntries = entries;
      heddle.write(site.text());
      await waitFor('the liar to be gone', async () => (await heddle.status()).hosts.length === 1);
      await fake.stop();
    }
    const isAsBefore = async () => isDeepStrictEqual(await site.host().dumpFlows('br-tun'), flows);
    await waitFor('the same flows', isAsBefore);
  }

  const whenMonitored = (result: unknown): FakeAnswers => ({
    answer: (request) => (request.method === 'monitor_cond_since' ? reply(request, result) : undefined),
  });
  const ID = '00000000-0000-0000-0000-000000000001';

  test.each<[string, FakeAnswers, RegExp]>([
    ['speaks another language', { greeting: 'SSH-2.0-OpenSSH_9.2\r\n' }, /MALFORMED_JSON.*begins with byte 0x53/],
    ['opens brackets without end', { greeting: '['.repeat(100_000) }, /MALFORMED_JSON/],
    ['answers with text', { answer: (request) => reply(request, 'nonsense') }, /MALFORMED_UPDATE/],
    [
      'gives rows of a table that does not exist',
      whenMonitored([false, ID, { Nonsense: { [ID]: { initial: {} } } }]),
      /MALFORMED_UPDATE.*table Nonsense/,
    ],
    [
      'gives a number where a name belongs',
      whenMonitored([false, ID, { Bridge: { [ID]: { initial: { name: 7 } } } }]),
      /MALFORMED_VALUE.*Bridge.name: 7/,
    ],
    [
      'gives a row without a uuid',
      whenMonitored([false, ID, { Bridge: { nonsense: { initial: { name: 'x' } } } }]),
      /MALFORMED_UPDATE.*table Bridge/,
    ],
    [
      'modifies a row that it never had',
      whenMonitored([false, ID, { Bridge: { [ID]: { modify: { name: 'x' } } } }]),
      /MALFORMED_UPDATE.*table Bridge/,
    ],
    [
      'hangs up in the middle of its schema',
      {
        answer: (request, socket) => {
          if (request.method !== 'get_schema') return undefined;
          socket.end('{"id":');
          return '';
        },
      },
      /DISCONNECTED/,
    ],
  ])('that %s is not believed', async (_name, answers, expected) => {
    await withLiar(answers, expected);
  });

  test('that sends one message without end is dropped at its bound', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 'a');
    const sentSizes = new Map<Socket, number>();
    await withLiar(
      {
        greeting: '{"id":0,"result":"',
        answer: (_request, socket) => {
          const more = (): void => {
            const sentSize = sentSizes.get(socket) ?? 0;
            if (socket.destroyed || sentSize > 2 * LIMITS.ovsdbMessageSize) return;
            sentSizes.set(socket, sentSize + chunk.length);
            socket.write(chunk, more);
          };
          if (!sentSizes.has(socket)) more();
          return '';
        },
      },
      /MESSAGE_TOO_LARGE/,
      LIMITS.ovsdbMessageSize + GROWTH_MAX_SIZE,
    );
    expect(Math.max(...sentSizes.values())).toBeLessThan(2 * LIMITS.ovsdbMessageSize);
  });
});

test('somebody who calls the OVSDB port and talks nonsense is dropped', async () => {
  for (const text of ['GET / HTTP/1.1\r\n\r\n', ']', '{"method":"echo","params":[],"id":0}]]']) {
    const peer = await say(ovsdbPort, text);
    await waitFor('its end', peer.closed, 10_000);
  }
  await realHostIsServed();
});

test('the control socket: nonsense, half a line, an unknown method, a line without end', async () => {
  const talk = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(heddle.process.control);
      let answer = '';
      socket.setEncoding('utf8');
      socket.on('data', (chunk: string) => {
        answer += chunk;
        socket.end();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(answer));
      socket.write(text);
    });
  expect(JSON.parse(await talk('nonsense\n'))).toMatchObject({ error: { code: 'CONTROL_REQUEST' } });
  expect(JSON.parse(await talk('{"method":"constructor"}\n'))).toMatchObject({ error: { code: 'CONTROL_METHOD' } });
  expect(await talk('x'.repeat(LIMITS.controlRequestLength + 1))).toBe('');
  await realHostIsServed();
});
