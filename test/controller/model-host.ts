/**
 * A host's OVSDB as a model: rows that a plan can be applied to, as ovs-vswitchd and ovsdb-server would. Serves the tests of
 * host-plan.ts and host-facts.ts; that real servers take the same writes is held by test/ovs/controller-*.test.ts.
 */
import { CONTROLLER_COLUMNS, type HostWrite } from '../../src/controller/host-plan.ts';
import type { SwitchRows, SwitchView } from '../../src/controller/switch-view.ts';
import { viewSwitch } from '../../src/controller/switch-view.ts';
import type { Uuid } from '../../src/ovsdb/index.ts';

type Table = 'Open_vSwitch' | 'Bridge' | 'Port' | 'Interface' | 'Controller';
type Row = Record<string, unknown> & { _uuid: Uuid; name?: string };

export interface ModelPort {
  readonly name: string;
  readonly type?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly ifaceId?: string;
  readonly tag?: number;
  readonly trunks?: readonly number[];
  readonly vlanMode?: string;
  readonly otherConfig?: Readonly<Record<string, string>>;
  /** Default: the next number of the bridge; null: none yet. */
  readonly ofport?: number | null;
}

export interface ModelBridge {
  readonly name: string;
  readonly failMode?: string;
  readonly protocols?: readonly string[];
  readonly otherConfig?: Readonly<Record<string, string>>;
  readonly externalIds?: Readonly<Record<string, string>>;
  readonly controllers?: readonly string[];
  readonly datapathId?: string;
  readonly ports?: readonly ModelPort[];
}

export class ModelHost {
  readonly #tables: Record<Table, Map<Uuid, Row>> = {
    Open_vSwitch: new Map(),
    Bridge: new Map(),
    Port: new Map(),
    Interface: new Map(),
    Controller: new Map(),
  };
  #count = 0;

  constructor(bridges: readonly ModelBridge[] = []) {
    this.#insert('Open_vSwitch', { bridges: [], external_ids: new Map(), other_config: new Map(), datapath_types: [] });
    for (const bridge of bridges) this.#addBridge(bridge);
  }

  get view(): SwitchView {
    return viewSwitch(structuredClone(this.#tables) as unknown as SwitchRows);
  }

  /** All rows, for comparing. */
  get rows(): unknown {
    return structuredClone(this.#tables);
  }

  apply(writes: readonly HostWrite[]): void {
    for (const write of writes) this.#apply(write);
  }

  #apply(write: HostWrite): void {
    switch (write.kind) {
      case 'createBridge':
        if (this.#named('Bridge', write.name) !== undefined) throw new Error(`two bridges ${write.name}`);
        this.#addBridge({ name: write.name, failMode: 'secure' });
        return;
      case 'createPort':
        if (this.#named('Port', write.name) !== undefined) throw new Error(`two ports ${write.name}`);
        this.#addPort(this.#find('Bridge', write.bridge), {
          name: write.name,
          type: write.type,
          options: Object.fromEntries(write.options),
        });
        return;
      case 'deletePort': {
        const bridge = this.#find('Bridge', write.bridge);
        const port = this.#find('Port', write.name);
        bridge.ports = (bridge.ports as Uuid[]).filter((uuid) => uuid !== port._uuid);
        for (const uuid of port.interfaces as Uuid[]) this.#tables.Interface.delete(uuid);
        this.#tables.Port.delete(port._uuid);
        return;
      }
      case 'setControllers': {
        const bridge = this.#find('Bridge', write.bridge);
        for (const uuid of write.removed) this.#tables.Controller.delete(uuid as Uuid);
        const left = (bridge.controller as Uuid[]).filter((uuid) => !write.removed.includes(uuid));
        const added = write.added.map((target) => this.#insert('Controller', { target, ...CONTROLLER_COLUMNS }));
        bridge.controller = [...left, ...added];
        return;
      }
      case 'setColumns':
        Object.assign(this.#row(write.table, write.uuid), write.columns);
        return;
      case 'setKeys': {
        const pairs = this.#row(write.table, write.uuid)[write.column] as Map<string, string>;
        for (const [key, value] of write.entries) {
          if (value === undefined) pairs.delete(key);
          else pairs.set(key, value);
        }
      }
    }
  }

  #addBridge(bridge: ModelBridge): void {
    const controller = (bridge.controllers ?? []).map((target) =>
      this.#insert('Controller', { target, connection_mode: undefined, inactivity_probe: undefined }),
    );
    const uuid = this.#insert('Bridge', {
      name: bridge.name,
      controller,
      datapath_id: bridge.datapathId ?? (this.#count + 1).toString(16).padStart(16, '0'),
      datapath_type: '',
      external_ids: new Map(Object.entries(bridge.externalIds ?? {})),
      fail_mode: bridge.failMode,
      other_config: new Map(Object.entries(bridge.otherConfig ?? {})),
      ports: [],
      protocols: bridge.protocols ?? [],
    });
    const row = this.#row('Bridge', uuid);
    this.#addPort(row, { name: bridge.name, type: 'internal', ofport: 65_534 });
    for (const port of bridge.ports ?? []) this.#addPort(row, port);
    const [root] = this.#tables.Open_vSwitch.values();
    if (root !== undefined) root.bridges = [...(root.bridges as Uuid[]), uuid];
  }

  #addPort(bridge: Row, port: ModelPort): void {
    const ports = bridge.ports as Uuid[];
    const ofport = port.ofport === null ? undefined : (port.ofport ?? ports.length);
    const row = this.#insert('Interface', {
      name: port.name,
      type: port.type ?? '',
      error: undefined,
      external_ids: new Map(port.ifaceId === undefined ? [] : [['iface-id', port.ifaceId]]),
      ofport,
      options: new Map(Object.entries(port.options ?? {})),
      bfd: new Map(),
      bfd_status: new Map(),
    });
    ports.push(
      this.#insert('Port', {
        name: port.name,
        interfaces: [row],
        other_config: new Map(Object.entries(port.otherConfig ?? {})),
        tag: port.tag,
        trunks: port.trunks ?? [],
        vlan_mode: port.vlanMode,
      }),
    );
  }

  #insert(table: Table, columns: Record<string, unknown>): Uuid {
    this.#count += 1;
    const uuid = `00000000-0000-4000-8000-${this.#count.toString(16).padStart(12, '0')}` as Uuid;
    this.#tables[table].set(uuid, { _uuid: uuid, ...columns });
    return uuid;
  }

  #row(table: Table, uuid: string): Row {
    const row = this.#tables[table].get(uuid as Uuid);
    if (row === undefined) throw new Error(`a write to a row of ${table} that is not there`);
    return row;
  }

  #named(table: 'Bridge' | 'Port', name: string): Row | undefined {
    return [...this.#tables[table].values()].find((row) => row.name === name);
  }

  #find(table: 'Bridge' | 'Port', name: string): Row {
    const row = this.#named(table, name);
    if (row === undefined) throw new Error(`no ${table} ${name}`);
    return row;
  }
}
