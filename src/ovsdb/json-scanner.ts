/**
 * Cuts a byte stream into JSON objects. JSON-RPC over a stream has no framing (RFC 7047 §4): a message ends where its braces
 * close, so this follows braces and strings and nothing else, whatever the chunks. Serves the connection.
 *
 * Bounds: the size of one message, and the depth of its nesting. What exceeds them, or is no object, is an OvsdbError; the
 * scanner is then of no further use, and its connection is dropped.
 */
import { isUtf8 } from 'node:buffer';
import { OvsdbError } from './errors.ts';

export interface ScannerBounds {
  /** Bytes of one message. */
  readonly messageSize: number;
  /** Brackets and braces open at once. */
  readonly nestingDepth: number;
}

/** A number of this many digits may be beyond 2^53. */
const LONG_NUMBER_LENGTH = 16;
/** No integer of 64 bits is longer. */
const INTEGER_LENGTH_MAX = 20;
/** The first allocation for a message that comes in pieces. */
const INITIAL_BUFFER_SIZE = 4096;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

export class JsonScanner {
  readonly #bounds: ScannerBounds;
  /** The beginning of a message whose end has not come. */
  #buffer: Buffer = Buffer.alloc(0);
  #bufferedSize = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #digitCount = 0;
  #hasLongNumber = false;

  constructor(bounds: ScannerBounds) {
    this.#bounds = bounds;
  }

  /** Bytes held for a message whose end has not come. */
  get bufferedSize(): number {
    return this.#bufferedSize;
  }

  /**
   * Take in a chunk; gives each message that it completes, parsed, as it is asked for. Throws OvsdbError MALFORMED_JSON,
   * MESSAGE_TOO_LARGE or NESTED_TOO_DEEP.
   */
  *push(chunk: Uint8Array): Generator<unknown, void, undefined> {
    let start = 0;
    while (start < chunk.length) {
      if (this.#depth === 0) {
        start = skipBlanks(chunk, start);
        if (start === chunk.length) return;
        if (chunk[start] !== OPEN_BRACE) throw notAnObject(chunk[start]);
      }
      const end = this.#scan(chunk, start);
      const isComplete = this.#depth === 0;
      const part = chunk.subarray(start, end);
      if (this.#bufferedSize + part.length > this.#bounds.messageSize) throw tooLarge(this.#bounds.messageSize);
      start = end;
      if (isComplete) yield this.#complete(part);
      else this.#append(part);
    }
  }

  /** Follow the message from `start` to its end or the chunk's; gives the index behind the last byte that belongs to it. */
  #scan(chunk: Uint8Array, start: number): number {
    let depth = this.#depth;
    let isInString = this.#isInString;
    let isEscaped = this.#isEscaped;
    let digitCount = this.#digitCount;
    let i = start;
    for (; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) isInString = false;
        continue;
      }
      if (byte >= DIGIT_0 && byte <= DIGIT_9) {
        digitCount += 1;
        if (digitCount === LONG_NUMBER_LENGTH) this.#hasLongNumber = true;
        continue;
      }
      digitCount = 0;
      if (byte === QUOTE) isInString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        depth += 1;
        if (depth > this.#bounds.nestingDepth) throw tooDeep(this.#bounds.nestingDepth);
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth -= 1;
        if (depth === 0) {
          i += 1;
          break;
        }
      }
    }
    this.#depth = depth;
    this.#isInString = isInString;
    this.#isEscaped = isEscaped;
    this.#digitCount = digitCount;
    return i;
  }

  /** Doubling, so that a message in a million chunks costs no more than one in a few. */
  #append(part: Uint8Array): void {
    const size = this.#bufferedSize + part.length;
    if (size > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(size, 2 * this.#buffer.length, INITIAL_BUFFER_SIZE));
      this.#buffer.copy(grown, 0, 0, this.#bufferedSize);
      this.#buffer = grown;
    }
    this.#buffer.set(part, this.#bufferedSize);
    this.#bufferedSize = size;
  }

  #complete(part: Uint8Array): unknown {
    let message: Uint8Array = part;
    if (this.#bufferedSize > 0) {
      this.#append(part);
      message = this.#buffer.subarray(0, this.#bufferedSize);
      // A large dump comes once: its room is not kept.
      this.#buffer = Buffer.alloc(0);
      this.#bufferedSize = 0;
    }
    const hasLongNumber = this.#hasLongNumber;
    this.#hasLongNumber = false;
    this.#digitCount = 0;
    return parseJson(message, hasLongNumber);
  }
}

function parseJson(bytes: Uint8Array, hasLongNumber: boolean): unknown {
  if (!isUtf8(bytes)) throw new OvsdbError('MALFORMED_JSON', 'The peer sent a message that is not UTF-8.');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    // The reviver costs several times the parsing, and almost no message needs it.
    return hasLongNumber ? JSON.parse(text, exactInteger) : JSON.parse(text);
  } catch (error) {
    if (error instanceof OvsdbError) throw error;
    throw new OvsdbError('MALFORMED_JSON', 'The peer sent a message that is not JSON.', {}, { cause: error });
  }
}

/** OVSDB's integers have 64 bits (RFC 7047 §3.1): those that a number would round become bigints. */
function exactInteger(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? '';
  if (!/^-?[0-9]+$/.test(source)) return value;
  if (source.length > INTEGER_LENGTH_MAX) {
    throw new OvsdbError('MALFORMED_JSON', `The peer sent an integer of ${source.length} digits.`);
  }
  return BigInt(source);
}

function skipBlanks(chunk: Uint8Array, start: number): number {
  let i = start;
  for (; i < chunk.length; i++) {
    const byte = chunk[i];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
  }
  return i;
}

function notAnObject(byte: number | undefined): OvsdbError {
  const hex = (byte ?? 0).toString(16).padStart(2, '0');
  return new OvsdbError('MALFORMED_JSON', `The peer does not speak JSON-RPC: a message begins with byte 0x${hex}.`);
}

function tooLarge(size: number): OvsdbError {
  return new OvsdbError('MESSAGE_TOO_LARGE', `The peer sent a message of more than ${size} bytes.`, { limit: size });
}

function tooDeep(depth: number): OvsdbError {
  return new OvsdbError('NESTED_TOO_DEEP', `The peer sent a message nested deeper than ${depth}.`, { limit: depth });
}
