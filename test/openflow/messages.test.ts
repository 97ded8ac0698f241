/**
 * What messages say, spelled out: bytes of Open vSwitch 3.1 to values, and ours as ovs-ofctl prints them.
 */
import { describe, expect, it } from 'vitest';
import { PORT } from '../../src/flow/flow.ts';
import { decodeMessage, encodeMessage, MESSAGES, writeBundledFlowMod, writeMessage } from '../../src/openflow/codec.ts';
import {
  BUNDLE_FLAGS,
  FLOW_MONITOR_FLAGS,
  GROUP_ANY,
  METER_FLAGS,
  type Message,
  type MultipartRequest,
  TABLE_ALL,
} from '../../src/openflow/messages.ts';
import { Slab, SlabPool } from '../../src/openflow/slab.ts';
import { hex, printedByOvs, vectorsOf } from './second-opinion.ts';

/** The stored messages whose text begins so, decoded. */
function stored(prefix: string): Message[] {
  const found = vectorsOf('messages.txt').filter(({ text }) => text.startsWith(prefix));
  expect(found.length).toBeGreaterThan(0);
  return found.map(({ bytes }) => decodeMessage(bytes));
}

function shown(message: Message): string {
  return printedByOvs([encodeMessage(message)]).join('\n');
}

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const DROP = { table: 3, priority: 7, match: { ethType: 0x800 }, actions: [], cookie: 5n };

