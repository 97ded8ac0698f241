/**
 * What an OVSDB session knows, what happens to it and what it wants done: the values of the state machine in session.ts.
 * Serves that machine, the client that runs it, and its tests.
 */
import type { OvsdbError } from './errors.ts';
import { type AnySelection, type KeptTable, servedColumns } from './kept-columns.ts';
import type { OvsdbLimits } from './limits.ts';
import type { RpcMessage, RpcNotification } from './rpc.ts';
import type { DatabaseSchema } from './schema.ts';
import { type Uuid, ZERO_UUID } from './value.ts';

export interface SessionConfig {
  readonly database: string;
  readonly selection: AnySelection;
  readonly model: DatabaseSchema | undefined;
  /** Servers to dial in turn; 0: they call us. */
  readonly targetCount: number;
  readonly limits: OvsdbLimits;
}

/**
 * - idle: not started, or waiting to be called.
 * - connecting: a connection is being made.
 * - handshake: connected; asks for the server's state, the schema and the rows.
 * - live: the replica is whole and follows the server.
 * - closing: we hung up, and wait to be told so.
 * - backoff: waits before the next attempt.
 * - closed: ended by its owner.
 */
export type SessionPhase = 'idle' | 'connecting' | 'handshake' | 'live' | 'closing' | 'backoff' | 'closed';

/** From the richest to the one that RFC 7047 has. */
export const MONITOR_METHODS = ['monitor_cond_since', 'monitor_cond', 'monitor'] as const;
export type MonitorMethod = (typeof MONITOR_METHODS)[number];

/** The shape of table updates: that of `update` (RFC 7047 §4.1.6), or that of `update2` (ovsdb-server(7) §4.1.14). */
export type Dialect = 'update' | 'update2';

export interface PendingRequest {
  readonly purpose:
    | 'serverSchema'
    | 'serverMonitor'
    | 'changeAware'
    | 'schema'
    | 'monitor'
    | 'probe'
    | 'audit'
    | 'transact';
  /** Of a transaction: what its owner knows it by. */
  readonly token: number | undefined;
  readonly sentMs: number;
}

/** A row of table Database in database _Server (ovsdb-server(5)). */
export interface DatabaseStatus {
  readonly name?: unknown;
  readonly model?: unknown;
  readonly connected?: unknown;
  readonly leader?: unknown;
}

export interface SessionState {
  readonly config: SessionConfig;
  readonly phase: SessionPhase;
  readonly targetIndex: number;
  /** Attempts since the session was last live for a while. */
  readonly attemptCount: number;
  /** Ends connecting or backoff. */
  readonly deadlineMs: number | undefined;
  readonly nextRequestId: number;
  /** Oldest first. */
  readonly requests: ReadonlyMap<number, PendingRequest>;
  readonly lastReceivedMs: number;
  readonly probeSentMs: number | undefined;
  /** When the server last told or confirmed rows: an update, a snapshot, an audit. */
  readonly lastDataMs: number;
  readonly isAuditing: boolean;
  /** Audits in a row that found other rows than the replica's. */
  readonly mismatchCount: number;
  readonly liveSinceMs: number | undefined;
  /** Of the last transaction in the replica, where the server tells; zeros: unknown. */
  readonly lastTxnId: Uuid;
  /** The schema that the replica was read with, as the server sent it. */
  readonly schemaText: string;
  readonly tables: readonly KeptTable[];
  /** Which monitor method is in use or on trial. */
  readonly methodIndex: number;
  /** Names the monitor on the wire; each is new, so that what is late for an older one is known as such. */
  readonly monitorNumber: number;
  /** Updates that came before the reply to their monitor request. */
  readonly queued: readonly RpcNotification[];
  /** What database _Server says, by row; empty where there is none. */
  readonly databases: ReadonlyMap<string, DatabaseStatus>;
  /** Why the connection is about to end. */
  readonly error: OvsdbError | undefined;
}

export type SessionEvent =
  | { readonly type: 'start' }
  /** A connection stands, made by us or by the server. */
  | { readonly type: 'connected' }
  /** Bytes came. */
  | { readonly type: 'received' }
  | { readonly type: 'message'; readonly message: RpcMessage }
  /** The connection is gone, or could not be made. `jitter` is a random number from 0 up to 1. */
  | { readonly type: 'disconnected'; readonly jitter: number; readonly error?: OvsdbError }
  | { readonly type: 'tick' }
  | { readonly type: 'transact'; readonly token: number; readonly operations: readonly unknown[] }
  /** What came of a `verify` effect. */
  | { readonly type: 'verified'; readonly isEqual: boolean }
  /** The replica could not take in what the server sent. */
  | { readonly type: 'fault'; readonly error: OvsdbError }
  | { readonly type: 'close' };

