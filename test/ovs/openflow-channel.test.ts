/** The OpenFlow channel against real bridges: both ways to reach one, TLS both ways, requests, dumps and bundles. */
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PORT } from '../../src/flow/flow.ts';
import { encodeMessage } from '../../src/openflow/codec.ts';
import type { PacketIn } from '../../src/openflow/connection.ts';
import { GROUP_ANY, type MessageBody, PACKET_IN_REASONS } from '../../src/openflow/messages.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';
import { Switchboard } from '../support/switchboard.ts';
import { makeTlsKeys } from '../support/tls-keys.ts';

const DPID = '00000000000000a1';

let sandbox: OvsSandbox;
let board: Switchboard;

beforeEach(async () => {
  sandbox = await OvsSandbox.start();
  board = new Switchboard();
});

afterEach(async () => {
  await board.close();
  await sandbox.stop();
});

function frame(body: MessageBody): Uint8Array {
  return encodeMessage({ ...body, xid: 0 });
}

/** An ADD of `actions` for one destination MAC in table 3. */
function addFlow(ethDst: number, group?: number): Uint8Array {
  const actions = group === undefined ? [] : ([{ type: 'group', group }] as const);
  return frame({
    type: 'flowMod',
    command: 'add',
    flow: { table: 3, priority: 5, match: { ethDst }, actions, cookie: 0x10n },
  });
}

describe('a bridge that calls us', () => {
  test('is known by its datapath id, ports and description, and answers requests', async () => {
    const { port } = await board.listen();
    await sandbox.addBridge('br-int', { datapathId: DPID, controllers: [`tcp:127.0.0.1:${port}`] });
    const ofport = await sandbox.addPort('br-int', 'p1', 'ofport_request=7');
    const connection = await board.connected(0xa1n);

    expect(connection.epoch).toBe(1);
    await waitFor('p1 is known', () => connection.ports.get(ofport)?.name === 'p1');
    expect(connection.ports.get(PORT.local)?.name).toBe('br-int');
    const [desc] = await connection.multipart({ kind: 'desc' });
    expect(desc).toMatchObject({ manufacturer: 'Nicira, Inc.', hardware: 'Open vSwitch', software: '3.1.0' });
    await connection.barrier();
    expect(board.complaints).toEqual([]);
  });

  test('tells of ports that come, change and go', async () => {
    const { port } = await board.listen();
    await sandbox.addBridge('br-int', { datapathId: DPID, controllers: [`tcp:127.0.0.1:${port}`] });
    const connection = await board.connected(0xa1n);
    const told: string[] = [];
    connection.subscribe({ portStatus: ({ reason, port: { name } }) => told.push(`${reason} ${name}`) });
    await sandbox.addPort('br-int', 'p2', 'ofport_request=9');
    await waitFor('p2 is known', () => connection.ports.get(9)?.name === 'p2');
    await sandbox.vsctl('del-port', 'p2');
    await waitFor('p2 is gone', () => connection.ports.get(9) === undefined);
    expect(told[0]).toBe('0 p2');
    expect(told.at(-1)).toBe('1 p2');
  });

  test('sends packets in, those of an expired TTL too, and takes packets out', async () => {
    const { port } = await board.listen();
    await sandbox.addBridge('br-int', { datapathId: DPID, controllers: [`tcp:127.0.0.1:${port}`] });
    await sandbox.addPort('br-int', 'p1', 'ofport_request=1');
    await sandbox.ofctl('add-flow', 'br-int', 'table=0,priority=9,ip,cookie=0x77,actions=dec_ttl,output:1');
    const connection = await board.connected(0xa1n);
    const packets: PacketIn[] = [];
    connection.subscribe({ packetIn: (packet) => packets.push(packet) });

    const packet = Buffer.from(`ffffffffffff0200000000010800${ipv4({ ttl: 1 })}`, 'hex');
    connection.packetOut({ data: packet, inPort: 1, actions: [{ type: 'output', port: PORT.table }] });
    const expired = await waitFor('the packet of TTL 1', () => packets[0]);
    expect(expired.reason).toBe(PACKET_IN_REASONS.invalidTtl);
    expect(Buffer.from(expired.data).toString('hex')).toBe(packet.toString('hex'));
    expect(expired.match).toMatchObject({ inPort: 1 });

    connection.packetOut({ data: packet, inPort: 1, actions: [{ type: 'output', port: PORT.controller }] });
    await waitFor('the packet sent to ourselves', () => packets[1]);
    expect(packets[1]).toMatchObject({ totalSize: packet.length });
  });

  test('comes back after its switch restarted, as a new epoch; the old one rejects at once', async () => {
    const { port } = await board.listen();
    await sandbox.addBridge('br-int', { datapathId: DPID, controllers: [`tcp:127.0.0.1:${port}`] });
    const first = await board.connected(0xa1n);
    let ended: string | undefined;
    first.subscribe({ closed: ({ code }) => (ended = code) });
    await sandbox.restartVswitchd();
    const second = await board.connected(0xa1n, first);
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(ended).toBe('ENDED');
    expect(first.send({ type: 'barrierRequest' })).toBeUndefined();
    await expect(first.barrier()).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    await second.barrier();
  });

  test('and many of them in one process', async () => {
    const { port } = await board.listen();
    const dpids = Array.from({ length: 30 }, (_, index) => 0x100n + BigInt(index));
    const args = dpids.flatMap((dpid) => {
      const name = `br${dpid}`;
      const datapathId = `other_config:datapath-id=${dpid.toString(16).padStart(16, '0')}`;
      const columns = [datapathId, 'protocols=OpenFlow13', 'other_config:disable-in-band=true'];
      const controller = ['--', 'set-controller', name, `tcp:127.0.0.1:${port}`];
      return ['--', 'add-br', name, '--', 'set', 'Bridge', name, 'fail_mode=secure', ...columns, ...controller];
    });
    await sandbox.vsctl(...args.slice(1));
    const connections = await Promise.all(dpids.map((dpid) => board.connected(dpid)));
    await Promise.all(connections.map((connection) => connection.barrier()));
    expect(new Set(connections.map(({ epoch }) => epoch)).size).toBe(30);
    expect(board.complaints).toEqual([]);
  });
});

