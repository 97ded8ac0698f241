/**
 * One host: its OVSDB session, its bridges' connections, what was last written to it. An edge of the controller: it holds
 * effects and no decisions; those are in host-plan.ts, host-facts.ts and controller.ts.
 */

import type { BridgeChange, HostFacts } from '../compiler/compiler.ts';
import { parseEndpoint, type TlsMaterial } from '../lib/endpoint.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog, Logger } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { OpenFlowDialer } from '../openflow/dialer.ts';
import type { ChannelContext } from '../openflow/establish.ts';
import { type ClientState, OPEN_VSWITCH, type OpenVswitch, OvsdbClient, type OvsdbPeer } from '../ovsdb/index.ts';
import type { BridgeInstaller } from '../switch/installer.ts';
import type { Host } from '../topology/model.ts';
import { assignLocalVlans, type LocalVlanRequest } from './host-facts.ts';
import type { HostWrite } from './host-plan.ts';
import { dialledDirectory, isWhole, waitsForFlows } from './restore-wait.ts';
import { MONITORED, type SwitchView, viewSwitch } from './switch-view.ts';
import { describeWrite, toTransaction } from './transact.ts';
import { VlanLeases } from './vlan-leases.ts';
import { bridgesOf, isUnadopted, physicalBridges } from './wanted.ts';

export interface HostAgentOptions {
  readonly host: Host;
  /** false: the host's ovsdb-server calls us (`adopt`). */
  readonly dials: boolean;
  /** Local VLANs of an earlier life of the controller, by network. */
  readonly formerVlans: ReadonlyMap<string, number>;
  readonly tls?: TlsMaterial;
  readonly logger: Logger;
  readonly limitedLog: LimitedLog;
  readonly channels: Omit<ChannelContext, 'onConnection'>;
  readonly makeInstaller: (bridge: string) => BridgeInstaller;
  /** A bridge that we called has answered. */
  readonly onConnection: (bridge: string, connection: SwitchConnection) => void;
  /** Something of this host has changed: its rows, a transaction that ended, a connection. */
  readonly onChange: () => void;
}

/** Throws `TLS_MISSING` where a host can only be reached with keys that we do not have. */
export function assertDialable(hosts: Iterable<Host>, tls: TlsMaterial | undefined): void {
  if (tls !== undefined) return;
  const secured = [...hosts].filter(({ ovsdb }) => ovsdb.startsWith('ssl:'));
  if (secured.length === 0) return;
  const names = secured.map(({ name, ovsdb }) => `${name} at ${ovsdb}`).join(', ');
  const advice = 'give --private-key, --certificate and --ca-cert';
  throw new HeddleError('TLS_MISSING', `the OVSDB of ${names} cannot be reached without keys: ${advice}`);
}

export class HostAgent {
  readonly name: string;
  readonly installers = new Map<string, BridgeInstaller>();
  readonly vlans: VlanLeases;
  /** What the compiler was told in the last pass. */
  facts: HostFacts | undefined;
  /** Physical bridges whose patches may carry traffic. Once open they stay so. */
  readonly openPatches = new Set<string>();
  /** Since the start. */
  readonly counts = { sessions: 0, transactions: 0, writes: 0, failures: 0 };
  /** The last pass had nothing more to write. */
  isWritten = false;
  lastFailure: string | undefined;
  readonly #options: HostAgentOptions;
  readonly #client: OvsdbClient<OpenVswitch, typeof MONITORED>;
  readonly #dialers = new Map<string, OpenFlowDialer>();
  #host: Host;
  #view: SwitchView | undefined;
  #isWriting = false;
  /** The last pass found too few VLANs for the networks of the host. */
  #lacksVlans = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryCount = 0;

