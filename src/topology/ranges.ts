/** Arithmetic on the addresses of a subnet. Serves the checks and derive.ts. */
import { type Ip, type Prefix, prefixContains } from '../lib/addresses.ts';
import type { AllocationPool } from './model.ts';

/** The address `offset` after this one, in its family. */
export function ipPlus(ip: Ip, offset: bigint): Ip {
  return typeof ip === 'bigint' ? ip + offset : ip + Number(offset);
}

export function ipVersionOf(ip: Ip): 4 | 6 {
  return typeof ip === 'number' ? 4 : 6;
}

export function prefixLast(prefix: Prefix): Ip {
  return ipPlus(prefix.address, prefixSize(prefix) - 1n);
}

/** Number of addresses. */
export function prefixSize(prefix: Prefix): bigint {
  return 1n << BigInt((typeof prefix.address === 'number' ? 32 : 128) - prefix.length);
}

export function prefixesOverlap(left: Prefix, right: Prefix): boolean {
  return prefixContains(left, right.address) || prefixContains(right, left.address);
}

/** Subnets of one or two addresses have neither network nor broadcast address (RFC 3021, RFC 6164). */
function hasNetworkAddress(cidr: Prefix): boolean {
  return prefixSize(cidr) > 2n;
}

/** `network`, `broadcast`, or undefined for an address that a machine may have. IPv6 has no broadcast address. */
export function specialRole(cidr: Prefix, ip: Ip): 'network' | 'broadcast' | undefined {
  if (!hasNetworkAddress(cidr)) return undefined;
  if (ip === cidr.address) return 'network';
  return typeof ip === 'number' && ip === prefixLast(cidr) ? 'broadcast' : undefined;
}

/** Every address that a machine may have. */
export function wholePool(cidr: Prefix): AllocationPool {
  if (!hasNetworkAddress(cidr)) return { start: cidr.address, end: prefixLast(cidr) };
  const last = prefixLast(cidr);
  return { start: ipPlus(cidr.address, 1n), end: typeof last === 'number' ? last - 1 : last };
}

export function poolSize(pool: AllocationPool): bigint {
  return BigInt(pool.end) - BigInt(pool.start) + 1n;
}

export function poolContains(pool: AllocationPool, ip: Ip): boolean {
  return typeof pool.start === typeof ip && pool.start <= ip && ip <= pool.end;
}

/** Neutron's default gateway: the first address after the network address; a subnet of one address has none. */
export function firstAddress(cidr: Prefix): Ip | undefined {
  return prefixSize(cidr) === 1n ? undefined : ipPlus(cidr.address, 1n);
}

/** IPv4 before IPv6, then by value. */
export function compareIps(left: Ip, right: Ip): number {
  if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
  return left < right ? -1 : left > right ? 1 : 0;
}

export function comparePrefixes(left: Prefix, right: Prefix): number {
  return compareIps(left.address, right.address) || left.length - right.length;
}

/** By UTF-16 unit, which no locale changes. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
