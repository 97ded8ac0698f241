/**
 * A draft with everything in it found by id: what the checks look at, together. Serves the checks and load.ts.
 */

import type { Ip } from '../lib/addresses.ts';
import { invariant } from '../lib/errors.ts';
import { AddressBook, MacBook } from './derive.ts';
import { shown } from './kinds.ts';
import type { AllocationPool, SourceOrigin } from './model.ts';
import type { Report } from './report.ts';
import type {
  HostDraft,
  NetworkDraft,
  PortDraft,
  RouterDraft,
  SecurityGroupDraft,
  SubnetDraft,
  TopologyDraft,
} from './schema.ts';
import type { Path, Source } from './source.ts';
import { nearest } from './suggest.ts';

/** One object of the file. */
export interface Item<D> {
  readonly draft: D;
  readonly path: Path;
  /** Absent when the file's was broken or missing. */
  readonly id?: string;
  /** The id, or the path in place of it. */
  readonly label: string;
}

export interface NetworkItem extends Item<NetworkDraft> {
  readonly subnets: SubnetItem[];
}

export interface SubnetItem extends Item<SubnetDraft> {
  readonly network: NetworkItem;
  /** Defaults applied; absent for none. */
  readonly gateway?: Ip;
  /** Defaults applied; sorted. */
  readonly pools: readonly AllocationPool[];
}

/** The objects of one kind. */
export class Registry<I extends Item<unknown>> {
  readonly #kind: string;
  readonly #report: Report;
  readonly #byId = new Map<string, I>();
  /** Ids that are in the file and could not be read: who refers to them is not wrong as well. */
  readonly #brokenIds = new Set<string>();
  readonly #hints = new Map<string, string>();
  readonly items: I[] = [];
  /** The list itself is broken: nothing can be said about references. */
  isUnknown = false;

  /** `kind` as in "no network "blue"". */
  constructor(kind: string, report: Report) {
    this.#kind = kind;
    this.#report = report;
  }

  add(item: I, idKey: string): void {
    this.items.push(item);
    if (item.id === undefined) return;
    const earlier = this.#byId.get(item.id);
    if (earlier === undefined) this.#byId.set(item.id, item);
    else {
      const other = this.#report.mention(earlier.path);
      const message = `duplicate ${this.#kind} ${shown(item.id)}: ${other} has this ${idKey}; give another`;
      this.#report.wrong([...item.path, idKey], message);
    }
  }

  addBrokenId(id: unknown): void {
    if (id !== undefined && id !== null) this.#brokenIds.add(String(id));
  }

  get(id: string): I | undefined {
    return this.#byId.get(id);
  }

  /** The object that `path` refers to; when there is none, that is reported. */
  find(id: string | undefined, path: Path): I | undefined {
    if (id === undefined) return undefined;
    const item = this.#byId.get(id);
    if (item === undefined && !this.isUnknown && !this.#brokenIds.has(id)) this.#report.wrong(path, this.#absent(id));
    return item;
  }

  #absent(id: string): string {
    let hint = this.#hints.get(id);
    if (hint === undefined) {
      const meant = nearest(id, this.#byId.keys());
      hint =
        meant === undefined ? `add one with this ${this.#kind === 'host' ? 'name' : 'id'}` : `did you mean "${meant}"?`;
      this.#hints.set(id, hint);
    }
    return `there is no ${this.#kind} ${shown(id)}; ${hint}`;
  }
}

export interface Site {
  readonly source: Source;
  readonly report: Report;
  readonly draft: TopologyDraft;
  readonly hosts: Registry<Item<HostDraft>>;
  readonly networks: Registry<NetworkItem>;
  readonly subnets: Registry<SubnetItem>;
  readonly ports: Registry<Item<PortDraft>>;
  readonly routers: Registry<Item<RouterDraft>>;
  readonly securityGroups: Registry<Item<SecurityGroupDraft>>;
  readonly macs: MacBook;
  readonly addresses: AddressBook;
}

/** What the file left to us, by the name of what it is for. */
export interface Settled {
  readonly macs: ReadonlyMap<string, number>;
  readonly addresses: ReadonlyMap<string, Ip>;
}

export function emptySite(source: Source, report: Report, draft: TopologyDraft): Site {
  return {
    source,
    report,
    draft,
    hosts: new Registry('host', report),
    networks: new Registry('network', report),
    subnets: new Registry('subnet', report),
    ports: new Registry('port', report),
    routers: new Registry('router', report),
    securityGroups: new Registry('security group', report),
    macs: new MacBook(report),
    addresses: new AddressBook(report),
  };
}

/** Register the items of one of the top lists under their ids. */
export function registerList<D extends object>(
  site: Site,
  registry: Registry<Item<D>>,
  list: { readonly key: string; readonly items: readonly (D | undefined)[] | undefined; readonly idKey: string },
): void {
  registry.isUnknown = site.report.isDoubtful([list.key]) && list.items === undefined;
  for (const [index, draft] of (list.items ?? []).entries()) {
    const path = [list.key, index];
    if (draft === undefined) {
      registry.addBrokenId(site.source.valueAt(path));
      continue;
    }
    const id: unknown = Reflect.get(draft, list.idKey);
    registry.add(itemOf(site, draft, path, typeof id === 'string' ? id : undefined), list.idKey);
    if (typeof id !== 'string') registry.addBrokenId(site.source.valueAt([...path, list.idKey]));
  }
}

export function itemOf<D>(site: Site, draft: D, path: Path, id: string | undefined): Item<D> {
  return id === undefined ? { draft, path, label: site.source.place(path).path } : { draft, path, id, label: id };
}

/** The readable items of a list with their indexes. */
export function* entriesOf<T>(list: readonly (T | undefined)[] | undefined): Generator<readonly [number, T]> {
  if (list === undefined) return;
  for (const [index, item] of list.entries()) if (item !== undefined) yield [index, item];
}

/** The readable items of a list. */
export function itemsOf<T>(list: readonly (T | undefined)[] | undefined): readonly T[] {
  return list === undefined ? [] : list.filter((item) => item !== undefined);
}

/** A value that a file without errors has. */
export function present<T>(value: T | undefined, what: string): T {
  invariant(value !== undefined, 'a file without errors has no holes', { what });
  return value;
}

export function originOf(site: Site, path: Path): SourceOrigin {
  return site.source.origin(path);
}
