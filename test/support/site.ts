/**
 * A whole site for the tests of traffic: a lab, a topology file that describes it, heddle running on that file, and a guest
 * plugged in for every port. What a test says in Neutron's words comes true here, or the test fails.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HeddleProcess } from '../../scripts/support/heddle-process.ts';
import type { Guest } from '../../scripts/support/lab/guest.ts';
import { OVSDB_PORT } from '../../scripts/support/lab/host.ts';
import { CONTROLLER_IP, hostAddresses, Lab, type SegmentOptions } from '../../scripts/support/lab/lab.ts';
import { HeddleError, invariant } from '../../src/lib/errors.ts';
import { unexpectedLogLines } from './ovs-logs.ts';

/** Keys of docs/TOPOLOGY.md, as a file has them. */
type Keys = Readonly<Record<string, unknown>>;

export interface SiteNetwork extends Keys {
  readonly id: string;
  readonly network_type: 'vxlan' | 'gre' | 'geneve' | 'vlan' | 'flat' | 'local';
  readonly mtu?: number;
  readonly subnets: readonly (Keys & { readonly cidr: string })[];
}

interface PortKeys extends Keys {
  readonly id: string;
  readonly network: string;
  readonly mac_address: string;
  /** Each in a subnet of the network's. */
  readonly fixed_ips: readonly string[];
}

export interface SitePort extends PortKeys {
  readonly host: string;
}

export interface UnplacedPort extends PortKeys {
  readonly pluggedInto: string;
}

export interface SiteOptions {
  readonly hosts?: readonly string[];
  /** Hosts of the lab that the file does not have: on the same wires, and nobody's but the test's. */
  readonly bystanders?: readonly string[];
  readonly segments?: readonly SegmentOptions[];
  readonly settings?: Keys;
  readonly networks: readonly SiteNetwork[];
  readonly ports: readonly SitePort[];
  /** Ports that have no host in the file, and where each is plugged in. */
  readonly unplaced?: readonly UnplacedPort[];
  /** Ports that are in the file alone: nobody plugs them in. */
  readonly nowhere?: readonly PortKeys[];
  /** Further top-level keys: routers, floating_ips, security_groups. */
  readonly further?: Keys;
  /** Joined to every host, and to one by name. */
  readonly host?: Keys;
  readonly hostsByName?: Readonly<Record<string, Keys>>;
}

const LISTEN = `tcp:${CONTROLLER_IP}:6653`;
/** The cookie of flows that came from learn(), as src/flow/cookie.ts draws it. */
const LEARNED = /^cookie=0x484402/;
export const DEFAULT_HOSTS = ['node1', 'node2', 'node3'];
/** What fits into an underlay of 1500 bytes, by the kind of network. */
export const DEFAULT_MTU = { vxlan: 1450, gre: 1458, geneve: 1442, vlan: 1500, flat: 1500, local: 1500 } as const;

/** MAC addresses by number, of the range that OpenStack uses. */
export function macOf(number: number): string {
  return `fa:16:3e:00:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 0xff).toString(16).padStart(2, '0')}`;
}

export class Site {
  readonly lab: Lab;
  readonly file: string;
  readonly #options: SiteOptions;
  #heddle: HeddleProcess;

  private constructor(lab: Lab, options: SiteOptions, file: string, heddle: HeddleProcess) {
    this.lab = lab;
    this.file = file;
    this.#options = options;
    this.#heddle = heddle;
  }

