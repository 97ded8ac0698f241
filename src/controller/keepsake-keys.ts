/**
 * What heddle writes into external_ids of a host's integration bridge, to be read by a controller that does not know it: names of
 * keys, and values as text. Serves host-plan.ts and who reads them back. Pure.
 */
import type { Network } from '../topology/model.ts';

/** The host's MAC for distributed routing. */
export const HOST_MAC_KEY = 'heddle-dvr-mac';
/** Behind it the id of a router: the first and the last of its conntrack zones (compiler/zones.ts). */
export const ZONES_KEY = 'heddle-zones-';
/** Behind it the id of a network that no port here remembers: its local VLAN, and its segment. */
export const LOCAL_VLAN_KEY = 'heddle-vlan-';

/** Of such a key; those of networks and routers that the host has no more go. */
export const isListKey = (key: string): boolean => key.startsWith(ZONES_KEY) || key.startsWith(LOCAL_VLAN_KEY);

/** A network that was made anew under its old name has another segment, and is another network. */
export function localVlanText({ segmentationId }: Network, localVlan: number): string {
  return segmentationId === undefined ? `${localVlan}` : `${localVlan}/${segmentationId}`;
}

export interface RememberedVlan {
  readonly networkId: string;
  readonly localVlan: string;
  readonly segment: string | undefined;
}

export function rememberedVlans(externalIds: ReadonlyMap<string, string>): readonly RememberedVlan[] {
  return [...externalIds].flatMap(([key, text]) => {
    if (!key.startsWith(LOCAL_VLAN_KEY)) return [];
    const [localVlan = '', segment] = text.split('/');
    return [{ networkId: key.slice(LOCAL_VLAN_KEY.length), localVlan, segment }];
  });
}
