/**
 * What may happen to a site in a soak run: one step each, drawn at random, that leaves the site sound. Serves soak.ts and
 * test/soak/soak.test.ts.
 */
import { existsSync } from 'node:fs';
import { ControlledSite, type Json } from '../../../test/support/controlled-site.ts';
import { waitFor } from '../../../test/support/ovs-sandbox.ts';
import type { Random } from '../fuzz/random.ts';
import {
  type Choices,
  type Guest,
  HOSTS,
  hostEntries,
  NETWORK_COUNT,
  type Outside,
  ROUTERS,
  type RouterId,
  soakedDocument,
} from './soaked-document.ts';

const BRIDGES = ['br-int', 'br-tun', 'br-ex'] as const;
const GUEST_COUNT_MAX = 40;
const PLUGGED_COUNT_MAX = 12;
const FLOATING = { first: 20, last: 250 } as const;

/** What ways outside a router goes through, one after the other. */
const NEXT_OUTSIDE: Readonly<Record<Outside, Outside>> = { none: 'snat', snat: 'plain', plain: 'none' };
/** Settings that change flows of every network at once. */
const SWITCHED_SETTINGS = ['l2_population', 'arp_responder', 'enable_distributed_routing', 'ha_preempt'] as const;

/** The site as the steps have made it. */
export class SoakedSite {
  readonly site: ControlledSite;
  /** How often each kind of step was taken. */
  readonly counts = new Map<string, number>();
  /** Whether heddle may be ended and started again: what it keeps too long would go with it. */
  mayRestart = true;
  readonly #random: Random;
  readonly #guests = new Map<string, Guest>();
  readonly #routed = new Map<number, RouterId>([
    [0, 'router0'],
    [1, 'router0'],
  ]);
  readonly #outside = new Map<RouterId, Outside>([['router0', 'snat']]);
  readonly #settings: Record<string, boolean> = {};
  #gatewayPriority = 20;
  /** Where each guest is plugged in. */
  readonly #plugged = new Map<string, string>();
  #nextGuest = 0;

  private constructor(site: ControlledSite, random: Random) {
    this.site = site;
    this.#random = random;
  }

  /** Two hosts that have converged. */
  static async start(random: Random): Promise<SoakedSite> {
    const site = await ControlledSite.prepare({ hosts: Object.fromEntries(HOSTS.map((name) => [name, {}])) });
    try {
      for (const host of site.hosts.values()) {
        // Cut connections and restarted daemons are what this is about.
        host.allowLog(/\|(rconn|vconn|jsonrpc|reconnect|stream_\w+|ovsdb_idl)\|WARN\|/);
        await host.addBridge('br-ex');
      }
      const soaked = new SoakedSite(site, random);
      site.document = soakedDocument(soaked.#choices());
      site.hostEntries = hostEntries(soaked.#choices());
      await site.startController();
      await site.converged();
      return soaked;
    } catch (error) {
      await site.stop().catch(() => undefined);
      throw error;
    }
  }

  /** One thing happens; gives what. Nobody waits for heddle to follow. */
  async step(): Promise<string> {
    const [kind, take] = this.#draw();
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    return take();
  }

  #draw(): readonly [string, () => string | Promise<string>] {
    const roll = this.#random.below(100);
    if (roll < 20) return ['port added', () => this.#addGuest()];
    if (roll < 28) return ['port removed', () => this.#removeGuest()];
    if (roll < 36) return ['port readdressed', () => this.#readdressGuest()];
    if (roll < 42) return ['router interface', () => this.#changeInterface()];
    if (roll < 47) return ['way outside', () => this.#changeOutside()];
    if (roll < 55) return ['floating IP', () => this.#changeFloating()];
    if (roll < 57) return ['gateway priority', () => this.#changePriority()];
    if (roll < 59) return ['setting', () => this.#changeSetting()];
    if (roll < 73) return ['plug', () => this.#plug()];
    if (roll < 80) return ['unplug', () => this.#unplug()];
    if (roll < 87) return ['move', () => this.#move()];
    return ['fault', () => this.#fault()];
  }

  async #fault(): Promise<string> {
    const host = this.#random.pick(HOSTS);
    const bridge = this.#random.pick(BRIDGES);
    const sandbox = this.site.host(host);
    const where = `${bridge} of ${host}`;
    switch (this.#random.below(14)) {
      case 0:
        if (!this.mayRestart) return 'nothing';
        await this.site.stopController();
        await this.site.startController();
        return 'heddle is restarted';
      case 1:
        await sandbox.stopDatabase();
        await sandbox.startDatabase();
        return `ovsdb-server of ${host} is restarted`;
      case 2:
        await sandbox.restartVswitchd();
        // The next step may be somebody's ovs-ofctl, which does not wait for a bridge to be there.
        await waitFor(`bridges of ${host}`, () => BRIDGES.every((name) => existsSync(sandbox.mgmtPath(name))));
        return `ovs-vswitchd of ${host} is restarted`;
      case 3:
      case 4:
        await sandbox.ofctl('del-flows', bridge);
        return `somebody deletes all flows of ${where}`;
      case 5:
        await sandbox.ofctl('mod-flows', bridge, 'table=0,actions=drop');
        return `somebody changes all flows of table 0 of ${where}`;
      case 6:
        await sandbox.ofctl('add-flow', bridge, `table=0,priority=${1 + this.#random.below(200)},tcp,actions=drop`);
        return `somebody adds a flow to ${where}`;
      case 7:
        await sandbox.ofctl('del-groups', bridge);
        return `somebody deletes all groups of ${where}`;
      case 8:
        // The switch tells nobody of this: heddle finds it when it looks.
        await sandbox.ofctl('del-meters', bridge);
        this.#cut(host, bridge);
        return `somebody deletes all meters of ${where}, and its connection is cut`;
      default:
        this.#cut(host, bridge);
        return `the connection of ${where} is cut`;
    }
  }

  #cut(host: string, bridge: string): void {
    this.site.controller.agents.get(host)?.installer(bridge).connection?.close();
  }

  #addGuest(): string {
    if (this.#guests.size >= GUEST_COUNT_MAX) return this.#removeGuest();
    const number = this.#nextGuest++;
    const id = `guest${number}`;
    this.#guests.set(id, { network: this.#random.below(NETWORK_COUNT), number });
    return this.#edited(`${id} is added`);
  }

  #removeGuest(): string {
    const id = this.#anyGuest();
    if (id === undefined) return 'nothing';
    this.#guests.delete(id);
    return this.#edited(`${id} is removed${this.#plugged.has(id) ? ', and stays plugged in' : ''}`);
  }

  #readdressGuest(): string {
    const id = this.#anyGuest();
    if (id === undefined) return 'nothing';
    const former = this.#guests.get(id);
    this.#guests.set(id, { ...former, network: this.#random.below(NETWORK_COUNT), number: this.#nextGuest++ });
    return this.#edited(`${id} gets another address, maybe another network`);
  }

  #changeInterface(): string {
    const index = this.#random.below(NETWORK_COUNT);
    if (this.#routed.delete(index)) return this.#edited(`net${index} loses its router`);
    const router = this.#random.pick(ROUTERS);
    this.#routed.set(index, router);
    return this.#edited(`${router} gets net${index}`);
  }

  #changeOutside(): string {
    const router = this.#random.pick(ROUTERS);
    const kind = NEXT_OUTSIDE[this.#outside.get(router) ?? 'none'];
    this.#outside.set(router, kind);
    return this.#edited(`the way outside of ${router}: ${kind}`);
  }

  #changeFloating(): string {
    const id = this.#anyGuest();
    const guest = id === undefined ? undefined : this.#guests.get(id);
    if (id === undefined || guest === undefined) return 'nothing';
    const { floating, ...plain } = guest;
    if (floating !== undefined) {
      this.#guests.set(id, plain);
      return this.#edited(`${id} loses its floating IP`);
    }
    const taken = new Set(Array.from(this.#guests.values(), (other) => other.floating));
    const octet = FLOATING.first + this.#random.below(FLOATING.last - FLOATING.first);
    if (taken.has(octet)) return 'nothing';
    this.#guests.set(id, { ...plain, floating: octet });
    return this.#edited(`${id} gets floating IP 203.0.113.${octet}`);
  }

  #changePriority(): string {
    this.#gatewayPriority = this.#gatewayPriority === 20 ? 5 : 20;
    return this.#edited(`the gateway priority of node2 is ${this.#gatewayPriority}`);
  }

  #changeSetting(): string {
    const setting = this.#random.pick(SWITCHED_SETTINGS);
    this.#settings[setting] = !(this.#settings[setting] ?? setting !== 'ha_preempt');
    return this.#edited(`${setting}: ${this.#settings[setting]}`);
  }

  #edited(what: string): string {
    this.site.change(soakedDocument(this.#choices()), hostEntries(this.#choices()));
    return what;
  }

  #choices(): Choices {
    return {
      guests: this.#guests,
      routed: this.#routed,
      outside: this.#outside,
      settings: { ...this.#settings } satisfies Json,
      gatewayPriority: this.#gatewayPriority,
    };
  }

  async #plug(): Promise<string> {
    const absent = [...this.#guests.keys()].filter((id) => !this.#plugged.has(id));
    if (absent.length === 0 || this.#plugged.size >= PLUGGED_COUNT_MAX) return this.#unplug();
    return this.#plugInto(this.#random.pick(absent), this.#random.pick(HOSTS));
  }

  async #plugInto(id: string, host: string): Promise<string> {
    await this.site.plug(host, id);
    this.#plugged.set(id, host);
    return `${id} is plugged into ${host}`;
  }

  async #unplug(): Promise<string> {
    if (this.#plugged.size === 0) return 'nothing';
    const [id, host] = this.#random.pick([...this.#plugged]);
    await this.site.host(host).vsctl('del-port', 'br-int', id);
    this.#plugged.delete(id);
    return `${id} is unplugged from ${host}`;
  }

  async #move(): Promise<string> {
    if (this.#plugged.size === 0) return 'nothing';
    const [id, host] = this.#random.pick([...this.#plugged]);
    await this.site.host(host).vsctl('del-port', 'br-int', id);
    await this.#plugInto(id, host === 'node1' ? 'node2' : 'node1');
    return `${id} moves away from ${host}`;
  }

  #anyGuest(): string | undefined {
    return this.#guests.size === 0 ? undefined : this.#random.pick([...this.#guests.keys()]);
  }
}
