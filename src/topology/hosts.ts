/** Settings and hosts: what must hold between their keys, and what they become. Serves load.ts. */
import { ipToText, macToText } from '../lib/addresses.ts';
import { BASE_MAC, TAIL_COUNT } from './derive.ts';
import type { Host, Settings } from './model.ts';
import { isTunnelled } from './networks.ts';
import { compareText, ipVersionOf } from './ranges.ts';
import type { HostDraft } from './schema.ts';
import { type Item, originOf, present, registerList, type Site } from './site.ts';

/** What heddle writes as the bridges' controller when a host does not say. */
const DEFAULT_CONTROLLER = 'tcp:127.0.0.1:6653';

/** Register every host, and check each for itself. */
export function checkHosts(site: Site): void {
  checkSettings(site);
  registerList(site, site.hosts, { key: 'hosts', items: site.draft.hosts, idKey: 'name' });
  for (const host of site.hosts.items) {
    const { dvr_mac: dvrMac, agent_mode: mode, gateway_priority: priority } = host.draft;
    if (dvrMac !== undefined) site.macs.claim(dvrMac, { path: [...host.path, 'dvr_mac'], owner: `host ${host.label}` });
    if (priority !== undefined && priority > 0 && mode !== undefined && mode !== 'dvr_snat') {
      const message = `host ${host.label} is ${mode}, which serves no gateway; leave it out, or give agent_mode: dvr_snat`;
      site.report.wrong([...host.path, 'gateway_priority'], message);
    }
    checkBridges(site, host);
  }
  checkLocalIps(site);
}

function checkSettings(site: Site): void {
  const base = site.draft.settings?.dvr_base_mac;
  if (base === undefined || Math.floor(base / TAIL_COUNT) !== Math.floor(BASE_MAC / TAIL_COUNT)) return;
  const message = `${macToText(base)} has the prefix of ports' MACs, fa:16:3e; give another, as in fa:16:3f:00:00:00`;
  site.report.wrong(['settings', 'dvr_base_mac'], message);
}

/** Every bridge of a host has one task. */
function checkBridges(site: Site, { draft, path }: Item<HostDraft>): void {
  const tasks = new Map<string, string>();
  const named = [
    ...Object.entries(draft.bridges ?? {}).map(([key, bridge]) => ({ key, bridge, parent: 'bridges' })),
    ...Object.entries(draft.bridge_mappings ?? {}).map(([key, bridge]) => ({ key, bridge, parent: 'bridge_mappings' })),
  ];
  for (const { key, bridge, parent } of named) {
    if (bridge === undefined) continue;
    const task = parent === 'bridges' ? `the ${key} bridge` : `the bridge of ${key}`;
    const other = tasks.get(bridge);
    if (other === undefined) tasks.set(bridge, task);
    else site.report.wrong([...path, parent, key], `${bridge} is ${other} already; each has a bridge of its own`);
  }
}

function checkLocalIps(site: Site): void {
  const users = new Map<number | bigint, Item<HostDraft>>();
  let first: { readonly host: Item<HostDraft>; readonly version: 4 | 6 } | undefined;
  for (const host of site.hosts.items) {
    const ip = host.draft.local_ip;
    if (ip === undefined) continue;
    const path = [...host.path, 'local_ip'];
    const other = users.get(ip);
    if (other === undefined) users.set(ip, host);
    else {
      const where = `host ${other.label}, ${site.report.mention(other.path)}`;
      site.report.wrong(path, `duplicate local_ip ${ipToText(ip)}: ${where} has it; give another`);
    }
    const version = ipVersionOf(ip);
    first ??= { host, version };
    if (version !== first.version) {
      const message = `${ipToText(ip)} is IPv${version} and the local_ip of host ${first.host.label} is IPv${first.version}; tunnels need one family`;
      site.report.wrong(path, message);
    }
  }
}

/** After the ports: a host can carry what is plugged on it. */
export function checkCarriers(site: Site): void {
  for (const { draft, label } of site.ports.items) {
    const host = draft.host === undefined ? undefined : site.hosts.get(draft.host);
    const network = draft.network === undefined ? undefined : site.networks.get(draft.network);
    if (host === undefined || network === undefined) continue;
    const { network_type: type, physical_network: physical } = network.draft;
    if (isTunnelled(type) && host.draft.local_ip === undefined) {
      const why = `host ${host.label} carries the ${type} network ${network.label} (port ${label})`;
      site.report.wrong([...host.path, 'local_ip'], `missing: ${why}; give its tunnel endpoint, an IP address`);
    }
    if (physical === undefined || (type !== 'vlan' && type !== 'flat')) continue;
    const mappingsPath = [...host.path, 'bridge_mappings'];
    const { bridge_mappings: mappings } = host.draft;
    if (mappings === undefined ? site.report.isDoubtful(mappingsPath) : Object.hasOwn(mappings, physical)) continue;
    const why = `host ${host.label} carries the ${type} network ${network.label} (port ${label})`;
    site.report.wrong([...mappingsPath, physical], `missing: ${why}; give the bridge of ${physical}`);
  }
}

export function buildSettings(site: Site): Settings {
  const draft = present(site.draft.settings, 'settings');
  const bfd = present(draft.bfd, 'bfd');
  return {
    dvrBaseMac: present(draft.dvr_base_mac, 'dvr_base_mac'),
    enableDistributedRouting: present(draft.enable_distributed_routing, 'enable_distributed_routing'),
    l2Population: present(draft.l2_population, 'l2_population'),
    arpResponder: present(draft.arp_responder, 'arp_responder'),
    drift: present(draft.drift, 'drift'),
    haPreempt: present(draft.ha_preempt, 'ha_preempt'),
    bfd: {
      minTxMs: present(bfd.min_tx, 'min_tx'),
      minRxMs: present(bfd.min_rx, 'min_rx'),
      mult: present(bfd.mult, 'mult'),
    },
  };
}

export function buildHost(site: Site, { draft, path, label }: Item<HostDraft>): Host {
  const { local_ip: localIp, dvr_mac: dvrMac, mgmt_dir: mgmtDir } = draft;
  const controllers = draft.controller === undefined ? [DEFAULT_CONTROLLER] : (draft.controller ?? []);
  const bridges = present(draft.bridges, label);
  const mappings = Object.entries(draft.bridge_mappings ?? {}).sort(([left], [right]) => compareText(left, right));
  return {
    name: label,
    ovsdb: present(draft.ovsdb, label),
    ...(localIp !== undefined && { localIp }),
    ...(dvrMac !== undefined && { dvrMac }),
    agentMode: present(draft.agent_mode, label),
    gatewayPriority: present(draft.gateway_priority, label),
    controllers: [...new Set(controllers.map((controller) => present(controller, label)))],
    ...(mgmtDir !== undefined && { mgmtDir }),
    bridges: { integration: present(bridges.integration, label), tunnel: present(bridges.tunnel, label) },
    datapathType: present(draft.datapath_type, label),
    bridgeMappings: new Map(mappings.map(([physical, bridge]) => [physical, present(bridge, physical)])),
    origin: originOf(site, path),
  };
}
