/**
 * What hosts are to do about ways outside, once they have their flows: ask, announce an address, end connections of a floating IP.
 * What a host that is not connected was to announce and to end is owed to it, within bounds; its questions are dropped, they are
 * put again. Serves outside.ts.
 */
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { encodePacket } from '../packet/encode.ts';
import { gratuitousArp } from '../packet/neighbours.ts';
import type { HostAgent } from './host-agent.ts';
import type { OutsideSender } from './outside-sender.ts';
import { flushesOf } from './outside-served.ts';
import { OwedFlushes } from './owed-flushes.ts';
import { type ServedAddress, servedKey } from './router/announcer.ts';

export interface OutsideErrandsOptions {
  readonly limitedLog: LimitedLog;
  readonly agents: ReadonlyMap<string, Pick<HostAgent, 'follows'>>;
  readonly sender: Pick<OutsideSender, 'sendToAll'>;
  /** To br-int of a host, while it is connected. */
  readonly connection: (host: string) => Pick<SwitchConnection, 'send'> | undefined;
  /** Resolves when the host is connected and has its flows. */
  readonly settled: (host: string) => Promise<void>;
  /** Whether an address is served where and as it says. */
  readonly isServed: (served: ServedAddress) => boolean;
}

const TOO_MUCH_OWED = `more than ${LIMITS.owedFlushesPerHost} floating IPs have left a host that is away: when it is back, all connections of their routers end there`;

export class OutsideErrands {
  readonly #options: OutsideErrandsOptions;
  readonly #owedFlushes = new OwedFlushes();
  /** By host, then by address: as many as are served there at most. */
  readonly #owedAnnouncements = new Map<string, Map<string, ServedAddress>>();

  constructor(options: OutsideErrandsOptions) {
    this.#options = options;
  }

  /** A question, or whatever else is worth nothing later. */
  async ask(host: string, networkId: string, packet: Uint8Array): Promise<void> {
    const { sender } = this.#options;
    if (await this.#isReady(host)) sender.sendToAll(host, networkId, packet);
  }

  /** Once there are flows for it to leave by, and for answers to come in by. */
  async announce(served: ServedAddress): Promise<void> {
    const { sender } = this.#options;
    const { host, networkId, ip, mac } = served;
    if (this.#isAnothers(host)) return;
    if (await this.#isReady(host)) sender.sendToAll(host, networkId, encodePacket(gratuitousArp({ mac, ip })));
    else {
      const owed = this.#owedAnnouncements.get(host) ?? new Map<string, ServedAddress>();
      this.#owedAnnouncements.set(host, owed.set(servedKey(served), served));
    }
  }

  /** End the connections of a floating IP, once nothing there begins any more. */
  async end(served: ServedAddress): Promise<void> {
    const { agents, connection, limitedLog } = this.#options;
    const { host, ip, connections } = served;
    if (connections === undefined || this.#isAnothers(host)) return;
    if (await this.#isReady(host)) for (const flush of flushesOf(ip, connections)) connection(host)?.send(flush);
    else if (agents.has(host) && !this.#owedFlushes.add(served))
      limitedLog.warn(`owed flushes ${host}`, { host }, TOO_MUCH_OWED);
  }

  /** To hosts that are back; what is owed to hosts that have left the site is forgotten. */
  payOwed(): void {
    for (const host of new Set([...this.#owedFlushes.hosts, ...this.#owedAnnouncements.keys()])) {
      if (this.#options.agents.has(host)) void this.#pay(host);
      else this.#take(host);
    }
  }

  async #pay(host: string): Promise<void> {
    if (!(await this.#isReady(host))) return;
    const { announcements, flushes } = this.#take(host);
    for (const flush of flushes) this.#options.connection(host)?.send(flush);
    for (const served of announcements) if (this.#options.isServed(served)) void this.announce(served);
  }

  #take(host: string) {
    const announcements = [...(this.#owedAnnouncements.get(host)?.values() ?? [])];
    this.#owedAnnouncements.delete(host);
    return { announcements, flushes: this.#owedFlushes.take(host) };
  }

  /** What another controller serves, it announces and ends itself. */
  #isAnothers(host: string): boolean {
    return this.#options.agents.get(host)?.follows === true;
  }

  /** Waits for the flows of a host that is connected. */
  async #isReady(host: string): Promise<boolean> {
    const { connection, settled } = this.#options;
    if (connection(host) === undefined) return false;
    await settled(host);
    return connection(host) !== undefined;
  }
}
