/**
 * What the flows of all bridges have in common, by number: the names of objects, and rows of templates. Serves flow-slab.ts, of which
 * there is one for each bridge: a port that a thousand bridges speak of is named once.
 */
import { invariant } from '../lib/errors.ts';
import { flowScratch } from '../openflow/template.ts';
import type { TemplateRow } from './templates.ts';

/** Names, each for as long as somebody holds it. */
export class SharedNames {
  /** Of those that are looked for. */
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #holders: number[] = [];
  readonly #freeIds: number[] = [];
  /** The name that was held last, and its number: most flows have the name of the one before. */
  #last = '';
  #lastId = -1;

  /**
   * For who holds a name again and again: `hint` is the number that it gave before, and which may be another's now; -1: none. To look
   * for others who hold the name costs more than to have it twice.
   */
  holdAgain(name: string, hint: number, times: number): number {
    if (hint >= 0 && this.#names[hint] === name) {
      this.#holders[hint] = (this.#holders[hint] ?? 0) + times;
      return hint;
    }
    return this.#add(name, times);
  }

  /** Gives the name's number. `times`: one for each drop. */
  hold(name: string, times: number): number {
    const known = name === this.#last && this.#lastId >= 0 ? this.#lastId : this.#ids.get(name);
    if (known !== undefined) {
      this.#holders[known] = (this.#holders[known] ?? 0) + times;
      this.#last = name;
      this.#lastId = known;
      return known;
    }
    const id = this.#add(name, times);
    this.#ids.set(name, id);
    return id;
  }

  #add(name: string, times: number): number {
    const id = this.#freeIds.pop() ?? this.#names.length;
    this.#names[id] = name;
    this.#holders[id] = times;
    return id;
  }

  /** One of those who held it no longer does. */
  drop(id: number): void {
    const holders = (this.#holders[id] ?? 0) - 1;
    this.#holders[id] = holders;
    if (holders > 0) return;
    if (id === this.#lastId) this.#lastId = -1;
    const name = this.nameOf(id);
    if (this.#ids.get(name) === id) this.#ids.delete(name);
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
  #last: TemplateRow | undefined;
  #lastId = 0;

  idOf(row: TemplateRow): number {
    if (row === this.#last) return this.#lastId;
    const known = this.#ids.get(row);
    this.#last = row;
    this.#lastId = known ?? this.#rows.length + 1;
    if (known !== undefined) return known;
    this.#rows.push(row);
    this.#ids.set(row, this.#rows.length);
    return this.#rows.length;
  }

  rowOf(id: number): TemplateRow | undefined {
    return this.#rows[id - 1];
  }
}

/** How much room something takes. */
export interface Room {
  /** Flows. */
  readonly length: number;
  /** Bytes of their records. */
  readonly size: number;
}

/** What is above the mean needs no second growth. */
const SLACK = 1.125;

/**
 * How much room the flows of bridges of one name have taken, in the mean: so much is made for the next one, so that nothing grows step
 * by step. All that is made and not needed is no more than what others needed.
 */
export class SharedSizes {
  readonly #sums = new Map<string, { count: number; length: number; size: number }>();

  roomFor(bridge: string): Room {
    const { count, length, size } = this.#sums.get(bridge) ?? { count: 1, length: 0, size: 0 };
    return { length: Math.ceil((SLACK * length) / count), size: Math.ceil((SLACK * size) / count) };
  }

  note(bridge: string, { length, size }: Room): void {
    const sum = this.#sums.get(bridge) ?? { count: 0, length: 0, size: 0 };
    this.#sums.set(bridge, { count: sum.count + 1, length: sum.length + length, size: sum.size + size });
  }
}

/** All of these. */
export class Shared {
  readonly sizes = new SharedSizes();
  /** Where a flow is written before its bytes are kept. */
  readonly scratch = flowScratch();
  readonly names = new SharedNames();
  readonly rows = new SharedRows();
}
