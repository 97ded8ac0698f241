/** From packets to bytes, with every length and checksum right. Serves who sends packets, and the builders that quote one. */
import { invariant, unreachable } from '../lib/errors.ts';
import { checksumOf, pseudoHeaderSum, Writer } from './bytes.ts';
import { encodeNdMessage } from './encode-nd.ts';
import {
  type Arp,
  ETHER_TYPE,
  type Frame,
  type Icmpv4,
  type Icmpv6,
  type Ipv4,
  type Ipv6,
  type Ipv6Extension,
  type Payload,
  PROTOCOL,
  type Tcp,
  type Transport,
  type Udp,
} from './packet.ts';

const IPV4_HEADER_SIZE = 20;
const IPV6_HEADER_SIZE = 40;

/** The bytes of a frame. Short frames are not padded: that is for the wire, which not all ports are. */
export function encodePacket(frame: Frame): Uint8Array {
  const payload = encodePayload(frame.payload);
  const writer = new Writer(14 + 4 * frame.vlans.length + payload.length).u48(frame.destination).u48(frame.source);
  for (const { etherType, id, priority, dropEligible } of frame.vlans) {
    writer.u16(etherType).u16((priority << 13) | (dropEligible ? 0x1000 : 0) | id);
  }
  return writer.u16(etherTypeOf(frame.payload)).put(payload).bytes;
}

function etherTypeOf(payload: Payload): number {
  return payload.kind === 'opaque' ? payload.etherType : ETHER_TYPE[payload.kind];
}

function encodePayload(payload: Payload): Uint8Array {
  switch (payload.kind) {
    case 'arp':
      return encodeArp(payload);
    case 'ipv4':
      return encodeIpv4(payload);
    case 'ipv6':
      return encodeIpv6(payload);
    case 'opaque':
      return payload.bytes;
    default:
      return unreachable(payload, 'A payload of no known kind.');
  }
}

function encodeArp(arp: Arp): Uint8Array {
  const writer = new Writer(28).u16(1).u16(ETHER_TYPE.ipv4).u8(6).u8(4).u16(arp.operation);
  return writer.u48(arp.senderMac).u32(arp.senderIp).u48(arp.targetMac).u32(arp.targetIp).bytes;
}

function encodeIpv4(packet: Ipv4): Uint8Array {
  const { options, fragmentOffset } = packet;
  const headerSize = IPV4_HEADER_SIZE + options.length;
  const payload = encodeTransport(packet.payload, packet);
  const length = headerSize + payload.length;
  invariant(options.length % 4 === 0 && options.length <= 40, 'IPv4 options fill words.', { size: options.length });
  invariant(fragmentOffset % 8 === 0, 'A fragment begins at a multiple of 8 bytes.', { fragmentOffset });
  invariant(length <= 0xffff, 'An IPv4 packet has at most 65535 bytes.', { length });
  const fragment = (packet.dontFragment ? 0x4000 : 0) | (packet.moreFragments ? 0x2000 : 0) | (fragmentOffset / 8);
  const write = (checksum: number): Writer =>
    new Writer(length)
      .u8(0x40 | (headerSize / 4))
      .u8(packet.tos)
      .u16(length)
      .u16(packet.identification)
      .u16(fragment)
      .u8(packet.ttl)
      .u8(protocolOf(packet.payload))
      .u16(checksum)
      .u32(packet.source)
      .u32(packet.destination)
      .put(options);
  return write(checksumOf(write(0).bytes.subarray(0, headerSize))).put(payload).bytes;
}

function encodeIpv6(packet: Ipv6): Uint8Array {
  const payload = encodeTransport(packet.payload, packet);
  const protocol = protocolOf(packet.payload);
  const protocols = [...packet.extensions.map(extensionProtocol), protocol];
  const extensions = packet.extensions.map((one, index) => encodeExtension(one, protocols[index + 1] ?? protocol));
  const length = extensions.reduce((sum, { length: size }) => sum + size, payload.length);
  invariant(length <= 0xffff, 'An IPv6 packet carries at most 65535 bytes.', { length });
  const writer = new Writer(IPV6_HEADER_SIZE + length)
    .u32(((6 << 28) | (packet.trafficClass << 20) | packet.flowLabel) >>> 0)
    .u16(length)
    .u8(protocols[0] ?? protocol)
    .u8(packet.hopLimit)
    .u128(packet.source)
    .u128(packet.destination);
  for (const extension of extensions) writer.put(extension);
  return writer.put(payload).bytes;
}

