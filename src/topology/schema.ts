/**
 * The schema of a topology file: every key, its kind, its default and what it means. Serves draft.ts, which reads files by it,
 * and reference.ts, which prints it as docs/TOPOLOGY.md. What goes beyond one value is in the checks.
 */
import { macFromText } from '../lib/addresses.ts';
import {
  anyWholeNumber,
  bool,
  bridgeName,
  type Draft,
  endpoint,
  type Fields,
  ip,
  ipv4,
  listOf,
  mac,
  mapping,
  nameKind,
  oneOf,
  oneOrMore,
  optional,
  optionalOrNone,
  prefix,
  prefixOrIp,
  protocol,
  recordOf,
  required,
  unicastIp,
  wholeNumber,
  withDefault,
  withKeyDefaults,
} from './kinds.ts';

const id = nameKind('an id');
const networkId = nameKind('the id of a network');
const subnetId = nameKind('the id of a subnet');
const portId = nameKind('the id of a port');
const securityGroupId = nameKind('the id of a security group');
const hostName = nameKind('the name of a host');
const ifaceId = nameKind('an iface-id');
const milliseconds = wholeNumber(1, 3_600_000, 'a number of milliseconds');
const ipv6Mode = oneOf(['slaac', 'dhcpv6-stateful', 'dhcpv6-stateless']);

export const bfd = mapping('a mapping of BFD timers', {
  min_tx: withDefault(milliseconds, 100, 'Shortest interval at which to send.'),
  min_rx: withDefault(milliseconds, 100, 'Shortest interval at which to receive.'),
  mult: withDefault(wholeNumber(1, 255), 3, 'Packets that may be lost before a tunnel counts as down.'),
});

export const settings = mapping('a mapping of settings', {
  dvr_base_mac: withDefault(
    mac,
    macFromText('fa:16:3f:00:00:00'),
    'Host MACs are allocated under its first three octets when a host names none.',
    'fa:16:3f:00:00:00',
  ),
  enable_distributed_routing: withDefault(bool, true, 'Whether hosts route for their own ports.'),
  l2_population: withDefault(bool, true, 'false: flood and learn.'),
  arp_responder: withDefault(bool, true, 'Answer ARP for known addresses on the asking host.'),
  drift: withDefault(oneOf(['repair', 'report']), 'repair', 'What happens to flows that are not ours or not right.'),
  ha_preempt: withDefault(bool, false, 'May a better gateway host take over from one that works?'),
  bfd: withKeyDefaults(bfd, 'BFD on tunnels to and from gateway hosts.', '{ min_tx: 100, min_rx: 100, mult: 3 }'),
});

export const bridges = mapping('a mapping of bridge names', {
  integration: withDefault(bridgeName, 'br-int', 'Where ports are plugged.'),
  tunnel: withDefault(bridgeName, 'br-tun', 'Where tunnels end.'),
});

export const host = mapping('a mapping that describes a host', {
  name: required(hostName, 'Unique.'),
  ovsdb: withDefault(endpoint, 'unix:/run/openvswitch/db.sock', "The host's ovsdb-server."),
  local_ip: optional(unicastIp, 'Tunnel endpoint; needed as soon as the host carries a tunnelled network.'),
  dvr_mac: optional(mac, "The host's MAC of distributed routing.", 'allocated once, kept for ever'),
  agent_mode: withDefault(
    oneOf(['dvr', 'dvr_snat', 'dvr_no_external', 'legacy']),
    'dvr',
    'dvr_snat may host SNAT; dvr_no_external leaves the floating IPs of its guests to the gateway host; legacy gets no router flows.',
  ),
  gateway_priority: withDefault(
    wholeNumber(0, 65_535),
    0,
    'Of the live dvr_snat hosts the one with the highest serves; for those hosts alone.',
  ),
  controller: optionalOrNone(
    oneOrMore(endpoint),
    'What heddle writes as the controllers of the bridges; null leaves Bridge.controller alone.',
    'tcp:127.0.0.1:6653',
  ),
  mgmt_dir: optional(nameKind('a directory'), 'Dial DIR/BRIDGE.mgmt instead of waiting for the bridge to call.'),
  bridges: withKeyDefaults(bridges, 'Names of the bridges.', '{ integration: br-int, tunnel: br-tun }'),
  datapath_type: withDefault(
    oneOf(['system', 'netdev', 'dummy']),
    'system',
    'Of bridges that heddle creates; dummy is for tests of Open vSwitch.',
  ),
  bridge_mappings: optional(
    recordOf(bridgeName, 'a mapping of physical_network to bridge'),
    'physical_network to bridge.',
  ),
});

export const route = mapping('a route, as in { destination: 203.0.113.0/24, nexthop: 10.0.0.9 }', {
  destination: required(prefix, 'Where to.'),
  nexthop: required(unicastIp, 'By way of whom.'),
});

