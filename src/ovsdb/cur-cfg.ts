/**
 * Waits for ovs-vswitchd: it sets `cur_cfg` to the `next_cfg` that it has put into effect (ovs-vswitchd.conf.db(5)). Serves the
 * client.
 */
import { OvsdbError } from './errors.ts';

interface Wait {
  readonly nextCfg: number;
  readonly resolve: () => void;
  readonly reject: (error: OvsdbError) => void;
  readonly timer: NodeJS.Timeout;
}

export class CurCfgWaits {
  readonly #timeoutMs: number;
  readonly #waits = new Set<Wait>();
  #curCfg = Number.NEGATIVE_INFINITY;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves when `cur_cfg` is at least this. Rejects with CUR_CFG_TIMEOUT or CLOSED. */
  reached(nextCfg: number): Promise<void> {
    if (this.#curCfg >= nextCfg) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waits.delete(wait);
        const message = `ovs-vswitchd has not confirmed configuration ${nextCfg} within ${this.#timeoutMs} ms: is it running?`;
        reject(new OvsdbError('CUR_CFG_TIMEOUT', message, { nextCfg, curCfg: this.#curCfg }));
      }, this.#timeoutMs);
      const wait: Wait = { nextCfg, resolve, reject, timer };
      this.#waits.add(wait);
    });
  }

  onChanges(changes: readonly { readonly table: string; readonly new: unknown }[]): void {
    for (const change of changes) {
      if (change.table !== 'Open_vSwitch') continue;
      const row = change.new as { readonly cur_cfg?: unknown } | undefined;
      if (typeof row?.cur_cfg === 'number') this.#curCfg = row.cur_cfg;
    }
    for (const wait of this.#waits) {
      if (wait.nextCfg > this.#curCfg) continue;
      this.#end(wait);
      wait.resolve();
    }
  }

  close(): void {
    for (const wait of this.#waits) {
      this.#end(wait);
      wait.reject(
        new OvsdbError('CLOSED', 'The OVSDB client was closed while a configuration awaited its confirmation.'),
      );
    }
  }

  #end(wait: Wait): void {
    clearTimeout(wait.timer);
    this.#waits.delete(wait);
  }
}
