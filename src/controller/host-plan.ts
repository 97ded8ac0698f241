/**
 * What heddle writes into a host's OVSDB: bridges, patch and tunnel ports, tags, controllers. Given what the host should have
 * and what it shows, the difference and nothing else: a host that is right is not written to. Pure; names, columns and keys are
 * Neutron's, so that a host can go from one to the other (restore of local VLANs included).
 */
import { isListKey } from './keepsake-keys.ts';
import { RESTORE_WAIT_KEY, waitsForFlows } from './restore-wait.ts';
import type { BridgeView, Controller, PortView, SwitchView } from './switch-view.ts';

/** The VLAN of ports that belong nowhere: br-int drops it (Neutron's DEAD_VLAN_TAG). */
export const DEAD_VLAN = 4095;

/** Of a patch port whose other end must not be reached yet. */
export const NO_PEER = 'nonexistent-peer';

export interface WantedBridge {
  readonly name: string;
  /** How to make it; absent: somebody else does (physical bridges), it is only set up. */
  readonly create?: { readonly datapathType: string };
  /** None: leave Bridge.controller alone. */
  readonly controllers: readonly string[];
  /** Controllers that the file does not name stay: another heddle may have added itself. */
  readonly keepsControllers?: boolean;
  /** 16 hex digits; only where two bridges would otherwise have one id. */
  readonly datapathId?: string;
  /** What the host is to remember: keys of external_ids (keepsake-keys.ts). None: leave them alone. */
  readonly keepsakes?: ReadonlyMap<string, string>;
}

export interface WantedPatch {
  readonly bridge: string;
  readonly name: string;
  readonly peer: string;
  /**
   * false: until the flows of both bridges are in place nothing may cross, or untranslated VLANs would. A patch that
   * already leads to its peer is left alone.
   */
  readonly isOpen: boolean;
}

export interface WantedTunnel {
  readonly name: string;
  readonly type: 'vxlan' | 'gre' | 'geneve';
  readonly options: ReadonlyMap<string, string>;
  /** Keys of Interface.bfd; absent: it is not ours to run there. */
  readonly bfd?: ReadonlyMap<string, string>;
}

/** What the tag of a guest's port says. */
export type WantedTag =
  | { readonly kind: 'network'; readonly localVlan: number; readonly otherConfig: ReadonlyMap<string, string> }
  | { readonly kind: 'dead' };

export interface WantedHost {
  readonly bridges: readonly WantedBridge[];
  readonly patches: readonly WantedPatch[];
  /** Every tunnel port of the tunnel bridge that should be; others of ours go. */
  readonly tunnels: readonly WantedTunnel[];
  readonly tunnelBridge?: string;
  readonly integrationBridge: string;
  /** By name of the port on the integration bridge. */
  readonly tags: ReadonlyMap<string, WantedTag>;
  /** Every flow is in place: a switch that waits for them (flow-restore-wait) need wait no longer. */
  readonly endsRestoreWait?: boolean;
}

type Cell = string | number | boolean | undefined | readonly string[] | readonly number[];

/** One write, as values. transact.ts makes operations of it, the log and `heddle doctor` print it. */
export type HostWrite =
  | { readonly kind: 'createBridge'; readonly name: string; readonly datapathType: string }
  | {
      readonly kind: 'createPort';
      readonly bridge: string;
      readonly name: string;
      readonly type: string;
      readonly options: ReadonlyMap<string, string>;
    }
  | { readonly kind: 'deletePort'; readonly bridge: string; readonly name: string }
  | {
      readonly kind: 'setControllers';
      readonly bridge: string;
      /** All of them as they will be. */
      readonly targets: readonly string[];
      readonly added: readonly string[];
      /** Rows of those that go. */
      readonly removed: readonly string[];
    }
  | {
      readonly kind: 'setColumns';
      readonly table: 'Bridge' | 'Port' | 'Interface' | 'Controller';
      readonly name: string;
      readonly uuid: string;
      readonly columns: Readonly<Record<string, Cell>>;
    }
  | {
      readonly kind: 'setKeys';
      readonly table: 'Open_vSwitch' | 'Bridge' | 'Port' | 'Interface';
      readonly name: string;
      readonly uuid: string;
      readonly column: 'other_config' | 'options' | 'external_ids' | 'bfd';
      /** Keys to set, and with undefined keys to remove. Other keys stay. */
      readonly entries: ReadonlyMap<string, string | undefined>;
    };

/** Neutron's for br-int and br-tun: more MACs than the default of 2,048, past which every flow is revalidated again and again. */
const BRIDGE_OTHER_CONFIG = new Map([
  ['mac-table-size', '50000'],
  // Hidden flows of in-band control forward what ours drop, and can loop (requirements R9).
  ['disable-in-band', 'true'],
]);

const INACTIVITY_PROBE_MS = 10_000;

/** Longest wait of a bridge before it calls again. By default it is 8 s, which a restarted controller would wait for it. */
const MAX_BACKOFF_MS = 1_000;

