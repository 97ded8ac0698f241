/** The demo's table: what it says of answers that should be there, and of those that should not. */
import { describe, expect, test } from 'vitest';
import { formatMatrix, isRight, type Row } from '../../scripts/support/demo/matrix.ts';

const answer = (rttMs: number | undefined, isExpected = true) => ({ rttMs, isExpected });

const good: Row[] = [
  { name: 'blue1', details: ['node1', '10.0.0.1'], answers: [undefined, answer(0.512), answer(undefined, false)] },
  { name: 'blue2', details: ['node2', '10.0.0.22'], answers: [answer(0.4), undefined, answer(undefined, false)] },
  {
    name: 'red1',
    details: ['node1', '10.0.0.1'],
    answers: [answer(undefined, false), answer(undefined, false), undefined],
  },
];

describe('the ping matrix', () => {
  test('is a table, without colour unless asked', () => {
    expect(isRight(good)).toBe(true);
    expect(formatMatrix(good, { isColoured: false })).toEqual([
      '                         blue1  blue2  red1',
      'blue1  node1  10.0.0.1       -   0.51     ·',
      'blue2  node2  10.0.0.22   0.40      -     ·',
      'red1   node1  10.0.0.1       ·      ·     -',
    ]);
    expect(formatMatrix(good, { isColoured: true }).join('')).toContain('\u001b[32m');
  });

  test.each([
    ['LOST', answer(undefined, true)],
    ['LEAK 0.30', answer(0.3, false)],
  ])('says %s, and that it is wrong', (text, wrong) => {
    const rows: Row[] = [{ name: 'a', details: [], answers: [undefined, wrong] }];
    expect(isRight(rows)).toBe(false);
    expect(formatMatrix(rows, { isColoured: false }).join('\n')).toContain(text);
  });
});
