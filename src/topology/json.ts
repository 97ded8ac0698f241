/**
 * JSON text as values with marks. Serves load.ts: tools write their topologies as JSON, and the YAML reader, which could read
 * it too, takes a hundred times as long for a large one. Whatever is not JSON is left to the YAML reader, errors included.
 */
import { MappingText, type Mark, type ParsedText, type TextProblem } from './source.ts';

/** Deeper than any topology, shallower than the stack. */
const DEPTH_MAX = 64;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERALS = [
  ['true', true],
  ['false', false],
  ['null', null],
] as const;

/** Not JSON: thrown and caught in this file. */
class NotJson extends Error {}

/** Values and marks of a JSON text, or undefined when it is not JSON. A repeated key is a problem: JSON.parse would hide it. */
export function parseJson(text: string): ParsedText | undefined {
  const reader = new JsonReader(text);
  try {
    return reader.read();
  } catch (error) {
    if (error instanceof NotJson) return undefined;
    throw error;
  }
}

class JsonReader {
  readonly #text: string;
  readonly #marks = new Map<object, Mark>();
  readonly #problems: TextProblem[] = [];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): ParsedText {
    this.#skipSpace();
    const offset = this.#at;
    const value = this.#value();
    this.#skipSpace();
    if (this.#at !== this.#text.length) throw new NotJson();
    return { value, marks: this.#marks, offset, problems: this.#problems, isSound: true };
  }

  #value(): unknown {
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x22:
        return this.#string();
      case 0x7b:
        return this.#nested(() => this.#mapping());
      case 0x5b:
        return this.#nested(() => this.#list());
      default:
        return this.#scalar();
    }
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new NotJson();
    const value = read();
    this.#depth--;
    return value;
  }

  #mapping(): Record<string, unknown> {
    const offset = this.#at++;
    const mapping = new MappingText();
    this.#skipSpace();
    if (!this.#take(0x7d)) {
      do {
        this.#skipSpace();
        const keyOffset = this.#at;
        const key = this.#string();
        this.#skipSpace();
        if (!this.#take(0x3a)) throw new NotJson();
        this.#skipSpace();
        const valueOffset = this.#at;
        const problem = mapping.add(key, this.#value(), { key: keyOffset, value: valueOffset });
        if (problem !== undefined) this.#problems.push(problem);
        this.#skipSpace();
      } while (this.#take(0x2c));
      if (!this.#take(0x7d)) throw new NotJson();
    }
    this.#marks.set(mapping.value, mapping.mark(offset));
    return mapping.value;
  }

  #list(): unknown[] {
    const offset = this.#at++;
    const value: unknown[] = [];
    const valueOffsets: number[] = [];
    this.#skipSpace();
    if (!this.#take(0x5d)) {
      do {
        this.#skipSpace();
        valueOffsets.push(this.#at);
        value.push(this.#value());
        this.#skipSpace();
      } while (this.#take(0x2c));
      if (!this.#take(0x5d)) throw new NotJson();
    }
    this.#marks.set(value, { offset, valueOffsets });
    return value;
  }

  #string(): string {
    if (this.#text.charCodeAt(this.#at) !== 0x22) throw new NotJson();
    const start = this.#at + 1;
    for (let at = start; ; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        return this.#text.slice(start, at);
      }
      if (code === 0x5c) return this.#escapedString(start, at);
      // Control characters and, as NaN, the end of the text.
      if (!(code >= 0x20)) throw new NotJson();
    }
  }

  #escapedString(start: number, backslash: number): string {
    let at = backslash;
    while (this.#text[at] !== '"') {
      if (at >= this.#text.length) throw new NotJson();
      at += this.#text[at] === '\\' ? 2 : 1;
    }
    this.#at = at + 1;
    try {
      return String(JSON.parse(this.#text.slice(start - 1, this.#at)));
    } catch {
      throw new NotJson();
    }
  }

  #scalar(): number | boolean | null {
    for (const [literal, value] of LITERALS) {
      if (!this.#text.startsWith(literal, this.#at)) continue;
      this.#at += literal.length;
      return value;
    }
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (found === null) throw new NotJson();
    this.#at = NUMBER.lastIndex;
    return Number(found[0]);
  }

  #take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }
}
