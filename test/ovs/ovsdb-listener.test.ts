/**
 * Switches that call us, servers and callers that talk nonsense, and TLS both ways, with a real ovsdb-server.
 */
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { endpointText } from '../../src/lib/endpoint.ts';
import { createLogger, type Logger } from '../../src/lib/log.ts';
import {
  type Delta,
  OPEN_VSWITCH,
  type OpenVswitch,
  OvsdbClient,
  OvsdbListener,
  type OvsdbPeer,
} from '../../src/ovsdb/index.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { makeTlsKeys } from '../support/tls-keys.ts';

const TABLES = { Bridge: ['name'], Port: ['name'] } as const;
const HURRY = { backoffMinMs: 10, backoffMaxMs: 20 };

let sandbox: OvsSandbox;
const closing: { close(): unknown }[] = [];

beforeEach(async () => {
  sandbox = await OvsSandbox.start({ databaseOnly: true });
  await sandbox.vsctl('--no-wait', 'add-br', 'br0');
  await sandbox.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'external_ids:system-id=me', 'external_ids:hostname=h1');
});

afterEach(async () => {
  for (const item of closing.splice(0)) item.close();
  await sandbox.stop();
});

interface Caller {
  readonly client: OvsdbClient<OpenVswitch, typeof TABLES>;
  readonly deltas: Delta<OpenVswitch, typeof TABLES>[];
}

function newCaller(limits = {}): Caller {
  const deltas: Caller['deltas'] = [];
  const client = new OvsdbClient({
    model: OPEN_VSWITCH,
    tables: TABLES,
    limits,
    onDelta: (delta) => deltas.push(delta),
  });
  closing.push(client);
  return { client, deltas };
}

/** Log lines, to count them. */
function lines(): { readonly logger: Logger; readonly text: string[] } {
  const text: string[] = [];
  return { logger: createLogger({ destination: { write: (line: string) => void text.push(line) } }), text };
}

