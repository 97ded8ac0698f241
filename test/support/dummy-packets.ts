/**
 * Real packets through the dummy datapath of a sandbox: in by a port, and whatever comes out of ports, flows, conntrack and all.
 * Serves tests that hold the walker against packets, where a trace knows too little: it translates no address.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePacket } from '../../src/packet/decode.ts';
import { encodePacket } from '../../src/packet/encode.ts';
import type { Frame } from '../../src/packet/packet.ts';
import type { OvsSandbox } from './ovs-sandbox.ts';

/** Headers of pcap files (pcap-savefile(5)). */
const FILE_HEADER_SIZE = 24;
const RECORD_HEADER_SIZE = 16;
const LENGTH_OFFSET = 8;

export interface Outgoing {
  /** Interface. */
  readonly port: string;
  readonly frame: Frame;
}

export class DummyPackets {
  readonly #sandbox: OvsSandbox;
  /** By interface, how much of what came out has been read. */
  readonly #read = new Map<string, number>();

  private constructor(sandbox: OvsSandbox, ports: readonly string[]) {
    this.#sandbox = sandbox;
    for (const port of ports) this.#read.set(port, FILE_HEADER_SIZE);
  }

  /** Watch what comes out of these interfaces. */
  static async watch(sandbox: OvsSandbox, ports: readonly string[]): Promise<DummyPackets> {
    const watched = new DummyPackets(sandbox, ports);
    for (const port of ports) await sandbox.vsctl('set', 'Interface', port, `options:tx_pcap=${watched.#file(port)}`);
    return watched;
  }

  #file(port: string): string {
    return join(this.#sandbox.directory, `${port}.pcap`);
  }

  /** Let a frame in by an interface; what comes out. */
  async pass(port: string, frame: Frame): Promise<readonly Outgoing[]> {
    const hex = Buffer.from(encodePacket(frame)).toString('hex');
    await this.#sandbox.appctl('netdev-dummy/receive', port, hex);
    // ovs-vswitchd takes commands at the beginning of a turn, and packets after them: by its next answer it has gone through.
    for (let turn = 0; turn < 2; turn++) await this.#sandbox.appctl('version');
    return [...this.#read.keys()].flatMap((one) => this.#readOn(one));
  }

  #readOn(port: string): Outgoing[] {
    const bytes = readFileSync(this.#file(port));
    const found: Outgoing[] = [];
    let offset = this.#read.get(port) ?? FILE_HEADER_SIZE;
    while (offset + RECORD_HEADER_SIZE <= bytes.length) {
      const start = offset + RECORD_HEADER_SIZE;
      const end = start + bytes.readUInt32LE(offset + LENGTH_OFFSET);
      if (end > bytes.length) break;
      found.push({ port, frame: decodePacket(bytes.subarray(start, end)) });
      offset = end;
    }
    this.#read.set(port, offset);
    return found;
  }
}
