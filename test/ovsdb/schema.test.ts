/**
 * Schemas: the generated model is fresh, what is malformed is refused, and what is kept of an older server.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GENERATED_FILE, generateModel, INSTALLED_SCHEMA } from '../../scripts/generate-ovsdb-model.ts';
import { OvsdbError } from '../../src/ovsdb/errors.ts';
import { keptTables, monitorRequests } from '../../src/ovsdb/kept-columns.ts';
import { OPEN_VSWITCH } from '../../src/ovsdb/open-vswitch.generated.ts';
import { parseSchema } from '../../src/ovsdb/schema.ts';

const installed = readFileSync(INSTALLED_SCHEMA, 'utf8');

describe('the generated model', () => {
  // Another Open vSwitch brings another schema: then the file is still what was generated, and still readable.
  const isSameVersion = JSON.parse(installed).version === OPEN_VSWITCH.schema.version;

  test('is what the generator writes for the installed schema of its version', () => {
    const generated = generateModel(installed);
    if (isSameVersion) expect(readFileSync(GENERATED_FILE, 'utf8')).toBe(generated);
    else expect(generated).toContain('export interface InterfaceRow');
  });

  test('holds the whole schema', () => {
    const { name, tables } = OPEN_VSWITCH.schema;
    expect(name).toBe('Open_vSwitch');
    expect(tables.size).toBeGreaterThan(15);
    if (isSameVersion) expect(OPEN_VSWITCH.schema).toEqual(parseSchema(JSON.parse(installed)));
  });

  test('knows shapes, references and bounds', () => {
    const { tables } = OPEN_VSWITCH.schema;
    const shapeOf = (table: string, column: string) => tables.get(table)?.columns.get(column)?.shape;
    expect(shapeOf('Interface', 'name')).toBe('scalar');
    expect(shapeOf('Interface', 'ofport')).toBe('optional');
    expect(shapeOf('Port', 'trunks')).toBe('set');
    expect(shapeOf('Interface', 'external_ids')).toBe('map');
    expect(tables.get('Bridge')?.columns.get('ports')?.key.refTable).toBe('Port');
    expect(tables.get('Bridge')?.columns.get('name')?.isMutable).toBe(false);
    expect(tables.get('Open_vSwitch')).toMatchObject({ isRoot: true, rowCountMax: 1 });
    expect(tables.get('Port')?.uniqueIndexes).toEqual([['name']]);
  });
});

describe('a schema that is none', () => {
  const withColumn = (column: unknown) => ({ name: 'X', version: '1', tables: { T: { columns: { c: column } } } });
  test.each<[string, unknown]>([
    ['null', null],
    ['no tables', { name: 'X' }],
    ['a table without columns', { name: 'X', tables: { T: {} } }],
    ['a column without type', withColumn({})],
    ['an unknown type', withColumn({ type: 'float' })],
    ['an absurd bound', withColumn({ type: { key: 'string', min: 0, max: -1 } })],
    ['an absurd minimum', withColumn({ type: { key: 'string', min: 7, max: 9 } })],
    ['an index that is none', { name: 'X', tables: { T: { columns: {}, indexes: [5] } } }],
    ['a reserved name', { name: 'X', tables: { T: { columns: JSON.parse('{"__proto__":{"type":"string"}}') } } }],
  ])('%s', (_name, json) => {
    expect(() => parseSchema(json)).toThrow(OvsdbError);
    expect(() => parseSchema(json)).toThrow(/malformed/);
  });
});

describe('what is kept', () => {
  const model = parseSchema({
    name: 'X',
    version: '2',
    tables: {
      T: { columns: { a: { type: 'string' }, b: { type: 'integer' } } },
      New: { columns: { c: { type: 'string' } } },
    },
  });
  const older = parseSchema({ name: 'X', version: '1', tables: { T: { columns: { a: { type: 'string' } } } } });

  test('only what was asked for is asked of the server', () => {
    expect(monitorRequests(keptTables(model, { T: ['b'] }, model))).toEqual({ T: [{ columns: ['b'] }] });
    expect(monitorRequests(keptTables(model, { T: '*' }, undefined))).toEqual({ T: [{ columns: ['a', 'b'] }] });
  });

  test('an older server is not asked for what it lacks', () => {
    const kept = keptTables(older, { T: ['a', 'b'], New: ['c'] }, model);
    expect(monitorRequests(kept)).toEqual({ T: [{ columns: ['a'] }] });
    expect(kept.map((table) => table.columns.map((column) => column.schema.name))).toEqual([['a', 'b'], ['c']]);
  });

  test('what nobody knows is an error that says what there is', () => {
    expect(() => keptTables(older, { New: '*' }, undefined)).toThrow('Database X has no table New; it has T.');
    expect(() => keptTables(older, { T: ['z'] }, undefined)).toThrow('Table T has no column z; it has a.');
    const other = parseSchema({ name: 'X', version: '3', tables: { T: { columns: { a: { type: 'integer' } } } } });
    expect(() => keptTables(other, { T: ['a'] }, model)).toThrow(
      'Column T.a of the server is a scalar of integer, expected is a scalar of string.',
    );
  });
});
