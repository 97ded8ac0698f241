/** Packets to bytes and back: against tcpdump, against ourselves, and against nonsense. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import { decodeHeaders, decodePacket } from '../../src/packet/decode.ts';
import { encodePacket } from '../../src/packet/encode.ts';
import { ALL_NODES, type Frame } from '../../src/packet/packet.ts';
import { PacketError } from '../../src/packet/packet-error.ts';
import { frame, plainFrame, tcpdump } from './arbitraries.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

/** A ping of 10.0.1.11 to 10.0.1.12 in VLAN 5; bytes of `ovs-ofctl compose-packet`, not ours. */
const PING = hex(`
  fa163e62c380 fa163e07395d 8100 0005 0800
  4500 005c 0000 0000 4001 648b 0a00010b 0a00010c
  0800 13fc 0000 0000 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
  2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f`);

function codeOf(bytes: Uint8Array): string {
  try {
    decodePacket(bytes);
    return 'none';
  } catch (error) {
    if (error instanceof PacketError) return error.code;
    throw error;
  }
}

/** What in tcpdump's text says that a checksum is wrong, or that it could not go on. */
const COMPLAINT = /bad|wrong|incorrect|\[\||invalid/;

describe('against tcpdump', () => {
  test('checksums and lengths of random packets are right', () => {
    const frames = fc.sample(plainFrame, { numRuns: 500, seed: 3 });
    const texts = tcpdump(frames.map(encodePacket));
    expect(texts).toHaveLength(frames.length);
    texts.forEach((text, index) => {
      const { payload } = frames[index] as Frame & { payload: { payload: { kind: string } } };
      const verdict = { udp: 'udp sum ok', tcp: '(correct)', icmpv4: 'ICMP' }[payload.payload.kind] ?? 'icmp6 sum ok';
      expect(text).toContain(verdict);
      // tcpdump judges what ICMP errors quote and the contents of ND options too: these are random here.
      const own = payload.payload.kind === 'udp' || payload.payload.kind === 'tcp' ? text : text.split('length')[0];
      expect(own).not.toMatch(/bad cksum|incorrect|wrong|bad icmp6/);
    });
  });

  test('a wrong checksum is one that tcpdump notices', () => {
    const [good = new Uint8Array()] = fc.sample(plainFrame, { numRuns: 1, seed: 5 }).map(encodePacket);
    const broken = good.slice();
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    expect(tcpdump([good, broken]).map((text) => COMPLAINT.test(text))).toEqual([false, true]);
  });
});

describe('round trips', () => {
  test('decode(encode(frame)) is the frame', () => {
    fc.assert(
      fc.property(frame, (one) => {
        expect(decodePacket(encodePacket(one))).toEqual(one);
      }),
      { numRuns: 2000 },
    );
  });

  test('padding behind IP is not part of the packet', () => {
    fc.assert(
      fc.property(plainFrame, fc.uint8Array({ maxLength: 40 }), (one, padding) => {
        expect(decodePacket(Buffer.concat([encodePacket(one), padding]))).toEqual(one);
      }),
    );
  });

  test('headers alone: the same, and what IP carries as bytes', () => {
    fc.assert(
      fc.property(frame, (one) => {
        const bytes = encodePacket(one);
        const headers = decodeHeaders(bytes);
        expect(encodePacket(headers)).toEqual(bytes);
        const { payload } = headers;
        if (payload.kind === 'ipv4' || payload.kind === 'ipv6') expect(payload.payload.kind).toBe('raw');
      }),
    );
  });

  test('a ping that Open vSwitch composed', () => {
    const ping = decodePacket(PING);
    expect(ping).toMatchObject({
      destination: 0xfa163e62c380,
      source: 0xfa163e07395d,
      vlans: [{ id: 5, priority: 0 }],
      payload: { kind: 'ipv4', ttl: 64, dontFragment: false, payload: { kind: 'icmpv4', type: 8, rest: 0 } },
    });
    expect(encodePacket(ping)).toEqual(PING);
  });
});

describe('nonsense', () => {
  test('any bytes give a packet or a PacketError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void codeOf(bytes)),
      { numRuns: 2000 },
    );
  });

  test('so do good frames with bytes changed or cut off', () => {
    const damage = fc.array(fc.record({ at: fc.nat(120), value: fc.integer({ min: 0, max: 255 }) }), { maxLength: 4 });
    fc.assert(
      fc.property(frame, damage, fc.nat(200), (one, changes, size) => {
        const bytes = encodePacket(one).slice(0, size);
        for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
        codeOf(bytes);
      }),
      { numRuns: 5000 },
    );
  });

  test('a packet that is cut short anywhere is noticed', () => {
    for (let size = 0; size < PING.length; size++) expect(codeOf(PING.subarray(0, size))).toBe('PACKET_TRUNCATED');
  });

  const changed = (offset: number, ...values: number[]): Uint8Array => {
    const bytes = PING.slice();
    bytes.set(values, offset);
    return bytes;
  };
  /** ND, or what passes for it, with a right checksum. */
  const nd = (type: number, body: string, { hopLimit = 255, code = 0 } = {}): Uint8Array => {
    const [source, destination] = [0xfe80n << 112n, ALL_NODES];
    const header = { source, destination, trafficClass: 0, flowLabel: 0, hopLimit, extensions: [] };
    const payload = { kind: 'icmpv6', type, code, rest: 0, data: hex(body) } as const;
    return encodePacket({ destination: 1, source: 2, vlans: [], payload: { kind: 'ipv6', ...header, payload } });
  };
  const TARGET = 'fe800000000000000000000000000002';

  test.each([
    ['a header checksum', changed(28, 0), 'PACKET_BAD_CHECKSUM'],
    ['an ICMP checksum', changed(40, 0), 'PACKET_BAD_CHECKSUM'],
    ['version 5', changed(18, 0x55), 'PACKET_BAD_FIELD'],
    ['a header of 16 bytes', changed(18, 0x44), 'PACKET_BAD_FIELD'],
    ['a length below the header', changed(20, 0, 19), 'PACKET_BAD_FIELD'],
    ['a length beyond the frame', changed(20, 0, 0x5d), 'PACKET_TRUNCATED'],
    ['three VLAN tags', hex(`000000000001000000000002 81000001 81000002 81000003 0800`), 'PACKET_TOO_LARGE'],
    ['ARP for tokens', hex(`ffffffffffff000000000002 0806 0004 0800 0604 0001 ${'00'.repeat(20)}`), 'PACKET_BAD_FIELD'],
    ['a good solicitation', nd(135, TARGET), 'none'],
    ['ND after a hop', nd(135, TARGET, { hopLimit: 254 }), 'PACKET_BAD_FIELD'],
    ['ND of another code', nd(135, TARGET, { code: 1 }), 'PACKET_BAD_FIELD'],
    ['ND for a group', nd(135, `ff${TARGET.slice(2)}`), 'PACKET_BAD_FIELD'],
    ['an ND option of no length', nd(133, '0100000000000000'), 'PACKET_BAD_FIELD'],
    ['an ND option beyond the end', nd(133, '0102000000000000'), 'PACKET_TRUNCATED'],
    ['more bytes than any packet', new Uint8Array(LIMITS.packetSize + 1), 'PACKET_TOO_LARGE'],
  ])('%s', (_what, bytes, code) => {
    expect(codeOf(bytes)).toBe(code);
  });

  test('a fragment that would end beyond 65535 bytes (ping of death)', () => {
    const death = encodePacket({
      destination: 1,
      source: 2,
      vlans: [],
      payload: {
        kind: 'ipv4',
        source: 1,
        destination: 2,
        tos: 0,
        identification: 0,
        dontFragment: false,
        moreFragments: false,
        fragmentOffset: 65_528,
        ttl: 1,
        options: new Uint8Array(),
        payload: { kind: 'raw', protocol: 1, bytes: new Uint8Array(100) },
      },
    });
    expect(codeOf(death)).toBe('PACKET_BAD_FIELD');
  });
});
