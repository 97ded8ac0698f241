/** What a topology and the places of its ports mean for each host. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Compiler } from '../../src/compiler/compiler.ts';
import { Site } from '../../src/compiler/site.ts';
import { ipFromText } from '../../src/lib/addresses.ts';
import { finish } from '../../src/lib/steps.ts';
import type { Settings } from '../../src/topology/model.ts';
import {
  apply,
  arbitraryEdit,
  arbitraryInputs,
  type Inputs,
  makeHost,
  makeNetwork,
  makePort,
  makeTopology,
  tell,
} from './worlds.ts';

const host = (name: string, localIp: string) => makeHost(name, { localIp: ipFromText(localIp) });

function site(settings: Partial<Settings> = {}): Site {
  const made = new Site();
  const topology = makeTopology({
    settings,
    hosts: [host('a', '192.0.2.1'), host('b', '192.0.2.2'), host('c', '192.0.2.3'), makeHost('untunnelled')],
    networks: [
      makeNetwork('blue', 'vxlan', { segmentationId: 1 }),
      makeNetwork('green', 'gre', { segmentationId: 1 }),
      makeNetwork('wire', 'flat', { physicalNetwork: 'public' }),
    ],
    ports: [
      makePort('blue1', 'blue'),
      makePort('blue2', 'blue'),
      makePort('green1', 'green'),
      makePort('green2', 'green'),
      makePort('wire1', 'wire'),
      makePort('wire2', 'wire'),
    ],
  });
  finish(made.setTopologySteps(topology));
  return made;
}

const keysOf = (made: Site, of: string) => made.tunnelsOf(of).map(({ key }) => key);

describe('networks of a host', () => {
  test('come with the first port and go with the last', () => {
    const made = site();
    expect([...made.networksOn('a')]).toEqual([]);
    made.setPortLocation('blue1', 'a');
    made.setPortLocation('blue2', 'a');
    made.setPortLocation('wire1', 'a');
    expect([...made.networksOn('a')]).toEqual(['blue', 'wire']);
    made.setPortLocation('blue1', undefined);
    expect([...made.networksOn('a')]).toEqual(['blue', 'wire']);
    made.setPortLocation('blue2', 'b');
    expect([...made.networksOn('a')]).toEqual(['wire']);
    expect([...made.networksOn('b')]).toEqual(['blue']);
  });

  test('a port that moves to a host nobody knows is nowhere', () => {
    const made = site();
    made.setPortLocation('blue1', 'a');
    made.setPortLocation('blue1', 'mars');
    expect([...made.networksOn('a'), ...made.networksOn('mars')]).toEqual([]);
  });
});

describe('tunnels of a host', () => {
  test('with l2population lead to hosts that share a tunnelled network', () => {
    const made = site();
    made.setPortLocation('blue1', 'a');
    made.setPortLocation('green1', 'a');
    made.setPortLocation('wire1', 'a');
    expect(keysOf(made, 'a')).toEqual([]);
    made.setPortLocation('blue2', 'b');
    made.setPortLocation('green2', 'c');
    made.setPortLocation('wire2', 'c');
    expect(keysOf(made, 'a')).toEqual(['gre/c', 'vxlan/b']);
    expect(keysOf(made, 'b')).toEqual(['vxlan/a']);
    expect(made.tunnelsOf('c')).toEqual([
      {
        key: 'gre/a',
        type: 'gre',
        remoteHost: 'a',
        localIp: ipFromText('192.0.2.3'),
        remoteIp: ipFromText('192.0.2.1'),
        portName: 'gre-c0000201',
        isWatched: false,
      },
    ]);
    made.setPortLocation('blue2', undefined);
    expect(keysOf(made, 'a')).toEqual(['gre/c']);
    expect(keysOf(made, 'b')).toEqual([]);
  });

  test('without l2population lead to every host, of each type in use', () => {
    const made = site({ l2Population: false });
    expect(keysOf(made, 'a')).toEqual(['gre/b', 'gre/c', 'vxlan/b', 'vxlan/c']);
    expect(keysOf(made, 'untunnelled')).toEqual([]);
  });

  test('a change names the hosts that it may concern', () => {
    const made = site();
    expect([...made.takeChangedHosts()].sort()).toEqual(['a', 'b', 'c', 'untunnelled']);
    made.setPortLocation('blue1', 'a');
    expect([...made.takeChangedHosts()]).toEqual(['a']);
    made.setPortLocation('blue2', 'b');
    expect([...made.takeChangedHosts()].sort()).toEqual(['a', 'b']);
    expect([...made.takeChangedHosts()]).toEqual([]);
  });

  test('kept up to date they equal those from scratch, and nothing changes unnamed', () => {
    const hosts = ['h1', 'h2', 'h3', 'h4'];
    const picture = ({ site: made }: Compiler) =>
      new Map(
        hosts.map((name) => [name, { tunnels: made.tunnelsOf(name), networks: [...made.networksOn(name)].sort() }]),
      );
    fc.assert(
      fc.property(arbitraryInputs, fc.array(arbitraryEdit, { maxLength: 12 }), (inputs, edits) => {
        const compiler = new Compiler();
        tell(compiler, inputs);
        compiler.site.takeChangedHosts();
        let current: Inputs = inputs;
        for (const edit of edits) {
          const before = picture(compiler);
          current = apply(edit, current, compiler);
          const changed = compiler.site.takeChangedHosts();
          const after = picture(compiler);
          const scratch = new Compiler();
          tell(scratch, current);
          expect(after).toEqual(picture(scratch));
          const known = hosts.filter((name) => current.topology.hosts.has(name) && !changed.has(name));
          for (const name of known) expect(after.get(name)).toEqual(before.get(name));
        }
      }),
      { numRuns: 100 },
    );
  });
});
