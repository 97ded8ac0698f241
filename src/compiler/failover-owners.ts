/**
 * Who of several gateway hosts serves a router: renders the groups by which each host knows, and the questions that they answer.
 * Beside gateway-owners.ts, which calls these.
 */
import { originHash } from '../flow/cookie.ts';
import { LIMITS } from '../lib/limits.ts';
import * as alive from '../pipeline/gateway-alive.ts';
import * as failover from '../pipeline/gateway-failover.ts';
import type { Network } from '../topology/model.ts';
import type { GatewayRouter } from './gateways.ts';
import type { LocalNetwork } from './local-network.ts';
import { flows, NOTHING, onInt, onTun } from './placement.ts';
import { isTunnelled, tunnelKey, tunnelKeyParts } from './site.ts';
import { owner, type Placement, type View } from './view.ts';
import { ALL, type World } from './world.ts';

export class FailoverOwners {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** By what frames ask whether this host serves a router, where others may. */
  askerOf(view: View, host: string, { hosts, part }: GatewayRouter): failover.ServingAsker | undefined {
    const patchTun = view.read(this.#world.patchTun.at(host));
    return hosts.length < 2 || patchTun === undefined ? undefined : { routerKey: part.key, patchTun };
  }

  /** Tunnels to the hosts that are better gateways of a router than a host; all, where it is none. */
  #tunnelsToBetter(view: View, host: string, { hosts, part }: GatewayRouter, networkId = part.networkIds[0] ?? '') {
    const type = view.read(this.#world.networks.at(networkId))?.networkType;
    if (type === undefined || !isTunnelled(type)) return [];
    const rank = hosts.indexOf(host);
    const better = rank < 0 ? hosts : hosts.slice(0, rank);
    return better.flatMap((other) => view.read(this.#world.tunnels.at(host, tunnelKey(type, other))) ?? []);
  }

  /** Back to br-int, for a host that serves: while it hears anybody, where there is somebody who is no gateway host. */
  #wayHome(view: View, host: string, { hosts }: GatewayRouter): failover.WayHome | undefined {
    const patchInt = view.read(this.#world.patchInt.at(host));
    const keys = [...view.readAll(this.#world.tunnelsOf.at(host))];
    const isHeard = keys.some((key) => !hosts.includes(tunnelKeyParts(key).remoteHost));
    return patchInt === undefined ? undefined : { patchInt, ...(isHeard && { hearing: hearingGroupOf(host) }) };
  }

  /** What BFD packets do on a host: they go back, and where it can be a gateway, announce it. */
  readonly aliveness = owner('aliveness', (view, name) => {
    view.child(this.hearing(name));
    const profile = view.read(this.#world.profiles.at(name));
    const patchInt = view.read(this.#world.patchInt.at(name));
    const isWatched = view.read(this.#world.site.gateways.watching.at(ALL)) === true;
    if (profile === undefined || patchInt === undefined || !isWatched) return NOTHING;
    if (view.read(this.#world.tunnelBridges.at(name)) === undefined) return NOTHING;
    const object = `host ${name}`;
    const patchTun = view.read(this.#world.patchTun.at(name));
    const several = this.#sharedRouters(view, name).filter(({ outside }) => outside !== undefined);
    const announces = patchTun !== undefined && several.length > 0;
    const bfd = flows(profile, { object, announces }, alive.sendBackBfd);
    if (!announces) return onTun(name, profile, bfd);
    const routerKeys = several.slice(0, LIMITS.announcedRouters).map(({ part }) => part.key);
    const onBrTun = onTun(name, profile, [...bfd, ...flows(profile, { object, patchInt }, alive.announce)]);
    return [
      ...onBrTun.map((one) => ({ ...one, meters: [alive.announcementsMeter(object)] })),
      ...onInt(name, profile, flows(profile, { object, patchTun, routerKeys }, alive.whomToAnnounce)),
    ];
  });

  /** Of which a host can be a gateway, and others as well; by id. */
  #sharedRouters(view: View, host: string): readonly GatewayRouter[] {
    const { gateways } = this.#world.site;
    const ids = [...view.readAll(gateways.gatewaysOn.at(host))].sort();
    const routers = ids.flatMap((id) => view.read(gateways.routers.at(id)) ?? []);
    return routers.filter(({ hosts }) => hosts.length > 1);
  }

  /** Whom a host of several hears. */
  readonly hearing = owner('who is heard', (view, name) => {
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined || this.#sharedRouters(view, name).length === 0) return NOTHING;
    const keys = [...view.readAll(this.#world.tunnelsOf.at(name))];
    const tunnels = keys.flatMap((key) => view.read(this.#world.tunnels.at(name, key)) ?? []);
    const group = failover.hearingGroup(
      hearingGroupOf(name),
      tunnels.sort((left, right) => left - right),
    );
    const origin = { rule: 'who-is-heard', object: `host ${name}` };
    return [{ host: name, bridge: profile.tunnelBridge, flows: [], groups: [{ group, origin }] }];
  });

  /** What br-tun of one of several hosts answers. */
  whoServes(view: View, host: string, router: GatewayRouter): readonly Placement[] {
    const profile = view.read(this.#world.profiles.at(host));
    const home = this.#wayHome(view, host, router);
    if (router.hosts.length < 2 || profile === undefined || home === undefined) return NOTHING;
    const object = `router ${router.id}`;
    const group = groupNumber('who-serves', router.id);
    const tunnels = this.#tunnelsToBetter(view, host, router);
    const entity = { object, routerKey: router.part.key, patchInt: home.patchInt, group };
    const groups = [
      { group: failover.servingGroup({ group, tunnels, ...home }), origin: { rule: 'who-serves', object } },
    ];
    return onTun(host, profile, flows(profile, entity, failover.whoServes)).map((one) => ({ ...one, groups }));
  }

  /** The choice among a router's gateway hosts, in one network. */
  wayGroup(view: View, { host, profile, network }: LocalNetwork, router: GatewayRouter): readonly Placement[] {
    const { segmentationId } = network;
    const { hosts, part, id } = router;
    if (hosts.length < 2 || segmentationId === undefined) return NOTHING;
    const group = wayGroupOf(router, network);
    const tunnels = this.#tunnelsToBetter(view, host, router, network.id);
    const home = hosts.includes(host) ? this.#wayHome(view, host, router) : undefined;
    const patchInt = view.read(this.#world.patchInt.at(host));
    const choice = failover.wayGroup({
      group,
      segmentationId,
      tunnels,
      ...(home && { here: { ...home, routerKey: part.key } }),
      ...(patchInt !== undefined && { always: patchInt }),
    });
    const origin = { rule: 'gateway-fdb', object: `router ${id}` };
    return [{ host, bridge: profile.tunnelBridge, flows: [], groups: [{ group: choice, origin }] }];
  }
}

/** The highest group numbers mean something else (OpenFlow 1.3.5 §7.2.4.5, OFPG_MAX). */
const GROUP_NUMBERS = 0xff00_0000;

const groupNumber = (kind: string, ...names: readonly string[]): number =>
  1 + (originHash(kind, names.join(' ')) % (GROUP_NUMBERS - 1));

const hearingGroupOf = (host: string): number => groupNumber('who-is-heard', host);

export const wayGroupOf = ({ id }: GatewayRouter, network: Network): number =>
  groupNumber('gateway-fdb', id, network.id);
