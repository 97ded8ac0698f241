/** A network as a host has it, for owners of routers. */
import type { Network } from '../topology/model.ts';
import { isTunnelled } from './site.ts';
import type { View } from './view.ts';
import type { HostProfile, World } from './world.ts';

export interface LocalNetwork {
  readonly host: string;
  readonly profile: HostProfile;
  readonly network: Network;
  readonly localVlan: number;
}

export function localNetwork(world: World, view: View, host: string, networkId: string): LocalNetwork | undefined {
  const profile = view.read(world.profiles.at(host));
  const network = view.read(world.networks.at(networkId));
  const localVlan = view.read(world.localVlans.at(host, networkId));
  if (profile === undefined || network === undefined || localVlan === undefined) return undefined;
  return { host, profile, network, localVlan };
}

/** On br-int, the port to other hosts. */
export function wayOut(world: World, view: View, { host, profile, network }: LocalNetwork): number | undefined {
  if (isTunnelled(network.networkType)) return view.read(world.patchTun.at(host));
  const bridge = bridgeOf(profile, network);
  return bridge === undefined ? undefined : view.read(world.patchPhys.at(host, bridge));
}

export function bridgeOf(profile: HostProfile, { physicalNetwork }: Network): string | undefined {
  return physicalNetwork === undefined ? undefined : profile.bridgeMappings.get(physicalNetwork);
}
