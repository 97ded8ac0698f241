/**
 * Any table of any ovsdb-server: its rows now, or its rows and what happens to them. Serves `heddle ovsdb CONN dump|monitor`.
 */
import { parseEndpoint, type TlsMaterial } from '../lib/endpoint.ts';
import type { Logger } from '../lib/log.ts';
import { OvsdbClient } from './client.ts';
import { OVSDB_PORT } from './connection.ts';
import { excerpt, isObject, OvsdbError } from './errors.ts';
import { type KeptTable, keptTables } from './kept-columns.ts';
import { OVSDB_LIMITS } from './limits.ts';
import type { AnyRow, AnyRows } from './model.ts';
import type { Delta } from './replica.ts';
import { type Requests, withConnection } from './requests.ts';
import { parseSchema } from './schema.ts';
import { selectedUuid } from './table-updates.ts';
import { decodeValue, type Value, valueToJson } from './value.ts';

export interface TableRequest {
  /** `unix:PATH`, `tcp:ADDR[:PORT]`, `ssl:ADDR[:PORT]`. */
  readonly target: string;
  readonly tls?: TlsMaterial;
  /** Default: the only database of the server that has the table. */
  readonly database?: string;
  readonly table: string;
  /** Default: all, in alphabetical order. */
  readonly columns?: readonly string[];
  readonly logger?: Logger;
}

export interface TableDump {
  readonly database: string;
  readonly table: string;
  /** In the order asked for. */
  readonly columns: readonly string[];
  readonly rows: readonly AnyRow[];
}

/**
 * The rows of a table, at one moment, in no particular order. Rejects with OvsdbError: UNREACHABLE, NO_SUCH_TABLE (which names
 * those there are), NO_SUCH_COLUMN, REQUEST_REFUSED and the like.
 */
export function dumpTable(request: TableRequest): Promise<TableDump> {
  return withServer(request, async (requests) => {
    const { database, table } = await locate(requests, request);
    const columns = table.columns.map((column) => column.schema.name);
    const select = { op: 'select', table: table.name, where: [], columns: ['_uuid', ...columns] };
    const result = await requests.request('transact', [database, select]);
    return { database, table: table.name, columns, rows: selectedRows(table, result) };
  });
}

/**
 * The rows of a table as a first delta, then one delta for each transaction that changes them, over reconnects too, until the
 * caller stops (`break`, or the signal). Rejects as `dumpTable` does when the server cannot be asked at the start.
 */
export async function* monitorTable(
  request: TableRequest & { readonly signal?: AbortSignal },
): AsyncGenerator<Delta<AnyRows, Record<string, readonly string[]>>, void, undefined> {
  const { target, tls, logger, signal } = request;
  const { database, table } = await withServer(request, (requests) => locate(requests, request));
  const deltas: Delta<AnyRows, Record<string, readonly string[]>>[] = [];
  let wake = (): void => undefined;
  const client = new OvsdbClient<AnyRows, Record<string, readonly string[]>>({
    target,
    ...(tls === undefined ? {} : { tls }),
    ...(logger === undefined ? {} : { logger }),
    database,
    tables: { [table.name]: table.columns.map((column) => column.schema.name) },
    onDelta: (delta) => {
      deltas.push(delta);
      wake();
    },
  });
  const onAbort = (): void => wake();
  signal?.addEventListener('abort', onAbort);
  client.start();
  try {
    while (signal?.aborted !== true) {
      const delta = deltas.shift();
      if (delta !== undefined) yield delta;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    client.close();
  }
}

/** A row as plain JSON: maps as objects, absent values as null. */
export function rowToJson(row: AnyRow): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, valueToJson(value)]));
}

function withServer<T>(request: TableRequest, ask: (requests: Requests) => Promise<T>): Promise<T> {
  const endpoint = parseEndpoint(request.target, { defaultPort: OVSDB_PORT });
  return withConnection({ endpoint, tls: request.tls, limits: OVSDB_LIMITS }, ask);
}

/** The database that has the table, and the columns wanted of it. */
async function locate(requests: Requests, request: TableRequest): Promise<{ database: string; table: KeptTable }> {
  const names = request.database === undefined ? await databaseNames(requests) : [request.database];
  const schemas = await Promise.all(
    names.map(async (name) => parseSchema(await requests.request('get_schema', [name]))),
  );
  const [schema, other] = schemas.filter((candidate) => candidate.tables.has(request.table));
  if (schema === undefined) {
    const tables = schemas.flatMap((candidate) => [...candidate.tables.keys()]).sort();
    const message = `The server has no table ${request.table}; it has ${tables.join(', ')}.`;
    throw new OvsdbError('NO_SUCH_TABLE', message, { table: request.table });
  }
  if (other !== undefined) {
    const message = `Databases ${schema.name} and ${other.name} both have a table ${request.table}: name the database.`;
    throw new OvsdbError('NO_SUCH_TABLE', message, { table: request.table });
  }
  const all = [...(schema.tables.get(request.table)?.columns.keys() ?? [])].sort();
  // Every row has its identity, asked for or not.
  const columns = (request.columns ?? all).filter((name) => name !== '_uuid');
  const [table] = keptTables(schema, { [request.table]: columns }, undefined);
  if (table === undefined) throw new OvsdbError('NO_SUCH_TABLE', `The server has no table ${request.table}.`);
  return { database: schema.name, table };
}

async function databaseNames(requests: Requests): Promise<readonly string[]> {
  const result = await requests.request('list_dbs', []);
  if (!Array.isArray(result) || !result.every((name) => typeof name === 'string')) {
    throw new OvsdbError('MALFORMED_UPDATE', `The server's list of databases is malformed: ${excerpt(result)}.`);
  }
  return result;
}

function selectedRows(table: KeptTable, result: unknown): readonly AnyRow[] {
  const [answer]: unknown[] = Array.isArray(result) ? result : [];
  if (!isObject(answer) || !Array.isArray(answer.rows)) {
    throw new OvsdbError('REQUEST_REFUSED', `The server refuses to list ${table.name}: ${excerpt(result)}.`);
  }
  return answer.rows.map((json: unknown) => selectedRow(table, json));
}

function selectedRow(table: KeptTable, json: unknown): AnyRow {
  const row: Record<string, Value> = { _uuid: selectedUuid(json) };
  const cells = json as Readonly<Record<string, unknown>>;
  for (const { schema } of table.columns) row[schema.name] = decodeValue(schema, cells[schema.name]);
  return Object.freeze(row) as AnyRow;
}
