/**
 * Actions and instructions as values: what a flow does, in the order in which ovs-ofctl prints them. Built by pipeline/,
 * read and written as text by format.ts and parse.ts, as bytes by openflow/.
 *
 * Like ovs-ofctl, a flow has one list: instructions (`meter`, `clearActions`, `writeActions`, `writeMetadata`, `goto`)
 * stand in it beside the actions of its apply-actions instruction; ACTIONS (actions.ts) says which is which.
 */
import type { FieldName, FieldValue } from './fields.ts';

/** A bit range of a field: `NXM_NX_REG0[4..7]` is `{ field: 'reg0', start: 4, length: 4 }`. */
export interface Subfield {
  readonly field: FieldName;
  /** Lowest bit, 0-based. */
  readonly start: number;
  /** Number of bits. */
  readonly length: number;
}

/** The `nat(...)` of a ct action. All parts absent: `nat`, translate as the connection says. */
export interface Nat {
  readonly direction?: 'src' | 'dst';
  /** Lowest and highest address: numbers are IPv4, bigints IPv6. */
  readonly addressMin?: number | bigint;
  readonly addressMax?: number | bigint;
  readonly portMin?: number;
  readonly portMax?: number;
  readonly persistent?: true;
  readonly hash?: true;
  readonly random?: true;
}

/** One flow_mod_spec of a learn action (ovs-actions(7), learn): a match, a load or an output of the learned flow. */
export type LearnSpec =
  | { readonly kind: 'match'; readonly destination: Subfield; readonly source: Subfield }
  | { readonly kind: 'matchImmediate'; readonly destination: Subfield; readonly value: FieldValue }
  | { readonly kind: 'load'; readonly destination: Subfield; readonly source: Subfield }
  | { readonly kind: 'loadImmediate'; readonly destination: Subfield; readonly value: FieldValue }
  | { readonly kind: 'output'; readonly source: Subfield };

export type Action =
  // OpenFlow 1.3.5 §7.2.5
  | { readonly type: 'output'; readonly port: number; readonly maxLength?: number }
  | { readonly type: 'group'; readonly group: number }
  | { readonly type: 'setQueue'; readonly queue: number }
  | { readonly type: 'pushVlan'; readonly etherType: number }
  | { readonly type: 'popVlan' }
  | { readonly type: 'pushMpls'; readonly etherType: number }
  | { readonly type: 'popMpls'; readonly etherType: number }
  | { readonly type: 'setMplsTtl'; readonly ttl: number }
  | { readonly type: 'decMplsTtl' }
  | { readonly type: 'setTtl'; readonly ttl: number }
  | { readonly type: 'decTtl'; readonly controllerIds?: readonly number[] }
  | { readonly type: 'setField'; readonly field: FieldName; readonly value: FieldValue; readonly mask?: FieldValue }
  // Nicira extensions, ovs-actions(7)
  | {
      readonly type: 'controller';
      /** OFPR_*: 0 no_match, 1 action, 2 invalid_ttl. */
      readonly reason?: number;
      readonly maxLength?: number;
      readonly controllerId?: number;
      readonly userdata?: Uint8Array;
      readonly pause?: true;
      readonly meter?: number;
    }
  | { readonly type: 'outputReg'; readonly source: Subfield; readonly maxLength?: number }
  | { readonly type: 'outputTrunc'; readonly port: number; readonly maxLength: number }
  | { readonly type: 'load'; readonly destination: Subfield; readonly value: FieldValue }
  | { readonly type: 'move'; readonly source: Subfield; readonly destination: Subfield }
  | { readonly type: 'stackPush'; readonly source: Subfield }
  | { readonly type: 'stackPop'; readonly destination: Subfield }
  | { readonly type: 'resubmit'; readonly port?: number; readonly table?: number; readonly withCt?: true }
  | {
      readonly type: 'learn';
      readonly table: number;
      readonly priority: number;
      readonly idleTimeoutS?: number;
      readonly hardTimeoutS?: number;
      readonly finIdleTimeoutS?: number;
      readonly finHardTimeoutS?: number;
      readonly cookie?: bigint;
      readonly sendFlowRemoved?: true;
      readonly deleteLearned?: true;
      readonly limit?: number;
      readonly resultDestination?: Subfield;
      readonly specs: readonly LearnSpec[];
    }
  | {
      readonly type: 'ct';
      readonly commit?: true;
      readonly force?: true;
      /** A number, or the bits that hold it. */
      readonly zone?: number | Subfield;
      /** Recirculate to this table; absent: the packet goes on untracked. */
      readonly table?: number;
      readonly nat?: Nat;
      /** Well-known port of the helper: 21 ftp, 69 tftp. */
      readonly alg?: number;
      /** Set-fields and moves on ct_mark and ct_label. */
      readonly exec?: readonly Action[];
    }
  | { readonly type: 'ctClear' }
  | { readonly type: 'note'; readonly data: Uint8Array }
  /** `clause` is 1-based as in `conjunction(ID, 1/2)`. */
  | { readonly type: 'conjunction'; readonly id: number; readonly clause: number; readonly clauseCount: number }
  | { readonly type: 'checkPktLarger'; readonly length: number; readonly destination: Subfield }
  | { readonly type: 'clone'; readonly actions: readonly Action[] }
  | {
      readonly type: 'multipath';
      readonly fields: 'eth_src' | 'symmetric_l4' | 'symmetric_l3l4' | 'symmetric_l3l4+udp' | 'nw_src' | 'nw_dst';
      readonly basis: number;
      readonly algorithm: 'modulo_n' | 'hash_threshold' | 'hrw' | 'iter_hash';
      readonly links: number;
      readonly argument: number;
      readonly destination: Subfield;
    }
  | { readonly type: 'exit' }
  | { readonly type: 'decNshTtl' }
  // Instructions, OpenFlow 1.3.5 §7.2.4
  | { readonly type: 'meter'; readonly meter: number }
  | { readonly type: 'clearActions' }
  | { readonly type: 'writeActions'; readonly actions: readonly Action[] }
  | { readonly type: 'writeMetadata'; readonly value: bigint; readonly mask?: bigint }
  | { readonly type: 'goto'; readonly table: number };

export type ActionType = Action['type'];
