/**
 * What a group is (OpenFlow 1.3.5 §5.6): plain readonly data that renders make, the book keeps and openflow/ encodes.
 */
import type { Action } from './action.ts';

/** OpenFlow 1.3.5 §7.3.4.2 */
export const GROUP_TYPES = { all: 0, select: 1, indirect: 2, fastFailover: 3 } as const;

export type GroupType = keyof typeof GROUP_TYPES;

/**
 * A bucket of a group. `unknown` says why its actions could not be read (an action that we do not know); `actions` is
 * then empty.
 */
export interface Bucket {
  readonly weight: number;
  readonly watchPort: number;
  readonly watchGroup: number;
  readonly actions: readonly Action[];
  readonly unknown?: string;
}

export interface Group {
  readonly group: number;
  readonly groupType: GroupType;
  readonly buckets: readonly Bucket[];
}