describe('what Open vSwitch sends', () => {
  it('HELLO with and without a bitmap', () => {
    expect(stored('OFPT_HELLO')).toEqual([
      { type: 'hello', xid: 1, version: 4, versions: [1, 4] },
      { type: 'hello', xid: 10, version: 4 },
    ]);
    const later = { type: 'hello', xid: 3, version: 6, versions: [1, 4, 5, 6, 33] } as const;
    expect(decodeMessage(encodeMessage(later))).toEqual(later);
  });

  it('FEATURES_REPLY', () => {
    expect(stored('OFPT_FEATURES_REPLY')[0]).toEqual({
      type: 'featuresReply',
      xid: 2,
      dpid: 0x527722b5d741n,
      bufferCount: 0,
      tableCount: 254,
      auxiliaryId: 0,
      capabilities: 0x4f,
    });
  });

  it('ERROR, with the message that failed', () => {
    const [error] = stored('OFPT_ERROR (OF1.3) (xid=0x6): OFPBRC_EPERM');
    expect(error).toMatchObject({ type: 'error', xid: 6, errorType: 1, code: 5, name: 'OFPBRC_EPERM' });
    if (error?.type !== 'error') throw new Error('no error');
    expect(decodeMessage(error.data)).toMatchObject({ type: 'flowMod', xid: 6, flow: { table: 254 } });
    const [bundle] = stored('OFPT_ERROR (OF1.3) (xid=0x9)');
    expect(bundle).toMatchObject({ experimenter: 0x4f4e4600, code: 2313, name: 'OFPBFC_MSG_FAILED' });
  });

  it('PACKET_IN and NXT_PACKET_IN2', () => {
    const match = { inPort: 1, reg3: 5 };
    const [packetIn] = stored('OFPT_PACKET_IN');
    expect(packetIn).toMatchObject({
      type: 'packetIn',
      bufferId: 0xffffffff,
      totalSize: 54,
      reason: 1,
      table: 0,
      match,
    });
    const [packetIn2] = stored('NXT_PACKET_IN2');
    expect(packetIn2).toMatchObject({
      type: 'packetIn2',
      table: 0,
      cookie: 0n,
      reason: 1,
      match,
      userdata: bytes('0102'),
    });
    if (packetIn?.type !== 'packetIn' || packetIn2?.type !== 'packetIn2') throw new Error('no packet-in');
    expect(packetIn.data.length).toBe(54);
    expect(packetIn2.data).toEqual(packetIn.data);
    const [resume] = stored('NXT_RESUME');
    expect(resume).toMatchObject({ type: 'resume', match, continuation: packetIn2.continuation });
  });

  it('a packet with metadata that heddle does not know', () => {
    const packet = { bufferId: 0xffffffff, totalSize: 2, reason: 1, table: 0, cookie: 0n, data: bytes('abcd') };
    const message = { type: 'packetIn', xid: 0, ...packet, match: { inPort: 1 } } as const;
    const unknown = Buffer.from(encodeMessage({ ...message, match: { inPort: 1, pktMark: 5 } }));
    // pkt_mark (NXM 33) becomes NXM 99, which is none.
    unknown[unknown.indexOf(bytes('00014204')) + 2] = 99 << 1;
    expect(decodeMessage(unknown)).toEqual(message);
  });

  it('FLOW_REMOVED', () => {
    expect(stored('OFPT_FLOW_REMOVED')[0]).toMatchObject({
      type: 'flowRemoved',
      priority: 50,
      reason: 2,
      match: { ethType: 0x800 },
      idleTimeoutS: 5,
      packetCount: 1n,
      byteCount: 54n,
    });
  });

  it('updates of a flow monitor', () => {
    const replies = stored('ONFST_FLOW_MONITOR reply (OF1.3) (xid=0x0)');
    const flow = { table: 3, priority: 9, match: { ethType: 0x800 }, cookie: 0n };
    expect(replies.map((reply) => (reply.type === 'multipartReply' ? reply.body : reply))).toMatchObject([
      { kind: 'flowMonitor', updates: [{ event: 'added', reason: 0, flow: { ...flow, actions: [{ port: 1 }] } }] },
      { kind: 'flowMonitor', updates: [{ event: 'modified', flow: { ...flow, actions: [{ port: 2 }] } }] },
    ]);
    const abbreviated = { event: 'abbreviated', xid: 9 } as const;
    const body = { kind: 'flowMonitor', updates: [abbreviated] } as const;
    const message = { type: 'multipartReply', xid: 0, more: false, body } as const;
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
    expect(shown(message)).toContain('event=ABBREV xid=0x9');
  });

  it('groups and meters', () => {
    const [groups] = stored('OFPST_GROUP_DESC reply');
    expect(groups).toMatchObject({
      body: {
        groups: [
          { group: 7, groupType: 'all' },
          { group: 9, groupType: 'select', buckets: [{ weight: 5 }, { weight: 3, watchPort: 2 }] },
          { group: 10, groupType: 'fastFailover', buckets: [{ watchPort: 1 }, { watchGroup: 9 }] },
        ],
      },
    });
    const [meters] = stored('OFPST_METER_CONFIG reply');
    const flags = METER_FLAGS.pktps | METER_FLAGS.burst | METER_FLAGS.stats;
    expect(meters).toMatchObject({
      body: { meters: [{ meter: 5 }, { meter: 3, flags, bands: [{ type: 'drop', rate: 10, burstSize: 5 }] }] },
    });
  });

  it('a group with actions that heddle does not know', () => {
    const bucket = { weight: 0, watchPort: PORT.any, watchGroup: GROUP_ANY, actions: [{ type: 'ctClear' }] } as const;
    const body = { kind: 'groupDesc', groups: [{ group: 1, groupType: 'all', buckets: [bucket, bucket] }] } as const;
    const message = Buffer.from(encodeMessage({ type: 'multipartReply', xid: 1, more: false, body }));
    // ct_clear (43) becomes decap (47) in the first bucket.
    message[message.indexOf(bytes('00002320002b')) + 5] = 47;
    const unknown = { ...bucket, actions: [], unknown: expect.stringContaining('action 47 of experimenter') };
    expect(decodeMessage(message)).toMatchObject({ body: { groups: [{ buckets: [unknown, bucket] }] } });
  });

  it('bundles', () => {
    expect(stored('ONFT_BUNDLE_CONTROL')[0]).toEqual({
      type: 'bundleControl',
      xid: 7,
      bundleId: 0,
      control: 'openRequest',
      flags: BUNDLE_FLAGS.atomic | BUNDLE_FLAGS.ordered,
    });
    expect(stored('ONFT_BUNDLE_ADD_MESSAGE')[0]).toMatchObject({ flags: 3, message: { type: 'flowMod', xid: 6 } });
  });

  it('flushes of connections', () => {
    expect(stored('NXT_CT_FLUSH_ZONE')).toEqual([{ type: 'ctFlushZone', xid: 2, zone: 5 }]);
    expect(stored('NXT_CT_FLUSH (')[0]).toEqual({
      type: 'ctFlush',
      xid: 2,
      ipProto: 17,
      zone: 5,
      original: { source: 0x0a000001, destination: 0x0a000002, sourcePort: 1 },
      reply: { source: 0x0a010101 },
    });
  });
});

