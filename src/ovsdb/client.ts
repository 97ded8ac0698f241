/**
 * The OVSDB client: runs a session against one server, keeps the replica, sends transactions. An edge: timers and the clock;
 * sockets are in connection.ts, all decisions in session.ts. Serves the controller, and others as `heddle/ovsdb`.
 */
import { type Endpoint, endpointText, parseEndpoint, type TlsMaterial } from '../lib/endpoint.ts';
import { invariant } from '../lib/errors.ts';
import { LimitedLog, type Logger, silentLogger } from '../lib/log.ts';
import { Connection, type ConnectionHandler, OVSDB_PORT } from './connection.ts';
import { CurCfgWaits } from './cur-cfg.ts';
import { OvsdbError } from './errors.ts';
import type { KeptTable } from './kept-columns.ts';
import { OVSDB_LIMITS, type OvsdbLimits } from './limits.ts';
import type { AnyRows, DatabaseModel, Indexes, Selection } from './model.ts';
import { type Delta, Replica } from './replica.ts';
import { step } from './session.ts';
import {
  initialState,
  nextTickMs,
  type SessionEffect,
  type SessionEvent,
  type SessionPhase,
  type SessionState,
} from './session-state.ts';
import type { Transaction, TransactionResult } from './transaction.ts';

export interface ClientState {
  readonly phase: SessionPhase;
  /** The server in use or tried last; undefined for one that called us. */
  readonly endpoint: Endpoint | undefined;
  /** Why the last connection ended. */
  readonly error: OvsdbError | undefined;
}

export interface OvsdbClientOptions<M, S extends Selection<M>> {
  /**
   * `unix:PATH`, `tcp:ADDR[:PORT]`, `ssl:ADDR[:PORT]`; several for the members of a cluster, of which the leader is sought.
   * Absent: the server calls, and each connection is given to `adopt`.
   */
  readonly target?: string | readonly string[];
  /** Needed for `ssl:`. */
  readonly tls?: TlsMaterial;
  /** Types the rows, and gives defaults for columns that the server lacks. Absent: rows are known at run time only. */
  readonly model?: DatabaseModel<M>;
  /** Default: the model's. */
  readonly database?: string;
  /** What is monitored: these columns and nothing else. */
  readonly tables: S;
  /** How rows are found other than by uuid. */
  readonly indexes?: Indexes<Pick<M, keyof S & keyof M>>;
  readonly logger?: Logger;
  readonly limits?: Partial<OvsdbLimits>;
  /** 0 up to 1, for the jitter of the back-off; default Math.random. */
  readonly random?: () => number;
  /** Once for the first snapshot, for each later one (empty when nothing changed), and for each transaction that changes rows. */
  readonly onDelta?: (delta: Delta<M, S>) => void;
  readonly onState?: (state: ClientState) => void;
}

export interface TransactOptions {
  /** Wait until ovs-vswitchd has done it. Needs `incrementNextCfg()`, and `Open_vSwitch.cur_cfg` among the kept columns. */
  readonly waitForCurCfg?: boolean;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: OvsdbError) => void;
}

export class OvsdbClient<M = AnyRows, const S extends Selection<M> = Selection<M>> {
  readonly replica: Replica<M, S>;
  readonly #options: OvsdbClientOptions<M, S>;
  readonly #limits: OvsdbLimits;
  readonly #endpoints: readonly Endpoint[];
  readonly #logger: Logger;
  readonly #limitedLog: LimitedLog;
  /** Why the last session ended, as it was logged; empty while one is live. */
  #toldReason = '';
  readonly #curCfg: CurCfgWaits;
  readonly #pending = new Map<number, Pending>();
  readonly #events: SessionEvent[] = [];
  #state: SessionState;
  #connection: Connection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextToken = 1;
  #isStepping = false;

