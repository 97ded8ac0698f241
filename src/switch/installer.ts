/**
 * Keeps one bridge equal to its book. Serves controller/, which gives it connections (attach) and changes (apply).
 *
 * One pass at a time. On every new connection the whole bridge is dumped and compared with the book, and the difference is
 * sent; afterwards changes are sent as they come, those that come during a pass together in the next one, and with them what
 * puts right what others did meanwhile (drift-watch.ts). A pass ends with the barrier of its last bundle: then its generation is
 * confirmed. Nothing waits across connections: what a lost connection did not confirm is found by the next one's reconcile.
 */
import type { BridgeChange } from '../compiler/book.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { type PacketInCounts, sumOfPacketIns } from '../openflow/packet-in-budget.ts';
import { ConnectionClosedError } from '../openflow/requests.ts';
import { BridgeComparer, operationsOf, presentNumbers, refusalsOf } from './compare-bridge.ts';
import { DriftWatch, findDrift, isWiped } from './drift-watch.ts';
import { type BridgeDump, isToFill } from './fill-bridge.ts';
import type { BridgeInstallerOptions } from './installer-options.ts';
import { type Operation, OperationEncoder, operationKey } from './operations.ts';
import { PendingChanges } from './pending-changes.ts';
import { RefusedFlows } from './refused-flows.ts';
import { BridgeReport } from './report.ts';
import { isClosed } from './send-operations.ts';
import { Sender } from './sender.ts';
import type { BridgeStatus } from './status.ts';
import { TurnQueue } from './turn-queue.ts';

export type { BridgeInstallerOptions } from './installer-options.ts';

type ReconcileReason = 'connect' | 'audit';

export class BridgeInstaller {
  readonly host: string;
  readonly bridge: string;
  readonly #options: BridgeInstallerOptions;
  readonly #nowMs: () => number;
  readonly #turns: TurnQueue;
  readonly #report: BridgeReport;
  readonly #encoder = new OperationEncoder();
  readonly #refused: RefusedFlows;
  readonly #sender: Sender;
  /** Another controller programs the bridge, as far as we know (controller/elections.ts). */
  follows = false;
  readonly #pending = new PendingChanges();
  readonly #watch = new DriftWatch(() => this.#run());
  #reconcileDue: ReconcileReason | undefined;
  #connection: SwitchConnection | undefined;
  /** Older connections that still live, the latest last. */
  readonly #standby: SwitchConnection[] = [];
  #running = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryCount = 0;
  #auditTimer: NodeJS.Timeout | undefined;
  #waiting: (() => void)[] = [];
  #generationWanted = 0;
  /** Changes of the book so far. */
  #changeCount = 0;
  #generationConfirmed = 0;
  #connectionCount = 0;
  readonly #unsubscribe = new Map<SwitchConnection, () => void>();
  /** Of connections that have ended. */
  #packetIns: PacketInCounts = { taken: 0, dropped: 0 };
  #learnedFlowCount = 0;
  #passCount = 0;
  #lastPassMs: number | undefined;
  #lastPassKind: 'reconcile' | 'change' | undefined;

