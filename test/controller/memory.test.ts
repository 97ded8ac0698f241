/** What outlives the process (src/controller/memory.ts): kept in values, written soon, complete at the end. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Memory } from '../../src/controller/memory.ts';
import { LIMITS } from '../../src/lib/limits.ts';
import { createLogger, LimitedLog, silentLogger } from '../../src/lib/log.ts';
import { waitFor } from '../support/ovs-sandbox.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-memory-'));
});
afterEach(() => {
  chmodSync(directory, 0o755);
  rmSync(directory, { recursive: true, force: true });
});

const open = (): Memory => new Memory(directory, new LimitedLog(silentLogger));
const written = (): { hostMacs: object; portHosts: object; derived: { macs: object; addresses: object } } =>
  JSON.parse(readFileSync(join(directory, 'state.json'), 'utf8'));

test('the next life knows what this one knew', () => {
  const memory = open();
  memory.rememberHostMac('node1', 0xfa163f000001);
  memory.rememberPortHost('blue1', 'node1');
  memory.rememberPortHost('blue2', 'node2');
  memory.rememberPortHost('blue2', undefined);
  memory.rememberDerived({ macs: { 'port blue1': 'fa:16:3e:00:00:01' }, addresses: { 'port blue1 on a': '10.0.0.9' } });
  memory.close();
  const next = open();
  expect([...next.hostMacs]).toEqual([['node1', 0xfa163f000001]]);
  expect([next.portHost('blue1'), next.portHost('blue2')]).toEqual(['node1', undefined]);
  expect(next.derived).toEqual({
    macs: { 'port blue1': 'fa:16:3e:00:00:01' },
    addresses: { 'port blue1 on a': '10.0.0.9' },
  });
  next.close();
});

test('it is written soon, not only at the end, and not when nothing is new', async () => {
  const memory = open();
  memory.rememberPortHost('blue1', 'node1');
  await waitFor(
    'the file',
    () => {
      try {
        return written();
      } catch {
        return undefined;
      }
    },
    5 * LIMITS.stateWriteIntervalMs,
  );
  writeFileSync(join(directory, 'state.json'), 'touched');
  memory.rememberPortHost('blue1', 'node1');
  memory.rememberDerived({ macs: {}, addresses: {} });
  memory.close();
  expect(readFileSync(join(directory, 'state.json'), 'utf8')).toBe('touched');
});

test('derived values of those that left are kept, and what is derived anew replaces what was', () => {
  const memory = open();
  memory.rememberDerived({ macs: { a: 'fa:16:3e:00:00:01', b: 'fa:16:3e:00:00:02' }, addresses: {} });
  memory.rememberDerived({ macs: { b: 'fa:16:3e:00:00:03' }, addresses: { x: '10.0.0.1' } });
  memory.close();
  expect(written().derived).toEqual({
    macs: { a: 'fa:16:3e:00:00:01', b: 'fa:16:3e:00:00:03' },
    addresses: { x: '10.0.0.1' },
  });
});

test('the longest unused derived values make room, those in use never', () => {
  const memory = open();
  const macs = (prefix: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, 'fa:16:3e:00:00:01']));
  memory.rememberDerived({ macs: macs('old', 10), addresses: {} });
  memory.rememberDerived({ macs: { ...macs('now', LIMITS.heldValues - 5), old3: 'fa:16:3e:00:00:01' }, addresses: {} });
  const held = Object.keys(memory.derived.macs);
  expect(held).toHaveLength(LIMITS.heldValues);
  expect(held.filter((name) => name.startsWith('old'))).toEqual(['old6', 'old7', 'old8', 'old9', 'old3']);
  memory.close();
});

test('of more ports than are remembered, those go whose place was found longest ago', () => {
  const memory = open();
  for (let index = 0; index < LIMITS.portPlaces; index++) memory.rememberPortHost(`port${index}`, 'node1');
  memory.rememberPortHost('port0', 'node2');
  memory.rememberPortHost('late', 'node1');
  expect(['port0', 'port1', 'port2', 'late'].map((id) => memory.portHost(id))).toEqual([
    'node2',
    undefined,
    'node1',
    'node1',
  ]);
  memory.close();
});

test('a directory that cannot be written is told once, and the memory stays', () => {
  const lines: string[] = [];
  const logger = createLogger({ destination: { write: (line: string) => void lines.push(line) } });
  const memory = new Memory(join(directory, 'state'), new LimitedLog(logger));
  writeFileSync(join(directory, 'state'), 'in the way');
  memory.rememberPortHost('blue1', 'node1');
  memory.close();
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'warn',
    msg: 'the state file was not written',
    code: 'STATE_UNWRITABLE',
  });
  expect(memory.portHost('blue1')).toBe('node1');
});
