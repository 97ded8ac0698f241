/**
 * The stored vectors and every captured flow on a running switch: what Open vSwitch dumps of them is byte for byte what the
 * vectors hold and what we would write.
 */
import { createConnection, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatFlow } from '../../src/flow/format.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import {
  decodeMessage,
  encodeInstructions,
  encodeMatch,
  encodeMessage,
  writeBundledFlowMod,
} from '../../src/openflow/codec.ts';
import { FrameCutter } from '../../src/openflow/frame.ts';
import {
  BUNDLE_FLAGS,
  type FlowStats,
  GROUP_ANY,
  type Message,
  type MessageBody,
} from '../../src/openflow/messages.ts';
import { Slab } from '../../src/openflow/slab.ts';
import { capturedFlows } from '../flow/second-opinion.ts';
import { hex, vectorsOf } from '../openflow/second-opinion.ts';
import { OvsSandbox, waitFor } from '../support/ovs-sandbox.ts';

const BRIDGE = 'br-wire';

/** A bare connection to a bridge: sends messages, collects what comes. */
class Peer {
  readonly received: Message[] = [];
  readonly #socket: Socket;
  #xid = 0;

  constructor(path: string) {
    this.#socket = createConnection(path);
    const cutter = new FrameCutter();
    this.#socket.on('data', (chunk) => {
      for (const frame of cutter.push(chunk)) this.received.push(decodeMessage(frame));
    });
    this.send({ type: 'hello', version: 4, versions: [4] });
  }

  send(body: MessageBody): number {
    this.#xid += 1;
    this.#socket.write(encodeMessage({ ...body, xid: this.#xid }));
    return this.#xid;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Everything received until the switch has done what was sent. */
  async barrier(): Promise<Message[]> {
    const xid = this.send({ type: 'barrierRequest' });
    await waitFor('the barrier', () =>
      this.received.some((message) => message.type === 'barrierReply' && message.xid === xid),
    );
    return this.received.splice(0);
  }

  async flows(): Promise<FlowStats[]> {
    this.send({ type: 'multipartRequest', more: false, body: { kind: 'flow' } });
    const replies = await this.barrier();
    return replies.flatMap((reply) =>
      reply.type === 'multipartReply' && reply.body.kind === 'flow' ? reply.body.flows : [],
    );
  }

  close(): void {
    this.#socket.destroy();
  }
}

let sandbox: OvsSandbox;
let peer: Peer;

beforeAll(async () => {
  sandbox = await OvsSandbox.start();
  await sandbox.addBridge(BRIDGE);
  await sandbox.addPort(BRIDGE, 'p1');
  await sandbox.addPort(BRIDGE, 'p2');
  await sandbox.ofctl('add-tlv-map', BRIDGE, '{class=0x102,type=0x80,len=4}->tun_metadata0');
  await sandbox.ofctl('add-tlv-map', BRIDGE, '{class=0x102,type=0x81,len=4}->tun_metadata3');
  peer = new Peer(sandbox.mgmtPath(BRIDGE));
  const bands = [{ type: 'drop', rate: 1000, burstSize: 0 } as const];
  peer.send({ type: 'meterMod', command: 'add', meter: 5, flags: 1, bands });
  const buckets = [
    { weight: 0, watchPort: 0xffffffff, watchGroup: GROUP_ANY, actions: [{ type: 'output', port: 1 } as const] },
  ];
  peer.send({ type: 'groupMod', command: 'add', group: 7, groupType: 'all', buckets });
  expect((await peer.barrier()).map(({ type }) => type)).toEqual(['hello', 'barrierReply']);
});

afterAll(async () => {
  peer.close();
  await sandbox.stop();
});

/** Put one flow on the switch by its text, and take its entry of the dump. */
async function dumpOf(text: string): Promise<FlowStats> {
  await sandbox.ofctl('del-flows', BRIDGE);
  await sandbox.ofctl('add-flow', BRIDGE, text);
  const [stats, ...others] = await peer.flows();
  expect(others).toEqual([]);
  if (stats === undefined) throw new Error(`no flow: ${text}`);
  return stats;
}

describe('vectors', () => {
  it('of matches are what a switch dumps', async () => {
    for (const { text, bytes } of vectorsOf('matches.txt')) {
      const stats = await dumpOf(`${text}${text === '' ? '' : ','}actions=drop`);
      // All twelve flags under a mask: the text is that of an exact match, and comes back as one.
      if (hex(bytes).endsWith('ffff55084f4e460000020fff')) continue;
      expect(hex(stats.matchBytes)).toBe(hex(bytes));
    }
  });

  it.each(['actions.txt', 'unknown-actions.txt'])('of %s are what a switch dumps', async (file) => {
    for (const { text, bytes } of vectorsOf(file)) {
      // ovs-ofctl prints, but does not read: the order of nat() after an exec(), and pop_queue.
      if (text.includes('nat(src=1.1.1.1)),alg=tftp') || text.includes('pop_queue')) continue;
      const stats = await dumpOf(text.replace(' actions=', ',actions='));
      expect(hex(stats.instructionBytes)).toBe(hex(bytes));
      expect(stats.unknown === undefined).toBe(file === 'actions.txt');
    }
  });
});

describe('the captured flows, sent as one bundle', () => {
  it('are dumped as the bytes that we would write', async () => {
    const flows = capturedFlows().map((line) => parseFlow(line));
    // Captures of several bridges have flows with equal matches: one table each keeps them apart.
    const own = flows.map((flow, index) => ({
      ...flow,
      table: index % 100,
      priority: Math.floor(index / 100),
      actions: flow.actions.map((action) => (action.type === 'goto' ? { ...action, table: 200 } : action)),
    }));
    await sandbox.ofctl('del-flows', BRIDGE);
    const bundle = { bundleId: 1, flags: BUNDLE_FLAGS.atomic | BUNDLE_FLAGS.ordered };
    peer.send({ type: 'bundleControl', control: 'openRequest', ...bundle });
    const slab = new Slab(65_536);
    for (const [index, flow] of own.entries()) writeBundledFlowMod(slab, bundle, { flow, command: 'add', xid: index });
    peer.write(slab.written());
    peer.send({ type: 'bundleControl', control: 'commitRequest', ...bundle });
    const replies = await peer.barrier();
    expect(replies.filter(({ type }) => type === 'error')).toEqual([]);
    expect(replies.filter(({ type }) => type === 'bundleControl').length).toBe(2);
    const wanted = own.map(
      (flow) => `${formatFlow(flow)} ${hex(encodeMatch(flow.match))} ${hex(encodeInstructions(flow.actions))}`,
    );
    const dumped = (await peer.flows()).map(
      (stats) => `${formatFlow(stats.flow)} ${hex(stats.matchBytes)} ${hex(stats.instructionBytes)}`,
    );
    expect(dumped.toSorted()).toEqual(wanted.toSorted());
  });
});
