/**
 * Requests over a connection without a session: ask, await, done. Serves the dump of a table, and the listener, which asks who
 * calls.
 */
import type { Endpoint, TlsMaterial } from '../lib/endpoint.ts';
import { Connection, type ConnectionHandler } from './connection.ts';
import { excerpt, OvsdbError } from './errors.ts';
import type { OvsdbLimits } from './limits.ts';
import { echoReply, type RpcMessage, refusal } from './rpc.ts';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: OvsdbError) => void;
  readonly timer: NodeJS.Timeout;
}

export class Requests implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #timeoutMs: number;
  readonly #waiting = new Map<unknown, Waiting>();
  #nextId = 1;
  #end: OvsdbError | undefined;

  /** Becomes the connection's handler. */
  constructor(connection: Connection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    connection.handler = this;
  }

  /** The result. Rejects with OvsdbError REQUEST_REFUSED, REQUEST_TIMEOUT or why the connection ended. */
  request(method: string, params: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) {
        reject(this.#end);
        return;
      }
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new OvsdbError('REQUEST_TIMEOUT', `No reply to ${method} within ${this.#timeoutMs} ms.`));
      }, this.#timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#connection.send({ kind: 'request', id, method, params });
    });
  }

  onMessage(message: RpcMessage): void {
    if (message.kind === 'request') this.#connection.send(echoReply(message) ?? refusal(message));
    if (message.kind !== 'reply') return;
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error === null) waiting.resolve(message.result);
    else waiting.reject(new OvsdbError('REQUEST_REFUSED', `The server refused: ${excerpt(message.error)}.`));
  }

  onClosed(error: OvsdbError | undefined): void {
    this.#end = error ?? new OvsdbError('DISCONNECTED', 'The server closed the connection.');
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(this.#end);
    }
    this.#waiting.clear();
  }
}

export interface WithConnectionOptions {
  readonly endpoint: Endpoint;
  readonly tls: TlsMaterial | undefined;
  readonly limits: OvsdbLimits;
}

/** Connect, ask, and hang up whatever comes of it. */
export async function withConnection<T>(
  options: WithConnectionOptions,
  ask: (requests: Requests) => Promise<T>,
): Promise<T> {
  const { endpoint, tls, limits } = options;
  const connection = await connected(endpoint, tls, limits);
  try {
    return await ask(new Requests(connection, limits.requestTimeoutMs));
  } finally {
    connection.close();
  }
}

function connected(endpoint: Endpoint, tls: TlsMaterial | undefined, limits: OvsdbLimits): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const timeout = new OvsdbError('UNREACHABLE', `No connection within ${limits.connectTimeoutMs} ms.`);
    const timer = setTimeout(() => connection.close(timeout), limits.connectTimeoutMs);
    const handler: ConnectionHandler = {
      onConnected: () => {
        clearTimeout(timer);
        resolve(connection);
      },
      onMessage: () => undefined,
      onClosed: (error) => {
        clearTimeout(timer);
        reject(error ?? new OvsdbError('DISCONNECTED', 'The server closed the connection.'));
      },
    };
    const connection = Connection.dial(endpoint, tls, { limits, handler });
  });
}
