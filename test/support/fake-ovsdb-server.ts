/**
 * An ovsdb-server that lies: what it answers is the test's to say, method by method. It is no stand-in for a real one; it says
 * what a real one never would. Serves test/ovs/controller-bad-peers.test.ts.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { JsonScanner } from '../../src/ovsdb/json-scanner.ts';

const SCHEMA: unknown = JSON.parse(readFileSync('/usr/share/openvswitch/vswitch.ovsschema', 'utf8'));
const BOUNDS = { messageSize: 64 * 1024 * 1024, nestingDepth: 64 };

interface Request {
  readonly id: unknown;
  readonly method?: string;
  readonly params?: unknown;
}

export interface FakeAnswers {
  /** Written when somebody connects, before anything is asked. */
  readonly greeting?: string | Buffer;
  /** What to write for a request; undefined: what a real server with an empty database would say. */
  readonly answer?: (request: Request, socket: Socket) => string | undefined;
}

export class FakeOvsdbServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  connectionCount = 0;

  private constructor(answers: FakeAnswers) {
    this.#server = createServer((socket) => this.#serve(socket, answers));
  }

  /** On a TCP port of its own. */
  static async start(answers: FakeAnswers): Promise<FakeOvsdbServer> {
    const fake = new FakeOvsdbServer(answers);
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get target(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return `tcp:127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket, { greeting, answer }: FakeAnswers): void {
    this.connectionCount += 1;
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    if (greeting !== undefined) socket.write(greeting);
    const scanner = new JsonScanner(BOUNDS);
    socket.on('data', (chunk: Buffer) => {
      for (const message of scanner.push(chunk)) {
        const request = message as unknown as Request;
        if (request.method === undefined) continue;
        const text = answer?.(request, socket) ?? honestReply(request);
        if (!socket.destroyed) socket.write(text);
      }
    });
  }
}

export function reply({ id }: Request, result: unknown): string {
  return JSON.stringify({ id, result, error: null });
}

function honestReply(request: Request): string {
  const { method, params } = request;
  // As servers answered before there was a database _Server.
  if (Array.isArray(params) && params[0] === '_Server') {
    return JSON.stringify({ id: request.id, result: null, error: 'unknown database' });
  }
  switch (method) {
    case 'get_schema':
      return reply(request, SCHEMA);
    case 'echo':
      return reply(request, params);
    case 'monitor_cond_since':
      return reply(request, [false, '00000000-0000-0000-0000-000000000000', {}]);
    default:
      return reply(request, {});
  }
}
