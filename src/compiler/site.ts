/**
 * The site: what the topology and the places of its ports mean for each host. Which networks it has, who else has them, which
 * tunnels it needs. The one truth for the compiler, which makes flows of it, and the controller, which makes OVSDB rows of it.
 * Kept up to date change by change; pure.
 */

import type { Ip } from '../lib/addresses.ts';
import { HeddleError } from '../lib/errors.ts';
import type { TunnelType } from '../pipeline/br-tun.ts';
import type { Host, NetworkType, Topology } from '../topology/model.ts';
import { Collections, Facts } from './facts.ts';
import { tunnelPortName } from './names.ts';

/** A tunnel that a host needs. */
export interface TunnelNeed {
  /** As in HostFacts.tunnel.tunnels. */
  readonly key: string;
  readonly type: TunnelType;
  readonly remoteHost: string;
  readonly localIp: Ip;
  readonly remoteIp: Ip;
  /** Neutron's name of the port. */
  readonly portName: string;
}

/** What a tunnel port is known by on its host: `vxlan/node2`. */
export function tunnelKey(type: TunnelType, remoteHost: string): string {
  return `${type}/${remoteHost}`;
}

/** The parts of a tunnel key. */
export function tunnelKeyParts(key: string): { type: TunnelType; remoteHost: string } {
  const slash = key.indexOf('/');
  const type = key.slice(0, slash);
  if (!isTunnelled(type))
    throw new HeddleError('BAD_TUNNEL_KEY', `"${key}" is no tunnel key, as vxlan/node2 is`, { key });
  return { type, remoteHost: key.slice(slash + 1) };
}

export function isTunnelled(type: NetworkType | string): type is TunnelType {
  return type === 'vxlan' || type === 'gre' || type === 'geneve';
}

/** Only a host with a tunnel endpoint has a tunnel bridge. */
export function hasTunnelBridge(host: Host): boolean {
  return host.localIp !== undefined;
}

export class Site {
  #topology: Topology | undefined;
  /** Where each port is, of hosts that the topology has. */
  readonly locations = new Facts<string>();
  /** Ids of the ports of a network that are somewhere. By network id. */
  readonly portsOf = new Collections();
  /** Names of the hosts that have a network. By network id. */
  readonly hostsOf = new Collections();
  /** Ids of the networks that a host has. By host name. */
  readonly networksOf = new Collections();
  /** What was said, whether or not the topology has the port and the host. */
  readonly #told = new Map<string, string>();
  /** Number of ports that a network has on a host. By network id, then host name. */
  #portCounts = new Map<string, Map<string, number>>();
  readonly #tunnels = new Map<string, readonly TunnelNeed[]>();
  #changedHosts = new Set<string>();

  get topology(): Topology | undefined {
    return this.#topology;
  }

  /** Take in another topology. Ports are where they were. */
  setTopology(topology: Topology): void {
    this.#topology = topology;
    const located = new Map<string, string>();
    const portsOf = new Map<string, string[]>();
    const counts = new Map<string, Map<string, number>>();
    for (const port of topology.ports.values()) {
      const host = this.#told.get(port.id);
      if (host === undefined || !topology.hosts.has(host)) continue;
      located.set(port.id, host);
      listAt(portsOf, port.networkId).push(port.id);
      const hosts = counts.get(port.networkId) ?? new Map<string, number>();
      hosts.set(host, (hosts.get(host) ?? 0) + 1);
      counts.set(port.networkId, hosts);
    }
    const networksOf = new Map<string, string[]>();
    for (const [network, hosts] of counts) for (const host of hosts.keys()) listAt(networksOf, host).push(network);
    this.locations.setAll(located);
    this.portsOf.replaceAll(portsOf);
    this.hostsOf.replaceAll(new Map([...counts].map(([network, hosts]) => [network, hosts.keys()])));
    this.networksOf.replaceAll(networksOf);
    this.#portCounts = counts;
    this.#tunnels.clear();
    for (const host of topology.hosts.keys()) this.#changedHosts.add(host);
  }

