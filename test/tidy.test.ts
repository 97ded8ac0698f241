/**
 * The rules of the house (docs/ARCHITECTURE.md), held by a test: imports point downwards, nothing is too long, nothing is
 * dead, each file says what it is. Each exception stands here by name, with its reason.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';

const ROOT = dirname(import.meta.dirname);

/** From the top to the bottom: a folder imports only from folders further down, and from itself. */
const LAYERS = [
  'main',
  'cli',
  'controller',
  'switch',
  'compiler',
  'pipeline',
  'topology',
  'openflow',
  'ovsdb',
  'flow',
  'packet',
  'lib',
];
/** Downwards all the same, and still forbidden: importer, imported, why. */
const BARRED: readonly (readonly [string, string, string])[] = [
  ['pipeline', 'openflow', 'rules are read, tested and dumped without bytes or sockets'],
  ['pipeline', 'ovsdb', 'rules are read, tested and dumped without a database'],
  ['topology', 'openflow', 'what should exist does not depend on how it is sent'],
  ['topology', 'ovsdb', 'what should exist does not depend on where it is written'],
  ['topology', 'flow', 'what should exist is said in the words of Neutron, not in flows'],
  ['openflow', 'ovsdb', 'two protocols that others may use one without the other'],
];

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
/** Files that may be longer: path, reason. */
const LONG_FILES = new Map<string, string>([]);
/** Functions that may be longer: `path > name`, reason. */
const LONG_FUNCTIONS = new Map<string, string>([]);

/** Where programs begin: whatever cannot be reached from here is dead. */
/** Where programs begin; a thread of theirs too. */
const ENTRIES = [
  'src/main.ts',
  'src/controller/topology-worker.ts',
  'src/openflow/index.ts',
  'src/ovsdb/index.ts',
  'vitest.config.ts',
];

/** Files of the repository, untracked ones too, that exist. */
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(ROOT, path)));
const textOf = new Map<string, string>();

function read(path: string): string {
  const known = textOf.get(path) ?? readFileSync(join(ROOT, path), 'utf8');
  textOf.set(path, known);
  return known;
}

function under(...folders: string[]): string[] {
  return files.filter((path) => path.endsWith('.ts') && folders.some((folder) => path.startsWith(`${folder}/`)));
}

const isGenerated = (path: string): boolean => path.endsWith('.generated.ts');
const isTest = (path: string): boolean => path.endsWith('.test.ts');

/** The files of ours that a file imports, types and dynamic imports included. */
function importsOf(path: string): string[] {
  const specifiers = read(path).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g);
  return [...specifiers].map((match) => normalize(join(dirname(path), match[1] ?? '')));
}

/** `src/openflow/channel.ts` is of the layer `openflow`, `src/main.ts` of `main`. */
function layerOf(path: string): string {
  return path.split('/')[1]?.replace(/\.ts$/, '') ?? '';
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'type' in value;

function nameOf(node: unknown): string | undefined {
  return isNode(node) && typeof node.name === 'string' ? node.name : undefined;
}

/** Every function of a file: its name as far as it has one, and its length in lines. */
function functionsOf(path: string): { name: string; lines: number }[] {
  const text = read(path);
  const found: { name: string; lines: number }[] = [];
  const visit = (node: Node, outer: string): void => {
    const name = nameOf(node.id) ?? nameOf(node.key) ?? outer;
    if (/Function(Declaration|Expression)$/.test(node.type)) {
      found.push({ name, lines: text.slice(node.start, node.end).split('\n').length });
    }
    for (const child of Object.values(node).flat()) if (isNode(child)) visit(child, name);
  };
  visit(parseAst(text, { lang: 'ts' }) as unknown as Node, 'anonymous');
  return found;
}

describe('layers', () => {
  test('every folder of src has its place', () => {
    expect(under('src').filter((path) => !LAYERS.includes(layerOf(path)))).toEqual([]);
  });

  test('imports point downwards', () => {
    expect(under('src').flatMap(importsOf).length).toBeGreaterThan(50);
    const upwards = under('src').flatMap((path) =>
      importsOf(path)
        .filter((target) => LAYERS.indexOf(layerOf(target)) < LAYERS.indexOf(layerOf(path)))
        .map((target) => `${path} imports ${target}`),
    );
    expect(upwards).toEqual([]);
  });

  test.each(BARRED)('%s never imports %s: %s', (importer, imported) => {
    const crossing = under(`src/${importer}`).flatMap((path) =>
      importsOf(path)
        .filter((target) => target.startsWith(`src/${imported}/`))
        .map((target) => `${path} imports ${target}`),
    );
    expect(crossing).toEqual([]);
  });

  test('src imports nothing from test or scripts', () => {
    expect(under('src').filter((path) => importsOf(path).some((target) => !target.startsWith('src/')))).toEqual([]);
  });
});

describe('size', () => {
  const code = under('src', 'scripts', 'test/support').filter((path) => !isGenerated(path));

  test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    const lengths = code.map((path) => ({ path, lines: read(path).split('\n').length - 1 }));
    const long = lengths.filter(({ path, lines }) => lines > FILE_LINES_MAX && !LONG_FILES.has(path));
    expect(long).toEqual([]);
  });

  test(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    const functions = code.flatMap((path) =>
      functionsOf(path).map((one) => ({ ...one, name: `${path} > ${one.name}` })),
    );
    expect(functions.length).toBeGreaterThan(100);
    expect(functions.filter(({ name, lines }) => lines > FUNCTION_LINES_MAX && !LONG_FUNCTIONS.has(name))).toEqual([]);
  });

  test('no exception has outlived its reason', () => {
    const short = [...LONG_FILES.keys()].filter(
      (path) => !files.includes(path) || read(path).split('\n').length - 1 <= FILE_LINES_MAX,
    );
    const fine = [...LONG_FUNCTIONS.keys()].filter((key) => {
      const [path = '', name] = key.split(' > ');
      return (
        !files.includes(path) || !functionsOf(path).some((one) => one.name === name && one.lines > FUNCTION_LINES_MAX)
      );
    });
    expect([...short, ...fine]).toEqual([]);
  });
});

