/** What is announced, how often, and whose connections end (src/controller/router/announcer.ts). */
import { expect, test } from 'vitest';
import {
  ANNOUNCING,
  type AnnouncerState,
  announcerStep,
  announcerWakeMs,
  FLUSH_AGAIN_MS,
  rememberedAnnouncer,
  type ServedAddress,
} from '../../../src/controller/router/announcer.ts';

const CONNECTIONS = { dnatZone: 1, snatZone: 2, fixedIp: 0x0a00000b };
const FLOATING: ServedAddress = {
  host: 'node1',
  networkId: 'public',
  ip: 0xcb00711f,
  mac: 0xfa163f000001,
  connections: CONNECTIONS,
};
const GATEWAY: ServedAddress = { host: 'node3', networkId: 'public', ip: 0xcb007115, mac: 0xfa163e000121 };

const serve = (state: AnnouncerState, ...addresses: readonly ServedAddress[]) =>
  announcerStep(state, { type: 'served', addresses }, 0);

test('what is new is announced three times, a second apart, and then no more', () => {
  let [state, effects] = serve(rememberedAnnouncer([]), FLOATING, GATEWAY);
  expect(effects).toEqual([FLOATING, GATEWAY].map((served) => ({ type: 'announce', served })));
  const times: number[] = [];
  for (let wakeMs = announcerWakeMs(state); wakeMs !== undefined; wakeMs = announcerWakeMs(state)) {
    [state, effects] = announcerStep(state, { type: 'tick' }, wakeMs);
    times.push(wakeMs);
    expect(effects).toHaveLength(2);
  }
  expect(times).toEqual([ANNOUNCING.intervalMs, 2 * ANNOUNCING.intervalMs]);
});

test('what is where it was in an earlier life is not announced', () => {
  expect(serve(rememberedAnnouncer([FLOATING, GATEWAY]), GATEWAY, FLOATING)[1]).toEqual([]);
});

test('what moves is announced from there, and its connections end where it was', () => {
  const moved = { ...FLOATING, host: 'node2', mac: 0xfa163f000002 };
  const [state, effects] = serve(rememberedAnnouncer([FLOATING]), moved);
  expect(effects).toEqual([
    { type: 'flush', served: FLOATING },
    { type: 'announce', served: moved },
  ]);
  expect(serve(state, moved)[1]).toEqual([]);
});

test('what leads elsewhere ends its connections, and is where it was', () => {
  const elsewhere = { ...FLOATING, connections: { ...CONNECTIONS, fixedIp: 0x0a00000c } };
  expect(serve(rememberedAnnouncer([FLOATING]), elsewhere)[1]).toEqual([{ type: 'flush', served: FLOATING }]);
});

test('what goes is announced no more, and ends its connections; a gateway has none of its own', () => {
  const [state] = serve(rememberedAnnouncer([]), FLOATING, GATEWAY);
  const [after, effects] = serve(state);
  expect(effects).toEqual([{ type: 'flush', served: FLOATING }]);
  const again = announcerStep(after, { type: 'tick' }, announcerWakeMs(after) ?? 0);
  expect(again[1]).toEqual([{ type: 'flush', served: FLOATING }]);
  expect(announcerWakeMs(again[0])).toBeUndefined();
});

test('what went and is back at once keeps the connections that it has since', () => {
  const [gone] = serve(rememberedAnnouncer([FLOATING]));
  const [back] = serve(gone, FLOATING);
  for (const dueMs of [FLUSH_AGAIN_MS, 10 * FLUSH_AGAIN_MS]) {
    const [, effects] = announcerStep(back, { type: 'tick' }, dueMs);
    expect(effects.filter(({ type }) => type === 'flush')).toEqual([]);
  }
});
