/**
 * The controller's control socket: how `heddle status`, `heddle flows --live` and the like ask a running controller.
 * One line of JSON a request, one line a reply, on a unix socket that only its owner may open. An edge: all net is here.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';

export type ControlParams = Readonly<Record<string, unknown>>;

/** Answers by method name. A `HeddleError` that one throws reaches the caller with its code. */
export type ControlHandlers = Readonly<Record<string, (params: ControlParams) => unknown>>;

export class ControlError extends HeddleError {}

/** JSON has no bigint: they travel as decimal text. */
const toJson = (value: unknown): string =>
  JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? item.toString() : item));

/** Where the socket of a controller is when nobody says otherwise. */
export function defaultControlPath(environment: NodeJS.ProcessEnv, userId: number): string {
  if (userId === 0) return '/run/heddle/control.sock';
  const directory = environment.XDG_RUNTIME_DIR ?? environment.TMPDIR ?? '/tmp';
  return `${directory}/heddle-${userId}/control.sock`;
}

/** Serve the handlers on a unix socket. A socket left by a dead controller is replaced, a live one's is refused. */
export async function serveControl(path: string, handlers: ControlHandlers): Promise<ControlServer> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (await isAlive(path)) {
    throw new ControlError(
      'CONTROL_IN_USE',
      `control socket ${path}: another controller answers there; stop it, or give this one its own --control SOCKET`,
    );
  }
  rmSync(path, { force: true });
  const server = new ControlServer(path, handlers);
  await server.listen();
  chmodSync(path, 0o600);
  return server;
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export class ControlServer {
  readonly path: string;
  readonly #handlers: ControlHandlers;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(path: string, handlers: ControlHandlers) {
    this.path = path;
    this.#handlers = handlers;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = LIMITS.controlConnections;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(new ControlError('CONTROL_LISTEN', `control socket ${this.path}: ${error.message}`)),
      );
      this.#server.listen(this.path, resolve);
    });
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    let pending = '';
    socket.setEncoding('utf8');
    socket.on('close', () => this.#sockets.delete(socket));
    // A client that goes away in the middle is its own affair: 'close' follows.
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: string) => {
      pending += chunk;
      for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 1);
        void this.#answer(socket, line);
      }
      if (pending.length > LIMITS.controlRequestLength) socket.destroy();
    });
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    let reply: unknown;
    try {
      const { method, params } = parseRequest(line);
      const handler = Object.hasOwn(this.#handlers, method) ? this.#handlers[method] : undefined;
      if (!handler) throw new ControlError('CONTROL_METHOD', `control socket: no method "${method}"`);
      reply = { result: (await handler(params)) ?? null };
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      reply = { error: { code: error.code, message: error.message } };
    }
    if (!socket.destroyed) socket.write(`${toJson(reply)}\n`);
  }
}

function parseRequest(line: string): { method: string; params: ControlParams } {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    throw new ControlError('CONTROL_REQUEST', 'control socket: a request is one line of JSON {"method", "params"}');
  }
  if (typeof request !== 'object' || request === null || !('method' in request) || typeof request.method !== 'string') {
    throw new ControlError('CONTROL_REQUEST', 'control socket: a request has a "method"');
  }
  const params = 'params' in request && typeof request.params === 'object' && request.params ? request.params : {};
  return { method: request.method, params: params as ControlParams };
}

/** Ask the controller behind `path`. Throws a `ControlError` where none answers, or with the controller's own code. */
export function askControl(path: string, method: string, params: ControlParams = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let reply = '';
    socket.setEncoding('utf8');
    socket.setTimeout(LIMITS.controlTimeoutMs, () => {
      socket.destroy();
      reject(new ControlError('CONTROL_TIMEOUT', `control socket ${path}: no answer in ${LIMITS.controlTimeoutMs} ms`));
    });
    socket.once('error', (error) =>
      reject(
        new ControlError(
          'CONTROL_UNREACHABLE',
          `no controller answers at ${path} (${error.message}); is \`heddle run\` up, and with this --control SOCKET?`,
        ),
      ),
    );
    socket.once('connect', () => socket.write(`${JSON.stringify({ method, params })}\n`));
    socket.on('data', (chunk: string) => {
      reply += chunk;
      if (reply.endsWith('\n')) finish();
    });
    socket.once('end', finish);
    function finish(): void {
      socket.destroy();
      try {
        resolve(readReply(reply));
      } catch (error) {
        reject(error);
      }
    }
  });
}

function readReply(text: string): unknown {
  let reply: { result?: unknown; error?: { code: string; message: string } };
  try {
    reply = JSON.parse(text);
  } catch {
    throw new ControlError('CONTROL_REPLY', 'control socket: the controller closed the connection in mid-answer');
  }
  if (reply.error) throw new ControlError(reply.error.code, reply.error.message);
  return reply.result;
}