function extensionProtocol(extension: Ipv6Extension): number {
  return extension.kind === 'fragment' ? PROTOCOL.fragment : extension.protocol;
}

function encodeExtension(extension: Ipv6Extension, next: number): Uint8Array {
  if (extension.kind === 'fragment') {
    const place = extension.offset | (extension.moreFragments ? 1 : 0);
    return new Writer(8).u8(next).u8(0).u16(place).u32(extension.identification).bytes;
  }
  const { body } = extension;
  invariant(body.length % 8 === 6, 'An extension header fills units of 8 bytes.', { size: body.length });
  return new Writer(body.length + 2)
    .u8(next)
    .u8((body.length - 6) / 8)
    .put(body).bytes;
}

function protocolOf(transport: Transport): number {
  switch (transport.kind) {
    case 'raw':
      return transport.protocol;
    case 'udp':
    case 'tcp':
    case 'icmpv4':
      return PROTOCOL[transport.kind];
    default:
      return PROTOCOL.icmpv6;
  }
}

function encodeTransport(transport: Transport, carrier: Ipv4 | Ipv6): Uint8Array {
  switch (transport.kind) {
    case 'raw':
      return transport.bytes;
    case 'udp':
      return encodeUdp(transport, carrier);
    case 'tcp':
      return encodeTcp(transport, carrier);
    case 'icmpv4': {
      const bytes = encodeIcmp(transport);
      return patch(bytes, 2, checksumOf(bytes));
    }
    default: {
      const bytes = transport.kind === 'icmpv6' ? encodeIcmp(transport) : encodeNdMessage(transport);
      return patch(bytes, 2, checksumOf(bytes, pseudoHeaderSum(carrier, PROTOCOL.icmpv6, bytes.length)));
    }
  }
}

/** The bytes with a checksum put in at `offset`, where zeros were. */
function patch(bytes: Uint8Array, offset: number, checksum: number): Uint8Array {
  bytes[offset] = checksum >>> 8;
  bytes[offset + 1] = checksum & 0xff;
  return bytes;
}

function encodeUdp(udp: Udp, carrier: Ipv4 | Ipv6): Uint8Array {
  const length = 8 + udp.data.length;
  const writer = new Writer(length).u16(udp.sourcePort).u16(udp.destinationPort).u16(length).u16(0);
  const { bytes } = writer.put(udp.data);
  const checksum = checksumOf(bytes, pseudoHeaderSum(carrier, PROTOCOL.udp, length));
  // A checksum of zero would say that there is none (RFC 768); all ones mean the same sum.
  return patch(bytes, 6, checksum === 0 ? 0xffff : checksum);
}

function encodeTcp(tcp: Tcp, carrier: Ipv4 | Ipv6): Uint8Array {
  const headerSize = 20 + tcp.options.length;
  invariant(headerSize % 4 === 0 && headerSize <= 60, 'TCP options fill words.', { size: tcp.options.length });
  const writer = new Writer(headerSize + tcp.data.length)
    .u16(tcp.sourcePort)
    .u16(tcp.destinationPort)
    .u32(tcp.sequence)
    .u32(tcp.acknowledgement)
    .u8((headerSize / 4) << 4)
    .u8(tcp.flags)
    .u16(tcp.window)
    .u16(0)
    .u16(tcp.urgentPointer);
  const { bytes } = writer.put(tcp.options).put(tcp.data);
  return patch(bytes, 16, checksumOf(bytes, pseudoHeaderSum(carrier, PROTOCOL.tcp, bytes.length)));
}

/** With a checksum of zero. */
function encodeIcmp(icmp: Icmpv4 | Icmpv6): Uint8Array {
  const writer = new Writer(8 + icmp.data.length).u8(icmp.type).u8(icmp.code).u16(0);
  return writer.u32(icmp.rest).put(icmp.data).bytes;
}
