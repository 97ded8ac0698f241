/**
 * The life of an OVSDB session as a pure machine: `step(state, event, nowMs) -> [state, effects]`. It holds no socket, timer or
 * clock; the client feeds it events and carries out its effects.
 *
 *     idle -> connecting -> handshake -> live -> (closing) -> backoff -> connecting …
 *
 * Where servers call us, idle takes the place of backoff and connecting. The handshake itself is in handshake.ts.
 */
import { isObject, OvsdbError } from './errors.ts';
import { beginHandshake, onHandshakeReply, onUpdate, restartMonitor } from './handshake.ts';
import { servedColumns } from './kept-columns.ts';
import { echoReply, type RpcMessage, type RpcNotification, type RpcReply, refusal } from './rpc.ts';
import {
  auditDueMs,
  auditedTable,
  type PendingRequest,
  requestDeadlineMs,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  sendRequest,
} from './session-state.ts';
import { ZERO_UUID } from './value.ts';

const MISMATCHES_MAX = 2;

export type Step = readonly [SessionState, readonly SessionEffect[]];

/** One event happens: the state after it, and what to do, in order. */
export function step(state: SessionState, event: SessionEvent, nowMs: number): Step {
  const effects: SessionEffect[] = [];
  const next = transition(state, event, nowMs, effects);
  if (next.phase !== state.phase) effects.push({ type: 'phase', phase: next.phase, error: next.error });
  return [next, effects];
}

function transition(state: SessionState, event: SessionEvent, nowMs: number, effects: SessionEffect[]): SessionState {
  if (state.phase === 'closed' && event.type !== 'transact') return state;
  switch (event.type) {
    case 'start':
      return state.phase === 'idle' && state.config.targetCount > 0 ? dial(state, nowMs, effects) : state;
    case 'connected':
      return onConnected(state, nowMs, effects);
    case 'received':
      return { ...state, lastReceivedMs: nowMs, probeSentMs: undefined };
    case 'message':
      return isConnected(state)
        ? guarded(state, effects, () => onMessage(state, event.message, nowMs, effects))
        : state;
    case 'disconnected':
      return onDisconnected(state, event, nowMs, effects);
    case 'tick':
      return onTick(state, nowMs, effects);
    case 'transact':
      return onTransact(state, event, nowMs, effects);
    case 'verified':
      return onVerified(state, event.isEqual, nowMs, effects);
    case 'fault':
      // What the replica holds is no base for differences any more.
      return isConnected(state) ? hangUp({ ...state, lastTxnId: ZERO_UUID }, event.error, effects) : state;
    case 'close':
      return onClose(state, effects);
  }
}

function isConnected(state: SessionState): boolean {
  return state.phase === 'handshake' || state.phase === 'live';
}

/** What a peer sent may be nonsense: then the connection ends, with the reason. */
function guarded(state: SessionState, effects: SessionEffect[], react: () => SessionState): SessionState {
  const length = effects.length;
  try {
    return react();
  } catch (error) {
    if (!(error instanceof OvsdbError)) throw error;
    effects.length = length;
    return hangUp(state, error, effects);
  }
}

function dial(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  effects.push({ type: 'dial', targetIndex: state.targetIndex });
  const deadlineMs = nowMs + state.config.limits.connectTimeoutMs;
  return { ...state, phase: 'connecting', deadlineMs, error: undefined };
}

function onConnected(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  if (state.phase !== 'connecting' && state.phase !== 'idle') return state;
  const fresh: SessionState = {
    ...state,
    phase: 'handshake',
    deadlineMs: undefined,
    lastReceivedMs: nowMs,
    probeSentMs: undefined,
    error: undefined,
  };
  return beginHandshake(fresh, nowMs, effects);
}

function onMessage(state: SessionState, message: RpcMessage, nowMs: number, effects: SessionEffect[]): SessionState {
  switch (message.kind) {
    case 'request':
      effects.push({ type: 'send', message: echoReply(message) ?? refusal(message) });
      return state;
    case 'notification':
      return onNotification(state, message, nowMs, effects);
    case 'reply':
      return onReply(state, message, nowMs, effects);
  }
}

function onNotification(
  state: SessionState,
  message: RpcNotification,
  nowMs: number,
  effects: SessionEffect[],
): SessionState {
  switch (message.method) {
    case 'update':
    case 'update2':
    case 'update3': {
      const next = onUpdate({ ...state, lastDataMs: nowMs }, message, effects);
      return next.error === undefined ? next : hangUp(next, next.error, effects);
    }
    case 'monitor_canceled':
      return restartMonitor(state, message, nowMs, effects);
    default:
      // `locked` and `stolen` (RFC 7047 §4.1.9) answer what we never ask for; newer ones are for those who know them.
      return state;
  }
}

