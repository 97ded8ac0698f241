/**
 * Ports come, go, change their ofport and move to other hosts, and flows follow; and nothing of it needs the controller for
 * traffic that is flowing: it may stop, be killed and come back.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/support/lab/command.ts';
import { untilAnswered } from '../support/reach.ts';
import { macOf, Site } from '../support/site.ts';

describe('ports and the controller', () => {
  let site: Site;

  beforeAll(async () => {
    const port = (id: string, network: string, host: string, number: number) => ({
      id,
      network,
      host,
      mac_address: macOf(number),
      fixed_ips: [`10.0.0.${number}`],
    });
    // `roamer` has no host in the file: it is wherever its port shows up.
    const { host: _unused, ...roamer } = port('roamer', 'blue', 'node1', 3);
    site = await Site.up({
      networks: [
        { id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ cidr: '10.0.0.0/24' }] },
        { id: 'green', network_type: 'geneve', segmentation_id: 1002, subnets: [{ cidr: '10.0.0.0/24' }] },
      ],
      ports: [port('one', 'blue', 'node1', 1), port('two', 'blue', 'node2', 2), port('alone', 'green', 'node3', 9)],
      unplaced: [{ ...roamer, pluggedInto: 'node1' }],
    });
    await untilAnswered(site.guest('one'), site.guest('two').ip);
  }, 120_000);

  afterAll(() => site?.down({ provoked: /not taken|does not validate/ }));

  test('a port that is unplugged takes its flows along, and brings the same ones back', async () => {
    const { lab } = site;
    const [one, two] = [site.guest('one'), site.guest('two')];
    const before = await site.flows();
    await two.unplug();
    await site.heddle.converged();
    await eventually('no flow names the MAC of the port that went', async () => {
      const flows = [...(await site.flows()).values()].flat();
      return !flows.some((flow) => flow.includes(two.mac));
    });
    expect(await one.ping(two.ip, { count: 1 })).toMatchObject({ received: 0 });
    await two.plug(lab.host('node2'));
    await untilAnswered(one, two.ip);
    await site.heddle.converged();
    const sizes = (flows: Map<string, string[]>) => [...flows].map(([bridge, lines]) => `${bridge}: ${lines.length}`);
    expect(sizes(await site.flows())).toEqual(sizes(before));
  });

  test('a port that comes back with another ofport is followed', async () => {
    const [one, two] = [site.guest('one'), site.guest('two')];
    const node2 = two.host;
    expect(node2).toBeDefined();
    if (!node2) return;
    const before = await node2.ofportOf(two.tap);
    await two.detach();
    await two.attach(node2);
    await node2.vsctl('set', 'Interface', two.tap, 'ofport_request=77');
    const after = await eventually('another ofport', async () => {
      const ofport = await node2.ofportOf(two.tap);
      return ofport === before ? undefined : ofport;
    });
    expect(after).toBe(77);
    await untilAnswered(one, two.ip);
    await site.heddle.converged();
    const stale = (await node2.flows('br-int')).filter((flow) => new RegExp(`in_port=${before}\\b`).test(flow));
    expect(stale).toEqual([]);
  });

  test('a port that shows up on another host has moved', async () => {
    const { lab } = site;
    const [one, two, roamer] = [site.guest('one'), site.guest('two'), site.guest('roamer')];
    await untilAnswered(one, roamer.ip);
    await untilAnswered(two, roamer.ip);
    for (const name of ['node2', 'node3', 'node1']) {
      await roamer.move(lab.host(name));
      await untilAnswered(one, roamer.ip);
      await untilAnswered(two, roamer.ip);
      await site.heddle.converged();
      const flows = (await site.flows()).get('node3 br-tun') ?? [];
      // node3 has a guest of the network as long as the roamer is there, and not a flow of it otherwise.
      expect(flows.some((flow) => flow.includes('0x3e9'))).toBe(name === 'node3');
    }
  });

  test('traffic goes on while the controller is stopped, and after it is back nothing has changed', async () => {
    const [one, two] = [site.guest('one'), site.guest('two')];
    const running = await one.startPing(two.ip, 10);
    const before = await site.flows();
    expect(await site.heddle.stop('SIGTERM')).toBe(0);
    expect(await site.flows()).toEqual(before);
    const answered = running.received;
    await eventually('a hundred more answers', () => running.received > answered + 100);
    await site.restartHeddle();
    expect(await site.flows()).toEqual(before);
    for (const { bridges, ovsdbWrites } of (await site.heddle.status()).hosts) {
      expect(ovsdbWrites.writes).toBe(0);
      for (const { flowMods } of bridges) expect(flowMods).toEqual({ add: 0, modify: 0, delete: 0 });
    }
    const result = await running.stop();
    // The last request may still have been on its way.
    expect(result.sent - result.received).toBeLessThanOrEqual(1);
  });

  test('traffic goes on while the controller is killed, and new ports work once it is back', async () => {
    const { lab } = site;
    const [one, two, roamer] = [site.guest('one'), site.guest('two'), site.guest('roamer')];
    const running = await one.startPing(two.ip, 10);
    await site.heddle.stop('SIGKILL');
    await roamer.move(lab.host('node3'));
    await site.restartHeddle();
    await untilAnswered(one, roamer.ip);
    const result = await running.stop();
    expect(result.sent - result.received).toBeLessThanOrEqual(1);
  });

  test('a file that does not validate changes nothing', async () => {
    const before = await site.flows();
    site.rewrite({ networks: [{ id: 'blue', network_type: 'vxlan', segmentation_id: 99_999_999, subnets: [] }] });
    await eventually('heddle says so', () => site.heddle.complaints.length > 0);
    expect(await site.flows()).toEqual(before);
    site.rewrite({});
    await site.heddle.converged();
    expect(await site.flows()).toEqual(before);
  });
});
