/** The cookie layout, held against the drawing in cookie.ts. */
import { describe, expect, test } from 'vitest';
import { COOKIE_OURS, cookieOf, cookieParts, originHash } from '../../src/flow/cookie.ts';

describe('cookie', () => {
  test('is laid out as drawn: marker, kind, layout, hash', () => {
    expect(cookieOf('rendered', '', '').toString(16)).toMatch(/^48440101[0-9a-f]{8}$/);
    expect(cookieOf('learned', 'a', 'b').toString(16)).toMatch(/^48440201/);
    expect(cookieOf('controller', 'a', 'b').toString(16)).toMatch(/^48440301/);
  });

  test('tells its parts', () => {
    expect(cookieParts(cookieOf('learned', 'learn', 'host n1'))).toEqual({
      kind: 'learned',
      origin: originHash('learn', 'host n1'),
    });
  });

  test('is the same in every run', () => {
    // Written down: a change of this number is a change of every cookie on every switch, and needs a new layout version.
    expect(cookieOf('rendered', 'fdb', 'port blue2').toString(16)).toMatchInlineSnapshot(`"48440101b3d50df0"`);
  });

  test('rule and object do not run into each other', () => {
    expect(originHash('ab', 'c')).not.toBe(originHash('a', 'bc'));
  });

  test('foreign cookies, other layouts and unknown kinds have no parts', () => {
    for (const cookie of [0n, 0xdeadbeefn, 0x4844_0102_0000_0000n, 0x4844_0901_0000_0000n, 0x4845_0101_0000_0000n]) {
      expect(cookieParts(cookie)).toBeUndefined();
    }
  });

  test('the mask selects all of ours and nothing else', () => {
    for (const kind of ['rendered', 'learned', 'controller'] as const) {
      expect(cookieOf(kind, 'r', 'o') & COOKIE_OURS.mask).toBe(COOKIE_OURS.value);
    }
    expect(0x4845_0101_0000_0000n & COOKIE_OURS.mask).not.toBe(COOKIE_OURS.value);
  });
});
