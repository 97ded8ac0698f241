/**
 * Facts: what renders read, one value under one key, and who read it. A fact that is not there can be read too, and whoever
 * did so is told when it comes. Serves the engine and the compiler; knows nothing of networks.
 */
import { finish, STEP_LENGTH } from '../lib/steps.ts';

/** Told when something that it read has changed. */
export interface Reader {
  invalidate(): void;
}

/** Something that can be read, and remembers its readers. Most of a large site have one reader or none, and no set for it. */
export abstract class Readable {
  #readers: Reader | Set<Reader> | undefined;

  get isRead(): boolean {
    return this.#readers !== undefined;
  }

  /** False: it was one already. */
  addReader(reader: Reader): boolean {
    const readers = this.#readers;
    if (readers === reader) return false;
    if (readers === undefined) this.#readers = reader;
    else if (!(readers instanceof Set)) this.#readers = new Set([readers, reader]);
    else if (readers.has(reader)) return false;
    else readers.add(reader);
    return true;
  }

  /** What nobody reads is forgotten. */
  removeReader(reader: Reader): void {
    const readers = this.#readers;
    if (readers === reader) this.#readers = undefined;
    else if (readers instanceof Set && readers.delete(reader) && readers.size === 0) this.#readers = undefined;
    this.forgetIfIdle();
  }

  abstract forgetIfIdle(): void;

  protected invalidateReaders(): void {
    const readers = this.#readers;
    if (readers instanceof Set) for (const reader of readers) reader.invalidate();
    else readers?.invalidate();
  }
}

/** One fact, while somebody reads it. */
export class Fact<T> extends Readable {
  readonly #key: string;
  readonly #home: Facts<T>;
  #value: T | undefined;

  /** For Facts. */
  constructor(key: string, home: Facts<T>, value: T | undefined) {
    super();
    this.#key = key;
    this.#home = home;
    this.#value = value;
  }

  get value(): T | undefined {
    return this.#value;
  }

  /** For Facts: the value is another. */
  change(value: T | undefined): void {
    this.#value = value;
    this.invalidateReaders();
    this.forgetIfIdle();
  }

  override forgetIfIdle(): void {
    if (!this.isRead) this.#home.forget(this.#key);
  }
}

export interface FactsOptions<T> {
  /** Told of every key with another value, after its readers. */
  readonly changed?: ((key: string, value: T | undefined) => void) | undefined;
  /** There is no value any more, and nobody who reads one. */
  readonly idle?: (() => void) | undefined;
}

/** All facts of one kind, by key. Most of a large site are values that nobody reads one by one. */
export class Facts<T> {
  #values: ReadonlyMap<string, T> = new Map();
  /** The values once more, where they are ours to change. */
  #own: Map<string, T> | undefined;
  #read: Map<string, Fact<T>> | undefined;
  readonly #isSame: (left: T, right: T) => boolean;
  readonly #options: FactsOptions<T>;

  /** `isSame`: equal values change nothing; default: ===. */
  constructor(isSame: (left: T, right: T) => boolean = Object.is, options: FactsOptions<T> = {}) {
    this.#isSame = isSame;
    this.#options = options;
  }