export type SessionEffect =
  | { readonly type: 'dial'; readonly targetIndex: number }
  | { readonly type: 'hangUp' }
  | { readonly type: 'send'; readonly message: RpcMessage }
  /** All rows of the kept tables: whatever else the replica holds is gone. */
  | {
      readonly type: 'snapshot';
      readonly tables: readonly KeptTable[];
      readonly dialect: Dialect;
      readonly updates: unknown;
    }
  /** Changes since what the replica holds. */
  | { readonly type: 'update'; readonly dialect: Dialect; readonly updates: unknown; readonly isResumption: boolean }
  /** Are these, as the server selects them, the rows of that table in the replica? Tell by a `verified` event. */
  | { readonly type: 'verify'; readonly table: KeptTable; readonly rows: unknown }
  | { readonly type: 'transacted'; readonly token: number; readonly result: unknown }
  | { readonly type: 'notTransacted'; readonly token: number; readonly error: OvsdbError }
  | { readonly type: 'phase'; readonly phase: SessionPhase; readonly error: OvsdbError | undefined };

export function initialState(config: SessionConfig): SessionState {
  return {
    config,
    phase: 'idle',
    targetIndex: 0,
    attemptCount: 0,
    deadlineMs: undefined,
    nextRequestId: 1,
    requests: new Map(),
    lastReceivedMs: 0,
    probeSentMs: undefined,
    lastDataMs: 0,
    isAuditing: false,
    mismatchCount: 0,
    liveSinceMs: undefined,
    lastTxnId: ZERO_UUID,
    schemaText: '',
    tables: [],
    methodIndex: 0,
    monitorNumber: 0,
    queued: [],
    databases: new Map(),
    error: undefined,
  };
}

/** When the machine wants its next tick; undefined: not before another event. */
export function nextTickMs(state: SessionState): number | undefined {
  const { limits } = state.config;
  switch (state.phase) {
    case 'connecting':
    case 'backoff':
      return state.deadlineMs;
    case 'handshake':
    case 'live': {
      const { probeSentMs, lastReceivedMs } = state;
      const probeMs = (probeSentMs ?? lastReceivedMs) + limits.probeIntervalMs;
      const auditMs = state.phase === 'live' ? auditDueMs(state) : Number.POSITIVE_INFINITY;
      return Math.min(probeMs, auditMs, requestDeadlineMs(state) ?? Number.POSITIVE_INFINITY);
    }
    default:
      return undefined;
  }
}

/** When the data, not only the socket, is to be checked; infinity: nothing to check it by, or a check is under way. */
export function auditDueMs(state: SessionState): number {
  if (state.isAuditing || auditedTable(state) === undefined) return Number.POSITIVE_INFINITY;
  return state.lastDataMs + state.config.limits.probeIntervalMs;
}

/** A table of one row, such as Open_vSwitch, shows cheaply whether a monitor still tells what happens. */
export function auditedTable(state: SessionState): KeptTable | undefined {
  return state.tables.find((table) => table.isServed && table.isSingleton && servedColumns(table).length > 0);
}

/** When the oldest request without a reply has waited long enough. */
export function requestDeadlineMs(state: SessionState): number | undefined {
  const oldest = state.requests.values().next();
  if (oldest.done === true) return undefined;
  // A large dump may take long on a slow link: as long as bytes come, it is coming.
  const sinceMs =
    state.phase === 'handshake' ? Math.max(oldest.value.sentMs, state.lastReceivedMs) : oldest.value.sentMs;
  return sinceMs + state.config.limits.requestTimeoutMs;
}

/** Send a request and remember it. */
export function sendRequest(
  state: SessionState,
  pending: PendingRequest,
  method: string,
  params: readonly unknown[],
  effects: SessionEffect[],
): SessionState {
  const id = state.nextRequestId;
  effects.push({ type: 'send', message: { kind: 'request', id, method, params } });
  return { ...state, nextRequestId: id + 1, requests: new Map(state.requests).set(id, pending) };
}
