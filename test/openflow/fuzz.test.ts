/** A short run of scripts/fuzz: every decoder against damaged vectors. The fuzzer itself is shown to find what is wrong. */
import { describe, expect, test } from 'vitest';
import { type Decoder, decoders } from '../../scripts/support/fuzz/decoders.ts';
import { FuzzFinding, fuzz } from '../../scripts/support/fuzz/fuzz.ts';
import { Random } from '../../scripts/support/fuzz/random.ts';

const INPUTS = 12_000;

describe('every decoder throws its own errors and nothing else', () => {
  test(`${INPUTS} inputs`, () => {
    const seed = Date.now() % 1_000_000_000;
    const tallies = fuzz({ decoders: decoders(), inputs: INPUTS, seed });
    for (const { name, inputs, refused } of tallies) {
      expect(inputs, `${name}, seed ${seed}`).toBeGreaterThan(50);
      // Some of the damage is noticed, some of it does no harm: else the inputs are not worth much.
      expect(refused, `${name}, seed ${seed}`).toBeGreaterThan(0);
      // Hardly any damage does a topology file no harm: of some two hundred, now and then none is taken.
      if (name !== 'topology file') expect(refused, `${name}, seed ${seed}`).toBeLessThan(inputs);
    }
  });
});

describe('the fuzzer', () => {
  const fragile: Decoder = {
    name: 'fragile',
    share: 100,
    input: (random) => random.bytes(4),
    decode: (input) => {
      if (input[0] === 7) throw new TypeError('seven');
    },
    isOwnError: () => false,
  };

  test('tells of a foreign error with its input, the same one for the same seed', () => {
    const found = (seed: number): string => {
      try {
        fuzz({ decoders: [fragile], inputs: 10_000, seed });
      } catch (error) {
        if (error instanceof FuzzFinding) return error.message;
        throw error;
      }
      return '';
    };
    expect(found(5)).toMatch(/^fragile: threw TypeError: seven\ninput \(4 bytes, hex\): 07[0-9a-f]{6}$/);
    expect(found(5)).toBe(found(5));
    expect(found(6)).not.toBe(found(5));
  });

  test('draws numbers that are spread evenly', () => {
    const random = new Random(1);
    const counts = [0, 0, 0, 0];
    for (let drawn = 0; drawn < 4_000; drawn++) {
      const index = random.below(4);
      counts[index] = (counts[index] ?? 0) + 1;
    }
    expect(new Set(Array.from({ length: 1_000 }, () => random.uint32())).size).toBe(1_000);
    expect(counts.every((count) => count > 900 && count < 1_100)).toBe(true);
  });
});
