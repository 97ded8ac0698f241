/**
 * The OpenFlow channel as a pure state machine: from the first HELLO to liveness, for one connection, whoever called whom.
 * Serves connection.ts, which owns the socket and does what the effects say. No socket, no timer, no clock in here.
 *
 *     idle --opened--> hello --HELLO--> setup --FEATURES_REPLY and all of PORT_DESC--> established
 *       any phase --bad peer, silence, end--> closed (once, with the reason)
 *
 * OpenFlow 1.3.5 §6.3: both sides say HELLO at once. The requests of setup go out together, so that a bridge is established
 * after two round trips.
 */
import { LIMITS } from '../lib/limits.ts';
import { OPENFLOW_VERSION } from './flow-codec.ts';
import { type AsyncConfig, type Message, type MessageOf, PACKET_IN_FORMATS, type Port } from './messages.ts';

/** Transaction ids of the handshake; connection.ts counts its own from FIRST_FREE_XID. */
export const HANDSHAKE_XIDS = {
  hello: 1,
  features: 2,
  setConfig: 3,
  setAsync: 4,
  setPacketInFormat: 5,
  portDesc: 6,
  echo: 7,
} as const;
export const FIRST_FREE_XID = 0x100;

/** OFPET_HELLO_FAILED, OFPHFC_INCOMPATIBLE (OpenFlow 1.3.5 §7.4.4.1). */
const HELLO_FAILED = { errorType: 0, code: 0, name: 'OFPHFC_INCOMPATIBLE' } as const;

/**
 * Which asynchronous messages we want: all packet-ins, invalid_ttl (bit 2) too, which OpenFlow 1.3 masks by default; all port
 * status; all flow-removed. As slave only port status.
 */
const ASYNC: AsyncConfig = { packetIn: [0b111, 0], portStatus: [0b111, 0b111], flowRemoved: [0b1111, 0] };

/** OFPCML_NO_BUFFER; a .mgmt socket sends asynchronous messages only after a SET_CONFIG that is not 0 here. */
const MISS_SEND_LENGTH = 0xffff;

export type ChannelDropCode =
  /** Too many others shake hands. */
  | 'TOO_MANY_HANDSHAKES'
  | 'HANDSHAKE_TIMEOUT'
  | 'VERSION_REFUSED'
  | 'PROTOCOL_VIOLATION'
  | 'GARBAGE'
  | 'REFUSED_BY_PEER'
  | 'SILENT'
  | 'SLOW_READER'
  | 'REQUEST_TIMEOUT'
  | 'ENDED'
  | 'REPLACED'
  | 'CLOSED';

export type Features = MessageOf<'featuresReply'>;

export type ChannelState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'hello'; readonly deadlineMs: number }
  | {
      readonly phase: 'setup';
      readonly deadlineMs: number;
      readonly features: Features | undefined;
      readonly ports: readonly Port[];
      /** The last part of PORT_DESC has come. */
      readonly portsKnown: boolean;
      /** What the peer sent of its own accord meanwhile; delivered once established. */
      readonly early: readonly Message[];
    }
  | {
      readonly phase: 'established';
      readonly heardMs: number;
      /** When the ECHO_REQUEST went out that is not answered yet. */
      readonly probedMs: number | undefined;
      /** Well-framed messages whose body could not be read. */
      readonly unreadable: number;
    }
  | { readonly phase: 'closed'; readonly code: ChannelDropCode; readonly reason: string };

export type ChannelEvent =
  | { readonly type: 'opened' }
  | { readonly type: 'message'; readonly message: Message }
  /** A message came that the state machine need not see. */
  | { readonly type: 'heard' }
  /** Bytes that cannot be cut into messages: nothing after them can be trusted. */
  | { readonly type: 'garbage'; readonly reason: string }
  /** One message whose frame is right and whose body is not. */
  | { readonly type: 'unreadable'; readonly reason: string }
  /** Time passed: `wakeMs` is reached, or may be. */
  | { readonly type: 'tick' }
  /** The socket ended or failed, or our side gives the connection up. */
  | { readonly type: 'ended'; readonly code: ChannelDropCode; readonly reason: string };

export type ChannelEffect =
  /** Goes ahead of everything that waits to be sent. */
  | { readonly type: 'send'; readonly message: Message }
  | { readonly type: 'established'; readonly features: Features; readonly ports: readonly Port[] }
  /** For the requests and callbacks of an established connection. */
  | { readonly type: 'deliver'; readonly message: Message }
  /** Worth a line, changes nothing. */
  | { readonly type: 'note'; readonly reason: string }
  /** Send what waits, end the socket, tell the owner. Comes once. */
  | { readonly type: 'drop'; readonly code: ChannelDropCode; readonly reason: string };

export type ChannelStep = readonly [ChannelState, readonly ChannelEffect[]];

export const INITIAL_CHANNEL: ChannelState = { phase: 'idle' };

const NOTHING: readonly ChannelEffect[] = [];

