/** The files under docs/examples/ are what they say: valid, and fit for the demo where the demo uses them. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CONTROLLER_IP, hostAddresses } from '../../scripts/support/lab/lab.ts';
import { defaultControlPath } from '../../src/controller/control-socket.ts';
import { defaultStateDirectory } from '../../src/controller/state-store.ts';
import { ipToText } from '../../src/lib/addresses.ts';
import { formatTopologyError, loadTopology } from '../../src/topology/load.ts';
import { heddle } from '../cli/command-line.ts';

const EXAMPLES = join(import.meta.dirname, '..', '..', 'docs', 'examples');

function load(file: string) {
  const loaded = loadTopology(readFileSync(join(EXAMPLES, file), 'utf8'), { file });
  return 'topology' in loaded ? loaded.topology : loaded.errors.map(formatTopologyError);
}

describe('docs/examples', () => {
  test('heddle.service starts heddle as its command line wants it, and lets it write where it does', async () => {
    const unit = readFileSync(join(EXAMPLES, 'heddle.service'), 'utf8');
    const value = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];
    const words = value('ExecStart')?.split(' ') ?? [];
    expect(words[1]).toBe('run');
    const { out } = await heddle('run', '--help');
    for (const option of words.filter((word) => word.startsWith('--'))) expect(out).toContain(option);
    expect(defaultStateDirectory({}, 0)).toBe(`/var/lib/${value('StateDirectory')}`);
    expect(dirname(defaultControlPath({}, 0))).toBe(`/run/${value('RuntimeDirectory')}`);
    expect(value('Nice')).toBe('10');
    expect(value('Restart')).toBe('on-failure');
    // V8 makes code.
    expect(value('MemoryDenyWriteExecute')).toBeUndefined();
    expect(value('RestrictAddressFamilies')?.split(' ').sort()).toEqual(['AF_INET', 'AF_INET6', 'AF_UNIX']);
  });

  test.each(readdirSync(EXAMPLES).filter((name) => /\.(ya?ml|json)$/.test(name)))('%s is valid', (file) => {
    expect(load(file)).not.toEqual(expect.any(Array));
  });

  test('three-hosts.yaml names the addresses that the lab gives', () => {
    const topology = load('three-hosts.yaml');
    if (Array.isArray(topology)) throw new Error(topology.join('\n'));
    const hosts = [...topology.hosts.values()];
    expect(hosts).toHaveLength(3);
    for (const [index, host] of hosts.entries()) {
      const { managementIp, localIp } = hostAddresses(index);
      expect(host.ovsdb).toBe(`tcp:${managementIp}:6640`);
      expect(host.controllers).toEqual([`tcp:${CONTROLLER_IP}:6653`]);
      expect(host.localIp === undefined ? undefined : ipToText(host.localIp)).toBe(localIp);
      expect(host.datapathType).toBe('netdev');
    }
  });
});
