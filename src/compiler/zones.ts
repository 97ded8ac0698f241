/**
 * Conntrack zones of routers: a router has four numbers of its own on every host, and keeps them for ever, because connections
 * are known by them. Serves the controller, which remembers them, and offline compilation. Pure.
 */
import { HeddleError } from '../lib/errors.ts';
import type { RouterZones } from './world.ts';

/** Zones are 16 bits, and 0 is everybody's. */
const ZONE_COUNT = 65_535;
const ZONES_PER_ROUTER = 4;
const ROUTER_COUNT = Math.floor(ZONE_COUNT / ZONES_PER_ROUTER);

/**
 * A number from 0 for each router: the one that it had, else the lowest that nobody ever had; where none is left, that of a
 * router which is gone. `known` holds every number ever given. Throws HeddleError `NO_ZONE`.
 */
export function allocateZoneNumbers(
  routerIds: Iterable<string>,
  known: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const wanted = [...new Set(routerIds)].sort();
  const numbers = new Map<string, number>();
  for (const id of wanted) {
    const number = known.get(id);
    if (number !== undefined) numbers.set(id, number);
  }
  const everGiven = new Set(known.values());
  const inUse = new Set(numbers.values());
  let candidate = 0;
  let taken: ReadonlySet<number> = everGiven;
  for (const id of wanted) {
    if (numbers.has(id)) continue;
    while (taken.has(candidate) || inUse.has(candidate)) candidate++;
    if (candidate >= ROUTER_COUNT && taken === everGiven) {
      taken = inUse;
      candidate = 0;
      while (inUse.has(candidate)) candidate++;
    }
    if (candidate >= ROUTER_COUNT) {
      const message = `router ${id} gets no conntrack zones: ${ROUTER_COUNT} routers have all there are; remove routers`;
      throw new HeddleError('NO_ZONE', message, { routerId: id });
    }
    numbers.set(id, candidate);
    inUse.add(candidate);
  }
  return numbers;
}

export function zonesOf(number: number): RouterZones {
  const first = 1 + ZONES_PER_ROUTER * number;
  return {
    distributed: { dnat: first, snat: first + 1 },
    gateway: { dnat: first + 2, snat: first + 3 },
  };
}

/** The zones of all routers that have numbers. */
export function zonesOfAll(numbers: ReadonlyMap<string, number>): ReadonlyMap<string, RouterZones> {
  return new Map([...numbers].map(([id, number]) => [id, zonesOf(number)]));
}
