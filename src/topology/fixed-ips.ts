/**
 * Addresses of a port, whether a guest's or a router's gateway: given, or to be derived. Serves ports.ts and routers.ts.
 */
import { type Ip, ipToText, prefixContains, prefixToText } from '../lib/addresses.ts';
import type { FixedIp } from './model.ts';
import { checkAddress } from './networks.ts';
import { compareIps, compareText, ipVersionOf } from './ranges.ts';
import type { FixedIpDraft } from './schema.ts';
import { entriesOf, type NetworkItem, present, type Site, type SubnetItem } from './site.ts';
import type { Path } from './source.ts';

/** An address on a subnet: given by the file, or settled under `name`. */
export interface AddressPlan {
  readonly subnet: SubnetItem;
  readonly given?: Ip;
  readonly name: string;
}

export interface FixedIpsRequest {
  readonly network: NetworkItem;
  readonly list: readonly (FixedIpDraft | undefined)[] | undefined;
  /** Of the list, whether or not it is there. */
  readonly path: Path;
  /** `port blue1`: unique, for messages and as the name under which values are derived. */
  readonly owner: string;
  /** For stateless autoconfiguration: the MAC, or the name under which it is derived. Absent: allocate from pools. */
  readonly macOf?: string | number;
  readonly isRouter: boolean;
}

export interface FixedIpsPlan {
  readonly addresses: readonly AddressPlan[];
  /** false: some could not be read or are reported as wrong, and are left out. */
  readonly isComplete: boolean;
}

/** Claim what the file gives and ask for the rest. */
export function planFixedIps(site: Site, request: FixedIpsRequest): FixedIpsPlan {
  const { list } = request;
  if (list === undefined) {
    if (site.report.isDoubtful(request.path)) return { addresses: [], isComplete: false };
    return planDefaults(site, request);
  }
  const addresses: AddressPlan[] = [];
  for (const [index, draft] of entriesOf(list)) {
    const plan = planOne(site, request, { draft, path: [...request.path, index], index });
    if (plan !== undefined) addresses.push(plan);
  }
  return { addresses, isComplete: addresses.length === list.length };
}

interface Entry {
  readonly draft: FixedIpDraft;
  readonly path: Path;
  readonly index: number;
}

function planOne(site: Site, request: FixedIpsRequest, { draft, path, index }: Entry): AddressPlan | undefined {
  const { network, owner, isRouter } = request;
  const addressPath = [...path, 'ip_address'];
  if (site.report.isDoubtful([...path, 'subnet']) || site.report.isDoubtful(addressPath)) return undefined;
  const { subnet: subnetId, ip_address: ip } = draft;
  if (subnetId === undefined && ip === undefined) {
    site.report.wrong(path, 'empty: give an ip_address, a subnet, or both');
    return undefined;
  }
  const subnet =
    subnetId === undefined
      ? subnetOfAddress(site, network, ip, addressPath)
      : site.subnets.find(subnetId, [...path, 'subnet']);
  if (subnet === undefined) return undefined;
  if (subnet.network !== network) {
    const message = `subnet ${subnet.label} is on network ${subnet.network.label}, and ${owner} is on ${network.label}; give a subnet of ${network.label}`;
    site.report.wrong([...path, 'subnet'], message);
    return undefined;
  }
  const { cidr } = subnet.draft;
  if (cidr === undefined) return undefined;
  if (ip === undefined) {
    // A second address of one subnet has a name of its own.
    const earlier = (request.list ?? []).slice(0, index);
    const number = earlier.filter((other) => other?.subnet === subnetId && other?.ip_address === undefined).length + 1;
    return wish(site, request, subnet, { path, suffix: number === 1 ? '' : ` (${number})` });
  }
  if (!checkAddress(site, { id: subnet.label, cidr, ip, path: addressPath, isRouter })) return undefined;
  site.addresses.claim(network, ip, { path: addressPath, owner });
  return { subnet, given: ip, name: owner };
}

