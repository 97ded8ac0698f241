/**
 * Hosts without traffic under a controller in this process: each host an OvsSandbox of its own, the controller on a TCP port
 * that its bridges call. Serves test/ovs/controller*.test.ts.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { Controller, type ControllerOptions } from '../../src/controller/controller.ts';
import { liveFlows } from '../../src/controller/live-flows.ts';
import { type ControllerStatus, readStatus } from '../../src/controller/status.ts';
import { bridgesOf } from '../../src/controller/wanted.ts';
import { formatGroup, formatMeter } from '../../src/flow/format-group.ts';
import { createLogger } from '../../src/lib/log.ts';
import { type LoadedTopology, loadTopology } from '../../src/topology/load.ts';
import { OvsSandbox, type OvsSandboxOptions, waitFor } from './ovs-sandbox.ts';
import type { LogLine } from './switchboard.ts';

export type Json = Readonly<Record<string, unknown>>;

/** Everything of a topology but the hosts, which the site makes. */
export interface SiteDocument {
  readonly settings?: Json;
  readonly networks?: readonly Json[];
  readonly ports?: readonly Json[];
  readonly routers?: readonly Json[];
  readonly floating_ips?: readonly Json[];
}

export interface ControlledSiteOptions extends SiteDocument {
  /** Names of the hosts, and what their entries in the file say besides; default one host, `node1`. */
  readonly hosts?: Readonly<Record<string, Json>>;
  readonly sandbox?: OvsSandboxOptions;
}

/** Cookies of kind 2 and 3 (src/flow/cookie.ts): flows that no book has. */
const UNBOOKED = /^cookie=0x48440[23]/;

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A VXLAN network with one port per name, bound by iface-id wherever it is plugged. */
export const BLUE: SiteDocument = {
  networks: [{ id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ cidr: '10.0.0.0/24' }] }],
  ports: [
    { id: 'blue1', network: 'blue', fixed_ips: ['10.0.0.11'] },
    { id: 'blue2', network: 'blue', fixed_ips: ['10.0.0.12'] },
  ],
};

export class ControlledSite {
  readonly directory = mkdtempSync(join(tmpdir(), 'heddle-site-'));
  readonly hosts = new Map<string, OvsSandbox>();
  /** What every controller of this site has logged. */
  readonly lines: LogLine[] = [];
  readonly listen: string;
  document: SiteDocument;
  hostEntries: Readonly<Record<string, Json>>;
  #controller: Controller | undefined;

  private constructor(options: ControlledSiteOptions, port: number) {
    const { hosts = { node1: {} }, sandbox: _sandbox, ...document } = options;
    this.document = document;
    this.hostEntries = hosts;
    this.listen = `tcp:127.0.0.1:${port}`;
  }

  /** The hosts are up; no controller runs yet. */
  static async prepare(options: ControlledSiteOptions = BLUE): Promise<ControlledSite> {
    const site = new ControlledSite(options, await freePort());
    try {
      for (const name of Object.keys(site.hostEntries)) site.hosts.set(name, await OvsSandbox.start(options.sandbox));
    } catch (error) {
      await site.stop();
      throw error;
    }
    // The controller is started after the bridges know of it, and ended before them.
    for (const sandbox of site.hosts.values()) {
      sandbox.allowLog(/rconn\|WARN\|.*connection failed \(Connection refused\)|rconn\|WARN\|.*connection dropped/);
    }
    return site;
  }

  /** As `prepare`, with a controller that has converged. */
  static async start(options: ControlledSiteOptions = BLUE): Promise<ControlledSite> {
    const site = await ControlledSite.prepare(options);
    try {
      await site.startController();
      await site.converged();
    } catch (error) {
      await site.stop();
      throw error;
    }
    return site;
  }

