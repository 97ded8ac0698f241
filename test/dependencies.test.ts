/**
 * What heddle needs of others at run time (requirement R44: few, pinned): these packages and no others, each from one file or two,
 * in package-lock.json with version and checksum, and none that runs anything when it is installed.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = dirname(import.meta.dirname);

/** Package, and the files of src that import it: what replacing it would take. */
const NEEDED = new Map<string, readonly string[]>([
  ['binary-parser', ['src/openflow/struct.ts']],
  ['chokidar', ['src/controller/topology-file.ts']],
  ['commander', ['src/cli/program.ts']],
  ['ipaddr.js', ['src/lib/addresses.ts']],
  ['pino', ['src/lib/log.ts']],
  ['prom-client', ['src/controller/metrics.ts']],
  ['yaml', ['src/topology/yaml.ts']],
  ['zod', ['src/controller/state-store.ts', 'src/topology/kinds.ts']],
]);
/** With what these need themselves. */
const INSTALLED_MAX = 24;

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const read = <T>(path: string): T => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as T;
const { packages } = read<{ readonly packages: Readonly<Record<string, Locked>> }>('package-lock.json');
const installed = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);

test('package.json asks for these, and the lock file for the same', () => {
  const { dependencies } = read<{ readonly dependencies: Readonly<Record<string, string>> }>('package.json');
  expect(Object.keys(dependencies).sort()).toEqual([...NEEDED.keys()]);
  expect(packages['']?.dependencies).toEqual(dependencies);
});

test('each is imported where it says here, and nothing else is', () => {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'src'], { cwd: ROOT, encoding: 'utf8' });
  const importers = new Map<string, string[]>();
  for (const path of files.split('\n').filter((name) => name.endsWith('.ts'))) {
    const source = readFileSync(join(ROOT, path), 'utf8');
    for (const [, specifier = ''] of source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([\w@][\w@./:-]*)'/g)) {
      if (specifier.startsWith('node:')) continue;
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      const known = importers.get(name) ?? [];
      if (!known.includes(path)) importers.set(name, [...known, path].sort());
    }
  }
  expect(Object.fromEntries(importers)).toEqual(Object.fromEntries(NEEDED));
});

test('all that is installed for them is few, pinned by version and checksum, and runs nothing then', () => {
  expect(installed.length).toBeGreaterThanOrEqual(NEEDED.size);
  expect(installed.length).toBeLessThanOrEqual(INSTALLED_MAX);
  for (const [path, { version, integrity, hasInstallScript }] of installed) {
    expect(version, path).toMatch(/^\d+\.\d+\.\d+/);
    expect(integrity, path).toMatch(/^sha512-/);
    expect(hasInstallScript, path).not.toBe(true);
  }
});
