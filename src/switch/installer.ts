/**
 * Keeps one bridge equal to its book. Serves controller/, which gives it connections (attach) and changes (apply).
 *
 * One pass at a time. On every new connection the whole bridge is dumped and compared with the book, and the difference is
 * sent; afterwards changes are sent as they come, those that come during a pass together in the next one. A pass ends with the
 * barrier of its last bundle: then its generation is confirmed. Nothing waits across connections: what a lost connection did
 * not confirm is found by the next one's reconcile.
 */
import { type BridgeBook, type BridgeChange, type DesiredFlow, flowKey } from '../compiler/book.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog, Logger } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { ConnectionClosedError } from '../openflow/requests.ts';
import { inSlices } from './dump-slices.ts';
import { decodeRawFlow, FlowEncoder } from './flow-bytes.ts';
import { type Difference, type FlowOperation, type RefusedFlow, reconcile } from './reconcile.ts';
import { RefusedFlows } from './refused-flows.ts';
import { describeOperation } from './report.ts';
import { isClosed, sendOperations } from './send-operations.ts';
import type { BridgeStatus, DriftCounts, FlowModCounts } from './status.ts';

export interface BridgeInstallerOptions {
  readonly host: string;
  readonly bridge: string;
  /** The book as it is now; read at the moment of each comparison. */
  readonly book: () => BridgeBook;
  /** What happens to flows that are not ours or not right; read at each reconcile. */
  readonly drift: () => 'repair' | 'report';
  readonly logger: Logger;
  readonly limitedLog: LimitedLog;
  /** A monotonic clock; default performance.now. */
  readonly nowMs?: () => number;
  /** After each pass: something in `status()` has changed. */
  readonly onPass?: (status: BridgeStatus) => void;
}

interface PendingFlow {
  readonly desired: DesiredFlow;
  readonly remove: boolean;
}

type ReconcileReason = 'connect' | 'audit';

export class BridgeInstaller {
  readonly host: string;
  readonly bridge: string;
  readonly #options: BridgeInstallerOptions;
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #encoder = new FlowEncoder();
  readonly #refused: RefusedFlows;
  readonly #flowMods: FlowModCounts = { add: 0, modify: 0, delete: 0 };
  readonly #drift: DriftCounts = { foreign: 0, missing: 0, changed: 0, stale: 0 };
  #pending = new Map<string, PendingFlow>();
  #reconcileDue: ReconcileReason | undefined;
  #connection: SwitchConnection | undefined;
  /** Older connections that still live, the latest last. */
  readonly #standby: SwitchConnection[] = [];
  #running = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryCount = 0;
  #waiting: (() => void)[] = [];
  #generationWanted = 0;
  #generationConfirmed = 0;
  #connectionCount = 0;
  #learnedFlowCount = 0;
  #passCount = 0;
  #lastPassMs: number | undefined;
  #lastPassKind: 'reconcile' | 'change' | undefined;
  readonly #errorCounts = new Map<string, number>();

  constructor(options: BridgeInstallerOptions) {
    this.host = options.host;
    this.bridge = options.bridge;
    this.#options = options;
    this.#logger = options.logger.child({ host: options.host, bridge: options.bridge });
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#refused = new RefusedFlows({ ...options, retry: () => this.#retryRefused() });
  }

  get connection(): SwitchConnection | undefined {
    return this.#connection;
  }

