/**
 * Golden scenarios: what a topology means, as sorted dumps with names in place of numbers, for people to review as a diff.
 * `vitest run -u` writes them anew.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compileOffline } from '../../src/compiler/offline.ts';
import { formatFlows } from '../../src/flow/format.ts';
import { normaliseMatch } from '../../src/flow/match.ts';
import { loadTopology } from '../../src/topology/load.ts';

const GOLDEN = new URL('golden/', import.meta.url);

function loadGolden(scenario: string) {
  const file = `${scenario}/topology.yaml`;
  const loaded = loadTopology(readFileSync(new URL(file, GOLDEN), 'utf8'), { file });
  if (!('topology' in loaded)) throw new Error(JSON.stringify(loaded.errors));
  return loaded.topology;
}

describe.each(readdirSync(GOLDEN))('%s', (scenario) => {
  const { bridges, compiler } = compileOffline(loadGolden(scenario));

  test.each(bridges.map((one) => [`${one.host}.${one.bridge}`, one] as const))(
    '%s',
    async (name, { book, portNames }) => {
      const flows = [...book.flows()].map(({ flow }) => flow);
      const text = formatFlows(flows, { portNames, hideCookie: true });
      await expect(`${text.join('\n')}\n`).toMatchFileSnapshot(new URL(`${scenario}/${name}.flows`, GOLDEN).pathname);
      for (const flow of flows) expect(flow.match).toEqual(normaliseMatch(flow.match));
    },
  );

  test('has no conflicts, and an origin in the file for every object of it', () => {
    compiler.recompute();
    expect(compiler.pass().conflicts).toEqual([]);
    for (const { book } of bridges) {
      for (const { origin } of book.flows()) {
        if (/^(port|network|host|router|floating_ip) /.test(origin.object)) {
          expect(compiler.locate(origin).path).toMatch(/^(ports|networks|hosts|routers|floating_ips)\[\d+\]$/);
        }
      }
    }
  });

  test('one host alone means the same', () => {
    const topology = loadGolden(scenario);
    for (const { host, bridge, book } of bridges) {
      const alone = compileOffline(topology, { host }).bridges.find((one) => one.bridge === bridge);
      expect(formatFlows([...(alone?.book.flows() ?? [])].map(({ flow }) => flow))).toEqual(
        formatFlows([...book.flows()].map(({ flow }) => flow)),
      );
    }
  });
});
