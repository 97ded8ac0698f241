/**
 * The controller: owns the state, and brings switches to what the topology says, one pass at a time. Everything that happens (a
 * delta from an OVSDB, a bridge that connects, a file that changes) only marks what is stale; the pass then drains it all: places
 * of ports, local VLANs, OVSDB writes, facts, flows. A long pass takes several turns of the event loop (shift.ts), and what is
 * marked meanwhile waits for the next. An edge: the decisions are in the pure files beside this one.
 */
import { BridgeLedger } from '../compiler/book.ts';
import { type BridgeChange, Compiler } from '../compiler/compiler.ts';
import { LocalVlanError } from '../compiler/names.ts';
import type { TlsMaterial } from '../lib/endpoint.ts';
import { LIMITS } from '../lib/limits.ts';
import { LimitedLog, type Logger } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { OvsdbPeer } from '../ovsdb/index.ts';
import { DumpGate } from '../switch/dump-gate.ts';
import { BridgeInstaller } from '../switch/installer.ts';
import { TurnQueue } from '../switch/turn-queue.ts';
import type { HeldValues } from '../topology/load.ts';
import type { Host, Topology } from '../topology/model.ts';
import { BridgeConnections, type HostBridges } from './bridge-connections.ts';
import { Elections } from './elections.ts';
import { assertDialable, HostAgent } from './host-agent.ts';
import { readHostFacts } from './host-facts.ts';
import { HostWriter } from './host-writer.ts';
import { Keepsakes } from './keepsakes.ts';
import { Listeners } from './listeners.ts';
import { Memory } from './memory.ts';
import type { PassFigures, PassObserver } from './pass-figures.ts';
import { PortLocator } from './port-locator.ts';
import { Routers } from './routers.ts';
import { NEXT_TURN, Shift } from './shift.ts';
import { bridgesOf } from './wanted.ts';

/** Where ovsdb-servers are that nobody named: with `--ovsdb-listen`, hosts there are waited for instead of dialled. */
const DEFAULT_OVSDB = 'unix:/run/openvswitch/db.sock';

export interface ControllerOptions {
  /** `tcp:ADDR:PORT` or `ssl:ADDR:PORT`, where bridges connect. */
  readonly listen: readonly string[];
  /** Likewise, where ovsdb-servers connect. */
  readonly ovsdbListen: readonly string[];
  readonly stateDirectory: string;
  readonly tls?: TlsMaterial;
  readonly logger: Logger;
  /** How long hosts that do not answer are waited for at start; default LIMITS.startupGraceMs. */
  readonly startupGraceMs?: number;
  /** Given: there may be another controller, and bridges are programmed by one of them (elections.ts). */
  readonly identity?: string;
}

export class Controller {
  readonly agents = new Map<string, HostAgent>();
  readonly compiler = new Compiler();
  observer: PassObserver | undefined;
  readonly #options: ControllerOptions;
  readonly #logger: Logger;
  readonly #limitedLog: LimitedLog;
  readonly #memory: Memory;
  readonly #keepsakes: Keepsakes;
  readonly #connections: BridgeConnections;
  readonly #routers: Routers;
  readonly #locator: PortLocator;
  readonly #writer: HostWriter;
  readonly #shift = new Shift();
  /** Of all bridges. */
  readonly #shared = { turns: new TurnQueue(), dumps: new DumpGate() };
  readonly #conflicts = new Map<string, number>();
  readonly #listeners = new Listeners();
  #topology: Topology | undefined;
  #epoch = 0;
  #generation = 0;
  #isStarted = false;
  #isClosed = false;
  #passIsScheduled = false;
  #graceTimer: NodeJS.Timeout | undefined;
  #graceIsOver = false;
  #staleHosts = new Set<string>();
  #lastPass: PassFigures | undefined;

