/** Ports: what must hold between their keys and with the rest of the file, and what they become. Serves load.ts. */
import { macToText, prefixToText } from '../lib/addresses.ts';
import { type AddressPlan, buildFixedIps, planFixedIps } from './fixed-ips.ts';
import type { AddressPair, Port } from './model.ts';
import { comparePrefixes, compareText } from './ranges.ts';
import type { PortDraft } from './schema.ts';
import { entriesOf, type Item, itemsOf, originOf, present, registerList, type Settled, type Site } from './site.ts';

/** A port and where its addresses come from. */
export interface PortPlan {
  readonly item: Item<PortDraft>;
  readonly addresses: readonly AddressPlan[];
  /** false: addresses are missing here because they are wrong in the file. */
  readonly isComplete: boolean;
}

/** Under which name a port's MAC and addresses are claimed and derived. */
function ownerOf({ label }: Item<PortDraft>): string {
  return `port ${label}`;
}

/** Register every port, and check each. Hosts, networks and security groups are registered before. */
export function checkPorts(site: Site): ReadonlyMap<Item<PortDraft>, PortPlan> {
  registerList(site, site.ports, { key: 'ports', items: site.draft.ports, idKey: 'id' });
  const plans = new Map<Item<PortDraft>, PortPlan>();
  for (const item of site.ports.items) plans.set(item, checkPort(site, item));
  return plans;
}

function checkPort(site: Site, item: Item<PortDraft>): PortPlan {
  const { draft, path } = item;
  const owner = ownerOf(item);
  const { mac_address: mac } = draft;
  if (mac === undefined) site.macs.want(owner);
  else site.macs.claim(mac, { path: [...path, 'mac_address'], owner });
  if (draft.host !== undefined) site.hosts.find(draft.host, [...path, 'host']);
  if (draft.security_groups !== undefined) checkGroups(site, item);
  if (draft.allowed_address_pairs !== undefined) checkPairs(site, item);
  const network = draft.network === undefined ? undefined : site.networks.find(draft.network, [...path, 'network']);
  if (network === undefined) return { item, addresses: [], isComplete: false };
  const plan = planFixedIps(site, {
    network,
    list: draft.fixed_ips,
    path: [...path, 'fixed_ips'],
    owner,
    macOf: mac ?? owner,
    isRouter: false,
  });
  return { item, ...plan };
}

function checkGroups(site: Site, { draft, path, label }: Item<PortDraft>): void {
  const seen = new Set<string>();
  for (const [index, id] of entriesOf(draft.security_groups)) {
    const groupPath = [...path, 'security_groups', index];
    if (seen.has(id)) site.report.wrong(groupPath, `security group ${id} is in the list already; leave it out here`);
    else site.securityGroups.find(id, groupPath);
    seen.add(id);
  }
  if (seen.size > 0 && draft.port_security_enabled === false) {
    const message = `port ${label} has port_security_enabled: false, which filters nothing; leave security_groups out, or enable it`;
    site.report.wrong([...path, 'security_groups'], message);
  }
}

function checkPairs(site: Site, { draft, path }: Item<PortDraft>): void {
  const seen = new Set<string>();
  for (const [index, { ip_address: ip, mac_address: mac }] of entriesOf(draft.allowed_address_pairs)) {
    if (ip === undefined) continue;
    const withMac = mac ?? draft.mac_address;
    const text = `${prefixToText(ip)} with ${withMac === undefined ? "the port's MAC" : macToText(withMac)}`;
    if (seen.has(text)) {
      site.report.wrong([...path, 'allowed_address_pairs', index], `${text} is in the list already; leave it out here`);
    }
    seen.add(text);
  }
}

export function buildPort(site: Site, { item, addresses }: PortPlan, settled: Settled): Port {
  const { draft, path, label } = item;
  const macAddress = draft.mac_address ?? present(settled.macs.get(ownerOf(item)), label);
  const { host } = draft;
  return {
    id: label,
    networkId: present(draft.network, label),
    macAddress,
    fixedIps: buildFixedIps(addresses, settled.addresses),
    ...(host !== undefined && { host }),
    deviceOwner: present(draft.device_owner, label),
    portSecurityEnabled: present(draft.port_security_enabled, label),
    allowedAddressPairs: buildPairs(draft, macAddress),
    securityGroups: [...itemsOf(draft.security_groups)].sort(compareText),
    adminStateUp: present(draft.admin_state_up, label),
    origin: originOf(site, path),
  };
}

function buildPairs(draft: PortDraft, portMac: number): readonly AddressPair[] {
  const pairs = itemsOf(draft.allowed_address_pairs).map(({ ip_address: ip, mac_address: mac }) => ({
    ipAddress: present(ip, 'ip_address'),
    macAddress: mac ?? portMac,
  }));
  return pairs.sort(
    (left, right) => comparePrefixes(left.ipAddress, right.ipAddress) || left.macAddress - right.macAddress,
  );
}
