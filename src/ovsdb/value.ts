/**
 * Values of columns: between OVSDB's JSON (RFC 7047 §5.1) and readonly JavaScript values, the defaults of absent columns,
 * and the differences that update2 carries. Serves replica, transaction and dump.
 *
 * | column                     | here                                    |
 * |----------------------------|-----------------------------------------|
 * | exactly one                | the atom                                |
 * | at most one                | the atom, or undefined                  |
 * | set of more than one       | frozen array, sorted                    |
 * | map                        | ReadonlyMap, sorted by key              |
 *
 * Integers are numbers as far as those are exact, and bigints beyond.
 */
import { invariant } from '../lib/errors.ts';
import { excerpt, OvsdbError } from './errors.ts';
import type { AtomicType, BaseType, ColumnSchema } from './schema.ts';

declare const uuidBrand: unique symbol;

/** The identity of a row, as the server writes it: 36 characters, lower case. */
export type Uuid = string & { readonly [uuidBrand]: true };

/** A row that the same transaction inserts (RFC 7047 §5.1 <named-uuid>). */
export interface NamedUuid {
  readonly namedUuid: string;
}

export type Atom = string | number | bigint | boolean;
export type Value = Atom | undefined | readonly Atom[] | ReadonlyMap<Atom, Atom>;

/** The identity of no row: the default of a uuid, and the transaction id before the first. */
export const ZERO_UUID = '00000000-0000-0000-0000-000000000000' as Uuid;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NOTHING: readonly Atom[] = Object.freeze([]);
const NO_PAIRS: ReadonlyMap<Atom, Atom> = new Map();
const INT64_MAX = 2n ** 63n - 1n;
const DEFAULT_ATOMS: Readonly<Record<AtomicType, Atom>> = {
  integer: 0,
  real: 0,
  boolean: false,
  string: '',
  uuid: ZERO_UUID,
};

/** Whether a text has the form of a row's identity. */
export function isUuid(text: unknown): text is Uuid {
  return typeof text === 'string' && UUID.test(text);
}

/** The value of a column that a row leaves out (RFC 7047 §5.2.1, "default values"). */
export function defaultValue(column: ColumnSchema): Value {
  switch (column.shape) {
    case 'scalar':
      return DEFAULT_ATOMS[column.key.type];
    case 'optional':
      return undefined;
    case 'set':
      return NOTHING;
    case 'map':
      return NO_PAIRS;
  }
}

/** Read a <value>. Throws OvsdbError MALFORMED_VALUE, which names the column. */
export function decodeValue(column: ColumnSchema, json: unknown): Value {
  switch (column.shape) {
    case 'map':
      return decodeMap(column, json);
    case 'set':
      return decodeSet(column, json);
    case 'optional': {
      const atoms = decodeSet(column, json);
      if (atoms.length > 1) throw malformed(column, json);
      return atoms[0];
    }
    case 'scalar':
      if (isTagged(json, 'set')) return decodeOnlyAtom(column, json);
      return decodeAtom(column, column.key, json);
  }
}

/** `["set", [x]]` is another spelling of x. */
function decodeOnlyAtom(column: ColumnSchema, json: unknown): Atom {
  const [atom, ...rest] = decodeSet(column, json);
  if (atom === undefined || rest.length > 0) throw malformed(column, json);
  return atom;
}

function decodeSet(column: ColumnSchema, json: unknown): readonly Atom[] {
  if (!isTagged(json, 'set')) return Object.freeze([decodeAtom(column, column.key, json)]);
  const items = json[1];
  if (!Array.isArray(items)) throw malformed(column, json);
  if (items.length === 0) return NOTHING;
  return Object.freeze(items.map((item) => decodeAtom(column, column.key, item)).sort(compareAtoms));
}

function decodeMap(column: ColumnSchema, json: unknown): ReadonlyMap<Atom, Atom> {
  invariant(column.value !== undefined, 'a map column has a value type', { table: column.table, column: column.name });
  if (!isTagged(json, 'map') || !Array.isArray(json[1])) throw malformed(column, json);
  const pairs: [Atom, Atom][] = [];
  for (const pair of json[1]) {
    if (!Array.isArray(pair) || pair.length !== 2) throw malformed(column, json);
    pairs.push([decodeAtom(column, column.key, pair[0]), decodeAtom(column, column.value, pair[1])]);
  }
  return pairs.length === 0 ? NO_PAIRS : sortedMap(pairs);
}

function sortedMap(pairs: Iterable<readonly [Atom, Atom]>): ReadonlyMap<Atom, Atom> {
  return new Map([...pairs].sort(([a], [b]) => compareAtoms(a, b)));
}

