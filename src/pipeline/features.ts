/**
 * What may be switched on or off for a host. Tables and rules name the feature they belong to in their declaration; no rule
 * asks for one in its body.
 */
export interface Features {
  /** Distributed routing: hosts know each other by host MAC, and routed frames wear it between them. */
  readonly distributedRouting: boolean;
  /** The place of every port is known, so unicast is sent to the one host that has it. Otherwise br-tun floods and learns. */
  readonly l2Population: boolean;
  /** ARP for known ports is answered in the pipeline. Needs l2Population. */
  readonly arpResponder: boolean;
}

export type Feature = keyof Features;
