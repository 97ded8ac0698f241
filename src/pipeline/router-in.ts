/**
 * Into a router. A router that is flows has no port: its tables are where frames of guests pass, on the host of each guest. What
 * guests ask about the router's addresses is answered here; what is sent to its MAC is taken in.
 */
import { type Ip, linkLocalOf, type Prefix } from '../lib/addresses.ts';
import { arpReply, backToSender, drop, move, normal, setEthDst, setEthSrc } from './actions.ts';
import { brInt } from './br-int.ts';
import { type Entity, goto, visit } from './language.ts';
import { ARP_OP, arp, type FlowMatch, ICMPV6, icmpv6, inPrefix, ipv4, ipv6, TAGGED } from './match.ts';
import { toController } from './packet-in-reasons.ts';
import { inNetwork, RECEIVER_HOLES, setNetwork, setRouter } from './router-registers.ts';

const { rules } = brInt;

/** A guest's port on a host that may route. */
export interface RoutedGuest extends Entity {
  readonly ofport: number;
  readonly localVlan: number;
}

/** Not Neutron's: see deviations.ts. */
export const guestVlan = rules(
  'guest-vlan',
  {
    cases: { TRANSIENT: 'From a guest, with a VLAN tag: drop. The tag would pass for a local VLAN.' },
    holes: RECEIVER_HOLES,
  },
  (guest: RoutedGuest, table) => [table.TRANSIENT(25, { inPort: guest.ofport, ...TAGGED }, drop)],
);

export const toRouter = rules(
  'to-router',
  {
    cases: { TRANSIENT: 'From a guest whose network has a router: it may be for the router.' },
    holes: RECEIVER_HOLES,
  },
  (guest: RoutedGuest, table) => [
    table.TRANSIENT(22, { inPort: guest.ofport }, setNetwork(guest.localVlan), visit('ROUTER_IN')),
  ],
);

/** A host that has routers. */
export const notForRouter = rules(
  'not-for-router',
  { cases: { ROUTER_IN: 'For no router: switched by MAC and local VLAN.' } },
  (_host: Entity, table) => [table.ROUTER_IN(0, {}, normal)],
);

/** A router's MAC on a network, and the addresses that it has there. */
export interface RouterInterface extends Entity {
  /** What stands for the router in register 0. */
  readonly routerKey: number;
  readonly localVlan: number;
  readonly macAddress: number;
  readonly addresses: readonly Ip[];
}

const INTERFACE_HOLES = { routerKey: 32, localVlan: 12, macAddress: 48, addresses: 'address' } as const;

const ipv4Of = ({ addresses }: RouterInterface): readonly number[] => addresses.filter((ip) => typeof ip === 'number');

/** With the link-local address that every IPv6 interface has. */
function ipv6Of({ addresses, macAddress }: RouterInterface): readonly bigint[] {
  const global = addresses.filter((ip) => typeof ip === 'bigint');
  return global.length === 0 ? [] : [...global, linkLocalOf(macAddress)];
}

export const toRouterMac = rules(
  'to-router-mac',
  {
    cases: {
      ROUTER_IN:
        "To a router's MAC: IP of a family that it has there is routed, and all else that is not answered ends here.",
    },
    holes: INTERFACE_HOLES,
  },
  (port: RouterInterface, table) => {
    const here = { ...inNetwork(port.localVlan), ethDst: port.macAddress };
    const takeIn = [setRouter(port.routerKey), goto('ROUTER_ROUTE')] as const;
    return [
      ...(ipv4Of(port).length === 0 ? [] : [table.ROUTER_IN(30, ipv4(here), ...takeIn)]),
      ...(ipv6Of(port).length === 0 ? [] : [table.ROUTER_IN(30, ipv6(here), ...takeIn)]),
      table.ROUTER_IN(20, here, drop),
    ];
  },
);

export const arpForRouter = rules(
  'arp-for-router',
  {
    cases: {
      ROUTER_IN:
        'Somebody asks who has an address of a router: answered here. An answer to a router: the controller asked.',
    },
    holes: INTERFACE_HOLES,
  },
  (port: RouterInterface, table) => {
    const here = inNetwork(port.localVlan);
    return ipv4Of(port).flatMap((ip) => [
      table.ROUTER_IN(40, arp({ ...here, arpOp: ARP_OP.request, arpTpa: ip }), arpReply(port.macAddress, ip)),
      table.ROUTER_IN(
        38,
        arp({ ...here, ethDst: port.macAddress, arpOp: ARP_OP.reply, arpTpa: ip }),
        toController('watch'),
      ),
    ]);
  },
);

const ALL_NODES = { mac: 0x3333_0000_0001, ip: (0xff02n << 112n) | 1n };

/** Flags of a neighbour advertisement (RFC 4861 §4.4): router and override, and solicited where somebody asked. */
const ADVERTISED_TO_ALL = 0xa000_0000;
const ADVERTISED_TO_ASKER = 0xe000_0000;

const TARGET_LINK_LAYER_ADDRESS = 2;

