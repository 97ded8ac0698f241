/**
 * The captures of Neutron's agent as scenarios of ours: for each step the topology document that means the same, what is
 * plugged in, and which flows must be there. Compared offline (offline.test.ts), and replayable on a real switch: a step's
 * document and plugged ports are all that the outside world does.
 */
import { readFileSync } from 'node:fs';
import type { HostFacts } from '../../src/compiler/compiler.ts';
import { integrationPatchName, PATCH_INT, PATCH_TUN, physicalPatchName } from '../../src/compiler/names.ts';
import { tunnelKey } from '../../src/compiler/site.ts';
import { ipFromText, macFromText, prefixContains, prefixFromText, prefixToText } from '../../src/lib/addresses.ts';
import type { TunnelType } from '../../src/pipeline/br-tun.ts';

interface CapturedNetwork {
  readonly id: string;
  readonly name: string;
  readonly network_type: string;
  readonly physical_network: string | null;
  readonly segmentation_id: number | null;
}

interface CapturedPort {
  readonly id: string;
  readonly ifname: string;
  readonly network_id: string;
  readonly mac: string;
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[];
  readonly device_owner: string;
  readonly port_security_enabled?: boolean;
  readonly allowed_address_pairs?: readonly { readonly mac_address: string; readonly ip_address: string }[];
  /** Of another host's. */
  readonly host?: string;
}

type CapturedEntries = Readonly<
  Record<string, { readonly ports: Readonly<Record<string, readonly [string, string][]>> }>
>;

type CapturedEvent =
  | CapturedEntries
  | readonly { readonly host: string; readonly mac_address: string }[]
  | {
      readonly chg_ip: Readonly<
        Record<string, Readonly<Record<string, { before: [string, string][]; after: [string, string][] }>>>
      >;
    };

interface CapturedStep {
  readonly name: string;
  readonly event: CapturedEvent | null;
  readonly local_vlans: Readonly<
    Record<
      string,
      { readonly network_id: string; readonly segmentation_id: number | null; readonly local_vlan: number }
    >
  >;
  readonly ofports: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly diff?: Readonly<Record<string, { readonly added: readonly string[]; readonly removed: readonly string[] }>>;
  readonly flows?: Readonly<Record<string, readonly string[]>>;
}

interface Capture {
  readonly scenario: string;
  readonly input: {
    readonly host: string;
    readonly local_ip: string | null;
    readonly agent: {
      readonly l2_population: boolean;
      readonly arp_responder: boolean;
      readonly enable_distributed_routing?: boolean;
      readonly bridge_mappings: Readonly<Record<string, string>>;
    };
    readonly networks: readonly CapturedNetwork[];
    readonly subnets: readonly {
      readonly id: string;
      readonly network_id: string;
      readonly cidr: string;
      readonly gateway_ip: string;
    }[];
    readonly ports: readonly CapturedPort[];
    readonly remote_hosts?: readonly { readonly host: string; readonly tunnel_ip: string }[];
    readonly dvr_host_macs?: readonly { readonly host: string; readonly mac_address: string }[];
  };
  readonly steps: readonly CapturedStep[];
}

/** A topology file's content, before anyone has checked it. */
export type TopologyDocument = Readonly<Record<string, unknown>>;

export interface ScenarioStep {
  readonly name: string;
  readonly document: TopologyDocument;
  /** Ports on the scenario's host: id to interface name and ofport. */
  readonly plugged: ReadonlyMap<string, { readonly name: string; readonly ofport: number }>;
  /** Where the document's ports are: those plugged on the scenario's host, and the remote ones. */
  readonly locations: ReadonlyMap<string, string>;
  /** Network id to local VLAN. */
  readonly localVlans: ReadonlyMap<string, number>;
  /** Bridge to port name to ofport. */
  readonly ofports: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Bridge to the flows that must be there, as text, sorted; deviations.ts applied. */
  readonly expected: ReadonlyMap<string, readonly string[]>;
  /** How these differ from the step before. */
  readonly added: ReadonlyMap<string, readonly string[]>;
  readonly removed: ReadonlyMap<string, readonly string[]>;
}

