/**
 * Traffic of other kinds than ping: raw frames as an attacker would write them, and text over TCP.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from './command.ts';
import type { Namespace } from './namespace.ts';

/** Sends each line of its input, hex of one frame, out of the interface named by its argument. Python opens AF_PACKET; Node cannot. */
const SENDER = `
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
for line in sys.stdin:
    wire.send(bytes.fromhex(line))
`;

export async function sendFrames(namespace: Namespace, link: string, frames: readonly Buffer[]): Promise<void> {
  const input = frames.map((frame) => `${frame.toString('hex')}\n`).join('');
  await namespace.run(['/usr/bin/python3', '-c', SENDER, link], { input });
}

/** As SENDER, all of them again and again: one every so many seconds, the second argument. */
const REPEATER = `
import socket, sys, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
frames = [bytes.fromhex(line) for line in sys.argv[3:]]
due = time.monotonic()
while True:
    for frame in frames:
        wire.send(frame)
        due += float(sys.argv[2])
        time.sleep(max(0, due - time.monotonic()))
`;

/** Send these frames one after the other, again and again, until the process is ended. */
export function repeatFrames(
  namespace: Namespace,
  link: string,
  { frames, intervalMs }: { readonly frames: readonly Buffer[]; readonly intervalMs: number },
): ChildProcess {
  const hex = frames.map((frame) => frame.toString('hex'));
  return namespace.start(['/usr/bin/python3', '-c', REPEATER, link, `${intervalMs / 1000}`, ...hex]);
}

/** The far end of a TCP conversation. */
export class Receiver {
  readonly #closed: Promise<unknown>;
  readonly #chunks: Buffer[] = [];

  constructor(child: ChildProcess) {
    this.#closed = once(child, 'close');
    child.stdout?.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** Wait until the peer has closed, and give what it sent. */
  async text(): Promise<string> {
    await this.#closed;
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

/** Listen on a TCP port, over IPv4 and IPv6, for one connection; comes back once it listens. */
export async function receiveText(namespace: Namespace, port: number): Promise<Receiver> {
  const receiver = new Receiver(namespace.start(['timeout', '30', 'nc.openbsd', '-l', '-p', `${port}`]));
  await eventually(`something listens on TCP port ${port}`, async () =>
    (await namespace.run(['ss', '-Hltn', `sport = :${port}`])).includes('LISTEN'),
  );
  return receiver;
}

/** Send text over TCP and close. Throws when nobody takes it within five seconds. */
export async function sendText(namespace: Namespace, address: string, port: number, text: string): Promise<void> {
  await namespace.run(['nc.openbsd', '-N', '-w', '5', address, `${port}`], { input: text });
}
