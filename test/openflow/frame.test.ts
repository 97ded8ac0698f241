/**
 * Cutting a stream: what is no OpenFlow is told at its first header, and nothing before it is lost.
 */
import { describe, expect, it } from 'vitest';
import { FrameCutter } from '../../src/openflow/frame.ts';
import { bytesOf, hex } from './second-opinion.ts';

const BARRIER = '0414000800000001';

describe('FrameCutter', () => {
  it.each([
    ['47455420 2f204854', 'BAD_VERSION', 'HTTP'],
    ['00000000 00000000', 'BAD_VERSION', 'zeros'],
    ['07140008 00000001', 'BAD_VERSION', 'a version that OpenFlow does not have'],
    ['04140007 00000001', 'BAD_LENGTH', 'less than a header'],
    ['04140000 00000001', 'BAD_LENGTH', 'no length'],
  ])('refuses %s with %s: %s', (text, code) => {
    const cutter = new FrameCutter();
    const cut: string[] = [];
    const push = (): void => {
      for (const frame of cutter.push(bytesOf(BARRIER + text))) cut.push(hex(frame));
    };
    expect(push).toThrow(expect.objectContaining({ code, offset: 8 }));
    expect(cut).toEqual([BARRIER]);
  });

  it('refuses it too when it comes byte by byte', () => {
    const cutter = new FrameCutter();
    const push = (text: string): unknown[] => [...cutter.push(bytesOf(text))];
    for (const byte of ['04', '14', '00', '07', '00', '00', '00']) expect(push(byte)).toEqual([]);
    expect(() => push('01')).toThrow(expect.objectContaining({ code: 'BAD_LENGTH', offset: 0 }));
  });

  it('has a bound', () => {
    const cutter = new FrameCutter(64);
    expect(() => [...cutter.push(bytesOf('0402004100000001'))]).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });

  it('lets a HELLO of a later version through', () => {
    expect([...new FrameCutter().push(bytesOf('0800000800000001'))].map(hex)).toEqual(['0800000800000001']);
  });

  it('takes a message of the largest size in pieces', () => {
    const message = Buffer.alloc(65_535);
    message.set(bytesOf('0402ffff00000001'));
    const cutter = new FrameCutter();
    expect([...cutter.push(message.subarray(0, 40_000))]).toEqual([]);
    const [frame] = [...cutter.push(message.subarray(40_000))];
    expect(Buffer.compare(frame ?? new Uint8Array(0), message)).toBe(0);
  });
});
