/** The channel's state machine, by table and with a clock of our own. */
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import {
  type ChannelEffect,
  type ChannelEvent,
  type ChannelState,
  channelStep,
  channelWakeMs,
  HANDSHAKE_XIDS,
  INITIAL_CHANNEL,
} from '../../src/openflow/channel.ts';
import type { Message, Port } from '../../src/openflow/messages.ts';

const NO_DATA = new Uint8Array(0);

function port(number: number): Port {
  const rates = { current: 0, advertised: 0, supported: 0, peer: 0, currentSpeedKbps: 0, maxSpeedKbps: 0 };
  return { port: number, macAddress: 0xaa_00_00_00_00_00 + number, name: `p${number}`, config: 0, state: 4, ...rates };
}

const hello: Message = { type: 'hello', xid: 9, version: 6, versions: [1, 4, 6] };
const features: Message = {
  type: 'featuresReply',
  xid: HANDSHAKE_XIDS.features,
  dpid: 0xa1n,
  bufferCount: 0,
  tableCount: 254,
  auxiliaryId: 0,
  capabilities: 0x4f,
};
const packetIn: Message = { type: 'packetIn2', xid: 0, data: NO_DATA, match: {} };
const portStatus: Message = { type: 'portStatus', xid: 0, reason: 0, port: port(9) };

function portDesc(more: boolean, ...ports: readonly number[]): Message {
  const body = { kind: 'portDesc', ports: ports.map(port) } as const;
  return { type: 'multipartReply', xid: HANDSHAKE_XIDS.portDesc, more, body };
}

function error(xid: number): Message {
  return { type: 'error', xid, version: 4, errorType: 1, code: 1, name: 'OFPBRC_BAD_TYPE', data: NO_DATA };
}

function received(message: Message): ChannelEvent {
  return { type: 'message', message };
}

/** Effects as short words: `send hello`, `deliver packetIn2`, `drop SILENT`. */
function words(effects: readonly ChannelEffect[]): string[] {
  return effects.map((effect) => {
    switch (effect.type) {
      case 'send':
      case 'deliver':
        return `${effect.type} ${effect.message.type}`;
      case 'established':
        return `established ${effect.features.dpid.toString(16)} ports ${effect.ports.map((each) => each.port)}`;
      case 'drop':
        return `drop ${effect.code}`;
      default:
        return effect.type;
    }
  });
}

type Line = readonly [atMs: number, event: ChannelEvent, effects: readonly string[]];

function play(lines: readonly Line[], from: ChannelState = INITIAL_CHANNEL): ChannelState {
  let state = from;
  for (const [atMs, event, expected] of lines) {
    const [next, effects] = channelStep(state, event, atMs);
    expect(words(effects), `${event.type} at ${atMs} ms`).toEqual(expected);
    state = next;
  }
  return state;
}

const OPEN: Line = [0, { type: 'opened' }, ['send hello']];
const SETUP = [
  'send featuresRequest',
  'send setConfig',
  'send setPacketInFormat',
  'send setAsync',
  'send multipartRequest',
];
const HELLO: Line = [1, received(hello), SETUP];
const ESTABLISH: readonly Line[] = [
  OPEN,
  HELLO,
  [2, received(features), []],
  [3, received(portDesc(false, 1, 2)), ['established a1 ports 1,2']],
];

