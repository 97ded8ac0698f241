/**
 * 500 bridges of one ovs-vswitchd call one process: heddle, which compares and programs each, against a bare server of the same
 * runtime, which accepts, says HELLO, asks for the features and does nothing else. heddle does it twice: with no flow to program,
 * which is what the bare server does, and with some, where the bare server sends the same bytes and waits for a barrier.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type BridgeBook, BridgeLedger } from '../../../src/compiler/book.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { encodeMessage } from '../../../src/openflow/codec.ts';
import { BridgeInstaller } from '../../../src/switch/installer.ts';
import { OvsSandbox, waitFor } from '../../../test/support/ovs-sandbox.ts';
import { Switchboard } from '../../../test/support/switchboard.ts';
import { message } from './bare-switch.ts';
import { collectGarbage, type Line, median, type Row } from './measure.ts';
import { compileOneHost, ONE_HOST, oneHostSite } from './site.ts';
import { flowModsOf } from './switch-lines.ts';

const BRIDGES = 500;
/** Flows of each. */
const FLOWS = 40;
const DEADLINE_MS = 120_000;
const OFPT_HELLO = 0;
const OFPT_FEATURES_REQUEST = 5;
const OFPT_FEATURES_REPLY = 6;
const OFPT_BARRIER_REQUEST = 20;
const OFPT_BARRIER_REPLY = 21;
const ALL_TABLES = 255;

const bridgeName = (index: number): string => `br${index}`;

async function startBridges(count: number): Promise<OvsSandbox> {
  const sandbox = await OvsSandbox.start();
  const step = 100;
  for (let first = 0; first < count; first += step) {
    const args: string[] = [];
    for (let index = first; index < Math.min(count, first + step); index++) {
      const name = bridgeName(index);
      const dpid = (0x1000 + index).toString(16).padStart(16, '0');
      args.push('--', 'add-br', name, '--', 'set', 'Bridge', name, 'protocols=OpenFlow13', 'fail_mode=secure');
      args.push(`other_config:datapath-id=${dpid}`, 'other_config:disable-in-band=true');
    }
    await sandbox.vsctl(...args.slice(1));
  }
  return sandbox;
}

/** Have all bridges call a port, or nobody. */
async function call(sandbox: OvsSandbox, count: number, port: number | undefined): Promise<void> {
  const args = Array.from({ length: count }, (_, index) =>
    port === undefined
      ? ['--', 'del-controller', bridgeName(index)]
      : ['--', 'set-controller', bridgeName(index), `tcp:127.0.0.1:${port}`],
  ).flat();
  await sandbox.vsctl('--no-wait', ...args.slice(1));
}

