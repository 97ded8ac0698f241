/** Groups and meters of a bridge, as the switch tells them. Serves compare-bridge.ts, and `heddle diff` in controller/. */
import type { SwitchConnection } from '../openflow/connection.ts';
import type { Group, Meter } from '../openflow/messages.ts';
import { OpenFlowError } from '../openflow/requests.ts';

export interface NumberedDump {
  readonly groups: readonly Group[];
  readonly meters: readonly Meter[];
}

/** Rejects with ConnectionClosedError. */
export async function dumpNumbered(connection: SwitchConnection): Promise<NumberedDump> {
  const [groups, meters] = await Promise.all([
    orNone(connection.multipart({ kind: 'groupDesc' })),
    orNone(connection.multipart({ kind: 'meterConfig' })),
  ]);
  return { groups: groups.flatMap((part) => part.groups), meters: meters.flatMap((part) => part.meters) };
}

/** A switch without groups or meters says so with an error. */
async function orNone<Part>(parts: Promise<readonly Part[]>): Promise<readonly Part[]> {
  try {
    return await parts;
  } catch (error) {
    if (error instanceof OpenFlowError) return [];
    throw error;
  }
}
