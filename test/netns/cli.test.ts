/**
 * The commands that ask a running controller, asked as people ask them, on a live site: what they print is held against
 * what the switches themselves say.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ControllerStatus } from '../../src/controller/status.ts';
import { macOf, Site } from '../support/site.ts';

describe('commands on a live site', () => {
  let site: Site;

  beforeAll(async () => {
    const port = (id: string, host: string, number: number) => ({
      id,
      network: 'blue',
      host,
      mac_address: macOf(number),
      fixed_ips: [`10.0.0.${number}`],
    });
    site = await Site.up({
      hosts: ['node1', 'node2'],
      segments: [{ name: 'physnet1', bridge: 'br-eth2' }],
      networks: [{ id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ cidr: '10.0.0.0/24' }] }],
      ports: [port('blue1', 'node1', 1), port('blue2', 'node2', 2)],
    });
  }, 120_000);

  afterAll(() => site?.down());

  test('status says that everything is in place, in words and as JSON', async () => {
    const words = await site.heddle.ask('status');
    expect(words.stderr).toBe('');
    expect(words.status).toBe(0);
    for (const name of ['node1', 'node2', 'br-int', 'br-tun', 'br-eth2']) expect(words.stdout).toContain(name);
    const json = await site.heddle.ask('status', '--json');
    expect(json.status).toBe(0);
    const status = JSON.parse(json.stdout) as ControllerStatus;
    expect(status).toMatchObject({ converged: true, waitingFor: [], warnings: [] });
    for (const { bridges } of status.hosts)
      expect(bridges.map(({ bridge }) => bridge).sort()).toEqual(['br-eth2', 'br-int', 'br-tun']);
  });

  test('status counts as many flows as the switches hold', async () => {
    const status = await site.heddle.status();
    const flows = await site.flows();
    const counted = status.hosts.flatMap((host) =>
      host.bridges.map(({ bridge, desiredFlowCount }) => [`${host.name} ${bridge}`, desiredFlowCount] as const),
    );
    const dumped = [...flows].map(([place, lines]) => [place, lines.length] as const);
    expect(new Map(counted)).toEqual(new Map(dumped));
  });

  test.each([
    ['node1', 'br-int'],
    ['node2', 'br-tun'],
    ['node1', 'br-eth2'],
  ])('flows --live of %s %s are those of the dump, line by line', async (host, bridge) => {
    const { stdout, status } = await site.heddle.ask(
      'flows',
      '--live',
      '--host',
      host,
      '--bridge',
      bridge,
      '--no-names',
    );
    expect(status).toBe(0);
    const printed = stdout
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.includes('actions='))
      .sort();
    expect(printed.length).toBeGreaterThan(5);
    expect(printed).toEqual((await site.flows()).get(`${host} ${bridge}`));
  });

  test('a second controller on the same control socket is refused', async () => {
    const { status, stderr } = await site.heddle.ask('run', site.file, '--listen', 'tcp:127.0.0.1:0');
    expect(status).toBe(1);
    expect(stderr).toContain(site.heddle.control);
    expect((await site.heddle.status()).converged).toBe(true);
  });

  test('without a controller they say so', async () => {
    await site.heddle.stop();
    for (const command of [['status'], ['flows', '--live', '--host', 'node1']]) {
      const { status, stderr } = await site.heddle.ask(...command);
      expect(status).toBe(1);
      expect(stderr).toContain(site.heddle.control);
    }
  });
});
