/**
 * One connection to an ovsdb-server: bytes in, JSON-RPC messages out and back. An edge: sockets. Serves the client, the
 * listener and the one-off requests, each as its handler.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Endpoint, endpointText, type TlsMaterial } from '../lib/endpoint.ts';
import { LIMITS } from '../lib/limits.ts';
import { OvsdbError } from './errors.ts';
import { JsonScanner } from './json-scanner.ts';
import type { OvsdbLimits } from './limits.ts';
import { decodeMessage, encodeMessage, type RpcMessage } from './rpc.ts';

/** Port of ovsdb-servers (RFC 7047 §7). */
export const OVSDB_PORT = 6640;

export interface ConnectionHandler {
  /** A dialled connection stands. */
  onConnected?(): void;
  /** Bytes came. */
  onReceived?(): void;
  onMessage(message: RpcMessage): void;
  /** The connection is gone, once. The error says why, unless the peer just closed it. */
  onClosed(error: OvsdbError | undefined): void;
}

export interface ConnectionOptions {
  readonly limits: OvsdbLimits;
  readonly handler: ConnectionHandler;
}

export class Connection {
  readonly #socket: Socket;
  readonly #limits: OvsdbLimits;
  readonly #scanner: JsonScanner;
  #error: OvsdbError | undefined;
  #isClosing = false;
  /** Who is told. May change hands: a peer that called is first asked who it is. */
  handler: ConnectionHandler;

  /** Over a socket that is connected or connecting. */
  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#limits = options.limits;
    this.#scanner = new JsonScanner(options.limits);
    this.handler = options.handler;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error: Error) => {
      this.#error ??= new OvsdbError('DISCONNECTED', `The connection broke: ${error.message}.`, {}, { cause: error });
    });
    socket.once('close', () => {
      this.#isClosing = true;
      this.handler.onClosed(this.#error);
    });
  }

  /** Dial. `onConnected` or `onClosed` follows. Throws OvsdbError TLS_MISSING. */
  static dial(endpoint: Endpoint, tls: TlsMaterial | undefined, options: ConnectionOptions): Connection {
    const socket = dialSocket(endpoint, tls);
    const connection = new Connection(socket, options);
    const onDialError = (error: Error): void => {
      const message = `Cannot reach ${endpointText(endpoint)}: ${error.message}.`;
      connection.#error ??= new OvsdbError('UNREACHABLE', message, {}, { cause: error });
    };
    socket.prependListener('error', onDialError);
    socket.once(endpoint.kind === 'ssl' ? 'secureConnect' : 'connect', () => {
      socket.off('error', onDialError);
      connection.handler.onConnected?.();
    });
    return connection;
  }

  send(message: RpcMessage): void {
    if (this.#isClosing) return;
    this.#socket.write(encodeMessage(message));
    if (this.#socket.writableLength <= this.#limits.sendBufferSize) return;
    this.close(new OvsdbError('SEND_BUFFER_FULL', `The peer leaves ${this.#socket.writableLength} bytes unread.`));
  }

  /**
   * End the connection; `onClosed` follows. Without an error the peer is told properly, if it listens: over TLS an end
   * without a goodbye looks like an attack.
   */
  close(error?: OvsdbError): void {
    this.#error ??= error;
    const isPolite = error === undefined && !this.#isClosing && !this.#socket.connecting;
    this.#isClosing = true;
    if (!isPolite) {
      this.#socket.destroy();
      return;
    }
    const timer = setTimeout(() => this.#socket.destroy(), LIMITS.lingerMs);
    this.#socket.once('close', () => clearTimeout(timer));
    this.#socket.destroySoon();
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosing) return;
    this.handler.onReceived?.();
    try {
      for (const json of this.#scanner.push(chunk)) {
        this.handler.onMessage(decodeMessage(json));
        if (this.#isClosing) return;
      }
    } catch (error) {
      if (!(error instanceof OvsdbError)) throw error;
      this.close(error);
    }
  }
}

function dialSocket(endpoint: Endpoint, tls: TlsMaterial | undefined): Socket {
  if (endpoint.kind === 'unix') return connect({ path: endpoint.path });
  const { host, port } = endpoint;
  if (endpoint.kind === 'tcp') return connect({ host, port });
  if (tls === undefined) {
    throw new OvsdbError('TLS_MISSING', `${endpointText(endpoint)} needs a private key, a certificate and a CA.`);
  }
  // Open vSwitch's PKI has no host names: the peer is who the CA says it is.
  return connectTls({ host, port, ...tls, rejectUnauthorized: true, checkServerIdentity: () => undefined });
}
