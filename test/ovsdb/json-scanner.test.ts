/**
 * Framing: every vector in every cut, and whatever is no message.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OvsdbError } from '../../src/ovsdb/errors.ts';
import { JsonScanner } from '../../src/ovsdb/json-scanner.ts';

const BOUNDS = { messageSize: 4096, nestingDepth: 64 };

/** Streams and the messages in them. */
const VECTORS: readonly (readonly [string, string, readonly unknown[]])[] = [
  ['one', '{"a":1}', [{ a: 1 }]],
  ['two at once', '{"a":1}{"b":[2]}', [{ a: 1 }, { b: [2] }]],
  ['blanks between', ' \r\n\t{"a":1} \n {"b":2}\n', [{ a: 1 }, { b: 2 }]],
  ['braces in strings', '{"a":"}{][","{":"}"}', [{ a: '}{][', '{': '}' }]],
  ['escaped quotes', '{"a":"\\"}","b\\\\":"\\\\"}', [{ a: '"}', 'b\\': '\\' }]],
  ['escaped code points', '{"a":"\\u007d\\u0022"}', [{ a: '}"' }]],
  ['text beyond ASCII', '{"a":"Zürich 机 🧵"}{"b":0}', [{ a: 'Zürich 机 🧵' }, { b: 0 }]],
  ['integers at the edge', '{"a":[9007199254740991,-9007199254740991]}', [{ a: [2 ** 53 - 1, 1 - 2 ** 53] }]],
  ['integers beyond', '{"a":[9007199254740993,-9223372036854775808]}', [{ a: [9007199254740993n, -(2n ** 63n)] }]],
  ['long reals', '{"a":[0.1250000000000000000,1.25000000000000000e2]}', [{ a: [0.125, 125] }]],
  ['digits in strings', '{"a":"12345678901234567890"}', [{ a: '12345678901234567890' }]],
  ['a key that objects have', '{"__proto__":{"a":1}}', [JSON.parse('{"__proto__":{"a":1}}')]],
];

function scan(chunks: Iterable<Uint8Array>, bounds = BOUNDS): unknown[] {
  const scanner = new JsonScanner(bounds);
  return [...chunks].flatMap((chunk) => [...scanner.push(chunk)]);
}

