/**
 * A private Open vSwitch for one test: ovsdb-server and ovs-vswitchd (dummy datapath) in a temporary directory of their own,
 * needing no root. Serves every test that wants a second opinion from the real daemons.
 *
 * `stop()` ends both by pid, removes the directory, and fails when a daemon logged a WARN, ERR or EMER line that nobody
 * allowed: what Open vSwitch complains about is a defect of ours unless a test says why it is not.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const START_DEADLINE_MS = 15_000;
const STOP_DEADLINE_MS = 5_000;
const COMMAND_TIMEOUT_S = 30;
/** Dumps of 100,000 flows are some 20 MB of text. */
const OUTPUT_SIZE_MAX = 256 * 1024 * 1024;

/** Lines that a healthy sandbox logs: each with its reason. */
const ALWAYS_ALLOWED: readonly RegExp[] = [
  // How we end them: SIGTERM by pid.
  /fatal_signal(\([^)]*\))?\|WARN\|terminating with signal 15/,
  // Two cores shared by many tests: a poll that took long says nothing about us.
  /timeval\|WARN\|(Unreasonably long|context switches|faults|disk)/,
  // A connection to an ovs-ofctl or ovs-appctl that ended before the answer was written.
  /(unixctl|jsonrpc|stream_unix|vconn)\|WARN\|.*(Broken pipe|Connection reset by peer)/,
  // A client of ovsdb-server's socket, ovs-vswitchd for one, that ended.
  /reconnect\|WARN\|unix#\d+: connection dropped/,
];

export interface OvsSandboxOptions {
  /** Only ovsdb-server: for tests of the database client. */
  readonly databaseOnly?: boolean;
  /** Further options of ovsdb-server, for instance `--remote=ptcp:0:127.0.0.1`. */
  readonly databaseArguments?: readonly string[];
  /** Further options of ovs-vswitchd, for instance `-vofproto:file:dbg`. */
  readonly vswitchdArguments?: readonly string[];
}

export interface AddBridgeOptions {
  /** Default: OpenFlow13 alone. `null` leaves the column to its default. */
  readonly protocols?: string | null;
  /** `tcp:127.0.0.1:6653` and the like: what the bridge calls. */
  readonly controllers?: readonly string[];
  /** 16 hex digits. */
  readonly datapathId?: string;
  /** Default: secure, as heddle sets it. */
  readonly failMode?: 'secure' | 'standalone';
}

