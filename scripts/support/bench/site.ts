/**
 * Sites to measure with, as the topology file would say them: JSON text, loaded as `heddle run` loads it. Serves the lines of the
 * bench.
 */
import { Compiler, type HostFacts } from '../../../src/compiler/compiler.ts';
import { ipToText, macToText } from '../../../src/lib/addresses.ts';
import { formatTopologyError, loadTopology } from '../../../src/topology/load.ts';
import type { Topology } from '../../../src/topology/model.ts';
import { plainFacts } from '../../../test/compiler/worlds.ts';

export interface SiteShape {
  readonly hostCount: number;
  readonly networkCount: number;
  readonly portsPerNetwork: number;
  /** Each connects two networks of its own. */
  readonly routerCount: number;
  /** Index of the host of a port. */
  readonly hostOf: (network: number, port: number) => number;
}

/** Every network has a /20 of its own: 4,096 of them, up to 4,000 ports in each. */
const SUBNET_BITS = 12;
const FIRST_NETWORK = 0x0a00_0000;
const FIRST_GUEST = 16;
const FIRST_MAC = 0xfa16_3e00_0000;
const FIRST_ENDPOINT = 0xc612_0001;
const FIRST_HOST_MAC = 0xfa16_3f00_0001;

export const hostName = (index: number): string => `host${String(index).padStart(4, '0')}`;
export const networkName = (index: number): string => `net${String(index).padStart(4, '0')}`;
export const portName = (network: number, index: number): string => `${networkName(network)}-port${index}`;

/** Ports of a network on `hostsPerNetwork` hosts; neighbouring networks overlap, so that each host has tunnels to many. */
export function spread(hostCount: number, hostsPerNetwork: number): SiteShape['hostOf'] {
  return (network, port) => (network * 7 + (port % hostsPerNetwork) * 13) % hostCount;
}

/** A subset of what the file of a site says. */
export interface SiteDocument {
  readonly hosts: readonly { readonly name: string; readonly [key: string]: unknown }[];
  readonly networks: readonly object[];
  readonly ports: readonly { readonly id: string; readonly host: string; readonly [key: string]: unknown }[];
  readonly routers: readonly { readonly id: string; readonly [key: string]: unknown }[];
  readonly floating_ips?: readonly object[];
}

export function siteDocument(shape: SiteShape): SiteDocument {
  const hosts = Array.from({ length: shape.hostCount }, (_, index) => ({
    name: hostName(index),
    local_ip: ipToText(FIRST_ENDPOINT + index),
    dvr_mac: macToText(FIRST_HOST_MAC + index),
  }));
  const networks = Array.from({ length: shape.networkCount }, (_, index) => ({
    id: networkName(index),
    network_type: 'vxlan',
    segmentation_id: index + 1,
    subnets: [{ id: `${networkName(index)}-subnet`, cidr: `${ipToText(addressOf(index, 0))}/${32 - SUBNET_BITS}` }],
  }));
  const ports: { id: string; network: string; mac_address: string; fixed_ips: string[]; host: string }[] = [];
  for (let network = 0; network < shape.networkCount; network++) {
    for (let index = 0; index < shape.portsPerNetwork; index++) {
      ports.push({
        id: portName(network, index),
        network: networkName(network),
        mac_address: macToText(FIRST_MAC + ports.length),
        fixed_ips: [ipToText(addressOf(network, FIRST_GUEST + index))],
        host: hostName(shape.hostOf(network, index)),
      });
    }
  }
  const routers = Array.from({ length: shape.routerCount }, (_, index) => ({
    id: `router${index}`,
    interfaces: [2 * index, 2 * index + 1].map((network) => ({ subnet: `${networkName(network)}-subnet` })),
  }));
  return { hosts, networks, ports, routers };
}

function addressOf(network: number, index: number): number {
  return FIRST_NETWORK + network * 2 ** SUBNET_BITS + index;
}

/** `document`: a SiteDocument, or one with less. */
export function loadSite(document: object): Topology {
  const loaded = loadTopology(JSON.stringify(document), { file: 'bench.json' });
  if ('errors' in loaded) throw new Error(loaded.errors.slice(0, 3).map(formatTopologyError).join('\n'));
  return loaded.topology;
}

/** Tell a compiler a whole site, with every port plugged where the file has it; `known`: hosts whose switches are known. */
export function tellSite(compiler: Compiler, topology: Topology, known: Iterable<string>): void {
  compiler.setTopology(topology);
  const plugged = new Map<string, string[]>();
  for (const port of topology.ports.values()) {
    if (port.host === undefined) continue;
    const list = plugged.get(port.host) ?? [];
    if (list.length === 0) plugged.set(port.host, list);
    list.push(port.id);
  }
  compiler.setPortLocations([...topology.ports.values()].map(({ id, host }) => [id, host]));
  for (const name of known) compiler.setHostFacts(name, factsOf(compiler, topology, name, plugged.get(name) ?? []));
}

export function factsOf(compiler: Compiler, topology: Topology, name: string, plugged: readonly string[]): HostFacts {
  const host = topology.hosts.get(name);
  if (host === undefined) throw new Error(`no host ${name}`);
  return plainFacts(compiler, host, plugged);
}

/**
 * One host that has every network and one port in each, while all others are elsewhere: `flowCount` flows of its br-tun are,
 * within a percent, half unicast and half ARP responders.
 */
export function oneHostSite(flowCount: number, remoteHostCount = 100): Topology {
  const networkCount = Math.max(1, Math.round(flowCount / 2_000));
  const portsPerNetwork = Math.round(flowCount / 2 / networkCount) + 1;
  const hostOf = (network: number, port: number): number => (port === 0 ? 0 : 1 + ((network + port) % remoteHostCount));
  const shape = { hostCount: remoteHostCount + 1, networkCount, portsPerNetwork, routerCount: 0, hostOf };
  return loadSite(siteDocument(shape));
}

export const ONE_HOST = hostName(0);

/** The compiled one-host site. */
export function compileOneHost(topology: Topology): Compiler {
  const compiler = new Compiler();
  tellSite(compiler, topology, [ONE_HOST]);
  compiler.pass();
  return compiler;
}