/** The writes that bring a host from what it shows to what is wanted. Empty when it is right. */
export function planHost(wanted: WantedHost, view: SwitchView): readonly HostWrite[] {
  const writes: HostWrite[] = [];
  for (const bridge of wanted.bridges) writes.push(...planBridge(bridge, view.bridges.get(bridge.name)));
  const created = new Set(writes.flatMap((write) => (write.kind === 'createBridge' ? write.name : [])));
  const exists = (bridge: string): boolean => created.has(bridge) || view.bridges.has(bridge);
  for (const patch of wanted.patches) {
    if (exists(patch.bridge)) writes.push(...planPatch(patch, view.bridges.get(patch.bridge)?.ports.get(patch.name)));
  }
  writes.push(...planTunnels(wanted, view, exists));
  writes.push(...planTags(wanted, view.bridges.get(wanted.integrationBridge)));
  // Last of all, and alone: what is still to be written may change flows.
  const { root } = view;
  if (writes.length === 0 && wanted.endsRestoreWait && root !== undefined && waitsForFlows(view)) {
    const entries = new Map([[RESTORE_WAIT_KEY, undefined]]);
    writes.push({
      kind: 'setKeys',
      table: 'Open_vSwitch',
      name: '.',
      uuid: root._uuid,
      column: 'other_config',
      entries,
    });
  }
  return writes;
}

function* planBridge(wanted: WantedBridge, view: BridgeView | undefined): Generator<HostWrite> {
  if (view === undefined) {
    // The columns follow in the next plan, when the row is there; a new bridge has no flows and forwards nothing of ours.
    if (wanted.create) {
      yield { kind: 'createBridge', name: wanted.name, datapathType: wanted.create.datapathType };
    }
    return;
  }
  const { bridge } = view;
  const identity = { table: 'Bridge', name: wanted.name, uuid: bridge._uuid } as const;
  const columns: Record<string, Cell> = {};
  if (bridge.fail_mode !== 'secure') columns.fail_mode = 'secure';
  // No protocols at all means all of them; a list of others keeps them.
  if (bridge.protocols.length > 0 && !bridge.protocols.includes('OpenFlow13')) {
    columns.protocols = [...bridge.protocols, 'OpenFlow13'];
  }
  if (Object.keys(columns).length > 0) yield { kind: 'setColumns', ...identity, columns };
  const otherConfig = new Map(BRIDGE_OTHER_CONFIG);
  if (wanted.datapathId !== undefined) otherConfig.set('datapath-id', wanted.datapathId);
  const entries = differingEntries(otherConfig, bridge.other_config);
  if (entries.size > 0) yield { kind: 'setKeys', ...identity, column: 'other_config', entries };
  const { keepsakes } = wanted;
  if (keepsakes !== undefined) {
    const kept = differingEntries(keepsakes, bridge.external_ids);
    for (const key of bridge.external_ids.keys()) if (isListKey(key) && !keepsakes.has(key)) kept.set(key, undefined);
    if (kept.size > 0) yield { kind: 'setKeys', ...identity, column: 'external_ids', entries: kept };
  }
  if (wanted.controllers.length > 0) yield* planControllers(wanted, view.controllers);
}

function* planControllers(wanted: WantedBridge, present: readonly Controller[]): Generator<HostWrite> {
  const { name: bridge, controllers, keepsControllers = false } = wanted;
  const kept = new Map<string, Controller>();
  for (const row of present) if (controllers.includes(row.target) && !kept.has(row.target)) kept.set(row.target, row);
  const added = controllers.filter((target) => !kept.has(target));
  const others = present.filter((row) => kept.get(row.target) !== row);
  const removed = keepsControllers ? [] : others;
  if (added.length > 0 || removed.length > 0) {
    const left = keepsControllers ? others.map(({ target }) => target) : [];
    const targets = [...controllers, ...left];
    yield { kind: 'setControllers', bridge, targets, added, removed: removed.map(({ _uuid }) => _uuid) };
  }
  for (const [target, row] of kept) {
    const columns: Record<string, Cell> = {};
    if (row.connection_mode !== 'out-of-band') columns.connection_mode = 'out-of-band';
    if (row.inactivity_probe !== INACTIVITY_PROBE_MS) columns.inactivity_probe = INACTIVITY_PROBE_MS;
    if (row.max_backoff !== MAX_BACKOFF_MS) columns.max_backoff = MAX_BACKOFF_MS;
    if (Object.keys(columns).length === 0) continue;
    yield { kind: 'setColumns', table: 'Controller', name: `${bridge} ${target}`, uuid: row._uuid, columns };
  }
}

/** The columns of a controller that heddle makes. */
export const CONTROLLER_COLUMNS = {
  connection_mode: 'out-of-band',
  inactivity_probe: INACTIVITY_PROBE_MS,
  max_backoff: MAX_BACKOFF_MS,
} as const;

