/** `heddle run` and its file: reloads that are taken, refused, half written, asked for by SIGHUP; SIGTERM and restarts. */
import { readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { BLUE, type SiteDocument } from '../support/controlled-site.ts';
import { RunningHeddle } from '../support/running-heddle.ts';

let heddle: RunningHeddle;
afterEach(() => heddle.stop());

const READ = 'topology read again';
const REFUSED = 'the topology file was not taken; the one before it stays in force';

/** A document of ours with something else in it. */
function textWith(change: Partial<SiteDocument>): string {
  const { site } = heddle;
  const before = site.document;
  site.document = { ...before, ...change };
  const text = site.text();
  site.document = before;
  return text;
}

const GREEN: Partial<SiteDocument> = {
  networks: [
    ...(BLUE.networks ?? []),
    { id: 'green', network_type: 'vxlan', segmentation_id: 1002, subnets: [{ cidr: '10.2.0.0/24' }] },
  ],
  ports: [...(BLUE.ports ?? []), { id: 'green1', network: 'green' }],
};

async function plugGuests(): Promise<void> {
  await heddle.site.plug('node1', 'blue1');
  await heddle.site.untilColumn('node1', 'Port', 'blue1', 'tag', '1');
  await heddle.process.converged();
}

describe('reload', () => {
  test('of a changed file: what it adds appears', async () => {
    heddle = await RunningHeddle.start();
    await heddle.site.plug('node1', 'green1');
    await heddle.site.untilColumn('node1', 'Port', 'green1', 'tag', '4095');
    heddle.write(textWith(GREEN));
    await heddle.site.untilColumn('node1', 'Port', 'green1', 'tag', '1');
    await heddle.process.converged();
    expect(heddle.lines(READ)).toHaveLength(1);
  });

  test('of a file with errors changes nothing on any switch, and logs every error', async () => {
    heddle = await RunningHeddle.start({ ...BLUE, hosts: { node1: {}, node2: {} } });
    await plugGuests();
    const { site } = heddle;
    const databases = [await site.database('node1'), await site.database('node2')];
    for (const host of ['node1', 'node2']) await site.logMessages(host);
    heddle.write(
      textWith({
        networks: [{ ...BLUE.networks?.[0], segmentation_id: 16_777_216, colour: 'blue' }],
        ports: [
          { id: 'blue1', network: 'bleu' },
          { id: 'blue1', network: 'blue', mac_address: '01:00:00:00:00:01' },
        ],
      }),
    );
    const [summary] = await heddle.logged(REFUSED);
    const errors = heddle.lines('topology not taken');
    expect(summary).toMatchObject({ level: 'error', file: heddle.file, count: errors.length });
    expect(errors.length).toBeGreaterThanOrEqual(5);
    for (const { error } of errors) expect(error).toMatch(/topology\.json:\d+:\d+: /);
    expect((await heddle.status()).warnings).toEqual([
      `${heddle.file} was not taken (${errors.length} errors, see the log or heddle check); the one before it is in force`,
    ]);
    expect(await site.mods('node1')).toEqual([]);
    expect(await site.mods('node2')).toEqual([]);
    expect([await site.database('node1'), await site.database('node2')]).toEqual(databases);
    // It still serves, by the file before.
    await site.plug('node2', 'blue2');
    await site.untilColumn('node2', 'Port', 'blue2', 'tag', '1');
    // And takes the next one that is right.
    heddle.write(textWith(GREEN));
    await heddle.logged(READ);
    expect((await heddle.process.converged()).warnings).toEqual([]);
  });

  test('of a file that is written in two halves takes the whole, and complains of the half at most', async () => {
    heddle = await RunningHeddle.start();
    await plugGuests();
    await heddle.site.logMessages();
    const text = textWith(GREEN);
    const { length } = text;
    writeFileSync(heddle.file, text.slice(0, length / 2));
    await heddle.logged(REFUSED);
    expect(await heddle.site.mods()).toEqual([]);
    writeFileSync(heddle.file, text);
    await heddle.logged(READ);
    expect((await heddle.process.converged()).warnings).toEqual([]);
  });

  test('of a file that is replaced by a rename, as editors do, is taken once', async () => {
    heddle = await RunningHeddle.start();
    for (const [index, text] of [textWith(GREEN), textWith({})].entries()) {
      const temporary = join(heddle.site.directory, '.topology.json.swp');
      writeFileSync(temporary, text);
      renameSync(temporary, heddle.file);
      await heddle.logged(READ, index + 1);
    }
    await heddle.process.converged();
    expect(heddle.lines(READ)).toHaveLength(2);
    expect(heddle.process.complaints).toEqual([]);
  });

  test('of a file that has become empty, or is gone, is refused', async () => {
    heddle = await RunningHeddle.start();
    await plugGuests();
    await heddle.site.logMessages();
    truncateSync(heddle.file);
    await heddle.logged(REFUSED);
    renameSync(heddle.file, `${heddle.file}.away`);
    heddle.process.reload();
    const lines = await heddle.logged('topology not taken', 2);
    expect(lines.at(-1)?.error).toMatch(/^topology .*: ENOENT.*; give the path of a file that can be read$/);
    expect(await heddle.site.mods()).toEqual([]);
    await heddle.site.plug('node1', 'blue2');
    await heddle.site.untilColumn('node1', 'Port', 'blue2', 'tag', '1');
  });

  test('by SIGHUP, of a file that has not changed, sends nothing', async () => {
    heddle = await RunningHeddle.start();
    await plugGuests();
    const database = await heddle.site.database();
    await heddle.site.logMessages();
    heddle.process.reload();
    await heddle.logged(READ);
    await heddle.process.converged();
    expect(await heddle.site.mods()).toEqual([]);
    expect(await heddle.site.database()).toBe(database);
  });
});

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s leaves every flow and row, and exits 0', async (signal) => {
    heddle = await RunningHeddle.start();
    await plugGuests();
    const flows = await heddle.site.host().dumpFlows('br-int');
    const database = await heddle.site.database();
    expect(await heddle.process.stop(signal)).toBe(0);
    expect(await heddle.site.host().dumpFlows('br-int')).toEqual(flows);
    expect(await heddle.site.database()).toBe(database);
    expect(heddle.lines('heddle ends; the switches keep their flows')).toHaveLength(1);
    expect(heddle.process.complaints).toEqual([]);
  });

  test('SIGKILL too; the next life finds everything as it was', async () => {
    heddle = await RunningHeddle.start();
    await plugGuests();
    await heddle.process.stop('SIGKILL');
    const database = await heddle.site.database();
    await heddle.site.logMessages();
    heddle.run();
    await heddle.process.converged();
    expect(await heddle.site.mods()).toEqual([]);
    expect(await heddle.site.database()).toBe(database);
  });
});

