/** The two lanes of the send queue, over a sink that takes as little as it is told to. */
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { SendQueue, type SendSink } from '../../src/openflow/send-queue.ts';

/** Accepts `room` bytes, then says "wait" as a socket does: the write that goes over the mark is still taken. */
class SlowSink implements SendSink {
  readonly written: string[] = [];
  writableLength = 0;
  readonly #mark: number;

  constructor(mark: number) {
    this.#mark = mark;
  }

  cork(): void {}

  uncork(): void {}

  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.from(bytes).toString());
    this.writableLength += bytes.length;
    return this.writableLength < this.#mark;
  }
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

function noOverflow(): never {
  throw new Error('overflow');
}

describe('SendQueue', () => {
  test('messages of one turn leave together, in order', async () => {
    const sink = new SlowSink(1000);
    const queue = new SendQueue(sink, noOverflow);
    queue.bulk(bytes('a'));
    queue.bulk(bytes('b'));
    expect(sink.written).toEqual([]);
    await new Promise(setImmediate);
    expect(sink.written).toEqual(['a', 'b']);
  });

  test('an urgent message overtakes all that waits', async () => {
    const sink = new SlowSink(2);
    const queue = new SendQueue(sink, noOverflow);
    for (const text of ['b1', 'b2', 'b3']) queue.bulk(bytes(text));
    await new Promise(setImmediate);
    expect(sink.written).toEqual(['b1']);
    queue.urgent(bytes('echo'));
    expect(queue.size).toBe(2 + 4 + 4);
    sink.writableLength = 0;
    queue.drained();
    expect(sink.written).toEqual(['b1', 'echo']);
    sink.writableLength = 0;
    queue.drained();
    expect(sink.written).toEqual(['b1', 'echo', 'b2']);
  });

  test('thousands of messages keep their order', async () => {
    const sink = new SlowSink(64);
    const queue = new SendQueue(sink, noOverflow);
    const texts = Array.from({ length: 5_000 }, (_, index) => `${index};`);
    for (const text of texts) queue.bulk(bytes(text));
    await new Promise(setImmediate);
    while (queue.size > sink.writableLength) {
      sink.writableLength = 0;
      queue.drained();
    }
    expect(sink.written.join('')).toBe(texts.join(''));
  });

  test('more than the bound is told, once it is over, and nothing is taken after close', () => {
    const sink = new SlowSink(1);
    const told: number[] = [];
    const queue = new SendQueue(sink, (size) => told.push(size));
    const half = new Uint8Array(LIMITS.sendBufferSize / 2);
    queue.bulk(half);
    queue.bulk(half);
    expect(told).toEqual([]);
    queue.bulk(bytes('x'));
    expect(told).toEqual([LIMITS.sendBufferSize + 1]);
    queue.close();
    queue.bulk(half);
    queue.flush();
    expect(sink.written).toEqual([]);
  });
});
