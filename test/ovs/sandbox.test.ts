/** The sandbox itself: it starts, answers, notices complaints in the logs, and leaves nothing behind. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OvsSandbox } from '../support/ovs-sandbox.ts';

test('a sandbox starts real daemons, takes flows and leaves nothing behind', async () => {
  const sandbox = await OvsSandbox.start();
  await sandbox.addBridge('br-int', { datapathId: '00000000000000a1' });
  expect(await sandbox.addPort('br-int', 'p1', 'ofport_request=7')).toBe(7);
  await sandbox.ofctlWithInput('table=3,priority=5,in_port=7,actions=drop\n', 'add-flows', 'br-int', '-');
  expect(await sandbox.dumpFlows('br-int')).toEqual(['table=3, priority=5,in_port=7 actions=drop']);
  const pids = [sandbox.databasePid, sandbox.vswitchdPid];
  await sandbox.stop();
  expect(existsSync(sandbox.directory)).toBe(false);
  for (const pid of pids) {
    expect(pid).toBeTypeOf('number');
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  }
});

test('a line that Open vSwitch logs as a warning fails the test, unless it is allowed', async () => {
  const sandbox = await OvsSandbox.start();
  try {
    // A bridge of an unknown datapath type is what ovs-vswitchd complains about.
    await sandbox.vsctl('--no-wait', 'add-br', 'br-odd', '--', 'set', 'Bridge', 'br-odd', 'datapath_type=no-such-type');
    await expect.poll(async () => (await sandbox.logProblems()).length).toBeGreaterThan(0);
    sandbox.allowLog(/no-such-type|br-odd/);
    expect(await sandbox.logProblems()).toEqual([]);
  } finally {
    await sandbox.kill();
  }
});