  /** A port is on a host, or nowhere. */
  setPortLocation(portId: string, host: string | undefined): void {
    if (host === undefined) this.#told.delete(portId);
    else this.#told.set(portId, host);
    const port = this.#topology?.ports.get(portId);
    if (port === undefined) return;
    const before = this.locations.get(portId);
    const after = host !== undefined && this.#topology?.hosts.has(host) ? host : undefined;
    if (before === after) return;
    this.locations.set(portId, after);
    if (after === undefined) this.portsOf.delete(port.networkId, portId);
    else this.portsOf.add(port.networkId, portId);
    if (before !== undefined) this.#count(port.networkId, before, -1);
    if (after !== undefined) this.#count(port.networkId, after, 1);
  }

  /** Ids of the networks that a host has. */
  networksOn(host: string): ReadonlySet<string> {
    return this.networksOf.elementsOf(host);
  }

  /**
   * The tunnels that a host needs, in order of key. With l2population: to every host with which it shares a tunnelled network.
   * Without: to every host, of each type that the site uses.
   */
  tunnelsOf(host: string): readonly TunnelNeed[] {
    let needs = this.#tunnels.get(host);
    if (needs === undefined) {
      needs = this.#findTunnels(host);
      this.#tunnels.set(host, needs);
    }
    return needs;
  }

  /** The hosts whose networks, tunnels or own settings may have changed since this was last asked. */
  takeChangedHosts(): ReadonlySet<string> {
    const changed = this.#changedHosts;
    this.#changedHosts = new Set();
    return changed;
  }

  #count(network: string, host: string, difference: 1 | -1): void {
    const hosts = this.#portCounts.get(network) ?? new Map<string, number>();
    this.#portCounts.set(network, hosts);
    const count = (hosts.get(host) ?? 0) + difference;
    if (count > 0) hosts.set(host, count);
    else hosts.delete(host);
    const isPresent = count > 0;
    if (isPresent === this.hostsOf.elementsOf(network).has(host)) return;
    if (isPresent) {
      this.hostsOf.add(network, host);
      this.networksOf.add(host, network);
    } else {
      this.hostsOf.delete(network, host);
      this.networksOf.delete(host, network);
    }
    for (const touched of [host, ...this.hostsOf.elementsOf(network)]) {
      this.#tunnels.delete(touched);
      this.#changedHosts.add(touched);
    }
  }

  #findTunnels(host: string): readonly TunnelNeed[] {
    const topology = this.#topology;
    const localIp = topology?.hosts.get(host)?.localIp;
    if (topology === undefined || localIp === undefined) return [];
    const keys = topology.settings.l2Population ? this.#sharedNetworkKeys(topology, host) : meshKeys(topology);
    const needs: TunnelNeed[] = [];
    for (const key of [...keys].sort()) {
      const { type, remoteHost } = tunnelKeyParts(key);
      const remoteIp = topology.hosts.get(remoteHost)?.localIp;
      if (remoteIp === undefined || remoteHost === host) continue;
      needs.push({ key, type, remoteHost, localIp, remoteIp, portName: tunnelPortName(type, remoteIp) });
    }
    return needs;
  }

  #sharedNetworkKeys(topology: Topology, host: string): Set<string> {
    const keys = new Set<string>();
    for (const networkId of this.networksOn(host)) {
      const type = topology.networks.get(networkId)?.networkType;
      if (type === undefined || !isTunnelled(type)) continue;
      for (const remoteHost of this.hostsOf.elementsOf(networkId)) keys.add(tunnelKey(type, remoteHost));
    }
    return keys;
  }
}

function meshKeys(topology: Topology): Set<string> {
  const types = new Set([...topology.networks.values()].map((network) => network.networkType).filter(isTunnelled));
  return new Set([...types].flatMap((type) => [...topology.hosts.keys()].map((remote) => tunnelKey(type, remote))));
}

function listAt<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
