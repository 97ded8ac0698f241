/**
 * Host MACs of distributed routing through everything: given by the file, remembered by the state directory, and where that was
 * lost, read back from the host itself, to whose OVSDB they are written. Serves controller.ts.
 */
import type { Compiler } from '../compiler/compiler.ts';
import { macFromText, macToText } from '../lib/addresses.ts';
import { HeddleError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Host, Topology } from '../topology/model.ts';
import { allocateHostMacs } from './host-macs.ts';
import type { Memory } from './memory.ts';
import type { SwitchView } from './switch-view.ts';

/** In external_ids of the integration bridge. */
export const HOST_MAC_KEY = 'heddle-dvr-mac';

export interface HostMacKeeperOptions {
  readonly memory: Memory;
  readonly compiler: Compiler;
  readonly logger: Logger;
}

export class HostMacKeeper {
  readonly #options: HostMacKeeperOptions;
  /** Hosts whose MAC was made up in this life, and that have not shown yet what they had before. */
  readonly #unconfirmed = new Set<string>();
  #macs: ReadonlyMap<string, number> = new Map();

  constructor(options: HostMacKeeperOptions) {
    this.#options = options;
  }

  /** A MAC for each host of a topology. */
  allocate({ hosts, settings }: Topology): void {
    const { memory, compiler } = this.#options;
    for (const { name, dvrMac } of hosts.values()) {
      if (dvrMac === undefined && !memory.hostMacs.has(name)) this.#unconfirmed.add(name);
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

  /** A host shows itself: what it remembers of an earlier life wins over what was made up in this one. */
  recall({ name, bridges }: Host, view: SwitchView): void {
    if (!this.#unconfirmed.delete(name)) return;
    const text = view.bridges.get(bridges.integration)?.bridge.external_ids.get(HOST_MAC_KEY);
    const mac = text === undefined ? undefined : readMac(text);
    if (mac === undefined || mac === this.#macs.get(name)) return;
    if ([...this.#macs].some(([other, taken]) => other !== name && taken === mac)) return;
    const { memory, compiler, logger } = this.#options;
    this.#macs = new Map([...this.#macs, [name, mac]]);
    compiler.setHostMac(name, mac);
    memory.rememberHostMac(name, mac);
    logger.info({ host: name, mac: text }, 'the host remembers its MAC, which the state directory does not');
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
