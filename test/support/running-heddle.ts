/**
 * `heddle run` as a process beside OvsSandboxes, with a topology file that a test edits. Serves test/ovs/controller-*.test.ts,
 * where signals, files and options of the process matter.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HeddleProcess, type LogLine } from '../../scripts/support/heddle-process.ts';
import type { ControllerStatus } from '../../src/controller/status.ts';
import { ControlledSite, type ControlledSiteOptions } from './controlled-site.ts';
import { waitFor } from './ovs-sandbox.ts';

export class RunningHeddle {
  readonly site: ControlledSite;
  readonly file: string;
  #process: HeddleProcess | undefined;

  private constructor(site: ControlledSite) {
    this.site = site;
    this.file = join(site.directory, 'topology.json');
  }

  /** The hosts and the file are there; nothing runs yet. */
  static async prepare(options?: ControlledSiteOptions): Promise<RunningHeddle> {
    const heddle = new RunningHeddle(await ControlledSite.prepare(options));
    heddle.write(heddle.site.text());
    return heddle;
  }

  /** As `prepare`, and the process has converged. */
  static async start(options?: ControlledSiteOptions): Promise<RunningHeddle> {
    const heddle = await RunningHeddle.prepare(options);
    try {
      heddle.run();
      await heddle.process.converged();
    } catch (error) {
      await heddle.stop();
      throw error;
    }
    return heddle;
  }

  get process(): HeddleProcess {
    if (this.#process === undefined) throw new Error('heddle does not run');
    return this.#process;
  }

  run(...args: readonly string[]): void {
    const { directory, listen } = this.site;
    this.#process = HeddleProcess.start({ file: this.file, listen, directory, args });
  }

  write(text: string): void {
    writeFileSync(this.file, text);
  }

  /** Lines of the log with this message. */
  lines(message: string): LogLine[] {
    return this.process.log.filter(({ msg }) => msg === message);
  }

  /** Until the log holds `count` lines with this message. */
  async logged(message: string, count = 1): Promise<LogLine[]> {
    return waitFor(`"${message}" in the log`, () => {
      const lines = this.lines(message);
      return lines.length >= count && lines;
    });
  }

  status(): Promise<ControllerStatus> {
    return this.process.status();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    await this.site.stop();
  }
}
