/** Log lines: what is written, and what is held back when a peer causes too many. */
import { expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { createLogger, LimitedLog } from '../../src/lib/log.ts';

function capture(): { lines: Record<string, unknown>[]; destination: { write(line: string): void } } {
  const lines: Record<string, unknown>[] = [];
  return { lines, destination: { write: (line) => lines.push(JSON.parse(line)) } };
}

test('a line is one JSON object with its level in words and datapath ids in hex', () => {
  const { lines, destination } = capture();
  createLogger({ level: 'info', destination }).child({ bridge: 'br-int' }).info({ dpid: 0xa1n }, 'connected');
  expect(lines).toMatchObject([{ level: 'info', bridge: 'br-int', dpid: '0xa1', msg: 'connected' }]);
});

test('lines below the level are not written', () => {
  const { lines, destination } = capture();
  createLogger({ level: 'warn', destination }).info({}, 'hidden');
  expect(lines).toEqual([]);
});

test('more than a burst of one key is counted, and the count comes with the next line', () => {
  const { lines, destination } = capture();
  let nowMs = 0;
  const limited = new LimitedLog(createLogger({ destination }), () => nowMs);
  for (let index = 0; index < LIMITS.logBurst + 3; index += 1) limited.warn('peer', {}, 'bad peer');
  limited.warn('other', {}, 'other key');
  expect(lines).toHaveLength(LIMITS.logBurst + 1);
  expect(limited.suppressedCount).toBe(3);
  nowMs += LIMITS.logIntervalMs;
  limited.warn('peer', {}, 'bad peer');
  expect(lines.at(-1)).toMatchObject({ msg: 'bad peer', suppressed: 3 });
});
