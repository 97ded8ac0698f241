/** Random packets, and a second opinion on their bytes: tcpdump. Serves the tests of src/packet and of controller/router. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  ETHER_TYPE,
  type Frame,
  type Ipv4,
  type Ipv6,
  type Ipv6Extension,
  type NdMessage,
  type NdOption,
  PROTOCOL,
  type RawTransport,
  type Tcp,
  type Transport,
  type Udp,
  type VlanTag,
} from '../../src/packet/packet.ts';

const mac = fc.integer({ min: 0, max: 0xffff_ffff_ffff });
const ipv4Address = fc.integer({ min: 0, max: 0xffff_ffff });
const ipv6Address = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
/** Not a group's: what ND may be about. */
const target = fc.bigInt({ min: 0n, max: (1n << 127n) - 1n });
const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const data = fc.uint8Array({ maxLength: 80 });
const words = fc
  .integer({ min: 0, max: 10 })
  .chain((count) => fc.uint8Array({ minLength: 4 * count, maxLength: 4 * count }));
const unit = fc
  .integer({ min: 0, max: 3 })
  .chain((count) => fc.uint8Array({ minLength: 8 * count + 6, maxLength: 8 * count + 6 }));

const vlan: fc.Arbitrary<VlanTag> = fc.record({
  etherType: fc.constantFrom(ETHER_TYPE.vlan, ETHER_TYPE.serviceVlan),
  id: fc.integer({ min: 0, max: 4095 }),
  priority: fc.integer({ min: 0, max: 7 }),
  dropEligible: fc.boolean(),
});

const udp: fc.Arbitrary<Udp> = fc.record({ kind: fc.constant('udp'), sourcePort: u16, destinationPort: u16, data });
const tcp: fc.Arbitrary<Tcp> = fc.record({
  kind: fc.constant('tcp'),
  sourcePort: u16,
  destinationPort: u16,
  sequence: u32,
  acknowledgement: u32,
  flags: u8,
  window: u16,
  urgentPointer: u16,
  options: words,
  data,
});
const PARSED: ReadonlySet<number> = new Set(Object.values(PROTOCOL));
const raw: fc.Arbitrary<RawTransport> = fc.record({
  kind: fc.constant('raw'),
  protocol: u8.filter((protocol) => !PARSED.has(protocol)),
  bytes: data,
});
const anyRaw: fc.Arbitrary<RawTransport> = fc.record({ kind: fc.constant('raw'), protocol: u8, bytes: data });
const icmp = { code: u8, rest: u32, data };
const icmpv4: fc.Arbitrary<Transport> = fc.record({ kind: fc.constant('icmpv4'), type: u8, ...icmp });
const icmpv6: fc.Arbitrary<Transport> = fc.record({
  kind: fc.constant('icmpv6'),
  type: u8.filter((type) => type < 133 || type > 136),
  ...icmp,
});

