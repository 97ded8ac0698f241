/** What a person at a terminal reads of the log. */
import { expect, test } from 'vitest';
import { formatLogLine } from '../../src/cli/log-lines.ts';
import { createLogger } from '../../src/lib/log.ts';

const plain = { out: () => undefined, talk: () => undefined, isColoured: false };
const TIME = /^\d\d:\d\d:\d\d\.\d{3} /;

/** What the logger writes, as a terminal shows it. */
function shown(write: (logger: ReturnType<typeof createLogger>) => void, terminal = plain): string[] {
  const lines: string[] = [];
  write(createLogger({ destination: { write: (line) => lines.push(formatLogLine(line, terminal)) } }));
  return lines;
}

test('time, level, place, message, and the rest as key=value', () => {
  const [line = ''] = shown((logger) => logger.info({ host: 'node1', bridge: 'br-int', missing: 11 }, 'compared'));
  expect(line).toMatch(TIME);
  expect(line.replace(TIME, '')).toBe('info  node1 br-int  compared  missing=11\n');
});

test('lists of words are read with commas, what is deeper stays JSON', () => {
  const [line = ''] = shown((logger) => logger.warn({ hosts: ['a', 'b'], origin: { rule: 'fdb' } }, 'started without'));
  expect(line.replace(TIME, '')).toBe('warn  started without  hosts=a, b  origin={"rule":"fdb"}\n');
});

test('colour where the terminal has it', () => {
  const [line = ''] = shown((logger) => logger.error({}, 'no'), { ...plain, isColoured: true });
  expect(line).toContain('\u001b[31merror');
});

test('a line that is no log line stays what it is', () => {
  expect(formatLogLine('(node:1) Warning: x\n', plain)).toBe('(node:1) Warning: x\n');
  expect(formatLogLine('[1]\n', plain)).toBe('[1]\n');
});
