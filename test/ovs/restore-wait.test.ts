/**
 * `flow-restore-wait`: a switch that waits for its flows gets them at its management sockets, and is told when they are all there
 * (src/controller/restore-wait.ts).
 */
import { afterEach, expect, test } from 'vitest';
import { BLUE, ControlledSite, freePort } from '../support/controlled-site.ts';

let site: ControlledSite;
afterEach(() => site.stop());

const waitKey = (): Promise<string> =>
  site.host().vsctl('--no-wait', '--if-exists', 'get', 'Open_vSwitch', '.', 'other_config');

/** The key counts when ovs-vswitchd starts: this is what `ovs-ctl restart` does. */
async function restartWaiting(): Promise<void> {
  await site.host().stopVswitchd();
  await site.host().vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:flow-restore-wait=true');
  await site.host().startVswitchd();
}

test('a switch that waits is programmed before it may forward, and told when it is whole', async () => {
  site = await ControlledSite.start();
  await site.plug('node1', 'blue1');
  await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await site.inStep();
  await site.stopController();
  await restartWaiting();
  await site.until(
    'an empty br-int',
    async () =>
      (
        await site
          .host()
          .dumpFlows('br-int')
          .catch(() => ['?'])
      ).length === 0,
  );

  await site.startController();
  await site.until('the switch waits no longer', async () => (await waitKey()).trim() === '{}');
  await site.inStep();
  // In this order: flows over the management sockets, then the key, then the bridges call by themselves.
  const keyWritten = site.lines.findLastIndex(({ writes }) => /flow-restore-wait=\(none\)/.test(String(writes)));
  const compared = ['br-int', 'br-tun'].map((name) =>
    site.lines.findIndex(({ msg, bridge }) => msg === 'bridge compared with the book' && bridge === name),
  );
  for (const line of compared) expect(line).toBeGreaterThanOrEqual(0);
  for (const line of compared) expect(line).toBeLessThan(keyWritten);
  await site.until('the bridges call', () =>
    site
      .status()
      .hosts.every(({ bridges }) => bridges.every(({ connected, peer }) => connected && peer?.startsWith('tcp:'))),
  );
});

test('the key stays until every bridge is whole, and status says so', async () => {
  // br-eth2 is somebody else's to make.
  site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: { bridge_mappings: { physnet1: 'br-eth2' } } } });
  await restartWaiting();
  await site.startController();
  await site.until('br-tun has flows', async () => {
    const flows = await site
      .host()
      .dumpFlows('br-tun')
      .catch(() => []);
    return flows.length > 0 && site.status().waitingFor.length === 2;
  });
  expect(await waitKey()).toContain('flow-restore-wait="true"');
  expect(site.status().waitingFor).toEqual([
    'node1: somebody to create bridge br-eth2 (bridge_mappings)',
    'node1: flow-restore-wait to end, once every bridge has its flows',
  ]);
  await site.host().addBridge('br-eth2');
  await site.until('the switch waits no longer', async () => (await waitKey()).trim() === '{}');
  await site.inStep();
});

test('the bridges of another machine cannot be called: the key is let be, and status says what to do', async () => {
  const port = await freePort();
  const sandbox = { databaseArguments: [`--remote=ptcp:${port}:127.0.0.1`] };
  site = await ControlledSite.prepare({ ...BLUE, hosts: { node1: { ovsdb: `tcp:127.0.0.1:${port}` } }, sandbox });
  await restartWaiting();
  await site.startController();
  await site.until('the warning', () =>
    site.status().warnings.some((text) => /ovs-vsctl remove Open_vSwitch/.test(text)),
  );
  expect(await waitKey()).toContain('flow-restore-wait="true"');
  await site.host().vsctl('remove', 'Open_vSwitch', '.', 'other_config', 'flow-restore-wait');
  await site.inStep();
  expect(site.status().warnings).toEqual([]);
});
