/** The engine by itself: what is rendered when, who is told what, and what two owners of one flow come to. */
import { describe, expect, test } from 'vitest';
import { Collections } from '../../src/compiler/collections.ts';
import { Engine } from '../../src/compiler/engine.ts';
import { Facts, sameMeaning } from '../../src/compiler/facts.ts';
import { owner, type Placement } from '../../src/compiler/view.ts';
import type { Action } from '../../src/flow/action.ts';
import { PORT } from '../../src/flow/flow.ts';
import { METER_FLAGS } from '../../src/flow/meter.ts';
import { STEP_LENGTH } from '../../src/lib/steps.ts';
import type { DesiredFlow, DesiredGroup, DesiredMeter } from '../../src/pipeline/origin.ts';

const out = (port: number): readonly Action[] => [{ type: 'output', port }];

function flow(priority: number, actions: readonly Action[], rule = 'rule', object = 'thing'): DesiredFlow {
  return { flow: { table: 0, priority, match: {}, actions, cookie: 1n }, origin: { rule, object } };
}

const on = (...flows: readonly DesiredFlow[]): readonly Placement[] => [{ host: 'h', bridge: 'b', flows }];

describe('renders', () => {
  test('only what read a changed fact is rendered again', () => {
    const numbers = new Facts<number>();
    const names = new Collections();
    const leaf = owner('leaf', (view, name) => {
      const number = view.read(numbers.at(name));
      return number === undefined ? [] : on(flow(number, out(1), 'leaf', name));
    });
    const engine = new Engine(
      owner('root', (view) => {
        view.each(names.at(''), leaf);
        return [];
      })(),
    );
    for (const name of ['a', 'b', 'c']) names.add('', name);
    numbers.set('a', 1);
    numbers.set('b', 2);
    expect(engine.pass().rendered).toBe(4);
    numbers.set('b', 20);
    const changed = engine.pass();
    expect(changed.rendered).toBe(1);
    expect(changed.changes).toMatchObject([{ put: [{ flow: { priority: 20 } }], remove: [{ flow: { priority: 2 } }] }]);
    // A fact that was read when it was not there counts as read.
    numbers.set('c', 3);
    expect(engine.pass().rendered).toBe(1);
    // An equal value is no change.
    numbers.set('c', 3);
    expect(engine.pass().rendered).toBe(0);
    names.delete('', 'a');
    names.add('', 'd');
    const moved = engine.pass();
    expect(moved.rendered).toBe(1);
    expect(moved.changes).toMatchObject([{ put: [], remove: [{ flow: { priority: 1 } }] }]);
    // Nobody reads the facts of what has ended.
    numbers.set('a', 5);
    expect(engine.pass().rendered).toBe(0);
  });

  test('an owner that is rendered again keeps the owners below it that it still names', () => {
    const numbers = new Facts<number>();
    const names = new Collections();
    const leaf = owner('leaf', (_view, name) => on(flow(1, out(1), 'leaf', name)));
    const engine = new Engine(
      owner('root', (view) => {
        const number = view.read(numbers.at('n'));
        if (number !== 2) view.child(leaf('only unless 2'));
        view.child(leaf('always'));
        if (number !== 3) view.each(names.at(''), leaf);
        return [];
      })(),
    );
    names.add('', 'x');
    expect(engine.pass().rendered).toBe(4);
    numbers.set('n', 1);
    expect(engine.pass().rendered).toBe(1);
    numbers.set('n', 2);
    expect(engine.pass().rendered).toBe(1);
    numbers.set('n', 3);
    expect(engine.pass().rendered).toBe(2);
    names.add('', 'y');
    expect(engine.pass().rendered).toBe(0);
    engine.invalidateAll();
    expect(engine.pass()).toEqual({ changes: [], conflicts: [], rendered: 3 });
  });
});

