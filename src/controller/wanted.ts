/**
 * What a host's OVSDB should say, from the topology and the site: the bridges, patches, tunnels and tags that host-plan.ts
 * compares with what is there. Pure.
 */
import { integrationPatchName, PATCH_INT, PATCH_TUN, physicalPatchName } from '../compiler/names.ts';
import type { RoutingModel } from '../compiler/routing.ts';
import { declaredPort, hasTunnelBridge, type TunnelNeed } from '../compiler/site.ts';
import { ipToText } from '../lib/addresses.ts';
import { BFD_MACS } from '../pipeline/gateway-alive.ts';
import type { Host, Network, Topology } from '../topology/model.ts';
import type { WantedBridge, WantedHost, WantedPatch, WantedTag, WantedTunnel } from './host-plan.ts';
import { LOCAL_VLAN_KEY, localVlanText } from './keepsake-keys.ts';
import type { BridgeView, SwitchView } from './switch-view.ts';

export interface WantedRequest {
  readonly topology: Topology;
  readonly routing: RoutingModel;
  readonly host: Host;
  readonly view: SwitchView;
  readonly localVlans: ReadonlyMap<string, number>;
  readonly tunnels: readonly TunnelNeed[];
  /** Physical bridges whose patch may carry traffic: the flows of both ends are in place. */
  readonly openPatches: ReadonlySet<string>;
  /** By bridge name: ids for bridges that would share theirs with another one. */
  readonly datapathIds: ReadonlyMap<string, string>;
  /** What the host is to keep for a controller that does not know it (keepsakes.ts); local VLANs are added here. */
  readonly keepsakes?: ReadonlyMap<string, string>;
  /** Another controller may be there too, which the file need not name. */
  readonly keepsControllers?: boolean;
  /** Whether there are flows for a bridge yet. Default: always. */
  readonly isRendered?: (bridge: string) => boolean;
}

/**
 * A bridge that others have been using without a controller. Open vSwitch takes all its flows away when it gets its first one, or
 * becomes secure without one.
 */
export function isUnadopted(view: BridgeView | undefined): boolean {
  return view !== undefined && view.controllers.length === 0 && view.bridge.fail_mode !== 'secure';
}

export function wantedHost(request: WantedRequest): WantedHost {
  const { host, view } = request;
  const { integration, tunnel } = host.bridges;
  const tags = wantedTags(request, view.bridges.get(integration));
  return {
    bridges: wantedBridges(request, wantedKeepsakes(request, tags)),
    patches: wantedPatches(request),
    tunnels: request.tunnels.map((need) => wantedTunnel(need, request.topology.settings)),
    ...(hasTunnelBridge(host) && { tunnelBridge: tunnel }),
    integrationBridge: integration,
    tags,
  };
}

/**
 * What a controller writes that does not program the host, or not yet: what bridges need to call it. The rest is written by the
 * one that does.
 */
export function bridgesAlone({ bridges, integrationBridge }: WantedHost): WantedHost {
  const plain = bridges.map(({ keepsakes: _keepsakes, ...bridge }) => bridge);
  return { bridges: plain, patches: [], tunnels: [], integrationBridge, tags: new Map() };
}

/** Which local VLAN a network has, its ports say, as Neutron's do. Of one that has none here (routers need it), the bridge does. */
function wantedKeepsakes(
  { topology, localVlans, keepsakes }: WantedRequest,
  tags: ReadonlyMap<string, WantedTag>,
): ReadonlyMap<string, string> | undefined {
  if (keepsakes === undefined) return undefined;
  const plugged = new Set([...tags.values()].map((tag) => tag.kind === 'network' && tag.otherConfig.get(NETWORK_KEY)));
  const keys = new Map(keepsakes);
  for (const [networkId, localVlan] of localVlans) {
    const network = topology.networks.get(networkId);
    if (network === undefined || plugged.has(networkId)) continue;
    keys.set(`${LOCAL_VLAN_KEY}${networkId}`, localVlanText(network, localVlan));
  }
  return keys;
}

