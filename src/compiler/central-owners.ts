/**
 * What hosts have of routers that are on gateway hosts alone: their guests ask for routers by neighbour discovery, and answer
 * when such a router asks, where they are. Beside router-owners.ts; owners.ts calls these.
 */
import * as routerIn from '../pipeline/router-in.ts';
import { localNetwork } from './local-network.ts';
import { flows, NOTHING, onInt } from './placement.ts';
import { owner } from './view.ts';
import type { World } from './world.ts';

export class CentralOwners {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** All of a host. */
  readonly centralRouting = owner('central routing', (view, name) => {
    view.each(this.#world.site.centralNetworksOf.at(name), (network) => this.centralNetwork(name, network));
    return NOTHING;
  });

  readonly centralNetwork = owner('central network', (view, name, networkId) => {
    const { gateways } = this.#world.site;
    const there = localNetwork(this.#world, view, name, networkId);
    if (there === undefined) return NOTHING;
    const { profile, localVlan } = there;
    const desired = [...view.readAll(gateways.gatewaysInside.at(networkId))].sort().flatMap((id) => {
      const router = view.read(gateways.routers.at(id));
      if (router === undefined || router.isDistributed) return [];
      const { key: routerKey, interfaces } = router.part;
      return interfaces
        .filter((one) => one.networkId === networkId)
        .flatMap(({ macAddress, addresses }) => {
          const ips = addresses.map(({ ip }) => ip);
          const entity = { object: `router ${id}`, routerKey, localVlan, macAddress, addresses: ips };
          return flows(profile, entity, routerIn.answersRouter, routerIn.solicitsRouter);
        });
    });
    return onInt(name, profile, desired);
  });
}
