/**
 * Operations in people's words: the flow's text and the object and rule that it is for. Serves log lines and status.
 */
import { formatFlow } from '../flow/format.ts';
import type { LogContext } from '../lib/log.ts';
import { decodeRawFlow } from './flow-bytes.ts';
import type { FlowOperation } from './reconcile.ts';

/** Flow text, and rule, object and place in the topology file where the flow is ours. */
export function describeOperation({ desired, installed, kind }: FlowOperation): LogContext {
  if (desired !== undefined) {
    const { rule, object, path, line } = desired.origin;
    return { kind, flow: formatFlow(desired.flow), rule, object, path, line };
  }
  const flow = installed === undefined ? undefined : decodeRawFlow(installed);
  return { kind, flow: flow === undefined ? 'holds what we do not know' : formatFlow(flow) };
}
