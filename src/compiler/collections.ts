/**
 * Collections: sets of names that change, which are read whole or followed one by one. Serves the engine and the compiler, beside
 * facts.ts.
 */
import { finish, STEP_LENGTH } from '../lib/steps.ts';
import { Readable } from './facts.ts';

/** Names, as one can look at them; they change. */
export interface Names extends Iterable<string> {
  readonly size: number;
  has(name: string): boolean;
}

/** Told of what joins and leaves a collection, and of what is there and has changed (Collection.touch). */
export interface Follower {
  added(element: string): void;
  removed(element: string): void;
  touched(element: string): void;
}

/** A set of names that changes. It can be read whole, or followed one by one. */
export class Collection extends Readable implements Names {
  #followers: Set<Follower> | undefined;
  /** A small number for each element, for as long as it is there. */
  readonly #places = new Map<string, number>();
  readonly #byPlace: (string | undefined)[] = [];
  #freePlaces: number[] | undefined;
  readonly #key: string;
  readonly #home: Map<string, Collection>;

  constructor(key: string, home: Map<string, Collection>) {
    super();
    this.#key = key;
    this.#home = home;
  }

  get size(): number {
    return this.#places.size;
  }

  has(element: string): boolean {
    return this.#places.has(element);
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#places.keys();
  }

  follow(follower: Follower): void {
    this.#followers ??= new Set();
    this.#followers.add(follower);
  }

  unfollow(follower: Follower): void {
    this.#followers?.delete(follower);
    this.forgetIfIdle();
  }

  /** Gives its place. */
  add(element: string): number {
    const known = this.#places.get(element);
    if (known !== undefined) return known;
    const place = this.#freePlaces?.pop() ?? this.#byPlace.length;
    this.#places.set(element, place);
    this.#byPlace[place] = element;
    for (const follower of this.#followers ?? NOBODY) follower.added(element);
    this.invalidateReaders();
    return place;
  }

  delete(element: string): void {
    const place = this.#places.get(element);
    if (place === undefined) return;
    // Those who are told may still ask for its place.
    for (const follower of this.#followers ?? NOBODY) follower.removed(element);
    this.#places.delete(element);
    this.#byPlace[place] = undefined;
    this.#freePlaces ??= [];
    this.#freePlaces.push(place);
    this.invalidateReaders();
  }

  /** The place of an element; -1: it is not there. It is while followers are told that it leaves. */
  placeOf(element: string): number {
    return this.#places.get(element) ?? -1;
  }

  /** The element at a place. */
  elementAt(place: number): string | undefined {
    return this.#byPlace[place];
  }

  /** All places are below this. */
  get placeCount(): number {
    return this.#byPlace.length;
  }

  /** What is known of an element has changed. Who reads the collection is not concerned. */
  touch(element: string): void {
    if (this.#followers === undefined || !this.#places.has(element)) return;
    for (const follower of this.#followers) follower.touched(element);
  }

  override forgetIfIdle(): void {
    const isIdle = this.#places.size === 0 && !this.isRead && (this.#followers?.size ?? 0) === 0;
    if (isIdle) this.#home.delete(this.#key);
  }
}

const NOBODY: readonly Follower[] = [];
const NO_NAMES: Names = new Set();

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

  elementsOf(key: string): Names {
    return this.#collections.get(key) ?? NO_NAMES;
  }

  /** Gives its place. */
  add(key: string, element: string): number {
    return this.at(key).add(element);
  }

  placeOf(key: string, element: string): number {
    return this.#collections.get(key)?.placeOf(element) ?? -1;
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
    finish(this.replaceSteps(key, elements));
  }

  /** Likewise in steps. */
  *replaceSteps(key: string, elements: Iterable<string>): Generator<void, void> {
    const wanted = new Set(elements);
    let count = 0;
    for (const element of [...this.elementsOf(key)]) {
      if (!wanted.has(element)) this.delete(key, element);
      if (++count % STEP_LENGTH === 0) yield;
    }
    for (const element of wanted) {
      this.add(key, element);
      if (++count % STEP_LENGTH === 0) yield;
    }
  }

  /** Make all collections exactly these. */
  replaceAll(collections: ReadonlyMap<string, Iterable<string>>): void {
    finish(this.replaceAllSteps(collections));
  }

  /** Likewise in steps. */
  *replaceAllSteps(collections: ReadonlyMap<string, Iterable<string>>): Generator<void, void> {
    for (const key of this.#collections.keys()) {
      if (!collections.has(key)) yield* this.replaceSteps(key, []);
      yield;
    }
    for (const [key, elements] of collections) {
      yield* this.replaceSteps(key, elements);
      yield;
    }
  }
}
