/**
 * The OVSDB client against a real ovsdb-server: its replica beside `ovsdb-client dump`, its transactions beside ovs-vsctl, through
 * restarts, removed databases and servers of older ways.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLogger, type Logger } from '../../src/lib/log.ts';
import {
  type ClientState,
  type Delta,
  dumpTable,
  monitorTable,
  OPEN_VSWITCH,
  type OpenVswitch,
  OvsdbClient,
  OvsdbError,
  rowToJson,
  Transaction,
  type Uuid,
} from '../../src/ovsdb/index.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { replicaDump, serverDump } from '../support/ovsdb-dump.ts';
import { OvsdbProxy } from '../support/ovsdb-proxy.ts';

const EVERYTHING = Object.fromEntries([...OPEN_VSWITCH.schema.tables.keys()].map((table) => [table, '*'])) as {
  readonly [T in keyof OpenVswitch]: '*';
};
/** Reconnects as fast as a test wants it. */
const HURRY = { backoffMinMs: 10, backoffMaxMs: 20 };

type AllDelta = Delta<OpenVswitch, typeof EVERYTHING>;

let sandbox: OvsSandbox;
const clients: { close(): void }[] = [];

beforeEach(async () => {
  sandbox = await OvsSandbox.start({ databaseOnly: true });
  await sandbox.vsctl(
    '--no-wait',
    ...['--', 'add-br', 'br0', '--', 'set', 'Bridge', 'br0', 'fail_mode=secure', 'protocols=OpenFlow13,OpenFlow10'],
    ...['--', 'add-port', 'br0', 'p1', 'tag=7', '--', 'set', 'Interface', 'p1', 'external_ids:iface-id=one'],
    ...['--', 'set', 'Interface', 'p1', 'statistics={rx_bytes=9007199254740991,tx_bytes=-5}', 'ofport=3', 'mtu=1450'],
    ...['--', 'add-port', 'br0', 'p2', 'trunks=3,1,2', '--', 'set', 'Port', 'p2', 'vlan_mode=trunk'],
    ...['--', 'set', 'Bridge', 'br0', 'flood_vlans=5', 'other_config:"odd key"="Zürich } \\" 🧵"'],
    ...['--', 'set', 'Open_vSwitch', '.', 'external_ids:system-id=me', 'external_ids:hostname=h1'],
  );
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await sandbox.stop();
});

interface Watched {
  readonly client: OvsdbClient<OpenVswitch, typeof EVERYTHING>;
  readonly deltas: AllDelta[];
  readonly states: ClientState[];
}

function watch(target: string = `unix:${sandbox.databaseSocket}`, logger?: Logger): Watched {
  const deltas: AllDelta[] = [];
  const states: ClientState[] = [];
  const client = new OvsdbClient({
    target,
    model: OPEN_VSWITCH,
    tables: EVERYTHING,
    indexes: { Interface: ['name', 'external_ids:iface-id'], Bridge: ['name', 'ports'], Port: ['interfaces', 'name'] },
    limits: HURRY,
    ...(logger !== undefined && { logger }),
    onDelta: (delta) => deltas.push(delta),
    onState: (state) => states.push(state),
  });
  clients.push(client);
  client.start();
  return { client, deltas, states };
}

async function live(watched: Watched): Promise<Watched> {
  await waitFor('the session is live', () => watched.client.isLive);
  return watched;
}

function held(client: Watched['client']): ReturnType<typeof replicaDump> {
  const tables = Object.keys(EVERYTHING) as (keyof OpenVswitch)[];
  return replicaDump(Object.fromEntries(tables.map((table) => [table, client.replica.table(table).values()])));
}

function heldCell(row: object | undefined, column: string): unknown {
  return (row as Readonly<Record<string, unknown>> | undefined)?.[column];
}

