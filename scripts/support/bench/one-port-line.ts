/**
 * One port plugged on a site of 100 hosts and 10,000 ports: from the row in which its ovs-vswitchd says its ofport to the last barrier
 * on every host that it concerns. Two hosts run real switches; the others are real ovsdb-servers with fake switches behind real
 * TCP, in a process of their own (fake-hosts.ts). Beside it the switch's own barrier round trip.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller } from '../../../src/controller/controller.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { OvsdbClient } from '../../../src/ovsdb/client.ts';
import { OPEN_VSWITCH } from '../../../src/ovsdb/open-vswitch.generated.ts';
import type { BridgeStatus } from '../../../src/switch/status.ts';
import { OvsSandbox, waitFor } from '../../../test/support/ovs-sandbox.ts';
import type { FakeHostOptions, FakeHostsOrder } from './fake-hosts.ts';
import { type Line, median, quantile } from './measure.ts';
import type { PlugOrder } from './plugger.ts';
import { hostName, loadSite, portName, siteDocument, spread } from './site.ts';
import { freePort } from './switch-lines.ts';

const HOSTS = 100;
const REAL_HOSTS = 2;
const PORTS_PER_NETWORK = 50;
/** On the real hosts among others. */
const NETWORK = 0;
const CHANGES = 100;
const WARMUPS = 20;
const SETTLE_MS = 50;
const START_DEADLINE_MS = 240_000;

interface Site {
  readonly sandboxes: readonly OvsSandbox[];
  readonly child: ChildProcess;
  readonly controller: Controller;
  readonly directory: string;
  /** Of the first host, plugged by hand. */
  readonly portId: string;
}

async function startSite(hostCount: number, sandboxes: OvsSandbox[]): Promise<Site> {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-bench-'));
  const port = await freePort();
  const networkCount = (hostCount * 100) / PORTS_PER_NETWORK;
  // The first network has ports on the first host and on the second, the real ones.
  const across = spread(hostCount, 10);
  const hostOf = (network: number, index: number): number =>
    network === NETWORK && index % 10 < REAL_HOSTS ? index % 10 : across(network, index);
  const shape = { hostCount, networkCount, portsPerNetwork: PORTS_PER_NETWORK, routerCount: 0, hostOf };
  const document = siteDocument(shape);
  const plugged = new Map<string, string[]>();
  const portId = portName(NETWORK, 0);
  for (const { id, host } of document.ports) if (id !== portId) plugged.set(host, [...(plugged.get(host) ?? []), id]);
  for (let index = 0; index < hostCount; index++) {
    sandboxes.push(await OvsSandbox.start({ databaseOnly: index >= REAL_HOSTS }));
  }
  const hosts = document.hosts.map((host, index) => ({
    ...host,
    ovsdb: `unix:${sandboxes[index]?.databaseSocket}`,
    controller: `tcp:127.0.0.1:${port}`,
  }));
  const ports = document.ports.map(({ host: _host, ...rest }) => rest);
  for (const [index, sandbox] of sandboxes.slice(0, REAL_HOSTS).entries()) {
    await sandbox.addBridge('br-int');
    const ids = plugged.get(hostName(index)) ?? [];
    await sandbox.vsctl(...ids.flatMap((id, tap) => ['--', ...plug(`tap${tap}`, id)]).slice(1));
  }
  const fakes: FakeHostOptions[] = sandboxes.slice(REAL_HOSTS).map(({ databaseSocket }, place) => {
    const index = REAL_HOSTS + place;
    return { name: hostName(index), index, databaseSocket, ports: plugged.get(hostName(index)) ?? [] };
  });
  const child = fork(join(import.meta.dirname, 'fake-hosts.ts'), [], { execArgv: [] });
  const order: FakeHostsOrder = { hosts: fakes, pluggedSocket: sandboxes[0]?.databaseSocket ?? '' };
  child.send(order);
  await once(child, 'message');
  const controller = new Controller({
    listen: [`tcp:127.0.0.1:${port}`],
    ovsdbListen: [],
    stateDirectory: join(directory, 'state'),
    logger: silentLogger,
    startupGraceMs: 60_000,
  });
  await controller.start(loadSite({ ...document, hosts, ports: ports as unknown as typeof document.ports }));
  return { sandboxes, child, controller, directory, portId };
}

const plug = (name: string, portId: string): string[] => [
  ...['add-port', 'br-int', name, '--', 'set', 'Interface', name, 'type=internal', `external_ids:iface-id=${portId}`],
];

async function stopSite({ child, controller, directory }: Site): Promise<void> {
  await controller.close();
  child.kill();
  rmSync(directory, { recursive: true, force: true });
}

const installersOf = (controller: Controller) =>
  [...controller.agents.values()].flatMap((agent) => [...agent.installers.values()]);

const isQuiet = (controller: Controller): boolean =>
  installersOf(controller).every((installer) => {
    const { connected, generationConfirmed, generationWanted } = installer.status();
    return connected && generationConfirmed === generationWanted;
  });

