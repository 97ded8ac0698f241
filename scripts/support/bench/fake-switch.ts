/**
 * A bridge that is not there: shakes hands, takes and forgets whatever it is sent, and answers as an Open vSwitch without flows
 * would, over a real TCP connection. Serves lines that need more hosts than a machine can run switches for; what it answers is
 * held against a real switch by test/ovs/fake-switch.test.ts.
 */
import { connect, type Socket } from 'node:net';
import { decodeMessage, encodeMessage } from '../../../src/openflow/codec.ts';
import { FrameCutter } from '../../../src/openflow/frame.ts';
import type { Message, MultipartReply } from '../../../src/openflow/messages.ts';

const OFPT_FLOW_MOD = 14;
const OFPT_EXPERIMENTER = 4;
const ONF_BUNDLE_ADD = 2301;
/** Open vSwitch 3.1: OFPC_FLOW_STATS, TABLE_STATS, PORT_STATS, GROUP_STATS and QUEUE_STATS. */
const CAPABILITIES = 0x4f;
const TABLES = 254;

const NO_FLOWS = Array.from({ length: TABLES }, (_none, table) => {
  return { table, activeCount: 0, lookupCount: 0n, matchedCount: 0n };
});

export interface FakeSwitchOptions {
  readonly host: string;
  readonly port: number;
  readonly dpid: bigint;
}

export class FakeSwitch {
  readonly #socket: Socket;
  readonly #options: FakeSwitchOptions;
  readonly #cutter = new FrameCutter();
  /** Flow-mods so far, those in bundles included; bytes read. */
  flowModCount = 0;
  size = 0;

  constructor(options: FakeSwitchOptions) {
    this.#options = options;
    this.#socket = connect(options.port, options.host);
    this.#socket.setNoDelay(true);
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('connect', () => this.#send({ type: 'hello', xid: 1, version: 4, versions: [4] }));
    this.#socket.on('data', (chunk) => this.#data(chunk));
  }

  close(): void {
    this.#socket.destroy();
  }

  #data(chunk: Buffer): void {
    this.size += chunk.length;
    const answers: Uint8Array[] = [];
    for (const frame of this.#cutter.push(chunk)) {
      if (isFlowMod(frame)) this.flowModCount++;
      else for (const answer of this.#answer(decodeMessage(frame))) answers.push(encodeMessage(answer));
    }
    if (answers.length > 0) this.#socket.write(Buffer.concat(answers));
  }

  #answer(message: Message): readonly Message[] {
    const { xid } = message;
    switch (message.type) {
      case 'echoRequest':
        return [{ type: 'echoReply', xid, data: message.data }];
      case 'featuresRequest': {
        const { dpid } = this.#options;
        const counts = { bufferCount: 0, tableCount: TABLES, auxiliaryId: 0, capabilities: CAPABILITIES };
        return [{ type: 'featuresReply', xid, dpid, ...counts }];
      }
      case 'barrierRequest':
        return [{ type: 'barrierReply', xid }];
      case 'bundleControl': {
        const control = message.control === 'openRequest' ? 'openReply' : 'commitReply';
        return [{ ...message, control, flags: 0 }];
      }
      case 'multipartRequest': {
        const body = emptyReply(message.body.kind);
        return body === undefined ? [] : [{ type: 'multipartReply', xid, more: false, body }];
      }
      default:
        return [];
    }
  }

  #send(message: Message): void {
    this.#socket.write(encodeMessage(message));
  }
}

function isFlowMod(frame: Uint8Array): boolean {
  if (frame[1] === OFPT_FLOW_MOD) return true;
  return (
    frame[1] === OFPT_EXPERIMENTER && new DataView(frame.buffer, frame.byteOffset).getUint32(12) === ONF_BUNDLE_ADD
  );
}

function emptyReply(kind: string): MultipartReply | undefined {
  switch (kind) {
    case 'portDesc':
      return { kind, ports: [] };
    case 'flow':
      return { kind, flows: [] };
    case 'table':
      return { kind, tables: NO_FLOWS };
    case 'aggregate':
      return { kind, packetCount: 0n, byteCount: 0n, flowCount: 0 };
    case 'groupDesc':
      return { kind, groups: [] };
    case 'meterConfig':
      return { kind, meters: [] };
    case 'flowMonitor':
      return { kind, updates: [] };
    default:
      return undefined;
  }
}
