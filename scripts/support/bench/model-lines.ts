/**
 * Lines without a switch: encoding, compiling a large site, memory. What is compared with is made in the same process: the floor of
 * encoding is copying the same bytes. Changes of that site are in change-lines.ts.
 */
import { Compiler, type PassResult } from '../../../src/compiler/compiler.ts';
import type { FlowList } from '../../../src/compiler/flow-list.ts';
import { FlowEncoder } from '../../../src/switch/flow-bytes.ts';
import type { Topology } from '../../../src/topology/model.ts';
import { collectGarbage, type Line, median, timed } from './measure.ts';
import {
  compileOneHost,
  loadSite,
  ONE_HOST,
  oneHostSite,
  type SiteDocument,
  siteDocument,
  spread,
  tellSite,
} from './site.ts';

const SLAB_SIZE = 64 * 1024;

/** What encoding a book comes to. */
export interface Encoded {
  readonly count: number;
  readonly size: number;
}

/** As a cold sync does it (switch/fill-bridge.ts): from the packed book to flow-mods side by side, 64 KiB of them at a time. */
export function encodeBook(list: FlowList, slab: Uint8Array): Encoded {
  let end = 0;
  let size = 0;
  let count = 0;
  for (let index = 0; index < list.length; index++) {
    const frame = list.frameAt(index);
    if (frame === undefined) continue;
    if (end + frame.length > slab.length) end = 0;
    slab.set(frame, end);
    end += frame.length;
    size += frame.length;
    count++;
  }
  return { count, size };
}

export const encodeLine: Line = async ({ rounds, shrink }) => {
  const list = compileOneHost(oneHostSite(100_000 / shrink))
    .book(ONE_HOST, 'br-tun')
    ?.flowList();
  if (list === undefined) throw new Error('nothing was compiled');
  const slab = new Uint8Array(SLAB_SIZE);
  const times = await timed(() => encodeBook(list, slab), { rounds, warmups: 3 });
  const { count, size } = encodeBook(list, slab);
  const rate = (count * 1000) / median(times);
  const floor = (count * 1000) / median(await copyTimes(size, rounds));
  return [
    {
      what: 'encode from the compiled model, one core',
      unit: '/s',
      heddle: rate,
      floor,
      floorIs: 'copying as many bytes',
      ratio: floor / rate,
      target: '≥ 10 million/s',
      isMet: rate >= 1e7,
    },
  ];
};

/** What it takes to copy as many bytes, 64 KiB at a time, from where they were made beforehand. */
function copyTimes(size: number, rounds: number): Promise<number[]> {
  const source = Buffer.alloc(size, 1);
  const target = Buffer.alloc(64 * 1024);
  return timed(
    () => {
      for (let done = 0; done < size; done += target.length) source.copy(target, 0, done, done + target.length);
    },
    { rounds, warmups: 3 },
  );
}

/** The large site of the targets, or a part of it. */
export function largeSiteDocument(shrink: number): SiteDocument {
  const routerCount = Math.round(500 / shrink);
  const hostCount = 2 * routerCount;
  return siteDocument({
    hostCount,
    networkCount: 2 * routerCount,
    portsPerNetwork: 50,
    routerCount,
    hostOf: spread(hostCount, Math.min(10, hostCount)),
  });
}

export function compileLarge(topology: Topology): { compiler: Compiler; result: PassResult } {
  const compiler = new Compiler();
  tellSite(compiler, topology, topology.hosts.keys());
  return { compiler, result: compiler.pass() };
}

function flowCountOf(compiler: Compiler): number {
  let count = 0;
  for (const book of compiler.books()) count += book.size;
  return count;
}

/** Writing every flow of a result once with the plain writer. */
export function writeAll({ changes }: PassResult): void {
  const encoder = new FlowEncoder();
  for (const { put } of changes) for (const { flow } of put) encoder.encode(flow);
}

/** Odd: a host has two books, which differ. */
const WRITTEN_SHARE = 15;

/** Writing every flow of a site once with the plain writer, milliseconds; found by writing those of some books. */
function writeTime(compiler: Compiler): number {
  const encoder = new FlowEncoder();
  let time = 0;
  for (const [index, book] of [...compiler.books()].entries()) {
    if (index % WRITTEN_SHARE !== 0) continue;
    const flows = [...book.flows()].map(({ flow }) => flow);
    const start = performance.now();
    for (const flow of flows) encoder.encode(flow);
    time += performance.now() - start;
  }
  return time * WRITTEN_SHARE;
}

export const compileLine: Line = async ({ rounds, shrink }) => {
  const topology = loadSite(largeSiteDocument(shrink));
  const times: number[] = [];
  // Of the first round: what it leaves behind is not the next one's.
  let rssMiB = 0;
  let flows = 0;
  let floor = 0;
  // In a function of its own: what it made is not alive in the next round.
  const measure = (round: number): void => {
    collectGarbage();
    const start = performance.now();
    const { compiler } = compileLarge(topology);
    times.push(performance.now() - start);
    if (round > 0) return;
    rssMiB = process.resourceUsage().maxRSS / 1024;
    flows = flowCountOf(compiler);
    floor = writeTime(compiler);
  };
  for (let round = 0; round < Math.min(rounds, 3); round++) measure(round);
  const seconds = median(times) / 1000;
  const what = `compile from scratch ${topology.hosts.size} hosts, ${topology.ports.size} ports, ${topology.networks.size} networks, ${topology.routers.size} routers: ${flows} flows`;
  return [
    {
      what,
      unit: 's',
      heddle: seconds,
      floor: floor / 1000,
      floorIs: 'writing each flow once',
      ratio: median(times) / floor,
      target: '≤ 10 s',
      isMet: seconds <= 10,
    },
    {
      what: 'resident memory while it compiles',
      unit: 'MiB',
      heddle: rssMiB,
      target: '≤ 2,048 MiB',
      isMet: rssMiB <= 2048,
    },
  ];
};

export const memoryLine: Line = async ({ shrink }) => {
  const topology = oneHostSite(1_000_000 / shrink);
  const used = (): number => {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const compiler = compileOneHost(topology);
  const after = used();
  const size = compiler.book(ONE_HOST, 'br-tun')?.size ?? 0;
  const bytes = (after - before) / size;
  return [
    {
      what: `memory of the compiler for each of ${size} flows, book and what keeps it up to date`,
      unit: 'bytes',
      heddle: bytes,
      target: '≤ 200 bytes',
      isMet: bytes <= 200,
    },
  ];
};
