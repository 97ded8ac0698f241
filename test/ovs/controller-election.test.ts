/** Two whole controllers of one host (`heddle run --elect`), dialling its bridges: one programs them, the other takes over. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { BLUE, ControlledSite, freePort } from '../support/controlled-site.ts';

let site: ControlledSite;
afterEach(() => site.stop());

test('a second controller writes no flow until the first goes, and none then', async () => {
  site = await ControlledSite.prepare(BLUE);
  site.hostEntries = { node1: { mgmt_dir: site.host().directory } };
  const first = await site.startController({ identity: 'first' });
  await site.converged();
  await site.plug('node1', 'blue1');
  await site.untilColumn('node1', 'Port', 'blue1', 'other_config:tag', '"1"');
  await site.inStep();
  const ages = await site.flowAges('node1', 'br-int');

  const second = await site.startController({
    identity: 'second',
    listen: [`tcp:127.0.0.1:${await freePort()}`],
    stateDirectory: join(site.directory, 'second'),
  });
  await site.until('it follows on both bridges', () => followed() === 2);
  expect([...second.agents.values()].flatMap(({ installers }) => [...installers.values()])).toHaveLength(2);
  expect(site.status().hosts[0]?.bridges.map(({ connected }) => connected)).toEqual([false, false]);

  await first.close();
  await site.converged();
  const bridges = site.status().hosts[0]?.bridges ?? [];
  expect(bridges.map(({ flowMods }) => flowMods)).toEqual([NONE, NONE]);
  const agesNow = await site.flowAges('node1', 'br-int');
  // The lease is the other's now; every other flow is as old as before, or older.
  expect(agesNow.filter((age) => age < Math.min(...ages))).toHaveLength(1);
});

const NONE = { add: 0, modify: 0, delete: 0 };

const followed = (): number =>
  site.lines.filter(({ msg, role }) => msg === 'role on a bridge' && role === 'follower').length;
