/**
 * Where ports are. What a switch shows beats what the file says, and the newest sighting beats an older one: a guest that
 * migrates is on two hosts for a while. What we do not know (a host that never answered), we believe the file and our own
 * memory for. Serves the controller; pure.
 */

export interface Sighting {
  readonly host: string;
  /** Grows with every new sighting; equal for those of one host's first snapshot. */
  readonly sequence: number;
}

export interface LocationRequest {
  readonly portId: string;
  /** `host` of the file. */
  readonly host?: string | undefined;
  /** Where the port is plugged now. */
  readonly sightings: readonly Sighting[];
  /** Where it was last seen in an earlier life. */
  readonly lastHost?: string | undefined;
}

/**
 * The host of one port, or undefined: nowhere. `isKnown` tells whether a host's switch has shown us all its ports; a port
 * that such a host does not show is not there, whatever the file says.
 */
export function locatePort(request: LocationRequest, isKnown: (host: string) => boolean): string | undefined {
  const { sightings, host, lastHost } = request;
  if (sightings.length > 0) return newest(sightings, host ?? lastHost).host;
  const believed = host ?? lastHost;
  return believed !== undefined && !isKnown(believed) ? believed : undefined;
}

function newest(sightings: readonly Sighting[], preferred: string | undefined): Sighting {
  return sightings.reduce((best, sighting) => {
    if (sighting.sequence !== best.sequence) return sighting.sequence > best.sequence ? sighting : best;
    if (sighting.host === preferred || best.host === preferred) return sighting.host === preferred ? sighting : best;
    return sighting.host < best.host ? sighting : best;
  });
}

/** Who sees which port, over all hosts. Remembers the order in which ports showed up. */
export class Sightings {
  readonly #byPort = new Map<string, Sighting[]>();
  readonly #portsByHost = new Map<string, ReadonlySet<string>>();
  #sequence = 0;

  /** Take in all ports that a host shows now. Returns the ports whose sightings changed. */
  update(host: string, portIds: ReadonlySet<string>): ReadonlySet<string> {
    const earlier = this.#portsByHost.get(host);
    const changed = new Set<string>();
    // The first snapshot of a host says nothing about when its ports came: they are as old as the oldest.
    const sequence = earlier === undefined ? 0 : ++this.#sequence;
    for (const portId of earlier ?? []) {
      if (portIds.has(portId)) continue;
      this.#remove(portId, host);
      changed.add(portId);
    }
    for (const portId of portIds) {
      if (earlier?.has(portId)) continue;
      const list = this.#byPort.get(portId) ?? [];
      list.push({ host, sequence });
      this.#byPort.set(portId, list);
      changed.add(portId);
    }
    this.#portsByHost.set(host, portIds);
    return changed;
  }

  /** A host left the topology: nothing that it showed counts any more. Returns the ports whose sightings changed. */
  forget(host: string): ReadonlySet<string> {
    const changed = this.update(host, new Set());
    this.#portsByHost.delete(host);
    return changed;
  }

  of(portId: string): readonly Sighting[] {
    return this.#byPort.get(portId) ?? [];
  }

  /** Has this host's switch shown all its ports at least once? */
  isKnown(host: string): boolean {
    return this.#portsByHost.has(host);
  }

  #remove(portId: string, host: string): void {
    const rest = (this.#byPort.get(portId) ?? []).filter((sighting) => sighting.host !== host);
    if (rest.length > 0) this.#byPort.set(portId, rest);
    else this.#byPort.delete(portId);
  }
}
