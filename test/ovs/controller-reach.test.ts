/** How hosts and controller find each other: listeners, TLS on both protocols, servers that call; and how they do again. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { BLUE, ControlledSite, freePort } from '../support/controlled-site.ts';
import { RunningHeddle } from '../support/running-heddle.ts';
import { type KeyPair, makeTlsKeys } from '../support/tls-keys.ts';

let stop: () => Promise<void> = async () => undefined;
afterEach(() => stop());

async function start(...args: Parameters<typeof ControlledSite.start>): Promise<ControlledSite> {
  const site = await ControlledSite.start(...args);
  stop = () => site.stop();
  return site;
}

async function prepare(...args: Parameters<typeof RunningHeddle.prepare>): Promise<RunningHeddle> {
  const heddle = await RunningHeddle.prepare(...args);
  stop = () => heddle.stop();
  return heddle;
}

describe('when a daemon comes back', () => {
  test('ovs-vswitchd: every flow is there again within 10 s, and nothing is written', async () => {
    const site = await start({ ...BLUE, hosts: { node1: {}, node2: {} } });
    await site.plug('node1', 'blue1');
    await site.plug('node2', 'blue2');
    await site.untilColumn('node1', 'Interface', 'vxlan-ac1c000c', 'type', 'vxlan');
    await site.inStep();
    const flows = await site.installedFlows();
    const transactions = () => site.status().hosts.map(({ ovsdbWrites }) => ovsdbWrites.transactions);
    const before = transactions();
    const fromMs = performance.now();
    await site.host('node1').restartVswitchd();
    await site.until('the same flows', async () =>
      isDeepStrictEqual(await site.installedFlows().catch(() => undefined), flows),
    );
    expect(performance.now() - fromMs).toBeLessThan(10_000);
    await site.inStep();
    expect(transactions()).toEqual(before);
    expect(site.status().hosts[0]?.bridges.map(({ connectionCount }) => connectionCount)).toEqual([2, 2]);
  });

  test('ovsdb-server: the session comes back, nothing is written and no flow touched', async () => {
    const site = await start();
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
    await site.inStep();
    await site.logMessages();
    const { transactions } = site.status().hosts[0]?.ovsdbWrites ?? {};
    await site.host().stopDatabase();
    await site.until('the loss to show', () => site.status().waitingFor.some((wait) => wait.includes('to come back')));
    const database = await site.database();
    await site.host().startDatabase();
    await site.inStep();
    expect(await site.mods()).toEqual([]);
    expect(await site.database()).toBe(database);
    expect(site.status().hosts[0]?.ovsdbWrites.transactions).toBe(transactions);
    // And it is followed again.
    await site.plug('node1', 'blue2');
    await site.untilColumn('node1', 'Port', 'blue2', 'tag', '1');
    await site.inStep();
  });

  test('what was plugged while ovsdb-server could not tell is found', async () => {
    const site = await start();
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
    await site.stopController();
    await site.plug('node1', 'blue2');
    await site.host().vsctl('del-port', 'br-int', 'blue1');
    await site.startController();
    await site.untilColumn('node1', 'Port', 'blue2', 'tag', '1');
    await site.inStep();
  });
});

describe('listeners', () => {
  test('two --listen: bridges are served through either', async () => {
    const heddle = await prepare({ ...BLUE, hosts: { node1: {}, node2: {} } });
    const { site } = heddle;
    const second = `tcp:127.0.0.1:${await freePort()}`;
    site.hostEntries = { node1: {}, node2: { controller: second } };
    heddle.write(site.text());
    heddle.run('--listen', second);
    const { hosts } = await heddle.process.converged();
    expect(hosts.map(({ name }) => name)).toEqual(['node1', 'node2']);
    expect((await site.host('node2').vsctl('get-controller', 'br-int')).trim()).toBe(second);
    expect(heddle.lines('waiting for bridges').map(({ listen }) => listen)).toEqual([site.listen, second]);
  });

  test('a port that is taken ends heddle at once, with words and status 1', async () => {
    const heddle = await prepare();
    heddle.run('--listen', heddle.site.listen);
    expect(await heddle.process.ended).toBe(1);
    expect(heddle.process.output).toContain('EADDRINUSE');
    expect(heddle.process.output).toMatch(/^heddle: .*127\.0\.0\.1:\d+.*$/m);
    expect(heddle.process.output).not.toMatch(/^\s+at /m);
  });

  test('--ovsdb-listen: an ovsdb-server that calls is known by its hostname or system-id', async () => {
    const heddle = await prepare({ ...BLUE, hosts: { node1: {}, node2: {} } });
    const { site } = heddle;
    const ovsdb = await freePort();
    site.hostEntries = { node1: { ovsdb: undefined }, node2: { ovsdb: undefined } };
    heddle.write(site.text());
    await site.host('node1').vsctl('set', 'Open_vSwitch', '.', 'external_ids:hostname=node1');
    await site
      .host('node2')
      .vsctl('set', 'Open_vSwitch', '.', 'external_ids:system-id=node2', 'external_ids:hostname=x');
    heddle.run('--ovsdb-listen', `tcp:127.0.0.1:${ovsdb}`);
    for (const sandbox of site.hosts.values())
      await sandbox.vsctl('--no-wait', 'set-manager', `tcp:127.0.0.1:${ovsdb}`);
    await heddle.process.converged();
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
    await heddle.process.converged();
    expect(
      heddle
        .lines('OVSDB server called')
        .map(({ host }) => host)
        .sort(),
    ).toEqual(['node1', 'node2']);
  });

  test('--ovsdb-listen: one that is no host of the topology is told apart, and not kept', async () => {
    const heddle = await prepare();
    const { site } = heddle;
    const ovsdb = await freePort();
    site.hostEntries = { node1: { ovsdb: undefined } };
    heddle.write(site.text());
    await site.host().vsctl('set', 'Open_vSwitch', '.', 'external_ids:hostname=elsewhere');
    heddle.run('--ovsdb-listen', `tcp:127.0.0.1:${ovsdb}`);
    site.host().allowLog(/reconnect\|WARN\|tcp:127\.0\.0\.1:\d+: connection dropped/);
    await site.host().vsctl('--no-wait', 'set-manager', `tcp:127.0.0.1:${ovsdb}`);
    const [line] = await heddle.logged(
      'an ovsdb-server called that is no host of the topology: name the host as its system-id or hostname',
    );
    expect(line).toMatchObject({ level: 'warn', hostname: 'elsewhere' });
    expect((await site.host().vsctl('list-br')).trim()).toBe('');
  });
});

describe('TLS', () => {
  let keys: Record<'heddle' | 'switch', KeyPair>;

  async function prepareTls(): Promise<RunningHeddle> {
    const heddle = await prepare();
    keys = await makeTlsKeys(heddle.site.directory, 'site', ['heddle', 'switch']);
    const { keyFile, certFile, caFile } = keys.switch;
    await heddle.site.host().vsctl('--no-wait', 'set-ssl', keyFile, certFile, caFile);
    return heddle;
  }

  const tlsArgs = ({ keyFile, certFile, caFile }: KeyPair) => [
    ...['--private-key', keyFile],
    ...['--certificate', certFile],
    ...['--ca-cert', caFile],
  ];

  test('for OpenFlow and OVSDB, through the options of heddle run', async () => {
    const heddle = await prepareTls();
    const { site } = heddle;
    const [openflow, ovsdb] = [await freePort(), await freePort()];
    await site.host().vsctl('--no-wait', 'set-manager', `pssl:${ovsdb}:127.0.0.1`);
    site.hostEntries = { node1: { ovsdb: `ssl:127.0.0.1:${ovsdb}`, controller: `ssl:127.0.0.1:${openflow}` } };
    heddle.write(site.text());
    heddle.run('--listen', `ssl:127.0.0.1:${openflow}`, ...tlsArgs(keys.heddle));
    const { hosts } = await heddle.process.converged();
    expect(hosts[0]?.bridges.map(({ peer }) => peer)).toEqual(
      Array(2).fill(expect.stringMatching(/^ssl:127\.0\.0\.1:/)),
    );
    expect(await site.get('node1', 'Controller', 'br-int', 'target')).toBe(`"ssl:127.0.0.1:${openflow}"`);
    await site.plug('node1', 'blue1');
    await site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
    await heddle.process.converged();
  });

  test('for servers that call: --ovsdb-listen ssl:', async () => {
    const heddle = await prepareTls();
    const { site } = heddle;
    const ovsdb = await freePort();
    site.hostEntries = { node1: { ovsdb: undefined } };
    heddle.write(site.text());
    await site.host().vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'external_ids:hostname=node1');
    heddle.run('--ovsdb-listen', `ssl:127.0.0.1:${ovsdb}`, ...tlsArgs(keys.heddle));
    await site.host().vsctl('--no-wait', 'set-manager', `ssl:127.0.0.1:${ovsdb}`);
    await heddle.process.converged();
  });

  test('keys of another authority are refused: no session, words in the status', async () => {
    const heddle = await prepareTls();
    const { site } = heddle;
    const ovsdb = await freePort();
    site.host().allowLog(/(stream_ssl|jsonrpc|reconnect)\|WARN\|/);
    await site.host().vsctl('--no-wait', 'set-manager', `pssl:${ovsdb}:127.0.0.1`);
    site.hostEntries = { node1: { ovsdb: `ssl:127.0.0.1:${ovsdb}` } };
    heddle.write(site.text());
    const { heddle: stranger } = await makeTlsKeys(site.directory, 'other', ['heddle']);
    heddle.run(...tlsArgs(stranger));
    await site.until('a reason', async () => {
      const status = await heddle.status().catch(() => undefined);
      return status?.waitingFor.some((wait) => /^node1: its OVSDB at ssl:.*certificate/.test(wait)) === true;
    });
    expect((await site.host().vsctl('list-br')).trim()).toBe('');
  });

  test('ssl: without keys, or with half of them, ends at once and says what is missing', async () => {
    const heddle = await prepareTls();
    heddle.site.hostEntries = { node1: { ovsdb: 'ssl:127.0.0.1:1' } };
    heddle.write(heddle.site.text());
    heddle.run('--private-key', keys.heddle.keyFile);
    expect(await heddle.process.ended).toBe(1);
    expect(heddle.process.output).toContain('ssl: needs --private-key, --certificate and --ca-cert together');
    heddle.run();
    expect(await heddle.process.ended).toBe(1);
    expect(heddle.process.output).toMatch(/^heddle: the OVSDB of node1 at ssl:127\.0\.0\.1:1 .*: give --private-key/m);
  });

  test('a reload that brings a host over ssl: without keys changes nothing', async () => {
    const heddle = await RunningHeddle.start();
    stop = () => heddle.stop();
    const { site } = heddle;
    const { generation } = await heddle.status();
    site.hostEntries = { node0: { ovsdb: 'ssl:127.0.0.1:1' }, node1: { local_ip: '172.28.0.99' } };
    heddle.write(site.text());
    const [line] = await heddle.logged('topology not taken');
    expect(line?.error).toMatch(/^the OVSDB of node0 at ssl:127\.0\.0\.1:1 cannot be reached without keys/);
    const status = await heddle.process.converged();
    expect([status.generation, status.hosts.map(({ name }) => name)]).toEqual([generation, ['node1']]);
  });
});

test('two controllers cannot share one control socket: the second says so and leaves', async () => {
  const heddle = await RunningHeddle.start();
  stop = () => heddle.stop();
  const second = await heddle.process.ask('run', heddle.file, '--state', join(heddle.site.directory, 'second'));
  expect(second.status).toBe(1);
  expect(second.stderr).toMatch(/another controller answers there; stop it, or give this one its own --control SOCKET/);
  expect((await heddle.status()).converged).toBe(true);
});
