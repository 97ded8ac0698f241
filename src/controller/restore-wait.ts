/**
 * `Open_vSwitch other_config:flow-restore-wait` (ovs-vswitchd.conf.db(5)): while it is true, a restarted ovs-vswitchd forwards by
 * what the datapath still holds and refuses configured controllers, so that flows can be put back first. heddle then calls the
 * bridges itself, at their management sockets, and takes the key away when every bridge is whole. Pure; serves controller.ts.
 */
import { dirname } from 'node:path';
import type { BridgeStatus } from '../switch/status.ts';
import type { Host } from '../topology/model.ts';
import type { SwitchView } from './switch-view.ts';

export const RESTORE_WAIT_KEY = 'flow-restore-wait';

export const waitsForFlows = (view: SwitchView | undefined): boolean =>
  view?.root?.other_config.get(RESTORE_WAIT_KEY) === 'true';

/** Where the bridges of a host can be called: its file says so, or its OVSDB is on this machine. */
export function managementDirectory({ mgmtDir, ovsdb }: Host): string | undefined {
  if (mgmtDir !== undefined) return mgmtDir;
  return ovsdb.startsWith('unix:') ? dirname(ovsdb.slice('unix:'.length)) : undefined;
}

/** Where the bridges of a host are called now; undefined: they call us. */
export function dialledDirectory(host: Host, view: SwitchView | undefined): string | undefined {
  return waitsForFlows(view) ? managementDirectory(host) : host.mgmtDir;
}

/** Connected, compared, and confirmed by the switch. */
export const isWhole = (status: BridgeStatus | undefined): boolean =>
  status?.connected === true && status.passCount > 0 && status.generationConfirmed === status.generationWanted;
