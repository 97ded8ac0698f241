/**
 * The replica against a second, simple model of a database, which writes its updates as RFC 7047 and ovsdb-server(7) say.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/lib/errors.ts';
import { OvsdbError } from '../../src/ovsdb/errors.ts';
import { keptTables } from '../../src/ovsdb/kept-columns.ts';
import type { AnyRow, AnyRows } from '../../src/ovsdb/model.ts';
import { Replica } from '../../src/ovsdb/replica.ts';
import { parseSchema } from '../../src/ovsdb/schema.ts';
import type { Dialect } from '../../src/ovsdb/session-state.ts';
import type { Uuid } from '../../src/ovsdb/value.ts';

const schema = parseSchema({
  name: 'X',
  version: '1',
  tables: {
    T: {
      columns: {
        name: { type: 'string' },
        tag: { type: { key: 'integer', min: 0, max: 1 } },
        trunks: { type: { key: 'integer', min: 0, max: 'unlimited' } },
        ids: { type: { key: 'string', value: 'string', min: 0, max: 'unlimited' } },
      },
    },
    U: { columns: { refs: { type: { key: 'uuid', min: 0, max: 'unlimited' } } } },
  },
});
const SELECTION = { T: ['name', 'tag', 'trunks', 'ids'], U: ['refs'] } as const;
const KEPT = keptTables(schema, SELECTION, undefined);

/** A row of T as this test thinks of it; `refs` of U is left to the tests by hand. */
interface Thought {
  readonly name: string;
  readonly tag: number | undefined;
  readonly trunks: readonly number[];
  readonly ids: Readonly<Record<string, string>>;
}
type Thoughts = ReadonlyMap<Uuid, Thought>;

