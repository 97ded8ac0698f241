/**
 * What is wrong with the hosts of a topology, before or while heddle runs: the checks of `heddle doctor`. Given what each host's
 * OVSDB shows, findings in words: what, where, why, and what to do. Pure.
 */

import { buildGateways } from '../compiler/gateways.ts';
import { buildRouting } from '../compiler/routing.ts';
import { isTunnelled } from '../compiler/site.ts';
import type { InterfaceRow } from '../ovsdb/open-vswitch.generated.ts';
import type { Host, NetworkType, Topology } from '../topology/model.ts';
import { type BridgeView, MONITORED, type SwitchView } from './switch-view.ts';
import { bridgesOf, physicalBridges } from './wanted.ts';

/** What the doctor reads besides what the controller does. */
export const EXAMINED = {
  ...MONITORED,
  Interface: [...MONITORED.Interface, 'mtu', 'status'],
} as const;

export type ExaminedInterface = Pick<InterfaceRow, (typeof EXAMINED)['Interface'][number] | '_uuid'>;

/** What was learnt of one host. */
export type Examination =
  | { readonly reached: true; readonly view: SwitchView; readonly interfaces: Iterable<ExaminedInterface> }
  | { readonly reached: false; readonly reason: string };

/** `note`: nothing to do. `warning`: works now, and will hurt. `error`: does not work. */
export type Severity = 'note' | 'warning' | 'error';

export interface Finding {
  readonly severity: Severity;
  /** Empty: of the site as a whole. */
  readonly host: string;
  readonly what: string;
  /** What to do; empty for a note. */
  readonly advice: string;
}

/** The first release with everything that heddle asks of a switch (bundles on OpenFlow 1.3, ct nat in userspace, check_pkt_larger). */
const OLDEST_VERSION = [2, 12] as const;

/** Bytes that a tunnel adds to a guest's IP packet over IPv4: outer headers and the inner Ethernet one. */
const TUNNEL_OVERHEAD_SIZE = { vxlan: 50, gre: 42, geneve: 58 } as const;
const IPV6_EXTRA_SIZE = 20;

export function diagnose(topology: Topology, examinations: ReadonlyMap<string, Examination>): readonly Finding[] {
  const findings: Finding[] = [];
  for (const host of topology.hosts.values()) {
    const examination = examinations.get(host.name);
    if (examination === undefined) continue;
    if (examination.reached) findings.push(...diagnoseHost(topology, host, examination));
    else findings.push(unreachable(host, examination.reason));
  }
  findings.push(...sharedDatapathIds(topology, examinations));
  const routing = buildRouting(topology);
  for (const what of buildGateways(topology, routing).warnings) {
    findings.push({ severity: 'warning', host: '', what, advice: 'see docs/decisions/0002-gateway-failover.md' });
  }
  for (const what of routing.warnings) {
    findings.push({
      severity: 'warning',
      host: '',
      what,
      advice: 'change the routers if that matters to their guests',
    });
  }
  if ([...topology.ports.values()].some(({ securityGroups }) => securityGroups.length > 0)) {
    findings.push({
      severity: 'warning',
      host: '',
      what: 'ports name security groups, whose rules this version checks but does not enforce',
      advice: 'filter in the guests until it does',
    });
  }
  return findings;
}

function unreachable(host: Host, reason: string): Finding {
  const advice = host.ovsdb.startsWith('unix:')
    ? 'start openvswitch-switch there, and see that this user may open the socket'
    : `on the host: ovs-vsctl set-manager p${host.ovsdb.replace(/^(tcp|ssl):(.*):(\d+)$/, '$1:$3:$2')}`;
  const what = reason.includes(host.ovsdb) ? `no OVSDB: ${reason}` : `no OVSDB at ${host.ovsdb}: ${reason}`;
  return { severity: 'error', host: host.name, what, advice };
}

function* diagnoseHost(
  topology: Topology,
  host: Host,
  { view, interfaces }: Extract<Examination, { reached: true }>,
): Generator<Finding> {
  const finding = (severity: Severity, what: string, advice = ''): Finding => ({
    severity,
    host: host.name,
    what,
    advice,
  });
  const version = view.root?.ovs_version;
  if (version === undefined) yield finding('note', 'Open vSwitch of unknown version: its database does not say');
  else if (isOlder(version)) {
    const oldest = OLDEST_VERSION.join('.');
    yield finding('warning', `Open vSwitch ${version} is older than ${oldest}`, `upgrade to ${oldest} or later`);
  } else yield finding('note', `Open vSwitch ${version}`);
  const types = view.root?.datapath_types ?? [];
  if (types.length > 0 && !types.includes(host.datapathType)) {
    yield finding(
      'error',
      `datapath_type ${host.datapathType} is not one of this switch's: ${types.join(', ')}`,
      'correct datapath_type of the host; without the kernel module it is netdev',
    );
  }
  yield* diagnoseBridges(host, view, finding);
  yield* diagnoseController(host, finding);
  const rows = [...interfaces];
  for (const { name, error } of rows) {
    if (error !== undefined)
      yield finding('error', `interface ${name}: ${error}`, 'correct or remove it with ovs-vsctl');
  }
  yield* diagnoseTunnels(topology, host, rows, finding);
}

type MakeFinding = (severity: Severity, what: string, advice?: string) => Finding;

