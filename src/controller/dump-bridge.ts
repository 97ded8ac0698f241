/** All that one bridge holds, asked once over its management socket. Serves `heddle diff`; an edge: a dialler and a timer. */
import { parseEndpoint } from '../lib/endpoint.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import { LimitedLog, silentLogger } from '../lib/log.ts';
import { OpenFlowDialer } from '../openflow/dialer.ts';
import { dumpInstalled, type InstalledBridge } from './bridge-difference.ts';

/** Throws NO_BRIDGE_ANSWER when no switch answers at `target` within `LIMITS.doctorTimeoutMs`. */
export async function dumpBridge(target: string): Promise<InstalledBridge> {
  const context = { logger: silentLogger, limitedLog: new LimitedLog(silentLogger), nextEpoch: () => 1 };
  let dialer: OpenFlowDialer | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<InstalledBridge>((resolve, reject) => {
      timer = setTimeout(() => {
        const message = `no bridge answers at ${target}; is ovs-vswitchd running there, and may this user open its socket?`;
        reject(new HeddleError('NO_BRIDGE_ANSWER', message));
      }, LIMITS.doctorTimeoutMs);
      dialer = new OpenFlowDialer({
        endpoint: parseEndpoint(target),
        context: { ...context, onConnection: (connection) => void dumpInstalled(connection).then(resolve, reject) },
      });
    });
  } finally {
    clearTimeout(timer);
    dialer?.close();
  }
}
