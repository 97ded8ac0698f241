/**
 * The session machine under a clock that is set by hand: events in, one line for each effect out.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OvsdbError } from '../../src/ovsdb/errors.ts';
import { OVSDB_LIMITS, type OvsdbLimits } from '../../src/ovsdb/limits.ts';
import type { RpcMessage } from '../../src/ovsdb/rpc.ts';
import { step } from '../../src/ovsdb/session.ts';
import {
  initialState,
  nextTickMs,
  type SessionConfig,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
} from '../../src/ovsdb/session-state.ts';

const SCHEMA = { name: 'X', version: '1', tables: { T: { columns: { a: { type: 'string' } } } } };
const TXN_1 = '00000000-0000-4000-8000-000000000001';
const TXN_2 = '00000000-0000-4000-8000-000000000002';
const TXN_3 = '00000000-0000-4000-8000-000000000003';
const ZERO = '00000000-0000-0000-0000-000000000000';
const ROW = 'aaaaaaaa-0000-4000-8000-000000000001';
const DATABASE_ROW = 'dddddddd-0000-4000-8000-000000000001';

/** A session under a clock that is set by hand. Effects are told in one line each. */
class Machine {
  state: SessionState;
  nowMs = 1000;

  constructor(options: Partial<SessionConfig> = {}, limits: Partial<OvsdbLimits> = {}) {
    const defaults = { database: 'X', selection: { T: ['a'] }, model: undefined, targetCount: 1 };
    this.state = initialState({ ...defaults, limits: { ...OVSDB_LIMITS, ...limits }, ...options });
  }

  do(event: SessionEvent): string[] {
    const [state, effects] = step(this.state, event, this.nowMs);
    this.state = state;
    return effects.map(told);
  }

  /** Let time pass and tick. */
  tick(afterMs: number): string[] {
    this.nowMs += afterMs;
    return this.do({ type: 'tick' });
  }

  gets(message: RpcMessage): string[] {
    this.do({ type: 'received' });
    return this.do({ type: 'message', message });
  }

  reply(id: number, result: unknown, error: unknown = null): string[] {
    return this.gets({ kind: 'reply', id, result: error === null ? result : null, error });
  }

  update(method: string, ...params: unknown[]): string[] {
    return this.gets({ kind: 'notification', method, params });
  }

  /** Up to the monitor request, on a server without database _Server. Its id is 3. */
  connect(): this {
    this.do({ type: 'start' });
    this.do({ type: 'connected' });
    this.reply(1, null, 'unknown database');
    this.reply(2, SCHEMA);
    return this;
  }

  /** Live, by monitor_cond_since up to TXN_1. */
  live(): this {
    this.connect();
    this.reply(3, [false, TXN_1, {}]);
    return this;
  }
}

function told(effect: SessionEffect): string {
  switch (effect.type) {
    case 'send': {
      const { message } = effect;
      if (message.kind === 'reply') return `reply ${JSON.stringify(message.error ?? message.result)}`;
      return `${message.method} ${JSON.stringify(message.params)}`;
    }
    case 'dial':
      return `dial ${effect.targetIndex}`;
    case 'phase':
      return `phase ${effect.phase}${effect.error === undefined ? '' : ` ${effect.error.code}`}`;
    case 'snapshot':
      return `snapshot ${effect.dialect} ${JSON.stringify(effect.updates)}`;
    case 'update':
      return `${effect.isResumption ? 'resumption' : 'update'} ${effect.dialect} ${JSON.stringify(effect.updates)}`;
    case 'transacted':
      return `transacted ${effect.token} ${JSON.stringify(effect.result)}`;
    case 'notTransacted':
      return `notTransacted ${effect.token} ${effect.error.code}`;
    case 'verify':
      return `verify ${effect.table.name} ${JSON.stringify(effect.rows)}`;
    case 'hangUp':
      return 'hangUp';
  }
}

const monitor = (method: string, number: number, ...rest: string[]): string =>
  `${method} ${JSON.stringify(['X', `rows-${number}`, { T: [{ columns: ['a'] }] }, ...rest])}`;