export interface Scenario {
  readonly name: string;
  /** The host whose agent was captured. */
  readonly host: string;
  readonly bridgeMappings: Readonly<Record<string, string>>;
  /** Address of each remote tunnel endpoint to its host. */
  readonly tunnelHosts: ReadonlyMap<number, string>;
  readonly steps: readonly ScenarioStep[];
}

/** Read a capture, as `01_vxlan_l2pop`. */
export function loadScenario(name: string): Scenario {
  const file = new URL(`captures/${name}.json`, import.meta.url);
  const capture = JSON.parse(readFileSync(file, 'utf8')) as Capture;
  const world = new CapturedWorld(capture);
  const flows = new Map<string, Set<string>>();
  const steps: ScenarioStep[] = [];
  const settleFamilies = name === '02b_dvr_ipv6' ? firstInterfaceStays('qr-cccc0015-00') : (lines: string[]) => lines;
  let earlier: ReadonlyMap<string, readonly string[]> = new Map();
  for (const step of capture.steps) {
    world.apply(step);
    replay(flows, step);
    const expected = new Map(
      [...flows].map(([bridge, lines]) => {
        const own = [...lines].flatMap((line) => ours(line, { step, bridge, world }));
        return [bridge, (bridge === 'br-int' ? settleFamilies(own, step) : own).sort()];
      }),
    );
    steps.push({
      name: step.name,
      ...world.describe(step),
      localVlans: new Map(Object.values(step.local_vlans).map((entry) => [entry.network_id, entry.local_vlan])),
      ofports: step.ofports,
      expected,
      added: difference(expected, earlier),
      removed: difference(earlier, expected),
    });
    earlier = expected;
  }
  const { host, agent } = capture.input;
  return { name, host, bridgeMappings: agent.bridge_mappings, tunnelHosts: world.tunnelHosts, steps };
}

function difference(
  left: ReadonlyMap<string, readonly string[]>,
  right: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...left].map(([bridge, lines]) => [bridge, lines.filter((line) => !right.get(bridge)?.includes(line))]),
  );
}

/** What the switches of the scenario's host show after a step. */
export function hostFactsOf(scenario: Scenario, step: ScenarioStep): HostFacts {
  const integration = step.ofports['br-int'] ?? {};
  const tunnel = step.ofports['br-tun'];
  const bridges = Object.values(scenario.bridgeMappings);
  const known = (entries: readonly (readonly [string, number | undefined])[]): ReadonlyMap<string, number> =>
    new Map(entries.flatMap(([key, ofport]) => (ofport === undefined ? [] : [[key, ofport] as const])));
  const patchTun = integration[PATCH_TUN];
  const patchInt = tunnel?.[PATCH_INT];
  return {
    localVlans: step.localVlans,
    integration: {
      ...(patchTun === undefined ? {} : { patchTun }),
      patchPhys: known(bridges.map((bridge) => [bridge, integration[integrationPatchName(bridge)]])),
      ports: step.plugged,
      deadPorts: [],
    },
    ...(tunnel === undefined
      ? {}
      : { tunnel: { ...(patchInt === undefined ? {} : { patchInt }), tunnels: tunnelOfports(scenario, tunnel) } }),
    physical: new Map(
      bridges.map((bridge) => {
        const ofport = step.ofports[bridge]?.[physicalPatchName(bridge)];
        return [bridge, ofport === undefined ? {} : { patchInt: ofport }];
      }),
    ),
  };
}

