/** Where ports are: sightings against the file's word and our memory (src/controller/port-locations.ts). */
import { describe, expect, it } from 'vitest';
import { type LocationRequest, locatePort, Sightings } from '../../src/controller/port-locations.ts';

const known =
  (...hosts: string[]) =>
  (host: string) =>
    hosts.includes(host);

describe('locatePort', () => {
  const cases: readonly [string, Omit<LocationRequest, 'portId'>, string[], string | undefined][] = [
    ['is nowhere without any word of it', { sightings: [] }, [], undefined],
    ['is where the file says while that host is silent', { sightings: [], host: 'a' }, [], 'a'],
    ['is not where the file says when that host shows no such port', { sightings: [], host: 'a' }, ['a'], undefined],
    ['is where it was last while that host is silent', { sightings: [], lastHost: 'b' }, ['a'], 'b'],
    [
      'is where it is seen, whatever the file says',
      { sightings: [{ host: 'b', sequence: 0 }], host: 'a' },
      ['a', 'b'],
      'b',
    ],
    [
      'is on the host that saw it last',
      {
        sightings: [
          { host: 'a', sequence: 1 },
          { host: 'b', sequence: 2 },
        ],
        host: 'a',
      },
      ['a', 'b'],
      'b',
    ],
    [
      'is on the host of the file when two saw it at once',
      {
        sightings: [
          { host: 'a', sequence: 0 },
          { host: 'b', sequence: 0 },
        ],
        host: 'b',
      },
      ['a', 'b'],
      'b',
    ],
    [
      'is on the first by name when nothing else decides',
      {
        sightings: [
          { host: 'b', sequence: 0 },
          { host: 'a', sequence: 0 },
        ],
      },
      ['a', 'b'],
      'a',
    ],
  ];
  it.each(cases)('a port %s', (_name, request, knownHosts, expected) => {
    expect(locatePort({ portId: 'p', ...request }, known(...knownHosts))).toBe(expected);
  });
});

describe('Sightings', () => {
  it('tells which ports changed, and remembers who came last', () => {
    const sightings = new Sightings();
    expect(sightings.isKnown('a')).toBe(false);
    expect([...sightings.update('a', new Set(['p', 'q']))]).toEqual(['p', 'q']);
    expect([...sightings.update('b', new Set())]).toEqual([]);
    expect(sightings.isKnown('b')).toBe(true);
    expect([...sightings.update('b', new Set(['p']))]).toEqual(['p']);
    expect(sightings.of('p')).toEqual([
      { host: 'a', sequence: 0 },
      { host: 'b', sequence: 1 },
    ]);
    expect([...sightings.update('a', new Set(['q']))]).toEqual(['p']);
    expect(sightings.of('p')).toEqual([{ host: 'b', sequence: 1 }]);
    expect([...sightings.forget('a')]).toEqual(['q']);
    expect(sightings.isKnown('a')).toBe(false);
    expect(sightings.of('q')).toEqual([]);
  });
});
