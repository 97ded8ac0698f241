/**
 * Several gateway hosts, walked in this process: whoever dies or is cut off, one host that lives answers for the router's
 * addresses outside and inside, and no other one.
 */
import { describe, expect, test } from 'vitest';
import { compileOffline } from '../../src/compiler/offline.ts';
import { ipFromText, macFromText } from '../../src/lib/addresses.ts';
import { arpRequest } from '../../src/packet/neighbours.ts';
import type { Frame } from '../../src/packet/packet.ts';
import { loadTopology } from '../../src/topology/load.ts';
import type { Topology } from '../../src/topology/model.ts';
import { headersOf } from '../support/walker/packets.ts';
import { siteOf } from '../support/walker/site.ts';
import { portKey, Walker } from '../support/walker/walker.ts';

const GATEWAYS = ['node2', 'node3', 'node4'];
const MACS = {
  gateway: macFromText('fa:16:3e:00:01:21'),
  sg: macFromText('fa:16:3e:00:01:03'),
  guest: macFromText('fa:16:3e:00:00:0b'),
  router: macFromText('fa:16:3e:00:01:01'),
};
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
      ],
    }),
    { file: 'site.json' },
  );
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  return loaded.topology;
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
    expect(site.leavingBy('node1')).toEqual(['node4']);
  }
});

test('two that are alone each serve when the other one is gone, because who is cut off cannot know', () => {
  const topology = topologyOf({ gateways: 2, hasOthers: false });
  expect(new Site(topology, {}).answering()).toEqual(['node2']);
  expect(new Site(topology, { dead: ['node2'] }).answering()).toEqual(['node3']);
  expect(new Site(topology, { cut: ['node2', 'node3'] }).answering()).toEqual(['node2', 'node3']);
});
