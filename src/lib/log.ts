/**
 * Logging: the one logger type that is handed down (pino's shape), and a rate limit for lines that a peer can cause. Serves
 * every part that has effects; pure parts do not log, they return what is worth a line.
 */
import { type DestinationStream, pino } from 'pino';
import { LIMITS } from './limits.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Values that belong to a line: host, bridge, object, code. bigints are written as hex text. */
export type LogContext = Readonly<Record<string, unknown>>;

/** What pino's loggers can do and ours use. */
export interface Logger {
  debug(context: LogContext, message: string): void;
  info(context: LogContext, message: string): void;
  warn(context: LogContext, message: string): void;
  error(context: LogContext, message: string): void;
  child(bindings: Record<string, unknown>): Logger;
}

export interface CreateLoggerOptions {
  readonly level?: LogLevel;
  /** Where lines go: anything with `write(line)`; default is stderr, so that stdout stays for data. */
  readonly destination?: DestinationStream;
}

/** A logger that writes one JSON object a line. */
export function createLogger(options: CreateLoggerOptions = {}): Logger {
  const destination = options.destination ?? pino.destination({ fd: 2, sync: true });
  return pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: readable },
    },
    destination,
  );
}

/** JSON knows no bigint; datapath ids and cookies are read in hex anyway. */
function readable(context: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(context);
  if (!entries.some(([, value]) => typeof value === 'bigint')) return context;
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'bigint' ? `0x${value.toString(16)}` : value]),
  );
}

/** A logger that says nothing: for tests and for libraries used without one. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

interface Allowance {
  windowStartMs: number;
  written: number;
  suppressed: number;
}

/**
 * Warnings that a peer can cause again and again: for each key at most `LIMITS.logBurst` lines in `LIMITS.logIntervalMs`.
 * What was held back is counted, and told by the next line of that key (`suppressed`).
 */
export class LimitedLog {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #allowances = new Map<string, Allowance>();
  #suppressedCount = 0;

  constructor(logger: Logger, nowMs: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** Lines held back since the start, of all keys. */
  get suppressedCount(): number {
    return this.#suppressedCount;
  }

  warn(key: string, context: LogContext, message: string): void {
    const nowMs = this.#nowMs();
    const allowance = this.#allowance(key, nowMs);
    if (nowMs - allowance.windowStartMs >= LIMITS.logIntervalMs) {
      allowance.windowStartMs = nowMs;
      allowance.written = 0;
    }
    if (allowance.written >= LIMITS.logBurst) {
      allowance.suppressed += 1;
      this.#suppressedCount += 1;
      return;
    }
    allowance.written += 1;
    const { suppressed } = allowance;
    allowance.suppressed = 0;
    this.#logger.warn(suppressed > 0 ? { ...context, suppressed } : context, message);
  }

  #allowance(key: string, nowMs: number): Allowance {
    const known = this.#allowances.get(key);
    if (known !== undefined) return known;
    // Keys may hold what peers chose, so the oldest makes room.
    if (this.#allowances.size >= LIMITS.logKeyCount) {
      const oldest = this.#allowances.keys().next();
      if (oldest.done !== true) this.#allowances.delete(oldest.value);
    }
    const allowance = { windowStartMs: nowMs, written: 0, suppressed: 0 };
    this.#allowances.set(key, allowance);
    return allowance;
  }
}
