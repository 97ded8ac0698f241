/**
 * The two kinds of wrong. `invariant` is for our own mistakes: it crashes with its context. A `HeddleError` with a code is
 * the world's doing (a bad file, a peer talking nonsense, a refused write): callers handle it, rate-limit it and test it.
 */

/** Context of an error: plain values that a log line can carry. */
export type ErrorContext = Readonly<Record<string, unknown>>;

/** An error of the outside world. `code` is stable and meant for programs, `message` says what, where and what to do. */
export class HeddleError extends Error {
  readonly code: string;
  readonly context: ErrorContext;

  constructor(code: string, message: string, context: ErrorContext = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.context = context;
  }
}

/** A broken promise of our own code. Never caught on purpose. */
export class InvariantError extends Error {
  readonly context: ErrorContext;

  constructor(message: string, context: ErrorContext) {
    super(`${message} ${JSON.stringify(context, (_key, value) => (typeof value === 'bigint' ? `${value}` : value))}`);
    this.name = 'InvariantError';
    this.context = context;
  }
}

/** Assert what our own code promises. Not for input of peers, files or users: those get a coded `HeddleError`. */
export function invariant(condition: unknown, message: string, context: ErrorContext = {}): asserts condition {
  if (!condition) throw new InvariantError(message, context);
}

/** In the `default` of an exhaustive switch: the compiler proves that no case is left. */
export function unreachable(value: never, message: string): never {
  throw new InvariantError(message, { value });
}
