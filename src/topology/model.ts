/**
 * What a topology is once it has been read: plain readonly data in Neutron's words, every default filled, every address a
 * value. `load.ts` makes it from a file; compiler/, controller/ and the CLI read it. A key that is absent here means "none".
 */
import type { Ip, Prefix } from '../lib/addresses.ts';

/** Where the file says so. Not part of the meaning: two files that differ in order alone differ in this alone. */
export interface SourceOrigin {
  /** As in error messages: `ports[3]`, `networks[0].subnets[1]`, `routers[0].interfaces[2]`. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

/** Everything that should exist. Maps iterate in order of their keys (by UTF-16 unit), whatever the order in the file. */
export interface Topology {
  readonly settings: Settings;
  /** By name. */
  readonly hosts: ReadonlyMap<string, Host>;
  readonly networks: ReadonlyMap<string, Network>;
  /** Of all networks, by id. */
  readonly subnets: ReadonlyMap<string, Subnet>;
  readonly ports: ReadonlyMap<string, Port>;
  readonly routers: ReadonlyMap<string, Router>;
  readonly floatingIps: ReadonlyMap<string, FloatingIp>;
  readonly securityGroups: ReadonlyMap<string, SecurityGroup>;
}

export interface Settings {
  /** Its upper three bytes are the prefix of allocated host MACs. */
  readonly dvrBaseMac: number;
  readonly enableDistributedRouting: boolean;
  /** false: flood and learn. */
  readonly l2Population: boolean;
  readonly arpResponder: boolean;
  /** What happens to flows that are not ours or not right. */
  readonly drift: 'repair' | 'report';
  /** May a better gateway host take over from one that works? */
  readonly haPreempt: boolean;
  /** On tunnels to and from gateway hosts. */
  readonly bfd: { readonly minTxMs: number; readonly minRxMs: number; readonly mult: number };
}

export interface Host {
  readonly name: string;
  /** `unix:PATH`, `tcp:IP:PORT` or `ssl:IP:PORT`. */
  readonly ovsdb: string;
  /** Tunnel endpoint. Present on every host that carries a tunnelled network according to the file. */
  readonly localIp?: Ip;
  /** Absent: allocated by the controller and kept for ever. */
  readonly dvrMac?: number;
  readonly agentMode: 'dvr' | 'dvr_snat' | 'dvr_no_external' | 'legacy';
  /** Of the live `dvr_snat` hosts the one with the highest serves. */
  readonly gatewayPriority: number;
  /** What Bridge.controller shall be, each once: `tcp:IP:PORT` or `ssl:IP:PORT`. None: leave that column alone. */
  readonly controllers: readonly string[];
  /** Directory of `<bridge>.mgmt` sockets to dial. Absent: wait for the bridges to call. */
  readonly mgmtDir?: string;
  readonly bridges: { readonly integration: string; readonly tunnel: string };
  /** Of bridges that heddle creates. */
  readonly datapathType: string;
  /** physical_network to bridge, in order of physical_network. */
  readonly bridgeMappings: ReadonlyMap<string, string>;
  readonly origin: SourceOrigin;
}

export type NetworkType = 'vxlan' | 'gre' | 'geneve' | 'vlan' | 'flat' | 'local';

export interface Network {
  readonly id: string;
  readonly name: string;
  readonly networkType: NetworkType;
  /** VNI, key or VLAN id; absent for flat and local. */
  readonly segmentationId?: number;
  /** vlan and flat only. */
  readonly physicalNetwork?: string;
  readonly mtu: number;
  /** router:external. */
  readonly external: boolean;
  /** Sorted. */
  readonly subnetIds: readonly string[];
  readonly origin: SourceOrigin;
}

export interface Subnet {
  readonly id: string;
  readonly networkId: string;
  readonly ipVersion: 4 | 6;
  readonly cidr: Prefix;
  readonly gatewayIp?: Ip;
  readonly enableDhcp: boolean;
  /** In the order of the file: resolvers are asked in turn. */
  readonly dnsNameservers: readonly Ip[];
  /** Sorted by destination, then next hop. */
  readonly hostRoutes: readonly Route[];
  /** Both ends included; sorted. */
  readonly allocationPools: readonly AllocationPool[];
  readonly ipv6RaMode?: Ipv6Mode;
  readonly ipv6AddressMode?: Ipv6Mode;
  readonly origin: SourceOrigin;
}

export type Ipv6Mode = 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless';

export interface Route {
  readonly destination: Prefix;
  readonly nexthop: Ip;
}

export interface AllocationPool {
  readonly start: Ip;
  readonly end: Ip;
}

export interface FixedIp {
  readonly subnetId: string;
  readonly ipAddress: Ip;
}

export interface Port {
  /** OVS's external_ids:iface-id. */
  readonly id: string;
  readonly networkId: string;
  readonly macAddress: number;
  /** Sorted by subnet, then address. */
  readonly fixedIps: readonly FixedIp[];
  /** Name of a host. Absent: wherever a matching iface-id shows up. */
  readonly host?: string;
  readonly deviceOwner: string;
  /** Anti-spoofing of MAC, IP and ARP. */
  readonly portSecurityEnabled: boolean;
  /** Sorted by address, then MAC. */
  readonly allowedAddressPairs: readonly AddressPair[];
  /** Ids of security groups, sorted. Empty: no filtering. */
  readonly securityGroups: readonly string[];
  readonly adminStateUp: boolean;
  readonly origin: SourceOrigin;
}

export interface AddressPair {
  readonly ipAddress: Prefix;
  readonly macAddress: number;
}

/** A router's port on a network: an interface (qr), or a centralised port (sg). */
export interface RouterPort {
  readonly networkId: string;
  readonly subnetId: string;
  readonly ipAddress: Ip;
  readonly macAddress: number;
  /** iface-id of the port that somebody else plugs; present on each port of a `namespace` router. */
  readonly portId?: string;
  /** Of the router, where it is derived. */
  readonly origin: SourceOrigin;
}

export interface RouterGateway {
  readonly networkId: string;
  /** Sorted by subnet, then address. */
  readonly externalFixedIps: readonly FixedIp[];
  readonly enableSnat: boolean;
  /** Of the gateway port (qg). */
  readonly macAddress: number;
  /** As in RouterPort. */
  readonly portId?: string;
  readonly origin: SourceOrigin;
}

export interface Router {
  readonly id: string;
  /** false: all its routing happens on the gateway host. */
  readonly distributed: boolean;
  /** `namespace`: plugged by someone else, only the switch's side is programmed. */
  readonly dataplane: 'flows' | 'namespace';
  /** Sorted by subnet. */
  readonly interfaces: readonly RouterPort[];
  readonly externalGatewayInfo?: RouterGateway;
  /** At most one for each interface's subnet, sorted by subnet. */
  readonly snatPorts: readonly RouterPort[];
  /** Sorted by destination, then next hop. */
  readonly routes: readonly Route[];
  readonly origin: SourceOrigin;
}

export interface FloatingIp {
  /** Default: the address. */
  readonly id: string;
  readonly floatingIpAddress: number;
  readonly floatingNetworkId: string;
  /** Where it leads; absent: nowhere yet, the address is only reserved. */
  readonly target?: FloatingIpTarget;
  readonly origin: SourceOrigin;
}

export interface FloatingIpTarget {
  readonly portId: string;
  readonly fixedIpAddress: number;
  /** The router between the port's subnet and the floating network. */
  readonly routerId: string;
}

export interface SecurityGroup {
  readonly id: string;
  /** All there are: nothing is implied. Sorted by content. */
  readonly rules: readonly SecurityGroupRule[];
  readonly origin: SourceOrigin;
}

/** Direction is relative to the instance. */
export interface SecurityGroupRule {
  readonly direction: 'ingress' | 'egress';
  readonly ethertype: 'IPv4' | 'IPv6';
  /** IP protocol number; absent: any. */
  readonly protocol?: number;
  /** First and last port, both included; for ICMP and ICMPv6 type and code. */
  readonly portRangeMin?: number;
  readonly portRangeMax?: number;
  readonly remoteIpPrefix?: Prefix;
  /** Id of a security group. */
  readonly remoteGroup?: string;
}
