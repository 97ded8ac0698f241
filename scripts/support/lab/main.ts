/**
 * Labs by hand: `scripts/lab` is its shell.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lab } from './lab.ts';
import { clearAway, isAbandoned, type LabRecord, listRecords, sweep } from './record.ts';

const USAGE =
  'usage: scripts/lab up [--hosts N] | list | exec [--lab NAME] PLACE COMMAND… | down [NAME… | --abandoned]\n';

class UsageError extends Error {}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function describe(record: LabRecord): string {
  const state = record.kept ? 'kept' : isAbandoned(record) ? 'abandoned' : 'in use';
  return `${record.name} (${state}, ${record.directory}): ${Object.keys(record.namespaces).join(' ')}`;
}

async function up(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { hosts: { type: 'string', default: '3' } } });
  const count = Number(values.hosts);
  if (!Number.isInteger(count) || count < 1 || count > 200)
    throw new UsageError('--hosts takes a number from 1 to 200');
  const hosts = Array.from({ length: count }, (_none, index) => `node${index + 1}`);
  const lab = await Lab.up({ hosts, segments: [{ name: 'physnet1', bridge: 'br-eth2' }], kept: true });
  say(lab.name);
  return 0;
}

/** The lab that is meant: the named one, or the only one there is. */
function choose(name: string | undefined): LabRecord {
  const records = listRecords().filter((record) => name === undefined || record.name === name);
  const [record] = records;
  if (record === undefined) throw new UsageError(name === undefined ? 'no lab is up' : `no lab is called ${name}`);
  if (records.length > 1)
    throw new UsageError(`several labs are up, say which: --lab ${records.map((one) => one.name).join(' | ')}`);
  return record;
}

async function exec(args: string[]): Promise<number> {
  const isNamed = args[0] === '--lab';
  const record = choose(isNamed ? args[1] : undefined);
  const [place = '', ...command] = isNamed ? args.slice(2) : args;
  const namespace = record.namespaces[place];
  if (namespace === undefined) throw new UsageError(`${describe(record)}; there is no place called "${place}"`);
  if (command.length === 0) throw new UsageError('exec wants a command');
  // On a host, the tools of Open vSwitch find that host's daemons.
  const directory = join(record.directory, place);
  const env = existsSync(directory) ? { ...process.env, OVS_RUNDIR: directory } : process.env;
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], { stdio: 'inherit', env });
  const [status] = (await once(child, 'close')) as [number | null];
  return status ?? 1;
}

function down(args: string[]): number {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { abandoned: { type: 'boolean' } },
  });
  if (values.abandoned) {
    for (const name of sweep()) say(`${name}: down`);
    return 0;
  }
  const records = positionals.length === 0 ? listRecords().filter((record) => record.kept) : positionals.map(choose);
  for (const record of records) {
    clearAway(record);
    say(`${record.name}: down`);
  }
  return 0;
}

async function main([command, ...args]: string[]): Promise<number> {
  if (command === 'up') return up(args);
  if (command === 'exec') return exec(args);
  if (command === 'down') return down(args);
  if (command !== 'list')
    throw new UsageError(command === undefined ? 'a command is missing' : `no command ${command}`);
  for (const record of listRecords()) say(describe(record));
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const isUsage = error instanceof UsageError || error.name === 'TypeError';
  process.stderr.write(`lab: ${error.message}\n${isUsage ? USAGE : ''}`);
  process.exitCode = isUsage ? 2 : 1;
}
