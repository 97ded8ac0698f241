/**
 * What a guest may send, honest or not: to guests and routers of its own and of other networks, in every protocol that the
 * pipeline looks at, with its own addresses or others', with and without a VLAN tag. Random, out of the addresses of a topology.
 */
import fc from 'fast-check';
import { linkLocalOf } from '../../../src/lib/addresses.ts';
import {
  arpRequest,
  gratuitousArp,
  multicastMac,
  ndFrame,
  neighborAdvertisement,
  neighborSolicitation,
} from '../../../src/packet/neighbours.ts';
import { ALL_NODES, ALL_ROUTERS, BROADCAST_MAC, type Frame, type Transport } from '../../../src/packet/packet.ts';
import type { Port, Topology } from '../../../src/topology/model.ts';

const data = new Uint8Array(64);
const TRANSPORTS: readonly Transport[] = [
  { kind: 'udp', sourcePort: 40_000, destinationPort: 9, data },
  { kind: 'udp', sourcePort: 68, destinationPort: 67, data },
  {
    kind: 'tcp',
    sourcePort: 40_000,
    destinationPort: 80,
    sequence: 1,
    acknowledgement: 0,
    flags: 2,
    window: 1000,
    urgentPointer: 0,
    options: new Uint8Array(),
    data: new Uint8Array(),
  },
];
const ECHO = { icmpv4: 8, icmpv6: 128 } as const;

/** Every address and MAC of a topology, guests' and routers', and some that nobody has. */
interface Addresses {
  readonly macs: readonly number[];
  readonly ipv4: readonly number[];
  readonly ipv6: readonly bigint[];
}

function addressesOf(topology: Topology): Addresses {
  const macs = new Set<number>([0x0a00_0000_0099]);
  const ips = new Set<number | bigint>([0x0808_0808, (0x2001_0db8n << 96n) + 1n]);
  for (const { macAddress, fixedIps } of topology.ports.values()) {
    macs.add(macAddress);
    for (const { ipAddress } of fixedIps) ips.add(ipAddress);
  }
  for (const { interfaces, externalGatewayInfo } of topology.routers.values()) {
    for (const { macAddress, ipAddress } of interfaces) {
      macs.add(macAddress);
      ips.add(ipAddress);
    }
    for (const { ipAddress } of externalGatewayInfo?.externalFixedIps ?? []) ips.add(ipAddress);
  }
  for (const { floatingIpAddress } of topology.floatingIps.values()) ips.add(floatingIpAddress);
  for (const { dvrMac } of topology.hosts.values()) if (dvrMac !== undefined) macs.add(dvrMac);
  for (const { cidr } of topology.subnets.values())
    ips.add(typeof cidr.address === 'bigint' ? cidr.address + 0x77n : cidr.address + 77);
  return {
    macs: [...macs],
    ipv4: [...ips].filter((ip) => typeof ip === 'number'),
    ipv6: [...ips].filter((ip) => typeof ip === 'bigint'),
  };
}

