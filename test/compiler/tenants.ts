/**
 * Random sites of two tenants who have the same addresses, MACs included, each with networks of every kind and a router or two:
 * what a compiler must keep apart, and connect. Serves the tests that walk packets through whole sites.
 */
import fc from 'fast-check';
import type { NetworkType, Port, Router, RouterPort, Topology } from '../../src/topology/model.ts';
import { makeHost, makeNetwork, makePort, makeRouter, makeSubnet, makeTopology } from './worlds.ts';

const HOSTS = ['h1', 'h2', 'h3'];
const TENANTS = ['red', 'blue'];
const TYPES: readonly NetworkType[] = ['vxlan', 'vxlan', 'gre', 'geneve', 'vlan', 'flat', 'local'];
const SOMEWHERE = { path: 'somewhere', line: 1, column: 1 };
const PHYSICAL_NETWORK = 'physnet';

interface NetworkPlan {
  readonly tenant: string;
  readonly type: NetworkType;
  /** Hosts of its ports. */
  readonly ports: readonly {
    readonly host: string;
    readonly portSecurityEnabled: boolean;
    readonly hasIpv6: boolean;
  }[];
}

interface RouterPlan {
  readonly tenant: string;
  /** Which of the tenant's networks. */
  readonly networks: readonly boolean[];
}

const networkPlan: fc.Arbitrary<NetworkPlan> = fc.record({
  tenant: fc.constantFrom(...TENANTS),
  type: fc.constantFrom(...TYPES),
  ports: fc.array(
    fc.record({
      host: fc.constantFrom(...HOSTS),
      portSecurityEnabled: fc.oneof(
        { weight: 4, arbitrary: fc.constant(true) },
        { weight: 1, arbitrary: fc.constant(false) },
      ),
      hasIpv6: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

const routerPlan: fc.Arbitrary<RouterPlan> = fc.record({
  tenant: fc.constantFrom(...TENANTS),
  networks: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
});

const prefix4 = (index: number): number => 0x0a00_0000 + index * 0x100;
const prefix6 = (index: number): bigint => (0xfd00n << 112n) | (BigInt(index) << 64n);

class Plan {
  readonly #networks: readonly (NetworkPlan & { readonly id: string; readonly index: number })[];

  constructor(networks: readonly NetworkPlan[]) {
    const counts = new Map<string, number>();
    let hasFlat = false;
    this.#networks = networks.map((network, position) => {
      // One flat network is all that fits on a wire.
      const type = network.type === 'flat' && hasFlat ? 'vxlan' : network.type;
      hasFlat ||= type === 'flat';
      const index = (counts.get(network.tenant) ?? 0) + 1;
      counts.set(network.tenant, index);
      return { ...network, type, index, id: `${network.tenant}${index}-${position}` };
    });
  }

  topology(routers: readonly RouterPlan[]): Topology {
    return makeTopology({
      hosts: HOSTS.map((name, index) =>
        makeHost(name, {
          localIp: 0xc000_0201 + index,
          dvrMac: 0xfa16_3f00_0001 + index,
          bridgeMappings: new Map([[PHYSICAL_NETWORK, 'br-phys']]),
        }),
      ),
      networks: this.#networks.map(({ id, type }, position) =>
        makeNetwork(id, type, {
          subnetIds: [`${id}-v4`, `${id}-v6`],
          ...(type === 'flat' || type === 'local' ? {} : { segmentationId: 100 + position }),
          ...(type === 'flat' || type === 'vlan' ? { physicalNetwork: PHYSICAL_NETWORK } : {}),
        }),
      ),
      subnets: this.#networks.flatMap(({ id, index }) => [
        makeSubnet(`${id}-v4`, id, { address: prefix4(index), length: 24 }),
        makeSubnet(`${id}-v6`, id, { address: prefix6(index), length: 64 }),
      ]),
      ports: this.#ports(),
      routers: routers.map((router, position) => this.#router(router, position)),
    });
  }

  #ports(): Port[] {
    return this.#networks.flatMap(({ id, index, ports }) =>
      ports.map(({ host, portSecurityEnabled, hasIpv6 }, number) =>
        makePort(`${id}-${number}`, id, {
          host,
          portSecurityEnabled,
          macAddress: 0xfa16_3e00_0000 + index * 0x100 + number + 11,
          fixedIps: [
            { subnetId: `${id}-v4`, ipAddress: prefix4(index) + number + 11 },
            ...(hasIpv6 ? [{ subnetId: `${id}-v6`, ipAddress: prefix6(index) + BigInt(number + 11) }] : []),
          ],
        }),
      ),
    );
  }

  #router({ tenant, networks }: RouterPlan, position: number): Router {
    const attached = this.#networks.filter((one) => one.tenant === tenant && networks[one.index - 1] === true);
    const interfaces = attached.flatMap(({ id, index }): RouterPort[] => {
      const common = { networkId: id, macAddress: 0xfa16_3e01_0000 + position * 0x100 + index, origin: SOMEWHERE };
      return [
        { ...common, subnetId: `${id}-v4`, ipAddress: prefix4(index) + 1 + position },
        { ...common, subnetId: `${id}-v6`, ipAddress: prefix6(index) + BigInt(1 + position) },
      ];
    });
    return makeRouter(`router${position}`, { interfaces });
  }
}

/** At most two routers, five networks, three hosts. */
export const tenantSite: fc.Arbitrary<Topology> = fc
  .record({
    networks: fc.array(networkPlan, { minLength: 2, maxLength: 5 }),
    routers: fc.array(routerPlan, { maxLength: 2 }),
  })
  .map(({ networks, routers }) => new Plan(networks).topology(routers));

/** Ids of the networks that routers connect, directly or over others, with each network; itself included. */
export function connected({ networks, routers }: Topology): ReadonlyMap<string, ReadonlySet<string>> {
  const groups = new Map([...networks.keys()].map((id) => [id, new Set([id])]));
  for (const { interfaces } of routers.values()) {
    const joined = new Set(interfaces.flatMap(({ networkId }) => [...(groups.get(networkId) ?? [])]));
    for (const id of joined) groups.set(id, joined);
  }
  return groups;
}
