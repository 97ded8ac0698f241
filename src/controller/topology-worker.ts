/**
 * A thread that reads one topology file and ends: what parsing and checking takes, in time and in memory, is not the controller's.
 * Serves topology-reader.ts, which says what it is told and what it tells.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { HeddleError, invariant } from '../lib/errors.ts';
import { partsOf, TopologyAssembly } from '../topology/parts.ts';
import { readTopologyFile } from './topology-file.ts';
import type { ReaderData, ReaderReport } from './topology-reader.ts';

const { path, port } = workerData as ReaderData;
invariant(parentPort !== null, 'A worker has a parent.');
parentPort.postMessage(read());
port.close();

function read(): ReaderReport {
  const held = new TopologyAssembly();
  // All of it was sent before the thread was begun.
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
    held.add(next.message);
  try {
    let partCount = 0;
    for (const part of partsOf(readTopologyFile(path, held.derived))) {
      port.postMessage(part);
      partCount += 1;
    }
    return { partCount };
  } catch (error) {
    if (!(error instanceof HeddleError)) throw error;
    return { code: error.code, message: error.message };
  }
}