const ndOption: fc.Arbitrary<NdOption> = fc.oneof(
  fc.record({ kind: fc.constantFrom('sourceLinkLayer', 'targetLinkLayer'), mac }),
  fc.record({ kind: fc.constant('mtu'), mtu: u32 }),
  fc.record({
    kind: fc.constant('prefix'),
    address: ipv6Address,
    length: u8,
    onLink: fc.boolean(),
    autonomous: fc.boolean(),
    validLifetimeS: u32,
    preferredLifetimeS: u32,
  }),
  fc.record({
    kind: fc.constant('dnsServers'),
    lifetimeS: u32,
    servers: fc.array(ipv6Address, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('unknown'), type: fc.integer({ min: 30, max: 255 }), body: unit }),
);
const options = fc.array(ndOption, { maxLength: 4 });
export const ndMessage: fc.Arbitrary<NdMessage> = fc.oneof(
  fc.record({ kind: fc.constant('routerSolicitation'), options }),
  fc.record({
    kind: fc.constant('routerAdvertisement'),
    hopLimit: u8,
    managed: fc.boolean(),
    otherConfig: fc.boolean(),
    lifetimeS: u16,
    reachableTimeMs: u32,
    retransTimerMs: u32,
    options,
  }),
  fc.record({ kind: fc.constant('neighborSolicitation'), target, options }),
  fc.record({
    kind: fc.constant('neighborAdvertisement'),
    target,
    router: fc.boolean(),
    solicited: fc.constant(false),
    override: fc.boolean(),
    options,
  }),
);

const ipv4Header = {
  kind: fc.constant('ipv4' as const),
  source: ipv4Address,
  destination: ipv4Address,
  tos: u8,
  identification: u16,
  dontFragment: fc.boolean(),
  ttl: u8,
  options: words,
};
const ipv4: fc.Arbitrary<Ipv4> = fc.oneof(
  fc.record({
    ...ipv4Header,
    moreFragments: fc.constant(false),
    fragmentOffset: fc.constant(0),
    payload: fc.oneof(udp, tcp, icmpv4, raw),
  }),
  fc
    .record({
      ...ipv4Header,
      moreFragments: fc.boolean(),
      fragmentOffset: fc.integer({ min: 0, max: 8000 }).map((units) => units * 8),
      payload: anyRaw,
    })
    .filter(({ moreFragments, fragmentOffset }) => moreFragments || fragmentOffset > 0),
);

const ipv6Header = {
  kind: fc.constant('ipv6' as const),
  source: ipv6Address,
  destination: ipv6Address,
  trafficClass: u8,
  flowLabel: fc.integer({ min: 0, max: 0xfffff }),
  hopLimit: u8,
};
const extension: fc.Arbitrary<Ipv6Extension> = fc.record({
  kind: fc.constant('options'),
  protocol: fc.constantFrom(PROTOCOL.hopByHop, PROTOCOL.routing, PROTOCOL.destinationOptions),
  body: unit,
});
const atomicFragment: fc.Arbitrary<Ipv6Extension> = u32.map((identification) => {
  return { kind: 'fragment', offset: 0, moreFragments: false, identification };
});
const laterFragment: fc.Arbitrary<Ipv6Extension> = fc.record({
  kind: fc.constant('fragment'),
  offset: fc.integer({ min: 1, max: 8000 }).map((units) => units * 8),
  moreFragments: fc.boolean(),
  identification: u32,
});
const ipv6: fc.Arbitrary<Ipv6> = fc.oneof(
  fc.record({
    ...ipv6Header,
    extensions: fc.array(fc.oneof(extension, atomicFragment), { maxLength: 4 }),
    payload: fc.oneof(udp, tcp, icmpv6, raw),
  }),
  fc.record({ ...ipv6Header, hopLimit: fc.constant(255), extensions: fc.constant([]), payload: ndMessage }),
  fc.record({ ...ipv6Header, extensions: fc.tuple(extension, laterFragment), payload: anyRaw }),
);

/** What tcpdump verifies all checksums of: nothing that keeps it from reading on to the transport protocol. */
const portFree = {
  sourcePort: fc.integer({ min: 40_000, max: 60_000 }),
  destinationPort: fc.integer({ min: 40_000, max: 60_000 }),
};
const plainTransport = (icmpOfFamily: fc.Arbitrary<Transport>): fc.Arbitrary<Transport> =>
  fc.oneof(
    udp.chain((one) => fc.record(portFree).map((ports) => ({ ...one, ...ports }))),
    tcp.chain((one) => fc.record(portFree).map((ports) => ({ ...one, ...ports, options: new Uint8Array() }))),
    icmpOfFamily,
  );
const noFragment = {
  options: fc.constant(new Uint8Array()),
  moreFragments: fc.constant(false),
  fragmentOffset: fc.constant(0),
};
export const plainFrame: fc.Arbitrary<Frame> = fc.record({
  destination: mac,
  source: mac,
  vlans: fc.array(vlan, { maxLength: 1 }),
  payload: fc.oneof(
    fc.record({ ...ipv4Header, ...noFragment, payload: plainTransport(icmpv4) }),
    fc.record({ ...ipv6Header, extensions: fc.constant([]), payload: plainTransport(icmpv6) }),
    fc.record({ ...ipv6Header, hopLimit: fc.constant(255), extensions: fc.constant([]), payload: ndMessage }),
  ),
});

/** Any frame whose encoding decodes to it. */
export const frame: fc.Arbitrary<Frame> = fc.record({
  destination: mac,
  source: mac,
  vlans: fc.array(vlan, { maxLength: 2 }),
  payload: fc.oneof(
    fc.record({
      kind: fc.constant('arp' as const),
      operation: u16,
      senderMac: mac,
      senderIp: ipv4Address,
      targetMac: mac,
      targetIp: ipv4Address,
    }),
    ipv4,
    ipv6,
    fc.record({
      kind: fc.constant('opaque' as const),
      etherType: fc.constantFrom(0x0026, 0x8847, 0x88cc),
      bytes: data,
    }),
  ),
});

const PCAP_MAGIC = 0xa1b2_c3d4;
const LINKTYPE_ETHERNET = 1;

/** A capture file (libpcap's format) with these frames. */
export function pcapOf(frames: readonly Uint8Array[]): Uint8Array {
  const size = frames.reduce((sum, { length }) => sum + 16 + length, 24);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const header = [PCAP_MAGIC, 0x0002_0004, 0, 0, 0x40000, LINKTYPE_ETHERNET];
  for (const [index, word] of header.entries()) view.setUint32(4 * index, word);
  let offset = 24;
  for (const one of frames) {
    view.setUint32(offset + 8, one.length);
    view.setUint32(offset + 12, one.length);
    bytes.set(one, offset + 16);
    offset += 16 + one.length;
  }
  return bytes;
}

/** What tcpdump says of each frame, checksums verified; one text a frame, its lines joined by blanks. */
export function tcpdump(frames: readonly Uint8Array[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-pcap-'));
  try {
    const file = join(directory, 'frames.pcap');
    writeFileSync(file, pcapOf(frames));
    // As root, tcpdump gives its rights up before it opens the file, unless told to keep them.
    const args = [
      '-r',
      file,
      '-vv',
      '-e',
      '-n',
      '-t',
      '-#',
      '-s',
      '0',
      ...(process.getuid?.() === 0 ? ['-Z', 'root'] : []),
    ];
    const text = execFileSync('tcpdump', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const parts = text.split(/^ *\d+ {2}(?=[0-9a-f]{2}:)/m).slice(1);
    return parts.map((part) => part.trim().replaceAll(/\s+/g, ' '));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
