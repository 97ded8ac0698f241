/**
 * Network address translation, by conntrack: ICMP errors and fragments need what a plain rewrite does not do. A part of a router
 * (what it is on the hosts of its guests, and what it is on the gateway host) has two zones, one for each direction in which
 * connections begin. So a connection between two floating IPs on one host is two passes, and each finds its own entries.
 *
 *     out:  ROUTER_SNAT ct(dnat zone) ─ an answer ─────────────────────────┐
 *                          └ else ROUTER_SNAT_NEW ct(commit, snat zone) ─ ROUTER_OUT
 *     in:   ROUTER_UNSNAT ct(snat zone) ─ ROUTER_DNAT ─ an answer ─────────┐
 *                                              └ else ct(commit, dnat zone) ─ ROUTER_ROUTE
 */
import type { Ip, Prefix } from '../lib/addresses.ts';
import { drop, type PlainAction, setEthSrc } from './actions.ts';
import { brInt } from './br-int.ts';
import { type Entity, goto, track, visit } from './language.ts';
import { type FlowMatch, inPrefix, ipv4, within } from './match.ts';
import { toController } from './packet-in-reasons.ts';
import {
  atRouter,
  inNetwork,
  markLargerThan,
  NEXT_HOP_IS_DESTINATION,
  setNetwork,
  setNextHop,
  setRouter,
  TOO_BIG,
} from './router-registers.ts';

const { rules } = brInt;

/** Conntrack zones of a part of a router. */
export interface NatZones {
  /** Of connections that begin outside, to a floating IP. */
  readonly dnat: number;
  /** Of connections that begin inside. */
  readonly snat: number;
}

/** A part of a router that translates. */
export interface NatPart extends Entity {
  readonly routerKey: number;
  readonly zones: NatZones;
}

/** ovs-fields(7), ct_state: tracked, and of the direction opposite to the connection's first packet. */
const ANSWER: FlowMatch = { ctState: { value: 0x28, mask: 0x28 } };

export const answers = rules(
  'nat-answers',
  {
    cases: {
      ROUTER_UNSNAT: 'From outside: perhaps it answers a connection that began inside.',
      ROUTER_DNAT: 'It does: its receiver is the one who began.',
      ROUTER_SNAT_NEW: 'It answers a connection that began outside: its sender is the floating IP again.',
    },
  },
  ({ routerKey, zones }: NatPart, table) => {
    const here = ipv4(atRouter(routerKey));
    return [
      table.ROUTER_UNSNAT(10, here, track('ROUTER_DNAT', { zone: zones.snat, nat: {} })),
      table.ROUTER_DNAT(20, { ...here, ...ANSWER }, goto('ROUTER_ROUTE')),
      table.ROUTER_SNAT_NEW(20, { ...here, ...ANSWER }, visit('ROUTER_OUT')),
    ];
  },
);

/** A host that has an external network. */
export const translates = rules(
  'translates',
  {
    cases: {
      ROUTER_UNSNAT:
        'For a floating IP, and too big for the network behind it: the controller says so, to who sent it.',
      ROUTER_SNAT: 'What no rule translates leaves as it is, where its router lets it.',
    },
  },
  (_host: Entity, table) => [
    table.ROUTER_UNSNAT(20, TOO_BIG, toController('tooBig')),
    table.ROUTER_SNAT(0, {}, goto('ROUTER_OUT')),
  ],
);

/** A floating IP on the host that serves it. */
export interface FloatingIp extends NatPart {
  /** Local VLAN of the external network. */
  readonly localVlan: number;
  readonly floatingIp: number;
  readonly fixedIp: number;
  /** The MAC that it is at outside. */
  readonly macAddress: number;
  /** Of the network behind it, where it is less than outside. */
  readonly mtu?: number;
}

export const toFloatingIp = rules(
  'to-floating-ip',
  {
    cases: {
      ROUTER_IN: 'To a floating IP, from outside. With a TTL that is used up: the controller says so.',
      ROUTER_DNAT: 'A new connection to a floating IP: its receiver is the fixed address behind it.',
      ROUTER_ROUTE: 'To a floating IP from outside, and conntrack would not have it: drop.',
    },
  },
  ({ routerKey, zones, localVlan, floatingIp: ipv4Dst, fixedIp, macAddress: ethDst, mtu }: FloatingIp, table) => {
    const here = ipv4({ ...inNetwork(localVlan), ethDst, ipv4Dst });
    const nat = { direction: 'dst', addressMin: fixedIp } as const;
    return [
      ...[0, 1].map((ipTtl) =>
        table.ROUTER_IN(33, { ...here, ipTtl }, setRouter(routerKey), toController('timeExceeded')),
      ),
      table.ROUTER_IN(
        32,
        here,
        setRouter(routerKey),
        mtu === undefined ? [] : markLargerThan(mtu),
        goto('ROUTER_UNSNAT'),
      ),
      table.ROUTER_DNAT(
        10,
        ipv4({ ...atRouter(routerKey), ipv4Dst }),
        track('ROUTER_ROUTE', { commit: true, zone: zones.dnat, nat }),
      ),
      table.ROUTER_ROUTE(1900, ipv4({ ...atRouter(routerKey), ...inNetwork(localVlan), ipv4Dst }), drop),
    ];
  },
);