test('rows that join, leave, change and end while they are rendered', () => {
  const COUNT = 400;
  const groups = new Collections();
  const rows = new Collections();
  const numbers = new Facts<number>(Object.is, { changed: (name) => rows.touch(name.slice(0, 1), name) });
  const many = owner('many', (view, group) => {
    view.rows(rows.at(group), { host: 'h', bridge: 'b' }, (name) => {
      const number = numbers.get(name);
      return number === undefined ? [] : [flow(number, out(1), 'row', name)];
    });
    return [];
  });
  const engine = new Engine(
    owner('root', (view) => {
      view.each(groups.at(''), many);
      return [];
    })(),
  );
  const set = (name: string, number: number): void => {
    numbers.set(name, number);
    rows.add(name.slice(0, 1), name);
  };
  for (let index = 0; index < COUNT; index++) for (const group of ['a', 'b']) set(`${group}${index}`, 1 + index);
  groups.add('', 'a');
  engine.pass();
  groups.add('', 'b');
  for (let index = 0; index < COUNT; index++) numbers.set(`a${index}`, 1_000 + index);
  const steps = engine.passSteps(() => undefined);
  for (let step = 0; step < 6; step++) expect(steps.next().done).toBe(false);
  // Of what was rendered, and of what was not yet.
  for (const group of ['a', 'b']) {
    for (const index of [0, COUNT - 1]) rows.delete(group, `${group}${index}`);
    for (const index of [1, COUNT - 2]) numbers.set(`${group}${index}`, 5_000 + index);
    set(`${group}${COUNT}`, 6_000);
  }
  groups.delete('', 'b');
  while (steps.next().done !== true);
  const priorities = [...(engine.book('h', 'b')?.flows() ?? [])].map(({ flow: { priority } }) => priority);
  const kept = Array.from({ length: COUNT - 4 }, (_, index) => 1_002 + index);
  expect(priorities.sort((one, other) => one - other)).toEqual([...kept, 5_001, 5_000 + COUNT - 2, 6_000]);
});

test('thousands of flows leave in steps, and who comes back in between does not', () => {
  const COUNT = 2_000;
  const groups = new Collections();
  const rows = new Collections();
  const many = owner('many', (view, group) => {
    view.rows(rows.at(group), { host: 'h', bridge: 'b' }, (name) => [flow(Number(name), out(1), 'row', name)]);
    return [];
  });
  const engine = new Engine(
    owner('root', (view) => {
      view.each(groups.at(''), many);
      return [];
    })(),
  );
  for (let index = 0; index < COUNT; index++) rows.add('h', `${index}`);
  groups.add('', 'h');
  engine.pass();
  for (let index = 0; index < COUNT; index++) rows.delete('h', `${index}`);
  const changes: { readonly remove: readonly DesiredFlow[] }[] = [];
  const steps = engine.passSteps((change) => changes.push(change));
  let stepCount = 0;
  for (; stepCount < COUNT / STEP_LENGTH / 2; stepCount++) expect(steps.next().done).toBe(false);
  expect(changes).toEqual([]);
  // One whose value was made, and one whose value was not.
  rows.add('h', '1');
  rows.add('h', `${COUNT - 1}`);
  while (steps.next().done !== true) stepCount += 1;
  expect(stepCount).toBeGreaterThan(COUNT / STEP_LENGTH);
  engine.pass();
  const removed = changes.flatMap(({ remove }) => remove.map((desired) => desired.flow.priority));
  const flows = [...(engine.book('h', 'b')?.flows() ?? [])];
  expect(flows.map((desired) => desired.flow.priority).sort()).toEqual([1, COUNT - 1]);
  expect(new Set(removed).size).toBeGreaterThanOrEqual(COUNT - 2);
});

describe('two owners of one flow', () => {
  const settings = new Facts<readonly DesiredFlow[]>(sameMeaning);
  const claimant = owner('claimant', (view, name) => on(...(view.read(settings.at(name)) ?? [])));
  const engine = new Engine(
    owner('root', (view) => {
      for (const name of ['1', '2', '3']) view.child(claimant(name));
      return [];
    })(),
  );
  const installed = () => engine.book('h', 'b')?.find({ table: 0, priority: 7, match: {} });

  test('share it when it is the same', () => {
    settings.set('2', [flow(7, out(1), 'b', 'two')]);
    expect(engine.pass().changes).toMatchObject([{ put: [{ origin: { rule: 'b' } }], remove: [] }]);
    settings.set('3', [flow(7, out(1), 'c', 'three')]);
    expect(engine.pass()).toMatchObject({ changes: [], conflicts: [] });
    settings.set('2', []);
    // The cookie is the same here, so nothing changes on the switch; the origin does.
    expect(engine.pass().changes).toEqual([]);
    expect(installed()?.origin.rule).toBe('c');
    expect(engine.book('h', 'b')?.size).toBe(1);
  });

  test('conflict when it is not: a fixed order decides, and both are named', () => {
    settings.set('1', [flow(7, out(2), 'z', 'last')]);
    const { changes, conflicts } = engine.pass();
    expect(changes).toEqual([]);
    expect(conflicts).toMatchObject([
      {
        host: 'h',
        bridge: 'b',
        installed: { origin: { rule: 'c' } },
        refused: [{ origin: { rule: 'z', object: 'last' } }],
      },
    ]);
    settings.set('2', [flow(7, out(3), 'a', 'first')]);
    expect(engine.pass()).toMatchObject({
      changes: [{ put: [{ origin: { rule: 'a' } }], remove: [] }],
      conflicts: [
        { installed: { origin: { rule: 'a' } }, refused: [{ origin: { rule: 'c' } }, { origin: { rule: 'z' } }] },
      ],
    });
    settings.set('2', []);
    settings.set('3', []);
    expect(engine.pass()).toMatchObject({ changes: [{ put: [{ origin: { rule: 'z' } }] }], conflicts: [] });
    settings.set('1', []);
    expect(engine.pass().changes).toMatchObject([{ put: [], remove: [{ origin: { rule: 'z' } }] }]);
    expect(engine.book('h', 'b')?.size).toBe(0);
  });
});

