/** Networks and their subnets: what must hold between their keys, and what they become. Serves load.ts. */
import { ipToText, type Prefix, prefixContains, prefixToText } from '../lib/addresses.ts';
import type { AllocationPool, Network, NetworkType, Route, Subnet } from './model.ts';
import {
  compareIps,
  comparePrefixes,
  compareText,
  firstAddress,
  ipVersionOf,
  poolContains,
  prefixesOverlap,
  specialRole,
  wholePool,
} from './ranges.ts';
import type { RouteDraft, SubnetDraft } from './schema.ts';
import { entriesOf, itemOf, itemsOf, type NetworkItem, originOf, present, type Site, type SubnetItem } from './site.ts';
import type { Path } from './source.ts';

/** Link-local addresses of IPv6 routers are gateways that are in no subnet (RFC 4291 §2.5.6). */
const IPV6_LINK_LOCAL: Prefix = { address: 0xfe80n << 112n, length: 10 };

/** Prefix length that stateless autoconfiguration needs (RFC 4862 §5.5.3 with RFC 4291 §2.5.1). */
const AUTOCONFIGURED_LENGTH = 64;

interface TypeFacts {
  /** The segmentation id, for those that have one. */
  readonly segment?: { readonly max: number; readonly name: string };
  readonly isPhysical: boolean;
  readonly mtu: number;
}

/** MTUs leave room for outer headers in 1500 bytes: VXLAN 50, GRE with a key 42, Geneve 58 (Neutron reckons with options). */
const TYPES: Readonly<Record<NetworkType, TypeFacts>> = {
  vxlan: { segment: { max: 16_777_215, name: 'VNI' }, isPhysical: false, mtu: 1450 },
  gre: { segment: { max: 4_294_967_295, name: 'key' }, isPhysical: false, mtu: 1458 },
  geneve: { segment: { max: 16_777_215, name: 'VNI' }, isPhysical: false, mtu: 1442 },
  vlan: { segment: { max: 4094, name: 'VLAN id' }, isPhysical: true, mtu: 1500 },
  flat: { isPhysical: true, mtu: 1500 },
  local: { isPhysical: false, mtu: 1500 },
};

export function isTunnelled(type: NetworkType | undefined): boolean {
  return type === 'vxlan' || type === 'gre' || type === 'geneve';
}

/** Register every network and subnet, and check each for itself. */
export function checkNetworks(site: Site): void {
  const { networks: list } = site.draft;
  const { networks, subnets } = site;
  networks.isUnknown = list === undefined && site.report.isDoubtful(['networks']);
  subnets.isUnknown = networks.isUnknown;
  for (const [index, draft] of (list ?? []).entries()) {
    const path = ['networks', index];
    if (draft === undefined) {
      networks.addBrokenId(site.source.valueAt(path));
      continue;
    }
    const network: NetworkItem = { ...itemOf(site, draft, path, draft.id), subnets: [] };
    networks.add(network, 'id');
    if (draft.id === undefined) networks.addBrokenId(site.source.valueAt([...path, 'id']));
    addSubnets(site, network);
    checkType(site, network);
    checkOverlap(site, network);
  }
  checkSegments(site);
}

function addSubnets(site: Site, network: NetworkItem): void {
  const { subnets: list } = network.draft;
  const path = [...network.path, 'subnets'];
  if (list === undefined && site.report.isDoubtful(path)) site.subnets.isUnknown = true;
  const ids = subnetIdsOf(network);
  for (const [index, draft] of entriesOf(list)) {
    const subnetPath = [...path, index];
    const item = itemOf(site, draft, subnetPath, ids.get(draft));
    const gateway = gatewayOf(site, draft, subnetPath, item.label);
    const pools = poolsOf(site, draft, subnetPath, item.label);
    const subnet: SubnetItem = { ...item, network, pools, ...(gateway !== undefined && { gateway }) };
    network.subnets.push(subnet);
    site.subnets.add(subnet, 'id');
    if (item.id === undefined) {
      site.subnets.addBrokenId(site.source.valueAt([...subnetPath, 'id']));
      // It would have had one of these, had its cidr been readable, or one of the others would.
      for (const base of [`${network.label}-v4`, `${network.label}-v6`]) {
        site.subnets.addBrokenId(base);
        for (let number = 2; number <= (list?.length ?? 0); number++) site.subnets.addBrokenId(`${base}-${number}`);
      }
    }
    checkSubnet(site, subnet);
  }
}

