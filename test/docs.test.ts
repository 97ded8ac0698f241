/** The documents say what is there: their links lead somewhere, and the map of the house has every room (docs/ARCHITECTURE.md). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTopology } from '../src/topology/load.ts';
import { heddle } from './cli/command-line.ts';

const ROOT = dirname(import.meta.dirname);
const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs')).flatMap((name) => (name.endsWith('.md') ? `docs/${name}` : [])),
];
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

test.each(DOCUMENTS)('every link of %s leads to a file', (document) => {
  const targets = [...read(document).matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
  const lost = targets.filter((target) => !existsSync(join(ROOT, dirname(document), target)));
  expect(lost).toEqual([]);
});

test('every document is linked from another: nobody has to know its name', () => {
  const linked = DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(/\]\((?:docs\/)?([A-Z]+\.md)/g)].map(([, name]) => name),
  );
  const orphans = DOCUMENTS.filter((path) => path !== 'README.md' && !linked.includes(path.replace('docs/', '')));
  expect(orphans).toEqual([]);
});

test('the topology in README.md is a valid one', () => {
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(read('README.md')) ?? [];
  expect(loadTopology(yaml, { file: 'README.md' })).not.toHaveProperty('errors');
  expect(yaml).toContain('hosts:');
});

test('CHANGELOG.md tells of every command that there is', async () => {
  const { out } = await heddle('--help');
  const names = [...out.slice(out.indexOf('Commands:')).matchAll(/^ {2}([a-z][a-z-]*) /gm)].map(
    ([, name = '']) => name,
  );
  expect(names.length).toBeGreaterThan(8);
  const changelog = read('CHANGELOG.md');
  expect(names.filter((name) => name !== 'help' && !changelog.includes(`\`${name}`))).toEqual([]);
});

describe('ARCHITECTURE.md', () => {
  const text = read('docs/ARCHITECTURE.md');

  test('has a row for every folder of src, from the top to the bottom', () => {
    const rooms = [...text.matchAll(/^\| `(\w+)\/` \|/gm)].flatMap(([, name]) => name ?? []);
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? entry.name : [],
    );
    expect([...new Set(rooms)].sort()).toEqual(folders.sort());
    const layers = [
      ...(read('test/tidy.test.ts').match(/const LAYERS = \[([^\]]*)\]/)?.[1] ?? '').matchAll(/'(\w+)'/g),
    ];
    const order = layers.flatMap(([, name]) => (name && name !== 'main' ? name : []));
    expect(rooms.slice(0, folders.length)).toEqual(order);
  });

  test('names files that are there', () => {
    const names = [...text.matchAll(/(?<![\w/*.-])((?:[a-z]+\/)?[a-z][a-z-]*\.ts)\b/g)].flatMap(
      ([, name]) => name ?? [],
    );
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => !files.some((file) => file === name || file.endsWith(`/${name}`)))).toEqual([]);
  });
});