describe('what was derived', () => {
  /** Two ports whose hashed places collide: whoever comes first by name has it. */
  const ports = (...ids: readonly string[]) => ({ ports: ids.map((id) => ({ id, network: 'tiny' })) });
  const TINY: SiteDocument = {
    // Five addresses for guests: four ports are certain to want a place that another has.
    networks: [{ id: 'tiny', network_type: 'vxlan', segmentation_id: 5, subnets: [{ cidr: '10.9.0.0/29' }] }],
    ...ports('m', 'n', 'o', 'p'),
  };

  function addresses(): Record<string, string> {
    const { derived } = JSON.parse(readFileSync(join(heddle.site.directory, 'state', 'state.json'), 'utf8'));
    return derived.addresses;
  }

  test('is kept in the state directory, over reloads and lives, whoever joins', async () => {
    heddle = await RunningHeddle.start({ ...TINY, hosts: { node1: {} } });
    await heddle.process.stop();
    const before = addresses();
    expect(Object.keys(before)).toHaveLength(4);
    // A port that sorts before all others and would win every collision.
    heddle.write(textWith(ports('a', 'm', 'n', 'o', 'p')));
    heddle.run();
    await heddle.process.converged();
    // One leaves and comes back: it was not forgotten.
    heddle.write(textWith(ports('a', 'm', 'o', 'p')));
    await heddle.logged(READ, 1);
    heddle.write(textWith(ports('a', 'm', 'n', 'o', 'p')));
    await heddle.logged(READ, 2);
    await heddle.process.stop();
    expect(addresses()).toMatchObject(before);
    expect(new Set(Object.values(addresses())).size).toBe(5);
  });

  test('and a file that gives what is held to another port wins', async () => {
    heddle = await RunningHeddle.start({ ...TINY, hosts: { node1: {} } });
    await heddle.process.stop();
    const taken = addresses()['port m on tiny-v4'];
    heddle.write(
      textWith({
        ports: [
          { id: 'm', network: 'tiny' },
          { id: 'z', network: 'tiny', fixed_ips: [taken] },
        ],
      }),
    );
    heddle.run();
    await heddle.process.converged();
    await heddle.process.stop();
    expect(addresses()['port m on tiny-v4']).not.toBe(taken);
  });
});