describe('the replica', () => {
  test('is what ovsdb-client dumps, and follows', async () => {
    const { client, deltas } = await live(watch());
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
    expect(deltas.map((delta) => delta.cause)).toEqual(['snapshot']);
    await sandbox.vsctl(
      '--no-wait',
      'add-port',
      'br0',
      'p3',
      '--',
      'del-port',
      'p2',
      '--',
      'clear',
      'Port',
      'p1',
      'tag',
    );
    await waitFor('one delta', () => deltas.length > 1);
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
    expect(deltas).toHaveLength(2);
    const told = deltas[1]?.changes.map((change) => {
      const name = change.table === 'Port' ? (change.new?.name ?? change.old?.name) : '';
      return `${change.table} ${name} ${change.old === undefined ? '+' : change.new === undefined ? '-' : '~'}`;
    });
    expect(told?.sort()).toEqual(
      ['Bridge  ~', 'Interface  +', 'Interface  -', 'Port p1 ~', 'Port p2 -', 'Port p3 +'].sort(),
    );
  });

  test('reads values as TypeScript says they are', async () => {
    const { client } = await live(watch());
    const [p1] = client.replica.find('Interface', 'external_ids:iface-id', 'one');
    expect(p1?.name).toBe('p1');
    expect(p1?.ofport).toBe(3);
    expect(p1?.statistics).toEqual(
      new Map([
        ['rx_bytes', 2 ** 53 - 1],
        ['tx_bytes', -5],
      ]),
    );
    const [port] = client.replica.find('Port', 'interfaces', p1?._uuid ?? '');
    expect([port?.name, port?.tag, port?.vlan_mode]).toEqual(['p1', 7, undefined]);
    const [bridge] = client.replica.find('Bridge', 'ports', port?._uuid ?? '');
    expect(bridge?.protocols).toEqual(['OpenFlow10', 'OpenFlow13']);
    expect(bridge?.fail_mode).toBe('secure');
    expect(bridge?.other_config.get('odd key')).toBe('Zürich } " 🧵');
    expect(client.replica.find('Port', 'name', 'p2')[0]?.trunks).toEqual([1, 2, 3]);
  });

  test('holds only the columns asked for, and is told of no others', async () => {
    const deltas: unknown[] = [];
    const client = new OvsdbClient({
      target: `unix:${sandbox.databaseSocket}`,
      model: OPEN_VSWITCH,
      tables: { Port: ['name'] },
      onDelta: (delta) => deltas.push(delta),
    });
    clients.push(client);
    client.start();
    await waitFor('live', () => client.isLive);
    const [row] = client.replica.table('Port').values();
    expect(Object.keys(row ?? {})).toEqual(['_uuid', 'name']);
    await sandbox.vsctl('--no-wait', 'set', 'Port', 'p1', 'tag=9');
    await sandbox.vsctl('--no-wait', 'add-port', 'br0', 'p9');
    await waitFor('the second delta', () => deltas.length > 1);
    expect(deltas).toHaveLength(2);
  });

  test('is as before after kill -9 and restart: an empty delta', async () => {
    const { client, deltas, states } = await live(watch());
    const killAndRestart = async (): Promise<void> => {
      process.kill(sandbox.databasePid ?? 0, 'SIGKILL');
      await waitFor('the loss is seen', () => !client.isLive);
      expect(states.at(-1)?.error).toBeInstanceOf(OvsdbError);
      // What was last known stays readable.
      expect(client.replica.table('Interface').size).toBe(3);
      await sandbox.stopDatabase();
      await sandbox.startDatabase();
      await waitFor('live again', () => client.isLive);
    };
    await killAndRestart();
    // Ephemeral columns do not outlive a server, and here nobody writes them again: the first restart shows just that.
    const columns = [...(OPEN_VSWITCH.schema.tables.get('Interface')?.columns.values() ?? [])];
    for (const change of deltas[1]?.changes ?? []) {
      const differing = columns.filter(({ name }) => heldCell(change.old, name) !== heldCell(change.new, name));
      expect(differing.length).toBeGreaterThan(0);
      expect(differing.filter((column) => !column.isEphemeral)).toEqual([]);
    }
    const rows = [...client.replica.table('Interface').values()];
    await killAndRestart();
    expect(deltas).toHaveLength(3);
    expect(deltas[2]).toEqual({ cause: 'snapshot', changes: [] });
    // The very same rows: who holds one holds what is true.
    expect([...client.replica.table('Interface').values()].every((row, i) => row === rows[i])).toBe(true);
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
  });

  test('is told once while it is away, however often it is tried, and again when it goes once more', async () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const { client, states } = await live(watch(undefined, createLogger({ level: 'info', destination })));
    const messages = (): unknown[] => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    await sandbox.stopDatabase();
    const attempts = states.length;
    await waitFor('ten attempts', () => states.slice(attempts).filter(({ phase }) => phase === 'backoff').length > 10);
    // That it went, and that nobody is there now.
    expect(messages()).toEqual(['OVSDB session live', ...Array(2).fill('OVSDB session lost, tried again')]);
    await sandbox.startDatabase();
    await waitFor('live again', () => client.isLive);
    expect(messages().at(-1)).toBe('OVSDB session live');
  });

  test('tells in one delta what happened while it was away', async () => {
    const proxy = await OvsdbProxy.start(sandbox.databaseSocket, `${sandbox.directory}/proxy.sock`);
    const { client, deltas } = await live(watch(`unix:${proxy.path}`));
    await proxy.stop();
    await waitFor('the loss is seen', () => !client.isLive);
    await sandbox.vsctl('--no-wait', 'del-port', 'p2', '--', 'set', 'Port', 'p1', 'tag=8');
    await sandbox.vsctl('--no-wait', 'add-port', 'br0', 'p3');
    const again = await OvsdbProxy.start(sandbox.databaseSocket, proxy.path);
    await waitFor('live again', () => client.isLive);
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
    const ports = deltas[1]?.changes.flatMap((change) =>
      change.table === 'Port' ? [[change.old?.name, change.old?.tag, change.new?.name, change.new?.tag]] : [],
    );
    expect(ports?.sort()).toEqual(
      [
        ['p1', 7, 'p1', 8],
        ['p2', undefined, undefined, undefined],
        [undefined, undefined, 'p3', undefined],
      ].sort(),
    );
    expect(deltas).toHaveLength(2);
    await again.stop();
  });

  test.each([
    ['monitor_cond', ['monitor_cond_since']],
    ['monitor, as RFC 7047 has it', ['monitor_cond_since', 'monitor_cond']],
  ])('with %s only', async (_name, refusedMethods) => {
    const proxy = await OvsdbProxy.start(sandbox.databaseSocket, `${sandbox.directory}/proxy.sock`);
    proxy.faultOf = () => ({ refusedMethods });
    const { client, deltas } = await live(watch(`unix:${proxy.path}`));
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
    await sandbox.vsctl(
      '--no-wait',
      'add-port',
      'br0',
      'p3',
      '--',
      'del-port',
      'p2',
      '--',
      'set',
      'Port',
      'p1',
      'tag=9',
    );
    await waitFor('the delta', () => deltas.length > 1);
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
    proxy.cut();
    await waitFor('a second snapshot', () => deltas.length > 2);
    expect(deltas[2]).toEqual({ cause: 'snapshot', changes: [] });
    await proxy.stop();
  });

  test('a server that went silent is left, and found again', async () => {
    const proxy = await OvsdbProxy.start(sandbox.databaseSocket, `${sandbox.directory}/proxy.sock`);
    proxy.faultOf = (connection) => (connection === 0 ? { silentAfterServerMessages: 6 } : {});
    const states: ClientState[] = [];
    const client = new OvsdbClient({
      target: `unix:${proxy.path}`,
      model: OPEN_VSWITCH,
      tables: { Port: ['name'] },
      limits: { ...HURRY, probeIntervalMs: 100 },
      onState: (state) => states.push(state),
    });
    clients.push(client);
    client.start();
    await waitFor('a second connection is live', () => proxy.connectionCount > 1 && client.isLive);
    expect(states.find((state) => state.phase === 'closing')?.error?.code).toBe('PEER_SILENT');
    await proxy.stop();
  });

  test('a server that answers, but no longer tells, is left and read anew', async () => {
    const proxy = await OvsdbProxy.start(sandbox.databaseSocket, `${sandbox.directory}/proxy.sock`);
    proxy.faultOf = (connection) => (connection === 0 ? { lostMethods: ['update3'] } : {});
    const states: ClientState[] = [];
    const client = new OvsdbClient({
      target: `unix:${proxy.path}`,
      model: OPEN_VSWITCH,
      tables: { Open_vSwitch: ['next_cfg', 'external_ids'], Port: ['name'] },
      indexes: { Port: ['name'] },
      limits: { ...HURRY, probeIntervalMs: 50 },
      onState: (state) => states.push(state),
    });
    clients.push(client);
    client.start();
    await waitFor('live', () => client.isLive);
    await sandbox.vsctl('--no-wait', 'add-port', 'br0', 'p3', '--', 'set', 'Open_vSwitch', '.', 'external_ids:x=y');
    await waitFor('p3 is known', () => client.isLive && client.replica.find('Port', 'name', 'p3').length === 1);
    expect(proxy.connectionCount).toBe(2);
    expect(states.find((state) => state.phase === 'closing')?.error?.code).toBe('MONITOR_SILENT');
    await proxy.stop();
  });

  test('an idle session stays, by probes of both sides and audits', async () => {
    const states: ClientState[] = [];
    const client = new OvsdbClient({
      target: `unix:${sandbox.databaseSocket}`,
      model: OPEN_VSWITCH,
      tables: { Open_vSwitch: ['next_cfg', 'bridges', 'external_ids', 'ovs_version'], Port: ['name'] },
      limits: { probeIntervalMs: 20 },
      onState: (state) => states.push(state),
    });
    clients.push(client);
    client.start();
    await waitFor('live', () => client.isLive);
    const deadlineMs = performance.now() + 500;
    await waitFor('half a second passes', () => performance.now() > deadlineMs);
    expect(states.map((state) => state.phase)).toEqual(['connecting', 'handshake', 'live']);
  });

  test('a database that is removed and comes back', async () => {
    const { client, states } = await live(watch());
    // Its remotes and keys are named by the database that is removed.
    sandbox.allowLog(/no database named Open_vSwitch/);
    await sandbox.databaseAppctl('ovsdb-server/remove-db', 'Open_vSwitch');
    await waitFor('the loss is seen', () => states.some((state) => state.error?.code === 'NO_SUCH_DATABASE'));
    expect(client.replica.isWhole).toBe(true);
    await sandbox.databaseAppctl('ovsdb-server/add-db', sandbox.databaseFile);
    await waitFor('live again', () => client.isLive);
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
  });

  test('a database that is converted while monitored', async () => {
    const { client, deltas } = await live(watch());
    await sandbox.ovsdbClient('convert', `unix:${sandbox.databaseSocket}`, '/usr/share/openvswitch/vswitch.ovsschema');
    await waitFor('a new snapshot', () => deltas.length > 1 && client.isLive);
    expect(deltas[1]).toEqual({ cause: 'snapshot', changes: [] });
    await sandbox.vsctl('--no-wait', 'add-port', 'br0', 'p3');
    await waitFor('it follows', () => deltas.length > 2);
    expect(held(client)).toEqual(await serverDump(sandbox.databaseSocket));
  });
});

