/**
 * Bridges that we call: `unix:DIR/BRIDGE.mgmt`, `tcp:` and `ssl:`, again and again with back-off until closed. An edge: sockets
 * only. Serves controller/.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Endpoint, endpointText, type TlsMaterial } from '../lib/endpoint.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { ChannelSocket } from './channel-socket.ts';
import { type ChannelContext, establish } from './establish.ts';

export interface OpenFlowDialerOptions {
  readonly endpoint: Endpoint;
  /** Needed for `ssl:`. */
  readonly tls?: TlsMaterial;
  readonly context: ChannelContext;
  /** 0 to 1, for the jitter of the back-off; default Math.random. */
  readonly random?: () => number;
}

/** The wait before attempt `attempt` (0-based), doubled each time up to the bound, spread over its upper half. */
export function backoffMs(attempt: number, random: () => number): number {
  const fullMs = Math.min(LIMITS.backoffMaxMs, LIMITS.backoffMinMs * 2 ** Math.min(attempt, 30));
  return fullMs / 2 + (fullMs / 2) * random();
}

export class OpenFlowDialer {
  readonly #options: OpenFlowDialerOptions;
  readonly #random: () => number;
  #socket: Socket | undefined;
  #channel: ChannelSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #attempt = 0;
  #closed = false;

  /** Begins to dial at once. Throws HeddleError TLS_MISSING for `ssl:` without TLS material. */
  constructor(options: OpenFlowDialerOptions) {
    const { endpoint, tls } = options;
    if (endpoint.kind === 'ssl' && tls === undefined) {
      throw new HeddleError('TLS_MISSING', `${endpointText(endpoint)} needs a private key, a certificate and a CA`);
    }
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#dial();
  }

  get endpoint(): Endpoint {
    return this.#options.endpoint;
  }

  /** Dial now rather than when the back-off is over: the bridge is known to have appeared. */
  retryNow(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#dial();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#channel !== undefined) this.#channel.close('CLOSED', 'the dialer closes');
    else this.#socket?.destroy();
  }

  #dial(): void {
    this.#timer = undefined;
    const socket = this.#connect();
    this.#socket = socket;
    const readyEvent = this.#options.endpoint.kind === 'ssl' ? 'secureConnect' : 'connect';
    const deadline = setTimeout(() => {
      socket.destroy(new Error(`no connection within ${LIMITS.handshakeTimeoutMs} ms`));
    }, LIMITS.handshakeTimeoutMs);
    let failure = 'the peer closed the connection';
    const onError = (error: Error): void => {
      failure = error.message;
    };
    const onClose = (): void => {
      clearTimeout(deadline);
      this.#failed(failure);
    };
    socket.on('error', onError);
    socket.once('close', onClose);
    socket.once(readyEvent, () => {
      clearTimeout(deadline);
      socket.off('error', onError);
      socket.off('close', onClose);
      this.#speak(socket);
    });
  }

  #connect(): Socket {
    const { endpoint, tls } = this.#options;
    if (endpoint.kind === 'unix') return connect({ path: endpoint.path });
    const { host, port } = endpoint;
    if (endpoint.kind === 'tcp') return connect({ host, port });
    // Open vSwitch's PKI has no host names: the peer is who the CA says it is.
    return connectTls({ host, port, ...tls, rejectUnauthorized: true, checkServerIdentity: () => undefined });
  }

  #speak(socket: Socket): void {
    const text = endpointText(this.#options.endpoint);
    this.#channel = establish({
      socket,
      peer: text,
      peerKey: text,
      context: this.#options.context,
      onEstablished: () => {
        this.#attempt = 0;
      },
      onEnd: () => {
        this.#channel = undefined;
        this.#retryLater();
      },
    });
  }

  #failed(reason: string): void {
    if (this.#closed) return;
    // One line when a bridge cannot be reached, not one for each attempt.
    if (this.#attempt === 0) {
      const peer = endpointText(this.#options.endpoint);
      this.#options.context.limitedLog.warn(`dial ${peer}`, { peer, reason }, 'bridge unreachable, dialling on');
    }
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#closed) return;
    const waitMs = backoffMs(this.#attempt, this.#random);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#dial(), waitMs);
  }
}
