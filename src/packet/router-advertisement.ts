/**
 * What a router tells the hosts of a network about IPv6 (RFC 4861 §6.2.3, RFC 4862, RFC 8106). Serves controller/router/.
 */
import { linkLocalOf, type Prefix } from '../lib/addresses.ts';
import { multicastMac, ndFrame } from './neighbours.ts';
import { ALL_NODES, type Frame, type NdOption } from './packet.ts';

/** How hosts of a subnet get their addresses; Neutron's ipv6_ra_mode. */
export type RaMode = 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless';

/** A subnet that is advertised. */
export interface AdvertisedSubnet {
  /** IPv6. */
  readonly prefix: Prefix;
  readonly raMode: RaMode;
  /** Told only where hosts make their addresses themselves: the others ask DHCPv6. In order of preference. */
  readonly dnsServers: readonly bigint[];
}

export interface RouterAdvertisementOptions {
  /** Of the router's interface; the advertisement comes from its link-local address. */
  readonly mac: number;
  readonly mtu: number;
  readonly subnets: readonly AdvertisedSubnet[];
  /** How long hosts may take the router for their default router, at most 9000; 0: no longer. */
  readonly lifetimeS: number;
  /** One that solicited; absent: all nodes. */
  readonly to?: { readonly mac: number; readonly ip: bigint };
}

/** AdvValidLifetime and AdvPreferredLifetime, the defaults of RFC 4861 §6.2.1. */
const VALID_LIFETIME_S = 2_592_000;
const PREFERRED_LIFETIME_S = 604_800;
const HOP_LIMIT = 64;

/**
 * M where a subnet's addresses come by DHCPv6, O where only the rest does. A prefix is always on-link, and autonomous unless
 * its addresses come by DHCPv6.
 */
export function routerAdvertisement(options: RouterAdvertisementOptions): Frame {
  const { mac, mtu, subnets, lifetimeS, to } = options;
  const dnsServers = [...new Set(subnets.flatMap((one) => (one.raMode === 'slaac' ? one.dnsServers : [])))];
  const ndOptions: NdOption[] = [
    { kind: 'sourceLinkLayer', mac },
    { kind: 'mtu', mtu },
    ...subnets.map(prefixOption),
    ...(dnsServers.length > 0 ? [{ kind: 'dnsServers', lifetimeS, servers: dnsServers } as const] : []),
  ];
  return ndFrame(
    { source: mac, destination: to?.mac ?? multicastMac(ALL_NODES) },
    { source: linkLocalOf(mac), destination: to?.ip ?? ALL_NODES },
    {
      kind: 'routerAdvertisement',
      hopLimit: HOP_LIMIT,
      managed: subnets.some(({ raMode }) => raMode === 'dhcpv6-stateful'),
      otherConfig: subnets.some(({ raMode }) => raMode === 'dhcpv6-stateless'),
      lifetimeS,
      reachableTimeMs: 0,
      retransTimerMs: 0,
      options: ndOptions,
    },
  );
}

function prefixOption({ prefix, raMode }: AdvertisedSubnet): NdOption {
  return {
    kind: 'prefix',
    address: BigInt(prefix.address),
    length: prefix.length,
    onLink: true,
    autonomous: raMode !== 'dhcpv6-stateful',
    validLifetimeS: VALID_LIFETIME_S,
    preferredLifetimeS: PREFERRED_LIFETIME_S,
  };
}
