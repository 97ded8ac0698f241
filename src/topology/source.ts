/**
 * The text of a topology file as values, and the way back from a value to its line and column. Serves load.ts and whatever
 * reports errors. JSON is read by json.ts, YAML by yaml.ts; both fill the same marks.
 */
import type { SourceOrigin } from './model.ts';

/** From the document down: `['ports', 3, 'fixed_ips', 0]`. */
export type Path = readonly (string | number)[];

/** Where a mapping or a list and what is in it begin, as offsets into the text. */
export interface Mark {
  readonly offset: number;
  /** The keys of a mapping, in the order of the text; absent for a list. */
  readonly keys?: readonly string[];
  /** Of each key; absent for a list. */
  readonly keyOffsets?: readonly number[];
  /** Of each value or list item. */
  readonly valueOffsets: readonly number[];
}

/** Something wrong with the text itself, before its meaning. */
export interface TextProblem {
  readonly offset: number;
  readonly message: string;
}

/** A mapping under construction, with its mark. Serves the two readers of text. */
export class MappingText {
  readonly value: Record<string, unknown> = {};
  readonly #keys: string[] = [];
  readonly #keyOffsets: number[] = [];
  readonly #valueOffsets: number[] = [];

  /** Returns what is wrong with the key. */
  add(key: string, value: unknown, at: { readonly key: number; readonly value: number }): TextProblem | undefined {
    const isKnown = Object.hasOwn(this.value, key);
    this.#keys.push(key);
    this.#keyOffsets.push(at.key);
    this.#valueOffsets.push(at.value);
    // Assigned to an object, this one would vanish.
    if (key === '__proto__') return { offset: at.key, message: 'unknown key "__proto__"; leave it out' };
    this.value[key] = value;
    return isKnown ? { offset: at.key, message: `the key "${key}" is there already; keep one of the two` } : undefined;
  }

  mark(offset: number): Mark {
    return { offset, keys: this.#keys, keyOffsets: this.#keyOffsets, valueOffsets: this.#valueOffsets };
  }
}

export interface ParsedText {
  readonly value: unknown;
  /** Of every mapping and list in `value`. */
  readonly marks: ReadonlyMap<object, Mark>;
  readonly offset: number;
  readonly problems: readonly TextProblem[];
  /** false: the structure is in doubt, so that only `problems` are worth telling. */
  readonly isSound: boolean;
}

export interface Place extends SourceOrigin {
  readonly offset: number;
}

/** Keys that stand in a path as they are; others, which may hold a line break, are quoted. */
const PLAIN_KEY = /^[\p{L}\p{N}_-]+$/u;

/** `['ports', 3, 'fixed_ips', 0]` as `ports[3].fixed_ips[0]`. */
export function pathToText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!PLAIN_KEY.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

export class Source {
  readonly value: unknown;
  readonly #marks: ReadonlyMap<object, Mark>;
  readonly #offset: number;
  readonly #lineOffsets: readonly number[];

  constructor(text: string, parsed: ParsedText) {
    this.value = parsed.value;
    this.#marks = parsed.marks;
    this.#offset = parsed.offset;
    this.#lineOffsets = lineOffsetsOf(text);
  }

  /**
   * Where `path` is in the text; what does not exist is where it would have to be added, in the innermost thing that does.
   * A path that goes into a scalar (the short form of a mapping) ends at it.
   */
  place(path: Path, what: 'key' | 'value' = 'value'): Place {
    let value = this.value;
    let offset = this.#offset;
    let length = 0;
    for (const step of path) {
      const mark = isContainer(value) ? this.#marks.get(value) : undefined;
      if (mark === undefined) break;
      length++;
      const index = typeof step === 'number' ? step : (mark.keys?.indexOf(step) ?? -1);
      const isKey = what === 'key' && length === path.length;
      const inside = (isKey ? mark.keyOffsets : mark.valueOffsets)?.[index];
      if (inside === undefined) return this.#at(offset, path);
      offset = inside;
      value = (value as Readonly<Record<string | number, unknown>>)[step];
    }
    return this.#at(offset, path.slice(0, length));
  }

  /** The value at `path` as it was written, or undefined. */
  valueAt(path: Path): unknown {
    let value = this.value;
    for (const step of path) {
      if (!isContainer(value)) return undefined;
      value = (value as Readonly<Record<string | number, unknown>>)[step];
    }
    return value;
  }

  origin(path: Path): SourceOrigin {
    const { line, column, path: text } = this.place(path);
    return { path: text, line, column };
  }

  /** The place of a key that begins at `offset`; with an empty path when there is none. */
  placeOfOffset(offset: number): Place {
    return this.#at(offset, this.#pathOfKey(this.value, offset) ?? []);
  }

  #pathOfKey(value: unknown, offset: number): Path | undefined {
    const mark = isContainer(value) ? this.#marks.get(value) : undefined;
    if (mark === undefined) return undefined;
    const own = mark.keys?.[mark.keyOffsets?.indexOf(offset) ?? -1];
    if (own !== undefined) return [own];
    for (const [key, inside] of Object.entries(value as object)) {
      const path = this.#pathOfKey(inside, offset);
      if (path !== undefined) return [Array.isArray(value) ? Number(key) : key, ...path];
    }
    return undefined;
  }

  #at(offset: number, path: Path): Place {
    let low = 0;
    let high = this.#lineOffsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineOffsets[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { offset, path: pathToText(path), line: low + 1, column: offset - (this.#lineOffsets[low] ?? 0) + 1 };
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function lineOffsetsOf(text: string): readonly number[] {
  const offsets = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) offsets.push(at + 1);
  return offsets;
}
