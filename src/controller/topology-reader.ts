/**
 * Reads the topology file without keeping anybody waiting: a small one at once, a large one in a thread (topology-worker.ts),
 * from which it comes in parts, some in each turn of the event loop. Serves `heddle run`; an edge: the thread is here.
 */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { invariant } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import { inTurns } from '../switch/turns.ts';
import type { HeldValues } from '../topology/load.ts';
import { partsOfHeld, TopologyAssembly, type TopologyPart } from '../topology/parts.ts';
import { type Reading, readTopologyFile, TopologyFileError } from './topology-file.ts';

/** What the thread is told: the file, and where parts come and go. Held values are on their way there already. */
export interface ReaderData {
  readonly path: string;
  readonly port: MessagePort;
}

/** What it says when all parts are on their way, or that there is no file to read. */
export type ReaderReport = { readonly partCount: number } | { readonly code: string; readonly message: string };

/** Beside this file, with the same extension: sources in a checkout, JavaScript in a package. */
const WORKER = new URL(`./topology-worker${extname(import.meta.url)}`, import.meta.url);

export class TopologyReader {
  readonly #path: string;
  #worker: Worker | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** As readTopologyFile. Rejects likewise, and with `READING_ENDED` when it could not be read to the end. */
  async read(held: HeldValues): Promise<Reading> {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    return size <= LIMITS.topologyInlineSize ? readTopologyFile(this.#path, held) : this.#readInThread(held);
  }

  /** Leave what is being read. */
  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  async #readInThread(held: HeldValues): Promise<Reading> {
    const { port1: port, port2: theirs } = new MessageChannel();
    try {
      await inTurns(send(port, partsOfHeld(held)));
      const workerData: ReaderData = { path: this.#path, port: theirs };
      this.#worker = new Worker(WORKER, { workerData, transferList: [theirs] });
      const report = await this.#reportOf(this.#worker);
      if ('code' in report) throw new TopologyFileError(report.code, report.message);
      return await inTurns(receive(port, report.partCount));
    } finally {
      port.close();
      await this.#worker?.terminate();
      this.#worker = undefined;
    }
  }

  async #reportOf(worker: Worker): Promise<ReaderReport> {
    const ended = once(worker, 'exit').then(([status]) => {
      throw this.#failure(`the thread that reads it ended with ${status}`);
    });
    try {
      const [report] = await Promise.race([once(worker, 'message'), ended]);
      return report;
    } catch (error) {
      throw error instanceof TopologyFileError ? error : this.#failure(String(error));
    }
  }

  #failure(why: string): TopologyFileError {
    return new TopologyFileError(
      'READING_ENDED',
      `topology ${this.#path}: ${why}; give a smaller file, or more memory`,
    );
  }
}

function* send(port: MessagePort, parts: Iterable<TopologyPart>): Generator<void, void> {
  for (const part of parts) {
    port.postMessage(part);
    yield;
  }
}

/** Parts are taken one by one: a listener would get all that wait in one turn. */
function* receive(port: MessagePort, count: number): Generator<void, Reading> {
  const assembly = new TopologyAssembly();
  for (let received = 0; received < count; received++) {
    const next = receiveMessageOnPort(port);
    invariant(next !== undefined, 'Parts are there before their number is told.', { received, count });
    assembly.add(next.message);
    yield;
  }
  return assembly.result();
}
