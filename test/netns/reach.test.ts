/**
 * Guests of one network reach each other, on one host and across hosts, over every kind of network: IPv4, IPv6, TCP,
 * full-size frames. What the wire carries is looked at with tcpdump, not believed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilAnswered } from '../support/reach.ts';
import { DEFAULT_MTU, macOf, Site, type SiteNetwork, type SitePort } from '../support/site.ts';

const KINDS = [
  { type: 'vxlan', id: 1001, wire: 'underlay', seen: /vni 1001\b/, keys: {} },
  { type: 'gre', id: 2001, wire: 'underlay', seen: /GREv0, Flags \[key present\], key=0x7d1\b/, keys: {} },
  { type: 'geneve', id: 3001, wire: 'underlay', seen: /Geneve.*vni 0xbb9\b/, keys: {} },
  { type: 'vlan', id: 101, wire: 'physnet1', seen: /vlan 101\b/, keys: { physical_network: 'physnet1' } },
  { type: 'flat', id: undefined, wire: 'physnet2', seen: /^(?!.*802\.1Q)/s, keys: { physical_network: 'physnet2' } },
] as const;

const networks: SiteNetwork[] = KINDS.map(({ type, id, keys }, index) => ({
  id: type,
  network_type: type,
  ...(id === undefined ? {} : { segmentation_id: id }),
  ...keys,
  subnets: [{ cidr: `10.0.${index}.0/24` }, { cidr: `fd00:${index}::/64` }],
}));

/** Three guests for each network: -a and -b on node1, -c on node2. */
const ports: SitePort[] = KINDS.flatMap(({ type }, index) =>
  ['a', 'b', 'c'].map((letter, place) => ({
    id: `${type}-${letter}`,
    network: type,
    host: letter === 'c' ? 'node2' : 'node1',
    mac_address: macOf(0x100 * (index + 1) + place),
    fixed_ips: [`10.0.${index}.${10 + place}`, `fd00:${index}::${10 + place}`],
  })),
);

const segments = [
  { name: 'physnet1', bridge: 'br-eth2' },
  { name: 'physnet2', bridge: 'br-ex' },
];

describe('guests of one network', () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.up({ segments, networks, ports });
  }, 120_000);

  afterAll(() => site?.down());

  describe.each(KINDS)('over $type', ({ type, wire, seen }) => {
    const guests = () => [site.guest(`${type}-a`), site.guest(`${type}-b`), site.guest(`${type}-c`)] as const;

    test('reach each other on one host', async () => {
      const [a, b] = guests();
      await untilAnswered(a, b.ip);
      expect(await a.ping(b.ip)).toMatchObject({ sent: 3, received: 3 });
      expect(await a.ping(b.ip6)).toMatchObject({ sent: 3, received: 3 });
    });

    test('reach each other across hosts, by IPv4, IPv6 and TCP', async () => {
      const [a, , c] = guests();
      await untilAnswered(a, c.ip);
      expect(await a.ping(c.ip)).toMatchObject({ sent: 3, received: 3 });
      expect(await c.ping(a.ip6)).toMatchObject({ sent: 3, received: 3 });
      expect(await a.talkTcp(c, 'across')).toBe('across');
    });

    test('send frames as large as the MTU, in one piece', async () => {
      const [a, , c] = guests();
      const mtu = DEFAULT_MTU[type];
      const capture = await site.lab.captureWire(wire);
      expect(await a.ping(c.ip, { size: mtu - 28, dontFragment: true })).toMatchObject({ received: 3 });
      expect(await a.ping(c.ip6, { size: mtu - 48, dontFragment: true })).toMatchObject({ received: 3 });
      expect(await a.ping(c.ip, { size: mtu - 27, dontFragment: true, count: 1 })).toMatchObject({ received: 0 });
      const frames = await capture.stop();
      const requests = frames.filter((frame) => /echo request/.test(frame) && seen.test(frame));
      expect(requests.length).toBeGreaterThanOrEqual(6);
      expect(frames.filter((frame) => /flags \[\+|offset [1-9]|frag \(/.test(frame))).toEqual([]);
    });

    test('are seen on the wire in the way of the network, and nowhere else', async () => {
      const [a, b, c] = guests();
      const others = ['underlay', 'physnet1', 'physnet2'].filter((other) => other !== wire);
      const captures = await Promise.all([wire, ...others].map((one) => site.lab.captureWire(one)));
      await a.ping(b.ip);
      await a.ping(c.ip);
      const [own = [], ...foreign] = await Promise.all(captures.map((capture) => capture.stop()));
      const isPing = (frame: string): boolean => /ICMP echo/.test(frame);
      expect(own.filter((frame) => isPing(frame) && seen.test(frame))).toHaveLength(6);
      expect(own.filter((frame) => frame.includes(`${a.ip} > ${b.ip}`))).toEqual([]);
      expect(foreign.flat().filter(isPing)).toEqual([]);
    });
  });
});
