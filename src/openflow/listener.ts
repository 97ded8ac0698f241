/**
 * Bridges that call us: `tcp:ADDR:PORT` and `ssl:ADDR:PORT`. An edge: sockets only, the protocol is in channel.ts. Serves
 * controller/, which opens as many as it was told to.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Endpoint, endpointText, type TlsMaterial } from '../lib/endpoint.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { ChannelSocket } from './channel-socket.ts';
import { type ChannelContext, establish } from './establish.ts';

export interface OpenFlowListenerOptions {
  /** Port 0 takes any free one: see `endpoint` after `listen`. */
  readonly endpoint: Endpoint;
  /** Needed for `ssl:`. */
  readonly tls?: TlsMaterial;
  readonly context: ChannelContext;
}

export class OpenFlowListener {
  readonly #options: OpenFlowListenerOptions;
  readonly #server: Server;
  readonly #channels = new Set<ChannelSocket>();
  /** Whose handshake is under way, the oldest first. */
  readonly #handshakes = new Set<ChannelSocket>();
  #evictedCount = 0;

  private constructor(options: OpenFlowListenerOptions) {
    this.#options = options;
    this.#server = this.#createServer();
  }

  /** Throws HeddleError LISTEN_FAILED (address in use, not ours) or TLS_MISSING. */
  static async listen(options: OpenFlowListenerOptions): Promise<OpenFlowListener> {
    const listener = new OpenFlowListener(options);
    await listener.#listen();
    return listener;
  }

  /** Where it listens, with the real port. */
  get endpoint(): Endpoint {
    const { endpoint } = this.#options;
    const address = this.#server.address();
    if (endpoint.kind === 'unix' || address === null || typeof address === 'string') return endpoint;
    return { ...endpoint, port: address.port };
  }

  /** Connections whose handshake is under way. */
  get handshakeCount(): number {
    return this.#handshakes.size;
  }

  /** Connections that had to give way to others before their handshake was through. */
  get evictedCount(): number {
    return this.#evictedCount;
  }

  /** Stop listening and end every connection that came in here. Flows stay on the bridges. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const channel of this.#channels) channel.close('CLOSED', 'the listener closes');
    await closed;
  }

  #createServer(): Server {
    const { endpoint, tls } = this.#options;
    if (endpoint.kind !== 'ssl') return createServer((socket) => this.#accept(socket));
    if (tls === undefined) {
      throw new HeddleError('TLS_MISSING', `${endpointText(endpoint)} needs a private key, a certificate and a CA`);
    }
    const server = createTlsServer(
      {
        ...tls,
        // Open vSwitch's PKI has no host names: a peer is who the CA says it is.
        requestCert: true,
        rejectUnauthorized: true,
        handshakeTimeout: LIMITS.handshakeTimeoutMs,
      },
      (socket) => this.#accept(socket),
    );
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      this.#warn(socket, 'TLS_FAILED', error.message);
      socket.destroy();
    });
    return server;
  }

  async #listen(): Promise<void> {
    const { endpoint } = this.#options;
    const where = endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => {
        const text = endpointText(endpoint);
        const message = `cannot listen on ${text}: ${error.message}; is another controller running?`;
        reject(new HeddleError('LISTEN_FAILED', message, { endpoint: text }, { cause: error }));
      });
      this.#server.listen(where, resolve);
    });
    this.#server.on('error', (error) => {
      this.#options.context.limitedLog.warn('listener', { reason: error.message }, 'OpenFlow listener error');
    });
  }

  #accept(socket: Socket): void {
    this.#makeRoom();
    const channel = establish({
      socket,
      peer: peerOf(socket, this.#options.endpoint),
      peerKey: socket.remoteAddress ?? 'local',
      context: this.#options.context,
      onEstablished: () => this.#handshakes.delete(channel),
      onEnd: () => {
        this.#handshakes.delete(channel);
        this.#channels.delete(channel);
      },
    });
    this.#handshakes.add(channel);
    this.#channels.add(channel);
  }

  /** A bridge shakes hands in milliseconds, a crowd that does not speak only waits: the oldest of all gives way. */
  #makeRoom(): void {
    const [oldest] = this.#handshakes;
    if (oldest === undefined || this.#handshakes.size < LIMITS.handshakesAtOnce) return;
    this.#evictedCount += 1;
    this.#handshakes.delete(oldest);
    oldest.close('TOO_MANY_HANDSHAKES', `${LIMITS.handshakesAtOnce} handshakes are under way`);
  }

  #warn(socket: Socket, code: string, reason: string): void {
    const peer = peerOf(socket, this.#options.endpoint);
    const key = `${code} ${socket.remoteAddress ?? 'local'}`;
    this.#options.context.limitedLog.warn(key, { peer, code, reason }, 'OpenFlow peer dropped during the handshake');
  }
}

function peerOf(socket: Socket, endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return endpointText(endpoint);
  const { remoteAddress = 'unknown', remotePort = 0 } = socket;
  return endpointText({ kind: endpoint.kind, host: remoteAddress, port: remotePort });
}
