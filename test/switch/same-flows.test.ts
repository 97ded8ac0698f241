/** What of a dump is as the book has it, by bytes (src/switch/same-flows.ts); the rest is for reconcile.test.ts. */
import { describe, expect, test } from 'vitest';
import { BridgeLedger } from '../../src/compiler/book.ts';
import { cookieOf } from '../../src/flow/cookie.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { finish } from '../../src/lib/steps.ts';
import { encodeMessage } from '../../src/openflow/codec.ts';
import { SameFlows } from '../../src/switch/same-flows.ts';

const flowOf = (index: number, port = 2): Flow => ({
  table: 20,
  priority: 2,
  match: { ethDst: 0x02_00_00_00_00_00 + index },
  actions: [{ type: 'output', port }],
  cookie: cookieOf('rendered', 'fdb', `port p${index}`),
});
const desired = (flow: Flow) => ({ flow, origin: { rule: 'fdb', object: 'port p' } });

function bookOf(...flows: readonly Flow[]): BridgeLedger {
  const book = new BridgeLedger('host', 'br-tun');
  book.claimAll(flows.map(desired));
  book.takeChange();
  return book;
}

/** One part of a flow-stats reply. */
function part(...flows: readonly Flow[]): Uint8Array {
  const none = new Uint8Array(0);
  const counters = { durationS: 1, durationNs: 0, packetCount: 3n, byteCount: 5n };
  const stats = flows.map((flow) => ({ flow, matchBytes: none, instructionBytes: none, ...counters }));
  return encodeMessage({ type: 'multipartReply', xid: 1, more: false, body: { kind: 'flow', flows: stats } });
}

function othersOf(book: BridgeLedger, parts: readonly Uint8Array[], withSame = false) {
  const same = new SameFlows(book);
  finish(same.take(parts));
  const others = finish(same.others({ withSame }));
  return {
    wanted: others?.wanted.map(({ flow }) => flow.match.ethDst),
    installed: others?.installed.map(({ cookieLow }) => cookieLow),
    same: others?.same.map(({ flow }) => flow.match.ethDst),
    sameCount: others?.sameCount,
  };
}

const cookieLow = (flow: Flow): number => Number(flow.cookie & 0xffff_ffffn);

describe('flows that are the same', () => {
  test('of a bridge that is right nothing is left', () => {
    const flows = Array.from({ length: 300 }, (_none, index) => flowOf(index));
    const others = othersOf(bookOf(...flows), [part(...flows.slice(0, 100)), part(...flows.slice(100))]);
    expect(others).toEqual({ wanted: [], installed: [], same: [], sameCount: 300 });
  });

  test('are named if somebody asks', () => {
    const book = bookOf(flowOf(1), flowOf(2));
    expect(othersOf(book, [part(flowOf(1))], true)).toMatchObject({
      same: [flowOf(1).match.ethDst],
      wanted: [flowOf(2).match.ethDst],
    });
  });

  test('do not include what differs, is not there, or is nobody’s', () => {
    const book = bookOf(flowOf(1), flowOf(2), flowOf(3));
    const others = othersOf(book, [part(flowOf(1), flowOf(2, 9), flowOf(4))]);
    expect(others).toEqual({
      wanted: [flowOf(2).match.ethDst, flowOf(3).match.ethDst],
      installed: [cookieLow(flowOf(4)), cookieLow(flowOf(2))],
      same: [],
      sameCount: 1,
    });
  });

  test.each([
    ['wrong, then right', [flowOf(1, 9), flowOf(1)], 1, 0],
    ['right, then wrong', [flowOf(1), flowOf(1, 9)], 0, 1],
    ['right twice', [flowOf(1), flowOf(1)], 1, 0],
  ])('of a flow that is dumped twice the last counts: %s', (_name, dumped, sameCount, installed) => {
    const others = othersOf(bookOf(flowOf(1)), [part(...dumped)]);
    expect([others.sameCount, others.installed?.length, others.wanted?.length]).toEqual([
      sameCount,
      installed,
      1 - sameCount,
    ]);
  });

  test('a pass that is under way changes nothing, its end makes what was read void', () => {
    const book = bookOf(flowOf(1), flowOf(2));
    const same = new SameFlows(book);
    const later = book.claimAll([flowOf(3), flowOf(2, 9)].map(desired));
    finish(same.take([part(flowOf(1), flowOf(2), flowOf(3))]));
    const others = finish(same.others({ withSame: false }));
    expect(others).toMatchObject({ sameCount: 2, wanted: [] });
    expect(others?.installed.map((raw) => raw.cookieLow)).toEqual([cookieLow(flowOf(3))]);
    book.releaseAll(later);
    book.takeChange();
    expect(same.isStale).toBe(true);
    expect(finish(same.others({ withSame: false }))).toBeUndefined();
  });
});