function onReply(state: SessionState, reply: RpcReply, nowMs: number, effects: SessionEffect[]): SessionState {
  const pending = typeof reply.id === 'number' ? state.requests.get(reply.id) : undefined;
  // A reply to nothing is no ground to give up a connection that serves.
  if (pending === undefined) return state;
  const requests = new Map(state.requests);
  requests.delete(reply.id as number);
  const rest: SessionState = { ...state, requests };
  if (pending.purpose === 'probe') return rest;
  if (pending.purpose === 'audit') return onAuditReply({ ...rest, isAuditing: false }, reply, nowMs, effects);
  if (pending.purpose === 'transact') {
    effects.push(transactionEnd(pending, reply));
    return rest;
  }
  const next = onHandshakeReply(rest, pending.purpose, reply, nowMs, effects);
  return next.error === undefined ? next : hangUp(next, next.error, effects);
}

function transactionEnd(pending: PendingRequest, reply: RpcReply): SessionEffect {
  const token = pending.token ?? 0;
  if (reply.error === null) return { type: 'transacted', token, result: reply.result };
  const error = new OvsdbError('REQUEST_REFUSED', `The server refused a transaction: ${JSON.stringify(reply.error)}.`);
  return { type: 'notTransacted', token, error };
}

function onTransact(
  state: SessionState,
  event: Extract<SessionEvent, { type: 'transact' }>,
  nowMs: number,
  effects: SessionEffect[],
): SessionState {
  const { token, operations } = event;
  const { database, limits } = state.config;
  if (state.phase !== 'live') {
    const code = state.phase === 'closed' ? 'CLOSED' : 'NOT_CONNECTED';
    const message = `The OVSDB session is not live (${state.phase}): the transaction was not sent.`;
    effects.push({ type: 'notTransacted', token, error: new OvsdbError(code, message) });
    return state;
  }
  if (state.requests.size >= limits.requestsInFlight) {
    const message = `${state.requests.size} OVSDB requests wait for a reply: the transaction was not sent.`;
    effects.push({ type: 'notTransacted', token, error: new OvsdbError('TOO_MANY_REQUESTS', message) });
    return state;
  }
  return sendRequest(
    state,
    { purpose: 'transact', token, sentMs: nowMs },
    'transact',
    [database, ...operations],
    effects,
  );
}

function onTick(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  if (state.phase === 'backoff') return isDue(state.deadlineMs, nowMs) ? dial(state, nowMs, effects) : state;
  if (state.phase === 'connecting') {
    if (!isDue(state.deadlineMs, nowMs)) return state;
    const error = new OvsdbError('UNREACHABLE', `No connection within ${state.config.limits.connectTimeoutMs} ms.`);
    return hangUp(state, error, effects);
  }
  if (!isConnected(state)) return state;
  if (isDue(requestDeadlineMs(state), nowMs)) {
    const message = `The server did not answer a request within ${state.config.limits.requestTimeoutMs} ms.`;
    return hangUp(state, new OvsdbError('REQUEST_TIMEOUT', message), effects);
  }
  const probed = probe(state, nowMs, effects);
  return probed.phase === 'live' ? audit(probed, nowMs, effects) : probed;
}

function probe(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  const { probeIntervalMs } = state.config.limits;
  if (state.probeSentMs === undefined) {
    if (!isDue(state.lastReceivedMs + probeIntervalMs, nowMs)) return state;
    const sent = sendRequest(state, { purpose: 'probe', token: undefined, sentMs: nowMs }, 'echo', [], effects);
    return { ...sent, probeSentMs: nowMs };
  }
  if (!isDue(state.probeSentMs + probeIntervalMs, nowMs)) return state;
  const message = `The server said nothing for ${nowMs - state.lastReceivedMs} ms, not even to a probe.`;
  return hangUp(state, new OvsdbError('PEER_SILENT', message), effects);
}

/**
 * A server that answers may all the same have stopped to tell: monitors were seen to be dropped silently. So the one row of a
 * small table is asked for when nothing was told for a while, and compared with the replica's.
 */
function audit(state: SessionState, nowMs: number, effects: SessionEffect[]): SessionState {
  const table = auditedTable(state);
  if (state.phase !== 'live' || table === undefined || !isDue(auditDueMs(state), nowMs)) return state;
  const select = { op: 'select', table: table.name, where: [], columns: ['_uuid', ...servedColumns(table)] };
  const pending: PendingRequest = { purpose: 'audit', token: undefined, sentMs: nowMs };
  return sendRequest({ ...state, isAuditing: true }, pending, 'transact', [state.config.database, select], effects);
}