describe('handshake', () => {
  test('HELLO both ways, features, ports in several parts', () => {
    const state = play([
      OPEN,
      HELLO,
      [2, received(portDesc(true, 1)), []],
      [3, received(features), []],
      [4, received(portDesc(false, 2, 3)), ['established a1 ports 1,2,3']],
    ]);
    expect(state.phase).toBe('established');
  });

  test('echo requests are answered before the handshake is through', () => {
    const echo: Message = { type: 'echoRequest', xid: 77, data: new Uint8Array([1, 2]) };
    const state = play([OPEN, HELLO]);
    const [, effects] = channelStep(state, received(echo), 5);
    expect(effects).toEqual([{ type: 'send', message: { type: 'echoReply', xid: 77, data: new Uint8Array([1, 2]) } }]);
  });

  test('what the switch says early is delivered after, except port changes that PORT_DESC already tells', () => {
    play([
      OPEN,
      HELLO,
      [2, received(packetIn), []],
      [2, received(portStatus), []],
      [3, received(portDesc(false, 1)), []],
      [3, received(portStatus), []],
      [4, received(features), ['established a1 ports 1', 'deliver packetIn2', 'deliver portStatus']],
    ]);
  });

  test('early messages are bounded', () => {
    let state = play([OPEN, HELLO]);
    for (let index = 0; index < LIMITS.earlyMessages + 10; index += 1) {
      [state] = channelStep(state, received(packetIn), 2);
    }
    [state] = channelStep(state, received(features), 3);
    const [, effects] = channelStep(state, received(portDesc(false)), 3);
    expect(effects).toHaveLength(1 + LIMITS.earlyMessages);
  });

  test('a peer without NXT_SET_PACKET_IN_FORMAT is taken all the same', () => {
    play([OPEN, HELLO, [2, received(error(HANDSHAKE_XIDS.setPacketInFormat)), ['note']], ...ESTABLISH.slice(2)]);
  });

  test.each<[string, Message, string[]]>([
    ['a bitmap with 1.3 under a higher header', { ...hello, version: 6, versions: [4, 6] }, SETUP],
    ['no bitmap and exactly 1.3', { type: 'hello', xid: 1, version: 4 }, SETUP],
    ['no bitmap and a higher version', { type: 'hello', xid: 1, version: 6 }, SETUP],
    ['no bitmap and 1.0', { type: 'hello', xid: 1, version: 1 }, ['send error', 'drop VERSION_REFUSED']],
    ['a bitmap without 1.3', { ...hello, versions: [1, 2, 5] }, ['send error', 'drop VERSION_REFUSED']],
    ['an empty bitmap', { ...hello, versions: [] }, ['send error', 'drop VERSION_REFUSED']],
    ['an error', error(1), ['drop REFUSED_BY_PEER']],
    ['something before HELLO', packetIn, ['drop PROTOCOL_VIOLATION']],
  ])('the first message is %s', (_name, message, effects) => {
    play([OPEN, [1, received(message), effects]]);
  });

  test('the refusal is OFPET_HELLO_FAILED, OFPHFC_INCOMPATIBLE under the xid of the HELLO', () => {
    const [, effects] = channelStep(play([OPEN]), received({ ...hello, xid: 0x55, versions: [1] }), 1);
    expect(effects[0]).toMatchObject({ type: 'send', message: { type: 'error', xid: 0x55, errorType: 0, code: 0 } });
    expect(effects[1]).toMatchObject({ reason: expect.stringContaining('wire versions 1, not 4') });
  });

  test.each<[string, Message, string]>([
    ['a second HELLO', hello, 'drop PROTOCOL_VIOLATION'],
    ['a refusal of FEATURES_REQUEST', error(HANDSHAKE_XIDS.features), 'drop REFUSED_BY_PEER'],
    ['an auxiliary connection', { ...features, auxiliaryId: 1 } as Message, 'drop PROTOCOL_VIOLATION'],
    ['a multipart reply to nothing', { ...portDesc(false), xid: 99 }, 'drop PROTOCOL_VIOLATION'],
  ])('during setup, %s ends it', (_name, message, effect) => {
    play([OPEN, HELLO, [2, received(message), [effect]]]);
  });

  test('a peer that never says HELLO is dropped at the deadline, not before', () => {
    play([
      OPEN,
      [LIMITS.handshakeTimeoutMs - 1, { type: 'tick' }, []],
      [LIMITS.handshakeTimeoutMs, { type: 'tick' }, ['drop HANDSHAKE_TIMEOUT']],
      [LIMITS.handshakeTimeoutMs + 1, received(hello), []],
    ]);
  });

  test('HELLO does not extend the deadline', () => {
    const state = play([OPEN, [4_000, received(hello), SETUP]]);
    expect(channelWakeMs(state)).toBe(LIMITS.handshakeTimeoutMs);
    play([[LIMITS.handshakeTimeoutMs, { type: 'tick' }, ['drop HANDSHAKE_TIMEOUT']]], state);
  });

  test.each<ChannelEvent>([
    { type: 'garbage', reason: 'length 0' },
    { type: 'unreadable', reason: 'short body' },
  ])('$type before the handshake is through drops the peer', (event) => {
    play([OPEN, [1, event, ['drop GARBAGE']]]);
    play([OPEN, HELLO, [1, event, ['drop GARBAGE']]]);
  });
});

describe('established', () => {
  const interval = LIMITS.echoIntervalMs;

  test('silence is probed once, and ends the connection after as much again', () => {
    const state = play(ESTABLISH);
    expect(channelWakeMs(state)).toBe(3 + interval);
    play(
      [
        [2 + interval, { type: 'tick' }, []],
        [3 + interval, { type: 'tick' }, ['send echoRequest']],
        [2 + 2 * interval, { type: 'tick' }, []],
        [3 + 2 * interval, { type: 'tick' }, ['drop SILENT']],
      ],
      state,
    );
  });

  test.each<[string, Message]>([
    ['the echo reply', { type: 'echoReply', xid: HANDSHAKE_XIDS.echo, data: NO_DATA }],
    ['any message', packetIn],
  ])('%s is a sign of life', (_name, message) => {
    let state = play(ESTABLISH);
    [state] = channelStep(state, { type: 'tick' }, 3 + interval);
    [state] = channelStep(state, received(message), 4 + interval);
    expect(channelWakeMs(state)).toBe(4 + 2 * interval);
  });

  test('messages are delivered, errors too', () => {
    play([...ESTABLISH, [5, received(packetIn), ['deliver packetIn2']], [5, received(error(700)), ['deliver error']]]);
  });

  test('unreadable bodies are left out up to a bound; lost framing ends it at once', () => {
    let state = play(ESTABLISH);
    for (let index = 0; index < LIMITS.unreadableMessages; index += 1) {
      state = play([[5, { type: 'unreadable', reason: 'bad TLV' }, ['note']]], state);
    }
    play([[5, { type: 'unreadable', reason: 'bad TLV' }, ['drop GARBAGE']]], state);
    play([...ESTABLISH, [5, { type: 'garbage', reason: 'length 0' }, ['drop GARBAGE']]]);
  });

  test('the end comes once, with its reason, and nothing after it', () => {
    const state = play([
      ...ESTABLISH,
      [5, { type: 'ended', code: 'ENDED', reason: 'the peer closed' }, ['drop ENDED']],
      [6, { type: 'ended', code: 'CLOSED', reason: 'again' }, []],
      [7, received(packetIn), []],
      [99_999, { type: 'tick' }, []],
    ]);
    expect(state).toEqual({ phase: 'closed', code: 'ENDED', reason: 'the peer closed' });
    expect(channelWakeMs(state)).toBeUndefined();
  });
});
