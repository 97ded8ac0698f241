/** Groups and meters kept equal to the book, on a real switch; what Open vSwitch says of them in its own text. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatGroup, formatMeter } from '../../src/flow/format-group.ts';
import { METER_CONTROLLER } from '../../src/flow/meter.ts';
import { encodeMessage } from '../../src/openflow/codec.ts';
import { desired, group, meter, miss, OneBridge, output } from '../support/one-bridge.ts';
import { waitFor } from '../support/ovs-sandbox.ts';

let bridge: OneBridge;

beforeEach(async () => {
  bridge = await OneBridge.start();
});

afterEach(async () => {
  await bridge.stop();
});

const metered = desired('port p1', {
  table: 3,
  priority: 1,
  match: { inPort: 1 },
  actions: [{ type: 'meter', meter: 7 }, output(2)],
});
const grouped = desired('port p2', {
  table: 3,
  priority: 1,
  match: { inPort: 2 },
  actions: [{ type: 'group', group: 9 }],
});
const toController = desired('port p3', {
  table: 3,
  priority: 1,
  match: { inPort: 3 },
  actions: [{ type: 'controller', maxLength: 0xffff, meter: 7, userdata: Uint8Array.of(1) }],
});

function addAll(): void {
  bridge.book.claimMeter(meter(7, 100));
  bridge.book.claimGroup(group(9, 1, 2));
  bridge.edit([miss(3), metered, grouped, toController]);
}

/** On one line each, as formatGroup and formatMeter have it. */
async function groups(): Promise<string[]> {
  const text = await bridge.ofctl('dump-groups');
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('group_id'));
}

async function meters(): Promise<string[]> {
  const text = (await bridge.ofctl('dump-meters')).split('\n').slice(1).join('\n');
  return text
    .split(/\n(?=meter)/)
    .map((one) => one.replaceAll(/\s+/g, ' ').trim())
    .filter((one) => one !== '');
}

async function expectEqual(): Promise<void> {
  await bridge.expectEqualToBook();
  expect(await groups()).toEqual([...bridge.book.groups()].map((one) => formatGroup(one.group)));
  expect(await meters()).toEqual([...bridge.book.meters()].map((one) => formatMeter(one.meter)));
}

const NONE = { add: 0, modify: 0, delete: 0 };

test('they come before the flows that name them, and a switch that has them gets nothing', async () => {
  addAll();
  await bridge.connect();
  await expectEqual();
  expect(bridge.installer.status()).toMatchObject({
    degraded: false,
    errorCount: 0,
    flowMods: { ...NONE, add: 4 },
    groupMods: { ...NONE, add: 1 },
    meterMods: { ...NONE, add: 1 },
  });
  bridge.restart();
  await bridge.connect();
  expect(bridge.installer.status()).toMatchObject({ flowMods: NONE, groupMods: NONE, meterMods: NONE });
});

test('they change in place, and go after the flows that named them', async () => {
  addAll();
  await bridge.connect();
  bridge.book.releaseMeter([...bridge.book.meters()][0] ?? meter(7, 100));
  bridge.book.claimMeter(meter(7, 50));
  bridge.book.releaseGroup([...bridge.book.groups()][0] ?? group(9));
  bridge.book.claimGroup(group(9, 3));
  bridge.tell();
  await bridge.installer.settled();
  await expectEqual();
  expect(bridge.installer.status()).toMatchObject({
    groupMods: { modify: 1 },
    meterMods: { modify: 1 },
    errorCount: 0,
  });

  bridge.book.releaseMeter([...bridge.book.meters()][0] ?? meter(7, 100));
  bridge.book.releaseGroup([...bridge.book.groups()][0] ?? group(9));
  bridge.edit([], [metered, grouped, toController]);
  await bridge.installer.settled();
  await expectEqual();
  expect(bridge.installer.status()).toMatchObject({
    errorCount: 0,
    groupMods: { delete: 1 },
    meterMods: { delete: 1 },
    drift: { missing: 0, foreign: 0 },
  });
  // Again, on the same connection: they are known to be gone.
  addAll();
  await bridge.installer.settled();
  await expectEqual();
  expect(bridge.installer.status().errorCount).toBe(0);
});

