/**
 * The text parser and the codec mean the same by a flow: what was parsed, or made at random, comes back from its bytes equal.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Flow } from '../../src/flow/flow.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import { decodeInstructions, decodeMatch, encodeInstructions, encodeMatch } from '../../src/openflow/codec.ts';
import { arbitraryFlow } from './arbitrary.ts';
import { capturedFlows, vectors } from './second-opinion.ts';

function expectSameFromBytes({ match, actions }: Flow): void {
  expect(decodeMatch(encodeMatch(match))).toEqual(match);
  expect(decodeInstructions(encodeInstructions(actions))).toEqual(actions);
}

it('captured and hand-made flows come back from their bytes', () => {
  for (const line of [...capturedFlows(), ...vectors('flows.txt')]) expectSameFromBytes(parseFlow(line));
});

it('random flows come back from their bytes', () => {
  fc.assert(fc.property(arbitraryFlow(), expectSameFromBytes), { numRuns: 500 });
});
