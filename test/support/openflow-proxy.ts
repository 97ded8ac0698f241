/**
 * Stands between a controller and a real bridge, and breaks what tests want broken: a connection is cut after so many messages
 * or bytes of either side, or a message is changed on its way. Serves test/ovs/.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { FrameCutter } from '../../src/openflow/frame.ts';

export type Side = 'controller' | 'switch';

/** What happens to one connection; nothing given: it is forwarded as it is. */
export interface Cut {
  /** Counted are the messages and bytes that this side sends. */
  readonly side: Side;
  /** Cut when this many messages have been passed on. */
  readonly afterMessages?: number;
  /** Cut when this many bytes have been passed on, be it in the middle of a message. */
  readonly afterBytes?: number;
}

export class OpenFlowProxy {
  readonly path: string;
  readonly #upstream: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that were cut as `cutOf` wanted. */
  cutCount = 0;
  /** Asked for each connection. */
  cutOf: () => Cut | undefined = () => undefined;
  /** May change a message before it is passed on. */
  alter: (frame: Buffer, side: Side) => void = () => undefined;

  private constructor(upstream: string, path: string) {
    this.path = path;
    this.#upstream = upstream;
    this.#server = createServer((controller) => this.#join(controller));
  }

  static async start(upstream: string, path: string): Promise<OpenFlowProxy> {
    const proxy = new OpenFlowProxy(upstream, path);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(path, resolve);
    });
    return proxy;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(controller: Socket): void {
    const cut = this.cutOf();
    const bridge = connect(this.#upstream);
    const end = (): void => {
      controller.destroy();
      bridge.destroy();
    };
    for (const socket of [controller, bridge]) {
      this.#sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    const onCut = (): void => {
      this.cutCount += 1;
      // What was passed on still arrives; nothing else does.
      controller.destroySoon();
      bridge.destroySoon();
    };
    this.#pass(controller, bridge, { side: 'controller', cut, onCut });
    this.#pass(bridge, controller, { side: 'switch', cut, onCut });
  }

  #pass(
    from: Socket,
    to: Socket,
    { side, cut, onCut }: { readonly side: Side; readonly cut: Cut | undefined; readonly onCut: () => void },
  ): void {
    const cutter = new FrameCutter();
    let messagesLeft = (cut?.side === side ? cut.afterMessages : undefined) ?? Number.POSITIVE_INFINITY;
    let bytesLeft = (cut?.side === side ? cut.afterBytes : undefined) ?? Number.POSITIVE_INFINITY;
    from.on('data', (chunk) => {
      for (const frame of cutter.push(chunk)) {
        if (messagesLeft <= 0 || bytesLeft <= 0 || to.destroyed || to.writableEnded) return;
        // The chunk is not ours to change.
        const copy = Buffer.from(frame);
        this.alter(copy, side);
        to.write(copy.subarray(0, Math.min(copy.length, bytesLeft)));
        messagesLeft -= 1;
        bytesLeft -= copy.length;
        if (messagesLeft <= 0 || bytesLeft <= 0) {
          onCut();
          return;
        }
      }
    });
  }
}
