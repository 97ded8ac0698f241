/**
 * The connection breaks, anywhere: after every message, at random bytes, in the middle of transactions. Whatever happens, the
 * replica ends equal to what ovsdb-client dumps, and its deltas, one put upon the other, equal the replica. fast-check prints
 * the seed of a failure.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Delta,
  OPEN_VSWITCH,
  type OpenVswitch,
  OvsdbClient,
  Transaction,
  type Uuid,
} from '../../src/ovsdb/index.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { OvsdbCluster } from '../support/ovsdb-cluster.ts';
import { replicaDump, serverDump } from '../support/ovsdb-dump.ts';
import { type Fault, OvsdbProxy } from '../support/ovsdb-proxy.ts';

const TABLES = {
  Bridge: ['name', 'ports', 'other_config'],
  Port: ['name', 'tag', 'trunks', 'interfaces'],
  Interface: ['name', 'external_ids'],
} as const;
const INDEXES = { Bridge: ['name'], Port: ['name'] } as const;
const HURRY = { backoffMinMs: 1, backoffMaxMs: 2 };

type Client = OvsdbClient<OpenVswitch, typeof TABLES>;
type TestDelta = Delta<OpenVswitch, typeof TABLES>;

interface Server {
  readonly databaseSocket: string;
  readonly directory: string;
  stop(): Promise<void>;
}

function newClient(target: string, onDelta: (delta: TestDelta) => void = () => undefined): Client {
  const client = new OvsdbClient({
    target,
    model: OPEN_VSWITCH,
    tables: TABLES,
    indexes: INDEXES,
    limits: HURRY,
    onDelta,
  });
  client.start();
  return client;
}

/** Puts deltas one upon the other, and insists that each fits what was there. */
class Ledger {
  readonly rows = new Map<Uuid, object>();
  readonly causes: string[] = [];
  readonly take = (delta: TestDelta): void => {
    this.causes.push(delta.cause);
    for (const change of delta.changes) {
      expect(this.rows.get(change.uuid)).toBe(change.old);
      if (change.new === undefined) this.rows.delete(change.uuid);
      else this.rows.set(change.uuid, change.new);
    }
  };
}

/** One of the things that happen to a switch, chosen by a number. */
async function edit(writer: Client, choice: number): Promise<void> {
  const { replica } = writer;
  const [bridge] = replica.find('Bridge', 'name', 'br0');
  if (bridge === undefined) throw new Error('no br0');
  const ports = [...replica.table('Port').values()];
  const port = ports[choice % Math.max(1, ports.length)];
  const transaction = new Transaction(OPEN_VSWITCH);
  if (port === undefined || (choice % 5 === 0 && ports.length < 12)) {
    const name = `p${choice}-${ports.length}-${performance.now()}`;
    const tap = transaction.insert('Interface', { name, external_ids: new Map([['iface-id', name]]) });
    const added = transaction.insert('Port', { name, interfaces: [tap] });
    transaction.mutate('Bridge', bridge._uuid, 'ports', 'insert', [added]);
  } else if (choice % 5 === 1) transaction.mutate('Bridge', bridge._uuid, 'ports', 'delete', [port._uuid]);
  else if (choice % 5 === 2) transaction.update('Port', port._uuid, { tag: choice % 4095, trunks: [choice % 7, 9] });
  else if (choice % 5 === 3) {
    const operator = port.trunks.includes(3) ? 'delete' : 'insert';
    transaction.mutate('Port', port._uuid, 'trunks', operator, [3]);
  } else {
    transaction.mutate('Bridge', bridge._uuid, 'other_config', 'delete', ['k']);
    transaction.mutate('Bridge', bridge._uuid, 'other_config', 'insert', new Map([['k', `${choice}`]]));
  }
  await writer.transact(transaction);
}

function dumpOf(client: Client): ReturnType<typeof replicaDump> {
  const { replica } = client;
  const tables = ['Bridge', 'Port', 'Interface'] as const;
  return replicaDump(Object.fromEntries(tables.map((table) => [table, replica.table(table).values()])));
}

async function dumpOfServer(socket: string): Promise<ReturnType<typeof replicaDump>> {
  const parts = await Promise.all(
    Object.entries(TABLES).map(([table, columns]) => serverDump(socket, table, ['_uuid', ...columns])),
  );
  return Object.assign({}, ...parts);
}

