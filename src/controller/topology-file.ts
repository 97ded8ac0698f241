/**
 * The topology file while the controller runs: read at start, read again when it changes and when someone says so. A file
 * that does not validate is reported whole and changes nothing. Serves the controller; an edge: watching and reading are here.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import { type HeldValues, type LoadedTopology, loadTopology, type TopologyError } from '../topology/load.ts';

export class TopologyFileError extends HeddleError {}

export type Reading = LoadedTopology | { readonly errors: readonly TopologyError[] };

/**
 * Read and validate. `held`: what was derived for this site before, and is kept. Throws `FILE_UNREADABLE` when there is no
 * file to read; errors inside it are returned.
 */
export function readTopologyFile(path: string, held?: HeldValues): Reading {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TopologyFileError(
      'FILE_UNREADABLE',
      `topology ${path}: ${why}; give the path of a file that can be read`,
    );
  }
  return loadTopology(text, { file: path, ...(held && { held }) });
}

/** Calls back after each change of the file, once it has settled. */
export class TopologyWatcher {
  readonly #watcher: FSWatcher;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, onChange: () => void) {
    // Editors replace the file (rename) or write it in steps: both end in one call, after things have settled.
    this.#watcher = watch(resolve(path), { ignoreInitial: true, atomic: true });
    this.#watcher.on('all', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(onChange, LIMITS.reloadSettleMs);
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#watcher.close();
  }
}
