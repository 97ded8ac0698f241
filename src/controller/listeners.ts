/** Where bridges and ovsdb-servers call: the sockets of one controller, opened and closed together. Serves controller.ts. */
import { parseEndpoint, type TlsMaterial } from '../lib/endpoint.ts';
import type { Logger } from '../lib/log.ts';
import type { ChannelContext } from '../openflow/establish.ts';
import { OpenFlowListener } from '../openflow/listener.ts';
import { OvsdbListener, type OvsdbPeer } from '../ovsdb/index.ts';

const OPENFLOW_PORT = 6653;

export interface ListenersOptions {
  /** `tcp:ADDR:PORT` or `ssl:ADDR:PORT`, where bridges connect. */
  readonly listen: readonly string[];
  /** Likewise, where ovsdb-servers connect. */
  readonly ovsdbListen: readonly string[];
  readonly tls?: TlsMaterial;
  readonly logger: Logger;
  readonly context: ChannelContext;
  /** false: it is nobody's, and is sent away. */
  readonly onPeer: (peer: OvsdbPeer) => boolean;
}

export class Listeners {
  readonly #openFlow: OpenFlowListener[] = [];
  readonly #ovsdb: OvsdbListener[] = [];

  /** Throws LISTEN_FAILED, BAD_ENDPOINT, TLS_MISSING; what was opened until then is to be closed. */
  async open({ listen, ovsdbListen, tls, logger, context, onPeer }: ListenersOptions): Promise<void> {
    const keys = tls && { tls };
    for (const text of listen) {
      const endpoint = parseEndpoint(text, { defaultPort: OPENFLOW_PORT });
      this.#openFlow.push(await OpenFlowListener.listen({ endpoint, context, ...keys }));
      logger.info({ listen: text }, 'waiting for bridges');
    }
    for (const target of ovsdbListen) {
      this.#ovsdb.push(await OvsdbListener.listen({ target, logger, onPeer, ...keys }));
      logger.info({ listen: target }, 'waiting for ovsdb-servers');
    }
  }

  /** Connections that said nothing, and gave way to others. */
  get evictedHandshakeCount(): number {
    return this.#openFlow.reduce((sum, { evictedCount }) => sum + evictedCount, 0);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#openFlow, ...this.#ovsdb].map((listener) => listener.close()));
  }
}
