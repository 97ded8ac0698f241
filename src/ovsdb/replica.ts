/**
 * Our copy of the selected part of a database: table → uuid → frozen row, with indexes. It changes by whole transactions only,
 * and each gives one delta. Serves the client and all who read a switch's database.
 *
 * Before the first snapshot is whole there is nothing to read, and reading is our own mistake: acting on half a picture is how
 * correct rows get "repaired".
 */
import { invariant } from '../lib/errors.ts';
import type { KeptTable } from './kept-columns.ts';
import type { AnyRow, IndexKey, IndexName, SelectedRow, TableName } from './model.ts';
import { RowIndex } from './row-index.ts';
import type { Dialect } from './session-state.ts';
import { type AnyRowChange, type HeldRows, readSnapshot, readUpdate, selectedUuid } from './table-updates.ts';
import type { Uuid } from './value.ts';

/** One row that came (no old), went (no new) or changed. Columns that did not change hold the same object in both. */
export type RowChange<M, S> = {
  [T in TableName<S> & keyof M]: {
    readonly table: T;
    readonly uuid: Uuid;
    readonly old: SelectedRow<M, S, T> | undefined;
    readonly new: SelectedRow<M, S, T> | undefined;
  };
}[TableName<S> & keyof M];

/**
 * What one transaction changed. A snapshot gives one too, and always: empty, when the database is as we knew it.
 *
 * - snapshot: all rows were read: the first time, or again after a reconnect.
 * - resumption: the server told what happened while we were away.
 * - update: a transaction took place.
 */
export interface Delta<M, S> {
  readonly cause: 'snapshot' | 'resumption' | 'update';
  readonly changes: readonly RowChange<M, S>[];
}

interface Table {
  readonly rows: Map<Uuid, AnyRow>;
  readonly indexes: ReadonlyMap<string, RowIndex>;
}

/** What to hold, and how to find it. */
export interface ReplicaOptions {
  readonly tables: Readonly<Record<string, unknown>>;
  readonly indexes?: Readonly<Record<string, readonly string[] | undefined>>;
}

export class Replica<M, S> {
  readonly #tables = new Map<string, Table>();
  #kept: readonly KeptTable[] = [];
  #isWhole = false;

  constructor(options: ReplicaOptions) {
    for (const name of Object.keys(options.tables)) {
      const indexes = new Map((options.indexes?.[name] ?? []).map((index) => [index, new RowIndex(index)]));
      this.#tables.set(name, { rows: new Map(), indexes });
    }
  }

  /** Whether the first snapshot has come. It stays true while a connection is lost: then the rows are what was last known. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Rows in all tables. */
  get size(): number {
    let size = 0;
    for (const table of this.#tables.values()) size += table.rows.size;
    return size;
  }

  /** The rows of a table, as they are now: the map changes with the next transaction, its rows never do. */
  table<T extends TableName<S> & keyof M>(name: T): ReadonlyMap<Uuid, SelectedRow<M, S, T>> {
    return this.#table(name).rows as unknown as ReadonlyMap<Uuid, SelectedRow<M, S, T>>;
  }

  /** Rows by a declared index, in no particular order: `find('Interface', 'external_ids:iface-id', portId)`. */
  find<T extends TableName<S> & keyof M>(
    name: T,
    index: IndexName<M, T>,
    key: IndexKey,
  ): readonly SelectedRow<M, S, T>[] {
    const found = this.#table(name).indexes.get(index);
    invariant(found !== undefined, 'an index is declared before it is used', { table: name, index });
    return found.find(key) as unknown as readonly SelectedRow<M, S, T>[];
  }

  #table(name: string): Table {
    invariant(this.#isWhole, 'a replica is read after its first snapshot', { table: name });
    const table = this.#tables.get(name);
    invariant(table !== undefined, 'a table is selected before it is read', { table: name });
    return table;
  }

  /** Take in a dump of all rows. Throws OvsdbError and changes nothing when it is malformed. */
  takeSnapshot(tables: readonly KeptTable[], dialect: Dialect, updates: unknown): Delta<M, S> {
    const changes = readSnapshot(tables, this.#held, dialect, updates);
    this.#kept = tables;
    this.#isWhole = true;
    return this.#commit('snapshot', changes);
  }

  /** Take in an update. Throws OvsdbError and changes nothing when it is malformed or does not fit. */
  takeUpdate(dialect: Dialect, updates: unknown, cause: 'resumption' | 'update' = 'update'): Delta<M, S> {
    invariant(this.#isWhole, 'an update follows a snapshot', {});
    return this.#commit(cause, readUpdate(this.#kept, this.#held, dialect, updates));
  }

  /** Whether these rows, as a `select` gives them, are those that we hold of that table. Throws OvsdbError when malformed. */
  holds(table: KeptTable, rows: unknown): boolean {
    const updates: Record<string, unknown> = {};
    for (const row of Array.isArray(rows) ? rows : [rows]) updates[selectedUuid(row)] = { initial: row };
    return readSnapshot([table], this.#held, 'update2', { [table.name]: updates }).length === 0;
  }

  readonly #held: HeldRows = (name) => this.#tables.get(name)?.rows ?? new Map();

  #commit(cause: Delta<M, S>['cause'], changes: readonly AnyRowChange[]): Delta<M, S> {
    for (const change of changes) {
      const table = this.#tables.get(change.table);
      invariant(table !== undefined, 'changes are of selected tables', { table: change.table });
      if (change.new === undefined) table.rows.delete(change.uuid);
      else table.rows.set(change.uuid, change.new);
      for (const index of table.indexes.values()) index.replace(change.old, change.new);
    }
    return { cause, changes: changes as unknown as readonly RowChange<M, S>[] };
  }
}