describe('what we send, as ovs-ofctl prints it', () => {
  const request = (body: MultipartRequest): string => shown({ type: 'multipartRequest', xid: 1, more: false, body });

  it('requests of statistics', () => {
    expect(request({ kind: 'flow' })).toBe('OFPST_FLOW request (OF1.3) (xid=0x1):');
    expect(request({ kind: 'flow', table: 3, cookie: 5n, cookieMask: 7n, outPort: 2, match: { ethType: 0x806 } })).toBe(
      'OFPST_FLOW request (OF1.3) (xid=0x1): table=3 out_port=2 arp',
    );
    expect(request({ kind: 'aggregate', table: 1 })).toBe('OFPST_AGGREGATE request (OF1.3) (xid=0x1): table=1');
    expect(request({ kind: 'portStats' })).toContain('port_no=ANY');
    expect(request({ kind: 'group' })).toContain('group_id=ALL');
    expect(request({ kind: 'meterConfig' })).toContain('meter=all');
  });

  it('a flow monitor', () => {
    const flags = FLOW_MONITOR_FLAGS.add | FLOW_MONITOR_FLAGS.delete | FLOW_MONITOR_FLAGS.modify;
    const text = request({ kind: 'flowMonitor', monitors: [{ id: 3, flags, table: 4, match: { inPort: 2 } }] });
    expect(text).toMatch(/id=3 flags=add,delete,modify table=4 in_port=2/);
    expect(request({ kind: 'flowMonitor', monitors: [{ id: 3, flags, table: TABLE_ALL }] })).not.toContain('table');
  });

  it('flow-mods of every command', () => {
    const mod = (options: object): string =>
      shown({ type: 'flowMod', xid: 1, command: 'add', flow: DROP, ...options } as Message).replace(/^.*?: /, '');
    expect(mod({})).toBe('ADD table:3 priority=7,ip cookie:0x5 actions=drop');
    expect(mod({ command: 'modify', cookieMask: 7n })).toBe('MOD table:3 priority=7,ip cookie:0x5/0x7 actions=drop');
    expect(mod({ command: 'modifyStrict' })).toBe('MOD_STRICT table:3 priority=7,ip actions=drop');
    expect(mod({ command: 'delete', outPort: 4 })).toBe('DEL table:3 priority=7,ip out_port:4 actions=drop');
    expect(mod({ command: 'deleteStrict' })).toBe('DEL_STRICT table:3 priority=7,ip actions=drop');
    expect(mod({ flow: { ...DROP, idleTimeoutS: 3, hardTimeoutS: 4, flags: 1 } })).toBe(
      'ADD table:3 priority=7,ip cookie:0x5 idle:3 hard:4 send_flow_rem actions=drop',
    );
  });

  it('bundles, groups, meters, roles and the rest', () => {
    const bundle = { bundleId: 2, flags: 3 };
    expect(shown({ type: 'bundleControl', xid: 1, control: 'commitRequest', ...bundle })).toContain(
      'bundle_id=0x2 type=COMMIT_REQUEST flags=atomic ordered',
    );
    const message = { type: 'flowMod', xid: 1, command: 'add', flow: DROP } as const;
    expect(shown({ type: 'bundleAdd', xid: 1, ...bundle, message })).toContain('ADD table:3 priority=7,ip cookie:0x5');
    const buckets = [
      { weight: 0, watchPort: 2, watchGroup: GROUP_ANY, actions: [{ type: 'output', port: 2 } as const] },
    ];
    expect(shown({ type: 'groupMod', xid: 1, command: 'add', group: 5, groupType: 'fastFailover', buckets })).toContain(
      'group_id=5,type=ff,bucket=watch_port:2,actions=output:2',
    );
    const bands = [{ type: 'drop', rate: 100, burstSize: 9 } as const];
    expect(
      shown({
        type: 'meterMod',
        xid: 1,
        command: 'modify',
        meter: 5,
        flags: METER_FLAGS.pktps | METER_FLAGS.burst,
        bands,
      }),
    ).toMatch(/MOD meter=5 pktps burst bands=\s*type=drop rate=100 burst_size=9/);
    expect(shown({ type: 'roleRequest', xid: 1, role: 'slave', generationId: 3n })).toContain('role=secondary');
    expect(shown({ type: 'setPacketInFormat', xid: 1, format: 2 })).toContain('nxt_packet_in2');
    expect(shown({ type: 'setControllerId', xid: 1, controllerId: 9 })).toContain('id=9');
    expect(shown({ type: 'ctFlushZone', xid: 1, zone: 9 })).toContain('zone_id=9');
    const tuple = { source: 0x0a000001, destinationPort: 80 };
    expect(shown({ type: 'ctFlush', xid: 1, ipProto: 6, zone: 9, original: tuple })).toMatch(
      /zone=9 'ct_nw_src=10\.0\.0\.1,.*ct_tp_dst=80,ct_nw_proto=6'/,
    );
    const packet = { inPort: PORT.controller, actions: [{ type: 'output', port: PORT.table } as const] };
    expect(shown({ type: 'packetOut', xid: 1, ...packet, data: bytes('ffffffffffff0000000000010806') })).toContain(
      'in_port=CONTROLLER actions=TABLE data_len=14',
    );
    const async = { packetIn: [7, 0], portStatus: [7, 7], flowRemoved: [0, 0] } as const;
    expect(shown({ type: 'setAsync', xid: 1, ...async })).toContain('PACKET_IN: no_match action invalid_ttl');
  });
});

