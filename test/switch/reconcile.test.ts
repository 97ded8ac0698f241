/** The comparison of a dump with a book, on dumps made by hand: what OVS itself dumps is in test/ovs/. */
import { describe, expect, test } from 'vitest';
import { cookieOf } from '../../src/flow/cookie.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { decodeMessage } from '../../src/openflow/codec.ts';
import { cutFlowDump, type RawFlow } from '../../src/openflow/flow-dump.ts';
import type { DesiredFlow } from '../../src/pipeline/origin.ts';
import { FlowEncoder } from '../../src/switch/flow-bytes.ts';
import { type Difference, reconcile } from '../../src/switch/reconcile.ts';

const COOKIE = cookieOf('rendered', 'fdb', 'port p1');

const FLOW: Flow = {
  table: 20,
  priority: 2,
  match: { inPort: 1, ethDst: 0x02_00_00_00_00_01 },
  actions: [{ type: 'output', port: 2 }],
  cookie: COOKIE,
};

function desired(flow: Flow = FLOW): DesiredFlow {
  return { flow, origin: { rule: 'fdb', object: 'port p1' } };
}

interface Parts {
  readonly match?: string;
  readonly instructions?: string;
}

/** A dump of one flow; `parts` are other bytes (hex) for its match or its instructions. */
function dumped(flow: Flow, parts: Parts = {}): RawFlow {
  const encoder = new FlowEncoder();
  encoder.encode(flow);
  const match = parts.match === undefined ? Buffer.from(encoder.matchBytes) : Buffer.from(parts.match, 'hex');
  const instructions =
    parts.instructions === undefined ? encoder.instructionBytes : Buffer.from(parts.instructions, 'hex');
  const head = Buffer.alloc(64);
  const pad = Buffer.alloc((8 - (match.length % 8)) % 8);
  const frame = Buffer.concat([head, match, pad, instructions]);
  frame.set([4, 19], 0);
  frame.writeUInt16BE(frame.length, 2);
  frame.writeUInt16BE(1, 8);
  frame.writeUInt16BE(frame.length - 16, 16);
  frame.writeUInt8(flow.table, 18);
  frame.writeUInt16BE(flow.priority, 28);
  frame.writeUInt16BE(flow.idleTimeoutS ?? 0, 30);
  frame.writeUInt16BE(flow.hardTimeoutS ?? 0, 32);
  frame.writeUInt16BE(flow.flags ?? 0, 34);
  frame.writeBigUInt64BE(flow.cookie, 40);
  const [raw] = cutFlowDump([frame]);
  if (raw === undefined) throw new Error('no flow');
  return raw;
}

function counts({ missing, changed, stale, foreign, learnedCount, sameCount }: Difference): Record<string, number> {
  const lists = { missing: missing.length, changed: changed.length, stale: stale.length, foreign: foreign.length };
  return { ...lists, learned: learnedCount, same: sameCount };
}

const NOTHING = { missing: 0, changed: 0, stale: 0, foreign: 0, learned: 0, same: 0 };
/** in_port=1 and eth_dst in the other order. */
const REORDERED = '00010016 80000606020000000001 8000000400000001'.replaceAll(' ', '');

/** apply_actions(output:2) as it is written for a flow-mod. */
const OUTPUT_2 = '000400180000000000000010000000020000000000000000';

