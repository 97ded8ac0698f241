/**
 * The topology of a soak run: what the steps have chosen, as a file that is always valid. Serves steps.ts. Tunnelled networks and
 * one on a wire, two routers that may have a way outside, translated or not, floating IPs; both hosts can be gateways, so that
 * groups choose between them.
 */
import type { Json, SiteDocument } from '../../../test/support/controlled-site.ts';

export const HOSTS = ['node1', 'node2'] as const;
export const NETWORK_COUNT = 4;
export const ROUTERS = ['router0', 'router1'] as const;
/** The last one is on a wire. */
const WIRED = NETWORK_COUNT - 1;
const WIRE = 'wire';

export type RouterId = (typeof ROUTERS)[number];
export type Outside = 'none' | 'snat' | 'plain';

export interface Guest {
  readonly network: number;
  /** Told apart from those of all other guests, also earlier ones. */
  readonly number: number;
  /** Last octet of its floating IP. */
  readonly floating?: number;
}

export interface Choices {
  readonly guests: ReadonlyMap<string, Guest>;
  /** Which router connects a network; absent: none. */
  readonly routed: ReadonlyMap<number, RouterId>;
  readonly outside: ReadonlyMap<RouterId, Outside>;
  readonly settings: Json;
  /** Of the second host; the first has 10. */
  readonly gatewayPriority: number;
}

export function hostEntries({ gatewayPriority }: Choices): Readonly<Record<string, Json>> {
  const common = { agent_mode: 'dvr_snat', bridge_mappings: { [WIRE]: 'br-ex' } };
  return {
    node1: { ...common, gateway_priority: 10 },
    node2: { ...common, gateway_priority: gatewayPriority },
  };
}

export function soakedDocument(choices: Choices): SiteDocument {
  const { guests, settings } = choices;
  return {
    settings,
    networks: [...Array.from({ length: NETWORK_COUNT }, (_, index) => network(index)), PUBLIC],
    routers: ROUTERS.flatMap((id) => router(id, choices)),
    ports: Array.from(guests, ([id, guest]) => ({
      id,
      network: `net${guest.network}`,
      fixed_ips: [`10.${guest.network}.${1 + ((guest.number >> 7) & 0x7f)}.${2 + (guest.number & 0x7f)}`],
    })),
    floating_ips: Array.from(guests).flatMap(([id, guest]) => floatingIp(id, guest, choices)),
  };
}

function network(index: number): Json {
  const kind = index === WIRED ? { network_type: 'vlan', physical_network: WIRE } : { network_type: 'vxlan' };
  const subnets = [{ id: `sub${index}`, cidr: `10.${index}.0.0/16` }];
  return { id: `net${index}`, ...kind, segmentation_id: 1001 + index, subnets };
}

const PUBLIC: Json = {
  id: 'public',
  network_type: 'flat',
  physical_network: WIRE,
  external: true,
  subnets: [{ id: 'public4', cidr: '203.0.113.0/24', enable_dhcp: false }],
};

function router(id: RouterId, { routed, outside }: Choices): Json[] {
  const networks = [...routed].filter(([, owner]) => owner === id).map(([index]) => index);
  if (networks.length === 0) return [];
  const kind = outside.get(id) ?? 'none';
  const gateway = {
    network: 'public',
    external_fixed_ips: [`203.0.113.${10 + ROUTERS.indexOf(id)}`],
    enable_snat: kind === 'snat',
  };
  return [
    {
      id,
      interfaces: networks.sort().map((index) => ({ subnet: `sub${index}` })),
      ...(kind !== 'none' && { external_gateway_info: gateway }),
    },
  ];
}

/** Only where a router leads from the guest to the world is one allowed. */
function floatingIp(port: string, { network: index, floating }: Guest, { routed, outside }: Choices): Json[] {
  const owner = routed.get(index);
  if (floating === undefined || owner === undefined || (outside.get(owner) ?? 'none') === 'none') return [];
  return [{ floating_ip_address: `203.0.113.${floating}`, floating_network: 'public', port }];
}
