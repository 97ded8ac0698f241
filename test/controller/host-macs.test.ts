/** Host MACs: unique, deterministic, kept for ever (src/controller/host-macs.ts). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateHostMacs } from '../../src/controller/host-macs.ts';
import { macFromText, macToText } from '../../src/lib/addresses.ts';

const BASE = macFromText('fa:16:3f:00:00:00');
const GIVEN = macFromText('fa:16:3f:09:34:f2');

describe('allocateHostMacs', () => {
  it('takes a given MAC, keeps a known one and makes the rest under the base', () => {
    const known = new Map([['node2', GIVEN + 1]]);
    const macs = allocateHostMacs(
      [{ name: 'node1', dvrMac: GIVEN }, { name: 'node2' }, { name: 'node3' }],
      known,
      BASE,
    );
    expect(macs.get('node1')).toBe(GIVEN);
    expect(macs.get('node2')).toBe(GIVEN + 1);
    expect(macToText(macs.get('node3') ?? 0)).toMatch(/^fa:16:3f:/);
  });

  it('never gives a MAC twice, not even one of a host that is gone, whatever the order of hosts', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { maxLength: 30 });
    fc.assert(
      fc.property(names, names, (hosts, gone) => {
        const before = allocateHostMacs(
          gone.map((name) => ({ name })),
          new Map(),
          BASE,
        );
        const requests = hosts.map((name) => ({ name }));
        const macs = allocateHostMacs(requests, before, BASE);
        const all = new Map([...before, ...macs]);
        expect(new Set(all.values()).size).toBe(all.size);
        for (const name of hosts) if (before.has(name)) expect(macs.get(name)).toBe(before.get(name));
        expect(allocateHostMacs(requests.toReversed(), before, BASE)).toEqual(macs);
      }),
    );
  });

  it('does not change a MAC because another host joins, once it is persisted', () => {
    const first = allocateHostMacs([{ name: 'a' }], new Map(), BASE);
    const second = allocateHostMacs([{ name: 'a' }, { name: 'b', dvrMac: first.get('a') ?? 0 }], first, BASE);
    expect(second.get('a')).toBe(first.get('a'));
  });
});
