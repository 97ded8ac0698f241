/** How long a dialer waits before it tries again. */
import { expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { backoffMs } from '../../src/openflow/dialer.ts';

test('the wait doubles up to its bound, and is spread over its upper half', () => {
  const longest = [0, 1, 2, 3, 4, 1_000].map((attempt) => backoffMs(attempt, () => 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  expect(longest[0]).toBe(LIMITS.backoffMinMs);
  expect(longest.at(-1)).toBe(LIMITS.backoffMaxMs);
  expect([0, 3].map((attempt) => backoffMs(attempt, () => 0))).toEqual([500, 4_000]);
});
