/**
 * MAC and IP addresses as values: text is parsed once at the edge (topology files, flow text, OVSDB rows), and from there
 * on addresses are numbers that compare with ===. Serves topology/, flow/, pipeline/ and the CLI.
 */
import ipaddr from 'ipaddr.js';
import { HeddleError } from './errors.ts';

/** An IP address; the kind of number is the family: number is IPv4 (32 bits), bigint is IPv6 (128 bits). */
export type Ip = number | bigint;

/** `address/length`; the bits of `address` beyond `length` are zero. */
export interface Prefix {
  readonly address: Ip;
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly length: number;
}

/** Text that is no address. Code `BAD_ADDRESS`. */
export class AddressError extends HeddleError {
  constructor(text: string, wanted: string) {
    super('BAD_ADDRESS', `"${text}" is not ${wanted}`, { text });
  }
}

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const IPV4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const PREFIX_LENGTH = /^(?:0|[1-9]\d{0,2})$/;
const IPV6_ALL_ONES = (1n << 128n) - 1n;

/** `fa:16:3e:00:00:01` as 48 bits. Throws AddressError. */
export function macFromText(text: string): number {
  if (!MAC.test(text)) throw new AddressError(text, 'a MAC address, as in fa:16:3e:00:00:01');
  return Number.parseInt(text.replaceAll(':', ''), 16);
}

/** 48 bits as `fa:16:3e:00:00:01`. */
export function macToText(mac: number): string {
  const hex = mac.toString(16).padStart(12, '0');
  return `${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}:${hex.slice(8, 10)}:${hex.slice(10)}`;
}

/** `10.0.0.1` or `fd00::1`. Octal and shortened IPv4 and scoped IPv6 (`fe80::1%eth0`) are refused. Throws AddressError. */
export function ipFromText(text: string): Ip {
  return text.includes(':') ? ipv6FromText(text) : ipv4FromText(text);
}

/** As ipFromText, IPv4 only. */
export function ipv4FromText(text: string): number {
  const octets = IPV4.exec(text);
  if (octets === null) throw new AddressError(text, 'an IP address, as in 10.0.0.1 or fd00::1');
  let address = 0;
  for (let index = 1; index <= 4; index++) {
    const octet = Number(octets[index]);
    if (octet > 255) throw new AddressError(text, 'an IP address: each of the four numbers is at most 255');
    address = address * 256 + octet;
  }
  return address;
}

/** As ipFromText, IPv6 only. */
export function ipv6FromText(text: string): bigint {
  // ipaddr.js reads `::1.2.3.4` as `::ffff:1.2.3.4`, so it is given the dotted part as two groups.
  const tail = text.slice(text.lastIndexOf(':') + 1);
  const groups = tail.includes('.') ? text.slice(0, -tail.length) + groupsOf(ipv4FromText(tail)) : text;
  if (groups.includes('%') || !ipaddr.IPv6.isValid(groups)) {
    throw new AddressError(text, 'an IPv6 address, as in fd00::1');
  }
  let address = 0n;
  for (const part of ipaddr.IPv6.parse(groups).parts) address = (address << 16n) | BigInt(part);
  return address;
}

function groupsOf(ip: number): string {
  return `${(ip >>> 16).toString(16)}:${(ip & 0xffff).toString(16)}`;
}

/** The address as inet_ntop(3) writes it, which is what Open vSwitch and Linux tools print. */
export function ipToText(ip: Ip): string {
  return typeof ip === 'number' ? ipv4ToText(ip) : ipv6ToText(ip);
}

function ipv4ToText(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
}

/**
 * RFC 5952 §4.2 (the first longest run of two or more zero groups becomes `::`), and as glibc does, dotted IPv4 in
 * `::ffff:1.2.3.4` and `::1.2.3.4`.
 */
function ipv6ToText(ip: bigint): string {
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((ip >> shift) & 0xffffn));
  const zeros = longestZeroRun(groups);
  if (zeros.start === 0 && (zeros.length === 6 || (zeros.length === 5 && groups[5] === 0xffff))) {
    const prefix = zeros.length === 6 ? '::' : '::ffff:';
    return prefix + ipv4ToText(Number(ip & 0xffffffffn));
  }
  const hex = groups.map((group) => group.toString(16));
  if (zeros.length < 2) return hex.join(':');
  return `${hex.slice(0, zeros.start).join(':')}::${hex.slice(zeros.start + zeros.length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  groups.forEach((group, index) => {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  });
  return best;
}

/**
 * `10.0.0.0/24`, or an address alone for the one address. Bits beyond the length are cleared, as Open vSwitch does:
 * compare with `ipFromText` of the part before the slash where that would be somebody's mistake. Throws AddressError.
 */
export function prefixFromText(text: string): Prefix {
  const slash = text.indexOf('/');
  const address = ipFromText(slash < 0 ? text : text.slice(0, slash));
  const bits = typeof address === 'number' ? 32 : 128;
  const lengthText = slash < 0 ? `${bits}` : text.slice(slash + 1);
  const length = Number(lengthText);
  if (!PREFIX_LENGTH.test(lengthText) || length > bits) {
    throw new AddressError(text, `a prefix: after the slash comes a number from 0 to ${bits}`);
  }
  return { address: maskIp(address, length), length };
}

/** `10.0.0.0/24`, with the length also where it is all of the address. */
export function prefixToText(prefix: Prefix): string {
  return `${ipToText(prefix.address)}/${prefix.length}`;
}

/** Whether `ip` is in `prefix`; an address of the other family is not. */
export function prefixContains(prefix: Prefix, ip: Ip): boolean {
  return typeof prefix.address === typeof ip && maskIp(ip, prefix.length) === prefix.address;
}

/** The netmask of a prefix: `255.255.255.0` for /24. */
export function prefixMask(prefix: Prefix): Ip {
  return maskIp(typeof prefix.address === 'number' ? 0xffffffff : IPV6_ALL_ONES, prefix.length);
}

function maskIp(ip: Ip, length: number): Ip {
  if (typeof ip === 'bigint') {
    const hostBits = BigInt(128 - length);
    return (ip >> hostBits) << hostBits;
  }
  const hostCount = 2 ** (32 - length);
  return ip - (ip % hostCount);
}

/** The IPv6 link-local address that a MAC address gives (modified EUI-64, RFC 4291 appendix A). */
export function linkLocalOf(mac: number): bigint {
  const bits = BigInt(mac);
  const interfaceId = ((bits >> 24n) << 40n) | 0xfffe000000n | (bits & 0xffffffn);
  return (0xfe80n << 112n) | (interfaceId ^ (1n << 57n));
}
