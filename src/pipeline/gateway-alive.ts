/**
 * What BFD packets do where routers have several gateway hosts: a flow sends them back, so that who asked knows that this host
 * lives and has its flows; and a gateway host makes of a few of them the frames by which it says outside where it is, while it
 * serves. Beside gateway-failover.ts, which chooses who serves.
 *
 *     br-tun  a tunnel ─ LOCAL_SWITCHING, back by the tunnel ─ ANNOUNCE, a few a second ─ br-int
 *     br-int  for each router: who serves? ─ br-tun's group ─ if this host does: the router's MAC, onto the wire outside
 *
 * A gateway has one MAC, whichever host it is on; what switches outside must learn is where that is. Any frame from that MAC
 * tells them, as the advertisements of VRRP do (RFC 5798 §8.1.2). Open vSwitch sends nothing of its own accord but BFD.
 */

import { METER_FLAGS } from '../flow/meter.ts';
import { macFromText } from '../lib/addresses.ts';
import { backToSender, drop, output, type PlainAction, pushVlan, setEthDst, setEthSrc } from './actions.ts';
import { brInt } from './br-int.ts';
import { brTun } from './br-tun.ts';
import { NO_MARK, setMark } from './gateway-failover.ts';
import { type Entity, goto } from './language.ts';
import { BROADCAST, udp4 } from './match.ts';
import type { DesiredMeter } from './origin.ts';

/** Where BFD packets go, and how they come back: to these MACs, by which either end tells its own from those of the other. */
export const BFD_MACS = { asking: '0e:48:44:00:00:01', answering: '0e:48:44:00:00:02' } as const;

/** RFC 5881 §4. */
const BFD_PORT = 3784;

/** The bridge of a site where routers have several gateway hosts. */
export interface BfdBridge extends Entity {
  /** It is a gateway host's. */
  readonly announces: boolean;
}

export const sendBackBfd = brTun.rules(
  'send-back-bfd',
  { cases: { LOCAL_SWITCHING: 'Another host asks by BFD whether this one has its flows: this one says so.' } },
  ({ announces }: BfdBridge, table) => [
    table.LOCAL_SWITCHING(
      3,
      // What comes from br-int has a tag.
      udp4({ vlan: 'untagged', ethDst: macFromText(BFD_MACS.asking), udpDst: BFD_PORT }),
      setEthDst(macFromText(BFD_MACS.answering)),
      backToSender,
      announces ? goto('ANNOUNCE') : drop,
    ),
  ],
);

/** Of br-tun; fixed for ever: an unchanged restart finds its own. */
const ANNOUNCEMENTS_METER = 1;
/** From however many hosts BFD packets come: a host that takes over has said so within half a second. */
const ANNOUNCEMENTS_PER_S = 2;

/** Through which a gateway host's announcements pass. */
export const announcementsMeter = (object: string): DesiredMeter => ({
  meter: {
    meter: ANNOUNCEMENTS_METER,
    flags: METER_FLAGS.pktps | METER_FLAGS.burst,
    bands: [{ type: 'drop', rate: ANNOUNCEMENTS_PER_S, burstSize: ANNOUNCEMENTS_PER_S }],
  },
  origin: { rule: 'announce', object },
});

/** A gateway host. */
export interface AnnouncingHost extends Entity {
  readonly patchInt: number;
}

export const announce = brTun.rules(
  'announce',
  { cases: { ANNOUNCE: 'A few of them a second: to br-int, which asks for each router whether this host serves.' } },
  ({ patchInt }: AnnouncingHost, table) => [
    table.ANNOUNCE(0, {}, { type: 'meter', meter: ANNOUNCEMENTS_METER }, output(patchInt)),
  ],
);

/** The routers that a host announces. */
export interface AnnouncedRouters extends Entity {
  readonly patchTun: number;
  readonly routerKeys: readonly number[];
}

/** A BFD packet that has been sent back, in br-int. */
const fromBfd = (patchTun: number) =>
  udp4({ inPort: patchTun, vlan: 'untagged', ethDst: macFromText(BFD_MACS.answering), udpDst: BFD_PORT });

export const whomToAnnounce = brInt.rules(
  'whom-to-announce',
  {
    cases: {
      LOCAL_SWITCHING:
        'A BFD packet: for each router with several gateways, does this host serve? It comes back where it does.',
    },
  },
  ({ patchTun, routerKeys }: AnnouncedRouters, table) => [
    table.LOCAL_SWITCHING(
      9,
      { ...fromBfd(patchTun), pktMark: 0 },
      routerKeys.flatMap((key) => [setMark(key), backToSender]),
    ),
    table.LOCAL_SWITCHING(8, fromBfd(patchTun), drop),
  ],
);

/** A gateway of several, on a host that has its external network. */
export interface AnnouncedGateway extends Entity {
  readonly routerKey: number;
  readonly patchTun: number;
  /** Of the external network. */
  readonly localVlan: number;
  /** int-br-X. */
  readonly ofport: number;
  readonly macAddress: number;
  /** The gateway's own; 0.0.0.0 where it has none of IPv4. */
  readonly ip: number;
}

/** IANA, service names: discard (RFC 863). Nobody answers what was sent to everyone (RFC 1122 §3.2.2). */
const DISCARD_PORT = 9;
const EVERYONE_HERE = 0xffff_ffff;

export const announced = brInt.rules(
  'announced',
  {
    cases: {
      LOCAL_SWITCHING:
        "Back from there: this host serves. What is left of the packet goes outside in the gateway's MAC and address, to everyone, for nobody.",
    },
  },
  ({ routerKey, patchTun, localVlan, ofport, macAddress, ip }: AnnouncedGateway, table) => [
    table.LOCAL_SWITCHING(
      9,
      { ...fromBfd(patchTun), pktMark: routerKey },
      NO_MARK,
      setEthSrc(macAddress),
      setEthDst(BROADCAST),
      ...asGateway(ip),
      pushVlan(localVlan),
      output(ofport),
    ),
  ],
);

/** No address from inside is ever seen outside, those of BFD (169.254.0.0/16) neither. It goes no further than the wire. */
const asGateway = (ip: number): readonly PlainAction[] => [
  { type: 'setField', field: 'ipv4Src', value: ip },
  { type: 'setField', field: 'ipv4Dst', value: EVERYONE_HERE },
  { type: 'setTtl', ttl: 1 },
  { type: 'setField', field: 'udpDst', value: DISCARD_PORT },
];
