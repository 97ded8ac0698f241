/** Where a router sends what it has taken in: its own addresses, subnets that it is attached to, routes; and then which MAC. */
import { type Ip, linkLocalOf, type Prefix } from '../lib/addresses.ts';
import { backToSender, drop, type PlainAction, setEthDst, whole } from './actions.ts';
import { brInt } from './br-int.ts';
import { type Entity, goto } from './language.ts';
import { type FlowMatch, ICMPV4, ICMPV6, icmpv4, icmpv6, inPrefix, ipv4, ipv6, within } from './match.ts';
import { toController } from './packet-in-reasons.ts';
import {
  atRouter,
  inNetwork,
  markLargerThan,
  NEXT_HOP_IS_DESTINATION,
  nextHopIs,
  setNetwork,
  setNextHop,
  TOO_BIG,
} from './router-registers.ts';

const { rules } = brInt;

/** Above every prefix: 1000 and twice its length. */
const OWN_PRIORITY = 2000;
const NEVER_PRIORITY = 1900;
const ROUTE_PRIORITY = 1000;

/** Hop limit of what a router itself sends. */
const OWN_TTL = 64;

/** A router on a host that has it. */
export interface RouterAddresses extends Entity {
  readonly routerKey: number;
  /** On all its networks. */
  readonly addresses: readonly Ip[];
  /** MACs of interfaces with IPv6, each of which has a link-local address. */
  readonly ipv6Macs: readonly number[];
}

export const ownAddress = rules(
  'own-address',
  {
    cases: {
      ROUTER_ROUTE:
        "To an address of the router's own: an echo request is answered here, all else by the controller: also one in fragments, which show no ICMP type.",
    },
    holes: { routerKey: 32, addresses: 'address', ipv6Macs: 48 },
  },
  ({ routerKey, addresses, ipv6Macs }: RouterAddresses, table) => {
    const here = atRouter(routerKey);
    return [...addresses, ...ipv6Macs.map(linkLocalOf)].flatMap((ip) => {
      if (typeof ip === 'number') {
        const own = { ...here, ipv4Dst: ip };
        const request = icmpv4({ ...own, icmpv4Type: ICMPV4.echoRequest, icmpv4Code: 0 });
        return [
          table.ROUTER_ROUTE(OWN_PRIORITY + 1, request, asType('icmpv4Type', ICMPV4.echoReply), ...echo('ipv4')),
          table.ROUTER_ROUTE(OWN_PRIORITY, ipv4(own), toController('ownAddress')),
        ];
      }
      const own = { ...here, ipv6Dst: ip };
      const request = icmpv6('echoRequest', { ...own, icmpv6Code: 0 });
      return [
        table.ROUTER_ROUTE(OWN_PRIORITY + 1, request, asType('icmpv6Type', ICMPV6.echoReply), ...echo('ipv6')),
        table.ROUTER_ROUTE(OWN_PRIORITY, ipv6(own), toController('ownAddress')),
      ];
    });
  },
);

const asType = (field: 'icmpv4Type' | 'icmpv6Type', value: number): PlainAction => ({ type: 'setField', field, value });

/** Back to who sent it, as if it had been sent from here. */
const echo = (family: 'ipv4' | 'ipv6'): readonly PlainAction[] => [
  ...swap(`${family}Src`, `${family}Dst`),
  ...swap('ethSrc', 'ethDst'),
  { type: 'setTtl', ttl: OWN_TTL },
  backToSender,
];

const swap = (
  left: 'ipv4Src' | 'ipv6Src' | 'ethSrc',
  right: 'ipv4Dst' | 'ipv6Dst' | 'ethDst',
): readonly PlainAction[] => [
  { type: 'stackPush', source: whole(left) },
  { type: 'stackPush', source: whole(right) },
  { type: 'stackPop', destination: whole(left) },
  { type: 'stackPop', destination: whole(right) },
];

/** Addresses that are for one link alone, or for nobody (RFC 6890, RFC 4291). */
const NEVER_IPV4: readonly Prefix[] = [
  { address: 0x0000_0000, length: 8 },
  { address: 0x7f00_0000, length: 8 },
  // Multicast, reserved and limited broadcast.
  { address: 0xe000_0000, length: 3 },
];
const LINK_LOCAL: Prefix = { address: 0xfe80n << 112n, length: 10 };
const NEVER_IPV6: readonly Prefix[] = [
  { address: 0n, length: 127 },
  LINK_LOCAL,
  { address: 0xff00n << 112n, length: 8 },
];

