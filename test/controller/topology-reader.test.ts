/** A topology that a thread has read against the same file, read here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { siteDocument, spread } from '../../scripts/support/bench/site.ts';
import { type Reading, readTopologyFile } from '../../src/controller/topology-file.ts';
import { TopologyReader } from '../../src/controller/topology-reader.ts';
import { LIMITS } from '../../src/lib/limits.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-reader-'));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** Of every kind something, and of ports more than one part; addresses and MACs of all but some are derived. */
function document(): Record<string, readonly object[]> {
  const shape = { hostCount: 3, networkCount: 4, portsPerNetwork: 100, routerCount: 2, hostOf: spread(3, 3) };
  const { hosts, networks, ports, routers } = siteDocument(shape);
  const named = ports.map(({ id, network, host }: Record<string, unknown>) => ({ id, network, host }));
  const [first, ...others] = named;
  return {
    hosts,
    networks: [
      ...networks,
      { id: 'v6', network_type: 'gre', segmentation_id: 7, subnets: [{ id: 'v6', cidr: 'fd00::/64' }] },
      {
        id: 'public',
        network_type: 'flat',
        physical_network: 'p',
        external: true,
        subnets: [{ cidr: '203.0.113.0/24' }],
      },
    ],
    ports: [{ ...first, security_groups: ['web'] }, ...others, { id: 'six', network: 'v6' }],
    routers,
    security_groups: [
      { id: 'web', rules: [{ direction: 'ingress', protocol: 'tcp', port_range_min: 80, port_range_max: 80 }] },
    ],
  };
}

function write(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const inThread = (path: string, held = { macs: {}, addresses: {} }): Promise<Reading> =>
  new TopologyReader(path).read(held);

test.each([
  ['YAML', (value: unknown) => stringify(value)],
  ['JSON', (value: unknown) => JSON.stringify(value, undefined, 2)],
])('a large file of %s: objects, places, derived values', async (name, format) => {
  const text = format(document());
  expect(text.length).toBeGreaterThan(LIMITS.topologyInlineSize);
  const path = write(name, text);
  const here = readTopologyFile(path);
  expect(here).toHaveProperty('topology');
  expect(await inThread(path)).toStrictEqual(here);
});

test('what was derived before is kept', async () => {
  const path = write('held', JSON.stringify(document(), undefined, 2));
  const held = {
    macs: { 'port net0000-port7': 'fa:16:3e:00:00:07' },
    addresses: { 'port net0000-port7 on net0000-subnet': '10.0.0.77' },
  };
  const there = await inThread(path, held);
  expect(there).toStrictEqual(readTopologyFile(path, held));
  expect(there).toMatchObject({ derived: held });
});

test('every error, in the order of the file', async () => {
  const { ports = [], ...others } = document();
  const wrong = ports.map((port, index) => (index % 3 === 0 ? { ...port, network: 'nowhere', colour: 'red' } : port));
  const path = write('wrong', JSON.stringify({ ports: wrong, ...others }));
  const here = readTopologyFile(path);
  expect('errors' in here && here.errors.length).toBeGreaterThan(LIMITS.topologyPartLength);
  expect(await inThread(path)).toStrictEqual(here);
});

test('no file, and one that goes while it is read', async () => {
  await expect(inThread(join(directory, 'none'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  const path = write('going', JSON.stringify(document(), undefined, 2));
  const reading = inThread(path);
  rmSync(path);
  await expect(reading).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: expect.stringContaining(path) });
});

test('a reading that is given up', async () => {
  const reader = new TopologyReader(write('left', JSON.stringify(document(), undefined, 2)));
  const reading = reader.read({ macs: {}, addresses: {} });
  const refused = expect(reading).rejects.toMatchObject({ code: 'READING_ENDED' });
  // The thread begins a turn later.
  await new Promise((resolve) => setImmediate(resolve));
  await reader.close();
  await refused;
});
