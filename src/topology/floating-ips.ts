/** Floating IPs: what must hold with ports and routers, and what they become. Serves load.ts. */
import { ipToText, prefixContains, prefixToText } from '../lib/addresses.ts';
import { type AddressPlan, buildFixedIps } from './fixed-ips.ts';
import type { FloatingIp, FloatingIpTarget } from './model.ts';
import { checkAddress } from './networks.ts';
import type { PortPlan } from './ports.ts';
import { compareText, ipVersionOf } from './ranges.ts';
import { checkExternal, type RouterPlan } from './routers.ts';
import type { FloatingIpDraft, PortDraft } from './schema.ts';
import {
  entriesOf,
  type Item,
  itemOf,
  type NetworkItem,
  originOf,
  present,
  type Settled,
  type Site,
  type SubnetItem,
} from './site.ts';

interface TargetPlan {
  readonly port: PortPlan;
  readonly router: RouterPlan;
}

interface Connection {
  readonly port: PortPlan;
  readonly network: NetworkItem;
  /** Of the port's address. */
  readonly subnet: SubnetItem;
}

export interface FloatingIpPlan {
  readonly item: Item<FloatingIpDraft>;
  readonly target?: TargetPlan;
}

/** What a floating IP can lead to. */
export interface Surroundings {
  readonly ports: ReadonlyMap<Item<PortDraft>, PortPlan>;
  readonly routers: readonly RouterPlan[];
}

/** Check every floating IP. Networks, ports and routers are checked before. */
export function checkFloatingIps(site: Site, surroundings: Surroundings): readonly FloatingIpPlan[] {
  const check = new FloatingIpCheck(site, surroundings);
  const plans: FloatingIpPlan[] = [];
  for (const [index, draft] of entriesOf(site.draft.floating_ips)) {
    const { id, floating_ip_address: address } = draft;
    const item = itemOf(
      site,
      draft,
      ['floating_ips', index],
      id ?? (address === undefined ? undefined : ipToText(address)),
    );
    plans.push(check.plan(item));
  }
  return plans;
}

class FloatingIpCheck {
  readonly #site: Site;
  readonly #surroundings: Surroundings;
  readonly #byId = new Map<string, Item<FloatingIpDraft>>();
  /** By network, port and fixed address. */
  readonly #byTarget = new Map<string, Item<FloatingIpDraft>>();
  readonly #connections = new Map<SubnetItem, { readonly router: RouterPlan; readonly isGateway: boolean }[]>();
  readonly #routersAreComplete: boolean;

  constructor(site: Site, surroundings: Surroundings) {
    this.#site = site;
    this.#surroundings = surroundings;
    this.#routersAreComplete = !site.routers.isUnknown && surroundings.routers.every(({ isComplete }) => isComplete);
    for (const router of surroundings.routers) {
      for (const { address } of router.interfaces) {
        const connection = { router, isGateway: address.given === address.subnet.gateway };
        const list = this.#connections.get(address.subnet);
        if (list === undefined) this.#connections.set(address.subnet, [connection]);
        else list.push(connection);
      }
    }
  }

  plan(item: Item<FloatingIpDraft>): FloatingIpPlan {
    const { draft, path } = item;
    this.#checkId(item);
    const network = this.#site.networks.find(draft.floating_network, [...path, 'floating_network']);
    if (network !== undefined) this.#checkAddress(item, network);
    const portItem = this.#site.ports.find(draft.port, [...path, 'port']);
    const port = portItem === undefined ? undefined : this.#surroundings.ports.get(portItem);
    if (
      draft.port === undefined &&
      draft.fixed_ip_address !== undefined &&
      !this.#site.report.isDoubtful([...path, 'port'])
    ) {
      const message = 'missing: fixed_ip_address is an address of a port; give the port, or leave both out';
      this.#site.report.wrong([...path, 'port'], message);
    }
    if (port === undefined || this.#site.report.isDoubtful([...path, 'fixed_ip_address'])) return { item };
    const fixed = this.#fixedAddress(item, port);
    if (fixed === undefined || network === undefined) return { item };
    const router = this.#router(item, { port, network, subnet: fixed.subnet });
    if (router === undefined) return { item };
    this.#checkTarget(item, { port, network, subnet: fixed.subnet, fixed });
    return { item, target: { port, router } };
  }

  #checkId(item: Item<FloatingIpDraft>): void {
    const { draft, id, path } = item;
    const { report } = this.#site;
    const earlier = id === undefined ? undefined : this.#byId.get(id);
    if (id === undefined) return;
    if (earlier === undefined) {
      this.#byId.set(id, item);
      return;
    }
    // Twice the same address on one network is reported as such.
    const isSameAddress = draft.id === undefined && earlier.draft.id === undefined;
    if (isSameAddress && draft.floating_network === earlier.draft.floating_network) return;
    const message = `duplicate floating IP "${id}": ${report.mention(earlier.path)} has this id; give another`;
    report.wrong([...path, 'id'], message);
  }

