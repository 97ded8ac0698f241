/**
 * Table updates, of both dialects, read into changes of rows against the rows we hold. Nothing is changed here: the replica
 * takes in a whole update or nothing of it. Pure.
 */
import { excerpt, isObject, OvsdbError } from './errors.ts';
import type { KeptColumn, KeptTable } from './kept-columns.ts';
import type { AnyRow } from './model.ts';
import type { Dialect } from './session-state.ts';
import { applyDifference, decodeValue, defaultValue, isUuid, type Uuid, type Value, valuesEqual } from './value.ts';

/** One row that came (no old), went (no new) or changed. Columns that did not change hold the same object in both. */
export interface AnyRowChange {
  readonly table: string;
  readonly uuid: Uuid;
  readonly old: AnyRow | undefined;
  readonly new: AnyRow | undefined;
}

/** The rows that we hold of one table. */
export type HeldRows = (table: string) => ReadonlyMap<Uuid, AnyRow>;

/** What an update changes. Throws OvsdbError MALFORMED_UPDATE, MALFORMED_VALUE, REPLICA_DIVERGED. */
export function readUpdate(
  tables: readonly KeptTable[],
  held: HeldRows,
  dialect: Dialect,
  updates: unknown,
): readonly AnyRowChange[] {
  const changes: AnyRowChange[] = [];
  for (const { table, uuid, json } of rowUpdates(tables, updates)) {
    const old = held(table.name).get(uuid);
    const next =
      dialect === 'update' ? rowAfterUpdate(table, uuid, json, old) : rowAfterUpdate2(table, uuid, json, old);
    if (next !== old) changes.push({ table: table.name, uuid, old, new: next });
  }
  return changes;
}

/**
 * What a dump of all rows changes: what it does not hold is gone, what it holds as we do is no change. So a reconnect to an
 * unchanged database changes nothing.
 */
export function readSnapshot(
  tables: readonly KeptTable[],
  held: HeldRows,
  dialect: Dialect,
  updates: unknown,
): readonly AnyRowChange[] {
  const changes: AnyRowChange[] = [];
  const seen = new Map(tables.map((table) => [table.name, new Set<Uuid>()]));
  for (const { table, uuid, json } of rowUpdates(tables, updates)) {
    const columns = dialect === 'update' ? json.new : (json.initial ?? json.insert);
    if (!isObject(columns)) throw malformed(table.name, json);
    seen.get(table.name)?.add(uuid);
    const old = held(table.name).get(uuid);
    const next = wholeRow(table, uuid, columns, old);
    if (next !== old) changes.push({ table: table.name, uuid, old, new: next });
  }
  for (const [table, uuids] of seen) {
    for (const [uuid, old] of held(table)) if (!uuids.has(uuid)) changes.push({ table, uuid, old, new: undefined });
  }
  return changes;
}

interface RowUpdate {
  readonly table: KeptTable;
  readonly uuid: Uuid;
  readonly json: Readonly<Record<string, unknown>>;
}

function* rowUpdates(tables: readonly KeptTable[], updates: unknown): Generator<RowUpdate> {
  if (!isObject(updates)) throw malformed('', updates);
  for (const [name, rows] of Object.entries(updates)) {
    const table = tables.find((kept) => kept.name === name);
    if (table === undefined || !isObject(rows)) throw malformed(name, rows);
    for (const [uuid, json] of Object.entries(rows)) {
      if (!isUuid(uuid) || !isObject(json)) throw malformed(name, { [uuid]: json });
      yield { table, uuid, json };
    }
  }
}

/** RFC 7047 §4.1.6: `new` has all monitored columns, `old` those that changed; one of them is absent where a row comes or goes. */
function rowAfterUpdate(
  table: KeptTable,
  uuid: Uuid,
  json: RowUpdate['json'],
  old: AnyRow | undefined,
): AnyRow | undefined {
  if (isObject(json.new)) {
    if ((old !== undefined) !== isObject(json.old)) throw diverged(table.name, uuid, old);
    return wholeRow(table, uuid, json.new, old);
  }
  if (!isObject(json.old)) throw malformed(table.name, json);
  if (old === undefined) throw diverged(table.name, uuid, old);
  return undefined;
}

/** ovsdb-server(7) §4.1.14: exactly one of initial, insert, modify, delete. */
function rowAfterUpdate2(
  table: KeptTable,
  uuid: Uuid,
  json: RowUpdate['json'],
  old: AnyRow | undefined,
): AnyRow | undefined {
  const inserted = json.insert ?? json.initial;
  if (isObject(inserted)) {
    if (old !== undefined) throw diverged(table.name, uuid, old);
    return wholeRow(table, uuid, inserted, old);
  }
  if (isObject(json.modify)) {
    if (old === undefined) throw diverged(table.name, uuid, old);
    return modifiedRow(table, old, json.modify);
  }
  if (!('delete' in json)) throw malformed(table.name, json);
  if (old === undefined) throw diverged(table.name, uuid, old);
  return undefined;
}

/** All columns are given, but for those that have their default. Gives `old` itself when nothing differs. */
function wholeRow(table: KeptTable, uuid: Uuid, columns: RowUpdate['json'], old: AnyRow | undefined): AnyRow {
  return buildRow(table, uuid, old, ({ schema }) =>
    Object.hasOwn(columns, schema.name) ? decodeValue(schema, columns[schema.name]) : defaultValue(schema),
  );
}

/** The changed columns are given, sets and maps of more than one element as differences. */
function modifiedRow(table: KeptTable, old: AnyRow, columns: RowUpdate['json']): AnyRow {
  return buildRow(table, old._uuid, old, ({ schema }) => {
    const before = old[schema.name];
    return Object.hasOwn(columns, schema.name) ? applyDifference(schema, before, columns[schema.name]) : before;
  });
}

function buildRow(
  table: KeptTable,
  uuid: Uuid,
  old: AnyRow | undefined,
  readColumn: (column: KeptColumn) => Value,
): AnyRow {
  const row: Record<string, Value> = { _uuid: uuid };
  let isChanged = old === undefined;
  for (const column of table.columns) {
    const { name } = column.schema;
    const value = readColumn(column);
    const isSame = old !== undefined && valuesEqual(old[name], value);
    row[name] = isSame ? old[name] : value;
    isChanged ||= !isSame;
  }
  // Where all columns are kept, a converted schema may have fewer of them.
  isChanged ||= old !== undefined && Object.keys(old).length !== table.columns.length + 1;
  return isChanged || old === undefined ? (Object.freeze(row) as AnyRow) : old;
}

/** The identity of a row as `select` gives it. */
export function selectedUuid(row: unknown): Uuid {
  const uuid = isObject(row) && Array.isArray(row._uuid) ? row._uuid[1] : undefined;
  if (isUuid(uuid)) return uuid;
  throw new OvsdbError('MALFORMED_UPDATE', `The server sent a malformed row: ${excerpt(row)}.`);
}

function malformed(table: string, json: unknown): OvsdbError {
  return new OvsdbError('MALFORMED_UPDATE', `The server sent a malformed update of table ${table}: ${excerpt(json)}.`, {
    table,
  });
}

function diverged(table: string, uuid: Uuid, old: AnyRow | undefined): OvsdbError {
  const what = old === undefined ? 'a change of a row that is not there' : 'the insertion of a row that is there';
  return new OvsdbError('REPLICA_DIVERGED', `The server sent ${what}: ${table} ${uuid}.`, { table, uuid });
}
