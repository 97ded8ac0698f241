/**
 * Flows, groups and meters of one bridge that the switch refused: named in the log with their object and rule, kept for status,
 * tried again with back-off. Serves installer.ts.
 */
import type { Desired } from '../compiler/book.ts';
import { formatFlow } from '../flow/format.ts';
import { formatGroup, formatMeter } from '../flow/format-group.ts';
import { flowKey } from '../flow/match.ts';
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog } from '../lib/log.ts';
import { numberKey, type Refusal } from './operations.ts';
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
  readonly #byKey = new Map<string, { readonly desired: Desired; readonly error: string }>();
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
      flow: textOf(desired),
      rule: desired.origin.rule,
      object: desired.origin.object,
      error,
    }));
  }

  /** One rate-limited line each. What is ours is tried again later. */
  add(refusals: readonly Refusal[]): void {
    for (const one of refusals) {
      this.#tell(one);
      const { desired, operation, error } = one;
      // A delete that was refused has nothing to be wanted; the next audit finds the flow again.
      if (desired !== undefined && operation?.kind !== 'delete') {
        this.#byKey.set(desiredKey(desired), { desired, error: error.code });
      }
    }
    if (this.#byKey.size > 0) this.#armTimer();
    else this.#waitMs = LIMITS.backoffMinMs;
  }

  /** It is about to be sent anew, or is wanted no more. */
  forget(desired: Desired): void {
    if (this.#byKey.size > 0) this.#byKey.delete(desiredKey(desired));
  }

  /** All of them; they are no longer held here. */
  take(): Desired[] {
    const taken = [...this.#byKey.values()].map(({ desired }) => desired);
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

  #tell({ desired, operation, error }: Refusal): void {
    const { host, bridge, limitedLog } = this.#options;
    const what = operation === undefined ? {} : describeOperation(operation);
    const unsent = desired === undefined || operation !== undefined ? {} : { ...desired.origin, flow: textOf(desired) };
    limitedLog.warn(
      `refused ${host} ${bridge} ${error.code} ${desired?.origin.rule}`,
      { host, bridge, error: error.code, ...what, ...unsent },
      `the switch refused a ${operation?.subject ?? 'flow'}`,
    );
  }
}

function desiredKey(desired: Desired): string {
  if ('flow' in desired) return flowKey(desired.flow);
  return 'group' in desired ? numberKey('group', desired.group.group) : numberKey('meter', desired.meter.meter);
}

function textOf(desired: Desired): string {
  if ('flow' in desired) return formatFlow(desired.flow);
  return 'group' in desired ? formatGroup(desired.group) : formatMeter(desired.meter);
}