function tunnelOfports(scenario: Scenario, ports: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
  const ofports = new Map<string, number>();
  for (const [name, ofport] of Object.entries(ports)) {
    const [, type, hex] = /^(vxlan|gre|geneve)-([0-9a-f]{8})$/.exec(name) ?? [];
    if (type === undefined || hex === undefined) continue;
    const remoteHost = scenario.tunnelHosts.get(Number.parseInt(hex, 16));
    if (remoteHost === undefined) throw new Error(`${scenario.name}: ${name} leads to no host`);
    ofports.set(tunnelKey(type as TunnelType, remoteHost), ofport);
  }
  return ofports;
}

function replay(flows: Map<string, Set<string>>, step: CapturedStep): void {
  for (const [bridge, { added, removed }] of Object.entries(step.diff ?? {})) {
    const lines = flows.get(bridge) ?? new Set();
    flows.set(bridge, lines);
    for (const line of removed) if (!lines.delete(line)) throw new Error(`${step.name}: not there to remove: ${line}`);
    for (const line of added) lines.add(line);
  }
  for (const [bridge, lines] of Object.entries(step.flows ?? {})) {
    const replayed = flows.get(bridge);
    flows.set(bridge, new Set(lines));
    if (replayed === undefined) continue;
    const unlike = lines.filter((line) => !replayed.has(line));
    if (unlike.length > 0 || replayed.size !== lines.length) throw new Error(`${step.name}: diffs do not add up`);
  }
}

/**
 * routers-of-two-families: while the first interface of a network is plugged, the rows that both interfaces would write are
 * those that it wrote when it came, which is the first time that there are any.
 */
function firstInterfaceStays(interfaceName: string): (lines: string[], step: CapturedStep) => string[] {
  const isContested = (line: string): boolean => /^table=(1|3|60), priority=(20|5),/.test(line);
  let first: readonly string[] | undefined;
  return (lines, step) => {
    if (step.ofports['br-int']?.[interfaceName] === undefined) return lines;
    first ??= lines.filter(isContested);
    return [...lines.filter((line) => !isContested(line)), ...first];
  };
}

interface LineContext {
  readonly step: CapturedStep;
  readonly bridge: string;
  readonly world: CapturedWorld;
}

/** A line of Neutron's as ours must be, or none: src/pipeline/deviations.ts, but for rules that Neutron has no counterpart of. */
function ours(line: string, { step, bridge, world }: LineContext): string[] {
  if (world.isOfHostWithoutTunnel(line, step, bridge)) return [];
  if (bridge === 'br-tun') return [oursOnTunnelBridge(line, step)];
  // unreachable-drops
  if (bridge !== 'br-int') return line.startsWith('table=22,') ? [] : [line];
  const wires = world.wires(step);
  if (/^table=[34],/.test(line)) {
    // leaked-answers, answers-by-wire
    const port = Number(/output:(\d+)/.exec(line)?.[1]);
    if (!Object.values(step.ofports['br-int'] ?? {}).includes(port)) return [];
    const wire = wires.find(({ localVlan }) => line.startsWith(`table=4, priority=5,dl_vlan=${localVlan},`));
    return [wire === undefined ? line : line.replace(/dl_vlan=\d+/, `dl_vlan=${wire.segmentationId}`)];
  }
  if (line.startsWith('priority=99,')) {
    // answers-by-wire
    const wire = wires.find(({ macs }) => macs.some((mac) => line.includes(`arp_tha=${mac}`)));
    if (wire === undefined) return [line];
    const matched = line.replace('arp,dl_dst', `arp,dl_vlan=${wire.segmentationId},dl_dst`);
    return [matched.replace(',goto_table', `,set_field:${0x1000 + wire.localVlan}->vlan_vid,goto_table`)];
  }
  // routed-by-wire-alone
  const wire = wires.find(({ segmentationId }) => line.startsWith(`table=60, priority=20,dl_vlan=${segmentationId},`));
  return [wire === undefined ? line : line.replace('priority=20,', `priority=20,in_port=${wire.patch},`)];
}