/** Ids of a network's subnets: their own, or numbered in order of cidr, so that the order in the file does not matter. */
function subnetIdsOf(network: NetworkItem): ReadonlyMap<SubnetDraft, string> {
  const ids = new Map<SubnetDraft, string>();
  const drafts = itemsOf(network.draft.subnets);
  for (const draft of drafts) if (draft.id !== undefined) ids.set(draft, draft.id);
  const own = new Set(ids.values());
  const unnamed = drafts.flatMap((draft) =>
    draft.id === undefined && draft.cidr ? [{ draft, cidr: draft.cidr }] : [],
  );
  unnamed.sort((left, right) => comparePrefixes(left.cidr, right.cidr));
  for (const { draft, cidr } of unnamed) {
    if (network.id === undefined) continue;
    const base = `${network.id}-v${ipVersionOf(cidr.address)}`;
    let id = base;
    for (let number = 2; own.has(id); number++) id = `${base}-${number}`;
    own.add(id);
    ids.set(draft, id);
  }
  return ids;
}

function gatewayOf(site: Site, draft: SubnetDraft, path: Path, label: string): SubnetItem['gateway'] {
  const { cidr, gateway_ip: given } = draft;
  const gatewayPath = [...path, 'gateway_ip'];
  if (cidr === undefined || given === null || (given === undefined && site.report.isDoubtful(gatewayPath)))
    return undefined;
  if (given === undefined) return firstAddress(cidr);
  if (prefixContains(IPV6_LINK_LOCAL, given) && ipVersionOf(cidr.address) === 6) return given;
  return checkAddress(site, { id: label, cidr, ip: given, path: gatewayPath, isRouter: true }) ? given : undefined;
}

interface AddressCheck {
  /** Of the subnet. */
  readonly id: string;
  readonly cidr: Prefix;
  readonly ip: number | bigint;
  readonly path: Path;
  /** Routers may have the network address of an IPv6 subnet (the anycast address of RFC 4291 §2.6.1). */
  readonly isRouter: boolean;
}

/** Whether a machine may have `ip` on the subnet; if not, that is reported. */
export function checkAddress(site: Site, { id, cidr, ip, path, isRouter }: AddressCheck): boolean {
  const subnet = `subnet ${id} (${prefixToText(cidr)})`;
  if (!prefixContains(cidr, ip)) {
    site.report.wrong(path, `${ipToText(ip)} is outside ${subnet}; give an address inside`);
    return false;
  }
  const role = isRouter && typeof ip === 'bigint' ? undefined : specialRole(cidr, ip);
  if (role !== undefined) {
    site.report.wrong(path, `${ipToText(ip)} is the ${role} address of ${subnet}; give another`);
    return false;
  }
  return true;
}

function poolsOf(site: Site, draft: SubnetDraft, path: Path, label: string): readonly AllocationPool[] {
  const { cidr, allocation_pools: list } = draft;
  if (cidr === undefined) return [];
  if (list === undefined) return [wholePool(cidr)];
  const whole = wholePool(cidr);
  const pools: AllocationPool[] = [];
  for (const [index, { start, end }] of entriesOf(list)) {
    if (start === undefined || end === undefined) continue;
    const poolPath = [...path, 'allocation_pools', index];
    const text = `${ipToText(start)} to ${ipToText(end)}`;
    const other = pools.find(
      (pool) => poolContains(pool, start) || poolContains(pool, end) || (start < pool.start && end > pool.end),
    );
    if (!poolContains(whole, start) || !poolContains(whole, end)) {
      const room = `${ipToText(whole.start)} to ${ipToText(whole.end)}`;
      site.report.wrong(poolPath, `${text} is not within subnet ${label} (${prefixToText(cidr)}); it has ${room}`);
    } else if (end < start) {
      site.report.wrong(poolPath, `${text} ends before it starts; swap start and end`);
    } else if (other !== undefined) {
      const overlap = `${ipToText(other.start)} to ${ipToText(other.end)}`;
      site.report.wrong(poolPath, `${text} overlaps the pool ${overlap}; keep pools apart`);
    } else pools.push({ start, end });
  }
  return pools.sort((left, right) => compareIps(left.start, right.start));
}