/** A solicitation becomes an advertisement in two tables: Open vSwitch lets its options be written only once it is one. */
export const solicitationForRouter = rules(
  'nd-for-router',
  {
    cases: {
      ROUTER_IN:
        'Somebody asks by neighbour discovery who has an address of a router; one who asks without an address would take it, and all hear the answer. An answer to a router: the controller asked.',
      ND_ADVERTISE: "A router's advertisement.",
    },
  },
  (port: RouterInterface, table) => {
    const here = inNetwork(port.localVlan);
    const toRouter = { ...here, ethDst: port.macAddress };
    const addresses = ipv6Of(port);
    const answer = (ip: bigint) =>
      [
        setEthSrc(port.macAddress),
        { type: 'setField', field: 'ipv6Src', value: ip },
        { type: 'setField', field: 'icmpv6Type', value: ICMPV6.neighbourAdvertisement },
        goto('ND_ADVERTISE'),
      ] as const;
    const advertise = (flags: number) =>
      [
        { type: 'setField', field: 'ndTll', value: port.macAddress },
        { type: 'setField', field: 'ndOptionsType', value: TARGET_LINK_LAYER_ADDRESS },
        { type: 'setField', field: 'ndReserved', value: flags },
        backToSender,
      ] as const;
    return addresses.flatMap((ip) => {
      const asked = solicitation({ ...here, ndTarget: ip });
      const advertised = icmpv6('neighbourAdvertisement', { ...here, ndTarget: ip, icmpv6Code: 0 });
      return [
        table.ROUTER_IN(
          41,
          { ...asked, ipv6Src: 0n },
          setEthDst(ALL_NODES.mac),
          { type: 'setField', field: 'ipv6Dst', value: ALL_NODES.ip },
          ...answer(ip),
        ),
        table.ROUTER_IN(40, asked, move('ethSrc', 'ethDst'), move('ipv6Src', 'ipv6Dst'), ...answer(ip)),
        table.ROUTER_IN(38, icmpv6('neighbourAdvertisement', { ...toRouter, ipv6Dst: ip }), toController('watch')),
        table.ND_ADVERTISE(2, { ...advertised, ipv6Dst: ALL_NODES.ip }, ...advertise(ADVERTISED_TO_ALL)),
        table.ND_ADVERTISE(1, advertised, ...advertise(ADVERTISED_TO_ASKER)),
      ];
    });
  },
);

const solicitation = (match: FlowMatch): FlowMatch => icmpv6('neighbourSolicitation', { icmpv6Code: 0, ...match });

/** A router that is on gateway hosts alone, on the hosts of its guests. */
export const answersRouter = rules(
  'answers-router',
  { cases: { ROUTER_IN: 'An answer to a router that is on another host: the controller asked.' } },
  (port: RouterInterface, table) => {
    const here = { ...inNetwork(port.localVlan), ethDst: port.macAddress };
    return [
      ...ipv4Of(port).map((ip) =>
        table.ROUTER_IN(38, arp({ ...here, arpOp: ARP_OP.reply, arpTpa: ip }), toController('watch')),
      ),
      ...ipv6Of(port).map((ip) =>
        table.ROUTER_IN(38, icmpv6('neighbourAdvertisement', { ...here, ipv6Dst: ip }), toController('watch')),
      ),
    ];
  },
);

export const solicitsRouter = rules(
  'router-solicitation',
  { cases: { ROUTER_IN: 'Somebody asks for routers: the controller advertises.' } },
  (port: RouterInterface, table) =>
    ipv6Of(port).length === 0
      ? []
      : [
          table.ROUTER_IN(
            38,
            icmpv6('routerSolicitation', inNetwork(port.localVlan)),
            toController('routerSolicitation'),
          ),
        ],
);

/** A guest's port that may have addresses which the topology gives to no port. */
export interface WatchedGuest extends Entity {
  readonly ofport: number;
  /** Addresses that it may have besides its own. */
  readonly watched: readonly Prefix[];
  /** Addresses of its own, within those. */
  readonly known: readonly Ip[];
}

/** By these an address that several guests may have is followed from one to the other. */
export const watchedGuest = rules(
  'watch',
  {
    cases: {
      ROUTER_IN: 'A guest says that it has an address which may be its own: the controller hears it too.',
    },
  },
  ({ ofport: inPort, watched, known }: WatchedGuest, table) => {
    const claims = (prefix: Prefix): FlowMatch =>
      typeof prefix.address === 'number'
        ? arp({ inPort, ...inPrefix('arpSpa', prefix) })
        : icmpv6('neighbourAdvertisement', { inPort, ...inPrefix('ndTarget', prefix) });
    const exactly = (address: Ip): Prefix => ({ address, length: typeof address === 'number' ? 32 : 128 });
    return [
      ...watched.map((prefix) => table.ROUTER_IN(36, claims(prefix), toController('watch'), normal)),
      ...known.map((ip) => table.ROUTER_IN(37, claims(exactly(ip)), normal)),
    ];
  },
);
