/**
 * Lines against one real ovs-vswitchd on the userspace datapath: a cold sync of 100,000 flows, and a reconcile of as many that
 * are already right. The floor is the switch: the same flow-mods, made beforehand, written in one go to one connection.
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BridgeLedger } from '../../../src/compiler/book.ts';
import type { BridgeBook, Compiler } from '../../../src/compiler/compiler.ts';
import { formatFlow } from '../../../src/flow/format.ts';
import type { SwitchConnection } from '../../../src/openflow/connection.ts';
import { FlowEncoder } from '../../../src/switch/flow-bytes.ts';
import { BridgeInstaller } from '../../../src/switch/installer.ts';
import type { Topology } from '../../../src/topology/model.ts';
import { OvsSandbox } from '../../../test/support/ovs-sandbox.ts';
import { Switchboard } from '../../../test/support/switchboard.ts';
import { BareSwitch } from './bare-switch.ts';
import { collectGarbage, type Line, type LineOptions, median, type Row, threadMs, timed } from './measure.ts';
import { neutronMs } from './neutron-peer.ts';
import { compileOneHost, ONE_HOST, oneHostSite } from './site.ts';

const BRIDGE = 'br-tun';
const FLOWS = 100_000;
const run = promisify(execFile);

const DPID = 0xb1n;

/** A bridge that listens. */
class Bench {
  readonly sandbox: OvsSandbox;
  readonly port: number;

  private constructor(sandbox: OvsSandbox, port: number) {
    this.sandbox = sandbox;
    this.port = port;
  }

  static async start(): Promise<Bench> {
    const sandbox = await OvsSandbox.start();
    const port = await freePort();
    await sandbox.addBridge(BRIDGE, { datapathId: '00000000000000b1', controllers: [`ptcp:${port}:127.0.0.1`] });
    return new Bench(sandbox, port);
  }

  /** A connection of heddle's, and an installer for it that waits to be attached. */
  async connect(book: () => BridgeBook): Promise<HeddleSide> {
    const board = new Switchboard();
    board.dial(`tcp:127.0.0.1:${this.port}`);
    const connection = await board.connected(DPID);
    const { logger, limitedLog } = board;
    const drift = (): 'repair' => 'repair';
    const installer = new BridgeInstaller({ host: ONE_HOST, bridge: BRIDGE, book, drift, logger, limitedLog });
    const close = async (): Promise<void> => {
      installer.close();
      await board.close();
    };
    return { connection, installer, close };
  }

  async clear(): Promise<void> {
    await this.sandbox.ofctl('del-flows', BRIDGE);
  }

  async flowCount(): Promise<number> {
    return Number(/flow_count=(\d+)/.exec(await this.sandbox.ofctl('dump-aggregate', BRIDGE))?.[1]);
  }

  /** Milliseconds that ovs-ofctl takes, its start included. Its output is counted, and thrown away as it comes. */
  async ofctlMs(...args: readonly string[]): Promise<number> {
    const start = performance.now();
    const target = `unix:${this.sandbox.mgmtPath(BRIDGE)}`;
    await run('sh', [
      '-c',
      'exec ovs-ofctl -O OpenFlow13 "$@" > /dev/null',
      'sh',
      ...args.map((arg) => (arg === BRIDGE ? target : arg)),
    ]);
    return performance.now() - start;
  }

  /** Milliseconds that Neutron's own classes take for the flows of a file; undefined: they are not installed. */
  async neutronMs(file: string): Promise<number | undefined> {
    await this.clear();
    const { databaseSocket, directory } = this.sandbox;
    return neutronMs({ databaseSocket, bridge: BRIDGE, file, directory });
  }

  async stop(): Promise<void> {
    await this.sandbox.kill();
  }
}

