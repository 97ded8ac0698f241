/** The state file: written whole or not at all, checked when read (src/controller/state-store.ts). */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_STATE, readState, StateError, writeState } from '../../src/controller/state-store.ts';

describe('state store', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'heddle-state-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const STATE = { hostMacs: { node1: 'fa:16:3f:00:00:01' }, portHosts: { blue1: 'node1' } };

  it('starts empty, and gives back what was written, leaving no temporary file', () => {
    const nested = join(directory, 'new');
    expect(readState(nested)).toEqual(EMPTY_STATE);
    writeState(nested, STATE);
    expect(readState(nested)).toEqual(STATE);
    expect(readdirSync(nested)).toEqual(['state.json']);
  });

  it.each([
    ['half a file', '{"version": 1, "hostMacs": {"node1": "fa:'],
    ['a later version', '{"version": 2, "hostMacs": {}, "portHosts": {}}'],
    ['an absurd MAC', '{"version": 1, "hostMacs": {"a": "b"}, "portHosts": {}}'],
  ])('refuses %s and says what to do', (_name, text) => {
    writeFileSync(join(directory, 'state.json'), text);
    expect(() => readState(directory)).toThrow(StateError);
    expect(() => readState(directory)).toThrow(/state\.json: .*; restore it, or move it away/s);
  });

  it('keeps the old file when the new one cannot be written', () => {
    writeState(directory, STATE);
    writeFileSync(join(directory, 'blocked'), '');
    expect(() => writeState(join(directory, 'blocked'), STATE)).toThrow(/make room or give --state DIR/);
    expect(readState(directory)).toEqual(STATE);
  });
});
