/**
 * Requests of one connection that wait for their replies, by transaction id. Serves connection.ts. Multipart parts are
 * collected, errors reject, deadlines are kept with the caller's clock; there is no timer in here.
 */
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { Message, MessageOf } from './messages.ts';

/** An OFPT_ERROR as an exception. `code` is its name as Open vSwitch spells it: OFPBAC_BAD_OUT_GROUP. */
export class OpenFlowError extends HeddleError {
  readonly xid: number;
  readonly errorType: number;
  readonly errorCode: number;

  constructor(error: MessageOf<'error'>, doing: string) {
    super(error.name, `the switch refused ${doing}: ${error.name}`, { xid: error.xid });
    this.xid = error.xid;
    this.errorType = error.errorType;
    this.errorCode = error.code;
  }
}

/** The connection ended, or had ended before: what was asked of this epoch will never be answered. */
export class ConnectionClosedError extends HeddleError {
  constructor(peer: string, reason: string) {
    super('CONNECTION_CLOSED', `the connection to ${peer} ended: ${reason}`, { peer });
  }
}

interface Pending {
  /** For messages of errors: `a flow dump`. */
  readonly doing: string;
  /** True: parts come as bytes (takeFrame), not as messages. */
  readonly raw: boolean;
  deadlineMs: number;
  parts: Message[];
  frames: Uint8Array[];
  size: number;
  readonly resolve: (pending: Pending) => void;
  readonly reject: (error: Error) => void;
}

/** Xids of messages that have no reply of their own: what the switch says about them goes to `onError`, by index. */
export interface XidRange {
  readonly first: number;
  readonly count: number;
  readonly onError: (index: number, error: MessageOf<'error'>) => void;
}

export class PendingRequests {
  readonly #byXid = new Map<number, Pending>();
  readonly #ranges = new Set<XidRange>();

  get count(): number {
    return this.#byXid.size;
  }

  /** Resolves with every part of the reply. */
  async messages(xid: number, doing: string, nowMs: number): Promise<readonly Message[]> {
    const { parts } = await this.#wait(xid, doing, nowMs, false);
    return parts;
  }

  /** Resolves with every part of a multipart reply as bytes. */
  async frames(xid: number, doing: string, nowMs: number): Promise<readonly Uint8Array[]> {
    const { frames } = await this.#wait(xid, doing, nowMs, true);
    return frames;
  }

  watch(range: XidRange): void {
    this.#ranges.add(range);
  }

  unwatch(range: XidRange): void {
    this.#ranges.delete(range);
  }

  wantsFrame(xid: number): boolean {
    return this.#byXid.get(xid)?.raw === true;
  }

  /** A part of a reply that was asked for as bytes. Gives false when the reply outgrew its bound. */
  takeFrame(xid: number, frame: Uint8Array, more: boolean, nowMs: number): boolean {
    const pending = this.#byXid.get(xid);
    if (pending === undefined) return true;
    pending.frames.push(frame);
    pending.size += frame.length;
    if (pending.size > LIMITS.replySize) return false;
    if (more) this.#extend(xid, pending, nowMs);
    else this.#finish(xid, pending);
    return true;
  }

  /** True: the message answered a request, or was an error of a watched range. */
  take(message: Message, nowMs: number): boolean {
    if (message.type === 'error') return this.#takeError(message);
    const pending = this.#byXid.get(message.xid);
    if (pending === undefined || pending.raw) return false;
    pending.parts.push(message);
    if (message.type === 'multipartReply' && message.more) this.#extend(message.xid, pending, nowMs);
    else this.#finish(message.xid, pending);
    return true;
  }

  /** The earliest deadline; undefined: nothing waits. All requests wait equally long, so the oldest entry has it. */
  get deadlineMs(): number | undefined {
    for (const pending of this.#byXid.values()) return pending.deadlineMs;
    return undefined;
  }

  /** What the oldest request is about, for the line that says it timed out. */
  get oldest(): string {
    for (const pending of this.#byXid.values()) return pending.doing;
    return 'nothing';
  }

  /** The reply came and cannot be read. */
  fail(xid: number, reason: string): void {
    const pending = this.#byXid.get(xid);
    if (pending === undefined) return;
    this.#byXid.delete(xid);
    pending.reject(
      new HeddleError('UNREADABLE_REPLY', `the reply to ${pending.doing} cannot be read: ${reason}`, { xid }),
    );
  }

  rejectAll(error: Error): void {
    const waiting = [...this.#byXid.values()];
    this.#byXid.clear();
    this.#ranges.clear();
    for (const pending of waiting) pending.reject(error);
  }

  #wait(xid: number, doing: string, nowMs: number, raw: boolean): Promise<Pending> {
    return new Promise((resolve, reject) => {
      const deadlineMs = nowMs + LIMITS.requestTimeoutMs;
      this.#byXid.set(xid, { doing, raw, deadlineMs, parts: [], frames: [], size: 0, resolve, reject });
    });
  }

  /** Each part gives the next as long again. To the end of the map, which keeps the order of deadlines. */
  #extend(xid: number, pending: Pending, nowMs: number): void {
    this.#byXid.delete(xid);
    pending.deadlineMs = nowMs + LIMITS.requestTimeoutMs;
    this.#byXid.set(xid, pending);
  }

  #finish(xid: number, pending: Pending): void {
    this.#byXid.delete(xid);
    pending.resolve(pending);
  }

  #takeError(error: MessageOf<'error'>): boolean {
    const pending = this.#byXid.get(error.xid);
    if (pending !== undefined) {
      this.#byXid.delete(error.xid);
      pending.reject(new OpenFlowError(error, pending.doing));
      return true;
    }
    for (const range of this.#ranges) {
      const index = error.xid - range.first;
      if (index >= 0 && index < range.count) {
        range.onError(index, error);
        return true;
      }
    }
    return false;
  }
}
