/** Addresses from text to values and back, held against Node and the tools of the system; what is no address is refused. */
import { execFileSync } from 'node:child_process';
import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ipFromText,
  ipToText,
  linkLocalOf,
  macFromText,
  macToText,
  prefixContains,
  prefixFromText,
  prefixMask,
  prefixToText,
} from '../../src/lib/addresses.ts';

const badAddress = expect.objectContaining({ code: 'BAD_ADDRESS' });

describe('MAC addresses', () => {
  it('are 48 bits', () => {
    expect(macFromText('fa:16:3e:00:00:01')).toBe(0xfa163e000001);
    expect(macFromText('FF:FF:FF:FF:FF:FF')).toBe(0xffffffffffff);
    expect(macToText(0x00163e0000ff)).toBe('00:16:3e:00:00:ff');
  });

  it.each([
    '',
    'fa:16:3e:00:00',
    'fa:16:3e:00:00:0g',
    'fa-16-3e-00-00-01',
    'fa:16:3e:00:00:01:02',
    ' fa:16:3e:00:00:01',
  ])('refuse %j', (text) => {
    expect(() => macFromText(text)).toThrow(badAddress);
  });
});

describe('IP addresses', () => {
  it('are numbers for IPv4 and bigints for IPv6', () => {
    expect(ipFromText('255.255.255.255')).toBe(0xffffffff);
    expect(ipFromText('10.0.0.1')).toBe(0x0a000001);
    expect(ipFromText('fd00::1')).toBe((0xfd00n << 112n) | 1n);
    expect(ipFromText('::')).toBe(0n);
    expect(ipFromText('::ffff:10.0.0.1')).toBe(0xffff0a000001n);
  });

  it.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '0x0a.0.0.1',
    '10.0.0.1/8',
    ':::',
    'fd00::1::',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7:8:9',
    'blue',
  ])('refuse %j', (text) => {
    expect(() => ipFromText(text)).toThrow(badAddress);
  });

  it('are printed as ovs-ofctl prints them', () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.constant(0), fc.constant(0xffff), fc.nat(0xffff)), {
      minLength: 8,
      maxLength: 8,
    });
    const random = fc.sample(groups, { numRuns: 300, seed: 1 });
    const addresses = random.map((parts) => parts.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n));
    addresses.push(0n, 1n, 0x10000n, 0x1_0000_0000n, 0xffff_0a00_0001n, (1n << 128n) - 1n);
    const texts = addresses.map(ipToText);
    for (const [index, text] of texts.entries()) {
      expect(isIPv6(text), text).toBe(true);
      expect(ipFromText(text)).toBe(addresses[index]);
    }
    const wanted = addresses.map((address) => {
      const hex = address.toString(16).padStart(32, '0');
      return hex.replace(/(....)(?=.)/g, '$1:');
    });
    const printed = execFileSync('ovs-ofctl', ['-O', 'OpenFlow13', 'parse-flows', '-'], {
      input: wanted.map((text) => `ipv6,actions=set_field:${text}->ipv6_dst\n`).join(''),
      encoding: 'utf8',
    });
    const theirs = [...printed.matchAll(/set_field:(\S+)->ipv6_dst/g)].map((found) => found[1]);
    expect(texts).toEqual(theirs);
  });

  it('come back from their text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (ip) => {
        expect(isIPv4(ipToText(ip))).toBe(true);
        expect(ipFromText(ipToText(ip))).toBe(ip);
      }),
    );
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (ip) => ipFromText(ipToText(ip)) === ip));
  });
});

describe('prefixes', () => {
  it('are parsed, with host bits cleared', () => {
    expect(prefixFromText('10.0.0.0/24')).toEqual({ address: 0x0a000000, length: 24 });
    expect(prefixFromText('10.0.0.77/24')).toEqual({ address: 0x0a000000, length: 24 });
    expect(prefixFromText('255.255.255.255')).toEqual({ address: 0xffffffff, length: 32 });
    expect(prefixFromText('0.0.0.0/0')).toEqual({ address: 0, length: 0 });
    expect(prefixFromText('fd00::7/64')).toEqual({ address: 0xfd00n << 112n, length: 64 });
    expect(prefixToText(prefixFromText('fd00::7/64'))).toBe('fd00::/64');
    expect(prefixToText(prefixFromText('10.0.0.1'))).toBe('10.0.0.1/32');
  });

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/255.0.0.0', 'fd00::/129', '/24'])(
    'refuse %j',
    (text) => {
      expect(() => prefixFromText(text)).toThrow(badAddress);
    },
  );

  it('contain their addresses and none of the other family', () => {
    const blue = prefixFromText('200.0.0.0/24');
    expect(prefixContains(blue, ipFromText('200.0.0.255'))).toBe(true);
    expect(prefixContains(blue, ipFromText('200.0.1.0'))).toBe(false);
    expect(prefixContains(prefixFromText('0.0.0.0/0'), ipFromText('::'))).toBe(false);
    expect(prefixContains(prefixFromText('::/0'), ipFromText('fd00::1'))).toBe(true);
    expect(prefixContains(prefixFromText('fd00::/64'), ipFromText('fd00:0:0:1::'))).toBe(false);
  });

  it('have a mask', () => {
    expect(ipToText(prefixMask(prefixFromText('10.0.0.0/24')))).toBe('255.255.255.0');
    expect(ipToText(prefixMask(prefixFromText('0.0.0.0/0')))).toBe('0.0.0.0');
    expect(ipToText(prefixMask(prefixFromText('10.0.0.1')))).toBe('255.255.255.255');
    expect(ipToText(prefixMask(prefixFromText('fd00::/64')))).toBe('ffff:ffff:ffff:ffff::');
  });
});

it('the link-local address of a MAC address is its modified EUI-64', () => {
  expect(ipToText(linkLocalOf(macFromText('fa:16:3e:11:22:33')))).toBe('fe80::f816:3eff:fe11:2233');
  expect(ipToText(linkLocalOf(macFromText('02:00:00:00:00:01')))).toBe('fe80::ff:fe00:1');
});
