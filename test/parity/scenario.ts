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
  let earlier: ReadonlyMap<string, readonly string[]> = new Map();
  for (const step of capture.steps) {
    world.apply(step);
    replay(flows, step);
    const expected = new Map(
      [...flows].map(([bridge, lines]) => [bridge, [...lines].map((line) => ours(line, step)).sort()]),
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

/** A line of Neutron's as ours must be: src/pipeline/deviations.ts, but for rules that Neutron has no counterpart of. */
function ours(line: string, step: CapturedStep): string {
  if (line.startsWith('table=21,')) {
    // arp-requests-only
    return line.replace(/(arp_tpa=[\d.]+)/, '$1,arp_op=1');
  }
  if (line.startsWith('table=22,')) {
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

  describe(step: CapturedStep): Pick<ScenarioStep, 'document' | 'plugged' | 'locations'> {
    const { input } = this.#capture;
    const plugged = new Map<string, { name: string; ofport: number }>();
    const locations = new Map<string, string>();
    const isLocal = (port: CapturedPort): boolean => port.host === undefined || port.host === input.host;
    const local = input.ports.filter(isLocal).map((port) => {
      const ofport = step.ofports['br-int']?.[port.ifname];
      if (ofport !== undefined) {
        plugged.set(port.id, { name: port.ifname, ofport });
        locations.set(port.id, input.host);
      }
      return this.#localPort(port);
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
    };
    return { document, plugged, locations };
  }

  #hosts(step: CapturedStep): readonly Readonly<Record<string, unknown>>[] {
    const { input } = this.#capture;
    const remote = new Map<string, string | undefined>();
    for (const { host, tunnel_ip } of input.remote_hosts ?? []) remote.set(host, tunnel_ip);
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
        ...(segmentationId === null ? {} : { segmentation_id: segmentationId }),
        ...(network.physical_network === null ? {} : { physical_network: network.physical_network }),
        subnets: [...listed, ...this.#missingSubnets(network.id, own)],
      };
    });
  }

  /** Remote IPv6 addresses come without their subnet in the captures. */
  #missingSubnets(networkId: string, own: readonly { readonly cidr: string }[]): readonly { readonly cidr: string }[] {
    const cidrs = new Set<string>();
    for (const { networkId: of, addresses } of this.#remoteEntries()) {
      if (of !== networkId) continue;
      for (const address of addresses) {
        const isKnown = own.some(({ cidr }) => prefixContains(prefixFromText(cidr), ipFromText(address)));
        if (!isKnown) cidrs.add(prefixToText(prefixFromText(`${address}/64`)));
      }
    }
    return [...cidrs].map((cidr) => ({ cidr }));
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
    for (const { networkId, endpoint, mac, addresses } of this.#remoteEntries()) {
      const host = this.tunnelHosts.get(ipFromText(endpoint) as number);
      if (host === undefined) throw new Error(`${endpoint} is no host's`);
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
        for (const [mac, addresses] of macs) yield { networkId, endpoint, mac, addresses };
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
        // The all-zero MAC says that the host has the network, which its ports say too.
        for (const [mac, ip] of list) if (mac !== '00:00:00:00:00:00') apply(networkId, endpoint, mac, ip);
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

function macsByHost(
  list: readonly { readonly host: string; readonly mac_address: string }[],
): ReadonlyMap<string, string> {
  return new Map(list.map(({ host, mac_address }) => [host, mac_address]));
}
