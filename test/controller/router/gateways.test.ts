/** Finding addresses outside: who is asked when, what is remembered, what waits (src/controller/router/gateways.ts). */
import { describe, expect, test } from 'vitest';
import {
  ASKING,
  type OutsideEffect,
  type OutsideEvent,
  type OutsideState,
  outsideStep,
  outsideWakeMs,
  rememberedOutside,
} from '../../../src/controller/router/gateways.ts';
import { LIMITS } from '../../../src/lib/limits.ts';
import { decodePacket } from '../../../src/packet/decode.ts';

interface Packet {
  readonly packet: Uint8Array;
  readonly name: string;
}

const GATEWAY = { host: 'node1', networkId: 'public', ip: 0xcb007101 };
const OTHER = { ...GATEWAY, ip: 0xcb007163 };
const MAC = 0x0e000000ee01;
const ASKER = { mac: 0xfa163f000001, ip: 0xcb00711f };

const packet = (name: string): Packet => ({ packet: new Uint8Array(), name });

/** A machine with a clock. */
class Machine {
  state: OutsideState<Packet> = new Map();
  nowMs = 0;
  hasAsker = true;

  step(event: OutsideEvent<Packet>): readonly OutsideEffect<Packet>[] {
    const [state, effects] = outsideStep(this.state, event, this.nowMs, () => (this.hasAsker ? ASKER : undefined));
    this.state = state;
    return effects;
  }

  /** To when the machine next wants it. */
  wake(): readonly OutsideEffect<Packet>[] {
    this.nowMs = outsideWakeMs(this.state) ?? this.nowMs;
    return this.step({ type: 'tick' });
  }

  claim(mac = MAC, { ip } = GATEWAY): readonly OutsideEffect<Packet>[] {
    return this.step({ type: 'claim', host: 'node1', networkId: 'public', claim: { ip, mac } });
  }
}

const kinds = (effects: readonly OutsideEffect<Packet>[]) => effects.map(({ type }) => type);
const receivers = (effects: readonly OutsideEffect<Packet>[]) =>
  effects.flatMap((effect) => (effect.type === 'ask' ? decodePacket(effect.packet).destination : []));

describe('what is always needed', () => {
  test('is asked for at once, of everyone, and set when it answers', () => {
    const machine = new Machine();
    expect(receivers(machine.step({ type: 'needed', places: [GATEWAY] }))).toEqual([0xffffffffffff]);
    expect(machine.claim()).toEqual([{ type: 'set', place: GATEWAY, mac: MAC }]);
    expect(machine.claim()).toEqual([]);
    expect(machine.step({ type: 'needed', places: [GATEWAY] })).toEqual([]);
  });

  test('is asked again after a while, of itself alone, and moves when another answers', () => {
    const machine = new Machine();
    machine.step({ type: 'needed', places: [GATEWAY] });
    machine.claim();
    expect(receivers(machine.wake())).toEqual([MAC]);
    expect(machine.nowMs).toBe(ASKING.knownMs);
    expect(machine.claim(MAC + 1)).toEqual([{ type: 'set', place: GATEWAY, mac: MAC + 1 }]);
  });

  test('keeps its MAC while it is silent, and everyone is asked for it', () => {
    const machine = new Machine();
    machine.step({ type: 'needed', places: [GATEWAY] });
    machine.claim();
    const asked = Array.from({ length: 8 }, () => machine.wake());
    expect(new Set(asked.flatMap(kinds))).toEqual(new Set(['ask']));
    expect(asked.flatMap(receivers)).toEqual([MAC, MAC, MAC, ...Array(5).fill(0xffffffffffff)]);
    expect(machine.claim()).toEqual([]);
  });

  test('is unset when it is needed no more and nobody can ask', () => {
    const machine = new Machine();
    machine.step({ type: 'needed', places: [GATEWAY] });
    machine.claim();
    machine.hasAsker = false;
    expect(machine.step({ type: 'needed', places: [] })).toEqual([{ type: 'unset', place: GATEWAY }]);
    expect(machine.state.size).toBe(0);
  });

  test('that was known in an earlier life counts, and is asked for soon', () => {
    const machine = new Machine();
    machine.state = rememberedOutside([{ place: GATEWAY, mac: MAC }], 0);
    expect(machine.step({ type: 'needed', places: [GATEWAY] })).toEqual([]);
    expect(receivers(machine.wake())).toEqual([MAC]);
    expect(machine.claim()).toEqual([]);
  });
});

describe('a packet for somebody outside', () => {
  test('waits for the answer, and goes on', () => {
    const machine = new Machine();
    expect(kinds(machine.step({ type: 'packet', place: OTHER, packet: packet('first') }))).toEqual(['ask']);
    expect(machine.step({ type: 'packet', place: OTHER, packet: packet('second') })).toEqual([]);
    const effects = machine.claim(MAC, OTHER);
    expect(kinds(effects)).toEqual(['set', 'goOn', 'goOn']);
    expect(kinds(machine.step({ type: 'packet', place: OTHER, packet: packet('third') }))).toEqual(['goOn']);
  });

  test('is given up when nobody answers, and asked for anew after a while', () => {
    const machine = new Machine();
    machine.step({ type: 'packet', place: OTHER, packet: packet('first') });
    expect([machine.wake(), machine.wake(), machine.wake()].map(kinds)).toEqual([['ask'], ['ask'], ['unanswered']]);
    expect(kinds(machine.step({ type: 'packet', place: OTHER, packet: packet('later') }))).toEqual(['unanswered']);
    expect(machine.wake()).toEqual([]);
    expect(machine.state.size).toBe(0);
    expect(kinds(machine.step({ type: 'packet', place: OTHER, packet: packet('anew') }))).toEqual(['ask']);
  });

  test('finds room with so many others', () => {
    const machine = new Machine();
    for (let count = 0; count < LIMITS.heldPacketsPerAddress; count++) {
      expect(kinds(machine.step({ type: 'packet', place: OTHER, packet: packet('one') }))).not.toContain('refused');
    }
    const [refused] = machine.step({ type: 'packet', place: OTHER, packet: packet('last') });
    expect(refused).toMatchObject({ type: 'refused', refusal: 'tooManyForAddress' });
  });

  test('whose receiver falls silent is asked for anew', () => {
    const machine = new Machine();
    machine.step({ type: 'packet', place: OTHER, packet: packet('first') });
    machine.claim(MAC, OTHER);
    const effects = [machine.wake(), machine.wake(), machine.wake(), machine.wake()];
    expect(effects.map(kinds)).toEqual([['ask'], ['ask'], ['ask'], ['unset']]);
  });
});

test('what nobody asked for is not believed', () => {
  expect(new Machine().claim()).toEqual([]);
});
