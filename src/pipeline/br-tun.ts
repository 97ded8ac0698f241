/**
 * br-tun, the tunnel bridge: from local VLANs to tunnels and back. Table names, numbers and priorities are Neutron's
 * (neutron_lib.plugins.ml2.ovs_constants).
 */
import { arpReply, drop, output, outputAll, popVlan, pushVlan, setTunnelId, wayBack } from './actions.ts';
import { bridge, type Entity, goto, learn } from './language.ts';
import { ARP_OP, arp, BROADCAST, MULTICAST, UNICAST } from './match.ts';

export const brTun = bridge('br-tun', {
  LOCAL_SWITCHING: {
    id: 0,
    decides: 'Who sent it: br-int, or a tunnel of which type?',
    miss: 'drop',
    to: ['DVR_PROCESS', 'PATCH_LV_TO_TUN', 'GRE_TUN_TO_LV', 'VXLAN_TUN_TO_LV', 'GENEVE_TUN_TO_LV', 'ANNOUNCE'],
  },
  DVR_PROCESS: {
    id: 1,
    decides:
      "What a distributed router sends must not show the router's MAC on a tunnel, where every host has the same one.",
    miss: 'PATCH_LV_TO_TUN',
    to: ['PATCH_LV_TO_TUN'],
    when: 'distributedRouting',
  },
  PATCH_LV_TO_TUN: {
    id: 2,
    decides: 'Of frames from br-int: to one receiver, or to many?',
    miss: 'none',
    to: ['UCAST_TO_TUN', 'ARP_RESPONDER', 'FLOOD_TO_TUN'],
  },
  GRE_TUN_TO_LV: {
    id: 3,
    decides: 'Which network a GRE key belongs to.',
    miss: 'drop',
    to: ['DVR_NOT_LEARN'],
  },
  VXLAN_TUN_TO_LV: {
    id: 4,
    decides: 'Which network a VXLAN identifier (VNI) belongs to.',
    miss: 'drop',
    to: ['DVR_NOT_LEARN'],
  },
  GENEVE_TUN_TO_LV: {
    id: 6,
    decides: 'Which network a Geneve identifier (VNI) belongs to.',
    miss: 'drop',
    to: ['DVR_NOT_LEARN'],
  },
  DVR_NOT_LEARN: {
    id: 9,
    decides: "Frames that wear a host's MAC were routed: their source says nothing about where a guest is.",
    miss: 'LEARN_FROM_TUN',
    to: ['LEARN_FROM_TUN'],
    when: 'distributedRouting',
  },
  LEARN_FROM_TUN: {
    id: 10,
    decides: 'Remember by which tunnel a sender is reached, and hand the frame to br-int.',
    miss: 'none',
    to: [],
    learns: ['UCAST_TO_TUN'],
  },
  UCAST_TO_TUN: {
    id: 20,
    decides: 'Which one tunnel leads to a receiver.',
    miss: 'FLOOD_TO_TUN',
    to: ['FLOOD_TO_TUN'],
  },
  ARP_RESPONDER: {
    id: 21,
    decides: 'Whether an ARP request can be answered here, so that it never travels.',
    miss: 'FLOOD_TO_TUN',
    to: ['FLOOD_TO_TUN'],
    when: 'arpResponder',
  },
  FLOOD_TO_TUN: {
    id: 22,
    decides: 'Which tunnels lead to hosts that have the network.',
    miss: 'drop',
    to: [],
  },
  /** Not Neutron's. */
  ANNOUNCE: {
    id: 30,
    decides: 'Of the BFD packets that come to a gateway host: which make it say outside where it is.',
    miss: 'none',
    to: [],
  },
});

const { rules } = brTun;

/** br-tun's end of the patch to br-int. */
export interface TunnelBridgePatch extends Entity {
  /** patch-int. */
  readonly ofport: number;
}

export const fromBrInt = rules(
  'from-br-int',
  {
    cases: {
      LOCAL_SWITCHING: 'From br-int.',
      PATCH_LV_TO_TUN: 'To one receiver: unicast. To many: flood.',
      LEARN_FROM_TUN: 'Everything: learn, and hand to br-int.',
    },
  },
  (patch: TunnelBridgePatch, table) => [
    table.LOCAL_SWITCHING(1, { inPort: patch.ofport }, goto('DVR_PROCESS')),
    table.PATCH_LV_TO_TUN(0, { ethDst: UNICAST }, goto('UCAST_TO_TUN')),
    table.PATCH_LV_TO_TUN(0, { ethDst: MULTICAST }, goto('FLOOD_TO_TUN')),
    table.LEARN_FROM_TUN(
      1,
      {},
      learn('UCAST_TO_TUN', { priority: 1, hardTimeoutS: 300, specs: wayBack }),
      output(patch.ofport),
    ),
  ],
);

export const arpToResponder = rules(
  'arp-to-responder',
  { when: 'arpResponder', cases: { PATCH_LV_TO_TUN: 'An ARP request: perhaps it can be answered here.' } },
  (_patch: TunnelBridgePatch, table) => [table.PATCH_LV_TO_TUN(1, arp({ ethDst: BROADCAST }), goto('ARP_RESPONDER'))],
);

