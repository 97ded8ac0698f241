/** What the builders make, as tcpdump reads it, and when they make nothing. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ipFromText, macFromText, prefixFromText } from '../../src/lib/addresses.ts';
import { decodePacket } from '../../src/packet/decode.ts';
import { encodePacket } from '../../src/packet/encode.ts';
import { type IcmpErrorReason, icmpError } from '../../src/packet/icmp-error.ts';
import {
  arpReply,
  arpRequest,
  claimOf,
  gratuitousArp,
  neighborAdvertisement,
  neighborSolicitation,
} from '../../src/packet/neighbours.ts';
import type { Frame, Ipv4, Ipv6, Transport, Udp } from '../../src/packet/packet.ts';
import { routerAdvertisement } from '../../src/packet/router-advertisement.ts';
import { tcpReset } from '../../src/packet/tcp-reset.ts';
import { frame, tcpdump } from './arbitraries.ts';

const ROUTER_MAC = macFromText('fa:16:3e:00:00:01');
const GUEST_MAC = macFromText('fa:16:3e:00:00:02');
const ip4 = (text: string): number => Number(ipFromText(text));
const ip6 = (text: string): bigint => BigInt(ipFromText(text));
const dump = (one: Frame): string => tcpdump([encodePacket(one)])[0] ?? '';

describe('ARP and neighbour discovery', () => {
  const question = { senderMac: ROUTER_MAC, senderIp: ip4('10.0.0.1'), targetIp: ip4('10.0.0.9') };
  const question6 = { senderMac: ROUTER_MAC, senderIp: ip6('fd00::1'), targetIp: ip6('fd00::12:3456') };

  test.each([
    [
      'ARP request',
      arpRequest(question),
      'fa:16:3e:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Ethernet (len 6), IPv4 (len 4), Request who-has 10.0.0.9 tell 10.0.0.1, length 28',
    ],
    [
      'ARP request to one',
      arpRequest({ ...question, targetMac: GUEST_MAC }),
      'fa:16:3e:00:00:01 > fa:16:3e:00:00:02, ethertype ARP (0x0806), length 42: Ethernet (len 6), IPv4 (len 4), Request who-has 10.0.0.9 (fa:16:3e:00:00:02) tell 10.0.0.1, length 28',
    ],
    [
      'ARP reply',
      arpReply({ senderMac: ROUTER_MAC, senderIp: ip4('10.0.0.1'), targetMac: GUEST_MAC, targetIp: ip4('10.0.0.9') }),
      'fa:16:3e:00:00:01 > fa:16:3e:00:00:02, ethertype ARP (0x0806), length 42: Ethernet (len 6), IPv4 (len 4), Reply 10.0.0.1 is-at fa:16:3e:00:00:01, length 28',
    ],
    [
      'gratuitous ARP',
      gratuitousArp({ mac: GUEST_MAC, ip: ip4('10.0.0.9') }),
      'fa:16:3e:00:00:02 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Ethernet (len 6), IPv4 (len 4), Request who-has 10.0.0.9 tell 10.0.0.9, length 28',
    ],
    [
      'gratuitous ARP reply',
      gratuitousArp({ mac: GUEST_MAC, ip: ip4('10.0.0.9'), as: 'reply' }),
      'fa:16:3e:00:00:02 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Ethernet (len 6), IPv4 (len 4), Reply 10.0.0.9 is-at fa:16:3e:00:00:02, length 28',
    ],
    [
      'neighbour solicitation',
      neighborSolicitation(question6),
      'fa:16:3e:00:00:01 > 33:33:ff:12:34:56, ethertype IPv6 (0x86dd), length 86: (hlim 255, next-header ICMPv6 (58) payload length: 32) fd00::1 > ff02::1:ff12:3456: [icmp6 sum ok] ICMP6, neighbor solicitation, length 32, who has fd00::12:3456 source link-address option (1), length 8 (1): fa:16:3e:00:00:01 0x0000: fa16 3e00 0001',
    ],
    [
      'neighbour solicitation to one',
      neighborSolicitation({ ...question6, targetMac: GUEST_MAC }),
      'fa:16:3e:00:00:01 > fa:16:3e:00:00:02, ethertype IPv6 (0x86dd), length 86: (hlim 255, next-header ICMPv6 (58) payload length: 32) fd00::1 > fd00::12:3456: [icmp6 sum ok] ICMP6, neighbor solicitation, length 32, who has fd00::12:3456 source link-address option (1), length 8 (1): fa:16:3e:00:00:01 0x0000: fa16 3e00 0001',
    ],
    [
      'neighbour advertisement, unsolicited',
      neighborAdvertisement({ mac: GUEST_MAC, target: ip6('fd00::9'), router: false }),
      'fa:16:3e:00:00:02 > 33:33:00:00:00:01, ethertype IPv6 (0x86dd), length 86: (hlim 255, next-header ICMPv6 (58) payload length: 32) fd00::9 > ff02::1: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, tgt is fd00::9, Flags [override] destination link-address option (2), length 8 (1): fa:16:3e:00:00:02 0x0000: fa16 3e00 0002',
    ],
    [
      'neighbour advertisement in answer',
      neighborAdvertisement({
        mac: ROUTER_MAC,
        target: ip6('fd00::1'),
        router: true,
        asker: { mac: GUEST_MAC, ip: ip6('fd00::9') },
      }),
      'fa:16:3e:00:00:01 > fa:16:3e:00:00:02, ethertype IPv6 (0x86dd), length 86: (hlim 255, next-header ICMPv6 (58) payload length: 32) fd00::1 > fd00::9: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, tgt is fd00::1, Flags [router, solicited, override] destination link-address option (2), length 8 (1): fa:16:3e:00:00:01 0x0000: fa16 3e00 0001',
    ],
  ])('%s', (_what, one, text) => {
    expect(dump(one)).toBe(text);
  });

  test('what a frame claims: replies, announcements and advertisements; not requests, probes, or groups', () => {
    const claim = { ip: ip4('10.0.0.9'), mac: GUEST_MAC };
    expect(claimOf(gratuitousArp(claim))).toEqual(claim);
    expect(claimOf(gratuitousArp({ ...claim, as: 'reply' }))).toEqual(claim);
    expect(claimOf(arpRequest(question))).toBeUndefined();
    expect(claimOf(gratuitousArp({ mac: GUEST_MAC, ip: 0 }))).toBeUndefined();
    expect(claimOf(gratuitousArp({ mac: macFromText('01:00:5e:00:00:01'), ip: 5 }))).toBeUndefined();
    const advertisement = neighborAdvertisement({ mac: GUEST_MAC, target: ip6('fd00::9'), router: false });
    expect(claimOf(advertisement)).toEqual({ ip: ip6('fd00::9'), mac: GUEST_MAC });
    expect(claimOf(neighborSolicitation(question6))).toBeUndefined();
    expect(claimOf({ ...advertisement, payload: withoutOptions(advertisement) })?.mac).toBe(GUEST_MAC);
  });

  function withoutOptions({ payload }: Frame): Ipv6 {
    if (payload.kind !== 'ipv6' || payload.payload.kind !== 'neighborAdvertisement')
      throw new Error('no advertisement');
    return { ...payload, payload: { ...payload.payload, options: [] } };
  }
});

describe('router advertisements', () => {
  const prefix = prefixFromText('fd00:1::/64');
  const dnsServers = [ip6('fd00::53')];
  const common = { mac: ROUTER_MAC, mtu: 1450, lifetimeS: 300 };

  test.each([
    ['slaac', 'Flags [none]', 'Flags [onlink, auto]', true],
    ['dhcpv6-stateless', 'Flags [other stateful]', 'Flags [onlink, auto]', false],
    ['dhcpv6-stateful', 'Flags [managed]', 'Flags [onlink]', false],
  ] as const)('%s', (raMode, flags, prefixFlags, tellsDns) => {
    const text = dump(routerAdvertisement({ ...common, subnets: [{ prefix, raMode, dnsServers }] }));
    expect(text).toContain('fa:16:3e:00:00:01 > 33:33:00:00:00:01');
    expect(text).toContain('fe80::f816:3eff:fe00:1 > ff02::1: [icmp6 sum ok] ICMP6, router advertisement');
    expect(text).toContain(`hop limit 64, ${flags}, pref medium, router lifetime 300s`);
    expect(text).toContain('source link-address option (1), length 8 (1): fa:16:3e:00:00:01');
    expect(text).toContain('mtu option (5), length 8 (1): 1450');
    expect(text).toContain(
      `prefix info option (3), length 32 (4): fd00:1::/64, ${prefixFlags}, valid time 2592000s, pref. time 604800s`,
    );
    expect(text.includes('rdnss option (25), length 24 (3): lifetime 300s, addr: fd00::53')).toBe(tellsDns);
  });

  test('to the one who solicited', () => {
    const to = { mac: GUEST_MAC, ip: ip6('fe80::2') };
    const text = dump(routerAdvertisement({ ...common, subnets: [{ prefix, raMode: 'slaac', dnsServers: [] }], to }));
    expect(text).toContain('fa:16:3e:00:00:01 > fa:16:3e:00:00:02');
    expect(text).toContain('> fe80::2:');
  });
});

const UDP: Udp = { kind: 'udp', sourcePort: 40_000, destinationPort: 9, data: new Uint8Array(1000) };

function ipv4(changes: Partial<Ipv4> = {}, macs: Partial<Frame> = {}): Frame {
  return {
    destination: ROUTER_MAC,
    source: GUEST_MAC,
    vlans: [],
    ...macs,
    payload: {
      kind: 'ipv4',
      source: ip4('10.0.0.9'),
      destination: ip4('10.0.1.9'),
      tos: 0,
      identification: 7,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 1,
      options: new Uint8Array(),
      payload: UDP,
      ...changes,
    },
  };
}

function ipv6(changes: Partial<Ipv6> = {}, macs: Partial<Frame> = {}): Frame {
  return {
    destination: ROUTER_MAC,
    source: GUEST_MAC,
    vlans: [],
    ...macs,
    payload: {
      kind: 'ipv6',
      source: ip6('fd00::9'),
      destination: ip6('fd01::9'),
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 1,
      extensions: [],
      payload: { ...UDP, data: new Uint8Array(2000) },
      ...changes,
    },
  };
}

const FROM4 = { ip: ip4('10.0.0.1'), mac: ROUTER_MAC };
const FROM6 = { ip: ip6('fd00::1'), mac: ROUTER_MAC };
const error = (offending: Frame, reason: IcmpErrorReason = 'hostUnreachable'): Frame | undefined =>
  icmpError(encodePacket(offending), {
    reason,
    from: offending.payload.kind === 'ipv6' ? FROM6 : FROM4,
    ...(reason === 'tooBig' ? { mtu: 1400 } : {}),
  });

describe('ICMP errors', () => {
  test.each<[IcmpErrorReason, string, string]>([
    ['networkUnreachable', 'ICMP net 10.0.1.9 unreachable', 'unreachable route fd01::9'],
    ['hostUnreachable', 'ICMP host 10.0.1.9 unreachable', 'unreachable address fd01::9'],
    ['protocolUnreachable', 'ICMP 10.0.1.9 protocol 17 unreachable', 'parameter problem, next header - octet 6'],
    ['portUnreachable', 'ICMP 10.0.1.9 udp port 9 unreachable', 'unreachable port, fd01::9 udp port 9'],
    ['tooBig', 'ICMP 10.0.1.9 unreachable - need to frag (mtu 1400)', 'packet too big, mtu 1400'],
    ['timeExceeded', 'ICMP time exceeded in-transit', 'time exceeded in-transit'],
  ])('%s', (reason, text4, text6) => {
    const dumped4 = dump(error(ipv4(), reason) ?? ipv4());
    expect(dumped4).toContain('fa:16:3e:00:00:01 > fa:16:3e:00:00:02');
    expect(dumped4).toContain(`10.0.0.1 > 10.0.0.9: ${text4}, length 556`);
    expect(dumped4).toContain('length 576)');
    expect(dumped4).not.toMatch(/bad cksum|wrong icmp cksum/);
    const dumped6 = dump(error(ipv6(), reason) ?? ipv6());
    expect(dumped6).toContain('fd00::1 > fd00::9: [icmp6 sum ok] ICMP6');
    expect(dumped6).toContain(text6);
    expect(dumped6).toContain('payload length: 1240)');
  });

  test('quote the packet as it was, without padding, and go back with its VLAN tag', () => {
    const vlans = [{ etherType: 0x8100, id: 5, priority: 0, dropEligible: false }];
    const offending = ipv4({ payload: { ...UDP, data: new Uint8Array([1, 2, 3]) } }, { vlans });
    const bytes = encodePacket(offending);
    const answer = icmpError(Buffer.concat([bytes, new Uint8Array(20)]), { reason: 'hostUnreachable', from: FROM4 });
    expect(answer?.vlans).toEqual(vlans);
    expect(answer?.payload).toMatchObject({ payload: { data: bytes.slice(18) } });
  });

  test('the pointer of a parameter problem passes over extension headers', () => {
    const options = { kind: 'options', protocol: 60, body: new Uint8Array(14) } as const;
    const fragment = { kind: 'fragment', offset: 0, moreFragments: false, identification: 1 } as const;
    const pointer = (extensions: Ipv6['extensions']): unknown =>
      error(ipv6({ extensions }), 'protocolUnreachable')?.payload;
    expect(pointer([options])).toMatchObject({ payload: { rest: 40 } });
    expect(pointer([fragment, options])).toMatchObject({ payload: { rest: 48 } });
    expect(pointer([options, fragment])).toMatchObject({ payload: { rest: 56 } });
  });

  const icmp4 = (type: number): Transport => ({ kind: 'icmpv4', type, code: 0, rest: 0, data: new Uint8Array(40) });
  const icmp6 = (type: number): Transport => ({ kind: 'icmpv6', type, code: 0, rest: 0, data: new Uint8Array(40) });
  const raw: Transport = { kind: 'raw', protocol: 17, bytes: new Uint8Array(16) };
  const later = { kind: 'fragment', offset: 8, moreFragments: false, identification: 1 } as const;

  test.each<[string, Frame, boolean]>([
    ['an echo request', ipv4({ payload: icmp4(8) }), true],
    ['ICMP unreachable', ipv4({ payload: icmp4(3) }), false],
    ['ICMP time exceeded', ipv4({ payload: icmp4(11) }), false],
    ['ICMP redirect', ipv4({ payload: icmp4(5) }), false],
    ['a first fragment', ipv4({ moreFragments: true, dontFragment: false, payload: raw }), true],
    ['a later fragment', ipv4({ fragmentOffset: 8, payload: raw }), false],
    ['a multicast destination', ipv4({ destination: ip4('224.0.0.5') }), false],
    ['the broadcast destination', ipv4({ destination: 0xffff_ffff }), false],
    ['a frame to everyone', ipv4({}, { destination: 0xffff_ffff_ffff }), false],
    ['a multicast source', ipv4({ source: ip4('224.0.0.5') }), false],
    ['no source', ipv4({ source: 0 }), false],
    ['a loopback source', ipv4({ source: ip4('127.0.0.1') }), false],
    ['the broadcast source', ipv4({ source: 0xffff_ffff }), false],
    ['a frame of a group', ipv4({}, { source: macFromText('01:00:00:00:00:01') }), false],
    ['an echo request (IPv6)', ipv6({ payload: icmp6(128) }), true],
    ['an ICMPv6 error', ipv6({ payload: icmp6(1) }), false],
    ['an unknown ICMPv6 error', ipv6({ payload: icmp6(100) }), false],
    ['an ICMPv6 redirect', ipv6({ payload: icmp6(137) }), false],
    ['ICMPv6 without even a type', ipv6({ payload: { kind: 'raw', protocol: 58, bytes: new Uint8Array() } }), false],
    ['a later fragment (IPv6)', ipv6({ extensions: [later], payload: raw }), false],
    ['a multicast destination (IPv6)', ipv6({ destination: ip6('ff02::1') }), false],
    ['no source (IPv6)', ipv6({ source: 0n }), false],
    ['a multicast source (IPv6)', ipv6({ source: ip6('ff02::1') }), false],
    ['ARP', gratuitousArp({ mac: GUEST_MAC, ip: 1 }), false],
  ])('in answer to %s', (_what, offending, isAnswered) => {
    expect(error(offending) !== undefined).toBe(isAnswered);
  });

  test('too big is told for IPv6 multicast too (RFC 4443 §2.4 e.3)', () => {
    const group = ipv6({ destination: ip6('ff0e::1') }, { destination: macFromText('33:33:00:00:00:01') });
    expect(error(group, 'tooBig')).toBeDefined();
  });

  test('an error never answers an error: whatever the frame, the answer gets none', () => {
    fc.assert(
      fc.property(frame, (one) => {
        const answer = error(one);
        if (answer !== undefined) expect(error(answer)).toBeUndefined();
      }),
    );
  });
});

describe('TCP reset', () => {
  const segment = (flags: number, data = 0): Transport => ({
    kind: 'tcp',
    sourcePort: 40_000,
    destinationPort: 80,
    sequence: 0xffff_ffff,
    acknowledgement: 77,
    flags,
    window: 1000,
    urgentPointer: 0,
    options: new Uint8Array(),
    data: new Uint8Array(data),
  });
  const reset = (offending: Frame): string => dump(tcpReset(decodePacket(encodePacket(offending))) ?? offending);

  test('of a SYN acknowledges it', () => {
    const text = reset(ipv4({ payload: segment(0x02) }));
    expect(text).toContain('10.0.1.9.80 > 10.0.0.9.40000: Flags [R.]');
    expect(text).toMatch(/\(correct\), seq 0, ack 0, win 0/);
    expect(text).toContain('fa:16:3e:00:00:01 > fa:16:3e:00:00:02');
  });

  test('of data counts it', () => {
    expect(reset(ipv6({ payload: segment(0x01, 10) }))).toMatch(
      /Flags \[R\.\], cksum 0x\w+ \(correct\), seq 0, ack 10,/,
    );
  });

  test('of an acknowledgement takes its number', () => {
    expect(reset(ipv4({ payload: segment(0x10) }))).toMatch(/Flags \[R\], cksum 0x\w+ \(correct\), seq 77, win 0/);
  });

  test.each<[string, Frame]>([
    ['a reset', ipv4({ payload: segment(0x04) })],
    ['UDP', ipv4()],
    ['a frame to everyone', ipv4({ payload: segment(0x02) }, { destination: 0xffff_ffff_ffff })],
    ['a multicast destination', ipv4({ payload: segment(0x02), destination: ip4('224.0.0.5') })],
    ['ARP', gratuitousArp({ mac: GUEST_MAC, ip: 1 })],
  ])('%s gets none', (_what, offending) => {
    expect(tcpReset(offending)).toBeUndefined();
  });
});
