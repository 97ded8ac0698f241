/** Which gateway host a router prefers when some fail and come back (src/controller/router/gateway-leads.ts). */
import { describe, expect, test } from 'vitest';
import { chooseLeads, deadHosts } from '../../../src/controller/router/gateway-leads.ts';

const ROUTERS = [{ id: 'r', candidates: ['best', 'second', 'third'] }];
const choose = (lead: string | undefined, dead: readonly string[], preempts = false) =>
  chooseLeads({ routers: ROUTERS, leads: new Map(lead ? [['r', lead]] : []), dead: new Set(dead), preempts }).get('r');

describe('preferred is', () => {
  test.each([
    ['the best by itself', undefined, [], undefined],
    ['the next one when the best fails', undefined, ['best'], 'second'],
    ['that one still when the best is back', 'second', [], 'second'],
    ['the best again when that one fails', 'second', ['second'], undefined],
    ['who was, when all fail', 'second', ['best', 'second', 'third'], 'second'],
    ['the best, when the one before is no candidate any more', 'gone', [], undefined],
  ] as const)('%s', (_name, lead, dead, wanted) => {
    expect(choose(lead, dead)).toBe(wanted);
  });

  test('the best again when it is back, where it may preempt', () => {
    expect(choose('second', [], true)).toBeUndefined();
    expect(choose('second', ['best'], true)).toBe('second');
  });
});

test('dead is who was up before, not who has not come up yet', () => {
  const seen = new Set<string>();
  expect([...deadHosts(new Map([['a', 'down']]), seen)]).toEqual([]);
  expect([...deadHosts(new Map([['a', 'up']]), seen)]).toEqual([]);
  expect([...deadHosts(new Map([['a', 'down']]), seen)]).toEqual(['a']);
});
