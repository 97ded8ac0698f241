/**
 * What must not get through: other networks, even with the same addresses; VNIs and VLANs that nobody has; ARP between
 * guests that are known, which never needs a tunnel. Each silence is measured beside something that does come through.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inVxlan, tagged } from '../../scripts/support/lab/frames.ts';
import { UNDERLAY_BRIDGE } from '../../scripts/support/lab/lab.ts';
import { controlFrame, honestFrame, sendAndSee, untilAnswered } from '../support/reach.ts';
import { macOf, Site } from '../support/site.ts';

const SUBNETS = [{ cidr: '10.0.0.0/24' }];

function port(id: string, network: string, host: string, number: number, address: string) {
  return { id, network, host, mac_address: macOf(number), fixed_ips: [address] };
}

describe('isolation', () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.up({
      segments: [{ name: 'physnet1', bridge: 'br-eth2' }],
      networks: [
        { id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: SUBNETS },
        { id: 'twin', network_type: 'vxlan', segmentation_id: 1002, subnets: SUBNETS },
        { id: 'wire', network_type: 'vlan', segmentation_id: 101, physical_network: 'physnet1', subnets: SUBNETS },
      ],
      ports: [
        port('blue1', 'blue', 'node1', 1, '10.0.0.1'),
        port('blue2', 'blue', 'node2', 2, '10.0.0.2'),
        port('blue3', 'blue', 'node1', 3, '10.0.0.3'),
        // The same addresses, on each other's hosts, and one that blue does not have.
        port('twin1', 'twin', 'node2', 11, '10.0.0.1'),
        port('twin2', 'twin', 'node1', 12, '10.0.0.2'),
        port('twin9', 'twin', 'node1', 19, '10.0.0.9'),
        port('wire1', 'wire', 'node1', 21, '10.0.0.1'),
        port('wire2', 'wire', 'node2', 22, '10.0.0.2'),
      ],
    });
  }, 120_000);

  afterAll(() => site?.down());

  test('equal addresses in three networks lead to three guests', async () => {
    for (const name of ['blue', 'twin', 'wire']) {
      const [one, two] = [site.guest(`${name}1`), site.guest(`${name}2`)];
      await untilAnswered(one, two.ip);
      expect(await one.arping(two.ip)).toBe(two.mac);
      expect(await two.arping(one.ip)).toBe(one.mac);
    }
  });

  test('an address of another network is nobody', async () => {
    const [blue1, twin9] = [site.guest('blue1'), site.guest('twin9')];
    await untilAnswered(site.guest('twin1'), twin9.ip);
    expect(await blue1.arping(twin9.ip)).toBeUndefined();
    expect(await blue1.ping(twin9.ip, { count: 1 })).toMatchObject({ received: 0 });
  });

  test('a frame to the MAC of a guest of another network goes nowhere, on the same host neither', async () => {
    const [blue1, twin2, twin9] = [site.guest('blue1'), site.guest('twin2'), site.guest('twin9')];
    const came = await sendAndSee({
      lab: site.lab,
      from: blue1.namespace,
      frames: [honestFrame(blue1, twin2), honestFrame(blue1, twin9)],
      control: { from: twin9, frame: controlFrame(twin9, twin2) },
      at: twin2,
    });
    expect(came.filter((frame) => frame.includes(blue1.mac))).toEqual([]);
  });

  test.each([
    ['on two hosts', 'blue2'],
    ['on one host', 'blue3'],
  ])('ARP between known guests %s never appears on a tunnel', async (_where, name) => {
    const [blue1, blue2, peer] = [site.guest('blue1'), site.guest('blue2'), site.guest(name)];
    for (const guest of [blue1, peer]) await guest.forgetNeighbours();
    const capture = await site.lab.captureWire('underlay');
    expect(await blue1.arping(peer.ip)).toBe(peer.mac);
    expect(await peer.arping(blue1.ip)).toBe(blue1.mac);
    for (const guest of [blue1, peer]) await guest.forgetNeighbours();
    expect(await blue1.ping(peer.ip)).toMatchObject({ received: 3 });
    expect(await blue1.ping(blue2.ip)).toMatchObject({ received: 3 });
    const frames = (await capture.stop()).filter((frame) => /vni 1001/.test(frame));
    expect(frames.filter((frame) => /ICMP echo request/.test(frame)).length).toBeGreaterThanOrEqual(3);
    expect(frames.filter((frame) => /ARP/.test(frame))).toEqual([]);
  });

  test('a VNI that no network has goes nowhere', async () => {
    const { lab } = site;
    const [blue1, blue2] = [site.guest('blue1'), site.guest('blue2')];
    const [node1, node2] = [lab.host('node1'), lab.host('node2')];
    const intruder = await lab.addOutsider({ name: 'intruder', segment: 'underlay', mac: '0e:00:00:00:00:99' });
    const outer = {
      source: await node1.namespace.macOf(UNDERLAY_BRIDGE),
      destination: await node2.namespace.macOf(UNDERLAY_BRIDGE),
      sourceIp: node1.localIp,
      destinationIp: node2.localIp,
    };
    // The known VNI shows that the forgery as such is well made: what stops the others is their VNI.
    const frames = [999, 1000, 1001, 1003, 0].map((vni) =>
      inVxlan(vni, outer, honestFrame(blue1, blue2, `vni ${vni}`)),
    );
    const came = await sendAndSee({
      lab,
      from: intruder,
      frames,
      control: { from: blue1, frame: controlFrame(blue1, blue2) },
      at: blue2,
      filter: 'udp',
    });
    expect(came).toHaveLength(1);
    // A host takes the way back from what it receives: let it hear the real node1 again.
    await untilAnswered(blue1, blue2.ip);
  });

  test('a VLAN that no network has goes nowhere, and nor does a frame without one', async () => {
    const { lab } = site;
    const [wire1, wire2] = [site.guest('wire1'), site.guest('wire2')];
    const outsider = await lab.addOutsider({ name: 'upstream', segment: 'physnet1', mac: '0e:00:00:00:00:98' });
    const frame = honestFrame(wire1, wire2);
    // Local VLANs count up from 1: a frame that comes with one must not pass for one of ours.
    const frames = [...[1, 2, 3, 4, 100, 101, 102, 4095].map((vlanId) => tagged(vlanId, frame)), frame];
    const came = await sendAndSee({
      lab,
      from: outsider,
      frames,
      control: { from: wire1, frame: controlFrame(wire1, wire2) },
      at: wire2,
      filter: 'udp',
    });
    expect(came).toHaveLength(1);
    for (const name of ['blue2', 'twin1']) {
      const guest = site.guest(name);
      const peer = site.guest(name === 'blue2' ? 'blue1' : 'twin2');
      const foreign = await sendAndSee({
        lab,
        from: outsider,
        frames: [1, 2, 3, 101].map((vlanId) => tagged(vlanId, honestFrame(wire1, guest))),
        control: { from: peer, frame: controlFrame(peer, guest) },
        at: guest,
        filter: 'udp',
      });
      expect(foreign).toEqual([]);
    }
  });
});
