/** `scripts/chaos`: every fault, so many times, as a table of medians. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ChaosSite } from './chaos-site.ts';
import { FAULTS } from './faults.ts';
import { type Measurement, measure } from './measure.ts';

const FAULT_NAMES = FAULTS.map(({ name }) => name);

const USAGE =
  'usage: scripts/chaos [--ports N] [--runs N] [--hold SECONDS] [--rate PPS] [--routed] [--nice N] [--only TEXT] [--json FILE]\n';

function readOptions() {
  const { values } = parseArgs({
    options: {
      ports: { type: 'string', default: '0' },
      runs: { type: 'string', default: '3' },
      hold: { type: 'string', default: '60' },
      rate: { type: 'string', default: '1000' },
      routed: { type: 'boolean', default: false },
      nice: { type: 'string', default: '0' },
      only: { type: 'string', default: '' },
      json: { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [ports, runs, hold, rate] = [values.ports, values.runs, values.hold, values.rate].map(Number);
  for (const number of [ports, runs, hold, rate]) {
    if (number === undefined || !Number.isFinite(number) || number < 0) throw new TypeError('a number is wanted');
  }
  return {
    ports: ports ?? 0,
    runs: runs ?? 1,
    holdMs: (hold ?? 0) * 1000,
    rate: rate ?? 0,
    routed: values.routed,
    niceness: Number(values.nice),
    faults: faultsOf(values.only),
    json: values.json,
    help: values.help,
  };
}

/** Those whose name has the pattern. */
function faultsOf(pattern: string): typeof FAULTS {
  const isMeant = (name: string): boolean => new RegExp(pattern).test(name);
  try {
    const faults = FAULTS.filter(({ name }) => isMeant(name));
    if (faults.length > 0) return faults;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new TypeError(`--only ${pattern}: ${error.message}`);
  }
  throw new TypeError(`--only ${pattern}: no fault has that in its name; there are:\n  ${FAULT_NAMES.join('\n  ')}`);
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const milliseconds = (value: number): string =>
  value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`;

function row(measured: readonly Measurement[]): string {
  const [first] = measured;
  if (first === undefined) return '';
  const { fault } = first;
  const lost = first.streams.map(({ stream }, index) => {
    const losses = measured.map(({ streams }) => streams[index]?.lost ?? 0);
    return `${stream} ${median(losses)}${losses.some((one) => one !== median(losses)) ? ` (${Math.min(...losses)}–${Math.max(...losses)})` : ''}`;
  });
  const gap = median(measured.map(({ streams }) => Math.max(...streams.map(({ gapMs }) => gapMs))));
  const healed = measured.flatMap(({ convergedMs }) => convergedMs ?? []);
  const converged =
    healed.length < measured.length
      ? `never (${measured.length - healed.length} of ${measured.length})`
      : milliseconds(median(healed));
  const differences = Math.max(...measured.map((one) => one.differences.length));
  const cells = [
    fault.name,
    lost.join(', '),
    milliseconds(gap),
    converged,
    `${median(measured.map(({ flowMods }) => flowMods))}`,
    `${median(measured.map(({ databaseWrites }) => databaseWrites))}`,
    `${differences}`,
    fault.peers ?? '',
    fault.note ?? '',
  ];
  return `| ${cells.join(' | ')} |`;
}

async function main(): Promise<number> {
  const { ports, runs, holdMs, rate, routed, niceness, faults, json, help } = readOptions();
  if (help) {
    process.stdout.write(`${USAGE}faults, for --only:\n  ${FAULT_NAMES.join('\n  ')}\n`);
    return 0;
  }
  const site = await ChaosSite.up({ furtherPorts: ports, rate, routed, niceness });
  const results: { readonly fault: string; readonly runs: readonly Omit<Measurement, 'fault'>[] }[] = [];
  try {
    process.stdout.write(
      `${ports} further ports, ${site.flowCount} flows on 9 bridges, ${rate} packets a second each way of each stream, medians of ${runs}\n\n`,
    );
    const header = [
      'fault',
      'packets lost',
      'longest gap',
      'converged after',
      'flow-mods',
      'OVSDB writes',
      'flows not as before',
      'peers',
      'note',
    ];
    process.stdout.write(`| ${header.join(' | ')} |\n|${header.map(() => '---').join('|')}|\n`);
    for (const fault of faults) {
      const measured: Measurement[] = [];
      for (let run = 0; run < runs; run++) {
        measured.push(await measure(site, fault, { holdMs }));
        if (measured.at(-1)?.convergedMs === undefined) await heal(site);
      }
      process.stdout.write(`${row(measured)}\n`);
      results.push({ fault: fault.name, runs: measured.map(({ fault: _fault, ...figures }) => figures) });
      if (json !== '')
        writeFileSync(json, `${JSON.stringify({ ports, rate, holdMs, niceness, results }, undefined, 1)}\n`);
      for (const line of measured.flatMap(({ differences }) => differences).slice(0, 5))
        process.stderr.write(`${line}\n`);
    }
    return 0;
  } finally {
    await site.down();
  }
}

/** What did not heal by itself must not spoil the next measurement. */
async function heal(site: ChaosSite): Promise<void> {
  await site.heddle.stop('SIGKILL');
  site.heddle = site.startHeddle();
  await site.converged();
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  process.stderr.write(`chaos: ${error.message}\n${error instanceof TypeError ? USAGE : ''}`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
