/**
 * The book: every flow that should exist, by bridge, and why. Owners (compiler/engine.ts) write it, switch/ compares switches
 * with it, the command line prints it.
 *
 * A bridge's book is keyed by what OpenFlow takes for identity (table, priority, match). Owners that render the same flow share
 * it; owners that render unequal flows under one key are a conflict: a fixed order decides which is installed, and both are named.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Action } from '../flow/action.ts';
import type { Flow } from '../flow/flow.ts';
import { flowKey } from '../flow/match.ts';
import { invariant } from '../lib/errors.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';

export { flowKey } from '../flow/match.ts';
export type { DesiredFlow, Origin } from '../pipeline/origin.ts';

/**
 * What one pass changed on one bridge. `put` are flows to add or to replace in place, `remove` are flows as they were. Groups
 * and meters will stand beside the flows: added before them, removed after them.
 */
export interface BridgeChange {
  readonly host: string;
  readonly bridge: string;
  readonly put: readonly DesiredFlow[];
  readonly remove: readonly DesiredFlow[];
}

/** Two rules that want unequal flows under one key. `installed` is the one that the fixed order chose. */
export interface Conflict {
  readonly host: string;
  readonly bridge: string;
  readonly installed: DesiredFlow;
  readonly refused: readonly DesiredFlow[];
}

/** What identifies a flow on a bridge (OpenFlow 1.3.5 §6.4, strict). */
export type FlowIdentity = Pick<Flow, 'table' | 'priority' | 'match'>;

/** The desired flows of one bridge, for readers. */
export interface BridgeBook {
  readonly host: string;
  readonly bridge: string;
  /** Number of flows. */
  readonly size: number;
  /** Every desired flow once, in no particular order. */
  flows(): IterableIterator<DesiredFlow>;
  /** The desired flow with this table, priority and match. */
  find(identity: FlowIdentity): DesiredFlow | undefined;
}

/** Equal in what the switch does: actions, timeouts and flags. The cookie is not compared. */
export function sameBehaviour(left: Flow, right: Flow): boolean {
  return (
    left === right ||
    ((left.idleTimeoutS ?? 0) === (right.idleTimeoutS ?? 0) &&
      (left.hardTimeoutS ?? 0) === (right.hardTimeoutS ?? 0) &&
      (left.flags ?? 0) === (right.flags ?? 0) &&
      isDeepStrictEqual(left.actions, right.actions))
  );
}

/**
 * The fixed order in which rivals for one key are tried: by rule, then by object. Within one owner's rule and object nothing
 * but the actions tells two flows apart.
 */
function compareRivals(left: DesiredFlow, right: DesiredFlow): number {
  return (
    compareText(left.origin.rule, right.origin.rule) ||
    compareText(left.origin.object, right.origin.object) ||
    compareText(actionsKey(left.flow.actions), actionsKey(right.flow.actions))
  );
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function actionsKey(actions: readonly Action[]): string {
  return JSON.stringify(actions, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

/** The book of one bridge, for its writer. */
export class BridgeLedger implements BridgeBook {
  readonly host: string;
  readonly bridge: string;
  readonly #installed = new Map<string, DesiredFlow>();
  /** All claims of the keys that more than one claim stands for, in the fixed order. */
  readonly #rivals = new Map<string, DesiredFlow[]>();
  /** Keys touched since the last `takeChange`, and what they stood for before; null: nothing. */
  #touched = new Map<string, DesiredFlow | null>();

  constructor(host: string, bridge: string) {
    this.host = host;
    this.bridge = bridge;
  }

  get size(): number {
    return this.#installed.size;
  }

  get isTouched(): boolean {
    return this.#touched.size > 0;
  }

  flows(): IterableIterator<DesiredFlow> {
    return this.#installed.values();
  }

  find(identity: FlowIdentity): DesiredFlow | undefined {
    return this.#installed.get(flowKey(identity));
  }

  /** An owner wants this flow. */
  claim(key: string, desired: DesiredFlow): void {
    const installed = this.#installed.get(key);
    this.#touch(key, installed);
    if (installed === undefined) {
      this.#installed.set(key, desired);
      return;
    }
    const rivals = this.#rivals.get(key) ?? [installed];
    rivals.push(desired);
    rivals.sort(compareRivals);
    this.#rivals.set(key, rivals);
    this.#installed.set(key, firstOf(rivals));
  }

  /** An owner no longer wants this flow, which it claimed. */
  release(key: string, desired: DesiredFlow): void {
    this.#touch(key, this.#installed.get(key));
    const rivals = this.#rivals.get(key);
    if (rivals === undefined) {
      this.#installed.delete(key);
      return;
    }
    rivals.splice(rivals.indexOf(desired), 1);
    this.#installed.set(key, firstOf(rivals));
    if (rivals.length === 1) this.#rivals.delete(key);
  }

  /** What changed since this was last asked. */
  takeChange(): BridgeChange {
    const put: DesiredFlow[] = [];
    const remove: DesiredFlow[] = [];
    for (const [key, before] of this.#touched) {
      const after = this.#installed.get(key);
      if (after === undefined) {
        if (before !== null) remove.push(before);
      } else if (before === null || !sameFlow(before.flow, after.flow)) put.push(after);
    }
    this.#touched = new Map();
    return { host: this.host, bridge: this.bridge, put, remove };
  }

  conflicts(): readonly Conflict[] {
    const conflicts: Conflict[] = [];
    for (const rivals of this.#rivals.values()) {
      const installed = firstOf(rivals);
      const refused = rivals.filter((rival) => !sameBehaviour(rival.flow, installed.flow));
      if (refused.length > 0) conflicts.push({ host: this.host, bridge: this.bridge, installed, refused });
    }
    return conflicts;
  }

  #touch(key: string, installed: DesiredFlow | undefined): void {
    if (!this.#touched.has(key)) this.#touched.set(key, installed ?? null);
  }
}

function firstOf(rivals: readonly DesiredFlow[]): DesiredFlow {
  const first = rivals[0];
  invariant(first !== undefined, 'A contested key has a claim.');
  return first;
}

function sameFlow(left: Flow, right: Flow): boolean {
  return left === right || (left.cookie === right.cookie && sameBehaviour(left, right));
}
