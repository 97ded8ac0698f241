/**
 * Flows of one bridge that the switch refused: named in the log with their object and rule, kept for status, tried again with
 * back-off. Serves installer.ts.
 */
import { type DesiredFlow, flowKey } from '../compiler/book.ts';
import { formatFlow } from '../flow/format.ts';
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog } from '../lib/log.ts';
import type { RefusedFlow } from './reconcile.ts';
import { describeOperation } from './report.ts';
import type { RefusedFlowStatus } from './status.ts';

export interface RefusedFlowsOptions {
  readonly host: string;
  readonly bridge: string;
  readonly limitedLog: LimitedLog;
  /** The back-off is over: take() and send again. */
  readonly retry: () => void;
}

export class RefusedFlows {
  readonly #options: RefusedFlowsOptions;
  readonly #byKey = new Map<string, { readonly desired: DesiredFlow; readonly error: string }>();
  #timer: NodeJS.Timeout | undefined;
  #waitMs: number = LIMITS.backoffMinMs;

  constructor(options: RefusedFlowsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#byKey.size;
  }

  /** The first LIMITS.namedFlows of them. */
  named(): RefusedFlowStatus[] {
    return [...this.#byKey.values()].slice(0, LIMITS.namedFlows).map(({ desired, error }) => ({
      flow: formatFlow(desired.flow),
      rule: desired.origin.rule,
      object: desired.origin.object,
      error,
    }));
  }

  /** One rate-limited line each. What is ours is tried again later. */
  add(refused: readonly RefusedFlow[]): void {
    for (const one of refused) {
      this.#tell(one);
      const { desired, operation, error } = one;
      // A delete that was refused has nothing to be wanted; the next audit finds the flow again.
      if (desired !== undefined && operation?.kind !== 'delete') {
        this.#byKey.set(flowKey(desired.flow), { desired, error: error.code });
      }
    }
    if (this.#byKey.size > 0) this.#armTimer();
    else this.#waitMs = LIMITS.backoffMinMs;
  }

  /** The flow is about to be sent anew, or is wanted no more. */
  forget(key: string): void {
    this.#byKey.delete(key);
  }

  /** All of them, by flowKey; they are no longer held here. */
  take(): [string, DesiredFlow][] {
    const taken = [...this.#byKey].map(([key, { desired }]): [string, DesiredFlow] => [key, desired]);
    this.#byKey.clear();
    return taken;
  }

  clear(): void {
    this.#byKey.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waitMs = LIMITS.backoffMinMs;
  }

  #armTimer(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#options.retry();
    }, this.#waitMs);
    this.#waitMs = Math.min(LIMITS.refusedRetryMaxMs, this.#waitMs * 2);
  }

  #tell({ desired, operation, error }: RefusedFlow): void {
    const { host, bridge, limitedLog } = this.#options;
    const shown =
      operation ?? (desired && ({ kind: 'add', table: desired.flow.table, frame: NO_FRAME, desired } as const));
    limitedLog.warn(
      `refused ${host} ${bridge} ${error.code} ${desired?.origin.rule}`,
      { host, bridge, error: error.code, ...(shown === undefined ? {} : describeOperation(shown)) },
      'the switch refused a flow',
    );
  }
}

const NO_FRAME = new Uint8Array(0);
