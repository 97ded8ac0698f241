/**
 * When Open vSwitch takes all flows of a bridge away of its own accord: what docs/RELIABILITY.md says of it, and what the order of
 * heddle's writes (src/controller/wanted.ts, host-plan.ts) stands on.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OvsSandbox } from '../support/ovs-sandbox.ts';

const FLOW = 'table=5, priority=7 actions=drop';
const NORMAL = 'priority=0 actions=NORMAL';
const ACTIVE = 'tcp:127.0.0.1:1';
const PASSIVE = 'ptcp:0:127.0.0.1';

let sandbox: OvsSandbox;
let bridgeCount = 0;
beforeAll(async () => {
  sandbox = await OvsSandbox.start();
  // Nobody is at the controllers' addresses.
  sandbox.allowLog(/in_band\|WARN\|.*cannot find route for controller/);
  sandbox.allowLog(/rconn\|(WARN|INFO)\|.*(connection failed|connection dropped|waiting|refused)/);
});
afterAll(() => sandbox.stop());

/** A bridge of somebody's, without a controller, then each of these steps with the flow put back before it. */
async function survives(steps: readonly (readonly string[])[]): Promise<readonly boolean[]> {
  bridgeCount += 1;
  const bridge = `br-${bridgeCount}`;
  await sandbox.vsctl('add-br', bridge, '--', 'set', 'Bridge', bridge, 'datapath_type=dummy');
  const survived: boolean[] = [];
  for (const step of steps) {
    await sandbox.ofctlWithInput('table=5,priority=7,actions=drop\n', 'add-flows', bridge, '-');
    expect(await sandbox.dumpFlows(bridge)).toContain(FLOW);
    await sandbox.vsctl(...step.map((word) => (word === 'BRIDGE' ? bridge : word)));
    const flows = await sandbox.dumpFlows(bridge);
    survived.push(flows.includes(FLOW));
    // With it goes what made the bridge a switch.
    if (!flows.includes(FLOW)) expect(flows).not.toContain(NORMAL);
  }
  return survived;
}

const SECURE = ['set', 'Bridge', 'BRIDGE', 'fail_mode=secure'];
const controller = (...targets: readonly string[]) => ['set-controller', 'BRIDGE', ...targets];

test.each([
  ['the first controller takes them; becoming secure afterwards does not', [controller(ACTIVE), SECURE], [false, true]],
  [
    'becoming secure without a controller takes them, and the first one once more',
    [SECURE, controller(ACTIVE)],
    [false, false],
  ],
  ['both in one transaction take them once', [[...SECURE, '--', ...controller(ACTIVE)]], [false]],
  [
    'another controller, or one more, does not',
    [controller(ACTIVE), controller('tcp:127.0.0.1:2', ACTIVE)],
    [false, true],
  ],
  [
    'a passive one does not count: it takes none, and the first active one after it does',
    [controller(PASSIVE), controller(PASSIVE, ACTIVE)],
    [true, false],
  ],
  [
    'datapath id, protocols and in-band do not',
    [
      controller(ACTIVE),
      [
        'set',
        'Bridge',
        'BRIDGE',
        'protocols=OpenFlow13',
        'other_config:datapath-id=00000000000000aa',
        'other_config:disable-in-band=true',
      ],
    ],
    [false, true],
  ],
] as const)('%s', async (_what, steps, survived) => {
  expect(await survives(steps)).toEqual(survived);
});