describe('switches that call', () => {
  test('say who they are, and come back to the same replica', async () => {
    const { client, deltas } = newCaller();
    const peers: OvsdbPeer[] = [];
    const listener = await OvsdbListener.listen({
      target: 'tcp:127.0.0.1:0',
      onPeer: (peer) => {
        peers.push(peer);
        client.adopt(peer.connection);
        return true;
      },
    });
    closing.push(listener);
    await sandbox.vsctl('--no-wait', 'set-manager', endpointText(listener.endpoint));
    await waitFor('the switch has called', () => client.isLive);
    expect([peers[0]?.systemId, peers[0]?.hostname]).toEqual(['me', 'h1']);
    expect([...client.replica.table('Bridge').values()].map((row) => row.name)).toEqual(['br0']);
    await sandbox.vsctl('--no-wait', 'add-br', 'br1');
    await waitFor('it follows', () => deltas.length === 2);

    await sandbox.stopDatabase();
    await waitFor('the loss is seen', () => !client.isLive);
    expect(client.state.phase).toBe('idle');
    await sandbox.startDatabase();
    await waitFor('the switch has called again', () => client.isLive);
    expect(peers).toHaveLength(2);
    expect(deltas.slice(2)).toEqual([{ cause: 'snapshot', changes: [] }]);
  });

  test('while their last call seems to last: the new one counts', async () => {
    const { client, deltas } = newCaller();
    const listener = await OvsdbListener.listen({
      target: 'tcp:0.0.0.0:0',
      onPeer: (peer) => {
        client.adopt(peer.connection);
        return true;
      },
    });
    closing.push(listener);
    const { endpoint } = listener;
    if (endpoint.kind === 'unix') throw new Error('tcp expected');
    await sandbox.vsctl('--no-wait', 'set-manager', `tcp:127.0.0.1:${endpoint.port}`);
    await waitFor('live', () => client.isLive);
    // A second way to us: the same switch calls once more.
    const target = `tcp:127.0.0.2:${endpoint.port}`;
    await sandbox.databaseAppctl('ovsdb-server/add-remote', target);
    await waitFor('the second call is live', () => client.isLive && deltas.length > 1);
    expect(deltas.slice(1).every((delta) => delta.cause === 'snapshot' && delta.changes.length === 0)).toBe(true);
    await sandbox.databaseAppctl('ovsdb-server/remove-remote', target);
  });

  test('that nobody knows are sent away', async () => {
    const asked: (string | undefined)[] = [];
    const listener = await OvsdbListener.listen({
      target: `unix:${sandbox.directory}/listen.sock`,
      onPeer: (peer) => {
        asked.push(peer.systemId);
        return false;
      },
    });
    closing.push(listener);
    await sandbox.vsctl('--no-wait', 'set-manager', `unix:${sandbox.directory}/listen.sock`);
    await waitFor('it has called', () => asked.length > 0);
    expect(asked[0]).toBe('me');
  });

  test.each<[string, string | undefined, string]>([
    ['that talk nonsense', 'GET / HTTP/1.0\r\n\r\n', 'MALFORMED_JSON'],
    ['that talk OpenFlow', '\x04\x00\x00\x08\x00\x00\x00\x01', 'MALFORMED_JSON'],
    ['that nest too deep', `{"a":${'['.repeat(100)}`, 'NESTED_TOO_DEEP'],
    ['that answer with nonsense', '{"id":1,"result":[{"rows":7}],"error":null}', 'MALFORMED_UPDATE'],
    ['that refuse', '{"id":1,"result":null,"error":"no"}', 'REQUEST_REFUSED'],
    ['that hang up', undefined, 'DISCONNECTED'],
  ])('%s are dropped, with one log line', async (_name, input, code) => {
    const { logger, text } = lines();
    const listener = await OvsdbListener.listen({ target: 'tcp:127.0.0.1:0', logger, onPeer: () => true });
    closing.push(listener);
    const { endpoint } = listener;
    if (endpoint.kind === 'unix') throw new Error('tcp expected');
    const caller: Socket = connect(endpoint.port, endpoint.host, () =>
      input === undefined ? caller.end() : caller.write(input, 'latin1'),
    );
    await new Promise<void>((resolve) => caller.resume().once('close', () => resolve()));
    await waitFor('the log line', () => text.length > 0);
    expect(text).toHaveLength(1);
    expect(JSON.parse(text[0] ?? '')).toMatchObject({ level: 'warn', code, msg: 'OVSDB caller dropped' });
  });

  test('that say nothing are dropped in time', async () => {
    const { logger, text } = lines();
    const limits = { connectTimeoutMs: 50 };
    const listener = await OvsdbListener.listen({ target: 'tcp:127.0.0.1:0', logger, limits, onPeer: () => true });
    closing.push(listener);
    const { endpoint } = listener;
    if (endpoint.kind === 'unix') throw new Error('tcp expected');
    const caller = connect(endpoint.port, endpoint.host);
    await new Promise<void>((resolve) => caller.resume().once('close', () => resolve()));
    expect(JSON.parse(text[0] ?? '')).toMatchObject({ code: 'REQUEST_TIMEOUT' });
  });

  test('a port in use is an error that says so', async () => {
    const first = await OvsdbListener.listen({ target: 'tcp:127.0.0.1:0', onPeer: () => false });
    closing.push(first);
    const second = OvsdbListener.listen({ target: endpointText(first.endpoint), onPeer: () => false });
    await expect(second).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
    await expect(second).rejects.toThrow(/is another controller running/);
  });
});

describe('a server that talks nonsense', () => {
  test.each<[string, string, string]>([
    ['text', 'hello', 'MALFORMED_JSON'],
    ['a message without end', `{"a":"${'x'.repeat(100_000)}`, 'MESSAGE_TOO_LARGE'],
    ['JSON that is no JSON-RPC', '{"a":1}', 'MALFORMED_RPC'],
    // Whatever the request: its id comes back with this.
    ['answers that fit no question', '{"id":ID,"result":{"Database":5},"error":null}', 'MALFORMED_UPDATE'],
  ])('%s: the client says what, and dials on', async (_name, input, code) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      if (!input.includes('ID')) socket.write(input);
      socket.on('data', (request) => {
        for (const [, id] of request.toString().matchAll(/"id":(\d+)/g)) socket.write(input.replace('ID', id ?? ''));
      });
    });
    const path = join(sandbox.directory, 'nonsense.sock');
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    closing.push(server);
    const codes: (string | undefined)[] = [];
    const client = new OvsdbClient({
      target: `unix:${path}`,
      model: OPEN_VSWITCH,
      tables: TABLES,
      limits: { ...HURRY, messageSize: 50_000 },
      onState: ({ phase, error }) => phase === 'backoff' && codes.push(error?.code),
    });
    closing.push(client);
    client.start();
    await waitFor('two attempts', () => codes.length >= 2);
    expect(new Set(codes)).toEqual(new Set([code]));
    expect(client.replica.isWhole).toBe(false);
  });
});

