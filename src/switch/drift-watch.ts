/**
 * What others do to a bridge's flows, told by the switch as it happens: the ONF flow monitor (extension 187 on OpenFlow 1.3, Open
 * vSwitch 3.0 and later). Serves installer.ts.
 *
 * The switch abbreviates what this very connection did, and tells the rest in full: changes of ovs-ofctl, of another controller,
 * of learn(), of another connection of ours, flows that went with their group or meter, flows that timed out. Whether such a
 * change is drift is for the book to say, so that nothing need be remembered of what was sent.
 */
import type { BridgeBook } from '../compiler/book.ts';
import { cookieParts } from '../flow/cookie.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { FLOW_MONITOR_FLAGS, FLOW_REMOVED_REASONS, type FlowUpdate, type Message } from '../openflow/messages.ts';
import { OpenFlowError } from '../openflow/requests.ts';
import { byteKey, deleteFrame, FlowEncoder, FRAME, frameTable, sameBytes, u16 } from './flow-bytes.ts';
import { type FlowOperation, type Operation, operationKey } from './operations.ts';
import type { DriftKind } from './status.ts';

export type Change = Exclude<FlowUpdate, { readonly event: 'abbreviated' }>;

/** A flow that is not as the book has it, and what puts it right. */
export interface Drift {
  readonly kind: DriftKind;
  readonly operation: FlowOperation;
  /** The flow as it is now; undefined: it is gone, or a comparison has found it. */
  readonly found: Pick<Change, 'flow' | 'instructionBytes'> | undefined;
}

export interface TakenUpdates {
  /** The last of each flow, by byteKey. */
  readonly changes: ReadonlyMap<string, Change>;
  /** Groups or meters went, or more happened than was kept: the whole bridge must be compared. */
  readonly needsAudit: boolean;
}

const { add, delete: remove, modify, actions } = FLOW_MONITOR_FLAGS;

export class DriftWatch {
  readonly #onUpdate: () => void;
  #changes = new Map<string, Change>();
  #needsAudit = false;
  #stop: (() => void) | undefined;
  #monitorId = 0;
  #isWatching = false;
  /** Since the last comparison there was a time in which nothing was told. */
  #hasMissed = false;
  /** Passes of repair in this interval, and when it ends. */
  #repairCount = 0;
  #intervalEndMs = 0;
  #holdTimer: NodeJS.Timeout | undefined;

  /** `onUpdate`: there is something to take. */
  constructor(onUpdate: () => void) {
    this.#onUpdate = onUpdate;
  }

