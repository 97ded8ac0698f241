/**
 * Flows without a switch: what a topology means, with names in place of port numbers. Serves `heddle flows FILE` and whatever
 * else asks "what if". The same compiler as always; only the facts are made up.
 */
import type { Host, Topology } from '../topology/model.ts';
import { type BridgeBook, type BridgeChange, Compiler, type HostFacts } from './compiler.ts';
import { allocateLocalVlans, integrationPatchName, PATCH_INT, PATCH_TUN, physicalPatchName } from './names.ts';
import { hasTunnelBridge } from './site.ts';
import { allocateZoneNumbers, zonesOfAll } from './zones.ts';

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
  const site = new OfflineSite();
  site.take(topology, options);
  const { compiler } = site;
  const bridges: OfflineBridge[] = [];
  for (const { host, bridge, portNames } of site.bridges) {
    const book = compiler.book(host, bridge);
    if (book !== undefined) bridges.push({ host, bridge, book, portNames });
  }
  return { bridges, compiler };
}

/**
 * A site without switches that lives through changes of its topology: what was given an ofport or a local VLAN keeps it, as on
 * a real host. Serves `heddle plan`.
 */
export class OfflineSite {
  readonly compiler = new Compiler();
  readonly #hosts = new Map<string, ImaginedHost>();
  #zoneNumbers: ReadonlyMap<string, number> = new Map();

  /** Each bridge with its made-up ofports, by host. */
  get bridges(): readonly { host: string; bridge: string; portNames: ReadonlyMap<number, string> }[] {
    return [...this.#hosts].flatMap(([host, { bridges }]) =>
      [...bridges].map(([bridge, { names }]) => ({ host, bridge, portNames: names })),
    );
  }

  /** Take in a topology; gives what it changes. Throws LocalVlanError. */
  take(topology: Topology, options: OfflineOptions = {}): readonly BridgeChange[] {
    const { compiler } = this;
    compiler.setTopology(topology);
    this.#zoneNumbers = allocateZoneNumbers(compiler.site.gateways.model.routers.keys(), this.#zoneNumbers);
    compiler.setZones(zonesOfAll(this.#zoneNumbers));
    for (const [host, mac] of options.hostMacs ?? []) compiler.setHostMac(host, mac);
    compiler.setPortLocations([...topology.ports.values()].map(({ id, host }) => [id, host]));
    for (const host of topology.hosts.values()) compiler.setPluggedPorts(host.name, routerPortsOn(host, compiler));
    for (const host of topology.hosts.values()) {
      if (options.host !== undefined && options.host !== host.name) continue;
      const imagined = this.#hosts.get(host.name) ?? { bridges: new Map(), localVlans: new Map() };
      this.#hosts.set(host.name, imagined);
      compiler.setHostFacts(host.name, imagine(topology, host, compiler, imagined));
    }
    return compiler.pass().changes;
  }
}

interface ImaginedHost {
  readonly bridges: Map<string, Numbering>;
  localVlans: ReadonlyMap<string, number>;
}

/** The switch as it would be. */
function imagine(topology: Topology, host: Host, compiler: Compiler, imagined: ImaginedHost): HostFacts {
  const numberingOf = (bridge: string): Numbering => {
    const numbering = imagined.bridges.get(bridge) ?? new Numbering();
    imagined.bridges.set(bridge, numbering);
    return numbering;
  };
  const integration = numberingOf(host.bridges.integration);
  const hasTunnels = hasTunnelBridge(host);
  const patchTun = hasTunnels ? { patchTun: integration.of(PATCH_TUN) } : {};
  const physicalBridges = [...new Set(host.bridgeMappings.values())].sort();
  const patchPhys = new Map(physicalBridges.map((bridge) => [bridge, integration.of(integrationPatchName(bridge))]));
  const local = [...topology.ports.values()].flatMap((port) => (port.host === host.name ? port.id : []));
  const plugged = [...local, ...routerPortsOn(host, compiler)];
  const ports = new Map(plugged.map((id) => [id, { ofport: integration.of(id), name: id }]));
  imagined.localVlans = allocateLocalVlans(compiler.site.networksOn(host.name), imagined.localVlans);
  const { localVlans } = imagined;
  const tunnel = hasTunnels ? { tunnel: imagineTunnels(host, compiler, numberingOf(host.bridges.tunnel)) } : {};
  const physical = new Map(
    physicalBridges.map((bridge) => [bridge, { patchInt: numberingOf(bridge).of(physicalPatchName(bridge)) }]),
  );
  return { localVlans, integration: { ...patchTun, patchPhys, ports, deadPorts: [] }, ...tunnel, physical };
}

/** What somebody else would plug in for the routers that are not flows: interfaces where there are guests. */
function routerPortsOn(host: Host, { site }: Compiler): ReadonlySet<string> {
  const needed = new Set(site.routersNeededOn(host.name).map(({ id }) => id));
  const ports = [...site.routing.pluggedPorts].filter(
    ([, { kind, routerId }]) => kind === 'qr' && needed.has(routerId),
  );
  return new Set(ports.map(([id]) => id).sort());
}

function imagineTunnels(host: Host, compiler: Compiler, numbering: Numbering): NonNullable<HostFacts['tunnel']> {
  const patchInt = numbering.of(PATCH_INT);
  const needs = compiler.site.tunnelsOf(host.name);
  return { patchInt, tunnels: new Map(needs.map(({ key, portName }) => [key, numbering.of(portName)])) };
}

/** Ofports from 1, and the names that they were given for; a name keeps its number. */
class Numbering {
  readonly names = new Map<number, string>();
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const ofport = this.names.size + 1;
    this.names.set(ofport, name);
    this.#numbers.set(name, ofport);
    return ofport;
  }
}
