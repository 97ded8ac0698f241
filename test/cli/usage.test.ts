/** What holds for every command: help with an example, exit statuses, stdout for data and stderr for talk, no colour in a pipe. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { heddle } from './command-line.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
const EXAMPLE = join(ROOT, 'docs', 'examples', 'three-hosts.yaml');

/** Every command, as `heddle --help` lists them. */
async function commands(): Promise<readonly string[]> {
  const { out } = await heddle('--help');
  const list = out.slice(out.indexOf('Commands:'));
  return [...list.matchAll(/^ {2}([a-z][a-z-]*) /gm)].flatMap(([, name]) => (name && name !== 'help' ? name : []));
}

test('every command has a help with an example of its own', async () => {
  const names = await commands();
  expect(names.length).toBeGreaterThanOrEqual(8);
  for (const name of names) {
    const { status, out, talk } = await heddle(name, '--help');
    expect([name, status, talk]).toEqual([name, 0, '']);
    expect(out).toMatch(new RegExp(`Example:\\n {2}\\$ heddle ${name} \\S`));
    // A pipe is as wide as a line: what is longer than this does not fit a screen of 120 either.
    expect(out.split('\n').filter((line) => line.length > 160)).toEqual([]);
  }
});

test('heddle --help shows how to begin, and the version is that of the package', async () => {
  expect((await heddle('--help')).out).toContain('$ heddle check topology.yaml && heddle run topology.yaml');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(await heddle('--version')).toEqual({ status: 0, out: `${version}\n`, talk: '' });
});

test.each([
  [[]],
  [['nonsense']],
  [['check']],
  [['check', 'a.yaml', 'b.yaml']],
  [['check', '--nonsense', 'a.yaml']],
  [['run']],
  [['run', 'a.yaml', '--log-level', 'loud']],
  [['ovsdb', 'unix:/x', 'eat', 'Bridge']],
  [['flows']],
  [['flows', EXAMPLE, '--live']],
  [['flows', '--live']],
  [['flows', EXAMPLE, '--table', 'x']],
  [['flows', EXAMPLE, '--table', '255']],
  [['flows', EXAMPLE, '--ofctl']],
  [['encode']],
  [['decode']],
])('wrong usage exits 2, with talk and without data: %j', async (args) => {
  const { status, out, talk } = await heddle(...args);
  expect([status, out]).toEqual([2, '']);
  expect(talk).toMatch(/heddle/);
});

test.each([
  [['check', '/nonexistent.yaml'], /^heddle: topology \/nonexistent\.yaml: ENOENT.*give the path of a file/],
  [['flows', '/nonexistent.yaml'], /^heddle: topology \/nonexistent\.yaml: /],
  [
    ['status', '--control', '/nonexistent.sock'],
    /^heddle: no controller answers at \/nonexistent\.sock .*is `heddle run` up/,
  ],
  [['flows', '--live', '--host', 'a', '--control', '/nonexistent.sock'], /^heddle: no controller answers/],
  [['ovsdb', 'unix:/nonexistent', 'dump', 'Bridge'], /^heddle: Cannot reach unix:\/nonexistent: /],
  [['ovsdb', 'nonsense', 'dump', 'Bridge'], /^heddle: "nonsense" is no address: .*write tcp:/],
  [['run', '/nonexistent.yaml', '--state', '/nonexistent-state'], /^heddle: topology \/nonexistent\.yaml: /],
])('a finding exits 1, with one line that says what to do: %j', async (args, message) => {
  const { status, out, talk } = await heddle(...args);
  expect([status, out]).toEqual([1, '']);
  expect(talk).toMatch(message);
  expect(talk.trimEnd().split('\n')).toHaveLength(1);
});

describe('the binary', () => {
  test('runs under the Node that the machine has, by npx, from a checkout, without colour in a pipe', async () => {
    // The PATH of a login, not of npm or vitest, which put a Node of their own in front.
    const env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      FORCE_COLOR: '',
    };
    const { stdout, stderr } = await run('npx', ['--no-install', 'heddle', 'check', EXAMPLE], { cwd: ROOT, env });
    expect(stdout).toBe('');
    expect(stderr).toContain(': valid: 3 hosts, 3 networks, ');
    expect(stderr).not.toContain('\u001b[');
  });

  test('takes its exit status from the command, also through the Node that hands over', async () => {
    const failed = await run(join(ROOT, 'bin', 'heddle.js'), ['check', '/nonexistent.yaml']).catch((error) => error);
    expect(failed.code).toBe(1);
    const wrong = await run(join(ROOT, 'bin', 'heddle.js'), ['nonsense']).catch((error) => error);
    expect(wrong.code).toBe(2);
  });

  test('ends quietly when its reader has seen enough', async () => {
    const { stdout, stderr } = await run('bash', ['-o', 'pipefail', '-c', `bin/heddle.js flows ${EXAMPLE} | head -1`], {
      cwd: ROOT,
    });
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toBe('');
  });
});
