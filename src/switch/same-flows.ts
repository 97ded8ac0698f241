/**
 * The flows of a dump that are, byte for byte, as the book has them: of a bridge that is right, all. Serves compare-bridge.ts, which
 * hands the others to reconcile.ts.
 *
 * A dumped flow is found in the book by the bytes of its identity, and the flow-mod that the book makes of it on the spot is
 * compared: nothing is kept of a flow that is right but one byte that says so.
 */
import type { BridgeBook, FlowNumbers } from '../compiler/book.ts';
import { NO_FLOW } from '../compiler/flow-slab.ts';
import { cutFlows, type RawFlow } from '../openflow/flow-dump.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import { sameAttributes, sameBytes } from './flow-bytes.ts';
import { STEP_LENGTH } from './turns.ts';

/** What is not the same on both sides. */
export interface OtherFlows {
  readonly wanted: readonly DesiredFlow[];
  readonly installed: readonly RawFlow[];
  readonly sameCount: number;
  /** Flows that are the same, if they were asked for. */
  readonly same: readonly DesiredFlow[];
}

export class SameFlows {
  readonly #numbers: FlowNumbers;
  readonly #revision: number;
  /** By number: 1 for a flow that is on the bridge as it should be. */
  readonly #isSame: Uint8Array;
  /** Of flows of the book, by number, what the bridge has instead. */
  readonly #unequal = new Map<number, RawFlow>();
  readonly #unknown: RawFlow[] = [];

  constructor(book: BridgeBook) {
    this.#numbers = book.flowNumbers();
    this.#revision = this.#numbers.revision;
    this.#isSame = new Uint8Array(this.#numbers.length);
  }

  /** The book is no longer what it was: numbers may be others'. */
  get isStale(): boolean {
    return this.#numbers.revision !== this.#revision;
  }

  /** Some parts of a flow-stats reply; in turns (turns.ts). Throws HeddleError BAD_FLOW_DUMP. */
  *take(frames: readonly Uint8Array[]): Generator<void, void> {
    for (const frame of frames) {
      for (const raw of cutFlows(frame)) if (!this.isStale) this.#takeOne(raw);
      yield;
    }
  }

  #takeOne(raw: RawFlow): void {
    const number = this.#numbers.findBytes(raw);
    if (number === NO_FLOW) {
      this.#unknown.push(raw);
      return;
    }
    const { frame, instructionBytes } = this.#numbers.encoded(number);
    // Once more: it changed while the bridge was dumped, and the last is what it is now.
    if (sameAttributes(frame, raw) && sameBytes(instructionBytes, raw.instructionBytes)) {
      this.#isSame[number] = 1;
      this.#unequal.delete(number);
    } else {
      this.#isSame[number] = 0;
      this.#unequal.set(number, raw);
    }
  }

  /** After all was taken: the rest, in turns. undefined: the book has changed before all of it was read. */
  *others({ withSame }: { readonly withSame: boolean }): Generator<void, OtherFlows | undefined> {
    const wanted: DesiredFlow[] = [];
    const same: DesiredFlow[] = [];
    let sameCount = 0;
    for (let number = 0; number < this.#isSame.length; number += 1) {
      if (number % STEP_LENGTH === 0) yield;
      if (this.isStale) return undefined;
      if (!this.#numbers.has(number)) continue;
      const isSame = this.#isSame[number] === 1;
      if (isSame) sameCount += 1;
      if (!isSame || withSame) (isSame ? same : wanted).push(this.#numbers.desired(number));
    }
    return { wanted, same, sameCount, installed: [...this.#unknown, ...this.#unequal.values()] };
  }
}
