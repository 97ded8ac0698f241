/**
 * What guests feel of a large sync: the longest time without a packet between two guests on one bridge of a real userspace
 * datapath, which forwards 100 Mbit/s beside them, while another bridge of the same switch is given 100,000 flows, and while it is
 * compared. The floor is the switch: the same flow-mods, made beforehand, streamed; a dump by ovs-ofctl.
 */
import type { ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatFlow } from '../../../src/flow/format.ts';
import { BridgeInstaller } from '../../../src/switch/installer.ts';
import { Switchboard } from '../../../test/support/switchboard.ts';
import { Stream } from '../chaos/streams.ts';
import type { Guest } from '../lab/guest.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { BareSwitch } from './bare-switch.ts';
import { collectGarbage, type Line, median, type Row } from './measure.ts';
import { compileOneHost, ONE_HOST, oneHostSite } from './site.ts';
import { flowModsOf } from './switch-lines.ts';

const BRIDGE = 'br-bench';
const DPID = 0xb1n;
const FLOWS = 100_000;
const LOAD_MBIT_S = 100;
/** Numbered packets a second, each way: what the gap is measured by. */
const STREAM_RATE = 1_000;
const STREAM_PORT = 7_000;
const LOAD_PORT = 7_001;
const GAP_MAX_MS = 15;
const PYTHON = '/usr/bin/python3';

/** Takes datagrams and reads none, so that no answer says that nobody is there. */
const SINK = `
import socket, sys, time
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
wire.bind(('0.0.0.0', int(sys.argv[1])))
time.sleep(3600)
`;

/** Datagrams of 1,400 bytes at a rate, some at a time. */
const LOAD = `
import socket, sys, time
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer = (sys.argv[1], int(sys.argv[2]))
payload = bytes(1400)
interval = int(1e9 * (len(payload) + 42) * 8 / (float(sys.argv[3]) * 1e6))
due = time.monotonic_ns()
while True:
    now = time.monotonic_ns()
    due = max(due, now - 5_000_000)
    while due <= now:
        wire.sendto(payload, peer)
        due += interval
    time.sleep(0.0005)
`;

interface GapBench {
  readonly lab: Lab;
  readonly host: Host;
  readonly stream: Stream;
  readonly load: readonly ChildProcess[];
}

async function start(): Promise<GapBench> {
  const lab = await Lab.up({ hosts: ['node1'] });
  const host = lab.host('node1');
  await host.addBridge(BRIDGE);
  const columns = ['protocols=OpenFlow13', 'fail_mode=secure', 'other_config:disable-in-band=true'];
  await host.vsctl(
    'set',
    'Bridge',
    BRIDGE,
    ...columns,
    `other_config:datapath-id=${DPID.toString(16).padStart(16, '0')}`,
  );
  const guests: Guest[] = [];
  for (const index of [1, 2]) {
    const guest = await lab.addGuest({
      name: `guest${index}`,
      mac: `fa:16:3e:00:00:0${index}`,
      addresses: [`10.0.0.1${index}/24`],
    });
    await guest.plug(host);
    guests.push(guest);
  }
  const [left, right] = guests as [Guest, Guest];
  const load = [
    right.namespace.start([PYTHON, '-c', SINK, `${LOAD_PORT}`]),
    left.namespace.start([PYTHON, '-c', LOAD, right.ip, `${LOAD_PORT}`, `${LOAD_MBIT_S}`]),
  ];
  const stream = await Stream.start('gap', [left, right], { port: STREAM_PORT, rate: STREAM_RATE });
  return { lab, host, stream, load };
}

async function stop({ lab, stream, load }: GapBench): Promise<void> {
  stream.stop();
  for (const child of load) child.kill();
  await lab.down();
}

