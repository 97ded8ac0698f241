/**
 * Distributed routing as others see it: every host has the same router, with the same MACs. So what a router sends wears the MAC
 * of its host between hosts, gets the router's MAC back at the receiver, and nothing that is for a router ever travels. The rows
 * are Neutron's, so that hosts of either kind serve one network together.
 */
import { drop, output, type PlainAction, popVlan, pushVlan, setEthDst, setEthSrc, setVlan } from './actions.ts';
import { brInt } from './br-int.ts';
import { brPhys } from './br-phys.ts';
import { brTun } from './br-tun.ts';
import { type Entity, goto } from './language.ts';
import { ARP_OP, arp, type FlowMatch, icmpv6, ipv6 } from './match.ts';

/** A router's MAC in a network that a host has. */
export interface RouterMac extends Entity {
  readonly localVlan: number;
  readonly macAddress: number;
  /** The host's. */
  readonly hostMac: number;
}

/** The same in a tunnelled network, where it floods. */
export interface FloodedRouterMac extends RouterMac {
  readonly ipv4Addresses: readonly number[];
  readonly hasIpv6: boolean;
}

export const routerMacOnTunnels = brTun.rules(
  'router-mac',
  {
    when: 'distributedRouting',
    cases: {
      DVR_PROCESS: "To a router: drop, there is one on every host. From a router: in the host's MAC.",
      FLOOD_TO_TUN: "Somebody asks for a router's address, or a router advertises itself: of no use to other hosts.",
    },
    holes: { localVlan: 12, macAddress: 48, hostMac: 48, ipv4Addresses: 'address' },
  },
  ({ localVlan: vlan, macAddress, hostMac, ipv4Addresses, hasIpv6 }: FloodedRouterMac, table) => [
    table.DVR_PROCESS(2, { vlan, ethDst: macAddress }, drop),
    table.DVR_PROCESS(1, { vlan, ethSrc: macAddress }, setEthSrc(hostMac), goto('PATCH_LV_TO_TUN')),
    ...ipv4Addresses.map((ip) => table.FLOOD_TO_TUN(3, arp({ vlan, arpTpa: ip }), drop)),
    ...(hasIpv6 ? [table.FLOOD_TO_TUN(3, icmpv6('routerAdvertisement', { vlan, ethSrc: macAddress }), drop)] : []),
  ],
);

export const routerMacOnWire = brPhys.rules(
  'router-mac',
  {
    when: 'distributedRouting',
    cases: { DVR_PROCESS_PHYSICAL: "To a router: drop, there is one on every host. From a router: in the host's MAC." },
  },
  ({ localVlan: vlan, macAddress, hostMac }: RouterMac, table) => [
    table.DVR_PROCESS_PHYSICAL(2, { vlan, ethDst: macAddress }, drop),
    table.DVR_PROCESS_PHYSICAL(1, { vlan, ethSrc: macAddress }, setEthSrc(hostMac), goto('LOCAL_VLAN_TRANSLATION')),
  ],
);

/** A MAC behind a port on this host, on a subnet that has a router. */
export interface Receiver extends Entity {
  /** As its frames come: the local VLAN by a tunnel, the VLAN of the wire by a physical network. */
  readonly vlan: number | 'untagged';
  readonly macAddress: number;
  readonly ofport: number;
  /** The router's, on the receiver's subnet. */
  readonly routerMac: number;
  /** The same for IPv6, where it is another. */
  readonly routerIpv6Mac?: number;
}

export const routedByTunnel = brInt.rules(
  'routed-by-tunnel',
  {
    when: 'distributedRouting',
    cases: {
      DVR_TO_SRC_MAC: "For a guest on this host: it sees its router's MAC.",
      TRANSIENT: 'Routed on another host, by a tunnel, for a guest on this host.',
    },
    holes: { vlan: 12, macAddress: 48, ofport: 32, routerMac: 48 },
  },
  ({ vlan, macAddress: ethDst, ofport, routerMac }: Receiver, table) => [
    table.DVR_TO_SRC_MAC(20, { vlan, ethDst }, setEthSrc(routerMac), goto('PACKET_RATE_LIMIT')),
    table.TRANSIENT(20, { vlan, ethDst }, popVlan, output(ofport)),
  ],
);

/** A receiver in a physical network. */
export interface WireReceiver extends Receiver {
  /** int-br-X. */
  readonly patch: number;
}

/** That the frame came from the wire is matched too: a VLAN of the wire may be a local VLAN of another network. */
export const routedByProvider = brInt.rules(
  'routed-by-provider',
  {
    when: 'distributedRouting',
    cases: {
      DVR_TO_SRC_MAC_PHYSICAL: "For a guest on this host: it sees its router's MAC.",
      TRANSIENT: 'Routed on another host, by a physical network, for a guest on this host.',
    },
  },
  ({ vlan, macAddress: ethDst, ofport, routerMac, patch: inPort }: WireReceiver, table) => [
    table.DVR_TO_SRC_MAC_PHYSICAL(20, { vlan, ethDst }, setEthSrc(routerMac), goto('PACKET_RATE_LIMIT')),
    table.TRANSIENT(20, { inPort, vlan, ethDst }, vlan === 'untagged' ? [] : popVlan, output(ofport)),
  ],
);

