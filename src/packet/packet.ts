/**
 * Packets as values: what guests send that the switch hands to the controller, and what the controller sends. Decoded by
 * decode.ts, written by encode.ts, made by the builders beside this file. Serves controller/router/.
 *
 * MAC addresses are 48-bit numbers, IPv4 addresses numbers, IPv6 addresses bigints. Lengths and checksums are not part of a
 * value: they are computed when it is written and verified when it is read.
 */

/** An Ethernet frame. */
export interface Frame {
  readonly destination: number;
  readonly source: number;
  /** Outermost first; mostly none or one. */
  readonly vlans: readonly VlanTag[];
  readonly payload: Payload;
}

/** IEEE 802.1Q; an outer tag of QinQ has the EtherType 0x88a8. */
export interface VlanTag {
  readonly etherType: number;
  /** 0 to 4095. */
  readonly id: number;
  /** 0 to 7. */
  readonly priority: number;
  readonly dropEligible: boolean;
}

export type Payload = Arp | Ipv4 | Ipv6 | OpaquePayload;

/** What is neither ARP nor IP. */
export interface OpaquePayload {
  readonly kind: 'opaque';
  readonly etherType: number;
  readonly bytes: Uint8Array;
}

/** ARP for IPv4 over Ethernet (RFC 826). */
export interface Arp {
  readonly kind: 'arp';
  /** ARP_OPERATION, or another number. */
  readonly operation: number;
  readonly senderMac: number;
  readonly senderIp: number;
  readonly targetMac: number;
  readonly targetIp: number;
}

/** RFC 791. */
export interface Ipv4 {
  readonly kind: 'ipv4';
  readonly source: number;
  readonly destination: number;
  /** DSCP and ECN, 8 bits. */
  readonly tos: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  /** A multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array;
  /** Of a fragment always `raw`: its parts are not all there. */
  readonly payload: Transport;
}

/** RFC 8200. */
export interface Ipv6 {
  readonly kind: 'ipv6';
  readonly source: bigint;
  readonly destination: bigint;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly hopLimit: number;
  /** In their order, up to the payload. */
  readonly extensions: readonly Ipv6Extension[];
  /** Of a fragment always `raw`. */
  readonly payload: Transport;
}

export type Ipv6Extension =
  /** Hop-by-hop options, destination options, routing header. */
  | {
      readonly kind: 'options';
      readonly protocol: number;
      /** All after the next header and the length: 6 bytes, or 8 more each time. */
      readonly body: Uint8Array;
    }
  | {
      readonly kind: 'fragment';
      /** In bytes, a multiple of 8. */
      readonly offset: number;
      readonly moreFragments: boolean;
      readonly identification: number;
    };

export type Transport = Udp | Tcp | Icmpv4 | Icmpv6 | NdMessage | RawTransport;

/** A protocol that is not read further, or a fragment. */
export interface RawTransport {
  readonly kind: 'raw';
  readonly protocol: number;
  readonly bytes: Uint8Array;
}

/** RFC 768. */
export interface Udp {
  readonly kind: 'udp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly data: Uint8Array;
}

/** RFC 9293. */
export interface Tcp {
  readonly kind: 'tcp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** Bits of TCP_FLAGS. */
  readonly flags: number;
  readonly window: number;
  readonly urgentPointer: number;
  /** A multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array;
  readonly data: Uint8Array;
}

/** RFC 792. */
export interface Icmpv4 {
  readonly kind: 'icmpv4';
  readonly type: number;
  readonly code: number;
  /** The second word, 32 bits: identifier and sequence of an echo, MTU of a "fragmentation needed". */
  readonly rest: number;
  readonly data: Uint8Array;
}

/** RFC 4443: what is no neighbour discovery. */
export interface Icmpv6 {
  readonly kind: 'icmpv6';
  readonly type: number;
  readonly code: number;
  /** The second word, 32 bits: identifier and sequence of an echo, MTU of a "packet too big". */
  readonly rest: number;
  readonly data: Uint8Array;
}

/** Neighbour discovery (RFC 4861 §4). */
export type NdMessage = RouterSolicitation | RouterAdvertisement | NeighborSolicitation | NeighborAdvertisement;

export interface RouterSolicitation {
  readonly kind: 'routerSolicitation';
  readonly options: readonly NdOption[];
}

export interface RouterAdvertisement {
  readonly kind: 'routerAdvertisement';
  /** What hosts shall use; 0: no word on it. */
  readonly hopLimit: number;
  /** M: addresses by DHCPv6. */
  readonly managed: boolean;
  /** O: the rest by DHCPv6. */
  readonly otherConfig: boolean;
  /** How long the sender may be a default router; 0: it is none. */
  readonly lifetimeS: number;
  readonly reachableTimeMs: number;
  readonly retransTimerMs: number;
  readonly options: readonly NdOption[];
}

export interface NeighborSolicitation {
  readonly kind: 'neighborSolicitation';
  readonly target: bigint;
  readonly options: readonly NdOption[];
}

export interface NeighborAdvertisement {
  readonly kind: 'neighborAdvertisement';
  readonly target: bigint;
  /** R: the sender is a router. */
  readonly router: boolean;
  /** S: in answer to a solicitation. */
  readonly solicited: boolean;
  /** O: what was known before is to be overwritten. */
  readonly override: boolean;
  readonly options: readonly NdOption[];
}

/** RFC 4861 §4.6, RFC 8106 §5.1. */
export type NdOption =
  | { readonly kind: 'sourceLinkLayer'; readonly mac: number }
  | { readonly kind: 'targetLinkLayer'; readonly mac: number }
  | {
      readonly kind: 'prefix';
      readonly address: bigint;
      readonly length: number;
      readonly onLink: boolean;
      /** Hosts may make addresses of it themselves (RFC 4862). */
      readonly autonomous: boolean;
      readonly validLifetimeS: number;
      readonly preferredLifetimeS: number;
    }
  | { readonly kind: 'mtu'; readonly mtu: number }
  | { readonly kind: 'dnsServers'; readonly lifetimeS: number; readonly servers: readonly bigint[] }
  /** `body`: all after type and length: 6 bytes, or 8 more each time. */
  | { readonly kind: 'unknown'; readonly type: number; readonly body: Uint8Array };

export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, serviceVlan: 0x88a8 } as const;
export const PROTOCOL = {
  hopByHop: 0,
  icmpv4: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  icmpv6: 58,
  destinationOptions: 60,
} as const;
export const ARP_OPERATION = { request: 1, reply: 2 } as const;
export const TCP_FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;
export const ICMPV4_TYPE = { echoReply: 0, unreachable: 3, echoRequest: 8, timeExceeded: 11 } as const;
export const ICMPV6_TYPE = {
  unreachable: 1,
  tooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
  redirect: 137,
} as const;
/** Type numbers of ND options. */
export const ND_OPTION = { sourceLinkLayer: 1, targetLinkLayer: 2, prefix: 3, mtu: 5, dnsServers: 25 } as const;

export const BROADCAST_MAC = 0xffff_ffff_ffff;
/** ff02::1 and ff02::2. */
export const ALL_NODES = 0xff02_0000_0000_0000_0000_0000_0000_0001n;
export const ALL_ROUTERS = 0xff02_0000_0000_0000_0000_0000_0000_0002n;