  /** The switch tells of changes as they happen. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  get hasUpdates(): boolean {
    return this.#holdTimer === undefined && (this.#needsAudit || this.#changes.size > 0);
  }

  /**
   * Have the connection's switch tell of every change from now on. Resolves when it does, or has refused to (isWatching).
   * Rejects with ConnectionClosedError.
   */
  async start(connection: SwitchConnection): Promise<void> {
    if (this.#stop !== undefined) return;
    // A number of its own: Open vSwitch 3.1 answers a number that is taken with an error that names no request (its version and
    // xid are of bytes behind the header), so that the request would wait until the connection is given up.
    this.#monitorId += 1;
    const id = this.#monitorId;
    const unsubscribe = connection.subscribe({ message: (message) => this.#receive(message) });
    this.#stop = () => {
      unsubscribe();
      connection.send({ type: 'flowMonitorCancel', id });
    };
    try {
      const monitors = [{ id, flags: add | remove | modify | actions }];
      await connection.multipart({ kind: 'flowMonitor', monitors });
      this.#isWatching = true;
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.#stop = unsubscribe;
    }
  }

  /** Forget the connection and all that it told. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#isWatching = false;
    this.clear();
    clearTimeout(this.#holdTimer);
    this.#holdTimer = undefined;
    this.#repairCount = 0;
  }

  /**
   * Until `start`, hear nothing: the switch tells who watches of each plain flow-mod of its own too, which takes it as long as the
   * flow-mod itself.
   */
  pause(): void {
    this.stop();
    this.#hasMissed = true;
  }

  /** How long the next comparison may wait. */
  get auditIntervalMs(): number {
    return this.#isWatching && !this.#hasMissed ? LIMITS.watchedAuditIntervalMs : LIMITS.auditIntervalMs;
  }

  /** What was told so far, or was not, is known otherwise: a comparison begins. */
  clear(): void {
    this.#changes.clear();
    this.#needsAudit = false;
    this.#hasMissed = false;
  }

  /** Likewise, of the flows of these operations: they are told, and put right if they are to be. In turns. */
  *forget(operations: readonly Operation[]): Generator<void, void> {
    for (const operation of operations) {
      if (this.#changes.size === 0) return;
      this.#changes.delete(operationKey(operation));
      yield;
    }
  }

  take(): TakenUpdates {
    const taken = { changes: this.#changes, needsAudit: this.#needsAudit };
    this.#changes = new Map();
    this.#needsAudit = false;
    return taken;
  }

  /**
   * Something is being repaired. Whoever undoes each repair at once shall not keep switch and controller busy without end: after
   * LIMITS.driftRepairBurst of them updates are held until the interval is over. Gives whether that has just begun.
   */
  countRepair(nowMs: number): boolean {
    if (nowMs >= this.#intervalEndMs) {
      this.#intervalEndMs = nowMs + LIMITS.driftRepairIntervalMs;
      this.#repairCount = 0;
    }
    this.#repairCount += 1;
    if (this.#repairCount < LIMITS.driftRepairBurst || this.#holdTimer !== undefined) return false;
    this.#holdTimer = setTimeout(() => {
      this.#holdTimer = undefined;
      this.#onUpdate();
    }, this.#intervalEndMs - nowMs);
    return true;
  }

  #receive(message: Message): void {
    if (message.type !== 'multipartReply' || message.body.kind !== 'flowMonitor') return;
    for (const update of message.body.updates) {
      if (update.event === 'abbreviated') continue;
      const { groupDelete, meterDelete } = FLOW_REMOVED_REASONS;
      const isByReference = update.reason === groupDelete || update.reason === meterDelete;
      if (update.event === 'deleted' && isByReference) this.#needsAudit = true;
      this.#changes.set(byteKey(update.flow.table, update.flow.priority, update.matchBytes), update);
    }
    if (this.#changes.size > LIMITS.driftedFlows) {
      this.#changes.clear();
      this.#needsAudit = true;
    }
    if (this.hasUpdates) this.#onUpdate();
  }
}

/**
 * Whether these are the beginning of the bridge's end: so many flows went that it is worth asking, and none is left. To fill it
 * then takes a fraction of what it takes to look at each flow that goes. Rejects with ConnectionClosedError.
 */
export async function isWiped(connection: SwitchConnection, changes: Iterable<Change>): Promise<boolean> {
  let deletedCount = 0;
  for (const { event } of changes) if (event === 'deleted') deletedCount += 1;
  if (deletedCount < LIMITS.wipedFlows) return false;
  const counts = await connection.flowCounts();
  return [...counts.values()].every((count) => count === 0);
}

/** What of the changes the book did not want; in turns (turns.ts). */
export function* findDrift(changes: Iterable<Change>, book: BridgeBook): Generator<void, Drift[]> {
  const encoder = new FlowEncoder();
  const drifts: Drift[] = [];
  for (const change of changes) {
    const drift = driftOf(change, book, encoder);
    if (drift !== undefined) drifts.push(drift);
    yield;
  }
  return drifts;
}

function driftOf(change: Change, book: BridgeBook, encoder: FlowEncoder): Drift | undefined {
  const { flow, event, matchBytes } = change;
  const found = event === 'deleted' ? undefined : change;
  const desired = book.find(flow);
  if (desired === undefined || isUnreadableMatch(change)) {
    const kind = cookieParts(flow.cookie)?.kind;
    if (found === undefined || kind === 'learned' || kind === 'controller') return undefined;
    const { table, priority } = flow;
    const frame = deleteFrame({ table, priority, matchBytes });
    const operation: FlowOperation = { subject: 'flow', kind: 'delete', table, frame };
    return { kind: kind === undefined ? 'foreign' : 'stale', operation, found };
  }
  try {
    encoder.encodeDesired(desired);
  } catch (error) {
    // A flow that no message can carry is refused already, and told so.
    if (error instanceof HeddleError) return undefined;
    throw error;
  }
  if (found !== undefined && isAsDesired(change, encoder)) return undefined;
  encoder.encodeDesired(desired);
  const frame = encoder.take();
  const kind = found === undefined ? 'add' : 'modify';
  const operation: FlowOperation = { subject: 'flow', kind, table: frameTable(frame), frame, desired };
  return { kind: found === undefined ? 'missing' : 'changed', operation, found };
}

/** It holds a field that we do not know: it is none of ours, though what we read of it may look like one. */
function isUnreadableMatch({ flow, unknown, matchBytes }: Change): boolean {
  return unknown !== undefined && Object.keys(flow.match).length === 0 && matchBytes.length > EMPTY_MATCH_SIZE;
}

const EMPTY_MATCH_SIZE = 4;

/** Updates do not tell flags. `encoder` holds the desired flow. */
function isAsDesired({ flow, instructionBytes, unknown }: Change, encoder: FlowEncoder): boolean {
  const { frame } = encoder;
  const isSameOtherwise =
    u16(frame, FRAME.idleTimeout) === (flow.idleTimeoutS ?? 0) &&
    u16(frame, FRAME.hardTimeout) === (flow.hardTimeoutS ?? 0) &&
    new DataView(frame.buffer, frame.byteOffset).getBigUint64(FRAME.cookieHigh) === flow.cookie;
  if (!isSameOtherwise) return false;
  if (sameBytes(encoder.instructionBytes, instructionBytes)) return true;
  if (unknown !== undefined) return false;
  // Another order of bytes may mean the same.
  const wanted = encoder.take();
  encoder.encode({ ...flow, flags: u16(wanted, FRAME.flags) });
  return sameBytes(encoder.frame, wanted);
}
