/**
 * `heddle run FILE`: the controller as a process. Reads the file, opens the control socket, follows the file and the signals, and
 * stays until it is told to end. SIGTERM leaves every flow in place.
 */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type ControlHandlers, defaultControlPath, serveControl } from '../controller/control-socket.ts';
import { Controller } from '../controller/controller.ts';
import { liveDifference } from '../controller/live-difference.ts';
import { liveFlows } from '../controller/live-flows.ts';
import { Metrics, MetricsServer } from '../controller/metrics.ts';
import { defaultStateDirectory } from '../controller/state-store.ts';
import { readStatus, type TopologyStatus } from '../controller/status.ts';
import { TopologyWatcher } from '../controller/topology-file.ts';
import { TopologyReader } from '../controller/topology-reader.ts';
import { HeddleError } from '../lib/errors.ts';
import { createLogger, type Logger, type LogLevel } from '../lib/log.ts';
import { formatTopologyError } from '../topology/error.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatLogLine } from './log-lines.ts';
import { plural, type Terminal } from './output.ts';
import { readTls, type TlsOptions } from './tls.ts';

export interface RunOptions extends TlsOptions {
  readonly listen?: readonly string[];
  readonly ovsdbListen?: readonly string[];
  readonly control?: string;
  readonly metrics?: string;
  readonly state?: string;
  readonly elect?: boolean;
  readonly logLevel: LogLevel;
}

const DEFAULT_LISTEN = ['tcp:127.0.0.1:6653'];

export async function run(file: string, options: RunOptions, terminal: Terminal): Promise<ExitStatus> {
  const logger = createLogger({
    level: options.logLevel,
    ...(process.stderr.isTTY && { destination: { write: (line) => terminal.talk(formatLogLine(line, terminal)) } }),
  });
  const userId = process.getuid?.() ?? 0;
  const tls = readTls(options);
  const stateDirectory = options.state ?? defaultStateDirectory(process.env, userId);
  const controller = new Controller({
    listen: options.listen ?? DEFAULT_LISTEN,
    ovsdbListen: options.ovsdbListen ?? [],
    stateDirectory,
    ...(options.elect === true && { identity: `${hostname()} ${resolve(stateDirectory)}` }),
    ...(tls && { tls }),
    logger,
  });
  const reader = new TopologyReader(file);
  const reading = await reader.read(controller.heldValues);
  if ('errors' in reading) {
    for (const error of reading.errors) terminal.talk(`${formatTopologyError(error)}\n`);
    terminal.talk(`heddle: ${file} has ${plural(reading.errors.length, 'error')}; nothing was started\n`);
    return EXIT.finding;
  }
  const source = new TopologySource({ file, reader, controller, logger });
  const control = await serveControl(
    options.control ?? defaultControlPath(process.env, userId),
    handlersOf(controller, source),
  );
  let metrics: MetricsServer | undefined;
  try {
    // Before the first pass, so that it is counted too.
    if (options.metrics !== undefined) metrics = await MetricsServer.listen(options.metrics, new Metrics(controller));
    await controller.start(reading.topology);
    controller.hold(reading.derived);
    logger.info({ file, control: control.path, pid: process.pid }, 'heddle runs');
    const watcher = new TopologyWatcher(file, () => void source.reload());
    const signal = await untilSignalled(() => void source.reload());
    logger.info({ signal }, 'heddle ends; the switches keep their flows');
    await watcher.close();
    await reader.close();
    return EXIT.success;
  } finally {
    await controller.close();
    await metrics?.close();
    await control.close();
  }
}

interface TopologySourceOptions {
  readonly file: string;
  readonly reader: TopologyReader;
  readonly controller: Controller;
  readonly logger: Logger;
}

/** The file as it was last read. */
class TopologySource {
  readonly #options: TopologySourceOptions;
  #loadedAt = new Date();
  #errors: readonly string[] = [];
  #isReading = false;
  #isDue = false;

  constructor(options: TopologySourceOptions) {
    this.#options = options;
  }

  get status(): TopologyStatus {
    return { file: this.#options.file, loadedAt: this.#loadedAt.toISOString(), errors: this.#errors };
  }

  /** Once more, and again after that when it is asked for meanwhile. */
  async reload(): Promise<void> {
    this.#isDue = true;
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#isDue) {
      this.#isDue = false;
      await this.#reload();
    }
    this.#isReading = false;
  }

  /** All or nothing: a file that does not validate is told, and changes nothing. */
  async #reload(): Promise<void> {
    const { file, reader, controller, logger } = this.#options;
    try {
      const reading = await reader.read(controller.heldValues);
      if ('errors' in reading) {
        this.#refuse(reading.errors.map(formatTopologyError));
        return;
      }
      this.#errors = [];
      this.#loadedAt = new Date();
      await controller.setTopology(reading.topology);
      controller.hold(reading.derived);
      logger.info({ file, generation: controller.generation }, 'topology read again');
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      this.#refuse([error.message]);
    }
  }

  #refuse(errors: readonly string[]): void {
    this.#errors = errors;
    const { file, logger } = this.#options;
    for (const error of errors) logger.error({ file, error }, 'topology not taken');
    const context = { file, count: errors.length };
    logger.error(context, 'the topology file was not taken; the one before it stays in force');
  }
}

function handlersOf(controller: Controller, source: TopologySource): ControlHandlers {
  return {
    status: () => readStatus(controller, source.status),
    flows: (params) => liveFlows(controller, params),
    diff: (params) => liveDifference(controller, params),
  };
}

/** SIGHUP reads the file again; the first SIGTERM or SIGINT ends. */
function untilSignalled(reload: () => void): Promise<NodeJS.Signals> {
  process.on('SIGHUP', reload);
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
}
