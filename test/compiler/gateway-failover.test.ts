/**
 * Several gateway hosts, walked in this process: whoever dies or is cut off, one host that lives answers for the router's
 * addresses outside and inside, and no other one.
 */
import { describe, expect, test } from 'vitest';
import { compileOffline } from '../../src/compiler/offline.ts';
import { ipFromText, macFromText } from '../../src/lib/addresses.ts';
import { LIMITS } from '../../src/lib/limits.ts';
import { arpRequest } from '../../src/packet/neighbours.ts';
import type { Frame } from '../../src/packet/packet.ts';
import { BFD_MACS } from '../../src/pipeline/gateway-alive.ts';
import { loadTopology } from '../../src/topology/load.ts';
import type { Topology } from '../../src/topology/model.ts';
import { BFD_QUESTION } from '../support/bfd.ts';
import { headersOf } from '../support/walker/packets.ts';
import { siteOf } from '../support/walker/site.ts';
import { portKey, Walker } from '../support/walker/walker.ts';

const GATEWAYS = ['node2', 'node3', 'node4'];
const MACS = {
  gateway: macFromText('fa:16:3e:00:01:21'),
  legacy: macFromText('fa:16:3e:00:02:21'),
  sg: macFromText('fa:16:3e:00:01:03'),
  guest: macFromText('fa:16:3e:00:00:0b'),
  router: macFromText('fa:16:3e:00:01:01'),
};
const BROADCAST = 0xffff_ffff_ffff;
const VLAN_PRESENT = 0x1000;
const PROVIDER_MAC = macFromText('0e:00:00:00:ee:01');
const ip4 = (text: string): number => Number(ipFromText(text));

/** The first `gateways` of three can serve; guests are on node1, if on any host besides. */
function topologyOf(options: { readonly gateways: number; readonly hasOthers: boolean }): Topology {
  const names = [...(options.hasOthers ? ['node1'] : []), ...GATEWAYS.slice(0, options.gateways)];
  const loaded = loadTopology(
    JSON.stringify({
      hosts: names.map((name) => ({
        name,
        local_ip: `172.28.0.${name.slice(-1)}`,
        dvr_mac: `fa:16:3f:00:00:0${name.slice(-1)}`,
        bridge_mappings: { public: 'br-ex' },
        ...(GATEWAYS.includes(name) && { agent_mode: 'dvr_snat', gateway_priority: 10 - Number(name.slice(-1)) }),
      })),
      networks: [
        { id: 'blue', network_type: 'vxlan', segmentation_id: 1, subnets: [{ id: 'blue4', cidr: '10.0.0.0/24' }] },
        {
          id: 'public',
          network_type: 'flat',
          physical_network: 'public',
          external: true,
          subnets: [{ id: 'public4', cidr: '203.0.113.0/24', gateway_ip: '203.0.113.1' }],
        },
        { id: 'red', network_type: 'geneve', segmentation_id: 2, subnets: [{ id: 'red6', cidr: 'fd00:2::/64' }] },
        {
          id: 'tagged',
          network_type: 'vlan',
          physical_network: 'public',
          segmentation_id: 200,
          external: true,
          subnets: [{ id: 'tagged6', cidr: 'fd00:e::/64', gateway_ip: 'fd00:e::1' }],
        },
      ],
      ports: names.map((host, index) => ({
        id: `guest-${host}`,
        network: 'blue',
        host,
        mac_address: `fa:16:3e:00:00:${(11 + index).toString(16).padStart(2, '0')}`,
        fixed_ips: [`10.0.0.${11 + index}`],
      })),
      routers: [
        {
          id: 'r',
          interfaces: [{ subnet: 'blue4', mac_address: 'fa:16:3e:00:01:01' }],
          external_gateway_info: {
            network: 'public',
            external_fixed_ips: ['203.0.113.21'],
            mac_address: 'fa:16:3e:00:01:21',
          },
          snat_ports: [{ subnet: 'blue4', ip_address: '10.0.0.3', mac_address: 'fa:16:3e:00:01:03' }],
        },
        {
          id: 'legacy',
          distributed: false,
          interfaces: [{ subnet: 'red6', mac_address: 'fa:16:3e:00:02:01' }],
          external_gateway_info: {
            network: 'tagged',
            external_fixed_ips: ['fd00:e::21'],
            mac_address: 'fa:16:3e:00:02:21',
          },
        },
        {
          id: 'inward',
          distributed: false,
          interfaces: [{ subnet: 'blue4', ip_address: '10.0.0.4', mac_address: 'fa:16:3e:00:03:01' }],
        },
      ],
    }),
    { file: 'site.json' },
  );
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  return loaded.topology;
}

interface Announcement {
  readonly host: string;
  readonly tags: readonly unknown[];
  /** MACs, addresses, TTL and port, sender first. */
  readonly said: readonly number[];
}

