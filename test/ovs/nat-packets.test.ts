/**
 * Floating IPs, source NAT and what is routed between them on one host, in the walker and by real packets through a real conntrack:
 * everybody speaks to every address, whoever is reached answers, and so on. Both do the same with each packet.
 */
import { afterAll, expect, test } from 'vitest';
import { compileOffline } from '../../src/compiler/offline.ts';
import { PORT } from '../../src/flow/flow.ts';
import { ipFromText, ipToText, macFromText } from '../../src/lib/addresses.ts';
import { type Frame, type Ipv4, TCP_FLAGS, type Transport } from '../../src/packet/packet.ts';
import { loadTopology } from '../../src/topology/load.ts';
import { DummyPackets, type Outgoing } from '../support/dummy-packets.ts';
import { OvsSandbox } from '../support/ovs-sandbox.ts';
import type { Place } from '../support/walker/model.ts';
import { headersOf } from '../support/walker/packets.ts';
import { siteOf } from '../support/walker/site.ts';
import { buildBridges, installFlows } from '../support/walker/switch.ts';
import { packetText } from '../support/walker/trace.ts';
import { Walker } from '../support/walker/walker.ts';

const ip4 = (text: string): number => Number(ipFromText(text));
const MAC = {
  router: macFromText('fa:16:3e:00:01:01'),
  otherRouter: macFromText('fa:16:3e:00:01:02'),
  gateway: macFromText('fa:16:3e:00:01:21'),
  host: macFromText('fa:16:3f:00:00:01'),
  provider: macFromText('0e:00:00:00:ee:01'),
};
const ADDRESS = {
  world: '198.51.100.10',
  gateway: '203.0.113.21',
  floatingA: '203.0.113.31',
  floatingC: '203.0.113.33',
  a: '10.0.0.11',
  c: '20.0.0.13',
  d: '10.0.0.14',
  e: '20.0.0.15',
};

const guest = (id: string, network: string, number: number) => ({
  id,
  network,
  host: 'node1',
  mac_address: `fa:16:3e:00:00:${number.toString(16).padStart(2, '0')}`,
  fixed_ips: [`${network === 'blue' ? '10' : '20'}.0.0.${number}`],
});

const SITE = {
  hosts: [
    {
      name: 'node1',
      local_ip: '172.28.0.11',
      dvr_mac: 'fa:16:3f:00:00:01',
      agent_mode: 'dvr_snat',
      bridge_mappings: { public: 'br-ex' },
    },
  ],
  networks: [
    { id: 'blue', network_type: 'vxlan', segmentation_id: 1, subnets: [{ id: 'blue4', cidr: '10.0.0.0/24' }] },
    { id: 'red', network_type: 'vxlan', segmentation_id: 2, subnets: [{ id: 'red4', cidr: '20.0.0.0/24' }] },
    {
      id: 'public',
      network_type: 'flat',
      physical_network: 'public',
      external: true,
      subnets: [{ id: 'public4', cidr: '203.0.113.0/24', gateway_ip: '203.0.113.1' }],
    },
  ],
  ports: [guest('a', 'blue', 11), guest('c', 'red', 13), guest('d', 'blue', 14), guest('e', 'red', 15)],
  routers: [
    {
      id: 'r',
      interfaces: [
        { subnet: 'blue4', mac_address: 'fa:16:3e:00:01:01' },
        { subnet: 'red4', mac_address: 'fa:16:3e:00:01:02' },
      ],
      external_gateway_info: {
        network: 'public',
        external_fixed_ips: [ADDRESS.gateway],
        mac_address: 'fa:16:3e:00:01:21',
      },
      snat_ports: [
        { subnet: 'blue4', ip_address: '10.0.0.3', mac_address: 'fa:16:3e:00:01:03' },
        { subnet: 'red4', ip_address: '20.0.0.3', mac_address: 'fa:16:3e:00:01:04' },
      ],
    },
  ],
  floating_ips: [
    { floating_ip_address: ADDRESS.floatingA, floating_network: 'public', port: 'a' },
    { floating_ip_address: ADDRESS.floatingC, floating_network: 'public', port: 'c' },
  ],
};

type Speaker = 'a' | 'c' | 'd' | 'e' | 'world';
const SPEAKERS: readonly Speaker[] = ['a', 'c', 'd', 'e', 'world'];

/** Where a speaker sends what is for an address: to the router, or to whoever has told that it is there. */
function nextMac(speaker: Speaker, target: string): number {
  if (speaker !== 'world') return ['a', 'd'].includes(speaker) ? MAC.router : MAC.otherRouter;
  return target === ADDRESS.gateway ? MAC.gateway : MAC.host;
}

const macOf = (speaker: Speaker): number =>
  speaker === 'world' ? MAC.provider : macFromText(SITE.ports.find(({ id }) => id === speaker)?.mac_address ?? '');

const opening = (kind: 'udp' | 'tcp', sourcePort: number): Transport =>
  kind === 'udp'
    ? { kind, sourcePort, destinationPort: 7, data: new Uint8Array([1]) }
    : { ...TCP, sourcePort, destinationPort: 80, sequence: 1_000, acknowledgement: 0, flags: TCP_FLAGS.syn };

const TCP = {
  kind: 'tcp',
  window: 65_535,
  urgentPointer: 0,
  options: new Uint8Array(),
  data: new Uint8Array(),
} as const;

