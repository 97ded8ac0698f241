/**
 * A listener and dialers for one test, and the connections that came of them. Serves tests of the OpenFlow channel and of
 * switch/ on real bridges.
 */
import { parseEndpoint, type TlsMaterial } from '../../src/lib/endpoint.ts';
import { createLogger, LimitedLog, type Logger } from '../../src/lib/log.ts';
import type { SwitchConnection } from '../../src/openflow/connection.ts';
import { OpenFlowDialer } from '../../src/openflow/dialer.ts';
import type { ChannelContext } from '../../src/openflow/establish.ts';
import { OpenFlowListener } from '../../src/openflow/listener.ts';
import { waitFor } from './ovs-sandbox.ts';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

export class Switchboard {
  readonly lines: LogLine[] = [];
  /** Every connection that was established, in order. */
  readonly connections: SwitchConnection[] = [];
  readonly logger: Logger = createLogger({
    level: 'debug',
    destination: { write: (line: string) => this.lines.push(JSON.parse(line)) },
  });
  readonly limitedLog = new LimitedLog(this.logger);
  /** Called for each new connection, in its first turn. */
  onConnection: (connection: SwitchConnection) => void = () => undefined;
  readonly #closers: (() => void | Promise<void>)[] = [];
  #epoch = 0;

  readonly context: ChannelContext = {
    logger: this.logger,
    limitedLog: this.limitedLog,
    nextEpoch: () => {
      this.#epoch += 1;
      return this.#epoch;
    },
    onConnection: (connection) => {
      this.connections.push(connection);
      this.onConnection(connection);
    },
  };

  /** Listens on a free port; gives the text for `set-controller`. */
  async listen(kind: 'tcp' | 'ssl' = 'tcp', tls?: TlsMaterial): Promise<{ port: number; listener: OpenFlowListener }> {
    const endpoint = parseEndpoint(`${kind}:127.0.0.1:0`);
    const listener = await OpenFlowListener.listen({ endpoint, context: this.context, ...(tls && { tls }) });
    this.#closers.push(() => listener.close());
    if (listener.endpoint.kind === 'unix') throw new Error('not a port');
    return { port: listener.endpoint.port, listener };
  }

  dial(target: string, tls?: TlsMaterial): OpenFlowDialer {
    const dialer = new OpenFlowDialer({ endpoint: parseEndpoint(target), context: this.context, ...(tls && { tls }) });
    this.#closers.push(() => dialer.close());
    return dialer;
  }

  /** The open connection of this datapath id that was established last. */
  connected(dpid: bigint, after?: SwitchConnection): Promise<SwitchConnection> {
    return waitFor(`a connection of datapath ${dpid.toString(16)}`, () =>
      this.connections.findLast((one) => one.dpid === dpid && one.isOpen && one !== after),
    );
  }

  /** Warnings and errors logged so far. */
  get complaints(): LogLine[] {
    return this.lines.filter(({ level }) => level === 'warn' || level === 'error');
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
  }
}
