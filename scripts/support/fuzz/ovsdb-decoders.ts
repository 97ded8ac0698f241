/** The decoders of OVSDB for the fuzzer: the stream, and what its messages mean to a replica of Open_vSwitch. */
import { HeddleError } from '../../../src/lib/errors.ts';
import { LIMITS } from '../../../src/lib/limits.ts';
import { OvsdbError } from '../../../src/ovsdb/errors.ts';
import { JsonScanner } from '../../../src/ovsdb/json-scanner.ts';
import { keptTables } from '../../../src/ovsdb/kept-columns.ts';
import { OPEN_VSWITCH } from '../../../src/ovsdb/open-vswitch.generated.ts';
import { Replica } from '../../../src/ovsdb/replica.ts';
import { decodeMessage } from '../../../src/ovsdb/rpc.ts';
import { parseSchema } from '../../../src/ovsdb/schema.ts';
import type { Decoder } from './decoders.ts';
import { inputFrom, mutatedJson } from './mutate.ts';
import type { Random } from './random.ts';

const SELECTION = { Open_vSwitch: '*', Bridge: '*', Port: '*', Interface: '*', Controller: '*' } as const;
const KEPT = keptTables(OPEN_VSWITCH.schema, SELECTION, OPEN_VSWITCH.schema);
const BOUNDS = { messageSize: 50_000, nestingDepth: LIMITS.ovsdbNestingDepth };

const ID = '00000000-0000-4000-8000-00000000000';
const PORT = {
  name: 'blue1',
  tag: 5,
  trunks: ['set', [1, 2, 4094]],
  interfaces: ['uuid', `${ID}3`],
  external_ids: ['map', [['iface-id', 'blue1']]],
  other_config: ['map', []],
};
const INTERFACE = {
  name: 'blue1',
  ofport: 7,
  type: 'internal',
  mtu: ['set', []],
  external_ids: [
    'map',
    [
      ['iface-id', 'blue1'],
      ['attached-mac', 'fa:16:3e:00:00:01'],
    ],
  ],
  statistics: ['map', [['rx_packets', 5]]],
};
const ROOT_ROW = { bridges: ['set', [['uuid', `${ID}1`]]], cur_cfg: 5, next_cfg: 5, ovs_version: '3.1.0' };
const SNAPSHOT = {
  Open_vSwitch: { [`${ID}0`]: { initial: ROOT_ROW } },
  Bridge: { [`${ID}1`]: { initial: { name: 'br-int', ports: ['uuid', `${ID}2`], fail_mode: 'secure' } } },
  Port: { [`${ID}2`]: { initial: PORT } },
  Interface: { [`${ID}3`]: { initial: INTERFACE } },
};
const UPDATES: readonly unknown[] = [
  { Port: { [`${ID}2`]: { modify: { tag: ['set', []], trunks: ['set', [2, 9]] } } } },
  { Interface: { [`${ID}4`]: { insert: INTERFACE }, [`${ID}3`]: { delete: null } } },
  { Port: { [`${ID}2`]: { modify: { external_ids: ['map', [['iface-id', 'blue1']]] } } } },
  { Open_vSwitch: { [`${ID}0`]: { modify: { cur_cfg: 6, bridges: ['set', [['uuid', `${ID}9`]]] } } } },
];
const OLD_UPDATES: readonly unknown[] = [
  { Port: { [`${ID}2`]: { old: { tag: 5 }, new: { ...PORT, tag: 6 } } } },
  { Interface: { [`${ID}3`]: { old: INTERFACE }, [`${ID}5`]: { new: INTERFACE } } },
];
const SCHEMA = {
  name: 'Open_vSwitch',
  version: '8.3.1',
  cksum: '1 2',
  tables: {
    Port: {
      columns: {
        name: { type: 'string', mutable: false },
        tag: { type: { key: { type: 'integer', minInteger: 0, maxInteger: 4095 }, min: 0, max: 1 } },
        external_ids: { type: { key: 'string', value: 'string', min: 0, max: 'unlimited' } },
        interfaces: { type: { key: { type: 'uuid', refTable: 'Interface' }, min: 1, max: 'unlimited' } },
        vlan_mode: { type: { key: { type: 'string', enum: ['set', ['access', 'trunk']] }, min: 0, max: 1 } },
      },
      indexes: [['name']],
      isRoot: false,
      maxRows: 1,
    },
  },
};
const MESSAGES: readonly unknown[] = [
  { method: 'echo', params: [], id: 'echo' },
  { id: 3, result: [false, `${ID}7`, SNAPSHOT], error: null },
  { id: 4, result: null, error: { error: 'unknown database', details: 'x', syntax: '"a\\"b"' } },
  { method: 'update3', params: [['monid', 'x'], `${ID}8`, UPDATES[0]], id: null },
  { method: 'update', params: ['LONG', OLD_UPDATES[0]], id: null },
  { id: 2, result: SCHEMA, error: null },
];
const TEXTS = MESSAGES.map((message) => Buffer.from(JSON.stringify(message).replace('"LONG"', '1234567890123456789')));
const JSONS: readonly unknown[] = [SNAPSHOT, ...UPDATES, ...OLD_UPDATES, SCHEMA];

