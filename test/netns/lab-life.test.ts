/**
 * Labs among themselves and after accidents: two with the same names and addresses side by side, and what a killed process
 * leaves behind is cleared away by the next one that looks.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually, run, runAny } from '../../scripts/support/lab/command.ts';
import { Lab } from '../../scripts/support/lab/lab.ts';
import { sweep } from '../../scripts/support/lab/record.ts';

const LAB = join(import.meta.dirname, '..', '..', 'scripts', 'support', 'lab', 'lab.ts');

/** A process that brings a lab up, says its name and then goes in the given way. */
const ACCIDENT = `
const { Lab } = await import(process.argv[1]);
const lab = await Lab.up({ hosts: ['node1'] });
process.stdout.write(lab.name);
const ways = { exit: () => process.exit(0), crash: () => { throw new Error('crash') }, kill: () => process.kill(process.pid, 'SIGKILL') };
ways[process.argv[2]]();
`;

async function nameAfter(way: 'exit' | 'crash' | 'kill'): Promise<string> {
  const { stdout } = await runAny([process.execPath, '--input-type=module', '-e', ACCIDENT, LAB, way]);
  expect(stdout).toMatch(/^\S+-\S{6}$/);
  return stdout;
}

async function isThere(name: string): Promise<boolean> {
  return (await run(['ip', 'netns', 'list'])).includes(name) || existsSync(`/run/heddle-lab/${name}`);
}

describe('labs', () => {
  test('live side by side with the same hosts and addresses', async () => {
    const labs = await Promise.all([1, 2].map(() => Lab.up({ hosts: ['node1', 'node2'] })));
    try {
      for (const lab of labs) {
        const [node1, node2] = [lab.host('node1'), lab.host('node2')];
        await eventually('an answer over the underlay', async () => {
          const { status } = await node1.namespace.runAny(['ping', '-c', '1', '-W', '1', node2.localIp]);
          return status === 0;
        });
        expect(await node1.vsctl('list-br')).toBe('br-int\nbr-phy\n');
      }
      expect(new Set(labs.map((lab) => lab.name)).size).toBe(2);
    } finally {
      for (const lab of labs) await lab.down();
    }
  });

  test.each(['exit', 'crash'] as const)('go down with their process: %s', async (way) => {
    expect(await isThere(await nameAfter(way))).toBe(false);
  });

  test('of a killed process are cleared away by the next who looks', async () => {
    const name = await nameAfter('kill');
    // Another run on this machine may have been quicker: what counts is that it is gone.
    sweep();
    expect(await isThere(name)).toBe(false);
  });

  test('survive stops and starts of their daemons', async () => {
    const lab = await Lab.up({ hosts: ['node1'] });
    try {
      const host = lab.host('node1');
      const before = await host.ofportOf('ul0');
      await host.stopSwitch('SIGKILL');
      await host.stopDatabase();
      await host.startDatabase();
      await host.startSwitch();
      expect(await host.ofportOf('ul0')).toBe(before);
      expect(
        host
          .findings()
          .map(({ line }) => line)
          .filter((line) => /terminating with signal 15/.test(line)),
      ).toHaveLength(1);
    } finally {
      await lab.down();
    }
  });
});
