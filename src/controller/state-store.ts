/**
 * What must outlive the process and stands nowhere else: host MACs that heddle allocated, where ports without a `host` were
 * last seen, which local VLANs networks had, and the MACs and addresses that the topology file left to heddle. One small JSON file, written atomically (temporary file, fsync, rename) and checked when it is read.
 * Serves the controller; an edge: all fs of the state directory is here.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { HeddleError } from '../lib/errors.ts';
import { finish, STEP_LENGTH } from '../lib/steps.ts';
import type { HeldValues } from '../topology/load.ts';

const FILE_NAME = 'state.json';
/** 2 added the numbers of routers. A file of version 1 is read as one without them. */
const VERSION = 2;

const MAC = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);

const ZONE = z.int().min(1).max(65_535);

const SCHEMA = z.strictObject({
  version: z.union([z.literal(1), z.literal(VERSION)]),
  /** Host name → its DVR MAC as text. Never given to another host, also after this one left the file. */
  hostMacs: z.record(z.string(), MAC),
  /** Port id → the host on whose switch it was last seen. */
  portHosts: z.record(z.string(), z.string()),
  /** Router id → the number that its conntrack zones are made of. */
  zoneNumbers: z.record(z.string(), z.int().min(0).max(16_382)).default({}),
  /** Host name → network id → local VLAN: of the networks that the host has, and of those that it had. */
  localVlans: z.record(z.string(), z.record(z.string(), z.int().min(1).max(4_094))).default({}),
  /** Router id → the gateway host that it prefers, where that is not the one of highest priority. */
  gatewayLeads: z.record(z.string(), z.string()).default({}),
  /** MACs on external networks, as hosts found them. */
  outsideNeighbours: z
    .array(z.strictObject({ host: z.string(), network: z.string(), ip: z.union([z.ipv4(), z.ipv6()]), mac: MAC }))
    .default([]),
  /** Addresses of ours on external networks: where each was served, and what its connections are known by. */
  servedAddresses: z
    .array(
      z.strictObject({
        host: z.string(),
        network: z.string(),
        ip: z.ipv4(),
        mac: MAC,
        connections: z.strictObject({ dnatZone: ZONE, snatZone: ZONE, fixedIp: z.ipv4() }).optional(),
      }),
    )
    .default([]),
  /** Addresses inside that the topology gives to no port that is somewhere: the port that each was found at, and who asked. */
  neighbours: z
    .array(
      z.strictObject({
        host: z.string(),
        network: z.string(),
        ip: z.union([z.ipv4(), z.ipv6()]),
        mac: MAC,
        port: z.string(),
        ofport: z.int().min(1),
        router: z.string(),
      }),
    )
    .default([]),
  /** What `loadTopology` derived, by what it is for (`port blue1`, `port blue1 on blue-v4`); the oldest first. */
  derived: z.strictObject({
    macs: z.record(z.string(), MAC),
    addresses: z.record(z.string(), z.union([z.ipv4(), z.ipv6()])),
  }),
});

export interface StoredNeighbour {
  readonly host: string;
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
}

export interface StoredAddress extends StoredNeighbour {
  readonly connections?: { readonly dnatZone: number; readonly snatZone: number; readonly fixedIp: string } | undefined;
}

/** Who has an address inside. */
export interface StoredOwner extends StoredNeighbour {
  readonly port: string;
  readonly ofport: number;
  /** The router that asked. */
  readonly router: string;
}

export interface State {
  readonly hostMacs: Readonly<Record<string, string>>;
  readonly portHosts: Readonly<Record<string, string>>;
  readonly zoneNumbers: Readonly<Record<string, number>>;
  readonly localVlans: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly gatewayLeads: Readonly<Record<string, string>>;
  readonly outsideNeighbours: readonly StoredNeighbour[];
  readonly servedAddresses: readonly StoredAddress[];
  readonly neighbours: readonly StoredOwner[];
  readonly derived: HeldValues;
}

export const EMPTY_STATE: State = {
  hostMacs: {},
  portHosts: {},
  zoneNumbers: {},
  localVlans: {},
  gatewayLeads: {},
  outsideNeighbours: [],
  servedAddresses: [],
  neighbours: [],
  derived: { macs: {}, addresses: {} },
};

export class StateError extends HeddleError {}

/** Default state directory: the system's for root, the user's own otherwise. */
export function defaultStateDirectory(environment: NodeJS.ProcessEnv, userId: number): string {
  if (userId === 0) return '/var/lib/heddle';
  return join(environment.XDG_STATE_HOME ?? join(environment.HOME ?? '/tmp', '.local', 'state'), 'heddle');
}

/**
 * The state of an earlier life, or the empty one where there is none. A file that is there but is not ours or not whole is
 * refused with `STATE_INVALID` rather than overwritten: it holds what cannot be computed again.
 */