function subnetOfAddress(site: Site, network: NetworkItem, ip: Ip | undefined, path: Path): SubnetItem | undefined {
  if (ip === undefined) return undefined;
  const found = network.subnets.find((subnet) => subnet.draft.cidr && prefixContains(subnet.draft.cidr, ip));
  if (found !== undefined || !isJudgeable(site, network)) return found;
  const subnets = network.subnets.map(({ label, draft }) => `${label} (${draft.cidr ? prefixToText(draft.cidr) : ''})`);
  const known = subnets.length === 0 ? 'it has none; add one' : `it has ${subnets.join(', ')}`;
  site.report.wrong(path, `${ipToText(ip)} is in no subnet of network ${network.label}; ${known}`);
  return undefined;
}

/** Whether all subnets of a network could be read. */
function isJudgeable(site: Site, network: NetworkItem): boolean {
  return (
    !site.report.isDoubtful([...network.path, 'subnets']) ||
    network.subnets.every(({ draft }) => draft.cidr !== undefined)
  );
}

/** Without a list: one address of each family that the network has, and one on every subnet where guests make their own. */
function planDefaults(site: Site, request: FixedIpsRequest): FixedIpsPlan {
  const { network, path } = request;
  if (!isJudgeable(site, network)) return { addresses: [], isComplete: false };
  const addresses: AddressPlan[] = [];
  for (const version of [4, 6] as const) {
    const subnets = network.subnets.filter(({ draft }) => draft.cidr && ipVersionOf(draft.cidr.address) === version);
    const autoconfigured = subnets.filter((subnet) => isAutoconfigured(subnet, request));
    if (autoconfigured.length === 0 && subnets.length > 1) {
      reportAmbiguity(site, request, { version, subnets });
      return { addresses: [], isComplete: false };
    }
    for (const subnet of autoconfigured.length > 0 ? autoconfigured : subnets) {
      addresses.push(wish(site, request, subnet, { path, suffix: '' }));
    }
  }
  return { addresses, isComplete: true };
}

/** To choose a subnet here would mean to choose another one when a subnet is added. */
function reportAmbiguity(
  site: Site,
  { network, path }: FixedIpsRequest,
  { version, subnets }: { readonly version: 4 | 6; readonly subnets: readonly SubnetItem[] },
): void {
  const ids = subnets.map(({ label }) => label).sort(compareText);
  const what = `network ${network.label} has ${ids.length} IPv${version} subnets (${ids.join(', ')})`;
  site.report.wrong(path, `missing: ${what}; say which, as in [{ subnet: ${ids[0]} }]`);
}

function isAutoconfigured({ draft }: SubnetItem, { macOf }: FixedIpsRequest): boolean {
  const mode = draft.ipv6_address_mode ?? draft.ipv6_ra_mode;
  return macOf !== undefined && (mode === 'slaac' || mode === 'dhcpv6-stateless');
}

function wish(
  site: Site,
  request: FixedIpsRequest,
  subnet: SubnetItem,
  { path, suffix }: { readonly path: Path; readonly suffix: string },
): AddressPlan {
  const name = `${request.owner} on ${subnet.label}${suffix}`;
  const { macOf } = request;
  site.addresses.want(subnet, {
    name,
    path,
    ...(isAutoconfigured(subnet, request) && macOf !== undefined && { macOf }),
  });
  return { subnet, name };
}

/** The address of a plan, once addresses are settled. */
export function settledAddress(plan: AddressPlan, addresses: ReadonlyMap<string, Ip>): Ip {
  return plan.given ?? present(addresses.get(plan.name), plan.name);
}

/** Sorted by subnet, then address. */
export function buildFixedIps(plans: readonly AddressPlan[], addresses: ReadonlyMap<string, Ip>): readonly FixedIp[] {
  const fixedIps = plans.map((plan) => ({ subnetId: plan.subnet.label, ipAddress: settledAddress(plan, addresses) }));
  return fixedIps.sort(
    (left, right) => compareText(left.subnetId, right.subnetId) || compareIps(left.ipAddress, right.ipAddress),
  );
}
