/**
 * From a connection to a whole replica, and the monitor after it. The part of the session machine that speaks of schemas and
 * monitors; session.ts has the connection's life. Pure.
 *
 * 1. get_schema and monitor_cond of database _Server (ovsdb-server(5)): does this server serve our database, has it joined its
 *    cluster, does it lead? Servers before 2.9 have no such database: then we go on without.
 * 2. set_db_change_aware: a converted or removed database then costs a monitor_canceled, not the connection.
 * 3. get_schema of our database.
 * 4. monitor_cond_since with the id of the last transaction in the replica; where unknown, monitor_cond; where unknown, monitor.
 *
 * There are no conditions and so no change of conditions in flight: what is monitored is chosen by table and column.
 */
import { excerpt, isObject, OvsdbError } from './errors.ts';
import { keptTables, monitorRequests } from './kept-columns.ts';
import type { RpcNotification, RpcReply } from './rpc.ts';
import { parseSchema } from './schema.ts';
import {
  type DatabaseStatus,
  type Dialect,
  MONITOR_METHODS,
  type PendingRequest,
  type SessionEffect,
  type SessionState,
  sendRequest,
} from './session-state.ts';
import { isUuid, type Uuid, ZERO_UUID } from './value.ts';

type Purpose = Exclude<PendingRequest['purpose'], 'probe' | 'audit' | 'transact'>;

const SERVER_DATABASE = '_Server';
const SERVER_MONITOR = 'server';

export function beginHandshake(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  return ask(state, 'serverSchema', 'get_schema', [SERVER_DATABASE], nowMs, effects);
}

function ask(
  state: SessionState,
  purpose: Purpose,
  method: string,
  params: readonly unknown[],
  nowMs: number,
  effects: SessionEffect[],
): SessionState {
  return sendRequest(state, { purpose, token: undefined, sentMs: nowMs }, method, params, effects);
}

/**
 * A reply to one of our questions came. A state with an error wants the connection ended. Throws OvsdbError for what is
 * malformed.
 */
export function onHandshakeReply(
  state: SessionState,
  purpose: Purpose,
  reply: RpcReply,
  nowMs: number,
  effects: SessionEffect[],
): SessionState {
  switch (purpose) {
    case 'serverSchema':
      return reply.error === null ? askServerRows(state, nowMs, effects) : askSchema(state, nowMs, effects);
    case 'serverMonitor': {
      if (reply.error !== null) return askSchema(state, nowMs, effects);
      const known = { ...state, databases: databasesAfter(new Map(), reply.result) };
      const error = databaseProblem(known);
      if (error !== undefined) return { ...known, error };
      const aware = ask(known, 'changeAware', 'set_db_change_aware', [true], nowMs, effects);
      return askSchema(aware, nowMs, effects);
    }
    case 'changeAware':
      // Servers that do not know it close the connection when a database changes, which we survive as well.
      return state;
    case 'schema':
      if (reply.error !== null) return { ...state, error: noDatabase(state, reply.error) };
      return askRows(takeSchema(state, reply.result), nowMs, effects);
    case 'monitor':
      return reply.error === null
        ? takeRows(state, reply.result, nowMs, effects)
        : fallBack(state, reply.error, nowMs, effects);
  }
}

function askServerRows(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  const requests = { Database: [{ columns: ['name', 'model', 'connected', 'leader'] }] };
  return ask(state, 'serverMonitor', 'monitor_cond', [SERVER_DATABASE, SERVER_MONITOR, requests], nowMs, effects);
}

function askSchema(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  return ask(state, 'schema', 'get_schema', [state.config.database], nowMs, effects);
}

function noDatabase(state: SessionState, error: unknown): OvsdbError {
  const { database } = state.config;
  return new OvsdbError('NO_SUCH_DATABASE', `The server does not give the schema of ${database}: ${excerpt(error)}.`, {
    database,
  });
}

function takeSchema(state: SessionState, json: unknown): SessionState {
  const { selection, model } = state.config;
  const tables = keptTables(parseSchema(json), selection, model);
  const schemaText = JSON.stringify(json);
  // Differences against rows of another schema would mean something else.
  const lastTxnId = schemaText === state.schemaText ? state.lastTxnId : ZERO_UUID;
  return { ...state, tables, schemaText, lastTxnId, methodIndex: 0 };
}

function askRows(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  const method = MONITOR_METHODS[state.methodIndex] ?? 'monitor';
  const monitorNumber = state.monitorNumber + 1;
  const params: unknown[] = [state.config.database, monitorId(monitorNumber), monitorRequests(state.tables)];
  if (method === 'monitor_cond_since') params.push(state.lastTxnId);
  return ask({ ...state, monitorNumber, queued: [] }, 'monitor', method, params, nowMs, effects);
}

function monitorId(monitorNumber: number): string {
  return `rows-${monitorNumber}`;
}

function dialectOf(state: SessionState): Dialect {
  return MONITOR_METHODS[state.methodIndex] === 'monitor' ? 'update' : 'update2';
}

/** Any error of a richer method leads to the next one: servers word "unknown method" in their own ways. */
function fallBack(state: SessionState, error: unknown, nowMs: number, effects: SessionEffect[]): SessionState {
  const methodIndex = state.methodIndex + 1;
  if (methodIndex < MONITOR_METHODS.length) return askRows({ ...state, methodIndex }, nowMs, effects);
  const message = `The server refuses to monitor ${state.config.database}: ${excerpt(error)}.`;
  return { ...state, error: new OvsdbError('REQUEST_REFUSED', message) };
}

