/**
 * Conntrack zones of routers through everything: remembered by the state directory, and by each host that uses them, to whose OVSDB
 * they are written. What hosts say goes first, for their flows and connections are of those zones: a controller that has lost its
 * state, or has another history than the one that it takes over from, changes nothing. Serves keepsakes.ts.
 */
import type { Compiler } from '../compiler/compiler.ts';
import { allocateZoneNumbers, knownZoneNumbers, numberOfZones, zonesOfAll, zonesText } from '../compiler/zones.ts';
import type { Host } from '../topology/model.ts';
import { ZONES_KEY } from './keepsake-keys.ts';
import type { Memory } from './memory.ts';
import type { SwitchView } from './switch-view.ts';

/** What a host says of its zones: router numbers by router id. */
export function zoneNumbersOf({ bridges }: Pick<Host, 'bridges'>, view: SwitchView): ReadonlyMap<string, number> {
  return readNumbers(view.bridges.get(bridges.integration)?.bridge.external_ids ?? new Map());
}

interface Shown {
  /** The same map is not read again. */
  readonly externalIds: ReadonlyMap<string, string> | undefined;
  readonly numbers: ReadonlyMap<string, number>;
}

export class ZoneKeeper {
  readonly #memory: Memory;
  readonly #compiler: Compiler;
  /** By host name. */
  readonly #shown = new Map<string, Shown>();
  #numbers: ReadonlyMap<string, number> = new Map();
  /** A host says something else than what is in force. */
  #isStale = false;

  constructor({ memory, compiler }: { readonly memory: Memory; readonly compiler: Compiler }) {
    this.#memory = memory;
    this.#compiler = compiler;
  }

  /** Zones for the routers of the topology that the compiler has. Throws HeddleError `NO_ZONE`. */
  allocate(): void {
    this.#isStale = false;
    const shown = new Map([...this.#shown].map(([host, { numbers }]) => [host, numbers]));
    const known = knownZoneNumbers(shown, this.#memory.zoneNumbers);
    const { routers } = this.#compiler.site.gateways.model;
    this.#numbers = allocateZoneNumbers(routers.keys(), known);
    this.#memory.rememberZoneNumbers(new Map([...known, ...this.#numbers]));
    this.#compiler.setZones(zonesOfAll(this.#numbers));
  }

  /** A host shows itself. */
  recall({ name, bridges }: Host, view: SwitchView): void {
    const externalIds = view.bridges.get(bridges.integration)?.bridge.external_ids;
    if (this.#shown.get(name)?.externalIds === externalIds) return;
    const numbers = readNumbers(externalIds ?? new Map());
    this.#shown.set(name, { externalIds, numbers });
    for (const [id, number] of numbers) if (this.#memory.zoneNumbers.get(id) !== number) this.#isStale = true;
  }

  /** A host left the topology. */
  forget(host: string): void {
    this.#shown.delete(host);
  }

  /** After hosts have shown themselves; true: zones are others now, which every host has to be told. */
  settle(): boolean {
    if (!this.#isStale) return false;
    const before = this.#numbers;
    this.allocate();
    return [...this.#numbers].some(([id, number]) => before.get(id) !== number);
  }

  /** Of the routers whose zones a host uses, as they are to be written to it. */
  keysOn(host: string): ReadonlyMap<string, string> {
    const { gatewaysOn, floatingIpsOn, model } = this.#compiler.site.gateways;
    const ids = new Set(gatewaysOn.elementsOf(host));
    for (const id of floatingIpsOn.elementsOf(host)) {
      const routerId = model.floatingIps.get(id)?.routerId;
      if (routerId !== undefined) ids.add(routerId);
    }
    const texts = new Map<string, string>();
    for (const id of ids) {
      const number = this.#numbers.get(id);
      if (number !== undefined) texts.set(`${ZONES_KEY}${id}`, zonesText(number));
    }
    return texts;
  }
}

/** Somebody may have written anything there. */
function readNumbers(externalIds: ReadonlyMap<string, string>): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (const [key, text] of externalIds) {
    const number = key.startsWith(ZONES_KEY) ? numberOfZones(text) : undefined;
    if (number !== undefined) numbers.set(key.slice(ZONES_KEY.length), number);
  }
  return numbers;
}
