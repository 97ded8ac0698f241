/**
 * Transactions: the operations that go out, and what the answers mean.
 */
import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/lib/errors.ts';
import { OvsdbError } from '../../src/ovsdb/errors.ts';
import { OPEN_VSWITCH, type OpenVswitch } from '../../src/ovsdb/open-vswitch.generated.ts';
import { Transaction } from '../../src/ovsdb/transaction.ts';
import type { Uuid } from '../../src/ovsdb/value.ts';

const BRIDGE = '11111111-1111-4111-8111-111111111111' as Uuid;
const PORT = '22222222-2222-4222-8222-222222222222' as Uuid;

describe('operations', () => {
  test('every kind, as RFC 7047 §5.2 writes them', () => {
    const transaction = new Transaction(OPEN_VSWITCH, { comment: 'plug' });
    const tap = transaction.insert('Interface', {
      name: 'tap1',
      external_ids: new Map([['iface-id', 'x']]),
      mtu_request: 1450,
    });
    const port = transaction.insert('Port', { name: 'tap1', interfaces: [tap], tag: 7 });
    transaction.expect('Bridge', { _uuid: BRIDGE, ports: [PORT], fail_mode: undefined }, ['ports', 'fail_mode']);
    transaction.expectNone('Bridge', 'name', 'br-tun');
    transaction.mutate('Bridge', BRIDGE, 'ports', 'insert', [port]);
    transaction.update('Bridge', BRIDGE, { fail_mode: undefined, protocols: ['OpenFlow13'] });
    transaction.mutate('Bridge', BRIDGE, 'other_config', 'delete', ['hwaddr']);
    transaction.delete('Port', PORT);
    transaction.incrementNextCfg();
    transaction.incrementNextCfg();
    const thisBridge = [['_uuid', '==', ['uuid', BRIDGE]]];
    expect(transaction.operations).toEqual([
      { op: 'comment', comment: 'plug' },
      {
        op: 'insert',
        table: 'Interface',
        'uuid-name': 'row1',
        row: { name: 'tap1', external_ids: ['map', [['iface-id', 'x']]], mtu_request: 1450 },
      },
      {
        op: 'insert',
        table: 'Port',
        'uuid-name': 'row2',
        row: { name: 'tap1', interfaces: ['set', [['named-uuid', 'row1']]], tag: 7 },
      },
      {
        op: 'wait',
        timeout: 0,
        table: 'Bridge',
        where: thisBridge,
        columns: ['ports', 'fail_mode'],
        until: '==',
        rows: [{ ports: ['set', [['uuid', PORT]]], fail_mode: ['set', []] }],
      },
      {
        op: 'wait',
        timeout: 0,
        table: 'Bridge',
        where: [['name', '==', 'br-tun']],
        columns: ['name'],
        until: '==',
        rows: [],
      },
      {
        op: 'mutate',
        table: 'Bridge',
        where: thisBridge,
        mutations: [['ports', 'insert', ['set', [['named-uuid', 'row2']]]]],
      },
      {
        op: 'update',
        table: 'Bridge',
        where: thisBridge,
        row: { fail_mode: ['set', []], protocols: ['set', ['OpenFlow13']] },
      },
      {
        op: 'mutate',
        table: 'Bridge',
        where: thisBridge,
        mutations: [['other_config', 'delete', ['set', ['hwaddr']]]],
      },
      { op: 'delete', table: 'Port', where: [['_uuid', '==', ['uuid', PORT]]] },
      { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['next_cfg', '+=', 1]] },
      { op: 'select', table: 'Open_vSwitch', where: [], columns: ['next_cfg'] },
    ]);
  });

  test('one that writes nothing knows it', () => {
    const transaction = new Transaction(OPEN_VSWITCH, { comment: 'nothing' });
    transaction.expectNone('Bridge', 'name', 'br-tun');
    expect(transaction.isEmpty).toBe(true);
    transaction.delete('Port', PORT);
    expect(transaction.isEmpty).toBe(false);
  });

  test("a column that is not the model's is our own mistake", () => {
    const transaction = new Transaction(OPEN_VSWITCH);
    // @ts-expect-error: the compiler says so too.
    expect(() => transaction.insert('Port', { nmae: 'x' })).toThrow(InvariantError);
    // @ts-expect-error: a number where text belongs.
    expect(() => transaction.insert('Port', { name: 5 })).toThrow(InvariantError);
  });
});

describe('outcomes', () => {
  function plug(): Transaction<OpenVswitch> {
    const transaction = new Transaction(OPEN_VSWITCH);
    transaction.expect('Bridge', { _uuid: BRIDGE, ports: [] }, ['ports']);
    transaction.insert('Port', { name: 'tap1' });
    transaction.delete('Port', PORT);
    return transaction;
  }

  function refusal(result: unknown): OvsdbError {
    try {
      plug().readResult(result);
    } catch (error) {
      if (error instanceof OvsdbError) return error;
      throw error;
    }
    throw new Error('it was not refused');
  }

  test('inserted rows and counts', () => {
    const result = plug().readResult([{}, { uuid: ['uuid', PORT] }, { count: 1 }]);
    expect(result).toEqual({
      inserted: new Map([['row1', PORT]]),
      counts: [undefined, undefined, 1],
      nextCfg: undefined,
    });
  });

  test('next_cfg', () => {
    const transaction = new Transaction(OPEN_VSWITCH);
    transaction.incrementNextCfg();
    expect(transaction.readResult([{ count: 1 }, { rows: [{ next_cfg: 8 }] }]).nextCfg).toBe(8);
  });

  test('a refused operation is named, with table and row', () => {
    const error = refusal([{}, { error: 'constraint violation', details: 'it is there' }, null]);
    expect(error.code).toBe('TRANSACTION_REFUSED');
    expect(error.message).toBe('The server refused insert Port tap1: constraint violation: it is there.');
    expect(error.context).toMatchObject({ op: 'insert', table: 'Port', row: 'tap1', index: 1 });
  });

  test('an error of the commit', () => {
    const error = refusal([{}, { uuid: ['uuid', PORT] }, { count: 1 }, { error: 'referential integrity violation' }]);
    expect(error.message).toBe('The server refused the commit: referential integrity violation.');
  });

  test('a row that is not as it was read', () => {
    const error = refusal([{ error: 'timed out', details: '"where" clause test failed' }, null, null]);
    expect(error.code).toBe('TRANSACTION_CONFLICT');
    expect(error.message).toContain(`wait Bridge ${BRIDGE} is not as it was read`);
  });

  test.each([[null], [{}], [[]], [[{}]], [[{}, {}, {}]], [[{}, { uuid: ['uuid', 'x'] }, {}]]])(
    'a malformed answer: %j',
    (result) => {
      expect(refusal(result).code).toBe('MALFORMED_UPDATE');
    },
  );
});
