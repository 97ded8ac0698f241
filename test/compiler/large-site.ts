/** A large site: networks of ten ports, each spread over five hosts. Serves the tests of cost. */
import { Compiler } from '../../src/compiler/compiler.ts';
import type { Network, Port, Topology } from '../../src/topology/model.ts';
import { makeHost, makeNetwork, makePort, makeTopology, plainFacts } from './worlds.ts';

const PORTS_OF_NETWORK = 10;
const HOSTS_OF_NETWORK = 5;

export interface LargeSite {
  readonly topology: Topology;
  readonly locations: ReadonlyMap<string, string>;
}

export const networkName = (index: number): string => `net${String(index).padStart(5, '0')}`;
export const portName = (network: number, index: number): string => `${networkName(network)}-port${index}`;
export const hostName = (index: number): string => `host${String(index).padStart(3, '0')}`;

/** Which host a port of a network is on: neighbouring networks overlap, so that every host has tunnels to many. */
function hostOf(network: number, port: number, hostCount: number): string {
  return hostName((network * 7 + (port % HOSTS_OF_NETWORK) * 13) % hostCount);
}

export function largeSite({
  portCount,
  hostCount,
}: {
  readonly portCount: number;
  readonly hostCount: number;
}): LargeSite {
  const hosts = Array.from({ length: hostCount }, (_, index) =>
    makeHost(hostName(index), { localIp: 0xc6120000 + index, dvrMac: 0xfa163f000000 + index }),
  );
  const networks: Network[] = [];
  const ports: Port[] = [];
  const locations = new Map<string, string>();
  for (let network = 0; network < portCount / PORTS_OF_NETWORK; network++) {
    networks.push(makeNetwork(networkName(network), 'vxlan', { segmentationId: network + 1 }));
    for (let index = 0; index < PORTS_OF_NETWORK; index++) {
      const id = portName(network, index);
      const host = hostOf(network, index, hostCount);
      locations.set(id, host);
      ports.push(
        makePort(id, networkName(network), {
          macAddress: 0xfa163e000000 + ports.length,
          fixedIps: [{ subnetId: 's', ipAddress: 0x0a00000b + index }],
          host,
        }),
      );
    }
  }
  return { topology: makeTopology({ hosts, networks, ports }), locations };
}

/** Told everything, every port plugged; not yet passed. */
export function tellAll({ topology, locations }: LargeSite): Compiler {
  const compiler = new Compiler();
  compiler.setTopology(topology);
  const plugged = new Map<string, string[]>();
  for (const [port, host] of locations) {
    compiler.setPortLocation(port, host);
    plugged.set(host, [...(plugged.get(host) ?? []), port]);
  }
  for (const host of topology.hosts.values()) {
    compiler.setHostFacts(host.name, plainFacts(compiler, host, plugged.get(host.name) ?? []));
  }
  return compiler;
}
