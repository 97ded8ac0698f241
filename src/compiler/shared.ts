/**
 * What the flows of all bridges have in common, by number: the names of objects, and rows of templates. Serves flow-slab.ts, of which
 * there is one for each bridge: a port that a thousand bridges speak of is named once.
 */
import { invariant } from '../lib/errors.ts';
import type { TemplateRow } from './templates.ts';

/** Names, each for as long as somebody holds it. */
export class SharedNames {
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #holders: number[] = [];
  readonly #freeIds: number[] = [];
  /** The name that was held last, and its number: most flows have the name of the one before. */
  #last = '';
  #lastId = -1;

  /** Gives the name's number. `hint`: the number that it had when it was held before, and may have still. */
  hold(name: string, hint = -1): number {
    if (hint >= 0 && this.#names[hint] === name) {
      this.#holders[hint] = (this.#holders[hint] ?? 0) + 1;
      return hint;
    }
    const known = name === this.#last && this.#lastId >= 0 ? this.#lastId : this.#ids.get(name);
    if (known !== undefined) {
      this.#holders[known] = (this.#holders[known] ?? 0) + 1;
      this.#last = name;
      this.#lastId = known;
      return known;
    }
    const id = this.#freeIds.pop() ?? this.#names.length;
    this.#ids.set(name, id);
    this.#names[id] = name;
    this.#holders[id] = 1;
    return id;
  }

  /** One of those who held it no longer does. */
  drop(id: number): void {
    const holders = (this.#holders[id] ?? 0) - 1;
    this.#holders[id] = holders;
    if (holders > 0) return;
    if (id === this.#lastId) this.#lastId = -1;
    this.#ids.delete(this.nameOf(id));
    this.#names[id] = '';
    this.#freeIds.push(id);
  }

  nameOf(id: number): string {
    const name = this.#names[id];
    invariant(name !== undefined, 'A name that nobody holds.', { id });
    return name;
  }
}

/** Rows of templates. There are as many as shapes, and they stay. Numbers begin with 1. */
export class SharedRows {
  readonly #ids = new Map<TemplateRow, number>();
  readonly #rows: TemplateRow[] = [];

  idOf(row: TemplateRow): number {
    const known = this.#ids.get(row);
    if (known !== undefined) return known;
    this.#rows.push(row);
    this.#ids.set(row, this.#rows.length);
    return this.#rows.length;
  }

  rowOf(id: number): TemplateRow | undefined {
    return this.#rows[id - 1];
  }
}

/** Both. */
export class Shared {
  readonly names = new SharedNames();
  readonly rows = new SharedRows();
}