const serverRow = (row: object): object => ({ Database: { [DATABASE_ROW]: { initial: row } } });

describe('the handshake', () => {
  test('with everything that a server can have', () => {
    const machine = new Machine();
    expect(machine.do({ type: 'start' })).toEqual(['dial 0', 'phase connecting']);
    expect(machine.do({ type: 'connected' })).toEqual(['get_schema ["_Server"]', 'phase handshake']);
    expect(machine.reply(1, { name: '_Server' })).toEqual([
      'monitor_cond ["_Server","server",{"Database":[{"columns":["name","model","connected","leader"]}]}]',
    ]);
    expect(machine.reply(2, serverRow({ name: 'X', connected: true, leader: true }))).toEqual([
      'set_db_change_aware [true]',
      'get_schema ["X"]',
    ]);
    expect(machine.reply(3, {})).toEqual([]);
    expect(machine.reply(4, SCHEMA)).toEqual([monitor('monitor_cond_since', 1, ZERO)]);
    expect(machine.reply(5, [false, TXN_1, { T: {} }])).toEqual(['snapshot update2 {"T":{}}', 'phase live']);
    expect(machine.state.lastTxnId).toBe(TXN_1);
  });

  test('on a server without _Server and monitor_cond: down to RFC 7047', () => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    expect(machine.reply(1, null, { error: 'unknown database' })).toEqual(['get_schema ["X"]']);
    expect(machine.reply(2, SCHEMA)).toEqual([monitor('monitor_cond_since', 1, ZERO)]);
    expect(machine.reply(3, null, 'unknown method')).toEqual([monitor('monitor_cond', 2)]);
    expect(machine.reply(4, null, 'unknown method')).toEqual([monitor('monitor', 3)]);
    expect(machine.reply(5, { T: { [ROW]: { new: {} } } })).toEqual([
      `snapshot update {"T":{"${ROW}":{"new":{}}}}`,
      'phase live',
    ]);
    expect(machine.update('update', 'rows-3', {})).toEqual(['update update {}']);
  });

  test('with monitor_cond: updates are of the second dialect', () => {
    const machine = new Machine().connect();
    machine.reply(3, null, 'unknown method');
    expect(machine.reply(4, { T: {} })).toEqual(['snapshot update2 {"T":{}}', 'phase live']);
    expect(machine.update('update2', 'rows-2', {})).toEqual(['update update2 {}']);
  });

  test('a server that refuses every monitor is given up', () => {
    const machine = new Machine().connect();
    machine.reply(3, null, 'no');
    machine.reply(4, null, 'no');
    expect(machine.reply(5, null, 'no')).toEqual(['hangUp', 'phase closing REQUEST_REFUSED']);
  });

  test('a server that refuses set_db_change_aware is good enough', () => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, {});
    machine.reply(2, serverRow({ name: 'X' }));
    expect(machine.reply(3, null, 'unknown method')).toEqual([]);
    expect(machine.state.phase).toBe('handshake');
  });

  test.each<[string, number, object, string]>([
    ['has not our database', 1, { name: 'Y', connected: true, leader: true }, 'NO_SUCH_DATABASE'],
    ['has not joined', 1, { name: 'X', model: 'clustered', leader: true }, 'NOT_JOINED'],
    ['does not lead, and another may', 2, { name: 'X', model: 'clustered', connected: true }, 'NOT_LEADER'],
  ])('a server that %s is left', (_name, targetCount, row, code) => {
    const machine = new Machine({ targetCount });
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, {});
    expect(machine.reply(2, serverRow(row))).toEqual(['hangUp', `phase closing ${code}`]);
  });

  test.each<[string, number, object]>([
    ['a standalone server', 3, { name: 'X', connected: true }],
    ['the leader', 3, { name: 'X', model: 'clustered', connected: true, leader: true }],
    ['a follower, where there is no other', 1, { name: 'X', model: 'clustered', connected: true }],
  ])('%s serves', (_name, targetCount, row) => {
    const machine = new Machine({ targetCount });
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, {});
    expect(machine.reply(2, serverRow(row))).toContain('get_schema ["X"]');
  });

  test('leadership lost while live: on to the next target', () => {
    const machine = new Machine({ targetCount: 2 });
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, {});
    machine.reply(2, serverRow({ name: 'X', model: 'clustered', connected: true, leader: true }));
    machine.reply(4, SCHEMA);
    machine.reply(5, [false, TXN_1, {}]);
    const lost = { Database: { [DATABASE_ROW]: { modify: { leader: false } } } };
    expect(machine.update('update2', 'server', lost)).toEqual(['hangUp', 'phase closing NOT_LEADER']);
    machine.do({ type: 'disconnected', jitter: 0 });
    expect(machine.tick(1000)).toEqual(['dial 1', 'phase connecting']);
  });

  test('no such database, no such column, a schema that is none', () => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, null, 'unknown database');
    expect(machine.reply(2, null, 'unknown database')).toEqual(['hangUp', 'phase closing NO_SUCH_DATABASE']);
    const other = new Machine({ selection: { T: ['z'] } });
    other.do({ type: 'start' });
    other.do({ type: 'connected' });
    other.reply(1, null, 'unknown database');
    expect(other.reply(2, SCHEMA)).toEqual(['hangUp', 'phase closing NO_SUCH_COLUMN']);
    const third = new Machine();
    third.do({ type: 'start' });
    third.do({ type: 'connected' });
    third.reply(1, null, 'unknown database');
    expect(third.reply(2, 'schema?')).toEqual(['hangUp', 'phase closing MALFORMED_SCHEMA']);
  });

  test('a database that cannot say what it has', () => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, {});
    expect(machine.reply(2, { Database: 5 })).toEqual(['hangUp', 'phase closing MALFORMED_UPDATE']);
  });
});

