/**
 * Hosts of the golden sites in the walker and on a real switch: whatever their guests send, and whatever comes by their tunnels and
 * wires, both do the same with it, tunnel ids included.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { compileOffline } from '../../src/compiler/offline.ts';
import { PORT } from '../../src/flow/flow.ts';
import { BFD_MACS } from '../../src/pipeline/gateway-alive.ts';
import { loadTopology } from '../../src/topology/load.ts';
import type { Topology } from '../../src/topology/model.ts';
import { BFD_QUESTION } from '../support/bfd.ts';
import { OvsSandbox } from '../support/ovs-sandbox.ts';
import { guestFrame } from '../support/walker/guest-packets.ts';
import type { Headers } from '../support/walker/headers.ts';
import type { Arrival, Place, WalkBridge } from '../support/walker/model.ts';
import { headersOf, traceText } from '../support/walker/packets.ts';
import { siteOf, type WalkSite, WIRE_OFPORT } from '../support/walker/site.ts';
import { buildBridges, installFlows } from '../support/walker/switch.ts';
import { outcomeOfTrace, outcomeOfWalk } from '../support/walker/trace.ts';
import { Walker } from '../support/walker/walker.ts';

const FRAMES_OF_GUEST = 25;

const totals: { compared: number; tracked: number; arrived: number; tunnelled: number; asked: number }[] = [];
let sandbox: OvsSandbox | undefined;
afterEach(async () => {
  await sandbox?.stop();
  sandbox = undefined;
});

function load(scenario: string): Topology {
  const file = new URL(`../pipeline/golden/${scenario}/topology.yaml`, import.meta.url);
  const loaded = loadTopology(readFileSync(file, 'utf8'), { file: 'topology.yaml' });
  if (!('topology' in loaded)) throw new Error('the golden site does not validate');
  return loaded.topology;
}

/** Everything that comes to the host: what its own guests send, and what theirs and others' frames are when they get here. */
function framesAt(here: string, { topology, bridges, guests }: { readonly topology: Topology } & WalkSite) {
  const everywhere = new Walker(bridges, { learns: false });
  const frames: { readonly place: Place; readonly headers: Headers }[] = [];
  let seed = 1;
  for (const port of topology.ports.values()) {
    const place = guests.get(port.id);
    if (place === undefined) continue;
    for (const frame of fc.sample(guestFrame(topology, port), { numRuns: FRAMES_OF_GUEST, seed: seed++ })) {
      const headers = headersOf(frame);
      if (place.host === here) {
        frames.push({ place, headers });
        continue;
      }
      const { tunnelled, arrivals } = everywhere.walk(place, headers);
      frames.push(...[...tunnelled, ...arrivals].flatMap((arrival) => entryOf(here, arrival, bridges)));
    }
  }
  return frames;
}

/** Where what leaves another host comes in here. */
function entryOf(here: string, { port, headers, host }: Arrival, bridges: readonly WalkBridge[]) {
  if (port.kind === 'tunnel' && port.host === here) {
    return [{ place: { host: here, bridge: port.bridge, ofport: port.ofport }, headers }];
  }
  if (port.kind !== 'wire' || host === here) return [];
  const ours = bridges.filter((one) => one.host === here);
  return ours.flatMap(({ bridge, ports }) =>
    [...ports].flatMap(([ofport, one]) =>
      one.kind === 'wire' && one.segment === port.segment ? [{ place: { host: here, bridge, ofport }, headers }] : [],
    ),
  );
}

/** A host of a golden site on a switch of its own, and in the walker. */
async function both(scenario: string, here: string) {
  const topology = load(scenario);
  const offline = compileOffline(topology);
  const site = siteOf(topology, offline);
  const bridges = site.bridges.filter(({ host }) => host === here);
  const real = await OvsSandbox.start();
  sandbox = real;
  const ports = await buildBridges(
    real,
    bridges.map(({ bridge, ports: wired }) => [bridge, wired] as const),
  );
  for (const bridge of bridges) {
    const meters = [...(offline.compiler.book(here, bridge.bridge)?.meters() ?? [])].map(({ meter }) => meter);
    await installFlows(real, { ...bridge, meters });
  }
  return {
    topology,
    site,
    bridges,
    ports,
    sandbox: real,
    walker: new Walker(bridges, { learns: false, stopsAtHost: true }),
  };
}

test.each([
  ['site', 'node1'],
  ['site', 'node2'],
  ['outside', 'node1'],
  ['outside', 'node3'],
])('%s, %s', { timeout: 120_000 }, async (scenario, here) => {
  const { topology, site, bridges, ports, walker, sandbox: real } = await both(scenario, here);
  const counts = { compared: 0, tracked: 0, arrived: 0, tunnelled: 0, asked: 0 };
  for (const { place, headers } of framesAt(here, { topology, ...site })) {
    const account = await real.appctl('ofproto/trace', place.bridge, traceText(headers, place.ofport));
    // A trace does not know connections, it only supposes them.
    if (account.includes('ct(')) {
      counts.tracked++;
      continue;
    }
    const walk = walker.walk(place, headers);
    expect(outcomeOfWalk(walk), account).toEqual(outcomeOfTrace(account, headers, { ports, bridges }));
    counts.compared++;
    if (walk.arrivals.some(({ port, ofport }) => port.kind === 'end' && ofport !== PORT.local)) counts.arrived++;
    if (walk.tunnelled.length > 0) counts.tunnelled++;
    if (walk.packetIns.length > 0) counts.asked++;
  }
  totals.push(counts);
});

test.each([
  // For two routers, one on a network without a VLAN and one in VLAN 200.
  ['node3', ['', 'dl_vlan=200,']],
  // Others are better.
  ['node4', []],
])('what %s makes of BFD packets', async (here, tags) => {
  const { bridges, ports, walker, sandbox: real } = await both('outside', here);
  const tunnels = bridges.flatMap(({ bridge, ports: wired }) =>
    [...wired].flatMap(([ofport, { kind }]) => (kind === 'tunnel' ? { host: here, bridge, ofport } : [])),
  );
  expect(tunnels.length).toBeGreaterThan(1);
  for (const tunnel of tunnels) {
    const headers = headersOf(BFD_QUESTION);
    const account = await real.appctl('ofproto/trace', tunnel.bridge, traceText(headers, tunnel.ofport));
    const { copies } = outcomeOfTrace(account, headers, { ports, bridges });
    expect(outcomeOfWalk(walker.walk(tunnel, headers)).copies, account).toEqual(copies);
    const back = copies.filter((copy) => copy.startsWith(`${tunnel.bridge} ${tunnel.ofport}: `));
    expect(back.map((copy) => copy.includes(`dl_dst=${BFD_MACS.answering}`))).toEqual([true]);
    const outside = copies.filter((copy) => copy.startsWith(`br-ex ${WIRE_OFPORT}: `));
    expect(outside, account).toHaveLength(tags.length);
    for (const tag of tags) expect(outside.some((copy) => copy.includes(tag) && copy.includes('tp_dst=9'))).toBe(true);
    expect(copies.some((copy) => copy.includes('169.254.') && copy.startsWith('br-ex'))).toBe(false);
  }
});

test('enough of each kind that the comparison says something', () => {
  const sum = (kind: keyof (typeof totals)[number]): number => totals.reduce((all, one) => all + one[kind], 0);
  expect(sum('compared')).toBeGreaterThan(400);
  for (const kind of ['arrived', 'tunnelled', 'asked'] as const) expect(sum(kind), kind).toBeGreaterThan(15);
});
