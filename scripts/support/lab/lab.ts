/**
 * A site in network namespaces: hosts with Open vSwitch, an underlay for tunnels, a segment for each physical network, a
 * management network, a place for the controller (`ctl`), guests. The demo shows it, the tests under test/netns/ use it.
 *
 *     ctl ───── management 100.99.0.0/24 ─┬──────────┬──────────┐
 *                                       node1      node2      node3       guests: veth into br-int
 *     underlay  172.28.0.0/24 ────── br-phy ───── br-phy ───── br-phy     (tunnels leave through it)
 *     physnet1  a wire ───────────── br-eth2 ──── br-eth2 ──── br-eth2
 *
 * Everything is made inside the lab's own namespaces: the root namespace gets no link, no address and no route, so that
 * these addresses cannot shadow what the machine itself uses.
 */
import { join } from 'node:path';
import { invariant } from '../../../src/lib/errors.ts';
import { Capture, type CaptureOptions } from './capture.ts';
import { Guest, type GuestOptions } from './guest.ts';
import { Host } from './host.ts';
import { Namespace } from './namespace.ts';
import { clearAway, createRecord, type LabRecord, sweep, writeRecord } from './record.ts';

export interface SegmentOptions {
  /** The physical network's name in the topology: `physnet1`. */
  readonly name: string;
  /** The bridge that each host has for it: `br-eth2`. */
  readonly bridge: string;
}

export interface LabOptions {
  /** Names of the hosts, in order: the first one's addresses end in .11. */
  readonly hosts: readonly string[];
  /** Addresses of hosts by name, where a topology file has fixed them already. */
  readonly addresses?: ReadonlyMap<string, HostAddresses>;
  /** The controller's address in the management network. */
  readonly controllerIp?: string;
  readonly segments?: readonly SegmentOptions[];
  /** MTU of the underlay and of the segments. */
  readonly mtu?: number;
  /** Whether br-int is there before the controller, so that guests can be plugged at once. */
  readonly integrationBridge?: boolean;
  /** Whether the lab outlives this process (`scripts/lab down` ends it then). */
  readonly kept?: boolean;
}

/** What is plugged into a segment from outside of every host: a router upstream, or an intruder on the wire. */
export interface OutsiderOptions {
  readonly name: string;
  /** `underlay`, or the name of a segment. */
  readonly segment: string;
  readonly mac: string;
  readonly addresses?: readonly string[];
  readonly routes?: readonly string[];
}

export const CONTROLLER_IP = '100.99.0.1';
const MANAGEMENT_PREFIX = '100.99.0';
const UNDERLAY_PREFIX = '172.28.0';
/** The bridge and the link of the tunnels' underlay on every host. */
export const UNDERLAY_BRIDGE = 'br-phy';
export const UNDERLAY_LINK = 'ul0';

export interface HostAddresses {
  /** Of its OVSDB, and of its bridges as they call the controller. */
  readonly managementIp: string;
  /** Of its tunnels. */
  readonly localIp: string;
}

/** Addresses of the n-th host, counted from 0: a topology file can be written before the lab is up. */
export function hostAddresses(index: number): HostAddresses {
  return { managementIp: `${MANAGEMENT_PREFIX}.${11 + index}`, localIp: `${UNDERLAY_PREFIX}.${11 + index}` };
}

interface LabParts {
  readonly wires: Namespace;
  readonly wireNames: readonly string[];
  readonly controller: Namespace;
  readonly hosts: readonly Host[];
}

interface Wire {
  readonly name: string;
  readonly mtu: number;
}

export class Lab {
  readonly hosts: readonly Host[];
  readonly #wires: Namespace;
  readonly #wireNames: readonly string[];
  readonly controller: Namespace;
  readonly #guests = new Map<string, Guest>();
  readonly #onExit: () => void;
  #record: LabRecord;

