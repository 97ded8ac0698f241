/**
 * YAML text as values with marks, by the `yaml` package (YAML 1.2, core schema). Serves load.ts. Aliases are followed; merge
 * keys (`<<`) are not part of YAML 1.2 and count as keys.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  parseDocument,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { MappingText, type Mark, type ParsedText, type TextProblem } from './source.ts';

export function parseYaml(text: string): ParsedText {
  let document: Document;
  try {
    // Duplicate keys are found below, at linear cost and with a message of ours.
    document = parseDocument(text, { version: '1.2', schema: 'core', prettyErrors: false, uniqueKeys: false });
  } catch (error) {
    // The composer recurses: some thousand brackets exhaust the stack.
    if (!(error instanceof RangeError)) throw error;
    return unsound([{ offset: 0, message: 'nested too deeply; a topology is at most a few levels deep' }]);
  }
  const wrong = [...document.errors, ...document.warnings];
  if (wrong.length > 0) return unsound(wrong.map((error) => problemOf(error, text)));
  const converter = new Converter(document);
  const value = converter.value(document.contents);
  return {
    value,
    marks: converter.marks,
    offset: offsetOf(document.contents, 0),
    problems: converter.problems,
    isSound: true,
  };
}

function unsound(problems: readonly TextProblem[]): ParsedText {
  return { value: undefined, marks: new Map(), offset: 0, problems, isSound: false };
}

function problemOf(error: YAMLError, text: string): TextProblem {
  const message =
    error.code === 'MULTIPLE_DOCS' ? 'a second document begins here; one file is one document' : undefined;
  return { offset: Math.min(error.pos[0], text.length), message: message ?? `not YAML: ${error.message}` };
}

function offsetOf(node: unknown, otherwise: number): number {
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? (node.range?.[0] ?? otherwise) : otherwise;
}

class Converter {
  readonly marks = new Map<object, Mark>();
  readonly problems: TextProblem[] = [];
  readonly #document: Document;
  readonly #anchored = new Map<unknown, unknown>();

  constructor(document: Document) {
    this.#document = document;
  }

  value(node: unknown): unknown {
    if (isScalar(node)) return node.value;
    if (isAlias(node)) return this.#alias(node);
    if (isMap(node)) return this.#mapping(node);
    if (isSeq(node)) return this.#list(node);
    return null;
  }

  /** One value for all aliases of an anchor: what it costs does not multiply. */
  #alias(alias: Alias): unknown {
    const node = alias.resolve(this.#document);
    if (node === undefined) {
      const message = `no anchor &${alias.source} before this; write what it stands for`;
      this.problems.push({ offset: offsetOf(alias, 0), message });
      return null;
    }
    if (!this.#anchored.has(node)) this.#anchored.set(node, this.value(node));
    return this.#anchored.get(node);
  }

  #mapping(node: YAMLMap): Record<string, unknown> {
    const mapping = new MappingText();
    if (node.anchor !== undefined) this.#anchored.set(node, mapping.value);
    for (const pair of node.items as Pair<unknown, unknown>[]) {
      const keyOffset = offsetOf(pair.key, offsetOf(node, 0));
      const at = { key: keyOffset, value: offsetOf(pair.value, keyOffset) };
      const problem = mapping.add(String(this.value(pair.key)), this.value(pair.value), at);
      if (problem !== undefined) this.problems.push(problem);
    }
    this.marks.set(mapping.value, mapping.mark(offsetOf(node, 0)));
    return mapping.value;
  }

  #list(node: YAMLSeq): unknown[] {
    const value: unknown[] = [];
    if (node.anchor !== undefined) this.#anchored.set(node, value);
    const valueOffsets: number[] = [];
    for (const item of node.items) {
      valueOffsets.push(offsetOf(item, offsetOf(node, 0)));
      value.push(this.value(item));
    }
    this.marks.set(value, { offset: offsetOf(node, 0), valueOffsets });
    return value;
  }
}
