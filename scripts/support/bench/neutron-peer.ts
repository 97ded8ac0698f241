/**
 * Neutron's own classes, writing the flows of a file to a bridge (neutron-peer.py), where Debian's python3-neutron is installed.
 * Serves switch-lines.ts.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** The one that Debian's packages are for. */
const PYTHON = '/usr/bin/python3';
const NOT_INSTALLED = 3;

export interface NeutronOptions {
  readonly databaseSocket: string;
  readonly bridge: string;
  /** In ovs-ofctl's text. */
  readonly file: string;
  /** Where the bridge's .mgmt socket is. */
  readonly directory: string;
}

/** Milliseconds, without the start of Python; undefined: Neutron is not installed. */
export async function neutronMs(options: NeutronOptions): Promise<number | undefined> {
  const { databaseSocket, bridge, file, directory } = options;
  try {
    const script = join(import.meta.dirname, 'neutron-peer.py');
    const env = { ...process.env, OVS_RUNDIR: directory };
    const { stdout } = await run(PYTHON, [script, databaseSocket, bridge, file], { env });
    return Number(stdout);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === NOT_INSTALLED) return undefined;
    throw error;
  }
}
