/** Packets in pieces: the rules of RFC 791 and RFC 8200, and tcpdump's account of the bytes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reassemble } from '../../src/controller/router/reassembler.ts';
import { decodeHeaders } from '../../src/packet/decode.ts';
import { encodePacket } from '../../src/packet/encode.ts';
import { fragmentIpv4, fragmentIpv6 } from '../../src/packet/fragment.ts';
import type { Frame, Ipv4, Ipv6, Transport } from '../../src/packet/packet.ts';
import { tcpdump } from './arbitraries.ts';

const MACS = { source: 0xfa16_3e00_0002, destination: 0xfa16_3e00_0001, vlans: [] } as const;
const dataOf = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, index) => index % 251);
const echo = (kind: 'icmpv4' | 'icmpv6', size: number): Transport => ({
  kind,
  type: kind === 'icmpv4' ? 8 : 128,
  code: 0,
  rest: 0x0001_0002,
  data: dataOf(size),
});
const ipv4 = (changes: Partial<Ipv4> = {}): Frame => ({
  ...MACS,
  payload: {
    kind: 'ipv4',
    source: 0x0a00_000b,
    destination: 0x0a00_0001,
    tos: 0x10,
    identification: 7,
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 33,
    options: new Uint8Array(),
    payload: echo('icmpv4', 1472),
    ...changes,
  },
});
const ipv6 = (size: number): Frame => ({
  ...MACS,
  payload: {
    kind: 'ipv6',
    source: 0xfd00n << 112n,
    destination: (0xfd00n << 112n) + 1n,
    trafficClass: 0,
    flowLabel: 0,
    hopLimit: 64,
    extensions: [],
    payload: echo('icmpv6', size),
  },
});

const packetOf = (bytes: Uint8Array): Ipv4 | Ipv6 => {
  const { payload } = decodeHeaders(bytes);
  if (payload.kind !== 'ipv4' && payload.kind !== 'ipv6') throw new Error('no IP');
  return payload;
};
const ipv4Of = (bytes: Uint8Array): Ipv4 => {
  const packet = packetOf(bytes);
  if (packet.kind !== 'ipv4') throw new Error('no IPv4');
  return packet;
};
const dataIn = (packet: Ipv4 | Ipv6): Uint8Array =>
  packet.payload.kind === 'raw' ? packet.payload.bytes : new Uint8Array();

/** Put together by the reassembler, in the order given. */
function wholeOf(pieces: readonly Uint8Array[]): Uint8Array | undefined {
  let state: Parameters<typeof reassemble>[0] = { partials: new Map() };
  let whole: Uint8Array | undefined;
  for (const packet of pieces) {
    const [next, made] = reassemble(state, { host: 'node1', ofport: 1, networkId: 'blue', packet }, 0);
    state = next;
    whole ??= made?.packet;
  }
  return whole;
}

