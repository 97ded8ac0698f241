/**
 * What a bridge has still to be told, in the order in which it came. Serves installer.ts.
 *
 * Adding costs nothing, whatever the size of the change; putting together what several changes come to is work for a pass, in
 * turns.
 */
import type { BridgeChange, Desired } from '../compiler/book.ts';
import { HeddleError } from '../lib/errors.ts';
import { type Operation, type OperationEncoder, operationKey, type Refusal } from './operations.ts';

/** Likewise a repair of what had drifted. */
export type PendingChange = Omit<BridgeChange, 'host' | 'bridge'> | { readonly operations: readonly Operation[] };

/** What some changes come to. */
export interface TakenChanges {
  /** One for each flow, group and meter, by operationKey: the last. */
  readonly operations: ReadonlyMap<string, Operation>;
  readonly unwritable: readonly Refusal[];
  /** Could not have been written, and need not be any more. */
  readonly withdrawn: readonly Desired[];
}

export class PendingChanges {
  #changes: PendingChange[] = [];

  get isEmpty(): boolean {
    return this.#changes.length === 0;
  }

  add(change: PendingChange): void {
    this.#changes.push(change);
  }

  /** What waits, which waits no more; in turns (turns.ts). */
  take(encoder: OperationEncoder): Generator<void, TakenChanges> {
    const changes = this.#changes;
    this.#changes = [];
    return flatten(changes, encoder);
  }

  clear(): void {
    this.#changes = [];
  }
}

function* flatten(changes: readonly PendingChange[], encoder: OperationEncoder): Generator<void, TakenChanges> {
  const operations = new Map<string, Operation>();
  const unwritable: Refusal[] = [];
  const withdrawn: Desired[] = [];
  const put = (operation: Operation): void => {
    const key = operationKey(operation);
    // To the end: an operation stands where the last change has it.
    operations.delete(key);
    operations.set(key, operation);
  };
  for (const change of changes) {
    if ('operations' in change) {
      for (const operation of change.operations) {
        put(operation);
        yield;
      }
      continue;
    }
    for (const [desired, remove] of desiredOf(change)) {
      try {
        put(encoder.encode(desired, remove));
      } catch (error) {
        if (!(error instanceof HeddleError)) throw error;
        if (remove) withdrawn.push(desired);
        else unwritable.push({ desired, operation: undefined, error });
      }
      yield;
    }
  }
  return { operations, unwritable, withdrawn };
}

function* desiredOf(change: Omit<BridgeChange, 'host' | 'bridge'>): Generator<readonly [Desired, boolean]> {
  for (const one of change.putMeters ?? []) yield [one, false];
  for (const one of change.putGroups ?? []) yield [one, false];
  for (const one of change.remove) yield [one, true];
  for (const one of change.put) yield [one, false];
  for (const one of change.removeGroups ?? []) yield [one, true];
  for (const one of change.removeMeters ?? []) yield [one, true];
}
