/**
 * Work in steps: a generator that yields wherever it may be left for a while, and returns its result. Who runs it decides how much
 * of it fits into one turn of the event loop (switch/turns.ts, controller/pass-runner.ts). Serves whatever is long.
 */

/** Things that are quick enough to be done some at a time before anybody looks at the clock. */
export const STEP_LENGTH = 64;

/** Run all steps in one go. */
export function finish<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
