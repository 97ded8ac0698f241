/**
 * Runs programs for the lab, the demo and the tests: argument lists, never a shell, always a deadline.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { HeddleError } from '../../../src/lib/errors.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const OUTPUT_SIZE = 256 * 1024 * 1024;

export interface CommandOptions {
  /** What the program reads from its standard input; without it, the input is empty. */
  readonly input?: string;
  readonly timeoutMs?: number;
  /** Joined to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  /** Exit status; 128 and the signal's number where one ended it; 124 at the deadline. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run a program to its end, whatever its exit status. */
export function runAny(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      {
        timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_SIZE,
        env: { ...process.env, ...options.env },
      },
      (error, stdout, stderr) => {
        if (!error) resolve({ status: 0, stdout, stderr });
        else if (error.killed) resolve({ status: 124, stdout, stderr: `${stderr}\nno end within the deadline` });
        else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr });
        else resolve({ status: error.signal ? 128 : 127, stdout, stderr: stderr || error.message });
      },
    );
    // A program that ends without reading its input closes the pipe; its exit status says what there is to say.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** Run a program and give what it printed. Throws HeddleError `COMMAND_FAILED` unless it exits with 0. */
export async function run(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await runAny(command, options);
  if (status === 0) return stdout;
  throw new HeddleError(
    'COMMAND_FAILED',
    `${command.join(' ')}: exit status ${status}${stderr ? `: ${stderr.trim()}` : ''}${stdout ? `\n${stdout.trim()}` : ''}`,
    { command, status },
  );
}

/** Start a program that goes on running; its output is for the caller to read. */
export function start(command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const [program = '', ...args] = command;
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
}

export interface EventuallyOptions {
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
}

/**
 * Ask again and again until the answer is not `undefined` (nor `false`), and give it. The last error of asking is the
 * cause of the HeddleError `DEADLINE` that ends it.
 */
export async function eventually<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined | false> | Answer | undefined | false,
  options: EventuallyOptions = {},
): Promise<Answer> {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const deadline = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= deadline) break;
    await delay(options.intervalMs ?? 50);
  }
  const because = cause instanceof Error ? `: ${cause.message}` : '';
  throw new HeddleError('DEADLINE', `${what}: not within ${timeoutMs} ms${because}`, {}, { cause });
}