function checkSubnet(site: Site, { draft, path, label }: SubnetItem): void {
  const { cidr } = draft;
  if (cidr === undefined) return;
  const version = ipVersionOf(cidr.address);
  if (version === 4 && cidr.address >= 0xe0000000) {
    site.report.wrong([...path, 'cidr'], `${prefixToText(cidr)} is not for machines; give a unicast prefix`);
  }
  if (version === 6 && BigInt(cidr.address) >> 120n === 0xffn) {
    site.report.wrong([...path, 'cidr'], `${prefixToText(cidr)} is for multicast; give a unicast prefix`);
  }
  for (const [index, route] of entriesOf(draft.host_routes))
    checkRouteFamily(site, route, [...path, 'host_routes', index]);
  const { ipv6_ra_mode: raMode, ipv6_address_mode: addressMode } = draft;
  for (const [key, mode] of [
    ['ipv6_ra_mode', raMode],
    ['ipv6_address_mode', addressMode],
  ] as const) {
    if (mode === undefined) continue;
    if (version === 4) site.report.wrong([...path, key], `subnet ${label} is IPv4; leave ${key} out`);
    else if (mode !== 'dhcpv6-stateful' && cidr.length !== AUTOCONFIGURED_LENGTH) {
      site.report.wrong([...path, key], `${mode} needs a prefix of length 64, and ${prefixToText(cidr)} is none`);
    }
  }
  if (raMode !== undefined && addressMode !== undefined && raMode !== addressMode) {
    site.report.wrong(
      [...path, 'ipv6_address_mode'],
      `${addressMode} contradicts ipv6_ra_mode ${raMode}; give both the same mode`,
    );
  }
}

/** Destination and next hop are of one family. */
export function checkRouteFamily(site: Site, { destination, nexthop }: RouteDraft, path: Path): boolean {
  if (destination === undefined || nexthop === undefined) return false;
  if (ipVersionOf(destination.address) === ipVersionOf(nexthop)) return true;
  const message = `${ipToText(nexthop)} is IPv${ipVersionOf(nexthop)} and the destination ${prefixToText(destination)} is not; give a next hop of its family`;
  site.report.wrong([...path, 'nexthop'], message);
  return false;
}

function checkType(site: Site, { draft, path, label }: NetworkItem): void {
  const { network_type: type, segmentation_id: id, physical_network: physical } = draft;
  if (type === undefined) return;
  const { segment, isPhysical } = TYPES[type];
  const idPath = [...path, 'segmentation_id'];
  const physicalPath = [...path, 'physical_network'];
  if (segment === undefined && id !== undefined) {
    site.report.wrong(idPath, `network ${label} is ${type}, which has no segmentation_id; leave it out`);
  } else if (segment !== undefined && id === undefined) {
    site.report.wrong(
      idPath,
      `missing: network ${label} is ${type}; give its ${segment.name} from 1 to ${segment.max}`,
    );
  } else if (segment !== undefined && id !== undefined && (id < 1 || id > segment.max)) {
    site.report.wrong(idPath, `${id} is not a ${segment.name} of ${type}; give one from 1 to ${segment.max}`);
  }
  if (isPhysical && physical === undefined) {
    site.report.wrong(physicalPath, `missing: network ${label} is ${type}; give a key of the hosts' bridge_mappings`);
  } else if (!isPhysical && physical !== undefined) {
    site.report.wrong(physicalPath, `network ${label} is ${type}, which has no physical_network; leave it out`);
  }
}

