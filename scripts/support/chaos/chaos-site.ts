/**
 * The site on which faults are tried: three real hosts, heddle as a process, streams of packets between guests on one host and on
 * two, and as many further remote ports as one asks for, on hosts that are in the file alone.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HeddleError, invariant } from '../../../src/lib/errors.ts';
import { HeddleProcess } from '../heddle-process.ts';
import { eventually } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import {
  BESIDE,
  guestsOf,
  HOSTS,
  LISTEN,
  macOf,
  PHANTOM,
  PHYSICAL_BRIDGE,
  SECOND_LISTEN,
  type TopologyOptions,
  topologyText,
} from './chaos-topology.ts';
import { Stream } from './streams.ts';

export interface ChaosOptions extends TopologyOptions {
  /** Packets a second, each way of each stream. */
  readonly rate: number;
  /** nice(1) of heddle, which has a machine of its own elsewhere. */
  readonly niceness?: number;
}

export const BRIDGES = ['br-int', 'br-tun', PHYSICAL_BRIDGE] as const;
const LEARNED = /^cookie=0x484402/;

/** What was sent to the switches and the databases since heddle began. */
export interface Work {
  readonly flowMods: number;
  readonly databaseWrites: number;
}

export class ChaosSite {
  readonly lab: Lab;
  readonly options: ChaosOptions;
  readonly file: string;
  readonly streams: Stream[] = [];
  heddle: HeddleProcess;
  /** Sorted dumps by host and bridge, as they should be. */
  #baseline = new Map<string, readonly string[]>();
  #changeCount = 0;

  private constructor(lab: Lab, options: ChaosOptions, file: string) {
    this.lab = lab;
    this.options = options;
    this.file = file;
    writeFileSync(file, topologyText(options));
    this.heddle = this.startHeddle();
  }

