/** What the doctor finds (src/controller/diagnose.ts) where it takes a kernel, routes or links to have it for real. */
import { describe, expect, test } from 'vitest';
import { diagnose, type ExaminedInterface, type Finding } from '../../src/controller/diagnose.ts';
import { loadTopology } from '../../src/topology/load.ts';
import { type ModelBridge, ModelHost } from './model-host.ts';

interface Patient {
  readonly host?: Readonly<Record<string, unknown>>;
  readonly networks?: readonly Readonly<Record<string, unknown>>[];
  readonly bridges?: readonly ModelBridge[];
  readonly root?: Readonly<Record<string, unknown>>;
  readonly interfaces?: readonly Readonly<Record<string, unknown>>[];
  readonly further?: Readonly<Record<string, unknown>>;
}

function findingsOf({
  host,
  networks = [],
  bridges = [],
  root,
  interfaces = [],
  further,
}: Patient): readonly Finding[] {
  const hosts = [{ name: 'node1', local_ip: '172.28.0.11', ...host }];
  const loaded = loadTopology(JSON.stringify({ hosts, networks, ...further }), { file: 'site.json' });
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  const { view } = new ModelHost(bridges);
  const examined = { ...view, root: { ...view.root, ovs_version: '3.1.0', ...root } } as typeof view;
  const rows = interfaces.map((row) => ({
    type: '',
    error: undefined,
    status: new Map(),
    bfd: new Map(),
    bfd_status: new Map(),
    ...row,
  })) as unknown as ExaminedInterface[];
  return diagnose(loaded.topology, new Map([['node1', { reached: true, view: examined, interfaces: rows }]]));
}

const BLUE = { id: 'blue', network_type: 'vxlan', segmentation_id: 1, mtu: 1450 };
const tunnel = (status: Readonly<Record<string, string>>) => ({
  name: 'vxlan-ac1c000c',
  type: 'vxlan',
  status: new Map(Object.entries(status)),
});
const problems = (findings: readonly Finding[]) => findings.filter(({ severity }) => severity !== 'note');

describe('MTU', () => {
  test('of an underlay that is too small is told, with both ways out', () => {
    const interfaces = [
      tunnel({ tunnel_egress_iface: 'eth0', tunnel_egress_iface_carrier: 'up' }),
      { name: 'eth0', mtu: 1400 },
    ];
    expect(problems(findingsOf({ networks: [BLUE], interfaces }))).toEqual([
      {
        severity: 'warning',
        host: 'node1',
        what: 'eth0 has an MTU of 1400: full-size frames of network blue need 1500 over vxlan, and are lost',
        advice: 'raise the MTU of the underlay to 1500, or give network blue an mtu of 1350',
      },
    ]);
  });

  test('that fits to the byte is not', () => {
    const interfaces = [tunnel({ tunnel_egress_iface: 'eth0' }), { name: 'eth0', mtu: 1500 }];
    expect(problems(findingsOf({ networks: [BLUE], interfaces }))).toEqual([]);
  });

  test('counts 20 bytes more over IPv6', () => {
    const interfaces = [tunnel({ tunnel_egress_iface: 'eth0' }), { name: 'eth0', mtu: 1500 }];
    expect(problems(findingsOf({ host: { local_ip: '2001:db8::11' }, networks: [BLUE], interfaces }))).toMatchObject([
      { what: expect.stringContaining('need 1520 over vxlan') },
    ]);
  });
});

