/**
 * A TCP connection that talks all the time, for what becomes of connections when something happens to their way: how many words
 * were answered, and how it ended. Serves the tests of ways outside.
 */
import { once } from 'node:events';
import { eventually } from '../../scripts/support/lab/command.ts';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';
import { RunningProgram, startServer } from './python.ts';

/** Repeats what anybody says, to many at once, and says when one of them is gone. */
const REPEATER = `
import socketserver, sys
class Repeater(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while True:
                word = self.request.recv(100)
                if not word: break
                self.request.sendall(word)
        except OSError:
            pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
server = Server(('0.0.0.0', int(sys.argv[1])), Repeater)
print('listening', flush=True)
server.serve_forever()
`;

const TALKER = `
import socket, sys, time
talker = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
talker.settimeout(5)
try:
    while True:
        talker.sendall(b'word')
        if not talker.recv(100): raise ConnectionAbortedError
        print('answered', flush=True)
        time.sleep(0.02)
except OSError as error:
    print(type(error).__name__, flush=True)
`;

/** Start a server that repeats what it hears; comes back once it listens. Ends with the namespace. */
export async function repeatWords(namespace: Namespace, port: number): Promise<void> {
  await startServer(namespace, REPEATER, `${port}`);
}

export class Conversation {
  readonly #program: RunningProgram;

  private constructor(program: RunningProgram) {
    this.#program = program;
  }

  /** Connect, and come back with the first answer. */
  static async start(from: Namespace, target: string, port: number): Promise<Conversation> {
    const conversation = new Conversation(new RunningProgram(from, TALKER, target, `${port}`));
    await eventually(`${target} answers`, () => conversation.answered > 0);
    return conversation;
  }

  get answered(): number {
    return this.#program.output.match(/^answered$/gm)?.length ?? 0;
  }

  /** The error that ended it; undefined while it goes on. Five seconds without an answer are a TimeoutError. */
  get end(): string | undefined {
    return /^(?!answered\n)(\w+)\n/m.exec(this.#program.output)?.[1];
  }

  /** It has gone on since: an answer comes to what is said from now on. */
  async goesOn(): Promise<void> {
    const before = this.answered;
    await eventually('further answers', () => this.end !== undefined || this.answered > before + 2);
    if (this.end !== undefined) throw new Error(`the connection has ended: ${this.end}`);
  }

  /** Wait until it has ended, and say how. */
  ends(): Promise<string> {
    return eventually('the end of the connection', () => this.end);
  }

  async stop(): Promise<void> {
    if (this.#program.child.exitCode !== null) return;
    const closed = once(this.#program.child, 'close');
    this.#program.child.kill('SIGKILL');
    await closed;
  }
}
