/** Replies find their requests by xid; parts are collected, errors reject, deadlines are kept. With a clock of our own. */
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { cutFlowDump } from '../../src/openflow/flow-dump.ts';
import type { Message } from '../../src/openflow/messages.ts';
import { PendingRequests } from '../../src/openflow/requests.ts';

const NO_DATA = new Uint8Array(0);

function error(xid: number): Message {
  return { type: 'error', xid, version: 4, errorType: 2, code: 9, name: 'OFPBAC_BAD_OUT_GROUP', data: NO_DATA };
}

function part(xid: number, more: boolean): Message {
  return { type: 'multipartReply', xid, more, body: { kind: 'portDesc', ports: [] } };
}

describe('PendingRequests', () => {
  test('replies in any order find their requests', async () => {
    const requests = new PendingRequests();
    const first = requests.messages(1, 'one', 0);
    const second = requests.messages(2, 'two', 0);
    expect(requests.take({ type: 'barrierReply', xid: 2 }, 5)).toBe(true);
    expect(requests.take({ type: 'barrierReply', xid: 1 }, 5)).toBe(true);
    expect(requests.take({ type: 'barrierReply', xid: 3 }, 5)).toBe(false);
    expect(await second).toEqual([{ type: 'barrierReply', xid: 2 }]);
    expect(await first).toEqual([{ type: 'barrierReply', xid: 1 }]);
    expect(requests.count).toBe(0);
  });

  test('parts are collected until the last, and each gives the next as long again', async () => {
    const requests = new PendingRequests();
    const reply = requests.messages(1, 'a dump', 0);
    expect(requests.deadlineMs).toBe(LIMITS.requestTimeoutMs);
    requests.take(part(1, true), 9_000);
    expect(requests.deadlineMs).toBe(9_000 + LIMITS.requestTimeoutMs);
    requests.take(part(1, false), 9_001);
    expect(await reply).toHaveLength(2);
    expect(requests.deadlineMs).toBeUndefined();
  });

  test('the earliest deadline is told, also after another request got a part', () => {
    const requests = new PendingRequests();
    void requests.messages(1, 'the first', 0);
    void requests.messages(2, 'the second', 100);
    requests.take(part(1, true), 200);
    expect(requests.oldest).toBe('the second');
    expect(requests.deadlineMs).toBe(100 + LIMITS.requestTimeoutMs);
  });

  test('an error rejects its request, by name', async () => {
    const requests = new PendingRequests();
    const reply = requests.messages(1, 'a meter request', 0);
    expect(requests.take(error(1), 1)).toBe(true);
    await expect(reply).rejects.toMatchObject({
      code: 'OFPBAC_BAD_OUT_GROUP',
      message: 'the switch refused a meter request: OFPBAC_BAD_OUT_GROUP',
      xid: 1,
    });
  });

  test('an error of a watched range is told by its place, others are nobody’s', () => {
    const requests = new PendingRequests();
    const told: number[] = [];
    const range = { first: 100, count: 3, onError: (index: number) => told.push(index) };
    requests.watch(range);
    expect([99, 100, 102, 103].map((xid) => requests.take(error(xid), 0))).toEqual([false, true, true, false]);
    expect(told).toEqual([0, 2]);
    requests.unwatch(range);
    expect(requests.take(error(100), 0)).toBe(false);
  });

  test('frames are collected up to a bound', async () => {
    const requests = new PendingRequests();
    const reply = requests.frames(1, 'a flow dump', 0);
    expect([requests.wantsFrame(1), requests.wantsFrame(2)]).toEqual([true, false]);
    expect(requests.takeFrame(1, new Uint8Array(10), true, 1)).toBe(true);
    expect(requests.takeFrame(1, new Uint8Array(20), false, 2)).toBe(true);
    expect((await reply).map(({ length }) => length)).toEqual([10, 20]);

    void requests.frames(3, 'a flow dump', 0);
    const huge = { length: LIMITS.replySize + 1 } as Uint8Array;
    expect(requests.takeFrame(3, huge, true, 1)).toBe(false);
  });

  test('the end of the connection rejects all, an unreadable reply the one', async () => {
    const requests = new PendingRequests();
    const replies = [requests.messages(1, 'one', 0), requests.messages(2, 'two', 0)];
    const outcomes = Promise.allSettled(replies);
    requests.fail(1, 'bad TLV');
    requests.rejectAll(new Error('ended'));
    expect((await outcomes).map((one) => one.status === 'rejected' && one.reason.message)).toEqual([
      'the reply to one cannot be read: bad TLV',
      'ended',
    ]);
    expect(requests.count).toBe(0);
  });
});

describe('cutFlowDump', () => {
  /** Two entries: in_port=1 with one instruction (goto 20), and match-all that drops. */
  const entries = [
    '0048 03 00 00000001 00000002 0005 003c 0009 0001 00000000 4844010112345678 0000000000000000 0000000000000000',
    '0001 000c 80000004 00000001 00000000',
    '0001 0008 14 000000',
    '0038 00 00 00000000 00000000 8000 0000 0000 0000 00000000 0000000000000000 0000000000000000 0000000000000000',
    '0001 0004 00000000',
  ]
    .join('')
    .replaceAll(' ', '');
  const frame = Buffer.from(`04130090000000090001000000000000${entries}`, 'hex');

  test('cuts entries by their lengths and leaves their bytes alone', () => {
    const [first, second, ...rest] = cutFlowDump([frame]);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ table: 3, priority: 5, idleTimeoutS: 60, hardTimeoutS: 9, flags: 1 });
    expect([first?.cookieHigh, first?.cookieLow]).toEqual([0x48440101, 0x12345678]);
    expect(Buffer.from(first?.matchBytes ?? NO_DATA).toString('hex')).toBe('0001000c8000000400000001');
    expect(Buffer.from(first?.instructionBytes ?? NO_DATA).toString('hex')).toBe('0001000814000000');
    expect(second).toMatchObject({ table: 0, priority: 0x8000 });
    expect(second?.instructionBytes).toHaveLength(0);
  });

  test('is cut at each length: whole entries or BAD_FLOW_DUMP, never anything else', () => {
    for (let size = 16; size < frame.length; size += 1) {
      const cut = frame.subarray(0, size);
      if (size === 16 || size === 16 + 0x48) expect(cutFlowDump([cut]).length).toBe(size === 16 ? 0 : 1);
      else expect(() => cutFlowDump([cut])).toThrow(expect.objectContaining({ code: 'BAD_FLOW_DUMP' }));
    }
  });

  test.each([
    ['an entry of length 0', 16, 0x0000],
    ['an entry longer than its part', 16, 0xffff],
    ['a match of length 0', 66, 0x0000],
    ['a match longer than its entry', 66, 0x0100],
  ])('%s is BAD_FLOW_DUMP', (_name, offset, length) => {
    const bad = Buffer.from(frame);
    bad.writeUInt16BE(length, offset);
    expect(() => cutFlowDump([bad])).toThrow(expect.objectContaining({ code: 'BAD_FLOW_DUMP' }));
  });
});
