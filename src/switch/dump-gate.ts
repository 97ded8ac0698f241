/**
 * How much of dumps may be in memory at one time, and how much of one switch may be dumped: a dump is some 200 bytes a flow until it
 * is compared, and at a start every bridge of a site is dumped. Serves the installers of one controller.
 */
import { LIMITS } from '../lib/limits.ts';
import { SliceLane } from './dump-slices.ts';

interface Waiting {
  readonly flowCount: number;
  readonly admit: () => void;
}

export class DumpGate {
  /** Flows of the large dumps that are under way. */
  #flowCount = 0;
  /** The longest waiting first. */
  readonly #waiting: Waiting[] = [];
  #delayedCount = 0;
  /** By host, as many as were ever named: its bridges are one switch. */
  readonly #lanes = new Map<string, SliceLane>();

  /** Dumps that had to wait for others, since the start. */
  get delayedCount(): number {
    return this.#delayedCount;
  }

  /** Of slices of the bridges of one host. */
  laneOf(host: string): SliceLane {
    const lane = this.#lanes.get(host) ?? new SliceLane();
    this.#lanes.set(host, lane);
    return lane;
  }

  /**
   * Resolves when there is room for so many flows, with what is to be called once they are needed no more. One slice is nothing to
   * wait for: small bridges go past large ones. One that is larger than the bound goes alone.
   */
  async enter(flowCount: number): Promise<() => void> {
    if (flowCount <= LIMITS.dumpSliceLength) return () => undefined;
    if (this.#waiting.length > 0 || !this.#hasRoom(flowCount)) {
      this.#delayedCount += 1;
      await new Promise<void>((admit) => this.#waiting.push({ flowCount, admit }));
    } else this.#flowCount += flowCount;
    let isIn = true;
    return () => {
      if (isIn) this.#leave(flowCount);
      isIn = false;
    };
  }

  #hasRoom(flowCount: number): boolean {
    return this.#flowCount === 0 || this.#flowCount + flowCount <= LIMITS.dumpedFlows;
  }

  #leave(flowCount: number): void {
    this.#flowCount -= flowCount;
    for (let [first] = this.#waiting; first !== undefined && this.#hasRoom(first.flowCount); [first] = this.#waiting) {
      this.#waiting.shift();
      this.#flowCount += first.flowCount;
      first.admit();
    }
  }
}
