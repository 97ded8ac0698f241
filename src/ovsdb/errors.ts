/**
 * The world's faults as the OVSDB client meets them: a peer that talks nonsense, a server that refuses. Serves every file of
 * this folder and its callers, who tell them apart by `code`.
 */
import { type ErrorContext, HeddleError } from '../lib/errors.ts';

export type OvsdbErrorCode =
  /** An ssl: address without a private key, a certificate and a CA; an address that cannot be listened on. */
  | 'TLS_MISSING'
  | 'LISTEN_FAILED'
  /** The peer's bytes are not a stream of JSON objects, or one of them exceeds a bound. */
  | 'MALFORMED_JSON'
  | 'MESSAGE_TOO_LARGE'
  | 'NESTED_TOO_DEEP'
  /** JSON, but not JSON-RPC 1.0 as RFC 7047 §4 has it. */
  | 'MALFORMED_RPC'
  /** A schema, a value or an update that is not as RFC 7047 §3.2, §5.1 and §4.1.6 have it. */
  | 'MALFORMED_SCHEMA'
  | 'MALFORMED_VALUE'
  | 'MALFORMED_UPDATE'
  /** An update speaks of a row that the replica does not know, or the other way round. */
  | 'REPLICA_DIVERGED'
  /** The server has no such database, table or column. */
  | 'NO_SUCH_DATABASE'
  | 'NO_SUCH_TABLE'
  | 'NO_SUCH_COLUMN'
  /** The server's column is of another kind than the model's. */
  | 'SCHEMA_MISMATCH'
  /** The member of a cluster that we reached cannot serve. */
  | 'NOT_LEADER'
  | 'NOT_JOINED'
  /** The server answered a request with an error. */
  | 'REQUEST_REFUSED'
  /** The connection could not be made, broke, or went silent. */
  | 'UNREACHABLE'
  | 'DISCONNECTED'
  | 'PEER_SILENT'
  /** The server answers, but what it answers is not what its monitor told us. */
  | 'MONITOR_SILENT'
  | 'REQUEST_TIMEOUT'
  | 'SEND_BUFFER_FULL'
  | 'TOO_MANY_UPDATES'
  /** A transaction: not sent; sent, and what became of it is unknown; refused by an operation; overtaken by another writer. */
  | 'NOT_CONNECTED'
  | 'TOO_MANY_REQUESTS'
  | 'OUTCOME_UNKNOWN'
  | 'TRANSACTION_REFUSED'
  | 'TRANSACTION_CONFLICT'
  /** The transaction is done, but ovs-vswitchd did not confirm it in time. */
  | 'CUR_CFG_TIMEOUT'
  /** The client was closed by its owner. */
  | 'CLOSED';

/** An error of a peer or of the network between. */
export class OvsdbError extends HeddleError {
  declare readonly code: OvsdbErrorCode;

  constructor(code: OvsdbErrorCode, message: string, context: ErrorContext = {}, options?: ErrorOptions) {
    super(code, message, context, options);
  }
}

/** Peers' values in messages and log lines are cut to this many characters. */
const EXCERPT_LENGTH = 200;

/** A short JSON rendering of something a peer sent. */
export function excerpt(value: unknown): string {
  const text = JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? `${item}` : item)) ?? 'nothing';
  return text.length > EXCERPT_LENGTH ? `${text.slice(0, EXCERPT_LENGTH)}…` : text;
}

/** Whether a parsed JSON value is an object (not an array, not null). */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