const uuidOf = (n: number): Uuid => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` as Uuid;

const thoughts = fc.record<Thought>({
  name: fc.constantFrom('', 'a', 'b', 'c'),
  tag: fc.option(fc.nat(3), { nil: undefined }),
  trunks: fc.uniqueArray(fc.nat(5), { maxLength: 4 }),
  ids: fc.dictionary(fc.constantFrom('iface-id', 'mac', 'x'), fc.constantFrom('1', '2', '3')),
});
/** Databases that share uuids, so that from one to the next rows come, go and change. */
const databases: fc.Arbitrary<Thoughts> = fc
  .uniqueArray(fc.tuple(fc.nat(7), thoughts), { maxLength: 6, selector: ([n]) => n })
  .map((rows) => new Map(rows.map(([n, thought]) => [uuidOf(n), thought])));

/** How ovsdb-server writes rows and changes, by RFC 7047 and ovsdb-server(7), independently of the code under test. */
const write = {
  set: (atoms: readonly unknown[]): unknown => (atoms.length === 1 ? atoms[0] : ['set', atoms]),
  map: (pairs: Readonly<Record<string, string>>): unknown => ['map', Object.entries(pairs)],
  row: (t: Thought): Record<string, unknown> => ({
    name: t.name,
    tag: write.set(t.tag === undefined ? [] : [t.tag]),
    trunks: write.set(t.trunks),
    ids: write.map(t.ids),
  }),
  /** Columns that have their default are left out. */
  initial: (t: Thought): Record<string, unknown> => {
    const { name, tag, trunks, ids } = write.row(t);
    return {
      ...(t.name === '' ? {} : { name }),
      ...(t.tag === undefined ? {} : { tag }),
      ...(t.trunks.length === 0 ? {} : { trunks }),
      ...(Object.keys(t.ids).length === 0 ? {} : { ids }),
    };
  },
  changed: (a: Thought, b: Thought): (keyof Thought)[] =>
    (['name', 'tag', 'trunks', 'ids'] as const).filter(
      (c) => JSON.stringify(plain(a)[c]) !== JSON.stringify(plain(b)[c]),
    ),
  modify: (a: Thought, b: Thought): Record<string, unknown> => {
    const values: Record<keyof Thought, unknown> = {
      name: b.name,
      tag: write.set(b.tag === undefined ? [] : [b.tag]),
      trunks: write.set([
        ...a.trunks.filter((x) => !b.trunks.includes(x)),
        ...b.trunks.filter((x) => !a.trunks.includes(x)),
      ]),
      ids: write.map({
        ...Object.fromEntries(Object.entries(a.ids).filter(([key]) => b.ids[key] === undefined)),
        ...Object.fromEntries(Object.entries(b.ids).filter(([key, value]) => a.ids[key] !== value)),
      }),
    };
    return Object.fromEntries(write.changed(a, b).map((column) => [column, values[column]]));
  },
  dump: (dialect: Dialect, rows: Thoughts): unknown => ({
    T: Object.fromEntries(
      [...rows].map(([uuid, t]) => [
        uuid,
        dialect === 'update' ? { new: write.row(t) } : { initial: write.initial(t) },
      ]),
    ),
  }),
  update: (dialect: Dialect, from: Thoughts, to: Thoughts): unknown => {
    const rows: Record<string, unknown> = {};
    for (const uuid of new Set([...from.keys(), ...to.keys()])) {
      const [a, b] = [from.get(uuid), to.get(uuid)];
      if (a !== undefined && b !== undefined) {
        const columns = write.changed(a, b);
        if (columns.length === 0) continue;
        const old = Object.fromEntries(columns.map((column) => [column, write.row(a)[column]]));
        rows[uuid] = dialect === 'update' ? { old, new: write.row(b) } : { modify: write.modify(a, b) };
      } else if (a !== undefined) rows[uuid] = dialect === 'update' ? { old: write.row(a) } : { delete: null };
      else if (b !== undefined)
        rows[uuid] = dialect === 'update' ? { new: write.row(b) } : { insert: write.initial(b) };
    }
    return { T: rows };
  },
};

function plain(t: Thought): Thought {
  return {
    ...t,
    trunks: [...t.trunks].sort(),
    ids: Object.fromEntries(Object.entries(t.ids).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function plainRow(row: AnyRow): Thought {
  const { name, tag, trunks, ids } = row;
  return { name, tag, trunks, ids: Object.fromEntries(ids as ReadonlyMap<string, string>) } as Thought;
}

type TestReplica = Replica<AnyRows, typeof SELECTION>;

function newReplica(): TestReplica {
  return new Replica({ tables: SELECTION, indexes: { T: ['name', 'trunks', 'ids:iface-id'], U: ['refs'] } });
}

function expectHolds(replica: TestReplica, rows: Thoughts): void {
  const held = [...replica.table('T')].map(([uuid, row]) => [uuid, plainRow(row)] as const);
  expect(new Map(held)).toEqual(new Map([...rows].map(([uuid, t]) => [uuid, plain(t)])));
  for (const key of ['', 'a', 'b', 'c']) {
    const found = replica.find('T', 'name', key).map((row) => row._uuid);
    expect(found.sort()).toEqual(
      [...rows]
        .filter(([, t]) => t.name === key)
        .map(([uuid]) => uuid)
        .sort(),
    );
  }
  for (const key of ['1', '2', '3']) {
    const found = replica.find('T', 'ids:iface-id', key).map((row) => row._uuid);
    expect(found.sort()).toEqual(
      [...rows]
        .filter(([, t]) => t.ids['iface-id'] === key)
        .map(([uuid]) => uuid)
        .sort(),
    );
  }
  for (const key of [0, 1, 2, 3, 4, 5]) {
    const found = replica.find('T', 'trunks', key).map((row) => row._uuid);
    expect(found.sort()).toEqual(
      [...rows]
        .filter(([, t]) => t.trunks.includes(key))
        .map(([uuid]) => uuid)
        .sort(),
    );
  }
}

/** A delta is exactly the difference between two databases. */
function expectIsDifference(delta: ReturnType<TestReplica['takeUpdate']>, from: Thoughts, to: Thoughts): void {
  const told = new Map(delta.changes.map((change) => [change.uuid, change]));
  expect(told.size).toBe(delta.changes.length);
  for (const uuid of new Set([...from.keys(), ...to.keys()])) {
    const [a, b] = [from.get(uuid), to.get(uuid)];
    const isSame = a !== undefined && b !== undefined && write.changed(a, b).length === 0;
    const change = told.get(uuid);
    if (isSame) {
      expect(change).toBeUndefined();
      continue;
    }
    expect(change?.old && plainRow(change.old as AnyRow)).toEqual(a && plain(a));
    expect(change?.new && plainRow(change.new as AnyRow)).toEqual(b && plain(b));
    told.delete(uuid);
  }
  expect(told.size).toBe(0);
}

const dialects = fc.constantFrom<Dialect>('update', 'update2');

describe('properties', () => {
  test('after any sequence of updates and new snapshots the replica is the database, and each delta the difference', () => {
    const steps = fc.array(fc.record({ rows: databases, isReconnect: fc.boolean(), dialect: dialects }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(databases, dialects, steps, (first, dialect, sequence) => {
        const replica = newReplica();
        expectIsDifference(replica.takeSnapshot(KEPT, dialect, write.dump(dialect, first)), new Map(), first);
        let before = first;
        for (const next of sequence) {
          const delta = next.isReconnect
            ? replica.takeSnapshot(KEPT, next.dialect, write.dump(next.dialect, next.rows))
            : replica.takeUpdate(next.dialect, write.update(next.dialect, before, next.rows));
          expectIsDifference(delta, before, next.rows);
          expectHolds(replica, next.rows);
          before = next.rows;
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a snapshot of what is held is an empty delta, and keeps every row as it is', () => {
    fc.assert(
      fc.property(databases, dialects, dialects, (rows, first, second) => {
        const replica = newReplica();
        replica.takeSnapshot(KEPT, first, write.dump(first, rows));
        const held = [...replica.table('T').values()];
        expect(replica.takeSnapshot(KEPT, second, write.dump(second, rows)).changes).toEqual([]);
        expect([...replica.table('T').values()].every((row, i) => row === held[i])).toBe(true);
      }),
    );
  });

  test('an update that is malformed anywhere changes nothing', () => {
    const nonsense = fc.constantFrom<unknown>(
      5,
      null,
      [],
      {},
      { modify: 5 },
      { insert: { name: 5 } },
      { modify: { tag: 'x' } },
    );
    fc.assert(
      fc.property(databases, databases, nonsense, (from, to, bad) => {
        const replica = newReplica();
        replica.takeSnapshot(KEPT, 'update2', write.dump('update2', from));
        const update = write.update('update2', from, to) as { T: Record<string, unknown> };
        const spoilt = { T: { ...update.T, [uuidOf(99)]: bad } };
        expect(() => replica.takeUpdate('update2', spoilt)).toThrow(OvsdbError);
        expectHolds(replica, from);
      }),
    );
  });

  test('an update of nonsense is an OvsdbError and nothing else', () => {
    const replica = newReplica();
    replica.takeSnapshot(KEPT, 'update2', {});
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), dialects, (a, b, dialect) => {
        for (const update of [a, { T: a }, { T: { [uuidOf(1)]: a } }, { T: { [uuidOf(1)]: { insert: { ids: b } } } }]) {
          try {
            replica.takeUpdate(dialect, update);
          } catch (error) {
            expect(error).toBeInstanceOf(OvsdbError);
          }
          replica.takeSnapshot(KEPT, 'update2', {});
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a replica', () => {
  const ROW = uuidOf(1);

  test('is not read before its first snapshot', () => {
    const replica = newReplica();
    expect(replica.isWhole).toBe(false);
    expect(() => replica.table('T')).toThrow(InvariantError);
    expect(() => replica.find('T', 'name', 'a')).toThrow(InvariantError);
    expect(() => replica.takeUpdate('update2', {})).toThrow(InvariantError);
    replica.takeSnapshot(KEPT, 'update2', {});
    expect(replica.isWhole).toBe(true);
    expect(replica.table('T').size).toBe(0);
  });

  test('fills what a row leaves out, and cannot be changed', () => {
    const replica = newReplica();
    replica.takeSnapshot(KEPT, 'update2', { T: { [ROW]: { initial: {} } } });
    const row = replica.table('T').get(ROW);
    expect(row).toEqual({ _uuid: ROW, name: '', tag: undefined, trunks: [], ids: new Map() });
    expect(Object.isFrozen(row)).toBe(true);
    expect(Object.isFrozen(row?.trunks)).toBe(true);
  });

  test('keeps unchanged columns of a changed row as they are', () => {
    const replica = newReplica();
    replica.takeSnapshot(KEPT, 'update2', {
      T: { [ROW]: { initial: { trunks: ['set', [1, 2]], ids: ['map', [['x', '1']]] } } },
    });
    const [change] = replica.takeUpdate('update2', { T: { [ROW]: { modify: { name: 'b' } } } }).changes;
    expect(change?.table).toBe('T');
    if (change?.table !== 'T') return;
    expect(change.new?.trunks).toBe(change.old?.trunks);
    expect(change.new?.ids).toBe(change.old?.ids);
    expect([change.old?.name, change.new?.name]).toEqual(['', 'b']);
  });

  test('finds a row by each element of a set of references', () => {
    const replica = newReplica();
    const refs = [
      'set',
      [
        ['uuid', uuidOf(5)],
        ['uuid', uuidOf(6)],
      ],
    ];
    replica.takeSnapshot(KEPT, 'update2', { U: { [ROW]: { initial: { refs } } } });
    expect(replica.find('U', 'refs', uuidOf(6)).map((row) => row._uuid)).toEqual([ROW]);
    replica.takeUpdate('update2', { U: { [ROW]: { modify: { refs: ['uuid', uuidOf(6)] } } } });
    expect(replica.find('U', 'refs', uuidOf(6))).toEqual([]);
    expect(replica.find('U', 'refs', uuidOf(5))).toHaveLength(1);
  });

  test.each<[string, unknown]>([
    ['a change of a row that is not there', { modify: {} }],
    ['the removal of a row that is not there', { delete: null }],
  ])('%s: diverged', (_name, change) => {
    const replica = newReplica();
    replica.takeSnapshot(KEPT, 'update2', {});
    expect(() => replica.takeUpdate('update2', { T: { [ROW]: change } })).toThrow(
      `The server sent a change of a row that is not there: T ${ROW}.`,
    );
  });

  test('the insertion of a row that is there: diverged', () => {
    const replica = newReplica();
    replica.takeSnapshot(KEPT, 'update2', { T: { [ROW]: { initial: {} } } });
    expect(() => replica.takeUpdate('update2', { T: { [ROW]: { insert: {} } } })).toThrow(
      'the insertion of a row that is there',
    );
  });

  test('a column that the server lacks holds its default', () => {
    const older = parseSchema({ name: 'X', version: '0', tables: { T: { columns: { name: { type: 'string' } } } } });
    const replica = newReplica();
    replica.takeSnapshot(keptTables(older, SELECTION, schema), 'update2', { T: { [ROW]: { initial: { name: 'a' } } } });
    expect(replica.table('T').get(ROW)).toEqual({ _uuid: ROW, name: 'a', tag: undefined, trunks: [], ids: new Map() });
    expect(replica.table('U').size).toBe(0);
  });
});
