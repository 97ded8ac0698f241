/**
 * Where a router's networks end and the world begins: an external network on a host. What comes from its wire for one of our MACs
 * there, or asks for one of our addresses, is taken out of the way of Neutron's tables and into those of routers.
 */
import { type Ip, linkLocalOf } from '../lib/addresses.ts';
import {
  arpAnswer,
  drop,
  move,
  normal,
  output,
  type PlainAction,
  popVlan,
  pushVlan,
  setEthDst,
  setEthSrc,
  setVlan,
} from './actions.ts';
import { brInt } from './br-int.ts';
import { brPhys } from './br-phys.ts';
import { entrance, NO_MARK, type ServingAsker, setMark } from './gateway-failover.ts';
import { type Entity, goto, type Line, type TableWriters, visit } from './language.ts';
import { ARP_OP, arp, type FlowMatch, ICMPV6, icmpv6, ipv4, ipv6 } from './match.ts';
import { toController } from './packet-in-reasons.ts';
import { FROM_NOWHERE } from './router-out.ts';
import { inNetwork, nextHopIs, setNetwork } from './router-registers.ts';

const { rules } = brInt;

/** An external network's wire, seen from br-int. */
export interface OutsideWire extends Entity {
  readonly localVlan: number;
  /** int-br-X. */
  readonly ofport: number;
  /** VLAN id on the wire; absent: untagged (flat). */
  readonly segmentationId?: number;
}

const onTheWire = ({ ofport, segmentationId }: OutsideWire): FlowMatch => ({
  inPort: ofport,
  vlan: segmentationId ?? 'untagged',
});

const takenIn = ({ localVlan, segmentationId }: OutsideWire): readonly PlainAction[] => [
  ...(segmentationId === undefined ? [] : [popVlan]),
  setNetwork(localVlan),
];

/** A MAC of ours on an external network: the host's for floating IPs, a gateway port's for a router. */
export interface OutsideMac extends OutsideWire {
  readonly macAddress: number;
  /** Other hosts have it too: this one serves only when no better one lives. */
  readonly asker?: ServingAsker;
}

/** Rows of table 0 for what comes from the wire, first through br-tun where others may serve. */
function comesIn(
  table: Pick<TableWriters<typeof brInt.tables>, 'LOCAL_SWITCHING'>,
  wire: OutsideMac,
  match: FlowMatch,
): readonly Line[] {
  const { asks, enters } = entrance({ ...onTheWire(wire), ...match }, takenIn(wire), wire.asker);
  if (asks === undefined) return [table.LOCAL_SWITCHING(6, enters.match, enters.actions, goto('ROUTER_IN'))];
  return [
    table.LOCAL_SWITCHING(6, asks.match, asks.actions),
    table.LOCAL_SWITCHING(9, enters.match, enters.actions, goto('ROUTER_IN')),
  ];
}

/** In again where this host serves, as if from the wire; and onto the wire, in case another one does. */
function toWhoeverServes({ localVlan, ofport, segmentationId }: OutsideWire, { routerKey, patchTun }: ServingAsker) {
  const tagged = segmentationId === undefined ? [] : pushVlan(segmentationId);
  return [
    FROM_NOWHERE,
    ...tagged,
    setMark(routerKey),
    output(patchTun),
    NO_MARK,
    ...(segmentationId === undefined ? [] : [popVlan]),
    ...pushVlan(localVlan),
    output(ofport),
  ];
}

export const outsideMac = rules(
  'outside-mac',
  {
    cases: {
      LOCAL_SWITCHING: 'From an external network, for a MAC that floating IPs or a gateway have there: to the routers.',
      ROUTER_IN: 'To such a MAC: an answer to a question of the controller; what no rule takes in ends here.',
      ROUTER_DELIVER:
        'To such a MAC from a router on this host: it comes in again as if from outside, where this host serves.',
    },
  },
  (wire: OutsideMac, table) => {
    const { localVlan, macAddress: ethDst } = wire;
    const here = { ...inNetwork(localVlan), ethDst };
    return [
      ...comesIn(table, wire, { ethDst }),
      table.ROUTER_IN(38, arp({ ...here, arpOp: ARP_OP.reply }), toController('watch')),
      table.ROUTER_IN(38, icmpv6('neighbourAdvertisement', { ...here, icmpv6Code: 0 }), toController('watch')),
      table.ROUTER_IN(20, here, drop),
      wire.asker === undefined
        ? table.ROUTER_DELIVER(3, here, { type: 'ctClear' }, visit('ROUTER_IN'))
        : table.ROUTER_DELIVER(3, here, ...toWhoeverServes(wire, wire.asker)),
    ];
  },
);