  constructor(options: HostAgentOptions) {
    const { host } = options;
    this.name = host.name;
    this.vlans = new VlanLeases(options.formerVlans);
    this.#host = host;
    this.#options = options;
    this.#client = new OvsdbClient({
      ...(options.dials && { target: host.ovsdb }),
      ...(options.tls && { tls: options.tls }),
      model: OPEN_VSWITCH,
      tables: MONITORED,
      logger: options.logger.child({ host: host.name }),
      onDelta: () => {
        this.#view = undefined;
        options.onChange();
      },
      onState: ({ phase }) => {
        if (phase === 'live') this.counts.sessions += 1;
        options.onChange();
      },
    });
    if (options.dials) this.#client.start();
  }

  get host(): Host {
    return this.#host;
  }

  set host(host: Host) {
    this.#host = host;
  }

  get ovsdb(): ClientState {
    return this.#client.state;
  }

  get isLive(): boolean {
    return this.#client.isLive;
  }

  get isWriting(): boolean {
    return this.#isWriting || this.#retryTimer !== undefined;
  }

  /** It is we who program br-int; always so, as soon as it is connected, where there is no other controller. */
  get isMaster(): boolean {
    return this.installers.get(this.#host.bridges.integration)?.connection !== undefined;
  }

  /** Another controller programs br-int. */
  get follows(): boolean {
    return this.installers.get(this.#host.bridges.integration)?.follows === true;
  }

  /** Every bridge has its flows. */
  get isWhole(): boolean {
    return bridgesOf(this.#host).every((bridge) => isWhole(this.installers.get(bridge)?.status()));
  }

  /**
   * Something waits until bridges have confirmed flows: a patch to be opened, a switch that was restarted, a network for which
   * there was no VLAN. Otherwise what a bridge has confirmed changes nothing on its host.
   */
  get waitsForFlows(): boolean {
    if (this.#lacksVlans || waitsForFlows(this.#view)) return true;
    return physicalBridges(this.#host).some((bridge) => !this.openPatches.has(bridge));
  }

  /** The flows of both ends of a physical bridge's patch are in place, those for the patch itself among them. */
  isProgrammed(physical: string): boolean {
    if (this.facts?.physical.get(physical)?.patchInt === undefined) return false;
    if (!this.facts.integration.patchPhys.has(physical)) return false;
    const ends = [this.#host.bridges.integration, physical];
    return ends.every((bridge) => isWhole(this.installers.get(bridge)?.status()));
  }

  /** Local VLANs of the last pass, by network. */
  get localVlans(): ReadonlyMap<string, number> {
    return this.vlans.current;
  }

  /** As assignLocalVlans and VlanLeases.renew, for books of this generation. */
  leaseVlans(request: Omit<LocalVlanRequest, 'kept' | 'former'>, generation: number): boolean {
    const confirmed = (bridge: string): number => this.installers.get(bridge)?.status().generationConfirmed ?? 0;
    const confirmedGeneration = (): number => Math.min(...bridgesOf(this.#host).map(confirmed));
    const assign = (former: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
      assignLocalVlans({ ...request, kept: this.localVlans, former });
    this.#lacksVlans = true;
    const isOther = this.vlans.renew(assign, { generation, confirmedGeneration });
    this.#lacksVlans = false;
    return isOther;
  }

  /** The book of a bridge has changed. */
  apply(change: BridgeChange, generation: number): void {
    this.installer(change.bridge).apply(change, generation);
    // It was waited for.
    if (isUnadopted(this.#view?.bridges.get(change.bridge))) this.#options.onChange();
  }

  /** Rows held of the host's OVSDB. */
  get replicaSize(): number {
    return this.#client.replica.size;
  }

  /** What the host's OVSDB shows, also while it is away; undefined before it was ever seen whole. */
  get view(): SwitchView | undefined {
    const { replica } = this.#client;
    if (!replica.isWhole) return undefined;
    this.#view ??= viewSwitch({
      Open_vSwitch: replica.table('Open_vSwitch'),
      Bridge: replica.table('Bridge'),
      Port: replica.table('Port'),
      Interface: replica.table('Interface'),
      Controller: replica.table('Controller'),
    });
    return this.#view;
  }

  /** The host's ovsdb-server has called. */
  adopt(peer: OvsdbPeer): void {
    this.#options.logger.info({ host: this.name, peer: peer.endpoint }, 'OVSDB server called');
    this.#client.adopt(peer.connection);
  }

  installer(bridge: string): BridgeInstaller {
    let installer = this.installers.get(bridge);
    if (installer === undefined) {
      installer = this.#options.makeInstaller(bridge);
      this.installers.set(bridge, installer);
    }
    return installer;
  }

  /** Keep installers and dialers of these bridges, and end those of others. */
  keepBridges(bridges: readonly string[]): void {
    for (const [name, installer] of this.installers) {
      if (bridges.includes(name)) continue;
      installer.close();
      this.installers.delete(name);
    }
    const directory = dialledDirectory(this.#host, this.view);
    const dialled = directory === undefined ? [] : bridges.filter((name) => this.view?.bridges.has(name));
    for (const [name, dialer] of this.#dialers) {
      if (dialled.includes(name)) continue;
      dialer.close();
      this.#dialers.delete(name);
    }
    for (const name of dialled) this.#dial(name, `unix:${directory}/${name}.mgmt`);
  }

  /** Write to the host's OVSDB, unless a write is under way: then the pass after it plans again. */
  write(writes: readonly HostWrite[]): void {
    this.isWritten = writes.length === 0;
    const { view } = this;
    if (this.isWritten || this.isWriting || view === undefined || !this.isLive) return;
    this.#isWriting = true;
    this.counts.transactions += 1;
    this.counts.writes += writes.length;
    this.#options.logger.info({ host: this.name, writes: writes.map(describeWrite) }, 'OVSDB write');
    void this.#transact(writes, view);
  }

  close(): void {
    clearTimeout(this.#retryTimer);
    this.keepBridges([]);
    this.#client.close();
  }

  async #transact(writes: readonly HostWrite[], view: SwitchView): Promise<void> {
    try {
      await this.#client.transact(toTransaction(writes, view));
      this.#retryCount = 0;
      this.lastFailure = undefined;
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      this.#writeFailed(error);
    } finally {
      this.#isWriting = false;
      this.#options.onChange();
    }
  }

  /** The next pass plans anew from what the database says then, but not at once: the cause may stay. */
  #writeFailed(error: HeddleError): void {
    this.counts.failures += 1;
    this.lastFailure = error.message;
    const waitMs = Math.min(LIMITS.backoffMaxMs, LIMITS.backoffMinMs * 2 ** this.#retryCount);
    this.#retryCount += 1;
    const context = { host: this.name, code: error.code, reason: error.message, waitMs };
    this.#options.limitedLog.warn(`write ${this.name}`, context, 'an OVSDB write failed, it is planned again');
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#options.onChange();
    }, waitMs);
  }

  #dial(bridge: string, target: string): void {
    if (this.#dialers.has(bridge)) return;
    const endpoint = parseEndpoint(target);
    const onConnection = (connection: SwitchConnection): void => this.#options.onConnection(bridge, connection);
    const dialer = new OpenFlowDialer({ endpoint, context: { ...this.#options.channels, onConnection } });
    this.#dialers.set(bridge, dialer);
  }
}
