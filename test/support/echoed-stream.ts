/**
 * Numbered datagrams to somebody who sends each of them back: how many were lost on either way, exactly. What is still on its way
 * when the stream ends is waited for, and buffers are so large that nothing is lost in a guest that is not scheduled. Serves
 * tests that say that nothing is lost.
 */
import { once } from 'node:events';
import { eventually } from '../../scripts/support/lab/command.ts';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';
import { invariant } from '../../src/lib/errors.ts';
import { RunningProgram, startServer } from './python.ts';

const BUFFERS = `
import socket
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for buffer in (SO_RCVBUFFORCE, SO_SNDBUFFORCE): wire.setsockopt(socket.SOL_SOCKET, buffer, 8 * 1024 * 1024)
`;

const ECHO = `${BUFFERS}
import sys
IP_FREEBIND = 15
wire.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
wire.bind((sys.argv[2], int(sys.argv[1])))
print('listening', flush=True)
while True:
    data, sender = wire.recvfrom(2000)
    wire.sendto(data, sender)
`;

/** Sends until it is interrupted, then waits for what is missing: for a second since the last that came. */
const SENDER = `${BUFFERS}
import select, signal, struct, sys, time
has_ended = []
signal.signal(signal.SIGINT, lambda *_: has_ended.append(True))
wire.connect((sys.argv[1], int(sys.argv[2])))
wire.setblocking(False)
interval = 1 / float(sys.argv[3])
sent, came, refused, is_heard = 0, set(), 0, False

def receive():
    global refused, is_heard
    while True:
        try:
            came.add(struct.unpack('!Q', wire.recv(2000))[0])
        except BlockingIOError:
            break
        except OSError:
            refused += 1
    if came and not is_heard:
        is_heard = True
        print('heard', flush=True)

due = time.monotonic()
while not has_ended:
    if select.select([wire], [], [], max(0, due - time.monotonic()))[0]: receive()
    if time.monotonic() >= due:
        wire.send(struct.pack('!Q', sent))
        sent += 1
        due = max(due + interval, time.monotonic())
while len(came) < sent and select.select([wire], [], [], 1)[0]: receive()
missing = [number for number in range(min(came), sent) if number not in came]
print(sent, refused, *missing, flush=True)
`;

const RATE_PPS = 200;

/** What became of a stream. */
export interface Echoed {
  readonly sent: number;
  /**
   * Numbers of the datagrams that did not come back, after the first that did: Open vSwitch drops what is the first to go from one
   * host to another by a tunnel, and asks by ARP where that is.
   */
  readonly missing: readonly number[];
  /** Errors that the socket got to hear. */
  readonly refused: number;
}

/**
 * Start somebody who sends datagrams back, from an address that it has or will have; comes back once it listens. Ends with the
 * namespace.
 */
export async function echoDatagrams(namespace: Namespace, port: number, address = ''): Promise<void> {
  await startServer(namespace, ECHO, `${port}`, address);
}

export class EchoedStream {
  readonly #program: RunningProgram;

  private constructor(program: RunningProgram) {
    this.#program = program;
  }

  /** 200 datagrams a second; comes back with the first that has come back. */
  static async start(from: Namespace, target: string, port: number): Promise<EchoedStream> {
    const stream = new EchoedStream(new RunningProgram(from, SENDER, target, `${port}`, `${RATE_PPS}`));
    await eventually(`${target} sends a datagram back`, () => stream.#program.output.includes('heard'));
    return stream;
  }

  /** End it, and wait for what is on its way. */
  async stop(): Promise<Echoed> {
    const closed = once(this.#program.child, 'close');
    this.#program.child.kill('SIGINT');
    await closed;
    const [, account] = this.#program.output.split('\n');
    invariant(account, 'a stream ends with its account', { output: this.#program.output });
    const [sent = 0, refused = 0, ...missing] = account.split(' ').map(Number);
    return { sent, refused, missing };
  }
}