const decTtl: PlainAction = { type: 'decTtl' };

export const fromFloatingIp = rules(
  'from-floating-ip',
  {
    cases: {
      ROUTER_SNAT: 'From an address with a floating IP: perhaps it answers a connection that began outside.',
      ROUTER_SNAT_NEW: 'A connection that begins here: its sender is the floating IP.',
      ROUTER_OUT: 'From a floating IP: nothing else leaves in its MAC, no fixed address is ever seen outside.',
    },
  },
  ({ routerKey, zones, localVlan, floatingIp, fixedIp: ipv4Src, macAddress }: FloatingIp, table) => {
    const here = { ...atRouter(routerKey), ...inNetwork(localVlan) };
    const nat = { direction: 'src', addressMin: floatingIp } as const;
    return [
      table.ROUTER_SNAT(10, ipv4({ ...here, ipv4Src }), track('ROUTER_SNAT_NEW', { zone: zones.dnat, nat: {} })),
      table.ROUTER_SNAT_NEW(
        10,
        ipv4({ ...atRouter(routerKey), ipv4Src }),
        track('ROUTER_OUT', { commit: true, zone: zones.snat, nat }),
      ),
      table.ROUTER_OUT(
        2,
        ipv4({ ...here, ipv4Src: floatingIp }),
        setEthSrc(macAddress),
        decTtl,
        goto('ROUTER_DELIVER'),
      ),
    ];
  },
);

/** By a neighbour on the external network. */
export interface OutsideRoute {
  readonly destination: Prefix;
  readonly nextHop: Ip;
}

/** The way out of an address with a floating IP on this host. */
export interface FloatingRoute extends Entity {
  readonly routerKey: number;
  readonly fixedIp: number;
  /** Local VLAN of the external network. */
  readonly localVlan: number;
  /** Subnets of the external network. */
  readonly subnets: readonly Prefix[];
  /** The external network's gateway. */
  readonly gatewayIp?: number;
  /** The router's, by neighbours on the external network. */
  readonly routes: readonly OutsideRoute[];
  /** Of the external network, where it is less than that of a network of the router's. */
  readonly mtu?: number;
}

/** Below every route of the router's own, all of which begin at 1000; above the way by the gateway host. */
const FLOATING_PRIORITY = 850;
/** Among those: as long as it, and above the same route by the gateway host. */
const FLOATING_ROUTE_PRIORITY = 1001;

export const floatingRoute = rules(
  'floating-route',
  {
    cases: {
      ROUTER_ROUTE: 'From an address with a floating IP, to where no route leads inside: outside, from this host.',
    },
  },
  ({ routerKey, fixedIp: ipv4Src, localVlan, subnets, gatewayIp, routes, mtu }: FloatingRoute, table) => {
    const here = { ...atRouter(routerKey), ipv4Src };
    const toOutside = [setNetwork(localVlan), ...(mtu === undefined ? [] : [markLargerThan(mtu)])];
    return [
      ...subnets.flatMap((prefix) =>
        typeof prefix.address === 'number'
          ? table.ROUTER_ROUTE(
              FLOATING_PRIORITY + 1 + prefix.length,
              ipv4({ ...here, ipv4Dst: within(prefix) }),
              toOutside,
              NEXT_HOP_IS_DESTINATION.ipv4,
              goto('ROUTER_NEIGHBOUR'),
            )
          : [],
      ),
      ...routes.flatMap(({ destination, nextHop }) =>
        typeof destination.address === 'number'
          ? table.ROUTER_ROUTE(
              FLOATING_ROUTE_PRIORITY + 2 * destination.length,
              ipv4({ ...here, ...inPrefix('ipv4Dst', destination) }),
              toOutside,
              setNextHop(nextHop),
              goto('ROUTER_NEIGHBOUR'),
            )
          : [],
      ),
      ...(gatewayIp === undefined
        ? []
        : [
            table.ROUTER_ROUTE(
              FLOATING_PRIORITY,
              ipv4(here),
              toOutside,
              setNextHop(gatewayIp),
              goto('ROUTER_NEIGHBOUR'),
            ),
          ]),
    ];
  },
);

/** A floating IP that its router's gateway serves. */
export interface FloatingOnGateway extends Entity {
  readonly routerKey: number;
  readonly fixedIp: number;
  /** Local VLAN of the external network. */
  readonly localVlan: number;
  /** The gateway's own, on the external network. */
  readonly gatewayIps: readonly number[];
}

/** Above what is said of the gateway's own addresses. */
const ROUND_PRIORITY = 2003;

export const floatingToGateway = rules(
  'floating-to-gateway',
  {
    cases: {
      ROUTER_ROUTE:
        "From an address with a floating IP, to its gateway's own: it may answer a guest that came by there, so it goes round by the outside.",
    },
  },
  ({ routerKey, fixedIp: ipv4Src, localVlan, gatewayIps }: FloatingOnGateway, table) =>
    gatewayIps.map((ipv4Dst) =>
      table.ROUTER_ROUTE(
        ROUND_PRIORITY,
        ipv4({ ...atRouter(routerKey), ipv4Src, ipv4Dst }),
        setNetwork(localVlan),
        NEXT_HOP_IS_DESTINATION.ipv4,
        goto('ROUTER_NEIGHBOUR'),
      ),
    ),
);
