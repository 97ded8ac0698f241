/** The fuzzer itself: feeds decoders, and says what came of it. Serves main.ts and test/openflow/fuzz.test.ts. */
import type { Decoder } from './decoders.ts';
import { Random } from './random.ts';

/** What one input may cost: far more than any needs, on a machine that is busy with other things. */
const INPUT_TIME_MAX_MS = 2_000;

export interface Tally {
  readonly name: string;
  inputs: number;
  /** Inputs that were refused, with the decoder's own errors. */
  refused: number;
  totalMs: number;
  slowestMs: number;
}

export interface FuzzOptions {
  readonly decoders: readonly Decoder[];
  readonly inputs: number;
  readonly seed: number;
  /** Told of each input before it is decoded. */
  readonly onInput?: (decoder: Decoder, input: Uint8Array) => void;
}

/** Something that a decoder must not do. */
export class FuzzFinding extends Error {
  constructor(decoder: string, input: Uint8Array, what: string, options?: ErrorOptions) {
    super(`${decoder}: ${what}\ninput (${input.length} bytes, hex): ${Buffer.from(input).toString('hex')}`, options);
    this.name = 'FuzzFinding';
  }
}

/** Throws FuzzFinding at the first input that is answered wrongly. */
export function fuzz({ decoders, inputs, seed, onInput }: FuzzOptions): readonly Tally[] {
  const random = new Random(seed);
  const lots = decoders.flatMap((decoder) => Array.from({ length: decoder.share }, () => decoder));
  const tallies = new Map(
    decoders.map(({ name }): [string, Tally] => [name, { name, inputs: 0, refused: 0, totalMs: 0, slowestMs: 0 }]),
  );
  for (let count = 0; count < inputs; count++) {
    const decoder = random.pick(lots);
    const input = decoder.input(random);
    onInput?.(decoder, input);
    const tally = tallies.get(decoder.name);
    if (tally !== undefined) feed(decoder, input, tally);
  }
  return [...tallies.values()];
}

function feed(decoder: Decoder, input: Uint8Array, tally: Tally): void {
  const startMs = performance.now();
  tally.inputs += 1;
  try {
    decoder.decode(input);
  } catch (error) {
    if (!decoder.isOwnError(error)) throw new FuzzFinding(decoder.name, input, `threw ${error}`, { cause: error });
    tally.refused += 1;
  }
  const durationMs = performance.now() - startMs;
  tally.totalMs += durationMs;
  tally.slowestMs = Math.max(tally.slowestMs, durationMs);
  if (durationMs > INPUT_TIME_MAX_MS) throw new FuzzFinding(decoder.name, input, `took ${durationMs.toFixed(0)} ms`);
}
