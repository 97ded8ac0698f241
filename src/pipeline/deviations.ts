/**
 * Where our flows are not those of Neutron's agent (21.0.0), and why. The parity tests set aside exactly what stands here, and
 * docs/PIPELINE.md prints it.
 */

export interface Deviation {
  readonly id: string;
  readonly neutron: string;
  readonly heddle: string;
  readonly why: string;
  /** Rules whose flows Neutron has no counterpart of: comparisons leave them out. */
  readonly additionalRules?: readonly string[];
}

export const DEVIATIONS: readonly Deviation[] = [
  {
    id: 'arp-requests-only',
    neutron: 'ARP responder matches any operation',
    heddle: 'matches arp_op=1 too',
    why: 'Replies and gratuitous ARPs must not be answered.',
  },
  {
    id: 'ip-spoof',
    neutron: "the source address of IP packets is the firewall's business: without one, a guest sends from any",
    heddle: 'additional rows in table 30 (priority 3 and 2), and in table 24 (priority 3) for neighbour advertisements',
    why: 'A spoofed address must go nowhere whatever the firewall; an advertisement skipped the checks of MAC and source.',
    additionalRules: ['ip-spoof'],
  },
  {
    id: 'arp-for-local',
    neutron: 'an ARP request for a port on the same host is flooded to every tunnel as well',
    heddle: 'additional rows in table 21 drop it there',
    why: 'ARP between known guests never appears on a tunnel; who could answer has been asked on br-int.',
    additionalRules: ['arp-for-local'],
  },
  {
    id: 'flood-order',
    neutron: 'flood outputs in no order',
    heddle: 'sorted by ofport',
    why: 'Equal inputs, equal bytes.',
  },
  {
    id: 'flood-of-deleted-tunnel',
    neutron: 'without l2population, a deleted tunnel leaves its ofport in the flood outputs of table 22 (quirk Q9)',
    heddle: 'the flood goes to tunnels that exist',
    why: 'Output to a port that is gone is dead weight, and wrong as soon as the number is used again.',
  },
];
