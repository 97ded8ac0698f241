/** What the walker walks over, and what it tells. */
import type { Flow } from '../../../src/flow/flow.ts';
import type { Group } from '../../../src/flow/group.ts';
import type { Headers } from './headers.ts';

/** What is behind a port. */
export type WalkPort =
  /** A guest, a host's own interface: packets end here. */
  | { readonly kind: 'end'; readonly name: string; readonly vlan?: PortVlan }
  /** The other end is a port of another bridge of the same host. */
  | { readonly kind: 'patch'; readonly name: string; readonly bridge: string; readonly ofport: number }
  /** Leads to one other host; the tunnel id goes with the packet. */
  | {
      readonly kind: 'tunnel';
      readonly name: string;
      readonly host: string;
      readonly bridge: string;
      readonly ofport: number;
    }
  /** A wire that several hosts are plugged into. */
  | { readonly kind: 'wire'; readonly name: string; readonly segment: string };

/** Port.vlan_mode and its columns (ovs-vswitchd.conf.db(5)), for NORMAL. Absent: a trunk of all VLANs. */
export type PortVlan =
  | { readonly mode: 'access'; readonly tag: number }
  | { readonly mode: 'trunk'; readonly trunks: readonly number[] };

/** A bridge, and what is on it. */
export interface WalkBridge {
  readonly host: string;
  readonly bridge: string;
  readonly flows: Iterable<Flow>;
  readonly ports: ReadonlyMap<number, WalkPort>;
  /** By number. */
  readonly groups?: ReadonlyMap<number, Group>;
}

/** A port of a bridge. */
export interface Place {
  readonly host: string;
  readonly bridge: string;
  readonly ofport: number;
}

/** Where a copy of the packet came out, and how. */
export interface Arrival extends Place {
  readonly port: WalkPort;
  readonly headers: Headers;
}

export interface PacketIn extends Place {
  /** OFPR_*: 0 no_match, 1 action, 2 invalid_ttl. */
  readonly reason: number;
  readonly table: number;
  readonly headers: Headers;
}

/** One look into one table. */
export interface Step {
  readonly host: string;
  readonly bridge: string;
  readonly table: number;
  /** Absent: no flow matched. */
  readonly flow?: Flow;
  /** Flows of the same priority that match too and do something else: which one wins is not defined. */
  readonly rivals: readonly Flow[];
  readonly before: Headers;
  /** When all that the flow does is done, what it led to included. */
  readonly after: Headers;
  /** Steps within steps: 0 for the first table of a bridge. */
  readonly depth: number;
}

/** Everything that became of one packet. */
export interface Walk {
  /** At ends, and on wires. */
  readonly arrivals: readonly Arrival[];
  /** By tunnels, from host to host. */
  readonly tunnelled: readonly Arrival[];
  readonly packetIns: readonly PacketIn[];
  readonly steps: readonly Step[];
}

/** A flow or an action that the walker has no understanding of, or a walk that does not end. */
export class WalkError extends Error {}
