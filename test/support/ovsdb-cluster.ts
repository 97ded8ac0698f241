/**
 * An ovsdb-server with a clustered database of one member: the kind of server that keeps a history and gives transactions
 * ids, so that a client can resume. Serves test/ovs/ovsdb-faults.test.ts.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from './ovs-sandbox.ts';

const run = promisify(execFile);
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

export class OvsdbCluster {
  readonly directory: string;
  readonly databaseSocket: string;
  #server: ChildProcess | undefined;

  private constructor(directory: string) {
    this.directory = directory;
    this.databaseSocket = join(directory, 'db.sock');
  }

  static async start(): Promise<OvsdbCluster> {
    const cluster = new OvsdbCluster(await mkdtemp(join(tmpdir(), 'heddle-ovsdb-')));
    const raft = `unix:${join(cluster.directory, 'raft.sock')}`;
    await run('ovsdb-tool', ['create-cluster', join(cluster.directory, 'conf.db'), SCHEMA, raft]);
    cluster.#server = spawn(
      'ovsdb-server',
      [
        `--remote=punix:${cluster.databaseSocket}`,
        `--unixctl=${join(cluster.directory, 'ctl')}`,
        ...['-vconsole:off', '-vsyslog:off', join(cluster.directory, 'conf.db')],
      ],
      { cwd: cluster.directory, env: { ...process.env, OVS_RUNDIR: cluster.directory }, stdio: 'ignore' },
    );
    const ask = ['--timeout=1', 'get-schema-version', `unix:${cluster.databaseSocket}`, 'Open_vSwitch'];
    await waitFor('the clustered server answers', () =>
      run('ovsdb-client', ask).then(
        () => true,
        () => false,
      ),
    );
    await run('ovs-vsctl', [`--db=unix:${cluster.databaseSocket}`, '--timeout=20', '--no-wait', 'init']);
    return cluster;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server !== undefined && server.exitCode === null) {
      const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()));
      server.kill('SIGTERM');
      await exited;
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}
