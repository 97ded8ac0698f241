/**
 * The stored vectors: bytes that Open vSwitch 3.1 made, with the text that it prints of them, and bad ones of our own.
 * test/ovs/wire-vectors.test.ts holds the good ones against a running switch.
 */
import { describe, expect, it } from 'vitest';
import { formatActions, formatFlow } from '../../src/flow/format.ts';
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
import { WireError } from '../../src/openflow/wire-error.ts';
import { hex, vectorsOf } from './second-opinion.ts';

describe('matches', () => {
  it.each(vectorsOf('matches.txt'))('$text', ({ text, bytes }) => {
    const match = decodeMatch(bytes);
    const flow = { table: 0, priority: 0x8000, match, actions: [], cookie: 0n };
    expect(formatFlow(flow).replace(/ ?actions=drop$/, '')).toBe(text);
    // The size of a tunnel option is the switch's to know: it pads with zeros what we write in fewer bytes. A mask of all
    // twelve TCP flags is an exact match.
    const normalised = text.includes('tun_metadata') || hex(bytes).endsWith('ffff55084f4e460000020fff');
    if (!normalised) expect(hex(encodeMatch(match))).toBe(hex(bytes));
    expect(decodeMatch(encodeMatch(match))).toEqual(match);
  });
});

describe('a match that only asks if a tunnel option is there', () => {
  it('is kept', () => {
    const match = { tunMetadata0: { value: 0n, mask: 0n } };
    expect(decodeMatch(encodeMatch(match))).toEqual(match);
  });
});

describe('actions', () => {
  it.each(vectorsOf('actions.txt'))('$text', ({ text, bytes }) => {
    const actions = decodeInstructions(bytes);
    const printed = text.slice(text.indexOf('actions=') + 'actions='.length);
    // Open vSwitch prints nat() inside of exec() where it came after the exec's actions; it means the same.
    if (printed === 'ct(commit,exec(load:0x1->NXM_NX_CT_MARK[],nat(src=1.1.1.1)),alg=tftp)') {
      expect(formatActions(actions)).toBe('ct(commit,nat(src=1.1.1.1),exec(load:0x1->NXM_NX_CT_MARK[]),alg=tftp)');
      return;
    }
    // Without a range there is nothing to choose at random; Open vSwitch keeps the bit and does not print it.
    if (printed === 'ct(commit,nat(src,random))') {
      expect(formatActions(actions)).toBe('ct(commit,nat(src))');
      return;
    }
    expect(formatActions(actions)).toBe(printed);
    expect(hex(encodeInstructions(actions))).toBe(hex(bytes));
  });

  it.each(vectorsOf('unknown-actions.txt'))('that heddle does not know are kept as bytes: $text', ({ bytes }) => {
    expect(() => decodeInstructions(bytes)).toThrow(expect.objectContaining({ code: 'UNKNOWN_ACTION' }));
    const entry = Buffer.concat([Buffer.alloc(48), encodeMatch({}), Buffer.alloc(4), bytes]);
    entry.writeUInt16BE(entry.length, 0);
    const stats = readFlowStats(entry);
    expect(stats.unknown).toMatch(/^action \d+ of experimenter 0x2320/);
    expect(stats.flow).toMatchObject({ match: {}, actions: [] });
    expect(hex(stats.instructionBytes)).toBe(hex(bytes));
  });
});

describe('messages', () => {
  it.each(vectorsOf('messages.txt'))('$text', ({ bytes }) => {
    expect(hex(encodeMessage(decodeMessage(bytes)))).toBe(hex(bytes));
  });

  it('are cut from a stream, byte by byte', () => {
    const all = vectorsOf('messages.txt').map(({ bytes }) => bytes);
    const stream = Buffer.concat(all);
    const cutter = new FrameCutter();
    const cut: string[] = [];
    for (let index = 0; index < stream.length; index++) {
      for (const frame of cutter.push(stream.subarray(index, index + 1))) cut.push(hex(frame));
    }
    expect(cut).toEqual(all.map(hex));
  });

  it.each(vectorsOf('messages.txt'))('cut short anywhere are a WireError: $text', ({ bytes }) => {
    for (let size = 0; size < bytes.length; size++) {
      expect(() => decodeMessage(bytes.subarray(0, size))).toThrow(WireError);
      if (size < 8) continue;
      // With a header that tells the truth about the shorter body: an error of ours or a shorter message, nothing else.
      const shorter = Buffer.from(bytes.subarray(0, size));
      shorter.writeUInt16BE(size, 2);
      try {
        decodeMessage(shorter);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }
  });
});

describe('bad messages', () => {
  it.each(vectorsOf('bad.txt'))('$text', ({ text, bytes }) => {
    const [code] = text.split(' ');
    let thrown: unknown;
    try {
      decodeMessage(bytes);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(WireError);
    expect(thrown).toMatchObject({ code });
    expect((thrown as WireError).offset).toBeLessThanOrEqual(bytes.length);
  });
});
