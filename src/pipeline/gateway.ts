/**
 * The part of a router that is on a gateway host: where its guests without a floating IP go out, and where answers to them come
 * in. It has a MAC and an address on each of the router's networks (Neutron's sg ports; the interfaces themselves where the
 * router is not distributed), and one outside (qg).
 */
import type { Ip, Prefix } from '../lib/addresses.ts';
import { arpAnswer, drop, type PlainAction, popVlan, setEthSrc, whole } from './actions.ts';
import { brInt } from './br-int.ts';
import { NO_MARK, setMark } from './gateway-failover.ts';
import { type Entity, goto, track, visit } from './language.ts';
import { ARP_OP, arp, ICMPV4, ICMPV6, icmpv4, icmpv6, inPrefix, ipv4, ipv6 } from './match.ts';
import type { NatPart } from './nat.ts';
import { toController } from './packet-in-reasons.ts';
import {
  atRouter,
  inNetwork,
  markLargerThan,
  NEXT_HOP_IS_DESTINATION,
  setNetwork,
  setNextHop,
  setRouter,
} from './router-registers.ts';

const { rules } = brInt;

/** A gateway's MAC on one of the router's networks. */
export interface GatewayInterface extends Entity {
  readonly routerKey: number;
  readonly localVlan: number;
  readonly macAddress: number;
  readonly ipv4Addresses: readonly number[];
  /** Other hosts can be gateways of the router too: what this host sends there asks who serves. Default: no. */
  readonly isOneOfSeveral?: boolean;
}

export const toGateway = rules(
  'to-gateway',
  {
    cases: {
      ROUTER_IN: "To a gateway's MAC on a network of the router's: IP is routed, the rest ends here.",
      ROUTER_DELIVER: 'To such a MAC from the router on this host: in again, now as the gateway.',
    },
  },
  ({ routerKey, localVlan, macAddress, ipv4Addresses, isOneOfSeveral = false }: GatewayInterface, table) => {
    // Of several, a guest of this host asks who serves like any other: what does come in bears the mark.
    const mark = isOneOfSeveral ? { pktMark: routerKey } : {};
    const here = { ...inNetwork(localVlan), ethDst: macAddress };
    const takeIn = [isOneOfSeveral ? NO_MARK : [], setRouter(routerKey), goto('ROUTER_ROUTE')] as const;
    return [
      ...ipv4Addresses.map((ip) =>
        table.ROUTER_IN(
          40,
          arp({ ...inNetwork(localVlan), arpOp: ARP_OP.request, arpTpa: ip }),
          arpAnswer(macAddress, ip),
          goto('ROUTER_DELIVER'),
        ),
      ),
      table.ROUTER_IN(30, ipv4({ ...here, ...mark }), ...takeIn),
      table.ROUTER_IN(30, ipv6({ ...here, ...mark }), ...takeIn),
      table.ROUTER_IN(20, { ...here, ...mark }, drop),
      ...(isOneOfSeveral ? [] : [table.ROUTER_DELIVER(3, here, { type: 'ctClear' }, visit('ROUTER_IN'))]),
    ];
  },
);

/** How frames of other hosts come to such a MAC. */
export interface GatewayEntrance extends GatewayInterface {
  /** patch-tun, or int-br-X. */
  readonly ofport: number;
}

const enter = ({ localVlan, isOneOfSeveral = false, routerKey }: GatewayEntrance): readonly PlainAction[] => [
  popVlan,
  setNetwork(localVlan),
  ...(isOneOfSeveral ? [setMark(routerKey)] : []),
];

export const toGatewayFromOtherHost = rules(
  'to-gateway-from-other-host',
  {
    cases: {
      TRANSIENT: 'From another host, to the gateway of a router on this one, or a question for its address.',
    },
  },
  (entrance: GatewayEntrance, table) => {
    const { ofport: inPort, localVlan: vlan, macAddress: ethDst, ipv4Addresses } = entrance;
    return [
      table.TRANSIENT(23, { inPort, vlan, ethDst }, enter(entrance), visit('ROUTER_IN')),
      ...ipv4Addresses.map((arpTpa) =>
        table.TRANSIENT(23, arp({ inPort, vlan, arpOp: ARP_OP.request, arpTpa }), enter(entrance), visit('ROUTER_IN')),
      ),
    ];
  },
);

