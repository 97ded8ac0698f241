/** The packed table of a bridge's flows against the plainest one that can be: a list of claims. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FlowTable } from '../../src/compiler/flow-table.ts';
import { Shared } from '../../src/compiler/shared.ts';
import { Templates } from '../../src/compiler/templates.ts';
import { formatFlow } from '../../src/flow/format.ts';
import { flowKey } from '../../src/flow/match.ts';
import { remotePort } from '../../src/pipeline/br-tun.ts';
import type { DesiredFlow } from '../../src/pipeline/origin.ts';

const FEATURES = { distributedRouting: false, l2Population: true, arpResponder: true };

/** Few keys, so that rivals are many: templated flows, the same as values, and others that differ in their actions. */
function candidates(): readonly DesiredFlow[] {
  const templates = new Templates();
  const port = (index: number, ofport: number) => ({
    object: `port p${index % 3}`,
    localVlan: 1 + (index % 2),
    segmentationId: 7,
    macAddress: 0x02_00_00_00_00_00 + (index % 6),
    ipv4Addresses: [0x0a00_0000 + (index % 6)],
    ofport,
  });
  for (let index = 0; index < 100; index++) templates.render(remotePort, port(index, 1), FEATURES);
  const made: DesiredFlow[] = [];
  for (let index = 0; index < 12; index++) {
    made.push(...templates.render(remotePort, port(index, 1), FEATURES));
    made.push(...templates.render(remotePort, port(index, 2), FEATURES));
    made.push(...remotePort(port(index, 1), FEATURES));
    made.push(...remotePort(port(index, 3), FEATURES));
  }
  return made;
}

const text = ({ flow }: DesiredFlow): string => formatFlow(flow);

/** What stands for a key: the first by rule, object and actions, as the book has always had it. */
function standing(claims: Iterable<DesiredFlow>): Map<string, string> {
  const byKey = new Map<string, DesiredFlow[]>();
  for (const claim of claims) {
    const key = flowKey(claim.flow);
    byKey.set(key, [...(byKey.get(key) ?? []), claim]);
  }
  const order = ({ origin, flow }: DesiredFlow): string =>
    [
      origin.rule,
      origin.object,
      JSON.stringify(flow.actions, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)),
    ].join('\0');
  return new Map(
    [...byKey].map(([key, rivals]) => {
      const [first] = rivals.toSorted((left, right) => (order(left) < order(right) ? -1 : 1));
      if (first === undefined) throw new Error('no rival');
      return [key, text(first)];
    }),
  );
}

const FLOWS = candidates();
const commands = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('claim' as const), index: fc.nat(FLOWS.length - 1) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), index: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('take' as const), index: fc.constant(0) }) },
  ),
  { maxLength: 150 },
);

test('any claims and releases', () => {
  fc.assert(
    fc.property(commands, (steps) => {
      const table = new FlowTable(new Shared());
      const claims: { id: number; desired: DesiredFlow }[] = [];
      let before = new Map<string, string>();
      const later: (() => void)[] = [];
      /** In the middle of a pass too: what stood at its beginning. */
      const readBefore = (): void => {
        expect([...table.values()].map(text).sort()).toEqual([...before.values()].sort());
        expect(table.list().length).toBe(before.size);
        expect(table.size).toBe(before.size);
        for (const { flow } of FLOWS) {
          const found = table.find(flow);
          expect(found && text(found)).toBe(before.get(flowKey(flow)));
        }
      };
      const take = (): void => {
        readBefore();
        const after = standing(claims.map(({ desired }) => desired));
        const change = table.takeChange();
        const wanted = [...after].flatMap(([key, flow]) => (before.get(key) === flow ? [] : flow)).sort();
        const { remove } = change;
        // Some are read at once, some when the flows that they speak of are long gone.
        const read = (): void => expect(change.put.map(text).sort()).toEqual(wanted);
        if (later.length % 2 === 0) read();
        later.push(read);
        expect(remove.map(text).sort()).toEqual(
          [...before].flatMap(([key, flow]) => (after.has(key) ? [] : flow)).sort(),
        );
        expect([...table.values()].map(text).sort()).toEqual([...after.values()].sort());
        expect(table.size).toBe(after.size);
        for (const { desired } of claims) {
          const found = table.find(desired.flow);
          expect(found && text(found)).toBe(after.get(flowKey(desired.flow)));
        }
        before = after;
      };
      for (const step of steps) {
        const desired = FLOWS[step.index];
        if (step.do === 'claim' && desired !== undefined) claims.push({ id: table.claimAll([desired]), desired });
        else if (step.do === 'release' && claims.length > 0) {
          const [gone] = claims.splice(step.index % claims.length, 1);
          if (gone !== undefined) table.releaseAll(gone.id);
        } else if (step.do === 'take') take();
      }
      take();
      for (const read of later) read();
    }),
    { numRuns: 300 },
  );
});

test('what left by thousands is freed in steps, and a change that was not read yet still has it', () => {
  const COUNT = 3_000;
  const table = new FlowTable(new Shared());
  const plain = (priority: number): DesiredFlow => ({
    flow: { table: 0, priority, match: {}, actions: [], cookie: 1n },
    origin: { rule: 'r', object: 'o' },
  });
  const priorities = (flows: Iterable<DesiredFlow>) => [...flows].map(({ flow }) => flow.priority).sort();
  const numbers = (from: number) => Array.from({ length: COUNT }, (_, index) => from + index);
  const claims = numbers(1).map((priority) => table.claimAll([plain(priority)]));
  const came = table.takeChange();
  for (const claim of claims) table.releaseAll(claim);
  const left = table.takeChange();
  // Some of the places of those that left are taken before the others are free.
  for (const priority of numbers(10_000)) table.claimAll([plain(priority)]);
  const others = table.takeChange();
  const steps = table.tidySteps();
  while (steps.next().done !== true);
  table.claimAll([plain(5)]);
  expect(priorities(table.takeChange().put)).toEqual([5]);
  expect(priorities(came.put)).toEqual(numbers(1).sort());
  expect(priorities(left.remove)).toEqual(numbers(1).sort());
  expect(priorities(others.put)).toEqual(numbers(10_000).sort());
  expect(table.size).toBe(COUNT + 1);
});

test('flows that no message can carry are kept, told apart and found in the list', () => {
  const table = new FlowTable(new Shared());
  const unwritable = (vlan: number): DesiredFlow => ({
    flow: { table: 0, priority: 1, match: { vlanTci: { value: vlan, mask: 0x2001 } }, actions: [], cookie: 1n },
    origin: { rule: 'r', object: 'o' },
  });
  table.claimAll([unwritable(0)]);
  table.claimAll([unwritable(1), unwritable(1)]);
  expect(table.takeChange().put).toHaveLength(2);
  expect(table.size).toBe(2);
});
