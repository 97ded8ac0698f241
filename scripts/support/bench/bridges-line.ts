/**
 * 500 bridges of one ovs-vswitchd call one process: heddle, which compares and programs each, against a bare server of the same
 * runtime, which accepts, says HELLO, asks for the features and does nothing else.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { BridgeLedger } from '../../../src/compiler/book.ts';
import { BridgeInstaller } from '../../../src/switch/installer.ts';
import { OvsSandbox, waitFor } from '../../../test/support/ovs-sandbox.ts';
import { Switchboard } from '../../../test/support/switchboard.ts';
import { message } from './bare-switch.ts';
import { type Line, median } from './measure.ts';
import { compileOneHost, ONE_HOST, oneHostSite } from './site.ts';

const BRIDGES = 500;
/** Flows of each. */
const FLOWS = 40;
const DEADLINE_MS = 120_000;
const OFPT_HELLO = 0;
const OFPT_FEATURES_REQUEST = 5;
const OFPT_FEATURES_REPLY = 6;

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

/** Counts the bridges that have told their features. */
class BareServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  count = 0;

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.setNoDelay(true).on('error', () => socket.destroy());
      socket.write(message(OFPT_HELLO, 1));
      socket.on('data', (chunk) => {
        for (let offset = 0; offset + 8 <= chunk.length; offset += Math.max(8, chunk.readUInt16BE(offset + 2))) {
          const type = chunk.readUInt8(offset + 1);
          if (type === OFPT_HELLO) socket.write(message(OFPT_FEATURES_REQUEST, 2));
          if (type === OFPT_FEATURES_REPLY) this.count++;
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

async function bareMs(sandbox: OvsSandbox, count: number): Promise<number> {
  const server = new BareServer();
  const port = await server.listen();
  const start = performance.now();
  const called = call(sandbox, count, port);
  await waitFor('all bridges have told their features', () => server.count >= count, DEADLINE_MS);
  const ms = performance.now() - start;
  await called;
  server.close();
  await call(sandbox, count, undefined);
  return ms;
}

async function heddleMs(sandbox: OvsSandbox, count: number, ledger: () => BridgeLedger): Promise<number> {
  const board = new Switchboard();
  const { logger, limitedLog } = board;
  const installers = new Map<bigint, BridgeInstaller>();
  for (let index = 0; index < count; index++) {
    const book = ledger();
    const drift = (): 'repair' => 'repair';
    const options = { host: ONE_HOST, bridge: bridgeName(index), book: () => book, drift, logger, limitedLog };
    installers.set(BigInt(0x1000 + index), new BridgeInstaller(options));
  }
  board.onConnection = (connection) => installers.get(connection.dpid)?.attach(connection);
  const { port } = await board.listen();
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

export const bridgesLine: Line = async ({ rounds, shrink }) => {
  const count = Math.round(BRIDGES / shrink);
  const flows = [...(compileOneHost(oneHostSite(FLOWS)).book(ONE_HOST, 'br-tun')?.flows() ?? [])];
  const ledger = (): BridgeLedger => {
    const book = new BridgeLedger(ONE_HOST, 'br-tun');
    book.claimAll(flows);
    book.takeChange();
    return book;
  };
  const sandbox = await startBridges(count);
  const bare: number[] = [];
  const heddle: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      bare.push(await bareMs(sandbox, count));
      heddle.push(await heddleMs(sandbox, count, ledger));
      const names = Array.from({ length: count }, (_, index) => bridgeName(index));
      // The next round begins with empty bridges.
      for (const name of names) await sandbox.ofctl('del-flows', name);
    }
  } finally {
    await sandbox.kill();
  }
  const ratio = median(heddle) / median(bare);
  return [
    {
      what: `${count} bridges connected, and programmed with ${flows.length} flows each`,
      unit: 'ms',
      heddle: median(heddle),
      floor: median(bare),
      floorIs: 'a bare server that accepts and shakes hands',
      ratio,
      target: '≤ 1.5 × floor',
      isMet: ratio <= 1.5,
    },
  ];
};