describe('following', () => {
  test('updates carry their transaction id into the next connection', () => {
    const machine = new Machine().live();
    expect(machine.update('update3', 'rows-1', TXN_2, { T: {} })).toEqual(['update update2 {"T":{}}']);
    machine.do({ type: 'disconnected', jitter: 0 });
    machine.tick(1000);
    machine.do({ type: 'connected' });
    machine.reply(4, null, 'unknown database');
    expect(machine.reply(5, SCHEMA)).toEqual([monitor('monitor_cond_since', 2, TXN_2)]);
    expect(machine.reply(6, [true, TXN_3, { T: {} }])).toEqual(['resumption update2 {"T":{}}', 'phase live']);
    expect(machine.state.lastTxnId).toBe(TXN_3);
  });

  test('another schema: what we have is no base for differences', () => {
    const machine = new Machine().live();
    machine.do({ type: 'disconnected', jitter: 0 });
    machine.tick(1000);
    machine.do({ type: 'connected' });
    machine.reply(4, null, 'unknown database');
    expect(machine.reply(5, { ...SCHEMA, version: '2' })).toEqual([monitor('monitor_cond_since', 2, ZERO)]);
  });

  test('updates before the reply wait for it', () => {
    const machine = new Machine().connect();
    expect(machine.update('update3', 'rows-1', TXN_2, { T: { early: 1 } })).toEqual([]);
    expect(machine.update('update3', 'rows-1', TXN_3, { T: { early: 2 } })).toEqual([]);
    expect(machine.reply(3, [false, TXN_1, {}])).toEqual([
      'snapshot update2 {}',
      'update update2 {"T":{"early":1}}',
      'update update2 {"T":{"early":2}}',
      'phase live',
    ]);
    expect(machine.state.lastTxnId).toBe(TXN_3);
  });

  test('those that the reply contains already are not applied again', () => {
    const machine = new Machine().connect();
    machine.update('update3', 'rows-1', TXN_1, { T: { early: 1 } });
    machine.update('update3', 'rows-1', TXN_2, { T: { early: 2 } });
    machine.update('update3', 'rows-1', TXN_3, { T: { early: 3 } });
    expect(machine.reply(3, [false, TXN_2, {}])).toEqual([
      'snapshot update2 {}',
      'update update2 {"T":{"early":3}}',
      'phase live',
    ]);
  });

  test('a standalone server has no ids: nothing is taken for contained', () => {
    const machine = new Machine().connect();
    machine.update('update3', 'rows-1', ZERO, { T: { early: 1 } });
    expect(machine.reply(3, [false, ZERO, {}])).toContain('update update2 {"T":{"early":1}}');
  });

  test('too many updates before the reply', () => {
    const machine = new Machine({}, { queuedUpdates: 1 }).connect();
    machine.update('update3', 'rows-1', TXN_2, {});
    expect(machine.update('update3', 'rows-1', TXN_3, {})).toEqual(['hangUp', 'phase closing TOO_MANY_UPDATES']);
  });

  test('what is late for an older monitor is not ours', () => {
    const machine = new Machine().live();
    expect(machine.update('update3', 'rows-0', TXN_2, { T: {} })).toEqual([]);
    expect(machine.state.lastTxnId).toBe(TXN_1);
  });

  test.each<[string, string, unknown[]]>([
    ['an update3 without id', 'update3', ['rows-1', {}]],
    ['an update3 with an id that is none', 'update3', ['rows-1', 7, {}]],
  ])('%s', (_name, method, params) => {
    expect(new Machine().live().update(method, ...params)).toEqual(['hangUp', 'phase closing MALFORMED_UPDATE']);
  });

  test.each([[null], [{}], [[]], [[true, TXN_1]], [[1, TXN_1, {}]], [[true, 'x', {}]]])(
    'a malformed reply to monitor_cond_since: %j',
    (result) => {
      expect(new Machine().connect().reply(3, result)).toEqual(['hangUp', 'phase closing MALFORMED_UPDATE']);
    },
  );

  test('the replica could not follow: everything anew', () => {
    const machine = new Machine().live();
    const error = new OvsdbError('REPLICA_DIVERGED', 'x');
    expect(machine.do({ type: 'fault', error })).toEqual(['hangUp', 'phase closing REPLICA_DIVERGED']);
    expect(machine.state.lastTxnId).toBe(ZERO);
  });

  test('monitor_canceled: schema and rows anew, on the same connection', () => {
    const machine = new Machine().live();
    expect(machine.update('monitor_canceled', 'rows-0')).toEqual([]);
    expect(machine.update('monitor_canceled', 'rows-1')).toEqual(['get_schema ["X"]', 'phase handshake']);
    expect(machine.update('update3', 'rows-1', TXN_2, { T: {} })).toEqual([]);
    expect(machine.reply(4, SCHEMA)).toEqual([monitor('monitor_cond_since', 2, ZERO)]);
    expect(machine.reply(5, [false, TXN_3, {}])).toEqual(['snapshot update2 {}', 'phase live']);
  });

  test('monitor_canceled because the database is gone', () => {
    const machine = new Machine().live();
    machine.update('monitor_canceled', 'rows-1');
    expect(machine.reply(4, null, 'unknown database')).toEqual(['hangUp', 'phase closing NO_SUCH_DATABASE']);
  });

  test('notifications and requests that we do not know', () => {
    const machine = new Machine().live();
    expect(machine.update('locked', 'x')).toEqual([]);
    expect(machine.gets({ kind: 'request', id: 1, method: 'steal', params: [] })).toEqual(['reply "unknown method"']);
    expect(machine.reply(99, {})).toEqual([]);
  });
});