  /** The fact under a key, whether or not it has a value. Read it at once: what nobody reads may be forgotten. */
  at(key: string): Fact<T> {
    this.#read ??= new Map();
    let fact = this.#read.get(key);
    if (fact === undefined) {
      fact = new Fact(key, this, this.#values.get(key));
      this.#read.set(key, fact);
    }
    return fact;
  }

  get(key: string): T | undefined {
    return this.#values.get(key);
  }

  /** The values as they are. */
  get all(): ReadonlyMap<string, T> {
    return this.#values;
  }

  set(key: string, value: T | undefined): void {
    if (this.#isUnchanged(this.#values.get(key), value)) return;
    if (this.#own === undefined) {
      this.#own = new Map(this.#values);
      this.#values = this.#own;
    }
    if (value === undefined) this.#own.delete(key);
    else this.#own.set(key, value);
    this.#tell(key, value);
    this.#endIfIdle();
  }

  /** Make the values exactly these. The map is kept, and must not change any more; a value that is set later goes to a copy. */
  setAll(values: ReadonlyMap<string, T>): void {
    finish(this.setAllSteps(values));
  }

  /** Likewise in steps, during which no other value may be set. */
  *setAllSteps(values: ReadonlyMap<string, T>): Generator<void, void> {
    const before = this.#values;
    this.#values = values;
    this.#own = undefined;
    let count = 0;
    for (const key of before.keys()) {
      if (!values.has(key)) this.#tell(key, undefined);
      if (++count % STEP_LENGTH === 0) yield;
    }
    for (const [key, value] of values) {
      if (!this.#isUnchanged(before.get(key), value)) this.#tell(key, value);
      if (++count % STEP_LENGTH === 0) yield;
    }
    this.#endIfIdle();
  }

  /** Likewise; the map is ours from now on. */
  *takeAllSteps(values: Map<string, T>): Generator<void, void> {
    yield* this.setAllSteps(values);
    this.#own = values;
  }

  /** For facts: nobody reads it any more. */
  forget(key: string): void {
    this.#read?.delete(key);
    this.#endIfIdle();
  }

  #tell(key: string, value: T | undefined): void {
    this.#read?.get(key)?.change(value);
    this.#options.changed?.(key, value);
  }

  #endIfIdle(): void {
    const { idle } = this.#options;
    if (idle !== undefined && this.#values.size === 0 && (this.#read?.size ?? 0) === 0) idle();
  }

  #isUnchanged(before: T | undefined, after: T | undefined): boolean {
    if (before === undefined || after === undefined) return before === after;
    return this.#isSame(before, after);
  }
}

/** All facts of one kind about two things, the first of which is mostly a host: what is said of one host is in one place. */
export class PairFacts<T> {
  readonly #byFirst = new Map<string, Facts<T>>();
  readonly #isSame: (left: T, right: T) => boolean;
  readonly #changed: ((first: string, second: string) => void) | undefined;

  /** Both as in Facts. */
  constructor(isSame: (left: T, right: T) => boolean = Object.is, changed?: (first: string, second: string) => void) {
    this.#isSame = isSame;
    this.#changed = changed;
  }

  /** As Facts.at: read it at once. */
  at(first: string, second: string): Fact<T> {
    return this.#of(first).at(second);
  }

  get(first: string, second: string): T | undefined {
    return this.#byFirst.get(first)?.get(second);
  }

  set(first: string, second: string, value: T | undefined): void {
    if (value === undefined) this.#byFirst.get(first)?.set(second, value);
    else this.#of(first).set(second, value);
  }

  #of(first: string): Facts<T> {
    let facts = this.#byFirst.get(first);
    if (facts === undefined) {
      const changed = this.#changed;
      const fresh = new Facts(this.#isSame, {
        changed: changed && ((second) => changed(first, second)),
        idle: () => {
          if (this.#byFirst.get(first) === fresh) this.#byFirst.delete(first);
        },
      });
      facts = fresh;
      this.#byFirst.set(first, fresh);
    }
    return facts;
  }
}

/** One key for a fact about two things. Names hold no NUL: the topology's schema refuses control characters. */
export function pairKey(first: string, second: string): string {
  return `${first}\0${second}`;
}

/**
 * Deep equality of plain data, where `origin` does not count: it says where a file has something, and that is no part of what
 * it says.
 */
export function sameMeaning(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (left instanceof Map || right instanceof Map) {
    return left instanceof Map && right instanceof Map && sameEntries(left, right);
  }
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((element, index) => sameMeaning(element, right[index]));
  }
  return sameFields(left as Fields, right as Fields);
}

type Fields = Readonly<Record<string, unknown>>;

function sameEntries(left: ReadonlyMap<unknown, unknown>, right: ReadonlyMap<unknown, unknown>): boolean {
  if (left.size !== right.size) return false;
  for (const [key, value] of left) if (!right.has(key) || !sameMeaning(value, right.get(key))) return false;
  return true;
}

/** Every port of a site is compared when its file was read again: nothing is made for it. */
function sameFields(left: Fields, right: Fields): boolean {
  let count = 0;
  for (const key in left) {
    if (key === 'origin' || left[key] === undefined) continue;
    if (!sameMeaning(left[key], right[key])) return false;
    count += 1;
  }
  for (const key in right) if (key !== 'origin' && right[key] !== undefined) count -= 1;
  return count === 0;
}