export function readState(directory: string): State {
  const path = join(directory, FILE_NAME);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return EMPTY_STATE;
    throw new StateError(
      'STATE_UNREADABLE',
      `state file ${path}: ${messageOf(error)}; make it readable, or give --state DIR`,
    );
  }
  try {
    const { version: _version, ...state } = SCHEMA.parse(JSON.parse(text));
    return state;
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new StateError(
      'STATE_INVALID',
      `state file ${path}: ${why}; restore it, or move it away to start without it`,
    );
  }
}

/** The state as it is written: what is large as maps, which are read step by step. */
export interface LivingState extends Omit<State, 'portHosts' | 'localVlans'> {
  readonly portHosts: ReadonlyMap<string, string>;
  readonly localVlans: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** The text of the file, in steps; the maps may change between them. */
export function* stateText({ portHosts, localVlans, derived, ...rest }: LivingState): Generator<void, string> {
  const fields = Object.entries({ version: VERSION, ...rest }).map(([name, value]) => [name, JSON.stringify(value)]);
  fields.push(['portHosts', yield* recordText(portHosts)]);
  fields.push(['localVlans', yield* recordText(vlanEntries(localVlans))]);
  const macs = yield* recordText(entriesOf(derived.macs));
  const addresses = yield* recordText(entriesOf(derived.addresses));
  fields.push(['derived', `{\n"macs": ${macs},\n"addresses": ${addresses}\n}`]);
  return `{\n${fields.map(([name, text]) => `"${name}": ${text}`).join(',\n')}\n}\n`;
}

/** An object with a line for each entry, so that people can find one, and tell two files apart. */
function* recordText(entries: Iterable<readonly [string, unknown]>): Generator<void, string> {
  const lines: string[] = [];
  for (const [key, value] of entries) {
    lines.push(`${JSON.stringify(key)}: ${JSON.stringify(value)}`);
    if (lines.length % STEP_LENGTH === 0) yield;
  }
  return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n}`;
}

function* entriesOf(record: Readonly<Record<string, string>>): Generator<readonly [string, string]> {
  for (const key of Object.keys(record)) yield [key, record[key] ?? ''];
}

function* vlanEntries(localVlans: LivingState['localVlans']): Generator<readonly [string, object]> {
  for (const [host, vlans] of localVlans) yield [host, Object.fromEntries(vlans)];
}

/** Write the whole state so that a crash at any moment leaves the old file or the new one. Throws `STATE_UNWRITABLE`. */
export function writeState(directory: string, state: LivingState): void {
  const path = join(directory, FILE_NAME);
  // Not that of writeStateSoon, which may be under way.
  const temporary = `${path}.last`;
  try {
    makeDirectory(resolve(directory));
    const file = openSync(temporary, 'w', 0o644);
    try {
      writeSync(file, finish(stateText(state)));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    moveInto(directory, temporary);
  } catch (error) {
    throw notWritten(path, error);
  }
}

/**
 * Likewise, of a text that `stateText` made, while other work goes on. `isWanted` is asked when it is on the disk: false, and the
 * file stays as it is. Rejects with `STATE_UNWRITABLE`.
 */
export async function writeStateSoon(directory: string, text: string, isWanted: () => boolean): Promise<void> {
  const path = join(directory, FILE_NAME);
  const temporary = `${path}.tmp`;
  try {
    makeDirectory(resolve(directory));
    const file = await open(temporary, 'w', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    if (isWanted()) moveInto(directory, temporary);
    else await rm(temporary, { force: true });
  } catch (error) {
    throw notWritten(path, error);
  }
}

function moveInto(directory: string, temporary: string): void {
  renameSync(temporary, join(directory, FILE_NAME));
  // The new name is as lasting as the new file only when the directory is written too.
  const folder = openSync(directory, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function notWritten(path: string, error: unknown): StateError {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '');
  return unwritable(path, messageOf(error), isFull ? 'make room' : 'make it writable');
}

/** What a heddle that is started now would have to say of its state directory, found without a write; undefined: nothing. */
export function examineState(directory: string): StateError | undefined {
  const path = join(directory, FILE_NAME);
  try {
    readState(directory);
    let parent = resolve(directory);
    while (!existsSync(parent)) parent = dirname(parent);
    accessSync(parent, constants.W_OK | constants.X_OK);
    const { blocks, bfree } = statfsSync(parent);
    // Some filesystems count nothing at all.
    return blocks > 0 && bfree === 0 ? unwritable(path, 'no space left on the device', 'make room') : undefined;
  } catch (error) {
    return error instanceof StateError ? error : unwritable(path, messageOf(error), 'make it writable');
  }
}

function unwritable(path: string, why: string, advice: string): StateError {
  return new StateError('STATE_UNWRITABLE', `state file ${path}: ${why}; ${advice} or give --state DIR`);
}

/** With those above it. Node's own way to do that never ends below a directory in which none can be made (/proc). */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  makeDirectory(parent);
  mkdirSync(path, { mode: 0o755 });
}

const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
