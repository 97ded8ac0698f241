/**
 * Host MACs of distributed routing through everything: given by the file, remembered by the state directory, and by the host
 * itself, to whose OVSDB they are written. What the host says goes first: its flows bear it. Serves keepsakes.ts.
 */
import type { Compiler } from '../compiler/compiler.ts';
import { macFromText, macToText } from '../lib/addresses.ts';
import { HeddleError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Host, Topology } from '../topology/model.ts';
import { allocateHostMacs } from './host-macs.ts';
import { HOST_MAC_KEY } from './keepsake-keys.ts';
import type { Memory } from './memory.ts';
import type { SwitchView } from './switch-view.ts';

export interface HostMacKeeperOptions {
  readonly memory: Memory;
  readonly compiler: Compiler;
  readonly logger: Logger;
}

export class HostMacKeeper {
  readonly #options: HostMacKeeperOptions;
  /** Hosts to which the file gives no MAC; true: it has shown in this life which one it had before. */
  readonly #shown = new Map<string, boolean>();
  #macs: ReadonlyMap<string, number> = new Map();

  constructor(options: HostMacKeeperOptions) {
    this.#options = options;
  }

  /** A MAC for each host of a topology. */
  allocate({ hosts, settings }: Topology): void {
    const { memory, compiler } = this.#options;
    for (const { name, dvrMac } of hosts.values()) {
      if (dvrMac !== undefined) this.#shown.delete(name);
      else if (!this.#shown.has(name)) this.#shown.set(name, false);
    }
    this.#macs = allocateHostMacs(hosts.values(), memory.hostMacs, settings.dvrBaseMac);
    for (const [name, mac] of this.#macs) {
      compiler.setHostMac(name, mac);
      memory.rememberHostMac(name, mac);
    }
  }

  /** As text, to be written to the host. */
  textOf(host: string): string | undefined {
    const mac = this.#macs.get(host);
    return mac === undefined ? undefined : macToText(mac);
  }

  /** A host shows itself: of an earlier life of this controller, or, followed, of another controller that writes to it. */
  recall({ name, bridges }: Host, view: SwitchView, { isFollowed }: { readonly isFollowed: boolean }): void {
    const shown = this.#shown.get(name);
    if (shown === undefined || (shown && !isFollowed)) return;
    this.#shown.set(name, true);
    const text = view.bridges.get(bridges.integration)?.bridge.external_ids.get(HOST_MAC_KEY);
    const mac = text === undefined ? undefined : readMac(text);
    if (mac === undefined || mac === this.#macs.get(name)) return;
    if ([...this.#macs].some(([other, taken]) => other !== name && taken === mac)) return;
    const { memory, compiler, logger } = this.#options;
    this.#macs = new Map([...this.#macs, [name, mac]]);
    compiler.setHostMac(name, mac);
    memory.rememberHostMac(name, mac);
    logger.info(
      { host: name, mac: text },
      'the host remembers its MAC, which the state directory does not, or otherwise',
    );
  }
}

/** Somebody may have written anything there. */
function readMac(text: string): number | undefined {
  try {
    return macFromText(text);
  } catch (error) {
    if (error instanceof HeddleError) return undefined;
    throw error;
  }
}