describe('slabs', () => {
  it('take messages one after the other and grow', () => {
    const slab = new Slab(16);
    const one = { type: 'echoRequest', xid: 1, data: bytes('0102030405060708') } as const;
    for (let count = 0; count < 10; count++) writeMessage(slab, one);
    expect(hex(slab.written())).toBe(hex(encodeMessage(one)).repeat(10));
  });

  it('write a bundled flow-mod as the message that it is', () => {
    const slab = new Slab(16);
    const message = { type: 'flowMod', xid: 7, command: 'add', flow: DROP } as const;
    writeBundledFlowMod(slab, { bundleId: 4, flags: 3 }, message);
    const bundled = { type: 'bundleAdd', xid: 7, bundleId: 4, flags: 3, message } as const;
    expect(hex(slab.written())).toBe(hex(encodeMessage(bundled)));
  });

  it('are as before after a message that does not fit', () => {
    const slab = new Slab(64);
    writeMessage(slab, { type: 'barrierRequest', xid: 1 });
    const before = hex(slab.written());
    const data = new Uint8Array(65_536).fill(255);
    const tooLarge = (): void => writeMessage(slab, { type: 'echoRequest', xid: 1, data });
    expect(tooLarge).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
    expect(hex(slab.written())).toBe(before);
    expect(slab.bytes.subarray(slab.end).every((byte) => byte === 0)).toBe(true);
  });

  it('come back from the pool empty and zero', () => {
    const pool = new SlabPool({ size: 64, length: 1 });
    const slab = pool.take();
    writeMessage(slab, { type: 'echoRequest', xid: 1, data: new Uint8Array(40).fill(255) });
    pool.release(slab);
    pool.release(new Slab(64));
    expect(pool.take()).toBe(slab);
    expect(slab.end).toBe(0);
    expect(slab.bytes.every((byte) => byte === 0)).toBe(true);
    expect(pool.take()).not.toBe(slab);
  });
});

it('every message has a row, and its code and ids are its own', () => {
  const codes = Object.values(MESSAGES).map((row) =>
    JSON.stringify([row.code, 'experimenter' in row ? row.experimenter : null]),
  );
  expect(new Set(codes).size).toBe(codes.length);
});
