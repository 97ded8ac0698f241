/**
 * Long work of the controller, one piece after the other and each in turns of the event loop: echo requests are answered and rows
 * read in between. What fits into one turn is done in one. Serves controller.ts.
 */
import { LIMITS } from '../lib/limits.ts';

/** Yielded by a piece that lets what it has caused go ahead before it goes on. */
export const NEXT_TURN = Symbol('next turn');

interface Piece {
  readonly steps: Generator<unknown, void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class Shift {
  readonly #pieces: Piece[] = [];
  #isWorking = false;
  #isClosed = false;

  /** Something is begun and not finished. */
  get isBusy(): boolean {
    return this.#pieces.length > 0;
  }

  /** Begins at once unless something else is under way. Rejects with what the steps throw; never settles once closed. */
  do(steps: Generator<unknown, void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pieces.push({ steps, resolve, reject });
      if (!this.#isWorking) this.#work();
    });
  }

  /** Begin nothing more, and leave what is under way. */
  close(): void {
    this.#isClosed = true;
    this.#pieces.length = 0;
  }

  #work(): void {
    this.#isWorking = true;
    const startMs = performance.now();
    for (let [piece] = this.#pieces; piece !== undefined && !this.#isClosed; [piece] = this.#pieces) {
      const step = this.#step(piece);
      if (step === 'done') this.#pieces.shift();
      else if (step === NEXT_TURN || performance.now() - startMs >= LIMITS.passTurnMs) {
        setImmediate(() => this.#work());
        return;
      }
    }
    this.#isWorking = false;
  }

  /** One step further: what it yields. */
  #step({ steps, resolve, reject }: Piece): unknown {
    try {
      const step = steps.next();
      if (step.done !== true) return step.value;
      resolve();
    } catch (error) {
      reject(error);
    }
    return 'done';
  }
}
