/** `heddle flows FILE`: the words of ovs-ofctl, chosen by host, bridge, table and object, with where each flow comes from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatFlow } from '../../src/flow/format.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import { heddle } from './command-line.ts';

const FILE = join(import.meta.dirname, '..', '..', 'docs', 'examples', 'three-hosts.yaml');

const flowLines = (out: string): string[] => out.split('\n').filter((line) => line.startsWith('cookie='));

describe('what is shown', () => {
  test('every bridge of every host under a title that counts its flows', async () => {
    const { status, out, talk } = await heddle('flows', FILE);
    expect([status, talk]).toEqual([0, '']);
    const titles = [...out.matchAll(/^# (\S+) (\S+): (\d+) flows?$/gm)].map(([, host, bridge]) => `${host} ${bridge}`);
    expect(titles).toEqual(
      ['node1', 'node2', 'node3'].flatMap((host) =>
        ['br-int', 'br-tun', 'br-eth2'].map((bridge) => `${host} ${bridge}`),
      ),
    );
    const counts = [...out.matchAll(/^# .*: (\d+) flows?$/gm)].map(([, count]) => Number(count));
    expect(counts.reduce((sum, count) => sum + count)).toBe(flowLines(out).length);
  });

  test('one bridge is flows and nothing else, in the order of a dump', async () => {
    const { out } = await heddle('flows', FILE, '--host', 'node1', '--bridge', 'br-tun');
    expect(out.trimEnd().split('\n')).toEqual(flowLines(out));
    const keys = flowLines(out).map((line) => {
      const { table, priority } = parseFlow(line.replace(/"[\w-]+"/g, '9'));
      return [table ?? 0, -(priority ?? 0)] as const;
    });
    expect(keys).toEqual([...keys].sort(([a, b], [c, d]) => a - c || b - d));
  });

  test('--table and --object choose, and leave out bridges that have none', async () => {
    const { out } = await heddle('flows', FILE, '--host', 'node1', '--table', '21');
    expect(out).toMatch(/^# node1 br-tun: 6 flows\n/);
    expect(out).not.toContain('br-eth2');
    expect(flowLines(out).every((line) => line.includes(', table=21, '))).toBe(true);
    const byId = await heddle('flows', FILE, '--object', 'blue1');
    expect((await heddle('flows', FILE, '--object', 'port blue1')).out).toBe(byId.out);
    expect(flowLines(byId.out).length).toBeGreaterThan(10);
    expect(flowLines(byId.out).length).toBeLessThan(flowLines((await heddle('flows', FILE)).out).length);
  });

  test('--explain names rule, object and the line of the file, which is the right one', async () => {
    const { out } = await heddle('flows', FILE, '--host', 'node1', '--explain');
    const lines = readFileSync(FILE, 'utf8').split('\n');
    const origins = [...out.matchAll(/^# (\S+) of port (\S+) \(ports\[\d+\], line (\d+)\)\ncookie=/gm)];
    expect(origins.length).toBeGreaterThan(20);
    for (const [, , id, line] of origins) expect(lines[Number(line) - 1]).toContain(`id: ${id}`);
    expect(flowLines(out)).toEqual(flowLines((await heddle('flows', FILE, '--host', 'node1')).out));
  });

  test('--json holds the same flows, with their origins', async () => {
    const { out } = await heddle('flows', FILE, '--host', 'node2', '--json');
    const bridges = JSON.parse(out) as { bridge: string; flows: { text: string; origin: { rule: string } }[] }[];
    expect(bridges.map(({ bridge }) => bridge)).toEqual(['br-int', 'br-tun', 'br-eth2']);
    const texts = bridges.flatMap(({ flows }) => flows.map(({ text }) => text));
    expect(texts.sort()).toEqual(flowLines((await heddle('flows', FILE, '--host', 'node2')).out).sort());
    expect(bridges.every(({ flows }) => flows.every(({ origin }) => origin.rule !== ''))).toBe(true);
  });

  test('ports have names, or with --no-names the numbers that stand for them', async () => {
    const args = ['flows', FILE, '--host', 'node1', '--bridge', 'br-tun'];
    const named = flowLines((await heddle(...args)).out);
    const numbered = flowLines((await heddle(...args, '--no-names')).out);
    expect(named.some((line) => line.includes('in_port="vxlan-ac1c000c"'))).toBe(true);
    expect(numbered.some((line) => line.includes('vxlan-'))).toBe(false);
    expect(numbered).toHaveLength(named.length);
    for (const line of numbered) expect(formatFlow(parseFlow(line))).toBe(line);
  });

  test('the same file twice, and its JSON, give the same bytes', async () => {
    expect((await heddle('flows', FILE)).out).toBe((await heddle('flows', FILE)).out);
  });
});

test.each([
  [['--host', 'node9'], /^heddle: no host "node9" in the topology; there are: node1, node2, node3\n$/],
  [['--bridge', 'br-x'], /^heddle: no host has a bridge "br-x"; there are: br-eth2, br-int, br-tun\n$/],
  [['--object', 'nobody'], /^heddle: no flow here comes of "nobody": give the id of a network, port or host/],
])('what is not there is said: %j', async (args, message) => {
  const { status, out, talk } = await heddle('flows', FILE, ...args);
  expect([status, out]).toEqual([1, '']);
  expect(talk).toMatch(message);
});
