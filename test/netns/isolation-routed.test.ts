/**
 * Two tenants with a router each, and a network without one: whatever a guest of the one sends, also to the routers, nothing of
 * it comes to the guests of the others. Each silence is measured beside a frame that comes through after it, and each frame that
 * may be sent at all beside the same frame to a guest who may have it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arpFrame, inVxlan, tagged, udp6Frame, udpFrame } from '../../scripts/support/lab/frames.ts';
import { GUEST_LINK, type Guest } from '../../scripts/support/lab/guest.ts';
import { controlFrame, sendAndSee, TEST_PORT, untilAnswered } from '../support/reach.ts';
import { macOf, Site, type SiteNetwork, type SitePort } from '../support/site.ts';

const MACS = {
  ours: 'fa:16:3e:0a:00:01',
  green: 'fa:16:3e:0a:00:02',
  east: 'fa:16:3e:0b:00:01',
  west: 'fa:16:3e:0b:00:02',
} as const;

/** Blue and east have the same subnets; nobody has the same address. */
const networks: SiteNetwork[] = [
  {
    id: 'blue',
    network_type: 'vxlan',
    segmentation_id: 1001,
    subnets: [
      { id: 'blue4', cidr: '10.0.0.0/24' },
      { id: 'blue6', cidr: 'fd00:a::/64' },
    ],
  },
  {
    id: 'green',
    network_type: 'vxlan',
    segmentation_id: 1002,
    subnets: [
      { id: 'green4', cidr: '10.0.1.0/24' },
      { id: 'green6', cidr: 'fd00:b::/64' },
    ],
  },
  {
    id: 'east',
    network_type: 'vxlan',
    segmentation_id: 1003,
    subnets: [
      { id: 'east4', cidr: '10.0.0.0/24' },
      { id: 'east6', cidr: 'fd00:a::/64' },
    ],
  },
  {
    id: 'west',
    network_type: 'vlan',
    segmentation_id: 101,
    physical_network: 'physnet1',
    subnets: [
      { id: 'west4', cidr: '10.0.2.0/24' },
      { id: 'west6', cidr: 'fd00:d::/64' },
    ],
  },
  {
    id: 'lone',
    network_type: 'vxlan',
    segmentation_id: 1005,
    subnets: [{ cidr: '10.0.3.0/24' }, { cidr: 'fd00:e::/64' }],
  },
];

const port = (id: string, network: string, host: string, addresses: readonly string[], number: number): SitePort => ({
  id,
  network,
  host,
  mac_address: macOf(number),
  fixed_ips: addresses,
});

const ports: SitePort[] = [
  // Nothing keeps it from sending what it likes.
  { ...port('rogue', 'blue', 'node1', ['10.0.0.11', 'fd00:a::11'], 0x11), port_security_enabled: false },
  port('blue2', 'blue', 'node2', ['10.0.0.12', 'fd00:a::12'], 0x12),
  port('green1', 'green', 'node1', ['10.0.1.11', 'fd00:b::11'], 0x21),
  port('green2', 'green', 'node2', ['10.0.1.12', 'fd00:b::12'], 0x22),
  port('east1', 'east', 'node1', ['10.0.0.31', 'fd00:a::31'], 0x31),
  port('east2', 'east', 'node2', ['10.0.0.32', 'fd00:a::32'], 0x32),
  port('west1', 'west', 'node1', ['10.0.2.41', 'fd00:d::41'], 0x41),
  port('west2', 'west', 'node2', ['10.0.2.42', 'fd00:d::42'], 0x42),
  { ...port('stray', 'lone', 'node1', ['10.0.3.13', 'fd00:e::13'], 0x13), port_security_enabled: false },
  port('lone1', 'lone', 'node1', ['10.0.3.51', 'fd00:e::51'], 0x51),
  port('lone2', 'lone', 'node2', ['10.0.3.52', 'fd00:e::52'], 0x52),
];

const both = (network: string, mac: string) =>
  [`${network}4`, `${network}6`].map((subnet) => ({ subnet, mac_address: mac }));
const routers = [
  { id: 'ours', interfaces: [...both('blue', MACS.ours), ...both('green', MACS.green)] },
  { id: 'theirs', interfaces: [...both('east', MACS.east), ...both('west', MACS.west)] },
];