export const routedToGatewayByTunnel = rules(
  'routed-to-gateway-by-tunnel',
  {
    when: 'distributedRouting',
    cases: { DVR_TO_SRC_MAC: 'Routed on another host, to the gateway of its router on this one.' },
  },
  (entrance: GatewayEntrance, table) => [
    table.DVR_TO_SRC_MAC(
      20,
      { vlan: entrance.localVlan, ethDst: entrance.macAddress },
      enter(entrance),
      goto('ROUTER_IN'),
    ),
  ],
);

/** By a physical network. */
export interface WireEntrance extends GatewayEntrance {
  readonly vlan: number | 'untagged';
}

export const routedToGatewayByProvider = rules(
  'routed-to-gateway-by-provider',
  {
    when: 'distributedRouting',
    cases: { DVR_TO_SRC_MAC_PHYSICAL: 'Routed on another host, to the gateway of its router on this one.' },
  },
  ({ vlan, macAddress: ethDst, localVlan }: WireEntrance, table) => [
    table.DVR_TO_SRC_MAC_PHYSICAL(
      20,
      { vlan, ethDst },
      vlan === 'untagged' ? [] : popVlan,
      setNetwork(localVlan),
      goto('ROUTER_IN'),
    ),
  ],
);

/** Addresses of a gateway, inside and outside. */
export interface GatewayAddresses extends Entity {
  readonly routerKey: number;
  readonly addresses: readonly Ip[];
}

/** Once more through the router, which takes one off: it leaves with 64. */
const OWN_TTL = 65;

const answered = (family: 'ipv4' | 'ipv6'): readonly PlainAction[] => {
  const [source, destination] = [whole(`${family}Src`), whole(`${family}Dst`)];
  return [
    { type: 'stackPush', source },
    { type: 'stackPush', source: destination },
    { type: 'stackPop', destination: source },
    { type: 'stackPop', destination },
    { type: 'setTtl', ttl: OWN_TTL },
  ];
};

/** A fragment, and not the first one. */
const LATER_FRAGMENT = { ipFrag: 3 } as const;

/** Who asked may be behind a tunnel, and behind a router there: the answer is routed as anything else. */
export const gatewayAddress = rules(
  'gateway-address',
  {
    cases: {
      ROUTER_ROUTE:
        "To an address of a gateway's own: an echo request turns into its reply and is routed; all else gets an answer from the controller.",
    },
  },
  ({ routerKey, addresses }: GatewayAddresses, table) =>
    addresses.flatMap((ip) => {
      const isIpv4 = typeof ip === 'number';
      const own = isIpv4 ? { ...atRouter(routerKey), ipv4Dst: ip } : { ...atRouter(routerKey), ipv6Dst: ip };
      const family = isIpv4 ? ('ipv4' as const) : ('ipv6' as const);
      const anything = isIpv4 ? ipv4(own) : ipv6(own);
      const fragment = isIpv4
        ? icmpv4({ ...own, ...LATER_FRAGMENT })
        : ipv6({ ipProto: 58, ...own, ...LATER_FRAGMENT });
      const request = isIpv4
        ? icmpv4({ ...own, icmpv4Type: ICMPV4.echoRequest, icmpv4Code: 0 })
        : icmpv6('echoRequest', { ...own, icmpv6Code: 0 });
      const asReply: PlainAction = isIpv4
        ? { type: 'setField', field: 'icmpv4Type', value: ICMPV4.echoReply }
        : { type: 'setField', field: 'icmpv6Type', value: ICMPV6.echoReply };
      return [
        table.ROUTER_ROUTE(2002, fragment, answered(family), visit('ROUTER_ROUTE')),
        table.ROUTER_ROUTE(2001, request, asReply, answered(family), visit('ROUTER_ROUTE')),
        table.ROUTER_ROUTE(2000, anything, toController('ownAddress')),
      ];
    }),
);

