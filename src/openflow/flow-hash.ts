/**
 * A hash of what identifies a flow on its bridge (OpenFlow 1.3.5 §6.4, strict), by its bytes. It is a sum, byte by byte, so that of a
 * template's flow only the bytes that differ need be looked at. Serves template.ts and the packed book (compiler/flow-slab.ts).
 */

/** What identifies a flow, in bytes. */
export interface FlowPlace {
  readonly table: number;
  readonly priority: number;
  /** ofp_match without its padding. */
  readonly matchBytes: Uint8Array;
}

/** Matches of ours are shorter. Of longer ones bytes that are so far apart have the same factor, and a hash all the same. */
const FACTOR_COUNT = 512;
const FACTORS = makeFactors();
const TABLE_FACTOR = 0x2c1b3c6d;
const PRIORITY_FACTOR = 0x297a2d39;
const SIZE_FACTOR = 0x7feb352d;

/** Odd numbers without a pattern, the same in every process (splitmix, 32 bits). */
function makeFactors(): Int32Array {
  let state = 0x9e3779b9;
  return Int32Array.from({ length: FACTOR_COUNT }, () => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) | 1;
  });
}

/** What the byte at an index of the match adds, for each of its units. */
export function factorAt(index: number): number {
  return FACTORS[index & (FACTOR_COUNT - 1)] as number;
}

/** The sum for a flow whose match is of zeros. */
export function sumOf({ table, priority, matchBytes }: FlowPlace): number {
  return (
    (Math.imul(table, TABLE_FACTOR) +
      Math.imul(priority, PRIORITY_FACTOR) +
      Math.imul(matchBytes.length, SIZE_FACTOR)) |
    0
  );
}

/** The hash of a sum: its low bits choose a slot, and so depend on all others. */
export function hashOfSum(sum: number): number {
  const mixed = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

/** The hash of a flow, 32 bits, signed. */
export function flowHash(place: FlowPlace): number {
  const { matchBytes } = place;
  let sum = sumOf(place);
  for (let index = 0; index < matchBytes.length; index++) {
    sum = (sum + Math.imul(matchBytes[index] as number, FACTORS[index & (FACTOR_COUNT - 1)] as number)) | 0;
  }
  return hashOfSum(sum);
}
