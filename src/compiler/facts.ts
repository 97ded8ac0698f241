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

  /** For Facts. */
  constructor(key: string, home: Facts<T>) {
    super();
    this.#key = key;
    this.#home = home;
  }

  get value(): T | undefined {
    return this.#home.get(this.#key);
  }

  /** For Facts: the value is another. */
  changed(): void {
    this.invalidateReaders();
    this.forgetIfIdle();
  }

  override forgetIfIdle(): void {
    if (!this.isRead) this.#home.forget(this.#key);
  }
}

/** All facts of one kind, by key. Most of a large site are values that nobody reads one by one. */
export class Facts<T> {
  readonly #values = new Map<string, T>();
  readonly #read = new Map<string, Fact<T>>();
  readonly #isSame: (left: T, right: T) => boolean;
  readonly #changed: ((key: string) => void) | undefined;

  /** `isSame`: equal values change nothing; default: ===. `changed` is told of all others, after their readers. */
  constructor(isSame: (left: T, right: T) => boolean = Object.is, changed?: (key: string) => void) {
    this.#isSame = isSame;
    this.#changed = changed;
  }

  /** The fact under a key, whether or not it has a value. Read it at once: what nobody reads may be forgotten. */
  at(key: string): Fact<T> {
    let fact = this.#read.get(key);
    if (fact === undefined) {
      fact = new Fact(key, this);
      this.#read.set(key, fact);
    }
    return fact;
  }

  get(key: string): T | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: T | undefined): void {
    if (this.#isUnchanged(this.#values.get(key), value)) return;
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
    this.#read.get(key)?.changed();
    this.#changed?.(key);
  }

  /** Make the values exactly these. */
  setAll(values: ReadonlyMap<string, T>): void {
    finish(this.setAllSteps(values));
  }

  /** Likewise in steps. */
  *setAllSteps(values: ReadonlyMap<string, T>): Generator<void, void> {
    let count = 0;
    for (const key of this.#values.keys()) {
      if (!values.has(key)) this.set(key, undefined);
      if (++count % STEP_LENGTH === 0) yield;
    }
    for (const [key, value] of values) {
      this.set(key, value);
      if (++count % STEP_LENGTH === 0) yield;
    }
  }

  /** For facts: nobody reads it any more. */
  forget(key: string): void {
    this.#read.delete(key);
  }

  #isUnchanged(before: T | undefined, after: T | undefined): boolean {
    if (before === undefined || after === undefined) return before === after;
    return this.#isSame(before, after);
  }
}

/** Told of what joins and leaves a collection, and of what is there and has changed (Collection.touch). */
export interface Follower {
  added(element: string): void;
  removed(element: string): void;
  touched(element: string): void;
}

/** A set of names that changes. It can be read whole, or followed one by one. */
export class Collection extends Readable {
  readonly #followers = new Set<Follower>();
  readonly #elements = new Set<string>();
  /** From the first time that somebody asks for one. */
  #places: Map<string, number> | undefined;
  readonly #freePlaces: number[] = [];
  #placeCount = 0;
  readonly #key: string;
  readonly #home: Map<string, Collection>;

  constructor(key: string, home: Map<string, Collection>) {
    super();
    this.#key = key;
    this.#home = home;
  }

  get elements(): ReadonlySet<string> {
    return this.#elements;
  }

  follow(follower: Follower): void {
    this.#followers.add(follower);
  }

  unfollow(follower: Follower): void {
    this.#followers.delete(follower);
    this.forgetIfIdle();
  }

  add(element: string): void {
    if (this.#elements.has(element)) return;
    this.#elements.add(element);
    for (const follower of this.#followers) follower.added(element);
    this.invalidateReaders();
  }

  delete(element: string): void {
    if (!this.#elements.delete(element)) return;
    for (const follower of this.#followers) follower.removed(element);
    const place = this.#places?.get(element);
    if (place !== undefined) {
      this.#places?.delete(element);
      this.#freePlaces.push(place);
    }
    this.invalidateReaders();
  }

  /** A small number that an element has for as long as it is there, and while its followers are told that it leaves. */
  placeOf(element: string): number {
    this.#places ??= new Map();
    let place = this.#places.get(element);
    if (place === undefined) {
      place = this.#freePlaces.pop() ?? this.#placeCount++;
      this.#places.set(element, place);
    }
    return place;
  }

  /** All places are below this. */
  get placeCount(): number {
    return Math.max(this.#placeCount, this.#elements.size);
  }

  /** What is known of an element has changed. Who reads the collection is not concerned. */
  touch(element: string): void {
    if (!this.#elements.has(element)) return;
    for (const follower of this.#followers) follower.touched(element);
  }

  override forgetIfIdle(): void {
    const isIdle = this.#elements.size === 0 && !this.isRead && this.#followers.size === 0;
    if (isIdle) this.#home.delete(this.#key);
  }
}

const EMPTY: ReadonlySet<string> = new Set();

/** All collections of one kind, by key. */
export class Collections {
  readonly #collections = new Map<string, Collection>();

  /** The collection under a key, empty or not. Read or follow it at once: an empty one that nobody reads may be forgotten. */
  at(key: string): Collection {
    let collection = this.#collections.get(key);
    if (collection === undefined) {
      collection = new Collection(key, this.#collections);
      this.#collections.set(key, collection);
    }
    return collection;
  }

  elementsOf(key: string): ReadonlySet<string> {
    return this.#collections.get(key)?.elements ?? EMPTY;
  }

  add(key: string, element: string): void {
    this.at(key).add(element);
  }

  delete(key: string, element: string): void {
    const collection = this.#collections.get(key);
    collection?.delete(element);
    collection?.forgetIfIdle();
  }

  touch(key: string, element: string): void {
    this.#collections.get(key)?.touch(element);
  }

  /** Make the elements under a key exactly these. */
  replace(key: string, elements: Iterable<string>): void {
    const wanted = new Set(elements);
    for (const element of [...this.elementsOf(key)]) if (!wanted.has(element)) this.delete(key, element);
    for (const element of wanted) this.add(key, element);
  }

  /** Make all collections exactly these. */
  replaceAll(collections: ReadonlyMap<string, Iterable<string>>): void {
    finish(this.replaceAllSteps(collections));
  }

  /** Likewise in steps. */
  *replaceAllSteps(collections: ReadonlyMap<string, Iterable<string>>): Generator<void, void> {
    for (const key of this.#collections.keys()) {
      if (!collections.has(key)) this.replace(key, []);
      yield;
    }
    for (const [key, elements] of collections) {
      this.replace(key, elements);
      yield;
    }
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
