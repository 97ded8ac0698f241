/**
 * From what a host's OVSDB shows to the facts that the compiler asks for: ofports and local VLANs. Pure.
 */
import type { Binding, HostFacts } from '../compiler/compiler.ts';
import {
  allocateLocalVlans,
  integrationPatchName,
  PATCH_INT,
  PATCH_TUN,
  physicalPatchName,
} from '../compiler/names.ts';
import type { RoutingModel } from '../compiler/routing.ts';
import { declaredPort, hasTunnelBridge, type TunnelNeed } from '../compiler/site.ts';
import type { Host, Topology } from '../topology/model.ts';
import { DEAD_VLAN } from './host-plan.ts';
import { rememberedVlans } from './keepsake-keys.ts';
import type { BridgeView, SwitchView } from './switch-view.ts';
import { physicalBridges } from './wanted.ts';

export interface FactsRequest {
  readonly topology: Topology;
  readonly routing: RoutingModel;
  readonly host: Host;
  readonly view: SwitchView;
  readonly localVlans: ReadonlyMap<string, number>;
  readonly tunnels: readonly TunnelNeed[];
}

export function readHostFacts(request: FactsRequest): HostFacts {
  const { topology, routing, host, view, localVlans, tunnels } = request;
  const integration = view.bridges.get(host.bridges.integration);
  const tunnel = view.bridges.get(host.bridges.tunnel);
  const patchTun = ofportOf(integration, PATCH_TUN, 'patch');
  const { ports, deadPorts } = readGuests({ topology, routing }, integration);
  return {
    localVlans,
    integration: {
      ...(patchTun !== undefined && { patchTun }),
      patchPhys: readPatches(host, integration),
      ports,
      deadPorts,
    },
    ...(hasTunnelBridge(host) && tunnel !== undefined && { tunnel: readTunnels(tunnel, tunnels) }),
    physical: new Map(
      physicalBridges(host).flatMap((name) => {
        const bridge = view.bridges.get(name);
        if (bridge === undefined) return [];
        const patchInt = ofportOf(bridge, physicalPatchName(name), 'patch');
        return [[name, patchInt === undefined ? {} : { patchInt }] as const];
      }),
    ),
  };
}

/** What a topology declares, its routers' ports among it. */
export type Declared = Pick<FactsRequest, 'topology' | 'routing'>;

/** iface-ids that are declared, and plugged into the host's integration bridge with an ofport. */
export function pluggedPorts(declared: Declared, host: Host, view: SwitchView): ReadonlySet<string> {
  const integration = view.bridges.get(host.bridges.integration);
  return new Set(readGuests(declared, integration).ports.keys());
}

function readGuests(
  { topology, routing }: Declared,
  integration: BridgeView | undefined,
): { readonly ports: ReadonlyMap<string, Binding>; readonly deadPorts: readonly number[] } {
  const ports = new Map<string, Binding>();
  const deadPorts: number[] = [];
  if (integration === undefined) return { ports, deadPorts };
  for (const [portId, { ofport, port }] of integration.guests) {
    if (ofport === undefined) continue;
    if (declaredPort(topology, routing, portId) !== undefined) ports.set(portId, { ofport, name: port.name });
    else deadPorts.push(ofport);
  }
  deadPorts.sort((a, b) => a - b);
  return { ports, deadPorts };
}

function readPatches(host: Host, integration: BridgeView | undefined): ReadonlyMap<string, number> {
  const patches = new Map<string, number>();
  for (const name of physicalBridges(host)) {
    const ofport = ofportOf(integration, integrationPatchName(name), 'patch');
    if (ofport !== undefined) patches.set(name, ofport);
  }
  return patches;
}

function readTunnels(tunnel: BridgeView, needs: readonly TunnelNeed[]): NonNullable<HostFacts['tunnel']> {
  const patchInt = ofportOf(tunnel, PATCH_INT, 'patch');
  const tunnels = new Map<string, number>();
  for (const { key, portName, type } of needs) {
    const ofport = ofportOf(tunnel, portName, type);
    if (ofport !== undefined) tunnels.set(key, ofport);
  }
  return { ...(patchInt !== undefined && { patchInt }), tunnels };
}

function ofportOf(bridge: BridgeView | undefined, name: string, type: string): number | undefined {
  const view = bridge?.ports.get(name);
  return view?.interfaces[0]?.type === type ? view.ofport : undefined;
}

export interface LocalVlanRequest {
  readonly topology: Topology;
  readonly routing: RoutingModel;
  readonly host: Host;
  readonly view: SwitchView;
  /** Networks that the host has according to the site. */
  readonly networkIds: Iterable<string>;
  /** Those that it had in the last pass. */
  readonly kept: ReadonlyMap<string, number>;
  /** Of networks that have left since; default none. They get theirs back, and nobody else gets it (vlan-leases.ts). */
  readonly former?: ReadonlyMap<string, number>;
  /** Another controller writes to the host: what its ports say comes before what we had. */
  readonly isFollowed?: boolean;
}

/**
 * A local VLAN for each network of a host: as in the last pass, else as its ports remember it (Neutron's other_config keys,
 * which is how they survive a restart), else the lowest that none had. Throws LocalVlanError.
 */
export function assignLocalVlans(request: LocalVlanRequest): ReadonlyMap<string, number> {
  const { topology, routing, host, view, kept, former = new Map<string, number>(), isFollowed } = request;
  const networkIds = new Set(request.networkIds);
  const integration = view.bridges.get(host.bridges.integration);
  for (const [portId, { ofport }] of integration?.guests ?? []) {
    // A guest that is plugged in here needs its network here, also while another host counts as its place.
    const networkId = declaredPort(topology, routing, portId)?.networkId;
    if (networkId !== undefined && ofport !== undefined) networkIds.add(networkId);
  }
  const remembered = integration === undefined ? new Map<string, number>() : rememberedBy(integration, topology);
  const shown = new Set(remembered.values());
  const own = [...former, ...(isFollowed ? [] : remembered), ...kept];
  const known = new Map(isFollowed ? [...own.filter(([, vlan]) => !shown.has(vlan)), ...remembered] : own);
  const isAnothers = ([network, vlan]: readonly [string, number]): boolean =>
    !networkIds.has(network) || known.get(network) !== vlan;
  const inUse = new Set([...former].filter(isAnothers).map(([, vlan]) => vlan));
  // What a port has it has, and what the bridge says likewise.
  for (const [network, vlan] of remembered) if (networkIds.has(network)) inUse.delete(vlan);
  return allocateLocalVlans(networkIds, known, inUse);
}

/** By network: as ports say, and where none does, the bridge. */
function rememberedBy({ guests, bridge }: BridgeView, topology: Topology): Map<string, number> {
  const ports = [...guests.values()].map(({ port: { other_config: key } }) => ({
    networkId: key.get('net_uuid'),
    localVlan: key.get('tag'),
    segment: key.get('segmentation_id'),
  }));
  const remembered = new Map<string, number>();
  for (const { networkId, localVlan, segment } of [...ports, ...rememberedVlans(bridge.external_ids)]) {
    const vlan = Number(localVlan);
    if (networkId === undefined || !Number.isInteger(vlan) || vlan < 1 || vlan >= DEAD_VLAN) continue;
    const current = topology.networks.get(networkId)?.segmentationId;
    // A network that was made anew under its old name is another network.
    if (segment !== undefined && current !== undefined && segment !== `${current}`) continue;
    if (!remembered.has(networkId)) remembered.set(networkId, vlan);
  }
  return remembered;
}
