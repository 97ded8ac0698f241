/**
 * A site of one or two hosts without traffic whose routers lead outside: a document, and the edits that give it a history, so that
 * what a controller chose (conntrack zones, local VLANs) is not what one that begins would choose. Serves the tests of what hosts
 * keep for a controller (test/ovs/state-directory.test.ts, controller-election.test.ts).
 */
import { ControlledSite, type Json, type SiteDocument } from './controlled-site.ts';

const WIRE = 'physnet1';
const LETTERS = ['a', 'b', 'c'] as const;
type Letter = (typeof LETTERS)[number];

const GATEWAY_HOST: Json = { agent_mode: 'dvr_snat', bridge_mappings: { [WIRE]: 'br-ex' } };

/** Router, network, guest and floating IP of each letter. */
function documentOf(letters: readonly Letter[]): SiteDocument {
  const number = (letter: Letter): number => 1 + LETTERS.indexOf(letter);
  return {
    networks: [
      ...letters.map((letter) => ({
        id: `net-${letter}`,
        network_type: 'vxlan',
        segmentation_id: 1000 + number(letter),
        subnets: [{ id: `sub-${letter}`, cidr: `10.0.${number(letter)}.0/24` }],
      })),
      {
        id: 'public',
        network_type: 'flat',
        physical_network: WIRE,
        external: true,
        subnets: [{ id: 'public4', cidr: '203.0.113.0/24', enable_dhcp: false }],
      },
    ],
    routers: letters.map((letter) => ({
      id: letter,
      interfaces: [{ subnet: `sub-${letter}` }],
      external_gateway_info: { network: 'public', external_fixed_ips: [`203.0.113.${10 + number(letter)}`] },
    })),
    ports: letters.map((letter) => ({
      id: `guest-${letter}`,
      network: `net-${letter}`,
      fixed_ips: [`10.0.${number(letter)}.9`],
    })),
    floating_ips: letters.map((letter) => ({
      floating_ip_address: `203.0.113.${30 + number(letter)}`,
      floating_network: 'public',
      port: `guest-${letter}`,
    })),
  };
}

/** `guest-a` of network `net-a` may be plugged in anywhere; no controller runs. */
export async function prepareRoutedOutside(...hosts: readonly string[]): Promise<ControlledSite> {
  const entries = Object.fromEntries(hosts.map((name) => [name, GATEWAY_HOST]));
  const site = await ControlledSite.prepare({ hosts: entries, ...documentOf(['c']) });
  for (const sandbox of site.hosts.values()) await sandbox.addBridge('br-ex');
  return site;
}

/** One after the other, against the order of names; in the end the site is as if they had come at once. */
export async function liveThrough(site: ControlledSite): Promise<void> {
  for (const letters of [
    ['b', 'c'],
    ['a', 'b', 'c'],
  ] as const) {
    await site.inStep();
    site.change(documentOf(letters));
  }
  await site.inStep();
}