describe('groups and meters', () => {
  const meter = (rate: number, object = 'host h'): DesiredMeter => ({
    meter: { meter: 3, flags: METER_FLAGS.pktps, bands: [{ type: 'drop', rate, burstSize: 0 }] },
    origin: { rule: 'limits', object },
  });
  const group = (...ports: number[]): DesiredGroup => ({
    group: {
      group: 9,
      groupType: 'select',
      buckets: ports.map((port) => ({ weight: 1, watchPort: PORT.any, watchGroup: PORT.any, actions: out(port) })),
    },
    origin: { rule: 'gateways', object: 'router r' },
  });
  const settings = new Facts<{ readonly meters: DesiredMeter[]; readonly groups: DesiredGroup[] }>(sameMeaning);
  const claimant = owner('claimant', (view, name) => [
    { host: 'h', bridge: 'b', flows: [], ...view.read(settings.at(name)) },
  ]);
  const engine = new Engine(
    owner('root', (view) => {
      for (const name of ['1', '2']) view.child(claimant(name));
      return [];
    })(),
  );

  test('come, change and go with their owners, each as the least change', () => {
    settings.set('1', { meters: [meter(100)], groups: [group(1, 2)] });
    expect(engine.pass().changes).toEqual([
      { host: 'h', bridge: 'b', put: [], remove: [], putMeters: [meter(100)], putGroups: [group(1, 2)] },
    ]);
    expect(engine.book('h', 'b')?.findMeter(3)).toEqual(meter(100));
    settings.set('1', { meters: [meter(100)], groups: [group(1)] });
    expect(engine.pass().changes).toEqual([{ host: 'h', bridge: 'b', put: [], remove: [], putGroups: [group(1)] }]);
    engine.invalidateAll();
    expect(engine.pass().changes).toEqual([]);
    settings.set('1', undefined);
    expect(engine.pass().changes).toEqual([
      { host: 'h', bridge: 'b', put: [], remove: [], removeMeters: [meter(100)], removeGroups: [group(1)] },
    ]);
    expect([...(engine.book('h', 'b')?.groups() ?? [])]).toEqual([]);
  });

  test('are shared when they are the same, and conflict when they are not', () => {
    settings.set('1', { meters: [meter(100)], groups: [] });
    settings.set('2', { meters: [meter(100, 'host other')], groups: [] });
    expect(engine.pass()).toMatchObject({ changes: [{ putMeters: [meter(100)] }], conflicts: [] });
    settings.set('2', { meters: [meter(50, 'host other')], groups: [] });
    expect(engine.pass()).toMatchObject({
      changes: [],
      conflicts: [{ installed: meter(100), refused: [meter(50, 'host other')] }],
    });
    settings.set('1', undefined);
    expect(engine.pass()).toMatchObject({ changes: [{ putMeters: [meter(50, 'host other')] }], conflicts: [] });
  });
});

describe('meaning', () => {
  test('is what a file says, not where', () => {
    const at = (line: number) => ({
      id: 'a',
      ips: [{ ip: 1n, origin: { line } }],
      map: new Map([['k', { v: 1 }]]),
      origin: { line },
    });
    expect(sameMeaning(at(1), at(2))).toBe(true);
    expect(sameMeaning(at(1), { ...at(1), id: 'b' })).toBe(false);
    expect(sameMeaning(at(1), { ...at(1), extra: 1 })).toBe(false);
    expect(sameMeaning(at(1), { ...at(1), map: new Map([['k', { v: 2 }]]) })).toBe(false);
    expect(sameMeaning([1], { 0: 1 })).toBe(false);
    expect(sameMeaning(new Map(), {})).toBe(false);
    expect(sameMeaning(1, 1n)).toBe(false);
    expect(sameMeaning(null, {})).toBe(false);
  });
});
