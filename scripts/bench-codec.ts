/**
 * How fast the codec is: flow-mods written per second for the mix that a vxlan network comes in (a unicast flow and an ARP
 * responder for each remote port), and flow statistics read. Run: `node scripts/bench-codec.ts`. Prints a line for each, the median of
 * five rounds.
 */
import type { Flow } from '../src/flow/flow.ts';
import { PORT } from '../src/flow/flow.ts';
import {
  decodeMessage,
  encodeInstructions,
  encodeMatch,
  encodeMessage,
  writeBundledFlowMod,
  writeFlowMod,
} from '../src/openflow/codec.ts';
import { Slab } from '../src/openflow/slab.ts';

const PORTS = 5_000;
const ROUNDS = 5;
const COOKIE = 0x4844_0101_1234_5678n;
const SLAB_SIZE = 4 * 1024 * 1024;

function unicast(index: number): Flow {
  return {
    table: 20,
    priority: 2,
    match: { vlanVid: 0x1001, ethDst: 0xfa163e000000 + index },
    actions: [
      { type: 'popVlan' },
      { type: 'setField', field: 'tunnelId', value: 1001n },
      { type: 'output', port: 1 + (index % 100) },
    ],
    cookie: COOKIE,
  };
}

function responder(index: number): Flow {
  const mac = 0xfa163e000000 + index;
  const ip = 0x0a000000 + index;
  return {
    table: 21,
    priority: 1,
    match: { ethType: 0x0806, vlanVid: 0x1001, arpTpa: ip },
    actions: [
      { type: 'setField', field: 'arpOp', value: 2 },
      move('arpSha', 'arpTha', 48),
      move('arpSpa', 'arpTpa', 32),
      { type: 'setField', field: 'arpSha', value: mac },
      { type: 'setField', field: 'arpSpa', value: ip },
      move('ethSrc', 'ethDst', 48),
      { type: 'setField', field: 'ethSrc', value: mac },
      { type: 'output', port: PORT.inPort },
    ],
    cookie: COOKIE,
  };
}

type Moved = 'arpSha' | 'arpTha' | 'arpSpa' | 'arpTpa' | 'ethSrc' | 'ethDst';

function move(from: Moved, to: Moved, length: number): Flow['actions'][number] {
  return { type: 'move', source: { field: from, start: 0, length }, destination: { field: to, start: 0, length } };
}

/** Median of the rate of `work`, which does `count` things, after two rounds that do not count. */
function rate(count: number, work: () => void): number {
  const rates: number[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const start = performance.now();
    work();
    if (round >= 0) rates.push((count * 1000) / (performance.now() - start));
  }
  return rates.toSorted((left, right) => left - right)[Math.floor(ROUNDS / 2)] ?? 0;
}

function print(what: string, perSecond: number): void {
  process.stdout.write(`${what.padEnd(48)} ${Math.round(perSecond).toLocaleString('en').padStart(12)} /s\n`);
}

const flows = Array.from({ length: PORTS }, (_, index) => [unicast(index), responder(index)]).flat();
const slab = new Slab(SLAB_SIZE);

function stats(flow: Flow): Parameters<typeof encodeMessage>[0] {
  const counters = { durationS: 1, durationNs: 2, packetCount: 3n, byteCount: 4n };
  const bytes = { matchBytes: encodeMatch(flow.match), instructionBytes: encodeInstructions(flow.actions) };
  const body = { kind: 'flow', flows: Array.from({ length: 200 }, () => ({ flow, ...bytes, ...counters })) } as const;
  return { type: 'multipartReply', xid: 1, more: true, body };
}

print(
  'flow-mods written, unicast + ARP responder',
  rate(flows.length * 10, () => {
    for (let turn = 0; turn < 10; turn++) {
      slab.clear();
      for (const flow of flows) writeFlowMod(slab, { flow, command: 'add', xid: 1 });
    }
  }),
);
print(
  'flow-mods written in a bundle',
  rate(flows.length * 10, () => {
    for (let turn = 0; turn < 10; turn++) {
      slab.clear();
      for (const flow of flows) writeBundledFlowMod(slab, { bundleId: 1, flags: 3 }, { flow, command: 'add', xid: 1 });
    }
  }),
);
const replies = [unicast(1), responder(1)].map((flow) => encodeMessage(stats(flow)));
print(
  'flows read from statistics replies',
  rate(200 * 2 * 50, () => {
    for (let turn = 0; turn < 50; turn++) for (const reply of replies) decodeMessage(reply);
  }),
);
