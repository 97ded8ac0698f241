/**
 * A compiled site in which guests send frames, walked in this process: who got what, and by which networks it went. Serves the
 * tests of what reaches what.
 */
import { compileOffline } from '../../src/compiler/offline.ts';
import { invariant } from '../../src/lib/errors.ts';
import type { Frame } from '../../src/packet/packet.ts';
import type { Port, Topology } from '../../src/topology/model.ts';
import type { Headers } from '../support/walker/headers.ts';
import type { Arrival, Place, Walk } from '../support/walker/model.ts';
import { headersOf } from '../support/walker/packets.ts';
import { siteOf } from '../support/walker/site.ts';
import { Walker, type WalkerOptions } from '../support/walker/walker.ts';

export class Scene {
  readonly topology: Topology;
  readonly #walker: Walker;
  readonly #guests: ReadonlyMap<string, Place>;
  readonly #portAt: ReadonlyMap<string, Port>;
  readonly #networkByTunnelId: ReadonlyMap<bigint, string>;

  constructor(topology: Topology, options: WalkerOptions = {}) {
    this.topology = topology;
    const site = siteOf(topology, compileOffline(topology));
    this.#walker = new Walker(site.bridges, options);
    this.#guests = site.guests;
    this.#portAt = new Map(
      [...topology.ports.values()].flatMap((port) => {
        const place = site.guests.get(port.id);
        return place === undefined ? [] : [[keyOf(place), port] as const];
      }),
    );
    this.#networkByTunnelId = new Map(
      [...topology.networks.values()].flatMap(({ id, segmentationId }) =>
        segmentationId === undefined ? [] : [[BigInt(segmentationId), id] as const],
      ),
    );
  }

  send(from: Port, frame: Frame): Walk {
    const place = this.#guests.get(from.id);
    invariant(place, 'every port is on a host', { port: from.id });
    return this.#walker.walk(place, headersOf(frame));
  }

  /** The guests that a walk reached, and what came to them. */
  guestsOf({ arrivals }: Walk): { readonly port: Port; readonly headers: Headers }[] {
    return arrivals.flatMap((arrival) => {
      const port = this.#portAt.get(keyOf(arrival));
      return port === undefined ? [] : [{ port, headers: arrival.headers }];
    });
  }

  /** Ids of the networks that a walk was in: of guests, tunnels and wires. */
  networksOf(walk: Walk): ReadonlySet<string | undefined> {
    return new Set([
      ...this.guestsOf(walk).map(({ port }) => port.networkId),
      ...walk.tunnelled.map(({ headers }) => this.#networkByTunnelId.get(BigInt(headers.get('tunnelId')))),
      ...walk.arrivals.filter(({ port }) => port.kind === 'wire').map((arrival) => this.#networkOnWire(arrival)),
    ]);
  }

  #networkOnWire({ headers }: Arrival): string | undefined {
    const vid = Number(headers.get('vlanVid')) & 0xfff;
    return [...this.topology.networks.values()].find(({ networkType, segmentationId }) =>
      vid === 0 ? networkType === 'flat' : networkType === 'vlan' && segmentationId === vid,
    )?.id;
  }
}

function keyOf({ host, bridge, ofport }: Place): string {
  return `${host} ${bridge} ${ofport}`;
}

/** Whether a wire or a tunnel, or nothing at all, lies between two ports; a local network ends at its host. */
export function isCarried({ networks }: Topology, from: Port, to: Port): boolean {
  return from.host === to.host || networks.get(to.networkId)?.networkType !== 'local';
}

export const pairsOf = ({ ports }: Topology): [Port, Port][] =>
  [...ports.values()].flatMap((from) =>
    [...ports.values()].flatMap((to): [Port, Port][] => (from === to ? [] : [[from, to]])),
  );
