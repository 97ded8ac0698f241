/**
 * The codec with random values and random bytes: what is written is read back, and nothing but a WireError comes of nonsense.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeInstructions,
  decodeMatch,
  decodeMessage,
  encodeInstructions,
  encodeMatch,
  encodeMessage,
  readFlowStats,
} from '../../src/openflow/codec.ts';
import { FrameCutter } from '../../src/openflow/frame.ts';
import { FLOW_MOD_COMMANDS, type FlowModCommand, type Message } from '../../src/openflow/messages.ts';
import { WireError } from '../../src/openflow/wire-error.ts';
import { arbitraryActions, arbitraryFlow, arbitraryMatch } from '../flow/arbitrary.ts';
import { hex, vectorsOf } from './second-opinion.ts';

const FILES = ['messages.txt', 'bad.txt'];
const VECTORS = FILES.flatMap((file) => vectorsOf(file).map(({ bytes }) => bytes));
/** Types of messages, so that random bodies get beyond the header. */
const TYPES = [0, 1, 4, 6, 10, 11, 12, 13, 14, 15, 16, 18, 19, 24, 27, 28, 29];
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

/** Decode; undefined when it is a WireError. Anything else that is thrown is a defect. */
function tryDecode(bytes: Uint8Array): Message | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    expect(error.offset).toBeLessThanOrEqual(bytes.length);
    return undefined;
  }
}

/** What could be read can be written, and is read again as the same. */
function staysTheSame(message: Message | undefined): void {
  if (message === undefined) return;
  let again: Uint8Array;
  try {
    again = encodeMessage(message);
  } catch (error) {
    // Bits that mean nothing are left out when reading, so that a message that was full may have become longer: only that.
    expect(error).toMatchObject({ code: 'TOO_LARGE' });
    return;
  }
  const second = decodeMessage(again);
  expect(hex(encodeMessage(second))).toBe(hex(again));
}

function withLength(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  if (copy.length >= 4) copy.writeUInt16BE(copy.length, 2);
  return copy;
}

/** As a statement: fast-check takes a value for a verdict. */
function same(left: unknown, right: unknown): void {
  expect(left).toEqual(right);
}

describe('what is written is read back', () => {
  it('matches', () => {
    fc.assert(fc.property(arbitraryMatch(), (match) => same(decodeMatch(encodeMatch(match)), match)));
  });

  it('actions', () => {
    fc.assert(
      fc.property(arbitraryActions, (actions) => same(decodeInstructions(encodeInstructions(actions)), actions)),
    );
  });

  it('flow-mods', () => {
    const commands = fc.constantFrom(...(Object.keys(FLOW_MOD_COMMANDS) as FlowModCommand[]));
    const flowMod = fc.record({
      type: fc.constant('flowMod' as const),
      xid: uint32,
      command: commands,
      flow: arbitraryFlow(),
      cookieMask: uint64,
      bufferId: uint32,
      outPort: uint32,
      outGroup: uint32,
    });
    fc.assert(fc.property(flowMod, (message) => same(decodeMessage(encodeMessage(message)), message)));
  });

  it('flow statistics, in a message and by themselves', () => {
    const counters = { durationS: uint32, durationNs: uint32, packetCount: uint64, byteCount: uint64 };
    const stats = fc.record({ flow: arbitraryFlow(), ...counters }).map(({ flow, ...rest }) => ({
      flow,
      ...rest,
      matchBytes: encodeMatch(flow.match),
      instructionBytes: encodeInstructions(flow.actions),
    }));
    const reply = fc.array(stats, { maxLength: 4 }).map((flows) => ({
      type: 'multipartReply' as const,
      xid: 1,
      more: flows.length > 2,
      body: { kind: 'flow' as const, flows },
    }));
    fc.assert(fc.property(reply, (message) => same(decodeMessage(encodeMessage(message)), message)));
    fc.assert(
      fc.property(stats, (one) => {
        const body = { kind: 'flow', flows: [one] } as const;
        const bytes = encodeMessage({ type: 'multipartReply', xid: 1, more: false, body });
        expect(readFlowStats(bytes.subarray(16))).toEqual(one);
      }),
    );
  });
});

describe('nonsense is a WireError and nothing else', () => {
  it('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => staysTheSame(tryDecode(bytes))),
      { numRuns: 2000 },
    );
  });

  it('random bodies under a right header', () => {
    const message = fc.tuple(fc.constantFrom(...TYPES), fc.uint8Array({ maxLength: 120 })).map(([type, body]) => {
      const bytes = Buffer.alloc(8 + body.length);
      bytes.set([4, type]);
      bytes.set(body, 8);
      return withLength(bytes);
    });
    fc.assert(
      fc.property(message, (bytes) => staysTheSame(tryDecode(bytes))),
      { numRuns: 3000 },
    );
  });

  it('vectors with some bytes changed, cut, repeated or put in', () => {
    const index = fc.nat({ max: 2000 });
    const change = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), at: index, value: fc.nat({ max: 255 }) }),
      fc.record({ kind: fc.constant('cut' as const), at: index, size: fc.nat({ max: 24 }) }),
      fc.record({ kind: fc.constant('put' as const), at: index, data: fc.uint8Array({ maxLength: 24 }) }),
      fc.record({ kind: fc.constant('repeat' as const), at: index, size: fc.nat({ max: 48 }) }),
    );
    const mutated = fc
      .tuple(fc.constantFrom(...VECTORS), fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([bytes, changes, isLengthRight]) => {
        let result = Buffer.from(bytes);
        for (const one of changes) {
          const at = one.at % (result.length + 1);
          if (one.kind === 'set' && at < result.length) result[at] = one.value;
          if (one.kind === 'cut') result = Buffer.concat([result.subarray(0, at), result.subarray(at + one.size)]);
          if (one.kind === 'put') result = Buffer.concat([result.subarray(0, at), one.data, result.subarray(at)]);
          if (one.kind === 'repeat') {
            result = Buffer.concat([
              result.subarray(0, at),
              result.subarray(Math.max(0, at - one.size), at),
              result.subarray(at),
            ]);
          }
        }
        return isLengthRight ? withLength(result) : result;
      });
    fc.assert(
      fc.property(mutated, (bytes) => staysTheSame(tryDecode(bytes))),
      { numRuns: 10_000 },
    );
  });

  it('a stream in chunks of any size gives the same messages', () => {
    const stream = Buffer.concat(vectorsOf('messages.txt').map(({ bytes }) => bytes));
    const whole = [...new FrameCutter().push(stream)].map(hex);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 50 }), (sizes) => {
        const cutter = new FrameCutter();
        const cut: string[] = [];
        let offset = 0;
        for (let turn = 0; offset < stream.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          for (const frame of cutter.push(stream.subarray(offset, offset + size))) cut.push(hex(frame));
          offset += size;
        }
        expect(cut).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });
});
