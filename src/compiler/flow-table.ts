/**
 * The flows that owners claim on one bridge, and which of them stands where several have one identity. Serves book.ts. Does for
 * packed flows (flow-slab.ts) what claims.ts does for groups and meters.
 *
 * A pass leaves two lists: the flows that came to stand, and those that stood before and do not any more. What a switch has to
 * be told is the difference of the two, by bytes. Until it is taken (takeChange), readers see what stood before: a pass may take
 * many turns of the event loop, and nobody shall compare a switch with half a book.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Flow, Match } from '../flow/flow.ts';
import { STEP_LENGTH } from '../lib/steps.ts';
import { encodeMatch } from '../openflow/codec.ts';
import type { EncodedFlow } from '../openflow/template.ts';
import { WireError } from '../openflow/wire-error.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import { type ClaimChange, type ClaimKind, type Contest, compareRivals } from './claims.ts';
import { FlowList } from './flow-list.ts';
import { FlowSlab, NO_FLOW } from './flow-slab.ts';
import type { Shared, SharedSizes } from './shared.ts';
import { type Rendered, RenderedRows } from './templates.ts';

/** What identifies a flow on a bridge (OpenFlow 1.3.5 §6.4, strict). */
export type FlowIdentity = Pick<Flow, 'table' | 'priority' | 'match'>;

/** Equal in what the switch does: actions, timeouts and flags. The cookie is not compared. */
export function sameBehaviour(left: Flow, right: Flow): boolean {
  return (
    left === right ||
    ((left.idleTimeoutS ?? 0) === (right.idleTimeoutS ?? 0) &&
      (left.hardTimeoutS ?? 0) === (right.hardTimeoutS ?? 0) &&
      (left.flags ?? 0) === (right.flags ?? 0) &&
      isDeepStrictEqual(left.actions, right.actions))
  );
}

/** The flows of a bridge under numbers below `length`, which are theirs as long as `revision` is the same: until a pass ends. */
export interface FlowNumbers {
  readonly revision: number;
  readonly length: number;
  /** Numbers below `length` may be nobody's. */
  has(number: number): boolean;
  /** The number of the flow with these bytes for its identity; NO_FLOW. */
  findBytes(identity: IdentityBytes): number;
  /** As a flow-mod: right until another flow of this process is encoded. What no flow-mod can carry is found by no bytes. */
  encoded(number: number): EncodedFlow;
  desired(number: number): DesiredFlow;
}

export type IdentityBytes = Pick<EncodedFlow, 'table' | 'priority' | 'matchBytes'>;

/** What is known of a flow, by id. */
const STANDS = 1;
/** Stood when the pass began. */
const STOOD = 2;

const FIRST_LENGTH = 16;

/** Of more that leave at once, the others are freed in steps. */
const FREED_AT_ONCE = 1_024;

const CONTENT: ClaimKind<DesiredFlow>['contentOf'] = ({ flow }) =>
  JSON.stringify(flow.actions, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));

/** What one pass changed. */
export class FlowChange implements ClaimChange<DesiredFlow> {
  readonly remove: readonly DesiredFlow[];
  readonly isEmpty: boolean;
  #list: FlowList | undefined;
  #put: readonly DesiredFlow[] | undefined;

  /** For FlowTable. */
  constructor(put: FlowList, remove: readonly DesiredFlow[]) {
    this.#list = put;
    this.remove = remove;
    this.isEmpty = put.length === 0 && remove.length === 0;
  }

  get put(): readonly DesiredFlow[] {
    this.#put ??= this.#list?.all() ?? [];
    this.#list = undefined;
    return this.#put;
  }
}

export class FlowTable implements FlowNumbers {
  readonly #slab: FlowSlab;
  #states: Uint8Array;
  /** Of the flows that stand, and of those that stood when the pass began. */
  #size = 0;
  #stoodSize = 0;
  /** All claims of the identities that more than one claim stands for, in the fixed order; by each of them. */
  readonly #rivals = new Map<number, number[]>();
  #came: number[] = [];
  #went: number[] = [];
  #released: number[] = [];
  /** Left with a change that was taken, and still in the slab. */
  #toFree: number[] = [];
  /** Lists from before that, which may have these. */
  #holders: readonly FlowList[] = [];
  /** Values of flows that will leave. */
  readonly #leaving = new Map<number, DesiredFlow>();
  #isTouched = false;
  #revision = 0;
  #lists: WeakRef<FlowList>[] = [];

  readonly #sizes: SharedSizes;
  readonly #bridge: string;

