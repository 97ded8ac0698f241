/**
 * What a lab leaves on disk about itself, and how to clear it away: also when its process is gone without a word. Each lab
 * has a directory of its own, and every namespace of it begins with the lab's name, so nothing else is ever touched.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';

/** Where labs live: short, for the paths of sockets end at 107 bytes, and gone with the next boot as namespaces are. */
const LABS = '/run/heddle-lab';
/** Names of labs and of their namespaces begin with it; `scripts/test` gives each run its own. */
const PREFIX = process.env.HEDDLE_LAB_PREFIX ?? 'heddle';
const RECORD = 'lab.json';

export interface LabRecord {
  /** `heddle-Ab12Cd`: the name of the directory, and the beginning of every namespace's name. */
  readonly name: string;
  readonly directory: string;
  /** The process that made the lab, told from a later one of the same number by its start time. */
  readonly owner: { readonly pid: number; readonly startTime: string };
  /** Whether the lab outlives its owner. */
  readonly kept: boolean;
  /** Hosts, guests and the rest by the names that people use, with their namespaces. */
  readonly namespaces: Readonly<Record<string, string>>;
}

/** Field 22 of /proc/PID/stat (proc(5)): with the pid it names one process for ever. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** A new lab's record, in a new directory. */
export function createRecord(kept: boolean): LabRecord {
  mkdirSync(LABS, { recursive: true });
  const directory = mkdtempSync(join(LABS, `${PREFIX}-`));
  const owner = { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
  const record = { name: basename(directory), directory, owner, kept, namespaces: {} };
  writeRecord(record);
  return record;
}

export function writeRecord(record: LabRecord): void {
  writeFileSync(join(record.directory, RECORD), `${JSON.stringify(record, null, 2)}\n`);
}

/** The records of all labs on this machine. */
export function listRecords(): LabRecord[] {
  if (!existsSync(LABS)) return [];
  return readdirSync(LABS)
    .filter((name) => existsSync(join(LABS, name, RECORD)))
    .map((name) => JSON.parse(readFileSync(join(LABS, name, RECORD), 'utf8')) as LabRecord);
}

/** Whether nobody is left who would take the lab down. */
export function isAbandoned(record: LabRecord): boolean {
  return !record.kept && startTimeOf(record.owner.pid) !== record.owner.startTime;
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function namespacesOf(record: LabRecord): string[] {
  return ip('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(`${record.name}-`));
}

/** Rounds of killing, 10 ms apart: a process may have been starting another while the round before looked. */
const KILL_ROUNDS = 200;

/** The processes in these namespaces, by one look through /proc. */
function processesIn(namespaces: readonly string[]): number[] {
  const inodes = new Set(namespaces.map((name) => statSync(join('/run/netns', name)).ino));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return inodes.has(statSync(`/proc/${pid}/ns/net`).ino);
      } catch {
        return false; // It has ended, or is the kernel's or another's, and so none of ours.
      }
    });
}

/** End every process in these namespaces, and wait until they are gone. */
function killAll(namespaces: readonly string[]): void {
  for (let round = 0; round < KILL_ROUNDS; round += 1) {
    const pids = processesIn(namespaces);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself in the meantime.
      }
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}

/**
 * Take a lab down: the processes in its namespaces, the namespaces with their links, the directory. It is synchronous, for
 * it also runs while a process exits, and it is repeatable.
 */
export function clearAway(record: LabRecord): void {
  const namespaces = namespacesOf(record);
  killAll(namespaces);
  for (const name of namespaces) ip('netns', 'delete', name);
  rmSync(record.directory, { recursive: true, force: true });
}

/** Take down what crashed processes left behind; gives the names. */
export function sweep(): string[] {
  const abandoned = listRecords().filter(isAbandoned);
  abandoned.forEach(clearAway);
  return abandoned.map((record) => record.name);
}
