/**
 * From the text of a topology file to a Topology, or to every error in it. Pure: no files, no clock. Serves the CLI, the
 * controller and whoever compiles a topology.
 *
 * Text (yaml.ts, json.ts) → source.ts, values with their places → draft.ts, held against schema.ts → the checks, each of one
 * kind of object, which claim addresses and MACs → derive.ts, which settles what the file left open → model.ts.
 */
import { ipToText, macToText } from '../lib/addresses.ts';
import type { HeldValues } from './derive.ts';
import { draftOf } from './draft.ts';
import type { TopologyError } from './error.ts';
import { buildFloatingIp, checkFloatingIps, type FloatingIpPlan } from './floating-ips.ts';
import { buildHost, buildSettings, checkCarriers, checkHosts } from './hosts.ts';
import { parseJson } from './json.ts';
import type { Topology } from './model.ts';
import { buildNetwork, buildSubnet, checkNetworks } from './networks.ts';
import { buildPort, checkPorts, type PortPlan } from './ports.ts';
import { compareText } from './ranges.ts';
import { Report } from './report.ts';
import { buildRouter, checkRouters, type RouterPlan } from './routers.ts';
import { buildSecurityGroup, checkSecurityGroups, registerSecurityGroups } from './security-groups.ts';
import { emptySite, type Settled, type Site } from './site.ts';
import { Source } from './source.ts';
import { parseYaml } from './yaml.ts';

export type { HeldValues } from './derive.ts';
export { formatTopologyError, type TopologyError } from './error.ts';

export interface LoadOptions {
  /** The name under which errors speak of the file. */
  readonly file: string;
  /**
   * What was derived for this site before. Who still needs a derived MAC or address keeps it, as long as it is valid and the
   * file gives it to nobody else. Without it, two names that want the same place are told apart by their order alone.
   */
  readonly held?: HeldValues;
}

export interface LoadedTopology {
  readonly topology: Topology;
  /** What was derived, to be held at the next load. */
  readonly derived: HeldValues;
}

const NOTHING_HELD: HeldValues = { macs: {}, addresses: {} };

/** Read a topology, YAML or JSON. All errors of a file are returned together, in the order of the text. */
export function loadTopology(
  text: string,
  { file, held = NOTHING_HELD }: LoadOptions,
): LoadedTopology | { readonly errors: readonly TopologyError[] } {
  // What JSON cannot be is left to the YAML reader, which knows what to say about it.
  const parsed = (/^\s*[{[]/.test(text) ? parseJson(text) : undefined) ?? parseYaml(text);
  const source = new Source(text, parsed);
  const report = new Report(file, source);
  for (const { offset, message } of parsed.problems) report.text(offset, message);
  const draft = parsed.isSound ? draftOf(source, report) : undefined;
  if (draft === undefined) return { errors: report.errors() };
  const site = emptySite(source, report, draft);
  const plans = check(site);
  const macs = site.macs.settle(held.macs);
  const settled: Settled = { macs, addresses: site.addresses.settle(held.addresses, macs) };
  const errors = report.errors();
  if (errors.length > 0) return { errors };
  return { topology: build(site, plans, settled), derived: heldOf(settled) };
}

interface Plans {
  readonly ports: Iterable<PortPlan>;
  readonly routers: readonly RouterPlan[];
  readonly floatingIps: readonly FloatingIpPlan[];
}

/** In an order in which whatever is referred to is registered before. */
function check(site: Site): Plans {
  checkHosts(site);
  checkNetworks(site);
  registerSecurityGroups(site);
  checkSecurityGroups(site);
  const ports = checkPorts(site);
  const routers = checkRouters(site);
  const floatingIps = checkFloatingIps(site, { ports, routers });
  checkCarriers(site);
  return { ports: ports.values(), routers, floatingIps };
}

function build(site: Site, plans: Plans, settled: Settled): Topology {
  const { hosts, networks, subnets, securityGroups } = site;
  return {
    settings: buildSettings(site),
    hosts: sortedMap(
      hosts.items,
      (item) => buildHost(site, item),
      ({ name }) => name,
    ),
    networks: sortedMap(networks.items, (item) => buildNetwork(site, item), idOf),
    subnets: sortedMap(subnets.items, (item) => buildSubnet(site, item), idOf),
    ports: sortedMap(plans.ports, (plan) => buildPort(site, plan, settled), idOf),
    routers: sortedMap(plans.routers, (plan) => buildRouter(site, plan, settled), idOf),
    floatingIps: sortedMap(plans.floatingIps, (plan) => buildFloatingIp(site, plan, settled), idOf),
    securityGroups: sortedMap(securityGroups.items, (item) => buildSecurityGroup(site, item), idOf),
  };
}

function idOf({ id }: { readonly id: string }): string {
  return id;
}

function sortedMap<P, T>(
  plans: Iterable<P>,
  make: (plan: P) => T,
  keyOf: (value: T) => string,
): ReadonlyMap<string, T> {
  const entries = Array.from(plans, (plan): [string, T] => {
    const value = make(plan);
    return [keyOf(value), value];
  });
  return new Map(entries.sort(([left], [right]) => compareText(left, right)));
}

function heldOf({ macs, addresses }: Settled): HeldValues {
  return {
    macs: Object.fromEntries(Array.from(macs, ([name, mac]) => [name, macToText(mac)])),
    addresses: Object.fromEntries(Array.from(addresses, ([name, ip]) => [name, ipToText(ip)])),
  };
}
