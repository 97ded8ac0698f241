/** Two whole controllers of one host (`heddle run --elect`): one programs its bridges, the other follows and takes over. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { HeddleProcess } from '../../scripts/support/heddle-process.ts';
import { BLUE, ControlledSite, freePort } from '../support/controlled-site.ts';
import { liveThrough, prepareRoutedOutside } from '../support/routed-outside.ts';

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

  const second = await site.startController({
    identity: 'second',
    listen: [`tcp:127.0.0.1:${await freePort()}`],
    stateDirectory: join(site.directory, 'second'),
  });
  await site.until('it follows on both bridges', () => followed() === 2);
  expect([...second.agents.values()].flatMap(({ installers }) => [...installers.values()])).toHaveLength(2);
  expect(site.status().hosts[0]?.bridges.map(({ connected }) => connected)).toEqual([false, false]);

  const closedMs = performance.now();
  await first.close();
  await site.until('it takes over', () => bridges().every(({ connected, follows }) => connected && !follows));
  await site.inStep();
  expect(bridges().map(({ flowMods }) => flowMods)).toEqual([NONE, NONE]);
  await onlyLeaseIsNew(closedMs);
});

test('bridges that call both: the second writes nothing, and takes over unchanged when the first is killed', async () => {
  site = await ControlledSite.prepare(BLUE);
  const file = join(site.directory, 'site.json');
  writeFileSync(file, site.text());
  const directory = join(site.directory, 'first');
  const first = HeddleProcess.start({ file, listen: site.listen, directory, args: ['--elect'] });
  try {
    await first.converged();
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'other_config:tag', '"1"');

    // Its file names itself alone: it adds itself, and the first lets it be.
    const listen = `tcp:127.0.0.1:${await freePort()}`;
    site.hostEntries = { node1: { controller: listen } };
    const second = await site.startController({
      identity: 'second',
      listen: [listen],
      stateDirectory: `${directory}-2`,
    });
    await site.until('it follows', () => bridges().every(({ follows }) => follows) && bridges().length === 2);
    await site.converged();
    const agent = second.agents.get('node1');
    const writes = agent?.counts.transactions;
    const targets = await site.host().vsctl('get-controller', 'br-int');
    expect(targets.trim().split('\n').sort()).toEqual([site.listen, listen].sort());

    // What comes now is the first one's to write.
    await site.plug('node1', 'blue2');
    await site.untilColumn('node1', 'Port', 'blue2', 'other_config:tag', '"1"');
    await first.converged();
    const before = await site.installedFlows();
    expect(agent?.counts.transactions).toBe(writes);

    const killedMs = performance.now();
    await first.stop('SIGKILL');
    await site.until('it takes over', () => bridges().every(({ connected, follows }) => connected && !follows), 20_000);
    const ms = Math.round(performance.now() - killedMs);
    await site.inStep();
    expect(bridges().map(({ flowMods }) => flowMods)).toEqual([NONE, NONE]);
    expect(agent?.counts.transactions).toBe(writes);
    expect(await site.installedFlows()).toEqual(before);
    await onlyLeaseIsNew(killedMs);
    process.stdout.write(`both bridges taken over ${ms} ms after their master was killed\n`);
  } finally {
    await first.stop('SIGKILL');
  }
});

test('a second controller that has not lived through what the first has takes over without a flow-mod too', async () => {
  site = await prepareRoutedOutside('node1');
  site.hostEntries = { node1: { ...site.hostEntries.node1, mgmt_dir: site.host().directory } };
  const first = await site.startController({ identity: 'first' });
  await liveThrough(site);
  await site.plug('node1', 'guest-a');
  await site.inStep();

  const stateDirectory = join(site.directory, 'second');
  mkdirSync(stateDirectory);
  // In the order of names, and with a MAC of its own choice.
  const state = { version: 2, hostMacs: { node1: 'fa:16:3f:00:00:77' }, zoneNumbers: { a: 0, b: 1, c: 2 } };
  const rest = { portHosts: {}, derived: { macs: {}, addresses: {} } };
  writeFileSync(join(stateDirectory, 'state.json'), JSON.stringify({ ...state, ...rest }));
  const listen = [`tcp:127.0.0.1:${await freePort()}`];
  await site.startController({ identity: 'second', listen, stateDirectory });
  await site.until('it follows on every bridge', () => followed() === 3);
  await first.close();
  await site.until('it takes over', () => bridges().every(({ connected, follows }) => connected && !follows));
  await site.inStep();
  expect(bridges().map(({ bridge, flowMods }) => ({ bridge, ...flowMods }))).toEqual(
    ['br-int', 'br-tun', 'br-ex'].map((bridge) => ({ bridge, ...NONE })),
  );
});

/** Of the flows of br-int the new master's lease, and it alone, is younger than a moment of `performance.now()`. */
async function onlyLeaseIsNew(momentMs: number): Promise<void> {
  let newest: readonly number[] = [];
  await site.until('the lease', async () => {
    const sinceS = (performance.now() - momentMs) / 1_000;
    newest = (await site.flowAges('node1', 'br-int')).filter((age) => age < sinceS);
    return newest.length > 0;
  });
  expect(newest).toHaveLength(1);
}

const bridges = () => site.status().hosts.flatMap((host) => host.bridges);

const NONE = { add: 0, modify: 0, delete: 0 };

const followed = (): number =>
  site.lines.filter(({ msg, role }) => msg === 'role on a bridge' && role === 'follower').length;
