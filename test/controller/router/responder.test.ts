/** What routers answer, and to whom. */
import { describe, expect, test } from 'vitest';
import { type RouterQuestion, respond } from '../../../src/controller/router/responder.ts';
import { ipFromText } from '../../../src/lib/addresses.ts';
import { decodePacket } from '../../../src/packet/decode.ts';
import { encodePacket } from '../../../src/packet/encode.ts';
import { ndFrame } from '../../../src/packet/neighbours.ts';
import { ALL_ROUTERS, type Transport } from '../../../src/packet/packet.ts';
import { fromB1, ip4, ip6, MACS, modelOf, show, UDP } from './site.ts';

const answer = (
  packet: Uint8Array,
  question: RouterQuestion,
  further: { routerId?: string; networkId?: string } = {},
) => show(respond(modelOf(), { host: 'node1', ofport: 1, networkId: 'blue', packet, ...further }, question));

const TO_GUEST4 = 'send node1 1: fa:16:3e:01:00:01 > fa:16:3e:0b:00:01 10.0.0.1 > 10.0.0.11';
const TO_GUEST6 = 'send node1 1: fa:16:3e:01:00:01 > fa:16:3e:0b:00:01 fd00::1 > fd00::11';
const TCP: Transport = {
  kind: 'tcp',
  sourcePort: 1,
  destinationPort: 2,
  sequence: 0,
  acknowledgement: 0,
  flags: 2,
  window: 0,
  urgentPointer: 0,
  options: new Uint8Array(),
  data: new Uint8Array(),
};
const GRE: Transport = { kind: 'raw', protocol: 47, bytes: new Uint8Array(8) };
const echo = (kind: 'icmpv4' | 'icmpv6', type: number): Transport => ({
  kind,
  type,
  code: 0,
  rest: 0,
  data: new Uint8Array(8),
});

describe("errors come from the address of the guest's own subnet", () => {
  test.each<[RouterQuestion, string, string]>([
    [{ type: 'timeExceeded' }, 'icmpv4 11/0 0', 'icmpv6 3/0 0'],
    [{ type: 'noRoute' }, 'icmpv4 3/0 0', 'icmpv6 1/0 0'],
    [{ type: 'tooBig', egressNetworkId: 'green' }, 'icmpv4 3/4 1400', 'icmpv6 2/0 1400'],
  ])('$type', (question, text4, text6) => {
    expect(answer(fromB1(ip4('10.0.9.9')), question)).toEqual([`${TO_GUEST4} ${text4}`]);
    expect(answer(fromB1(ip6('fd09::9')), question)).toEqual([`${TO_GUEST6} ${text6}`]);
    // Also where the MAC has been rewritten already, and the register says which router it was.
    const rewritten = fromB1(ip4('10.0.9.9'), UDP, { destination: MACS.g1 });
    expect(answer(rewritten, question, { routerId: 'r1' })).toEqual([`${TO_GUEST4} ${text4}`]);
    expect(answer(rewritten, question)).toEqual(['refused node1 blue: notAttached']);
  });

  test('each of two routers on one network answers for itself', () => {
    const from = (destination: number): string[] =>
      answer(fromB1(ip4('10.0.9.9'), UDP, { destination }), { type: 'timeExceeded' }, { networkId: 'green' });
    expect(from(MACS.r1green)[0]).toContain('fa:16:3e:01:00:02 > fa:16:3e:0b:00:01 10.0.1.1 > 10.0.0.11');
    expect(from(MACS.r2green)[0]).toContain('fa:16:3e:02:00:02 > fa:16:3e:0b:00:01 10.0.1.2 > 10.0.0.11');
  });

  test('a router without an address of the family says nothing', () => {
    const packet = fromB1(ip6('fd09::9'), UDP, { destination: MACS.r1green });
    expect(answer(packet, { type: 'timeExceeded' }, { networkId: 'green' })).toEqual([
      'refused node1 green: notAttached',
    ]);
  });
});

