/**
 * JSON-RPC messages: what is one, what is none.
 */
import { describe, expect, test } from 'vitest';
import { OvsdbError } from '../../src/ovsdb/errors.ts';
import { decodeMessage, echoReply, encodeMessage, type RpcMessage } from '../../src/ovsdb/rpc.ts';

describe('messages', () => {
  test.each<[object, RpcMessage]>([
    [
      { method: 'echo', params: [], id: 'echo' },
      { kind: 'request', method: 'echo', params: [], id: 'echo' },
    ],
    [
      { method: 'update2', params: ['a', {}], id: null },
      { kind: 'notification', method: 'update2', params: ['a', {}] },
    ],
    [
      { method: 'update', params: [] },
      { kind: 'notification', method: 'update', params: [] },
    ],
    [
      { id: 3, result: {}, error: null },
      { kind: 'reply', id: 3, result: {}, error: null },
    ],
    [
      { id: 3, result: [] },
      { kind: 'reply', id: 3, result: [], error: null },
    ],
    [
      { id: 3, result: null, error: 'unknown method' },
      { kind: 'reply', id: 3, result: null, error: 'unknown method' },
    ],
  ])('%j', (json, message) => {
    expect(decodeMessage(json)).toEqual(message);
  });

  test.each([
    [{}],
    [[]],
    [{ id: 1 }],
    [{ method: 5, params: [] }],
    [{ method: 'echo', params: {} }],
    [{ method: 'echo' }],
    [{ id: null, result: {}, error: null }],
    [{ id: 1, result: {}, error: 'both' }],
  ])('%j is none', (json) => {
    expect(() => decodeMessage(json)).toThrow(OvsdbError);
    expect(() => decodeMessage(json)).toThrow(/not JSON-RPC 1\.0/);
  });

  test('integers beyond 2^53 are written as they are', () => {
    const text = encodeMessage({ kind: 'request', id: 1, method: 'transact', params: [2n ** 63n - 1n] });
    expect(text).toBe('{"method":"transact","params":[9223372036854775807],"id":1}');
  });

  test('an echo comes back with its id and params', () => {
    const echo = { kind: 'request', id: 'x', method: 'echo', params: [1, 'a'] } as const;
    expect(encodeMessage(echoReply(echo) ?? echo)).toBe('{"id":"x","result":[1,"a"],"error":null}');
    expect(echoReply({ ...echo, method: 'steal' })).toBeUndefined();
  });
});