  #checkAddress({ draft, path, label }: Item<FloatingIpDraft>, network: NetworkItem): void {
    const { report } = this.#site;
    const { floating_ip_address: ip } = draft;
    checkExternal(this.#site, network, [...path, 'floating_network']);
    if (ip === undefined) return;
    const addressPath = [...path, 'floating_ip_address'];
    const subnets = network.subnets.flatMap((subnet) =>
      subnet.draft.cidr ? [{ subnet, cidr: subnet.draft.cidr }] : [],
    );
    const found = subnets.find(({ cidr }) => prefixContains(cidr, ip));
    if (found === undefined) {
      if (subnets.length < network.subnets.length || report.isDoubtful([...network.path, 'subnets'])) return;
      const own = subnets.filter(({ cidr }) => ipVersionOf(cidr.address) === 4);
      const known =
        own.length === 0 ? 'it has none for IPv4' : `it has ${own.map(({ cidr }) => prefixToText(cidr)).join(', ')}`;
      report.wrong(addressPath, `${ipToText(ip)} is in no subnet of network ${network.label}; ${known}`);
      return;
    }
    const { subnet, cidr } = found;
    if (!checkAddress(this.#site, { id: subnet.label, cidr, ip, path: addressPath, isRouter: false })) return;
    this.#site.addresses.claim(network, ip, { path: addressPath, owner: `floating IP ${label}` });
  }

  /** Which of the port's addresses it leads to. */
  #fixedAddress({ draft, path }: Item<FloatingIpDraft>, port: PortPlan): AddressPlan | undefined {
    const { report } = this.#site;
    const own = port.addresses.filter(
      ({ subnet }) => subnet.draft.cidr && ipVersionOf(subnet.draft.cidr.address) === 4,
    );
    own.sort((left, right) => compareText(left.subnet.label, right.subnet.label));
    const { fixed_ip_address: ip } = draft;
    const found = ip === undefined ? own[0] : own.find(({ given }) => given === ip);
    if (found !== undefined || !port.isComplete) return found;
    if (ip === undefined) {
      report.wrong([...path, 'port'], `port ${port.item.label} has no IPv4 address; give it one in fixed_ips`);
      return undefined;
    }
    const given = own.flatMap((plan) => (plan.given === undefined ? [] : [ipToText(plan.given)]));
    const known = given.length === 0 ? 'add it to its fixed_ips' : `it has ${given.join(', ')}`;
    report.wrong(
      [...path, 'fixed_ip_address'],
      `${ipToText(ip)} is not in the fixed_ips of port ${port.item.label}; ${known}`,
    );
    return undefined;
  }

  /** The router between the port's subnet and the floating network: rather the subnet's gateway, then the first by id. */
  #router(item: Item<FloatingIpDraft>, { port, network, subnet }: Connection): RouterPlan | undefined {
    let best: { readonly router: RouterPlan; readonly isGateway: boolean } | undefined;
    for (const connection of this.#connections.get(subnet) ?? []) {
      if (connection.router.gateway?.network !== network) continue;
      const isBetter =
        best === undefined || connection.isGateway === best.isGateway
          ? best === undefined || compareText(connection.router.item.label, best.router.item.label) < 0
          : connection.isGateway;
      if (isBetter) best = connection;
    }
    if (best !== undefined || !this.#routersAreComplete) return best?.router;
    const what = `no router connects port ${port.item.label} to network ${network.label}`;
    const how = `give one an interface on ${subnet.label} and its external_gateway_info on ${network.label}`;
    this.#site.report.wrong([...item.path, 'port'], `${what}; ${how}`);
    return undefined;
  }

  #checkTarget(
    item: Item<FloatingIpDraft>,
    { port, network, fixed }: Connection & { readonly fixed: AddressPlan },
  ): void {
    const key = JSON.stringify([network.label, port.item.label, fixed.given ?? fixed.name]);
    const other = this.#byTarget.get(key);
    if (other === undefined) {
      this.#byTarget.set(key, item);
      return;
    }
    const where = `floating IP ${other.label}, ${this.#site.report.mention(other.path)}`;
    const message = `${where}, leads to this address of port ${port.item.label} already; give another port or fixed_ip_address`;
    this.#site.report.wrong([...item.path, 'port'], message);
  }
}

export function buildFloatingIp(site: Site, { item, target }: FloatingIpPlan, settled: Settled): FloatingIp {
  const { draft, path, label } = item;
  return {
    id: label,
    floatingIpAddress: present(draft.floating_ip_address, label),
    floatingNetworkId: present(draft.floating_network, label),
    ...(target !== undefined && { target: buildTarget(draft, target, settled) }),
    origin: originOf(site, path),
  };
}

function buildTarget(draft: FloatingIpDraft, { port, router }: TargetPlan, settled: Settled): FloatingIpTarget {
  const fixedIps = buildFixedIps(port.addresses, settled.addresses);
  const first = fixedIps.map(({ ipAddress }) => ipAddress).find((ip) => typeof ip === 'number');
  return {
    portId: port.item.label,
    fixedIpAddress: draft.fixed_ip_address ?? present(first, port.item.label),
    routerId: router.item.label,
  };
}