/** Counts the bridges that have told their features, or, given bytes to send then, have done what these say. */
class BareServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  count = 0;

  constructor(bytes?: Uint8Array) {
    const isLast = bytes === undefined ? OFPT_FEATURES_REPLY : OFPT_BARRIER_REPLY;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.setNoDelay(true).on('error', () => socket.destroy());
      socket.write(message(OFPT_HELLO, 1));
      // What bridges answer here is short: no message comes in two pieces.
      socket.on('data', (chunk) => {
        for (let offset = 0; offset + 8 <= chunk.length; offset += Math.max(8, chunk.readUInt16BE(offset + 2))) {
          const type = chunk.readUInt8(offset + 1);
          if (type === OFPT_HELLO) socket.write(message(OFPT_FEATURES_REQUEST, 2));
          if (type === OFPT_FEATURES_REPLY && bytes !== undefined) socket.write(bytes);
          if (type === isLast) this.count++;
        }
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

async function bareMs(sandbox: OvsSandbox, count: number, bytes?: Uint8Array): Promise<number> {
  const server = new BareServer(bytes);
  const port = await server.listen();
  collectGarbage();
  const start = performance.now();
  const called = call(sandbox, count, port);
  await waitFor('all bridges have answered', () => server.count >= count, DEADLINE_MS);
  const ms = performance.now() - start;
  await called;
  server.close();
  await call(sandbox, count, undefined);
  return ms;
}

async function heddleMs(sandbox: OvsSandbox, count: number, book: BridgeBook): Promise<number> {
  const board = new Switchboard();
  const { limitedLog } = board;
  const installers = new Map<bigint, BridgeInstaller>();
  for (let index = 0; index < count; index++) {
    const drift = (): 'repair' => 'repair';
    const options = { host: ONE_HOST, bridge: bridgeName(index), book: () => book, drift };
    installers.set(BigInt(0x1000 + index), new BridgeInstaller({ ...options, logger: silentLogger, limitedLog }));
  }
  board.onConnection = (connection) => installers.get(connection.dpid)?.attach(connection);
  const { port } = await board.listen();
  collectGarbage();
  const start = performance.now();
  const called = call(sandbox, count, port);
  await Promise.all([...installers.values()].map((installer) => installer.settled()));
  const ms = performance.now() - start;
  await called;
  await call(sandbox, count, undefined);
  for (const installer of installers.values()) installer.close();
  await board.close();
  return ms;
}

const barrier = (): Uint8Array => message(OFPT_BARRIER_REQUEST, 3);

function deleteAll(): Uint8Array {
  const flow = { table: ALL_TABLES, priority: 0, cookie: 0n, match: {}, actions: [] };
  return Buffer.concat([encodeMessage({ type: 'flowMod', xid: 2, command: 'delete', flow }), barrier()]);
}

const RATIO_MAX = 1.5;

export interface BridgesFigures {
  readonly flowCount: number;
  readonly accepting: readonly number[];
  readonly comparing: readonly number[];
  readonly streaming: readonly number[];
  readonly programming: readonly number[];
}

export async function measureBridges(count: number, rounds: number): Promise<BridgesFigures> {
  const book = compileOneHost(oneHostSite(FLOWS)).book(ONE_HOST, 'br-tun');
  if (book === undefined) throw new Error('nothing was compiled');
  const bytes = Buffer.concat([flowModsOf(book), barrier()]);
  const sandbox = await startBridges(count);
  const accepting: number[] = [];
  const comparing: number[] = [];
  const streaming: number[] = [];
  const programming: number[] = [];
  const clear = (): Promise<number> => bareMs(sandbox, count, deleteAll());
  try {
    for (let round = 0; round < rounds; round++) {
      accepting.push(await bareMs(sandbox, count));
      comparing.push(await heddleMs(sandbox, count, new BridgeLedger(ONE_HOST, 'br-tun')));
      streaming.push(await bareMs(sandbox, count, bytes));
      await clear();
      programming.push(await heddleMs(sandbox, count, book));
      await clear();
    }
  } finally {
    await sandbox.kill();
  }
  return { flowCount: book.size, accepting, comparing, streaming, programming };
}

export const bridgesLine: Line = async ({ rounds, shrink }) => {
  const count = Math.round(BRIDGES / shrink);
  const { flowCount, accepting, comparing, streaming, programming } = await measureBridges(count, rounds);
  const row = (what: string, floorIs: string, times: readonly number[], floors: readonly number[]): Row => {
    const ratio = median(times) / median(floors);
    const figures = { heddle: median(times), floor: median(floors), ratio };
    return { what, floorIs, unit: 'ms', ...figures, target: `≤ ${RATIO_MAX} × floor`, isMet: ratio <= RATIO_MAX };
  };
  const bridges = `${count} bridges of one ovs-vswitchd connected`;
  return [
    row(
      `${bridges}, and found as they should be, empty`,
      'a bare server that accepts and shakes hands',
      comparing,
      accepting,
    ),
    row(
      `${bridges}, compared and programmed with ${flowCount} flows each`,
      'a bare server that sends the same flow-mods and a barrier',
      programming,
      streaming,
    ),
  ];
};
