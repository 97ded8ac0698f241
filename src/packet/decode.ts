/**
 * From bytes to packets. Pure and bounded; whatever the bytes are, it gives a packet or throws PacketError. What a router has
 * to refuse (RFC 1812 §5.2.2, RFC 4861 §6.1 and §7.1) is refused here.
 *
 * The checksums of UDP and TCP are not verified: a guest's virtual interface may leave them to hardware that is not there,
 * and a router does not look at them.
 */
import { LIMITS } from '../lib/limits.ts';
import { checksumOf, pseudoHeaderSum, Reader } from './bytes.ts';
import { isNdType, readNdMessage } from './decode-nd.ts';
import {
  type Arp,
  ETHER_TYPE,
  type Frame,
  type Ipv4,
  type Ipv6,
  type Ipv6Extension,
  type Payload,
  PROTOCOL,
  type Tcp,
  type Transport,
  type Udp,
  type VlanTag,
} from './packet.ts';
import { PacketError } from './packet-error.ts';

const ARP_ETHERNET = 1;
const IPV4_HEADER_SIZE_MIN = 20;
const TCP_HEADER_SIZE_MIN = 20;
const UDP_HEADER_SIZE = 8;
const IPV4_LENGTH_MAX = 65_535;
const ND_HOP_LIMIT = 255;

/** A whole frame, down to the transport protocol. Throws PacketError. */
export function decodePacket(bytes: Uint8Array): Frame {
  return decodeFrame(bytes, readTransport);
}

/**
 * A frame down to IP; what IP carries is `raw`, whatever it is. For who passes packets on or complains about them, whose
 * business their contents are not. Throws PacketError.
 */
export function decodeHeaders(bytes: Uint8Array): Frame {
  return decodeFrame(bytes, (reader, { protocol }) => ({ kind: 'raw', protocol, bytes: reader.copy() }));
}

/** The IP header that a transport protocol stands in. */
interface Carrier {
  readonly source: number | bigint;
  readonly destination: number | bigint;
  /** TTL or hop limit. */
  readonly ttl: number;
  readonly protocol: number;
}

type ReadTransport = (reader: Reader, carrier: Carrier) => Transport;

function decodeFrame(bytes: Uint8Array, transport: ReadTransport): Frame {
  if (bytes.length > LIMITS.packetSize) {
    throw new PacketError('PACKET_TOO_LARGE', 0, `${bytes.length} bytes, where ${LIMITS.packetSize} is the most`);
  }
  const reader = new Reader(bytes);
  const destination = reader.u48();
  const source = reader.u48();
  const vlans: VlanTag[] = [];
  let etherType = reader.u16();
  while (etherType === ETHER_TYPE.vlan || etherType === ETHER_TYPE.serviceVlan) {
    if (vlans.length >= LIMITS.packetVlans) {
      throw new PacketError('PACKET_TOO_LARGE', reader.offset, `more than ${LIMITS.packetVlans} VLAN tags`);
    }
    const tci = reader.u16();
    vlans.push({ etherType, id: tci & 0xfff, priority: tci >>> 13, dropEligible: (tci & 0x1000) !== 0 });
    etherType = reader.u16();
  }
  return { destination, source, vlans, payload: readPayload(reader, etherType, transport) };
}

function readPayload(reader: Reader, etherType: number, transport: ReadTransport): Payload {
  switch (etherType) {
    case ETHER_TYPE.arp:
      return readArp(reader);
    case ETHER_TYPE.ipv4:
      return readIpv4(reader, transport);
    case ETHER_TYPE.ipv6:
      return readIpv6(reader, transport);
    default:
      return { kind: 'opaque', etherType, bytes: reader.copy() };
  }
}

function readArp(reader: Reader): Arp {
  const start = reader.offset;
  const isIpv4OverEthernet =
    reader.u16() === ARP_ETHERNET && reader.u16() === ETHER_TYPE.ipv4 && reader.u8() === 6 && reader.u8() === 4;
  if (!isIpv4OverEthernet) throw new PacketError('PACKET_BAD_FIELD', start, 'ARP for other than IPv4 over Ethernet');
  return {
    kind: 'arp',
    operation: reader.u16(),
    senderMac: reader.u48(),
    senderIp: reader.u32(),
    targetMac: reader.u48(),
    targetIp: reader.u32(),
  };
}