/** Wait until `probe` gives something other than undefined or false; fails by `what` at the deadline. */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 10_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export class OvsSandbox {
  /** The private directory: OVS_RUNDIR, OVS_LOGDIR and OVS_DBDIR of the daemons. */
  readonly directory: string;
  readonly databaseSocket: string;
  readonly databaseFile: string;
  readonly #options: OvsSandboxOptions;
  readonly #allowed: RegExp[] = [];
  #database: ChildProcess | undefined;
  #vswitchd: ChildProcess | undefined;

  private constructor(directory: string, options: OvsSandboxOptions) {
    this.directory = directory;
    this.databaseSocket = join(directory, 'db.sock');
    this.databaseFile = join(directory, 'conf.db');
    this.#options = options;
  }

  static async start(options: OvsSandboxOptions = {}): Promise<OvsSandbox> {
    const directory = await mkdtemp(join(tmpdir(), 'heddle-ovs-'));
    const sandbox = new OvsSandbox(directory, options);
    try {
      await run('ovsdb-tool', ['create', sandbox.databaseFile, SCHEMA]);
      await sandbox.startDatabase();
      await sandbox.vsctl('--no-wait', 'init');
      if (options.databaseOnly !== true) await sandbox.startVswitchd();
    } catch (error) {
      const log = await sandbox.#log('ovs-vswitchd').catch(() => '');
      await sandbox.kill();
      throw new Error(`the Open vSwitch sandbox did not start\n${log}`, { cause: error });
    }
    return sandbox;
  }

  /** OpenFlow management socket of a bridge, for `unix:` dialling. */
  mgmtPath(bridge: string): string {
    return join(this.directory, `${bridge}.mgmt`);
  }

  get databasePid(): number | undefined {
    return this.#database?.pid;
  }

  get vswitchdPid(): number | undefined {
    return this.#vswitchd?.pid;
  }

  async startDatabase(): Promise<void> {
    this.#database = this.#spawn('ovsdb-server', [
      `--remote=punix:${this.databaseSocket}`,
      '--remote=db:Open_vSwitch,Open_vSwitch,manager_options',
      '--private-key=db:Open_vSwitch,SSL,private_key',
      '--certificate=db:Open_vSwitch,SSL,certificate',
      '--bootstrap-ca-cert=db:Open_vSwitch,SSL,ca_cert',
      ...(this.#options.databaseArguments ?? []),
      this.databaseFile,
    ]);
    await this.#answers('ovsdb-server', this.#database);
  }

  async startVswitchd(): Promise<void> {
    this.#vswitchd = this.#spawn('ovs-vswitchd', [
      '--enable-dummy=override',
      '--disable-system',
      ...(this.#options.vswitchdArguments ?? []),
      `unix:${this.databaseSocket}`,
    ]);
    await this.#answers('ovs-vswitchd', this.#vswitchd);
  }

  /** End ovsdb-server as SIGTERM does; `startDatabase()` brings it back on the same file. */
  async stopDatabase(): Promise<void> {
    await end(this.#database);
    this.#database = undefined;
  }

  async stopVswitchd(): Promise<void> {
    await end(this.#vswitchd);
    this.#vswitchd = undefined;
  }

  /** ovs-vswitchd ended and started again: flows are lost, ofports stay. */
  async restartVswitchd(): Promise<void> {
    await this.stopVswitchd();
    await this.startVswitchd();
  }

  vsctl(...args: readonly string[]): Promise<string> {
    return this.#run('ovs-vsctl', [`--db=unix:${this.databaseSocket}`, `--timeout=${COMMAND_TIMEOUT_S}`, ...args]);
  }

  /** ovs-ofctl on OpenFlow 1.3: `sandbox.ofctl('dump-flows', 'br-int')`. `input` goes to its stdin. */
  ofctl(...args: readonly string[]): Promise<string> {
    return this.#run('ovs-ofctl', ['-O', 'OpenFlow13', `--timeout=${COMMAND_TIMEOUT_S}`, ...args]);
  }

  ofctlWithInput(input: string, ...args: readonly string[]): Promise<string> {
    return this.#run('ovs-ofctl', ['-O', 'OpenFlow13', `--timeout=${COMMAND_TIMEOUT_S}`, ...args], input);
  }

  /** ovs-appctl of ovs-vswitchd: `sandbox.appctl('ofproto/trace', 'br-int', 'in_port=1')`. */
  appctl(...args: readonly string[]): Promise<string> {
    return this.#run('ovs-appctl', ['-t', this.#controlSocket('ovs-vswitchd'), ...args]);
  }

  /** ovs-appctl of ovsdb-server. */
  databaseAppctl(...args: readonly string[]): Promise<string> {
    return this.#run('ovs-appctl', ['-t', this.#controlSocket('ovsdb-server'), ...args]);
  }

  ovsdbClient(...args: readonly string[]): Promise<string> {
    return this.#run('ovsdb-client', [`--timeout=${COMMAND_TIMEOUT_S}`, ...args]);
  }

  async addBridge(name: string, options: AddBridgeOptions = {}): Promise<void> {
    const { protocols = 'OpenFlow13', failMode = 'secure' } = options;
    const columns = [`fail_mode=${failMode}`, 'other_config:disable-in-band=true'];
    if (protocols !== null) columns.push(`protocols=${protocols}`);
    if (options.datapathId !== undefined) columns.push(`other_config:datapath-id=${options.datapathId}`);
    const args = ['add-br', name, '--', 'set', 'Bridge', name, ...columns];
    if (options.controllers !== undefined && options.controllers.length > 0) {
      args.push('--', 'set-controller', name, ...options.controllers);
      args.push('--', 'set', 'Controller', name, 'connection_mode=out-of-band', 'max_backoff=1000');
    }
    await this.vsctl(...args);
  }

  /** A port on the dummy datapath; `options` as vsctl columns of its Interface. Gives its ofport. */
  async addPort(bridge: string, name: string, ...columns: readonly string[]): Promise<number> {
    const set = columns.length > 0 ? ['--', 'set', 'Interface', name, ...columns] : [];
    await this.vsctl('add-port', bridge, name, ...set);
    const ofport = await this.vsctl('get', 'Interface', name, 'ofport');
    return Number(ofport);
  }

  /** `dump-flows --no-stats`, sorted as ovs-ofctl sorts, one flow a line, without the heading. */
  async dumpFlows(bridge: string, ...filter: readonly string[]): Promise<string[]> {
    const text = await this.ofctl('dump-flows', '--no-stats', '--no-names', '--sort', bridge, ...filter);
    return text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !/^(OFPST|NXST)/.test(line));
  }

  /** Groups and meters, on one line each, as formatGroup and formatMeter (src/flow/format-group.ts) have them. */
  async dumpNumbered(bridge: string): Promise<string[]> {
    const groups = (await this.ofctl('dump-groups', '--no-names', bridge)).split('\n').map((line) => line.trim());
    const [, ...meters] = (await this.ofctl('dump-meters', bridge)).split(/\n(?=meter)/);
    return [
      ...groups.filter((line) => line.startsWith('group_id')),
      ...meters.map((one) => one.replaceAll(/\s+/g, ' ').trim()),
    ];
  }

  /** WARN, ERR and EMER lines that match are expected by this test; the test says why beside the call. */
  allowLog(pattern: RegExp): void {
    this.#allowed.push(pattern);
  }

  /**
   * Expect what ovs-vswitchd says of an OpenFlow connection that the other side ends, which may be in the middle of a message:
   * what lies in a socket's buffer then is lost.
   */
  allowCutConnections(): void {
    this.allowLog(/(vconn|rconn|stream_unix)\|WARN\|.*(Broken pipe|Connection reset|connection dropped|received)/);
    this.allowLog(/vconn_stream\|ERR\|(connection dropped mid-packet|Dropped \d+ log messages)/);
  }

  /** Lines of both logs that nobody allowed. */
  async logProblems(): Promise<string[]> {
    const logs = await Promise.all(['ovsdb-server', 'ovs-vswitchd'].map((name) => this.#log(name).catch(() => '')));
    const allowed = [...ALWAYS_ALLOWED, ...this.#allowed];
    return logs
      .join('\n')
      .split('\n')
      .filter((line) => /\|(WARN|ERR|EMER)\|/.test(line) && !allowed.some((pattern) => pattern.test(line)));
  }

  /** End both daemons, remove the directory, and throw when a log holds a line that nobody allowed. */
  async stop(): Promise<void> {
    await this.stopVswitchd();
    await this.stopDatabase();
    const problems = await this.logProblems();
    await this.kill();
    if (problems.length > 0) throw new Error(`Open vSwitch logged:\n${problems.join('\n')}`);
  }

  /** As `stop()`, whatever the logs say. */
  async kill(): Promise<void> {
    await this.stopVswitchd();
    await this.stopDatabase();
    await rm(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #environment(): NodeJS.ProcessEnv {
    const directory = this.directory;
    return {
      ...process.env,
      OVS_RUNDIR: directory,
      OVS_LOGDIR: directory,
      OVS_DBDIR: directory,
      OVS_SYSCONFDIR: directory,
    };
  }

  #controlSocket(daemon: string): string {
    return join(this.directory, `${daemon}.ctl`);
  }

  #spawn(daemon: string, args: readonly string[]): ChildProcess {
    const own = [
      `--unixctl=${this.#controlSocket(daemon)}`,
      `--log-file=${join(this.directory, `${daemon}.log`)}`,
      '-vconsole:off',
      '-vsyslog:off',
    ];
    return spawn(daemon, [...own, ...args], { cwd: this.directory, env: this.#environment(), stdio: 'ignore' });
  }

  async #answers(daemon: string, child: ChildProcess): Promise<void> {
    let spawnError: Error | undefined;
    child.once('error', (error) => {
      spawnError = error;
    });
    await waitFor(
      `${daemon} answers`,
      async () => {
        if (spawnError !== undefined) throw spawnError;
        if (child.exitCode !== null) throw new Error(`${daemon} exited with status ${child.exitCode}`);
        return run('ovs-appctl', ['-T', '2', '-t', this.#controlSocket(daemon), 'version']).then(
          () => true as const,
          () => false as const,
        );
      },
      START_DEADLINE_MS,
    );
  }

  async #run(command: string, args: readonly string[], input?: string): Promise<string> {
    const promise = run(command, args, { env: this.#environment(), cwd: this.directory, maxBuffer: OUTPUT_SIZE_MAX });
    if (input !== undefined) promise.child.stdin?.end(input);
    try {
      return (await promise).stdout;
    } catch (error) {
      // diff-flows says what differs on stdout and fails.
      const said = error instanceof Error && 'stdout' in error ? String(error.stdout).slice(0, 4_000) : '';
      throw new Error(`${command} ${args.join(' ')} failed\n${said}`, { cause: error });
    }
  }

  #log(daemon: string): Promise<string> {
    return readFile(join(this.directory, `${daemon}.log`), 'utf8');
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  await exited;
  clearTimeout(timer);
}
