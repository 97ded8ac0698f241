/**
 * Stands between an OVSDB client and a real ovsdb-server, and breaks what tests want broken: a connection is cut after so
 * many messages or bytes of the server, or a method is refused as an older server would. Serves test/ovs/ovsdb*.test.ts.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { JsonScanner } from '../../src/ovsdb/json-scanner.ts';

/** What happens to one connection; nothing given: it is forwarded as it is. */
export interface Fault {
  /** Cut when this many messages of the server have been passed on. */
  readonly afterServerMessages?: number;
  /** Cut when this many bytes of the server have been passed on. */
  readonly afterServerBytes?: number;
  /** Cut instead of passing on this message of the client (0: the first). */
  readonly atClientMessage?: number;
  /** Answered with "unknown method". */
  readonly refusedMethods?: readonly string[];
  /** Notifications of the server that get lost. */
  readonly lostMethods?: readonly string[];
  /** Passed on to nobody, in both directions, while the connection stays: a peer that went silent. */
  readonly silentAfterServerMessages?: number;
}

const BOUNDS = { messageSize: 64 * 1024 * 1024, nestingDepth: 64 };

export class OvsdbProxy {
  readonly path: string;
  readonly #upstream: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connectionCount = 0;
  /** Decided anew for each connection (0-based). */
  faultOf: (connection: number) => Fault = () => ({});

  private constructor(upstream: string, path: string) {
    this.path = path;
    this.#upstream = upstream;
    this.#server = createServer((client) => this.#join(client));
  }

  static async start(upstream: string, path: string): Promise<OvsdbProxy> {
    const proxy = new OvsdbProxy(upstream, path);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(path, resolve);
    });
    return proxy;
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Cut every connection now. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.cut();
    await closed;
  }

  #join(client: Socket): void {
    const fault = this.faultOf(this.#connectionCount++);
    const server = connect(this.#upstream);
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    const counts = { serverMessages: 0, serverBytes: 0, clientMessages: 0 };
    const isSilent = (): boolean =>
      counts.serverMessages >= (fault.silentAfterServerMessages ?? Number.POSITIVE_INFINITY);
    const fromServer = new JsonScanner(BOUNDS);
    server.on('data', (chunk: Buffer) => {
      for (const message of fromServer.push(chunk)) {
        if (isSilent() || client.destroyed) return;
        const { method } = message as { readonly method?: string };
        if (method !== undefined && fault.lostMethods?.includes(method) === true) continue;
        const bytes = Buffer.from(text(message));
        const room = (fault.afterServerBytes ?? Number.POSITIVE_INFINITY) - counts.serverBytes;
        counts.serverBytes += bytes.length;
        counts.serverMessages += 1;
        const isLast =
          bytes.length >= room || counts.serverMessages >= (fault.afterServerMessages ?? Number.POSITIVE_INFINITY);
        client.write(bytes.subarray(0, Math.min(bytes.length, room)));
        if (isLast) {
          // What was written before the end shall arrive, as it would from a server that dies.
          client.end();
          server.destroy();
          return;
        }
      }
    });
    const fromClient = new JsonScanner(BOUNDS);
    client.on('data', (chunk: Buffer) => {
      for (const message of fromClient.push(chunk)) {
        if (isSilent() || server.destroyed) return;
        if (counts.clientMessages++ === fault.atClientMessage) {
          end();
          return;
        }
        const { id, method } = message as { readonly id: unknown; readonly method?: string };
        if (method !== undefined && fault.refusedMethods?.includes(method) === true) {
          client.write(text({ id, result: null, error: 'unknown method' }));
        } else server.write(text(message));
      }
    });
  }
}

/** No database of ours holds integers beyond 2^53. */
function text(message: unknown): string {
  return JSON.stringify(message);
}