const isOvsdbError = (error: unknown): boolean => error instanceof OvsdbError && error instanceof HeddleError;

function messagesIn(bytes: Uint8Array): unknown[] {
  const scanner = new JsonScanner(BOUNDS);
  const found: unknown[] = [];
  const half = bytes.length >> 1;
  for (const chunk of [bytes.subarray(0, half), bytes.subarray(half)]) {
    for (const json of scanner.push(chunk)) found.push(json);
    if (scanner.bufferedSize > BOUNDS.messageSize) throw new Error('more waits than a message may have');
  }
  return found;
}

function stream(bytes: Uint8Array): void {
  for (const json of messagesIn(bytes)) decodeMessage(json);
}

/** The bytes are `{"dialect": …, "updates": …}`: a snapshot is refused or taken, and an update upon a sound one. */
function update(bytes: Uint8Array): void {
  for (const json of messagesIn(bytes)) {
    const { dialect, updates } = json as { dialect: 'update' | 'update2'; updates: unknown };
    const replica = new Replica<Record<string, never>, Record<string, never>>({
      tables: SELECTION,
      indexes: { Interface: ['external_ids:iface-id'], Port: ['name'] },
    });
    replica.takeSnapshot(KEPT, 'update2', SNAPSHOT);
    const before = replica.size;
    try {
      replica.takeUpdate(dialect, updates);
    } catch (error) {
      if (!isOvsdbError(error)) throw error;
      if (replica.size !== before) throw new Error('half of a refused update was taken', { cause: error });
    }
    replica.takeSnapshot(KEPT, dialect, updates);
  }
}

function schema(bytes: Uint8Array): void {
  for (const json of messagesIn(bytes)) parseSchema(json);
}

function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function updateInput(random: Random): Uint8Array {
  const isOld = random.isChance(3);
  const updates = mutatedJson(random.pick([SNAPSHOT, ...(isOld ? OLD_UPDATES : UPDATES)]), random, JSONS);
  return jsonBytes({ dialect: isOld ? 'update' : 'update2', updates });
}

export const OVSDB_DECODERS: readonly Decoder[] = [
  {
    name: 'OVSDB stream',
    share: 10,
    input: (random) => inputFrom(TEXTS, random),
    decode: stream,
    isOwnError: isOvsdbError,
  },
  { name: 'OVSDB update', share: 8, input: updateInput, decode: update, isOwnError: isOvsdbError },
  {
    name: 'OVSDB schema',
    share: 4,
    input: (random) => jsonBytes(mutatedJson(SCHEMA, random, JSONS)),
    decode: schema,
    isOwnError: isOvsdbError,
  },
];
