/**
 * The floor: one TCP connection to a bridge with no controller behind it. Says HELLO, writes bytes that were made beforehand
 * in one go, and waits for the barrier. Serves the lines that ask what the switch itself takes.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HEADER_SIZE = 8;
const TYPE = { hello: 0, error: 1, echoRequest: 2, echoReply: 3, barrierRequest: 20, barrierReply: 21 } as const;

export function message(type: number, xid: number): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE);
  bytes.writeUInt8(4, 0);
  bytes.writeUInt8(type, 1);
  bytes.writeUInt16BE(HEADER_SIZE, 2);
  bytes.writeUInt32BE(xid, 4);
  return bytes;
}

export class BareSwitch {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #barrier: ((error?: Error) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#data(chunk));
  }

  /** `target`: a port of this machine, or the path of a bridge's socket. */
  static async dial(target: number | string): Promise<BareSwitch> {
    const socket = typeof target === 'string' ? connect(target) : connect(target, '127.0.0.1');
    await once(socket, 'connect');
    const bare = new BareSwitch(socket);
    socket.write(message(TYPE.hello, 1));
    await bare.barrier();
    return bare;
  }

  /** Milliseconds from the write to the reply to a barrier behind it. */
  async stream(bytes: Uint8Array): Promise<number> {
    const start = performance.now();
    this.#socket.write(bytes);
    await this.barrier();
    return performance.now() - start;
  }

  barrier(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#barrier = (error) => (error === undefined ? resolve() : reject(error));
      this.#socket.write(message(TYPE.barrierRequest, 2));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #data(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEADER_SIZE && bytes.length >= bytes.readUInt16BE(2)) {
      const size = bytes.readUInt16BE(2);
      const type = bytes.readUInt8(1);
      if (type === TYPE.echoRequest) this.#socket.write(message(TYPE.echoReply, bytes.readUInt32BE(4)));
      if (type === TYPE.error)
        this.#barrier?.(new Error(`the switch refused: ${bytes.subarray(0, size).toString('hex')}`));
      if (type === TYPE.barrierReply) this.#barrier?.();
      bytes = bytes.subarray(size);
    }
    this.#rest = bytes;
  }
}