function oursOnTunnelBridge(line: string, step: CapturedStep): string {
  if (line.startsWith('table=21,')) {
    // arp-requests-only
    return line.replace(/(arp_tpa=[\d.]+)/, '$1,arp_op=1');
  }
  if (/^table=22, priority=1,/.test(line)) {
    // flood-order, flood-of-deleted-tunnel
    const ports = new Set(Object.values(step.ofports['br-tun'] ?? {}));
    const outputs = [...line.matchAll(/output:(\d+)/g)].map(([, port]) => Number(port)).sort((a, b) => a - b);
    const alive = outputs.filter((port) => ports.has(port)).map((port) => `output:${port}`);
    return alive.length === 0 ? line : line.replace(/output:[\d,output:]+$/, alive.join(','));
  }
  return line;
}

/** The world that a capture's events describe, turned into documents. */
class CapturedWorld {
  readonly tunnelHosts = new Map<number, string>();
  readonly #capture: Capture;
  /** Network id to tunnel endpoint to MAC to addresses. */
  readonly #remote = new Map<string, Map<string, Map<string, string[]>>>();
  readonly #segmentationIds = new Map<string, number | null>();
  readonly #portChanges = new Map<string, Readonly<Record<string, unknown>>>();
  #hostMacs: ReadonlyMap<string, string>;

  constructor(capture: Capture) {
    this.#capture = capture;
    this.#hostMacs = macsByHost(capture.input.dvr_host_macs ?? []);
    for (const { host, tunnel_ip } of capture.input.remote_hosts ?? []) {
      this.tunnelHosts.set(ipFromText(tunnel_ip) as number, host);
    }
    if (capture.input.remote_hosts === undefined) this.#nameEndpoints();
  }

