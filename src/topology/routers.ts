/** Routers: what must hold between their keys and with the rest of the file, and what they become. Serves load.ts. */
import { type Ip, ipToText, prefixContains, prefixToText } from '../lib/addresses.ts';
import { type AddressPlan, buildFixedIps, planFixedIps, settledAddress } from './fixed-ips.ts';
import type { Router, RouterGateway, RouterPort } from './model.ts';
import { buildRoutes, checkAddress, checkRouteFamily } from './networks.ts';
import { compareText, prefixesOverlap } from './ranges.ts';
import type { GatewayDraft, RouterDraft } from './schema.ts';
import {
  entriesOf,
  type Item,
  type NetworkItem,
  originOf,
  present,
  registerList,
  type Settled,
  type Site,
  type SubnetItem,
} from './site.ts';
import type { Path } from './source.ts';

/** One port of a router. Its MAC is derived under `name` when the file gives none. */
interface RouterPortPlan {
  readonly address: AddressPlan;
  readonly mac: number | undefined;
  readonly portId: string | undefined;
  readonly name: string;
  readonly path: Path;
}

interface GatewayPlan {
  readonly draft: GatewayDraft;
  readonly network: NetworkItem;
  readonly addresses: readonly AddressPlan[];
  readonly isComplete: boolean;
  readonly name: string;
  readonly path: Path;
}

export interface RouterPlan {
  readonly item: Item<RouterDraft>;
  readonly isDistributed: boolean;
  readonly interfaces: readonly RouterPortPlan[];
  readonly gateway?: GatewayPlan;
  readonly snatPorts: readonly RouterPortPlan[];
  /** false: interfaces or gateway are missing here because they are wrong in the file. */
  readonly isComplete: boolean;
}

/** Register every router, and check each. Networks and ports are registered before. */
export function checkRouters(site: Site): readonly RouterPlan[] {
  registerList(site, site.routers, { key: 'routers', items: site.draft.routers, idKey: 'id' });
  const plugged = new Map<string, string>();
  for (const { id, path } of site.ports.items) if (id !== undefined) plugged.set(id, site.report.mention(path));
  return site.routers.items.map((item) => new RouterCheck(site, item, plugged).plan());
}

/** The checks of one router, which all look at the same few things. */
class RouterCheck {
  readonly #site: Site;
  readonly #item: Item<RouterDraft>;
  /** Who has which iface-id, over all ports and routers. */
  readonly #plugged: Map<string, string>;

  constructor(site: Site, item: Item<RouterDraft>, plugged: Map<string, string>) {
    this.#site = site;
    this.#item = item;
    this.#plugged = plugged;
  }

  plan(): RouterPlan {
    const item = this.#item;
    const isDistributed = this.#isDistributed();
    const interfaces = this.#interfaces();
    const gateway = this.#gateway();
    const snatPorts = this.#snatPorts(interfaces, { isDistributed, hasGateway: gateway !== undefined });
    const isComplete = this.#isComplete(interfaces, gateway);
    this.#checkOverlap(interfaces, gateway);
    this.#checkRoutes({ interfaces, gateway, isComplete });
    return { item, isDistributed, interfaces, snatPorts, isComplete, ...(gateway !== undefined && { gateway }) };
  }