/** Who must hear nothing, and who of its own network speaks to it in between. */
const VICTIMS = [
  ['east1', 'east2'],
  ['east2', 'east1'],
  ['west1', 'west2'],
  ['west2', 'west1'],
  ['lone1', 'lone2'],
  ['lone2', 'lone1'],
] as const;

describe('tenants with routers', () => {
  let site: Site;
  let rogue: Guest;
  /** MACs that hosts route in. */
  let hostMacs: readonly string[];

  beforeAll(async () => {
    site = await Site.up({
      hosts: ['node1', 'node2'],
      segments: [{ name: 'physnet1', bridge: 'br-eth2' }],
      networks,
      ports,
      further: { routers },
    });
    rogue = site.guest('rogue');
    await rogue.run('ip', 'route', 'add', 'default', 'via', '10.0.0.1');
    for (const [name, gateway] of [
      ['green1', '10.0.1.1'],
      ['green2', '10.0.1.1'],
      ['east1', '10.0.0.1'],
      ['east2', '10.0.0.1'],
      ['west1', '10.0.2.1'],
      ['west2', '10.0.2.1'],
    ] as const)
      await site.guest(name).run('ip', 'route', 'add', 'default', 'via', gateway);
    const flows = (await Promise.all(site.lab.hosts.map((host) => host.flows('br-tun')))).flat();
    hostMacs = [...new Set(flows.flatMap((flow) => /set_field:(fa:16:3f[0-9a-f:]+)->eth_src/.exec(flow)?.[1] ?? []))];
  }, 120_000);

  // Of the packets that it has to hold, a router drops what is too much; and it does not hide that.
  afterAll(() => site?.down({ provoked: /a packet to a router was dropped/ }));

  /** What the rogue sends at somebody, honestly but for the changes. */
  const at = (target: Guest, changes: Partial<Parameters<typeof udpFrame>[0]> = {}): Buffer =>
    udpFrame({
      source: rogue.mac,
      destination: MACS.ours,
      sourceIp: rogue.ip,
      destinationIp: target.ip,
      destinationPort: TEST_PORT,
      ...changes,
    });
  const at6 = (target: Guest, changes: Partial<Parameters<typeof udp6Frame>[0]> = {}): Buffer =>
    udp6Frame({
      source: rogue.mac,
      destination: MACS.ours,
      sourceIp: rogue.ip6,
      destinationIp: target.ip6,
      ...changes,
    });

  /**
   * Anything at a guest that is not of its own network's making: our marks, tags, tunnels, errors, the rogue by name. What peers
   * answer to control frames, 333 bytes long, is of its making.
   */
  const isForeign = (frame: string): boolean =>
    !/UDP, length 333\b/.test(frame) &&
    (/\.7777\b|vlan|VXLAN|unreachable|exceeded|frag/i.test(frame) ||
      frame.includes(rogue.mac) ||
      /\b10\.0\.0\.11\b|fd00:a::11\b/.test(frame));

  /** Frames for each of the victims; none of them gets through. */
  async function expectSilence(
    framesFor: (victim: Guest) => readonly Buffer[],
    { from = rogue, victims = VICTIMS }: { from?: Guest; victims?: readonly (readonly [string, string])[] } = {},
  ): Promise<void> {
    const heard = await Promise.all(
      victims.map(async ([victimName, peerName]) => {
        const [victim, peer] = [site.guest(victimName), site.guest(peerName)];
        const came = await sendAndSee({
          lab: site.lab,
          from: from.namespace,
          frames: framesFor(victim),
          control: { from: peer, frame: controlFrame(peer, victim) },
          at: victim,
        });
        return [victimName, came.filter(isForeign)] as const;
      }),
    );
    expect(heard).toEqual(victims.map(([victim]) => [victim, []]));
  }

  /** Frames that a guest of our own gets: so many of them. */
  async function expectHeard(name: string, frames: readonly Buffer[]): Promise<void> {
    const friend = site.guest(name);
    const from = site.guest('blue2');
    const control = udpFrame({
      source: from.mac,
      destination: name === 'blue2' ? from.mac : MACS.ours,
      sourceIp: from.ip,
      destinationIp: friend.ip,
      destinationPort: TEST_PORT,
      payload: 'c'.repeat(333),
    });
    const came = await sendAndSee({
      lab: site.lab,
      from: rogue.namespace,
      frames,
      control: { from, frame: control },
      at: friend,
      filter: 'udp',
    });
    expect(came.length, `at ${name}: ${came.join('\n')}`).toBe(frames.length);
  }

  test('within a tenant everyone is reached over the router', async () => {
    for (const [from, to] of [
      ['rogue', 'green1'],
      ['rogue', 'green2'],
      ['east1', 'west1'],
      ['east1', 'west2'],
      ['west1', 'east2'],
    ] as const) {
      await untilAnswered(site.guest(from), site.guest(to).ip);
    }
    expect(hostMacs).toHaveLength(2);
  });

  test('by its own router nobody of the others is reached', async () => {
    await expectSilence((victim) => [at(victim), at6(victim)]);
    for (const name of ['green1', 'green2']) await expectHeard(name, [at(site.guest(name)), at6(site.guest(name))]);
  });

  test("to another tenant's router, to its guests, to hosts: by MAC", async () => {
    await expectSilence((victim) =>
      [MACS.east, MACS.west, victim.mac, ...hostMacs, 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01'].flatMap(
        (destination) => [at(victim, { destination }), at6(victim, { destination })],
      ),
    );
    await expectHeard('green1', [at(site.guest('green1'))]);
  });

  test("in the names of others: routers', hosts', guests'", async () => {
    const spoofs = (target: Guest): Buffer[] =>
      [MACS.ours, MACS.green, MACS.east, MACS.west, ...hostMacs, target.mac].flatMap((source) => [
        at(target, { source }),
        at(target, { source, sourceIp: target.ip }),
      ]);
    await expectSilence((victim) => [
      ...spoofs(victim),
      ...spoofs(victim).map((frame) =>
        Buffer.concat([Buffer.from(victim.mac.replaceAll(':', ''), 'hex'), frame.subarray(6)]),
      ),
    ]);
    // The same frames do get through to who may have them.
    await expectHeard('green1', [
      at(site.guest('green1'), { source: MACS.east }),
      at(site.guest('green1'), { source: hostMacs[0] ?? '' }),
    ]);
    await restore();
  });

  test('with the VLAN of another network, local or on the wire, once and twice', async () => {
    const vlans = [1, 2, 3, 4, 5, 6, 101, 4095];
    await expectSilence((victim) => {
      const frames = [MACS.ours, MACS.east, MACS.west, victim.mac].map((destination) => at(victim, { destination }));
      return vlans.flatMap((vlan) =>
        frames.flatMap((frame) => [
          tagged(vlan, frame),
          tagged(vlan, tagged(1, frame)),
          tagged(1, tagged(vlan, frame)),
        ]),
      );
    });
    // From a network without a router, beside which there are networks with one on the host.
    const stray = site.guest('stray');
    await expectSilence(
      (victim) => {
        const frame = at(victim, { source: stray.mac, destination: victim.mac, sourceIp: stray.ip });
        return [frame, ...vlans.map((vlan) => tagged(vlan, frame))];
      },
      { from: stray, victims: VICTIMS.filter(([name]) => !name.startsWith('lone')) },
    );
    await expectHeard('green1', [at(site.guest('green1'))]);
  });

  test('with VXLAN within, to hosts and to guests', async () => {
    const [node1, node2] = ['node1', 'node2'].map((name) => site.lab.host(name));
    if (node1 === undefined || node2 === undefined) throw new Error('a host is missing');
    const wrap = (target: Guest, destinationIp: string, sourceIp: string): Buffer[] =>
      [1003, 1005, 1001].map((vni) => {
        const inner = at(target, { destination: target.mac, source: MACS.east });
        return inVxlan(vni, { source: rogue.mac, destination: MACS.ours, sourceIp, destinationIp }, inner);
      });
    await expectSilence((victim) => [
      ...wrap(victim, node1.localIp, node2.localIp),
      ...wrap(victim, node2.localIp, node1.localIp),
      ...wrap(victim, node2.localIp, rogue.ip),
      ...wrap(victim, victim.ip, rogue.ip),
    ]);
    const green2 = site.guest('green2');
    await expectHeard('green2', wrap(green2, green2.ip, rogue.ip));
  });

  test('with routes in IP options, as fragments, with other TTLs', async () => {
    const ip = (text: string): number[] => text.split('.').map(Number);
    /** Loose and strict source routes (RFC 791), and record route: by a gateway to the target. */
    const routed = (target: Guest, via: string): Buffer[] =>
      [0x83, 0x89, 0x07].flatMap((type) => [
        at(target, { ipOptions: Buffer.from([type, 7, 4, ...ip(via), 0]) }),
        at(target, { destinationIp: via, ipOptions: Buffer.from([type, 7, 4, ...ip(target.ip), 0]) }),
      ]);
    const pieces = (target: Guest): Buffer[] =>
      [0x2000, 0x2001, 0x00b9, 0x4000, 0x8000].map((fragment) => at(target, { fragment }));
    await expectSilence((victim) => [
      ...routed(victim, '10.0.0.1'),
      ...routed(victim, '10.0.1.1'),
      ...routed(victim, '10.0.2.1'),
      ...pieces(victim),
      ...[0, 1, 2, 255].map((ttl) => at(victim, { ttl })),
    ]);
    const green1 = site.guest('green1');
    await expectHeard('green1', [
      at(green1, { ipOptions: Buffer.from([0x83, 7, 4, ...ip('10.0.0.1'), 0]) }),
      at(green1, { fragment: 0x4000 }),
      at(green1, { ttl: 2 }),
    ]);
  });

  test('by the errors and answers of its own router to who it says it is', async () => {
    await expectSilence((victim) => [
      at(victim, { destinationIp: '10.0.0.1', sourceIp: victim.ip }),
      at(victim, { destinationIp: '10.0.1.1', sourceIp: victim.ip }),
      at(victim, { destinationIp: '198.51.100.7', sourceIp: victim.ip }),
      at(victim, { destinationIp: '10.0.1.77', sourceIp: victim.ip, ttl: 1 }),
      at6(victim, { destinationIp: 'fd00:b::1', sourceIp: victim.ip6 }),
    ]);
    // They do come: to the port that caused them.
    const capture = await site.lab.capture({
      namespace: rogue.namespace,
      link: GUEST_LINK,
      direction: 'in',
      filter: 'icmp',
    });
    const east1 = site.guest('east1');
    await rogue.sendFrames([at(east1, { destinationIp: '10.0.1.1', sourceIp: east1.ip })]);
    await expect.poll(() => capture.frames.filter((frame) => /10\.0\.0\.31.*unreachable/.test(frame)).length).toBe(1);
    await capture.stop();
  });

  test('by what it says in ARP', async () => {
    const claims = (victim: Guest): Buffer[] =>
      ['request', 'reply'].flatMap((operation) =>
        [MACS.ours, MACS.east, MACS.west, 'ff:ff:ff:ff:ff:ff'].flatMap((destination) => [
          arpFrame({
            operation: operation as 'request' | 'reply',
            destination,
            senderMac: rogue.mac,
            senderIp: victim.ip,
            targetIp: victim.ip,
          }),
          arpFrame({
            operation: operation as 'request' | 'reply',
            destination,
            senderMac: rogue.mac,
            senderIp: rogue.ip,
            targetIp: victim.ip,
          }),
        ]),
      );
    await expectSilence(claims);
    expect(await rogue.arping('10.0.0.1')).toBe(MACS.ours);
    expect(await rogue.arping('10.0.0.32')).toBeUndefined();
    // Nor has it drawn anything of theirs to itself.
    const capture = await site.lab.capture({ namespace: rogue.namespace, link: GUEST_LINK, direction: 'in' });
    for (const [from, to] of [
      ['east1', 'east2'],
      ['west1', 'east1'],
      ['east1', 'west2'],
    ] as const) {
      const [guest, target] = [site.guest(from), site.guest(to)];
      await guest.forgetNeighbours();
      expect(await guest.ping(target.ip)).toMatchObject({ received: 3 });
    }
    await untilAnswered(site.guest('blue2'), rogue.ip);
    const frames = await capture.stop();
    expect(frames.some((frame) => frame.includes('10.0.0.12 > 10.0.0.11'))).toBe(true);
    expect(frames.filter((frame) => /10\.0\.0\.3[12]|10\.0\.2\./.test(frame))).toEqual([]);
  });

  /** Switches learn MACs from what they see; let them see the rogue as it is again. */
  async function restore(): Promise<void> {
    await untilAnswered(rogue, site.guest('green2').ip);
  }
});
