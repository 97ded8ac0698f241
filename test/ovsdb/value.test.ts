/**
 * Values, defaults and differences, as RFC 7047 and ovsdb-server(7) write them.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/lib/errors.ts';
import { OvsdbError } from '../../src/ovsdb/errors.ts';
import { type ColumnSchema, parseSchema } from '../../src/ovsdb/schema.ts';
import {
  applyDifference,
  decodeValue,
  defaultValue,
  encodeValue,
  type Uuid,
  type Value,
  valuesEqual,
  valueToJson,
} from '../../src/ovsdb/value.ts';

const A = '11111111-1111-4111-8111-111111111111' as Uuid;
const B = '22222222-2222-4222-8222-222222222222' as Uuid;

const TYPES = {
  integer: 'integer',
  real: 'real',
  boolean: 'boolean',
  string: 'string',
  uuid: { key: { type: 'uuid', refTable: 'T' } },
  optionalInteger: { key: 'integer', min: 0, max: 1 },
  optionalUuid: { key: 'uuid', min: 0, max: 1 },
  integers: { key: 'integer', min: 0, max: 'unlimited' },
  strings: { key: 'string', min: 1, max: 3 },
  uuids: { key: 'uuid', min: 0, max: 'unlimited' },
  map: { key: 'string', value: 'string', min: 0, max: 'unlimited' },
  mapToInteger: { key: 'string', value: 'integer', min: 0, max: 'unlimited' },
  mapToUuid: { key: 'integer', value: 'uuid', min: 0, max: 'unlimited' },
  mapOfOne: { key: 'string', value: 'string', min: 0, max: 1 },
} as const;

type TypeName = keyof typeof TYPES;

const schema = parseSchema({
  name: 'Test',
  version: '1.0.0',
  tables: { T: { columns: Object.fromEntries(Object.entries(TYPES).map(([name, type]) => [name, { type }])) } },
});

function column(name: TypeName): ColumnSchema {
  const found = schema.tables.get('T')?.columns.get(name);
  if (found === undefined) throw new Error(`no column ${name}`);
  return found;
}

describe('what the server writes', () => {
  test.each<[TypeName, unknown, Value]>([
    ['integer', -7, -7],
    ['integer', 9007199254740993n, 9007199254740993n],
    ['integer', ['set', [3]], 3],
    ['real', 2.5, 2.5],
    ['real', 3, 3],
    ['boolean', true, true],
    ['string', '', ''],
    ['string', 'set', 'set'],
    ['uuid', ['uuid', A], A],
    ['optionalInteger', ['set', []], undefined],
    ['optionalInteger', 5, 5],
    ['optionalInteger', ['set', [5]], 5],
    ['optionalUuid', ['uuid', A], A],
    ['optionalUuid', ['set', [['uuid', A]]], A],
    ['integers', ['set', [30, 4, 100]], [4, 30, 100]],
    ['integers', 4, [4]],
    ['integers', ['set', []], []],
    ['strings', ['set', ['b', 'a']], ['a', 'b']],
    ['strings', 'a', ['a']],
    ['uuids', ['uuid', A], [A]],
    [
      'uuids',
      [
        'set',
        [
          ['uuid', B],
          ['uuid', A],
        ],
      ],
      [A, B],
    ],
    ['map', ['map', []], new Map()],
    [
      'map',
      [
        'map',
        [
          ['b', '2'],
          ['a', '1'],
        ],
      ],
      new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
    ],
    ['mapToUuid', ['map', [[5, ['uuid', A]]]], new Map([[5, A]])],
  ])('%s %o', (name, json, value) => {
    const decoded = decodeValue(column(name), json);
    expect(decoded).toEqual(value);
    expect(decodeValue(column(name), encodeValue(column(name), decoded))).toEqual(value);
  });

  test('maps are in the order of their keys, sets cannot be changed', () => {
    const map = decodeValue(column('map'), [
      'map',
      [
        ['b', '2'],
        ['a', '1'],
      ],
    ]);
    expect([...(map as ReadonlyMap<string, string>).keys()]).toEqual(['a', 'b']);
    expect(Object.isFrozen(decodeValue(column('integers'), ['set', [1]]))).toBe(true);
  });

  test.each<[TypeName, unknown]>([
    ['integer', 'x'],
    ['integer', 1.5],
    ['integer', 2 ** 60],
    ['integer', 2n ** 63n],
    ['integer', null],
    ['integer', ['set', []]],
    ['integer', ['set', [1, 2]]],
    ['real', Number.POSITIVE_INFINITY],
    ['real', 'x'],
    ['boolean', 1],
    ['string', 7],
    ['string', ['uuid', A]],
    ['uuid', A],
    ['uuid', ['uuid', 'x']],
    ['uuid', ['uuid', A.toUpperCase().replace('1', 'A')]],
    ['uuid', ['named-uuid', 'row1']],
    ['uuid', ['uuid', A, A]],
    ['optionalInteger', ['set', [1, 2]]],
    ['optionalInteger', null],
    ['integers', ['set', 5]],
    ['integers', ['set', ['x']]],
    ['integers', ['map', []]],
    ['map', 'x'],
    ['map', ['set', []]],
    ['map', ['map', {}]],
    ['map', ['map', ['a']]],
    ['map', ['map', [['a']]]],
    ['map', ['map', [['a', 1]]]],
    ['map', { a: 'b' }],
  ])('%s does not take %o', (name, json) => {
    expect(() => decodeValue(column(name), json)).toThrow(OvsdbError);
    expect(() => decodeValue(column(name), json)).toThrow(`column T.${name}`);
  });
});

test('defaults', () => {
  const defaults = Object.keys(TYPES).map((name) => [name, defaultValue(column(name as TypeName))]);
  expect(Object.fromEntries(defaults)).toEqual({
    integer: 0,
    real: 0,
    boolean: false,
    string: '',
    uuid: '00000000-0000-0000-0000-000000000000',
    optionalInteger: undefined,
    optionalUuid: undefined,
    integers: [],
    strings: [],
    uuids: [],
    map: new Map(),
    mapToInteger: new Map(),
    mapToUuid: new Map(),
    mapOfOne: new Map(),
  });
});

describe('differences', () => {
  test.each<[TypeName, Value, unknown, Value]>([
    ['integer', 1, 2, 2],
    ['optionalInteger', 1, ['set', []], undefined],
    ['optionalInteger', 1, 2, 2],
    ['integers', [1, 2], ['set', [2, 3]], [1, 3]],
    ['integers', [1], 1, []],
    ['strings', ['a'], ['set', ['a', 'b']], ['b']],
    [
      'map',
      new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
      [
        'map',
        [
          ['a', '1'],
          ['b', '9'],
          ['c', '3'],
        ],
      ],
      new Map([
        ['b', '9'],
        ['c', '3'],
      ]),
    ],
    // At most one pair: the new value, not a difference.
    ['mapOfOne', new Map([['a', '1']]), ['map', [['b', '2']]], new Map([['b', '2']])],
    ['mapOfOne', new Map([['a', '1']]), ['map', []], new Map()],
  ])('%s %o and %o', (name, old, json, value) => {
    expect(applyDifference(column(name), old, json)).toEqual(value);
  });

  test('a set and its difference to any other give that other; applied twice, the first again', () => {
    const sets = fc.uniqueArray(fc.integer({ min: 0, max: 20 }));
    fc.assert(
      fc.property(sets, sets, (from, to) => {
        const difference = ['set', [...from.filter((x) => !to.includes(x)), ...to.filter((x) => !from.includes(x))]];
        const old = decodeValue(column('integers'), ['set', from]);
        const next = applyDifference(column('integers'), old, difference);
        expect(next).toEqual([...to].sort((a, b) => a - b));
        expect(valuesEqual(applyDifference(column('integers'), next, difference), old)).toBe(true);
      }),
    );
  });
});

describe('what we write', () => {
  test.each<[TypeName, Parameters<typeof encodeValue>[1], unknown]>([
    ['optionalInteger', undefined, ['set', []]],
    ['optionalInteger', 4, 4],
    ['uuid', { namedUuid: 'row1' }, ['named-uuid', 'row1']],
    [
      'uuids',
      [A, { namedUuid: 'row1' }],
      [
        'set',
        [
          ['uuid', A],
          ['named-uuid', 'row1'],
        ],
      ],
    ],
    ['mapToUuid', new Map([[1, { namedUuid: 'r' }]]), ['map', [[1, ['named-uuid', 'r']]]]],
    ['map', new Map([['a', 'b']]), ['map', [['a', 'b']]]],
    ['integer', 2n ** 62n, 2n ** 62n],
  ])('%s %o', (name, value, json) => {
    expect(encodeValue(column(name), value)).toEqual(json);
  });

  test.each<[TypeName, Parameters<typeof encodeValue>[1]]>([
    ['integer', undefined],
    ['integer', 1.5],
    ['integer', 'x'],
    ['string', 5],
    ['optionalInteger', [1]],
    ['uuid', 'x'],
    ['map', 'x'],
    ['map', new Map([['a', 1]])],
    ['real', Number.NaN],
  ])('%s does not take %o: our own mistake', (name, value) => {
    expect(() => encodeValue(column(name), value)).toThrow(InvariantError);
  });
});

test('values as plain JSON', () => {
  expect(
    valueToJson(
      new Map<string, bigint | number>([
        ['a', 2n ** 60n],
        ['b', 1],
      ]),
    ),
  ).toEqual({ a: '1152921504606846976', b: 1 });
  expect(valueToJson([A])).toEqual([A]);
  expect(valueToJson(undefined)).toBeNull();
});
