/** Inputs for the fuzzer: random bytes, damaged vectors, and JSON whose values were exchanged. Pure. */
import type { Random } from './random.ts';

/** A decoder sees inputs up to this: the longest OpenFlow message, and somewhat more. */
export const INPUT_SIZE_MAX = 70_000;
const RANDOM_SIZE_MAX = 300;
const DAMAGES_MAX = 6;
const RUN_SIZE_MAX = 64;
/** Values at which lengths, counts and signs go wrong. */
const EDGES = [0, 1, 4, 7, 8, 0x7f, 0x80, 0xfe, 0xff];

type Damage = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

function place(bytes: Uint8Array, random: Random): number {
  return random.below(bytes.length + 1);
}

function splice(bytes: Uint8Array, from: number, to: number, insert: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(Math.max(from, to))]);
}

function overwritten(bytes: Uint8Array, at: number, ...values: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(values.slice(0, Math.max(0, copy.length - at)), at);
  return copy;
}

const DAMAGES: readonly Damage[] = [
  (bytes, random) => overwritten(bytes, place(bytes, random), random.uint32() >>> 24),
  (bytes, random) => overwritten(bytes, place(bytes, random), random.pick(EDGES)),
  (bytes, random) => overwritten(bytes, place(bytes, random), random.pick(EDGES), random.pick(EDGES)),
  (bytes, random) => {
    const at = random.below(Math.max(1, bytes.length));
    return overwritten(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
  },
  // Cut short, or a part taken out.
  (bytes, random) => bytes.subarray(0, place(bytes, random)),
  (bytes, random) => {
    const at = place(bytes, random);
    return splice(bytes, at, at + random.below(RUN_SIZE_MAX), new Uint8Array(0));
  },
  // Foreign bytes, one byte again and again, a part of itself twice, a part of another.
  (bytes, random) => {
    const at = place(bytes, random);
    return splice(bytes, at, at, random.bytes(random.below(RUN_SIZE_MAX)));
  },
  (bytes, random) => {
    const at = place(bytes, random);
    return splice(bytes, at, at, new Uint8Array(random.below(RUN_SIZE_MAX)).fill(random.uint32() >>> 24));
  },
  (bytes, random) => {
    const from = place(bytes, random);
    const part = bytes.subarray(from, from + random.below(RUN_SIZE_MAX * 4));
    const at = place(bytes, random);
    return splice(bytes, at, at, part);
  },
  (bytes, random, others) => {
    const other = random.pick(others);
    return splice(bytes, place(bytes, random), bytes.length, other.subarray(random.below(other.length + 1)));
  },
];

/** One input for a decoder that knows `vectors`. At most INPUT_SIZE_MAX bytes. */
export function inputFrom(vectors: readonly Uint8Array[], random: Random): Uint8Array {
  if (random.isChance(8)) return random.bytes(random.below(RANDOM_SIZE_MAX));
  let bytes = random.pick(vectors);
  // Most damage is small: much of it is refused at the first byte.
  for (let count = random.isChance(3) ? 1 + random.below(DAMAGES_MAX) : 1; count > 0; count--)
    bytes = random.pick(DAMAGES)(bytes, random, vectors);
  return bytes.subarray(0, INPUT_SIZE_MAX);
}

/** The length in an OpenFlow header says what there is, so that what follows is looked at. */
export function withOpenFlowLength(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 8) return bytes;
  return overwritten(bytes, 2, (bytes.length >> 8) & 0xff, bytes.length & 0xff);
}

const JSON_EDGES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  1e300,
  '',
  'x',
  '__proto__',
  'constructor',
  [],
  {},
  ['set', []],
  ['set', ['set', []]],
  ['map', []],
  ['map', [['a']]],
  ['uuid', 'x'],
  ['uuid', '00000000-0000-0000-0000-000000000000'],
];

/** JSON with some of its values, members or names exchanged. */
export function mutatedJson(json: unknown, random: Random, others: readonly unknown[]): unknown {
  if (random.isChance(12)) return random.isChance(4) ? random.pick(others) : random.pick(JSON_EDGES);
  if (Array.isArray(json)) {
    const items: unknown[] = json.map((item) => (random.isChance(3) ? mutatedJson(item, random, others) : item));
    if (random.isChance(10)) items.splice(random.below(items.length + 1), random.below(2), random.pick(JSON_EDGES));
    return items;
  }
  if (typeof json !== 'object' || json === null) return json;
  const entries = Object.entries(json).map(([key, value]): [string, unknown] => [
    random.isChance(20) ? random.pick(['', 'x', '__proto__', 'constructor', 'toString', 'new', 'modify']) : key,
    random.isChance(3) ? mutatedJson(value, random, others) : value,
  ]);
  if (random.isChance(10)) entries.splice(random.below(entries.length + 1), 1);
  return Object.fromEntries(entries);
}
