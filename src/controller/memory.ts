/**
 * What the controller remembers across its lives, in values: host MACs and last places of ports. Changes reach the state
 * file (state-store.ts) soon, all of a moment together, and a state directory that cannot be written is told and tried again.
 */
import { macFromText, macToText } from '../lib/addresses.ts';
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog } from '../lib/log.ts';
import { readState, StateError, writeState } from './state-store.ts';

export class Memory {
  readonly #directory: string;
  readonly #limitedLog: LimitedLog;
  readonly #hostMacs: Map<string, number>;
  readonly #portHosts: Map<string, string>;
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;

  /** Throws StateError when there is a file that cannot be used. */
  constructor(directory: string, limitedLog: LimitedLog) {
    this.#directory = directory;
    this.#limitedLog = limitedLog;
    const state = readState(directory);
    this.#hostMacs = new Map(Object.entries(state.hostMacs).map(([name, mac]) => [name, macFromText(mac)]));
    this.#portHosts = new Map(Object.entries(state.portHosts));
  }

  /** Every MAC ever given, by host name. */
  get hostMacs(): ReadonlyMap<string, number> {
    return this.#hostMacs;
  }

  rememberHostMac(host: string, mac: number): void {
    if (this.#hostMacs.get(host) === mac) return;
    this.#hostMacs.set(host, mac);
    this.#changed();
  }

  /** Where a port was last seen. */
  portHost(portId: string): string | undefined {
    return this.#portHosts.get(portId);
  }

  /** undefined: it is nowhere, and is known to be. */
  rememberPortHost(portId: string, host: string | undefined): void {
    if (this.#portHosts.get(portId) === host) return;
    if (host === undefined) this.#portHosts.delete(portId);
    else this.#portHosts.set(portId, host);
    this.#changed();
  }

  /** Write what is not written yet, and set no more timers. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#write();
  }

  #changed(): void {
    this.#isDirty = true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#write();
      // A directory that could not be written may be writable later.
      if (this.#isDirty) this.#changed();
    }, LIMITS.stateWriteIntervalMs);
  }

  #write(): void {
    if (!this.#isDirty) return;
    const hostMacs = [...this.#hostMacs].sort(byKey).map(([name, mac]) => [name, macToText(mac)]);
    try {
      writeState(this.#directory, {
        hostMacs: Object.fromEntries(hostMacs),
        portHosts: Object.fromEntries([...this.#portHosts].sort(byKey)),
      });
      this.#isDirty = false;
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      this.#limitedLog.warn('state', { code: error.code, reason: error.message }, 'the state file was not written');
    }
  }
}

const byKey = (left: readonly [string, unknown], right: readonly [string, unknown]): number =>
  left[0] < right[0] ? -1 : 1;