function* diagnoseBridges(host: Host, view: SwitchView, finding: MakeFinding): Generator<Finding> {
  const physical = new Set(physicalBridges(host));
  for (const name of bridgesOf(host)) {
    const bridge = view.bridges.get(name);
    if (bridge !== undefined) yield* diagnoseBridge(name, bridge, finding);
    else if (physical.has(name)) {
      const networks = [...host.bridgeMappings].flatMap(([network, mapped]) => (mapped === name ? [network] : []));
      const advice = `ovs-vsctl add-br ${name}, and give it the interface to ${networks.join(', ')}`;
      yield finding('error', `bridge ${name} of bridge_mappings does not exist`, advice);
    } else yield finding('note', `bridge ${name} does not exist yet; heddle run makes it`);
  }
}

function* diagnoseBridge(name: string, { bridge, dpid }: BridgeView, finding: MakeFinding): Generator<Finding> {
  if (dpid === undefined) {
    const type = bridge.datapath_type === '' ? 'system' : bridge.datapath_type;
    const advice = `see ovs-vswitchd's log; without the kernel module: ovs-vsctl set bridge ${name} datapath_type=netdev`;
    yield finding(
      'error',
      `bridge ${name} is in the database but ovs-vswitchd has not made it (datapath_type ${type})`,
      advice,
    );
  }
  if (bridge.protocols.length > 0 && !bridge.protocols.includes('OpenFlow13')) {
    yield finding('note', `bridge ${name} speaks ${bridge.protocols.join(', ')}; heddle run adds OpenFlow13`);
  }
}

const LOOPBACK = /^(tcp|ssl):(127\.|\[::1\])/;

/** A controller on the loopback address is reached by the switches of its own machine alone. */
function* diagnoseController(host: Host, finding: MakeFinding): Generator<Finding> {
  const isLoopback = host.controllers.length > 0 && host.controllers.every((target) => LOOPBACK.test(target));
  if (host.mgmtDir !== undefined || !isLoopback || host.ovsdb.startsWith('unix:')) return;
  if (LOOPBACK.test(host.ovsdb)) return;
  yield finding(
    'error',
    `its OVSDB is at ${host.ovsdb}, but its bridges are told to call ${host.controllers.join(', ')}, which is the host itself`,
    `set controller of the host to an address of the controller's machine, and run with --listen there`,
  );
}

function* diagnoseTunnels(
  topology: Topology,
  host: Host,
  interfaces: readonly ExaminedInterface[],
  finding: MakeFinding,
): Generator<Finding> {
  const byName = new Map(interfaces.map((row) => [row.name, row]));
  const told = new Set<string>();
  for (const { name, type, status, bfd, bfd_status: heard } of interfaces) {
    if (!isTunnelled(type)) continue;
    if (bfd.get('enable') === 'true' && heard.get('forwarding') === 'false') {
      yield finding(
        'warning',
        `by tunnel ${name} nobody is heard (BFD is ${heard.get('state') ?? 'not there'}): gateways at its other end are taken for dead`,
        'look at the host there: whether it lives, its switch has flows (heddle status), and the underlay lets tunnels through',
      );
    }
    const egress = status.get('tunnel_egress_iface');
    if (egress === undefined) {
      yield finding('error', `tunnel ${name} has no way out`, `give the host a route to ${name}'s remote_ip`);
      continue;
    }
    if (status.get('tunnel_egress_iface_carrier') === 'down') {
      yield finding('error', `tunnel ${name} leaves by ${egress}, which has no carrier`, `check the link of ${egress}`);
    }
    const mtu = byName.get(egress)?.mtu;
    const needed = neededMtu(topology, host, type);
    if (mtu === undefined || needed === undefined || mtu >= needed.mtu || told.has(`${egress} ${type}`)) continue;
    told.add(`${egress} ${type}`);
    yield finding(
      'warning',
      `${egress} has an MTU of ${mtu}: full-size frames of network ${needed.network} need ${needed.mtu} over ${type}, and are lost`,
      `raise the MTU of the underlay to ${needed.mtu}, or give network ${needed.network} an mtu of ${mtu - needed.overhead}`,
    );
  }
}

/** The MTU that the underlay needs for the largest network of a type, whoever has it: frames come from there too. */
function neededMtu(
  topology: Topology,
  { localIp }: Host,
  type: Extract<NetworkType, 'vxlan' | 'gre' | 'geneve'>,
): { readonly mtu: number; readonly network: string; readonly overhead: number } | undefined {
  const overhead = TUNNEL_OVERHEAD_SIZE[type] + (typeof localIp === 'bigint' ? IPV6_EXTRA_SIZE : 0);
  let needed: { mtu: number; network: string; overhead: number } | undefined;
  for (const { id, networkType, mtu } of topology.networks.values()) {
    if (networkType !== type) continue;
    if (needed === undefined || mtu + overhead > needed.mtu) needed = { mtu: mtu + overhead, network: id, overhead };
  }
  return needed;
}

function* sharedDatapathIds(topology: Topology, examinations: ReadonlyMap<string, Examination>): Generator<Finding> {
  const owners = new Map<bigint, string>();
  for (const host of topology.hosts.values()) {
    const examination = examinations.get(host.name);
    if (examination?.reached !== true) continue;
    for (const bridge of bridgesOf(host)) {
      const dpid = examination.view.bridges.get(bridge)?.dpid;
      if (dpid === undefined) continue;
      const owner = owners.get(dpid);
      if (owner === undefined) {
        owners.set(dpid, `${bridge} of ${host.name}`);
        continue;
      }
      const what = `bridge ${bridge} has datapath id ${dpid.toString(16).padStart(16, '0')}, and so has ${owner}`;
      yield { severity: 'note', host: host.name, what: `${what}; heddle run gives it another`, advice: '' };
    }
  }
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_VERSION;
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}
