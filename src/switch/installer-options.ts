/** What an installer is told of its bridge, and shares with those of others. Serves installer.ts and who makes one. */
import type { BridgeBook } from '../compiler/book.ts';
import type { LimitedLog, Logger } from '../lib/log.ts';
import type { DumpGate } from './dump-gate.ts';
import type { BridgeStatus } from './status.ts';
import type { TurnQueue } from './turn-queue.ts';

export interface BridgeInstallerOptions {
  readonly host: string;
  readonly bridge: string;
  /** The book as it is now; read at the moment of each comparison. */
  readonly book: () => BridgeBook;
  /** What happens to flows that are not ours or not right; read at each reconcile. */
  readonly drift: () => 'repair' | 'report';
  readonly logger: Logger;
  readonly limitedLog: LimitedLog;
  /** A monotonic clock; default performance.now. */
  readonly nowMs?: () => number;
  /** After each pass: something in `status()` has changed. */
  readonly onPass?: (status: BridgeStatus) => void;
  /** Default LIMITS.auditIntervalMs, or LIMITS.watchedAuditIntervalMs where the switch tells of changes. */
  readonly auditIntervalMs?: number;
  /** Shared by the bridges of one controller: what one turn of the event loop may last. Default: its own. */
  readonly turns?: TurnQueue;
  /** Likewise: how much of dumps may be in memory. */
  readonly dumps?: DumpGate;
}
