/**
 * What each host keeps of the controller's choices, in its own OVSDB, so that a controller without a memory of them makes the same:
 * its MAC and the conntrack zones of its routers. Serves controller.ts.
 */
import type { Compiler } from '../compiler/compiler.ts';
import type { Logger } from '../lib/log.ts';
import type { Topology } from '../topology/model.ts';
import type { HostAgent } from './host-agent.ts';
import { HostMacKeeper } from './host-mac-keeper.ts';
import { HOST_MAC_KEY } from './keepsake-keys.ts';
import type { Memory } from './memory.ts';
import type { SwitchView } from './switch-view.ts';
import { ZoneKeeper } from './zone-keeper.ts';

export interface KeepsakesOptions {
  readonly memory: Memory;
  readonly compiler: Compiler;
  readonly logger: Logger;
}

export class Keepsakes {
  readonly #macs: HostMacKeeper;
  readonly #zones: ZoneKeeper;

  constructor(options: KeepsakesOptions) {
    this.#macs = new HostMacKeeper(options);
    this.#zones = new ZoneKeeper(options);
  }

  /** Of a topology that the compiler does not have yet. */
  allocateMacs(topology: Topology): void {
    this.#macs.allocate(topology);
  }

  /** For the topology that the compiler has. Throws HeddleError `NO_ZONE`. */
  allocateZones(): void {
    this.#zones.allocate();
  }

  /** A host shows itself. */
  recall({ host, follows }: HostAgent, view: SwitchView): void {
    this.#macs.recall(host, view, { isFollowed: follows });
    this.#zones.recall(host, view);
  }

  /** After hosts have shown themselves; true: every host has something else to keep. */
  settle(): boolean {
    return this.#zones.settle();
  }

  /** A host left the topology. */
  forget(host: string): void {
    this.#zones.forget(host);
  }

  /** Keys of external_ids and their values, to be written to a host. */
  of(host: string): ReadonlyMap<string, string> {
    const hostMac = this.#macs.textOf(host);
    const keys = [...this.#zones.keysOn(host)];
    return new Map(hostMac === undefined ? keys : [[HOST_MAC_KEY, hostMac], ...keys]);
  }
}
