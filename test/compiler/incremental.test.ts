/** The promise of the engine: for any edits, in any order, what was kept up to date equals what is made from scratch. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Compiler } from '../../src/compiler/compiler.ts';
import {
  apply,
  arbitraryEdit,
  arbitraryInputs,
  bookText,
  compile,
  type Inputs,
  Mirror,
  tell,
  textOf,
} from './worlds.ts';

const editing = fc.record({
  inputs: arbitraryInputs,
  // A pass after some edits, not after each: changes pile up between passes.
  batches: fc.array(fc.array(arbitraryEdit, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
});

function textByBridge(compiler: Compiler): ReadonlyMap<string, readonly string[]> {
  return new Map([...compiler.books()].map((book) => [`${book.host} ${book.bridge}`, bookText(book)]));
}

describe('incremental compilation', () => {
  test('equals compilation from scratch, after any edits', () => {
    fc.assert(
      fc.property(editing, ({ inputs, batches }) => {
        const compiler = new Compiler();
        const mirror = new Mirror();
        tell(compiler, inputs);
        mirror.take(compiler.pass());
        let current: Inputs = inputs;
        for (const batch of batches) {
          for (const edit of batch) current = apply(edit, current, compiler);
          mirror.take(compiler.pass());
          const scratch = textOf(compile(current));
          expect(textOf(compiler)).toEqual(scratch);
          expect(mirror.lines).toEqual(scratch);
        }
      }),
      { numRuns: 120 },
    );
  });

  test('equals it too when facts change in the middle of a pass, and until a change is handed over books are as before', () => {
    fc.assert(
      fc.property(editing, fc.infiniteStream(fc.integer({ min: 0, max: 12 })), ({ inputs, batches }, pauses) => {
        const compiler = new Compiler();
        const mirror = new Mirror();
        tell(compiler, inputs);
        let current: Inputs = inputs;
        for (const batch of batches) {
          const taken = new Set<string>();
          const before = textByBridge(compiler);
          const steps = compiler.passSteps((change) => {
            taken.add(`${change.host} ${change.bridge}`);
            mirror.take({ changes: [change], conflicts: [], rendered: 0 });
          });
          for (const edit of batch) {
            for (let count = pauses.next().value ?? 0; count > 0; count--) steps.next();
            current = apply(edit, current, compiler);
            for (const [bridge, text] of textByBridge(compiler)) {
              if (!taken.has(bridge)) expect(text).toEqual(before.get(bridge) ?? []);
            }
          }
          while (steps.next().done !== true);
        }
        mirror.take(compiler.pass());
        const scratch = textOf(compile(current));
        expect(textOf(compiler)).toEqual(scratch);
        expect(mirror.lines).toEqual(scratch);
      }),
      { numRuns: 120 },
    );
  });

  test('a second pass, and a recompute, change nothing', () => {
    fc.assert(
      fc.property(arbitraryInputs, (inputs) => {
        const compiler = compile(inputs);
        expect(compiler.pass()).toEqual({ changes: [], conflicts: [], rendered: 0 });
        const before = textOf(compiler);
        compiler.recompute();
        expect(compiler.pass().changes).toEqual([]);
        expect(textOf(compiler)).toEqual(before);
        tell(compiler, inputs);
        expect(compiler.pass().rendered).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  test('the order in which things are said does not matter', () => {
    fc.assert(
      fc.property(arbitraryInputs, (inputs) => {
        const reversed = <T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> => new Map([...map].reverse());
        const { topology } = inputs;
        const shuffled: Inputs = {
          topology: {
            ...topology,
            hosts: reversed(topology.hosts),
            networks: reversed(topology.networks),
            ports: reversed(topology.ports),
            routers: reversed(topology.routers),
          },
          neighbours: reversed(inputs.neighbours),
          facts: reversed(inputs.facts),
          locations: reversed(inputs.locations),
          hostMacs: reversed(inputs.hostMacs),
        };
        expect(textOf(compile(shuffled))).toEqual(textOf(compile(inputs)));
        const late = new Compiler();
        for (const neighbour of shuffled.neighbours.values())
          late.setNeighbour(neighbour.networkId, neighbour.ip, neighbour);
        for (const [host, facts] of shuffled.facts) late.setHostFacts(host, facts);
        late.pass();
        tell(late, shuffled);
        late.pass();
        expect(textOf(late)).toEqual(textOf(compile(inputs)));
      }),
      { numRuns: 100 },
    );
  });
});
