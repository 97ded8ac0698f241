/**
 * What a flow is: the one value that pipeline/ makes, compiler/ keeps, openflow/ encodes and people read. Plain readonly data.
 */
import type { Action } from './action.ts';
import type { FieldName, FieldValue } from './fields.ts';

/** A field matched under a mask; bits outside the mask are zero in `value`. */
export interface Masked {
  readonly value: FieldValue;
  readonly mask: FieldValue;
}

/** What a flow matches: exact values, or values under a mask. Absent fields match anything. */
export type Match = { readonly [Field in FieldName]?: FieldValue | Masked };

/** OFPFF_* and OVS's spelling of them (OpenFlow 1.3.5 §7.3.4.1). */
export const FLOW_FLAGS = {
  sendFlowRemoved: { bit: 1, text: 'send_flow_rem' },
  checkOverlap: { bit: 2, text: 'check_overlap' },
  resetCounts: { bit: 4, text: 'reset_counts' },
  noPacketCounts: { bit: 8, text: 'no_packet_counts' },
  noByteCounts: { bit: 16, text: 'no_byte_counts' },
} as const;

export interface Flow {
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
  /** Empty: drop. */
  readonly actions: readonly Action[];
  readonly cookie: bigint;
  /** 0 or absent: never. */
  readonly idleTimeoutS?: number;
  readonly hardTimeoutS?: number;
  /** Bits of FLOW_FLAGS. */
  readonly flags?: number;
}

/** Reserved port numbers (OpenFlow 1.3.5 §7.2.1) as 32 bits. */
export const PORT = {
  inPort: 0xfffffff8,
  table: 0xfffffff9,
  normal: 0xfffffffa,
  flood: 0xfffffffb,
  all: 0xfffffffc,
  controller: 0xfffffffd,
  local: 0xfffffffe,
  any: 0xffffffff,
} as const;

/** Ports that are real: 1 to 0xffffff00 (OFPP_MAX); OVS gives out 16 bits of them. */
export const OFPORT_MAX = 0xffffff00;
