/**
 * Several hosts that can be the gateway of a router: the best one that lives serves. Who lives is known on br-tun alone, by BFD
 * on the tunnels between hosts; so groups there choose, without a controller. A frame that came in on br-int asks by a round
 * through br-tun, with the router's key for its mark, which is what survives a patch: it comes back only where its host serves.
 * A host that hears nobody is the one that is cut off, and does not serve.
 *
 * BFD packets are not answered by the BFD of the other end but sent back by a flow there (gateway-alive.ts): a switch that lives
 * and has no flows, as after a restart without a controller, is as good as dead.
 */

import { PORT } from '../flow/flow.ts';
import type { Bucket, Group } from '../flow/group.ts';
import { arpReply, backToSender, output, type PlainAction, popVlan, setTunnelId } from './actions.ts';
import { brInt } from './br-int.ts';
import { brTun } from './br-tun.ts';
import { type Entity, goto } from './language.ts';
import { ARP_OP, arp, type FlowMatch } from './match.ts';
import { setNetwork } from './router-registers.ts';

export const setMark = (key: number): PlainAction => ({ type: 'setField', field: 'pktMark', value: key });
export const NO_MARK = setMark(0);

/** OFPG_ANY: no group is watched. */
const NO_GROUP = PORT.any;

const bucket = (watchPort: number, actions: readonly PlainAction[]): Bucket => ({
  weight: 0,
  watchPort,
  watchGroup: NO_GROUP,
  actions,
});

/** Back to br-int. */
export interface WayHome {
  readonly patchInt: number;
  /** Only while this group lives, which is while this host hears another one; absent: there is nobody to hear. */
  readonly hearing?: number;
}

const homeward = ({ patchInt, hearing }: WayHome, actions: readonly PlainAction[]): Bucket =>
  hearing === undefined ? bucket(patchInt, actions) : { weight: 0, watchPort: PORT.any, watchGroup: hearing, actions };

/** Lives while one of a host's tunnels does. Nothing is ever sent to it. */
export const hearingGroup = (group: number, tunnels: readonly number[]): Group =>
  failover(
    group,
    tunnels.map((ofport) => bucket(ofport, [])),
  );

const failover = (group: number, buckets: readonly Bucket[]): Group => ({ group, groupType: 'fastFailover', buckets });

/** The way to a gateway, from one host, in one network. */
export interface WayChoice {
  readonly group: number;
  readonly segmentationId: number;
  /** Tunnels to the hosts that can serve, the best first; those that are better than this host, where it can itself. */
  readonly tunnels: readonly number[];
  /** This host can serve, after those: back to br-int, marked. */
  readonly here?: WayHome & { readonly routerKey: number };
  /** Where it cannot: a port that is always there. Before BFD has found anybody, as on a host that has just started, the best one is tried. */
  readonly always?: number;
}

export function wayGroup({ group, segmentationId, tunnels, here, always }: WayChoice): Group {
  const byTunnel = (ofport: number) => [popVlan, setTunnelId(segmentationId), output(ofport)];
  const away = tunnels.map((ofport) => bucket(ofport, byTunnel(ofport)));
  const [best] = tunnels;
  const last =
    here === undefined
      ? always !== undefined && best !== undefined && bucket(always, byTunnel(best))
      : homeward(here, [setMark(here.routerKey), backToSender]);
  return failover(group, last ? [...away, last] : away);
}

/** Whether a host serves: frames come back, marked as they are, when no better one lives. */
export interface ServingQuestion extends WayHome {
  readonly group: number;
  /** Tunnels to better hosts. */
  readonly tunnels: readonly number[];
}

export function servingGroup({ group, tunnels, ...home }: ServingQuestion): Group {
  return failover(group, [...tunnels.map((ofport) => bucket(ofport, [])), homeward(home, [backToSender])]);
}

/** The MAC of a gateway in a network, behind whichever tunnel leads to who serves. */
export interface ChosenGateway extends Entity {
  readonly localVlan: number;
  readonly macAddress: number;
  readonly group: number;
  /** The ones that guests ask for. */
  readonly ipv4Addresses: readonly number[];
}

export const gatewayBehindTunnels = brTun.rules(
  'gateway-fdb',
  {
    when: 'l2Population',
    cases: {
      UCAST_TO_TUN: 'To the gateway of a router that has several: to the best one that lives.',
      ARP_RESPONDER: 'Somebody asks who has the address of such a gateway: answered here.',
    },
  },
  ({ localVlan: vlan, macAddress: ethDst, group, ipv4Addresses }: ChosenGateway, table) => [
    table.UCAST_TO_TUN(2, { vlan, ethDst }, { type: 'group', group }),
    ...ipv4Addresses.map((ip) =>
      table.ARP_RESPONDER(1, arp({ vlan, arpOp: ARP_OP.request, arpTpa: ip }), arpReply(ethDst, ip)),
    ),
  ],
);

/** One of several hosts that can serve a router. */
export interface Standby extends Entity {
  readonly routerKey: number;
  readonly patchInt: number;
  readonly group: number;
}

export const whoServes = brTun.rules(
  'who-serves',
  { cases: { LOCAL_SWITCHING: 'Does this host serve a router? The frame comes back when no better host lives.' } },
  ({ routerKey, patchInt, group }: Standby, table) => [
    table.LOCAL_SWITCHING(2, { inPort: patchInt, pktMark: routerKey }, { type: 'group', group }),
  ],
);

/** Back from br-tun, in a network: this host serves. */
export interface MarkedReturn extends Entity {
  readonly routerKey: number;
  readonly patchTun: number;
  readonly localVlan: number;
  readonly macAddress: number;
}

export const servedHere = brInt.rules(
  'served-here',
  { cases: { LOCAL_SWITCHING: 'To a gateway of several, from a guest on this host: this one serves.' } },
  ({ routerKey, patchTun, localVlan, macAddress: ethDst }: MarkedReturn, table) => [
    table.LOCAL_SWITCHING(
      9,
      { inPort: patchTun, pktMark: routerKey, vlan: localVlan, ethDst },
      popVlan,
      setNetwork(localVlan),
      goto('ROUTER_IN'),
    ),
  ],
);

/** By what a frame asks whether this host serves. */
export interface ServingAsker {
  readonly routerKey: number;
  readonly patchTun: number;
}

/** The way in of a frame from outside, asked for first where others may serve: the match and actions of each of its rows. */
export function entrance(
  match: FlowMatch,
  takenIn: readonly PlainAction[],
  asker: ServingAsker | undefined,
): {
  readonly asks?: { readonly match: FlowMatch; readonly actions: readonly PlainAction[] };
  readonly enters: { readonly match: FlowMatch; readonly actions: readonly PlainAction[] };
} {
  if (asker === undefined) return { enters: { match, actions: takenIn } };
  const { routerKey, patchTun } = asker;
  return {
    asks: { match, actions: [setMark(routerKey), output(patchTun)] },
    enters: { match: { ...match, inPort: patchTun, pktMark: routerKey }, actions: [NO_MARK, ...takenIn] },
  };
}
