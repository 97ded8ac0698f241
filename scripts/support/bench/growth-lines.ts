/**
 * How costs grow with the site: each at one, four and sixteen times a size, and the exponent of the power law through them. A
 * total that grows with the site has 1, the cost of one change has 0.
 */
import { measureBridges } from './bridges-line.ts';
import { changesOf, measureChanges } from './change-lines.ts';
import { exponentOf, type Line, median, type Row } from './measure.ts';
import { compileLarge, largeSiteDocument } from './model-lines.ts';
import { measureOnePort } from './one-port-line.ts';
import { loadSite } from './site.ts';
import { measureColdSync, measureReconcile } from './switch-lines.ts';

const TIMES = [1, 4, 16] as const;
const FLOWS = 6_250;
/** 16 times this is half of the large site. */
const LARGEST_SHRINK = 2;
const ROUNDS = 3;
/** No fewer than have ports of one network, or a change would concern more of the larger sites' hosts. */
const HOSTS = 12;
const CHANGES = 40;
const BRIDGES = 32;

interface Growth {
  readonly what: string;
  readonly points: readonly (readonly [number, number])[];
  readonly bound: number;
}

function rowOf({ what, points, bound }: Growth): Row {
  const exponent = exponentOf(points);
  const note = points.map(([size, cost]) => `${Math.round(size)}: ${cost.toPrecision(3)} ms`).join(', ');
  return { what, unit: 'exponent', heddle: exponent, target: `≤ ${bound}`, isMet: exponent <= bound, note };
}

export const growthLine: Line = async ({ shrink }) => {
  const cold: [number, number][] = [];
  const floor: [number, number][] = [];
  const reconcile: [number, number][] = [];
  const dump: [number, number][] = [];
  for (const times of TIMES) {
    const sync = await measureColdSync((FLOWS * times) / shrink, ROUNDS, false);
    cold.push([sync.flows, median(sync.heddle)]);
    floor.push([sync.flows, median(sync.floor)]);
    const same = await measureReconcile((FLOWS * times) / shrink, ROUNDS);
    reconcile.push([same.flows, median(same.heddle)]);
    dump.push([same.flows, median(same.dump)]);
  }
  const port: [number, number][] = [];
  const connect: [number, number][] = [];
  const connectFloor: [number, number][] = [];
  for (const times of TIMES) {
    const hostCount = Math.max(HOSTS, Math.round((HOSTS * times) / shrink));
    port.push([hostCount, median((await measureOnePort(hostCount, CHANGES)).times)]);
    const count = Math.max(2, Math.round((BRIDGES * times) / shrink));
    const { programming, streaming } = await measureBridges(count, ROUNDS);
    connect.push([count, median(programming)]);
    connectFloor.push([count, median(streaming)]);
  }
  const compile: [number, number][] = [];
  const changes = new Map<string, [number, number][]>();
  for (const times of TIMES) {
    const document = largeSiteDocument((LARGEST_SHRINK * 16 * shrink) / times);
    const topology = loadSite(document);
    const measured: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const start = performance.now();
      compileLarge(topology);
      measured.push(performance.now() - start);
    }
    compile.push([topology.hosts.size, median(measured)]);
    const { compiler } = compileLarge(topology);
    for (const one of changesOf(compiler, topology)) {
      const points = changes.get(one.what) ?? [];
      points.push([topology.hosts.size, median(measureChanges(compiler, one).times)]);
      changes.set(one.what, points);
    }
  }
  return [
    { what: 'growth of a cold sync with its flows', points: cold, bound: 1.1 },
    { what: 'growth of the floor of a cold sync: the switch itself', points: floor, bound: 1.1 },
    { what: 'growth of a reconcile with its flows', points: reconcile, bound: 1.1 },
    { what: 'growth of the floor of a reconcile: ovs-ofctl dump-flows', points: dump, bound: 1.1 },
    { what: 'growth of connecting, comparing and programming bridges with their number', points: connect, bound: 1.1 },
    { what: 'growth of the floor of that: the bare server and the switch', points: connectFloor, bound: 1.1 },
    { what: 'growth of one port plugged with the hosts of a site (each with 100 ports)', points: port, bound: 0.2 },
    { what: 'growth of compiling with the hosts of a site (each with as many ports)', points: compile, bound: 1.1 },
    ...[...changes].map(([what, points]) => ({
      what: `growth of one change with the hosts of a site: ${what}`,
      points,
      bound: 0.2,
    })),
  ].map(rowOf);
};