/** The longest gap of either way, in ms, while something is done. */
async function gapDuring(stream: Stream, work: () => Promise<unknown>): Promise<number> {
  // What was set up before is over.
  await new Promise((resolve) => setTimeout(resolve, 500));
  collectGarbage();
  await stream.mark();
  await work();
  return Math.max(...(await stream.losses()).map(({ gapMs }) => gapMs));
}

interface Gaps {
  readonly sync: number[];
  readonly floor: number[];
  readonly bundle: number[];
  readonly compare: number[];
  readonly dump: number[];
  readonly idle: number[];
}

async function measure(bench: GapBench, flowCount: number, rounds: number): Promise<Gaps> {
  const { host, stream } = bench;
  const socket = join(host.directory, `${BRIDGE}.mgmt`);
  const topology = oneHostSite(flowCount);
  const book = compileOneHost(topology).book(ONE_HOST, 'br-tun');
  if (book === undefined) throw new Error('nothing was compiled');
  const bytes = flowModsOf(book);
  const file = join(bench.lab.directory, 'flows.txt');
  await writeFile(file, [...book.flows()].map(({ flow }) => `${formatFlow(flow)}\n`).join(''));
  const gaps: Gaps = { sync: [], floor: [], bundle: [], compare: [], dump: [], idle: [] };
  const clear = (): Promise<string> => host.ofctl(BRIDGE, 'del-flows');
  const bare = await BareSwitch.dial(socket);
  for (let round = 0; round < rounds; round++) {
    await clear();
    gaps.idle.push(await gapDuring(stream, () => new Promise((resolve) => setTimeout(resolve, 1_000))));
    gaps.floor.push(await gapDuring(stream, () => bare.stream(bytes)));
    gaps.dump.push(await gapDuring(stream, () => host.ofctl(BRIDGE, 'dump-flows')));
    await clear();
    gaps.bundle.push(await gapDuring(stream, () => host.ofctl(BRIDGE, 'add-flows', '--bundle', file)));
    await clear();
    const board = new Switchboard();
    board.dial(`unix:${socket}`);
    const connection = await board.connected(DPID);
    const { logger, limitedLog } = board;
    const drift = (): 'repair' => 'repair';
    const options = { host: ONE_HOST, bridge: BRIDGE, book: () => book, drift, logger, limitedLog };
    const installer = new BridgeInstaller(options);
    gaps.sync.push(
      await gapDuring(stream, () => {
        installer.attach(connection);
        return installer.settled();
      }),
    );
    gaps.compare.push(
      await gapDuring(stream, () => {
        installer.audit();
        return installer.settled();
      }),
    );
    installer.close();
    await board.close();
  }
  bare.close();
  return gaps;
}

export const gapLine: Line = async ({ rounds, shrink }) => {
  const bench = await start();
  try {
    const flowCount = FLOWS / shrink;
    const { sync, floor, bundle, compare, dump, idle } = await measure(bench, flowCount, rounds);
    const target = `≤ ${GAP_MAX_MS} ms`;
    const common = { unit: 'ms', target } as const;
    const rows: Row[] = [
      {
        ...common,
        what: `longest gap in forwarding, ${LOAD_MBIT_S} Mbit/s across another bridge, while ${flowCount} flows are synced`,
        heddle: median(sync),
        floor: median(floor),
        floorIs: 'same flow-mods, made beforehand, streamed',
        isMet: median(sync) <= GAP_MAX_MS,
        peers: { 'ovs-ofctl --bundle add-flows': median(bundle), 'nothing done': median(idle) },
        note: `worst of ${rounds}: ${Math.round(Math.max(...sync))} ms`,
      },
      {
        ...common,
        what: `likewise, while ${flowCount} flows are compared`,
        heddle: median(compare),
        floor: median(dump),
        floorIs: 'ovs-ofctl dump-flows',
        isMet: median(compare) <= GAP_MAX_MS,
        note: `worst of ${rounds}: ${Math.round(Math.max(...compare))} ms`,
      },
    ];
    return rows;
  } finally {
    await stop(bench);
  }
};
