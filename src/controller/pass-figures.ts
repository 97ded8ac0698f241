/** What passes did, for status and metrics. Written by controller.ts. */
import type { BridgeStatus } from '../switch/status.ts';

/** What one pass did. */
export interface PassFigures {
  readonly ms: number;
  /** Owners rendered. */
  readonly rendered: number;
  readonly changedBridges: number;
}

/** Told of passes as they end: what metrics make histograms of. */
export interface PassObserver {
  readonly pass: (figures: PassFigures) => void;
  readonly bridgePass: (status: BridgeStatus) => void;
}