function readIpv4(reader: Reader, transport: ReadTransport): Ipv4 {
  const start = reader.offset;
  const versionAndSize = reader.u8();
  const headerSize = (versionAndSize & 0xf) * 4;
  if (versionAndSize >>> 4 !== 4) throw new PacketError('PACKET_BAD_FIELD', start, 'IPv4 of another version');
  if (headerSize < IPV4_HEADER_SIZE_MIN) {
    throw new PacketError('PACKET_BAD_FIELD', start, `an IPv4 header of ${headerSize} bytes`);
  }
  const tos = reader.u8();
  const length = reader.u16();
  if (length < headerSize) {
    throw new PacketError('PACKET_BAD_FIELD', start + 2, `an IPv4 packet of ${length} bytes with its header`);
  }
  // Short frames are padded: what follows the packet is not part of it.
  reader.narrow(length - (reader.offset - start), 'IPv4');
  const identification = reader.u16();
  const fragment = reader.u16();
  const ttl = reader.u8();
  const protocol = reader.u8();
  reader.u16();
  const source = reader.u32();
  const destination = reader.u32();
  const options = reader.copy(headerSize - IPV4_HEADER_SIZE_MIN);
  if (checksumOf(reader.bytes.subarray(start, start + headerSize)) !== 0) {
    throw new PacketError('PACKET_BAD_CHECKSUM', start + 10, 'of the IPv4 header');
  }
  const moreFragments = (fragment & 0x2000) !== 0;
  const fragmentOffset = (fragment & 0x1fff) * 8;
  if (fragmentOffset + reader.left > IPV4_LENGTH_MAX - headerSize) {
    throw new PacketError('PACKET_BAD_FIELD', start + 6, 'a fragment beyond the end of the longest packet');
  }
  const carrier = { source, destination, ttl, protocol };
  const payload =
    moreFragments || fragmentOffset > 0
      ? ({ kind: 'raw', protocol, bytes: reader.copy() } as const)
      : transport(reader, carrier);
  const dontFragment = (fragment & 0x4000) !== 0;
  return {
    kind: 'ipv4',
    source,
    destination,
    tos,
    identification,
    dontFragment,
    moreFragments,
    fragmentOffset,
    ttl,
    options,
    payload,
  };
}

function readIpv6(reader: Reader, transport: ReadTransport): Ipv6 {
  const start = reader.offset;
  const first = reader.u32();
  if (first >>> 28 !== 6) throw new PacketError('PACKET_BAD_FIELD', start, 'IPv6 of another version');
  const length = reader.u16();
  const nextHeader = reader.u8();
  const hopLimit = reader.u8();
  const source = reader.u128();
  const destination = reader.u128();
  reader.narrow(length, 'IPv6');
  const { extensions, protocol } = readExtensions(reader, nextHeader);
  const isFragment = extensions.some((one) => one.kind === 'fragment' && (one.moreFragments || one.offset > 0));
  const carrier = { source, destination, ttl: hopLimit, protocol };
  const payload = isFragment ? ({ kind: 'raw', protocol, bytes: reader.copy() } as const) : transport(reader, carrier);
  const trafficClass = (first >>> 20) & 0xff;
  const flowLabel = first & 0xfffff;
  return { kind: 'ipv6', source, destination, trafficClass, flowLabel, hopLimit, extensions, payload };
}

