/**
 * Every rule of topology files, with its exact message and place. The cases are in rules/*.cases: after a title a file, and
 * below a line of it each error of that line, as `#! COLUMN PATH: MESSAGE`. What stands there is all there may be.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatTopologyError, loadTopology } from '../../src/topology/load.ts';

const DIRECTORY = join(import.meta.dirname, 'rules');

interface Case {
  readonly title: string;
  /** With the expectations as comments, so that it is read as it stands there. */
  readonly text: string;
  readonly expected: readonly string[];
}

function casesOf(name: string): readonly Case[] {
  const parts = readFileSync(join(DIRECTORY, name), 'utf8').split(/^== /m).slice(1);
  return parts.map((part) => {
    const [title = '', ...lines] = part.split('\n');
    const text = lines.filter((line) => !line.startsWith('#! ')).join('\n');
    const expected: string[] = [];
    let lineNumber = 0;
    for (const line of lines) {
      const found = /^#! (\d+) (.*)$/.exec(line);
      if (found === null) lineNumber++;
      else expected.push(`f:${lineNumber}:${found[1]}: ${(found[2] ?? '').replace(/^: /, '')}`);
    }
    return { title, text, expected };
  });
}

function errorsOf(text: string): readonly string[] {
  const loaded = loadTopology(text, { file: 'f' });
  return 'errors' in loaded ? loaded.errors.map(formatTopologyError) : [];
}

const files = readdirSync(DIRECTORY).filter((name) => name.endsWith('.cases'));

test('there are cases', () => {
  expect(files.flatMap(casesOf).flatMap(({ expected }) => expected).length).toBeGreaterThan(250);
});

describe.each(files)('%s', (name) => {
  test.each(casesOf(name).map((one) => [one.title, one] as const))('%s', (_title, { text, expected }) => {
    expect(errorsOf(text)).toEqual(expected);
  });
});

test('twenty different errors in one file are twenty errors, in the order of the file', () => {
  const [twenty] = casesOf('twenty.cases');
  const loaded = loadTopology(twenty?.text ?? '', { file: 'f' });
  const errors = 'errors' in loaded ? loaded.errors : [];
  expect(errors.length).toBe(20);
  expect(new Set(errors.map(({ message }) => message)).size).toBe(20);
  const places = errors.map(({ line, column }) => line * 1000 + column);
  expect(places).toEqual([...places].sort((left, right) => left - right));
});
