/** What the state machines of this folder want done. The shell around them does it; nothing here has effects itself. */
import type { Ip } from '../../lib/addresses.ts';
import type { HeldPacket } from './resolver.ts';

/** An address of a network that the topology does not place, found by asking. */
export interface Neighbour {
  readonly networkId: string;
  readonly ip: Ip;
  readonly mac: number;
  readonly portId: string;
  readonly host: string;
  readonly ofport: number;
}

/** Why something was not done; each is counted, and worth a rate-limited line. */
export type Refusal =
  /** Bytes that cannot be read. */
  | 'unreadable'
  /** A bound of LIMITS: packets held for one address, for one network, in all; addresses being resolved. */
  | 'tooManyForAddress'
  | 'tooManyForNetwork'
  | 'tooManyPackets'
  | 'tooManyAddresses'
  /** The router is not attached to the next hop's subnet (any more). */
  | 'notAttached'
  /** Directed broadcast is not routed (RFC 2644). */
  | 'broadcast'
  /** The topology says who has the address: its flows are on their way, or a guest claims what is another's. */
  | 'known'
  /** A port claimed an address or a MAC that it may not have. */
  | 'mayNotOwn';

export type RouterEffect =
  /** Send a frame out of ports of a host's br-int. */
  | { readonly type: 'send'; readonly host: string; readonly ofports: readonly number[]; readonly packet: Uint8Array }
  /** A neighbour is there, or has moved: to whoever renders flows. */
  | { readonly type: 'setNeighbour'; readonly neighbour: Neighbour }
  | { readonly type: 'unsetNeighbour'; readonly networkId: string; readonly ip: Ip }
  /**
   * Let a held packet through br-int's tables again, as if it came in by `ofport` now. To be done when the flows of the
   * neighbours set before are confirmed on that host.
   */
  | { readonly type: 'release'; readonly host: string; readonly ofport: number; readonly packet: Uint8Array }
  /** The same for a packet that a router's gateway holds: into that part of the router again. */
  | { readonly type: 'releaseAtGateway'; readonly packet: HeldPacket }
  /** Nobody has the address that such a packet is for. */
  | { readonly type: 'unreachableFromGateway'; readonly packet: HeldPacket }
  | { readonly type: 'refused'; readonly refusal: Refusal; readonly host: string; readonly networkId: string };
