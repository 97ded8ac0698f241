/**
 * The edge below the channel's state machine: one socket, its timer, its frames and its send queue. Does what the effects of
 * channel.ts say. Serves listener.ts and dialer.ts, which open sockets, and connection.ts, which uses an established one.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../lib/limits.ts';
import {
  type ChannelDropCode,
  type ChannelEffect,
  type ChannelEvent,
  type ChannelState,
  channelStep,
  channelWakeMs,
  type Features,
  INITIAL_CHANNEL,
} from './channel.ts';
import { decodeMessage, encodeMessage } from './codec.ts';
import { FrameCutter } from './frame.ts';
import type { Message, Port } from './messages.ts';
import { SendQueue } from './send-queue.ts';
import { WireError } from './wire-error.ts';

/** What the user of a channel hears. All are called from the socket's own events, never from within a call to `send`. */
export interface ChannelListener {
  established(features: Features, ports: readonly Port[]): void;
  message(message: Message): void;
  /** A whole frame before it is decoded; true: taken, do not decode it. */
  frame(frame: Uint8Array): boolean;
  /** A message was left out because its body cannot be read. */
  unreadable(xid: number, reason: string): void;
  note(reason: string): void;
  /** The earliest time at which `expired` should be called; undefined: none. */
  deadlineMs(): number | undefined;
  /** `deadlineMs` has passed. */
  expired(nowMs: number): void;
  /** Comes once, last. `established` tells whether the handshake had gone through. */
  closed(end: ChannelEnd): void;
}

export interface ChannelEnd {
  readonly code: ChannelDropCode;
  readonly reason: string;
  readonly established: boolean;
}

export interface ChannelSocketOptions {
  readonly socket: Socket;
  readonly listener: ChannelListener;
  readonly nowMs: () => number;
}

