/**
 * What waits to be sent to one peer: two lanes over one socket. Serves channel-socket.ts.
 *
 * The socket gets no more than it takes without buffering (its high-water mark); the rest waits here, so that an ECHO_REPLY
 * overtakes the megabytes of a bundle, and so that a peer that stops reading is noticed by the size of what waits.
 */
import { LIMITS } from '../lib/limits.ts';

/** The part of a socket that the queue uses. */
export interface SendSink {
  readonly writableLength: number;
  cork(): void;
  uncork(): void;
  /** False: wait for 'drain'. */
  write(bytes: Uint8Array): boolean;
}

/** First in, first out, without moving what remains. */
class Lane {
  #items: Uint8Array[] = [];
  #head = 0;

  push(bytes: Uint8Array): void {
    this.#items.push(bytes);
  }

  shift(): Uint8Array | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AT) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** Sent items that a lane keeps before it forgets them. */
const COMPACT_AT = 1024;

export class SendQueue {
  readonly #sink: SendSink;
  readonly #overflow: (queuedSize: number) => void;
  readonly #urgent = new Lane();
  readonly #bulk = new Lane();
  #queuedSize = 0;
  #scheduled = false;
  #blocked = false;
  #closed = false;

  /** `overflow` is called when more than LIMITS.sendBufferSize waits, the socket's own buffer included. */
  constructor(sink: SendSink, overflow: (queuedSize: number) => void) {
    this.#sink = sink;
    this.#overflow = overflow;
  }

  /** Bytes that wait here and in the socket's buffer. */
  get size(): number {
    return this.#queuedSize + this.#sink.writableLength;
  }

  /** Whole messages, in order with the others of this lane; the bytes are not copied and must not change. */
  bulk(bytes: Uint8Array): void {
    this.#enqueue(this.#bulk, bytes);
  }

  /** Whole messages that go ahead of everything in the bulk lane. */
  urgent(bytes: Uint8Array): void {
    this.#enqueue(this.#urgent, bytes);
  }

  /** The socket takes more: call on 'drain'. */
  drained(): void {
    this.#blocked = false;
    this.flush();
  }

  /** Hand over what the socket takes, now rather than at the end of this turn. */
  flush(): void {
    if (this.#blocked || this.#closed) return;
    this.#sink.cork();
    while (!this.#blocked) {
      const bytes = this.#urgent.shift() ?? this.#bulk.shift();
      if (bytes === undefined) break;
      this.#queuedSize -= bytes.length;
      this.#blocked = !this.#sink.write(bytes);
    }
    this.#sink.uncork();
  }

  /** Nothing is sent or queued any more. */
  close(): void {
    this.#closed = true;
  }

  #enqueue(lane: Lane, bytes: Uint8Array): void {
    if (this.#closed) return;
    lane.push(bytes);
    this.#queuedSize += bytes.length;
    if (this.size > LIMITS.sendBufferSize) {
      this.#overflow(this.size);
      return;
    }
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    // Messages of one turn leave in one system call.
    process.nextTick(() => {
      this.#scheduled = false;
      this.flush();
    });
  }
}
