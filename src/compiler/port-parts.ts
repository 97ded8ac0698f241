/**
 * What flows say of a port on every host alike: made once, and not once for each of hundreds of hosts. Kept for a pass, since it costs
 * more memory than the flows that are made of it. Serves world.ts and the owners of rows.
 */
import type { Port } from '../topology/model.ts';
import type { EntityPart } from './templates.ts';

/** undefined: nothing is said of the port. */
export type MakePart = (port: Port) => EntityPart | undefined;

export class PortParts {
  readonly #make: MakePart;
  readonly #parts = new Map<string, EntityPart | undefined>();

  constructor(make: MakePart) {
    this.#make = make;
  }

  of(portId: string, ports: { get(id: string): Port | undefined }): EntityPart | undefined {
    const known = this.#parts.get(portId);
    if (known !== undefined || this.#parts.has(portId)) return known;
    const port = ports.get(portId);
    const part = port === undefined ? undefined : this.#make(port);
    this.#parts.set(portId, part);
    return part;
  }

  /** The port is another. */
  forget(portId: string): void {
    this.#parts.delete(portId);
  }

  forgetAll(): void {
    this.#parts.clear();
  }
}
