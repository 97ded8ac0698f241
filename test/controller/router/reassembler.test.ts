/** Fragments to a router's own addresses: put together, and held within bounds. How they are cut: test/packet/fragment.test.ts. */
import { describe, expect, test } from 'vitest';
import { INITIAL_REASSEMBLER, type ReassemblerState, reassemble } from '../../../src/controller/router/reassembler.ts';
import { type RouterPacket, respond } from '../../../src/controller/router/responder.ts';
import { LIMITS } from '../../../src/lib/limits.ts';
import { decodePacket } from '../../../src/packet/decode.ts';
import { encodePacket } from '../../../src/packet/encode.ts';
import { fragmentIpv4, fragmentIpv6 } from '../../../src/packet/fragment.ts';
import type { Ipv4, Transport } from '../../../src/packet/packet.ts';
import { tcpdump } from '../../packet/arbitraries.ts';
import { fromB1, ip4, ip6, modelOf } from './site.ts';

const data = Uint8Array.from({ length: 3000 }, (_, index) => index % 253);
const echo = (kind: 'icmpv4' | 'icmpv6'): Transport => ({
  kind,
  type: kind === 'icmpv4' ? 8 : 128,
  code: 0,
  rest: 0x0005_0001,
  data,
});

/** Of one long echo request each, without DF. */
function piecesOf(identification = 1, changes: Partial<Ipv4> = {}): readonly Uint8Array[] {
  const frame = decodePacket(fromB1(ip4('10.0.0.1'), echo('icmpv4')));
  if (frame.payload.kind !== 'ipv4') throw new Error('no IPv4');
  const payload = { ...frame.payload, dontFragment: false, identification, ...changes };
  return fragmentIpv4(encodePacket({ ...frame, payload }), 1450);
}

class Bench {
  state: ReassemblerState = INITIAL_REASSEMBLER;

  put(
    packet: Uint8Array,
    { nowMs = 0, ...from }: Partial<RouterPacket> & { nowMs?: number } = {},
  ): RouterPacket | undefined {
    const [state, whole] = reassemble(
      this.state,
      { host: 'node1', ofport: 1, networkId: 'blue', packet, ...from },
      nowMs,
    );
    this.state = state;
    return whole;
  }

  /** What comes of several, the last that was whole. */
  putAll(packets: readonly Uint8Array[], from?: Parameters<Bench['put']>[1]): RouterPacket | undefined {
    return packets.map((packet) => this.put(packet, from)).findLast((whole) => whole !== undefined);
  }
}

const piece = (pieces: readonly Uint8Array[], index: number): Uint8Array => {
  const one = pieces[index];
  if (one === undefined) throw new Error(`there is no piece ${index}`);
  return one;
};

describe('a long echo request is answered', () => {
  test('IPv4: in fragments that fit the network, from the address that was asked', () => {
    const whole = new Bench().putAll(piecesOf(77));
    if (whole === undefined) throw new Error('it is not whole');
    const effects = respond(modelOf(), whole, { type: 'ownAddress' });
    const packets = effects.flatMap((effect) => (effect.type === 'send' ? [effect.packet] : []));
    expect(packets.map(({ length }) => length)).toEqual([1458, 1458, 14 + 20 + 160]);
    expect(tcpdump(packets)[0]).toMatch(
      /ttl 64, id 77, offset 0, flags \[\+\], .*10\.0\.0\.1 > 10\.0\.0\.11: ICMP echo reply, id 5, seq 1/,
    );
    const reply = new Bench().putAll(packets);
    const { payload } = decodePacket(reply?.packet ?? new Uint8Array());
    expect(payload).toMatchObject({ kind: 'ipv4', payload: { kind: 'icmpv4', type: 0, rest: 0x0005_0001, data } });
  });

  test('IPv6', () => {
    const whole = new Bench().putAll(fragmentIpv6(fromB1(ip6('fd00::1'), echo('icmpv6')), 1450, 3));
    if (whole === undefined) throw new Error('it is not whole');
    const packets = respond(modelOf(), whole, { type: 'ownAddress' }).flatMap((effect) =>
      effect.type === 'send' ? [effect.packet] : [],
    );
    expect(packets).toHaveLength(3);
    const { payload } = decodePacket(new Bench().putAll(packets)?.packet ?? new Uint8Array());
    expect(payload).toMatchObject({ kind: 'ipv6', hopLimit: 64, payload: { kind: 'icmpv6', type: 129, data } });
  });
});

test('what is no fragment goes through at once', () => {
  const bench = new Bench();
  const packet = fromB1(ip4('10.0.0.1'));
  expect(bench.put(packet)?.packet).toBe(packet);
  expect(bench.state).toBe(INITIAL_REASSEMBLER);
});