test.each<[string, Patient, Partial<Finding>]>([
  [
    'a tunnel without a route',
    { networks: [BLUE], interfaces: [tunnel({})] },
    { severity: 'error', what: 'tunnel vxlan-ac1c000c has no way out' },
  ],
  [
    'a link that is down',
    { networks: [BLUE], interfaces: [tunnel({ tunnel_egress_iface: 'eth0', tunnel_egress_iface_carrier: 'down' })] },
    {
      severity: 'error',
      what: 'tunnel vxlan-ac1c000c leaves by eth0, which has no carrier',
      advice: 'check the link of eth0',
    },
  ],
  [
    'an old switch',
    { root: { ovs_version: '2.9.8' } },
    { severity: 'warning', what: 'Open vSwitch 2.9.8 is older than 2.12', advice: 'upgrade to 2.12 or later' },
  ],
  [
    'a datapath type that is not there',
    { root: { datapath_types: ['netdev'] } },
    { severity: 'error', what: "datapath_type system is not one of this switch's: netdev" },
  ],
  [
    'a controller that another machine cannot reach',
    { host: { ovsdb: 'tcp:203.0.113.5:6640' } },
    { severity: 'error', advice: expect.stringContaining('run with --listen there') },
  ],
  [
    'a port that the switch refuses',
    { interfaces: [{ name: 'tap9', error: 'could not open network device tap9 (No such device)' }] },
    { severity: 'error', what: 'interface tap9: could not open network device tap9 (No such device)' },
  ],
  [
    'a tunnel by which nobody is heard',
    {
      interfaces: [
        {
          ...tunnel({ tunnel_egress_iface: 'eth0' }),
          bfd: new Map([['enable', 'true']]),
          bfd_status: new Map([
            ['forwarding', 'false'],
            ['state', 'down'],
          ]),
        },
      ],
    },
    { severity: 'warning', what: expect.stringContaining('nobody is heard (BFD is down)') },
  ],
  [
    'a gateway host that nobody relieves',
    {
      host: { agent_mode: 'dvr_snat', bridge_mappings: { public: 'br-ex' } },
      bridges: [{ name: 'br-ex' }],
      networks: [
        {
          id: 'blue',
          network_type: 'vlan',
          physical_network: 'public',
          segmentation_id: 5,
          subnets: [{ id: 'blue4', cidr: '10.0.0.0/24' }],
        },
        {
          id: 'world',
          network_type: 'flat',
          physical_network: 'public',
          external: true,
          subnets: [{ id: 'world4', cidr: '203.0.113.0/24' }],
        },
      ],
      further: {
        hosts: [
          { name: 'node1', local_ip: '172.28.0.11', agent_mode: 'dvr_snat', bridge_mappings: { public: 'br-ex' } },
          { name: 'node2', local_ip: '172.28.0.12', agent_mode: 'dvr_snat', bridge_mappings: { public: 'br-ex' } },
        ],
        routers: [{ id: 'r', interfaces: [{ subnet: 'blue4' }], external_gateway_info: { network: 'world' } }],
      },
    },
    {
      severity: 'warning',
      what: expect.stringMatching(
        /router r has node1 for its gateway host, and node2 does not take over .* network blue is no tunnelled one/,
      ),
    },
  ],
])('%s is found, once', (_name, patient, finding) => {
  expect(problems(findingsOf(patient))).toEqual([expect.objectContaining(finding)]);
});

test('a host that is well has nothing but notes', () => {
  const findings = findingsOf({ bridges: [{ name: 'br-int' }, { name: 'br-tun' }] });
  expect(problems(findings)).toEqual([]);
  expect(findings.every(({ advice }) => advice === '')).toBe(true);
});

test('a router that routes to another one is told: flows route a packet once', () => {
  const findings = findingsOf({
    networks: [
      BLUE,
      { id: 'red', network_type: 'vxlan', segmentation_id: 2 },
      { id: 'link', network_type: 'vxlan', segmentation_id: 3 },
    ].map((network, index) => ({ ...network, subnets: [{ id: `${network.id}4`, cidr: `10.${index}.0.0/24` }] })),
    further: {
      routers: [
        {
          id: 'one',
          interfaces: [{ subnet: 'blue4' }, { subnet: 'link4', ip_address: '10.2.0.1' }],
          routes: [{ destination: '10.1.0.0/24', nexthop: '10.2.0.2' }],
        },
        { id: 'other', interfaces: [{ subnet: 'red4' }, { subnet: 'link4', ip_address: '10.2.0.2' }] },
      ],
    },
  });
  expect(findings).toContainEqual(
    expect.objectContaining({
      severity: 'warning',
      what: expect.stringContaining('router one routes 10.1.0.0/24 to 10.2.0.2, which is router other: both are flows'),
    }),
  );
});
