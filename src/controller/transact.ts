/** From planned writes (host-plan.ts) to one OVSDB transaction. Pure; host-agent.ts sends it. */
import { invariant } from '../lib/errors.ts';
import { type NamedUuid, OPEN_VSWITCH, type OpenVswitch, Transaction, type Uuid } from '../ovsdb/index.ts';
import { CONTROLLER_COLUMNS, type HostWrite } from './host-plan.ts';
import type { SwitchView } from './switch-view.ts';

type Write<Kind extends HostWrite['kind']> = Extract<HostWrite, { kind: Kind }>;

/** One transaction for all writes: the host goes from one whole state to the next. */
export function toTransaction(writes: readonly HostWrite[], view: SwitchView): Transaction<OpenVswitch> {
  const transaction = new Transaction(OPEN_VSWITCH, { comment: `heddle: ${writes.map(describeWrite).join('; ')}` });
  const created = new Map<string, NamedUuid>();
  for (const write of writes) {
    switch (write.kind) {
      case 'createBridge':
        created.set(write.name, createBridge(transaction, write, view));
        break;
      case 'createPort':
        createPort(transaction, write, bridgeUuid(write.bridge, view, created));
        break;
      case 'deletePort':
        deletePort(transaction, write, view);
        break;
      case 'setControllers':
        setControllers(transaction, write, bridgeUuid(write.bridge, view, created));
        break;
      case 'setColumns':
        transaction.update(write.table, write.uuid as Uuid, write.columns);
        break;
      case 'setKeys':
        setKeys(transaction, write);
        break;
    }
  }
  return transaction;
}

function bridgeUuid(name: string, view: SwitchView, created: ReadonlyMap<string, NamedUuid>): Uuid | NamedUuid {
  const uuid = created.get(name) ?? view.bridges.get(name)?.bridge._uuid;
  invariant(uuid !== undefined, 'a planned write is for a bridge that exists or is made by the same plan', { name });
  return uuid;
}

function createBridge(
  transaction: Transaction<OpenVswitch>,
  write: Write<'createBridge'>,
  { root }: SwitchView,
): NamedUuid {
  invariant(root !== undefined, 'a plan is made for a database with its root row', { bridge: write.name });
  const { name, datapathType } = write;
  // Two controllers at once must not make two bridges of one name.
  transaction.expectNone('Bridge', 'name', name);
  const local = transaction.insert('Interface', { name, type: 'internal' });
  const port = transaction.insert('Port', { name, interfaces: [local] });
  // Secure from its first moment: a bridge of ours never forwards on its own account.
  const columns = { name, ports: [port], datapath_type: datapathType, fail_mode: 'secure' } as const;
  const bridge = transaction.insert('Bridge', columns);
  transaction.mutate('Open_vSwitch', root._uuid, 'bridges', 'insert', [bridge]);
  return bridge;
}

function createPort(
  transaction: Transaction<OpenVswitch>,
  { name, type, options }: Write<'createPort'>,
  bridge: Uuid | NamedUuid,
): void {
  const row = transaction.insert('Interface', { name, type, options });
  const port = transaction.insert('Port', { name, interfaces: [row] });
  transaction.mutate('Bridge', bridge, 'ports', 'insert', [port]);
}

function deletePort(transaction: Transaction<OpenVswitch>, write: Write<'deletePort'>, view: SwitchView): void {
  const bridge = view.bridges.get(write.bridge);
  const port = bridge?.ports.get(write.name)?.port;
  invariant(bridge !== undefined && port !== undefined, 'a port is deleted that was seen', { ...write });
  transaction.mutate('Bridge', bridge.bridge._uuid, 'ports', 'delete', [port._uuid]);
}

/** By rows rather than as a whole: another controller may be adding itself at this moment. */
function setControllers(
  transaction: Transaction<OpenVswitch>,
  { added, removed }: Write<'setControllers'>,
  bridge: Uuid | NamedUuid,
): void {
  if (removed.length > 0) transaction.mutate('Bridge', bridge, 'controller', 'delete', removed as readonly Uuid[]);
  const rows = added.map((target) => transaction.insert('Controller', { target, ...CONTROLLER_COLUMNS }));
  if (rows.length > 0) transaction.mutate('Bridge', bridge, 'controller', 'insert', rows);
}

/** `insert` leaves a key that is there as it is, so the old pair goes first. */
function setKeys(transaction: Transaction<OpenVswitch>, write: Write<'setKeys'>): void {
  const { table, column, entries } = write;
  const uuid = write.uuid as Uuid;
  const pairs = new Map([...entries].filter((entry): entry is [string, string] => entry[1] !== undefined));
  const keys = [...entries.keys()];
  if (table === 'Open_vSwitch' && column !== 'options' && column !== 'bfd') {
    transaction.mutate('Open_vSwitch', uuid, column, 'delete', keys);
    if (pairs.size > 0) transaction.mutate('Open_vSwitch', uuid, column, 'insert', pairs);
  } else if (table === 'Bridge' && column !== 'options' && column !== 'bfd') {
    transaction.mutate('Bridge', uuid, column, 'delete', keys);
    if (pairs.size > 0) transaction.mutate('Bridge', uuid, column, 'insert', pairs);
  } else if (table === 'Port' && column !== 'options' && column !== 'bfd') {
    transaction.mutate('Port', uuid, column, 'delete', keys);
    if (pairs.size > 0) transaction.mutate('Port', uuid, column, 'insert', pairs);
  } else {
    transaction.mutate('Interface', uuid, column, 'delete', keys);
    if (pairs.size > 0) transaction.mutate('Interface', uuid, column, 'insert', pairs);
  }
}

/** A write in words, for the database's own log and ours. */
export function describeWrite(write: HostWrite): string {
  switch (write.kind) {
    case 'createBridge':
      return `create bridge ${write.name}`;
    case 'createPort':
      return `create ${write.type} port ${write.name} on ${write.bridge}`;
    case 'deletePort':
      return `delete port ${write.name} of ${write.bridge}`;
    case 'setControllers':
      return `controller of ${write.bridge} is ${write.targets.join(', ')}`;
    case 'setColumns':
      return `${write.table} ${write.name}: ${Object.entries(write.columns).map(cellText).join(', ')}`;
    case 'setKeys':
      return `${write.table} ${write.name}: ${[...write.entries].map((entry) => `${write.column}:${cellText(entry)}`).join(', ')}`;
  }
}

const cellText = ([name, value]: readonly [string, unknown]): string => `${name}=${value ?? '(none)'}`;
