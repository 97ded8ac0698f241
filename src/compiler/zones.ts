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

/** The zones of a router for people, and for its hosts to remember: the first and the last. */
export function zonesText(number: number): string {
  const { distributed, gateway } = zonesOf(number);
  return `${distributed.dnat}-${gateway.snat}`;
}

/** The number whose zones these are; undefined: no router's. */
export function numberOfZones(text: string): number | undefined {
  const number = (Number.parseInt(text, 10) - 1) / ZONES_PER_ROUTER;
  const isOne = Number.isInteger(number) && number >= 0 && number < ROUTER_COUNT;
  return isOne && zonesText(number) === text ? number : undefined;
}

/**
 * The number that each router is known by. What most of the hosts say is right, and of as many the first by name: two controllers that
 * see the same hosts come to the same. What no host says is as it is remembered, unless somebody else has the number.
 */
export function knownZoneNumbers(
  shown: ReadonlyMap<string, ReadonlyMap<string, number>>,
  remembered: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const claims = new Map<string, { readonly id: string; readonly number: number; count: number }>();
  for (const [, numbers] of [...shown].sort(([left], [right]) => (left < right ? -1 : 1))) {
    for (const [id, number] of numbers) {
      const key = `${number} ${id}`;
      const claim = claims.get(key) ?? { id, number, count: 0 };
      claim.count += 1;
      claims.set(key, claim);
    }
  }
  const known = new Map<string, number>();
  const taken = new Set<number>();
  const claim = (id: string, number: number): void => {
    if (known.has(id) || taken.has(number)) return;
    known.set(id, number);
    taken.add(number);
  };
  // The sort is stable: of as many, the first host's come first.
  for (const { id, number } of [...claims.values()].sort((left, right) => right.count - left.count)) claim(id, number);
  for (const [id, number] of remembered) claim(id, number);
  return known;
}

/** The zones of all routers that have numbers. */
export function zonesOfAll(numbers: ReadonlyMap<string, number>): ReadonlyMap<string, RouterZones> {
  return new Map([...numbers].map(([id, number]) => [id, zonesOf(number)]));
}
