/**
 * What renders see and say: a view of facts, flows with their bridges, names of owners. Serves owners.ts and those beside it, which
 * render, and owner-tree.ts, which calls them.
 */
import type { DesiredFlow, DesiredGroup, DesiredMeter } from '../pipeline/origin.ts';
import type { Collection, Names } from './collections.ts';
import type { Fact } from './facts.ts';
import type { RowsOptions } from './rows.ts';

/** Flows of one bridge, and the groups and meters that they name. */
export interface Placement {
  readonly host: string;
  readonly bridge: string;
  readonly flows: readonly DesiredFlow[];
  /** Default: none. */
  readonly groups?: readonly DesiredGroup[];
  /** Default: none. */
  readonly meters?: readonly DesiredMeter[];
}

/** What a render sees: facts, and a way to say which owners are below. */
export interface View {
  /** The value of a fact; the owner is rendered anew when it changes. */
  read<T>(fact: Fact<T>): T | undefined;
  /** All elements; the owner is rendered anew when one joins or leaves. */
  readAll(collection: Collection): Names;
  /** An owner below this one, for as long as this one says so. */
  child(owner: OwnerName): void;
  /** An owner below this one for each element, now and later. An element that joins or leaves renders nothing but its own. */
  each(collection: Collection, ownerOf: (element: string) => OwnerName): void;
  /**
   * Flows of this owner's for each element, now and later: for what comes in thousands. An element that joins, leaves or is
   * touched renders nothing but its own; what `flowsOf` reads through this view makes the whole owner stale.
   */
  rows(collection: Collection, place: Place, flowsOf: RowsOptions['flowsOf']): void;
}

/** A bridge. */
export type Place = Pick<Placement, 'host' | 'bridge'>;

export type Render = (view: View, ...names: string[]) => readonly Placement[];

/** A kind of owner, and the names that make it this one. The first is the host for whose bridges it renders; the root has none. */
export interface OwnerName {
  readonly kind: string;
  readonly render: Render;
  readonly names: readonly string[];
}

/** Declare a kind of owner: returns what names one. */
export function owner<const Names extends readonly string[]>(
  kind: string,
  render: (view: View, ...names: Names) => readonly Placement[],
): (...names: Names) => OwnerName {
  return (...names) => ({ kind, render: render as unknown as Render, names });
}
