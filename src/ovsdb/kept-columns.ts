/**
 * What a client keeps of a database: the selection, met with the schema that the server has and the model that the types come
 * from. Serves the session, which asks for these columns, and the replica, which holds them.
 */
import { OvsdbError } from './errors.ts';
import type { ColumnSchema, DatabaseSchema, TableSchema } from './schema.ts';

export interface KeptColumn {
  readonly schema: ColumnSchema;
  /** Whether the server has it. An older one may not: rows then hold its default. */
  readonly isServed: boolean;
}

export interface KeptTable {
  readonly name: string;
  readonly isServed: boolean;
  /** There is at most one row: cheap to ask for. */
  readonly isSingleton: boolean;
  readonly columns: readonly KeptColumn[];
}

/** Columns by table, `'*'` for all. */
export type AnySelection = Readonly<Record<string, readonly string[] | '*' | undefined>>;

/**
 * The kept tables, in the order of the selection. Throws OvsdbError NO_SUCH_TABLE or NO_SUCH_COLUMN for what neither server
 * nor model knows, SCHEMA_MISMATCH for a column that both know differently.
 */
export function keptTables(
  server: DatabaseSchema,
  selection: AnySelection,
  model: DatabaseSchema | undefined,
): readonly KeptTable[] {
  const kept: KeptTable[] = [];
  for (const [name, columns] of Object.entries(selection)) {
    if (columns === undefined) continue;
    const served = server.tables.get(name);
    const modelled = model?.tables.get(name);
    const known = modelled ?? served;
    if (known === undefined) {
      throw new OvsdbError(
        'NO_SUCH_TABLE',
        `Database ${server.name} has no table ${name}; it has ${names(server.tables)}.`,
        {
          table: name,
        },
      );
    }
    const wanted = columns === '*' ? [...known.columns.keys()] : columns;
    kept.push({
      name,
      isServed: served !== undefined,
      isSingleton: served?.rowCountMax === 1,
      columns: wanted.map((column) => keptColumn(known, column, served?.columns.get(column))),
    });
  }
  return kept;
}

function keptColumn(known: TableSchema, name: string, served: ColumnSchema | undefined): KeptColumn {
  const modelled = known.columns.get(name);
  const schema = served ?? modelled;
  if (schema === undefined) {
    throw new OvsdbError(
      'NO_SUCH_COLUMN',
      `Table ${known.name} has no column ${name}; it has ${names(known.columns)}.`,
      {
        table: known.name,
        column: name,
      },
    );
  }
  if (modelled !== undefined && !isSameKind(modelled, schema)) {
    throw new OvsdbError(
      'SCHEMA_MISMATCH',
      `Column ${known.name}.${name} of the server is a ${kindOf(schema)}, expected is a ${kindOf(modelled)}.`,
      { table: known.name, column: name },
    );
  }
  return { schema, isServed: served !== undefined };
}

function isSameKind(a: ColumnSchema, b: ColumnSchema): boolean {
  return a.shape === b.shape && a.key.type === b.key.type && a.value?.type === b.value?.type;
}

function kindOf(column: ColumnSchema): string {
  const value = column.value === undefined ? '' : ` to ${column.value.type}`;
  return `${column.shape} of ${column.key.type}${value}`;
}

function names(known: ReadonlyMap<string, unknown>): string {
  return [...known.keys()].sort().join(', ');
}

/** The kept columns that the server has. */
export function servedColumns(table: KeptTable): readonly string[] {
  return table.columns.filter((column) => column.isServed).map((column) => column.schema.name);
}

/** <monitor-requests> (RFC 7047 §4.1.5): the kept columns, of every row, every kind of change. */
export function monitorRequests(tables: readonly KeptTable[]): Readonly<Record<string, unknown>> {
  const requests: Record<string, unknown> = {};
  for (const table of tables) {
    if (table.isServed) requests[table.name] = [{ columns: servedColumns(table) }];
  }
  return requests;
}
