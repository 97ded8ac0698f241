/**
 * A physical bridge (br-ex, br-eth2): from local VLANs to the VLANs of the wire. The frames of others, who use the bridge
 * beside us, are switched as if we were not there. Table names, numbers and priorities are Neutron's.
 */
import { drop, normal, output, popVlan, setVlan } from './actions.ts';
import type { HostMac, ProviderNetwork, ProviderPatch } from './br-int.ts';
import { bridge, goto } from './language.ts';

export const brPhys = bridge('br-phys', {
  LOCAL_SWITCHING: {
    id: 0,
    decides: 'Who sent it: br-int, or the wire?',
    miss: 'normal',
    to: ['DVR_PROCESS_PHYSICAL', 'DVR_NOT_LEARN_PHYSICAL'],
  },
  DVR_PROCESS_PHYSICAL: {
    id: 1,
    decides:
      "What a distributed router sends must not show the router's MAC on the wire, where every host has the same one.",
    miss: 'LOCAL_VLAN_TRANSLATION',
    to: ['LOCAL_VLAN_TRANSLATION'],
    when: 'distributedRouting',
  },
  LOCAL_VLAN_TRANSLATION: {
    id: 2,
    decides: 'Of frames from br-int: which VLAN of the wire stands for their network?',
    miss: 'none',
    to: [],
    when: 'distributedRouting',
    without: 'LOCAL_SWITCHING',
  },
  DVR_NOT_LEARN_PHYSICAL: {
    id: 3,
    decides: "Frames that wear a host's MAC were routed: NORMAL must not learn from them.",
    miss: 'normal',
    missPriority: 1,
    to: [],
    when: 'distributedRouting',
  },
});

const { rules } = brPhys;

export const fromEither = rules(
  'from-either',
  {
    when: 'distributedRouting',
    cases: { LOCAL_SWITCHING: 'From br-int: translated after the router MACs. From the wire: learnt with care.' },
  },
  (patch: ProviderPatch, table) => [
    table.LOCAL_SWITCHING(2, { inPort: patch.ofport }, goto('DVR_PROCESS_PHYSICAL')),
    table.LOCAL_SWITCHING(1, {}, goto('DVR_NOT_LEARN_PHYSICAL')),
  ],
);

export const untranslated = rules(
  'untranslated',
  {
    cases: {
      LOCAL_VLAN_TRANSLATION: 'Of no network that belongs on this wire: drop, its local VLAN means nothing outside.',
    },
  },
  (patch: ProviderPatch, table) => [table.LOCAL_VLAN_TRANSLATION(2, { inPort: patch.ofport }, drop)],
);

export const localVlanToProvider = rules(
  'local-vlan-to-provider',
  {
    cases: {
      LOCAL_VLAN_TRANSLATION: "Of a network of this wire: it gets the network's VLAN, or none for a flat network.",
    },
  },
  (network: ProviderNetwork, table) => [
    table.LOCAL_VLAN_TRANSLATION(
      4,
      { inPort: network.ofport, vlan: network.localVlan },
      network.segmentationId === undefined ? popVlan : setVlan(network.segmentationId),
      normal,
    ),
  ],
);

export const routedElsewhereOnWire = rules(
  'routed-elsewhere-on-wire',
  {
    when: 'distributedRouting',
    cases: { DVR_NOT_LEARN_PHYSICAL: "From another host's router: straight to br-int." },
    holes: { hostMac: 48, ofport: 32 },
  },
  (other: HostMac, table) => [table.DVR_NOT_LEARN_PHYSICAL(2, { ethSrc: other.hostMac }, output(other.ofport))],
);