const packet = (source: number, destination: number, payload: Transport): Ipv4 => ({
  kind: 'ipv4',
  tos: 0,
  identification: 1,
  dontFragment: true,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 64,
  options: new Uint8Array(),
  source,
  destination,
  payload,
});

/** What whoever gets a frame says to it; undefined: nothing more. */
function answerTo({ source, destination, payload }: Frame): Frame | undefined {
  if (payload.kind !== 'ipv4') return undefined;
  const back = (transport: Transport): Frame => ({
    source: destination,
    destination: source,
    vlans: [],
    payload: packet(payload.destination, payload.source, transport),
  });
  const said = payload.payload;
  if (said.kind === 'udp') return back({ ...said, sourcePort: said.destinationPort, destinationPort: said.sourcePort });
  if (said.kind !== 'tcp') return undefined;
  const ports = { sourcePort: said.destinationPort, destinationPort: said.sourcePort };
  const isOpening = said.flags === TCP_FLAGS.syn;
  return back({
    ...TCP,
    ...ports,
    sequence: isOpening ? 5_000 : said.acknowledgement,
    acknowledgement: said.sequence + (said.flags & TCP_FLAGS.syn ? 1 : 0),
    flags: isOpening ? TCP_FLAGS.syn | TCP_FLAGS.ack : TCP_FLAGS.ack,
  });
}

/** The port that a gateway has given to a connection, as what comes out of it shows. */
function gatewayPortOf(out: readonly Outgoing[]): number | undefined {
  for (const { payload } of out.map(({ frame }) => frame)) {
    if (payload.kind !== 'ipv4' || payload.source !== ip4(ADDRESS.gateway)) continue;
    if (payload.payload.kind === 'udp' || payload.payload.kind === 'tcp') return payload.payload.sourcePort;
  }
  return undefined;
}

const INSIDE = /^[12]0\./;
const isInside = ({ payload }: Frame): boolean => payload.kind === 'ipv4' && INSIDE.test(ipToText(payload.source));

/** How often a conversation goes to and fro. */
const TURNS = 4;

let sandbox: OvsSandbox | undefined;
afterAll(() => sandbox?.stop());

test('everybody to everybody, and back', { timeout: 120_000 }, async () => {
  const loaded = loadTopology(JSON.stringify(SITE), { file: 'site.json' });
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  const offline = compileOffline(loaded.topology);
  offline.compiler.setOutsideNeighbour('node1', 'public', ip4('203.0.113.1'), MAC.provider);
  offline.compiler.pass();
  const { bridges, guests, wires } = siteOf(loaded.topology, offline);
  const real = await OvsSandbox.start();
  sandbox = real;
  await buildBridges(
    real,
    bridges.map(({ bridge, ports }) => [bridge, ports] as const),
  );
  for (const bridge of bridges) {
    const meters = [...(offline.compiler.book('node1', bridge.bridge)?.meters() ?? [])].map(({ meter }) => meter);
    await installFlows(real, { ...bridge, meters });
  }
  const placeOf = (speaker: Speaker): Place => {
    const place = speaker === 'world' ? wires[0] : guests.get(speaker);
    if (place === undefined) throw new Error(`${speaker} is nowhere`);
    return place;
  };
  const nameOf = ({ bridge, ofport }: Place): string => `${bridge}-${ofport}`;
  const places = new Map(SPEAKERS.map((speaker) => [nameOf(placeOf(speaker)), speaker]));
  const packets = await DummyPackets.watch(real, [...places.keys()]);
  const walker = new Walker(bridges);

  /** One packet in both; what comes out, of the real one. */
  const pass = async (from: Speaker, frame: Frame) => {
    const place = placeOf(from);
    const out = await packets.pass(nameOf(place), frame);
    walker.conntrackOf('node1').preferredPort = gatewayPortOf(out);
    const { arrivals } = walker.walk(place, headersOf(frame));
    const expected = arrivals
      .filter(({ ofport }) => ofport !== PORT.local)
      .map((arrival) => `${nameOf(arrival)}: ${packetText(arrival.headers)}`);
    const found = out.map(({ port, frame: one }) => `${port}: ${packetText(headersOf(one))}`);
    expect(found.sort(), `${from}: ${packetText(headersOf(frame))}`).toEqual(expected.sort());
    return out;
  };

  let sourcePort = 40_000;
  for (const speaker of SPEAKERS) {
    for (const target of Object.values(ADDRESS).filter((ip) => ip !== ADDRESS[speaker])) {
      for (const kind of ['udp', 'tcp'] as const) {
        const said = packet(ip4(ADDRESS[speaker]), ip4(target), opening(kind, sourcePort++));
        let from = speaker;
        let frame: Frame | undefined = {
          source: macOf(speaker),
          destination: nextMac(speaker, target),
          vlans: [],
          payload: said,
        };
        let turns = 0;
        while (turns < TURNS && frame !== undefined) {
          const [reached, ...others] = await pass(from, frame);
          const to = reached && places.get(reached.port);
          if (reached === undefined || to === undefined) break;
          expect(others).toEqual([]);
          expect(to === 'world' && isInside(reached.frame)).toBe(false);
          turns++;
          frame = answerTo(reached.frame);
          from = to;
        }
        // A gateway's own ports are the controller's to refuse, and nothing gets in that nobody has asked for.
        const isReached = target !== ADDRESS.gateway && !(speaker === 'world' && INSIDE.test(target));
        expect(turns, `${speaker} to ${target} by ${kind}`).toBe(isReached ? TURNS : 0);
      }
    }
  }
});