  /**
   * A connection to this bridge has been established: use it from now on, and reconcile. An older one that still lives stands by
   * (the bridge may have been reached in two ways; to end one would be to see it come back, without end), unless a pass waits
   * for it: the older may be half open, and the newer must not wait for that to be found out.
   */
  attach(connection: SwitchConnection): void {
    if (!connection.isOpen) return;
    this.#connectionCount += 1;
    connection.subscribe({
      closed: () => this.#lost(connection),
      error: (error) => {
        this.#countError(error.code);
        this.#options.limitedLog.warn(
          `error ${this.host} ${this.bridge} ${error.code}`,
          { host: this.host, bridge: this.bridge, xid: error.xid, error: error.code },
          'the switch refused a message',
        );
      },
    });
    const former = this.#connection;
    const passWaits = this.#running;
    this.#use(connection);
    if (former === undefined) return;
    if (passWaits) former.close('REPLACED', 'the bridge has connected anew');
    else this.#standby.push(former);
    if (this.#standby.length > LIMITS.standbyConnections) {
      this.#standby.shift()?.close('REPLACED', 'the bridge has connected anew, too often');
    }
  }

  /** The book has changed, and is generation `generation` now. Call after the book itself says so. */
  apply(change: BridgeChange, generation: number): void {
    this.#generationWanted = generation;
    // Without a connection there is nothing to keep: the next one begins with the whole book.
    if (this.#connection === undefined) return;
    for (const desired of change.remove) this.#pending.set(flowKey(desired.flow), { desired, remove: true });
    for (const desired of change.put) this.#pending.set(flowKey(desired.flow), { desired, remove: false });
    this.#run();
  }

  /** A generation that changes nothing on this bridge. */
  advance(generation: number): void {
    this.#generationWanted = generation;
    this.#run();
  }

  /** Dump the bridge and compare it with the book, as soon as what is under way has ended. */
  audit(): void {
    this.#reconcileDue ??= 'audit';
    this.#run();
  }

  /** Resolves when nothing is under way and nothing waits: the bridge holds the book, apart from what it refused. */
  async settled(): Promise<void> {
    while (this.#connection === undefined || this.#running || this.#hasWork()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  status(): BridgeStatus {
    const connection = this.#connection;
    return {
      host: this.host,
      bridge: this.bridge,
      connected: connection !== undefined,
      epoch: connection?.epoch,
      dpid: connection?.dpid,
      peer: connection?.peer,
      connectionCount: this.#connectionCount,
      generationWanted: this.#generationWanted,
      generationConfirmed: this.#generationConfirmed,
      desiredFlowCount: this.#options.book().size,
      learnedFlowCount: this.#learnedFlowCount,
      degraded: this.#refused.count > 0,
      refusedFlowCount: this.#refused.count,
      refusedFlows: this.#refused.named(),
      passCount: this.#passCount,
      lastPassMs: this.#lastPassMs,
      lastPassKind: this.#lastPassKind,
      flowMods: { ...this.#flowMods },
      drift: { ...this.#drift },
      errorCount: [...this.#errorCounts.values()].reduce((sum, count) => sum + count, 0),
      errorCounts: Object.fromEntries(this.#errorCounts),
    };
  }

  /** End the connection and every timer. The flows stay on the bridge. */
  close(): void {
    const connections = [this.#connection, ...this.#standby];
    this.#standby.length = 0;
    this.#use(undefined);
    for (const connection of connections) connection?.close('CLOSED', 'the controller closes');
  }

  /** Begin anew on this connection: nothing that was sent or waited on another one counts. */
  #use(connection: SwitchConnection | undefined): void {
    this.#connection = connection;
    this.#refused.clear();
    this.#pending.clear();
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#retryCount = 0;
    this.#reconcileDue = connection === undefined ? undefined : 'connect';
    // Whatever the switch held, it may have been restarted since.
    this.#generationConfirmed = 0;
    this.#wakeWaiting();
    this.#run();
  }

  #lost(connection: SwitchConnection): void {
    const index = this.#standby.indexOf(connection);
    if (index >= 0) this.#standby.splice(index, 1);
    if (this.#connection === connection) this.#use(this.#standby.pop());
  }

  #hasWork(): boolean {
    return (
      this.#reconcileDue !== undefined || this.#pending.size > 0 || this.#generationWanted !== this.#generationConfirmed
    );
  }

  /** Passes, one after the other, as long as there is work and a connection. */
  #run(): void {
    if (this.#running || this.#connection === undefined || !this.#hasWork() || this.#retryTimer !== undefined) return;
    this.#running = true;
    // In a turn of its own, so that all that one turn changes is one pass.
    setImmediate(() => {
      this.#pass()
        .catch((error: unknown) => {
          // A broken promise of our own code must not end as a rejection that nobody hears.
          setImmediate(() => {
            throw error;
          });
        })
        .finally(() => {
          this.#running = false;
          this.#wakeWaiting();
          this.#run();
        });
    });
  }

  async #pass(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const startMs = this.#nowMs();
    // On a connect the dump comes first, and the book that it is compared with holds all that waits.
    const kind = this.#reconcileDue === 'connect' || this.#pending.size === 0 ? this.#reconcileDue : undefined;
    try {
      const generation =
        kind === undefined ? await this.#changePass(connection) : await this.#reconcilePass(connection, kind);
      this.#generationConfirmed = generation;
      this.#retryCount = 0;
    } catch (error) {
      this.#passFailed(error, connection);
      return;
    }
    this.#passCount += 1;
    this.#lastPassMs = this.#nowMs() - startMs;
    this.#lastPassKind = kind === undefined ? 'change' : 'reconcile';
    this.#options.onPass?.(this.status());
  }

  async #changePass(connection: SwitchConnection): Promise<number> {
    const generation = this.#generationWanted;
    const pending = this.#pending;
    this.#pending = new Map();
    const operations: FlowOperation[] = [];
    const unwritable: RefusedFlow[] = [];
    for (const [key, { desired, remove }] of pending) {
      this.#refused.forget(key);
      try {
        this.#encoder.encodeDesired(desired, remove ? 'deleteStrict' : 'add');
        const kind = remove ? 'delete' : 'add';
        operations.push({ kind, table: desired.flow.table, frame: this.#encoder.take(), desired });
      } catch (error) {
        if (!(error instanceof HeddleError)) throw error;
        if (!remove) unwritable.push({ desired, operation: undefined, error });
      }
    }
    await this.#send(connection, operations, unwritable);
    return generation;
  }

  async #reconcilePass(connection: SwitchConnection, reason: ReconcileReason): Promise<number> {
    const installed = await inSlices(connection, (selection) => connection.dumpFlows(selection));
    // From here to the sending nothing else runs: book, pending changes and generation are of one moment.
    if (this.#connection !== connection) throw new ConnectionClosedError(connection.peer, 'replaced');
    this.#reconcileDue = undefined;
    const difference = reconcile(this.#options.book().flows(), installed);
    this.#learnedFlowCount = difference.learnedCount;
    this.#tellDifference(difference, reason);
    const reportOnly = this.#options.drift() === 'report';
    if (reportOnly && reason === 'audit') {
      // What waits is no drift: it is sent by the next pass, which also confirms its generation.
      return this.#pending.size > 0 ? this.#generationConfirmed : this.#generationWanted;
    }
    const generation = this.#generationWanted;
    this.#pending = new Map();
    const { missing, changed, stale, foreign } = difference;
    const operations = [...missing, ...changed, ...stale, ...(reportOnly ? [] : foreign)];
    await this.#send(connection, operations, difference.refused);
    return generation;
  }

  async #send(
    connection: SwitchConnection,
    operations: readonly FlowOperation[],
    unwritable: readonly RefusedFlow[],
  ): Promise<void> {
    for (const { kind } of operations) this.#flowMods[kind] += 1;
    const { refused } = operations.length === 0 ? NOTHING_REFUSED : await sendOperations(connection, operations);
    for (const { error } of refused) this.#countError(error.code);
    this.#refused.add([...unwritable, ...refused]);
  }

  /** Counts drift and gives it lines; what this connection has not been given yet is no drift. */
  #tellDifference(difference: Difference, reason: ReconcileReason): void {
    const { missing, changed, stale, foreign, sameCount, learnedCount } = difference;
    this.#drift.foreign += foreign.length;
    const drifted = [...foreign];
    if (reason === 'audit') {
      for (const kind of ['missing', 'changed', 'stale'] as const) {
        const found = difference[kind].filter((operation) => !this.#isPending(operation));
        this.#drift[kind] += found.length;
        drifted.push(...found);
      }
    }
    for (const operation of drifted.slice(0, LIMITS.namedFlows)) {
      const context = { host: this.host, bridge: this.bridge, ...describeOperation(operation) };
      this.#options.limitedLog.warn(`drift ${this.host} ${this.bridge}`, context, 'a flow has drifted');
    }
    const counts = { missing: missing.length, changed: changed.length, stale: stale.length, foreign: foreign.length };
    this.#logger.info({ reason, same: sameCount, learned: learnedCount, ...counts }, 'bridge compared with the book');
  }

  /** The book changed while the dump was on its way: the bridge has not been told yet. */
  #isPending({ desired, installed }: FlowOperation): boolean {
    if (this.#pending.size === 0) return false;
    const flow = desired?.flow ?? (installed === undefined ? undefined : decodeRawFlow(installed));
    return flow !== undefined && this.#pending.has(flowKey(flow));
  }

  #countError(code: string): void {
    this.#errorCounts.set(code, (this.#errorCounts.get(code) ?? 0) + 1);
  }

  #passFailed(error: unknown, connection: SwitchConnection): void {
    if (isClosed(error)) {
      // A newer connection may already be here; its reconcile is due and tells what was lost.
      return;
    }
    if (!(error instanceof HeddleError)) throw error;
    // As on a connect: what the failed pass should have sent is found by comparing, and is no drift.
    this.#reconcileDue = 'connect';
    const waitMs = Math.min(LIMITS.backoffMaxMs, LIMITS.backoffMinMs * 2 ** this.#retryCount);
    this.#retryCount += 1;
    const context = { host: this.host, bridge: this.bridge, code: error.code, reason: error.message, waitMs };
    this.#options.limitedLog.warn(`pass ${this.host} ${this.bridge}`, context, 'a pass failed, it is tried again');
    if (this.#connection !== connection) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#run();
    }, waitMs);
  }

  /** What the switch refused, once more: as the book wants it now. */
  #retryRefused(): void {
    const book = this.#options.book();
    for (const [key, desired] of this.#refused.take()) {
      const wanted = book.find(desired.flow);
      if (wanted !== undefined && !this.#pending.has(key)) this.#pending.set(key, { desired: wanted, remove: false });
    }
    this.#run();
  }

  #wakeWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

const NOTHING_REFUSED = { refused: [] as readonly RefusedFlow[] };
