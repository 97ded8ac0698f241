/**
 * A loaded topology, taken apart into pieces that are small enough to be copied from one thread to another within a turn of the
 * event loop, and put together again. Pure. Serves controller/topology-reader.ts and its worker.
 */
import { LIMITS } from '../lib/limits.ts';
import type { HeldValues } from './derive.ts';
import type { TopologyError } from './error.ts';
import type { LoadedTopology } from './load.ts';
import type { FloatingIp, Host, Network, Port, Router, SecurityGroup, Settings, Subnet, Topology } from './model.ts';

type Kind = keyof Omit<Topology, 'settings'>;

type Entries<Value> = readonly (readonly [key: string, value: Value])[];

/** Some objects of one kind, some derived values, some errors. What came of a file is all its parts, in any order. */
export type TopologyPart =
  | { readonly settings: Settings }
  | { readonly kind: Kind; readonly entries: Entries<unknown> }
  | { readonly derived: keyof HeldValues; readonly entries: Entries<string> }
  | { readonly errors: readonly TopologyError[] };

type Result = LoadedTopology | { readonly errors: readonly TopologyError[] };

const KINDS: readonly Kind[] = ['hosts', 'networks', 'subnets', 'ports', 'routers', 'floatingIps', 'securityGroups'];
const DERIVED: readonly (keyof HeldValues)[] = ['macs', 'addresses'];

export function* partsOf(result: Result): Generator<TopologyPart> {
  if ('errors' in result) {
    for (const errors of inParts(result.errors)) yield { errors };
    return;
  }
  const { topology, derived } = result;
  yield { settings: topology.settings };
  for (const kind of KINDS) {
    const objects: ReadonlyMap<string, unknown> = topology[kind];
    for (const entries of inParts(objects)) yield { kind, entries };
  }
  yield* partsOfHeld(derived);
}

export function* partsOfHeld(values: HeldValues): Generator<TopologyPart> {
  for (const derived of DERIVED) {
    for (const keys of inParts(Object.keys(values[derived]))) {
      yield { derived, entries: keys.map((key) => [key, values[derived][key] ?? '']) };
    }
  }
}

function* inParts<Item>(items: Iterable<Item>): Generator<readonly Item[]> {
  let part: Item[] = [];
  for (const item of items) {
    part.push(item);
    if (part.length < LIMITS.topologyPartLength) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** Parts, put together. */
export class TopologyAssembly {
  readonly #kinds = {
    hosts: new Map<string, Host>(),
    networks: new Map<string, Network>(),
    subnets: new Map<string, Subnet>(),
    ports: new Map<string, Port>(),
    routers: new Map<string, Router>(),
    floatingIps: new Map<string, FloatingIp>(),
    securityGroups: new Map<string, SecurityGroup>(),
  };
  readonly #derived: Record<keyof HeldValues, Record<string, string>> = { macs: {}, addresses: {} };
  readonly #errors: TopologyError[] = [];
  #settings: Settings | undefined;

  add(part: TopologyPart): void {
    if ('errors' in part) this.#errors.push(...part.errors);
    else if ('settings' in part) this.#settings = part.settings;
    else if ('kind' in part) {
      // Each part is of objects of its kind: partsOf has made it.
      const objects: Map<string, unknown> = this.#kinds[part.kind];
      for (const [key, value] of part.entries) objects.set(key, value);
    } else for (const [key, value] of part.entries) this.#derived[part.derived][key] = value;
  }

  /** Derived values alone, where that is all there is. */
  get derived(): HeldValues {
    return this.#derived;
  }

  /** Of a file without settings there are errors. */
  result(): Result {
    if (this.#settings === undefined) return { errors: this.#errors };
    return { topology: { settings: this.#settings, ...this.#kinds }, derived: this.#derived };
  }
}
