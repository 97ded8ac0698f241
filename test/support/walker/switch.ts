/** What the walker walks over, on a real switch. Serves the tests that hold the two against each other. */
import { type Flow, PORT } from '../../../src/flow/flow.ts';
import { formatFlow } from '../../../src/flow/format.ts';
import { formatGroup } from '../../../src/flow/format-group.ts';
import { normaliseMatch } from '../../../src/flow/match.ts';
import type { Meter } from '../../../src/flow/meter.ts';
import type { OvsSandbox } from '../ovs-sandbox.ts';
import type { WalkBridge, WalkPort } from './model.ts';
import { type DatapathPorts, datapathPorts } from './trace.ts';

/** Bridges of one host on a real switch, ports wired as the walker's are. */
export async function buildBridges(
  sandbox: OvsSandbox,
  bridges: Iterable<readonly [string, ReadonlyMap<number, WalkPort>]>,
): Promise<DatapathPorts> {
  let remote = 0;
  const all = [...bridges];
  for (const [bridge] of all) await sandbox.addBridge(bridge);
  for (const [bridge, ports] of all) {
    for (const [ofport, port] of ports) {
      if (ofport === PORT.local) continue;
      remote++;
      // One name may stand on two bridges; on a switch it may not.
      const name = `${bridge}-${ofport}`;
      const columns = [`ofport_request=${ofport}`];
      if (port.kind === 'patch') columns.push('type=patch', `options:peer=${port.bridge}-${port.ofport}`);
      if (port.kind === 'tunnel') {
        columns.push(
          'type=vxlan',
          `options:remote_ip=198.18.0.${remote}`,
          'options:local_ip=198.18.1.1',
          'options:key=flow',
        );
      }
      const given = await sandbox.addPort(bridge, name, ...columns);
      if (given !== ofport) throw new Error(`port ${name} got the number ${given}`);
      const vlan = port.kind === 'end' ? port.vlan : undefined;
      if (vlan?.mode === 'access') await sandbox.vsctl('set', 'Port', name, `tag=${vlan.tag}`);
      if (vlan?.mode === 'trunk') await sandbox.vsctl('set', 'Port', name, `trunks=${vlan.trunks.join()}`);
    }
  }
  return datapathPorts(await sandbox.appctl('dpif/show'));
}

export interface InstalledBridge extends WalkBridge {
  /** Every one that a flow names. */
  readonly meters?: readonly Meter[];
}

/** Make the flows of a bridge these, and have it forget what it learnt. */
export async function installFlows(
  sandbox: OvsSandbox,
  { bridge, flows, groups = new Map(), meters = [] }: InstalledBridge,
): Promise<void> {
  await sandbox.ofctl('del-flows', bridge);
  await sandbox.ofctl('del-groups', bridge);
  for (const group of groups.values()) await sandbox.ofctl('add-group', bridge, formatGroup(group));
  for (const { meter, bands } of meters) {
    const band = `type=drop,rate=${bands[0]?.rate},burst_size=${bands[0]?.burstSize}`;
    await sandbox.ofctl('add-meter', bridge, `meter=${meter},pktps,burst,bands=${band}`);
  }
  const lines = [...flows].map((flow: Flow) => formatFlow({ ...flow, match: normaliseMatch(flow.match) }));
  await sandbox.ofctlWithInput(`${lines.join('\n')}\n`, 'add-flows', bridge, '-');
  await sandbox.appctl('fdb/flush', bridge);
}
