/** What a host should have, as far as it depends on what it shows (src/controller/wanted.ts). */
import { describe, expect, test } from 'vitest';
import { buildRouting } from '../../src/compiler/routing.ts';
import { wantedHost } from '../../src/controller/wanted.ts';
import { loadTopology } from '../../src/topology/load.ts';
import { type ModelBridge, ModelHost } from './model-host.ts';

const TARGET = 'tcp:127.0.0.1:6653';
const HOST = { name: 'node1', controller: TARGET, bridge_mappings: { physnet1: 'br-eth2' } };

/** The bridges of which something is to be written, where there are flows for these. */
function bridgesWith(bridges: readonly ModelBridge[], rendered: readonly string[]): readonly string[] {
  const loaded = loadTopology(JSON.stringify({ hosts: [HOST], networks: [], ports: [] }), { file: 'site.json' });
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  const { topology } = loaded;
  const host = topology.hosts.get('node1');
  if (host === undefined) throw new Error('no host');
  const { view } = new ModelHost(bridges);
  const known = { topology, routing: buildRouting(topology), host, view, localVlans: new Map(), tunnels: [] };
  const further = { openPatches: new Set<string>(), datapathIds: new Map() };
  const wanted = wantedHost({ ...known, ...further, isRendered: (bridge) => rendered.includes(bridge) });
  return wanted.bridges.map(({ name }) => name);
}

describe('a physical bridge that others have been using', () => {
  const used: ModelBridge = { name: 'br-eth2', failMode: 'standalone' };

  test('is let be until there are flows for it', () => {
    expect(bridgesWith([{ name: 'br-int' }, used], [])).not.toContain('br-eth2');
    expect(bridgesWith([{ name: 'br-int' }, used], ['br-eth2'])).toContain('br-eth2');
  });

  test.each([
    ['has a controller already', { ...used, controllers: ['tcp:10.0.0.1:6653'] }],
    ['is secure already', { ...used, failMode: 'secure' }],
  ])('is not waited for where it %s: it loses no flow by getting ours', (_what, bridge) => {
    expect(bridgesWith([bridge], [])).toContain('br-eth2');
  });

  test('is not waited for where it is a bridge of ours: what it forwards without our flows, guests get unfiltered', () => {
    expect(bridgesWith([{ name: 'br-int', failMode: 'standalone' }], [])).toContain('br-int');
  });
});
