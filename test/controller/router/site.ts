/**
 * A small site for the tests of the slow path: router r1 between networks blue (10.0.0.0/24, fd00::/64) and green
 * (10.0.1.0/24), router r2 on green too; guests on two hosts. And effects as text.
 */

import type { RouterEffect } from '../../../src/controller/router/effects.ts';
import type { GuestPort, RoutedNetwork, RouterModel } from '../../../src/controller/router/model.ts';
import { type Ip, ipFromText, ipToText, macFromText, macToText, prefixFromText } from '../../../src/lib/addresses.ts';
import { decodePacket } from '../../../src/packet/decode.ts';
import { encodePacket } from '../../../src/packet/encode.ts';
import type { Frame, Payload, Transport } from '../../../src/packet/packet.ts';

export const MACS = {
  r1blue: macFromText('fa:16:3e:01:00:01'),
  r1green: macFromText('fa:16:3e:01:00:02'),
  r2green: macFromText('fa:16:3e:02:00:02'),
  b1: macFromText('fa:16:3e:0b:00:01'),
  g1: macFromText('fa:16:3e:06:00:01'),
  g2: macFromText('fa:16:3e:06:00:02'),
  vrrp: macFromText('00:00:5e:00:01:01'),
} as const;

export const ip4 = (text: string): number => Number(ipFromText(text));
export const ip6 = (text: string): bigint => BigInt(ipFromText(text));

const PREFIX6 = prefixFromText('fd00::/64');

export const BLUE: RoutedNetwork = {
  networkId: 'blue',
  mtu: 1450,
  interfaces: [
    {
      routerId: 'r1',
      macAddress: MACS.r1blue,
      addresses: [
        { ip: ip4('10.0.0.1'), prefix: prefixFromText('10.0.0.0/24') },
        {
          ip: ip6('fd00::1'),
          prefix: PREFIX6,
          advertised: { prefix: PREFIX6, raMode: 'slaac', dnsServers: [] },
        },
      ],
    },
  ],
};
export const GREEN: RoutedNetwork = {
  networkId: 'green',
  mtu: 1400,
  interfaces: [
    {
      routerId: 'r1',
      macAddress: MACS.r1green,
      addresses: [{ ip: ip4('10.0.1.1'), prefix: prefixFromText('10.0.1.0/24') }],
    },
    {
      routerId: 'r2',
      macAddress: MACS.r2green,
      addresses: [{ ip: ip4('10.0.1.2'), prefix: prefixFromText('10.0.1.0/24') }],
    },
  ],
};

const pair = (text: string, macAddress: number) => ({ prefix: prefixFromText(text), macAddress });

export const PORTS: readonly GuestPort[] = [
  { portId: 'b1', host: 'node1', ofport: 1, networkId: 'blue', allowed: [pair('10.0.0.11', MACS.b1)] },
  {
    portId: 'g1',
    host: 'node1',
    ofport: 2,
    networkId: 'green',
    allowed: [pair('10.0.1.11', MACS.g1), pair('10.0.1.100', MACS.g1), pair('10.0.1.100', MACS.vrrp)],
  },
  {
    portId: 'g2',
    host: 'node2',
    ofport: 5,
    networkId: 'green',
    allowed: [pair('10.0.1.12', MACS.g2), pair('10.0.1.100', MACS.g2)],
  },
  { portId: 'open', host: 'node2', ofport: 6, networkId: 'green', allowed: 'any' },
];
const KNOWN = new Set([
  'blue 10.0.0.1',
  'blue 10.0.0.11',
  'green 10.0.1.1',
  'green 10.0.1.2',
  'green 10.0.1.11',
  'green 10.0.1.12',
]);

export interface ModelOptions {
  readonly networks?: readonly RoutedNetwork[];
  readonly ports?: readonly GuestPort[];
  /** `network address`, beside the usual ones. */
  readonly known?: readonly string[];
}

