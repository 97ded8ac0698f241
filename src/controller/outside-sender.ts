/** Packets that the controller sends on ways outside: into routers, and onto external networks. An edge; serves outside.ts. */
import type { Compiler } from '../compiler/compiler.ts';
import type { Action } from '../flow/action.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { normal, pushVlan } from '../pipeline/actions.ts';
import { brInt } from '../pipeline/br-int.ts';
import { setNetwork, setRouter } from '../pipeline/router-registers.ts';
import type { HostAgent } from './host-agent.ts';

export interface OutsideSenderOptions {
  readonly compiler: Compiler;
  readonly agents: ReadonlyMap<string, HostAgent>;
  /** To br-int of a host, while it is connected. */
  readonly connection: (host: string) => SwitchConnection | undefined;
}

/** A packet for a part of a router. */
export interface RoutedPacket {
  readonly host: string;
  readonly routerId: string;
  readonly packet: Uint8Array;
  /** Where the guest is that sent it; absent: it is the gateway's part that is meant. */
  readonly guestPort?: number;
}

const { ROUTER_ROUTE } = brInt.tables;

export class OutsideSender {
  readonly #options: OutsideSenderOptions;

  constructor(options: OutsideSenderOptions) {
    this.#options = options;
  }

  /** Into a part of a router, to be routed, and translated where it leaves. */
  route({ host, routerId, packet, guestPort }: RoutedPacket): void {
    const { routing, gateways } = this.#options.compiler.site;
    const isGateway = guestPort === undefined;
    const key = isGateway ? gateways.model.routers.get(routerId)?.part.key : routing.routers.get(routerId)?.key;
    if (key === undefined) return;
    const actions = [setRouter(key), { type: 'resubmit', table: ROUTER_ROUTE.id }] as const;
    this.#options.connection(host)?.packetOut({ data: packet, actions, ...(!isGateway && { inPort: guestPort }) });
  }

  /** On an external network, into one of the routers' tables. */
  resubmit(host: string, networkId: string, { packet, table }: { packet: Uint8Array; table: number }): void {
    const localVlan = this.#localVlan(host, networkId);
    if (localVlan === undefined) return;
    const actions = [setNetwork(localVlan), { type: 'resubmit', table }] as const;
    this.#options.connection(host)?.packetOut({ data: packet, actions });
  }

  /** To everyone on an external network, here and on its wire. */
  sendToAll(host: string, networkId: string, packet: Uint8Array): void {
    const localVlan = this.#localVlan(host, networkId);
    if (localVlan === undefined) return;
    const actions: readonly Action[] = [...pushVlan(localVlan), normal];
    this.#options.connection(host)?.packetOut({ data: packet, actions });
  }

  #localVlan(host: string, networkId: string): number | undefined {
    return this.#options.agents.get(host)?.localVlans.get(networkId);
  }
}
