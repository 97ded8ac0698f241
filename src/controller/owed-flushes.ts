/**
 * Connections of floating IPs that have left a host which was not connected then: they end when it is back. Address by address, as
 * everyone's are; of a host that is owed too much, the whole of the zones that those were in, and with them connections of other
 * floating IPs of the same routers there. Pure; serves outside-errands.ts.
 */
import { LIMITS } from '../lib/limits.ts';
import type { MessageBody } from '../openflow/messages.ts';
import { flushesOf, zoneFlushesOf } from './outside-served.ts';
import { type ServedAddress, servedKey } from './router/announcer.ts';

/** What one host is owed. */
interface Owed {
  /** By network, address and the address behind it: what left twice is owed once. */
  readonly addresses: Map<string, ServedAddress>;
  readonly zones: Set<number>;
}

export class OwedFlushes {
  readonly #byHost = new Map<string, Owed>();

  /** Hosts that are owed something. */
  get hosts(): readonly string[] {
    return [...this.#byHost.keys()];
  }

  /** Returns false where it is too much for the host, and whole zones are owed to it from now on. */
  add(served: ServedAddress): boolean {
    const { connections, host } = served;
    if (connections === undefined) return true;
    const owed = this.#byHost.get(host) ?? { addresses: new Map(), zones: new Set() };
    this.#byHost.set(host, owed);
    const key = `${servedKey(served)}\0${connections.fixedIp}`;
    const hasRoom = owed.addresses.has(key) || owed.addresses.size < LIMITS.owedFlushesPerHost;
    if (owed.zones.size === 0 && hasRoom) {
      owed.addresses.set(key, served);
      return true;
    }
    for (const one of [served, ...owed.addresses.values()]) {
      if (one.connections === undefined) continue;
      owed.zones.add(one.connections.dnatZone).add(one.connections.snatZone);
    }
    owed.addresses.clear();
    return false;
  }

  /** All that a host is owed, to be sent to its br-int; nothing is owed to it any more. */
  take(host: string): readonly MessageBody[] {
    const owed = this.#byHost.get(host);
    this.#byHost.delete(host);
    if (owed === undefined) return [];
    return [
      ...[...owed.addresses.values()].flatMap(({ ip, connections }) =>
        connections === undefined ? [] : flushesOf(ip, connections),
      ),
      ...[...owed.zones].flatMap(zoneFlushesOf),
    ];
  }
}
