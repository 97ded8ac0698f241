/**
 * Servers that call us (`ovs-vsctl set-manager tcp:ADDR:PORT`): accepts, asks each caller who it is, and hands it on. An edge:
 * sockets. Serves the controller's `--ovsdb-listen`.
 *
 * Over `tcp:` a caller is whoever it says it is; with `ssl:` at least the CA knows it.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Endpoint, endpointText, parseEndpoint, type TlsMaterial } from '../lib/endpoint.ts';
import { LIMITS } from '../lib/limits.ts';
import { LimitedLog, type Logger, silentLogger } from '../lib/log.ts';
import { Connection, type ConnectionHandler, OVSDB_PORT } from './connection.ts';
import { excerpt, isObject, OvsdbError } from './errors.ts';
import { OVSDB_LIMITS, type OvsdbLimits } from './limits.ts';
import { OPEN_VSWITCH } from './open-vswitch.generated.ts';
import { Requests } from './requests.ts';
import { decodeValue } from './value.ts';

/** A switch's database that called. */
export interface OvsdbPeer {
  /** `external_ids:system-id` of its Open_vSwitch row; undefined when not set. */
  readonly systemId: string | undefined;
  /** `external_ids:hostname`. */
  readonly hostname: string | undefined;
  /** All external_ids of that row. */
  readonly externalIds: ReadonlyMap<string, string>;
  /** Where the call came from. */
  readonly endpoint: string;
  /** For `OvsdbClient.adopt`. */
  readonly connection: Connection;
}

export interface OvsdbListenerOptions {
  /** `tcp:ADDR[:PORT]`, `ssl:ADDR[:PORT]`, `unix:PATH`. Port 0 takes any free one. */
  readonly target: string;
  /** Needed for `ssl:`. */
  readonly tls?: TlsMaterial;
  readonly logger?: Logger;
  readonly limits?: Partial<OvsdbLimits>;
  /** A caller has said who it is. Give true when its connection was taken (`adopt`); otherwise it is closed. */
  readonly onPeer: (peer: OvsdbPeer) => boolean;
}

export class OvsdbListener {
  readonly #options: OvsdbListenerOptions;
  readonly #limits: OvsdbLimits;
  readonly #limitedLog: LimitedLog;
  readonly #endpoint: Endpoint;
  readonly #server: Server;
  /** Callers that have not said who they are. */
  readonly #strangers = new Set<Connection>();

  private constructor(options: OvsdbListenerOptions) {
    this.#options = options;
    this.#limits = { ...OVSDB_LIMITS, ...options.limits };
    this.#limitedLog = new LimitedLog(options.logger ?? silentLogger);
    this.#endpoint = parseEndpoint(options.target, { defaultPort: OVSDB_PORT });
    this.#server = this.#createServer();
  }

  /** Throws HeddleError BAD_ENDPOINT, OvsdbError TLS_MISSING or LISTEN_FAILED. */
  static async listen(options: OvsdbListenerOptions): Promise<OvsdbListener> {
    const listener = new OvsdbListener(options);
    await listener.#listen();
    return listener;
  }

  /** Where it listens, with the real port. */
  get endpoint(): Endpoint {
    const address = this.#server.address();
    if (this.#endpoint.kind === 'unix' || address === null || typeof address === 'string') return this.#endpoint;
    return { ...this.#endpoint, port: address.port };
  }

  /** Stop listening, and drop those who have not said who they are. Connections that were taken stay with who took them. */
  close(): void {
    this.#server.close();
    for (const connection of this.#strangers) connection.close();
  }

  #createServer(): Server {
    if (this.#endpoint.kind !== 'ssl') return createServer((socket) => this.#accept(socket));
    const { tls } = this.#options;
    if (tls === undefined) {
      const message = `${endpointText(this.#endpoint)} needs a private key, a certificate and a CA.`;
      throw new OvsdbError('TLS_MISSING', message);
    }
    const server = createTlsServer(
      {
        ...tls,
        // Open vSwitch's PKI has no host names: a caller is who the CA says it is.
        requestCert: true,
        rejectUnauthorized: true,
        handshakeTimeout: this.#limits.connectTimeoutMs,
      },
      (socket) => this.#accept(socket),
    );
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      this.#warn(socket.remoteAddress, { reason: error.message }, 'OVSDB caller failed the TLS handshake');
      socket.destroy();
    });
    return server;
  }

  #listen(): Promise<void> {
    const endpoint = this.#endpoint;
    const where = endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => {
        const message = `Cannot listen on ${endpointText(endpoint)}: ${error.message}; is another controller running?`;
        reject(new OvsdbError('LISTEN_FAILED', message, {}, { cause: error }));
      };
      this.#server.once('error', onError);
      this.#server.listen(where, () => {
        this.#server.off('error', onError);
        this.#server.on('error', (error) => this.#warn(undefined, { reason: error.message }, 'OVSDB listener error'));
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    const peer = peerText(this.#endpoint, socket);
    const handler: ConnectionHandler = { onMessage: () => undefined, onClosed: () => undefined };
    const connection = new Connection(socket, { limits: this.#limits, handler });
    if (this.#strangers.size >= LIMITS.handshakesAtOnce) {
      this.#warn(socket.remoteAddress, { peer, strangers: this.#strangers.size }, 'OVSDB caller turned away');
      connection.close();
      return;
    }
    this.#strangers.add(connection);
    identify(connection, this.#limits.connectTimeoutMs)
      .then((externalIds) => {
        const systemId = externalIds.get('system-id');
        const hostname = externalIds.get('hostname');
        const isTaken = this.#options.onPeer({ systemId, hostname, externalIds, endpoint: peer, connection });
        if (!isTaken) connection.close();
      })
      .catch((error: unknown) => {
        connection.close();
        if (!(error instanceof OvsdbError)) throw error;
        this.#warn(socket.remoteAddress, { peer, code: error.code, reason: error.message }, 'OVSDB caller dropped');
      })
      .finally(() => this.#strangers.delete(connection));
  }

  #warn(address: string | undefined, context: Readonly<Record<string, unknown>>, message: string): void {
    this.#limitedLog.warn(`${message} ${address}`, context, message);
  }
}

/** Who calls: external_ids of the one row of Open_vSwitch, which a caller that just started may have yet to write. */
async function identify(connection: Connection, timeoutMs: number): Promise<ReadonlyMap<string, string>> {
  const select = { op: 'select', table: 'Open_vSwitch', where: [], columns: ['external_ids'] };
  const result = await new Requests(connection, timeoutMs).request('transact', ['Open_vSwitch', select]);
  const [answer]: unknown[] = Array.isArray(result) ? result : [];
  const column = OPEN_VSWITCH.schema.tables.get('Open_vSwitch')?.columns.get('external_ids');
  if (column === undefined || !isObject(answer) || !Array.isArray(answer.rows)) {
    throw new OvsdbError('MALFORMED_UPDATE', `The caller did not say who it is: ${excerpt(result)}.`);
  }
  const [row]: unknown[] = answer.rows;
  if (!isObject(row)) return new Map();
  return decodeValue(column, row.external_ids) as ReadonlyMap<string, string>;
}

function peerText(endpoint: Endpoint, socket: Socket): string {
  if (endpoint.kind === 'unix') return endpointText(endpoint);
  const { remoteAddress = 'unknown', remotePort = 0 } = socket;
  return endpointText({ kind: endpoint.kind, host: remoteAddress, port: remotePort });
}
