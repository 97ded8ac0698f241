/**
 * Database schemas: what get_schema answers (RFC 7047 §3.2), read into tables and columns. Serves the replica (defaults, how
 * to read a value), the transactions (how to write one) and the model generator.
 */
import { excerpt, isObject, OvsdbError } from './errors.ts';

export type AtomicType = 'integer' | 'real' | 'boolean' | 'string' | 'uuid';

const ATOMIC_TYPES: ReadonlySet<unknown> = new Set(['integer', 'real', 'boolean', 'string', 'uuid']);

/** One side of a column's type (RFC 7047 §3.2 <base-type>), as far as a client needs it. */
export interface BaseType {
  readonly type: AtomicType;
  /** The only values allowed; undefined: all. */
  readonly enum: readonly (string | number)[] | undefined;
  /** The table that a uuid refers to. */
  readonly refTable: string | undefined;
}

/** How a column's value looks here: exactly one atom, at most one, several, or pairs. */
export type ColumnShape = 'scalar' | 'optional' | 'set' | 'map';

export interface ColumnSchema {
  readonly table: string;
  readonly name: string;
  readonly shape: ColumnShape;
  readonly key: BaseType;
  /** For maps. */
  readonly value: BaseType | undefined;
  /** Whether `modify` rows of update2 carry a difference for this column and not its new value: sets and maps of more than one. */
  readonly isDifferenced: boolean;
  readonly isMutable: boolean;
  readonly isEphemeral: boolean;
}

export interface TableSchema {
  readonly name: string;
  readonly columns: ReadonlyMap<string, ColumnSchema>;
  /** Rows live without being referred to. */
  readonly isRoot: boolean;
  /** At most this many rows; undefined: no bound. */
  readonly rowCountMax: number | undefined;
  /** Column sets that are unique among the rows. */
  readonly uniqueIndexes: readonly (readonly string[])[];
}

export interface DatabaseSchema {
  readonly name: string;
  readonly version: string;
  readonly checksum: string | undefined;
  readonly tables: ReadonlyMap<string, TableSchema>;
}

/** Read a <database-schema>. Throws OvsdbError MALFORMED_SCHEMA. */
export function parseSchema(json: unknown): DatabaseSchema {
  if (!isObject(json) || typeof json.name !== 'string' || !isObject(json.tables)) {
    throw malformed('the database schema', json);
  }
  const tables = new Map<string, TableSchema>();
  for (const [name, table] of Object.entries(json.tables)) tables.set(checkedId(name), parseTable(name, table));
  const { version, cksum } = json;
  return {
    name: json.name,
    version: typeof version === 'string' ? version : '',
    checksum: typeof cksum === 'string' ? cksum : undefined,
    tables,
  };
}

function parseTable(name: string, json: unknown): TableSchema {
  if (!isObject(json) || !isObject(json.columns)) throw malformed(`table ${name}`, json);
  const columns = new Map<string, ColumnSchema>();
  for (const [column, schema] of Object.entries(json.columns)) {
    columns.set(checkedId(column), parseColumn(name, column, schema));
  }
  const { isRoot, maxRows, indexes } = json;
  return {
    name,
    columns,
    isRoot: isRoot === true,
    rowCountMax: typeof maxRows === 'number' ? maxRows : undefined,
    uniqueIndexes: Array.isArray(indexes) ? indexes.map((index) => parseIndex(name, index)) : [],
  };
}

function parseIndex(table: string, json: unknown): readonly string[] {
  if (Array.isArray(json) && json.every((column) => typeof column === 'string')) return json;
  throw malformed(`an index of table ${table}`, json);
}

function parseColumn(table: string, name: string, json: unknown): ColumnSchema {
  const label = `column ${table}.${name}`;
  if (!isObject(json)) throw malformed(label, json);
  const { type } = json;
  const whole = isObject(type) ? type : { key: type };
  const min = whole.min ?? 1;
  const max = whole.max ?? 1;
  const isBounded = typeof max === 'number' && max >= 1;
  if ((min !== 0 && min !== 1) || (!isBounded && max !== 'unlimited')) throw malformed(label, type);
  const key = parseBaseType(label, whole.key);
  const value = whole.value === undefined ? undefined : parseBaseType(label, whole.value);
  const isSingle = max === 1;
  return {
    table,
    name,
    shape: value !== undefined ? 'map' : !isSingle ? 'set' : min === 1 ? 'scalar' : 'optional',
    key,
    value,
    isDifferenced: !isSingle,
    isMutable: json.mutable !== false,
    isEphemeral: json.ephemeral === true,
  };
}

function parseBaseType(label: string, json: unknown): BaseType {
  const whole = isObject(json) ? json : { type: json };
  if (!ATOMIC_TYPES.has(whole.type)) throw malformed(label, json);
  const { refTable } = whole;
  return {
    type: whole.type as AtomicType,
    enum: parseEnum(whole.enum),
    refTable: typeof refTable === 'string' ? refTable : undefined,
  };
}

/** <value> of an enum: `["set", […]]` or one atom. Only strings and numbers are worth remembering. */
function parseEnum(json: unknown): BaseType['enum'] {
  const atoms: unknown[] = Array.isArray(json) && Array.isArray(json[1]) ? json[1] : [json];
  const known = atoms.filter((atom) => typeof atom === 'string' || typeof atom === 'number');
  return known.length > 0 ? known : undefined;
}

/** An <id>. Those that begin with an underscore are the server's own (RFC 7047 §3.1), which also keeps `__proto__` out. */
function checkedId(id: string): string {
  if (/^[A-Za-z][A-Za-z0-9_]*$/.test(id)) return id;
  throw malformed('an identifier of the schema', id);
}

function malformed(what: string, json: unknown): OvsdbError {
  return new OvsdbError('MALFORMED_SCHEMA', `The server's schema is malformed: ${what} is ${excerpt(json)}.`);
}
