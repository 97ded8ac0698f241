/**
 * What the tests of the codec hold ours against: the bytes that the system's ovs-ofctl sends, and what it prints of ours.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeMessage } from '../../src/openflow/codec.ts';
import { FrameCutter } from '../../src/openflow/frame.ts';
import type { MessageBody } from '../../src/openflow/messages.ts';

const OUTPUT_SIZE_MAX = 256 * 1024 * 1024;
const OFPT = { hello: 0, featuresRequest: 5, getConfigRequest: 7, multipartRequest: 18, barrierRequest: 20 } as const;

const PORT_DESC = 13;

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}

/** A file of vectors: `# text` and then the bytes in hex, line after line. */
export function vectorsOf(name: string): { text: string; bytes: Uint8Array }[] {
  const vectors: { text: string; bytes: Uint8Array }[] = [];
  let text = '';
  for (const line of readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8').split('\n')) {
    if (line.startsWith('# ')) text = line.slice(2);
    else if (line !== '') vectors.push({ text, bytes: bytesOf(line) });
  }
  return vectors;
}

/** A table without name or features, with the eight properties that ovs-ofctl insists on, empty. */
function tableFeatures(): Uint8Array {
  const data = Buffer.alloc(128);
  data.writeUInt16BE(data.length, 0);
  for (let index = 0; index < 8; index++) {
    data.writeUInt16BE(2 * index, 64 + 8 * index);
    data.writeUInt16BE(4, 66 + 8 * index);
  }
  return data;
}

/** What a switch without ports and tables answers to `frame`; undefined: nothing, it is one of the messages wanted. */
function answer(frame: Uint8Array): MessageBody | undefined {
  switch (frame[1]) {
    case OFPT.featuresRequest:
      return { type: 'featuresReply', dpid: 1n, bufferCount: 0, tableCount: 254, auxiliaryId: 0, capabilities: 0 };
    case OFPT.getConfigRequest:
      return { type: 'getConfigReply', flags: 0, missSendLength: 0 };
    case OFPT.multipartRequest:
      return {
        type: 'multipartReply',
        more: false,
        body:
          frame[9] === PORT_DESC ? { kind: 'portDesc', ports: [] } : { kind: 'tableFeatures', data: tableFeatures() },
      };
    case OFPT.barrierRequest:
      return { type: 'barrierReply' };
    default:
      return undefined;
  }
}

/** The messages that `ovs-ofctl -O OpenFlow13 COMMAND... SWITCH` sends to a switch, apart from its questions. */
export async function sentByOvs(
  command: readonly string[],
  rest: readonly string[],
  input = '',
): Promise<Uint8Array[]> {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-wire-'));
  const sent: Uint8Array[] = [];
  const server = createServer((socket) => {
    const cutter = new FrameCutter();
    socket.on('error', () => socket.destroy());
    socket.write(encodeMessage({ type: 'hello', xid: 0, version: 4, versions: [4] }));
    socket.on('data', (chunk) => {
      for (const frame of cutter.push(chunk)) {
        const reply = answer(frame);
        if (reply !== undefined)
          socket.write(encodeMessage({ ...reply, xid: new DataView(frame.buffer, frame.byteOffset).getUint32(4) }));
        else if (frame[1] !== OFPT.hello) sent.push(frame.slice());
      }
    });
  });
  try {
    const path = join(directory, 'switch');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await new Promise<void>((resolve, reject) => {
      const child = execFile(
        'ovs-ofctl',
        ['-O', 'OpenFlow13', ...command, `unix:${path}`, ...rest],
        { maxBuffer: OUTPUT_SIZE_MAX },
        (error, _stdout, stderr) => (error === null ? resolve() : reject(new Error(stderr, { cause: error }))),
      );
      child.stdin?.end(input);
    });
    return sent;
  } finally {
    server.close();
    rmSync(directory, { recursive: true });
  }
}

/** What ovs-ofctl prints of messages, one text for each. */
export function printedByOvs(messages: readonly Uint8Array[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-wire-'));
  try {
    const path = join(directory, 'messages');
    writeFileSync(path, Buffer.concat(messages));
    const output = execFileSync('ovs-ofctl', ['ofp-parse', path], {
      encoding: 'utf8',
      maxBuffer: OUTPUT_SIZE_MAX,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return output.split(/\n(?=[A-Z]+T_|\*\*\*)/).map((text) => text.trim());
  } finally {
    rmSync(directory, { recursive: true });
  }
}
