/** What a host's OVSDB refuses is told, tried again, and written once it is taken (src/controller/host-agent.ts). */
import { afterEach, expect, test } from 'vitest';
import { ControlledSite } from '../support/controlled-site.ts';

let site: ControlledSite;
afterEach(() => site.stop());

test('a database that takes no writes: told in log and status, planned again, and written when it does', async () => {
  site = await ControlledSite.start();
  const host = site.host();
  host.allowLog(/\|(jsonrpc|reconnect|stream_\w+|ovsdb_idl|replication|ovsdb_error|bridge)\|(WARN|ERR)\|/);
  await site.plug('node1', 'blue1');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await site.inStep();
  // As the standby of another server, which is not there, it can be read alone.
  await host.databaseAppctl('ovsdb-server/set-active-ovsdb-server', 'unix:/nonexistent/active.sock');
  await host.databaseAppctl('ovsdb-server/connect-active-ovsdb-server');
  const before = site.status().hosts[0]?.ovsdbWrites.failures ?? 0;
  const [blue1 = {}, ...others] = site.document.ports ?? [];
  site.change({ ports: [{ ...blue1, admin_state_up: false }, ...others] });
  const failures = () => (site.status().hosts[0]?.ovsdbWrites.failures ?? 0) - before;
  await site.until('it is tried again', () => failures() > 1, 20_000);
  expect(site.status().converged).toBe(false);
  expect(site.status().waitingFor.join('\n')).toMatch(/node1: its OVSDB to be written/);
  expect(site.complaints().some(({ msg }) => /OVSDB write failed/.test(msg))).toBe(true);
  await host.databaseAppctl('ovsdb-server/disconnect-active-ovsdb-server');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '4095');
  await site.inStep();
});
