/** Neighbour discovery to bytes (RFC 4861 §4, RFC 8106 §5.1), with a checksum of zero. Serves encode.ts, which puts it in. */
import { invariant, unreachable } from '../lib/errors.ts';
import { Writer } from './bytes.ts';
import { ICMPV6_TYPE, ND_OPTION, type NdMessage, type NdOption } from './packet.ts';

/** ICMPv6 type to options, checksum zero. */
export function encodeNdMessage(message: NdMessage): Uint8Array {
  const options = message.options.map(encodeOption);
  const optionsSize = options.reduce((sum, { length }) => sum + length, 0);
  const writer = writeBody(message, (size) =>
    new Writer(size + optionsSize).u8(ICMPV6_TYPE[message.kind]).u8(0).u16(0),
  );
  for (const option of options) writer.put(option);
  return writer.bytes;
}

/** Up to the options; `begin` takes the size so far. */
function writeBody(message: NdMessage, begin: (size: number) => Writer): Writer {
  switch (message.kind) {
    case 'routerSolicitation':
      return begin(8).u32(0);
    case 'routerAdvertisement':
      return begin(16)
        .u8(message.hopLimit)
        .u8((message.managed ? 0x80 : 0) | (message.otherConfig ? 0x40 : 0))
        .u16(message.lifetimeS)
        .u32(message.reachableTimeMs)
        .u32(message.retransTimerMs);
    case 'neighborSolicitation':
      return begin(24).u32(0).u128(message.target);
    case 'neighborAdvertisement': {
      const flags = (message.router ? 4 : 0) | (message.solicited ? 2 : 0) | (message.override ? 1 : 0);
      return begin(24)
        .u32((flags << 29) >>> 0)
        .u128(message.target);
    }
    default:
      return unreachable(message, 'A neighbour discovery message of no known kind.');
  }
}

function encodeOption(option: NdOption): Uint8Array {
  const begin = (type: number, size: number): Writer => new Writer(size).u8(type).u8(size / 8);
  switch (option.kind) {
    case 'sourceLinkLayer':
    case 'targetLinkLayer':
      return begin(ND_OPTION[option.kind], 8).u48(option.mac).bytes;
    case 'prefix':
      return begin(ND_OPTION.prefix, 32)
        .u8(option.length)
        .u8((option.onLink ? 0x80 : 0) | (option.autonomous ? 0x40 : 0))
        .u32(option.validLifetimeS)
        .u32(option.preferredLifetimeS)
        .u32(0)
        .u128(option.address).bytes;
    case 'mtu':
      return begin(ND_OPTION.mtu, 8).u16(0).u32(option.mtu).bytes;
    case 'dnsServers': {
      const writer = begin(ND_OPTION.dnsServers, 8 + 16 * option.servers.length)
        .u16(0)
        .u32(option.lifetimeS);
      for (const server of option.servers) writer.u128(server);
      return writer.bytes;
    }
    case 'unknown':
      invariant(option.body.length % 8 === 6, 'An option fills units of 8 bytes.', { size: option.body.length });
      return begin(option.type, option.body.length + 2).put(option.body).bytes;
    default:
      return unreachable(option, 'An option of no known kind.');
  }
}
