/**
 * The lab itself, proven without heddle: a few flows by hand carry what they should, captures see it, and nothing of the
 * lab is left afterwards. When a test of traffic fails and this one passes, the flows are at fault.
 */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, run } from '../../scripts/support/lab/command.ts';
import { inVxlan, udpFrame } from '../../scripts/support/lab/frames.ts';
import { Lab, UNDERLAY_BRIDGE } from '../../scripts/support/lab/lab.ts';
import { sendFrames } from '../../scripts/support/lab/traffic.ts';

/** What the root namespace knows of links, addresses and routes. */
async function rootNetwork(): Promise<string> {
  const shown = await Promise.all(
    [['link'], ['address'], ['route', 'show', 'table', 'all']].map((what) => run(['ip', ...what])),
  );
  return shown.join('').replaceAll(/(valid|preferred)_lft \S+/g, '');
}

const VNI = 1001;
const ONE = { name: 'one', mac: 'fa:16:3e:00:00:01', addresses: ['10.0.0.1/24', 'fd00::1/64'] };
const TWO = { name: 'two', mac: 'fa:16:3e:00:00:02', addresses: ['10.0.0.2/24', 'fd00::2/64'] };

describe('the lab', () => {
  let lab: Lab;
  let before: string;

  beforeAll(async () => {
    before = await rootNetwork();
    lab = await Lab.up({ hosts: ['node1', 'node2'], segments: [{ name: 'physnet1', bridge: 'br-eth2' }] });
    const [one, two] = await Promise.all([lab.addGuest(ONE), lab.addGuest(TWO)]);
    for (const [host, remote, guest] of [
      [lab.host('node1'), lab.host('node2'), one],
      [lab.host('node2'), lab.host('node1'), two],
    ] as const) {
      const ofport = await guest.plug(host);
      const options = [
        'type=vxlan',
        'options:key=flow',
        `options:remote_ip=${remote.localIp}`,
        `options:local_ip=${host.localIp}`,
      ];
      await host.vsctl('add-port', 'br-int', 'vx', '--', 'set', 'Interface', 'vx', ...options);
      const tunnel = await host.ofportOf('vx');
      await host.ofctl('br-int', 'del-flows');
      await host.ofctl('br-int', 'add-flow', `in_port=${ofport},actions=set_field:${VNI}->tun_id,output:${tunnel}`);
      await host.ofctl('br-int', 'add-flow', `in_port=${tunnel},tun_id=${VNI},actions=output:${ofport}`);
    }
  });

  afterAll(() => lab.down());

  test('carries IPv4, IPv6 and TCP over a tunnel', async () => {
    const [one, two] = [lab.guest('one'), lab.guest('two')];
    expect(await one.ping(two.ip)).toMatchObject({ sent: 3, received: 3 });
    expect(await one.ping(two.ip6)).toMatchObject({ sent: 3, received: 3 });
    expect(await one.talkTcp(two, 'so far so good')).toBe('so far so good');
  });

  test('passes 1450 bytes of a guest over 1500 of the underlay', async () => {
    const [one, two] = [lab.guest('one'), lab.guest('two')];
    expect(await one.ping(two.ip, { size: 1450 - 28, dontFragment: true })).toMatchObject({ received: 3 });
    expect(await one.ping(two.ip, { size: 1450 - 27, dontFragment: true })).toMatchObject({ received: 0 });
  });

  test('captures what passes, tunnels and their insides', async () => {
    const [one, two] = [lab.guest('one'), lab.guest('two')];
    await one.forgetNeighbours();
    const capture = await lab.captureWire('underlay', 'udp port 4789');
    await one.ping(two.ip, { count: 2 });
    const frames = await capture.stop();
    expect(frames.filter((frame) => /vni 1001/.test(frame) && /ICMP echo request/.test(frame))).toHaveLength(2);
    expect(frames.filter((frame) => /vni 1001/.test(frame) && /Request who-has 10\.0\.0\.2/.test(frame))).toHaveLength(
      1,
    );
  });

  test('counts what is lost and how long it was silent', async () => {
    const [one, two] = [lab.guest('one'), lab.guest('two')];
    const running = await one.startPing(two.ip, 10);
    await lab.setWire(lab.host('node2'), 'underlay', 'down');
    const answered = running.received;
    await expect(eventually('an answer', () => running.received > answered + 1, { timeoutMs: 300 })).rejects.toThrow(
      'not within',
    );
    await lab.setWire(lab.host('node2'), 'underlay', 'up');
    await eventually('an answer', () => running.received > answered + 5);
    const result = await running.stop();
    expect(result.longestGapMs).toBeGreaterThan(250);
    expect(result.received).toBeLessThan(result.sent);
  });

  test('lets an outsider put any frame on a wire', async () => {
    const [node1, two] = [lab.host('node1'), lab.guest('two')];
    const outsider = await lab.addOutsider({ name: 'intruder', mac: '0e:00:00:00:00:99', segment: 'underlay' });
    const inner = udpFrame({ source: ONE.mac, destination: TWO.mac, sourceIp: '10.0.0.1', destinationIp: two.ip });
    const outer = {
      // The peer's own MAC: Open vSwitch takes the neighbours of its tunnels from the packets that it receives.
      source: await node1.namespace.macOf(UNDERLAY_BRIDGE),
      destination: await lab.host('node2').namespace.macOf(UNDERLAY_BRIDGE),
      sourceIp: node1.localIp,
      destinationIp: lab.host('node2').localIp,
    };
    const capture = await lab.capture({ namespace: two.namespace, link: 'eth0', filter: 'udp port 7777' });
    await sendFrames(
      outsider,
      'eth0',
      [VNI + 1, VNI, VNI + 2].map((vni) => inVxlan(vni, outer, inner)),
    );
    await eventually('the frame with the known VNI', () => capture.frames.length > 0);
    expect(await capture.stop()).toHaveLength(1);
  });

  test('touches nothing in the root namespace and leaves nothing behind', async () => {
    expect(await rootNetwork()).toBe(before);
    const { name, directory } = lab;
    const pids = await Promise.all(lab.hosts.map((host) => run(['ip', 'netns', 'pids', host.namespace.name])));
    expect(pids.join('').trim().split('\n')).toHaveLength(4);
    await lab.down();
    expect(await run(['ip', 'netns', 'list'])).not.toContain(name);
    expect(existsSync(directory)).toBe(false);
    const alive = () =>
      pids
        .join('')
        .trim()
        .split('\n')
        .filter((pid) => existsSync(`/proc/${pid}`));
    await eventually('the end of every process', () => alive().length === 0);
    expect(await rootNetwork()).toBe(before);
  });
});
