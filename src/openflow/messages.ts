/**
 * OpenFlow 1.3 messages as values: what codec.ts reads and writes, and what the channel and the switch side speak in.
 * Names follow OpenFlow 1.3.5 in camelCase; a field of the wire that says nothing (pad, length) is not here.
 */
import type { Action } from '../flow/action.ts';
import type { Flow, Match } from '../flow/flow.ts';
import type { Group } from '../flow/group.ts';
import type { Meter } from '../flow/meter.ts';
import type { Ip } from '../lib/addresses.ts';
import type { MultipartReply, MultipartRequest } from './multipart.ts';

export { type Bucket, GROUP_TYPES, type Group, type GroupType } from '../flow/group.ts';
export { METER_CONTROLLER, METER_FLAGS, type Meter, type MeterBand } from '../flow/meter.ts';
export type * from './multipart.ts';

/** "No buffer": the packet travels in the message. OVS never buffers. */
export const NO_BUFFER = 0xffffffff;
/** Any group (OFPG_ANY), all groups (OFPG_ALL); any table and all tables (OFPTT_ALL); all meters (OFPM_ALL). */
export const GROUP_ANY = 0xffffffff;
export const GROUP_ALL = 0xfffffffc;
export const TABLE_ALL = 0xff;
export const METER_ALL = 0xffffffff;

/** OpenFlow 1.3.5 §7.3.4.1 */
export const FLOW_MOD_COMMANDS = { add: 0, modify: 1, modifyStrict: 2, delete: 3, deleteStrict: 4 } as const;
/** OpenFlow 1.3.5 §7.3.4.2 and §7.3.4.3 */
export const GROUP_MOD_COMMANDS = { add: 0, modify: 1, delete: 2 } as const;
export const METER_MOD_COMMANDS = { add: 0, modify: 1, delete: 2 } as const;
/** OpenFlow 1.3.5 §7.4.1, §7.4.2, §7.4.3 */
export const PACKET_IN_REASONS = {
  noMatch: 0,
  action: 1,
  invalidTtl: 2,
  actionSet: 3,
  group: 4,
  packetOut: 5,
} as const;
export const FLOW_REMOVED_REASONS = {
  idleTimeout: 0,
  hardTimeout: 1,
  delete: 2,
  groupDelete: 3,
  meterDelete: 4,
} as const;
export const PORT_STATUS_REASONS = { add: 0, delete: 1, modify: 2 } as const;
/** OpenFlow 1.3.5 §7.3.9 */
export const ROLES = { noChange: 0, equal: 1, master: 2, slave: 3 } as const;
/** OpenFlow 1.3.5 §7.2.1 */
export const PORT_CONFIG = { portDown: 1, noReceive: 4, noForward: 32, noPacketIn: 64 } as const;
export const PORT_STATE = { linkDown: 1, blocked: 2, live: 4 } as const;
/** ONF extension 230: requests are even, their replies odd. */
export const BUNDLE_CONTROLS = {
  openRequest: 0,
  openReply: 1,
  closeRequest: 2,
  closeReply: 3,
  commitRequest: 4,
  commitReply: 5,
  discardRequest: 6,
  discardReply: 7,
} as const;
export const BUNDLE_FLAGS = { atomic: 1, ordered: 2 } as const;
/** NXT_SET_PACKET_IN_FORMAT (nicira-ext): PACKET_IN of the standard, or NXT_PACKET_IN2. */
export const PACKET_IN_FORMATS = { standard: 0, packetIn2: 2 } as const;
/** Of a flow monitor request (ONF extension 187; on OpenFlow 1.3 Open vSwitch speaks this one, not Nicira's). */
export const FLOW_MONITOR_FLAGS = { initial: 1, add: 2, delete: 4, modify: 8, actions: 16, own: 32 } as const;

export type FlowModCommand = keyof typeof FLOW_MOD_COMMANDS;
export type GroupModCommand = keyof typeof GROUP_MOD_COMMANDS;
export type MeterModCommand = keyof typeof METER_MOD_COMMANDS;
export type Role = keyof typeof ROLES;
export type BundleControl = keyof typeof BUNDLE_CONTROLS;

