/**
 * Builds a transaction (RFC 7047 §4.1.3, §5.2) and reads its outcome. Values, rows and columns are typed by the model; rows that
 * the transaction inserts can be referred to at once. Pure: the client sends it. Serves all who write to a database.
 *
 *     const transaction = new Transaction(OPEN_VSWITCH, { comment: 'heddle: plug blue1' });
 *     const tap = transaction.insert('Interface', { name: 'tap1', type: 'internal' });
 *     const port = transaction.insert('Port', { name: 'tap1', interfaces: [tap] });
 *     transaction.expect('Bridge', brInt, ['ports']);
 *     transaction.mutate('Bridge', brInt._uuid, 'ports', 'insert', [port]);
 *     await client.transact(transaction);
 */
import { invariant } from '../lib/errors.ts';
import { excerpt, isObject, OvsdbError } from './errors.ts';
import type { ColumnName, DatabaseModel, TableName, Writable, WritableRow } from './model.ts';
import type { ColumnSchema, DatabaseSchema } from './schema.ts';
import { encodeValue, isUuid, type NamedUuid, type Uuid, type WritableValue } from './value.ts';

/** What a mutation does: arithmetic on integers and reals, insert and delete on sets and maps (RFC 7047 §5.1 <mutator>). */
export type Mutator = '+=' | '-=' | '*=' | '/=' | '%=' | 'insert' | 'delete';

/** What a mutation takes; pairs of a map also go by their keys alone. */
export type MutationValue<V> = Writable<V> | (V extends ReadonlyMap<infer K, unknown> ? readonly K[] : never);

export interface TransactionOptions {
  /** Goes into the database's log: who does what, and why. */
  readonly comment?: string;
}

interface Operation {
  readonly json: Readonly<Record<string, unknown>> & { readonly op: string };
  /** For errors: the table, and the row as its uuid, its name, or the name it has in this transaction. */
  readonly table: string | undefined;
  readonly row: string | undefined;
}

export interface TransactionResult {
  /** The rows that were inserted, by the names that `insert` gave. */
  readonly inserted: ReadonlyMap<string, Uuid>;
  /** By operation: how many rows an update, mutate or delete found; undefined for other operations. */
  readonly counts: readonly (number | undefined)[];
  /** What `next_cfg` became, when the transaction incremented it. */
  readonly nextCfg: number | undefined;
}

const NEXT_CFG_TABLE = 'Open_vSwitch';

export class Transaction<M> {
  readonly #schema: DatabaseSchema;
  readonly #operations: Operation[] = [];
  #insertCount = 0;
  #isEmpty = true;
  #incrementsNextCfg = false;

  constructor(model: DatabaseModel<M>, options: TransactionOptions = {}) {
    this.#schema = model.schema;
    if (options.comment !== undefined) this.#push({ op: 'comment', comment: options.comment });
  }

  /** Whether nothing would be written: such a transaction is not sent. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  get incrementsNextCfg(): boolean {
    return this.#incrementsNextCfg;
  }

  /** The operations, for the wire. */
  get operations(): readonly unknown[] {
    return this.#operations.map((operation) => operation.json);
  }

  /** A new row. What is not given takes its default. Gives its name within this transaction. */
  insert<T extends TableName<M>>(table: T, row: WritableRow<M, T>): NamedUuid {
    this.#insertCount += 1;
    const namedUuid = `row${this.#insertCount}`;
    const json = { op: 'insert', table, 'uuid-name': namedUuid, row: this.#encodeRow(table, row) };
    const name: unknown = 'name' in row ? row.name : undefined;
    this.#push(json, table, typeof name === 'string' ? name : namedUuid);
    this.#isEmpty = false;
    return { namedUuid };
  }

  /** New values for some columns of a row. */
  update<T extends TableName<M>>(table: T, row: Uuid | NamedUuid, columns: WritableRow<M, T>): void {
    this.#push({ op: 'update', table, where: byUuid(row), row: this.#encodeRow(table, columns) }, table, labelOf(row));
    this.#isEmpty = false;
  }

  /** Elements into or out of a set or map, or arithmetic, whatever the column holds at that moment. */
  mutate<T extends TableName<M>, C extends ColumnName<M, T>>(
    table: T,
    row: Uuid | NamedUuid,
    column: C,
    mutator: Mutator,
    value: MutationValue<M[T][C]>,
  ): void {
    const schema = this.#column(table, column);
    const encoded = encodeMutation(schema, mutator, value as WritableValue);
    this.#push(
      { op: 'mutate', table, where: byUuid(row), mutations: [[column, mutator, encoded]] },
      table,
      labelOf(row),
    );
    this.#isEmpty = false;
  }

  delete<T extends TableName<M>>(table: T, row: Uuid | NamedUuid): void {
    this.#push({ op: 'delete', table, where: byUuid(row) }, table, labelOf(row));
    this.#isEmpty = false;
  }

