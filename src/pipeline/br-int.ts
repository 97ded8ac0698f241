/**
 * br-int, the integration bridge: every guest's port is here, each network has a local VLAN of its own. Table names, numbers
 * and priorities are Neutron's, but for 32 to 40, where routers are. This file holds the tables and what the bridge always does;
 * anti-spoof.ts holds what a port may send, router-*.ts what routers do, dvr.ts what others see of routers.
 */
import { drop, pushVlan, setVlan } from './actions.ts';
import { bridge, type Entity, goto } from './language.ts';
import type { FlowMatch } from './match.ts';

export const brInt = bridge('br-int', {
  LOCAL_SWITCHING: {
    id: 0,
    decides: 'Who sent it: a guest, a tunnel, or a physical network?',
    miss: 'PACKET_RATE_LIMIT',
    to: [
      'DVR_TO_SRC_MAC',
      'DVR_TO_SRC_MAC_PHYSICAL',
      'ARP_DVR_MAC_TO_DST_MAC',
      'ARP_DVR_MAC_TO_DST_MAC_PHYSICAL',
      'ARP_SPOOF',
      'MAC_SPOOF',
      'ROUTER_IN',
      'PACKET_RATE_LIMIT',
    ],
  },
  DVR_TO_SRC_MAC: {
    id: 1,
    decides: "Routed on another host, came by a tunnel: whose guest is it for? It gets the router's MAC back.",
    miss: 'drop',
    missPriority: 1,
    to: ['ROUTER_IN', 'PACKET_RATE_LIMIT'],
    when: 'distributedRouting',
  },
  DVR_TO_SRC_MAC_PHYSICAL: {
    id: 2,
    decides:
      "Routed on another host, came by a physical network: whose guest is it for? It gets the router's MAC back.",
    miss: 'drop',
    missPriority: 1,
    to: ['ROUTER_IN', 'PACKET_RATE_LIMIT'],
    when: 'distributedRouting',
  },
  ARP_DVR_MAC_TO_DST_MAC: {
    id: 3,
    decides: "Sent to this host's MAC, came by a tunnel: which router is meant?",
    miss: 'none',
    to: [],
    when: 'distributedRouting',
  },
  ARP_DVR_MAC_TO_DST_MAC_PHYSICAL: {
    id: 4,
    decides: "Sent to this host's MAC, came by a physical network: which router is meant?",
    miss: 'none',
    to: [],
    when: 'distributedRouting',
  },
  CANARY: {
    id: 23,
    decides: 'Nothing. A switch without this flow has restarted and lost all its flows.',
    miss: 'drop',
    to: [],
  },
  ARP_SPOOF: {
    id: 24,
    decides: 'Does a guest claim an address, by ARP or by neighbour advertisement, that is its own?',
    miss: 'drop',
    to: ['MAC_SPOOF', 'PACKET_RATE_LIMIT'],
  },
  MAC_SPOOF: {
    id: 25,
    decides: 'Does a guest send from a MAC of its own?',
    miss: 'none',
    to: ['LOCAL_EGRESS'],
  },
  LOCAL_EGRESS: {
    id: 30,
    decides: 'Does a guest send from an address of its own?',
    miss: 'PACKET_RATE_LIMIT',
    to: ['PACKET_RATE_LIMIT'],
  },
  LOCAL_IP: {
    id: 31,
    decides: "Nothing yet: the place of Neutron's local IPs.",
    miss: 'PACKET_RATE_LIMIT',
    to: ['PACKET_RATE_LIMIT'],
  },
  ROUTER_IN: {
    id: 32,
    decides: 'From a guest whose network has a router: does the router answer it, route it, or not care?',
    miss: 'none',
    to: ['ROUTER_UNSNAT', 'ROUTER_ROUTE', 'ROUTER_DELIVER', 'ND_ADVERTISE'],
  },
  ROUTER_UNSNAT: {
    id: 33,
    decides: 'From outside: does it answer a connection that began inside?',
    miss: 'none',
    to: ['ROUTER_DNAT'],
  },
  ROUTER_DNAT: {
    id: 34,
    decides: 'From outside: who inside is meant?',
    miss: 'none',
    to: ['ROUTER_ROUTE'],
  },
  ROUTER_ROUTE: {
    id: 35,
    decides: "Which way a router sends it: the longest prefix wins, and before all the router's own addresses.",
    miss: 'none',
    to: ['ROUTER_NEIGHBOUR'],
    visits: ['ROUTER_ROUTE'],
  },
  ROUTER_NEIGHBOUR: {
    id: 36,
    decides: 'May it travel on, and which MAC has the next hop?',
    miss: 'none',
    to: ['ROUTER_SNAT', 'ROUTER_OUT'],
  },
  ROUTER_SNAT: {
    id: 37,
    decides: 'Going outside: as whom? Between networks of a router nothing is translated.',
    miss: 'none',
    to: ['ROUTER_OUT', 'ROUTER_SNAT_NEW'],
  },
  ROUTER_OUT: {
    id: 38,
    decides: 'What the router writes over it: its own MAC, and a TTL one less.',
    miss: 'none',
    to: ['ROUTER_DELIVER'],
  },
  ROUTER_DELIVER: {
    id: 39,
    decides: 'Where the receiver is: on this host, or outside.',
    miss: 'none',
    to: [],
    visits: ['ROUTER_IN'],
  },
  ND_ADVERTISE: {
    id: 40,
    decides: "What stands in a router's neighbour advertisement: a solicitation has become one already.",
    miss: 'none',
    to: [],
    visits: ['ROUTER_DELIVER'],
  },
  ROUTER_SNAT_NEW: {
    id: 41,
    decides: 'Going outside from an address with a floating IP: is it an answer, or does a connection begin?',
    miss: 'none',
    to: [],
    visits: ['ROUTER_OUT'],
  },
  PACKET_RATE_LIMIT: {
    id: 59,
    decides: 'Nothing yet: the place of meters.',
    miss: 'TRANSIENT',
    to: ['TRANSIENT'],
  },
  TRANSIENT: {
    id: 60,
    decides: 'Where it goes: what nothing more special takes is switched by MAC and local VLAN.',
    miss: 'normal',
    missPriority: 3,
    to: [],
    visits: ['ROUTER_IN'],
  },
  TRANSIENT_EGRESS: {
    id: 62,
    decides: 'Nothing yet: where a firewall hands over what guests may send.',
    miss: 'normal',
    missPriority: 3,
    to: [],
  },
});