describe('liveness', () => {
  test('the server probes: its echo comes back', () => {
    const machine = new Machine().live();
    expect(machine.gets({ kind: 'request', id: 'echo', method: 'echo', params: ['x'] })).toEqual(['reply ["x"]']);
  });

  test('silence: a probe, and after as much again the end', () => {
    const machine = new Machine().live();
    expect(nextTickMs(machine.state)).toBe(machine.nowMs + 5000);
    expect(machine.tick(4999)).toEqual([]);
    expect(machine.tick(1)).toEqual(['echo []']);
    expect(machine.tick(4999)).toEqual([]);
    expect(machine.tick(1)).toEqual(['hangUp', 'phase closing PEER_SILENT']);
  });

  test('whatever comes is a sign of life', () => {
    const machine = new Machine().live();
    machine.tick(5000);
    machine.nowMs += 4000;
    machine.do({ type: 'received' });
    expect(machine.tick(4999)).toEqual([]);
    expect(machine.tick(1)).toEqual(['echo []']);
    machine.reply(4, []);
    expect(machine.state.requests.size).toBe(1);
    machine.reply(5, []);
    expect(machine.state.requests.size).toBe(0);
  });

  test('no connection in time', () => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    expect(nextTickMs(machine.state)).toBe(6000);
    expect(machine.tick(5000)).toEqual(['hangUp', 'phase closing UNREACHABLE']);
  });

  test('a server that accepts and says nothing', () => {
    const machine = new Machine().connect();
    expect(nextTickMs(machine.state)).toBe(machine.nowMs + 5000);
    expect(machine.tick(5000)).toEqual(['echo []']);
    expect(machine.tick(5000)).toEqual(['hangUp', 'phase closing PEER_SILENT']);
  });

  test('no reply in time; but a dump that is coming may take long', () => {
    const machine = new Machine().connect();
    for (let second = 0; second < 60; second++) {
      machine.nowMs += 1000;
      machine.do({ type: 'received' });
      expect(machine.do({ type: 'tick' })).toEqual([]);
    }
    expect(machine.tick(5000)).toEqual(['echo []']);
    expect(machine.tick(5000)).toEqual(['hangUp', 'phase closing PEER_SILENT']);
  });

  test('a transaction without reply, on a connection that lives', () => {
    const machine = new Machine().live();
    machine.do({ type: 'transact', token: 1, operations: [] });
    for (let i = 0; i < 29; i++) {
      machine.nowMs += 1000;
      machine.do({ type: 'received' });
      expect(machine.do({ type: 'tick' })).toEqual([]);
    }
    expect(machine.tick(1000)).toEqual(['hangUp', 'phase closing REQUEST_TIMEOUT']);
    expect(machine.do({ type: 'disconnected', jitter: 0 })).toContain('notTransacted 1 OUTCOME_UNKNOWN');
  });
});

