/**
 * What a packet carries with it on its way through a router's tables, each in a register of its own. The one place that says
 * which; the controller reads the same registers in the packets that come up to it.
 */

import type { Match } from '../flow/flow.ts';
import type { Ip } from '../lib/addresses.ts';
import { type PlainAction, whole } from './actions.ts';
import type { FlowMatch } from './match.ts';

/** The fields, for matches. */
export const REGISTERS = {
  /** Key of the router that has taken it in. */
  router: 'reg0',
  /** Local VLAN of the network that it is in: where it came from, and once routed where it goes. */
  network: 'reg6',
  /** Who has it next, on the network that it goes to. */
  nextHopIpv4: 'reg1',
  nextHopIpv6: 'xxreg2',
  /** Bit 0: larger than the network that it goes to can carry. */
  tooBig: 'reg7',
} as const;

/** What xxreg2 consists of, the highest bits first. */
const NEXT_HOP_IPV6_QUARTERS = ['reg8', 'reg9', 'reg10', 'reg11'] as const;

export const atRouter = (key: number): FlowMatch => ({ [REGISTERS.router]: key });
export const inNetwork = (localVlan: number): FlowMatch => ({ [REGISTERS.network]: localVlan });
export function nextHopIs(ip: Ip): FlowMatch {
  if (typeof ip === 'number') return { [REGISTERS.nextHopIpv4]: ip };
  // A wide register is matched by its quarters.
  return Object.fromEntries(
    NEXT_HOP_IPV6_QUARTERS.map((field, index) => [field, Number((ip >> BigInt(96 - 32 * index)) & 0xffff_ffffn)]),
  );
}
export const TOO_BIG: FlowMatch = { [REGISTERS.tooBig]: { value: 1, mask: 1 } };

export const setRouter = (key: number): PlainAction => ({ type: 'setField', field: REGISTERS.router, value: key });
export const setNetwork = (localVlan: number): PlainAction => ({
  type: 'setField',
  field: REGISTERS.network,
  value: localVlan,
});

/** The next hop is this neighbour. */
export const setNextHop = (ip: Ip): PlainAction => ({
  type: 'setField',
  field: typeof ip === 'number' ? REGISTERS.nextHopIpv4 : REGISTERS.nextHopIpv6,
  value: ip,
});

/** The next hop is whom the packet is for. */
export const NEXT_HOP_IS_DESTINATION = {
  ipv4: { type: 'move', source: whole('ipv4Dst'), destination: whole(REGISTERS.nextHopIpv4) },
  ipv6: { type: 'move', source: whole('ipv6Dst'), destination: whole(REGISTERS.nextHopIpv6) },
} as const satisfies Readonly<Record<string, PlainAction>>;

const ETHERNET_HEADER_SIZE = 14;

/** Marks what is larger than an MTU. */
export const markLargerThan = (mtu: number): PlainAction => ({
  type: 'checkPktLarger',
  length: mtu + ETHERNET_HEADER_SIZE,
  destination: { field: REGISTERS.tooBig, start: 0, length: 1 },
});

/** What the registers of a packet say; absent: zero, which is what registers are until something is written to them. */
export function readRegisters(match: Match): {
  readonly router?: number;
  readonly network?: number;
  readonly nextHopIpv4?: number;
  readonly nextHopIpv6?: bigint;
} {
  const numberOf = (field: 'reg0' | 'reg1' | 'reg6'): number | undefined => {
    const value = match[field];
    return typeof value === 'number' && value !== 0 ? value : undefined;
  };
  const router = numberOf(REGISTERS.router);
  const network = numberOf(REGISTERS.network);
  const nextHopIpv4 = numberOf(REGISTERS.nextHopIpv4);
  const nextHopIpv6 = wide(match);
  return {
    ...(router !== undefined && { router }),
    ...(network !== undefined && { network }),
    ...(nextHopIpv4 !== undefined && { nextHopIpv4 }),
    ...(nextHopIpv6 !== undefined && { nextHopIpv6 }),
  };
}

/** It comes whole, or in quarters. */
function wide(match: Match): bigint | undefined {
  const whole = match[REGISTERS.nextHopIpv6];
  if (typeof whole === 'bigint') return whole === 0n ? undefined : whole;
  let value = 0n;
  for (const field of NEXT_HOP_IPV6_QUARTERS) {
    const part = match[field];
    value = (value << 32n) | BigInt(typeof part === 'number' ? part : 0);
  }
  return value === 0n ? undefined : value;
}

/** Rule.holes of rules about a guest's port. */
export const RECEIVER_HOLES = { localVlan: 12, macAddress: 48, ofport: 32 } as const;