function takeRows(state: SessionState, result: unknown, nowMs: number, effects: SessionEffect[]): SessionState {
  const dialect = dialectOf(state);
  const { isResumption, lastTxnId, updates } =
    MONITOR_METHODS[state.methodIndex] === 'monitor_cond_since'
      ? readSinceReply(result)
      : { isResumption: false, lastTxnId: ZERO_UUID, updates: result };
  if (isResumption) effects.push({ type: 'update', dialect, updates, isResumption });
  else effects.push({ type: 'snapshot', tables: state.tables, dialect, updates });
  const live: SessionState = {
    ...state,
    phase: 'live',
    liveSinceMs: nowMs,
    lastDataMs: nowMs,
    mismatchCount: 0,
    lastTxnId,
    queued: [],
  };
  return notContained(state.queued, lastTxnId).reduce((next, update) => onUpdate(next, update, effects), live);
}

/** `[found, last-txn-id, table-updates2]`: found tells that the updates are what happened since the id that we gave. */
function readSinceReply(result: unknown): { isResumption: boolean; lastTxnId: Uuid; updates: unknown } {
  if (Array.isArray(result) && result.length === 3) {
    const [found, lastTxnId, updates]: unknown[] = result;
    if (typeof found === 'boolean' && isUuid(lastTxnId)) return { isResumption: found, lastTxnId, updates };
  }
  throw new OvsdbError('MALFORMED_UPDATE', `The reply to monitor_cond_since is malformed: ${excerpt(result)}.`);
}

/** Of the updates that came before the reply, those behind the transaction that the reply reaches up to. */
function notContained(queued: readonly RpcNotification[], lastTxnId: Uuid): readonly RpcNotification[] {
  if (lastTxnId === ZERO_UUID) return queued;
  return queued.slice(queued.findLastIndex((update) => update.params[1] === lastTxnId) + 1);
}

/** `update`, `update2` or `update3`. A state with an error wants the connection ended. */
export function onUpdate(state: SessionState, update: RpcNotification, effects: SessionEffect[]): SessionState {
  const [id] = update.params;
  if (id === SERVER_MONITOR) {
    const known = { ...state, databases: databasesAfter(state.databases, update.params[1]) };
    const error = databaseProblem(known);
    return error === undefined ? known : { ...known, error };
  }
  // Late, for a monitor that is no more.
  if (id !== monitorId(state.monitorNumber)) return state;
  if (state.phase !== 'live') return queue(state, update);
  if (update.method !== 'update3') {
    effects.push({ type: 'update', dialect: dialectOf(state), updates: update.params[1], isResumption: false });
    return state;
  }
  const [, lastTxnId, updates] = update.params;
  if (!isUuid(lastTxnId)) {
    throw new OvsdbError('MALFORMED_UPDATE', `An update3 is without transaction id: ${excerpt(update.params)}.`);
  }
  effects.push({ type: 'update', dialect: 'update2', updates, isResumption: false });
  return { ...state, lastTxnId };
}

function queue(state: SessionState, update: RpcNotification): SessionState {
  const { queuedUpdates } = state.config.limits;
  if (state.queued.length < queuedUpdates) return { ...state, queued: [...state.queued, update] };
  const message = `More than ${queuedUpdates} updates came before the reply to their monitor request.`;
  return { ...state, error: new OvsdbError('TOO_MANY_UPDATES', message) };
}

/**
 * monitor_canceled: the database was removed, or converted to another schema. Nothing will be told any more, so ask anew; the
 * replica stays as it is until the new snapshot is whole.
 */
export function restartMonitor(
  state: SessionState,
  message: RpcNotification,
  nowMs: number,
  effects: SessionEffect[],
): SessionState {
  if (state.phase !== 'live' || message.params[0] !== monitorId(state.monitorNumber)) return state;
  const stale: SessionState = { ...state, phase: 'handshake', liveSinceMs: undefined, probeSentMs: undefined };
  return askSchema({ ...stale, lastTxnId: ZERO_UUID }, nowMs, effects);
}

/** What _Server says after a table update of its monitor. All its columns are of one element, so `modify` has new values. */
function databasesAfter(
  before: ReadonlyMap<string, DatabaseStatus>,
  updates: unknown,
): ReadonlyMap<string, DatabaseStatus> {
  if (!isObject(updates)) throw malformedStatus(updates);
  const rows = updates.Database ?? {};
  if (!isObject(rows)) throw malformedStatus(updates);
  const after = new Map(before);
  for (const [uuid, change] of Object.entries(rows)) {
    if (!isObject(change)) throw malformedStatus(updates);
    const row = change.initial ?? change.insert ?? change.modify;
    if (isObject(row)) after.set(uuid, { ...after.get(uuid), ...row });
    else after.delete(uuid);
  }
  return after;
}

function malformedStatus(updates: unknown): OvsdbError {
  return new OvsdbError('MALFORMED_UPDATE', `An update of database _Server is malformed: ${excerpt(updates)}.`);
}

/** Why this server cannot serve us now, if so. */
function databaseProblem(state: SessionState): OvsdbError | undefined {
  const { database, targetCount } = state.config;
  const status = [...state.databases.values()].find((row) => row.name === database);
  if (status === undefined) {
    return new OvsdbError('NO_SUCH_DATABASE', `The server has no database ${database}.`, { database });
  }
  // Columns with default values are left out; only a clustered database says `clustered`.
  if (status.model !== 'clustered') return undefined;
  if (status.connected !== true) {
    return new OvsdbError('NOT_JOINED', `The server is cut off from the cluster of ${database}.`, { database });
  }
  // With one target there is nowhere else to go, and followers serve too.
  if (targetCount > 1 && status.leader !== true) {
    return new OvsdbError('NOT_LEADER', `The server does not lead the cluster of ${database}.`, { database });
  }
  return undefined;
}