  private constructor(record: LabRecord, parts: LabParts) {
    this.#record = record;
    this.#wires = parts.wires;
    this.#wireNames = parts.wireNames;
    this.controller = parts.controller;
    this.hosts = parts.hosts;
    this.#onExit = () => clearAway(this.#record);
    if (!record.kept) process.once('exit', this.#onExit);
  }

  /** Bring a lab up. What a crashed process left behind is taken down first. */
  static async up(options: LabOptions): Promise<Lab> {
    sweep();
    const record = createRecord(options.kept ?? false);
    try {
      return await Lab.#build(record, options);
    } catch (error) {
      clearAway(record);
      throw error;
    }
  }

  static async #build(record: LabRecord, options: LabOptions): Promise<Lab> {
    const mtu = options.mtu ?? 1500;
    const segments = options.segments ?? [];
    const wires: Wire[] = [
      { name: 'management', mtu: 1500 },
      { name: 'underlay', mtu },
      ...segments.map(({ name }) => ({ name, mtu })),
    ];
    const named = (name: string) => `${record.name}-${name}`;
    const wiring = await Namespace.create(named('wires'), { ipv6: false });
    await wiring.ip(wires.flatMap(({ name }) => [`link add ${name} type bridge`, `link set ${name} mtu 65535 up`]));
    const controller = await Namespace.create(named('ctl'), { ipv6: false });
    const hosts = await Promise.all(
      options.hosts.map(async (name, index) => {
        const namespace = await Namespace.create(named(name), { ipv6: false });
        const directory = join(record.directory, name);
        return new Host({ name, namespace, directory, ...(options.addresses?.get(name) ?? hostAddresses(index)) });
      }),
    );
    const lab = new Lab(record, { wires: wiring, wireNames: wires.map(({ name }) => name), controller, hosts });
    lab.#note({
      wires: wiring,
      ctl: controller,
      ...Object.fromEntries(hosts.map((host) => [host.name, host.namespace])),
    });
    await lab.#wire('management', controller, 'mgmt0', 'ctl', 1500);
    await controller.ip([`address add ${options.controllerIp ?? CONTROLLER_IP}/24 dev mgmt0`]);
    await Promise.all(hosts.map((host) => lab.#furnish(host, segments, options)));
    return lab;
  }

  /** Give a host its links, start its daemons, make the bridges that a machine has before the controller comes. */
  async #furnish(host: Host, segments: readonly SegmentOptions[], options: LabOptions): Promise<void> {
    const mtu = options.mtu ?? 1500;
    await this.#wire('management', host.namespace, 'mgmt0', host.name, 1500);
    await this.#wire('underlay', host.namespace, UNDERLAY_LINK, host.name, mtu);
    for (const [index] of segments.entries()) {
      await this.#wire(segments[index]?.name ?? '', host.namespace, `seg${index}`, host.name, mtu);
    }
    await host.namespace.ip([`address add ${host.managementIp}/24 dev mgmt0`]);
    await host.start();
    await host.addBridge(UNDERLAY_BRIDGE, [UNDERLAY_LINK]);
    await host.namespace.ip([`address add ${host.localIp}/24 dev ${UNDERLAY_BRIDGE}`]);
    for (const [index, segment] of segments.entries()) await host.addBridge(segment.bridge, [`seg${index}`]);
    if (options.integrationBridge ?? true) await host.addBridge('br-int');
  }

  /** The wires' end of a veth: names of links end at 15 characters. */
  #portName(wire: string, far: string): string {
    return `${this.#wireNames.indexOf(wire)}-${far}`.slice(0, 15);
  }

  /** A veth between a namespace and one of the wires. */
  async #wire(wire: string, namespace: Namespace, link: string, far: string, mtu: number): Promise<void> {
    const port = this.#portName(wire, far);
    await namespace.ip([`link add ${link} mtu ${mtu} type veth peer name ${port} netns ${this.#wires.name}`]);
    await this.#wires.ip([`link set ${port} mtu ${mtu} master ${wire} up`]);
    await namespace.ip([`link set ${link} up`]);
  }

  #note(namespaces: Readonly<Record<string, Namespace>>): void {
    const names = Object.entries(namespaces).map(([name, namespace]) => [name, namespace.name]);
    this.#record = { ...this.#record, namespaces: { ...this.#record.namespaces, ...Object.fromEntries(names) } };
    writeRecord(this.#record);
  }

  /** `heddle-Ab12Cd`: what the directory is called, and what the namespaces begin with. */
  get name(): string {
    return this.#record.name;
  }

  /** A place for files that go with the lab. */
  get directory(): string {
    return this.#record.directory;
  }

  host(name: string): Host {
    const host = this.hosts.find((one) => one.name === name);
    invariant(host, 'a test names a host that its lab has', { name });
    return host;
  }

  guest(name: string): Guest {
    const guest = this.#guests.get(name);
    invariant(guest, 'a test names a guest that it has made', { name });
    return guest;
  }

  get guests(): readonly Guest[] {
    return [...this.#guests.values()];
  }

  /** A guest that is not plugged in anywhere yet. */
  async addGuest(options: GuestOptions): Promise<Guest> {
    const namespace = await Namespace.create(`${this.name}-${options.name}`, { ipv6: true });
    const guest = new Guest(namespace, options);
    this.#guests.set(options.name, guest);
    this.#note({ [options.name]: namespace });
    return guest;
  }

  /** A machine on one of the wires, outside of every host; its link is eth0. */
  async addOutsider(options: OutsiderOptions): Promise<Namespace> {
    const namespace = await Namespace.create(`${this.name}-${options.name}`, { ipv6: true });
    this.#note({ [options.name]: namespace });
    await this.#wire(options.segment, namespace, 'eth0', options.name, 1500);
    await namespace.run(['ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off', 'gso', 'off']);
    await namespace.ip([
      `link set eth0 address ${options.mac}`,
      ...(options.addresses ?? []).map((address) => `address add ${address} dev eth0`),
      ...(options.routes ?? []).map((route) => `route add ${route}`),
    ]);
    return namespace;
  }

  /** What passes on a wire between the hosts: `underlay`, or a segment's name. */
  captureWire(wire: string, filter?: string): Promise<Capture> {
    return this.capture({ namespace: this.#wires, link: wire, ...(filter ? { filter } : {}) });
  }

  capture(options: CaptureOptions): Promise<Capture> {
    return Capture.start(options);
  }

  /** Cut a host's link to a wire, or mend it. */
  async setWire(host: Host, wire: string, state: 'up' | 'down'): Promise<void> {
    await this.#wires.ip([`link set ${this.#portName(wire, host.name)} ${state}`]);
  }

  /** By whose link a wire, which is a learning switch, would send to a MAC: a host's or an outsider's; undefined: by all. */
  async learntAt(wire: string, mac: string): Promise<string | undefined> {
    const known = await this.#wires.run(['bridge', 'fdb', 'show', 'br', wire, 'dynamic']);
    const port = known
      .split('\n')
      .map((line) => line.split(' '))
      .find(([address]) => address === mac)?.[2];
    return port?.replace(/^\d+-/, '');
  }

  /** Take everything down: processes, namespaces, links, files. */
  async down(): Promise<void> {
    process.removeListener('exit', this.#onExit);
    clearAway(this.#record);
  }
}