describe('parts', () => {
  test('twice are the same as once', () => {
    const bench = new Bench();
    const pieces = piecesOf();
    bench.put(piece(pieces, 0));
    bench.put(piece(pieces, 0));
    expect(bench.putAll(pieces.slice(1))).toBeDefined();
    expect(bench.state.partials.size).toBe(0);
  });

  test('that overlap end the packet', () => {
    const bench = new Bench();
    const pieces = piecesOf();
    bench.put(piece(pieces, 0));
    const frame = decodePacket(piece(pieces, 1));
    if (frame.payload.kind !== 'ipv4') throw new Error('no IPv4');
    const shifted = { ...frame.payload, fragmentOffset: frame.payload.fragmentOffset - 8 };
    expect(bench.put(encodePacket({ ...frame, payload: shifted }))).toBeUndefined();
    expect(bench.state.partials.size).toBe(0);
    expect(bench.putAll(pieces.slice(1))).toBeUndefined();
  });

  test('behind the last one end the packet', () => {
    const bench = new Bench();
    const pieces = piecesOf();
    const frame = decodePacket(piece(pieces, 1));
    if (frame.payload.kind !== 'ipv4') throw new Error('no IPv4');
    bench.put(encodePacket({ ...frame, payload: { ...frame.payload, moreFragments: false } }));
    expect(bench.put(piece(pieces, 2))).toBeUndefined();
    expect(bench.state.partials.size).toBe(0);
  });

  test.each<[string, Parameters<Bench['put']>[1], readonly Uint8Array[]]>([
    ['another guest', { ofport: 2 }, piecesOf()],
    ['another host', { host: 'node2' }, piecesOf()],
    ['another packet', {}, piecesOf(2)],
    ['another source', {}, piecesOf(1, { source: ip4('10.0.0.12') })],
    ['another destination', {}, piecesOf(1, { destination: ip4('10.0.1.1') })],
  ])('of %s are not mixed in', (_what, from, others) => {
    const bench = new Bench();
    const pieces = piecesOf();
    bench.put(piece(pieces, 0));
    expect(bench.putAll(others.slice(1), from)).toBeUndefined();
    expect(bench.putAll(pieces.slice(1))).toBeDefined();
  });
});

describe('bounds', () => {
  test('of time: what is not whole in time is forgotten', () => {
    const bench = new Bench();
    const pieces = piecesOf();
    bench.put(piece(pieces, 0));
    expect(bench.putAll(pieces.slice(1), { nowMs: LIMITS.reassemblyTimeoutMs })).toBeUndefined();
    expect(bench.putAll(pieces, { nowMs: LIMITS.reassemblyTimeoutMs + 1 })).toBeDefined();
  });

  test("of one guest's packets: its own oldest makes way, nobody else's", () => {
    const bench = new Bench();
    bench.put(piece(piecesOf(9999), 0), { ofport: 2 });
    for (let id = 0; id <= LIMITS.reassembledPacketsPerPort; id++) bench.put(piece(piecesOf(id), 0));
    expect(bench.state.partials.size).toBe(LIMITS.reassembledPacketsPerPort + 1);
    expect(bench.putAll(piecesOf(0).slice(1))).toBeUndefined();
    expect(bench.putAll(piecesOf(LIMITS.reassembledPacketsPerPort).slice(1))).toBeDefined();
    expect(bench.putAll(piecesOf(9999).slice(1), { ofport: 2 })).toBeDefined();
  });

  test('of packets and bytes in all, whatever guests send', () => {
    const bench = new Bench();
    const long = { kind: 'raw', protocol: 17, bytes: new Uint8Array(65_400) } as const;
    const [large] = fragmentIpv4(
      encodePacket(withPacket({ dontFragment: false, identification: 1, moreFragments: true, payload: long })),
      65_500,
    );
    for (let ofport = 1; ofport <= 2 * LIMITS.reassembledPackets; ofport++) {
      bench.put(piece(piecesOf(), 0), { ofport });
      if (ofport % 2 === 0 && large !== undefined) bench.put(large, { ofport });
      const { partials } = bench.state;
      expect(partials.size).toBeLessThanOrEqual(LIMITS.reassembledPackets);
      const size = [...partials.values()].reduce((sum, one) => sum + one.size, 0);
      expect(size).toBeLessThanOrEqual(LIMITS.reassembledSize);
    }
  });

  function withPacket(changes: Partial<Ipv4>) {
    const frame = decodePacket(fromB1(ip4('10.0.0.1')));
    if (frame.payload.kind !== 'ipv4') throw new Error('no IPv4');
    return { ...frame, payload: { ...frame.payload, ...changes } };
  }
});