function decodeAtom(column: ColumnSchema, base: BaseType, json: unknown): Atom {
  switch (base.type) {
    case 'string':
      if (typeof json === 'string') return json;
      break;
    case 'boolean':
      if (typeof json === 'boolean') return json;
      break;
    case 'integer':
      if (Number.isSafeInteger(json)) return json as number;
      if (typeof json === 'bigint' && json >= -INT64_MAX - 1n && json <= INT64_MAX) return json;
      break;
    case 'real':
      if (typeof json === 'bigint') return Number(json);
      if (typeof json === 'number' && Number.isFinite(json)) return json;
      break;
    case 'uuid':
      if (isTagged(json, 'uuid') && isUuid(json[1])) return json[1];
      break;
  }
  throw malformed(column, json);
}

function isTagged(json: unknown, tag: string): json is readonly [string, unknown] {
  return Array.isArray(json) && json.length === 2 && json[0] === tag;
}

/**
 * The value after a `modify` of update2 (ovsdb-server(7) §4.1.14): for sets the elements that came or went, for maps the
 * pairs that came, went or changed, for everything of at most one element the new value itself. Applied twice, it is wrong.
 */
export function applyDifference(column: ColumnSchema, old: Value, json: unknown): Value {
  const difference = decodeValue(column, json);
  if (!column.isDifferenced) return difference;
  if (Array.isArray(difference)) {
    invariant(Array.isArray(old), 'a set column holds an array', { table: column.table, column: column.name });
    const atoms = new Set<Atom>(old);
    for (const atom of difference) if (!atoms.delete(atom)) atoms.add(atom);
    return Object.freeze([...atoms].sort(compareAtoms));
  }
  invariant(difference instanceof Map && old instanceof Map, 'a column with differences is a set or a map', {
    table: column.table,
    column: column.name,
  });
  const pairs = new Map<Atom, Atom>(old);
  for (const [key, value] of difference) {
    if (pairs.get(key) === value) pairs.delete(key);
    else pairs.set(key, value);
  }
  return sortedMap(pairs);
}

/** Whether two values of one column are the same. Both are sorted. */
export function valuesEqual(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((atom, i) => atom === b[i]);
  if (!(a instanceof Map && b instanceof Map) || a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}

/** What a transaction may write into a column: rows may also be named ones. */
export type WritableAtom = Atom | NamedUuid;
export type WritableValue = WritableAtom | undefined | readonly WritableAtom[] | ReadonlyMap<Atom, WritableAtom>;

/** Write a <value>. A value that does not fit its column is our own mistake. */
export function encodeValue(column: ColumnSchema, value: WritableValue): unknown {
  if (column.shape === 'map') {
    invariant(value instanceof Map, 'a map column is written as a Map', { table: column.table, column: column.name });
    const { value: base } = column;
    invariant(base !== undefined, 'a map column has a value type', { table: column.table, column: column.name });
    const pairs = [...value].map(([key, item]) => [
      encodeAtom(column, column.key, key),
      encodeAtom(column, base, item),
    ]);
    return ['map', pairs];
  }
  if (Array.isArray(value)) {
    invariant(column.shape === 'set', 'only a set column is written as an array', {
      table: column.table,
      column: column.name,
    });
    return ['set', value.map((atom) => encodeAtom(column, column.key, atom))];
  }
  if (value === undefined) {
    invariant(column.shape === 'optional', 'a column must have a value', { table: column.table, column: column.name });
    return ['set', []];
  }
  return encodeAtom(column, column.key, value);
}

function encodeAtom(column: ColumnSchema, base: BaseType, value: unknown): unknown {
  const where = { table: column.table, column: column.name, value };
  switch (base.type) {
    case 'uuid':
      if (isUuid(value)) return ['uuid', value];
      invariant(isNamedUuid(value), 'a reference is a uuid or the name of an inserted row', where);
      return ['named-uuid', value.namedUuid];
    case 'integer':
      invariant(Number.isSafeInteger(value) || typeof value === 'bigint', 'an integer column takes integers', where);
      return value;
    case 'real':
      invariant(Number.isFinite(value), 'a real column takes finite numbers', where);
      return value;
    case 'boolean':
    case 'string':
      invariant(typeof value === base.type, 'a column takes values of its own type', where);
      return value;
  }
}

export function isNamedUuid(value: unknown): value is NamedUuid {
  return typeof value === 'object' && value !== null && 'namedUuid' in value && typeof value.namedUuid === 'string';
}

/** A value as plain JSON for people and scripts: maps as objects, nothing as null, integers beyond 2^53 as text. */
export function valueToJson(value: Value): unknown {
  if (value === undefined) return null;
  if (typeof value === 'bigint') return `${value}`;
  if (Array.isArray(value)) return value.map(valueToJson);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [`${key}`, valueToJson(item)]));
  return value;
}

/** The order within sets and maps; all atoms of one column have one type. */
export function compareAtoms(a: Atom, b: Atom): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function malformed(column: ColumnSchema, json: unknown): OvsdbError {
  const { table, name } = column;
  return new OvsdbError(
    'MALFORMED_VALUE',
    `The server sent a value that does not fit column ${table}.${name}: ${excerpt(json)}.`,
    { table, column: name },
  );
}