describe('audits, where there is a table of one row', () => {
  const SINGLE = { ...SCHEMA, tables: { T: { ...SCHEMA.tables.T, maxRows: 1 } } };
  const SELECT = 'transact ["X",{"op":"select","table":"T","where":[],"columns":["_uuid","a"]}]';

  /** Live, and so long without data that an audit is under way: its request id is the one given. */
  function audited(): { machine: Machine; id: number } {
    const machine = new Machine();
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, null, 'unknown database');
    machine.reply(2, SINGLE);
    machine.reply(3, [false, TXN_1, {}]);
    machine.nowMs += 4999;
    machine.do({ type: 'received' });
    expect(machine.do({ type: 'tick' })).toEqual([]);
    expect(machine.tick(1)).toEqual([SELECT]);
    expect(machine.tick(1)).toEqual([]);
    return { machine, id: 4 };
  }

  test('rows as we know them: again after an interval', () => {
    const { machine, id } = audited();
    expect(machine.reply(id, [{ rows: [] }])).toEqual(['verify T []']);
    expect(machine.do({ type: 'verified', isEqual: true })).toEqual([]);
    machine.nowMs += 4999;
    machine.do({ type: 'received' });
    expect(machine.tick(1)).toEqual([SELECT]);
  });

  test('others, twice in a row: the monitor is silent, everything is read anew', () => {
    const { machine, id } = audited();
    machine.reply(id, [{ rows: [] }]);
    expect(machine.do({ type: 'verified', isEqual: false })).toEqual([]);
    machine.nowMs += 4999;
    machine.do({ type: 'received' });
    expect(machine.tick(1)).toEqual([SELECT]);
    machine.reply(id + 1, [{ rows: [] }]);
    expect(machine.do({ type: 'verified', isEqual: false })).toEqual(['hangUp', 'phase closing MONITOR_SILENT']);
    expect(machine.state.lastTxnId).toBe(ZERO);
  });

  test('an update puts the next one off', () => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    machine.do({ type: 'connected' });
    machine.reply(1, null, 'unknown database');
    machine.reply(2, SINGLE);
    machine.reply(3, [false, TXN_1, {}]);
    machine.nowMs += 4000;
    machine.update('update3', 'rows-1', TXN_2, {});
    expect(machine.tick(4999)).toEqual([]);
  });

  test.each([[null], [[]], [[{ error: 'permission error' }]]])('a server that does not let us ask: %j', (result) => {
    const { machine, id } = audited();
    expect(machine.reply(id, result)).toEqual([]);
    expect(machine.state.phase).toBe('live');
  });
});

