/**
 * An OVSDB client (RFC 7047, and the monitors of ovsdb-server(7)): the public face of this folder, exported as `heddle/ovsdb`.
 */
export { type ClientState, OvsdbClient, type OvsdbClientOptions, type TransactOptions } from './client.ts';
export { dumpTable, monitorTable, rowToJson, type TableDump, type TableRequest } from './dump-table.ts';
export { OvsdbError, type OvsdbErrorCode } from './errors.ts';
export { OVSDB_LIMITS, type OvsdbLimits } from './limits.ts';
export { OvsdbListener, type OvsdbListenerOptions, type OvsdbPeer } from './listener.ts';
export type {
  AnyRow,
  AnyRows,
  DatabaseModel,
  Indexes,
  IndexKey,
  SelectedRow,
  Selection,
  Writable,
  WritableRow,
} from './model.ts';
export { defineModel } from './model.ts';
export * from './open-vswitch.generated.ts';
export type { Delta, Replica, RowChange } from './replica.ts';
export type { SessionPhase } from './session-state.ts';
export { type Mutator, Transaction, type TransactionOptions, type TransactionResult } from './transaction.ts';
export { type Atom, isUuid, type NamedUuid, type Uuid, type Value, valueToJson, ZERO_UUID } from './value.ts';