/** The bytes, cut at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof OvsdbError) return error.code;
    throw error;
  }
  return 'no error';
}

describe.each(VECTORS)('%s', (_name, text, messages) => {
  const bytes = Buffer.from(text);

  test('in one chunk', () => {
    expect(scan([bytes])).toEqual(messages);
  });

  test('byte by byte', () => {
    expect(scan([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(messages);
  });

  test('cut at every place', () => {
    for (let place = 0; place <= bytes.length; place++) expect(scan(cut(bytes, [place]))).toEqual(messages);
  });

  test('cut at any three places', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 3 }), (places) => {
        expect(scan(cut(bytes, places))).toEqual(messages);
      }),
    );
  });

  test('truncated at every length: whole messages or none, never an error', () => {
    for (let length = 0; length < bytes.length; length++) {
      const found = scan([bytes.subarray(0, length)]);
      expect(found).toEqual(messages.slice(0, found.length));
    }
  });
});

describe('what is no message', () => {
  test.each<[string, string | Uint8Array, string]>([
    ['text', 'hello', 'MALFORMED_JSON'],
    ['an array', '[1]', 'MALFORMED_JSON'],
    ['a TLS hello', Uint8Array.of(0x16, 3, 1, 2), 'MALFORMED_JSON'],
    ['an OpenFlow hello', Uint8Array.of(4, 0, 0, 8, 0, 0, 0, 1), 'MALFORMED_JSON'],
    ['a stray brace', '}', 'MALFORMED_JSON'],
    ['mixed brackets', '{"a":[1}]', 'MALFORMED_JSON'],
    ['no JSON between braces', '{a}', 'MALFORMED_JSON'],
    ['a trailing comma', '{"a":1,}', 'MALFORMED_JSON'],
    ['bad UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), 'MALFORMED_JSON'],
    ['half a code point', Uint8Array.of(0x7b, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d), 'MALFORMED_JSON'],
    ['a null byte', '{"a":"\0"}', 'MALFORMED_JSON'],
    ['an integer of a thousand digits', `{"a":${'9'.repeat(1000)}}`, 'MALFORMED_JSON'],
    ['deep nesting', `{"a":${'['.repeat(64)}`, 'NESTED_TOO_DEEP'],
    ['a string without end', `{"a":"${'x'.repeat(5000)}`, 'MESSAGE_TOO_LARGE'],
    ['a whole message that is too large', `{"a":"${'x'.repeat(5000)}"}`, 'MESSAGE_TOO_LARGE'],
  ])('%s', (_name, input, code) => {
    const bytes = Buffer.from(input);
    expect(codeOf(() => scan([bytes]))).toBe(code);
    expect(codeOf(() => scan([...bytes].map((byte) => Uint8Array.of(byte))))).toBe(code);
  });

  test('any bytes: messages or an OvsdbError, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        codeOf(() => scan([bytes]));
        codeOf(() => scan([Buffer.concat([Buffer.from('{"a":'), bytes])]));
      }),
      { numRuns: 2000 },
    );
  });

  test('any change of one byte of a message: messages or an OvsdbError', () => {
    const bytes = Buffer.from('{"id":null,"method":"update3","params":["x",["set",[1,2.5,true]],{"a":"\\u00e9"}]}');
    for (let place = 0; place < bytes.length; place++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = Buffer.from(bytes);
        changed[place] = byte;
        codeOf(() => scan([changed]));
      }
    }
  });
});

describe('bounds', () => {
  test('a message of just the size passes, one byte more does not', () => {
    const text = `{"a":"${'x'.repeat(100)}"}`;
    expect(scan([Buffer.from(text)], { ...BOUNDS, messageSize: text.length })).toHaveLength(1);
    expect(codeOf(() => scan([Buffer.from(text)], { ...BOUNDS, messageSize: text.length - 1 }))).toBe(
      'MESSAGE_TOO_LARGE',
    );
  });

  test('nesting of just the depth passes', () => {
    const text = `{"a":${'['.repeat(63)}${']'.repeat(63)}}`;
    expect(scan([Buffer.from(text)])).toHaveLength(1);
  });

  test('nothing is held once a message is complete, and never more than the bound', () => {
    const scanner = new JsonScanner(BOUNDS);
    expect([...scanner.push(Buffer.from('{"a":"'))]).toEqual([]);
    expect(scanner.bufferedSize).toBe(6);
    const half = Buffer.alloc(2048, 'x');
    expect([...scanner.push(half)]).toEqual([]);
    expect(codeOf(() => [...scanner.push(half)])).toBe('MESSAGE_TOO_LARGE');
    expect(scanner.bufferedSize).toBeLessThanOrEqual(BOUNDS.messageSize);
    const other = new JsonScanner(BOUNDS);
    expect([...other.push(Buffer.from('{"a":')), ...other.push(Buffer.from('1}'))]).toEqual([{ a: 1 }]);
    expect(other.bufferedSize).toBe(0);
  });

  test('4 MB byte by byte are not copied again and again', () => {
    const scanner = new JsonScanner({ messageSize: 8 * 1024 * 1024, nestingDepth: 64 });
    const chunk = Uint8Array.of(0x78);
    const startMs = performance.now();
    [...scanner.push(Buffer.from('{"a":"'))];
    for (let i = 0; i < 4 * 1024 * 1024; i++) for (const _ of scanner.push(chunk)) expect.unreachable();
    expect([...scanner.push(Buffer.from('"}'))]).toHaveLength(1);
    // Quadratic copying would take minutes.
    expect(performance.now() - startMs).toBeLessThan(15_000);
  });
});
