/** The state file: written whole or not at all, checked when read (src/controller/state-store.ts). */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  EMPTY_STATE,
  type LivingState,
  readState,
  StateError,
  stateText,
  writeState,
  writeStateSoon,
} from '../../src/controller/state-store.ts';
import { finish } from '../../src/lib/steps.ts';

describe('state store', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'heddle-state-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const STATE = {
    hostMacs: { node1: 'fa:16:3f:00:00:01' },
    portHosts: { blue1: 'node1' },
    zoneNumbers: { meadow: 7 },
    localVlans: { node1: { blue: 1, gone: 2 } },
    gatewayLeads: { meadow: 'node2' },
    outsideNeighbours: [{ host: 'node1', network: 'public', ip: '203.0.113.1', mac: '0e:00:00:00:ee:01' }],
    neighbours: [
      {
        host: 'node1',
        network: 'blue',
        ip: '10.0.0.100',
        mac: 'fa:16:3e:00:00:0b',
        port: 'blue1',
        ofport: 7,
        router: 'meadow',
      },
    ],
    servedAddresses: [
      { host: 'node2', network: 'public', ip: '203.0.113.21', mac: 'fa:16:3e:00:00:21' },
      {
        host: 'node1',
        network: 'public',
        ip: '203.0.113.31',
        mac: 'fa:16:3f:00:00:01',
        connections: { dnatZone: 29, snatZone: 30, fixedIp: '10.0.0.11' },
      },
    ],
    derived: {
      macs: { 'port blue1': 'fa:16:3e:01:02:03' },
      addresses: { 'port blue1 on blue-v4': '10.0.0.7', 'port blue1 on blue-v6': '2001:db8::7' },
    },
  };

  const LIVING: LivingState = {
    ...STATE,
    portHosts: new Map(Object.entries(STATE.portHosts)),
    localVlans: new Map(
      Object.entries(STATE.localVlans).map(([host, vlans]) => [host, new Map(Object.entries(vlans))]),
    ),
  };

  it('starts empty, and gives back what was written, leaving no temporary file', () => {
    const nested = join(directory, 'new');
    expect(readState(nested)).toEqual(EMPTY_STATE);
    writeState(nested, LIVING);
    expect(readState(nested)).toEqual(STATE);
    expect(readdirSync(nested)).toEqual(['state.json']);
  });

  it('is the same when it is written while other work goes on, unless nobody wants it any more', async () => {
    const text = finish(stateText(LIVING));
    await writeStateSoon(directory, text, () => true);
    expect(readState(directory)).toEqual(STATE);
    await writeStateSoon(directory, finish(stateText({ ...LIVING, portHosts: new Map() })), () => false);
    expect(readState(directory)).toEqual(STATE);
    expect(readdirSync(directory)).toEqual(['state.json']);
  });

  it('is made in steps, also where a host or a port has much', () => {
    const portHosts = new Map(Array.from({ length: 1_000 }, (_none, index) => [`port "${index}"`, `node${index}`]));
    const steps = stateText({ ...LIVING, portHosts, derived: { macs: {}, addresses: {} } });
    expect([...steps].length).toBeGreaterThan(10);
    writeState(directory, { ...LIVING, portHosts });
    expect(readState(directory).portHosts).toEqual(Object.fromEntries(portHosts));
  });

  it('reads a file of version 1, which knew no zones', () => {
    const { hostMacs, portHosts, derived } = STATE;
    const earlier = { hostMacs, portHosts, derived };
    writeFileSync(join(directory, 'state.json'), JSON.stringify({ version: 1, ...earlier }));
    expect(readState(directory)).toEqual({ ...EMPTY_STATE, ...earlier });
  });

  it.each([
    ['half a file', '{"version": 1, "hostMacs": {"node1": "fa:'],
    ['a later version', JSON.stringify({ version: 3, ...STATE })],
    ['an absurd MAC', JSON.stringify({ version: 1, ...STATE, hostMacs: { a: 'b' } })],
    ['a number that makes no zones', JSON.stringify({ version: 2, ...STATE, zoneNumbers: { meadow: 16_383 } })],
    ['an absurd address', JSON.stringify({ version: 1, ...STATE, derived: { macs: {}, addresses: { a: '10.0.0' } } })],
  ])('refuses %s and says what to do', (_name, text) => {
    writeFileSync(join(directory, 'state.json'), text);
    expect(() => readState(directory)).toThrow(StateError);
    expect(() => readState(directory)).toThrow(/state\.json: .*; restore it, or move it away/s);
  });

  it('keeps the old file when the new one cannot be written', () => {
    writeState(directory, LIVING);
    writeFileSync(join(directory, 'blocked'), '');
    expect(() => writeState(join(directory, 'blocked'), LIVING)).toThrow(/make it writable or give --state DIR/);
    expect(readState(directory)).toEqual(STATE);
  });

  it('below a directory in which none can be made it says so', () => {
    expect(() => writeState('/proc/heddle/state', LIVING)).toThrow(/STATE_UNWRITABLE|ENOENT/);
  });

  it('makes the directories above', () => {
    const deep = join(directory, 'a', 'b');
    writeState(deep, LIVING);
    expect(readState(deep)).toEqual(STATE);
  });
});