/** An address of ours on an external network, and the MAC that answers for it. */
export interface OutsideAddress extends OutsideMac {
  readonly ip: number;
  /** Of the external network: what they ask tells where they are, too. */
  readonly nextHops: readonly Ip[];
}

export const arpFromOutside = rules(
  'arp-from-outside',
  {
    cases: {
      LOCAL_SWITCHING: 'Somebody outside asks who has a floating IP or the address of a gateway.',
      ROUTER_IN:
        "Somebody on an external network asks who has such an address: this host alone answers. Where it is the network's gateway, the controller hears it too, in case that has moved.",
    },
  },
  (address: OutsideAddress, table) => {
    const { ip: arpTpa, localVlan, macAddress, nextHops } = address;
    const asked = arp({ arpOp: ARP_OP.request, arpTpa });
    const here = { ...inNetwork(localVlan), ...asked };
    const answer = [arpAnswer(macAddress, arpTpa), goto('ROUTER_DELIVER')] as const;
    return [
      ...comesIn(table, address, asked),
      ...nextHops.flatMap((arpSpa) =>
        typeof arpSpa === 'number' ? table.ROUTER_IN(41, { ...here, arpSpa }, toController('watch'), ...answer) : [],
      ),
      table.ROUTER_IN(40, here, ...answer),
    ];
  },
);

/** A router's addresses on an external network. */
export interface OutsideAddresses extends OutsideMac {
  readonly addresses: readonly Ip[];
}

const ALL_NODES = { mac: 0x3333_0000_0001, ip: (0xff02n << 112n) | 1n };
/** Router, solicited and override (RFC 4861 §4.4), and the same unsolicited. */
const ADVERTISED = { toAsker: 0xe000_0000, toAll: 0xa000_0000 } as const;
const TARGET_LINK_LAYER_ADDRESS = 2;

export const solicitationFromOutside = rules(
  'nd-from-outside',
  {
    cases: {
      LOCAL_SWITCHING: "Somebody outside asks by neighbour discovery who has a gateway's address.",
      ROUTER_IN: 'Somebody on an external network asks so: this host alone answers.',
      ND_ADVERTISE: "A gateway's advertisement, to where the question came from.",
    },
  },
  (wire: OutsideAddresses, table) => {
    const { localVlan, macAddress, addresses } = wire;
    const global = addresses.filter((ip) => typeof ip === 'bigint');
    const answer = (ip: bigint) =>
      [
        setEthSrc(macAddress),
        { type: 'setField', field: 'ipv6Src', value: ip },
        { type: 'setField', field: 'icmpv6Type', value: ICMPV6.neighbourAdvertisement },
        goto('ND_ADVERTISE'),
      ] as const;
    const advertise = (flags: number) =>
      [
        { type: 'setField', field: 'ndTll', value: macAddress },
        { type: 'setField', field: 'ndOptionsType', value: TARGET_LINK_LAYER_ADDRESS },
        { type: 'setField', field: 'ndReserved', value: flags },
        visit('ROUTER_DELIVER'),
      ] as const;
    return [...global, linkLocalOf(macAddress)].flatMap((ip) => {
      const asked = icmpv6('neighbourSolicitation', { icmpv6Code: 0, ndTarget: ip });
      const here = { ...inNetwork(localVlan), ...asked };
      const said = icmpv6('neighbourAdvertisement', { ...inNetwork(localVlan), icmpv6Code: 0, ndTarget: ip });
      return [
        ...comesIn(table, wire, asked),
        table.ROUTER_IN(
          41,
          { ...here, ipv6Src: 0n },
          setEthDst(ALL_NODES.mac),
          { type: 'setField', field: 'ipv6Dst', value: ALL_NODES.ip },
          ...answer(ip),
        ),
        table.ROUTER_IN(40, here, move('ethSrc', 'ethDst'), move('ipv6Src', 'ipv6Dst'), ...answer(ip)),
        table.ND_ADVERTISE(2, { ...said, ipv6Dst: ALL_NODES.ip }, ...advertise(ADVERTISED.toAll)),
        table.ND_ADVERTISE(1, said, ...advertise(ADVERTISED.toAsker)),
      ];
    });
  },
);

