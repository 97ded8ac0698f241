/**
 * Reads what vitest's JSON reporter wrote and judges it more strictly than vitest does: a test that did not run has failed,
 * unless skips.ts names it with a reason, and so has a file that failed outside of its tests.
 */
import type { AllowedSkip } from './skips.ts';

/** A test, or what counts as one. */
export interface Failure {
  readonly name: string;
  /** Why, as text for a reader. */
  readonly detail: string;
}

export interface Outcome {
  readonly passed: number;
  readonly failures: readonly Failure[];
  /** Tests that did not run, and may. */
  readonly skipped: readonly AllowedSkip[];
}

/** The parts of the JSON reporter's file that are read here. */
interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

export interface JudgeOptions {
  /** Paths are shown relative to it. */
  readonly root: string;
  readonly exitStatus: number;
  readonly allowedSkips: readonly AllowedSkip[];
}

/** The files in which something failed: paths as the report has them. */
export function failedFiles(text: string | undefined): string[] {
  if (text === undefined) return [];
  return (JSON.parse(text) as VitestReport).testResults.filter(isFailed).map(({ name }) => name);
}

/** A report in which the files of a second run stand for those of the first. */
export function withSecondRun(first: string, second: string): string {
  const again = (JSON.parse(second) as VitestReport).testResults;
  const names = new Set(again.map(({ name }) => name));
  const kept = (JSON.parse(first) as VitestReport).testResults.filter(({ name }) => !names.has(name));
  return JSON.stringify({ testResults: [...kept, ...again] } satisfies VitestReport);
}

const isFailed = ({ status, assertionResults }: VitestReport['testResults'][number]): boolean =>
  status === 'failed' || assertionResults.some((test) => test.status === 'failed');

/** Judge a report; `undefined` where vitest wrote none. */
export function judge(text: string | undefined, options: JudgeOptions): Outcome {
  const report = text === undefined ? undefined : (JSON.parse(text) as VitestReport);
  if (report === undefined) return { passed: 0, failures: [crash(options.exitStatus, 'wrote no report')], skipped: [] };
  const failures: Failure[] = [];
  const skipped: AllowedSkip[] = [];
  let passed = 0;
  for (const file of report.testResults) {
    const path = file.name.replace(`${options.root}/`, '');
    const before = failures.length;
    for (const test of file.assertionResults) {
      const name = `${path} > ${test.fullName}`;
      const allowed = options.allowedSkips.find((skip) => skip.name === name);
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed')
        failures.push({ name, detail: withoutForeignFrames((test.failureMessages ?? []).join('\n')) });
      else if (allowed) skipped.push(allowed);
      else
        failures.push({
          name,
          detail: 'did not run: run it, or name it with its reason in scripts/support/test/skips.ts',
        });
    }
    if (file.status === 'failed' && failures.length === before)
      failures.push({ name: path, detail: file.message || 'failed outside of its tests' });
    if (file.assertionResults.length === 0 && failures.length === before)
      failures.push({ name: path, detail: 'has no test' });
  }
  if (report.testResults.length === 0) failures.push(crash(options.exitStatus, 'found no test file'));
  if (options.exitStatus !== 0 && failures.length === 0)
    failures.push(crash(options.exitStatus, 'failed outside of every test'));
  return { passed, failures, skipped };
}

/** Frames of the stack that are not of this repository say nothing to whoever reads the list. */
function withoutForeignFrames(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^\s+at .*(node_modules|node:|<anonymous>)/.test(line))
    .join('\n');
}

function crash(exitStatus: number, what: string): Failure {
  return { name: 'vitest', detail: `${what}; its exit status is ${exitStatus}, its output above says more` };
}