/** A gateway on the external network. */
export interface GatewayOutside extends NatPart {
  /** Local VLAN of the external network. */
  readonly localVlan: number;
  readonly macAddress: number;
  readonly ipv4Addresses: readonly number[];
  readonly enableSnat: boolean;
}

/** IANA's protocol number. */
const TCP = 6;

/** Ports that a gateway gives to connections of its guests: those below are for services. */
const SNAT_PORTS = { portMin: 1024, portMax: 65_535 } as const;

export const gatewayOutside = rules(
  'gateway-outside',
  {
    cases: {
      ROUTER_IN: "From outside, to a gateway's MAC.",
      ROUTER_DNAT:
        'To the gateway itself: to its own address. To an address inside: nothing, unless the router does not translate.',
      ROUTER_SNAT:
        "From an address without a floating IP: its sender is the gateway's address. What the gateway says itself is not translated.",
      ROUTER_OUT:
        'From a gateway to outside: its own MAC; where it translates, its own address alone. A ping for which conntrack has no identifier left: the controller gives it one.',
    },
  },
  ({ routerKey, zones, localVlan, macAddress, ipv4Addresses, enableSnat }: GatewayOutside, table) => {
    const there = { ...atRouter(routerKey), ...inNetwork(localVlan) };
    const here = { ...inNetwork(localVlan), ethDst: macAddress };
    const [address] = ipv4Addresses;
    const leave = [setEthSrc(macAddress), { type: 'decTtl' } as const, goto('ROUTER_DELIVER')] as const;
    return [
      table.ROUTER_IN(30, ipv4(here), setRouter(routerKey), goto('ROUTER_UNSNAT')),
      table.ROUTER_IN(30, ipv6(here), setRouter(routerKey), goto('ROUTER_ROUTE')),
      ...ipv4Addresses.map((ipv4Dst) =>
        table.ROUTER_DNAT(10, ipv4({ ...atRouter(routerKey), ipv4Dst }), goto('ROUTER_ROUTE')),
      ),
      ...(enableSnat ? [] : [table.ROUTER_DNAT(1, ipv4(atRouter(routerKey)), goto('ROUTER_ROUTE'))]),
      ...(enableSnat && address !== undefined
        ? [
            // Its own resets, from whichever port was knocked at. Errors do pass: what they quote is translated.
            ...ipv4Addresses.map((ipv4Src) =>
              table.ROUTER_SNAT(6, ipv4({ ...there, ipv4Src, ipProto: TCP }), goto('ROUTER_OUT')),
            ),
            table.ROUTER_SNAT(
              5,
              ipv4(there),
              track('ROUTER_OUT', {
                commit: true,
                zone: zones.snat,
                nat: { direction: 'src', addressMin: address, ...SNAT_PORTS },
              }),
            ),
          ]
        : []),
      ...(enableSnat
        ? ipv4Addresses.map((ipv4Src) => table.ROUTER_OUT(1, ipv4({ ...there, ipv4Src }), ...leave))
        : [table.ROUTER_OUT(1, ipv4(there), ...leave)]),
      table.ROUTER_OUT(1, ipv6(there), ...leave),
      ...(enableSnat
        ? [
            // Still in its own address: conntrack had no translation for it.
            table.ROUTER_OUT(
              0,
              icmpv4({ ...there, icmpv4Type: ICMPV4.echoRequest, icmpv4Code: 0 }),
              setEthSrc(macAddress),
              toController('echo'),
            ),
          ]
        : []),
    ];
  },
);

/** The way out of a gateway. */
export interface GatewayRoute extends Entity {
  readonly routerKey: number;
  /** Local VLAN of the external network. */
  readonly localVlan: number;
  /** The external network's gateway; one of each family at most. */
  readonly nextHops: readonly Ip[];
  /** Of the external network, where it is less than that of a network of the router's. */
  readonly mtu?: number;
}

