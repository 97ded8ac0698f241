/** How `scripts/test` judges what vitest reports: stricter than vitest, because a test that did not run proves nothing. */
import { describe, expect, test } from 'vitest';
import { failedFiles, judge, withSecondRun } from '../../scripts/support/test/report.ts';

interface Assertion {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages?: readonly string[];
}

function report(assertions: readonly Assertion[], file: { status?: string; message?: string } = {}): string {
  const assertionResults = assertions.map((one) => ({ failureMessages: [], ...one }));
  return JSON.stringify({
    testResults: [{ name: '/r/test/a.test.ts', status: 'passed', message: '', ...file, assertionResults }],
  });
}

const options = { root: '/r', exitStatus: 0, allowedSkips: [] } as const;
const good: Assertion = { fullName: 'suite works', status: 'passed' };

describe('judge', () => {
  test('counts what passed and what failed, with the reason', () => {
    const bad = { fullName: 'suite fails', status: 'failed', failureMessages: ['expected 1 to be 2'] };
    const outcome = judge(report([good, bad], { status: 'failed' }), { ...options, exitStatus: 1 });
    expect(outcome).toEqual({
      passed: 1,
      failures: [{ name: 'test/a.test.ts > suite fails', detail: 'expected 1 to be 2' }],
      skipped: [],
    });
  });

  test.each(['skipped', 'pending', 'todo'])('takes a test that is %s for failed', (status) => {
    const outcome = judge(report([good, { fullName: 'suite waits', status }]), options);
    expect(outcome.passed).toBe(1);
    expect(outcome.failures.map((failure) => failure.name)).toEqual(['test/a.test.ts > suite waits']);
  });

  test('lets a skip pass that is listed with its reason', () => {
    const allowed = { name: 'test/a.test.ts > suite waits', reason: 'the moon is not full' };
    const outcome = judge(report([{ fullName: 'suite waits', status: 'skipped' }]), {
      ...options,
      allowedSkips: [allowed],
    });
    expect(outcome).toEqual({ passed: 0, failures: [], skipped: [allowed] });
  });

  test('sees a file that fails outside of its tests, as in a hook', () => {
    const outcome = judge(report([good], { status: 'failed', message: 'afterAll broke' }), {
      ...options,
      exitStatus: 1,
    });
    expect(outcome.failures).toEqual([{ name: 'test/a.test.ts', detail: 'afterAll broke' }]);
  });

  test('sees an error that no test owns', () => {
    expect(judge(report([good]), { ...options, exitStatus: 1 }).failures).toHaveLength(1);
  });

  test('does not take silence for success', () => {
    expect(judge(undefined, options).failures).toHaveLength(1);
    expect(judge(JSON.stringify({ testResults: [] }), options).failures).toHaveLength(1);
    expect(judge(report([]), options).failures).toEqual([{ name: 'test/a.test.ts', detail: 'has no test' }]);
  });
});

describe('a second run of what failed', () => {
  const file = (name: string, status: string, assertions: readonly Assertion[]) => {
    const assertionResults = assertions.map((one) => ({ failureMessages: [], ...one }));
    return { name: `/r/test/${name}`, status, message: status === 'failed' ? 'a log line' : '', assertionResults };
  };
  const first = JSON.stringify({
    testResults: [
      file('a.test.ts', 'passed', [good]),
      file('b.test.ts', 'failed', [good]),
      file('c.test.ts', 'failed', [{ fullName: 'fails', status: 'failed' }]),
    ],
  });

  test('is of the files in which, or around which, something failed', () => {
    expect(failedFiles(first)).toEqual(['/r/test/b.test.ts', '/r/test/c.test.ts']);
    expect(failedFiles(undefined)).toEqual([]);
  });

  test('counts in the place of the first', () => {
    const second = JSON.stringify({
      testResults: [
        file('b.test.ts', 'passed', [good]),
        file('c.test.ts', 'failed', [{ fullName: 'fails', status: 'failed' }]),
      ],
    });
    const outcome = judge(withSecondRun(first, second), { ...options, exitStatus: 1 });
    expect(outcome.passed).toBe(2);
    expect(outcome.failures.map(({ name }) => name)).toEqual(['test/c.test.ts > fails']);
  });
});