  /** Reads the state directory. Throws StateError. */
  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#limitedLog = new LimitedLog(options.logger);
    this.#memory = new Memory(options.stateDirectory, this.#limitedLog);
    this.#keepsakes = new Keepsakes({ memory: this.#memory, compiler: this.compiler, logger: options.logger });
    const elections = new Elections({ ...options, onRole: (host) => this.#markStale(host) });
    this.#connections = new BridgeConnections(this.#limitedLog, elections);
    const { agents, compiler } = this;
    const keepsakes = this.#keepsakes;
    this.#locator = new PortLocator({ agents, compiler, memory: this.#memory, keepsakes });
    const isElected = options.identity !== undefined;
    this.#writer = new HostWriter({ compiler, connections: this.#connections, keepsakes, isElected });
    this.#routers = new Routers({
      limitedLog: this.#limitedLog,
      memory: this.#memory,
      compiler,
      agents,
      onChange: () => this.#schedule(),
    });
  }

  get topology(): Topology | undefined {
    return this.#topology;
  }

  get generation(): number {
    return this.#generation;
  }

  get lastPass(): PassFigures | undefined {
    return this.#lastPass;
  }

  /** What has happened is not drained yet: a pass is under way, or comes next. */
  get isPassing(): boolean {
    return this.#passIsScheduled || this.#shift.isBusy;
  }

  /** Every host has shown itself, or had its time to. Before, no flow is touched. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Keys of the books in which two rules want different flows, per bridge. */
  get conflictCount(): number {
    let count = 0;
    for (const refused of this.#conflicts.values()) count += refused;
    return count;
  }

  /** Connections that said nothing, and gave way to others. */
  get evictedHandshakeCount(): number {
    return this.#listeners.evictedHandshakeCount;
  }

  /** Dumps of large bridges that waited for those of others. */
  get delayedDumpCount(): number {
    return this.#shared.dumps.delayedCount;
  }

  /** Log lines that the rate limit held back. */
  get suppressedLineCount(): number {
    return this.#limitedLog.suppressedCount;
  }

  /** Why the state file could not be written the last time, and what to do; undefined: it was. */
  get stateFailure(): string | undefined {
    return this.#memory.failure;
  }

  /** Packets that switches sent, by reason, and those that were not answered, by why. */
  get packetCounts(): Routers['counts'] {
    return this.#routers.counts;
  }

  /** Connections that no bridge of the topology claims. */
  get strangers(): readonly SwitchConnection[] {
    return this.#connections.unclaimed;
  }

  /** MACs and addresses that were derived before, in this life or an earlier one: to be given to `loadTopology`. */
  get heldValues(): HeldValues {
    return this.#memory.derived;
  }

  /** Keep what the topology in force derived: what a guest has seen stays true. Soon, where it is much. */
  hold(derived: HeldValues): void {
    void this.#shift.do(this.#memory.rememberDerivedSteps(derived));
  }

  /** Open the listeners and take in the first topology. Throws LISTEN_FAILED, BAD_ENDPOINT, TLS_MISSING. */
  async start(topology: Topology): Promise<void> {
    assertDialable(topology.hosts.values(), this.#options.tls);
    await this.#listeners.open({
      ...this.#options,
      context: { ...this.#channels(), onConnection: (connection) => this.#connected(connection) },
      onPeer: (peer) => this.#ovsdbCalled(peer),
    });
    this.#graceTimer = setTimeout(() => {
      this.#graceIsOver = true;
      this.#schedule();
    }, this.#options.startupGraceMs ?? LIMITS.startupGraceMs);
    await this.setTopology(topology);
  }

  /**
   * Take in another topology: hosts come and go, everything else is a difference of flows and rows. Resolves when it is taken in,
   * which for a small one is at once; the pass comes after it. Rejects with TLS_MISSING, and has changed nothing then.
   */
  async setTopology(topology: Topology): Promise<void> {
    assertDialable(topology.hosts.values(), this.#options.tls);
    await this.#shift.do(this.#takeIn(topology));
  }

  *#takeIn(topology: Topology): Generator<void, void> {
    this.#topology = topology;
    this.#generation += 1;
    this.#keepsakes.allocateMacs(topology);
    for (const agent of [...this.agents.values()]) {
      const host = topology.hosts.get(agent.name);
      if (host !== undefined && host.ovsdb === agent.host.ovsdb && host.mgmtDir === agent.host.mgmtDir)
        agent.host = host;
      else this.#dismiss(agent);
    }
    for (const host of topology.hosts.values()) {
      if (!this.agents.has(host.name)) this.agents.set(host.name, this.#employ(host));
      this.#staleHosts.add(host.name);
    }
    yield* this.compiler.setTopologySteps(topology);
    this.#keepsakes.allocateZones();
    this.#locator.markAll();
    this.#schedule();
  }

  /** End every session and connection. The switches keep what they have. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#shift.close();
    clearTimeout(this.#graceTimer);
    this.#routers.close();
    this.#connections.close();
    for (const agent of this.agents.values()) agent.close();
    await this.#listeners.close();
    this.#memory.close();
  }

  #channels() {
    return { logger: this.#logger, limitedLog: this.#limitedLog, nextEpoch: () => ++this.#epoch };
  }

  #employ(host: Host): HostAgent {
    const { ovsdbListen, tls } = this.#options;
    return new HostAgent({
      host,
      dials: ovsdbListen.length === 0 || host.ovsdb !== DEFAULT_OVSDB,
      formerVlans: this.#memory.localVlans(host.name),
      ...(tls && { tls }),
      logger: this.#logger,
      limitedLog: this.#limitedLog,
      channels: this.#channels(),
      makeInstaller: (bridge) => this.#makeInstaller(host.name, bridge),
      onConnection: (bridge, connection) => this.#connected(connection, bridge, host.name),
      onChange: () => this.#markStale(host.name),
    });
  }

  #makeInstaller(host: string, bridge: string): BridgeInstaller {
    return new BridgeInstaller({
      ...this.#shared,
      host,
      bridge,
      book: () => this.compiler.book(host, bridge) ?? new BridgeLedger(host, bridge),
      drift: () => this.#topology?.settings.drift ?? 'report',
      logger: this.#logger,
      limitedLog: this.#limitedLog,
      onPass: (status) => {
        this.observer?.bridgePass(status);
        if (this.agents.get(host)?.waitsForFlows === true) this.#markStale(host);
      },
    });
  }

  #dismiss(agent: HostAgent): void {
    agent.close();
    this.agents.delete(agent.name);
    this.#locator.forget(agent.name);
    this.#keepsakes.forget(agent.name);
    this.compiler.setHostFacts(agent.name, undefined);
  }

  #connected(connection: SwitchConnection, bridge?: string, host?: string): void {
    this.#connections.add(connection, bridge === undefined || host === undefined ? undefined : { host, bridge });
    this.#schedule();
  }

  #ovsdbCalled(peer: OvsdbPeer): boolean {
    const { systemId, hostname } = peer;
    const agent = this.agents.get(systemId ?? '') ?? this.agents.get(hostname ?? '');
    if (agent === undefined) {
      const advice =
        'an ovsdb-server called that is no host of the topology: name the host as its system-id or hostname';
      this.#limitedLog.warn(`stranger ${systemId}`, { peer: peer.endpoint, systemId, hostname }, advice);
      return false;
    }
    agent.adopt(peer);
    return true;
  }

  #markStale(host: string): void {
    this.#staleHosts.add(host);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#passIsScheduled || this.#isClosed) return;
    this.#passIsScheduled = true;
    // In a turn of its own: all that one turn of events changes is one pass.
    setImmediate(() => void this.#shift.do(this.#pass()));
  }

  /** What is marked from now on is for the next pass. */
  *#pass(): Generator<unknown, void> {
    this.#passIsScheduled = false;
    const topology = this.#topology;
    if (topology === undefined) return;
    const startMs = performance.now();
    yield* this.#locator.locate(topology, (host) => this.#staleHosts.has(host));
    if (!this.#isStarted && !this.#mayStart()) return;
    if (this.#keepsakes.settle()) for (const name of this.agents.keys()) this.#staleHosts.add(name);
    this.#learnBridges(topology);
    for (const name of this.compiler.site.takeChangedHosts()) this.#staleHosts.add(name);
    const staleHosts = [...this.#staleHosts].sort();
    this.#staleHosts.clear();
    const readable: string[] = [];
    for (const name of staleHosts) {
      if (this.#readHost(name, topology)) readable.push(name);
      yield;
    }
    let changedBridges = 0;
    const { conflicts, rendered } = yield* this.compiler.passSteps((change) => {
      if (changedBridges === 0) this.#generation += 1;
      changedBridges += 1;
      this.#apply(change);
    });
    for (const { host, bridge, installed, refused } of conflicts) {
      this.#conflicts.set(`${host} ${bridge}`, refused.length);
      const context = { host, bridge, installed: installed.origin, refused: refused.map(({ origin }) => origin) };
      this.#limitedLog.warn(`conflict ${host} ${bridge}`, context, 'two rules want different flows in one place');
    }
    // After the books are whole: what an installer compares a bridge with must not be half a picture.
    this.#connections.assign(
      ({ host, bridge }) => {
        const agent = this.agents.get(host);
        return agent?.view === undefined ? undefined : agent.installer(bridge);
      },
      ({ host, bridge }, connection) => this.#routers.attach(host, bridge, connection),
    );
    // Flows first: they leave now.
    if (changedBridges > 0) yield NEXT_TURN;
    for (const name of readable) {
      const agent = this.agents.get(name);
      if (agent !== undefined) this.#writer.write(agent, topology);
      yield;
    }
    this.#routers.refresh(topology);
    if (rendered === 0) return;
    this.#lastPass = { ms: performance.now() - startMs, rendered, changedBridges };
    this.observer?.pass(this.#lastPass);
  }

  #learnBridges({ hosts }: Topology): void {
    const bridges = (host: Host | undefined): HostBridges[] =>
      host === undefined ? [] : [{ host: host.name, bridges: bridgesOf(host), view: this.agents.get(host.name)?.view }];
    const stale = [...this.#staleHosts].flatMap((name) => bridges(hosts.get(name)));
    if (this.#connections.isNews(stale, hosts.size)) this.#connections.learn([...hosts.values()].flatMap(bridges));
  }

  #apply(change: BridgeChange): void {
    this.#conflicts.delete(`${change.host} ${change.bridge}`);
    this.agents.get(change.host)?.apply(change, this.#generation);
  }

  #mayStart(): boolean {
    const silent = [...this.agents.values()].filter((agent) => agent.view === undefined);
    if (silent.length > 0 && !this.#graceIsOver) return false;
    this.#isStarted = true;
    clearTimeout(this.#graceTimer);
    if (silent.length > 0) {
      const hosts = silent.map((agent) => agent.name);
      this.#logger.warn({ hosts }, 'started without hosts that do not answer; their ports count as where they were');
    }
    return true;
  }

  /** One host: its local VLANs, and what the compiler shall know of it. False: nothing is to be written to it. */
  #readHost(name: string, topology: Topology): boolean {
    const agent = this.agents.get(name);
    const view = agent?.view;
    if (agent === undefined || view === undefined) return false;
    const { host } = agent;
    const { site } = this.compiler;
    const { routing } = site;
    const networkIds = site.networksOn(name);
    try {
      const shown = { topology, routing, host, view, networkIds, isFollowed: !this.#writer.isOurs(agent) };
      if (agent.leaseVlans(shown, this.#generation + 1)) this.#memory.rememberLocalVlans(name, agent.vlans.all);
    } catch (error) {
      if (!(error instanceof LocalVlanError)) throw error;
      agent.lastFailure = error.message;
      this.#limitedLog.warn(`vlans ${name}`, { host: name, reason: error.message }, 'a host has too many networks');
      return false;
    }
    agent.keepBridges(bridgesOf(host));
    const tunnels = site.tunnelsOf(name);
    agent.facts = readHostFacts({ topology, routing, host, view, localVlans: agent.localVlans, tunnels });
    this.compiler.setHostFacts(name, agent.facts);
    return true;
  }
}