/** Below every route of the router's own, all of which begin at 1000. */
const OUTSIDE_PRIORITY = 900;

export const gatewayRoute = rules(
  'gateway-route',
  { cases: { ROUTER_ROUTE: "From a gateway, to where no route leads: to the external network's own gateway." } },
  ({ routerKey, localVlan, nextHops, mtu }: GatewayRoute, table) =>
    nextHops.map((ip) =>
      table.ROUTER_ROUTE(
        OUTSIDE_PRIORITY,
        (typeof ip === 'number' ? ipv4 : ipv6)(atRouter(routerKey)),
        setNetwork(localVlan),
        setNextHop(ip),
        mtu === undefined ? [] : markLargerThan(mtu),
        goto('ROUTER_NEIGHBOUR'),
      ),
    ),
);

/** A subnet of the external network, of which a gateway is. */
export interface GatewaySubnet extends GatewayRoute {
  readonly subnet: Prefix;
}

export const gatewaySubnet = rules(
  'gateway-subnet',
  { cases: { ROUTER_ROUTE: 'From a gateway, to a subnet of the external network.' } },
  ({ routerKey, localVlan, subnet, mtu }: Omit<GatewaySubnet, 'nextHops'>, table) => {
    const isIpv4 = typeof subnet.address === 'number';
    const to = inPrefix(isIpv4 ? 'ipv4Dst' : 'ipv6Dst', subnet);
    return [
      table.ROUTER_ROUTE(
        1001 + 2 * subnet.length,
        (isIpv4 ? ipv4 : ipv6)({ ...atRouter(routerKey), ...to }),
        setNetwork(localVlan),
        NEXT_HOP_IS_DESTINATION[isIpv4 ? 'ipv4' : 'ipv6'],
        mtu === undefined ? [] : markLargerThan(mtu),
        goto('ROUTER_NEIGHBOUR'),
      ),
    ];
  },
);

/** The way from a subnet to the gateway of its router, by the network that it is on. */
export interface WayToGateway extends Entity {
  /** Of the router on the hosts of its guests. */
  readonly routerKey: number;
  readonly localVlan: number;
  readonly subnet: Prefix;
  /** The gateway's address there. */
  readonly ip: Ip;
  /** Where the gateway alone knows the way, though a shorter route may lead elsewhere. */
  readonly destinations: readonly Prefix[];
}

const WAY_TO_GATEWAY_PRIORITY = 830;
/** As routes have it: and twice the length. */
const ROUTE_PRIORITY = 1000;

export const wayToGateway = rules(
  'way-to-gateway',
  {
    cases: {
      ROUTER_ROUTE:
        'From a subnet, to where no route leads inside: back into its network, to the gateway on the gateway host.',
    },
  },
  ({ routerKey, localVlan, subnet, ip, destinations }: WayToGateway, table) => {
    const isIpv4 = typeof ip === 'number';
    const from = { ...atRouter(routerKey), ...inPrefix(isIpv4 ? 'ipv4Src' : 'ipv6Src', subnet) };
    const way = [setNetwork(localVlan), setNextHop(ip), goto('ROUTER_NEIGHBOUR')] as const;
    const ofFamily = destinations.filter(({ address }) => typeof address === typeof ip);
    return [
      table.ROUTER_ROUTE(WAY_TO_GATEWAY_PRIORITY, (isIpv4 ? ipv4 : ipv6)(from), ...way),
      ...ofFamily.map((prefix) => {
        const to = inPrefix(isIpv4 ? 'ipv4Dst' : 'ipv6Dst', prefix);
        const match = (isIpv4 ? ipv4 : ipv6)({ ...from, ...to });
        return table.ROUTER_ROUTE(ROUTE_PRIORITY + 2 * prefix.length, match, ...way);
      }),
    ];
  },
);