describe('over TLS', () => {
  test('dialled: both ends show a certificate of the CA', async () => {
    const { switch: theirs, controller: tls } = await makeTlsKeys(sandbox.directory, 'ca', ['switch', 'controller']);
    await sandbox.vsctl('--no-wait', 'set-ssl', theirs.keyFile, theirs.certFile, theirs.caFile);
    await sandbox.vsctl('--no-wait', 'set-manager', 'pssl:0:127.0.0.1');
    // Its port is any free one: the server tells it in its own log and in Manager.status.
    const port = await waitFor('the port', async () => {
      const status = await sandbox.vsctl('get', 'Manager', '.', 'status').catch(() => '');
      return /bound_port="?(\d+)/.exec(status)?.[1];
    });
    const client = new OvsdbClient({ target: `ssl:127.0.0.1:${port}`, tls, model: OPEN_VSWITCH, tables: TABLES });
    closing.push(client);
    client.start();
    await waitFor('live', () => client.isLive);
    expect([...client.replica.table('Bridge').values()].map((row) => row.name)).toEqual(['br0']);

    // A stranger is refused by the server, and a strange server by us.
    sandbox.allowLog(/(stream_ssl|jsonrpc|reconnect)\|WARN/);
    const { stranger } = await makeTlsKeys(sandbox.directory, 'other-ca', ['stranger']);
    for (const material of [stranger, { ...tls, ca: stranger.ca }]) {
      const errors: (string | undefined)[] = [];
      const refused = new OvsdbClient({
        target: `ssl:127.0.0.1:${port}`,
        tls: material,
        model: OPEN_VSWITCH,
        tables: TABLES,
        limits: HURRY,
        onState: ({ phase, error }) => phase === 'backoff' && errors.push(error?.code),
      });
      refused.start();
      await waitFor('it fails', () => errors.length > 0);
      expect(refused.replica.isWhole).toBe(false);
      refused.close();
    }
  });

  test('called: likewise', async () => {
    const { switch: theirs, controller: tls } = await makeTlsKeys(sandbox.directory, 'ca', ['switch', 'controller']);
    const { client } = newCaller();
    const { logger, text } = lines();
    const listener = await OvsdbListener.listen({
      target: 'ssl:127.0.0.1:0',
      tls,
      logger,
      onPeer: (peer) => {
        client.adopt(peer.connection);
        return true;
      },
    });
    closing.push(listener);
    await sandbox.vsctl('--no-wait', 'set-ssl', theirs.keyFile, theirs.certFile, theirs.caFile);
    await sandbox.vsctl('--no-wait', 'set-manager', endpointText(listener.endpoint));
    await waitFor('live', () => client.isLive);
    expect(client.replica.table('Bridge').size).toBe(1);

    // Without TLS nobody comes in.
    const { endpoint } = listener;
    if (endpoint.kind === 'unix') throw new Error('ssl expected');
    const plain = connect(endpoint.port, endpoint.host, () => plain.write('{"id":1,"result":[],"error":null}'));
    plain.on('error', () => undefined);
    await new Promise<void>((resolve) => plain.resume().once('close', () => resolve()));
    await waitFor('the log line', () => text.some((line) => line.includes('TLS handshake')));
  });

  test('without key and certificate it is said at once', async () => {
    const options = { target: 'ssl:127.0.0.1:6640', model: OPEN_VSWITCH, tables: TABLES };
    expect(() => new OvsdbClient(options)).toThrow('needs a private key, a certificate and a CA');
    await expect(OvsdbListener.listen({ target: 'ssl:127.0.0.1:0', onPeer: () => false })).rejects.toMatchObject({
      code: 'TLS_MISSING',
    });
  });
});