  /** Throws HeddleError BAD_ENDPOINT, OvsdbError TLS_MISSING. Does nothing yet: see `start` and `adopt`. */
  constructor(options: OvsdbClientOptions<M, S>) {
    const { target = [], model, tables, logger = silentLogger } = options;
    const targets = typeof target === 'string' ? [target] : target;
    const database = options.database ?? model?.schema.name;
    invariant(database !== undefined, 'a client has a database or a model that names it');
    this.#options = options;
    this.#limits = { ...OVSDB_LIMITS, ...options.limits };
    this.#endpoints = targets.map((text) => parseEndpoint(text, { defaultPort: OVSDB_PORT }));
    if (options.tls === undefined && this.#endpoints.some((endpoint) => endpoint.kind === 'ssl')) {
      throw new OvsdbError('TLS_MISSING', `${targets} needs a private key, a certificate and a CA.`);
    }
    this.#logger = logger;
    this.#limitedLog = new LimitedLog(logger);
    this.#curCfg = new CurCfgWaits(this.#limits.requestTimeoutMs);
    this.replica = new Replica({ tables, indexes: options.indexes ?? {} });
    this.#state = initialState({
      database,
      selection: tables,
      model: model?.schema,
      targetCount: targets.length,
      limits: this.#limits,
    });
  }

  get state(): ClientState {
    const { phase, targetIndex, error } = this.#state;
    return { phase, endpoint: this.#endpoints[targetIndex], error };
  }

  /** Whether the replica follows the server at this moment, and transactions can be sent. */
  get isLive(): boolean {
    return this.#state.phase === 'live';
  }

  /** Begin to dial, and dial again whenever the connection is lost, until `close`. */
  start(): void {
    this.#dispatch({ type: 'start' });
  }

  /** Take over a connection that a server made to us. One before it is given up: the server would not call twice. */
  adopt(connection: Connection): void {
    invariant(this.#endpoints.length === 0, 'only a client without targets takes connections');
    if (this.#state.phase === 'closed') {
      connection.close();
      return;
    }
    if (this.#connection !== undefined) {
      const replaced = this.#connection;
      this.#ended(replaced, new OvsdbError('DISCONNECTED', 'The server called anew.'));
      replaced.close();
    }
    this.#connection = connection;
    connection.handler = this.#handlerOf(() => connection);
    this.#dispatch({ type: 'connected' });
  }

  /** End the session; transactions without a reply are rejected with CLOSED. The replica stays readable. */
  close(): void {
    this.#dispatch({ type: 'close' });
  }

  /**
   * Carry out a transaction, all of it or nothing. When this resolves, the replica has its changes.
   * Rejects with OvsdbError NOT_CONNECTED or TOO_MANY_REQUESTS (not sent), TRANSACTION_REFUSED or TRANSACTION_CONFLICT (nothing
   * done), OUTCOME_UNKNOWN (the connection broke before the reply), CUR_CFG_TIMEOUT (done, but not confirmed by the switch).
   */
  async transact(transaction: Transaction<M>, options: TransactOptions = {}): Promise<TransactionResult> {
    if (transaction.isEmpty && !transaction.incrementsNextCfg) {
      return { inserted: new Map(), counts: [], nextCfg: undefined };
    }
    const token = this.#nextToken++;
    const reply = await new Promise<unknown>((resolve, reject) => {
      this.#pending.set(token, { resolve, reject });
      this.#dispatch({ type: 'transact', token, operations: transaction.operations });
    });
    const result = transaction.readResult(reply);
    if (options.waitForCurCfg === true) {
      invariant(result.nextCfg !== undefined, 'who waits for cur_cfg increments next_cfg');
      await this.#curCfg.reached(result.nextCfg);
    }
    return result;
  }

  /** Feed the machine. Callbacks of its effects may feed it again: those events wait their turn. */
  #dispatch(event: SessionEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#step(next);
    } finally {
      this.#isStepping = false;
    }
    this.#schedule();
  }

  #step(event: SessionEvent): void {
    const [state, effects] = step(this.#state, event, performance.now());
    this.#state = state;
    for (const effect of effects) {
      const error = this.#carryOut(effect);
      if (error === undefined) continue;
      // What follows builds on what could not be taken in.
      this.#events.unshift({ type: 'fault', error });
      return;
    }
  }

  /** Gives an error when the replica cannot take in what the server sent. */
  #carryOut(effect: SessionEffect): OvsdbError | undefined {
    switch (effect.type) {
      case 'dial':
        this.#dial(effect.targetIndex);
        return undefined;
      case 'hangUp':
        this.#connection?.close(this.#state.error);
        return undefined;
      case 'send':
        this.#connection?.send(effect.message);
        return undefined;
      case 'snapshot':
        return this.#takeIn(() => this.replica.takeSnapshot(effect.tables, effect.dialect, effect.updates));
      case 'update': {
        const cause = effect.isResumption ? 'resumption' : 'update';
        return this.#takeIn(() => this.replica.takeUpdate(effect.dialect, effect.updates, cause));
      }
      case 'verify':
        return this.#verify(effect.table, effect.rows);
      case 'transacted':
        this.#settle(effect.token)?.resolve(effect.result);
        return undefined;
      case 'notTransacted':
        this.#settle(effect.token)?.reject(effect.error);
        return undefined;
      case 'phase':
        this.#onPhase(effect.phase, effect.error);
        return undefined;
    }
  }

  #verify(table: KeptTable, rows: unknown): OvsdbError | undefined {
    let isEqual: boolean;
    try {
      isEqual = this.replica.holds(table, rows);
    } catch (error) {
      if (error instanceof OvsdbError) return error;
      throw error;
    }
    this.#dispatch({ type: 'verified', isEqual });
    return undefined;
  }

  #takeIn(take: () => Delta<M, S>): OvsdbError | undefined {
    let delta: Delta<M, S>;
    try {
      delta = take();
    } catch (error) {
      if (error instanceof OvsdbError) return error;
      throw error;
    }
    this.#announce(delta);
    return undefined;
  }

  #settle(token: number): Pending | undefined {
    const pending = this.#pending.get(token);
    this.#pending.delete(token);
    return pending;
  }

  #announce(delta: Delta<M, S>): void {
    this.#curCfg.onChanges(delta.changes);
    if (delta.cause === 'update' && delta.changes.length === 0) return;
    this.#options.onDelta?.(delta);
  }

  #onPhase(phase: SessionPhase, error: OvsdbError | undefined): void {
    const { endpoint } = this.state;
    const server = endpoint === undefined ? 'caller' : endpointText(endpoint);
    const { database } = this.#state.config;
    if (phase === 'live') {
      this.#logger.info({ server, database, rows: this.replica.size }, 'OVSDB session live');
      this.#toldReason = '';
    }
    if ((phase === 'backoff' || phase === 'idle') && error !== undefined) this.#tellLost({ server, database }, error);
    if (phase === 'closed') this.#curCfg.close();
    this.#options.onState?.(this.state);
  }

  /** Once, however often it is tried again, until the reason is another: a server may be away for days. */
  #tellLost(context: { readonly server: string; readonly database: string }, error: OvsdbError): void {
    if (error.message === this.#toldReason) return;
    this.#toldReason = error.message;
    const advice = this.replica.isWhole ? 'OVSDB session lost, tried again' : 'OVSDB not reached yet, tried again';
    this.#limitedLog.warn(error.code, { ...context, code: error.code, reason: error.message }, advice);
  }

  #dial(targetIndex: number): void {
    const endpoint = this.#endpoints[targetIndex];
    invariant(endpoint !== undefined, 'a target is dialled that exists', { targetIndex });
    const handler = this.#handlerOf(() => connection);
    const connection = Connection.dial(endpoint, this.#options.tls, { limits: this.#limits, handler });
    this.#connection = connection;
  }

  /** Only the connection in use is listened to: what an older one still says is of no concern. */
  #handlerOf(connection: () => Connection): ConnectionHandler {
    const whenCurrent = (event: SessionEvent): void => {
      if (this.#connection === connection()) this.#dispatch(event);
    };
    return {
      onConnected: () => whenCurrent({ type: 'connected' }),
      onReceived: () => whenCurrent({ type: 'received' }),
      onMessage: (message) => whenCurrent({ type: 'message', message }),
      onClosed: (error) => this.#ended(connection(), error),
    };
  }

  #ended(connection: Connection, error: OvsdbError | undefined): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    const jitter = (this.#options.random ?? Math.random)();
    this.#dispatch({ type: 'disconnected', jitter, ...(error === undefined ? {} : { error }) });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const tickMs = nextTickMs(this.#state);
    if (tickMs === undefined) return;
    // Through setImmediate: after a long pause of this process, what lies in the socket is read before silence is judged.
    this.#timer = setTimeout(
      () => setImmediate(() => this.#dispatch({ type: 'tick' })),
      Math.max(0, Math.ceil(tickMs - performance.now())),
    );
  }
}