/** Not Neutron's: see deviations.ts. */
export const ipv6ByTunnel = brInt.rules(
  'ipv6-by-tunnel',
  {
    when: 'distributedRouting',
    cases: { DVR_TO_SRC_MAC: 'IPv6 for a guest on this host, where it has another router for IPv6.' },
  },
  ({ vlan, macAddress: ethDst, routerIpv6Mac }: Receiver, table) =>
    routerIpv6Mac === undefined
      ? []
      : [table.DVR_TO_SRC_MAC(21, ipv6({ vlan, ethDst }), setEthSrc(routerIpv6Mac), goto('PACKET_RATE_LIMIT'))],
);

/** Not Neutron's: see deviations.ts. */
export const ipv6ByProvider = brInt.rules(
  'ipv6-by-provider',
  {
    when: 'distributedRouting',
    cases: { DVR_TO_SRC_MAC_PHYSICAL: 'IPv6 for a guest on this host, where it has another router for IPv6.' },
  },
  ({ vlan, macAddress: ethDst, routerIpv6Mac }: Receiver, table) =>
    routerIpv6Mac === undefined
      ? []
      : [
          table.DVR_TO_SRC_MAC_PHYSICAL(
            21,
            ipv6({ vlan, ethDst }),
            setEthSrc(routerIpv6Mac),
            goto('PACKET_RATE_LIMIT'),
          ),
        ],
);

/** A router's port that somebody else has plugged into br-int (qr). */
export interface PluggedRouterPort extends Entity {
  readonly hostMac: number;
  readonly macAddress: number;
  readonly ofport: number;
  /** As frames to it come. */
  readonly vlan: number | 'untagged';
  readonly localVlan: number;
}

const isArpAnswer = ({ hostMac, macAddress }: PluggedRouterPort, match: FlowMatch = {}): FlowMatch =>
  arp({ ethDst: hostMac, arpOp: ARP_OP.reply, arpTha: macAddress, ...match });

export const arpAnswerByTunnel = brInt.rules(
  'arp-answer-by-tunnel',
  {
    when: 'distributedRouting',
    cases: { LOCAL_SWITCHING: "An ARP reply to a router's port on this host, which asked in the host's MAC." },
  },
  (port: PluggedRouterPort, table) => [
    table.LOCAL_SWITCHING(99, isArpAnswer(port), setEthDst(port.macAddress), goto('PACKET_RATE_LIMIT')),
  ],
);

export const arpAnswerByProvider = brInt.rules(
  'arp-answer-by-provider',
  {
    when: 'distributedRouting',
    cases: { LOCAL_SWITCHING: "The same by a physical network, into the network's local VLAN." },
  },
  (port: PluggedRouterPort, table) => [
    table.LOCAL_SWITCHING(
      99,
      isArpAnswer(port, { vlan: port.vlan }),
      setEthDst(port.macAddress),
      port.vlan === 'untagged' ? pushVlan(port.localVlan) : [setVlan(port.localVlan)],
      goto('PACKET_RATE_LIMIT'),
    ),
  ],
);

/** Neutron's table says one port for each network. */
export const answerByTunnel = brInt.rules(
  'answer-by-tunnel',
  {
    when: 'distributedRouting',
    cases: { ARP_DVR_MAC_TO_DST_MAC: "To the port of a router, which spoke in the host's MAC." },
  },
  (port: PluggedRouterPort, table) => [table.ARP_DVR_MAC_TO_DST_MAC(5, answered(port), intoPort(port))],
);

export const answerByProvider = brInt.rules(
  'answer-by-provider',
  {
    when: 'distributedRouting',
    cases: { ARP_DVR_MAC_TO_DST_MAC_PHYSICAL: "To the port of a router, which spoke in the host's MAC." },
  },
  (port: PluggedRouterPort, table) => [table.ARP_DVR_MAC_TO_DST_MAC_PHYSICAL(5, answered(port), intoPort(port))],
);

/** Not Neutron's: see deviations.ts. */
export const ipv6AnswerByTunnel = brInt.rules(
  'ipv6-answer-by-tunnel',
  {
    when: 'distributedRouting',
    cases: { ARP_DVR_MAC_TO_DST_MAC: 'IPv6 to the port of a router, where another port is for IPv6.' },
  },
  (port: PluggedRouterPort, table) => [table.ARP_DVR_MAC_TO_DST_MAC(6, ipv6(answered(port)), intoPort(port))],
);

/** Not Neutron's: see deviations.ts. */
export const ipv6AnswerByProvider = brInt.rules(
  'ipv6-answer-by-provider',
  {
    when: 'distributedRouting',
    cases: { ARP_DVR_MAC_TO_DST_MAC_PHYSICAL: 'IPv6 to the port of a router, where another port is for IPv6.' },
  },
  (port: PluggedRouterPort, table) => [table.ARP_DVR_MAC_TO_DST_MAC_PHYSICAL(6, ipv6(answered(port)), intoPort(port))],
);

const answered = ({ vlan, hostMac: ethDst }: PluggedRouterPort): FlowMatch => ({ vlan, ethDst });

const intoPort = ({ vlan, macAddress, ofport }: PluggedRouterPort): readonly PlainAction[] => [
  setEthDst(macAddress),
  ...(vlan === 'untagged' ? [] : [popVlan]),
  output(ofport),
];
