/**
 * A second opinion on what a database holds: what `ovsdb-client dump` prints, beside what a replica holds, in one form. Serves
 * test/ovs/ovsdb*.test.ts.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AnyRow } from '../../src/ovsdb/model.ts';

const run = promisify(execFile);

/** Table → uuid → column → value: everything but maps as a sorted array of its elements, maps as sorted pairs. */
export type Dump = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;

interface PrintedTable {
  readonly caption: string;
  readonly headings: readonly string[];
  readonly data: readonly (readonly unknown[])[];
}

/** What the server has, of all tables or of one with some columns. */
export async function serverDump(socket: string, table?: string, columns: readonly string[] = []): Promise<Dump> {
  const what = table === undefined ? [] : [table, ...columns];
  const args = ['--timeout=20', '--format=json', 'dump', `unix:${socket}`, 'Open_vSwitch', ...what];
  const { stdout } = await run('ovsdb-client', args, { maxBuffer: 256 * 1024 * 1024 });
  const tables: Record<string, Record<string, Record<string, unknown>>> = {};
  for (const line of stdout.split('\n').filter((text) => text !== '')) {
    const { caption, headings, data } = JSON.parse(line) as PrintedTable;
    const rows: Record<string, Record<string, unknown>> = {};
    for (const cells of data) {
      const row = Object.fromEntries(headings.map((name, i) => [name, printedValue(cells[i])]));
      const [uuid] = row._uuid as string[];
      rows[String(uuid)] = row;
    }
    tables[caption.replace(/ table$/, '')] = rows;
  }
  return tables;
}

function printedValue(json: unknown): unknown {
  if (!Array.isArray(json)) return [json];
  const [tag, items] = json as [string, unknown];
  if (tag === 'uuid') return [items];
  if (tag === 'set') return (items as unknown[]).flatMap(printedValue as (item: unknown) => unknown[]).sort();
  const pairs = (items as [unknown, unknown][]).map((pair) =>
    pair.flatMap(printedValue as (item: unknown) => unknown[]),
  );
  return { map: pairs.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)) };
}

/** What a replica holds, in the same form. */
export function replicaDump(tables: Readonly<Record<string, Iterable<object>>>): Dump {
  return Object.fromEntries(
    Object.entries(tables).map(([table, rows]) => [
      table,
      Object.fromEntries([...(rows as Iterable<AnyRow>)].map((row) => [row._uuid, heldRow(row)])),
    ]),
  );
}

function heldRow(row: AnyRow): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, heldValue(value)]));
}

function heldValue(value: AnyRow[string]): unknown {
  if (value === undefined) return [];
  if (Array.isArray(value)) return [...value].sort();
  if (value instanceof Map) return { map: [...value].sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)) };
  return [value];
}