describe('larger than the network that it goes to', () => {
  const TOO_BIG = { type: 'tooBig', egressNetworkId: 'green' } as const;
  const large: Transport = { kind: 'udp', sourcePort: 1, destinationPort: 2, data: new Uint8Array(1422) };
  /** From an MTU of 1450, without "don't fragment". */
  const packetOf = (transport: Transport): Uint8Array => {
    const frame = decodePacket(fromB1(ip4('10.0.1.11'), transport));
    if (frame.payload.kind !== 'ipv4') throw new Error('no IPv4');
    return encodePacket({ ...frame, payload: { ...frame.payload, dontFragment: false, identification: 5 } });
  };

  test('IPv4 that may be cut up goes on in pieces, by the port that it came from', () => {
    const packet = packetOf(large);
    const effects = respond(modelOf(), { host: 'node1', ofport: 1, networkId: 'blue', packet }, TOO_BIG);
    const pieces = effects.map((effect) => {
      if (effect.type !== 'release') throw new Error(effect.type);
      expect(effect).toMatchObject({ host: 'node1', ofport: 1 });
      return decodePacket(effect.packet);
    });
    expect(pieces).toMatchObject([
      { destination: MACS.r1blue, source: MACS.b1, payload: { fragmentOffset: 0, moreFragments: true, ttl: 64 } },
      { destination: MACS.r1blue, source: MACS.b1, payload: { fragmentOffset: 1376, moreFragments: false, ttl: 64 } },
    ]);
  });

  test('what fits by now is dropped, not sent round and round', () => {
    expect(answer(packetOf(UDP), TOO_BIG)).toEqual(['refused node1 blue: known']);
  });
});

describe('to the router itself', () => {
  test.each<[string, Transport, string, string[]]>([
    ['UDP', UDP, '10.0.1.1', [`${TO_GUEST4} icmpv4 3/3 0`]],
    ['UDP (IPv6)', UDP, 'fd00::1', [`${TO_GUEST6} icmpv6 1/4 0`]],
    ['TCP', TCP, '10.0.1.1', ['send node1 1: fa:16:3e:01:00:01 > fa:16:3e:0b:00:01 10.0.1.1 > 10.0.0.11 tcp 20']],
    ['GRE', GRE, '10.0.0.1', [`${TO_GUEST4} icmpv4 3/2 0`]],
    ['GRE (IPv6)', GRE, 'fd00::1', [`${TO_GUEST6} icmpv6 4/1 6`]],
    ['an echo reply', echo('icmpv4', 0), '10.0.0.1', []],
    ['an ICMP error', echo('icmpv4', 3), '10.0.0.1', []],
    ['an ICMPv6 error', echo('icmpv6', 1), 'fd00::1', []],
    [
      'a neighbour advertisement',
      { kind: 'neighborAdvertisement', target: 5n, router: false, solicited: true, override: true, options: [] },
      'fd00::1',
      [],
    ],
  ])('%s', (_what, transport, to, effects) => {
    expect(answer(fromB1(ipFromText(to), transport), { type: 'ownAddress' })).toEqual(effects);
  });
});

describe('router solicitations', () => {
  const solicitation = (source: bigint): Uint8Array =>
    encodePacket(
      ndFrame(
        { source: MACS.b1, destination: 0x3333_0000_0002 },
        { source, destination: ALL_ROUTERS },
        { kind: 'routerSolicitation', options: [] },
      ),
    );

  test('are answered by the port they came from', () => {
    expect(answer(solicitation(ip6('fe80::b1')), { type: 'routerSolicitation' })).toEqual([
      'send node1 1: fa:16:3e:01:00:01 > fa:16:3e:0b:00:01 fe80::f816:3eff:fe01:1 > fe80::b1 advertises 300 s',
    ]);
    expect(answer(solicitation(0n), { type: 'routerSolicitation' })).toEqual([
      'send node1 1: fa:16:3e:01:00:01 > 33:33:00:00:00:01 fe80::f816:3eff:fe01:1 > ff02::1 advertises 300 s',
    ]);
  });

  test('not on a network that advertises nothing', () => {
    expect(answer(solicitation(0n), { type: 'routerSolicitation' }, { networkId: 'green' })).toEqual([]);
    expect(answer(fromB1(ip6('fd00::1')), { type: 'routerSolicitation' })).toEqual([]);
  });
});

describe('no answer', () => {
  test('to bytes that cannot be read', () => {
    for (const type of ['timeExceeded', 'noRoute', 'ownAddress', 'routerSolicitation'] as const) {
      expect(answer(new Uint8Array(13), { type })).toEqual(['refused node1 blue: unreadable']);
    }
  });

  test("to and from a subnet's broadcast address", () => {
    expect(answer(fromB1(ip4('10.0.0.255')), { type: 'timeExceeded' })).toEqual([]);
    const fromAll = fromB1(ip4('10.0.9.9'), UDP, { sourceIp: ip4('10.0.0.255') });
    expect(answer(fromAll, { type: 'timeExceeded' })).toEqual([]);
  });

  test('where the network to go to is no longer there', () => {
    expect(answer(fromB1(ip4('10.0.9.9')), { type: 'tooBig', egressNetworkId: 'red' })).toEqual([
      'refused node1 blue: notAttached',
    ]);
  });
});
