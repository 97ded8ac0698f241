/**
 * Operations and drift in people's words, and the counts of them. Serves log lines and status.
 */
import type { Flow } from '../flow/flow.ts';
import { formatFlow } from '../flow/format.ts';
import { formatGroup, formatMeter } from '../flow/format-group.ts';
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog, LogContext, Logger } from '../lib/log.ts';
import type { Origin } from '../pipeline/origin.ts';
import type { Comparison } from './compare-bridge.ts';
import type { Drift } from './drift-watch.ts';
import { decodeRawFlow } from './flow-bytes.ts';
import { type FoundDrift, LeftDrift } from './left-drift.ts';
import { type Operation, operationKey } from './operations.ts';
import type { DriftCounts, ModCounts } from './status.ts';

/** The thing's text, and rule, object and place in the topology file where it is ours. `found`: as it is now, if known. */
export function describeOperation(operation: Operation, found?: Flow): LogContext {
  const { kind, desired } = operation;
  const origin = desired === undefined ? {} : originOf(desired.origin);
  switch (operation.subject) {
    case 'flow':
      return { kind, flow: flowText(operation, found), ...origin };
    case 'group': {
      const group = operation.desired?.group ?? operation.installed;
      return { kind, group: group === undefined ? undefined : formatGroup(group), ...origin };
    }
    case 'meter': {
      const meter = operation.desired?.meter ?? operation.installed;
      return { kind, meter: meter === undefined ? undefined : formatMeter(meter), ...origin };
    }
  }
}

function originOf({ rule, object, path, line }: Origin): LogContext {
  return { rule, object, path, line };
}

function flowText({ desired, installed }: Operation & { readonly subject: 'flow' }, found?: Flow): string {
  const flow = desired?.flow ?? found ?? (installed === undefined ? undefined : decodeRawFlow(installed));
  return flow === undefined ? 'holds what we do not know' : formatFlow(flow);
}

export interface BridgeReportOptions {
  readonly host: string;
  readonly bridge: string;
  readonly logger: Logger;
  readonly limitedLog: LimitedLog;
}

export interface ComparedOptions {
  readonly reason: 'connect' | 'audit';
  /** On its way to the switch in any case. */
  readonly isPending: (operation: Operation) => boolean;
  /** What has drifted stays so: it is told once. */
  readonly isLeft: boolean;
}

export interface DriftedOptions {
  readonly changes: Iterable<string>;
  readonly isLeft: boolean;
}

const noMods = (): ModCounts => ({ add: 0, modify: 0, delete: 0 });

/** What one bridge was sent, what it refused, what others did to it: counted, and told. */
export class BridgeReport {
  readonly mods: Readonly<Record<Operation['subject'], ModCounts>> = {
    flow: noMods(),
    group: noMods(),
    meter: noMods(),
  };
  readonly drift: DriftCounts = { foreign: 0, missing: 0, changed: 0, stale: 0 };
  readonly errors = new Map<string, number>();
  readonly #options: BridgeReportOptions;
  readonly #left = new LeftDrift();

  constructor(options: BridgeReportOptions) {
    this.#options = options;
  }

  get errorCount(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Things that are other than they should be, told and left so. */
  get leftCount(): number {
    return this.#left.count;
  }

  sent(operation: Operation): void {
    this.mods[operation.subject][operation.kind] += 1;
    if (this.#left.count > 0) this.#left.forget([operationKey(operation)]);
  }

  refused(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }

  /** An error that answers nothing that was asked. */
  strayError(code: string, xid: number): void {
    const { host, bridge } = this.#options;
    this.refused(code);
    this.#warn(`error ${host} ${bridge} ${code}`, { xid, error: code }, 'the switch refused a message');
  }

  /**
   * What a comparison found. On a connect only what is foreign is drift: the rest is what this connection has not been given yet.
   */
  compared(comparison: Comparison, { reason, isPending, isLeft }: ComparedOptions): void {
    const { flows, groups, meters } = comparison;
    const found = {
      foreign: [...flows.foreign, ...groups.foreign, ...meters.foreign],
      missing: [...flows.missing, ...groups.missing, ...meters.missing],
      changed: [...flows.changed, ...groups.changed, ...meters.changed],
      stale: flows.stale,
    } as const satisfies Record<keyof DriftCounts, readonly Operation[]>;
    const drifts: FoundDrift[] = [];
    for (const kind of ['foreign', 'missing', 'changed', 'stale'] as const) {
      if (kind !== 'foreign' && reason !== 'audit') continue;
      for (const operation of found[kind]) {
        if (kind === 'foreign' || !isPending(operation)) drifts.push({ kind, operation, found: undefined });
      }
    }
    if (!isLeft) this.#left.clear();
    this.#tell(isLeft ? this.#left.newsOfAll(drifts) : drifts);
    const counts = Object.fromEntries(Object.entries(found).map(([kind, operations]) => [kind, operations.length]));
    const context = { reason, same: flows.sameCount, learned: flows.learnedCount, ...counts };
    this.#options.logger.info(context, 'bridge compared with the book');
  }

  /** Somebody has taken every flow away. */
  emptied(flowCount: number): void {
    const { host, bridge } = this.#options;
    this.drift.missing += flowCount;
    this.#warn(`drift ${host} ${bridge}`, { kind: 'add', flows: flowCount }, 'every flow of the bridge has gone');
  }

  /** There was nothing to compare. */
  filling(flowCount: number): void {
    this.#options.logger.info({ missing: flowCount }, 'the bridge has no flows: it gets all of them');
  }

  /** What of these changes, by operationKey, is drift; the others are as they should be, or none of our business. */
  drifted(drifts: readonly Drift[], { changes, isLeft }: DriftedOptions): void {
    if (!isLeft) {
      this.#tell(drifts);
      return;
    }
    const drifted = new Set(drifts.map(({ operation }) => operationKey(operation)));
    const isSettled = (key: string): boolean => !drifted.has(key);
    this.#left.forget([...changes].filter(isSettled));
    this.#tell(this.#left.news(drifts));
  }

  repairsHeld(): void {
    const { host, bridge } = this.#options;
    const context = { repairs: LIMITS.driftRepairBurst, intervalMs: LIMITS.driftRepairIntervalMs };
    const advice = 'flows drift again as soon as they are repaired: does another controller program this bridge?';
    this.#warn(`held ${host} ${bridge}`, context, advice);
  }

  passFailed(context: LogContext): void {
    const { host, bridge } = this.#options;
    this.#warn(`pass ${host} ${bridge}`, context, 'a pass failed, it is tried again');
  }

  #tell(drifts: readonly FoundDrift[]): void {
    const { host, bridge } = this.#options;
    for (const { kind } of drifts) this.drift[kind] += 1;
    for (const { kind, operation, found } of drifts.slice(0, LIMITS.namedFlows)) {
      const message = `a ${operation.subject} has drifted`;
      // What has happened, and not what is done about it.
      this.#warn(`drift ${host} ${bridge}`, { ...describeOperation(operation, found?.flow), kind }, message);
    }
  }

  #warn(key: string, context: LogContext, message: string): void {
    const { host, bridge, limitedLog } = this.#options;
    limitedLog.warn(key, { host, bridge, ...context }, message);
  }
}
