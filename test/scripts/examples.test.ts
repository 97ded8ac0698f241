/** The files under docs/examples/ are what they say: valid, and fit for the demo where the demo uses them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CONTROLLER_IP, hostAddresses } from '../../scripts/support/lab/lab.ts';
import { ipToText } from '../../src/lib/addresses.ts';
import { formatTopologyError, loadTopology } from '../../src/topology/load.ts';

const EXAMPLES = join(import.meta.dirname, '..', '..', 'docs', 'examples');

function load(file: string) {
  const loaded = loadTopology(readFileSync(join(EXAMPLES, file), 'utf8'), { file });
  return 'topology' in loaded ? loaded.topology : loaded.errors.map(formatTopologyError);
}

describe('docs/examples', () => {
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