/** ofp_port (OpenFlow 1.3.5 §7.2.1). Speeds in kbit/s. */
export interface Port {
  readonly port: number;
  readonly macAddress: number;
  readonly name: string;
  /** Bits of PORT_CONFIG. */
  readonly config: number;
  /** Bits of PORT_STATE. */
  readonly state: number;
  readonly current: number;
  readonly advertised: number;
  readonly supported: number;
  readonly peer: number;
  readonly currentSpeedKbps: number;
  readonly maxSpeedKbps: number;
}

/** Masks of reasons (1 << reason) that this connection wants: as master or equal, and as slave. */
export interface AsyncConfig {
  readonly packetIn: readonly [master: number, slave: number];
  readonly portStatus: readonly [master: number, slave: number];
  readonly flowRemoved: readonly [master: number, slave: number];
}

/** A tuple of NXT_CT_FLUSH: absent parts match anything. */
export interface CtTuple {
  readonly source?: Ip;
  readonly destination?: Ip;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmpId?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

/** What NXT_PACKET_IN2 and NXT_RESUME say of a packet. `continuation`, beside these, is the opaque state of a paused pipeline. */
export interface PacketProperties {
  readonly data: Uint8Array;
  readonly totalSize?: number;
  readonly bufferId?: number;
  readonly table?: number;
  readonly cookie?: bigint;
  /** One of PACKET_IN_REASONS. */
  readonly reason?: number;
  /** The packet's metadata: in_port and others. */
  readonly match: Match;
  readonly userdata?: Uint8Array;
}

/** Everything that a message says, without its xid. */
export type MessageBody =
  /** `version` is the header's: the highest that the peer speaks. `versions`: its bitmap, absent if it sent none. */
  | { readonly type: 'hello'; readonly version: number; readonly versions?: readonly number[] }
  | {
      readonly type: 'error';
      /** The header's version; an OFPET_HELLO_FAILED may come in another one. */
      readonly version: number;
      readonly errorType: number;
      readonly code: number;
      /** Absent: an error of the standard (`errorType` is OFPET_EXPERIMENTER else). */
      readonly experimenter?: number;
      /** As OVS spells it: OFPBAC_BAD_OUT_PORT; `unknown error ...` for one that nobody knows. */
      readonly name: string;
      /** The first 64 bytes, or all, of the message that failed. */
      readonly data: Uint8Array;
    }
  | { readonly type: 'echoRequest'; readonly data: Uint8Array }
  | { readonly type: 'echoReply'; readonly data: Uint8Array }
  | { readonly type: 'featuresRequest' }
  | {
      readonly type: 'featuresReply';
      readonly dpid: bigint;
      readonly bufferCount: number;
      readonly tableCount: number;
      readonly auxiliaryId: number;
      readonly capabilities: number;
    }
  | { readonly type: 'getConfigRequest' }
  | { readonly type: 'getConfigReply'; readonly flags: number; readonly missSendLength: number }
  | { readonly type: 'setConfig'; readonly flags: number; readonly missSendLength: number }
  | { readonly type: 'getAsyncRequest' }
  | ({ readonly type: 'getAsyncReply' } & AsyncConfig)
  | ({ readonly type: 'setAsync' } & AsyncConfig)
  | ({ readonly type: 'flowMod'; readonly flow: Flow } & FlowModOptions)
  | {
      readonly type: 'flowRemoved';
      readonly table: number;
      readonly priority: number;
      readonly match: Match;
      /** Why the match could not be read (it holds a field that we do not know); `match` is then empty. */
      readonly unknown?: string;
      readonly cookie: bigint;
      /** One of FLOW_REMOVED_REASONS. */
      readonly reason: number;
      readonly durationS: number;
      readonly durationNs: number;
      readonly idleTimeoutS: number;
      readonly hardTimeoutS: number;
      readonly packetCount: bigint;
      readonly byteCount: bigint;
    }
  | {
      readonly type: 'packetIn';
      readonly bufferId: number;
      /** Size of the whole packet, of which `data` may be the beginning. */
      readonly totalSize: number;
      /** One of PACKET_IN_REASONS. */
      readonly reason: number;
      readonly table: number;
      readonly cookie: bigint;
      /** The packet's metadata: in_port and others. */
      readonly match: Match;
      readonly data: Uint8Array;
    }
  /** NXT_PACKET_IN2 (nicira-ext): what OVS sends for controller() actions on a connection that asked for it. */
  | ({ readonly type: 'packetIn2'; readonly continuation?: Uint8Array } & PacketProperties)
  /** NXT_RESUME: lets a packet that paused (controller(pause)) go on: the message that told of it, maybe changed. */
  | ({ readonly type: 'resume'; readonly continuation: Uint8Array } & PacketProperties)
  | { readonly type: 'setPacketInFormat'; readonly format: number }
  /** NXT_SET_CONTROLLER_ID: which controller(id=...) actions reach this connection. */
  | { readonly type: 'setControllerId'; readonly controllerId: number }
  | {
      readonly type: 'packetOut';
      readonly inPort: number;
      readonly actions: readonly Action[];
      readonly data: Uint8Array;
      /** Default NO_BUFFER. */
      readonly bufferId?: number;
    }
  | { readonly type: 'portStatus'; readonly reason: number; readonly port: Port }
  | {
      readonly type: 'portMod';
      readonly port: number;
      readonly macAddress: number;
      readonly config: number;
      readonly mask: number;
      readonly advertise: number;
    }
  | { readonly type: 'tableMod'; readonly table: number; readonly config: number }
  | ({ readonly type: 'groupMod'; readonly command: GroupModCommand } & Group)
  | ({ readonly type: 'meterMod'; readonly command: MeterModCommand } & Meter)
  | { readonly type: 'roleRequest'; readonly role: Role; readonly generationId: bigint }
  | { readonly type: 'roleReply'; readonly role: Role; readonly generationId: bigint }
  /** ONF extension 191 on OpenFlow 1.3: our role has been changed. `reason`: 0 another controller is master now. */
  | { readonly type: 'roleStatus'; readonly role: Role; readonly reason: number; readonly generationId: bigint }
  | { readonly type: 'barrierRequest' }
  | { readonly type: 'barrierReply' }
  /** `more`: further parts of the same request or reply follow under the same xid. */
  | { readonly type: 'multipartRequest'; readonly more: boolean; readonly body: MultipartRequest }
  | { readonly type: 'multipartReply'; readonly more: boolean; readonly body: MultipartReply }
  /** ONF extension 230 on OpenFlow 1.3. `flags`: bits of BUNDLE_FLAGS. */
  | {
      readonly type: 'bundleControl';
      readonly bundleId: number;
      readonly control: BundleControl;
      readonly flags: number;
    }
  | { readonly type: 'bundleAdd'; readonly bundleId: number; readonly flags: number; readonly message: Message }
  /** ONFT_FLOW_MONITOR_*: the switch stopped and resumed telling of changes; stop a monitor. */
  | { readonly type: 'flowMonitorPaused' }
  | { readonly type: 'flowMonitorResumed' }
  | { readonly type: 'flowMonitorCancel'; readonly id: number }
  /** NXT_CT_FLUSH_ZONE */
  | { readonly type: 'ctFlushZone'; readonly zone: number }
  /** NXT_CT_FLUSH (Open vSwitch 3.1 and later). */
  | {
      readonly type: 'ctFlush';
      readonly ipProto: number;
      readonly zone?: number;
      readonly original?: CtTuple;
      readonly reply?: CtTuple;
    }
  /** An experimenter message that we do not know. */
  | {
      readonly type: 'experimenter';
      readonly experimenter: number;
      readonly experimenterType: number;
      readonly data: Uint8Array;
    };

/** What a flow-mod says beside its flow. */
export interface FlowModOptions {
  readonly command: FlowModCommand;
  /** For modify and delete: bits of `flow.cookie` that the flow must have. Default 0: any. */
  readonly cookieMask?: bigint;
  /** For delete: only flows that output there. Default PORT.any and GROUP_ANY. */
  readonly outPort?: number;
  readonly outGroup?: number;
  /** Default NO_BUFFER. */
  readonly bufferId?: number;
}

/** A message: what it says, and its transaction id (32 bits), by which a reply or an error names its request. */
export type Message = MessageBody & { readonly xid: number };
export type MessageType = Message['type'];
/** The message of one type. */
export type MessageOf<Type extends MessageType> = Extract<Message, { type: Type }>;
