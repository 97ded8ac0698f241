/**
 * Stands between a controller and a real bridge, and breaks what tests want broken: a connection is cut after so many messages
 * or bytes of either side, a message is changed on its way, or all that the controller says waits. Serves test/ovs/ and
 * test/netns/.
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
  /** Cut when a message has been passed on of which this is so. */
  readonly afterMessage?: (frame: Uint8Array) => boolean;
  /** Cut in the middle of a message, when this many bytes of it have been passed on; undefined: not in this one. */
  readonly within?: (frame: Uint8Array) => number | undefined;
  /**
   * From then on nothing more of this side is passed on, but the connection ends only behind such a message of the other side. A
   * switch that cannot write an answer any more does not read what was sent before, either.
   */
  readonly untilAnswer?: (frame: Uint8Array) => boolean;
}

/** Of one connection, both ways. */
interface Passing {
  readonly cut: Cut | undefined;
  readonly onCut: () => void;
  /** Nothing more of the side that is cut is passed on. */
  isEnding: boolean;
}

export class OpenFlowProxy {
  readonly path: string;
  readonly #upstream: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What the controller has said since `hold`, and to whom. */
  #held: { readonly to: Socket; readonly frame: Buffer }[] | undefined;
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

  /** From now on nothing of the controller's is passed on. */
  hold(): void {
    this.#held ??= [];
  }

  /** Messages of the controller's that wait. */
  get heldCount(): number {
    return this.#held?.length ?? 0;
  }

  /** Pass on what waits, in its order, and what comes. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const { to, frame } of held) if (!to.destroyed) to.write(frame);
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
      for (const socket of [controller, bridge]) socket.removeAllListeners('data');
      // What was passed on still arrives; nothing else does.
      controller.destroySoon();
      bridge.destroySoon();
    };
    const state: Passing = { cut, onCut, isEnding: false };
    this.#pass(controller, bridge, { side: 'controller', state });
    this.#pass(bridge, controller, { side: 'switch', state });
  }

  #pass(from: Socket, to: Socket, { side, state }: { readonly side: Side; readonly state: Passing }): void {
    const { cut, onCut } = state;
    const isCutSide = cut?.side === side;
    const cutter = new FrameCutter();
    let messagesLeft = (isCutSide ? cut.afterMessages : undefined) ?? Number.POSITIVE_INFINITY;
    let bytesLeft = (isCutSide ? cut.afterBytes : undefined) ?? Number.POSITIVE_INFINITY;
    from.on('data', (chunk) => {
      for (const frame of cutter.push(chunk)) {
        if (to.destroyed || to.writableEnded || (state.isEnding && isCutSide)) continue;
        // The chunk is not ours to change.
        const copy = Buffer.from(frame);
        this.alter(copy, side);
        if (this.#held !== undefined && side === 'controller') {
          this.#held.push({ to, frame: copy });
          continue;
        }
        bytesLeft = Math.min(bytesLeft, (isCutSide ? cut.within?.(copy) : undefined) ?? bytesLeft);
        to.write(copy.subarray(0, Math.min(copy.length, bytesLeft)));
        messagesLeft -= 1;
        bytesLeft -= copy.length;
        const isLast = messagesLeft <= 0 || bytesLeft <= 0 || (isCutSide && cut.afterMessage?.(copy) === true);
        if (isLast && cut?.untilAnswer !== undefined) state.isEnding = true;
        else if (isLast || (state.isEnding && !isCutSide && cut?.untilAnswer?.(copy) === true)) {
          onCut();
          return;
        }
      }
    });
  }
}
