/**
 * Addresses of ours on external networks: where each is served, who of them asks for others, and whom they always need. Read off
 * the site, for outside.ts; pure.
 */
import type { GatewayPlaces } from '../compiler/gateway-places.ts';
import type { BoundFloatingIp } from '../compiler/gateways.ts';
import { zonesOfAll } from '../compiler/zones.ts';
import { linkLocalOf } from '../lib/addresses.ts';
import type { MessageBody } from '../openflow/messages.ts';
import type { Topology } from '../topology/model.ts';
import type { FloatingConnections, ServedAddress } from './router/announcer.ts';
import type { Asker, OutsidePlace } from './router/gateways.ts';

export interface ServedSite {
  readonly topology: Topology;
  readonly gateways: GatewayPlaces;
  /** By host name, of hosts to which the topology gives none. */
  readonly hostMacs: ReadonlyMap<string, number>;
  readonly zoneNumbers: ReadonlyMap<string, number>;
}

/** Every IPv4 address of ours on external networks, and where it is. */
export function servedAddresses({ topology, gateways, hostMacs, zoneNumbers }: ServedSite): readonly ServedAddress[] {
  const { routers, floatingIps } = gateways.model;
  const zones = zonesOfAll(zoneNumbers);
  const served: ServedAddress[] = [];
  for (const { outside, hosts } of routers.values()) {
    const [host] = hosts;
    if (outside === undefined || host === undefined) continue;
    const { networkId, macAddress: mac } = outside;
    for (const ip of outside.addresses) if (typeof ip === 'number') served.push({ host, networkId, ip, mac });
  }
  for (const { id, routerId, networkId, floatingIp: ip, fixedIp } of floatingIps.values()) {
    const place = gateways.floatingIpPlaces.get(id);
    if (place === undefined) continue;
    const { host, isAtPort } = place;
    const hostMac = topology.hosts.get(host)?.dvrMac ?? hostMacs.get(host);
    const mac = isAtPort ? hostMac : routers.get(routerId)?.outside?.macAddress;
    const own = zones.get(routerId)?.[isAtPort ? 'distributed' : 'gateway'];
    if (mac === undefined || own === undefined) continue;
    served.push({ host, networkId, ip, mac, connections: { dnatZone: own.dnat, snatZone: own.snat, fixedIp } });
  }
  return served;
}

/** The floating IP that is served on a host at this address and MAC. */
export function floatingIpAt(
  { model }: GatewayPlaces,
  served: Iterable<ServedAddress>,
  { host, networkId, ip, mac }: OutsidePlace & { readonly mac: number },
): BoundFloatingIp | undefined {
  for (const one of served) {
    if (one.networkId !== networkId || one.ip !== ip || one.host !== host || one.mac !== mac) continue;
    if (one.connections === undefined) return undefined;
    return [...model.floatingIps.values()].find((other) => other.networkId === networkId && other.floatingIp === ip);
  }
  return undefined;
}

/** Open vSwitch takes entries out of its table while it walks through it: where the table shrinks under it, it misses some. */
const FLUSH_ROUNDS = 4;

/** What ends the connections of a floating IP, of both directions in which they began. */
export function flushesOf(ip: number, connections: FloatingConnections): readonly MessageBody[] {
  const { dnatZone, snatZone, fixedIp } = connections;
  const round: readonly MessageBody[] = [
    { type: 'ctFlush', ipProto: 0, zone: dnatZone, original: { destination: ip } },
    { type: 'ctFlush', ipProto: 0, zone: snatZone, original: { source: fixedIp }, reply: { destination: ip } },
  ];
  return Array.from({ length: FLUSH_ROUNDS }, () => round).flat();
}

/** End every connection of a zone. */
export const zoneFlushesOf = (zone: number): readonly MessageBody[] =>
  Array.from({ length: FLUSH_ROUNDS }, () => ({ type: 'ctFlushZone', zone }));

/** The gateways of the external networks of hosts, where somebody of ours can ask. */
export function neededPlaces(
  gateways: GatewayPlaces,
  hosts: Iterable<string>,
  askerOf: (place: OutsidePlace) => Asker | undefined,
): readonly OutsidePlace[] {
  return [...hosts].flatMap((host) =>
    [...gateways.externalNetworksOn.elementsOf(host)].flatMap((networkId) =>
      (gateways.nextHops.get(networkId) ?? [])
        .map((ip) => ({ host, networkId, ip }))
        .filter((place) => askerOf(place) !== undefined),
    ),
  );
}

/**
 * Who of ours asks on an external network: the gateway that serves there, else a floating IP, else the host itself. A host that
 * would be the gateway after another must not speak in that one's MAC; it has no address there, and asks by a probe (RFC 5227 §2.1).
 */
export function askerAt(
  { gateways, topology, hostMacs }: Omit<ServedSite, 'zoneNumbers'>,
  served: Iterable<ServedAddress>,
  { host, networkId, ip }: OutsidePlace,
): Asker | undefined {
  for (const id of gateways.gatewaysOn.elementsOf(host)) {
    const router = gateways.model.routers.get(id);
    if (router?.outside?.networkId !== networkId || router.hosts[0] !== host) continue;
    const { macAddress: mac, addresses } = router.outside;
    const own = addresses.find((one) => typeof one === typeof ip);
    if (own !== undefined) return { mac, ip: typeof own === 'bigint' ? linkLocalOf(mac) : own };
  }
  if (typeof ip === 'number') {
    for (const one of served) if (one.host === host && one.networkId === networkId) return { mac: one.mac, ip: one.ip };
  }
  const mac = topology.hosts.get(host)?.dvrMac ?? hostMacs.get(host);
  if (mac === undefined || !gateways.externalNetworksOn.elementsOf(host).has(networkId)) return undefined;
  return { mac, ip: typeof ip === 'number' ? 0 : linkLocalOf(mac) };
}
