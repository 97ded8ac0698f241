/**
 * JSON-RPC 1.0 messages (RFC 7047 §4): what a JSON object means, and how ours are written. Serves session and connection.
 */
import { excerpt, isObject, OvsdbError } from './errors.ts';

export interface RpcRequest {
  readonly kind: 'request';
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

export interface RpcNotification {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: readonly unknown[];
}

export interface RpcReply {
  readonly kind: 'reply';
  readonly id: unknown;
  /** null when there is an error. */
  readonly result: unknown;
  /** null when there is none. */
  readonly error: unknown;
}

export type RpcMessage = RpcRequest | RpcNotification | RpcReply;

/** What a parsed JSON object says. Throws OvsdbError MALFORMED_RPC. */
export function decodeMessage(json: unknown): RpcMessage {
  if (!isObject(json)) throw malformed(json);
  const { id = null, method, params, result, error } = json;
  if (method !== undefined) {
    if (typeof method !== 'string' || !Array.isArray(params)) throw malformed(json);
    return id === null ? { kind: 'notification', method, params } : { kind: 'request', id, method, params };
  }
  if (id === null || (result === undefined && error === undefined)) throw malformed(json);
  // Some servers leave out the member that would be null.
  const reply: RpcReply = { kind: 'reply', id, result: result ?? null, error: error ?? null };
  if (reply.result !== null && reply.error !== null) throw malformed(json);
  return reply;
}

/** The bytes of a message, as text. */
export function encodeMessage(message: RpcMessage): string {
  switch (message.kind) {
    case 'request':
      return stringify({ method: message.method, params: message.params, id: message.id });
    case 'notification':
      return stringify({ method: message.method, params: message.params, id: null });
    case 'reply':
      return stringify({ id: message.id, result: message.result, error: message.error });
  }
}

/** The reply that an echo request wants (RFC 7047 §4.1.11); undefined for any other message. */
export function echoReply(message: RpcMessage): RpcReply | undefined {
  if (message.kind !== 'request' || message.method !== 'echo') return undefined;
  return { kind: 'reply', id: message.id, result: message.params, error: null };
}

/** The reply to a request that a client does not serve. */
export function refusal(request: RpcRequest): RpcReply {
  return { kind: 'reply', id: request.id, result: null, error: 'unknown method' };
}

/** JSON with bigints as the integers that they are. */
function stringify(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? rawJson(`${item}`) : item));
}

declare global {
  interface JSON {
    /** Of ES2026, in every Node that heddle runs on. */
    rawJSON(text: string): unknown;
  }
}

function rawJson(text: string): unknown {
  return JSON.rawJSON(text);
}

function malformed(json: unknown): OvsdbError {
  return new OvsdbError('MALFORMED_RPC', `The peer sent a message that is not JSON-RPC 1.0: ${excerpt(json)}.`);
}
