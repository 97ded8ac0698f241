/**
 * A guest that lies: about its MAC, its addresses, other people's addresses, its VLAN. Nothing of it reaches a guest on the
 * same host or on another; a port without port security may say what it likes, which shows that the lies are well told.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { advertisementFrame, arpFrame, BROADCAST, tagged, udpFrame } from '../../scripts/support/lab/frames.ts';
import type { Guest } from '../../scripts/support/lab/guest.ts';
import { controlFrame, sendAndSee, TEST_PORT, untilAnswered } from '../support/reach.ts';
import { macOf, Site, type SitePort } from '../support/site.ts';

const STRANGER_MAC = 'fa:16:3e:99:99:99';
const STRANGER_IP = '10.0.0.99';
const ALL_NODES = { destination: '33:33:00:00:00:01', destinationIp: 'ff02::1' };

function port(id: string, host: string, number: number, further: object = {}): SitePort {
  const fixedIps = [`10.0.0.${number}`, `fd00::${number}`];
  return { id, network: 'blue', host, mac_address: macOf(number), fixed_ips: fixedIps, ...further };
}

interface Lie {
  readonly about: string;
  /** What `liar` sends about itself to `victim`, naming `peer` where it names somebody else. */
  readonly frames: (liar: Guest, victim: Guest, peer: Guest) => readonly Buffer[];
}

const udp = { destinationPort: TEST_PORT };

const LIES: readonly Lie[] = [
  {
    about: 'its MAC',
    frames: (liar, victim, peer) => [
      udpFrame({ ...udp, source: STRANGER_MAC, destination: victim.mac, sourceIp: liar.ip, destinationIp: victim.ip }),
      udpFrame({ ...udp, source: peer.mac, destination: victim.mac, sourceIp: liar.ip, destinationIp: victim.ip }),
    ],
  },
  {
    about: 'its IPv4 address',
    frames: (liar, victim, peer) =>
      [STRANGER_IP, peer.ip].map((sourceIp) =>
        udpFrame({ ...udp, source: liar.mac, destination: victim.mac, sourceIp, destinationIp: victim.ip }),
      ),
  },
  {
    about: "another's MAC and address together",
    frames: (_liar, victim, peer) => [
      udpFrame({ ...udp, source: peer.mac, destination: victim.mac, sourceIp: peer.ip, destinationIp: victim.ip }),
    ],
  },
  {
    about: "another's address, by ARP",
    frames: (liar, victim, peer) => [
      arpFrame({
        operation: 'reply',
        senderMac: liar.mac,
        senderIp: peer.ip,
        targetMac: victim.mac,
        targetIp: victim.ip,
        destination: victim.mac,
      }),
      arpFrame({ operation: 'request', senderMac: liar.mac, senderIp: peer.ip, targetIp: victim.ip }),
      arpFrame({ operation: 'request', senderMac: liar.mac, senderIp: peer.ip, targetIp: peer.ip }),
      arpFrame({
        operation: 'reply',
        senderMac: liar.mac,
        senderIp: STRANGER_IP,
        targetIp: STRANGER_IP,
        destination: BROADCAST,
      }),
    ],
  },
  {
    about: "another's address, by neighbour advertisement",
    frames: (liar, _victim, peer) => [
      advertisementFrame({ source: liar.mac, ...ALL_NODES, sourceIp: liar.ip6, target: peer.ip6, targetMac: liar.mac }),
      advertisementFrame({ source: liar.mac, ...ALL_NODES, sourceIp: peer.ip6, target: peer.ip6, targetMac: liar.mac }),
    ],
  },
  {
    about: 'its MAC, in a neighbour advertisement',
    frames: (liar) => [
      advertisementFrame({
        source: STRANGER_MAC,
        ...ALL_NODES,
        sourceIp: liar.ip6,
        target: liar.ip6,
        targetMac: STRANGER_MAC,
      }),
    ],
  },
];

describe('a guest that lies', () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.up({
      hosts: ['node1', 'node2'],
      networks: [
        {
          id: 'blue',
          network_type: 'vxlan',
          segmentation_id: 1001,
          subnets: [{ cidr: '10.0.0.0/24' }, { cidr: 'fd00::/64' }],
        },
      ],
      ports: [
        port('liar', 'node1', 1),
        port('free', 'node1', 2, { port_security_enabled: false }),
        port('peer', 'node1', 3),
        port('near', 'node1', 4),
        port('far', 'node2', 5),
        port('paired', 'node1', 6, { allowed_address_pairs: [{ ip_address: '10.0.0.100' }] }),
      ],
    });
    await untilAnswered(site.guest('near'), site.guest('far').ip);
  }, 120_000);

  afterAll(() => site?.down({ provoked: /dropping VLAN \d+ tagged packet received on port tap/ }));

  const told = (liar: string, victim: string, lie: Lie, filter?: string): Promise<string[]> => {
    const [from, at, peer] = [site.guest(liar), site.guest(victim), site.guest('peer')];
    const frames = lie.frames(from, at, peer);
    const control = { from: peer, frame: controlFrame(peer, at) };
    return sendAndSee({ lab: site.lab, from: from.namespace, frames, control, at, ...(filter ? { filter } : {}) });
  };

  /** What carries a lie; neighbours' honest ARP and the stacks' own IPv6 chatter are no part of it. */
  const isLie = (frame: string, liar: Guest): boolean =>
    (frame.includes(liar.mac) || frame.includes(STRANGER_MAC) || frame.includes(`.${TEST_PORT}:`)) &&
    !/router solicitation|listener report|neighbor solicitation/.test(frame);

  describe.each(LIES)('about $about', (lie) => {
    test.each(['near', 'far'])('reaches nobody: %s hears nothing', async (victim) => {
      const heard = await told('liar', victim, lie);
      expect(heard.filter((frame) => isLie(frame, site.guest('liar')))).toEqual([]);
    });

    test.each(['near', 'far'])('without port security it reaches %s', async (victim) => {
      const heard = await told('free', victim, lie);
      expect(heard.filter((frame) => isLie(frame, site.guest('free'))).length).toBeGreaterThan(0);
    });
  });

  test('about its VLAN reaches nobody, port security or not', async () => {
    const near = site.guest('near');
    for (const name of ['liar', 'free']) {
      const liar = site.guest(name);
      const addresses = { source: liar.mac, destination: near.mac, sourceIp: liar.ip, destinationIp: near.ip };
      const frames = [1, 2, 3, 1001, 4095].map((vlanId) => tagged(vlanId, udpFrame({ ...udp, ...addresses })));
      const control = { from: site.guest('peer'), frame: controlFrame(site.guest('peer'), near) };
      const heard = await sendAndSee({ lab: site.lab, from: liar.namespace, frames, control, at: near });
      expect(heard.filter((frame) => frame.includes(liar.mac) && frame.includes(`.${TEST_PORT}:`))).toEqual([]);
    }
  });

  test('an allowed address pair is no lie', async () => {
    const [paired, far] = [site.guest('paired'), site.guest('far')];
    const from = { source: paired.mac, destination: far.mac, destinationIp: far.ip };
    const heard = await sendAndSee({
      lab: site.lab,
      from: paired.namespace,
      frames: ['10.0.0.100', '10.0.0.101'].map((sourceIp) => udpFrame({ ...udp, ...from, sourceIp })),
      control: { from: paired, frame: controlFrame(paired, far) },
      at: far,
      filter: 'udp',
    });
    expect(heard).toHaveLength(1);
    expect(heard[0]).toContain('10.0.0.100');
  });
});