  #isDistributed(): boolean {
    const { distributed } = this.#item.draft;
    const isEnabled = this.#site.draft.settings?.enable_distributed_routing ?? true;
    if (distributed === true && !isEnabled) {
      const message = 'the setting enable_distributed_routing is false; give distributed: false, or enable it';
      this.#site.report.wrong([...this.#item.path, 'distributed'], message);
    }
    return distributed ?? isEnabled;
  }

  #interfaces(): readonly RouterPortPlan[] {
    const { draft, path, label } = this.#item;
    const plans: RouterPortPlan[] = [];
    const seen = new Map<SubnetItem, Path>();
    for (const [index, entry] of entriesOf(draft.interfaces)) {
      const entryPath = [...path, 'interfaces', index];
      const subnet = this.#site.subnets.find(entry.subnet, [...entryPath, 'subnet']);
      this.#checkPlug(entry.port_id, entryPath);
      const name = `router ${label} interface ${subnet?.label ?? index}`;
      if (subnet !== undefined && this.#isSecond(seen, subnet, entryPath)) continue;
      // One port of Neutron's has several IPv6 subnets of a network, and with them one MAC.
      const group = subnet === undefined ? {} : { group: `router ${label} on network ${subnet.network.label}` };
      this.#takeMac(entry.mac_address, { name, path: entryPath, ...group });
      if (subnet === undefined) continue;
      const given = entry.ip_address ?? this.#gatewayAddress(subnet, entryPath);
      const address =
        given === undefined ? undefined : this.#claim(subnet, given, { name, path: [...entryPath, 'ip_address'] });
      if (address === undefined) continue;
      plans.push({ address, mac: entry.mac_address, portId: entry.port_id, name, path: entryPath });
    }
    return plans;
  }

  /** The address of an interface that names none. */
  #gatewayAddress(subnet: SubnetItem, path: Path): Ip | undefined {
    const { report } = this.#site;
    const { cidr } = subnet.draft;
    const { gateway } = subnet;
    const isUnclear = cidr === undefined || report.isDoubtful([...subnet.path, 'gateway_ip']);
    if (isUnclear || (gateway !== undefined && prefixContains(cidr, gateway))) return gateway;
    const why = gateway === undefined ? 'no gateway_ip' : `the link-local gateway_ip ${ipToText(gateway)}`;
    report.wrong([...path, 'ip_address'], `missing: subnet ${subnet.label} has ${why}; give the interface an address`);
    return undefined;
  }

  #gateway(): GatewayPlan | undefined {
    const { draft: router, path: routerPath, label } = this.#item;
    const draft = router.external_gateway_info;
    if (draft === undefined) return undefined;
    const path = [...routerPath, 'external_gateway_info'];
    const name = `router ${label} gateway`;
    this.#takeMac(draft.mac_address, { name, path });
    this.#checkPlug(draft.port_id, path);
    const network = this.#site.networks.find(draft.network, [...path, 'network']);
    if (network === undefined) return undefined;
    checkExternal(this.#site, network, [...path, 'network']);
    const addressPath = [...path, 'external_fixed_ips'];
    const fixedIps = planFixedIps(this.#site, {
      network,
      list: draft.external_fixed_ips,
      path: addressPath,
      owner: name,
      isRouter: true,
    });
    const hasSubnets = network.subnets.length > 0 || this.#site.report.isDoubtful([...network.path, 'subnets']);
    if (!hasSubnets && draft.external_fixed_ips === undefined) {
      const message = `missing: network ${network.label} has no subnet to take an address from; give it one`;
      this.#site.report.wrong(addressPath, message);
    }
    return { draft, network, ...fixedIps, name, path };
  }

  #snatPorts(
    interfaces: readonly RouterPortPlan[],
    { isDistributed, hasGateway }: { readonly isDistributed: boolean; readonly hasGateway: boolean },
  ): readonly RouterPortPlan[] {
    const { draft, path, label } = this.#item;
    const { report, subnets, addresses } = this.#site;
    const plans: RouterPortPlan[] = [];
    const seen = new Map<SubnetItem, Path>();
    if (!isDistributed && draft.snat_ports !== undefined && draft.snat_ports.length > 0) {
      const message = `router ${label} is not distributed: its interfaces are on the gateway host themselves; leave snat_ports out`;
      report.wrong([...path, 'snat_ports'], message);
      return [];
    }
    for (const [index, entry] of entriesOf(draft.snat_ports)) {
      const entryPath = [...path, 'snat_ports', index];
      const subnet = subnets.find(entry.subnet, [...entryPath, 'subnet']);
      this.#checkPlug(entry.port_id, entryPath);
      const name = snatName(label, subnet?.label ?? `${index}`);
      if (subnet !== undefined && this.#isSecond(seen, subnet, entryPath)) continue;
      this.#takeMac(entry.mac_address, { name, path: entryPath });
      if (subnet === undefined) continue;
      if (!this.#connects(subnet)) {
        const message = `no interface of router ${label} is on subnet ${subnet.label}; add one, or leave this port out`;
        report.wrong([...entryPath, 'subnet'], message);
        continue;
      }
      const address = this.#snatAddress(subnet, entry.ip_address, { name, path: entryPath });
      if (address === undefined) continue;
      plans.push({ address, mac: entry.mac_address, portId: entry.port_id, name, path: entryPath });
    }
    // Ports that somebody else plugs cannot be made up.
    if (!isDistributed || !hasGateway || draft.dataplane !== 'flows' || report.isDoubtful([...path, 'snat_ports']))
      return plans;
    for (const { address } of interfaces) {
      const { subnet } = address;
      if (seen.has(subnet)) continue;
      const name = snatName(label, subnet.label);
      this.#site.macs.want(name);
      addresses.want(subnet, { name, path });
      plans.push({ address: { subnet, name }, mac: undefined, portId: undefined, name, path });
    }
    return plans;
  }

  #snatAddress(
    subnet: SubnetItem,
    ip: Ip | undefined,
    { name, path }: { readonly name: string; readonly path: Path },
  ): AddressPlan | undefined {
    if (ip !== undefined) return this.#claim(subnet, ip, { name, path: [...path, 'ip_address'] });
    if (this.#site.report.isDoubtful([...path, 'ip_address'])) return undefined;
    this.#site.addresses.want(subnet, { name, path });
    return { subnet, name };
  }

  #connects(subnet: SubnetItem): boolean {
    const { interfaces } = this.#item.draft;
    const isUnclear = this.#site.report.isDoubtful([...this.#item.path, 'interfaces']);
    return isUnclear || (interfaces ?? []).some((entry) => entry?.subnet === subnet.id);
  }

  #isSecond(seen: Map<SubnetItem, Path>, subnet: SubnetItem, path: Path): boolean {
    const earlier = seen.get(subnet);
    if (earlier === undefined) {
      seen.set(subnet, path);
      return false;
    }
    const message = `subnet ${subnet.label} is in the list already, ${this.#site.report.mention(earlier)}; leave it out here`;
    this.#site.report.wrong([...path, 'subnet'], message);
    return true;
  }

  #takeMac(
    mac: number | undefined,
    claim: { readonly name: string; readonly path: Path; readonly group?: string },
  ): void {
    const { name, path, group } = claim;
    if (mac === undefined) this.#site.macs.want(name);
    else
      this.#site.macs.claim(mac, {
        path: [...path, 'mac_address'],
        owner: name,
        ...(group !== undefined && { group }),
      });
  }

  #claim(
    subnet: SubnetItem,
    ip: Ip,
    { name, path }: { readonly name: string; readonly path: Path },
  ): AddressPlan | undefined {
    const { cidr } = subnet.draft;
    if (cidr === undefined) return undefined;
    if (!checkAddress(this.#site, { id: subnet.label, cidr, ip, path, isRouter: true })) return undefined;
    this.#site.addresses.claim(subnet.network, ip, { path, owner: name });
    return { subnet, given: ip, name };
  }

  #checkPlug(portId: string | undefined, path: Path): void {
    const idPath = [...path, 'port_id'];
    if (portId === undefined) {
      if (this.#item.draft.dataplane !== 'namespace') return;
      this.#site.report.wrong(idPath, 'missing: dataplane is namespace; give the iface-id of the port that is plugged');
      return;
    }
    const other = this.#plugged.get(portId);
    if (other === undefined) this.#plugged.set(portId, this.#site.report.mention(path));
    else this.#site.report.wrong(idPath, `duplicate port_id "${portId}": ${other} has it; a port is listed once`);
  }

  #checkOverlap(interfaces: readonly RouterPortPlan[], gateway: GatewayPlan | undefined): void {
    const { label } = this.#item;
    const attached: { readonly subnet: SubnetItem; readonly path: Path }[] = [];
    for (const { subnet } of gateway?.addresses ?? []) attached.push({ subnet, path: gateway?.path ?? [] });
    for (const { address, path } of interfaces) {
      const { subnet } = address;
      const { cidr } = subnet.draft;
      if (cidr === undefined) continue;
      const other = attached.find(
        (earlier) => earlier.subnet.draft.cidr && prefixesOverlap(earlier.subnet.draft.cidr, cidr),
      );
      // Subnets of one network that overlap are reported there.
      if (other === undefined) attached.push({ subnet, path });
      else if (other.subnet === subnet || other.subnet.network !== subnet.network) {
        const otherCidr = other.subnet.draft.cidr;
        const where = `subnet ${other.subnet.label} (${otherCidr ? prefixToText(otherCidr) : ''}), ${this.#site.report.mention(other.path)}`;
        const message = `subnet ${subnet.label} (${prefixToText(cidr)}) overlaps ${where} of router ${label}; connect one of the two`;
        this.#site.report.wrong([...path, 'subnet'], message);
      }
    }
  }

  #isComplete(interfaces: readonly RouterPortPlan[], gateway: GatewayPlan | undefined): boolean {
    const { draft, path } = this.#item;
    const { report } = this.#site;
    if (interfaces.length < (draft.interfaces?.length ?? 0) || report.isDoubtful([...path, 'interfaces'])) return false;
    if (gateway !== undefined) return gateway.isComplete;
    return draft.external_gateway_info === undefined && !report.isDoubtful([...path, 'external_gateway_info']);
  }

  #checkRoutes({
    interfaces,
    gateway,
    isComplete,
  }: Pick<RouterPlan, 'interfaces' | 'isComplete'> & { readonly gateway: GatewayPlan | undefined }): void {
    const { draft, path, label } = this.#item;
    const { report } = this.#site;
    const own = [...interfaces.map(({ address }) => address), ...(gateway?.addresses ?? [])];
    const connected = own.flatMap(({ subnet }) => (subnet.draft.cidr ? [subnet.draft.cidr] : []));
    const seen = new Set<string>();
    for (const [index, entry] of entriesOf(draft.routes)) {
      const routePath = [...path, 'routes', index];
      const nexthopPath = [...routePath, 'nexthop'];
      const { destination, nexthop } = entry;
      if (!checkRouteFamily(this.#site, entry, routePath) || destination === undefined || nexthop === undefined)
        continue;
      const text = `${prefixToText(destination)} by ${ipToText(nexthop)}`;
      if (seen.has(text)) report.wrong(routePath, `the route ${text} is in the list already; leave it out here`);
      seen.add(text);
      if (own.some(({ given }) => given === nexthop)) {
        report.wrong(
          nexthopPath,
          `${ipToText(nexthop)} is an address of router ${label} itself; give that of a neighbour`,
        );
      } else if (isComplete && !connected.some((cidr) => prefixContains(cidr, nexthop))) {
        const known =
          connected.length === 0 ? 'it connects none' : `it connects ${connected.map(prefixToText).join(', ')}`;
        report.wrong(nexthopPath, `${ipToText(nexthop)} is in no subnet of router ${label}; ${known}`);
      }
    }
  }
}

/** Gateways and floating IPs are on networks marked for it. */
export function checkExternal(site: Site, network: NetworkItem, path: Path): void {
  if (network.draft.external !== false) return;
  site.report.wrong(path, `network ${network.label} is not external; give it external: true, or name another`);
}

function snatName(routerLabel: string, subnetLabel: string): string {
  return `router ${routerLabel} snat ${subnetLabel}`;
}

export function buildRouter(site: Site, plan: RouterPlan, settled: Settled): Router {
  const { draft, path, label } = plan.item;
  return {
    id: label,
    distributed: plan.isDistributed,
    dataplane: present(draft.dataplane, label),
    interfaces: buildRouterPorts(site, plan.interfaces, settled),
    ...(plan.gateway !== undefined && { externalGatewayInfo: buildGateway(site, plan.gateway, settled) }),
    snatPorts: buildRouterPorts(site, plan.snatPorts, settled),
    routes: buildRoutes(draft.routes),
    origin: originOf(site, path),
  };
}

function buildRouterPorts(site: Site, plans: readonly RouterPortPlan[], settled: Settled): readonly RouterPort[] {
  const ports = plans.map(({ address, mac, portId, name, path }) => ({
    networkId: address.subnet.network.label,
    subnetId: address.subnet.label,
    ipAddress: settledAddress(address, settled.addresses),
    macAddress: mac ?? present(settled.macs.get(name), name),
    ...(portId !== undefined && { portId }),
    origin: originOf(site, path),
  }));
  return ports.sort((left, right) => compareText(left.subnetId, right.subnetId));
}

function buildGateway(site: Site, plan: GatewayPlan, settled: Settled): RouterGateway {
  const { draft, network, addresses, name, path } = plan;
  const { port_id: portId } = draft;
  return {
    networkId: network.label,
    externalFixedIps: buildFixedIps(addresses, settled.addresses),
    enableSnat: present(draft.enable_snat, name),
    macAddress: draft.mac_address ?? present(settled.macs.get(name), name),
    ...(portId !== undefined && { portId }),
    origin: originOf(site, path),
  };
}
