/** Text to values and back to places: the JSON reader against JSON.parse and against the YAML reader. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../src/topology/json.ts';
import { type ParsedText, pathToText, Source } from '../../src/topology/source.ts';
import { parseYaml } from '../../src/topology/yaml.ts';

/** Every mark with the path to it. */
function marksOf(parsed: ParsedText): readonly unknown[] {
  const found: unknown[] = [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    found.push([path, parsed.marks.get(value)]);
    for (const [key, inside] of Object.entries(value)) visit(inside, `${path}/${key}`);
  };
  visit(parsed.value, '');
  return found;
}

/** JSON.parse and the YAML reader take -0 and some huge numbers differently; topologies have neither. */
const json = fc.json({ noUnicodeString: false, maxDepth: 4 }).filter((text) => !/-0|e[+-]?\d|__proto__/i.test(text));

describe('parseJson', () => {
  test('reads what JSON.parse reads', () => {
    const property = fc.property(json, (text) => {
      expect(parseJson(text)?.value).toEqual(JSON.parse(text));
    });
    fc.assert(property, { numRuns: 300 });
  });

  test('finds values and places as the YAML reader does', () => {
    const pretty = fc.tuple(json, fc.nat(3)).map(([text, indent]) => JSON.stringify(JSON.parse(text), null, indent));
    const property = fc.property(pretty, (text) => {
      const parsed = parseJson(text);
      const reference = parseYaml(text);
      expect(reference.problems).toEqual([]);
      expect(parsed?.value).toEqual(reference.value);
      expect(parsed && marksOf(parsed)).toEqual(marksOf(reference));
    });
    fc.assert(property, { numRuns: 300 });
  });

  test('leaves to the YAML reader what JSON.parse refuses', () => {
    const broken = fc
      .tuple(json, fc.nat(), fc.constantFrom('', ',', '}', '"', '\\', '\u0001', 'x', '01'))
      .map(([text, at, inserted]) => {
        const index = at % (text.length + 1);
        return text.slice(0, index) + inserted + text.slice(index + 1);
      });
    const property = fc.property(broken, (text) => {
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      expect(parseJson(text) !== undefined).toBe(isJson);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test.each([
    '[',
    '{',
    '{"a',
    '{"a":',
    '"\\',
    '"\\u12',
    '[1,]',
    '{"a":1,}',
    'nul',
    '-',
    '1.',
    '[1 2]',
    '{"a" 1}',
    '',
    '"a"x',
  ])('refuses %j', (text) => expect(parseJson(text)).toBeUndefined());

  test('a repeated key is a problem', () => {
    const message = 'the key "a" is there already; keep one of the two';
    expect(parseJson('{"a":1, "a":2}')?.problems).toEqual([{ offset: 8, message }]);
  });

  test('nesting has an end', () => {
    expect(parseJson('['.repeat(100_000))).toBeUndefined();
  });
});

describe('parseYaml', () => {
  test('nesting has an end', () => {
    expect(parseYaml('['.repeat(100_000)).isSound).toBe(false);
  });

  test('an alias is what its anchor is, and is where the anchor is', () => {
    const parsed = parseYaml('a: &x { b: 1 }\nc: *x\nd: [&y 5, *y]\n');
    expect(parsed.value).toEqual({ a: { b: 1 }, c: { b: 1 }, d: [5, 5] });
    const source = new Source('a: &x { b: 1 }\nc: *x\n', parsed);
    expect(source.place(['c', 'b'])).toMatchObject({ line: 1, path: 'c.b' });
  });

  test('an alias of what it is in does not loop', () => {
    const parsed = parseYaml('&x { a: *x }');
    expect(parsed.isSound).toBe(true);
  });
});

describe('Source', () => {
  const text = 'hosts:\n  - name: node1\n    bridges: { tunnel: s1 }\nports: [a]\n';
  const source = new Source(text, parseYaml(text));

  test.each([
    [['hosts', 0], 'value', 2, 5, 'hosts[0]'],
    [['hosts', 0, 'name'], 'value', 2, 11, 'hosts[0].name'],
    [['hosts', 0, 'name'], 'key', 2, 5, 'hosts[0].name'],
    [['hosts', 0, 'bridges', 'tunnel'], 'key', 3, 16, 'hosts[0].bridges.tunnel'],
    [['hosts', 0, 'local_ip'], 'value', 2, 5, 'hosts[0].local_ip'],
    [['hosts', 0, 'bridge_mappings', 'physnet1'], 'value', 2, 5, 'hosts[0].bridge_mappings.physnet1'],
    [['ports', 0, 'id'], 'value', 4, 9, 'ports[0]'],
    [['routers'], 'value', 1, 1, 'routers'],
    [[], 'value', 1, 1, ''],
  ] as const)('%j (%s) is at %i:%i', (path, what, line, column, pathText) => {
    expect(source.place(path, what)).toMatchObject({ line, column, path: pathText });
  });

  test('paths are written as in JavaScript', () => {
    expect(pathToText(['ports', 3, 'fixed_ips', 0])).toBe('ports[3].fixed_ips[0]');
    expect(pathToText(['hosts', 0, 'bridge_mappings', 'a\nb'])).toBe('hosts[0].bridge_mappings["a\\nb"]');
  });

  test('lines end in CRLF as well', () => {
    const windows = text.replaceAll('\n', '\r\n');
    expect(new Source(windows, parseYaml(windows)).place(['hosts', 0, 'bridges'])).toMatchObject({
      line: 3,
      column: 14,
    });
  });
});