  constructor(options: BridgeInstallerOptions) {
    this.host = options.host;
    this.bridge = options.bridge;
    this.#options = options;
    const logger = options.logger.child({ host: options.host, bridge: options.bridge });
    this.#report = new BridgeReport({ ...options, logger });
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#turns = options.turns ?? new TurnQueue();
    this.#refused = new RefusedFlows({ ...options, retry: () => this.#retryRefused() });
    this.#sender = new Sender({
      report: this.#report,
      encoder: this.#encoder,
      refused: this.#refused,
      watch: this.#watch,
      turns: this.#turns,
      assertCurrent: (connection) => this.#assertCurrent(connection),
    });
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
    const unsubscribe = connection.subscribe({
      closed: () => this.detach(connection),
      error: ({ code, xid }) => this.#report.strayError(code, xid),
    });
    this.#unsubscribe.set(connection, unsubscribe);
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

  /** Leave a connection alone from now on; it may live on, and be attached again. */
  detach(connection: SwitchConnection): void {
    this.#unsubscribe.get(connection)?.();
    if (!this.#unsubscribe.delete(connection)) return;
    this.#packetIns = sumOfPacketIns([this.#packetIns, connection.packetInCounts]);
    const index = this.#standby.indexOf(connection);
    if (index >= 0) this.#standby.splice(index, 1);
    if (this.#connection === connection) this.#use(this.#standby.pop());
  }

  /** The book has changed, and is generation `generation` now. Call after the book itself says so. */
  apply(change: BridgeChange, generation: number): void {
    this.#generationWanted = generation;
    this.#changeCount += 1;
    // Without a connection there is nothing to keep: the next one begins with the whole book.
    if (this.#connection === undefined) return;
    this.#pending.add(change);
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
      follows: this.follows,
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
      flowMods: { ...this.#report.mods.flow },
      groupMods: { ...this.#report.mods.group },
      meterMods: { ...this.#report.mods.meter },
      packetIns: sumOfPacketIns([this.#packetIns, ...this.#live().map((one) => one.packetInCounts)]),
      drift: { ...this.#report.drift },
      leftDriftCount: this.#report.leftCount,
      isWatched: this.#watch.isWatching,
      errorCount: this.#report.errorCount,
      errorCounts: Object.fromEntries(this.#report.errors),
    };
  }

  /** End the connection and every timer. The flows stay on the bridge. */
  close(): void {
    const connections = this.#live();
    this.#standby.length = 0;
    this.#use(undefined);
    for (const connection of connections) connection.close('CLOSED', 'the controller closes');
  }

  #live(): readonly SwitchConnection[] {
    return [...(this.#connection === undefined ? [] : [this.#connection]), ...this.#standby];
  }

  /** Begin anew on this connection: nothing that was sent or waited on another one counts. */
  #use(connection: SwitchConnection | undefined): void {
    this.#connection = connection;
    this.#refused.clear();
    this.#pending.clear();
    this.#watch.stop();
    clearTimeout(this.#auditTimer);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#retryCount = 0;
    this.#reconcileDue = connection === undefined ? undefined : 'connect';
    // Whatever the switch held, it may have been restarted since.
    this.#generationConfirmed = 0;
    this.#wakeWaiting();
    this.#run();
  }

  #hasWork(): boolean {
    const isBehind = !this.#pending.isEmpty || this.#generationWanted !== this.#generationConfirmed;
    return isBehind || this.#reconcileDue !== undefined || this.#watch.hasUpdates;
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
    const kind = this.#reconcileDue === 'connect' || this.#pending.isEmpty ? this.#reconcileDue : undefined;
    const before = this.#generationConfirmed;
    let sentCount: number;
    try {
      sentCount = kind === undefined ? await this.#changePass(connection) : await this.#reconcilePass(connection, kind);
      this.#retryCount = 0;
      if (kind !== undefined) this.#armAudit();
    } catch (error) {
      this.#passFailed(error, connection);
      return;
    }
    // Others changed what is none of our business.
    if (kind === undefined && sentCount === 0 && before === this.#generationConfirmed) return;
    this.#passCount += 1;
    this.#lastPassMs = this.#nowMs() - startMs;
    this.#lastPassKind = kind === undefined ? 'change' : 'reconcile';
    this.#options.onPass?.(this.status());
  }

  /** What the book changed, and what puts right what others changed. Gives the number of operations. */
  async #changePass(connection: SwitchConnection): Promise<number> {
    const generation = this.#generationWanted;
    const { operations, unwritable, withdrawn } = await this.#turns.run(this.#pending.take(this.#encoder));
    for (const desired of withdrawn) this.#refused.forget(desired);
    const repairs = await this.#repairs(connection, operations);
    this.#assertCurrent(connection);
    await this.#sender.send(connection, [...operations.values(), ...repairs], unwritable);
    this.#generationConfirmed = generation;
    return operations.size + repairs.length;
  }

  /** Of the flows that are about to be sent in any case none is drift. */
  async #repairs(connection: SwitchConnection, operations: ReadonlyMap<string, Operation>): Promise<Operation[]> {
    if (!this.#watch.hasUpdates) return [];
    const { changes, needsAudit } = this.#watch.take();
    if (needsAudit || (await isWiped(connection, changes.values()))) {
      // Flows went with their group: they cannot come back before it. Or all of them went.
      this.audit();
      return [];
    }
    const others = function* () {
      for (const [key, change] of changes) if (!operations.has(key)) yield change;
    };
    const drifts = await this.#turns.run(findDrift(others(), this.#options.book()));
    const isLeft = this.#options.drift() === 'report';
    this.#report.drifted(drifts, { changes: changes.keys(), isLeft });
    if (drifts.length === 0 || isLeft) return [];
    if (this.#watch.countRepair(this.#nowMs())) this.#report.repairsHeld();
    return drifts.map(({ operation }) => operation);
  }

  async #reconcilePass(connection: SwitchConnection, reason: ReconcileReason): Promise<number> {
    // What the switch told before the dump is in it. The watch begins before it too, so that between the two nothing is missed.
    this.#watch.clear();
    const version = (): number => this.#changeCount;
    const comparer = new BridgeComparer({ ...this.#options, turns: this.#turns, version });
    try {
      return await this.#compareAndSend(connection, comparer, reason);
    } finally {
      comparer.close();
    }
  }

  async #compareAndSend(
    connection: SwitchConnection,
    comparer: BridgeComparer,
    reason: ReconcileReason,
  ): Promise<number> {
    const [, dump] = await Promise.all([this.#watch.start(connection), comparer.dump(connection)]);
    this.#assertCurrent(connection);
    this.#reconcileDue = undefined;
    const isReportOnly = this.#options.drift() === 'report';
    this.#encoder.reset(presentNumbers(dump));
    const book = this.#options.book();
    if (isToFill(dump, book) && (reason === 'connect' || !isReportOnly)) {
      if (reason === 'audit') this.#report.emptied(book.size);
      return this.#fillPass(connection, dump, isReportOnly);
    }
    // Book, pending changes and generation are of one moment: what comes after it is sent by the next pass.
    const { moment, ...comparison } = await comparer.compare(dump, () => ({
      generation: this.#generationWanted,
      taking: this.#pending.take(this.#encoder),
    }));
    const pending = await this.#turns.run(moment.taking);
    this.#assertCurrent(connection);
    this.#learnedFlowCount = comparison.flows.learnedCount;
    const isPending = (operation: Operation): boolean => pending.operations.has(operationKey(operation));
    this.#report.compared(comparison, { reason, isPending, isLeft: isReportOnly });
    await this.#turns.run(this.#watch.forget(operationsOf(comparison, { keepForeign: false })));
    const isTold = isReportOnly && reason === 'audit';
    const operations = isTold
      ? [...pending.operations.values()]
      : operationsOf(comparison, { keepForeign: isReportOnly });
    this.#refused.take();
    await this.#sender.send(connection, operations, isTold ? pending.unwritable : refusalsOf(comparison));
    this.#generationConfirmed = moment.generation;
    return operations.length;
  }

  async #fillPass(connection: SwitchConnection, dump: BridgeDump, keepForeign: boolean): Promise<number> {
    const generation = this.#generationWanted;
    this.#pending.clear();
    this.#refused.take();
    this.#learnedFlowCount = 0;
    const sentCount = await this.#sender.fill(connection, dump, { book: this.#options.book(), keepForeign });
    this.#generationConfirmed = generation;
    return sentCount;
  }

  #assertCurrent(connection: SwitchConnection): void {
    if (this.#connection !== connection) throw new ConnectionClosedError(connection.peer, 'replaced');
  }

  #armAudit(): void {
    clearTimeout(this.#auditTimer);
    this.#auditTimer = setTimeout(() => this.audit(), this.#options.auditIntervalMs ?? this.#watch.auditIntervalMs);
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
    this.#report.passFailed({ code: error.code, reason: error.message, waitMs });
    if (this.#connection !== connection) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#run();
    }, waitMs);
  }

  /** What the switch refused, once more: as the book wants it now. */
  #retryRefused(): void {
    const book = this.#options.book();
    const refused = this.#refused.take();
    // Whether the bridge has a group or a meter is not known any more, once it has refused one.
    if (refused.some((desired) => !('flow' in desired))) this.#reconcileDue ??= 'connect';
    const put = refused.flatMap((desired) => ('flow' in desired ? (book.find(desired.flow) ?? []) : []));
    this.#pending.add({ put, remove: [] });
    this.#run();
  }

  #wakeWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
