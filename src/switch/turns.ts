/**
 * Long work in short turns: sockets are served in between. Serves the controller's file of state and its reader of topologies;
 * installers share theirs (turn-queue.ts).
 */
import { LIMITS } from '../lib/limits.ts';

export { STEP_LENGTH } from '../lib/steps.ts';

export interface TurnOptions {
  /** Default: LIMITS.turnMs. */
  readonly turnMs: number;
}

/** Run all steps, and hand the event loop back whenever a turn has lasted so long. */
export async function inTurns<Result>(
  steps: Generator<void, Result>,
  { turnMs }: TurnOptions = { turnMs: LIMITS.turnMs },
): Promise<Result> {
  let turnStartMs = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - turnStartMs < turnMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turnStartMs = performance.now();
  }
}