describe('files', () => {
  test('every file begins by saying what it is', () => {
    const mute = under('src', 'scripts', 'test', 'vitest.config.ts').filter(
      (path) => !/^(#!.*\n)?\/(\*\*|\/) ?\S*/.test(read(path)),
    );
    const scripts = files.filter((path) => /^(scripts\/[a-z-]+|\.ci\/run)$/.test(path));
    expect(scripts.length).toBeGreaterThan(2);
    expect([...mute, ...scripts.filter((path) => !/^#!.*\n# \S/.test(read(path)))]).toEqual([]);
  });

  test('no file is dead', () => {
    const reached = new Set<string>();
    const follow = (path: string): void => {
      if (reached.has(path) || !files.includes(path)) return;
      reached.add(path);
      importsOf(path).forEach(follow);
    };
    // What lies in scripts/ itself is a program, and so is what a shell script there hands over to.
    const programs = under('scripts').filter((path) => path.split('/').length === 2 || path.endsWith('/main.ts'));
    [...ENTRIES, ...programs, ...files.filter(isTest)].forEach(follow);
    expect(under('scripts', 'test').filter((path) => !reached.has(path))).toEqual([]);

    // What only tests reach serves nobody.
    reached.clear();
    [...ENTRIES, ...programs].forEach(follow);
    // The compiler takes declarations of foreign modules by itself.
    expect(under('src').filter((path) => !reached.has(path) && !path.endsWith('.d.ts'))).toEqual([]);
  });

  test('nothing is put off', () => {
    // Put together from halves, or this file would find itself.
    const marks = new RegExp(
      `\\b(${[
        ['TO', 'DO'],
        ['FIX', 'ME'],
        ['X', 'XX'],
        ['HA', 'CK'],
      ]
        .map((half) => half.join(''))
        .join('|')})\\b`,
    );
    expect(files.filter((path) => /\.(ts|md|json|ya?ml|sh)$/.test(path) && marks.test(read(path)))).toEqual([]);
  });

  test('no test is left out and none runs alone', () => {
    const partial = /\b(test|it|describe)(\.\w+)*\.(skip|only|todo|skipIf|runIf|fails)\b/;
    expect(files.filter((path) => isTest(path) && partial.test(read(path)))).toEqual([]);
  });
});

describe('documents', () => {
  const documents = files.filter((path) => path.endsWith('.md'));
  const prose = (path: string): string => read(path).replaceAll(/^```[\s\S]*?^```/gm, '');

  test('every document has one title, at its top', () => {
    const wrong = documents.filter((path) => {
      const titles = prose(path).match(/^# .+$/gm) ?? [];
      return titles.length !== 1 || !read(path).startsWith('# ');
    });
    expect(wrong).toEqual([]);
  });

  test('every relative link leads somewhere', () => {
    const broken = documents.flatMap((path) =>
      [...prose(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