/** When the machine wants its next tick; undefined: never. */
export function channelWakeMs(state: ChannelState): number | undefined {
  switch (state.phase) {
    case 'hello':
    case 'setup':
      return state.deadlineMs;
    case 'established':
      return (state.probedMs ?? state.heardMs) + LIMITS.echoIntervalMs;
    default:
      return undefined;
  }
}

/** One step. `nowMs` is any monotonic clock. */
export function channelStep(state: ChannelState, event: ChannelEvent, nowMs: number): ChannelStep {
  if (state.phase === 'closed') return [state, NOTHING];
  switch (event.type) {
    case 'ended':
      return drop(event.code, event.reason);
    case 'garbage':
      return drop('GARBAGE', event.reason);
    case 'opened':
      return opened(state, nowMs);
    case 'tick':
      return tick(state, nowMs);
    case 'heard':
      return state.phase === 'established' ? [heard(state, nowMs), NOTHING] : [state, NOTHING];
    case 'unreadable':
      return unreadable(state, event.reason);
    case 'message':
      return message(state, event.message, nowMs);
  }
}

function drop(code: ChannelDropCode, reason: string, first: readonly ChannelEffect[] = NOTHING): ChannelStep {
  return [{ phase: 'closed', code, reason }, [...first, { type: 'drop', code, reason }]];
}

function opened(state: ChannelState, nowMs: number): ChannelStep {
  if (state.phase !== 'idle') return [state, NOTHING];
  const hello: Message = {
    type: 'hello',
    xid: HANDSHAKE_XIDS.hello,
    version: OPENFLOW_VERSION,
    versions: [OPENFLOW_VERSION],
  };
  return [{ phase: 'hello', deadlineMs: nowMs + LIMITS.handshakeTimeoutMs }, [{ type: 'send', message: hello }]];
}

function tick(state: ChannelState, nowMs: number): ChannelStep {
  const wakeMs = channelWakeMs(state);
  if (wakeMs === undefined || nowMs < wakeMs) return [state, NOTHING];
  switch (state.phase) {
    case 'hello':
      return drop('HANDSHAKE_TIMEOUT', `no HELLO within ${LIMITS.handshakeTimeoutMs} ms`);
    case 'setup': {
      const missing = state.features === undefined ? 'FEATURES_REPLY' : 'PORT_DESC reply';
      return drop('HANDSHAKE_TIMEOUT', `no ${missing} within ${LIMITS.handshakeTimeoutMs} ms`);
    }
    case 'established':
      if (state.probedMs !== undefined) {
        return drop('SILENT', `no answer to ECHO_REQUEST within ${LIMITS.echoIntervalMs} ms`);
      }
      return [
        { ...state, probedMs: nowMs },
        [{ type: 'send', message: { type: 'echoRequest', xid: HANDSHAKE_XIDS.echo, data: NO_DATA } }],
      ];
    default:
      return [state, NOTHING];
  }
}

const NO_DATA = new Uint8Array(0);

/**
 * Before the handshake is through, a peer that talks nonsense is no switch. After it, one body that we cannot read must not
 * cost a bridge its controller: the message is left out and counted, up to a bound.
 */
function unreadable(state: ChannelState, reason: string): ChannelStep {
  if (state.phase !== 'established') return drop('GARBAGE', reason);
  if (state.unreadable + 1 > LIMITS.unreadableMessages) {
    return drop('GARBAGE', `more than ${LIMITS.unreadableMessages} unreadable messages, the last: ${reason}`);
  }
  return [{ ...state, unreadable: state.unreadable + 1 }, [{ type: 'note', reason }]];
}

function message(state: ChannelState, received: Message, nowMs: number): ChannelStep {
  switch (state.phase) {
    case 'hello':
      return inHello(state, received, nowMs);
    case 'setup':
      return inSetup(state, received, nowMs);
    case 'established':
      return inEstablished(state, received, nowMs);
    default:
      return drop('PROTOCOL_VIOLATION', `${received.type} on a connection that is not open`);
  }
}

function inHello(state: ChannelState, received: Message, nowMs: number): ChannelStep {
  if (received.type === 'error') return drop('REFUSED_BY_PEER', `the peer answered HELLO with ${received.name}`);
  if (received.type !== 'hello') return drop('PROTOCOL_VIOLATION', `${received.type} before HELLO`);
  // OpenFlow 1.3.5 §6.3.1: with both bitmaps the highest common version, else the lower of the two headers.
  const agreed =
    received.versions === undefined
      ? received.version >= OPENFLOW_VERSION
      : received.versions.includes(OPENFLOW_VERSION);
  if (!agreed) {
    const spoken = received.versions ?? [received.version];
    const reason = `the peer speaks OpenFlow wire versions ${spoken.join(', ')}, not ${OPENFLOW_VERSION} (OpenFlow 1.3)`;
    const refusal: Message = {
      type: 'error',
      xid: received.xid,
      version: OPENFLOW_VERSION,
      ...HELLO_FAILED,
      data: new TextEncoder().encode('heddle speaks OpenFlow 1.3 only'),
    };
    return drop('VERSION_REFUSED', reason, [{ type: 'send', message: refusal }]);
  }
  const deadlineMs = state.phase === 'hello' ? state.deadlineMs : nowMs + LIMITS.handshakeTimeoutMs;
  return [{ phase: 'setup', deadlineMs, features: undefined, ports: [], portsKnown: false, early: [] }, SETUP_EFFECTS];
}

