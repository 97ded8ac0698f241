/**
 * Streams of numbered packets between guests, for counting what a fault costs: 1,000 a second each way, each with the time at
 * which it was sent, each arrival timed by the kernel. A packet that is late is seen as late, not as lost, and a sender that was
 * not scheduled does not count against the switches.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { HeddleError } from '../../../src/lib/errors.ts';
import type { Guest } from '../lab/guest.ts';

/** One guest's half of a stream: sends to its peer and receives from it. Commands come on stdin, answers are JSON lines. */
const ENDPOINT = `
import array, json, os, select, socket, struct, sys, time

port, interval = int(sys.argv[2]), int(1e9 / float(sys.argv[3]))
peer = (sys.argv[1], port)
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 * 1024 * 1024)
wire.bind(('0.0.0.0', port))
wire.setblocking(False)
sent_at = array.array('q')       # by number: when it was sent
arrived = {}                     # by number: (when it came, when it was sent)
late = 0                         # the longest that an arrival took
failed = 0                       # what the guest's own stack refused to send

def receive():
    while True:
        try:
            data, ancillary, _, _ = wire.recvmsg(64, 128)
        except BlockingIOError:
            return
        except OSError:
            continue             # an ICMP error for an earlier packet
        number, sent = struct.unpack('!Qq', data[:16])
        now = time.time_ns()
        for _, kind, stamp in ancillary:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack('qq', stamp[:16])
                now = seconds * 10**9 + nanoseconds
        if number not in arrived:
            arrived[number] = (now, sent)

def report(first, end):
    got = sorted((arrived[number], number) for number in range(first, end) if number in arrived)
    gap, latency, last = 0, 0, None
    for (came, sent), number in got:
        latency = max(latency, came - sent)
        # Without a delivery since the packet after the last one that came was sent.
        if last is None:
            waiting_since = sent - (number - first) * interval
        else:
            waiting_since = sent if number <= last[1] + 1 else last[0] + interval
        gap = max(gap, came - waiting_since)
        last = (sent, number)
    for number in range(first, end):
        arrived.pop(number, None)
    lost_at_the_end = 0 if not got else end - 1 - max(number for _, number in got)
    return {'received': len(got), 'gapNs': max(gap, lost_at_the_end * interval), 'latencyNs': latency}

def command(line):
    words = line.split()
    if words[0] == 'sent':
        return {'sent': len(sent_at), 'failed': failed}
    return report(int(words[1]), int(words[2]))

os.set_blocking(0, False)
text, due = '', time.monotonic_ns()
print(json.dumps({'ready': True}), flush=True)
while True:
    now = time.monotonic_ns()
    if now >= due:
        number = len(sent_at)
        stamp = time.time_ns()
        sent_at.append(stamp)
        try:
            wire.sendto(struct.pack('!Qq', number, stamp), peer)
        except OSError:
            failed += 1
        due += interval
        if now - due > 50 * interval:
            due = now            # It was not scheduled for a while: go on from here.
    readable, _, _ = select.select([wire, 0], [], [], max(0, due - time.monotonic_ns()) / 1e9)
    if wire in readable:
        receive()
    if 0 in readable:
        chunk = os.read(0, 4096)
        if not chunk:
            break
        text += chunk.decode()
        while '\\n' in text:
            line, text = text.split('\\n', 1)
            print(json.dumps(command(line)), flush=True)
`;

const PYTHON = '/usr/bin/python3';

class Endpoint {
  readonly #child: ChildProcess;
  readonly #answers: ((answer: Record<string, number>) => void)[] = [];
  #said = '';

  constructor(guest: Guest, options: { readonly peer: string; readonly port: number; readonly rate: number }) {
    const args = [options.peer, `${options.port}`, `${options.rate}`];
    const [program = '', ...rest] = guest.namespace.command([PYTHON, '-u', '-c', ENDPOINT, ...args]);
    this.#child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    // It ends with its guest's namespace at the latest.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
    if (this.#child.stdout === null) throw new HeddleError('NO_PIPE', 'the endpoint of a stream has no output');
    createInterface(this.#child.stdout).on('line', (line) => this.#answers.shift()?.(JSON.parse(line)));
  }

  ready(): Promise<unknown> {
    return this.#next('to begin');
  }

  async ask(command: string): Promise<Record<string, number>> {
    const answer = this.#next(command);
    this.#child.stdin?.write(`${command}\n`);
    return answer;
  }

  stop(): void {
    this.#child.stdin?.end();
  }

  #next(what: string): Promise<Record<string, number>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new HeddleError('STREAM_SILENT', `a stream did not answer (${what}): ${this.#said}`));
      }, 20_000);
      this.#answers.push((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  }
}

/** What one way of a stream lost, and how long it was without a delivery. */
export interface Loss {
  readonly sent: number;
  readonly lost: number;
  readonly gapMs: number;
}

/** Both ways between two guests. */
export class Stream {
  readonly name: string;
  readonly #ends: readonly [Endpoint, Endpoint];
  #from: readonly number[] = [0, 0];

  private constructor(name: string, ends: readonly [Endpoint, Endpoint]) {
    this.name = name;
    this.#ends = ends;
  }

  static async start(
    name: string,
    guests: readonly [Guest, Guest],
    options: { port: number; rate: number },
  ): Promise<Stream> {
    const [left, right] = guests;
    const ends = [
      new Endpoint(left, { peer: right.ip, ...options }),
      new Endpoint(right, { peer: left.ip, ...options }),
    ] as const;
    await Promise.all(ends.map((end) => end.ready()));
    return new Stream(name, ends);
  }

  /** Count from here. */
  async mark(): Promise<void> {
    this.#from = await this.#sent();
  }

  /** Both ways since the mark; what is still on its way gets `settleMs`. */
  async losses(settleMs = 300): Promise<readonly Loss[]> {
    const ends = await this.#sent();
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    // What one end sent, the other has received.
    return Promise.all(
      this.#ends.map(async (_end, index) => {
        const [from, end] = [this.#from[index] ?? 0, ends[index] ?? 0];
        const { received = 0, gapNs = 0 } = (await this.#ends[1 - index]?.ask(`report ${from} ${end}`)) ?? {};
        return {
          sent: end - from,
          lost: end - from - received,
          gapMs: received === 0 ? Number.POSITIVE_INFINITY : gapNs / 1e6,
        };
      }),
    );
  }

  stop(): void {
    for (const end of this.#ends) end.stop();
  }

  async #sent(): Promise<readonly number[]> {
    const answers = await Promise.all(this.#ends.map((end) => end.ask('sent')));
    return answers.map(({ sent = 0 }) => sent);
  }
}