/** Every bridge of every host is connected and right, and stays so for a while. */
async function converged(controller: Controller, hostCount: number): Promise<void> {
  let quietSinceMs: number | undefined;
  await waitFor(
    'the site has converged',
    () => {
      const quiet = installersOf(controller).length === 2 * hostCount && isQuiet(controller);
      quietSinceMs = quiet ? (quietSinceMs ?? performance.now()) : undefined;
      return quietSinceMs !== undefined && performance.now() - quietSinceMs > 2_000;
    },
    START_DEADLINE_MS,
  );
}

/** When the first host's database said, to a client of this process, that a port has its ofport. */
class RowWatch {
  readonly #client: OvsdbClient<never>;
  readonly seenMs = new Map<string, number>();

  constructor(databaseSocket: string) {
    const client = new OvsdbClient({
      target: `unix:${databaseSocket}`,
      model: OPEN_VSWITCH,
      tables: { Interface: ['name', 'ofport'] },
      onDelta: () => {
        for (const { name, ofport } of client.replica.table('Interface').values()) {
          if (ofport !== undefined && !this.seenMs.has(name)) this.seenMs.set(name, performance.now());
        }
      },
    });
    client.start();
    this.#client = client as unknown as OvsdbClient<never>;
  }

  close(): void {
    this.#client.close();
  }
}

/** When each bridge last confirmed flow-mods, and whether it has since `begin`. */
class PassWatch {
  readonly #mods = new Map<string, number>();
  readonly #lastMs = new Map<string, number>();

  constructor(controller: Controller) {
    for (const installer of installersOf(controller)) this.#note(installer.status());
    this.begin();
    controller.observer = { pass: () => undefined, bridgePass: (status) => this.#note(status) };
  }

  begin(): void {
    this.#lastMs.clear();
  }

  get hosts(): ReadonlySet<string> {
    return new Set([...this.#lastMs.keys()].map((key) => key.split(' ')[0] ?? ''));
  }

  get lastMs(): number {
    return Math.max(0, ...this.#lastMs.values());
  }

  hasChanged(host: string, bridge: string): boolean {
    return this.#lastMs.has(`${host} ${bridge}`);
  }

  #note({ host, bridge, flowMods }: BridgeStatus): void {
    const key = `${host} ${bridge}`;
    const count = flowMods.add + flowMods.modify + flowMods.delete;
    if (this.#mods.get(key) === count) return;
    this.#mods.set(key, count);
    this.#lastMs.set(key, performance.now());
  }
}

export interface OnePortFigures {
  /** Milliseconds, of each change; of a barrier after it. */
  readonly times: readonly number[];
  readonly barriers: readonly number[];
  readonly hosts: ReadonlySet<string>;
}

async function measure({ controller, sandboxes, child, portId }: Site, changes: number): Promise<OnePortFigures> {
  const [first] = sandboxes;
  const connection = controller.agents.get(hostName(0))?.installer('br-int').connection;
  if (first === undefined || connection === undefined) throw new Error('no first host');
  const rows = new RowWatch(first.databaseSocket);
  const passes = new PassWatch(controller);
  const times: number[] = [];
  const barriers: number[] = [];
  const hosts = new Set<string>();
  const order = async (plug: PlugOrder): Promise<void> => {
    passes.begin();
    child.send(plug);
    // Whatever comes late counts. Nobody looks closer before: that would be measured too.
    const isOver = (): boolean =>
      passes.hasChanged(hostName(0), 'br-int') && performance.now() - passes.lastMs > SETTLE_MS;
    await waitFor(`${plug.name} has its flows`, () => isOver() && isQuiet(controller));
  };
  for (let round = -WARMUPS; round < changes; round++) {
    const name = `new${round + WARMUPS}`;
    await order({ name, portId });
    if (round >= 0) {
      times.push(passes.lastMs - (rows.seenMs.get(name) ?? 0));
      for (const host of passes.hosts) hosts.add(host);
      const start = performance.now();
      await connection.barrier();
      barriers.push(performance.now() - start);
    }
    await order({ name });
  }
  rows.close();
  return { times, barriers, hosts };
}

/** Plugs one port of a site of this many hosts, with 100 ports each, and takes it out again, some times. */
export async function measureOnePort(hostCount: number, changes: number): Promise<OnePortFigures> {
  const sandboxes: OvsSandbox[] = [];
  let site: Site | undefined;
  try {
    site = await startSite(hostCount, sandboxes);
    await converged(site.controller, hostCount);
    return await measure(site, changes);
  } finally {
    if (site !== undefined) await stopSite(site);
    await Promise.all(sandboxes.map((sandbox) => sandbox.kill()));
  }
}

export const onePortLine: Line = async ({ shrink }) => {
  const hostCount = Math.round(HOSTS / shrink);
  const { times, barriers, hosts } = await measureOnePort(hostCount, CHANGES);
  const over = times.map((time) => time - median(barriers));
  const p99 = quantile(over, 0.99);
  return [
    {
      what: `one port plugged on a site of ${hostCount} hosts, ${hostCount * 100} ports: OVSDB row → last barrier on all ${hosts.size} hosts that it concerns, less a barrier round trip`,
      unit: 'ms',
      heddle: median(over),
      floor: median(barriers),
      floorIs: 'barrier round trip of the real switch',
      target: 'median ≤ 3 ms, p99 ≤ 15 ms above it',
      isMet: median(over) <= 3 && p99 <= 15,
      note: `p99 ${p99.toFixed(2)} ms`,
    },
  ];
};