describe('back-off', () => {
  /** The waits of eight attempts that fail at once. */
  function waits(jitter: number): number[] {
    const machine = new Machine();
    machine.do({ type: 'start' });
    return Array.from({ length: 6 }, () => {
      machine.do({ type: 'disconnected', jitter });
      const waitMs = (nextTickMs(machine.state) ?? 0) - machine.nowMs;
      expect(machine.tick(waitMs - 1)).toEqual([]);
      expect(machine.tick(1)).toEqual(['dial 0', 'phase connecting']);
      return waitMs;
    });
  }

  test('1 s to 8 s, spread by jitter', () => {
    expect(waits(0)).toEqual([1000, 1000, 1000, 1000, 1000, 1000]);
    expect(waits(0.5)).toEqual([1500, 2500, 4500, 4500, 4500, 4500]);
    expect(waits(1)).toEqual([2000, 4000, 8000, 8000, 8000, 8000]);
  });

  test.each<[string, number, number]>([
    ['a session that lasted begins anew', 8000, 2000],
    ['one that did not, does not', 7999, 8000],
  ])('%s', (_name, liveMs, waitMs) => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    for (let i = 0; i < 4; i++) {
      machine.do({ type: 'disconnected', jitter: 1 });
      machine.tick(8000);
    }
    machine.do({ type: 'connected' });
    machine.reply(1, null, 'unknown database');
    machine.reply(2, SCHEMA);
    machine.reply(3, [false, TXN_1, {}]);
    machine.nowMs += liveMs;
    machine.do({ type: 'disconnected', jitter: 1 });
    expect((nextTickMs(machine.state) ?? 0) - machine.nowMs).toBe(waitMs);
  });

  test('every target has its turn', () => {
    const machine = new Machine({ targetCount: 3 });
    const dialled = [machine.do({ type: 'start' })[0]];
    for (let i = 0; i < 3; i++) {
      machine.do({ type: 'disconnected', jitter: 0 });
      dialled.push(machine.tick(1000)[0]);
    }
    expect(dialled).toEqual(['dial 0', 'dial 1', 'dial 2', 'dial 0']);
  });

  test('the reason of an end is the first one', () => {
    const machine = new Machine();
    machine.do({ type: 'start' });
    const error = new OvsdbError('UNREACHABLE', 'x');
    expect(machine.do({ type: 'disconnected', jitter: 0, error })).toEqual(['phase backoff UNREACHABLE']);
    machine.tick(1000);
    machine.do({ type: 'connected' });
    expect(machine.do({ type: 'disconnected', jitter: 0 })).toEqual(['phase backoff DISCONNECTED']);
  });

  test('servers that call are waited for', () => {
    const machine = new Machine({ targetCount: 0 });
    expect(machine.do({ type: 'start' })).toEqual([]);
    expect(machine.do({ type: 'connected' })).toEqual(['get_schema ["_Server"]', 'phase handshake']);
    expect(machine.do({ type: 'disconnected', jitter: 1 })).toEqual(['phase idle DISCONNECTED']);
    expect(nextTickMs(machine.state)).toBeUndefined();
    expect(machine.do({ type: 'connected' })).toEqual(['get_schema ["_Server"]', 'phase handshake']);
  });
});