  /** `bridge`: how many flows others of that name have says how much room is made. */
  constructor(shared: Shared, bridge = '') {
    this.#bridge = bridge;
    this.#sizes = shared.sizes;
    const room = shared.sizes.roomFor(bridge);
    this.#slab = new FlowSlab(shared, room);
    this.#states = new Uint8Array(Math.max(FIRST_LENGTH, room.length));
  }

  get size(): number {
    return this.#stoodSize;
  }

  get isTouched(): boolean {
    return this.#isTouched;
  }

  get revision(): number {
    return this.#revision;
  }

  get length(): number {
    return this.#slab.length;
  }

  has(number: number): boolean {
    return this.#hasStood(number);
  }

  findBytes(identity: IdentityBytes): number {
    const id = this.#slab.find(identity);
    // In the middle of a pass it may have fallen.
    return id === NO_FLOW || !this.#hasStood(id) ? this.#slab.findAmong(this.#fallen(), identity) : id;
  }

  encoded(number: number): EncodedFlow {
    return this.#slab.encoded(number);
  }

  desired(number: number): DesiredFlow {
    return this.#slab.desired(number);
  }

  *values(): Generator<DesiredFlow> {
    for (const id of this.#stood()) yield this.#slab.desired(id);
  }

  /** Every flow, as of now: from the last table to the first, in a table from the highest priority to the lowest. */
  list(): FlowList {
    const byRank = new Map<number, number[]>();
    // Neighbours are mostly of one rank.
    let lastRank = -1;
    let alike: number[] = [];
    for (let id = 0; id < this.#slab.length; id++) {
      if (!this.#hasStood(id)) continue;
      const rank = this.#slab.rankOf(id);
      if (rank !== lastRank) {
        alike = byRank.get(rank) ?? [];
        if (alike.length === 0) byRank.set(rank, alike);
        lastRank = rank;
      }
      alike.push(id);
    }
    const downwards = [...byRank].sort(([left], [right]) => right - left);
    return this.#listOf(downwards.flatMap(([, ids]) => ids));
  }

  find({ table, priority, match }: FlowIdentity): DesiredFlow | undefined {
    const matchBytes = matchBytesOf(match);
    if (matchBytes === undefined) return undefined;
    const id = this.findBytes({ table, priority, matchBytes });
    return id === NO_FLOW ? undefined : this.#slab.desired(id);
  }

  /** An owner wants these flows. Gives what to release them by: the last one's id, from which a chain leads to the others. */
  claimAll(desired: Rendered): number {
    let last = NO_FLOW;
    if (desired instanceof RenderedRows) {
      const { rows } = desired;
      const name = rows.length === 0 ? 0 : this.#slab.holdName(desired);
      for (const row of rows) last = this.#claim(this.#slab.addRow(row, desired, name), last);
    } else {
      for (const one of desired) last = this.#claim(this.#slab.add(one), last);
    }
    return last;
  }

  /** The owner wants them no more. */
  releaseAll(claims: number): void {
    let id = claims;
    while (id !== NO_FLOW) {
      const next = this.#slab.chained(id);
      this.#release(id);
      id = next;
    }
  }

  /** In the order in which they lie in memory. */
  *#stood(): Generator<number> {
    for (let id = 0; id < this.#slab.length; id++) if (this.#hasStood(id)) yield id;
  }

  *#fallen(): Generator<number> {
    for (const id of this.#went) if (this.#hasStood(id)) yield id;
  }

  #hasStood(id: number): boolean {
    return (this.#stateOf(id) & STOOD) !== 0;
  }

  /** Claim a flow of the slab, to be released before others. Gives its id. */
  #claim(id: number, others: number): number {
    this.#isTouched = true;
    this.#slab.chain(id, others);
    if (id >= this.#states.length) this.#growStates(id);
    this.#states[id] = 0;
    const standing = this.#slab.findLike(id);
    if (standing === NO_FLOW) {
      this.#slab.insert(id);
      this.#size += 1;
      this.#stand(id);
      return id;
    }
    const rivals = this.#rivals.get(standing) ?? [standing];
    rivals.push(id);
    rivals.sort((left, right) => compareRivals(this.#slab.desired(left), this.#slab.desired(right), CONTENT));
    for (const rival of rivals) this.#rivals.set(rival, rivals);
    this.#letStand(rivals[0] as number, standing);
    return id;
  }

  #release(id: number): void {
    this.#isTouched = true;
    this.#released.push(id);
    const rivals = this.#rivals.get(id);
    if (rivals === undefined) {
      this.#fall(id);
      this.#slab.remove(id);
      this.#size -= 1;
      return;
    }
    this.#rivals.delete(id);
    rivals.splice(rivals.indexOf(id), 1);
    const first = rivals[0] as number;
    if ((this.#stateOf(id) & STANDS) !== 0) this.#letStand(first, id);
    if (rivals.length === 1) this.#rivals.delete(first);
  }

  /**
   * Make values of those that will leave, in steps, before the change is taken: of thousands that is the most of it. What happens in
   * between is seen to by takeChange.
   */
  *prepareSteps(): Generator<void, void> {
    for (let index = 0; index < this.#went.length; index++) {
      const id = this.#went[index] as number;
      const state = this.#stateOf(id);
      if ((state & STOOD) === 0 || (state & STANDS) !== 0 || this.#leaving.has(id)) continue;
      if (this.#slab.findLike(id) === NO_FLOW) this.#leaving.set(id, this.#slab.desired(id));
      if (this.#leaving.size % STEP_LENGTH === 0) yield;
    }
  }

  /** What changed since this was last asked. What stands is made values when somebody looks at it: at first that is all. */
  takeChange(): FlowChange {
    const slab = this.#slab;
    const remove: number[] = [];
    for (const id of this.#went) {
      const state = this.#stateOf(id);
      // It came back, or was looked at already.
      if ((state & STOOD) === 0 || (state & STANDS) !== 0) continue;
      this.#states[id] = state & ~STOOD;
      const after = slab.findLike(id);
      if (after === NO_FLOW) remove.push(id);
      else if (slab.isSame(id, after)) this.#states[after] = this.#stateOf(after) | STOOD;
    }
    const put = this.#came;
    let putLength = 0;
    for (const id of put) {
      const state = this.#stateOf(id);
      if ((state & STANDS) === 0 || (state & STOOD) !== 0) continue;
      this.#states[id] = state | STOOD;
      put[putLength++] = id;
    }
    put.length = putLength;
    const gone = remove.map((id) => this.#leaving.get(id) ?? slab.desired(id));
    this.#leaving.clear();
    this.#letGo();
    const change = new FlowChange(this.#listOf(put), gone);
    this.#came = [];
    if (this.#went.length > 0) this.#went = [];
    if (this.#revision === 0) this.#sizes.note(this.#bridge, slab.room);
    this.#stoodSize = this.#size;
    this.#revision += 1;
    this.#isTouched = false;
    return change;
  }

  /** In steps, what is left to do after a change was taken with which thousands of flows left. */
  *tidySteps(): Generator<void, void> {
    while (this.#toFree.length > 0) {
      this.#free(STEP_LENGTH);
      yield;
    }
  }

  contests(): readonly Contest<DesiredFlow>[] {
    const contests: Contest<DesiredFlow>[] = [];
    for (const [id, rivals] of this.#rivals) {
      if (rivals[0] !== id) continue;
      const installed = this.#slab.desired(id);
      const others = rivals.slice(1).map((rival) => this.#slab.desired(rival));
      const refused = others.filter((other) => !sameBehaviour(other.flow, installed.flow));
      if (refused.length > 0) contests.push({ installed, refused });
    }
    return contests;
  }

  /** The one stands from now on, where the other stood. */
  #letStand(next: number, standing: number): void {
    if (next === standing) return;
    this.#slab.replace(standing, next);
    this.#fall(standing);
    this.#stand(next);
  }

  #listOf(ids: readonly number[]): FlowList {
    const list = new FlowList(this.#slab, ids);
    if (ids.length > 0) this.#lists.push(new WeakRef(list));
    return list;
  }

  /** Free what was released, or the first of it. Lists that somebody holds already may have it. */
  #letGo(): void {
    this.#free(this.#toFree.length);
    if (this.#released.length === 0) return;
    this.#toFree = this.#released;
    this.#released = [];
    this.#holders = this.#lists.flatMap((reference) => reference.deref() ?? []);
    this.#lists = this.#holders.map((list) => new WeakRef(list));
    this.#free(FREED_AT_ONCE);
  }

  #free(count: number): void {
    for (let freed = 0; freed < count && this.#toFree.length > 0; freed++) {
      const id = this.#toFree.pop() as number;
      for (const list of this.#holders) list.keep(id);
      this.#slab.free(id);
    }
    if (this.#toFree.length === 0) this.#holders = [];
  }

  #stand(id: number): void {
    this.#states[id] = this.#stateOf(id) | STANDS;
    this.#came.push(id);
  }

  #fall(id: number): void {
    this.#states[id] = this.#stateOf(id) & ~STANDS;
    this.#went.push(id);
  }

  #stateOf(id: number): number {
    return this.#states[id] as number;
  }

  #growStates(id: number): void {
    const states = new Uint8Array(2 * id + 1);
    states.set(this.#states);
    this.#states = states;
  }
}

/** undefined: no flow-mod can carry it, so that no flow of the book is meant. */
function matchBytesOf(match: Match): Uint8Array | undefined {
  try {
    return encodeMatch(match);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
