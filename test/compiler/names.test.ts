/** Names and local VLANs, held against what Neutron's agent calls them. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  allocateLocalVlans,
  integrationPatchName,
  physicalPatchName,
  tunnelPortName,
} from '../../src/compiler/names.ts';
import { ipFromText } from '../../src/lib/addresses.ts';

describe('names of ports', () => {
  test('patches to physical bridges', () => {
    expect(integrationPatchName('br-eth2')).toBe('int-br-eth2');
    expect(physicalPatchName('br-ex')).toBe('phy-br-ex');
  });

  test('a name that is too long is cut and made unique', () => {
    const name = integrationPatchName('br-provider-network');
    expect(name).toHaveLength(15);
    expect(name).toBe(`int-br-pr${createHash('sha1').update('br-provider-network').digest('hex').slice(0, 6)}`);
    expect(integrationPatchName('br-provider-netwerk')).not.toBe(name);
  });

  test('tunnels over IPv4 are called by the remote address', () => {
    expect(tunnelPortName('vxlan', ipFromText('192.0.2.2'))).toBe('vxlan-c0000202');
    expect(tunnelPortName('gre', ipFromText('10.0.0.1'))).toBe('gre-0a000001');
  });

  test('tunnels over IPv6 are called by its SHA-1 in base 32', () => {
    // As printed by Python's base64.b32encode(hashlib.sha1(text).digest()).
    expect(tunnelPortName('vxlan', ipFromText('2001:db8::1'))).toBe('vxlan-d3wbibj5t');
    expect(tunnelPortName('geneve', ipFromText('fd00::2'))).toBe('geneve-5xm6hcdi');
  });
});

describe('local VLANs', () => {
  const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 30 });

  test('count up from 1 in order of id', () => {
    expect([...allocateLocalVlans(['red', 'blue', 'green'], new Map())]).toEqual([
      ['blue', 1],
      ['green', 2],
      ['red', 3],
    ]);
  });

  test('are kept, and what is given back is used again, lowest first', () => {
    const kept = new Map([
      ['red', 3],
      ['gone', 1],
      ['green', 2],
    ]);
    expect(new Map(allocateLocalVlans(['red', 'blue', 'green', 'white'], kept))).toEqual(
      new Map([
        ['red', 3],
        ['green', 2],
        ['blue', 1],
        ['white', 4],
      ]),
    );
  });

  test('leave alone what is in use', () => {
    expect(allocateLocalVlans(['blue'], new Map([['blue', 1]]), new Set([1, 2])).get('blue')).toBe(3);
  });

  test('are different for different networks, and never change while they are kept', () => {
    fc.assert(
      fc.property(ids, ids, (before, after) => {
        const first = allocateLocalVlans(before, new Map());
        const second = allocateLocalVlans(after, first);
        expect(new Set(second.values()).size).toBe(new Set(after).size);
        for (const id of after) if (first.has(id)) expect(second.get(id)).toBe(first.get(id));
      }),
    );
  });

  test('run out at 4094', () => {
    const many = Array.from({ length: 4095 }, (_, index) => `net${index}`);
    expect(allocateLocalVlans(many.slice(1), new Map()).size).toBe(4094);
    expect(() => allocateLocalVlans(many, new Map())).toThrow(
      'gets no local VLAN: the host has 4094 networks already; spread its ports over more hosts',
    );
  });
});
