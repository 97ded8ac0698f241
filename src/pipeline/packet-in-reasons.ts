/**
 * Why br-int sends a packet to the controller, each reason with a meter of its own, so that no kind of packet can crowd out
 * another, nor the controller. Serves the router's rules, which name a reason; the installer, which keeps the meters; and the
 * controller, which tells by a packet's userdata why it came (NXT_PACKET_IN2, ovs-actions(7) "controller").
 */
import { METER_FLAGS, type Meter } from '../flow/meter.ts';
import type { PlainAction } from './actions.ts';
import type { DesiredMeter } from './origin.ts';

export interface PacketInReason {
  /** Meter id on br-int, OpenFlow 1.3.5 §5.7. Fixed for ever: an unchanged restart finds its own. Userdata has it too. */
  readonly id: number;
  /** Packets a second that pass on one host. */
  readonly ratePktps: number;
  /** Packets that may pass at once after a silence. */
  readonly burstPackets: number;
  /** What the controller does. For docs/PIPELINE.md. */
  readonly answers: string;
}

export const PACKET_IN_REASONS = {
  timeExceeded: {
    id: 1,
    ratePktps: 100,
    burstPackets: 100,
    answers: 'ICMP time exceeded: the TTL is used up at a router.',
  },
  ownAddress: {
    id: 2,
    ratePktps: 100,
    burstPackets: 100,
    answers:
      "ICMP port unreachable, or a TCP reset: it was sent to a router's own address. An echo reply, where the request came in fragments.",
  },
  noRoute: {
    id: 3,
    ratePktps: 100,
    burstPackets: 100,
    answers: 'ICMP network unreachable: the router has no route there.',
  },
  resolve: {
    id: 4,
    ratePktps: 200,
    burstPackets: 200,
    answers: 'Asks for the next hop by ARP or neighbour solicitation, and holds the packet until it is known.',
  },
  watch: {
    id: 5,
    ratePktps: 500,
    burstPackets: 500,
    answers: 'Learns where an address is: an ARP or neighbour advertisement for one that no port has for its own.',
  },
  routerSolicitation: {
    id: 6,
    ratePktps: 100,
    burstPackets: 100,
    answers: 'A router advertisement.',
  },
  tooBig: {
    id: 7,
    ratePktps: 500,
    burstPackets: 500,
    answers:
      'ICMP fragmentation needed, or packet too big: it does not fit into the network that it would go to. IPv4 that may be cut up goes back into the tables in pieces.',
  },
  echo: {
    id: 8,
    ratePktps: 200,
    burstPackets: 200,
    answers:
      'Gives a ping another identifier: behind its gateway, another guest pings the same receiver with the same one.',
  },
} as const satisfies Readonly<Record<string, PacketInReason>>;

export type PacketInReasonName = keyof typeof PACKET_IN_REASONS;

/** The meters of all reasons, for a host whose flows name them. */
export function packetInMeters(object: string): readonly DesiredMeter[] {
  return Object.values(PACKET_IN_REASONS).map((reason) => ({
    meter: meterOf(reason),
    origin: { rule: 'packet-in-meter', object },
  }));
}

function meterOf({ id, ratePktps, burstPackets }: PacketInReason): Meter {
  const bands = [{ type: 'drop', rate: ratePktps, burstSize: burstPackets }] as const;
  return { meter: id, flags: METER_FLAGS.pktps | METER_FLAGS.burst, bands };
}

/** In every userdata of ours: "HD", then the version of this layout, then the reason's id. */
const MARKER = [0x48, 0x44, 0x01] as const;

/** Whole frames: the controller quotes them, holds them and sends them on. */
const MAX_LENGTH = 0xffff;

/** The packet as it is now goes to the controller, if the reason's meter lets it; what follows happens in any case. */
export function toController(reason: PacketInReasonName): PlainAction {
  const { id } = PACKET_IN_REASONS[reason];
  return { type: 'controller', maxLength: MAX_LENGTH, userdata: Uint8Array.from([...MARKER, id]), meter: id };
}

/** The reason in a packet-in's userdata; undefined: it is not of ours. */
export function packetInReasonOf(userdata: Uint8Array): PacketInReasonName | undefined {
  if (userdata.length !== MARKER.length + 1 || MARKER.some((byte, index) => userdata[index] !== byte)) return undefined;
  const id = userdata[MARKER.length];
  const names = Object.keys(PACKET_IN_REASONS) as PacketInReasonName[];
  return names.find((name) => PACKET_IN_REASONS[name].id === id);
}
