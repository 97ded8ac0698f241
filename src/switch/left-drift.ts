/**
 * What others changed on a bridge and what is left as it is (`drift: report`): remembered, so that each of it is told once, and again
 * only when it has become something else. Serves report.ts.
 *
 * An audit finds all of it again each time, and a new connection what is foreign; neither is news.
 */
import { LIMITS } from '../lib/limits.ts';
import type { Drift } from './drift-watch.ts';
import { rawCookie } from './flow-bytes.ts';
import { groupFrame, meterFrame, type Operation, operationKey } from './operations.ts';

/** A difference between bridge and book. */
export type FoundDrift = Pick<Drift, 'kind' | 'found'> & { readonly operation: Operation };

export class LeftDrift {
  /** What each was when it was told, by operationKey. */
  #told = new Map<string, string>();

  /** How many are known to be there. */
  get count(): number {
    return this.#told.size;
  }

  clear(): void {
    this.#told.clear();
  }

  /** This is on its way to the switch, or is right again by itself: should it drift once more, that is news. */
  forget(keys: Iterable<string>): void {
    if (this.#told.size === 0) return;
    for (const key of keys) this.#told.delete(key);
  }

  /** Of what is different now, what is news; it is remembered. */
  news<Found extends FoundDrift>(found: Iterable<Found>): Found[] {
    return this.#remember(found, this.#told);
  }

  /** As `news`, where `found` is all that is different: what is not among it is over. */
  newsOfAll<Found extends FoundDrift>(found: Iterable<Found>): Found[] {
    const now = new Map<string, string>();
    const news = this.#remember(found, now);
    this.#told = now;
    return news;
  }

  #remember<Found extends FoundDrift>(found: Iterable<Found>, into: Map<string, string>): Found[] {
    const news: Found[] = [];
    for (const one of found) {
      const [key, state] = [operationKey(one.operation), stateOf(one)];
      if (this.#told.get(key) !== state) news.push(one);
      // More than this is told again and again.
      if (into.size < LIMITS.leftDrift || into.has(key)) into.set(key, state);
    }
    return news;
  }
}

/** What tells one state of a thing from another, whether an audit has found it or the switch told of it. */
function stateOf({ kind, operation, found }: FoundDrift): string {
  return kind === 'missing' ? kind : `${kind} ${found === undefined ? installedState(operation) : foundState(found)}`;
}

/** Of a flow; flags are not told of. */
function foundState({ flow, instructionBytes }: NonNullable<Drift['found']>): string {
  const { cookie, idleTimeoutS = 0, hardTimeoutS = 0 } = flow;
  return flowState({ cookie, idleTimeoutS, hardTimeoutS, instructionBytes });
}

function installedState(operation: Operation): string {
  const { installed } = operation;
  if (installed === undefined) return '';
  if ('group' in installed) return asText(groupFrame('add', installed));
  if ('meter' in installed) return asText(meterFrame('add', installed));
  return flowState({ ...installed, cookie: rawCookie(installed) });
}

interface FlowState {
  readonly cookie: bigint;
  readonly idleTimeoutS: number;
  readonly hardTimeoutS: number;
  readonly instructionBytes: Uint8Array;
}

function flowState({ cookie, idleTimeoutS, hardTimeoutS, instructionBytes }: FlowState): string {
  return `${cookie} ${idleTimeoutS} ${hardTimeoutS} ${asText(instructionBytes)}`;
}

function asText({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}
