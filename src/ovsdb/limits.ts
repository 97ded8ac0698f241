/**
 * The bounds of one OVSDB client, all from the house's list; tests and libraries may set their own. Serves session,
 * connection, client and listener.
 */
import { LIMITS } from '../lib/limits.ts';

export interface OvsdbLimits {
  /** Bytes of one received message. */
  readonly messageSize: number;
  readonly nestingDepth: number;
  readonly connectTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly probeIntervalMs: number;
  readonly requestTimeoutMs: number;
  readonly requestsInFlight: number;
  readonly queuedUpdates: number;
  /** Bytes queued towards a server that does not read. */
  readonly sendBufferSize: number;
}

export const OVSDB_LIMITS: OvsdbLimits = {
  messageSize: LIMITS.ovsdbMessageSize,
  nestingDepth: LIMITS.ovsdbNestingDepth,
  connectTimeoutMs: LIMITS.handshakeTimeoutMs,
  backoffMinMs: LIMITS.backoffMinMs,
  backoffMaxMs: LIMITS.backoffMaxMs,
  probeIntervalMs: LIMITS.ovsdbProbeIntervalMs,
  requestTimeoutMs: LIMITS.ovsdbRequestTimeoutMs,
  requestsInFlight: LIMITS.ovsdbRequestsInFlight,
  queuedUpdates: LIMITS.ovsdbQueuedUpdates,
  sendBufferSize: LIMITS.sendBufferSize,
};
