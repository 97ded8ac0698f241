/**
 * Long work of many bridges in short turns: they share what one turn of the event loop may last, and come one after the other, so
 * that hundreds that are compared at the same moment keep sockets waiting no longer than one does. Serves the installers of one
 * controller.
 */
import { LIMITS } from '../lib/limits.ts';

export class TurnQueue {
  /** Who waits for a turn of the loop, the longest first. */
  readonly #waiting: (() => void)[] = [];
  /** Until when work may go on in this turn of the loop. */
  #endMs = 0;
  /** The next turn of the loop is asked for; until it comes, `#endMs` is this one's. */
  #isArmed = false;

  /** Run all steps: at once, as far as this turn of the loop has time left and nobody has waited for it. */
  async run<Result>(steps: Generator<void, Result>): Promise<Result> {
    if (this.#waiting.length > 0 || !this.#hasTime()) await this.#turn();
    try {
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        if (!this.#hasTime()) await this.#turn();
      }
    } finally {
      this.#passOn();
    }
  }

  #hasTime(): boolean {
    const nowMs = performance.now();
    if (this.#isArmed) return nowMs < this.#endMs;
    // Nothing has been done in this turn of the loop yet.
    this.#begin(nowMs);
    return true;
  }

  #begin(nowMs: number): void {
    this.#endMs = nowMs + LIMITS.turnMs;
    this.#isArmed = true;
    setImmediate(() => {
      this.#isArmed = false;
      if (this.#waiting.length === 0) return;
      this.#begin(performance.now());
      this.#passOn();
    });
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What is left of this turn of the loop is the next one's. */
  #passOn(): void {
    if (this.#isArmed && performance.now() < this.#endMs) this.#waiting.shift()?.();
  }
}
