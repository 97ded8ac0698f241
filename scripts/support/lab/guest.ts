/**
 * A guest: a namespace with one interface, eth0, whose other end is a port of br-int on one host, plugged, unplugged and
 * moved as a hypervisor does it (`external_ids:iface-id`). Offloads are off, because the userspace datapath does not
 * finish the checksums that a guest leaves to its card.
 */
import type { CommandResult } from './command.ts';
import { eventually } from './command.ts';
import type { Host } from './host.ts';
import type { Namespace } from './namespace.ts';
import { type PingOptions, type PingResult, ping, RunningPing } from './ping.ts';
import { receiveText, sendFrames, sendText } from './traffic.ts';

export const GUEST_LINK = 'eth0';

export interface GuestOptions {
  /** The port's id in the topology, hence its `iface-id`; unless `ifaceId` says otherwise, the name of the guest too. */
  readonly name: string;
  readonly ifaceId?: string;
  readonly mac: string;
  /** `10.0.0.11/24`, `fd00:1::11/64`. */
  readonly addresses: readonly string[];
  readonly mtu?: number;
  /** `default via 10.0.0.1` and the like, as ip-route(8) takes them. */
  readonly routes?: readonly string[];
}

export class Guest {
  readonly name: string;
  readonly ifaceId: string;
  readonly mac: string;
  readonly namespace: Namespace;
  readonly #addresses: readonly string[];
  readonly #mtu: number;
  readonly #routes: readonly string[];
  #host: Host | undefined;

  constructor(namespace: Namespace, options: GuestOptions) {
    this.namespace = namespace;
    this.name = options.name;
    this.ifaceId = options.ifaceId ?? options.name;
    this.mac = options.mac;
    this.#addresses = options.addresses;
    this.#mtu = options.mtu ?? 1450;
    this.#routes = options.routes ?? [];
  }

  /** The first IPv4 address, without its length. */
  get ip(): string {
    return this.#addressOf((address) => !address.includes(':'));
  }

  /** The first IPv6 address, without its length. */
  get ip6(): string {
    return this.#addressOf((address) => address.includes(':'));
  }

  /** The host that the guest is plugged in to. */
  get host(): Host | undefined {
    return this.#host;
  }

  /** The name of the port on the host, as Nova makes it: 14 characters at most. */
  get tap(): string {
    return `tap${this.ifaceId.slice(0, 11)}`;
  }

  #addressOf(wanted: (address: string) => boolean): string {
    return this.#addresses.find(wanted)?.split('/')[0] ?? '';
  }

  /** Make the link and put its end into br-int; comes back with the ofport once Open vSwitch has given one. */
  async plug(host: Host, bridge = 'br-int'): Promise<number> {
    await this.namespace.ip([
      `link add ${GUEST_LINK} address ${this.mac} mtu ${this.#mtu} type veth peer name ${this.tap} netns ${host.namespace.name}`,
    ]);
    await this.namespace.run(['ethtool', '-K', GUEST_LINK, 'tx', 'off', 'tso', 'off', 'gso', 'off']);
    await host.namespace.ip([`link set ${this.tap} mtu ${this.#mtu} up`]);
    await this.namespace.ip([
      `link set ${GUEST_LINK} up`,
      ...this.#addresses.map(
        (address) => `address add ${address} dev ${GUEST_LINK}${address.includes(':') ? ' nodad' : ''}`,
      ),
      ...this.#routes.map((route) => `route add ${route}`),
    ]);
    await this.attach(host, bridge);
    return eventually(`${this.tap} gets an ofport`, () => host.ofportOf(this.tap));
  }

  /** Put the end that is there into br-int. */
  async attach(host: Host, bridge = 'br-int'): Promise<void> {
    const ids = [`iface-id=${this.ifaceId}`, `attached-mac="${this.mac}"`, 'iface-status=active', `vm-id=${this.name}`];
    const external = ids.map((id) => `external_ids:${id}`);
    await host.vsctl('--may-exist', 'add-port', bridge, this.tap, '--', 'set', 'Interface', this.tap, ...external);
    this.#host = host;
  }

  /** Take the port out of br-int and leave the link, as a hypervisor that detaches a device and attaches it again. */
  async detach(): Promise<void> {
    await this.#host?.vsctl('--if-exists', 'del-port', this.tap);
    this.#host = undefined;
  }

  /** Take the port out of br-int and the link away. */
  async unplug(): Promise<void> {
    await this.detach();
    await this.namespace.ip([`link delete ${GUEST_LINK}`]);
  }

  /** Unplug here, plug in there, with the same MAC and addresses. */
  async move(host: Host): Promise<number> {
    await this.unplug();
    return this.plug(host);
  }

  ping(target: string, options: PingOptions = {}): Promise<PingResult> {
    return ping(this.namespace, target, options);
  }

  /** Ping until `stop`, for what may be lost while something happens. */
  startPing(target: string, intervalMs: number): Promise<RunningPing> {
    return RunningPing.start(this.namespace, target, intervalMs);
  }

  /** One ARP request and its answer's MAC, or undefined without one within a second. */
  async arping(target: string): Promise<string | undefined> {
    const { stdout } = await this.namespace.runAny(['arping', '-c', '1', '-w', '1', '-I', GUEST_LINK, target]);
    return /\[([0-9A-F:]+)\]/.exec(stdout)?.[1]?.toLowerCase();
  }

  /** Put raw frames on the wire, as they are. */
  sendFrames(frames: readonly Buffer[]): Promise<void> {
    return sendFrames(this.namespace, GUEST_LINK, frames);
  }

  /** Send text over TCP to another guest and give what arrived there. */
  async talkTcp(target: Guest, text: string, port = 5001): Promise<string> {
    const received = await receiveText(target.namespace, port);
    await sendText(this.namespace, target.ip, port, text);
    return received.text();
  }

  /** Forget neighbours, so that the next packet asks by ARP or neighbour discovery. */
  forgetNeighbours(): Promise<void> {
    return this.namespace.ip([`neigh flush dev ${GUEST_LINK}`]);
  }

  run(...command: string[]): Promise<string> {
    return this.namespace.run(command);
  }

  runAny(...command: string[]): Promise<CommandResult> {
    return this.namespace.runAny(command);
  }
}