describe('transactions', () => {
  function plug(watched: Watched, name: string): Transaction<OpenVswitch> {
    const [bridge] = watched.client.replica.find('Bridge', 'name', 'br0');
    if (bridge === undefined) throw new Error('no br0');
    const transaction = new Transaction(OPEN_VSWITCH, { comment: `test: plug ${name}` });
    const tap = transaction.insert('Interface', { name, external_ids: new Map([['iface-id', name]]) });
    const port = transaction.insert('Port', { name, interfaces: [tap], tag: 4 });
    transaction.expect('Bridge', bridge, ['ports']);
    transaction.mutate('Bridge', bridge._uuid, 'ports', 'insert', [port]);
    return transaction;
  }

  test('are in the replica when they are done, and in the server as vsctl sees it', async () => {
    const watched = await live(watch());
    const result = await watched.client.transact(plug(watched, 'tap1'));
    const [tap] = watched.client.replica.find('Interface', 'external_ids:iface-id', 'tap1');
    expect(tap?._uuid).toBe(result.inserted.get('row1'));
    expect(await sandbox.vsctl('list-ports', 'br0')).toContain('tap1');
    expect((await sandbox.vsctl('get', 'Port', 'tap1', 'tag')).trim()).toBe('4');
    expect(held(watched.client)).toEqual(await serverDump(sandbox.databaseSocket));
  });

  test('that others overtook change nothing', async () => {
    const watched = await live(watch());
    const transaction = plug(watched, 'tap1');
    await sandbox.vsctl('--no-wait', 'add-port', 'br0', 'p3');
    await expect(watched.client.transact(transaction)).rejects.toMatchObject({ code: 'TRANSACTION_CONFLICT' });
    expect(await sandbox.vsctl('list-ports', 'br0')).not.toContain('tap1');
    await watched.client.transact(plug(watched, 'tap1'));
    expect(await sandbox.vsctl('list-ports', 'br0')).toContain('tap1');
  });

  test('that the server refuses name the operation', async () => {
    const watched = await live(watch());
    const [p1] = watched.client.replica.find('Port', 'name', 'p1');
    const port = p1?._uuid as Uuid;
    const range = new Transaction(OPEN_VSWITCH);
    range.update('Port', port, { tag: 5000 });
    const failure = watched.client.transact(range);
    await expect(failure).rejects.toMatchObject({ code: 'TRANSACTION_REFUSED' });
    await expect(failure).rejects.toThrow(`The server refused update Port ${port}: constraint violation`);
    const name = new Transaction(OPEN_VSWITCH);
    name.update('Port', port, { name: 'other' });
    await expect(watched.client.transact(name)).rejects.toThrow(/update Port .*: constraint violation/);
    // Two ports of one name are found out at the end only.
    const twice = watched.client.transact(plug(watched, 'p1'));
    await expect(twice).rejects.toThrow('The server refused the commit: constraint violation');
    expect(watched.client.isLive).toBe(true);
  });

  test('that write nothing are not sent', async () => {
    const watched = await live(watch());
    watched.client.close();
    await expect(watched.client.transact(new Transaction(OPEN_VSWITCH))).resolves.toMatchObject({ counts: [] });
    await expect(watched.client.transact(plug(watched, 'x'))).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('whose reply is lost say so, and the replica tells what became of them', async () => {
    const proxy = await OvsdbProxy.start(sandbox.databaseSocket, `${sandbox.directory}/proxy.sock`);
    const watched = await live(watch(`unix:${proxy.path}`));
    const done = watched.client.transact(plug(watched, 'tap1'));
    proxy.cut();
    await expect(done).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await waitFor('live again', () => watched.client.isLive);
    expect(held(watched.client)).toEqual(await serverDump(sandbox.databaseSocket));
    await proxy.stop();
  });

  test('mutate and delete', async () => {
    const watched = await live(watch());
    const { replica } = watched.client;
    const [p2] = replica.find('Port', 'name', 'p2');
    const [bridge] = replica.find('Bridge', 'name', 'br0');
    if (p2 === undefined || bridge === undefined) throw new Error('no p2');
    const transaction = new Transaction(OPEN_VSWITCH);
    transaction.mutate('Bridge', bridge._uuid, 'other_config', 'delete', ['odd key']);
    transaction.mutate('Bridge', bridge._uuid, 'other_config', 'insert', new Map([['disable-in-band', 'true']]));
    transaction.mutate('Port', p2._uuid, 'trunks', 'delete', [2]);
    transaction.update('Bridge', bridge._uuid, { fail_mode: undefined });
    const { counts } = await watched.client.transact(transaction);
    expect(counts).toEqual([1, 1, 1, 1]);
    expect((await sandbox.vsctl('get', 'Bridge', 'br0', 'other_config')).trim()).toBe('{disable-in-band="true"}');
    expect((await sandbox.vsctl('get', 'Port', 'p2', 'trunks')).trim()).toBe('[1, 3]');
    expect((await sandbox.vsctl('get', 'Bridge', 'br0', 'fail_mode')).trim()).toBe('[]');
    const away = new Transaction(OPEN_VSWITCH);
    away.mutate('Bridge', bridge._uuid, 'ports', 'delete', [p2._uuid]);
    await watched.client.transact(away);
    // Without a bridge that refers to it a port goes, and its interface with it.
    expect(replica.find('Port', 'name', 'p2')).toEqual([]);
    expect(replica.find('Interface', 'name', 'p2')).toEqual([]);
  });
});

describe('with ovs-vswitchd', () => {
  test('cur_cfg confirms what is in effect', async () => {
    await sandbox.startVswitchd();
    await sandbox.vsctl('set', 'Bridge', 'br0', 'datapath_type=dummy');
    const { client } = await live(watch());
    const [bridge] = client.replica.find('Bridge', 'name', 'br0');
    if (bridge === undefined) throw new Error('no br0');
    const transaction = new Transaction(OPEN_VSWITCH);
    const tap = transaction.insert('Interface', { name: 'tap1', ofport_request: 42 });
    const port = transaction.insert('Port', { name: 'tap1', interfaces: [tap] });
    transaction.mutate('Bridge', bridge._uuid, 'ports', 'insert', [port]);
    transaction.incrementNextCfg();
    const { nextCfg } = await client.transact(transaction, { waitForCurCfg: true });
    expect(Number(await sandbox.vsctl('get', 'Open_vSwitch', '.', 'cur_cfg'))).toBe(nextCfg);
    expect(client.replica.find('Interface', 'name', 'tap1')[0]?.ofport).toBe(42);
  });

  test('without it, the wait ends with an error', async () => {
    const client = new OvsdbClient({
      target: `unix:${sandbox.databaseSocket}`,
      model: OPEN_VSWITCH,
      tables: { Open_vSwitch: ['cur_cfg'] },
      limits: { requestTimeoutMs: 200 },
    });
    clients.push(client);
    client.start();
    await waitFor('live', () => client.isLive);
    const transaction = new Transaction(OPEN_VSWITCH);
    transaction.incrementNextCfg();
    await expect(client.transact(transaction, { waitForCurCfg: true })).rejects.toMatchObject({
      code: 'CUR_CFG_TIMEOUT',
    });
  });
});

describe('any table of any server', () => {
  test('dump', async () => {
    const target = `unix:${sandbox.databaseSocket}`;
    const dump = await dumpTable({ target, table: 'Port', columns: ['tag', 'name'] });
    expect([dump.database, dump.columns]).toEqual(['Open_vSwitch', ['tag', 'name']]);
    expect(replicaDump({ Port: dump.rows })).toEqual(
      await serverDump(sandbox.databaseSocket, 'Port', ['_uuid', 'tag', 'name']),
    );
    const whole = await dumpTable({ target, table: 'Bridge' });
    expect(replicaDump({ Bridge: whole.rows })).toEqual(await serverDump(sandbox.databaseSocket, 'Bridge'));
    const server = await dumpTable({ target, table: 'Database', columns: ['name', 'connected'] });
    expect(server.rows.map((row) => row.name).sort()).toEqual(['Open_vSwitch', '_Server']);
    expect(JSON.stringify(rowToJson(server.rows[0] ?? { _uuid: '' as Uuid }))).toContain('"connected":true');
  });

  test('what is not there', async () => {
    const target = `unix:${sandbox.databaseSocket}`;
    await expect(dumpTable({ target, table: 'Prot' })).rejects.toThrow(/no table Prot; it has .*Port/);
    await expect(dumpTable({ target, table: 'Port', columns: ['tga'] })).rejects.toThrow(/no column tga; it has .*tag/);
    const nowhere = dumpTable({ target: `unix:${sandbox.directory}/none`, table: 'Port' });
    await expect(nowhere).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  test('monitor', async () => {
    const stop = new AbortController();
    const target = `unix:${sandbox.databaseSocket}`;
    const seen: (readonly unknown[])[] = [];
    for await (const delta of monitorTable({ target, table: 'Port', columns: ['name', 'tag'], signal: stop.signal })) {
      seen.push(
        delta.changes.map((change) => `${change.old?.name}/${change.old?.tag} ${change.new?.name}/${change.new?.tag}`),
      );
      if (seen.length === 1) await sandbox.vsctl('--no-wait', 'set', 'Port', 'p1', 'tag=99');
      else stop.abort();
    }
    expect(seen).toHaveLength(2);
    expect(seen[0]).toHaveLength(3);
    expect(seen[1]).toEqual(['p1/7 p1/99']);
  });
});
