/** Periodic router advertisements with a manual clock and given random numbers. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ADVERTISING,
  type AdvertisedNetwork,
  type AdvertiserState,
  advertiserStep,
  advertiserWakeMs,
  INITIAL_ADVERTISER,
} from '../../../src/controller/router/advertiser.ts';
import { BLUE, GREEN, show } from './site.ts';

class Machine {
  state: AdvertiserState = INITIAL_ADVERTISER;
  nowMs = 0;
  random = 0.5;

  networks(...networks: readonly AdvertisedNetwork[]): string[] {
    return this.#do({ type: 'networks', networks });
  }

  wake(): string[] {
    this.nowMs = advertiserWakeMs(this.state) ?? Number.NaN;
    return this.#do({ type: 'tick' });
  }

  #do(event: Parameters<typeof advertiserStep>[1]): string[] {
    const [state, effects] = advertiserStep(this.state, event, this.nowMs, () => this.random);
    this.state = state;
    return show(effects);
  }
}

const ON_NODE1: AdvertisedNetwork = { host: 'node1', network: BLUE, ofports: [1, 3] };
const SAYS = 'send node1 1,3: fa:16:3e:01:00:01 > 33:33:00:00:00:01 fe80::f816:3eff:fe01:1 > ff02::1 advertises 300 s';
const WITHDRAWS = SAYS.replace('300 s', '0 s');

describe('when', () => {
  test('soon at first, three times fast, then at leisure', () => {
    const machine = new Machine();
    machine.networks(ON_NODE1);
    const times = Array.from({ length: 5 }, () => {
      expect(machine.wake()).toEqual([SAYS]);
      return machine.nowMs;
    });
    expect(times).toEqual([1_500, 17_500, 33_500, 98_500, 163_500]);
  });

  test('within the bounds of RFC 4861 §6.2.1', () => {
    const { intervalMinMs, intervalMaxMs, lifetimeS } = ADVERTISING;
    expect(intervalMaxMs).toBeGreaterThanOrEqual(4_000);
    expect(intervalMaxMs).toBeLessThanOrEqual(1_800_000);
    expect(intervalMinMs).toBeGreaterThanOrEqual(3_000);
    expect(intervalMinMs).toBeLessThanOrEqual(0.75 * intervalMaxMs);
    expect(lifetimeS * 1000).toBeGreaterThanOrEqual(intervalMaxMs);
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 4, maxLength: 9 }),
        (randoms) => {
          const machine = new Machine();
          machine.networks(ON_NODE1);
          let beforeMs = -Infinity;
          for (const random of randoms) {
            machine.random = random;
            machine.wake();
            expect(machine.nowMs - beforeMs).toBeGreaterThanOrEqual(ADVERTISING.initialIntervalMaxMs);
            if (beforeMs >= 0) expect(machine.nowMs - beforeMs).toBeLessThanOrEqual(intervalMaxMs);
            beforeMs = machine.nowMs;
          }
        },
      ),
    );
  });

  test('a tick before its time does nothing', () => {
    const machine = new Machine();
    machine.networks(ON_NODE1);
    const before = machine.state;
    expect(advertiserStep(before, { type: 'tick' }, 1_499, () => 0)).toEqual([before, []]);
  });

  test('a network without guests is passed over, and not again at once', () => {
    const machine = new Machine();
    machine.networks({ ...ON_NODE1, ofports: [] });
    expect(machine.wake()).toEqual([]);
    expect(advertiserWakeMs(machine.state)).toBeGreaterThan(machine.nowMs);
  });
});

describe('what changes', () => {
  const settled = (): Machine => {
    const machine = new Machine();
    machine.networks(ON_NODE1);
    for (let count = 0; count < 4; count++) machine.wake();
    return machine;
  };

  test('a network that advertises nothing is left alone', () => {
    const machine = new Machine();
    expect(machine.networks({ ...ON_NODE1, network: GREEN })).toEqual([]);
    expect(advertiserWakeMs(machine.state)).toBeUndefined();
  });

  test('another guest is told in turn, with the others', () => {
    const machine = settled();
    const dueMs = advertiserWakeMs(machine.state);
    expect(machine.networks({ ...ON_NODE1, ofports: [1, 3, 4] })).toEqual([]);
    expect(advertiserWakeMs(machine.state)).toBe(dueMs);
    expect(machine.wake()).toEqual([SAYS.replace('1,3', '1,3,4')]);
  });

  test('another MTU is told soon, three seconds after the last at the earliest', () => {
    const machine = settled();
    const sentMs = machine.nowMs;
    machine.networks({ ...ON_NODE1, network: { ...BLUE, mtu: 1400 } });
    expect(advertiserWakeMs(machine.state)).toBe(sentMs + ADVERTISING.delayMinMs);
    machine.wake();
    expect((advertiserWakeMs(machine.state) ?? 0) - machine.nowMs).toBe(ADVERTISING.initialIntervalMaxMs);
  });

  test('a router that leaves says so at once', () => {
    const machine = settled();
    expect(machine.networks({ ...ON_NODE1, network: { ...BLUE, interfaces: [] } })).toEqual([WITHDRAWS]);
    expect(advertiserWakeMs(machine.state)).toBeUndefined();
    expect(machine.networks({ ...ON_NODE1, network: { ...BLUE, interfaces: [] } })).toEqual([]);
  });

  test('a host that has the network no longer is forgotten', () => {
    const machine = settled();
    expect(machine.networks()).toEqual([]);
    expect(machine.state.networks.size).toBe(0);
  });
});
