/** The pipeline language: what compiles, what does not, and what a declared rule makes. */
import { describe, expect, test } from 'vitest';
import { cookieOf } from '../../src/flow/cookie.ts';
import { drop, normal, output } from '../../src/pipeline/actions.ts';
import { bridge, goto, learn } from '../../src/pipeline/language.ts';
import { arp } from '../../src/pipeline/match.ts';

const ON = { distributedRouting: true, l2Population: true, arpResponder: true };
const OFF = { distributedRouting: false, l2Population: false, arpResponder: false };

const small = () =>
  bridge('small', {
    FIRST: { id: 0, decides: '', miss: 'drop', to: ['SECOND', 'LAST'] },
    SECOND: { id: 5, decides: '', miss: 'LAST', to: ['LAST'], when: 'arpResponder', without: 'FIRST' },
    LAST: { id: 9, decides: '', miss: 'normal', missPriority: 3, to: [], learns: ['LAST'] },
  });

const cases = { FIRST: '', SECOND: '', LAST: '' };
const thing = { object: 'thing 1' };

describe('the pipeline language', () => {
  test('does not compile a goto that the table does not declare', () => {
    const { rules } = small();
    rules('r', { cases }, (_: typeof thing, table) => [
      table.FIRST(1, {}, goto('LAST')),
      // @ts-expect-error LAST goes nowhere
      table.LAST(1, {}, goto('FIRST')),
      // @ts-expect-error SECOND goes to LAST only
      table.SECOND(1, {}, goto('FIRST')),
      // @ts-expect-error there is no such table
      table.FIRST(1, {}, goto('THIRD')),
      // @ts-expect-error tables go by name
      table.FIRST(1, {}, { type: 'goto', table: 9 }),
    ]);
  });

  test('does not compile a table that is unknown or without a case', () => {
    const rule = small().rules('r', { cases: { FIRST: '' } }, (_: typeof thing, table) => [
      // @ts-expect-error there is no such table
      table.THIRD?.(1, {}, drop),
      // @ts-expect-error the rule has no case for it
      table.LAST(1, {}, drop),
    ]);
    expect(rule.cases).toEqual({ FIRST: '' });
  });

  test('does not compile a field that is unknown', () => {
    const { rules } = small();
    rules('r', { cases }, (_: typeof thing, table) => [
      // @ts-expect-error not a field
      table.FIRST(1, { dlSrc: 1 }, drop),
      // @ts-expect-error not a field of ARP either
      table.FIRST(1, arp({ arpSrc: 1 }), drop),
      // @ts-expect-error a port is a number: one without an ofport cannot be matched
      table.FIRST(1, { inPort: undefined }, drop),
      // @ts-expect-error nor sent to
      table.FIRST(1, {}, output(undefined)),
    ]);
  });

  test('does not compile a declaration that names unknown tables or features', () => {
    const wrong = () => [
      // @ts-expect-error there is no table OTHER
      bridge('b', { ONE: { id: 0, decides: '', miss: 'drop', to: ['OTHER'] } }),
      // @ts-expect-error nor a miss to it
      bridge('b', { ONE: { id: 0, decides: '', miss: 'OTHER', to: [] } }),
      // @ts-expect-error there is no feature "magic"
      bridge('b', { ONE: { id: 0, decides: '', miss: 'drop', to: [], when: 'magic' } }),
    ];
    expect(wrong).toThrow();
  });

  test('does not compile a learn into a table that is not declared for it', () => {
    const { rules } = small();
    const options = { priority: 1, hardTimeoutS: 300, specs: [] };
    rules('r', { cases }, (_: typeof thing, table) => [
      table.LAST(1, {}, learn('LAST', options)),
      // @ts-expect-error FIRST learns nothing
      table.FIRST(1, {}, learn('LAST', options)),
    ]);
  });

  test('a line is a flow, with origin and cookie', () => {
    const rule = small().rules('r', { cases }, (_: typeof thing, table) => [
      table.FIRST(7, { inPort: 4, vlan: 12 }, output(3), goto('LAST')),
    ]);
    expect(rule(thing, ON)).toEqual([
      {
        flow: {
          table: 0,
          priority: 7,
          match: { inPort: 4, vlanVid: 0x1000 | 12 },
          actions: [
            { type: 'output', port: 3 },
            { type: 'goto', table: 9 },
          ],
          cookie: cookieOf('rendered', 'r', 'thing 1'),
        },
        origin: { rule: 'r', object: 'thing 1' },
      },
    ]);
  });

  test('learned flows have a cookie kind of their own', () => {
    const rule = small().rules('r', { cases }, (_: typeof thing, table) => [
      table.LAST(1, {}, learn('LAST', { priority: 1, hardTimeoutS: 300, specs: [] })),
    ]);
    expect(rule(thing, ON)[0]?.flow.actions).toEqual([
      {
        type: 'learn',
        table: 9,
        priority: 1,
        hardTimeoutS: 300,
        specs: [],
        cookie: cookieOf('learned', 'r', 'thing 1'),
      },
    ]);
  });

  test('a table without its feature is transparent, and its rows stand where the declaration says', () => {
    const declared = small();
    const rule = declared.rules('r', { cases }, (_: typeof thing, table) => [
      table.FIRST(1, {}, goto('SECOND')),
      table.SECOND(2, {}, drop),
    ]);
    const places = (features: typeof ON) =>
      rule(thing, features).map(({ flow }) => [flow.table, flow.priority, flow.actions]);
    expect(places(ON)).toEqual([
      [0, 1, [{ type: 'goto', table: 5 }]],
      [5, 2, []],
    ]);
    expect(places(OFF)).toEqual([
      [0, 1, [{ type: 'goto', table: 9 }]],
      [0, 2, []],
    ]);
    expect(declared.misses(ON).map(({ flow }) => flow.table)).toEqual([0, 5, 9]);
    expect(declared.misses(OFF).map(({ flow }) => [flow.table, flow.priority, flow.actions])).toEqual([
      [0, 0, []],
      [9, 3, [normal]],
    ]);
  });

  test('a rule without its feature makes nothing', () => {
    const rule = small().rules('r', { when: 'l2Population', cases }, (_: typeof thing, table) => [
      table.FIRST(1, {}, drop),
    ]);
    expect(rule(thing, ON)).toHaveLength(1);
    expect(rule(thing, OFF)).toEqual([]);
  });

  test('refuses declarations that no type can refuse', () => {
    const table = { decides: '', miss: 'drop', to: [] } as const;
    expect(() => bridge('b', { A: { ...table, id: 1 }, B: { ...table, id: 1 } })).toThrow(
      'Two tables have one number.',
    );
    expect(() => bridge('b', { A: { ...table, id: 1 }, B: { id: 2, decides: '', miss: 'drop', to: ['A'] } })).toThrow(
      'A goto leads forward.',
    );
    expect(() => bridge('b', { A: { id: 1, decides: '', miss: 'B', to: [] }, B: { ...table, id: 2 } })).toThrow(
      'A miss goes where the table may go.',
    );
    const { rules } = small();
    rules('twice', { cases }, () => []);
    expect(() => rules('twice', { cases }, () => [])).toThrow('Two rules have one name.');
  });
});
