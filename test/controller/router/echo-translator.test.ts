/** Pings of one identifier behind one gateway (src/controller/router/echo-translator.ts). */
import { describe, expect, test } from 'vitest';
import { type EchoState, translateReply, translateRequest } from '../../../src/controller/router/echo-translator.ts';
import { LIMITS } from '../../../src/lib/limits.ts';
import { decodePacket } from '../../../src/packet/decode.ts';
import { encodePacket } from '../../../src/packet/encode.ts';

const GATEWAY = 0xcb007115;
const RECEIVER = 0xc633640a;

function ping(type: 0 | 8, source: number, destination: number, id: number): Uint8Array {
  const payload = {
    kind: 'icmpv4',
    type,
    code: 0,
    rest: ((id << 16) | 1) >>> 0,
    data: Uint8Array.of(1, 2, 3),
  } as const;
  const header = { tos: 0, identification: 7, dontFragment: true, moreFragments: false, fragmentOffset: 0, ttl: 62 };
  const ip = { kind: 'ipv4', source, destination, ...header, options: new Uint8Array(), payload } as const;
  return encodePacket({ destination: 2, source: 4, vlans: [], payload: ip });
}

function seen(packet: Uint8Array | undefined) {
  const { payload } = decodePacket(packet ?? new Uint8Array());
  if (payload.kind !== 'ipv4' || payload.payload.kind !== 'icmpv4') throw new Error('no ping');
  const { source, destination, ttl } = payload;
  return { source, destination, ttl, id: payload.payload.rest >>> 16 };
}

const request = (state: EchoState, guest: number, nowMs = 0, routerId = 'r') =>
  translateRequest(state, { packet: ping(8, guest, RECEIVER, 777), routerId, gatewayIp: GATEWAY }, nowMs);

describe('a ping', () => {
  test('leaves as the gateway with an identifier of its own, and its answer finds back', () => {
    const [state, outside] = request(new Map(), 0x0a00000b);
    const { id, ...rest } = seen(outside);
    expect(rest).toEqual({ source: GATEWAY, destination: RECEIVER, ttl: 61 });
    expect(id).not.toBe(777);
    const reply = translateReply(state, { packet: ping(0, RECEIVER, GATEWAY, id), routerId: 'r' });
    expect(seen(reply)).toMatchObject({ source: RECEIVER, destination: 0x0a00000b, id: 777 });
  });

  test('keeps its identifier, and shares it with nobody', () => {
    const [one, first] = request(new Map(), 0x0a00000b);
    const [two, second] = request(one, 0x0a00000c);
    const [, again] = request(two, 0x0a00000b, 1_000);
    expect(seen(second).id).not.toBe(seen(first).id);
    expect(seen(again).id).toBe(seen(first).id);
  });

  test('is forgotten when it has ended, and its identifier is free', () => {
    const [one, first] = request(new Map(), 0x0a00000b);
    const [two, second] = request(one, 0x0a00000c, 60_000);
    expect([two.size, seen(second).id]).toEqual([1, seen(first).id]);
  });
});

test('an answer to nobody, of another router, or that is none, is left alone', () => {
  const [state, outside] = request(new Map(), 0x0a00000b);
  const { id } = seen(outside);
  expect(translateReply(state, { packet: ping(0, RECEIVER + 1, GATEWAY, id), routerId: 'r' })).toBeUndefined();
  expect(translateReply(state, { packet: ping(0, RECEIVER, GATEWAY, id), routerId: 's' })).toBeUndefined();
  expect(translateReply(state, { packet: ping(8, RECEIVER, GATEWAY, id), routerId: 'r' })).toBeUndefined();
});

test('no more are remembered than there is room for', () => {
  let state: EchoState = new Map();
  for (let guest = 1; guest <= LIMITS.translatedEchoes + 10; guest++) [state] = request(state, guest);
  expect(state.size).toBe(LIMITS.translatedEchoes);
});
