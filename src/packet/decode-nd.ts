/** Neighbour discovery from bytes (RFC 4861 §4, RFC 8106 §5.1). Serves decode.ts, which has verified checksum and hop limit. */
import type { Reader } from './bytes.ts';
import { ICMPV6_TYPE, ND_OPTION, type NdMessage, type NdOption } from './packet.ts';
import { PacketError } from './packet-error.ts';

/** Whether an ICMPv6 type is one that readNdMessage reads. */
export function isNdType(type: number): boolean {
  return type >= ICMPV6_TYPE.routerSolicitation && type <= ICMPV6_TYPE.neighborAdvertisement;
}

/** What follows type, code and checksum. `destination` is the IPv6 header's. Throws PacketError. */
export function readNdMessage(reader: Reader, type: number, destination: bigint): NdMessage {
  switch (type) {
    case ICMPV6_TYPE.routerSolicitation:
      reader.u32();
      return { kind: 'routerSolicitation', options: readOptions(reader) };
    case ICMPV6_TYPE.routerAdvertisement: {
      const hopLimit = reader.u8();
      const flags = reader.u8();
      return {
        kind: 'routerAdvertisement',
        hopLimit,
        managed: (flags & 0x80) !== 0,
        otherConfig: (flags & 0x40) !== 0,
        lifetimeS: reader.u16(),
        reachableTimeMs: reader.u32(),
        retransTimerMs: reader.u32(),
        options: readOptions(reader),
      };
    }
    case ICMPV6_TYPE.neighborSolicitation: {
      reader.u32();
      return { kind: 'neighborSolicitation', target: readTarget(reader), options: readOptions(reader) };
    }
    default:
      return readNeighborAdvertisement(reader, destination);
  }
}

function readNeighborAdvertisement(reader: Reader, destination: bigint): NdMessage {
  const start = reader.offset;
  const flags = reader.u32() >>> 29;
  const solicited = (flags & 2) !== 0;
  if (solicited && isMulticast(destination)) {
    throw new PacketError('PACKET_BAD_FIELD', start, 'a solicited neighbour advertisement to many');
  }
  return {
    kind: 'neighborAdvertisement',
    target: readTarget(reader),
    router: (flags & 4) !== 0,
    solicited,
    override: (flags & 1) !== 0,
    options: readOptions(reader),
  };
}

function readTarget(reader: Reader): bigint {
  const start = reader.offset;
  const target = reader.u128();
  if (isMulticast(target)) throw new PacketError('PACKET_BAD_FIELD', start, 'a multicast address as target');
  return target;
}

function isMulticast(ip: bigint): boolean {
  return ip >> 120n === 0xffn;
}

function readOptions(reader: Reader): NdOption[] {
  const options: NdOption[] = [];
  while (reader.left > 0) options.push(readOption(reader));
  return options;
}

function readOption(reader: Reader): NdOption {
  const start = reader.offset;
  const type = reader.u8();
  const size = reader.u8() * 8;
  if (size === 0) throw new PacketError('PACKET_BAD_FIELD', start + 1, 'an option of no length');
  switch (type) {
    case ND_OPTION.sourceLinkLayer:
      if (size === 8) return { kind: 'sourceLinkLayer', mac: reader.u48() };
      break;
    case ND_OPTION.targetLinkLayer:
      if (size === 8) return { kind: 'targetLinkLayer', mac: reader.u48() };
      break;
    case ND_OPTION.prefix:
      if (size === 32) return readPrefix(reader);
      break;
    case ND_OPTION.mtu:
      if (size === 8) {
        reader.u16();
        return { kind: 'mtu', mtu: reader.u32() };
      }
      break;
    case ND_OPTION.dnsServers:
      if (size >= 24 && size % 16 === 8) return readDnsServers(reader, size);
      break;
  }
  return { kind: 'unknown', type, body: reader.copy(size - 2) };
}

function readPrefix(reader: Reader): NdOption {
  const length = reader.u8();
  const flags = reader.u8();
  const validLifetimeS = reader.u32();
  const preferredLifetimeS = reader.u32();
  reader.u32();
  const address = reader.u128();
  const onLink = (flags & 0x80) !== 0;
  const autonomous = (flags & 0x40) !== 0;
  return { kind: 'prefix', address, length, onLink, autonomous, validLifetimeS, preferredLifetimeS };
}

function readDnsServers(reader: Reader, size: number): NdOption {
  reader.u16();
  const lifetimeS = reader.u32();
  const servers: bigint[] = [];
  for (let left = size - 8; left > 0; left -= 16) servers.push(reader.u128());
  return { kind: 'dnsServers', lifetimeS, servers };
}