/** A host that has routers. */
export const neverRouted = rules(
  'never-routed',
  {
    cases: {
      ROUTER_ROUTE:
        'To an address that is for one link alone, or for nobody: drop. To where no route leads: the controller says so.',
    },
  },
  (_host: Entity, table) => [
    ...NEVER_IPV4.map((prefix) => table.ROUTER_ROUTE(NEVER_PRIORITY, ipv4({ ipv4Dst: within(prefix) }), drop)),
    ...NEVER_IPV6.map((prefix) => table.ROUTER_ROUTE(NEVER_PRIORITY, ipv6({ ipv6Dst: within(prefix) }), drop)),
    table.ROUTER_ROUTE(NEVER_PRIORITY, ipv6({ ipv6Src: within(LINK_LOCAL) }), drop),
    table.ROUTER_ROUTE(0, {}, toController('noRoute')),
  ],
);

/** One route of a router, on a host that has it. */
export interface Route extends Entity {
  readonly routerKey: number;
  readonly destination: Prefix;
  /** Absent: the router is attached to the subnet itself. */
  readonly nextHop?: Ip;
  /** Of the network that it leads to. */
  readonly localVlan: number;
  /** Of that network, where it is less than of another one of the router's: only then can a packet be too big. */
  readonly mtu?: number;
}

export const route = rules(
  'route',
  {
    cases: {
      ROUTER_ROUTE: 'To a subnet that the router is attached to, or that a route leads to: the longest prefix first.',
    },
  },
  ({ routerKey, destination, nextHop, localVlan, mtu }: Route, table) => {
    const isIpv4 = typeof destination.address === 'number';
    const at = atRouter(routerKey);
    const to = inPrefix(isIpv4 ? 'ipv4Dst' : 'ipv6Dst', destination);
    const isConnected = nextHop === undefined;
    return [
      table.ROUTER_ROUTE(
        ROUTE_PRIORITY + 2 * destination.length + (isConnected ? 1 : 0),
        (isIpv4 ? ipv4 : ipv6)({ ...at, ...to }),
        setNetwork(localVlan),
        isConnected ? NEXT_HOP_IS_DESTINATION[isIpv4 ? 'ipv4' : 'ipv6'] : setNextHop(nextHop),
        mtu === undefined ? [] : markLargerThan(mtu),
        goto('ROUTER_NEIGHBOUR'),
      ),
    ];
  },
);

/** A host that has routers. As Linux does: first whether it may travel on, then to whom. */
export const travel = rules(
  'travel',
  {
    cases: {
      ROUTER_NEIGHBOUR:
        'Its TTL is used up, or it is too big for where it goes: the controller says so. Nobody known has the next hop: the controller asks.',
    },
  },
  (_host: Entity, table) => [
    ...[0, 1].flatMap((ipTtl) => [
      table.ROUTER_NEIGHBOUR(30, ipv4({ ipTtl }), toController('timeExceeded')),
      table.ROUTER_NEIGHBOUR(30, ipv6({ ipTtl }), toController('timeExceeded')),
    ]),
    table.ROUTER_NEIGHBOUR(20, TOO_BIG, toController('tooBig')),
    table.ROUTER_NEIGHBOUR(0, {}, toController('resolve')),
  ],
);

/** A port of a network that has a router, wherever the port is. */
export interface Neighbour extends Entity {
  readonly localVlan: number;
  readonly macAddress: number;
  readonly addresses: readonly Ip[];
  /** Of an external network: what goes there is translated. Default: no. */
  readonly isOutside?: boolean;
}

const NEIGHBOUR_HOLES = { localVlan: 12, macAddress: 48, addresses: 'address' } as const;

export const neighbour = rules(
  'neighbour',
  { cases: { ROUTER_NEIGHBOUR: 'A port has the next hop for its address.' }, holes: NEIGHBOUR_HOLES },
  (port: Neighbour, table) => port.addresses.map((ip) => table.ROUTER_NEIGHBOUR(10, hop(port, ip), ...to(port))),
);

/** What the topology says goes first: an address moves only where it is nobody's own. */
export const resolvedNeighbour = rules(
  'resolved-neighbour',
  { cases: { ROUTER_NEIGHBOUR: 'The controller has asked who has it, or was told.' }, holes: NEIGHBOUR_HOLES },
  (port: Neighbour, table) => port.addresses.map((ip) => table.ROUTER_NEIGHBOUR(9, hop(port, ip), ...to(port))),
);

const hop = ({ localVlan }: Neighbour, ip: Ip): FlowMatch =>
  (typeof ip === 'number' ? ipv4 : ipv6)({ ...inNetwork(localVlan), ...nextHopIs(ip) });

const to = ({ macAddress, isOutside = false }: Neighbour) =>
  [setEthDst(macAddress), goto(isOutside ? 'ROUTER_SNAT' : 'ROUTER_OUT')] as const;