function readExtensions(reader: Reader, nextHeader: number): { extensions: Ipv6Extension[]; protocol: number } {
  const extensions: Ipv6Extension[] = [];
  let protocol = nextHeader;
  for (;;) {
    const isOptions =
      protocol === PROTOCOL.hopByHop || protocol === PROTOCOL.routing || protocol === PROTOCOL.destinationOptions;
    if (!isOptions && protocol !== PROTOCOL.fragment) return { extensions, protocol };
    if (extensions.length >= LIMITS.packetExtensions) {
      const what = `more than ${LIMITS.packetExtensions} IPv6 extension headers`;
      throw new PacketError('PACKET_TOO_LARGE', reader.offset, what);
    }
    const next = reader.u8();
    if (isOptions) {
      extensions.push({ kind: 'options', protocol, body: reader.copy(reader.u8() * 8 + 6) });
      protocol = next;
      continue;
    }
    reader.u8();
    const place = reader.u16();
    const fragment = { offset: place & 0xfff8, moreFragments: (place & 1) !== 0, identification: reader.u32() };
    extensions.push({ kind: 'fragment', ...fragment });
    protocol = next;
    // The rest of a fragment may begin anywhere, its next header says nothing about it.
    if (fragment.moreFragments || fragment.offset > 0) return { extensions, protocol };
  }
}

function readTransport(reader: Reader, carrier: Carrier): Transport {
  const isIpv6 = typeof carrier.source === 'bigint';
  switch (carrier.protocol) {
    case PROTOCOL.udp:
      return readUdp(reader);
    case PROTOCOL.tcp:
      return readTcp(reader);
    case PROTOCOL.icmpv4:
      if (!isIpv6) return readIcmp(reader, carrier);
      break;
    case PROTOCOL.icmpv6:
      if (isIpv6) return readIcmp(reader, carrier);
      break;
  }
  return { kind: 'raw', protocol: carrier.protocol, bytes: reader.copy() };
}

function readUdp(reader: Reader): Udp {
  const start = reader.offset;
  const sourcePort = reader.u16();
  const destinationPort = reader.u16();
  const length = reader.u16();
  if (length < UDP_HEADER_SIZE) throw new PacketError('PACKET_BAD_FIELD', start + 4, `a UDP length of ${length}`);
  reader.u16();
  reader.narrow(length - UDP_HEADER_SIZE, 'UDP');
  return { kind: 'udp', sourcePort, destinationPort, data: reader.copy() };
}

function readTcp(reader: Reader): Tcp {
  const start = reader.offset;
  const sourcePort = reader.u16();
  const destinationPort = reader.u16();
  const sequence = reader.u32();
  const acknowledgement = reader.u32();
  const headerSize = (reader.u8() >>> 4) * 4;
  if (headerSize < TCP_HEADER_SIZE_MIN) {
    throw new PacketError('PACKET_BAD_FIELD', start + 12, `a TCP header of ${headerSize} bytes`);
  }
  const flags = reader.u8();
  const window = reader.u16();
  reader.u16();
  const urgentPointer = reader.u16();
  const options = reader.copy(headerSize - TCP_HEADER_SIZE_MIN);
  const data = reader.copy();
  return {
    kind: 'tcp',
    sourcePort,
    destinationPort,
    sequence,
    acknowledgement,
    flags,
    window,
    urgentPointer,
    options,
    data,
  };
}

function readIcmp(reader: Reader, carrier: Carrier): Transport {
  const start = reader.offset;
  const isIpv6 = carrier.protocol === PROTOCOL.icmpv6;
  const seed = isIpv6 ? pseudoHeaderSum(carrier, PROTOCOL.icmpv6, reader.left) : 0;
  const checksum = checksumOf(reader.bytes.subarray(start, reader.end), seed);
  const type = reader.u8();
  const code = reader.u8();
  reader.u16();
  if (checksum !== 0) throw new PacketError('PACKET_BAD_CHECKSUM', start + 2, 'of ICMP');
  if (isIpv6 && isNdType(type)) {
    // A router never passes on what has 255 hops left, so it was sent on this link (RFC 4861 §3.1).
    const isOfThisLink = carrier.ttl === ND_HOP_LIMIT && code === 0;
    if (!isOfThisLink) throw new PacketError('PACKET_BAD_FIELD', start, 'neighbour discovery from beyond this link');
    return readNdMessage(reader, type, BigInt(carrier.destination));
  }
  return { kind: isIpv6 ? 'icmpv6' : 'icmpv4', type, code, rest: reader.u32(), data: reader.copy() };
}
