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

/** What a guest chooses from: its own addresses mostly, and whomever it may want to speak to. */
interface Choices {
  readonly mac: fc.Arbitrary<number>;
  readonly ip4: fc.Arbitrary<number>;
  readonly ip6: fc.Arbitrary<bigint>;
  readonly toMac: fc.Arbitrary<number>;
  readonly toIp4: fc.Arbitrary<number>;
  readonly toIp6: fc.Arbitrary<bigint>;
}

function choicesOf(topology: Topology, port: Port): Choices {
  const { macs, ipv4, ipv6 } = addressesOf(topology);
  const own4 = port.fixedIps.flatMap(({ ipAddress }) => (typeof ipAddress === 'number' ? [ipAddress] : []));
  const own6 = port.fixedIps.flatMap(({ ipAddress }) => (typeof ipAddress === 'bigint' ? [ipAddress] : []));
  const mostly = <T>(own: readonly T[], any: readonly T[]): fc.Arbitrary<T> =>
    own.length === 0
      ? fc.constantFrom(...any)
      : fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...own) }, { weight: 1, arbitrary: fc.constantFrom(...any) });
  const gateways = [...topology.routers.values()]
    .flatMap(({ interfaces }) => interfaces)
    .flatMap(({ networkId, macAddress }) => (networkId === port.networkId ? macAddress : []));
  const peers = [...topology.ports.values()].flatMap((one) => (one.networkId === port.networkId ? one.macAddress : []));
  return {
    mac: mostly([port.macAddress], macs),
    ip4: mostly(own4, ipv4),
    ip6: mostly([...own6, linkLocalOf(port.macAddress)], ipv6),
    toMac: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...(gateways.length > 0 ? gateways : macs)) },
      { weight: 3, arbitrary: fc.constantFrom(...peers) },
      { weight: 2, arbitrary: fc.constantFrom(...macs) },
      { weight: 1, arbitrary: fc.constantFrom(BROADCAST_MAC, multicastMac(ALL_NODES)) },
    ),
    toIp4: fc.constantFrom(...ipv4),
    toIp6: fc.constantFrom(...ipv6),
  };
}

const ttl = fc.constantFrom(64, 64, 64, 64, 64, 1);
/** One beyond the end of TRANSPORTS: an echo request. */
const kind = fc.nat(TRANSPORTS.length);

function ipv4Frame({ mac, toMac, ip4, toIp4 }: Choices): fc.Arbitrary<Frame> {
  const macs = fc.record({ source: mac, destination: toMac });
  return fc
    .record({ macs, source: ip4, destination: toIp4, ttl, kind })
    .map(({ macs: of, source, destination, ttl: left, kind: index }) => {
      const echo: Transport = { kind: 'icmpv4', type: ECHO.icmpv4, code: 0, rest: 1, data };
      const fragment = { identification: 1, dontFragment: true, moreFragments: false, fragmentOffset: 0 };
      const header = { tos: 0, ...fragment, ttl: left, options: new Uint8Array() };
      const payload = { kind: 'ipv4', source, destination, ...header, payload: TRANSPORTS[index] ?? echo } as const;
      return { ...of, vlans: [], payload };
    });
}

function ipv6Frame({ mac, toMac, ip6, toIp6 }: Choices): fc.Arbitrary<Frame> {
  const macs = fc.record({ source: mac, destination: toMac });
  return fc
    .record({ macs, source: ip6, destination: toIp6, ttl, kind })
    .map(({ macs: of, source, destination, ttl: hopLimit, kind: index }) => {
      const echo: Transport = { kind: 'icmpv6', type: ECHO.icmpv6, code: 0, rest: 1, data };
      const header = { trafficClass: 0, flowLabel: 0, hopLimit, extensions: [] };
      const payload = { kind: 'ipv6', source, destination, ...header, payload: TRANSPORTS[index] ?? echo } as const;
      return { ...of, vlans: [], payload };
    });
}

/** ARP and neighbour discovery. */
function neighbourFrame({ mac, ip4, ip6, toIp4, toIp6 }: Choices): fc.Arbitrary<Frame> {
  const groupMac = multicastMac(ALL_ROUTERS);
  return fc.oneof(
    fc.record({ senderMac: mac, senderIp: ip4, targetIp: toIp4 }).map(arpRequest),
    fc.record({ mac, ip: ip4, as: fc.constantFrom('request' as const, 'reply' as const) }).map(gratuitousArp),
    fc.record({ senderMac: mac, senderIp: ip6, targetIp: toIp6 }).map(neighborSolicitation),
    fc.record({ mac, target: ip6, router: fc.boolean() }).map(neighborAdvertisement),
    fc.record({ source: mac, from: ip6 }).map(({ source, from }) => {
      const ips = { source: from, destination: ALL_ROUTERS };
      return ndFrame({ source, destination: groupMac }, ips, { kind: 'routerSolicitation', options: [] });
    }),
  );
}

/** A frame of a port's guest. */
export function guestFrame(topology: Topology, port: Port): fc.Arbitrary<Frame> {
  const choices = choicesOf(topology, port);
  const odd = fc.record({ source: choices.mac, destination: choices.toMac }).map((macs): Frame => {
    return { ...macs, vlans: [], payload: { kind: 'opaque', etherType: 0x88cc, bytes: data } };
  });
  const untagged = fc.oneof(
    { weight: 4, arbitrary: ipv4Frame(choices) },
    { weight: 3, arbitrary: ipv6Frame(choices) },
    { weight: 3, arbitrary: neighbourFrame(choices) },
    { weight: 1, arbitrary: odd },
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
