/**
 * What may happen to a site in a soak run: one step each, drawn at random, that leaves the site sound. Serves soak.ts and
 * test/ovs/soak.test.ts.
 */
import type { ControlledSite, Json } from '../../../test/support/controlled-site.ts';
import type { Random } from '../fuzz/random.ts';

export const HOSTS = ['node1', 'node2'] as const;
const BRIDGES = ['br-int', 'br-tun'] as const;
const NETWORK_COUNT = 4;
const PORT_COUNT_MAX = 40;
const GUEST_COUNT_MAX = 12;

interface Guest {
  readonly network: number;
  readonly address: number;
}

/** The site as the steps have made it. */
export class SoakedSite {
  readonly #site: ControlledSite;
  readonly #random: Random;
  readonly #ports = new Map<string, Guest>();
  /** Where each guest is plugged in. */
  readonly #plugged = new Map<string, string>();
  readonly #routed = new Set<number>([0, 1]);
  #nextPort = 0;

  constructor(site: ControlledSite, random: Random) {
    this.#site = site;
    this.#random = random;
  }

  static document(ports: Iterable<readonly [string, Guest]>, routed: ReadonlySet<number>) {
    const networks = Array.from({ length: NETWORK_COUNT }, (_, index) => ({
      id: `net${index}`,
      network_type: 'vxlan',
      segmentation_id: 1001 + index,
      subnets: [{ id: `sub${index}`, cidr: `10.${index}.0.0/16` }],
    }));
    const interfaces = [...routed].sort().map((index) => ({ subnet: `sub${index}` }));
    return {
      networks,
      routers: interfaces.length === 0 ? [] : [{ id: 'router', interfaces }],
      ports: Array.from(ports, ([id, { network, address }]): Json => {
        const ip = `10.${network}.${1 + (address >> 8)}.${address & 0xff}`;
        return { id, network: `net${network}`, fixed_ips: [ip] };
      }),
    };
  }

  /** One thing happens; gives what. Nobody waits for heddle to follow. */
  async step(): Promise<string> {
    const random = this.#random;
    const roll = random.below(100);
    if (roll < 25) return this.#addPort();
    if (roll < 35) return this.#removePort();
    if (roll < 45) return this.#readdressPort();
    if (roll < 50) return this.#changeRouter();
    if (roll < 68) return this.#plug();
    if (roll < 78) return this.#unplug();
    if (roll < 86) return this.#move();
    return this.#fault();
  }

  async #fault(): Promise<string> {
    const host = this.#random.pick(HOSTS);
    const bridge = this.#random.pick(BRIDGES);
    const sandbox = this.#site.host(host);
    switch (this.#random.below(12)) {
      case 0:
        await this.#site.stopController();
        await this.#site.startController();
        return 'heddle is restarted';
      case 1:
        await sandbox.stopDatabase();
        await sandbox.startDatabase();
        return `ovsdb-server of ${host} is restarted`;
      case 2:
        await sandbox.restartVswitchd();
        return `ovs-vswitchd of ${host} is restarted`;
      case 3:
      case 4:
      case 5:
      case 6:
        await sandbox.ofctl('del-flows', bridge);
        return `somebody deletes all flows of ${bridge} of ${host}`;
      default:
        this.#site.controller.agents.get(host)?.installer(bridge).connection?.close();
        return `the connection of ${bridge} of ${host} is cut`;
    }
  }

  #addPort(): string {
    if (this.#ports.size >= PORT_COUNT_MAX) return this.#removePort();
    const id = `port${this.#nextPort}`;
    this.#ports.set(id, { network: this.#random.below(NETWORK_COUNT), address: this.#nextPort });
    this.#nextPort += 1;
    return this.#edited(`${id} is added`);
  }

  #removePort(): string {
    const id = this.#anyPort();
    if (id === undefined) return 'nothing';
    this.#ports.delete(id);
    return this.#edited(`${id} is removed${this.#plugged.has(id) ? ', and stays plugged in' : ''}`);
  }

  #readdressPort(): string {
    const id = this.#anyPort();
    if (id === undefined) return 'nothing';
    this.#ports.set(id, { network: this.#random.below(NETWORK_COUNT), address: this.#nextPort });
    this.#nextPort += 1;
    return this.#edited(`${id} gets another address, maybe another network`);
  }

  #changeRouter(): string {
    const index = this.#random.below(NETWORK_COUNT);
    if (!this.#routed.delete(index)) this.#routed.add(index);
    return this.#edited(`the router ${this.#routed.has(index) ? 'gets' : 'loses'} net${index}`);
  }

  #edited(what: string): string {
    this.#site.change(SoakedSite.document(this.#ports, this.#routed));
    return what;
  }

  async #plug(): Promise<string> {
    const absent = [...this.#ports.keys()].filter((id) => !this.#plugged.has(id));
    if (absent.length === 0 || this.#plugged.size >= GUEST_COUNT_MAX) return this.#unplug();
    return this.#plugInto(this.#random.pick(absent), this.#random.pick(HOSTS));
  }

  async #plugInto(id: string, host: string): Promise<string> {
    await this.#site.plug(host, id);
    this.#plugged.set(id, host);
    return `${id} is plugged into ${host}`;
  }

  async #unplug(): Promise<string> {
    if (this.#plugged.size === 0) return 'nothing';
    const [id, host] = this.#random.pick([...this.#plugged]);
    await this.#site.host(host).vsctl('del-port', 'br-int', id);
    this.#plugged.delete(id);
    return `${id} is unplugged from ${host}`;
  }

  async #move(): Promise<string> {
    if (this.#plugged.size === 0) return 'nothing';
    const [id, host] = this.#random.pick([...this.#plugged]);
    await this.#site.host(host).vsctl('del-port', 'br-int', id);
    await this.#plugInto(id, host === 'node1' ? 'node2' : 'node1');
    return `${id} moves away from ${host}`;
  }

  #anyPort(): string | undefined {
    return this.#ports.size === 0 ? undefined : this.#random.pick([...this.#ports.keys()]);
  }
}