export class ChannelSocket {
  readonly #socket: Socket;
  readonly #listener: ChannelListener;
  readonly #nowMs: () => number;
  readonly #queue: SendQueue;
  readonly #cutter = new FrameCutter();
  #state: ChannelState = INITIAL_CHANNEL;
  #established = false;
  /** Milliseconds of work on what was read since the last pause. */
  #busyMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(options: ChannelSocketOptions) {
    this.#socket = options.socket;
    this.#listener = options.listener;
    this.#nowMs = options.nowMs;
    this.#queue = new SendQueue(options.socket, (size) => {
      const reason = `the peer does not read: ${size} bytes wait, the bound is ${LIMITS.sendBufferSize}`;
      // Not from within the caller's send: it goes on believing in a connection, and hears of the end like any other.
      setImmediate(() => this.#destroy('SLOW_READER', reason));
      this.#queue.close();
    });
    options.socket.setNoDelay(true);
    options.socket.on('data', (chunk) => this.#data(chunk));
    options.socket.on('drain', () => this.#queue.drained());
    options.socket.on('error', (error) => this.#destroy('ENDED', error.message));
    options.socket.on('close', () => this.#destroy('ENDED', 'the peer closed the connection'));
    options.socket.on('end', () => this.#destroy('ENDED', 'the peer closed the connection'));
  }

  /** Begin: says HELLO. */
  open(): void {
    this.#step({ type: 'opened' });
  }

  get isOpen(): boolean {
    return this.#state.phase !== 'closed';
  }

  /** Bytes that wait to be sent. */
  get queuedSize(): number {
    return this.#queue.size;
  }

  /** Whole encoded messages; the bytes must not change afterwards. */
  send(bytes: Uint8Array): void {
    this.#queue.bulk(bytes);
  }

  /** A request with an earlier deadline than the timer knows of has been made. */
  rearm(): void {
    this.#armTimer();
  }

  close(code: ChannelDropCode, reason: string): void {
    this.#step({ type: 'ended', code, reason });
  }

  /**
   * A socket with much to read is read many times in one turn of the event loop: a switch that has much to tell would keep all
   * others waiting. So after LIMITS.turnMs of work it pauses until the next turn.
   */
  #data(chunk: Uint8Array): void {
    const startMs = this.#nowMs();
    this.#take(chunk);
    this.#busyMs += this.#nowMs() - startMs;
    if (this.#busyMs < LIMITS.turnMs || !this.isOpen) return;
    this.#busyMs = 0;
    this.#socket.pause();
    setImmediate(() => this.#socket.resume());
  }

  #take(chunk: Uint8Array): void {
    if (!this.isOpen) return;
    try {
      for (const frame of this.#cutter.push(chunk)) {
        if (!this.isOpen) return;
        this.#frame(frame);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#step({ type: 'garbage', reason: error.message });
    }
  }

  #frame(frame: Uint8Array): void {
    if (this.#established && this.#listener.frame(frame)) {
      this.#step({ type: 'heard' });
      return;
    }
    let message: Message;
    try {
      message = decodeMessage(frame);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#step({ type: 'unreadable', reason: error.message });
      if (this.#established) this.#listener.unreadable(frameXid(frame), error.message);
      return;
    }
    this.#step({ type: 'message', message });
  }

  #step(event: ChannelEvent): void {
    const [state, effects] = channelStep(this.#state, event, this.#nowMs());
    this.#state = state;
    for (const effect of effects) {
      this.#apply(effect);
      // The listener ended the connection meanwhile: what is left was said to nobody.
      if (this.#state !== state) return;
    }
    if (this.#timer === undefined) this.#armTimer();
  }

  #apply(effect: ChannelEffect): void {
    switch (effect.type) {
      case 'deliver':
        this.#listener.message(effect.message);
        return;
      case 'send':
        this.#queue.urgent(encodeMessage(effect.message));
        return;
      case 'established':
        this.#established = true;
        this.#listener.established(effect.features, effect.ports);
        return;
      case 'note':
        this.#listener.note(effect.reason);
        return;
      case 'drop':
        this.#drop(effect.code, effect.reason);
        return;
    }
  }

  #drop(code: ChannelDropCode, reason: string): void {
    this.#clearTimer();
    this.#queue.flush();
    this.#queue.close();
    const socket = this.#socket;
    // Of a crowd nobody is told why: those that linger would be more than those that are let in.
    if (code === 'TOO_MANY_HANDSHAKES') socket.destroy();
    if (!socket.destroyed) {
      // A refused peer should still read why; one that does not read must not keep its socket.
      socket.end();
      const timer = setTimeout(() => socket.destroy(), LIMITS.lingerMs);
      socket.once('close', () => clearTimeout(timer));
      socket.resume();
    }
    this.#listener.closed({ code, reason, established: this.#established });
  }

  #destroy(code: ChannelDropCode, reason: string): void {
    if (this.isOpen) this.#step({ type: 'ended', code, reason });
    this.#socket.destroy();
  }

  /**
   * The timer fires early rather than late: what it finds out of date it arms again. After a turn that blocked the loop, what
   * the peer sent meanwhile is read before it is judged silent: timers come before sockets in a turn, setImmediate after.
   */
  #armTimer(): void {
    if (!this.isOpen) return;
    const wakeMs = Math.min(
      channelWakeMs(this.#state) ?? Number.POSITIVE_INFINITY,
      this.#listener.deadlineMs() ?? Number.POSITIVE_INFINITY,
    );
    if (wakeMs === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timerMs <= wakeMs)) return;
    this.#clearTimer();
    this.#timerMs = wakeMs;
    this.#timer = setTimeout(() => setImmediate(() => this.#wake()), Math.max(0, Math.ceil(wakeMs - this.#nowMs())));
  }

  #wake(): void {
    this.#clearTimer();
    if (!this.isOpen) return;
    const nowMs = this.#nowMs();
    const deadlineMs = this.#listener.deadlineMs();
    if (deadlineMs !== undefined && nowMs >= deadlineMs) this.#listener.expired(nowMs);
    this.#step({ type: 'tick' });
    this.#armTimer();
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
  }
}

/** The xid of a frame's header (OpenFlow 1.3.5 §7.1). */
export function frameXid(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength).getUint32(4);
}
