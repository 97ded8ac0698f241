/** `heddle decode HEX`: OpenFlow 1.3 messages to text. Flows are printed as ovs-ofctl prints them, the rest as its fields. */
import { readFileSync } from 'node:fs';
import { formatFlow } from '../flow/format.ts';
import { macToText } from '../lib/addresses.ts';
import { HeddleError } from '../lib/errors.ts';
import { decodeMessage, FrameCutter, type Message } from '../openflow/index.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, plural, type Terminal } from './output.ts';

export async function decode(
  words: readonly string[],
  options: { readonly json?: boolean },
  terminal: Terminal,
): Promise<ExitStatus> {
  const text = words.length === 1 && words[0] === '-' ? readFileSync(0, 'utf8') : words.join(' ');
  const messages = cutMessages(hexToBytes(text)).map((frame) => decodeMessage(frame));
  if (options.json) terminal.out(formatJson(messages.map(plain)));
  else for (const message of messages) terminal.out(`${messageText(message)}\n`);
  return EXIT.success;
}

/** Digits with blanks, line ends and colons between them, and `0x` before them, as captures have it. */
function hexToBytes(text: string): Uint8Array {
  const digits = text.replace(/0x/gi, '').replace(/[\s:,]/g, '');
  const bad = /[^0-9a-f]/i.exec(digits);
  if (bad) throw new HeddleError('BAD_HEX', `"${bad[0]}" at digit ${bad.index + 1} is no hexadecimal digit`);
  if (digits.length === 0 || digits.length % 2 === 1) {
    throw new HeddleError(
      'BAD_HEX',
      `${plural(digits.length, 'hexadecimal digit')} cannot be whole bytes; a message has at least 16 digits`,
    );
  }
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

function cutMessages(bytes: Uint8Array): readonly Uint8Array[] {
  const cutter = new FrameCutter();
  const frames = [...cutter.push(bytes)];
  const cut = frames.reduce((size, frame) => size + frame.byteLength, 0);
  if (cut < bytes.byteLength) {
    const rest = bytes.byteLength - cut;
    throw new HeddleError(
      'SHORT_MESSAGE',
      `the last message is cut off: ${rest} bytes of it are here, its header says more`,
    );
  }
  return frames;
}

/** `flowMod xid=0x5 add table=20, ...`, flows of a dump one a line, else the type, the xid and the fields as JSON. */
export function messageText(message: Message): string {
  const { type, xid, ...body } = message;
  const head = `${type} xid=0x${xid.toString(16)}`;
  if (message.type === 'multipartReply' && message.body.kind === 'flow') {
    const { flows } = message.body;
    const lines = flows.map(({ flow }) => `  ${formatFlow(flow)}`);
    return [`${head} ${plural(flows.length, 'flow')}${message.more ? ', more follow' : ''}`, ...lines].join('\n');
  }
  // Messages without data are not worth `{"data":""}`.
  const rest = Object.fromEntries(Object.entries(body).filter(([, value]) => !isEmpty(value)));
  if (message.type === 'flowMod') return `${head} ${message.command} ${formatFlow(message.flow)}`;
  const fields = JSON.stringify(plain(rest));
  return fields === '{}' ? head : `${head} ${fields}`;
}

const isEmpty = (value: unknown): boolean => value instanceof Uint8Array && value.byteLength === 0;

/** Bytes as hex, bigints as text, so that JSON can carry them; MACs as people write them. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'bigint') return `${value}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === 'macAddress' && typeof item === 'number' ? macToText(item) : plain(item),
    ]),
  );
}