  /** Lab up, heddle converged, every guest plugged in. */
  static async up(options: SiteOptions): Promise<Site> {
    const hosts = options.hosts ?? DEFAULT_HOSTS;
    const lab = await Lab.up({ hosts: [...hosts, ...(options.bystanders ?? [])], segments: options.segments ?? [] });
    try {
      const file = join(lab.directory, 'topology.yaml');
      writeFileSync(file, topologyText(options));
      const site = new Site(lab, options, file, startHeddle(lab, file));
      await site.#heddle.converged();
      for (const port of options.ports) await site.#plug(port, port.host);
      for (const port of options.unplaced ?? []) await site.#plug(port, port.pluggedInto);
      await site.#heddle.converged();
      return site;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  get heddle(): HeddleProcess {
    return this.#heddle;
  }

  guest(name: string): Guest {
    return this.lab.guest(name);
  }

  async #plug(port: PortKeys, host: string): Promise<void> {
    const network = this.#options.networks.find(({ id }) => id === port.network);
    invariant(network, 'a port names a network of the same test', { port: port.id });
    const lengthOf = (address: string): string => {
      const subnet = network.subnets.find(({ cidr }) => cidr.includes(':') === address.includes(':'));
      return subnet?.cidr.split('/')[1] ?? '';
    };
    const guest = await this.lab.addGuest({
      name: port.id,
      mac: port.mac_address,
      addresses: port.fixed_ips.map((address) => `${address}/${lengthOf(address)}`),
      mtu: network.mtu ?? DEFAULT_MTU[network.network_type],
    });
    await guest.plug(this.lab.host(host));
  }

  /** Change the topology file; heddle reads it by itself. */
  rewrite(change: Partial<SiteOptions>): void {
    writeFileSync(this.file, topologyText({ ...this.#options, ...change }));
  }

  /** Start the controller again after it was stopped. */
  async restartHeddle(): Promise<void> {
    this.startHeddle();
    await this.#heddle.converged();
  }

  /** The same where it cannot converge, because a host is gone. */
  startHeddle(): void {
    this.#heddle = startHeddle(this.lab, this.file);
  }

  /** The flows of every bridge that heddle writes, by host and bridge; what the bridges have learnt by themselves apart. */
  async flows(): Promise<Map<string, string[]>> {
    const flows = new Map<string, string[]>();
    for (const host of this.lab.hosts) {
      if (this.#options.bystanders?.includes(host.name)) continue;
      for (const bridge of ['br-int', 'br-tun', ...(this.#options.segments ?? []).map((segment) => segment.bridge)]) {
        flows.set(
          `${host.name} ${bridge}`,
          (await host.flows(bridge)).filter((flow) => !LEARNED.test(flow)),
        );
      }
    }
    return flows;
  }

  /**
   * Take everything down. Throws where Open vSwitch or heddle has complained, unless the test has provoked it, or
   * ovs-logs.ts allows it.
   */
  async down(options: { readonly provoked?: RegExp } = {}): Promise<void> {
    const complaints = this.#heddle.complaints.map((line) => `heddle: ${JSON.stringify(line)}`);
    const lines = [...unexpectedLogLines(this.lab.hosts), ...complaints];
    const found = lines.filter((line) => !options.provoked?.test(line));
    await this.#heddle.stop();
    await this.lab.down();
    if (found.length > 0) throw new HeddleError('COMPLAINTS', `the logs are not clean:\n${found.join('\n')}`);
  }
}

function startHeddle(lab: Lab, file: string): HeddleProcess {
  return HeddleProcess.start({
    namespace: lab.controller,
    file,
    listen: LISTEN,
    directory: join(lab.directory, 'heddle'),
  });
}

/** JSON is YAML too. */
function topologyText(options: SiteOptions): string {
  const bridgeMappings = Object.fromEntries((options.segments ?? []).map(({ name, bridge }) => [name, bridge]));
  const hosts = (options.hosts ?? DEFAULT_HOSTS).map((name, index) => ({
    name,
    ovsdb: `tcp:${hostAddresses(index).managementIp}:${OVSDB_PORT}`,
    local_ip: hostAddresses(index).localIp,
    controller: LISTEN,
    datapath_type: 'netdev',
    bridge_mappings: bridgeMappings,
    ...options.host,
    ...options.hostsByName?.[name],
  }));
  const { settings = {}, networks, further = {} } = options;
  const unplaced = (options.unplaced ?? []).map(({ pluggedInto: _place, ...port }) => port);
  const ports = [...options.ports, ...unplaced, ...(options.nowhere ?? [])];
  return `${JSON.stringify({ settings, hosts, networks, ports, ...further }, null, 2)}\n`;
}
