/**
 * What a run of the tests has left behind: processes, network namespaces, links, files. Whatever is not of this run is not
 * looked at: several runs may share a machine.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clearAway, listRecords } from '../lab/record.ts';

/** Processes of a run carry it in their environment, detached daemons too. */
export const RUN_VARIABLE = 'HEDDLE_TEST_RUN';
/** Ending takes a moment for a process that was told to. */
const PATIENCE_MS = 3_000;
/** Links that a switch of ours would have made, had it run in the root namespace by mistake. */
const SWITCH_LINK = /^(ovs-|br-|tap|vxlan_sys|genev_sys|gre_sys)/;

export interface Run {
  readonly id: string;
  /** What the labs of the run are called. */
  readonly labPrefix: string;
  /** TMPDIR of the run. */
  readonly temporaryDirectory: string;
  /** Links of the root namespace before the run. */
  readonly links: readonly string[];
}

export function rootLinks(): string[] {
  const shown = JSON.parse(execFileSync('ip', ['-j', 'link', 'show'], { encoding: 'utf8' })) as { ifname: string }[];
  return shown.map((link) => link.ifname);
}

interface Process {
  readonly pid: number;
  readonly command: string;
}

function processesOf(run: Run): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`${RUN_VARIABLE}=${run.id}`)) return [];
        return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() }];
      } catch {
        return []; // Ended in the meantime, or another user's.
      }
    });
}

function namespacesOf(run: Run): string[] {
  const names = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n');
  return names.map((line) => line.split(' ')[0] ?? '').filter((name) => name.startsWith(`${run.labPrefix}-`));
}

/** What is left, in words; it is cleared away, so that the next part starts clean and is not blamed for it. */
export async function clearLeftovers(run: Run): Promise<string[]> {
  const deadline = Date.now() + PATIENCE_MS;
  while (processesOf(run).length > 0 && Date.now() < deadline) await delay(50);
  const processes = processesOf(run);
  const namespaces = namespacesOf(run);
  const links = rootLinks().filter((link) => SWITCH_LINK.test(link) && !run.links.includes(link));
  const files = readdirSync(run.temporaryDirectory);
  for (const { pid } of processes) process.kill(pid, 'SIGKILL');
  for (const record of listRecords()) if (record.name.startsWith(`${run.labPrefix}-`)) clearAway(record);
  for (const name of files) rmSync(join(run.temporaryDirectory, name), { recursive: true, force: true });
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
    ...namespaces.map((name) => `network namespace ${name}`),
    ...links.map((link) => `link ${link} in the root namespace`),
    ...files.map((name) => `${run.temporaryDirectory}/${name}`),
  ];
}