describe('reconcile', () => {
  test.each<[string, DesiredFlow[], RawFlow[], Partial<typeof NOTHING>]>([
    ['nothing and nothing', [], [], {}],
    ['a flow and the same', [desired()], [dumped(FLOW)], { same: 1 }],
    ['a flow and nothing', [desired()], [], { missing: 1 }],
    ['other actions', [desired()], [dumped({ ...FLOW, actions: [] })], { changed: 1 }],
    ['another cookie', [desired()], [dumped({ ...FLOW, cookie: COOKIE + 1n })], { changed: 1 }],
    [
      'another cookie in its upper half',
      [desired()],
      [dumped({ ...FLOW, cookie: COOKIE ^ (1n << 63n) })],
      { changed: 1 },
    ],
    ['another idle timeout', [desired()], [dumped({ ...FLOW, idleTimeoutS: 1 })], { changed: 1 }],
    ['another hard timeout', [desired()], [dumped({ ...FLOW, hardTimeoutS: 1 })], { changed: 1 }],
    ['a flag that the switch keeps', [desired()], [dumped({ ...FLOW, flags: 1 })], { changed: 1 }],
    ['flags that it does not keep', [desired({ ...FLOW, flags: 2 | 4 })], [dumped(FLOW)], { same: 1 }],
    ['another priority', [desired()], [dumped({ ...FLOW, priority: 3 })], { missing: 1, stale: 1 }],
    ['another table', [desired()], [dumped({ ...FLOW, table: 21 })], { missing: 1, stale: 1 }],
    ['a flow of nobody’s', [], [dumped({ ...FLOW, cookie: 0x55n })], { foreign: 1 }],
    ['a learned flow', [], [dumped({ ...FLOW, cookie: cookieOf('learned', 'learn', 'x') })], { learned: 1 }],
    [
      'a learned flow in the place of a desired one',
      [desired()],
      [dumped({ ...FLOW, cookie: cookieOf('learned', 'learn', 'x') })],
      { changed: 1 },
    ],
    ['the match in another order', [desired()], [dumped(FLOW, { match: REORDERED })], { same: 1 }],
    [
      'the match in another order, and other actions',
      [desired()],
      [dumped({ ...FLOW, actions: [] }, { match: REORDERED })],
      { changed: 1 },
    ],
    [
      'the match in another order, and another cookie',
      [desired()],
      [dumped({ ...FLOW, cookie: 7n }, { match: REORDERED })],
      { changed: 1 },
    ],
    [
      'instructions in another order',
      [desired({ ...FLOW, actions: [...FLOW.actions, { type: 'goto', table: 30 }] })],
      [dumped(FLOW, { instructions: `000100081e000000${OUTPUT_2}` })],
      { same: 1 },
    ],
    [
      'an action that we do not know, in the place of a desired flow',
      [desired()],
      [dumped(FLOW, { instructions: '0004001800000000ffff00100000abcd0001000000000000' })],
      { changed: 1 },
    ],
  ])('%s', (_name, wanted, installed, expected) => {
    expect(counts(reconcile(wanted, installed))).toEqual({ ...NOTHING, ...expected });
  });

  test('each desired flow is compared once, whatever else is on the switch', () => {
    const flows = Array.from({ length: 100 }, (_, index) => ({ ...FLOW, match: { inPort: index + 1 } }));
    const difference = reconcile(
      flows.slice(0, 80).map(desired),
      flows.slice(20).map((flow) => dumped(flow)),
    );
    expect(counts(difference)).toEqual({ ...NOTHING, missing: 20, same: 60, stale: 20 });
    expect(
      new Set(difference.stale.map(({ installed }) => Buffer.from(installed?.matchBytes ?? []).toString('hex'))).size,
    ).toBe(20);
  });

  test('what must go is deleted strictly, by table, priority and match alone, whatever it holds', () => {
    const unknown = dumped(
      { ...FLOW, cookie: 0x55n },
      { instructions: '0004001800000000ffff00100000abcd0001000000000000' },
    );
    const [operation] = reconcile([], [unknown]).foreign;
    expect(operation && decodeMessage(operation.frame)).toMatchObject({
      type: 'flowMod',
      command: 'deleteStrict',
      flow: { table: 20, priority: 2, match: FLOW.match, actions: [], cookie: 0n },
    });
  });

  test('a flow that no message can carry is refused by name, and the others are compared', () => {
    const actions = Array.from({ length: 6_000 }, () => ({ type: 'output', port: 2 }) as const);
    const difference = reconcile([desired({ ...FLOW, priority: 9, actions }), desired()], [dumped(FLOW)]);
    expect(counts(difference)).toEqual({ ...NOTHING, same: 1 });
    expect(difference.refused).toMatchObject([{ error: { code: 'TOO_LARGE' }, desired: { flow: { priority: 9 } } }]);
  });
});