const SETUP_MESSAGES: readonly Message[] = [
  { type: 'featuresRequest', xid: HANDSHAKE_XIDS.features },
  { type: 'setConfig', xid: HANDSHAKE_XIDS.setConfig, flags: 0, missSendLength: MISS_SEND_LENGTH },
  { type: 'setPacketInFormat', xid: HANDSHAKE_XIDS.setPacketInFormat, format: PACKET_IN_FORMATS.packetIn2 },
  { type: 'setAsync', xid: HANDSHAKE_XIDS.setAsync, ...ASYNC },
  { type: 'multipartRequest', xid: HANDSHAKE_XIDS.portDesc, more: false, body: { kind: 'portDesc' } },
];

const SETUP_EFFECTS: readonly ChannelEffect[] = SETUP_MESSAGES.map((sent) => ({ type: 'send', message: sent }));

type SetupState = Extract<ChannelState, { phase: 'setup' }>;

function inSetup(state: SetupState, received: Message, nowMs: number): ChannelStep {
  switch (received.type) {
    case 'hello':
      return drop('PROTOCOL_VIOLATION', 'a second HELLO');
    case 'echoRequest':
      return [state, [echoReply(received)]];
    case 'featuresReply':
      if (received.auxiliaryId !== 0)
        return drop('PROTOCOL_VIOLATION', 'an auxiliary connection: only main ones are taken');
      return establishedIfWhole({ ...state, features: received }, nowMs);
    case 'multipartReply': {
      if (received.xid !== HANDSHAKE_XIDS.portDesc || received.body.kind !== 'portDesc') {
        return drop('PROTOCOL_VIOLATION', `a ${received.body.kind} reply that nobody asked for`);
      }
      const ports = [...state.ports, ...received.body.ports];
      if (ports.length > LIMITS.portsPerBridge) {
        return drop('PROTOCOL_VIOLATION', `more than ${LIMITS.portsPerBridge} ports in PORT_DESC`);
      }
      return establishedIfWhole({ ...state, ports, portsKnown: !received.more }, nowMs);
    }
    case 'error':
      // Options that only Open vSwitch knows: without them there are fewer packet-ins, not fewer flows.
      if (received.xid === HANDSHAKE_XIDS.setPacketInFormat || received.xid === HANDSHAKE_XIDS.setAsync) {
        return [state, [{ type: 'note', reason: `the peer refused an option of packet-ins: ${received.name}` }]];
      }
      return drop('REFUSED_BY_PEER', `the peer refused the handshake: ${received.name}`);
    case 'portStatus':
      // What came before the PORT_DESC reply is in it, and may be older than it.
      return state.portsKnown ? keepEarly(state, received) : [state, NOTHING];
    case 'packetIn':
    case 'packetIn2':
    case 'flowRemoved':
      return keepEarly(state, received);
    default:
      return [state, NOTHING];
  }
}

/** The switch may talk as soon as SET_CONFIG has arrived. More than a few: it floods, and what is lost is packet-ins. */
function keepEarly(state: SetupState, received: Message): ChannelStep {
  if (state.early.length >= LIMITS.earlyMessages) return [state, NOTHING];
  return [{ ...state, early: [...state.early, received] }, NOTHING];
}
function establishedIfWhole(state: SetupState, nowMs: number): ChannelStep {
  const { features, portsKnown, ports, early } = state;
  if (features === undefined || !portsKnown) return [state, NOTHING];
  return [
    { phase: 'established', heardMs: nowMs, probedMs: undefined, unreadable: 0 },
    [
      { type: 'established', features, ports },
      ...early.map((kept): ChannelEffect => ({ type: 'deliver', message: kept })),
    ],
  ];
}

type EstablishedState = Extract<ChannelState, { phase: 'established' }>;

function heard(state: EstablishedState, nowMs: number): EstablishedState {
  return { ...state, heardMs: nowMs, probedMs: undefined };
}

function inEstablished(state: EstablishedState, received: Message, nowMs: number): ChannelStep {
  const next = heard(state, nowMs);
  switch (received.type) {
    case 'echoRequest':
      return [next, [echoReply(received)]];
    case 'echoReply':
      return [next, NOTHING];
    case 'hello':
      return drop('PROTOCOL_VIOLATION', 'a second HELLO');
    default:
      return [next, [{ type: 'deliver', message: received }]];
  }
}

function echoReply(request: MessageOf<'echoRequest'>): ChannelEffect {
  return { type: 'send', message: { type: 'echoReply', xid: request.xid, data: request.data } };
}