  get controller(): Controller {
    if (this.#controller === undefined) throw new Error('no controller runs');
    return this.#controller;
  }

  host(name = 'node1'): OvsSandbox {
    const sandbox = this.hosts.get(name);
    if (sandbox === undefined) throw new Error(`no host ${name}`);
    return sandbox;
  }

  /** The topology file as JSON text. */
  text(): string {
    const hosts = Object.entries(this.hostEntries).map(([name, further], index) => ({
      name,
      ovsdb: `unix:${this.hosts.get(name)?.databaseSocket ?? '/nonexistent/db.sock'}`,
      local_ip: `172.28.0.${11 + index}`,
      controller: this.listen,
      ...further,
    }));
    return JSON.stringify({ hosts, ...this.document }, undefined, 2);
  }

  async startController(options: Partial<ControllerOptions> = {}): Promise<Controller> {
    const destination = { write: (line: string): void => void this.lines.push(JSON.parse(line)) };
    const controller = new Controller({
      listen: [this.listen],
      ovsdbListen: [],
      stateDirectory: join(this.directory, 'state'),
      logger: createLogger({ level: 'debug', destination }),
      startupGraceMs: 300,
      ...options,
    });
    this.#controller = controller;
    const { topology, derived } = this.#load(controller);
    await controller.start(topology);
    controller.hold(derived);
    return controller;
  }

  async stopController(): Promise<void> {
    await this.#controller?.close();
    this.#controller = undefined;
  }

  /** Change the file, as a reload does. */
  change(document: Partial<SiteDocument>, hostEntries = this.hostEntries): void {
    this.document = { ...this.document, ...document };
    this.hostEntries = hostEntries;
    const { topology, derived } = this.#load(this.controller);
    this.controller.setTopology(topology);
    this.controller.hold(derived);
  }

  status(): ControllerStatus {
    return readStatus(this.controller, { file: 'site.json', loadedAt: '', errors: [] });
  }

  async converged(deadlineMs = 15_000): Promise<ControllerStatus> {
    try {
      return await waitFor('convergence', () => this.status().converged && this.status(), deadlineMs);
    } catch (cause) {
      throw new Error(`waiting for ${this.status().waitingFor.join('; ')}`, { cause });
    }
  }

  async until(what: string, probe: () => Promise<boolean> | boolean, deadlineMs = 10_000): Promise<void> {
    await waitFor(what, probe, deadlineMs);
  }

  /** Until a column of the database has this value, as ovs-vsctl prints it. */
  async untilColumn(host: string, table: string, record: string, column: string, value: string): Promise<void> {
    await waitFor(`${table} ${record} ${column}=${value}`, async () => {
      const shown = await this.get(host, table, record, column).catch(() => undefined);
      return shown === value;
    });
  }

  /** Until nothing is waited for, and every bridge's own dump is the book of the controller, line for line, groups and meters too. */
  async inStep(deadlineMs = 15_000): Promise<void> {
    const endMs = performance.now() + deadlineMs;
    await this.converged(deadlineMs);
    for (;;) {
      const installed = [await this.installedFlows(), await this.#installedNumbered()];
      const desired = [this.desiredFlows(), this.#desiredNumbered()];
      if (isDeepStrictEqual(installed, desired) && this.status().converged) return;
      if (performance.now() > endMs) expect(installed).toEqual(desired);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** With how long they have been there: a flow that was written anew begins anew. */
  async flowAges(host: string, bridge: string): Promise<readonly number[]> {
    const dump = await this.host(host).ofctl('dump-flows', bridge);
    return [...dump.matchAll(/duration=([\d.]+)s/g)].map(([, seconds]) => Number(seconds));
  }

  /** By host and bridge; what bridges have learnt by themselves apart. */
  async installedFlows(): Promise<Readonly<Record<string, readonly string[]>>> {
    const flows: Record<string, readonly string[]> = {};
    for (const { name, bridge } of this.#bridges()) {
      const dump = await this.host(name).dumpFlows(bridge);
      flows[`${name} ${bridge}`] = dump.filter((flow) => !UNBOOKED.test(flow)).sort();
    }
    return flows;
  }

  desiredFlows(): Readonly<Record<string, readonly string[]>> {
    const flows: Record<string, readonly string[]> = {};
    for (const { name, bridge } of this.#bridges()) {
      const [live] = liveFlows(this.controller, { host: name, bridge });
      flows[`${name} ${bridge}`] = (live?.flows ?? []).map(({ text }) => text).sort();
    }
    return flows;
  }

  async #installedNumbered(): Promise<Readonly<Record<string, readonly string[]>>> {
    const numbered: Record<string, readonly string[]> = {};
    for (const { name, bridge } of this.#bridges()) {
      numbered[`${name} ${bridge}`] = (await this.host(name).dumpNumbered(bridge)).sort();
    }
    return numbered;
  }

  #desiredNumbered(): Readonly<Record<string, readonly string[]>> {
    const numbered: Record<string, readonly string[]> = {};
    for (const { name, bridge } of this.#bridges()) {
      const book = this.controller.compiler.book(name, bridge);
      const groups = [...(book?.groups() ?? [])].map(({ group }) => formatGroup(group));
      const meters = [...(book?.meters() ?? [])].map(({ meter }) => formatMeter(meter));
      numbered[`${name} ${bridge}`] = [...groups, ...meters].sort();
    }
    return numbered;
  }

  /** The bridges of hosts that are there and run a switch. */
  #bridges(): { readonly name: string; readonly bridge: string }[] {
    return [...this.controller.agents.values()].flatMap(({ name, host, view }) =>
      this.hosts.get(name)?.vswitchdPid === undefined
        ? []
        : bridgesOf(host).flatMap((bridge) => (view?.bridges.has(bridge) ? [{ name, bridge }] : [])),
    );
  }

  /** A guest's port: the name is the id in the file unless `id` says otherwise. Gives its ofport. */
  plug(host: string, name: string, id = name): Promise<number> {
    return this.host(host).addPort('br-int', name, 'type=internal', `external_ids:iface-id=${id}`);
  }

  /** What is written, byte for byte: ovsdb-server appends whatever any transaction changes. */
  database(host = 'node1'): Promise<string> {
    return readFile(this.host(host).databaseFile, 'utf8');
  }

  /** Messages that a switch says it has received, since `logMessages`. */
  async received(pattern: RegExp, host = 'node1'): Promise<readonly string[]> {
    const log = await readFile(join(this.host(host).directory, 'ovs-vswitchd.log'), 'utf8');
    return log.split('\n').filter((line) => line.includes('received: ') && pattern.test(line));
  }

  /** Those by which it was told to change something. */
  mods(host = 'node1'): Promise<readonly string[]> {
    return this.received(/FLOW_MOD|GROUP_MOD|METER_MOD|BUNDLE/, host);
  }

  /** Let a switch log every OpenFlow message from now on. */
  async logMessages(host = 'node1'): Promise<void> {
    await this.host(host).appctl('vlog/set', 'vconn:file:dbg');
    await this.host(host).appctl('vlog/disable-rate-limit', 'vconn');
  }

  /** One value of the database, as ovs-vsctl prints it. */
  async get(host: string, table: string, record: string, column: string): Promise<string> {
    return (await this.host(host).vsctl('get', table, record, column)).trim();
  }

  complaints(): readonly LogLine[] {
    return this.lines.filter(({ level }) => level === 'warn' || level === 'error' || level === 'fatal');
  }

  /** End everything; fails when a switch complained. */
  async stop(): Promise<void> {
    await this.stopController();
    try {
      for (const sandbox of this.hosts.values()) await sandbox.stop();
    } finally {
      for (const sandbox of this.hosts.values()) await sandbox.kill();
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  #load(controller: Controller): LoadedTopology {
    const loaded = loadTopology(this.text(), { file: 'site.json', held: controller.heldValues });
    if ('errors' in loaded) throw new Error(loaded.errors.map(({ message }) => message).join('\n'));
    return loaded;
  }
}
