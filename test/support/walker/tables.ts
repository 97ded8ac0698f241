/** The tables of one bridge: which flow a packet meets. Flows that learn() adds come in at run time. */
import { isDeepStrictEqual } from 'node:util';
import type { FieldName, FieldValue } from '../../../src/flow/fields.ts';
import type { Flow } from '../../../src/flow/flow.ts';
import { flowKey, normaliseMatch } from '../../../src/flow/match.ts';
import type { Headers } from './headers.ts';

export interface Found {
  readonly flow: Flow;
  readonly rivals: readonly Flow[];
}

/** Flows that test the same exact field are found by its value; the others are tried one by one. */
interface Rank {
  readonly priority: number;
  readonly byValue: Map<FieldValue, Flow[]>;
  readonly rest: Flow[];
}

/** Fields by which flows of large tables differ, the most telling first. */
const TELLING: readonly FieldName[] = [
  'ethDst',
  'ipv4Dst',
  'ipv6Dst',
  'reg1',
  'arpTpa',
  'inPort',
  'vlanVid',
  'tunnelId',
];

class Table {
  readonly #flows = new Map<string, Flow>();
  #ranks: readonly (readonly [FieldName, Rank])[] | undefined;

  add(flow: Flow): void {
    this.#flows.set(flowKey(flow), flow);
    this.#ranks = undefined;
  }

  find(headers: Headers): Found | undefined {
    this.#ranks ??= ranksOf(this.#flows.values());
    let found: Flow | undefined;
    let priority: number | undefined;
    const rivals: Flow[] = [];
    for (const [field, rank] of this.#ranks) {
      if (priority !== undefined && rank.priority < priority) break;
      for (const flow of [...(rank.byValue.get(headers.get(field)) ?? []), ...rank.rest]) {
        if (!headers.matches(flow.match)) continue;
        priority = rank.priority;
        if (found === undefined) found = flow;
        else if (!isDeepStrictEqual(found.actions, flow.actions)) rivals.push(flow);
      }
    }
    return found === undefined ? undefined : { flow: found, rivals };
  }
}

/** By falling priority; within one, a rank for each telling field. */
function ranksOf(flows: Iterable<Flow>): (readonly [FieldName, Rank])[] {
  const ranks = new Map<string, readonly [FieldName, Rank]>();
  for (const flow of flows) {
    const field = TELLING.find((name) => flow.match[name] !== undefined && typeof flow.match[name] !== 'object');
    const key = `${flow.priority} ${field}`;
    let rank = ranks.get(key);
    if (rank === undefined) {
      rank = [field ?? 'inPort', { priority: flow.priority, byValue: new Map(), rest: [] }];
      ranks.set(key, rank);
    }
    const value = field === undefined ? undefined : flow.match[field];
    if (value === undefined || typeof value === 'object') rank[1].rest.push(flow);
    else rank[1].byValue.set(value, [...(rank[1].byValue.get(value) ?? []), flow]);
  }
  return [...ranks.values()].sort(([, left], [, right]) => right.priority - left.priority);
}

export class Tables {
  readonly #tables = new Map<number, Table>();

  constructor(flows: Iterable<Flow>) {
    for (const flow of flows) this.add(flow);
  }

  /** Add a flow, or replace the one with its table, priority and match. */
  add(flow: Flow): void {
    let table = this.#tables.get(flow.table);
    if (table === undefined) {
      table = new Table();
      this.#tables.set(flow.table, table);
    }
    table.add({ ...flow, match: normaliseMatch(flow.match) });
  }

  find(table: number, headers: Headers): Found | undefined {
    return this.#tables.get(table)?.find(headers);
  }
}
