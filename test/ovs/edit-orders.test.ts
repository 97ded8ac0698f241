/**
 * Whatever the order in which a site came to be what it is, and whatever was sent twice or late on the way, its bridges hold the
 * same tables: what the soak run (test/soak) rests on.
 */
import { expect, test } from 'vitest';
import { Random } from '../../scripts/support/fuzz/random.ts';
import { ControlledSite, type Json, type SiteDocument } from '../support/controlled-site.ts';

const ORDERS = 4;
const BRIDGES = ['br-int', 'br-tun'] as const;
const HOSTS = ['node1', 'node2'] as const;

/** Ports of two networks; each is one edit, and the router is another. */
const GUESTS: readonly Json[] = Array.from({ length: 12 }, (_, index) => ({
  id: `guest${index}`,
  network: index % 2 === 0 ? 'blue' : 'green',
  fixed_ips: [`10.${index % 2}.0.${11 + index}`],
}));
const NETWORKS: SiteDocument = {
  networks: [
    { id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ id: 'blue4', cidr: '10.0.0.0/24' }] },
    { id: 'green', network_type: 'vxlan', segmentation_id: 1002, subnets: [{ id: 'green4', cidr: '10.1.0.0/24' }] },
  ],
};
const ROUTER: Json = { id: 'router', interfaces: [{ subnet: 'blue4' }, { subnet: 'green4' }] };

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0] as T);
}

test('the same edits in other orders, some sent twice, some late: the same tables', async () => {
  const seed = Date.now() % 1_000_000_000;
  const random = new Random(seed);
  const site = await ControlledSite.start({
    hosts: { node1: {}, node2: {} },
    ...NETWORKS,
    routers: [ROUTER],
    ports: GUESTS,
  });
  for (const host of site.hosts.values()) host.allowLog(/\|(rconn|vconn|stream_\w+)\|WARN\|/);
  try {
    // The same guests stay plugged in, so that local VLANs and port numbers are the same throughout.
    for (const [index, { id }] of GUESTS.entries()) await site.plug(index % 3 === 0 ? 'node1' : 'node2', `${id}`);
    await site.inStep();
    const wanted = await site.installedFlows();
    expect(Object.values(wanted).flat().length).toBeGreaterThan(100);
    for (let order = 0; order < ORDERS; order++) {
      // Half of the guests stay, so that both networks keep their local VLANs.
      const [kept, edits] = [GUESTS.slice(0, 6), shuffled([...GUESTS.slice(6), ROUTER], random)];
      site.change({ ports: kept, routers: [] });
      if (random.isChance(2)) await site.inStep();
      const present: Json[] = [];
      for (const edit of edits) {
        present.push(edit);
        const ports = [...kept, ...present.filter((one) => one !== ROUTER)];
        site.change({ ports, routers: present.includes(ROUTER) ? [ROUTER] : [] });
        // A pass of this bridge comes late, and what it was sent before it is sent again, or not.
        const agent = site.controller.agents.get(random.pick(HOSTS));
        if (random.isChance(3)) agent?.installer(random.pick(BRIDGES)).connection?.close();
        if (random.isChance(3)) await new Promise((resolve) => setTimeout(resolve, random.below(40)));
      }
      site.change({});
      await site.inStep();
      expect(await site.installedFlows(), `seed ${seed}, order ${order}`).toEqual(wanted);
    }
  } finally {
    await site.stop();
  }
}, 120_000);
