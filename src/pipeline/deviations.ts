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
  {
    id: 'host-macs-of-tunnels',
    neutron: 'rows for the MAC of every other host (br-int table 0, priority 2; br-tun table 9)',
    heddle: 'rows for the MACs of hosts to which there is a tunnel',
    why: "A host's frames come by the tunnel from it. A site of 1,000 hosts has 2 million rows less, and a host that joins changes only its peers.",
  },
  {
    id: 'arp-for-routers-alone',
    neutron: 'ARP is answered for the guests of every network that a host has',
    heddle: 'not where a host has a network for a router alone, whose tables know the MACs of its guests',
    why: 'Nobody there asks. Should somebody, the request is flooded, and the guest answers.',
  },
  {
    id: 'guest-vlan',
    neutron:
      "a guest's tagged frame meets the rows of table 60 that match local VLANs: a guest reaches those of other networks",
    heddle: 'an additional row in table 60 (priority 25) for each guest, on hosts that may route',
    why: 'Networks without a common router never reach each other, whatever a guest sends.',
    additionalRules: ['guest-vlan'],
  },
  {
    id: 'routed-by-wire-alone',
    neutron: 'rows of table 60 for guests of VLAN networks match a VLAN of the wire, wherever the frame comes from',
    heddle: 'they match in_port=int-br-X too',
    why: 'The same number may be a local VLAN of another network on the host.',
  },
  {
    id: 'leaked-answers',
    neutron: 'rows in tables 3 and 4 stay behind when a port of a router goes (quirk Q1)',
    heddle: 'they go with the port',
    why: 'Output to a port that is gone is dead weight, and wrong as soon as the number is used again.',
  },
  {
    id: 'unreachable-drops',
    neutron:
      'drops of gateway ARP and advertisements in table 22 of physical bridges, to which no row leads (quirk Q2)',
    heddle: 'not there',
    why: 'They say something that is not so.',
  },
  {
    id: 'answers-by-wire',
    neutron:
      'table 4 matches the local VLAN while frames still wear the VLAN of the wire, and the row of priority 99 lets it pass as a local VLAN (quirk Q3)',
    heddle: 'both match the VLAN of the wire, and the second one translates it',
    why: "Else a router's port on a VLAN network never gets an answer from another host.",
  },
  {
    id: 'routers-of-two-families',
    neutron:
      'a second interface on a network takes over the rows of the first, and takes them along when it goes (quirk Q5)',
    heddle:
      'the rows of the first stay; additional rows, one priority above, are for IPv6 where it has an interface of its own',
    why: 'Each family gets the MAC of its own router, in whichever order interfaces come and go.',
    additionalRules: ['ipv6-by-tunnel', 'ipv6-by-provider', 'ipv6-answer-by-tunnel', 'ipv6-answer-by-provider'],
  },
  {
    id: 'two-routers-on-a-subnet',
    neutron: 'one gateway MAC for each subnet, whichever router a frame came through',
    heddle: 'the same between hosts: the router with the lowest id; on one host each router shows its own MAC',
    why: 'Between hosts a frame says which host routed it, and nothing says which router. The doctor and the log name the subnets.',
  },
  {
    id: 'router-tables',
    neutron: 'routers are namespaces',
    heddle: 'routers with dataplane: flows are tables 32 to 40 of br-int, where table 60 sends what their guests send',
    why: 'No namespace, no process and no port for a router. Between hosts it is the same distributed routing.',
  },
  {
    id: 'ways-outside',
    neutron: 'floating IPs and gateways are namespaces with ports of their own, which NORMAL delivers to',
    heddle:
      'additional rows in table 0 (priority 6 and 5), 1 and 2 (priority 20), 60 (priority 23) for routers that are flows',
    why: 'What is for a floating IP or a gateway has no port to go to: it goes to the tables of routers.',
    additionalRules: [
      'outside-mac',
      'arp-from-outside',
      'nd-from-outside',
      'gateway-announced',
      'to-gateway-from-other-host',
      'routed-to-gateway-by-tunnel',
      'routed-to-gateway-by-provider',
    ],
  },
  {
    id: 'gateways-without-vrrp',
    neutron:
      'gateways of one router choose among themselves by VRRP (keepalived), and who takes over announces itself by ARP',
    heddle:
      'BFD on tunnels and groups choose: additional rows in table 0 of br-int (priority 9 and 8) and br-tun (priority 3 and 2); table 30 of br-tun makes announcements of BFD packets',
    why: 'Without namespaces nobody runs VRRP; and all of it goes on while no controller runs.',
    additionalRules: [
      'served-here',
      'whom-to-announce',
      'announced',
      'who-serves',
      'gateway-fdb',
      'send-back-bfd',
      'announce',
    ],
  },
  {
    id: 'outside-on-wire',
    neutron: "a frame in another host's MAC goes straight to br-int, on every physical bridge (table 3)",
    heddle: 'an additional row (priority 3): on the wire of an external network it is switched as any other',
    why: "A floating IP is at its host's MAC; what is plugged into the physical bridge beside us must hear of it too.",
    additionalRules: ['outside-on-wire'],
  },
  {
    id: 'from-floating-ip-elsewhere',
    neutron: "table 2 drops what comes by a physical network in another host's MAC and is for no guest of a router",
    heddle: 'an additional row (priority 10) for external networks, which goes on as provider traffic does',
    why: "A floating IP is at its host's MAC, and speaks with guests that are plugged into the external network itself.",
    additionalRules: ['from-floating-ip-elsewhere'],
  },
];