/** A frame of a port's guest. */
export function guestFrame(topology: Topology, port: Port): fc.Arbitrary<Frame> {
  const { macs, ipv4, ipv6 } = addressesOf(topology);
  const own4 = port.fixedIps.flatMap(({ ipAddress }) => (typeof ipAddress === 'number' ? [ipAddress] : []));
  const own6 = port.fixedIps.flatMap(({ ipAddress }) => (typeof ipAddress === 'bigint' ? [ipAddress] : []));
  const mostly = <T>(own: readonly T[], any: readonly T[]): fc.Arbitrary<T> =>
    own.length === 0
      ? fc.constantFrom(...any)
      : fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...own) }, { weight: 1, arbitrary: fc.constantFrom(...any) });
  const mac = mostly([port.macAddress], macs);
  const ip4 = mostly(own4, ipv4);
  const ip6 = mostly([...own6, linkLocalOf(port.macAddress)], ipv6);
  const gateways = [...topology.routers.values()]
    .flatMap(({ interfaces }) => interfaces)
    .flatMap(({ networkId, macAddress }) => (networkId === port.networkId ? macAddress : []));
  const peers = [...topology.ports.values()].flatMap((one) => (one.networkId === port.networkId ? one.macAddress : []));
  const to = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...(gateways.length > 0 ? gateways : macs)) },
    { weight: 3, arbitrary: fc.constantFrom(...peers) },
    { weight: 2, arbitrary: fc.constantFrom(...macs) },
    { weight: 1, arbitrary: fc.constantFrom(BROADCAST_MAC, multicastMac(ALL_NODES)) },
  );
  const ttl = fc.constantFrom(64, 64, 64, 64, 64, 1);
  const any4 = fc.constantFrom(...ipv4);
  const any6 = fc.constantFrom(...ipv6);

  const packet4 = fc
    .record({ source: mac, destination: to, from: ip4, whither: any4, ttl, kind: fc.nat(TRANSPORTS.length) })
    .map(({ source, destination, from, whither, ttl: left, kind }): Frame => {
      const echo: Transport = { kind: 'icmpv4', type: ECHO.icmpv4, code: 0, rest: 1, data };
      const fragment = { identification: 1, dontFragment: true, moreFragments: false, fragmentOffset: 0 };
      const header = { tos: 0, ...fragment, ttl: left, options: new Uint8Array() };
      const payload = {
        kind: 'ipv4',
        source: from,
        destination: whither,
        ...header,
        payload: TRANSPORTS[kind] ?? echo,
      } as const;
      return { source, destination, vlans: [], payload };
    });
  const packet6 = fc
    .record({ source: mac, destination: to, from: ip6, whither: any6, ttl, kind: fc.nat(TRANSPORTS.length) })
    .map(({ source, destination, from, whither, ttl: hopLimit, kind }): Frame => {
      const echo: Transport = { kind: 'icmpv6', type: ECHO.icmpv6, code: 0, rest: 1, data };
      const header = { trafficClass: 0, flowLabel: 0, hopLimit, extensions: [] };
      const payload = {
        kind: 'ipv6',
        source: from,
        destination: whither,
        ...header,
        payload: TRANSPORTS[kind] ?? echo,
      } as const;
      return { source, destination, vlans: [], payload };
    });
  const question4 = fc.record({ senderMac: mac, senderIp: ip4, targetIp: any4 });
  const question6 = fc.record({ senderMac: mac, senderIp: ip6, targetIp: any6 });
  const neighbours = fc.oneof(
    question4.map(arpRequest),
    fc.record({ mac, ip: ip4, as: fc.constantFrom('request' as const, 'reply' as const) }).map(gratuitousArp),
    question6.map(neighborSolicitation),
    fc.record({ mac, target: ip6, router: fc.boolean() }).map(neighborAdvertisement),
    fc
      .record({ source: mac, from: ip6 })
      .map(({ source, from }) =>
        ndFrame(
          { source, destination: multicastMac(ALL_ROUTERS) },
          { source: from, destination: ALL_ROUTERS },
          { kind: 'routerSolicitation', options: [] },
        ),
      ),
  );
  const odd = fc.record({ source: mac, destination: to }).map((macsOf): Frame => {
    return { ...macsOf, vlans: [], payload: { kind: 'opaque', etherType: 0x88cc, bytes: data } };
  });
  const untagged = fc.oneof(
    { weight: 4, arbitrary: packet4 },
    { weight: 3, arbitrary: packet6 },
    { weight: 3, arbitrary: neighbours },
    odd,
  );
  const tag = fc.oneof(
    { weight: 9, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) },
  );
  return fc.tuple(untagged, tag).map(([frame, id]) => {
    return id === undefined
      ? frame
      : { ...frame, vlans: [{ etherType: 0x8100, id, priority: 0, dropEligible: false }] };
  });
}
