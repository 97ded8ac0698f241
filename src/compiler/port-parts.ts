/**
 * What flows say of a port on every host alike: made once, and not once for each of hundreds of hosts. Kept for a pass, since it costs
 * more memory than the flows that are made of it. Serves world.ts and the owners of rows.
 */
import type { Port } from '../topology/model.ts';
import type { EntityPart } from './templates.ts';

/** undefined: nothing is said of the port. */
export type MakePart = (port: Port) => EntityPart | undefined;

/** Of one network, by place of the port in site.ports.portsOf: ids, since a place is another port's when its own has left; and parts. */
interface NetworkParts {
  readonly ids: string[];
  readonly parts: (EntityPart | undefined)[];
}

export class PortParts {
  readonly #make: MakePart;
  readonly #networks = new Map<string, NetworkParts>();
  /** The network that was asked for last: rows come network by network. */
  #lastId = '';
  #last: NetworkParts = { ids: [], parts: [] };

  constructor(make: MakePart) {
    this.#make = make;
  }

  /** What is said of the port that has this place in site.ports.portsOf of its network. */
  of(port: Port, place: number): EntityPart | undefined {
    const { id, networkId } = port;
    const { ids, parts } = networkId === this.#lastId ? this.#last : this.#enter(networkId);
    if (ids[place] === id) return parts[place];
    const part = this.#make(port);
    ids[place] = id;
    parts[place] = part;
    return part;
  }

  /** A port is another, or they are needed no more. */
  forgetAll(): void {
    if (this.#networks.size === 0) return;
    this.#networks.clear();
    this.#lastId = '';
    this.#last = { ids: [], parts: [] };
  }

  #enter(networkId: string): NetworkParts {
    let known = this.#networks.get(networkId);
    if (known === undefined) {
      known = { ids: [], parts: [] };
      this.#networks.set(networkId, known);
    }
    this.#lastId = networkId;
    this.#last = known;
    return known;
  }
}
