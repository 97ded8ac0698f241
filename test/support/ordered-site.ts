/**
 * A site whose OpenFlow streams a test has in its hands: every bridge is called through a proxy, which holds what heddle says, cuts
 * it off, and keeps each pass so that it can be said again. On two hosts guests of several networks talk without end, and what
 * reaches some of them is captured. Serves test/netns/pass-order.test.ts.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { HeddleProcess } from '../../scripts/support/heddle-process.ts';
import type { Capture } from '../../scripts/support/lab/capture.ts';
import { eventually } from '../../scripts/support/lab/command.ts';
import { BROADCAST, udpFrame } from '../../scripts/support/lab/frames.ts';
import { GUEST_LINK, type Guest } from '../../scripts/support/lab/guest.ts';
import { type Host, OVSDB_PORT } from '../../scripts/support/lab/host.ts';
import { CONTROLLER_IP, hostAddresses, Lab } from '../../scripts/support/lab/lab.ts';
import { repeatFrames } from '../../scripts/support/lab/traffic.ts';
import { encodeMessage } from '../../src/openflow/codec.ts';
import { FrameCutter } from '../../src/openflow/frame.ts';
import { OpenFlowProxy } from './openflow-proxy.ts';
import { TEST_PORT } from './reach.ts';
import { macOf } from './site.ts';

export const HOSTS = ['node1', 'node2'] as const;
const BRIDGES = ['br-int', 'br-tun', 'br-eth2'] as const;
const PHYSICAL = { name: 'physnet1', bridge: 'br-eth2' } as const;
/** Of rows that came from learn() (src/flow/cookie.ts). */
const LEARNED = /^cookie=0x484402/;
const OFPT_ERROR = 1;
const OFPT_EXPERIMENTER = 4;
const OFPT_BARRIER_REPLY = 21;
/** OpenFlow 1.3 extension 230: type at 12, of a control message its kind at 20. */
const BUNDLE = { experimenter: 0x4f4e4600, control: 2300, add: 2301, open: 0, commit: 4 } as const;

/** A network of the site, as the topology file has it. */
type Keys = Readonly<Record<string, unknown>>;

export interface OrderedSiteOptions {
  /** Where each guest is plugged in, whatever the file says of it. */
  readonly guests: Readonly<Record<string, (typeof HOSTS)[number]>>;
  /** Those whose incoming frames are looked at. */
  readonly listeners: readonly string[];
  /** Networks and ports, in turn; the first is there at the beginning. */
  readonly states: readonly { readonly networks: readonly Keys[]; readonly ports: readonly Keys[] }[];
}

/** What heddle sent to a bridge as one bundle. */
type Pass = readonly Buffer[];

export const isBundle = (frame: Uint8Array, type: 'control' | 'add'): boolean => {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes[1] !== OFPT_EXPERIMENTER || bytes.length < 22) return false;
  return bytes.readUInt32BE(8) === BUNDLE.experimenter && bytes.readUInt32BE(12) === BUNDLE[type];
};

/** One bridge behind its proxy. */
export class OrderedBridge {
  readonly name: string;
  readonly proxy: OpenFlowProxy;
  readonly #managementPath: string;
  /** Since the last `forget`. */
  passes: Pass[] = [];
  #open: Buffer[] | undefined;

  constructor(name: string, managementPath: string, proxy: OpenFlowProxy) {
    this.name = name;
    this.#managementPath = managementPath;
    this.proxy = proxy;
    proxy.alter = (frame, side) => {
      if (side === 'controller') this.#see(frame);
    };
  }

  /** Give what was seen, and begin anew. */
  takePasses(): readonly Pass[] {
    const passes = this.passes;
    this.passes = [];
    return passes;
  }

