/** `heddle check`: every error of a file, where compilers and editors look for it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { heddle } from './command-line.ts';

const directory = mkdtempSync(join(tmpdir(), 'heddle-check-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function fileOf(text: string): string {
  const path = join(directory, 'site.yaml');
  writeFileSync(path, text);
  return path;
}

/** Twenty things that are wrong, one a line, each marked with what is expected there. */
const TWENTY = `
settings:
  drift: repare                       # 1 no such choice
  l2_population: perhaps              # 2 no boolean
hosts:
  - name: node1
    local_ip: 300.0.0.1               # 3 no address
    agent_mode: dvr_snatt             # 4 no such choice
    colour: red                       # 5 unknown key
  - name: node1                       # 6 duplicate
networks:
  - id: blue
    network_type: vxlan
    segmentation_id: 16777216         # 7 out of range
    subnets:
      - cidr: 10.0.0.0/33             # 8 no prefix
  - id: green
    network_type: vlan                # 9 physical_network missing
    segmentation_id: 4095             # 10 out of range
  - id: blue                          # 11 duplicate
    network_type: local
  - id: red
    network_type: token-ring          # 12 no such choice
  - id: flat1
    network_type: flat
    segmentation_id: 5                # 13 none for flat
    physical_network: physnet1
  - id: good
    network_type: local
    subnets: [{ cidr: 10.5.0.0/24 }]
ports:
  - id: p1
    network: nowhere                  # 14 no such network
  - id: p2
    network: good
    mac_address: "01:00:5e:00:00:01"  # 15 multicast
  - id: p3
    network: good
    fixed_ips: [10.6.0.1]             # 16 outside its subnet
  - id: p4
    network: good
    fixed_ips: [10.5.0.255]           # 17 broadcast
  - id: p5
    network: good
    fixed_ips: [10.5.0.9]
  - id: p6
    network: good
    fixed_ips: [10.5.0.9]             # 18 duplicate
  - id: p7
    network: good
    host: node9                       # 19 no such host
routers:
  - id: r1
    interfaces: [{ subnet: nothing }] # 20 no such subnet
`;

test('twenty errors in a file are twenty lines with file, line and column, in one run', async () => {
  const file = fileOf(TWENTY);
  const { status, out, talk } = await heddle('check', file);
  const lines = out.trimEnd().split('\n');
  const marked = TWENTY.split('\n').flatMap((line, index) => (/# \d+ /.test(line) ? index + 1 : []));
  expect(marked).toHaveLength(20);
  const places = lines.map((line) => {
    const [, path, at, column] = /^(.*):(\d+):(\d+): \S/.exec(line) ?? [];
    expect([path, Number(column) > 0]).toEqual([file, true]);
    return Number(at);
  });
  // Some keys are missed at the beginning of their object, one line or two above.
  const missed = marked.filter((line) => !places.some((place) => place <= line && line - place <= 2));
  expect(missed).toEqual([]);
  expect(lines.length).toBeGreaterThanOrEqual(20);
  expect(status).toBe(1);
  expect(talk).toBe(`${file}: ${lines.length} errors\n`);
});

test('--json gives the same errors for programs', async () => {
  const file = fileOf(TWENTY);
  const { status, out } = await heddle('check', '--json', file);
  const { out: text } = await heddle('check', file);
  const answer = JSON.parse(out);
  expect([status, answer.valid, answer.file]).toEqual([1, false, file]);
  expect(answer.errors).toHaveLength(text.trimEnd().split('\n').length);
  expect(answer.errors[0]).toMatchObject({
    line: expect.any(Number),
    column: expect.any(Number),
    message: expect.any(String),
  });
});

test('a file that is right says what is in it, on stderr', async () => {
  const file = fileOf('hosts: [{ name: node1 }]\nnetworks: [{ id: a, network_type: local }]\n');
  expect(await heddle('check', file)).toEqual({
    status: 0,
    out: '',
    talk: `${file}: valid: 1 host, 1 network, 0 subnets, 0 ports, 0 routers, 0 floating IPs\n`,
  });
  expect(JSON.parse((await heddle('check', '--json', file)).out)).toEqual({ file, valid: true, errors: [] });
});