describe('a bridge that we call', () => {
  test('by its .mgmt socket: also asynchronous messages come, and it is found again after a restart', async () => {
    await sandbox.addBridge('br-tun', { datapathId: DPID });
    const dialer = board.dial(`unix:${sandbox.mgmtPath('br-tun')}`);
    const first = await board.connected(0xa1n);
    await sandbox.addPort('br-tun', 'p3', 'ofport_request=3');
    await waitFor('p3 is known', () => first.ports.has(3));
    await sandbox.restartVswitchd();
    await waitFor('the end of the first connection', () => !first.isOpen);
    dialer.retryNow();
    const second = await board.connected(0xa1n, first);
    expect(second.ports.has(3)).toBe(true);
    expect(board.complaints.length).toBeLessThanOrEqual(1);
  });

  test('is waited for when it is not there yet, with one line', async () => {
    board.dial(`unix:${sandbox.mgmtPath('br-late')}`);
    await waitFor('the line', () => board.complaints.length > 0);
    await sandbox.addBridge('br-late', { datapathId: DPID });
    await board.connected(0xa1n);
    expect(board.complaints).toMatchObject([{ msg: 'bridge unreachable, dialling on' }]);
  });
});

describe('TLS', () => {
  test('both ways, each side showing its certificate', async () => {
    const keys = await makeTlsKeys(sandbox.directory, 'ca', ['controller', 'switch']);
    const { keyFile, certFile, caFile } = keys.switch;
    await sandbox.vsctl('set-ssl', keyFile, certFile, caFile);
    const { port } = await board.listen('ssl', keys.controller);
    await sandbox.addBridge('br-int', { datapathId: DPID, controllers: [`ssl:127.0.0.1:${port}`] });
    const called = await board.connected(0xa1n);
    await called.barrier();
    expect(called.peer).toMatch(/^ssl:127\.0\.0\.1:\d+$/);

    const listening = await freePort();
    await sandbox.addBridge('br-tun', { datapathId: '00000000000000a2', controllers: [`pssl:${listening}:127.0.0.1`] });
    board.dial(`ssl:127.0.0.1:${listening}`, keys.controller);
    const dialled = await board.connected(0xa2n);
    await dialled.barrier();
  });

  test('a peer of another CA and one without TLS are dropped with one line each', async () => {
    const keys = await makeTlsKeys(sandbox.directory, 'ca', ['controller']);
    const other = await makeTlsKeys(sandbox.directory, 'other', ['switch']);
    // The switch trusts our CA; we do not trust its.
    await sandbox.vsctl('set-ssl', other.switch.keyFile, other.switch.certFile, keys.controller.caFile);
    // It learns so after its own handshake is through, and says that the connection ended.
    sandbox.allowLog(/stream_ssl\|WARN|rconn\|WARN\|br-int<->ssl:.*connection dropped/);
    const { port } = await board.listen('ssl', keys.controller);
    await sandbox.addBridge('br-int', { datapathId: DPID, controllers: [`ssl:127.0.0.1:${port}`] });
    await waitFor('the refusal', () => board.complaints.some(({ code }) => code === 'TLS_FAILED'));
    const known = board.complaints.length;
    const plain = connect({ host: '127.0.0.1', port });
    plain.on('error', () => undefined);
    plain.write(Buffer.from('04000008000000010400000800000001', 'hex'));
    await waitFor('the refusal of the peer without TLS', () => plain.destroyed);
    expect(board.complaints.slice(known)).toContainEqual(
      expect.objectContaining({ code: 'TLS_FAILED', msg: 'OpenFlow peer dropped during the handshake' }),
    );
    expect(board.connections).toEqual([]);
    expect(() => board.dial('ssl:127.0.0.1:1')).toThrow(expect.objectContaining({ code: 'TLS_MISSING' }));
  });
});

