/** Out of a router: the headers of its egress interface, and the way to the receiver. */
import { output, type PlainAction, pushVlan, setEthSrc, whole } from './actions.ts';
import { brInt } from './br-int.ts';
import { type Entity, goto } from './language.ts';
import { ipv4, ipv6 } from './match.ts';
import { atRouter, inNetwork, RECEIVER_HOLES } from './router-registers.ts';

const { rules } = brInt;

/** A router on a network that it can send to. */
export interface RouterEgress extends Entity {
  readonly routerKey: number;
  readonly localVlan: number;
  /** MAC of its interface for each family; absent: it has no address of the family there. */
  readonly ipv4Mac?: number;
  readonly ipv6Mac?: number;
}

const decTtl: PlainAction = { type: 'decTtl' };

export const fromRouter = rules(
  'from-router',
  {
    cases: { ROUTER_OUT: "From a router to a network: the router's MAC there is the source, and the TTL is one less." },
  },
  ({ routerKey, localVlan, ipv4Mac, ipv6Mac }: RouterEgress, table) => {
    const here = { ...atRouter(routerKey), ...inNetwork(localVlan) };
    const rewrite = (mac: number) => [setEthSrc(mac), decTtl, goto('ROUTER_DELIVER')] as const;
    return [
      ...(ipv4Mac === undefined ? [] : [table.ROUTER_OUT(1, ipv4(here), ...rewrite(ipv4Mac))]),
      ...(ipv6Mac === undefined ? [] : [table.ROUTER_OUT(1, ipv6(here), ...rewrite(ipv6Mac))]),
    ];
  },
);

/** A MAC behind a port on this host, in a network that has a router. */
export interface RoutedReceiver extends Entity {
  readonly localVlan: number;
  readonly macAddress: number;
  readonly ofport: number;
}

/** A frame never leaves by the port that it came from; who routes to itself does want that. */
export const FROM_NOWHERE: PlainAction = { type: 'load', destination: whole('inPortNxm'), value: 0 };

export const deliverHere = rules(
  'deliver-here',
  { cases: { ROUTER_DELIVER: 'To a guest on this host.' }, holes: RECEIVER_HOLES },
  ({ localVlan, macAddress, ofport }: RoutedReceiver, table) => [
    table.ROUTER_DELIVER(2, { ...inNetwork(localVlan), ethDst: macAddress }, FROM_NOWHERE, output(ofport)),
  ],
);

/** A network that has a router, and the way out of this host. */
export interface RoutedNetwork extends Entity {
  readonly localVlan: number;
  /** patch-tun, or int-br-X. */
  readonly ofport: number;
}

export const deliverOutside = rules(
  'deliver-outside',
  {
    cases: {
      ROUTER_DELIVER: 'To a guest elsewhere: by the tunnels, or the physical network, as if a guest here had sent it.',
    },
  },
  ({ localVlan, ofport }: RoutedNetwork, table) => [
    table.ROUTER_DELIVER(1, inNetwork(localVlan), FROM_NOWHERE, pushVlan(localVlan), output(ofport)),
  ],
);
