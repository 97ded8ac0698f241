/**
 * What a guest's port may send (port security): its own MACs, its own addresses, and its own answers to "who has". Neutron
 * holds MAC and ARP and NA in flows, and leaves the source address of IP packets to its firewall; heddle holds that in flows too.
 */
import { linkLocalOf, type Prefix } from '../lib/addresses.ts';
import { drop } from './actions.ts';
import { brInt } from './br-int.ts';
import { type Entity, goto } from './language.ts';
import { arp, type FlowMatch, type ICMPV6, icmpv6, ipv4, ipv6, udp4, within } from './match.ts';

const { rules } = brInt;

/** A MAC and a prefix that a port may send from together. */
export interface AddressPair {
  readonly macAddress: number;
  readonly prefix: Prefix;
}

/** A plugged port with port security. */
export interface GuardedPort extends Entity {
  readonly ofport: number;
  /** The port's own first. Without repetition. */
  readonly macAddresses: readonly number[];
  /** Fixed addresses and allowed address pairs. */
  readonly pairs: readonly AddressPair[];
}

/** The address families of a port's pairs, apart; `null`: a pair of length 0 allows every address. */
interface Families {
  readonly ipv4: readonly AddressPair[] | null;
  readonly ipv6: readonly AddressPair[] | null;
}

function familiesOf(port: GuardedPort): Families {
  const ipv4Pairs = port.pairs.filter((pair) => typeof pair.prefix.address === 'number');
  const ipv6Pairs = port.pairs.filter((pair) => typeof pair.prefix.address === 'bigint');
  return { ipv4: closed(ipv4Pairs), ipv6: closed(ipv6Pairs) };
}

const closed = (pairs: readonly AddressPair[]) => (pairs.some((pair) => pair.prefix.length === 0) ? null : pairs);

/** Not the length of a prefix: it decides whether there is a mask, and whether anything is held at all. */
const holes = { ofport: 32, macAddresses: 48, macAddress: 48, address: 'address' } as const;

const linkLocalPairs = (port: GuardedPort): readonly AddressPair[] =>
  port.macAddresses.map((macAddress) => ({ macAddress, prefix: { address: linkLocalOf(macAddress), length: 128 } }));

export const macSpoof = rules(
  'mac-spoof',
  {
    cases: {
      LOCAL_SWITCHING: 'From a guest.',
      MAC_SPOOF: 'From a guest, from a MAC that it may use.',
    },
    holes,
  },
  (port: GuardedPort, table) => [
    table.LOCAL_SWITCHING(9, { inPort: port.ofport }, goto('MAC_SPOOF')),
    ...port.macAddresses.map((mac) => table.MAC_SPOOF(2, { inPort: port.ofport, ethSrc: mac }, goto('LOCAL_EGRESS'))),
  ],
);

export const arpSpoof = rules(
  'arp-spoof',
  {
    cases: {
      LOCAL_SWITCHING: 'ARP from a guest.',
      ARP_SPOOF: 'ARP from a guest, with a sender address that is its own.',
    },
    holes,
  },
  (port: GuardedPort, table) => {
    const { ipv4: pairs } = familiesOf(port);
    if (pairs === null) return [];
    return [
      table.LOCAL_SWITCHING(10, arp({ inPort: port.ofport }), goto('ARP_SPOOF')),
      ...pairs.map(({ prefix }) =>
        table.ARP_SPOOF(2, arp({ inPort: port.ofport, arpSpa: within(prefix) }), goto('MAC_SPOOF')),
      ),
    ];
  },
);

/** Neutron gives up on advertisements as soon as either family is open, and so do we. */
export const advertisementSpoof = rules(
  'na-spoof',
  {
    cases: {
      LOCAL_SWITCHING: 'An IPv6 neighbour advertisement from a guest.',
      ARP_SPOOF: 'A neighbour advertisement from a guest, for an address that is its own.',
    },
    holes,
  },
  (port: GuardedPort, table) => {
    const { ipv4: ipv4Pairs, ipv6: pairs } = familiesOf(port);
    if (ipv4Pairs === null || pairs === null) return [];
    return [
      table.LOCAL_SWITCHING(10, advertisement(port), goto('ARP_SPOOF')),
      ...[...pairs, ...linkLocalPairs(port)].map(({ prefix }) =>
        table.ARP_SPOOF(2, advertisement(port, { ndTarget: within(prefix) }), goto('PACKET_RATE_LIMIT')),
      ),
    ];
  },
);

const advertisement = (port: GuardedPort, match: FlowMatch = {}): FlowMatch =>
  icmpv6('neighbourAdvertisement', { inPort: port.ofport, ...match });

/** What a guest sends before it has an address, from `::`: duplicate detection, router solicitation, listener reports. */
const FROM_NOWHERE = [
  'neighbourSolicitation',
  'routerSolicitation',
  'multicastListenerReport',
  'multicastListenerReportV2',
] as const satisfies readonly (keyof typeof ICMPV6)[];

/** Not Neutron's: see deviations.ts. */
export const ipSpoof = rules(
  'ip-spoof',
  {
    cases: {
      ARP_SPOOF: 'The same advertisement, on its way to the checks of MAC and source address.',
      LOCAL_EGRESS:
        'IP from a guest: from an address of its own, or from none while it asks for one; all else is dropped.',
    },
    holes,
  },
  (port: GuardedPort, table) => {
    const inPort = port.ofport;
    const { ipv4: ipv4Pairs, ipv6: ipv6Pairs } = familiesOf(port);
    const onward = goto('PACKET_RATE_LIMIT');
    const ownIpv6 = ipv6Pairs === null ? [] : [...ipv6Pairs, ...linkLocalPairs(port)];
    return [
      ...(ipv4Pairs === null
        ? []
        : [
            ...ipv4Pairs.map(({ macAddress, prefix }) =>
              table.LOCAL_EGRESS(3, ipv4({ inPort, ethSrc: macAddress, ipv4Src: within(prefix) }), onward),
            ),
            table.LOCAL_EGRESS(3, udp4({ inPort, ipv4Src: 0, udpSrc: 68, udpDst: 67 }), onward),
            table.LOCAL_EGRESS(2, ipv4({ inPort }), drop),
          ]),
      ...ownIpv6.map(({ macAddress, prefix }) =>
        table.LOCAL_EGRESS(3, ipv6({ inPort, ethSrc: macAddress, ipv6Src: within(prefix) }), onward),
      ),
      ...(ipv6Pairs === null
        ? []
        : [
            ...FROM_NOWHERE.map((type) => table.LOCAL_EGRESS(3, icmpv6(type, { inPort, ipv6Src: 0n }), onward)),
            table.LOCAL_EGRESS(2, ipv6({ inPort }), drop),
          ]),
      ...(ipv4Pairs === null ? [] : ownIpv6).map(({ prefix }) =>
        table.ARP_SPOOF(3, advertisement(port, { ndTarget: within(prefix) }), goto('MAC_SPOOF')),
      ),
    ];
  },
);