describe('dumps and bundles', () => {
  test('a dump comes as bytes, whole, in several parts', async () => {
    await sandbox.addBridge('br-int', { datapathId: DPID });
    const lines = Array.from({ length: 3_000 }, (_, index) => `table=3,priority=${index},in_port=1,actions=drop`);
    await sandbox.ofctlWithInput(lines.join('\n'), 'add-flows', 'br-int', '-');
    board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
    const connection = await board.connected(0xa1n);
    const flows = await connection.dumpFlows();
    expect(flows).toHaveLength(3_000);
    expect(new Set(flows.map(({ priority }) => priority)).size).toBe(3_000);
    expect(flows.every(({ instructionBytes }) => instructionBytes.length === 0)).toBe(true);
    expect(await connection.dumpFlows({ table: 4 })).toEqual([]);
  });

  test('a bundle is applied whole, and rolled back whole with the place of its culprit', async () => {
    await sandbox.addBridge('br-int', { datapathId: DPID });
    board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
    const connection = await board.connected(0xa1n);
    expect(await connection.bundle([addFlow(1), addFlow(2)])).toEqual({ committed: true, refused: [] });
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(2);

    const result = await connection.bundle([addFlow(3), addFlow(4, 4242), addFlow(5)]);
    expect(result.committed).toBe(false);
    expect(result.refused.map(({ index, error }) => [index, error.code])).toEqual([[1, 'OFPBAC_BAD_OUT_GROUP']]);
    expect(result.error?.code).toBe('OFPBFC_MSG_FAILED');
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(2);

    // One by one, the rest lands.
    const batch = await connection.batch([addFlow(3), addFlow(4, 4242), addFlow(5)]);
    expect(batch.refused.map(({ index }) => index)).toEqual([1]);
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(4);
  });

  test('a message that is refused as it is added does not keep the rest from being applied', async () => {
    await sandbox.addBridge('br-int', { datapathId: DPID });
    board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
    const connection = await board.connected(0xa1n);
    // Table 254 is Open vSwitch's own: refused when the flow-mod is read, before any commit.
    const forbidden = frame({
      type: 'flowMod',
      command: 'add',
      flow: { table: 254, priority: 5, match: {}, actions: [], cookie: 0n },
    });
    const result = await connection.bundle([addFlow(1), forbidden, addFlow(2)]);
    expect(result.refused.map(({ index }) => index)).toEqual([1]);
    expect(result.refused[0]?.error.code).toBe('OFPBRC_EPERM');
    expect(result.committed).toBe(true);
    expect(await sandbox.dumpFlows('br-int')).toHaveLength(2);
  });

  test('an error that answers nothing is told', async () => {
    await sandbox.addBridge('br-int', { datapathId: DPID });
    board.dial(`unix:${sandbox.mgmtPath('br-int')}`);
    const connection = await board.connected(0xa1n);
    const errors: [number, string][] = [];
    connection.subscribe({ error: ({ xid, code }) => errors.push([xid, code]) });
    const xid = connection.send({ type: 'groupMod', command: 'modify', group: 7, groupType: 'all', buckets: [] });
    await connection.barrier();
    expect(errors).toEqual([[xid, 'OFPGMFC_UNKNOWN_GROUP']]);
    await expect(
      connection.request({
        type: 'multipartRequest',
        more: false,
        body: { kind: 'meter', meter: 99, ...{ outGroup: GROUP_ANY } },
      }),
    ).rejects.toMatchObject({ code: 'OFPMMFC_UNKNOWN_METER' });
  });
});

/** An IPv4 header and 8 bytes, hex; its checksum is right for TTL 1. */
function ipv4({ ttl }: { ttl: number }): string {
  const header = Buffer.from(`4500001c00000000${ttl.toString(16).padStart(2, '0')}1100000a0000010a000002`, 'hex');
  let sum = 0;
  for (let offset = 0; offset < header.length; offset += 2) sum += header.readUInt16BE(offset);
  header.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 10);
  return `${header.toString('hex')}0400040000080000`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
