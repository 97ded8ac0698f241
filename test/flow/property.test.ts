/**
 * Whatever a flow holds: its text says it, and ovs-ofctl reads and prints the same text.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatActions, formatFlow } from '../../src/flow/format.ts';
import { matchCovers, matchesOverlap, matchKey, normaliseMatch } from '../../src/flow/match.ts';
import { parseActions, parseFlow } from '../../src/flow/parse.ts';
import { FlowTextError } from '../../src/flow/scan.ts';
import { arbitraryActions, arbitraryFlow, arbitraryMatch } from './arbitrary.ts';
import { printedByOvs } from './second-opinion.ts';

describe('random flows', () => {
  it('come back from their text', () => {
    fc.assert(
      fc.property(arbitraryFlow(), (flow) => {
        expect(parseFlow(formatFlow(flow))).toEqual(flow);
      }),
      { numRuns: 1000 },
    );
  });

  it('come back from the text of their actions', () => {
    fc.assert(
      fc.property(arbitraryActions, (actions) => {
        expect(parseActions(formatActions(actions))).toEqual(actions);
      }),
      { numRuns: 1000 },
    );
  });

  it('have matches that ovs-ofctl prints in the same words', () => {
    const matches = fc.sample(arbitraryMatch({ forOvs: true }), { numRuns: 500, seed: 20 });
    const flows = matches.map((match) => ({ table: 1, priority: 5, match, actions: [], cookie: 0n }));
    const lines = flows.map((flow) => formatFlow(flow));
    expect(printedByOvs(lines.map((line) => line.replace(' actions=', ',actions=')))).toEqual(lines);
  });
});

describe('random matches', () => {
  it('in normal form stay as they are, and have one key', () => {
    fc.assert(
      fc.property(arbitraryMatch(), arbitraryMatch(), (a, b) => {
        expect(normaliseMatch(a)).toEqual(a);
        const shuffled = Object.fromEntries(Object.entries(a).reverse());
        expect(matchKey(shuffled)).toBe(matchKey(a));
        expect(matchKey(a) === matchKey(b)).toBe(formatFlow(flowOf(a)) === formatFlow(flowOf(b)));
      }),
    );
  });

  it('cover what they were widened from, and overlap with it', () => {
    fc.assert(
      fc.property(arbitraryMatch(), fc.infiniteStream(fc.boolean()), (match, kept) => {
        const wider = Object.fromEntries(Object.entries(match).filter(() => kept.next().value));
        expect(matchCovers(wider, match)).toBe(true);
        expect(matchesOverlap(wider, match)).toBe(true);
        expect(matchesOverlap(match, wider)).toBe(true);
        expect(matchCovers(match, wider)).toBe(matchKey(match) === matchKey(wider));
      }),
    );
  });
});

it('any text is a flow or a FlowTextError', () => {
  const words = fc.constantFrom(
    'ip',
    'tcp',
    'in_port',
    '=',
    '1',
    ',',
    ' ',
    '(',
    ')',
    '->',
    '/',
    'actions=',
    'output:',
    'ct',
    'nat',
    ':',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 15 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, fc.boolean(), (some, isAction) => {
      try {
        parseFlow(isAction ? `actions=${some}` : `${some} actions=drop`);
      } catch (error) {
        expect(error).toBeInstanceOf(FlowTextError);
      }
    }),
    { numRuns: 2000 },
  );
});

function flowOf(match: ReturnType<typeof normaliseMatch>) {
  return { table: 0, priority: 1, match, actions: [], cookie: 0n };
}