/** A site of which hosts are dead, or have lost their tunnels alone. */
class Site {
  readonly #site: ReturnType<typeof siteOf>;
  readonly #walker: Walker;
  readonly #dead: readonly string[];

  constructor(topology: Topology, { dead = [], cut = [] }: { dead?: readonly string[]; cut?: readonly string[] }) {
    this.#site = siteOf(topology, compileOffline(topology));
    this.#walker = new Walker(this.#site.bridges);
    this.#dead = dead;
    const lost = [...dead, ...cut];
    for (const { host, bridge, ports } of this.#site.bridges) {
      for (const [ofport, port] of ports) {
        if (port.kind !== 'tunnel' || ![host, port.host].some((end) => lost.includes(end))) continue;
        this.#walker.deadPorts.add(portKey({ host, bridge, ofport }));
      }
    }
  }

  /** Who answers outside: hosts from which a reply goes back onto the wire. */
  answering(): string[] {
    const asked = arpRequest({
      senderMac: PROVIDER_MAC,
      senderIp: ip4('203.0.113.1'),
      targetIp: ip4('203.0.113.21'),
    });
    return this.#site.wires
      .filter(({ host }) => !this.#dead.includes(host))
      .filter((wire) => {
        const { arrivals } = this.#walker.walk(wire, headersOf(asked));
        return arrivals.some(
          ({ host, port, headers }) =>
            host === wire.host &&
            port.kind === 'wire' &&
            headers.get('arpOp') === 2 &&
            headers.get('ethSrc') === MACS.gateway,
        );
      })
      .map(({ host }) => host);
  }

  /**
   * Who announces itself outside: the hosts onto whose wires each of these goes when a BFD packet comes from every host that
   * lives; what else they do with it: it goes back.
   */
  announcing(): Announcement[] {
    const tunnels = this.#site.bridges.flatMap(({ host, bridge, ports }) =>
      [...ports].flatMap(([ofport, port]) =>
        port.kind === 'tunnel' &&
        !this.#dead.includes(host) &&
        !this.#walker.deadPorts.has(portKey({ host, bridge, ofport }))
          ? [{ host, bridge, ofport }]
          : [],
      ),
    );
    const found = new Set<string>();
    for (const tunnel of tunnels) {
      const { arrivals, tunnelled } = this.#walker.walk(tunnel, headersOf(BFD_QUESTION));
      expect(tunnelled.map(({ host, ofport, headers }) => [host, ofport, headers.get('ethDst')])).toEqual([
        [tunnel.host, tunnel.ofport, macFromText(BFD_MACS.answering)],
      ]);
      for (const { host, port, headers } of arrivals) {
        // What others on the wire let by: their own bridges and those of guests of the external network.
        if (host !== tunnel.host) {
          expect(port.kind).not.toBe('wire');
          continue;
        }
        if (port.kind !== 'wire') continue;
        const { tags } = headers;
        const said = ['ethSrc', 'ethDst', 'ipv4Src', 'ipv4Dst', 'ipTtl', 'udpDst'] as const;
        const values = said.map((field) => headers.get(field));
        found.add(JSON.stringify({ host, tags, said: values }));
      }
    }
    const said = [...found].map((text) => JSON.parse(text) as Announcement);
    return said.sort((left, right) => Number(left.said[0]) - Number(right.said[0]));
  }