export function modelOf({ networks = [BLUE, GREEN], ports = PORTS, known = [] }: ModelOptions = {}): RouterModel {
  return {
    network: (networkId) => networks.find((one) => one.networkId === networkId),
    places: (networkId) =>
      ['node1', 'node2'].flatMap((host) => {
        const ofports = ports
          .filter((one) => one.host === host && one.networkId === networkId)
          .map(({ ofport }) => ofport);
        return ofports.length === 0 ? [] : [{ host, ofports }];
      }),
    portAt: (host, ofport) => ports.find((one) => one.host === host && one.ofport === ofport),
    isSeen: (host) => host !== 'unseen',
    isKnown: (networkId, ip) => [...KNOWN, ...known].includes(`${networkId} ${ipToText(ip)}`),
  };
}

const IPV4 = {
  kind: 'ipv4',
  tos: 0,
  identification: 0,
  dontFragment: true,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 64,
  options: new Uint8Array(),
} as const;
const IPV6 = { kind: 'ipv6', trafficClass: 0, flowLabel: 0, hopLimit: 255, extensions: [] } as const;
export const UDP: Transport = { kind: 'udp', sourcePort: 40_000, destinationPort: 9, data: new Uint8Array([1]) };

export interface Changes extends Partial<Frame> {
  readonly sourceIp?: number;
}

/** From guest b1 to router r1, unless told otherwise. */
export function fromB1(destination: Ip, transport: Transport = UDP, changes: Changes = {}): Uint8Array {
  const { sourceIp = ip4('10.0.0.11'), ...macs } = changes;
  const payload: Payload =
    typeof destination === 'number'
      ? { ...IPV4, source: sourceIp, destination, payload: transport }
      : { ...IPV6, source: ip6('fd00::11'), destination, payload: transport };
  return encodePacket({ destination: MACS.r1blue, source: MACS.b1, vlans: [], payload, ...macs });
}

/** Effects in a line each. */
export function show(effects: readonly RouterEffect[]): string[] {
  return effects.map((effect) => {
    switch (effect.type) {
      case 'send':
        return `send ${effect.host} ${effect.ofports}: ${showFrame(decodePacket(effect.packet))}`;
      case 'setNeighbour': {
        const { networkId, ip, mac, portId, host, ofport } = effect.neighbour;
        return `set ${networkId} ${ipToText(ip)} ${macToText(mac)} ${portId} ${host} ${ofport}`;
      }
      case 'unsetNeighbour':
        return `unset ${effect.networkId} ${ipToText(effect.ip)}`;
      case 'release':
        return `release ${effect.host} ${effect.ofport}: ${showFrame(decodePacket(effect.packet))}`;
      case 'releaseAtGateway':
      case 'unreachableFromGateway': {
        const { host, routerId, packet } = effect.packet;
        return `${effect.type} ${host} ${routerId}: ${showFrame(decodePacket(packet))}`;
      }
      default:
        return `refused ${effect.host} ${effect.networkId}: ${effect.refusal}`;
    }
  });
}

function showFrame({ source, destination, payload }: Frame): string {
  return `${macToText(source)} > ${macToText(destination)} ${showPayload(payload)}`;
}

function showPayload(payload: Payload): string {
  switch (payload.kind) {
    case 'arp':
      return `arp ${payload.operation} ${ipToText(payload.senderIp)} ${ipToText(payload.targetIp)}`;
    case 'opaque':
      return 'opaque';
    default: {
      const { source, destination, payload: transport } = payload;
      return `${ipToText(source)} > ${ipToText(destination)} ${showTransport(transport)}`;
    }
  }
}

function showTransport(transport: Transport): string {
  switch (transport.kind) {
    case 'icmpv4':
    case 'icmpv6':
      return `${transport.kind} ${transport.type}/${transport.code} ${transport.rest}`;
    case 'neighborSolicitation':
      return `solicits ${ipToText(transport.target)}`;
    case 'routerAdvertisement':
      return `advertises ${transport.lifetimeS} s`;
    case 'tcp':
      return `tcp ${transport.flags}`;
    default:
      return transport.kind;
  }
}
