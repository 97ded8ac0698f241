/**
 * Runs the parts of the suite that were asked for and sums them up: `scripts/test` is its shell. Each part counts its tests;
 * lint and type check count as one each, and so does leaving nothing behind. The parts with daemons mostly wait, so that they
 * share the processors.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { styleText } from 'node:util';
import { clearLeftovers, RUN_VARIABLE, type Run, rootLinks } from './leftovers.ts';
import { type Failure, failedFiles, judge, type Outcome, withSecondRun } from './report.ts';
import { ALLOWED_SKIPS } from './skips.ts';

const ROOT = dirname(dirname(dirname(import.meta.dirname)));
/** A part that takes longer hangs: the whole suite is to end within 10 minutes on 2 cores. */
const PART_TIMEOUT_MS = 10 * 60_000;
/** What a tool has, after it was told to end, to write down how far it came. */
const FAREWELL_MS = 15_000;
const DETAIL_LINES = 40;
/** Where more fail, it is not by chance. */
const FILES_RUN_AGAIN_MAX = 3;

const PARTS = ['lint', 'types', 'unit', 'ovs', 'netns', 'soak'] as const;
type Part = (typeof PARTS)[number];

/** One stage after the other, and in a stage one part beside the other. The soak run needs two minutes and no packet in time: it is beside what needs the processors. */
const STAGES: readonly (readonly Part[])[] = [['lint'], ['types'], ['unit', 'soak'], ['ovs', 'netns']];

const isPart = (text: string): text is Part => (PARTS as readonly string[]).includes(text);

/** Set by SIGINT and SIGTERM: what runs is told to end, the rest is not begun, leftovers are cleared away all the same. */
let interrupted: NodeJS.Signals | undefined;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Run a program of node_modules/.bin with the run's environment, its output going where ours goes, line by line; gives the exit status. */
async function runTool(run: Run, command: readonly string[]): Promise<number> {
  const [program = '', ...args] = command;
  const child = spawn(join(ROOT, 'node_modules/.bin', program), args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...(process.stdout.isTTY && { FORCE_COLOR: '1' }),
      PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}:/usr/sbin:/sbin`,
      TMPDIR: run.temporaryDirectory,
      HEDDLE_LAB_PREFIX: run.labPrefix,
      [RUN_VARIABLE]: run.id,
    },
  });
  for (const output of [child.stdout, child.stderr]) createInterface({ input: output }).on('line', say);
  const interrupt = (signal: NodeJS.Signals): void => {
    interrupted = signal;
    child.kill(signal);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const timers = [
    setTimeout(() => {
      say(`${program}: not done within ${PART_TIMEOUT_MS / 1000} s`);
      child.kill('SIGINT');
    }, PART_TIMEOUT_MS),
    setTimeout(() => child.kill('SIGKILL'), PART_TIMEOUT_MS + FAREWELL_MS),
  ];
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  timers.forEach(clearTimeout);
  process.removeListener('SIGINT', interrupt).removeListener('SIGTERM', interrupt);
  if (signal) say(`${program}: ended by ${signal}`);
  return status ?? 1;
}

/** A tool that is right or wrong as a whole. */
async function runCheck(run: Run, name: string, command: readonly string[]): Promise<Outcome> {
  const status = await runTool(run, command);
  if (status === 0) return { passed: 1, failures: [], skipped: [] };
  const detail = `exit status ${status}: its output above says where; \`${command.join(' ')}\` repeats it`;
  return { passed: 0, failures: [{ name, detail }], skipped: [] };
}

interface Report {
  readonly exitStatus: number;
  /** Absent when vitest wrote none. */
  readonly text: string | undefined;
}

