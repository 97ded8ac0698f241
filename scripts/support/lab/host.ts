/**
 * A host of the lab: a namespace with an ovsdb-server and an ovs-vswitchd of its own (userspace datapath, own run
 * directory), br-phy with the tunnel address on the underlay, and one bridge for each physical network. It is what a
 * machine with Open vSwitch looks like before a controller has touched it.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, run, runAny } from './command.ts';
import type { Namespace } from './namespace.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
export const OVSDB_PORT = 6640;

export interface HostOptions {
  readonly name: string;
  readonly namespace: Namespace;
  /** Where the daemons keep sockets, logs and the database: absolute, or Open vSwitch does not take it. */
  readonly directory: string;
  readonly managementIp: string;
  readonly localIp: string;
}

/** One line that a daemon logged as a warning or worse. */
export interface LogFinding {
  readonly daemon: string;
  readonly line: string;
}

type Daemon = 'ovsdb-server' | 'ovs-vswitchd';

export class Host {
  readonly name: string;
  readonly namespace: Namespace;
  readonly directory: string;
  readonly managementIp: string;
  readonly localIp: string;

  constructor(options: HostOptions) {
    this.name = options.name;
    this.namespace = options.namespace;
    this.directory = options.directory;
    this.managementIp = options.managementIp;
    this.localIp = options.localIp;
    mkdirSync(this.directory, { recursive: true });
  }

  /** The database for those who share our file system, whatever their namespace. */
  get ovsdbSocket(): string {
    return `unix:${join(this.directory, 'db.sock')}`;
  }

  /** The database over the management network. */
  get ovsdbTcp(): string {
    return `tcp:${this.managementIp}:${OVSDB_PORT}`;
  }

  get #env(): Record<string, string> {
    return { OVS_RUNDIR: this.directory, OVS_LOGDIR: this.directory, OVS_DBDIR: this.directory };
  }

  #pidFile(daemon: Daemon): string {
    return join(this.directory, `${daemon}.pid`);
  }

  #pidOf(daemon: Daemon): number {
    return Number(readFileSync(this.#pidFile(daemon), 'utf8'));
  }

  async #startDaemon(daemon: Daemon, args: readonly string[]): Promise<void> {
    const common = ['--detach', '--no-chdir', '--pidfile', `--log-file=${join(this.directory, `${daemon}.log`)}`];
    await this.namespace.run([daemon, ...args, ...common, '-vconsole:off'], { env: this.#env });
  }

  /** End a daemon and wait until it is gone. `SIGKILL` is the crash, `SIGTERM` the orderly way. */
  async #endDaemon(daemon: Daemon, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const pid = this.#pidOf(daemon);
    process.kill(pid, signal);
    await eventually(
      `${daemon} of ${this.name} ends`,
      async () => (await runAny(['kill', '-0', `${pid}`])).status !== 0,
      {
        intervalMs: 10,
      },
    );
  }

  /** Make the database and start both daemons. */
  async start(): Promise<void> {
    await run(['ovsdb-tool', 'create', join(this.directory, 'conf.db'), SCHEMA]);
    await this.startDatabase();
    await this.vsctl('--no-wait', 'init');
    await this.startSwitch();
  }

  async startDatabase(): Promise<void> {
    const remotes = [`--remote=p${this.ovsdbSocket}`, `--remote=ptcp:${OVSDB_PORT}:${this.managementIp}`];
    await this.#startDaemon('ovsdb-server', [join(this.directory, 'conf.db'), ...remotes]);
  }

  stopDatabase(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    return this.#endDaemon('ovsdb-server', signal);
  }

  startSwitch(): Promise<void> {
    return this.#startDaemon('ovs-vswitchd', [this.ovsdbSocket]);
  }

  stopSwitch(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    return this.#endDaemon('ovs-vswitchd', signal);
  }

  /** ovs-vsctl(8) on this host's database; waits until ovs-vswitchd has followed. */
  vsctl(...args: string[]): Promise<string> {
    return run(['ovs-vsctl', `--db=${this.ovsdbSocket}`, '--timeout=20', ...args]);
  }

  /** ovs-ofctl(8) on one of this host's bridges: `ofctl('br-int', 'dump-flows', '--no-stats')`. */
  ofctl(bridge: string, command: string, ...args: string[]): Promise<string> {
    const socket = `unix:${join(this.directory, `${bridge}.mgmt`)}`;
    const options = args.filter((arg) => arg.startsWith('--'));
    const operands = args.filter((arg) => !arg.startsWith('--'));
    return run(['ovs-ofctl', '-O', 'OpenFlow13', ...options, command, socket, ...operands]);
  }

  /** The flows of a bridge, sorted, without counters. */
  async flows(bridge: string): Promise<string[]> {
    const dump = await this.ofctl(bridge, 'dump-flows', '--no-stats', '--no-names');
    return dump
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('OFPST_FLOW'))
      .sort();
  }

  /** ovs-appctl(8) to this host's ovs-vswitchd. */
  appctl(...args: string[]): Promise<string> {
    const target = join(this.directory, `ovs-vswitchd.${this.#pidOf('ovs-vswitchd')}.ctl`);
    return run(['ovs-appctl', '-t', target, ...args]);
  }

  /** The ofport of an interface, or undefined while it has none. */
  async ofportOf(link: string): Promise<number | undefined> {
    const text = (await this.vsctl('--if-exists', 'get', 'Interface', link, 'ofport')).trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  }

  /** A bridge of the userspace datapath, with these links of the namespace as ports. It forwards like a plain switch. */
  async addBridge(bridge: string, links: readonly string[] = []): Promise<void> {
    const ports = links.flatMap((link) => ['--', '--may-exist', 'add-port', bridge, link]);
    await this.vsctl('--may-exist', 'add-br', bridge, '--', 'set', 'Bridge', bridge, 'datapath_type=netdev', ...ports);
    await this.namespace.ip([bridge, ...links].map((link) => `link set ${link} up`));
  }

  /** What the daemons logged as WARN, ERR or EMER since they began. */
  findings(): LogFinding[] {
    const daemons: readonly Daemon[] = ['ovsdb-server', 'ovs-vswitchd'];
    return daemons.flatMap((daemon) =>
      readFileSync(join(this.directory, `${daemon}.log`), 'utf8')
        .split('\n')
        .filter((line) => /\|(WARN|ERR|EMER)\|/.test(line))
        .map((line) => ({ daemon, line })),
    );
  }
}
