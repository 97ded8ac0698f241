/**
 * One real bridge, its book and the installer that keeps the two equal. Serves the tests of switch/ in test/ovs/.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { BridgeLedger, type DesiredFlow, type DesiredGroup, type DesiredMeter } from '../../src/compiler/book.ts';
import type { Action } from '../../src/flow/action.ts';
import { cookieOf } from '../../src/flow/cookie.ts';
import { type Flow, PORT } from '../../src/flow/flow.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { matchKey } from '../../src/flow/match.ts';
import { METER_FLAGS } from '../../src/flow/meter.ts';
import { BridgeInstaller, type BridgeInstallerOptions } from '../../src/switch/installer.ts';
import { OvsSandbox } from './ovs-sandbox.ts';
import { Switchboard } from './switchboard.ts';

const BRIDGE = 'br-int';
const DPID = 0xa1n;

export class OneBridge {
  readonly sandbox: OvsSandbox;
  readonly board = new Switchboard();
  readonly book = new BridgeLedger('node1', BRIDGE);
  installer: BridgeInstaller;
  drift: 'repair' | 'report' = 'repair';
  #generation = 0;
  readonly #claims = new Map<string, number>();

  private constructor(sandbox: OvsSandbox) {
    this.sandbox = sandbox;
    this.installer = this.#newInstaller();
    this.board.onConnection = (connection) => this.installer.attach(connection);
  }

  static async start(): Promise<OneBridge> {
    const sandbox = await OvsSandbox.start();
    await sandbox.addBridge(BRIDGE, { datapathId: DPID.toString(16).padStart(16, '0') });
    return new OneBridge(sandbox);
  }

  /** Dial the bridge, or `target`, and wait until it is equal to the book. */
  async connect(target = `unix:${this.sandbox.mgmtPath(BRIDGE)}`): Promise<void> {
    const before = this.installer.connection;
    this.board.dial(target);
    await this.board.connected(DPID, before);
    await this.installer.settled();
  }

  /** A controller started anew: another installer that knows nothing. The connections of the former end. */
  restart(options: Partial<BridgeInstallerOptions> = {}): void {
    this.installer.close();
    this.installer = this.#newInstaller(options);
  }

  /** Change the flows of the book as the compiler does, and tell the installer. */
  edit(put: readonly DesiredFlow[], remove: readonly DesiredFlow[] = []): void {
    for (const one of remove) this.#release(one.flow);
    for (const one of put) {
      this.#release(one.flow);
      this.#claims.set(keyOf(one.flow), this.book.claimAll([one]));
    }
    this.tell();
  }

  /** The book has changed otherwise. */
  tell(): void {
    this.#generation += 1;
    const change = this.book.takeChange();
    if (change === undefined) this.installer.advance(this.#generation);
    else this.installer.apply(change, this.#generation);
  }

  ofctl(command: string, ...args: readonly string[]): Promise<string> {
    return this.sandbox.ofctl(command, BRIDGE, ...args);
  }

  /** ovs-ofctl's own comparison of the switch with our text, both ways. */
  async expectEqualToBook(): Promise<void> {
    const file = join(this.sandbox.directory, 'book.flows');
    const ours = [...this.book.flows()].map(({ flow }) => formatFlow(flow));
    await writeFile(file, `${ours.join('\n')}\n`);
    expect(await this.ofctl('diff-flows', file)).toBe('');
    // diff-flows takes cookies for equal that are not.
    const dump = await this.sandbox.dumpFlows(BRIDGE);
    expect(dump.map(withoutSpace).sort()).toEqual(ours.map(withoutSpace).sort());
  }

  async stop(): Promise<void> {
    this.installer.close();
    await this.board.close();
    await this.sandbox.stop();
  }

  #newInstaller(options: Partial<BridgeInstallerOptions> = {}): BridgeInstaller {
    const { logger, limitedLog } = this.board;
    const known = { host: 'node1', bridge: BRIDGE, logger, limitedLog };
    return new BridgeInstaller({ ...known, book: () => this.book, drift: () => this.drift, ...options });
  }

  #release(flow: Flow): void {
    const key = keyOf(flow);
    const claim = this.#claims.get(key);
    if (claim !== undefined) this.book.releaseAll(claim);
    this.#claims.delete(key);
  }
}

function keyOf({ table, priority, match }: Flow): string {
  return `${table} ${priority} ${matchKey(match)}`;
}

function withoutSpace(line: string): string {
  return line.replaceAll(', ', ',').trim();
}

export function desired(object: string, flow: Omit<Flow, 'cookie'>): DesiredFlow {
  const origin = { rule: 'fdb', object, path: 'ports[0]', line: 12 };
  return { flow: { ...flow, cookie: cookieOf('rendered', origin.rule, object) }, origin };
}

const TUN_ID = { field: 'tunnelId', start: 0, length: 64 } as const;

export const output = (port: number): Action => ({ type: 'output', port });

/** A row of UCAST_TO_TUN as l2population makes it. */
export function remote(index: number, ofport = 2): DesiredFlow {
  return desired(`port p${index}`, {
    table: 20,
    priority: 2,
    match: { vlanVid: 0x1000 | (1 + (index % 4000)), ethDst: 0x02_00_00_00_00_00 + index },
    actions: [{ type: 'popVlan' }, { type: 'load', destination: TUN_ID, value: BigInt(1000 + index) }, output(ofport)],
  });
}

export function miss(table: number, ...actions: Action[]): DesiredFlow {
  return desired(`table ${table}`, { table, priority: 0, match: {}, actions });
}

export function meter(number: number, rate: number): DesiredMeter {
  const flags = METER_FLAGS.pktps | METER_FLAGS.burst;
  return {
    meter: { meter: number, flags, bands: [{ type: 'drop', rate, burstSize: rate }] },
    origin: { rule: 'limits', object: 'host node1', path: 'hosts[0]', line: 3 },
  };
}

export function group(number: number, ...ports: number[]): DesiredGroup {
  const buckets = ports.map((port) => ({
    weight: 1,
    watchPort: PORT.any,
    watchGroup: PORT.any,
    actions: [output(port)],
  }));
  return {
    group: { group: number, groupType: 'select', buckets },
    origin: { rule: 'gateways', object: 'router r', path: 'routers[0]', line: 4 },
  };
}