function onAuditReply(state: SessionState, reply: RpcReply, nowMs: number, effects: SessionEffect[]): SessionState {
  const table = auditedTable(state);
  const [answer]: unknown[] = Array.isArray(reply.result) ? reply.result : [];
  if (table === undefined || !isObject(answer) || !Array.isArray(answer.rows)) {
    // A server that does not let us ask is no worse for it.
    return { ...state, lastDataMs: nowMs };
  }
  if (state.phase === 'live') effects.push({ type: 'verify', table, rows: answer.rows });
  return state;
}

/** One mismatch may be an update that is on its way; the second in a row, an interval later, is not. */
function onVerified(state: SessionState, isEqual: boolean, nowMs: number, effects: SessionEffect[]): SessionState {
  if (state.phase !== 'live') return state;
  const checked: SessionState = { ...state, lastDataMs: nowMs, mismatchCount: isEqual ? 0 : state.mismatchCount + 1 };
  if (checked.mismatchCount < MISMATCHES_MAX) return checked;
  const message = 'The monitor went silent: the server holds rows of which it did not tell.';
  return hangUp({ ...checked, lastTxnId: ZERO_UUID }, new OvsdbError('MONITOR_SILENT', message), effects);
}

function isDue(deadlineMs: number | undefined, nowMs: number): boolean {
  return deadlineMs !== undefined && nowMs >= deadlineMs;
}

function hangUp(state: SessionState, error: OvsdbError, effects: SessionEffect[]): SessionState {
  effects.push({ type: 'hangUp' });
  return { ...state, phase: 'closing', deadlineMs: undefined, error };
}

function onDisconnected(
  state: SessionState,
  event: Extract<SessionEvent, { type: 'disconnected' }>,
  nowMs: number,
  effects: SessionEffect[],
): SessionState {
  if (state.phase === 'idle' || state.phase === 'backoff') return state;
  failTransactions(state, 'OUTCOME_UNKNOWN', effects);
  const error = state.error ?? event.error ?? new OvsdbError('DISCONNECTED', 'The server closed the connection.');
  const { targetCount, limits } = state.config;
  const wasLiveMs = state.liveSinceMs === undefined ? 0 : nowMs - state.liveSinceMs;
  // A server that accepts and dies at once is waited for as long as one that does not accept.
  const attemptCount = wasLiveMs >= limits.backoffMaxMs ? 0 : state.attemptCount;
  const ended: SessionState = {
    ...state,
    phase: 'idle',
    deadlineMs: undefined,
    requests: new Map(),
    probeSentMs: undefined,
    isAuditing: false,
    liveSinceMs: undefined,
    queued: [],
    databases: new Map(),
    error,
  };
  if (targetCount === 0) return ended;
  return {
    ...ended,
    phase: 'backoff',
    targetIndex: (state.targetIndex + 1) % targetCount,
    attemptCount: attemptCount + 1,
    deadlineMs: nowMs + backoffMs(attemptCount, event.jitter, limits),
  };
}

/**
 * Somewhere between the shortest wait and twice as long with every attempt: all clients of a server lose it at the same
 * moment, and must not come back at the same moment.
 */
function backoffMs(
  attemptCount: number,
  jitter: number,
  limits: { readonly backoffMinMs: number; readonly backoffMaxMs: number },
): number {
  const longestMs = Math.min(limits.backoffMaxMs, limits.backoffMinMs * 2 ** Math.min(attemptCount + 1, 30));
  return limits.backoffMinMs + jitter * (longestMs - limits.backoffMinMs);
}

function failTransactions(state: SessionState, code: 'OUTCOME_UNKNOWN' | 'CLOSED', effects: SessionEffect[]): void {
  for (const pending of state.requests.values()) {
    if (pending.token === undefined) continue;
    const message =
      'The OVSDB session ended before the reply: whether the transaction took place, the next snapshot shows.';
    effects.push({ type: 'notTransacted', token: pending.token, error: new OvsdbError(code, message) });
  }
}

function onClose(state: SessionState, effects: SessionEffect[]): SessionState {
  failTransactions(state, 'CLOSED', effects);
  effects.push({ type: 'hangUp' });
  return { ...state, phase: 'closed', deadlineMs: undefined, requests: new Map(), queued: [], error: undefined };
}