function wantedBridges(
  request: WantedRequest,
  keepsakes: ReadonlyMap<string, string> | undefined,
): readonly WantedBridge[] {
  const { host, view, datapathIds, keepsControllers, isRendered = () => true } = request;
  const create = { datapathType: host.datapathType };
  // Whom heddle dials, it does not ask to call.
  const controllers = host.mgmtDir === undefined ? host.controllers : [];
  const bridge = (name: string, isOurs: boolean): WantedBridge => {
    const datapathId = datapathIds.get(name);
    return {
      name,
      ...(isOurs && { create }),
      controllers,
      ...(keepsControllers && { keepsControllers }),
      ...(datapathId !== undefined && { datapathId }),
      ...(keepsakes !== undefined && name === host.bridges.integration && { keepsakes }),
    };
  };
  const bridges = [bridge(host.bridges.integration, true)];
  if (hasTunnelBridge(host)) bridges.push(bridge(host.bridges.tunnel, true));
  for (const name of physicalBridges(host)) {
    // From the moment in which it becomes ours it forwards nothing, until it has called and got its flows: these come first.
    if (!isUnadopted(view.bridges.get(name)) || isRendered(name)) bridges.push(bridge(name, false));
  }
  return bridges;
}

/** The physical bridges of a host, each once, by name. */
export function physicalBridges(host: Host): readonly string[] {
  return [...new Set(host.bridgeMappings.values())].sort();
}

/** All bridges of a host that get flows. */
export function bridgesOf(host: Host): readonly string[] {
  const { integration, tunnel } = host.bridges;
  return [integration, ...(hasTunnelBridge(host) ? [tunnel] : []), ...physicalBridges(host)];
}

function wantedPatches({ host, view, openPatches }: WantedRequest): readonly WantedPatch[] {
  const { integration, tunnel } = host.bridges;
  const patches: WantedPatch[] = [];
  if (hasTunnelBridge(host)) {
    patches.push({ bridge: integration, name: PATCH_TUN, peer: PATCH_INT, isOpen: true });
    patches.push({ bridge: tunnel, name: PATCH_INT, peer: PATCH_TUN, isOpen: true });
  }
  for (const physical of physicalBridges(host)) {
    // A bridge that nobody made yet gets no patch: its end on br-int would lead nowhere.
    if (!view.bridges.has(physical)) continue;
    const [ours, theirs] = [integrationPatchName(physical), physicalPatchName(physical)];
    const isOpen = openPatches.has(physical);
    patches.push({ bridge: integration, name: ours, peer: theirs, isOpen });
    patches.push({ bridge: physical, name: theirs, peer: ours, isOpen });
  }
  return patches;
}

/** Names and options of tunnel ports are Neutron's. */
function wantedTunnel(need: TunnelNeed, { bfd }: Topology['settings']): WantedTunnel {
  const watched = new Map([
    ['bfd_local_dst_mac', BFD_MACS.asking],
    ['bfd_remote_dst_mac', BFD_MACS.answering],
    ['enable', 'true'],
    ['min_rx', `${bfd.minRxMs}`],
    ['min_tx', `${bfd.minTxMs}`],
    ['mult', `${bfd.mult}`],
  ]);
  return {
    ...(need.isWatched && { bfd: watched }),
    name: need.portName,
    type: need.type,
    options: new Map([
      ['df_default', 'true'],
      ['egress_pkt_mark', '0'],
      ['in_key', 'flow'],
      ['local_ip', ipToText(need.localIp)],
      ['out_key', 'flow'],
      ['remote_ip', ipToText(need.remoteIp)],
    ]),
  };
}

function wantedTags(
  { topology, routing, localVlans }: WantedRequest,
  integration: BridgeView | undefined,
): ReadonlyMap<string, WantedTag> {
  const tags = new Map<string, WantedTag>();
  if (integration === undefined) return tags;
  for (const [portId, view] of integration.guests) {
    const port = declaredPort(topology, routing, portId);
    const network = port && topology.networks.get(port.networkId);
    const localVlan = network && localVlans.get(network.id);
    if (port === undefined || !port.adminStateUp) tags.set(view.port.name, { kind: 'dead' });
    else if (network !== undefined && localVlan !== undefined) {
      tags.set(view.port.name, { kind: 'network', localVlan, otherConfig: portOtherConfig(network, localVlan) });
    }
  }
  return tags;
}

const NETWORK_KEY = 'net_uuid';

/** Keys by which Neutron, and heddle after a restart, know which network a local VLAN belongs to. */
function portOtherConfig(network: Network, localVlan: number): ReadonlyMap<string, string> {
  return new Map([
    [NETWORK_KEY, network.id],
    ['network_type', network.networkType],
    ['physical_network', network.physicalNetwork ?? 'None'],
    ...(network.segmentationId === undefined ? [] : [['segmentation_id', `${network.segmentationId}`] as const]),
    ['tag', `${localVlan}`],
  ]);
}
