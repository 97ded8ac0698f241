/**
 * What others routed, as guests on a host get it: from their own router's MAC. Serves guest-owners.ts and router-owners.ts.
 */
import * as dvr from '../pipeline/dvr.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import { type LocalNetwork, wayOut } from './local-network.ts';
import { flows, NO_FLOWS } from './placement.ts';
import type { Gateway } from './routing.ts';
import { isTunnelled } from './site.ts';
import type { View } from './view.ts';
import type { World } from './world.ts';

/** A MAC behind a port on this host. */
export interface LocalReceiver {
  readonly object: string;
  readonly macAddress: number;
  readonly ofport: number;
}

/** What others routed reaches a receiver here with its own router's MAC. */
export function restored(
  world: World,
  view: View,
  there: LocalNetwork,
  receiver: LocalReceiver,
  gateways: readonly Gateway[],
): readonly DesiredFlow[] {
  const { profile, network, localVlan } = there;
  const ipv6 = gateways.find(({ ip }) => typeof ip === 'bigint');
  const first = gateways.find(({ ip }) => typeof ip === 'number') ?? ipv6;
  if (first === undefined) return NO_FLOWS;
  const isOther = ipv6 !== undefined && ipv6.macAddress !== first.macAddress;
  const restored = {
    ...receiver,
    routerMac: first.macAddress,
    ...(isOther && { routerIpv6Mac: ipv6.macAddress }),
  };
  if (isTunnelled(network.networkType)) {
    const entity = { ...restored, vlan: localVlan };
    return flows(profile, entity, dvr.routedByTunnel, dvr.ipv6ByTunnel);
  }
  const patch = network.physicalNetwork === undefined ? undefined : wayOut(world, view, there);
  if (patch === undefined) return NO_FLOWS;
  const entity = { ...restored, patch, vlan: network.segmentationId ?? ('untagged' as const) };
  return flows(profile, entity, dvr.routedByProvider, dvr.ipv6ByProvider);
}

/** Routers on the subnets of a port that are on this host, in order of router, then subnet. */
export function gatewaysOf(
  world: World,
  view: View,
  host: string,
  { fixedIps }: { readonly fixedIps: readonly { readonly subnetId: string }[] },
): readonly Gateway[] {
  const subnetIds = [...new Set(fixedIps.map(({ subnetId }) => subnetId))];
  const gateways = subnetIds.flatMap((subnetId) => view.read(world.gateways.at(subnetId)) ?? []);
  return gateways
    .filter(({ portIds }) => {
      const isHere = (id: string) => view.read(world.bindings.at(host, id)) !== undefined;
      return portIds === undefined || portIds.some(isHere);
    })
    .sort(compareGateways);
}

type Ordered = { readonly routerId: string; readonly subnetId?: string };

export function compareGateways(left: Ordered, right: Ordered): number {
  const [a, b] = [left, right].map(({ routerId, subnetId = '' }) => `${routerId}\0${subnetId}`);
  return a === undefined || b === undefined || a === b ? 0 : a < b ? -1 : 1;
}