describe.each<[string, () => Promise<Server>]>([
  ['a standalone database, which never resumes', () => OvsSandbox.start({ databaseOnly: true })],
  ['a clustered database, which does', () => OvsdbCluster.start()],
])('%s', (kind, start) => {
  const isResumable = kind.startsWith('a clustered');
  let server: Server;
  let writer: Client;
  let proxy: OvsdbProxy;

  beforeAll(async () => {
    server = await start();
    proxy = await OvsdbProxy.start(server.databaseSocket, `${server.directory}/proxy.sock`);
    writer = newClient(`unix:${server.databaseSocket}`);
    await waitFor('the writer is live', () => writer.isLive);
    const transaction = new Transaction(OPEN_VSWITCH);
    const bridge = transaction.insert('Bridge', { name: 'br0' });
    transaction.mutate('Open_vSwitch', await rootOf(server), 'bridges', 'insert', [bridge]);
    // A server keeps a history no larger than its database: so there is some of it, beside what is monitored.
    for (let n = 0; n < 100; n++) {
      transaction.insert('QoS', {
        type: `${n}`,
        external_ids: new Map([
          ['a', '1'],
          ['b', '2'],
          ['c', '3'],
        ]),
      });
    }
    await writer.transact(transaction);
    for (let choice = 0; choice < 30; choice += 5) await edit(writer, choice);
  });

  afterAll(async () => {
    writer.close();
    await proxy.stop();
    await server.stop();
  });

  /** A client behind faults, edits meanwhile; in the end it holds what the server has. Gives the causes of its deltas. */
  async function survives(faults: readonly Fault[], edits: readonly number[]): Promise<readonly string[]> {
    const first = proxy.connectionCount;
    proxy.faultOf = (connection) => faults[connection - first] ?? {};
    const ledger = new Ledger();
    const client = newClient(`unix:${proxy.path}`, ledger.take);
    try {
      for (const choice of edits) {
        // Two of three edits find a session that follows; the others happen whatever its state.
        if (choice % 3 !== 0) await waitFor('the session is live', () => client.isLive);
        await edit(writer, choice);
      }
      const expected = await dumpOfServer(server.databaseSocket);
      await waitFor('the replica converges', () => client.isLive && isDeepStrictEqual(dumpOf(client), expected));
      const { replica } = client;
      const held = (['Bridge', 'Port', 'Interface'] as const).flatMap((table) => [...replica.table(table)]);
      expect(new Map(held)).toEqual(ledger.rows);
      return ledger.causes;
    } finally {
      client.close();
    }
  }

  test('cut after every message of the server, and before every message of ours', async () => {
    for (let count = 0; count <= 12; count++) {
      await survives([{ afterServerMessages: count + 1 }, { atClientMessage: count }], [count, count + 1, count + 2]);
    }
  });

  test('cut after every byte of a stretch', async () => {
    const lengths = Array.from({ length: 40 }, (_, i) => ({ afterServerBytes: 1 + i * 7 }));
    await survives(lengths, [1, 2, 3]);
  });

  test('cut at random bytes and messages, again and again, under edits', { timeout: 300_000 }, async () => {
    // A handshake takes five messages of the server: some connections end within, most after some updates.
    const faults = fc.array(
      fc.oneof(
        { weight: 1, arbitrary: fc.record({ afterServerBytes: fc.integer({ min: 1, max: 60_000 }) }) },
        { weight: 1, arbitrary: fc.record({ atClientMessage: fc.nat(8) }) },
        { weight: 4, arbitrary: fc.record({ afterServerMessages: fc.integer({ min: 5, max: 10 }) }) },
        {
          weight: 1,
          arbitrary: fc.record({
            refusedMethods: fc.constantFrom(['monitor_cond_since'], ['monitor_cond_since', 'monitor_cond']),
            afterServerMessages: fc.integer({ min: 6, max: 12 }),
          }),
        },
      ),
      { minLength: 1, maxLength: 10 },
    );
    const edits = fc.array(fc.nat(10_000), { minLength: 1, maxLength: 15 });
    const causes: string[] = [];
    await fc.assert(
      fc.asyncProperty(faults, edits, async (broken, choices) => {
        causes.push(...(await survives(broken, choices)));
      }),
      { numRuns: 150, endOnFailure: true },
    );
    // Each of the ways was gone often.
    const count = (cause: string): number => causes.filter((item) => item === cause).length;
    expect(count('snapshot')).toBeGreaterThan(50);
    expect(count('update')).toBeGreaterThan(50);
    if (isResumable) expect(count('resumption')).toBeGreaterThan(50);
    else expect(count('resumption')).toBe(0);
  });

  test('a lost connection is taken up where it was left, and differences are never applied twice', async () => {
    const first = proxy.connectionCount;
    let isAway = false;
    // The second connection that gets through ends right after its snapshot or resumption.
    const through: number[] = [];
    proxy.faultOf = (connection) => {
      if (isAway) return { atClientMessage: 0 };
      through.push(connection);
      return through.length === 2 ? { afterServerMessages: 5 } : {};
    };
    const ledger = new Ledger();
    const told: string[] = [];
    const client = newClient(`unix:${proxy.path}`, (delta) => {
      ledger.take(delta);
      told.push(`${delta.cause} ${delta.changes.length > 0 ? 'with' : 'without'} changes`);
    });
    await waitFor('live', () => client.isLive);
    await edit(writer, 2);
    await waitFor('an update', () => told.length === 2);
    isAway = true;
    proxy.cut();
    await waitFor('it dials in vain', () => proxy.connectionCount > first + 3);
    // An element into a set, a pair into a map: both would vanish again if they were applied twice.
    await edit(writer, 3);
    await edit(writer, 10_004);
    isAway = false;
    await waitFor('back for the second time', () => told.length === 4 && client.isLive);
    expect(dumpOf(client)).toEqual(await dumpOfServer(server.databaseSocket));
    const back = isResumable ? 'resumption' : 'snapshot';
    expect(told).toEqual([
      'snapshot with changes',
      'update with changes',
      `${back} with changes`,
      `${back} without changes`,
    ]);
    client.close();
  });
});

async function rootOf(server: Server): Promise<Uuid> {
  const dump = await serverDump(server.databaseSocket, 'Open_vSwitch', ['_uuid']);
  return Object.keys(dump.Open_vSwitch ?? {})[0] as Uuid;
}
