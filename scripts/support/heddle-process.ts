/**
 * heddle as a process of its own, as people run it: bin/heddle.js, asked through its control socket, ended by a signal. Serves
 * the demo, and the tests under test/netns/ and test/ovs/.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { askControl } from '../../src/controller/control-socket.ts';
import type { ControllerStatus } from '../../src/controller/status.ts';
import { HeddleError } from '../../src/lib/errors.ts';
import { type CommandResult, type EventuallyOptions, eventually, runAny } from './lab/command.ts';
import type { Namespace } from './lab/namespace.ts';

const HEDDLE = join(dirname(dirname(import.meta.dirname)), 'bin', 'heddle.js');
const COMPLAINTS = ['warn', 'error', 'fatal'];

export interface HeddleOptions {
  /** Default: where this process is. */
  readonly namespace?: Namespace;
  /** The topology file. */
  readonly file: string;
  /** Where bridges connect: `tcp:100.99.0.1:6653`. */
  readonly listen: string;
  /** For the control socket, the state and the log. */
  readonly directory: string;
  /** Whether it outlives this process. */
  readonly kept?: boolean;
  /** Further options of `heddle run`. */
  readonly args?: readonly string[];
  /** nice(1): how readily it leaves the processor to others. Default 0. */
  readonly niceness?: number;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

export class HeddleProcess {
  readonly control: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;

  private constructor(child: ChildProcess, files: { control: string; logFile: string }) {
    this.#child = child;
    this.control = files.control;
    this.logFile = files.logFile;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
    });
  }

  /** Start `heddle run`. It is not converged yet: see `converged`. */
  static start(options: HeddleOptions): HeddleProcess {
    mkdirSync(options.directory, { recursive: true });
    const control = join(options.directory, 'control.sock');
    const logFile = join(options.directory, 'heddle.log');
    const where = ['--listen', options.listen, '--control', control, '--state', join(options.directory, 'state')];
    const args = ['run', options.file, ...where, ...(options.args ?? [])];
    const niceness = options.niceness ?? 0;
    const command = [...(niceness === 0 ? [] : ['nice', '-n', `${niceness}`]), process.execPath, HEDDLE, ...args];
    const [program = '', ...rest] = options.namespace?.command(command) ?? command;
    // Its words go to a file and not through us, so that they outlive us where it does.
    const log = openSync(logFile, 'a');
    const child = spawn(program, rest, { stdio: ['ignore', log, log], detached: options.kept ?? false });
    closeSync(log);
    if (options.kept) child.unref();
    return new HeddleProcess(child, { control, logFile });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Its exit status, when it has ended, by itself or not. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  /** Everything that it, and those before it in this directory, have said so far. */
  get output(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** What it has logged so far. */
  get log(): LogLine[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as LogLine];
        } catch {
          return []; // The last line, still being written.
        }
      });
  }

  /** What it has logged as a warning or worse. */
  get complaints(): LogLine[] {
    return this.log.filter((line) => COMPLAINTS.includes(line.level));
  }

  /** Another command of heddle's that asks this controller: `ask('flows', '--live', '--host', 'node1')`. */
  ask(...args: string[]): Promise<CommandResult> {
    return runAny([process.execPath, HEDDLE, ...args, '--control', this.control]);
  }

  /** What `heddle status --json` prints, without starting a process for each question. */
  async status(): Promise<ControllerStatus> {
    return (await askControl(this.control, 'status')) as ControllerStatus;
  }

  /** Wait until every switch has confirmed what the topology says. Throws at once where the process has ended. */
  async converged(options: EventuallyOptions = { timeoutMs: 30_000 }): Promise<ControllerStatus> {
    const ask = async (): Promise<ControllerStatus | 'ended' | false> => {
      if (this.#child.exitCode !== null) return 'ended';
      const status = await this.status();
      return status.converged && status;
    };
    const outcome = await eventually('heddle converges', ask, options).catch(async (cause: unknown) => {
      const { stdout } = await this.ask('status');
      throw new HeddleError('NOT_CONVERGED', `heddle does not converge\n${stdout}${this.output}`, {}, { cause });
    });
    if (outcome === 'ended') throw new HeddleError('HEDDLE_ENDED', `heddle run has ended\n${this.output}`);
    return outcome;
  }

  /** Read the topology file again. */
  reload(): void {
    this.#child.kill('SIGHUP');
  }

  /** End it, and give its exit status. */
  stop(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL' = 'SIGTERM'): Promise<number> {
    this.#child.kill(signal);
    return this.#ended;
  }
}
