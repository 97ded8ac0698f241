/**
 * What becomes of a site when the controller's state directory is lost, cannot be written, or holds nonsense
 * (src/controller/state-store.ts, memory.ts, host-mac-keeper.ts).
 */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Controller } from '../../src/controller/controller.ts';
import { HOST_MAC_KEY } from '../../src/controller/keepsake-keys.ts';
import { examineState } from '../../src/controller/state-store.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { BLUE, ControlledSite } from '../support/controlled-site.ts';
import { liveThrough, prepareRoutedOutside } from '../support/routed-outside.ts';

let site: ControlledSite;
afterEach(() => site.stop());

/** Not what would be derived for the name. */
const MAC = 'fa:16:3f:00:00:aa';
const stateFile = (): string => join(site.directory, 'state', 'state.json');

function writeState(hostMacs: Readonly<Record<string, string>>): void {
  mkdirSync(join(site.directory, 'state'), { recursive: true });
  const derived = { macs: {}, addresses: {} };
  writeFileSync(stateFile(), JSON.stringify({ version: 1, hostMacs, portHosts: {}, derived }));
}

const hostMacs = (): unknown => (JSON.parse(readFileSync(stateFile(), 'utf8')) as { hostMacs: unknown }).hostMacs;
const rememberedMac = (host = 'node1'): Promise<string> =>
  site.host(host).vsctl('--if-exists', 'get', 'Bridge', 'br-int', `external_ids:${HOST_MAC_KEY}`);

/** The state directory goes, and a controller that starts without it sends nothing and writes nothing. */
async function startsUnchanged(...hosts: readonly string[]): Promise<void> {
  const databases = await Promise.all(hosts.map((host) => site.database(host)));
  const flows = await Promise.all(hosts.map((host) => site.host(host).dumpFlows('br-int')));
  rmSync(join(site.directory, 'state'), { recursive: true });
  for (const host of hosts) await site.logMessages(host);
  await site.startController();
  await site.inStep();
  expect(await Promise.all(hosts.map((host) => site.host(host).dumpFlows('br-int')))).toEqual(flows);
  expect(await Promise.all(hosts.map((host) => site.database(host)))).toEqual(databases);
  for (const host of hosts) expect(await site.mods(host)).toEqual([]);
}

test('lost: hosts say which MACs they had, flows and databases are not touched, and the file is written anew', async () => {
  site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: {}, node2: {} } });
  writeState({ node1: MAC });
  await site.startController();
  await site.converged();
  await site.plug('node1', 'blue1');
  await site.plug('node2', 'blue2');
  await site.until('tunnels', async () => (await site.host().vsctl('list-ports', 'br-tun')).includes('vxlan-'));
  await site.inStep();
  expect((await rememberedMac()).trim()).toBe(`"${MAC}"`);
  await site.stopController();
  const before = hostMacs();
  expect(before).toMatchObject({ node1: MAC });
  await startsUnchanged('node1', 'node2');
  await site.stopController();
  expect(hostMacs()).toEqual(before);
});

test('lost: routers keep the conntrack zones that they had, in whatever order they came', async () => {
  site = await prepareRoutedOutside('node1', 'node2');
  await site.startController();
  await liveThrough(site);
  await site.plug('node2', 'guest-a');
  await site.inStep();
  const zones = ['a', 'b', 'c'].map((router) =>
    site.get('node1', 'Bridge', 'br-int', `external_ids:heddle-zones-${router}`),
  );
  expect(await Promise.all(zones)).toEqual(['"9-12"', '"5-8"', '"1-4"']);
  await site.stopController();
  await startsUnchanged('node1', 'node2');

  // A router that goes is forgotten, and no other.
  const { routers = [], floating_ips = [] } = site.document;
  site.change({
    routers: routers.filter(({ id }) => id !== 'b'),
    floating_ips: floating_ips.filter(({ port }) => port !== 'guest-b'),
  });
  await site.inStep();
  const ids = await site.get('node2', 'Bridge', 'br-int', 'external_ids');
  expect(ids.match(/heddle-zones-\w+/g)).toEqual(['heddle-zones-a', 'heddle-zones-c']);
});

test('lost: a MAC that another host has by now is not taken back', async () => {
  site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: {}, node2: { dvr_mac: MAC } } });
  writeState({});
  await site.startController();
  await site.converged();
  await site.stopController();
  await site.host().vsctl('set', 'Bridge', 'br-int', `external_ids:${HOST_MAC_KEY}="${MAC}"`);
  rmSync(join(site.directory, 'state'), { recursive: true });
  await site.startController();
  await site.until('it is written over', async () => !(await rememberedMac()).includes(MAC));
  await site.inStep();
});

test('full: told, the controller works on, and what could not be written is written when there is room', async () => {
  site = await ControlledSite.prepare();
  mkdirSync(join(site.directory, 'state'), { recursive: true });
  // Whatever is written to the temporary file meets a full device.
  symlinkSync('/dev/full', `${stateFile()}.tmp`);
  await site.startController();
  await site.inStep();
  await site.until('it is told', () =>
    site.complaints().some(({ code, reason }) => code === 'STATE_UNWRITABLE' && /ENOSPC/.test(String(reason))),
  );
  expect(site.status().warnings).toEqual([
    expect.stringMatching(/state\.json: ENOSPC.*; make room or give --state DIR; /),
  ]);
  rmSync(`${stateFile()}.tmp`);
  await site.until('the file is there', () => {
    try {
      return hostMacs() !== undefined;
    } catch {
      return false;
    }
  });
  expect(site.status().warnings).toEqual([]);
});

test('not to be written to: told, and the controller works on', async () => {
  site = await ControlledSite.prepare();
  // Not even root can write to a file where a directory is.
  mkdirSync(`${stateFile()}.tmp`, { recursive: true });
  await site.startController();
  await site.inStep();
  await site.until('it is told', () => site.complaints().some(({ code }) => code === 'STATE_UNWRITABLE'));
  expect(site.status().warnings).toEqual([
    expect.stringMatching(/state\.json: .*; make it writable or give --state DIR; /),
  ]);
});

test('the doctor finds it beforehand: no directory, half a file', async () => {
  site = await ControlledSite.prepare();
  const state = join(site.directory, 'state');
  expect(examineState(state)).toBeUndefined();
  mkdirSync(state);
  writeFileSync(stateFile(), '{');
  // Nobody, root included, makes a directory below a file.
  expect(examineState(stateFile())).toMatchObject({ code: 'STATE_UNREADABLE' });
  expect(examineState(state)).toMatchObject({ code: 'STATE_INVALID' });
});

test.each([
  ['half a file', '{"version": 1, "hostMacs": {'],
  ['a later version', '{"version": 99}'],
])('invalid (%s): nothing is started, the file is left for a person to look at', async (_name, text) => {
  site = await ControlledSite.prepare();
  mkdirSync(join(site.directory, 'state'), { recursive: true });
  writeFileSync(stateFile(), text);
  const options = { listen: [], ovsdbListen: [], stateDirectory: join(site.directory, 'state'), logger: silentLogger };
  expect(() => new Controller(options)).toThrow(/restore it, or move it away to start without it/);
  expect(readFileSync(stateFile(), 'utf8')).toBe(text);
});
