/**
 * What a host's OVSDB shows, in the shape in which the controller asks: bridges by name, their ports by name, and which guest
 * is plugged in where. Read afresh from the replica after each delta; pure.
 */
import type {
  BridgeRow,
  ControllerRow,
  InterfaceRow,
  OpenVswitchRow,
  PortRow,
} from '../ovsdb/open-vswitch.generated.ts';
import type { Uuid } from '../ovsdb/value.ts';

/** The columns that the controller reads. Nothing else is monitored: statistics alone would be most of the traffic. */
export const MONITORED = {
  Open_vSwitch: [
    'bridges',
    'cur_cfg',
    'datapath_types',
    'external_ids',
    'iface_types',
    'next_cfg',
    'other_config',
    'ovs_version',
  ],
  Bridge: [
    'controller',
    'datapath_id',
    'datapath_type',
    'external_ids',
    'fail_mode',
    'name',
    'other_config',
    'ports',
    'protocols',
  ],
  Port: ['interfaces', 'name', 'other_config', 'tag', 'trunks', 'vlan_mode'],
  Interface: ['bfd', 'bfd_status', 'error', 'external_ids', 'name', 'ofport', 'options', 'type'],
  Controller: ['connection_mode', 'inactivity_probe', 'max_backoff', 'target'],
} as const;

type Columns<Row, Names extends readonly string[]> = Readonly<Pick<Row, (Names[number] | '_uuid') & keyof Row>>;

export type SwitchRow = Columns<OpenVswitchRow, (typeof MONITORED)['Open_vSwitch']>;
export type Bridge = Columns<BridgeRow, (typeof MONITORED)['Bridge']>;
export type Port = Columns<PortRow, (typeof MONITORED)['Port']>;
export type Interface = Columns<InterfaceRow, (typeof MONITORED)['Interface']>;
export type Controller = Columns<ControllerRow, (typeof MONITORED)['Controller']>;

/** The rows of a replica, by table. */
export interface SwitchRows {
  readonly Open_vSwitch: ReadonlyMap<Uuid, SwitchRow>;
  readonly Bridge: ReadonlyMap<Uuid, Bridge>;
  readonly Port: ReadonlyMap<Uuid, Port>;
  readonly Interface: ReadonlyMap<Uuid, Interface>;
  readonly Controller: ReadonlyMap<Uuid, Controller>;
}

export interface PortView {
  readonly port: Port;
  /** One, or those of a bond. */
  readonly interfaces: readonly Interface[];
  /** OpenFlow number of a port of one interface; absent while vswitchd has not given one, and where it refused to (-1). */
  readonly ofport?: number;
  /** external_ids:iface-id, which is the port's id in the topology. */
  readonly ifaceId?: string;
}

export interface BridgeView {
  readonly bridge: Bridge;
  /** 64 bits; absent until vswitchd has made the bridge. */
  readonly dpid?: bigint;
  readonly ports: ReadonlyMap<string, PortView>;
  /** The guests' ports, by iface-id. Two ports of one id are a guest's mistake: the first by name counts. */
  readonly guests: ReadonlyMap<string, PortView>;
  readonly controllers: readonly Controller[];
}

export interface SwitchView {
  readonly root: SwitchRow | undefined;
  readonly bridges: ReadonlyMap<string, BridgeView>;
}

export function viewSwitch(rows: SwitchRows): SwitchView {
  const bridges = new Map<string, BridgeView>();
  for (const bridge of rows.Bridge.values()) bridges.set(bridge.name, viewBridge(bridge, rows));
  return { root: rows.Open_vSwitch.values().next().value, bridges };
}

function viewBridge(bridge: Bridge, rows: SwitchRows): BridgeView {
  const ports = new Map<string, PortView>();
  for (const uuid of bridge.ports) {
    const port = rows.Port.get(uuid);
    if (port !== undefined) ports.set(port.name, viewPort(port, rows));
  }
  const controllers = bridge.controller.flatMap((uuid) => rows.Controller.get(uuid) ?? []);
  const { datapath_id: dpid } = bridge;
  return {
    bridge,
    ports,
    guests: guestsOf(ports),
    controllers,
    ...(dpid !== undefined && { dpid: BigInt(`0x${dpid}`) }),
  };
}

function viewPort(port: Port, rows: SwitchRows): PortView {
  const interfaces = port.interfaces.flatMap((uuid) => rows.Interface.get(uuid) ?? []);
  const [first] = interfaces;
  const ofport = interfaces.length === 1 ? first?.ofport : undefined;
  const ifaceId = first?.external_ids.get('iface-id');
  return {
    port,
    interfaces,
    ...(ofport !== undefined && ofport > 0 && { ofport }),
    ...(ifaceId !== undefined && { ifaceId }),
  };
}

function guestsOf(ports: ReadonlyMap<string, PortView>): ReadonlyMap<string, PortView> {
  const guests = new Map<string, PortView>();
  for (const view of ports.values()) {
    if (view.ifaceId === undefined) continue;
    const earlier = guests.get(view.ifaceId);
    if (earlier === undefined || view.port.name < earlier.port.name) guests.set(view.ifaceId, view);
  }
  return guests;
}