interface HeddleSide {
  readonly connection: SwitchConnection;
  readonly installer: BridgeInstaller;
  close(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The flow-mods of a book as one piece. */
export function flowModsOf(book: BridgeBook): Uint8Array {
  const encoder = new FlowEncoder();
  const frames: Uint8Array[] = [];
  for (const { flow } of book.flows()) {
    encoder.encode(flow);
    frames.push(encoder.take());
  }
  return Buffer.concat(frames);
}

function bookOf(compiler: Compiler): BridgeBook {
  const book = compiler.book(ONE_HOST, BRIDGE);
  if (book === undefined) throw new Error('nothing was compiled');
  return book;
}

interface Taken {
  readonly ms: number;
  /** Of these, computed by this thread. */
  readonly threadMs: number;
}

/** What one cold sync takes, from the loaded file to the last barrier. */
async function coldSync(bench: Bench, topology: Topology): Promise<Taken> {
  let book: BridgeBook = new BridgeLedger(ONE_HOST, BRIDGE);
  const { connection, installer, close } = await bench.connect(() => book);
  collectGarbage();
  const start = performance.now();
  const computing = process.threadCpuUsage();
  book = bookOf(compileOneHost(topology));
  installer.attach(connection);
  await installer.settled();
  const taken = { ms: performance.now() - start, threadMs: threadMs(computing) };
  await close();
  const count = await bench.flowCount();
  if (count !== book.size) throw new Error(`${count} flows on the bridge, ${book.size} in the book`);
  return taken;
}

export interface SyncFigures {
  readonly flows: number;
  readonly heddle: readonly number[];
  /** What heddle's thread computed for each. */
  readonly threadMs: readonly number[];
  readonly floor: readonly number[];
  readonly bundle: readonly number[];
  /** One round by Neutron's own classes; undefined: they are not installed, or nobody asked. */
  readonly neutron: number | undefined;
}

export async function measureColdSync(flowCount: number, rounds: number, withPeer = true): Promise<SyncFigures> {
  const bench = await Bench.start();
  try {
    const topology = oneHostSite(flowCount);
    const book = bookOf(compileOneHost(topology));
    const bytes = flowModsOf(book);
    const file = join(bench.sandbox.directory, 'flows.txt');
    await writeFile(file, [...book.flows()].map(({ flow }) => `${formatFlow(flow)}\n`).join(''));
    const bare = await BareSwitch.dial(bench.port);
    const heddle: number[] = [];
    const computedMs: number[] = [];
    const floor: number[] = [];
    const bundle: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await bench.clear();
      const taken = await coldSync(bench, topology);
      heddle.push(taken.ms);
      computedMs.push(taken.threadMs);
      await bench.clear();
      floor.push(await bare.stream(bytes));
      if (!withPeer) continue;
      await bench.clear();
      bundle.push(await bench.ofctlMs('--bundle', 'add-flows', BRIDGE, file));
    }
    bare.close();
    const neutron = withPeer ? await bench.neutronMs(file) : undefined;
    return { flows: book.size, heddle, threadMs: computedMs, floor, bundle, neutron };
  } finally {
    await bench.stop();
  }
}

export const coldSyncLine: Line = async ({ rounds, shrink }: LineOptions): Promise<readonly Row[]> => {
  const { flows, heddle, floor, bundle, neutron } = await measureColdSync(FLOWS / shrink, rounds);
  const ratio = median(heddle) / median(floor);
  return [
    {
      what: `cold sync of ${flows} flows: file loaded → barrier reply`,
      unit: 'ms',
      heddle: median(heddle),
      floor: median(floor),
      floorIs: 'same flow-mods, made beforehand, streamed',
      ratio,
      target: '≤ 1.5 × floor, faster than ovs-ofctl --bundle',
      isMet: ratio <= 1.5 && median(heddle) < median(bundle),
      peers: {
        'ovs-ofctl --bundle add-flows': median(bundle),
        ...(neutron !== undefined && { 'Neutron’s own classes, deferred and bundled, once': neutron }),
      },
      note: `${neutron === undefined ? 'Neutron’s own classes: not installed; ' : ''}first round ${Math.round(heddle[0] ?? 0)} ms`,
    },
  ];
};

export interface ReconcileFigures {
  readonly flows: number;
  readonly heddle: readonly number[];
  /** What heddle's thread computed for each. */
  readonly threadMs: readonly number[];
  readonly dump: readonly number[];
  readonly flowMods: number;
}

export async function measureReconcile(flowCount: number, rounds: number): Promise<ReconcileFigures> {
  const bench = await Bench.start();
  try {
    const book = bookOf(compileOneHost(oneHostSite(flowCount)));
    const { connection, installer, close } = await bench.connect(() => book);
    installer.attach(connection);
    await installer.settled();
    const before = installer.status().flowMods;
    const heddle: number[] = [];
    const computedMs: number[] = [];
    const dump: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const computing = process.threadCpuUsage();
      heddle.push(
        ...(await timed(
          () => {
            installer.audit();
            return installer.settled();
          },
          { rounds: 1 },
        )),
      );
      computedMs.push(threadMs(computing));
      dump.push(await bench.ofctlMs('dump-flows', BRIDGE));
    }
    const after = installer.status().flowMods;
    const flowMods = after.add + after.modify + after.delete - before.add - before.modify - before.delete;
    await close();
    return { flows: book.size, heddle, threadMs: computedMs, dump, flowMods };
  } finally {
    await bench.stop();
  }
}

export const reconcileLine: Line = async ({ rounds, shrink }: LineOptions): Promise<readonly Row[]> => {
  const { flows, heddle, dump, flowMods } = await measureReconcile(FLOWS / shrink, rounds);
  const ratio = median(heddle) / median(dump);
  return [
    {
      what: `reconcile with ${flows} flows already right`,
      unit: 'ms',
      heddle: median(heddle),
      floor: median(dump),
      floorIs: 'ovs-ofctl dump-flows',
      ratio,
      target: '≤ 1.2 × floor, 0 flow-mods',
      isMet: ratio <= 1.2 && flowMods === 0,
      note: `${flowMods} flow-mods; first round ${Math.round(heddle[0] ?? 0)} ms`,
    },
  ];
};