function checkOverlap(site: Site, network: NetworkItem): void {
  const sorted = network.subnets.flatMap((subnet) => (subnet.draft.cidr ? [{ subnet, cidr: subnet.draft.cidr }] : []));
  sorted.forEach(({ subnet, cidr }, index) => {
    const other = sorted.slice(0, index).find((earlier) => prefixesOverlap(earlier.cidr, cidr));
    if (other === undefined) return;
    const where = `subnet ${other.subnet.label} (${prefixToText(other.cidr)}), ${site.report.mention(other.subnet.path)}`;
    const message = `${prefixToText(cidr)} overlaps ${where}; subnets of one network are apart`;
    site.report.wrong([...subnet.path, 'cidr'], message);
  });
}

/** Segmentation ids are unique in their space: of each tunnel type, and of each physical network. */
function checkSegments(site: Site): void {
  const users = new Map<string, NetworkItem>();
  for (const network of site.networks.items) {
    const { network_type: type, segmentation_id: id, physical_network: physical } = network.draft;
    if (type === undefined || type === 'local' || (TYPES[type].isPhysical && physical === undefined)) continue;
    if (TYPES[type].segment !== undefined && id === undefined) continue;
    const key = `${type} ${id} ${physical}`;
    const other = users.get(key);
    if (other === undefined) {
      users.set(key, network);
      continue;
    }
    const where = `network ${other.label}, ${site.report.mention(other.path)}`;
    if (type === 'flat') {
      const message = `${physical} carries the flat ${where} already; a physical network carries one flat network`;
      site.report.wrong([...network.path, 'physical_network'], message);
    } else {
      const space = type === 'vlan' ? `on ${physical}` : `of ${type}`;
      const message = `duplicate segmentation_id ${id} ${space}: ${where} has it; give another`;
      site.report.wrong([...network.path, 'segmentation_id'], message);
    }
  }
}

export function buildNetwork(site: Site, item: NetworkItem): Network {
  const { draft, path, label } = item;
  const type = present(draft.network_type, label);
  const { segmentation_id: segmentationId, physical_network: physicalNetwork } = draft;
  return {
    id: label,
    name: draft.name ?? label,
    networkType: type,
    ...(segmentationId !== undefined && { segmentationId }),
    ...(physicalNetwork !== undefined && { physicalNetwork }),
    mtu: draft.mtu ?? TYPES[type].mtu,
    external: present(draft.external, label),
    subnetIds: item.subnets.map((subnet) => subnet.label).sort(compareText),
    origin: originOf(site, path),
  };
}

export function buildSubnet(site: Site, { draft, path, label, network, gateway, pools }: SubnetItem): Subnet {
  const cidr = present(draft.cidr, label);
  const { ipv6_ra_mode: ipv6RaMode, ipv6_address_mode: ipv6AddressMode } = draft;
  return {
    id: label,
    networkId: network.label,
    ipVersion: ipVersionOf(cidr.address),
    cidr,
    ...(gateway !== undefined && { gatewayIp: gateway }),
    enableDhcp: present(draft.enable_dhcp, label),
    dnsNameservers: itemsOf(draft.dns_nameservers),
    hostRoutes: buildRoutes(draft.host_routes),
    allocationPools: pools,
    ...(ipv6RaMode !== undefined && { ipv6RaMode }),
    ...(ipv6AddressMode !== undefined && { ipv6AddressMode }),
    origin: originOf(site, path),
  };
}

export function buildRoutes(list: readonly (RouteDraft | undefined)[] | undefined): readonly Route[] {
  const routes = itemsOf(list).map(({ destination, nexthop }) => ({
    destination: present(destination, 'destination'),
    nexthop: present(nexthop, 'nexthop'),
  }));
  return routes.sort(
    (left, right) => comparePrefixes(left.destination, right.destination) || compareIps(left.nexthop, right.nexthop),
  );
}
