/**
 * The local VLANs that a host has given away before. Serves host-agent.ts.
 *
 * A guest's VLAN is written to the OVSDB, and what a VLAN means to br-tun and the physical bridges is sent to each of them: nothing
 * says which comes first, and a bridge that is out of reach keeps what it has. Were the VLAN of a network that has left given to
 * another at once, that one's guests would speak in the first one's network until every bridge knows. So a VLAN waits: for its own
 * network to come back, and for others until there is none left that was never used. Pure.
 */
import { LocalVlanError } from '../compiler/names.ts';

/** Of networks that have left the host. */
interface FormerVlan {
  readonly vlan: number;
  /** The generation in which no flow names it any more. */
  readonly generation: number;
}

export interface LeaseMoment {
  /** The generation that the books will have with what is leased now. */
  readonly generation: number;
  /** The one that every bridge of the host has confirmed; asked only where VLANs are scarce. */
  readonly confirmedGeneration: () => number;
}

/** What an earlier life leased is out of use when the first books of this one are confirmed. */
const FIRST_GENERATION = 1;

export class VlanLeases {
  #current: ReadonlyMap<string, number> = new Map();
  readonly #former: Map<string, FormerVlan>;

  /** `remembered`: what `all` was in an earlier life of the controller. */
  constructor(remembered: ReadonlyMap<string, number> = new Map()) {
    const former = (vlan: number): FormerVlan => ({ vlan, generation: FIRST_GENERATION });
    this.#former = new Map([...remembered].map(([network, vlan]) => [network, former(vlan)]));
  }

  /** By network, as of the last pass. */
  get current(): ReadonlyMap<string, number> {
    return this.#current;
  }

  /** Those of networks that have left, too. */
  get all(): ReadonlyMap<string, number> {
    return new Map([...[...this.#former].map(([network, { vlan }]) => [network, vlan] as const), ...this.#current]);
  }

  /**
   * Lease anew. `assign` gets the VLANs that networks had before, up to now, and throws LocalVlanError where there are too few; so does this,
   * where nothing can be taken from those that have left. Gives whether anything is other than before.
   */
  renew(
    assign: (former: ReadonlyMap<string, number>) => ReadonlyMap<string, number>,
    { generation, confirmedGeneration }: LeaseMoment,
  ): boolean {
    const next = this.#assign(assign, confirmedGeneration);
    const isSame = (network: string): boolean => next.get(network) === this.#current.get(network);
    if (next.size === this.#current.size && [...next.keys()].every(isSame)) return false;
    for (const [network, vlan] of this.#current) {
      if (next.get(network) !== vlan) this.#former.set(network, { vlan, generation });
    }
    const leased = new Set(next.values());
    for (const [network, { vlan }] of this.#former) if (leased.has(vlan)) this.#former.delete(network);
    this.#current = next;
    return true;
  }

  #assign(
    assign: (former: ReadonlyMap<string, number>) => ReadonlyMap<string, number>,
    confirmedGeneration: () => number,
  ): ReadonlyMap<string, number> {
    const former = [...this.#former];
    // Who leaves in this very pass has left, for everybody else.
    const before = (left: typeof former) =>
      new Map([...left.map(([network, { vlan }]) => [network, vlan] as const), ...this.#current]);
    try {
      return assign(before(former));
    } catch (error) {
      if (!(error instanceof LocalVlanError)) throw error;
      const confirmed = confirmedGeneration();
      return assign(before(former.filter(([, { generation }]) => generation > confirmed)));
    }
  }
}