export const allocationPool = mapping('a pool, as in { start: 10.0.0.2, end: 10.0.0.254 }', {
  start: required(ip, 'First address.'),
  end: required(ip, 'Last address, included.'),
});

export const subnet = mapping('a mapping that describes a subnet', {
  id: optional(
    id,
    'Unique among all subnets.',
    'NETWORK-v4 or NETWORK-v6, with -2, -3 after the first in order of cidr',
  ),
  cidr: required(prefix, 'IPv4 or IPv6.'),
  gateway_ip: optionalOrNone(unicastIp, 'null for none.', 'the first address'),
  enable_dhcp: withDefault(bool, true, 'Whether guests are told their addresses by DHCP.'),
  dns_nameservers: optional(listOf(ip, 'a list of addresses'), 'Resolvers, in the order in which to ask.'),
  host_routes: optional(listOf(route, 'a list of routes'), 'Routes that guests are told of.'),
  allocation_pools: optional(
    listOf(allocationPool, 'a list of pools'),
    'Where addresses of ports that name none come from.',
    'all of the subnet',
  ),
  ipv6_ra_mode: optional(ipv6Mode, 'IPv6 only: what router advertisements say.'),
  ipv6_address_mode: optional(ipv6Mode, 'IPv6 only: how guests get their addresses.'),
});

export const network = mapping('a mapping that describes a network', {
  id: required(id, 'Unique.'),
  name: optional(nameKind('a name'), 'For people.', 'the id'),
  network_type: required(oneOf(['vxlan', 'gre', 'geneve', 'vlan', 'flat', 'local']), 'How it goes between hosts.'),
  segmentation_id: optional(
    anyWholeNumber,
    'VNI (1 to 16777215), key (1 to 4294967295) or VLAN id (1 to 4094); none for flat and local.',
  ),
  physical_network: optional(nameKind('a physical network'), 'vlan and flat only: a key of bridge_mappings.'),
  mtu: optional(wholeNumber(68, 65_535), 'Largest IP packet.', '1500; 1450 vxlan, 1458 gre, 1442 geneve'),
  external: withDefault(bool, false, 'router:external: gateways and floating IPs may be on it.'),
  subnets: optional(listOf(subnet, 'a list of subnets'), 'Its subnets.'),
});

export const fixedIp = mapping(
  'an address or a mapping of subnet and ip_address',
  {
    subnet: optional(subnetId, 'A subnet of the network.', 'the one that ip_address is in'),
    ip_address: optional(unicastIp, 'The address.', 'a free one of the subnet'),
  },
  'ip_address',
);

const fixedIps = listOf(fixedIp, 'a list of addresses');

export const addressPair = mapping(
  'an address pair, as in { ip_address: 10.0.0.100 }',
  {
    ip_address: required(prefixOrIp, 'An address, or a prefix.'),
    mac_address: optional(mac, 'With which MAC.', "the port's"),
  },
  'ip_address',
);

export const port = mapping('a mapping that describes a port', {
  id: required(id, "Unique; external_ids:iface-id of OVS's interface."),
  network: required(networkId, 'The network it is on.'),
  mac_address: optional(mac, "The guest's MAC.", 'derived from the id, stable'),
  fixed_ips: optional(
    fixedIps,
    "The guest's addresses; [] for none.",
    "a free one of the network's IPv4 and IPv6 subnet",
  ),
  host: optional(hostName, 'The host it is plugged on.', 'the host on whose OVS a matching iface-id shows up'),
  device_owner: withDefault(nameKind('a device owner'), 'compute:nova', "In Neutron's words."),
  port_security_enabled: withDefault(bool, true, 'Anti-spoofing of MAC, IP and ARP.'),
  allowed_address_pairs: optional(listOf(addressPair, 'a list of address pairs'), 'What the guest may use besides.'),
  security_groups: optional(listOf(securityGroupId, 'a list of security groups'), 'Empty or absent: no filtering.'),
  admin_state_up: withDefault(bool, true, 'false: nothing passes.'),
});

export const routerInterface = mapping('an interface, as in { subnet: blue-v4 }', {
  subnet: required(subnetId, 'The subnet it connects.'),
  ip_address: optional(unicastIp, 'Its address there.', "the subnet's gateway_ip"),
  mac_address: optional(mac, 'Its MAC.', 'derived, stable'),
  port_id: optional(ifaceId, 'iface-id of the plugged port; required with dataplane: namespace.'),
});

export const snatPort = mapping('a centralised port, as in { subnet: blue-v4 }', {
  subnet: required(subnetId, 'A subnet that an interface connects.'),
  ip_address: optional(unicastIp, 'Its address there.', 'a free one of the subnet'),
  mac_address: optional(mac, 'Its MAC.', 'derived, stable'),
  port_id: optional(ifaceId, 'iface-id of the plugged port; required with dataplane: namespace.'),
});