  static async up(options: ChaosOptions): Promise<ChaosSite> {
    const lab = await Lab.up({ hosts: [...HOSTS], segments: [{ name: 'physnet1', bridge: PHYSICAL_BRIDGE }] });
    try {
      const site = new ChaosSite(lab, options, join(lab.directory, 'topology.yaml'));
      await site.#plug();
      await site.converged();
      await site.rememberFlows();
      await site.#startStreams();
      return site;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  get hosts(): readonly Host[] {
    return this.lab.hosts;
  }

  /** Not converged yet: see `converged`. */
  startHeddle(): HeddleProcess {
    const directory = join(this.lab.directory, 'heddle');
    return HeddleProcess.start({
      namespace: this.lab.controller,
      file: this.file,
      listen: LISTEN,
      directory,
      niceness: this.options.niceness ?? 0,
    });
  }

  /** A second controller of the same site, which dials the bridges that call the first. */
  startSecond(): HeddleProcess {
    const file = join(this.lab.directory, 'second.yaml');
    const managementDirectories = this.hosts.map(({ directory }) => directory);
    writeFileSync(file, topologyText(this.options, { changeCount: this.#changeCount, managementDirectories }));
    const directory = join(this.lab.directory, 'second');
    return HeddleProcess.start({ namespace: this.lab.controller, file, listen: SECOND_LISTEN, directory });
  }

  /** What the first controller keeps across its lives. */
  get stateDirectory(): string {
    return join(this.lab.directory, 'heddle', 'state');
  }

  /** Another file, with a port more each time: replaced as editors do it. */
  rewrite(): void {
    this.#changeCount += 1;
    writeFileSync(`${this.file}.new`, topologyText(this.options, { changeCount: this.#changeCount }));
    renameSync(`${this.file}.new`, this.file);
  }

  /** Wait until heddle waits for nothing that exists. */
  async converged(timeoutMs = 60_000, heddle = this.heddle): Promise<void> {
    await eventually(
      'heddle converges',
      async () => {
        const { waitingFor } = await heddle.status();
        const real = waitingFor.filter((text) => !text.startsWith(PHANTOM));
        if (real.length > 0) throw new HeddleError('WAITING', real.join('; '));
        return true;
      },
      { timeoutMs, intervalMs: 5 },
    );
  }

  /** Wait until every bridge holds what it held at the beginning, by the switches' own count and then line by line. */
  async restored(timeoutMs = 60_000): Promise<void> {
    for (const host of this.hosts) {
      for (const bridge of BRIDGES) {
        const wanted = this.#baseline.get(`${host.name} ${bridge}`) ?? [];
        await eventually(
          `${host.name} ${bridge} holds ${wanted.length} flows`,
          async () => (await flowCount(host, bridge)) >= wanted.length,
          { timeoutMs, intervalMs: 5 },
        );
      }
    }
  }

  /** What differs from the beginning now, in lines; empty when nothing does. */
  async differences(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const [key, wanted] of this.#baseline) {
      const [name = '', bridge = ''] = key.split(' ');
      const now = await flowsOf(this.lab.host(name), bridge);
      const [before, after] = [new Set(wanted), new Set(now)];
      found.push(...wanted.filter((flow) => !after.has(flow)).map((flow) => `${key}: missing ${flow}`));
      found.push(...now.filter((flow) => !before.has(flow)).map((flow) => `${key}: new ${flow}`));
    }
    return found;
  }

  /** What the switches hold is what they should hold from now on. */
  async rememberFlows(): Promise<void> {
    for (const host of this.hosts) {
      for (const bridge of BRIDGES) this.#baseline.set(`${host.name} ${bridge}`, await flowsOf(host, bridge));
    }
  }

  get flowCount(): number {
    return [...this.#baseline.values()].reduce((sum, flows) => sum + flows.length, 0);
  }

  /** Of this heddle, since it began. */
  async work(): Promise<Work> {
    const { hosts } = await this.heddle.status();
    let [flowMods, databaseWrites] = [0, 0];
    for (const host of hosts) {
      databaseWrites += host.ovsdbWrites.writes;
      for (const bridge of host.bridges) {
        flowMods += bridge.flowMods.add + bridge.flowMods.modify + bridge.flowMods.delete;
      }
    }
    return { flowMods, databaseWrites };
  }

  async down(): Promise<void> {
    for (const stream of this.streams) stream.stop();
    await this.heddle.stop();
    await this.lab.down();
  }

  async #plug(): Promise<void> {
    for (const [index, { id, host, ip, gateway }] of guestsOf(this.options).entries()) {
      const routes = gateway === undefined ? {} : { routes: [`default via ${gateway}`] };
      const guest = await this.lab.addGuest({ name: id, mac: macOf(index), addresses: [`${ip}/24`], ...routes });
      await guest.plug(this.lab.host(host));
    }
    for (const [index, { id, host, ip }] of BESIDE.entries()) {
      const mac = macOf(100 + index);
      const guest = await this.lab.addGuest({ name: id, mac, addresses: [`${ip}/24`], ifaceId: `nobody-${id}` });
      await guest.plug(this.lab.host(host), PHYSICAL_BRIDGE);
    }
  }

  async #startStreams(): Promise<void> {
    const start = async (name: string, left: string, right: string, port: number): Promise<void> => {
      const guests = [this.lab.guest(left), this.lab.guest(right)] as const;
      await eventually(`${left} reaches ${right}`, async () => {
        const { received } = await guests[0].ping(guests[1].ip, { count: 1, waitMs: 500 });
        return received === 1;
      });
      this.streams.push(await Stream.start(name, guests, { port, rate: this.options.rate }));
    };
    await start('same host', 'left', 'right', 7001);
    await start('across hosts', 'near', 'across', 7002);
    await start('beside', 'wired', 'distant', 7003);
    if (this.options.routed) await start('routed', 'north', 'south', 7004);
  }
}

async function flowCount(host: Host, bridge: string): Promise<number> {
  const said = await host.ofctl(bridge, 'dump-aggregate');
  const count = /flow_count=(\d+)/.exec(said)?.[1];
  invariant(count !== undefined, 'ovs-ofctl dump-aggregate counts flows', { said });
  return Number(count);
}

/** Sorted, without those that were learnt. */
export async function flowsOf(host: Host, bridge: string): Promise<readonly string[]> {
  return (await host.flows(bridge)).filter((flow) => !LEARNED.test(flow));
}
