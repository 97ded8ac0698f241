/**
 * What a database's rows look like to TypeScript: a model binds row interfaces to the schema they come from, a selection says
 * which tables and columns a client keeps, and the types here derive what its rows hold and what it may write. Serves the
 * replica, the transactions and the generated models.
 */
import type { ColumnSchema, DatabaseSchema } from './schema.ts';
import { parseSchema } from './schema.ts';
import type { Atom, NamedUuid, Uuid, Value } from './value.ts';

/** A row whose columns are known at run time only. */
export interface AnyRow {
  readonly _uuid: Uuid;
  readonly [column: string]: Value;
}

/** Row interfaces by table. */
export type Rows = { readonly [table: string]: { readonly _uuid: Uuid } };

/** Any database, known at run time only. */
export type AnyRows = Readonly<Record<string, AnyRow>>;

/** The schema that the types of a client were generated from. It also gives the defaults of columns that a server lacks. */
export interface DatabaseModel<M> {
  readonly schema: DatabaseSchema;
  /** Never present: carries the row interfaces for the compiler. */
  readonly rows?: M;
}

/** Bind row interfaces to their schema, given as RFC 7047 §3.2 writes it. */
export function defineModel<M>(schema: unknown): DatabaseModel<M> {
  return { schema: parseSchema(schema) };
}

/** Tables of a model. */
export type TableName<M> = keyof M & string;

/** Columns of a table, without its identity. */
export type ColumnName<M, T extends keyof M> = Exclude<keyof M[T] & string, '_uuid'>;

/** The tables and columns that a client keeps; `'*'` for all columns of a table. Nothing else is asked for. */
export type Selection<M> = { readonly [T in TableName<M>]?: readonly ColumnName<M, T>[] | '*' };

/** A row as a client with selection S holds it: its identity and the selected columns. */
export type SelectedRow<M, S, T extends keyof S & keyof M> = S[T] extends '*'
  ? M[T]
  : S[T] extends readonly (infer C)[]
    ? Readonly<Pick<M[T], (C & keyof M[T]) | ('_uuid' & keyof M[T])>>
    : never;

/** What may be written for a value: wherever a row is referred to, one that the same transaction inserts may stand. */
export type Writable<V> = V extends Uuid
  ? Uuid | NamedUuid
  : V extends readonly (infer E)[]
    ? readonly Writable<E>[]
    : V extends ReadonlyMap<infer K, infer E>
      ? ReadonlyMap<K, Writable<E>>
      : V;

/** Columns to write; what is absent stays as it is, or takes its default in an insert. */
export type WritableRow<M, T extends keyof M> = { readonly [C in ColumnName<M, T>]?: Writable<M[T][C]> };

/** What finds rows: `name`, or `external_ids:iface-id` for one key of a map. A set column finds rows by each element. */
export type IndexName<M, T extends keyof M> = ColumnName<M, T> | `${ColumnName<M, T>}:${string}`;

/** The indexes that a client keeps. */
export type Indexes<M> = { readonly [T in TableName<M>]?: readonly IndexName<M, T>[] };

/** What an index finds rows by. */
export type IndexKey = Atom;

/** The columns of a table that a client keeps, with the schema that says how to read them. */
export interface KeptColumns {
  readonly table: string;
  readonly columns: readonly ColumnSchema[];
}
