/**
 * What OFPT_MULTIPART_REQUEST and _REPLY ask and tell (OpenFlow 1.3.5 §7.3.5), as values. Part of messages.ts, which names
 * these types too.
 */
import type { Flow, Match } from '../flow/flow.ts';
import type { Group, Meter, Port } from './messages.ts';

/**
 * One installed flow. `matchBytes` (ofp_match without its pad) and `instructionBytes` are copies of the wire, comparable
 * with those of writeMatch and writeInstructions. `unknown` says why a flow that holds a field or an action that we do
 * not know could not be read: its `flow` is then without match and actions and must not be taken for what it does.
 */
export interface FlowStats {
  readonly flow: Flow;
  readonly unknown?: string;
  readonly matchBytes: Uint8Array;
  readonly instructionBytes: Uint8Array;
  readonly durationS: number;
  readonly durationNs: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
}

/** What a flow, aggregate or flow-monitor request selects. Defaults: everything. */
export interface FlowSelection {
  /** Default TABLE_ALL. */
  readonly table?: number;
  /** Default PORT.any. */
  readonly outPort?: number;
  /** Default GROUP_ANY. */
  readonly outGroup?: number;
  readonly cookie?: bigint;
  readonly cookieMask?: bigint;
  readonly match?: Match;
}

export interface PortStats {
  readonly port: number;
  readonly receivedPackets: bigint;
  readonly sentPackets: bigint;
  readonly receivedBytes: bigint;
  readonly sentBytes: bigint;
  readonly receiveDropped: bigint;
  readonly sendDropped: bigint;
  readonly receiveErrors: bigint;
  readonly sendErrors: bigint;
  readonly frameErrors: bigint;
  readonly overrunErrors: bigint;
  readonly crcErrors: bigint;
  readonly collisions: bigint;
  readonly durationS: number;
  readonly durationNs: number;
}

export interface TableStats {
  readonly table: number;
  readonly activeCount: number;
  readonly lookupCount: bigint;
  readonly matchedCount: bigint;
}

export interface GroupStats {
  readonly group: number;
  readonly referenceCount: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly durationS: number;
  readonly durationNs: number;
  readonly buckets: readonly { readonly packetCount: bigint; readonly byteCount: bigint }[];
}

export interface MeterStats {
  readonly meter: number;
  readonly flowCount: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly durationS: number;
  readonly durationNs: number;
  readonly bands: readonly { readonly packetCount: bigint; readonly byteCount: bigint }[];
}

/** One monitor of a flow monitor request (ONF extension 187). */
export interface FlowMonitor extends Pick<FlowSelection, 'table' | 'outPort' | 'match'> {
  readonly id: number;
  /** Bits of FLOW_MONITOR_FLAGS. */
  readonly flags: number;
}

/** One update of a flow monitor. `abbreviated`: a change of this connection's own, with the xid of its flow-mod. */
export type FlowUpdate =
  | {
      readonly event: 'added' | 'deleted' | 'modified';
      readonly reason: number;
      readonly flow: Flow;
      readonly unknown?: string;
      readonly matchBytes: Uint8Array;
      readonly instructionBytes: Uint8Array;
    }
  | { readonly event: 'abbreviated'; readonly xid: number };

export type MultipartRequest =
  | { readonly kind: 'desc' }
  | ({ readonly kind: 'flow' } & FlowSelection)
  | ({ readonly kind: 'aggregate' } & FlowSelection)
  | { readonly kind: 'table' }
  /** Default PORT.any. */
  | { readonly kind: 'portStats'; readonly port?: number }
  | { readonly kind: 'portDesc' }
  /** Default GROUP_ALL. */
  | { readonly kind: 'group'; readonly group?: number }
  | { readonly kind: 'groupDesc' }
  | { readonly kind: 'groupFeatures' }
  /** Default METER_ALL. */
  | { readonly kind: 'meter'; readonly meter?: number }
  | { readonly kind: 'meterConfig'; readonly meter?: number }
  | { readonly kind: 'meterFeatures' }
  | { readonly kind: 'tableFeatures'; readonly data: Uint8Array }
  | { readonly kind: 'flowMonitor'; readonly monitors: readonly FlowMonitor[] }
  | {
      readonly kind: 'experimenter';
      readonly experimenter: number;
      readonly experimenterType: number;
      readonly data: Uint8Array;
    };

export type MultipartReply =
  | {
      readonly kind: 'desc';
      readonly manufacturer: string;
      readonly hardware: string;
      readonly software: string;
      readonly serialNumber: string;
      readonly datapath: string;
    }
  | { readonly kind: 'flow'; readonly flows: readonly FlowStats[] }
  | { readonly kind: 'aggregate'; readonly packetCount: bigint; readonly byteCount: bigint; readonly flowCount: number }
  | { readonly kind: 'table'; readonly tables: readonly TableStats[] }
  | { readonly kind: 'portStats'; readonly ports: readonly PortStats[] }
  | { readonly kind: 'portDesc'; readonly ports: readonly Port[] }
  | { readonly kind: 'group'; readonly groups: readonly GroupStats[] }
  | { readonly kind: 'groupDesc'; readonly groups: readonly Group[] }
  | {
      readonly kind: 'groupFeatures';
      readonly types: number;
      readonly capabilities: number;
      /** By group type: all, select, indirect, fast failover. */
      readonly maxGroups: readonly number[];
      readonly actions: readonly number[];
    }
  | { readonly kind: 'meter'; readonly meters: readonly MeterStats[] }
  | { readonly kind: 'meterConfig'; readonly meters: readonly Meter[] }
  | {
      readonly kind: 'meterFeatures';
      readonly maxMeter: number;
      readonly bandTypes: number;
      readonly capabilities: number;
      readonly maxBands: number;
      readonly maxColor: number;
    }
  | { readonly kind: 'tableFeatures'; readonly data: Uint8Array }
  | { readonly kind: 'flowMonitor'; readonly updates: readonly FlowUpdate[] }
  | {
      readonly kind: 'experimenter';
      readonly experimenter: number;
      readonly experimenterType: number;
      readonly data: Uint8Array;
    };