  /** The gateway host that a guest's packet for the world ends up at, its sender translated or the next hop asked for. */
  leavingBy(guestHost: string): string[] {
    const port = this.#site.guests.get(`guest-${guestHost}`);
    if (port === undefined) throw new Error(`no guest on ${guestHost}`);
    const index = [...this.#site.guests.keys()].indexOf(`guest-${guestHost}`);
    const frame: Frame = {
      destination: MACS.router,
      source: MACS.guest + index,
      vlans: [],
      payload: {
        kind: 'ipv4',
        tos: 0,
        identification: 0,
        dontFragment: true,
        moreFragments: false,
        fragmentOffset: 0,
        ttl: 64,
        options: new Uint8Array(),
        source: ip4(`10.0.0.${11 + index}`),
        destination: ip4('198.51.100.10'),
        payload: { kind: 'udp', sourcePort: 40_000, destinationPort: 9, data: new Uint8Array([1]) },
      },
    };
    const { packetIns } = this.#walker.walk(port, headersOf(frame));
    return [...new Set(packetIns.map(({ host }) => host))];
  }
}

describe.each([2, 3])('of %d gateway hosts and others', (gateways) => {
  const topology = topologyOf({ gateways, hasOthers: true });

  test.each<[{ dead?: string[]; cut?: string[] }, string]>([
    [{}, 'node2'],
    [{ dead: ['node2'] }, 'node3'],
    [{ cut: ['node2'] }, 'node3'],
    [{ dead: ['node3'] }, 'node2'],
    [{ cut: ['node3'] }, 'node2'],
  ])('with %j the one that serves is %s', (faults, serving) => {
    const site = new Site(topology, faults);
    expect(site.answering()).toEqual([serving]);
    expect(site.leavingBy('node1')).toEqual([serving]);
    const hasNode3 = ![...(faults.dead ?? []), ...(faults.cut ?? [])].includes('node3');
    expect(site.leavingBy('node3')).toEqual(hasNode3 ? [serving] : []);
    const to = [BROADCAST, ip4('255.255.255.255'), 1, 9] as const;
    const [dst, ipDst, ...rest] = to;
    expect(site.announcing()).toEqual([
      { host: serving, tags: [], said: [MACS.gateway, dst, ip4('203.0.113.21'), ipDst, ...rest] },
      { host: serving, tags: [VLAN_PRESENT | 200], said: [MACS.legacy, dst, 0, ipDst, ...rest] },
    ]);
  });
});

test('of three, the last serves when it alone is left', () => {
  const topology = topologyOf({ gateways: 3, hasOthers: true });
  for (const faults of [
    { dead: ['node2', 'node3'] },
    { cut: ['node2', 'node3'] },
    { dead: ['node2'], cut: ['node3'] },
  ]) {
    const site = new Site(topology, faults);
    expect(site.answering(), JSON.stringify(faults)).toEqual(['node4']);
    expect(site.announcing().map(({ host }) => host)).toEqual(['node4', 'node4']);
    expect(site.leavingBy('node1')).toEqual(['node4']);
  }
});

test('two that are alone each serve when the other one is gone, because who is cut off cannot know', () => {
  const topology = topologyOf({ gateways: 2, hasOthers: false });
  expect(new Site(topology, {}).answering()).toEqual(['node2']);
  expect(new Site(topology, { dead: ['node2'] }).answering()).toEqual(['node3']);
  expect(new Site(topology, { cut: ['node2', 'node3'] }).answering()).toEqual(['node2', 'node3']);
});

test('a gateway host that nobody relieves announces nothing, and other hosts send BFD packets back alone', () => {
  const single = compileOffline(topologyOf({ gateways: 1, hasOthers: true }));
  const rulesOf = (offline: typeof single, host: string) =>
    offline.bridges
      .filter((bridge) => bridge.host === host)
      .flatMap(({ book }) => [...book.flows(), ...book.meters()].map(({ origin }) => origin.rule));
  const ours = ['send-back-bfd', 'announce', 'whom-to-announce', 'announced'];
  const count = (offline: typeof single, host: string) =>
    ours.map((rule) => rulesOf(offline, host).filter((one) => one === rule).length);
  expect(count(single, 'node2')).toEqual([0, 0, 0, 0]);
  const two = compileOffline(topologyOf({ gateways: 2, hasOthers: true }));
  expect(count(two, 'node1')).toEqual([1, 0, 0, 0]);
  // A flow and its meter; the question and what is not asked; one for each of two routers that go outside.
  expect(count(two, 'node2')).toEqual([1, 2, 2, 2]);
});

test('of more routers than one packet can ask for, the first are announced, and somebody is told', () => {
  const count = LIMITS.announcedRouters + 1;
  const loaded = loadTopology(
    JSON.stringify({
      hosts: ['node1', 'node2'].map((name) => ({
        name,
        local_ip: `172.28.0.${name.slice(-1)}`,
        bridge_mappings: { public: 'br-ex' },
        agent_mode: 'dvr_snat',
      })),
      networks: [
        {
          id: 'public',
          network_type: 'flat',
          physical_network: 'public',
          external: true,
          subnets: [{ id: 'public4', cidr: '203.0.112.0/21' }],
        },
        ...Array.from({ length: count }, (_, index) => ({
          id: `n${index}`,
          network_type: 'vxlan',
          segmentation_id: index + 1,
          subnets: [{ id: `s${index}`, cidr: '10.0.0.0/24' }],
        })),
      ],
      routers: Array.from({ length: count }, (_, index) => ({
        id: `r${index}`,
        distributed: false,
        interfaces: [{ subnet: `s${index}` }],
        external_gateway_info: { network: 'public' },
      })),
    }),
    { file: 'site.json' },
  );
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  const offline = compileOffline(loaded.topology);
  const { warnings } = offline.compiler.site.gateways.model;
  expect(warnings.filter((line) => line.includes('announces only the first 256'))).toHaveLength(2);
  const flows = [...(offline.compiler.book('node1', 'br-int')?.flows() ?? [])];
  const asks = flows.filter(({ origin, flow }) => origin.rule === 'whom-to-announce' && flow.priority === 9);
  expect(asks.map(({ flow }) => flow.actions.length)).toEqual([2 * LIMITS.announcedRouters]);
});
