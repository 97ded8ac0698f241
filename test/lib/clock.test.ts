/**
 * Clocks jump: nothing that waits, times out or backs off may look at the time of day. All of src uses monotonic clocks; the time of
 * day is for people to read, and each place that shows it stands here.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = dirname(dirname(import.meta.dirname));
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'src/*.ts'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '');

/** Path to what the time of day is for there. */
const SHOWN = new Map([
  ['src/cli/log-lines.ts', 'a line of the log says when'],
  ['src/cli/run.ts', 'status says when the file was read'],
]);

const TIME_OF_DAY = /\bDate\.now\b|\bnew Date\b|\bperformance\.timeOrigin\b|\bDate\(/;

test('only what people read is the time of day', () => {
  expect(files.length).toBeGreaterThan(100);
  const found = files.filter((path) => TIME_OF_DAY.test(readFileSync(join(ROOT, path), 'utf8')));
  expect(found).toEqual([...SHOWN.keys()]);
});

test('the rule would notice', () => {
  for (const text of ['Date.now()', 'new Date()', 'performance.timeOrigin']) expect(text).toMatch(TIME_OF_DAY);
  expect('performance.now()').not.toMatch(TIME_OF_DAY);
});