  #see(frame: Buffer): void {
    if (isBundle(frame, 'control') && frame.readUInt16BE(20) === BUNDLE.open) this.#open = [];
    if (this.#open === undefined || !(isBundle(frame, 'control') || isBundle(frame, 'add'))) return;
    this.#open.push(Buffer.from(frame));
    if (!isBundle(frame, 'control') || frame.readUInt16BE(20) !== BUNDLE.commit) return;
    this.passes.push(this.#open);
    this.#open = undefined;
  }

  /** Say these passes once more, on another connection. Resolves when the switch has done it, with the types of its errors. */
  async repeat(passes: readonly Pass[]): Promise<number> {
    const socket = connect(this.#managementPath);
    await once(socket, 'connect');
    const cutter = new FrameCutter();
    let errorCount = 0;
    const done = new Promise<void>((resolve, reject) => {
      socket.on('data', (chunk) => {
        for (const frame of cutter.push(chunk)) {
          if (frame[1] === OFPT_ERROR) errorCount += 1;
          if (frame[1] === OFPT_BARRIER_REPLY) resolve();
        }
      });
      socket.on('close', () => reject(new Error(`${this.name} ended a repeated pass`)));
    });
    const hello = encodeMessage({ type: 'hello', xid: 1, version: 4 });
    const barrier = encodeMessage({ type: 'barrierRequest', xid: 2 });
    socket.write(Buffer.concat([hello, ...passes.flat(), barrier]));
    await done;
    socket.destroy();
    return errorCount;
  }
}

export class OrderedSite {
  readonly lab: Lab;
  readonly bridges: readonly OrderedBridge[];
  readonly #options: OrderedSiteOptions;
  readonly #file: string;
  heddle: HeddleProcess;
  readonly #talkers: ChildProcess[] = [];
  readonly #captures = new Map<string, Capture>();
  readonly #seen = new Map<string, number>();

  private constructor(lab: Lab, bridges: readonly OrderedBridge[], options: OrderedSiteOptions) {
    this.lab = lab;
    this.bridges = bridges;
    this.#options = options;
    this.#file = join(lab.directory, 'topology.yaml');
    this.write(0);
    this.heddle = this.#start();
  }

  static async up(options: OrderedSiteOptions): Promise<OrderedSite> {
    const lab = await Lab.up({ hosts: [...HOSTS], segments: [PHYSICAL] });
    try {
      const bridges = await Promise.all(
        lab.hosts.flatMap((host) => BRIDGES.map((bridge) => ordered(lab, host, bridge))),
      );
      const site = new OrderedSite(lab, bridges, options);
      for (const [index, [id, host]] of Object.entries(options.guests).entries()) {
        const guest = await lab.addGuest({ name: id, mac: macOf(index + 1), addresses: [`10.0.0.${index + 1}/24`] });
        await guest.plug(lab.host(host));
      }
      await site.heddle.converged();
      await site.#talk();
      return site;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  bridge(name: string): OrderedBridge {
    const found = this.bridges.find((bridge) => bridge.name === name);
    if (found === undefined) throw new Error(`no bridge is called ${name}`);
    return found;
  }

  /** Another topology file, in one piece. */
  write(state: number): void {
    const { networks = [], ports = [] } = this.#options.states[state] ?? {};
    const hosts = HOSTS.map((name, index) => ({
      name,
      ovsdb: `tcp:${hostAddresses(index).managementIp}:${OVSDB_PORT}`,
      local_ip: hostAddresses(index).localIp,
      datapath_type: 'netdev',
      bridge_mappings: { [PHYSICAL.name]: PHYSICAL.bridge },
      controller: null,
      mgmt_dir: join(this.lab.directory, `called-${name}`),
    }));
    const placed = ports.map((port) => {
      const index = Object.keys(this.#options.guests).indexOf(`${port.id}`);
      const [mac, host] = [macOf(index + 1), this.#options.guests[`${port.id}`]];
      return { mac_address: mac, fixed_ips: [`10.0.0.${index + 1}`], host, ...port };
    });
    writeFileSync(`${this.#file}.new`, JSON.stringify({ hosts, networks, ports: placed }));
    renameSync(`${this.#file}.new`, this.#file);
  }

  #start(): HeddleProcess {
    const listen = `tcp:${CONTROLLER_IP}:6653`;
    const directory = join(this.lab.directory, 'heddle');
    return HeddleProcess.start({ namespace: this.lab.controller, file: this.#file, listen, directory });
  }

  /** After it was killed. */
  restart(): void {
    this.heddle = this.#start();
  }

  /** Ask heddle to have read the file, and more, until this is so. */
  async generation(): Promise<number> {
    return (await this.heddle.status()).generation;
  }

  /** The flows of every bridge; what bridges have learnt apart. */
  async tables(): Promise<Record<string, string[]>> {
    const tables: Record<string, string[]> = {};
    for (const host of this.lab.hosts) {
      for (const bridge of BRIDGES) {
        const flows = await host.flows(bridge);
        tables[`${host.name} ${bridge}`] = flows.filter((flow) => !LEARNED.test(flow));
      }
    }
    return tables;
  }

  /** Guests whose frames have reached this listener since it was asked the last time. */
  heardBy(listener: string): Set<string> {
    const frames = this.#captures.get(listener)?.frames.slice(0, -1) ?? [];
    const from = this.#seen.get(listener) ?? 0;
    this.#seen.set(listener, frames.length);
    const names = new Map(this.lab.guests.map(({ mac, name }) => [mac, name]));
    return new Set(frames.slice(from).map((frame) => names.get(frame.split(' ')[1] ?? '') ?? frame));
  }

  /** Wait until the listener hears the talker, from now on. What it hears meanwhile counts for `heardBy` too. */
  async hears(listener: string, talker: string): Promise<void> {
    const { mac } = this.lab.guest(talker);
    const capture = this.#captures.get(listener);
    const from = capture?.frames.length ?? 0;
    await eventually(`${listener} hears ${talker}`, () => capture?.frames.slice(from).some((one) => one.includes(mac)));
  }

  async down(): Promise<void> {
    for (const talker of this.#talkers) talker.kill();
    for (const capture of this.#captures.values()) await capture.stop();
    await this.heddle.stop();
    for (const { proxy } of this.bridges) await proxy.stop();
    await this.lab.down();
  }

  /** Every guest sends to everyone, and to each listener by its name, whichever network that is in. */
  async #talk(): Promise<void> {
    const listeners = this.#options.listeners.map((name) => this.lab.guest(name));
    for (const guest of listeners) {
      const filter = `udp port ${TEST_PORT}`;
      const options = { namespace: guest.namespace, link: GUEST_LINK, direction: 'in', filter } as const;
      this.#captures.set(guest.name, await this.lab.capture(options));
    }
    for (const guest of this.lab.guests) {
      const frames = [toEveryone(guest), ...listeners.filter((one) => one !== guest).map((one) => toOne(guest, one))];
      this.#talkers.push(repeatFrames(guest.namespace, GUEST_LINK, { frames, intervalMs: 4 }));
    }
  }
}

async function ordered(lab: Lab, host: Host, bridge: string): Promise<OrderedBridge> {
  const directory = join(lab.directory, `called-${host.name}`);
  mkdirSync(directory, { recursive: true });
  const path = join(host.directory, `${bridge}.mgmt`);
  return new OrderedBridge(
    `${host.name} ${bridge}`,
    path,
    await OpenFlowProxy.start(path, join(directory, `${bridge}.mgmt`)),
  );
}

function toOne(from: Guest, to: Guest): Buffer {
  const addresses = { source: from.mac, destination: to.mac, sourceIp: from.ip, destinationIp: to.ip };
  return udpFrame({ ...addresses, destinationPort: TEST_PORT });
}

function toEveryone({ mac, ip }: Guest): Buffer {
  const addresses = { source: mac, destination: BROADCAST, sourceIp: ip, destinationIp: '10.0.0.255' };
  return udpFrame({ ...addresses, destinationPort: TEST_PORT });
}
