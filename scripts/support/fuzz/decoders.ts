/**
 * Every decoder that reads what others wrote: how it is called, what it may throw, and the vectors whose damage it is fed
 * with. Serves scripts/fuzz and its short run among the unit tests.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseFlow } from '../../../src/flow/parse.ts';
import { HeddleError } from '../../../src/lib/errors.ts';
import { LIMITS } from '../../../src/lib/limits.ts';
import { decodeInstructions, decodeMatch, decodeMessage, readFlowStats } from '../../../src/openflow/codec.ts';
import { FrameCutter } from '../../../src/openflow/frame.ts';
import { WireError } from '../../../src/openflow/wire-error.ts';
import { decodeHeaders, decodePacket } from '../../../src/packet/decode.ts';
import { encodePacket } from '../../../src/packet/encode.ts';
import { PacketError } from '../../../src/packet/packet-error.ts';
import { loadTopology } from '../../../src/topology/load.ts';
import { vectorsOf } from '../../../test/openflow/second-opinion.ts';
import { frame as anyFrame } from '../../../test/packet/arbitraries.ts';
import { inputFrom, withOpenFlowLength } from './mutate.ts';
import { OVSDB_DECODERS } from './ovsdb-decoders.ts';
import type { Random } from './random.ts';

export interface Decoder {
  readonly name: string;
  /** Inputs for this one of each hundred. */
  readonly share: number;
  input(random: Random): Uint8Array;
  /** Reads it; throws what the decoder throws. */
  decode(input: Uint8Array): void;
  /** Whether the decoder may throw this. */
  isOwnError(error: unknown): boolean;
}

const ROOT = join(import.meta.dirname, '../../..');
const FRAMES = 300;
const MULTIPART_REPLY = 19;
const MULTIPART_FLOW = 1;
const MULTIPART_HEADER_SIZE = 16;
/** Where a stream of messages is cut: at every byte, and anywhere. */
const CHUNK_SIZES = [1, 7, 100];

const isWireError = (error: unknown): boolean => error instanceof WireError;
const isPacketError = (error: unknown): boolean => error instanceof PacketError;
const isBadFlow = (error: unknown): boolean => error instanceof HeddleError && error.code === 'BAD_FLOW';

const isRefusedFile = (error: unknown): boolean => error instanceof RefusedFile;

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function isFlowReply(bytes: Uint8Array): boolean {
  return bytes[1] === MULTIPART_REPLY && bytes[9] === MULTIPART_FLOW && bytes.length > MULTIPART_HEADER_SIZE;
}

function bytesOfText(text: string): Uint8Array {
  return Buffer.from(text);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function captured(): Uint8Array[] {
  const catalogue = JSON.parse(read('test/parity/captures/wire_catalogue.json')) as { readonly hex: string }[];
  return catalogue.map(({ hex }) => Buffer.from(hex, 'hex'));
}

function openFlowVectors(...files: readonly string[]): Uint8Array[] {
  return files.flatMap((file) => vectorsOf(file).map(({ bytes }) => bytes));
}

function linesOf(path: string): Uint8Array[] {
  return read(path)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('# '))
    .map(bytesOfText);
}

function topologies(): Uint8Array[] {
  const examples = readdirSync(join(ROOT, 'docs/examples')).map((name) => read(`docs/examples/${name}`));
  const cases = readdirSync(join(ROOT, 'test/topology/rules')).flatMap((name) =>
    read(`test/topology/rules/${name}`).split(/^== .*$/m),
  );
  const json = JSON.stringify({
    hosts: [{ name: 'a', local_ip: '192.0.2.1' }],
    networks: [{ id: 'n', network_type: 'vxlan', segmentation_id: 5, subnets: [{ cidr: '10.0.0.0/24' }] }],
    ports: [{ id: 'p', network: 'n', host: 'a', fixed_ips: ['10.0.0.5'] }],
  });
  return [...examples, ...cases, json].map(bytesOfText);
}

function stream(bytes: Uint8Array): void {
  const cutter = new FrameCutter();
  const size = CHUNK_SIZES[bytes.length % CHUNK_SIZES.length] ?? 1;
  for (let offset = 0; offset < bytes.length; offset += size) {
    for (const frame of cutter.push(bytes.subarray(offset, offset + size))) {
      try {
        decodeMessage(frame);
      } catch (error) {
        // A message that cannot be read does not end the stream.
        if (!isWireError(error)) throw error;
      }
    }
    if (cutter.pendingSize > LIMITS.openflowMessageSize) throw new Error('more waits than a message can have');
  }
}

/** A file with errors: they are returned, not thrown. */
class RefusedFile extends Error {}

function topology(bytes: Uint8Array): void {
  const loaded = loadTopology(textOf(bytes), { file: 'fuzz' });
  if (!('errors' in loaded)) return;
  if (loaded.errors.length === 0) throw new Error('refused without an error');
  throw new RefusedFile();
}

/** Reads every vector; some 100 ms. */
export function decoders(): readonly Decoder[] {
  const messages = [...openFlowVectors('messages.txt', 'bad.txt'), ...captured()];
  const parts = openFlowVectors('matches.txt', 'actions.txt', 'unknown-actions.txt');
  const frames = fc.sample(anyFrame, { numRuns: FRAMES, seed: 1 }).map((one) => encodePacket(one));
  const flows = [...linesOf('test/flow/vectors/flows.txt'), ...linesOf('test/flow/vectors/refused.txt')];
  const files = topologies();
  const stats = messages.filter(isFlowReply).map((bytes) => bytes.subarray(MULTIPART_HEADER_SIZE));
  const damaged = (vectors: readonly Uint8Array[]) => (random: Random) => inputFrom(vectors, random);
  const message = (random: Random): Uint8Array => {
    const bytes = inputFrom(messages, random);
    return random.isChance(3) ? bytes : withOpenFlowLength(bytes);
  };
  const several = (random: Random): Uint8Array =>
    Buffer.concat([random.pick(messages), message(random), random.pick(messages)]);
  const wire = { isOwnError: isWireError };
  return [
    { name: 'OpenFlow message', share: 24, input: message, decode: decodeMessage, ...wire },
    { name: 'OpenFlow stream', share: 8, input: several, decode: stream, ...wire },
    { name: 'OpenFlow match', share: 6, input: damaged(parts), decode: decodeMatch, ...wire },
    { name: 'OpenFlow instructions', share: 6, input: damaged(parts), decode: decodeInstructions, ...wire },
    { name: 'OpenFlow flow statistics', share: 4, input: damaged(stats), decode: readFlowStats, ...wire },
    ...OVSDB_DECODERS,
    { name: 'packet', share: 12, input: damaged(frames), decode: decodePacket, isOwnError: isPacketError },
    { name: 'packet headers', share: 6, input: damaged(frames), decode: decodeHeaders, isOwnError: isPacketError },
    {
      name: 'flow text',
      share: 10,
      input: damaged(flows),
      decode: (bytes) => parseFlow(textOf(bytes)),
      isOwnError: isBadFlow,
    },
    { name: 'topology file', share: 2, input: damaged(files), decode: topology, isOwnError: isRefusedFile },
  ];
}
