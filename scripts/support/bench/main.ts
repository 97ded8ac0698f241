/**
 * Runs the bench: every line in a process of its own, then one table and one JSON file. `scripts/bench` is its shell.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { LINES, type LineName } from './lines.ts';
import type { LineOptions, Row } from './measure.ts';
import { tableOf } from './table.ts';

const HEAP_MIB = 8_192;

const USAGE = `scripts/bench [--lines ${Object.keys(LINES).join(',')}] [--rounds 5] [--shrink 1] [--json FILE]`;

async function inOwnProcess(name: LineName, { rounds, shrink }: LineOptions): Promise<readonly Row[]> {
  const child = fork(import.meta.filename, ['--line', name, '--rounds', `${rounds}`, '--shrink', `${shrink}`], {
    execArgv: ['--expose-gc', `--max-old-space-size=${HEAP_MIB}`],
  });
  let rows: readonly Row[] = [];
  child.on('message', (message) => {
    rows = message as readonly Row[];
  });
  const [status] = await once(child, 'exit');
  if (status !== 0) throw new Error(`the line ${name} ended with status ${status}`);
  return rows;
}

const isLineName = (text: string): text is LineName => text in LINES;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      lines: { type: 'string', default: Object.keys(LINES).join(',') },
      line: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      shrink: { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  });
  const options = { rounds: Number(values.rounds), shrink: Number(values.shrink) };
  if (values.line !== undefined && isLineName(values.line)) {
    process.send?.(await LINES[values.line](options));
    return;
  }
  const names = values.lines.split(',').filter(isLineName);
  if (names.length === 0) throw new Error(USAGE);
  const rows: Row[] = [];
  for (const name of names) {
    process.stderr.write(`${name} ...\n`);
    const found = await inOwnProcess(name, options);
    rows.push(...found);
    // Who ends us early has what there was.
    process.stderr.write(`${tableOf(found)}\n`);
  }
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version };
  process.stdout.write(`${tableOf(rows)}\n`);
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ machine, ...options, rows }, undefined, 2)}\n`);
  }
}

await main();
