/**
 * Flows without a switch: what a topology means, with names in place of port numbers. Serves `heddle flows FILE` and whatever
 * else asks "what if". The same compiler as always; only the facts are made up.
 */
import type { Host, Topology } from '../topology/model.ts';
import { type BridgeBook, Compiler, type HostFacts } from './compiler.ts';
import { allocateLocalVlans, integrationPatchName, PATCH_INT, PATCH_TUN, physicalPatchName } from './names.ts';
import { hasTunnelBridge } from './site.ts';

export interface OfflineOptions {
  /** This host alone. Default: all. */
  readonly host?: string;
  /** Host MACs for distributed routing, by host name, where the topology gives none. */
  readonly hostMacs?: ReadonlyMap<string, number>;
}

/** One bridge, compiled without a switch. */
export interface OfflineBridge {
  readonly host: string;
  readonly bridge: string;
  readonly book: BridgeBook;
  /** Made-up ofports to the names that stand for them: patch and tunnel ports as they will be called, guests' ports by id. */
  readonly portNames: ReadonlyMap<number, string>;
}

export interface OfflineResult {
  /** By host name; on each host br-int, br-tun, then physical bridges by name. */
  readonly bridges: readonly OfflineBridge[];
  readonly compiler: Compiler;
}

/**
 * Compile a topology alone. Ports are where the file puts them; those without a host are nowhere. Local VLANs count up from 1
 * over each host's networks in order of id. Throws LocalVlanError.
 */
export function compileOffline(topology: Topology, options: OfflineOptions = {}): OfflineResult {
  const compiler = new Compiler();
  compiler.setTopology(topology);
  for (const [host, mac] of options.hostMacs ?? []) compiler.setHostMac(host, mac);
  for (const port of topology.ports.values()) compiler.setPortLocation(port.id, port.host);
  const names = new Map<string, HostNames>();
  for (const host of topology.hosts.values()) {
    if (options.host !== undefined && options.host !== host.name) continue;
    const { facts, portNames } = imagine(topology, host, compiler);
    compiler.setHostFacts(host.name, facts);
    names.set(host.name, portNames);
  }
  compiler.pass();
  const bridges: OfflineBridge[] = [];
  for (const [host, byBridge] of names) {
    for (const [bridge, portNames] of byBridge) {
      const book = compiler.book(host, bridge);
      if (book !== undefined) bridges.push({ host, bridge, book, portNames });
    }
  }
  return { bridges, compiler };
}

type HostNames = Map<string, ReadonlyMap<number, string>>;

/** The switch as it would be. */
function imagine(topology: Topology, host: Host, compiler: Compiler): { facts: HostFacts; portNames: HostNames } {
  const integration = new Numbering();
  const tunnel = new Numbering();
  const portNames: HostNames = new Map([[host.bridges.integration, integration.names]]);
  const hasTunnels = hasTunnelBridge(host);
  const patchTun = hasTunnels ? { patchTun: integration.add(PATCH_TUN) } : {};
  const physicalBridges = [...new Set(host.bridgeMappings.values())].sort();
  const patchPhys = new Map(physicalBridges.map((bridge) => [bridge, integration.add(integrationPatchName(bridge))]));
  const local = [...topology.ports.values()].filter((port) => port.host === host.name);
  const ports = new Map(local.map(({ id }) => [id, { ofport: integration.add(id), name: id }]));
  const localVlans = allocateLocalVlans(compiler.site.networksOn(host.name), new Map());
  const physical = new Map<string, { patchInt: number }>();
  const facts: HostFacts = {
    localVlans,
    integration: { ...patchTun, patchPhys, ports, deadPorts: [] },
    ...(hasTunnels ? { tunnel: imagineTunnels(host, compiler, tunnel) } : {}),
    physical,
  };
  if (hasTunnels) portNames.set(host.bridges.tunnel, tunnel.names);
  for (const bridge of physicalBridges) {
    const numbering = new Numbering();
    physical.set(bridge, { patchInt: numbering.add(physicalPatchName(bridge)) });
    portNames.set(bridge, numbering.names);
  }
  return { facts, portNames };
}

function imagineTunnels(host: Host, compiler: Compiler, numbering: Numbering): NonNullable<HostFacts['tunnel']> {
  const patchInt = numbering.add(PATCH_INT);
  const needs = compiler.site.tunnelsOf(host.name);
  return { patchInt, tunnels: new Map(needs.map(({ key, portName }) => [key, numbering.add(portName)])) };
}

/** Ofports from 1, and the names that they were given for. */
class Numbering {
  readonly names = new Map<number, string>();

  add(name: string): number {
    const ofport = this.names.size + 1;
    this.names.set(ofport, name);
    return ofport;
  }
}