const { rules } = brInt;

/** VLAN of ports that must not speak: OVSDB tags them so, and here it ends. */
export const DEAD_VLAN = 4095;

export const deadVlan = rules(
  'dead-vlan',
  { cases: { LOCAL_SWITCHING: 'Of the dead VLAN 4095: drop.' } },
  (_bridge: Entity, table) => [table.LOCAL_SWITCHING(65535, { vlan: DEAD_VLAN }, drop)],
);

/** A port that nobody declared, or that is down. */
export interface DeadPort extends Entity {
  readonly ofport: number;
}

export const deadPort = rules(
  'dead-port',
  { cases: { LOCAL_SWITCHING: 'From a port that nobody declared, or that is down: drop.' } },
  (port: DeadPort, table) => [table.LOCAL_SWITCHING(2, { inPort: port.ofport }, drop)],
);

/** br-int's end of the patch to a physical bridge. */
export interface ProviderPatch extends Entity {
  /** int-br-X. */
  readonly ofport: number;
}

export const providerDefault = rules(
  'provider-default',
  { cases: { LOCAL_SWITCHING: 'From a physical network, and of no network that this host has: drop.' } },
  (patch: ProviderPatch, table) => [table.LOCAL_SWITCHING(2, { inPort: patch.ofport }, drop)],
);

/** A vlan or flat network on a host. */
export interface ProviderNetwork extends Entity {
  /** VLAN id on the wire; absent: untagged (flat). */
  readonly segmentationId?: number;
  readonly localVlan: number;
  /** The patch port on the bridge whose rule it is: int-br-X on br-int, phy-br-X on the physical bridge. */
  readonly ofport: number;
}

export const providerToLocalVlan = rules(
  'provider-to-local-vlan',
  {
    cases: { LOCAL_SWITCHING: "From a physical network, of a network of this host: it gets the network's local VLAN." },
  },
  (network: ProviderNetwork, table) => [
    table.LOCAL_SWITCHING(
      3,
      onTheWire(network),
      network.segmentationId === undefined ? pushVlan(network.localVlan) : [setVlan(network.localVlan)],
      goto('PACKET_RATE_LIMIT'),
    ),
  ],
);

function onTheWire({ ofport, segmentationId }: ProviderNetwork): FlowMatch {
  return { inPort: ofport, vlan: segmentationId ?? 'untagged' };
}

/** A host's MAC and a port by which frames with it arrive. */
export interface HostMac extends Entity {
  readonly hostMac: number;
  /** patch-tun, or int-br-X. */
  readonly ofport: number;
}

export const routedElsewhereByTunnel = rules(
  'routed-elsewhere-by-tunnel',
  {
    when: 'distributedRouting',
    cases: { LOCAL_SWITCHING: 'Routed on another host, by a tunnel.' },
    holes: { hostMac: 48, ofport: 32 },
  },
  (other: HostMac, table) => [
    table.LOCAL_SWITCHING(2, { inPort: other.ofport, ethSrc: other.hostMac }, goto('DVR_TO_SRC_MAC')),
  ],
);

export const routedElsewhereByProvider = rules(
  'routed-elsewhere-by-provider',
  {
    when: 'distributedRouting',
    cases: { LOCAL_SWITCHING: 'Routed on another host, by a physical network.' },
    holes: { hostMac: 48, ofport: 32 },
  },
  (other: HostMac, table) => [
    table.LOCAL_SWITCHING(4, { inPort: other.ofport, ethSrc: other.hostMac }, goto('DVR_TO_SRC_MAC_PHYSICAL')),
  ],
);

export const toThisHostByTunnel = rules(
  'to-this-host-by-tunnel',
  { when: 'distributedRouting', cases: { LOCAL_SWITCHING: "To this host's MAC, by a tunnel." } },
  (own: HostMac, table) => [
    table.LOCAL_SWITCHING(5, { inPort: own.ofport, ethDst: own.hostMac }, goto('ARP_DVR_MAC_TO_DST_MAC')),
  ],
);

export const toThisHostByProvider = rules(
  'to-this-host-by-provider',
  { when: 'distributedRouting', cases: { LOCAL_SWITCHING: "To this host's MAC, by a physical network." } },
  (own: HostMac, table) => [
    table.LOCAL_SWITCHING(5, { inPort: own.ofport, ethDst: own.hostMac }, goto('ARP_DVR_MAC_TO_DST_MAC_PHYSICAL')),
  ],
);