export const gateway = mapping('a gateway, as in { network: public }', {
  network: required(networkId, 'An external network.'),
  external_fixed_ips: optional(fixedIps, 'Addresses there.', "a free one of the network's IPv4 and IPv6 subnet"),
  enable_snat: withDefault(bool, true, 'Whether guests without a floating IP get out with the address of the gateway.'),
  mac_address: optional(mac, 'Of the gateway port (qg).', 'derived, stable'),
  port_id: optional(ifaceId, 'iface-id of the plugged port; required with dataplane: namespace.'),
});

export const router = mapping('a mapping that describes a router', {
  id: required(id, 'Unique.'),
  distributed: optional(
    bool,
    'false: all its routing happens on the gateway host.',
    'the setting enable_distributed_routing',
  ),
  dataplane: withDefault(
    oneOf(['flows', 'namespace']),
    'flows',
    'namespace: plugged by someone else, only the side of the switch is programmed.',
  ),
  interfaces: optional(listOf(routerInterface, 'a list of interfaces'), 'The subnets it connects.'),
  external_gateway_info: optional(gateway, 'Its way out.'),
  snat_ports: optional(
    listOf(snatPort, 'a list of centralised ports'),
    'One centralised port (sg) for each internal subnet of a distributed router.',
    'one for each subnet when there is a gateway and dataplane is flows',
  ),
  routes: optional(listOf(route, 'a list of routes'), 'Extra routes.'),
});

export const floatingIp = mapping('a mapping that describes a floating IP', {
  id: optional(id, 'Unique.', 'floating_ip_address'),
  floating_ip_address: required(ipv4, 'The address outside.'),
  floating_network: required(networkId, 'An external network.'),
  port: optional(portId, 'Where it leads.', 'nowhere: the address is only reserved'),
  fixed_ip_address: optional(ipv4, 'Which address of the port.', "the port's first IPv4 address"),
});

export const securityGroupRule = mapping('a mapping that describes a rule', {
  direction: required(oneOf(['ingress', 'egress']), 'Relative to the instance.'),
  ethertype: withDefault(oneOf(['IPv4', 'IPv6']), 'IPv4', 'Family of addresses.'),
  protocol: optional(protocol, 'IP protocol.', 'any'),
  port_range_min: optional(wholeNumber(0, 65_535), 'First port; for ICMP the type.', 'any'),
  port_range_max: optional(wholeNumber(0, 65_535), 'Last port; for ICMP the code.', 'any'),
  remote_ip_prefix: optional(prefixOrIp, 'The other side by address.', 'any'),
  remote_group: optional(securityGroupId, 'The other side by its security group.', 'any'),
});

export const securityGroup = mapping('a mapping that describes a security group', {
  id: required(id, 'Unique.'),
  rules: optional(listOf(securityGroupRule, 'a list of rules'), 'What is allowed: nothing is implied.'),
});

export const topology = mapping('a mapping with hosts, networks, ports and so on', {
  settings: withKeyDefaults(settings, 'Of the whole site.', 'as below'),
  hosts: optional(listOf(host, 'a list of hosts'), 'Machines with Open vSwitch.'),
  networks: optional(listOf(network, 'a list of networks'), 'Networks with their subnets.'),
  ports: optional(
    listOf(port, 'a list of ports'),
    "Whatever is plugged into the integration bridges; the id is OVS's iface-id.",
  ),
  routers: optional(listOf(router, 'a list of routers'), 'Routers.'),
  floating_ips: optional(listOf(floatingIp, 'a list of floating IPs'), 'Floating IPs.'),
  security_groups: optional(listOf(securityGroup, 'a list of security groups'), 'Security groups.'),
});

type DraftOf<K> = K extends { readonly fields: infer F extends Fields } ? Draft<F> : never;

export type TopologyDraft = DraftOf<typeof topology>;
export type HostDraft = DraftOf<typeof host>;
export type NetworkDraft = DraftOf<typeof network>;
export type SubnetDraft = DraftOf<typeof subnet>;
export type PortDraft = DraftOf<typeof port>;
export type FixedIpDraft = DraftOf<typeof fixedIp>;
export type RouterDraft = DraftOf<typeof router>;
export type RouterInterfaceDraft = DraftOf<typeof routerInterface>;
export type SnatPortDraft = DraftOf<typeof snatPort>;
export type GatewayDraft = DraftOf<typeof gateway>;
export type RouteDraft = DraftOf<typeof route>;
export type FloatingIpDraft = DraftOf<typeof floatingIp>;
export type SecurityGroupDraft = DraftOf<typeof securityGroup>;
export type SecurityGroupRuleDraft = DraftOf<typeof securityGroupRule>;
