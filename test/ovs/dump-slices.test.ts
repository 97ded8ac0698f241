/** A large bridge is dumped in slices, and nothing is missing or twice (src/switch/dump-slices.ts). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../../src/lib/limits.ts';
import type { FlowSelection } from '../../src/openflow/multipart.ts';
import { inSlices } from '../../src/switch/dump-slices.ts';
import { OvsSandbox } from '../support/ovs-sandbox.ts';
import { Switchboard } from '../support/switchboard.ts';

let sandbox: OvsSandbox;
const switchboard = new Switchboard();
beforeAll(async () => {
  sandbox = await OvsSandbox.start();
});
afterAll(async () => {
  await switchboard.close();
  await sandbox.stop();
});

test.each([
  // The counts of the tables say so.
  ['no', 0, 0],
  ['a few', 100, 1],
  ['many', 18_000, 4],
])('%s flows', async (_name, count, sliceCount) => {
  await sandbox.addBridge('br-int', { datapathId: '00000000000000aa' });
  // Cookies as heddle's, some of them alike, and some of nobody's.
  const flows = Array.from({ length: count }, (_none, index) => {
    const cookie = index % 10 === 0 ? 0 : `0x48440101${((index >> 1) * 2_654_435_761).toString(16).slice(-8)}`;
    return `cookie=${cookie},table=20,dl_vlan=${1 + (index >> 12)},dl_dst=fa:16:3e:00:${(index >> 8).toString(16)}:${(index & 255).toString(16)},actions=drop`;
  });
  await sandbox.ofctlWithInput(flows.join('\n'), '--bundle', 'add-flows', 'br-int', '-');
  switchboard.dial(`unix:${sandbox.mgmtPath('br-int')}`);
  const connection = await switchboard.connected(0xaan);
  const asked: FlowSelection[] = [];
  const dumped = await inSlices(connection, {
    dump: (selection) => {
      asked.push(selection);
      return connection.dumpFlows(selection);
    },
  });
  expect(asked).toHaveLength(sliceCount);
  const keys = dumped.map(({ matchBytes }) => Buffer.from(matchBytes).toString('hex'));
  expect(new Set(keys).size).toBe(count);
  expect(keys).toHaveLength(count);
  expect(count).toBeLessThanOrEqual(sliceCount * LIMITS.dumpSliceLength);
  await sandbox.vsctl('del-br', 'br-int');
});