async function runVitest(run: Run, args: readonly string[]): Promise<Report> {
  const file = join(run.temporaryDirectory, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const exitStatus = await runTool(run, ['vitest', 'run', '--configLoader=native', ...reporters, ...args]);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  rmSync(file, { force: true });
  return { exitStatus, text };
}

function judged({ exitStatus, text }: Report): Outcome {
  return judge(text, { root: ROOT, exitStatus, allowedSkips: ALLOWED_SKIPS });
}

/**
 * A part that lives beside real daemons, where vitest asks a failed test once more, but not what fails around the tests: a
 * file that failed is run once more as a whole, and its name is said even where it passes then.
 */
async function runBesideDaemons(run: Run, part: Part): Promise<Outcome> {
  const first = await runVitest(run, ['--project', part]);
  const files = failedFiles(first.text);
  if (first.text === undefined || files.length === 0 || files.length > FILES_RUN_AGAIN_MAX || interrupted)
    return judged(first);
  const paths = files.map((file) => relative(ROOT, file));
  say(styleText('bold', `\n== ${part}, once more: ${paths.join(', ')}`));
  const second = await runVitest(run, ['--project', part, ...paths]);
  if (second.text === undefined) return judged(first);
  for (const failure of judged(first).failures) sayFailure(failure);
  return judged({ exitStatus: second.exitStatus, text: withSecondRun(first.text, second.text) });
}

async function runPart(run: Run, part: Part): Promise<Outcome> {
  if (part === 'lint') return runCheck(run, 'lint', ['biome', 'check', '--error-on-warnings', '.']);
  if (part === 'types') return runCheck(run, 'types', ['tsc', '--noEmit']);
  if (part === 'unit') return judged(await runVitest(run, ['--project', part]));
  return runBesideDaemons(run, part);
}

/** Run one part with a temporary directory and names of its own, then look at what it left behind. */
async function runTidily(name: string, work: (run: Run) => Promise<Outcome>): Promise<[Outcome, string[]]> {
  say(styleText('bold', `\n== ${name}`));
  const begunMs = performance.now();
  const temporaryDirectory = mkdtempSync(`/tmp/heddle-test-`);
  const removeDirectory = (): void => rmSync(temporaryDirectory, { recursive: true, force: true });
  process.once('exit', removeDirectory);
  const id = randomUUID();
  const run: Run = { id, labPrefix: `hdtest${id.slice(0, 4)}`, temporaryDirectory, links: rootLinks() };
  const outcome = await work(run);
  const leftovers = await clearLeftovers(run);
  removeDirectory();
  process.removeListener('exit', removeDirectory);
  const seconds = ((performance.now() - begunMs) / 1000).toFixed(1);
  say(`== ${name}: ${outcome.passed} passed, ${outcome.failures.length} failed, ${seconds} s`);
  return [outcome, leftovers.map((leftover) => `after ${name}: ${leftover}`)];
}

function sayFailure({ name, detail }: Failure): void {
  const lines = detail.trimEnd().split('\n');
  const shown = lines.length > DETAIL_LINES ? [...lines.slice(0, DETAIL_LINES), '…'] : lines;
  say(styleText('red', `\nFAILED ${name}`));
  for (const line of shown) say(`    ${line}`);
}

function checkUsage(words: readonly string[]): string | undefined {
  const lost = words.find((word) => !isPart(word) && !existsSync(join(ROOT, word)) && !existsSync(word));
  if (lost !== undefined) return `${lost} is neither a part (${PARTS.join(', ')}) nor a file`;
  const needsRoot = words.some((word) => word === 'netns' || word.includes('test/netns'));
  if (needsRoot && process.getuid?.() !== 0)
    return 'netns makes network namespaces, and that needs root: sudo scripts/test netns';
  return undefined;
}

async function main(words: readonly string[]): Promise<number> {
  const wrong = checkUsage(words);
  if (wrong !== undefined) {
    process.stderr.write(`test: ${wrong}\n`);
    return 2;
  }
  const files = words.filter((word) => !isPart(word)).map((word) => relative(ROOT, join(ROOT, word)));
  const parts = words.length === 0 ? PARTS : PARTS.filter((part) => words.includes(part));
  const outcomes: Outcome[] = [];
  const leftovers: string[] = [];
  const note = ([outcome, left]: [Outcome, string[]]) => {
    outcomes.push(outcome);
    leftovers.push(...left);
  };
  for (const stage of STAGES) {
    if (interrupted) break;
    const asked = stage.filter((part) => parts.includes(part));
    const ended = await Promise.all(asked.map((part) => runTidily(part, (run) => runPart(run, part))));
    for (const each of ended) note(each);
  }
  if (files.length > 0 && !interrupted)
    note(await runTidily(files.join(' '), async (run) => judged(await runVitest(run, files))));
  const failures = outcomes.flatMap((outcome) => outcome.failures);
  if (interrupted) failures.push({ name: 'the run', detail: `interrupted by ${interrupted}` });
  if (leftovers.length > 0) failures.push({ name: 'nothing is left behind', detail: leftovers.join('\n') });
  failures.forEach(sayFailure);
  for (const { name, reason } of outcomes.flatMap((outcome) => outcome.skipped)) say(`skipped ${name}: ${reason}`);
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, leftovers.length === 0 ? 1 : 0);
  say(`\n${passed} passed, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