test('on a connect, what differs is changed and what is foreign removed, but never the meter of the controller', async () => {
  addAll();
  await bridge.connect();
  bridge.installer.close();
  await bridge.ofctl('mod-meter', 'meter=7,kbps,band=type=drop,rate=5');
  await bridge.ofctl('add-meter', 'meter=8,pktps,band=type=drop,rate=5');
  await bridge.ofctl('add-meter', 'meter=controller,pktps,band=type=drop,rate=1000');
  await bridge.ofctl('mod-group', 'group_id=9,type=all,bucket=actions=output:1');
  await bridge.ofctl('add-group', 'group_id=10,type=all,bucket=actions=output:1');
  bridge.restart();
  await bridge.connect();
  expect(bridge.installer.status()).toMatchObject({
    flowMods: NONE,
    groupMods: { add: 0, modify: 1, delete: 1 },
    meterMods: { add: 0, modify: 1, delete: 1 },
    drift: { foreign: 2 },
  });
  expect(bridge.board.complaints.map(({ group: one, meter: other }) => one ?? other)).toEqual([
    'group_id=10,type=all,bucket=actions=output:1',
    'meter=8 pktps bands= type=drop rate=5',
  ]);
  expect(await meters()).toEqual([
    formatMeter(meter(7, 100).meter),
    formatMeter({ ...meter(METER_CONTROLLER, 1000).meter, flags: 2 }),
  ]);
  await bridge.ofctl('del-meter', 'meter=controller');
  await expectEqual();
});

describe('behind our back', () => {
  test('a group that is removed takes flows with it: both are back at once', async () => {
    addAll();
    await bridge.connect();
    await bridge.ofctl('del-groups');
    await waitFor('the group is back', () => bridge.installer.status().groupMods.add === 2);
    await bridge.installer.settled();
    await waitFor('the flow is back', () => bridge.installer.status().flowMods.add === 5);
    await bridge.installer.settled();
    await expectEqual();
    expect(bridge.installer.status()).toMatchObject({ degraded: false });
  });

  test('a meter that is removed takes flows with it, and leaves controller() without a limit until its flow is sent anew', async () => {
    addAll();
    await bridge.connect();
    await bridge.ofctl('del-meters');
    await waitFor('the meter is back', () => bridge.installer.status().meterMods.add === 2);
    await bridge.installer.settled();
    await expectEqual();
    expect(bridge.installer.status()).toMatchObject({ degraded: false, flowMods: { modify: 1 } });
  });
});

describe('what the switch refuses', () => {
  test('is named with its origin, and put right later', async () => {
    // Two rates of one meter, of which no switch makes sense: more bands than there may be.
    const band = { type: 'drop', rate: 1, burstSize: 1 } as const;
    const wrong = { ...meter(7, 100), meter: { ...meter(7, 100).meter, bands: Array.from({ length: 9 }, () => band) } };
    bridge.book.claimMeter(wrong);
    bridge.edit([miss(3), metered]);
    await bridge.connect();
    const refused = bridge.installer.status().refusedFlows;
    expect(refused.map(({ rule, object, error }) => [rule, object, error])).toEqual([
      ['limits', 'host node1', 'OFPMMFC_OUT_OF_BANDS'],
      ['fdb', 'port p1', 'OFPMMFC_INVALID_METER'],
    ]);
    expect(bridge.board.complaints).toMatchObject([
      { msg: 'the switch refused a meter', rule: 'limits', object: 'host node1', line: 3 },
      { msg: 'the switch refused a flow', rule: 'fdb', object: 'port p1', line: 12 },
    ]);
    bridge.book.releaseMeter(wrong);
    bridge.book.claimMeter(meter(7, 100));
    bridge.tell();
    await waitFor('both are taken', () => !bridge.installer.status().degraded);
    await bridge.installer.settled();
    await expectEqual();
  });

  test('Open vSwitch takes no meter in a bundle: that is why they go by themselves', async () => {
    bridge.sandbox.allowLog(/METER_MOD message not allowed inside/);
    await bridge.connect();
    const frame = encodeMessage({ type: 'meterMod', xid: 0, command: 'add', ...meter(7, 100).meter });
    const outcome = await bridge.installer.connection?.bundle([frame]);
    expect(outcome?.refused.map(({ error }) => error.code)).toEqual(['OFPBFC_MSG_UNSUP']);
  });
});