  /**
   * Only if the row still holds what we read: otherwise nothing of the transaction takes place, and it fails with
   * TRANSACTION_CONFLICT. The row must have been read before, so this goes ahead of what changes it.
   */
  expect<T extends TableName<M>, R extends { readonly _uuid: Uuid }>(
    table: T,
    row: R,
    columns: readonly (ColumnName<M, T> & keyof R)[],
  ): void {
    const expected: Record<string, unknown> = {};
    for (const name of columns) {
      expected[name] = encodeValue(this.#column(table, name), row[name] as WritableValue);
    }
    this.#wait(table, byUuid(row._uuid), columns, [expected], row._uuid);
  }

  /** Only if no row has this value: for instance, no bridge of that name yet. Fails as `expect` does. */
  expectNone<T extends TableName<M>, C extends ColumnName<M, T>>(table: T, column: C, value: Writable<M[T][C]>): void {
    const where = [[column, '==', encodeValue(this.#column(table, column), value as WritableValue)]];
    this.#wait(table, where, [column], [], excerpt(value));
  }

  #wait(table: string, where: unknown, columns: readonly string[], rows: readonly unknown[], row: string): void {
    // It compares what is there, once: waiting is for the caller, who sees the change in the replica.
    this.#push({ op: 'wait', timeout: 0, table, where, columns, until: '==', rows }, table, row);
  }

  /**
   * Ask ovs-vswitchd to say when it has done this: `next_cfg` grows by one, and `cur_cfg` follows when the switch is as
   * the database says.
   */
  incrementNextCfg(): void {
    if (this.#incrementsNextCfg) return;
    this.#incrementsNextCfg = true;
    this.#push({ op: 'mutate', table: NEXT_CFG_TABLE, where: [], mutations: [['next_cfg', '+=', 1]] }, NEXT_CFG_TABLE);
    this.#push({ op: 'select', table: NEXT_CFG_TABLE, where: [], columns: ['next_cfg'] }, NEXT_CFG_TABLE);
  }

  #push(json: Operation['json'], table?: string, row?: string): void {
    this.#operations.push({ json, table, row });
  }

  #encodeRow(table: string, columns: object): Readonly<Record<string, unknown>> {
    const row: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(columns)) {
      const column = this.#column(table, name);
      // Absent and undefined differ: undefined empties an optional column.
      row[name] = encodeValue(column, value);
    }
    return row;
  }

  #column(table: string, name: string): ColumnSchema {
    const column = this.#schema.tables.get(table)?.columns.get(name);
    invariant(column !== undefined, 'a transaction writes columns of its model', { table, column: name });
    return column;
  }

  /** What the server's answer says. Throws OvsdbError TRANSACTION_REFUSED or TRANSACTION_CONFLICT, naming the operation. */
  readResult(result: unknown): TransactionResult {
    if (!Array.isArray(result)) throw malformedResult(result);
    const items: readonly unknown[] = result;
    for (const [index, item] of items.entries()) this.#throwRefusal(item, index);
    if (items.length < this.#operations.length) throw malformedResult(result);
    const inserted = new Map<string, Uuid>();
    let nextCfg: number | undefined;
    const counts = this.#operations.map(({ json }, index) => {
      const item = items[index];
      if (!isObject(item)) throw malformedResult(result);
      if (json.op === 'insert') inserted.set(String(json['uuid-name']), insertedUuid(item, result));
      if (json.op === 'select') nextCfg = selectedNextCfg(item);
      return typeof item.count === 'number' ? item.count : undefined;
    });
    return { inserted, counts, nextCfg };
  }

  /**
   * An operation that failed has an object with `error` in its place, what follows it has null. An error of the commit itself
   * stands behind the last operation (RFC 7047 §4.1.3).
   */
  #throwRefusal(item: unknown, index: number): void {
    if (!isObject(item) || typeof item.error !== 'string') return;
    const operation = this.#operations[index];
    const { error } = item;
    const details = typeof item.details === 'string' ? item.details : '';
    const what = operation === undefined ? 'the commit' : describe(operation);
    const isConflict = operation?.json.op === 'wait' && error === 'timed out';
    throw new OvsdbError(
      isConflict ? 'TRANSACTION_CONFLICT' : 'TRANSACTION_REFUSED',
      isConflict
        ? `Another writer was faster: ${what} is not as it was read. Read again and decide anew.`
        : `The server refused ${what}: ${error}${details === '' ? '' : `: ${details}`}.`,
      { op: operation?.json.op, table: operation?.table, row: operation?.row, index, error, details },
    );
  }
}

function describe(operation: Operation): string {
  const { table, row } = operation;
  return [operation.json.op, table, row].filter((word) => word !== undefined).join(' ');
}

function byUuid(row: Uuid | NamedUuid): readonly unknown[] {
  return [['_uuid', '==', isUuid(row) ? ['uuid', row] : ['named-uuid', row.namedUuid]]];
}

function labelOf(row: Uuid | NamedUuid): string {
  return isUuid(row) ? row : row.namedUuid;
}

function encodeMutation(column: ColumnSchema, mutator: Mutator, value: WritableValue): unknown {
  if (column.shape !== 'map' || !Array.isArray(value)) return encodeValue(column, value);
  invariant(mutator === 'delete', 'only a delete takes keys without values', {
    table: column.table,
    column: column.name,
  });
  return encodeValue({ ...column, shape: 'set', value: undefined }, value);
}

function insertedUuid(item: Readonly<Record<string, unknown>>, result: unknown): Uuid {
  const { uuid } = item;
  if (Array.isArray(uuid) && uuid[0] === 'uuid' && isUuid(uuid[1])) return uuid[1];
  throw malformedResult(result);
}

function selectedNextCfg(item: Readonly<Record<string, unknown>>): number | undefined {
  const [row]: unknown[] = Array.isArray(item.rows) ? item.rows : [];
  return isObject(row) && typeof row.next_cfg === 'number' ? row.next_cfg : undefined;
}

function malformedResult(result: unknown): OvsdbError {
  return new OvsdbError('MALFORMED_UPDATE', `The reply to a transaction is malformed: ${excerpt(result)}.`);
}
