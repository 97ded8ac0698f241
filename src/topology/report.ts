/**
 * The errors of one file, gathered by every check. One cause is one error: what a broken value made impossible to judge is not
 * reported again. Serves draft.ts and the checks.
 */
import type { TopologyError } from './error.ts';
import { type Path, pathToText, type Source } from './source.ts';

export class Report {
  readonly #file: string;
  readonly #source: Source;
  readonly #found: { readonly offset: number; readonly error: TopologyError }[] = [];
  /** Paths of broken values, and of everything around them. */
  readonly #doubtful = new Set<string>();

  constructor(file: string, source: Source) {
    this.#file = file;
    this.#source = source;
  }

  /** A value that could not be read. Later checks of it, or of what contains it, are spared. */
  broken(path: Path, message: string): void {
    this.#doubt(path);
    this.#add(path, message, 'value');
  }

  /** A key that does not exist. When it stands for `meant`, that key is not missing. */
  unknownKey(path: Path, message: string, meant: string | undefined): void {
    if (meant !== undefined) this.#doubt([...path.slice(0, -1), meant]);
    this.#add(path, message, 'key');
  }

  /** Values that are well-formed, and wrong together. One value is wrong once. */
  wrong(path: Path, message: string): void {
    if (this.isDoubtful(path)) return;
    this.#doubtful.add(pathToText(path));
    this.#add(path, message, 'value');
  }

  /** Something about the text before its meaning. */
  text(offset: number, message: string): void {
    const { line, column, path } = this.#source.placeOfOffset(offset);
    this.#found.push({ offset, error: { file: this.#file, line, column, path, message } });
  }

  isDoubtful(path: Path): boolean {
    return this.#doubtful.has(pathToText(path));
  }

  /** `ports[3] (line 12)`, for messages that name a second place. */
  mention(path: Path): string {
    const place = this.#source.place(path);
    return `${place.path} (line ${place.line})`;
  }

  /** In the order of the text. */
  errors(): readonly TopologyError[] {
    return this.#found.sort((left, right) => left.offset - right.offset).map(({ error }) => error);
  }

  #doubt(path: Path): void {
    for (let length = path.length; length > 0; length--) this.#doubtful.add(pathToText(path.slice(0, length)));
  }

  #add(path: Path, message: string, what: 'key' | 'value'): void {
    const { offset, line, column, path: text } = this.#source.place(path, what);
    this.#found.push({ offset, error: { file: this.#file, line, column, path: text, message } });
  }
}