  /** A capture that does not say which host is where: in order. */
  #nameEndpoints(): void {
    const { input, steps } = this.#capture;
    const others = (input.dvr_host_macs ?? []).flatMap(({ host }) => (host === input.host ? [] : host));
    const endpoints = new Set(
      steps.flatMap(({ event }) =>
        event === null || Array.isArray(event) || 'chg_ip' in event
          ? []
          : Object.values(event as CapturedEntries).flatMap(({ ports }) => Object.keys(ports)),
      ),
    );
    for (const [index, endpoint] of [...endpoints].sort().entries()) {
      const host = others[index];
      if (host !== undefined) this.tunnelHosts.set(ipFromText(endpoint) as number, host);
    }
  }

  apply(step: CapturedStep): void {
    const [first, second] = this.#capture.input.ports;
    const { event } = step;
    if (step.name === 'port_admin_down') this.#changePort(first, { admin_state_up: false });
    if (step.name === 'port_admin_up') this.#changePort(first, { admin_state_up: true });
    if (step.name === 'portsec_disabled') this.#changePort(first, { port_security_enabled: false });
    if (step.name === 'aap_removed') this.#changePort(second, { allowed_address_pairs: [] });
    for (const { network_id, segmentation_id } of Object.values(step.local_vlans)) {
      this.#segmentationIds.set(network_id, segmentation_id);
    }
    if (event === null) return;
    if (Array.isArray(event)) this.#hostMacs = macsByHost(event);
    else if ('chg_ip' in event) this.#changeAddresses(event.chg_ip as never);
    else if (/remove|leaves/.test(step.name)) this.#eachEntry(event as CapturedEntries, this.#removeEntry);
    else this.#eachEntry(event as CapturedEntries, this.#addEntry);
  }

  /** host-macs-of-tunnels: whether a line of Neutron's waits for frames that a host sends by a tunnel that is not there. */
  isOfHostWithoutTunnel(line: string, step: CapturedStep, bridge: string): boolean {
    const patchTun = step.ofports['br-int']?.[PATCH_TUN];
    const byTunnel = bridge === 'br-tun' ? 'table=9, priority=1,dl_src=' : `priority=2,in_port=${patchTun},dl_src=`;
    if (!line.startsWith(byTunnel)) return false;
    const mac = line.slice(byTunnel.length).split(' ')[0];
    const tunnels = Object.keys(step.ofports['br-tun'] ?? {});
    return ![...this.tunnelHosts].some(([endpoint, host]) => {
      const hex = endpoint.toString(16).padStart(8, '0');
      return this.#hostMacs.get(host) === mac && tunnels.some((name) => name.endsWith(`-${hex}`));
    });
  }

  /** The networks of physical networks that the host has. */
  wires(step: CapturedStep) {
    const { input } = this.#capture;
    return Object.values(step.local_vlans).flatMap(({ network_id, local_vlan: localVlan, segmentation_id }) => {
      const network = input.networks.find(({ id }) => id === network_id);
      const bridge = input.agent.bridge_mappings[network?.physical_network ?? ''];
      const patch = bridge === undefined ? undefined : step.ofports['br-int']?.[integrationPatchName(bridge)];
      if (patch === undefined || segmentation_id === null) return [];
      const macs = input.ports.filter((port) => port.network_id === network_id).map(({ mac }) => mac);
      return { segmentationId: segmentation_id, localVlan, patch, macs };
    });
  }

  describe(step: CapturedStep): Pick<ScenarioStep, 'document' | 'plugged' | 'locations'> {
    const { input } = this.#capture;
    const plugged = new Map<string, { name: string; ofport: number }>();
    const locations = new Map<string, string>();
    const isLocal = (port: CapturedPort): boolean => port.host === undefined || port.host === input.host;
    const local = input.ports.filter(isLocal).flatMap((port) => {
      const ofport = step.ofports['br-int']?.[port.ifname];
      if (ofport !== undefined) {
        plugged.set(port.id, { name: port.ifname, ofport });
        if (ROUTER_PORTS[port.device_owner] === undefined) locations.set(port.id, input.host);
      }
      return ROUTER_PORTS[port.device_owner] === undefined ? this.#localPort(port) : [];
    });
    const remote = [...this.#remotePorts()];
    for (const { id, host } of remote) locations.set(id, host);
    const document = {
      settings: {
        enable_distributed_routing: input.agent.enable_distributed_routing ?? false,
        l2_population: input.agent.l2_population,
        arp_responder: input.agent.arp_responder,
      },
      hosts: this.#hosts(step),
      networks: this.#networks(),
      ports: [...local, ...remote],
      routers: this.#routers(),
    };
    return { document, plugged, locations };
  }

  #hosts(step: CapturedStep): readonly Readonly<Record<string, unknown>>[] {
    const { input } = this.#capture;
    const remote = new Map<string, string | undefined>();
    for (const { host, tunnel_ip } of input.remote_hosts ?? []) remote.set(host, tunnel_ip);
    for (const [endpoint, host] of this.tunnelHosts) {
      if (!remote.has(host)) remote.set(host, prefixToText({ address: endpoint, length: 32 }).slice(0, -3));
    }
    for (const { host } of input.dvr_host_macs ?? []) if (!remote.has(host)) remote.set(host, undefined);
    for (const host of this.#hostMacs.keys()) if (!remote.has(host)) remote.set(host, undefined);
    if (!input.agent.l2_population) this.#followTunnels(step, remote);
    remote.delete(input.host);
    const describe = (name: string, localIp: string | null | undefined) => ({
      name,
      ovsdb: `unix:/run/${name}/db.sock`,
      ...(localIp == null ? {} : { local_ip: localIp }),
      // A host that leaves distributed routing keeps its ports, as Neutron's forwarding entries for it show.
      ...(this.#hostMacs.has(name) ? { dvr_mac: this.#hostMacs.get(name) } : { agent_mode: 'legacy' }),
    });
    return [
      { ...describe(input.host, input.local_ip), bridge_mappings: input.agent.bridge_mappings },
      ...[...remote].map(([name, localIp]) => describe(name, localIp)),
    ];
  }

  /** Without l2population hosts come and go with their tunnels. */
  #followTunnels(step: CapturedStep, remote: Map<string, string | undefined>): void {
    const endpoints = new Set<number>();
    for (const name of Object.keys(step.ofports['br-tun'] ?? {})) {
      const [, hex] = /^vxlan-([0-9a-f]{8})$/.exec(name) ?? [];
      if (hex !== undefined) endpoints.add(Number.parseInt(hex, 16));
    }
    for (const [host, ip] of [...remote]) {
      if (ip !== undefined && !endpoints.has(ipFromText(ip) as number)) remote.delete(host);
    }
    for (const endpoint of endpoints) {
      if (this.tunnelHosts.has(endpoint)) continue;
      this.tunnelHosts.set(endpoint, `host-${endpoint.toString(16)}`);
    }
    for (const endpoint of endpoints) {
      const host = this.tunnelHosts.get(endpoint);
      if (host !== undefined) remote.set(host, prefixToText({ address: endpoint, length: 32 }).slice(0, -3));
    }
  }

  #networks(): readonly unknown[] {
    const { networks, subnets } = this.#capture.input;
    return networks.map((network) => {
      const segmentationId = this.#segmentationIds.get(network.id) ?? network.segmentation_id;
      const own = subnets.filter((subnet) => subnet.network_id === network.id);
      const listed = own.map(({ id, cidr, gateway_ip }) => ({ id, cidr, gateway_ip }));
      return {
        id: network.id,
        name: network.name,
        network_type: network.network_type,
        external: this.#capture.input.ports.some(
          (port) => port.network_id === network.id && ROUTER_PORTS[port.device_owner] === 'gateway',
        ),
        ...(segmentationId === null ? {} : { segmentation_id: segmentationId }),
        ...(network.physical_network === null ? {} : { physical_network: network.physical_network }),
        subnets: [...listed, ...this.#missingSubnets(network.id, own)],
      };
    });
  }

  /** Remote IPv6 addresses come without their subnet in the captures. */
  #missingSubnets(networkId: string, own: readonly { readonly cidr: string }[]): readonly { readonly cidr: string }[] {
    const cidrs = new Set<string>();
    for (const { networkId: of, mac, addresses } of this.#remoteEntries()) {
      if (of !== networkId || mac === NO_MAC) continue;
      for (const address of addresses) {
        const isKnown = own.some(({ cidr }) => prefixContains(prefixFromText(cidr), ipFromText(address)));
        if (!isKnown) cidrs.add(prefixToText(prefixFromText(`${address}/64`)));
      }
    }
    return [...cidrs].map((cidr) => ({ cidr }));
  }

  /** All ports of routers are one router's, and plugged in by somebody else. */
  #routers(): readonly unknown[] {
    const { ports } = this.#capture.input;
    const of = (kind: string) => ports.filter(({ device_owner }) => ROUTER_PORTS[device_owner] === kind);
    const address = ({ fixed_ips: [first] }: CapturedPort) => ({
      subnet: first?.subnet_id,
      ip_address: first?.ip_address,
    });
    const plug = ({ id, mac }: CapturedPort) => ({ port_id: id, mac_address: mac });
    const entry = (port: CapturedPort) => ({ ...address(port), ...plug(port) });
    const [gateway] = of('gateway');
    if (ports.every(({ device_owner }) => ROUTER_PORTS[device_owner] === undefined)) return [];
    return [
      {
        id: 'router',
        dataplane: 'namespace',
        interfaces: of('interface').map(entry),
        snat_ports: of('snat').map(entry),
        ...(gateway && {
          external_gateway_info: {
            network: gateway.network_id,
            external_fixed_ips: [address(gateway)],
            ...plug(gateway),
          },
        }),
      },
    ];
  }

  #localPort(port: CapturedPort): Readonly<Record<string, unknown>> {
    return {
      id: port.id,
      network: port.network_id,
      mac_address: port.mac,
      fixed_ips: port.fixed_ips.map(({ subnet_id, ip_address }) => ({ subnet: subnet_id, ip_address })),
      device_owner: port.device_owner,
      port_security_enabled: port.port_security_enabled ?? true,
      allowed_address_pairs: port.allowed_address_pairs ?? [],
      ...this.#portChanges.get(port.id),
    };
  }

  *#remotePorts() {
    for (const [index, { networkId, endpoint, mac, addresses }] of [...this.#remoteEntries()].entries()) {
      const host = this.tunnelHosts.get(ipFromText(endpoint) as number);
      if (host === undefined) throw new Error(`${endpoint} is no host's`);
      if (mac === NO_MAC) {
        // The host has the network, be it for a router alone; a port that is down says as much.
        const macAddress = `02:00:00:00:00:${(0x10 + index).toString(16)}`;
        yield { id: `${host}-${networkId}`, network: networkId, mac_address: macAddress, admin_state_up: false, host };
        continue;
      }
      const isGateway = this.#capture.input.subnets.some((subnet) => addresses.includes(subnet.gateway_ip));
      yield {
        id: `remote-${macFromText(mac).toString(16)}`,
        network: networkId,
        mac_address: mac,
        fixed_ips: addresses,
        device_owner: isGateway ? 'network:router_interface' : 'compute:nova',
        host,
      };
    }
  }

  *#remoteEntries() {
    for (const [networkId, endpoints] of this.#remote) {
      for (const [endpoint, macs] of endpoints) {
        const hasPorts = [...macs.keys()].some((mac) => mac !== NO_MAC);
        for (const [mac, addresses] of macs)
          if (mac !== NO_MAC || !hasPorts) yield { networkId, endpoint, mac, addresses };
      }
    }
  }

  #changePort(port: CapturedPort | undefined, change: Readonly<Record<string, unknown>>): void {
    if (port !== undefined) this.#portChanges.set(port.id, { ...this.#portChanges.get(port.id), ...change });
  }

  #eachEntry(
    entries: CapturedEntries,
    apply: (networkId: string, endpoint: string, mac: string, ip: string) => void,
  ): void {
    for (const [networkId, { ports }] of Object.entries(entries)) {
      for (const [endpoint, list] of Object.entries(ports)) {
        for (const [mac, ip] of list) apply(networkId, endpoint, mac, ip);
      }
    }
  }

  readonly #addEntry = (networkId: string, endpoint: string, mac: string, ip: string): void => {
    const endpoints = this.#remote.get(networkId) ?? new Map<string, Map<string, string[]>>();
    const macs = endpoints.get(endpoint) ?? new Map<string, string[]>();
    macs.set(mac, [...(macs.get(mac) ?? []), ip]);
    endpoints.set(endpoint, macs);
    this.#remote.set(networkId, endpoints);
  };

  readonly #removeEntry = (networkId: string, endpoint: string, mac: string): void => {
    this.#remote.get(networkId)?.get(endpoint)?.delete(mac);
  };

  #changeAddresses(
    changes: Readonly<
      Record<string, Readonly<Record<string, { before: [string, string][]; after: [string, string][] }>>>
    >,
  ): void {
    for (const [networkId, endpoints] of Object.entries(changes)) {
      for (const [endpoint, { before, after }] of Object.entries(endpoints)) {
        for (const [mac] of before) this.#removeEntry(networkId, endpoint, mac);
        for (const [mac, ip] of after) this.#addEntry(networkId, endpoint, mac, ip);
      }
    }
  }
}

const NO_MAC = '00:00:00:00:00:00';

const ROUTER_PORTS: Readonly<Record<string, 'interface' | 'snat' | 'gateway'>> = {
  'network:router_interface_distributed': 'interface',
  'network:router_centralized_snat': 'snat',
  'network:router_gateway': 'gateway',
};

function macsByHost(
  list: readonly { readonly host: string; readonly mac_address: string }[],
): ReadonlyMap<string, string> {
  return new Map(list.map(({ host, mac_address }) => [host, mac_address]));
}
