/**
 * How many packets a bridge may send us. Serves connection.ts. The meters of the pipeline come first (pipeline/), and Open
 * vSwitch drops what we are too slow to read; this bound holds whatever flows somebody else puts there.
 */
import { LIMITS } from '../lib/limits.ts';

/** Packet-ins of one connection since it began. */
export interface PacketInCounts {
  /** Handed to whoever listens. */
  readonly taken: number;
  /** Left out unread: more than LIMITS.packetInsPerS came. */
  readonly dropped: number;
}

export function sumOfPacketIns(counts: readonly PacketInCounts[]): PacketInCounts {
  const none = { taken: 0, dropped: 0 };
  return counts.reduce((sum, one) => ({ taken: sum.taken + one.taken, dropped: sum.dropped + one.dropped }), none);
}

/** As many as LIMITS.packetInsPerS at once, and as many in each second. */
export class PacketInBudget {
  #taken = 0;
  #dropped = 0;
  #left: number = LIMITS.packetInsPerS;
  #lastMs: number;

  constructor(nowMs: number) {
    this.#lastMs = nowMs;
  }

  get counts(): PacketInCounts {
    return { taken: this.#taken, dropped: this.#dropped };
  }

  /** One has come. False: leave it out. */
  take(nowMs: number): boolean {
    const earned = ((nowMs - this.#lastMs) * LIMITS.packetInsPerS) / 1_000;
    this.#lastMs = nowMs;
    this.#left = Math.min(LIMITS.packetInsPerS, this.#left + earned);
    if (this.#left < 1) {
      this.#dropped += 1;
      return false;
    }
    this.#left -= 1;
    this.#taken += 1;
    return true;
  }
}
