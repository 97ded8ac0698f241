/**
 * A whole site for the walker, out of an offline compilation: its books, its bridges wired together as heddle would wire them,
 * a guest on every port. Serves tests that ask what reaches what.
 */
import {
  allocateLocalVlans,
  integrationPatchName,
  PATCH_INT,
  PATCH_TUN,
  physicalPatchName,
} from '../../../src/compiler/names.ts';
import type { OfflineBridge, OfflineResult } from '../../../src/compiler/offline.ts';
import { PORT } from '../../../src/flow/flow.ts';
import type { Host, Topology } from '../../../src/topology/model.ts';
import type { Place, WalkBridge, WalkPort } from './model.ts';

/** Where a wire is plugged into each physical bridge: beyond what an offline compilation numbers. */
export const WIRE_OFPORT = 1000;

export interface WalkSite {
  readonly bridges: readonly WalkBridge[];
  /** By port id, the ports that are on a host. */
  readonly guests: ReadonlyMap<string, Place>;
  /** Where each host is plugged into wires, by physical network. */
  readonly wires: readonly (Place & { readonly segment: string })[];
}

export function siteOf(topology: Topology, { bridges, compiler }: OfflineResult): WalkSite {
  const find = (host: string, bridge: string): OfflineBridge | undefined =>
    bridges.find((one) => one.host === host && one.bridge === bridge);
  const guests = new Map<string, Place>();
  const wires: (Place & { segment: string })[] = [];
  const walkBridges = bridges.map((one): WalkBridge => {
    const host = topology.hosts.get(one.host);
    if (host === undefined) throw new Error(`the topology has no host ${one.host}`);
    const { bridge } = one;
    const ports = new Map<number, WalkPort>([[PORT.local, { kind: 'end', name: `${bridge} LOCAL` }]]);
    const wiring = new Wiring(topology, host, { find, compiler });
    for (const [ofport, name] of one.portNames) {
      const port = wiring.portOf(bridge, name);
      ports.set(ofport, port);
      if (port.kind === 'end') guests.set(name, { host: host.name, bridge, ofport });
    }
    const segment = segmentOf(host, bridge);
    if (segment !== undefined) {
      ports.set(WIRE_OFPORT, { kind: 'wire', name: `wire ${segment}`, segment });
      wires.push({ host: host.name, bridge, ofport: WIRE_OFPORT, segment });
    }
    const flows = [...one.book.flows()].map(({ flow }) => flow);
    const groups = new Map([...one.book.groups()].map(({ group }) => [group.group, group]));
    return { host: host.name, bridge, flows, ports, groups };
  });
  return { bridges: walkBridges, guests, wires };
}

/** The physical networks that a bridge is plugged into, as one name. */
function segmentOf({ bridgeMappings }: Host, bridge: string): string | undefined {
  const names = [...bridgeMappings].filter(([, one]) => one === bridge).map(([name]) => name);
  return names.length === 0 ? undefined : names.join('+');
}

/** What is behind each port of a host, by its name. */
class Wiring {
  readonly #patches = new Map<string, WalkPort>();
  readonly #tunnels = new Map<string, WalkPort>();
  readonly #tags = new Map<string, number>();

  constructor(
    topology: Topology,
    host: Host,
    {
      find,
      compiler,
    }: Pick<OfflineResult, 'compiler'> & { find: (host: string, bridge: string) => OfflineBridge | undefined },
  ) {
    const { integration, tunnel } = host.bridges;
    const patch = (bridge: string, name: string, peerBridge: string, peer: string): void => {
      const ofport = ofportOf(find(host.name, peerBridge), peer);
      if (ofport !== undefined)
        this.#patches.set(`${bridge} ${name}`, { kind: 'patch', name, bridge: peerBridge, ofport });
    };
    patch(integration, PATCH_TUN, tunnel, PATCH_INT);
    patch(tunnel, PATCH_INT, integration, PATCH_TUN);
    for (const bridge of new Set(host.bridgeMappings.values())) {
      patch(integration, integrationPatchName(bridge), bridge, physicalPatchName(bridge));
      patch(bridge, physicalPatchName(bridge), integration, integrationPatchName(bridge));
    }
    for (const { type, remoteHost, portName } of compiler.site.tunnelsOf(host.name)) {
      const remote = topology.hosts.get(remoteHost);
      const back = compiler.site.tunnelsOf(remoteHost).find((one) => one.type === type && one.remoteHost === host.name);
      if (remote === undefined || back === undefined) continue;
      const bridge = remote.bridges.tunnel;
      const ofport = ofportOf(find(remoteHost, bridge), back.portName);
      if (ofport !== undefined) {
        this.#tunnels.set(`${tunnel} ${portName}`, {
          kind: 'tunnel',
          name: portName,
          host: remoteHost,
          bridge,
          ofport,
        });
      }
    }
    const localVlans = allocateLocalVlans(compiler.site.networksOn(host.name), new Map());
    const plugged = [...compiler.site.routing.pluggedPorts].map(([id, { networkId }]) => ({ id, networkId }));
    for (const { id, networkId } of [...topology.ports.values(), ...plugged]) {
      const tag = localVlans.get(networkId);
      if (tag !== undefined) this.#tags.set(id, tag);
    }
  }

  portOf(bridge: string, name: string): WalkPort {
    const key = `${bridge} ${name}`;
    const wired = this.#patches.get(key) ?? this.#tunnels.get(key);
    if (wired !== undefined) return wired;
    const tag = this.#tags.get(name);
    if (tag === undefined) throw new Error(`nothing is behind port ${name} of ${bridge}`);
    return { kind: 'end', name, vlan: { mode: 'access', tag } };
  }
}

function ofportOf(bridge: OfflineBridge | undefined, name: string): number | undefined {
  return [...(bridge?.portNames ?? [])].find(([, one]) => one === name)?.[0];
}
