/**
 * Whose connection is this? A bridge that calls says its datapath id and nothing else; the host's OVSDB says which bridge has
 * it. Connections that come before the OVSDB has told wait here, bounded. Serves the controller.
 */
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { BridgeInstaller } from '../switch/installer.ts';
import { Elections } from './elections.ts';
import type { SwitchView } from './switch-view.ts';

export interface BridgeAddress {
  readonly host: string;
  readonly bridge: string;
}

/** A host as far as its bridges' datapath ids go. */
export interface HostBridges {
  readonly host: string;
  readonly bridges: readonly string[];
  readonly view: SwitchView | undefined;
}

interface Waiting {
  readonly connection: SwitchConnection;
  /** Known when we called the bridge; otherwise the datapath id tells. */
  readonly address: BridgeAddress | undefined;
}

interface LearnedId extends BridgeAddress {
  readonly dpid: bigint;
}

const addressKey = ({ host, bridge }: BridgeAddress): string => `${host} ${bridge}`;

export class BridgeConnections {
  readonly #limitedLog: LimitedLog;
  readonly #elections: Elections;
  #waiting: readonly Waiting[] = [];
  /** What was learned last, by host: the ids of its bridges, as text. */
  #learned: ReadonlyMap<string, string> = new Map();
  #byDpid: ReadonlyMap<bigint, BridgeAddress> = new Map();
  /** By host, then bridge: ids for bridges that share theirs with another, 16 hex digits. */
  #replacements: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map();

  constructor(limitedLog: LimitedLog, elections = new Elections()) {
    this.#limitedLog = limitedLog;
    this.#elections = elections;
  }

  /** Connections that nobody claims yet. */
  get unclaimed(): readonly SwitchConnection[] {
    return this.#waiting.flatMap(({ connection }) => (connection.isOpen ? connection : []));
  }

  /** A bridge is connected: `address` says which when we called it. */
  add(connection: SwitchConnection, address: BridgeAddress | undefined): void {
    this.#waiting = [...this.#waiting.filter((waiting) => waiting.connection.isOpen), { connection, address }];
    while (this.#waiting.length > LIMITS.unclaimedConnections) {
      const [oldest, ...rest] = this.#waiting;
      oldest?.connection.close('CLOSED', 'no host of the topology has a bridge with this datapath id');
      this.#waiting = rest;
    }
  }

  /** Whether `learn` has something to learn: of `count` hosts, only these may show other ids than then. */
  isNews(changed: Iterable<HostBridges>, count: number): boolean {
    if (this.#learned.size !== count) return true;
    for (const host of changed) if (this.#learned.get(host.host) !== idsText(host)) return true;
    return false;
  }

  /** Learn anew which bridge has which id. Of bridges with one id the first by host and name keeps it. */
  learn(hosts: Iterable<HostBridges>): void {
    const all = [...hosts];
    this.#learned = new Map(all.map((one) => [one.host, idsText(one)]));
    const ids = all.flatMap(idsOf);
    const byDpid = new Map<bigint, BridgeAddress>();
    const replacements = new Map<string, Map<string, string>>();
    // What some bridge has, also one further down, is not given to another.
    const taken = new Set(ids.map(({ dpid }) => dpid));
    for (const { host, bridge, dpid } of ids) {
      const owner = byDpid.get(dpid);
      if (owner === undefined) {
        byDpid.set(dpid, { host, bridge });
        continue;
      }
      const replacement = freeDpid(dpid, taken);
      taken.add(replacement);
      // Until the new id is written and taken up, every pass finds the old one.
      if (this.#replacements.get(host)?.get(bridge) !== dpidText(replacement)) {
        const context = { host, bridge, dpid, other: addressKey(owner), replacement };
        this.#limitedLog.warn(
          `dpid ${host} ${bridge}`,
          context,
          'two bridges have one datapath id; this one gets another',
        );
      }
      const replaced = replacements.get(host) ?? new Map<string, string>();
      replacements.set(host, replaced.set(bridge, dpidText(replacement)));
    }
    this.#byDpid = byDpid;
    this.#replacements = replacements;
  }

  /** Ids to write to a host's bridges because another bridge has theirs. */
  replacementsOf(host: string): ReadonlyMap<string, string> {
    return this.#replacements.get(host) ?? new Map();
  }

  /** Hand over every connection whose bridge is known and has an installer. */
  assign(
    installerOf: (address: BridgeAddress) => BridgeInstaller | undefined,
    onAttached: (address: BridgeAddress, connection: SwitchConnection) => void,
  ): void {
    this.#waiting = this.#waiting.filter(({ connection, address }) => {
      if (!connection.isOpen) return false;
      const found = address ?? this.#byDpid.get(connection.dpid);
      const installer = found && installerOf(found);
      if (found === undefined || installer === undefined) return true;
      this.#elections.attach(connection, installer);
      onAttached(found, connection);
      return false;
    });
  }

  /** Before the installers close theirs. */
  close(): void {
    this.#elections.resign();
    for (const { connection } of this.#waiting) connection.close('CLOSED', 'the controller closes');
    this.#waiting = [];
  }
}

function idsOf({ host, bridges, view }: HostBridges): readonly LearnedId[] {
  return bridges.flatMap((bridge) => {
    const dpid = view?.bridges.get(bridge)?.dpid;
    return dpid === undefined ? [] : { host, bridge, dpid };
  });
}

const idsText = (host: HostBridges): string =>
  idsOf(host)
    .map(({ bridge, dpid }) => `${bridge} ${dpid}`)
    .join();

/** As Neutron does: count in the upper 16 bits, which an id made of a MAC leaves at zero. */
function freeDpid(dpid: bigint, taken: ReadonlySet<bigint>): bigint {
  const mac = dpid & 0xffffffffffffn;
  let count = 1n;
  while (taken.has((count << 48n) | mac)) count++;
  return (count << 48n) | mac;
}

/** 16 hex digits, as other_config:datapath-id has it. */
const dpidText = (dpid: bigint): string => dpid.toString(16).padStart(16, '0');