function* planPatch(wanted: WantedPatch, port: PortView | undefined): Generator<HostWrite> {
  const { bridge, name, peer } = wanted;
  if (port === undefined) {
    const options = new Map([['peer', wanted.isOpen ? peer : NO_PEER]]);
    yield { kind: 'createPort', bridge, name, type: 'patch', options };
    return;
  }
  const [row] = port.interfaces;
  if (row === undefined) return;
  const identity = { table: 'Interface', name, uuid: row._uuid } as const;
  if (row.type !== 'patch') yield { kind: 'setColumns', ...identity, columns: { type: 'patch' } };
  const current = row.options.get('peer');
  if (current === peer || (current === NO_PEER && !wanted.isOpen)) return;
  const entries = new Map([['peer', wanted.isOpen ? peer : NO_PEER]]);
  yield { kind: 'setKeys', ...identity, column: 'options', entries };
}

/** Names that heddle, like Neutron, gives to tunnel ports: type and remote address. */
const TUNNEL_NAME = /^(vxlan|gre|geneve)-[0-9a-z]{8,}$/;

function* planTunnels(wanted: WantedHost, view: SwitchView, exists: (bridge: string) => boolean): Generator<HostWrite> {
  const { tunnelBridge } = wanted;
  if (tunnelBridge === undefined || !exists(tunnelBridge)) return;
  const ports = view.bridges.get(tunnelBridge)?.ports ?? new Map<string, PortView>();
  const names = new Set(wanted.tunnels.map((tunnel) => tunnel.name));
  for (const [name, { interfaces }] of ports) {
    const type = interfaces[0]?.type;
    const isOurs = TUNNEL_NAME.test(name) && type !== undefined && name.startsWith(`${type}-`);
    if (isOurs && !names.has(name)) yield { kind: 'deletePort', bridge: tunnelBridge, name };
  }
  for (const tunnel of wanted.tunnels) {
    const port = ports.get(tunnel.name);
    if (port === undefined) {
      const { name, type, options } = tunnel;
      yield { kind: 'createPort', bridge: tunnelBridge, name, type, options };
      continue;
    }
    const [row] = port.interfaces;
    if (row === undefined) continue;
    const identity = { table: 'Interface', name: tunnel.name, uuid: row._uuid } as const;
    if (row.type !== tunnel.type) yield { kind: 'setColumns', ...identity, columns: { type: tunnel.type } };
    const entries = differingEntries(tunnel.options, row.options);
    if (entries.size > 0) yield { kind: 'setKeys', ...identity, column: 'options', entries };
    const bfd = bfdEntries(tunnel.bfd, row.bfd);
    if (bfd.size > 0) yield { kind: 'setKeys', ...identity, column: 'bfd', entries: bfd };
  }
}

/** Keys of Interface.bfd that heddle sets, and takes away where it needs them no more. */
const BFD_KEYS = ['bfd_local_dst_mac', 'bfd_remote_dst_mac', 'enable', 'min_rx', 'min_tx', 'mult'] as const;

function bfdEntries(
  wanted: ReadonlyMap<string, string> | undefined,
  current: ReadonlyMap<string, string>,
): Map<string, string | undefined> {
  if (wanted !== undefined) return differingEntries(wanted, current);
  return new Map(BFD_KEYS.filter((key) => current.has(key)).map((key) => [key, undefined]));
}

function* planTags(wanted: WantedHost, integration: BridgeView | undefined): Generator<HostWrite> {
  if (integration === undefined) return;
  for (const [name, tag] of wanted.tags) {
    const port = integration.ports.get(name)?.port;
    if (port === undefined) continue;
    const identity = { table: 'Port', name, uuid: port._uuid } as const;
    const isDead = tag.kind === 'dead';
    const columns: Record<string, Cell> = {};
    const vlan = isDead ? DEAD_VLAN : tag.localVlan;
    if (port.tag !== vlan) columns.tag = vlan;
    // A dead port is a trunk of nothing but the dead VLAN, so that it cannot even send tagged frames.
    if (port.vlan_mode !== (isDead ? 'trunk' : undefined)) columns.vlan_mode = isDead ? 'trunk' : undefined;
    const trunks = isDead ? [DEAD_VLAN] : [];
    if (port.trunks.length !== trunks.length || port.trunks[0] !== trunks[0]) columns.trunks = trunks;
    if (Object.keys(columns).length > 0) yield { kind: 'setColumns', ...identity, columns };
    if (isDead) continue;
    const entries = differingEntries(tag.otherConfig, port.other_config);
    if (!tag.otherConfig.has('segmentation_id') && port.other_config.has('segmentation_id')) {
      entries.set('segmentation_id', undefined);
    }
    if (entries.size > 0) yield { kind: 'setKeys', ...identity, column: 'other_config', entries };
  }
}

function differingEntries(
  wanted: ReadonlyMap<string, string>,
  current: ReadonlyMap<string, string>,
): Map<string, string | undefined> {
  const entries = new Map<string, string | undefined>();
  for (const [key, value] of wanted) if (current.get(key) !== value) entries.set(key, value);
  return entries;
}