describe('transactions', () => {
  test('sent and answered', () => {
    const machine = new Machine().live();
    const operations = [{ op: 'comment', comment: 'x' }];
    expect(machine.do({ type: 'transact', token: 7, operations })).toEqual([
      'transact ["X",{"op":"comment","comment":"x"}]',
    ]);
    expect(machine.reply(4, [{}])).toEqual(['transacted 7 [{}]']);
  });

  test('refused as a whole', () => {
    const machine = new Machine().live();
    machine.do({ type: 'transact', token: 7, operations: [] });
    expect(machine.reply(4, null, 'syntax error')).toEqual(['notTransacted 7 REQUEST_REFUSED']);
  });

  test('not sent while not live, and not beyond the bound', () => {
    const machine = new Machine({}, { requestsInFlight: 1 });
    expect(machine.do({ type: 'transact', token: 1, operations: [] })).toEqual(['notTransacted 1 NOT_CONNECTED']);
    machine.live();
    machine.do({ type: 'transact', token: 2, operations: [] });
    expect(machine.do({ type: 'transact', token: 3, operations: [] })).toEqual(['notTransacted 3 TOO_MANY_REQUESTS']);
  });

  test('under way when the connection breaks, or the client is closed', () => {
    const machine = new Machine().live();
    machine.do({ type: 'transact', token: 1, operations: [] });
    expect(machine.do({ type: 'disconnected', jitter: 0 })).toEqual([
      'notTransacted 1 OUTCOME_UNKNOWN',
      'phase backoff DISCONNECTED',
    ]);
    const other = new Machine().live();
    other.do({ type: 'transact', token: 1, operations: [] });
    expect(other.do({ type: 'close' })).toEqual(['notTransacted 1 CLOSED', 'hangUp', 'phase closed']);
    expect(other.do({ type: 'disconnected', jitter: 0 })).toEqual([]);
    expect(other.do({ type: 'start' })).toEqual([]);
    expect(nextTickMs(other.state)).toBeUndefined();
    expect(other.do({ type: 'transact', token: 2, operations: [] })).toEqual(['notTransacted 2 CLOSED']);
  });
});

test('whatever a peer says, in whatever order: no exception, and no way out but hanging up', () => {
  const json = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(SCHEMA, TXN_1, 'rows-1', 'server', {}, [], serverRow({ name: 'X' })),
  );
  const messages: fc.Arbitrary<RpcMessage> = fc.oneof(
    fc.record({ kind: fc.constant('reply' as const), id: fc.nat(8), result: json, error: fc.constant(null) }),
    fc.record({ kind: fc.constant('reply' as const), id: json, result: fc.constant(null), error: json }),
    fc.record({
      kind: fc.constant('notification' as const),
      method: fc.constantFrom('update', 'update2', 'update3', 'monitor_canceled', 'x'),
      params: fc.array(json, { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('request' as const), id: json, method: fc.string(), params: fc.array(json) }),
  );
  fc.assert(
    fc.property(fc.nat(4), fc.array(messages, { maxLength: 10 }), (known, said) => {
      const machine = new Machine();
      machine.do({ type: 'start' });
      machine.do({ type: 'connected' });
      // Some steps of a good handshake first, so that every step is met by nonsense.
      const good = [{}, serverRow({ name: 'X' }), {}, SCHEMA, [false, TXN_1, {}]];
      good.slice(0, known).forEach((result, i) => {
        machine.reply(i + 1, result);
      });
      for (const message of said) machine.gets(message);
      expect(['handshake', 'live', 'closing']).toContain(machine.state.phase);
    }),
    { numRuns: 2000 },
  );
});
