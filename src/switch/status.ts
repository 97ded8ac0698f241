/**
 * What `heddle status` and the metrics say of one bridge. Filled by installer.ts.
 */
import type { PacketInCounts } from '../openflow/packet-in-budget.ts';

export interface RefusedFlowStatus {
  /** In ovs-ofctl's text. */
  readonly flow: string;
  readonly rule: string;
  readonly object: string;
  /** OFPBAC_BAD_OUT_GROUP, or the code of our own encoder. */
  readonly error: string;
}

export interface BridgeStatus {
  readonly host: string;
  readonly bridge: string;
  readonly connected: boolean;
  /** Another controller programs the bridge, and this one waits to take over: it counts as not connected. */
  readonly follows: boolean;
  readonly epoch: number | undefined;
  readonly dpid: bigint | undefined;
  readonly peer: string | undefined;
  /** Number of connections so far. */
  readonly connectionCount: number;
  /** The latest generation of the book, and the one that the switch is known to hold; equal when nothing is under way. */
  readonly generationWanted: number;
  readonly generationConfirmed: number;
  /** Flows of the book. */
  readonly desiredFlowCount: number;
  /** Flows that learn() actions had made, at the last reconcile. */
  readonly learnedFlowCount: number;
  /** Some flows are refused by the switch; all others are in place. */
  readonly degraded: boolean;
  readonly refusedFlowCount: number;
  /** The first of them (LIMITS.namedFlows). */
  readonly refusedFlows: readonly RefusedFlowStatus[];
  readonly passCount: number;
  /** From the begin of the last pass to its last barrier. */
  readonly lastPassMs: number | undefined;
  readonly lastPassKind: 'reconcile' | 'change' | undefined;
  /** Sent since the start. `modify` replaces a flow in place. */
  readonly flowMods: ModCounts;
  readonly groupMods: ModCounts;
  readonly meterMods: ModCounts;
  /**
   * Flows, groups and meters, since the start: foreign ones whenever found; missing, changed and stale ones at audits and when the
   * switch tells of them. With `drift: report` each counts once, until it changes.
   */
  readonly drift: DriftCounts;
  /** With `drift: report`: of these, what is known to be so now. */
  readonly leftDriftCount: number;
  /** Packets that the bridge sent us since the start; `dropped`: more than LIMITS.packetInsPerS, left out unread. */
  readonly packetIns: PacketInCounts;
  /** The switch tells of changes that others make, as they happen; else audits find them. */
  readonly isWatched: boolean;
  /** OFPT_ERRORs since the start, in all and by code (`OFPBAC_BAD_OUT_GROUP`, or the code of our own encoder). */
  readonly errorCount: number;
  readonly errorCounts: Readonly<Record<string, number>>;
}

export interface ModCounts {
  add: number;
  modify: number;
  delete: number;
}

export type DriftKind = keyof DriftCounts;

export interface DriftCounts {
  foreign: number;
  missing: number;
  changed: number;
  stale: number;
}