describe('IPv4', () => {
  test('1500 bytes into a network of 1450, as tcpdump reads it', () => {
    expect(tcpdump(fragmentIpv4(encodePacket(ipv4()), 1450)).map((line) => line.replace(/^.*\(tos/, '(tos'))).toEqual([
      expect.stringMatching(
        /^\(tos 0x10, ttl 33, id 7, offset 0, flags \[\+\], proto ICMP \(1\), length 1444\) 10\.0\.0\.11 > 10\.0\.0\.1: ICMP echo request, id 1, seq 2, length 1424$/,
      ),
      expect.stringMatching(
        /^\(tos 0x10, ttl 33, id 7, offset 1424, flags \[none\], proto ICMP \(1\), length 76\) 10\.0\.0\.11 > 10\.0\.0\.1: ip-proto-1$/,
      ),
    ]);
  });

  test('what fits stays as it is', () => {
    const bytes = encodePacket(ipv4());
    expect(fragmentIpv4(bytes, 1500)).toEqual([bytes]);
  });

  test('a fragment in the middle is followed by others, also its last piece', () => {
    const bytes = encodePacket(
      ipv4({ moreFragments: true, fragmentOffset: 1480, payload: { kind: 'raw', protocol: 17, bytes: dataOf(1480) } }),
    );
    const pieces = fragmentIpv4(bytes, 1450).map(ipv4Of);
    expect(pieces.map(({ fragmentOffset, moreFragments }) => [fragmentOffset, moreFragments])).toEqual([
      [1480, true],
      [1480 + 1424, true],
    ]);
  });

  test('options go into the first piece; those that say so, into all', () => {
    // Record route (7) is for the first alone, loose source routing (0x83) is copied.
    const options = Uint8Array.from([7, 7, 4, 0, 0, 0, 0, 1, 0x83, 7, 4, 10, 0, 0, 9, 0]);
    const pieces = fragmentIpv4(encodePacket(ipv4({ options })), 600).map(ipv4Of);
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces[0]?.options).toEqual(options);
    for (const piece of pieces.slice(1)) {
      expect([...piece.options]).toEqual([0x83, 7, 4, 10, 0, 0, 9, 0]);
    }
  });

  test.each([
    ['without a length', [0x83]],
    ['longer than there is room', [0x83, 40, 4, 0]],
    ['of no length', [0x83, 0, 0, 0]],
  ])('an option %s is not copied', (_what, bytes) => {
    const options = Uint8Array.from([...bytes, ...new Array<number>((4 - (bytes.length % 4)) % 4).fill(0)]);
    const pieces = fragmentIpv4(encodePacket(ipv4({ options })), 600).map(ipv4Of);
    expect(pieces.slice(1).map((piece) => piece.options.length)).toEqual(pieces.slice(1).map(() => 0));
  });

  const cut = fc.record({
    size: fc.integer({ min: 1, max: 5000 }),
    mtu: fc.integer({ min: 68, max: 1600 }),
    wordCount: fc.integer({ min: 0, max: 10 }),
    fragmentOffset: fc.integer({ min: 0, max: 900 }).map((units) => units * 8),
    moreFragments: fc.boolean(),
    seed: fc.uint8Array({ minLength: 40, maxLength: 40 }),
  });

  test('pieces fit, lie one behind the other, and are the whole again, whatever came', () => {
    fc.assert(
      fc.property(cut, ({ size, mtu, wordCount, fragmentOffset, moreFragments, seed }) => {
        const payload = { kind: 'raw', protocol: 17, bytes: dataOf(size) } as const;
        const options = seed.slice(0, 4 * wordCount);
        const pieces = fragmentIpv4(encodePacket(ipv4({ options, fragmentOffset, moreFragments, payload })), mtu);
        let offset = fragmentOffset;
        pieces.forEach((bytes, index) => {
          const piece = ipv4Of(bytes);
          const isLast = index === pieces.length - 1;
          expect(bytes.length - 14).toBeLessThanOrEqual(mtu);
          expect(piece).toMatchObject({ tos: 0x10, identification: 7, ttl: 33, dontFragment: false });
          expect(piece.fragmentOffset).toBe(offset);
          expect(piece.moreFragments).toBe(!isLast || moreFragments);
          if (!isLast) expect(dataIn(piece).length % 8).toBe(0);
          offset += dataIn(piece).length;
        });
        expect(Buffer.concat(pieces.map((bytes) => dataIn(ipv4Of(bytes)))).equals(dataOf(size))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('cut and cut again, in any order, and it is the packet that it was', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6000 }),
        fc.tuple(fc.integer({ min: 576, max: 1500 }), fc.integer({ min: 68, max: 1400 })),
        fc.infiniteStream(fc.nat()),
        (size, [first, second], order) => {
          const bytes = encodePacket(ipv4({ payload: echo('icmpv4', size) }));
          const pieces = fragmentIpv4(bytes, first).flatMap((piece) => fragmentIpv4(piece, second));
          const shuffled = pieces
            .map((piece) => ({ piece, place: order.next().value ?? 0 }))
            .sort((a, b) => a.place - b.place)
            .map(({ piece }) => piece);
          expect(Buffer.compare(wholeOf(shuffled) ?? new Uint8Array(), bytes)).toBe(0);
        },
      ),
    );
  });
});

describe('IPv6', () => {
  test('3000 bytes of echo reply, as tcpdump reads it', () => {
    const lines = tcpdump(fragmentIpv6(encodePacket(ipv6(3000)), 1450, 0x1234));
    expect(lines.map((line) => line.replace(/^.*payload length/, 'payload length'))).toEqual([
      expect.stringMatching(
        /^payload length: 1408\) fd00:: > fd00::1: frag \(0x00001234:0\|1400\) ICMP6, echo request, id 1, seq 2/,
      ),
      expect.stringMatching(/^payload length: 1408\) fd00:: > fd00::1: frag \(0x00001234:1400\|1400\)/),
      expect.stringMatching(/^payload length: 216\) fd00:: > fd00::1: frag \(0x00001234:2800\|208\)/),
    ]);
  });

  test('is the packet that it was when its pieces are together', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6000 }), fc.integer({ min: 1280, max: 1500 }), (size, mtu) => {
        const bytes = encodePacket(ipv6(size));
        const pieces = fragmentIpv6(bytes, mtu, 9);
        for (const piece of pieces) expect(piece.length - 14).toBeLessThanOrEqual(mtu);
        expect(Buffer.compare(wholeOf([...pieces].reverse()) ?? new Uint8Array(), bytes)).toBe(0);
      }),
    );
  });
});
