/**
 * Why a flow exists. Every flow that a rule makes carries its origin, and from there go `heddle explain`, conflicts, and the
 * log line of a flow that a switch refused.
 */
import type { Flow } from '../flow/flow.ts';

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
