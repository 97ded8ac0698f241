/**
 * Flows to bytes and back: every flow of every capture and of the text vectors, against what the system's ovs-ofctl sends
 * for the same line and prints of our bytes.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { formatFlow } from '../../src/flow/format.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import { decodeMessage, encodeMatch, encodeMessage } from '../../src/openflow/codec.ts';
import type { MessageOf } from '../../src/openflow/messages.ts';
import { capturedFlows, vectors } from '../flow/second-opinion.ts';
import { hex, printedByOvs, sentByOvs } from './second-opinion.ts';

const LINES = [...capturedFlows().map((line) => line.replace(' actions=', ',actions=')), ...vectors('flows.txt')];

/** Lines of which our values say less than the text, which makes no difference to a switch; everything else is the same. */
const NORMALISED: readonly RegExp[] = [
  // "Has an Ethernet header" is what every flow says that names no packet type.
  /^packet_type=\(0,0\),actions=drop$/,
  /^eth,actions=drop$/,
  // A range of one address or port is that one; without a range there is nothing to choose at random.
  /nat\(src=1\.2\.3\.4:5-5\)/,
  /nat\(dst=fd00::1-fd00::1\)/,
  /nat\(src,random\)/,
  // NXAST_CONTROLLER with all defaults is plain output.
  /controller\(max_len=65535,userdata=\)/,
];

const EMPTY = new Uint8Array(0);

function statsReply(flow: MessageOf<'flowMod'>['flow']): Uint8Array {
  const counters = { durationS: 0, durationNs: 0, packetCount: 0n, byteCount: 0n };
  const stats = { flow, matchBytes: EMPTY, instructionBytes: EMPTY, ...counters };
  return encodeMessage({ type: 'multipartReply', xid: 1, more: false, body: { kind: 'flow', flows: [stats] } });
}

function decodeFlowMod(bytes: Uint8Array): MessageOf<'flowMod'> {
  const message = decodeMessage(bytes);
  if (message.type !== 'flowMod') throw new Error(`${message.type}, where a flow-mod was due`);
  return message;
}

describe('flows of the captures and the text vectors', () => {
  let sent: Uint8Array[] = [];

  beforeAll(async () => {
    sent = await sentByOvs(['add-flows'], ['-'], LINES.map((line) => `${line}\n`).join(''));
  });

  it('are all sent by ovs-ofctl', () => {
    expect(LINES.length).toBeGreaterThan(500);
    expect(sent.length).toBe(LINES.length);
  });

  it('are the same bytes as those of ovs-ofctl', () => {
    const different: string[] = [];
    for (const [index, line] of LINES.entries()) {
      const theirs = sent[index] ?? EMPTY;
      const { xid } = decodeFlowMod(theirs);
      const ours = encodeMessage({ type: 'flowMod', xid, command: 'add', flow: parseFlow(line) });
      if (hex(ours) !== hex(theirs)) different.push(line);
    }
    expect(different.filter((line) => !NORMALISED.some((known) => known.test(line)))).toEqual([]);
    expect(different.length).toBe(NORMALISED.length);
  });

  it('decode to what the line says, and encode again', () => {
    for (const [index, line] of LINES.entries()) {
      const bytes = sent[index] ?? EMPTY;
      const message = decodeFlowMod(bytes);
      expect(formatFlow(message.flow)).toBe(formatFlow(parseFlow(line)));
      if (!NORMALISED.some((known) => known.test(line))) expect(hex(encodeMessage(message))).toBe(hex(bytes));
    }
  });

  it('are printed by ovs-ofctl as we print them', () => {
    const flows = LINES.map((line) => parseFlow(line));
    const printed = printedByOvs(flows.map(statsReply)).map((text) =>
      text
        .slice(text.indexOf('\n') + 2)
        .replace(/duration=[\d.]+s, /, '')
        .replace('n_packets=0, n_bytes=0, ', '')
        .replace('cookie=0x0, ', '')
        .replace('table=0, ', ''),
    );
    expect(printed).toEqual(flows.map((flow) => formatFlow(flow).replace('table=0, ', '')));
  });
});

describe('a match', () => {
  it('has the same bytes whatever order and fields it is written with', () => {
    const bytes = hex(
      encodeMatch({ inPort: 3, ethType: 0x800, ipDscp: 2, reg0: 1, reg1: 5, vlanVid: 0x1005, vlanPcp: 2 }),
    );
    expect(hex(encodeMatch({ vlanTci: 0x5005, xreg0: 0x1_0000_0005n, ipTos: 8, ethType: 0x800, inPortNxm: 3 }))).toBe(
      bytes,
    );
  });

  it('writes a VLAN priority with the bit that says "tagged"', () => {
    expect(hex(encodeMatch({ vlanPcp: 3 }))).toBe('0001001180000d041000100080000e0103');
  });

  it('refuses what OpenFlow 1.3 cannot match', () => {
    const match = { vlanTci: { value: 0x2000, mask: 0x2000 } };
    expect(() => encodeMatch(match)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    expect(() => encodeMatch({ ipProto: 256 })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    expect(() => encodeMatch({ ipProto: 1.5 })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    expect(() => encodeMatch({ ipv6Src: 1n << 128n })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});

describe('a flow that no message can carry', () => {
  it('is refused, and the slab is as before', () => {
    const actions = Array.from({ length: 5000 }, (_, port) => ({ type: 'output', port: port + 1 }) as const);
    const flow = { table: 22, priority: 1, match: {}, actions, cookie: 0n };
    const flowMod = { type: 'flowMod', xid: 1, command: 'add', flow } as const;
    expect(() => encodeMessage(flowMod)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });
});