/** The way out of an external network, as the router's gateway is called there. */
export interface OutsideGateway extends OutsideWire {
  readonly ip: Ip;
}

export const gatewayAnnounced = rules(
  'gateway-announced',
  {
    cases: {
      LOCAL_SWITCHING:
        'The gateway of an external network says where it is: the controller hears it too, in case it has moved.',
    },
  },
  (gateway: OutsideGateway, table) => {
    const { ip, localVlan, segmentationId } = gateway;
    const said = typeof ip === 'number' ? arp({ arpSpa: ip }) : icmpv6('neighbourAdvertisement', { ndTarget: ip });
    return [
      table.LOCAL_SWITCHING(
        5,
        { ...onTheWire(gateway), ...said },
        setNetwork(localVlan),
        toController('watch'),
        segmentationId === undefined ? pushVlan(localVlan) : [setVlan(localVlan)],
        goto('PACKET_RATE_LIMIT'),
      ),
    ];
  },
);

/** Somebody on an external network whose MAC is known: a floating IP, a gateway, or who answered the controller. */
export interface OutsideNeighbour extends Entity {
  readonly localVlan: number;
  readonly ip: Ip;
  readonly macAddress: number;
}

export const ownNeighbour = rules(
  'own-neighbour',
  { cases: { ROUTER_NEIGHBOUR: 'A floating IP, or the address of a gateway, has the next hop, here or elsewhere.' } },
  (neighbour: OutsideNeighbour, table) => [table.ROUTER_NEIGHBOUR(10, ...known(neighbour), goto('ROUTER_SNAT'))],
);

export const outsideNeighbour = rules(
  'outside-neighbour',
  { cases: { ROUTER_NEIGHBOUR: 'On an external network, the controller has asked who has the next hop.' } },
  (neighbour: OutsideNeighbour, table) => [table.ROUTER_NEIGHBOUR(9, ...known(neighbour), goto('ROUTER_SNAT'))],
);

const known = ({ localVlan, ip, macAddress }: OutsideNeighbour) =>
  [
    (typeof ip === 'number' ? ipv4 : ipv6)({ ...inNetwork(localVlan), ...nextHopIs(ip) }),
    setEthDst(macAddress),
  ] as const;

/** Not Neutron's: see deviations.ts. */
export const fromFloatingIpElsewhere = rules(
  'from-floating-ip-elsewhere',
  {
    when: 'distributedRouting',
    cases: {
      DVR_TO_SRC_MAC_PHYSICAL:
        'Of an external network, from a floating IP in the MAC of its host: for guests of that network on this one.',
    },
  },
  (wire: OutsideWire, table) => [
    table.DVR_TO_SRC_MAC_PHYSICAL(
      10,
      onTheWire(wire),
      wire.segmentationId === undefined ? pushVlan(wire.localVlan) : [setVlan(wire.localVlan)],
      goto('PACKET_RATE_LIMIT'),
    ),
  ],
);

/** Not Neutron's: see deviations.ts. */
export const outsideOnWire = brPhys.rules(
  'outside-on-wire',
  {
    when: 'distributedRouting',
    cases: {
      DVR_NOT_LEARN_PHYSICAL: "Of an external network: a host's MAC is at one place there, that of its floating IPs.",
    },
  },
  ({ segmentationId }: Pick<OutsideWire, 'segmentationId' | 'object'>, table) => [
    table.DVR_NOT_LEARN_PHYSICAL(3, { vlan: segmentationId ?? 'untagged' }, normal),
  ],
);
