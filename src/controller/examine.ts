/** One look at a host's OVSDB, within a time. Serves `heddle doctor` and `heddle diff`; an edge: a session and a timer. */
import type { TlsMaterial } from '../lib/endpoint.ts';
import { LIMITS } from '../lib/limits.ts';
import { OPEN_VSWITCH, OvsdbClient } from '../ovsdb/index.ts';
import type { Host } from '../topology/model.ts';
import { EXAMINED, type Examination } from './diagnose.ts';
import { viewSwitch } from './switch-view.ts';

/** Comes back once the host has shown all that is asked of it, or has refused, or did neither within `LIMITS.doctorTimeoutMs`. */
export function examine(host: Host, tls: TlsMaterial | undefined): Promise<Examination> {
  return new Promise((resolve) => {
    const finish = (examination: Examination): void => {
      clearTimeout(timer);
      client.close();
      resolve(examination);
    };
    const client = new OvsdbClient({
      target: host.ovsdb,
      ...(tls && { tls }),
      model: OPEN_VSWITCH,
      tables: EXAMINED,
      onDelta: () => {
        const { replica } = client;
        const interfaces = replica.table('Interface');
        const view = viewSwitch({
          Open_vSwitch: replica.table('Open_vSwitch'),
          Bridge: replica.table('Bridge'),
          Port: replica.table('Port'),
          Interface: interfaces,
          Controller: replica.table('Controller'),
        });
        finish({ reached: true, view, interfaces: [...interfaces.values()] });
      },
      onState: ({ phase, error }) => {
        if (phase === 'backoff' && error !== undefined) finish({ reached: false, reason: error.message });
      },
    });
    const timer = setTimeout(() => {
      finish({ reached: false, reason: `no answer in ${LIMITS.doctorTimeoutMs} ms` });
    }, LIMITS.doctorTimeoutMs);
    client.start();
  });
}
