/**
 * Why a flow, a group or a meter exists. Every one that a rule makes carries its origin, and from there go `heddle explain`,
 * conflicts, and the log line of what a switch refused.
 */
import type { Flow } from '../flow/flow.ts';
import type { Group } from '../flow/group.ts';
import type { Meter } from '../flow/meter.ts';

/** The rule that made a flow and the topology object it was made for. */
export interface Origin {
  readonly rule: string;
  /** Kind and id: `port blue2`, `network blue`, `host node1`. */
  readonly object: string;
  /** Where the topology file says so: `ports[3]`. Filled in when asked for (Compiler.locate): lines move when a file is edited. */
  readonly path?: string;
  readonly line?: number;
}

export interface DesiredFlow {
  readonly flow: Flow;
  readonly origin: Origin;
}

/** A group stands on the bridge before the flows that name it, and after them. */
export interface DesiredGroup {
  readonly group: Group;
  readonly origin: Origin;
}

/** Likewise. */
export interface DesiredMeter {
  readonly meter: Meter;
  readonly origin: Origin;
}
