/** Two controllers of one real bridge, each with a book of its own: one programs it, the other follows and takes over. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BridgeLedger, type DesiredFlow } from '../../src/compiler/book.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { BridgeElection } from '../../src/switch/election.ts';
import { BridgeInstaller } from '../../src/switch/installer.ts';
import { miss, remote } from '../support/one-bridge.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { Switchboard } from '../support/switchboard.ts';

/** Open vSwitch counts timeouts in seconds. */
const LEASE_MS = 2_000;

let sandbox: OvsSandbox;
const controllers: TestController[] = [];

class TestController {
  readonly book = new BridgeLedger('node1', 'br-int');
  readonly board = new Switchboard();
  readonly installer: BridgeInstaller;
  election: BridgeElection | undefined;
  #generation = 0;

  constructor(identity: string) {
    const { logger, limitedLog } = this.board;
    const { book } = this;
    const options = {
      host: 'node1',
      bridge: 'br-int',
      book: () => book,
      drift: (): 'repair' => 'repair',
      logger,
      limitedLog,
    };
    this.installer = new BridgeInstaller(options);
    this.board.onConnection = (connection) => {
      this.election = new BridgeElection(connection, {
        identity,
        onMaster: (one) => this.installer.attach(one),
        onFollower: (one) => this.installer.detach(one),
        logger,
        leaseMs: LEASE_MS,
      });
    };
    controllers.push(this);
  }

  dial(): void {
    this.board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
  }

  want(...flows: readonly DesiredFlow[]): void {
    this.book.claimAll(flows);
    this.#generation += 1;
    const change = this.book.takeChange();
    if (change !== undefined) this.installer.apply(change, this.#generation);
  }

  async becomes(role: 'master' | 'follower'): Promise<void> {
    await waitFor(`it is ${role}`, () => this.election?.role === role);
    if (role === 'master') await this.installer.settled();
  }

  /** As a process that is killed: no word to anybody. */
  async die(): Promise<void> {
    this.installer.close();
    await this.board.close();
  }
}

beforeEach(async () => {
  sandbox = await OvsSandbox.start();
  await sandbox.addBridge('br-int', { datapathId: '00000000000000a1' });
  // A connection of a process that died.
  sandbox.allowCutConnections();
});

afterEach(async () => {
  for (const controller of controllers.splice(0)) await controller.die();
  await sandbox.stop();
});

/** Two controllers that want different flows, the first of which programs the bridge. */
async function masterAndFollower(): Promise<{ readonly first: TestController; readonly second: TestController }> {
  const first = new TestController('first');
  const second = new TestController('second');
  first.want(miss(20), remote(1));
  second.want(miss(20), remote(2));
  first.dial();
  await first.becomes('master');
  second.dial();
  await second.becomes('follower');
  return { first, second };
}

/** Without the lease. */
async function flows(): Promise<string[]> {
  return (await sandbox.dumpFlows('br-int')).filter((line) => !line.includes('table=253'));
}

const textOf = (...wanted: readonly DesiredFlow[]): string[] => wanted.map(({ flow }) => formatFlow(flow));

test('one programs the bridge; the other follows, and takes over when it is gone', async () => {
  const { first, second } = await masterAndFollower();
  expect((await flows()).sort()).toEqual(textOf(miss(20), remote(1)).sort());
  // What the follower wants now, it says later; and nothing of it all is drift.
  second.want(remote(3));
  first.want(remote(4));
  await first.installer.settled();
  expect((await flows()).sort()).toEqual(textOf(miss(20), remote(1), remote(4)).sort());
  expect(second.installer.status()).toMatchObject({ connected: false, degraded: false, errorCount: 0 });
  expect(first.installer.status().drift).toEqual({ foreign: 0, missing: 0, changed: 0, stale: 0 });

  // Longer than a lease without a word from the follower: the master renews it.
  const renewedMs = performance.now() + 1.5 * LEASE_MS;
  await waitFor('the lease has been renewed', () => performance.now() > renewedMs);
  expect([first.election?.role, second.election?.role]).toEqual(['master', 'follower']);

  const startMs = performance.now();
  await first.die();
  await second.becomes('master');
  const ms = Math.round(performance.now() - startMs);
  expect((await flows()).sort()).toEqual(textOf(miss(20), remote(2), remote(3)).sort());
  expect(ms).toBeLessThan(LEASE_MS + 2_000);
  process.stdout.write(`taken over ${ms} ms after the master died, with a lease of ${LEASE_MS} ms\n`);
  expect(second.board.complaints).toEqual([]);
});

test('a master that closes leaves the bridge at once', async () => {
  const { first, second } = await masterAndFollower();

  const startMs = performance.now();
  first.election?.resign();
  await first.die();
  await second.becomes('master');
  const ms = Math.round(performance.now() - startMs);
  expect((await flows()).sort()).toEqual(textOf(miss(20), remote(2)).sort());
  expect(ms).toBeLessThan(LEASE_MS / 2);
  process.stdout.write(`taken over ${ms} ms after the master resigned\n`);
});

test('a master that is started anew does not wait for its own lease', async () => {
  const first = new TestController('first');
  first.want(miss(20));
  first.dial();
  await first.becomes('master');
  await first.die();
  const again = new TestController('first');
  again.want(miss(20));
  const startMs = performance.now();
  again.dial();
  await again.becomes('master');
  expect(performance.now() - startMs).toBeLessThan(LEASE_MS / 2);
  expect(again.installer.status().flowMods).toEqual({ add: 0, modify: 0, delete: 0 });
});

test('two that come at once agree', async () => {
  const both = [new TestController('first'), new TestController('second')];
  for (const one of both) one.want(miss(20), remote(1));
  for (const one of both) one.dial();
  await waitFor('one is master, one follows', () => {
    const roles = both.map(({ election }) => election?.role);
    return roles.includes('master') && roles.includes('follower');
  });
  for (const one of both) if (one.election?.role === 'master') await one.installer.settled();
  expect((await flows()).sort()).toEqual(textOf(miss(20), remote(1)).sort());
});