/** A tunnel port. */
export interface Tunnel extends Entity {
  readonly type: TunnelType;
  readonly ofport: number;
}

export type TunnelType = 'gre' | 'vxlan' | 'geneve';

const TUN_TO_LV = { gre: 'GRE_TUN_TO_LV', vxlan: 'VXLAN_TUN_TO_LV', geneve: 'GENEVE_TUN_TO_LV' } as const;

export const fromTunnel = rules(
  'from-tunnel',
  { cases: { LOCAL_SWITCHING: 'From a tunnel: by its type.' }, holes: { ofport: 32 } },
  (tunnel: Tunnel, table) => [table.LOCAL_SWITCHING(1, { inPort: tunnel.ofport }, goto(TUN_TO_LV[tunnel.type]))],
);

/** A tunnelled network on a host. */
export interface TunnelledNetwork extends Entity {
  readonly type: TunnelType;
  readonly segmentationId: number;
  readonly localVlan: number;
}

export const tunnelToLocalVlan = rules(
  'segment',
  {
    cases: {
      GRE_TUN_TO_LV: "A network of this host: its frames get the network's local VLAN.",
      VXLAN_TUN_TO_LV: "A network of this host: its frames get the network's local VLAN.",
      GENEVE_TUN_TO_LV: "A network of this host: its frames get the network's local VLAN.",
    },
    holes: { segmentationId: 32, localVlan: 12 },
  },
  (network: TunnelledNetwork, table) => [
    table[TUN_TO_LV[network.type]](
      1,
      { tunnelId: BigInt(network.segmentationId) },
      pushVlan(network.localVlan),
      goto('DVR_NOT_LEARN'),
    ),
  ],
);

/** A tunnelled network on a host, and the tunnels to all others that have it. */
export interface Flood extends Entity {
  readonly localVlan: number;
  readonly segmentationId: number;
  /** At least one. */
  readonly ofports: readonly number[];
}

export const flood = rules(
  'flood',
  { cases: { FLOOD_TO_TUN: 'To many, or to a receiver that nobody knows: to every host that has the network.' } },
  (network: Flood, table) => [
    table.FLOOD_TO_TUN(
      1,
      { vlan: network.localVlan },
      popVlan,
      setTunnelId(network.segmentationId),
      outputAll(network.ofports),
    ),
  ],
);

/** A port on another host, seen from this one. */
export interface RemotePort extends Entity {
  readonly localVlan: number;
  readonly segmentationId: number;
  readonly macAddress: number;
  /** The ones that ARP can ask for. */
  readonly ipv4Addresses: readonly number[];
  /** The tunnel to its host. */
  readonly ofport: number;
}

export const remotePort = rules(
  'fdb',
  {
    when: 'l2Population',
    cases: {
      UCAST_TO_TUN: 'To a port on another host: by the one tunnel that leads there.',
      ARP_RESPONDER: 'Somebody asks who has the address of such a port: answered here.',
    },
    holes: { localVlan: 12, segmentationId: 32, macAddress: 48, ipv4Addresses: 'address', ofport: 32 },
  },
  (port: RemotePort, table) => [
    table.UCAST_TO_TUN(
      2,
      { vlan: port.localVlan, ethDst: port.macAddress },
      popVlan,
      setTunnelId(port.segmentationId),
      output(port.ofport),
    ),
    ...port.ipv4Addresses.map((ip) =>
      table.ARP_RESPONDER(
        1,
        arp({ vlan: port.localVlan, arpOp: ARP_OP.request, arpTpa: ip }),
        arpReply(port.macAddress, ip),
      ),
    ),
  ],
);

/** A port on this host, of a tunnelled network. */
export interface LocalPort extends Entity {
  readonly localVlan: number;
  readonly ipv4Addresses: readonly number[];
}

/** Not Neutron's: see deviations.ts. */
export const arpForLocal = rules(
  'arp-for-local',
  {
    when: 'arpResponder',
    cases: { ARP_RESPONDER: 'Somebody asks who has the address of a port on this host: br-int has asked it already.' },
    holes: { localVlan: 12, ipv4Addresses: 'address' },
  },
  (port: LocalPort, table) =>
    port.ipv4Addresses.map((ip) =>
      table.ARP_RESPONDER(1, arp({ vlan: port.localVlan, arpOp: ARP_OP.request, arpTpa: ip }), drop),
    ),
);

/** Another host that routes, seen from this host's br-tun. */
export interface RemoteHostMac extends Entity {
  readonly hostMac: number;
  /** patch-int. */
  readonly ofport: number;
}

export const routedElsewhere = rules(
  'routed-elsewhere',
  {
    when: 'distributedRouting',
    cases: { DVR_NOT_LEARN: "From another host's router: straight to br-int." },
    holes: { hostMac: 48, ofport: 32 },
  },
  (remote: RemoteHostMac, table) => [table.DVR_NOT_LEARN(1, { ethSrc: remote.hostMac }, output(remote.ofport))],
);
