/**
 * The topology of the chaos suite: guests on three real hosts, and as many further ports as one asks for on hosts that are in the
 * file alone, so that their flows land on the real ones.
 */
import { OVSDB_PORT } from '../lab/host.ts';
import { CONTROLLER_IP, hostAddresses } from '../lab/lab.ts';

export interface TopologyOptions {
  /** Remote ports besides the guests': two flows on the tunnel bridge of every real host, each. */
  readonly furtherPorts: number;
  /** Whether a stream is routed, between two networks and two hosts. */
  readonly routed: boolean;
}

export interface TopologyVariant {
  /** How often the file has been edited. */
  readonly changeCount?: number;
  /** Of each real host: its bridges are dialled there, and their controllers let be. */
  readonly managementDirectories?: readonly string[];
}

export const HOSTS = ['node1', 'node2', 'node3'] as const;
export const LISTEN = `tcp:${CONTROLLER_IP}:6653`;
export const SECOND_LISTEN = `tcp:${CONTROLLER_IP}:6654`;
/** Hosts that are in the file alone begin so. */
export const PHANTOM = 'far';
const PORTS_PER_PHANTOM = 2_500;

export interface GuestPlace {
  readonly id: string;
  readonly host: (typeof HOSTS)[number];
  readonly network: string;
  readonly ip: string;
  readonly gateway?: string;
}

const GUESTS: readonly GuestPlace[] = [
  { id: 'left', host: 'node1', network: 'blue', ip: '10.0.0.11' },
  { id: 'right', host: 'node1', network: 'blue', ip: '10.0.0.12' },
  { id: 'near', host: 'node1', network: 'blue', ip: '10.0.0.13' },
  { id: 'across', host: 'node2', network: 'blue', ip: '10.0.0.14' },
  { id: 'third', host: 'node3', network: 'blue', ip: '10.0.0.15' },
];

const ROUTED: readonly GuestPlace[] = [
  { id: 'north', host: 'node1', network: 'blue', ip: '10.0.0.16', gateway: '10.0.0.1' },
  { id: 'south', host: 'node2', network: 'red', ip: '10.128.0.16', gateway: '10.128.0.1' },
];

export const guestsOf = ({ routed }: TopologyOptions): readonly GuestPlace[] =>
  routed ? [...GUESTS, ...ROUTED] : GUESTS;

/** Guests of nobody's, on the physical bridges: theirs is a network that heddle knows nothing of. */
export const BESIDE: readonly Omit<GuestPlace, 'network'>[] = [
  { id: 'wired', host: 'node1', ip: '10.64.0.11' },
  { id: 'distant', host: 'node2', ip: '10.64.0.12' },
];
export const PHYSICAL_BRIDGE = 'br-eth2';

const twoDigits = (byte: number): string => byte.toString(16).padStart(2, '0');
/** Of the n-th guest. */
export const macOf = (index: number): string => `fa:16:3e:00:00:${twoDigits(index + 16)}`;

/** JSON is YAML too. */
export function topologyText(options: TopologyOptions, variant: TopologyVariant = {}): string {
  const { routed } = options;
  const document = {
    hosts: [...realHosts(variant), ...phantomHosts(options)],
    // Large enough for every further port; guests live in its first /24.
    networks: [network('blue', 1001, '10.0.0.0/9'), ...(routed ? [network('red', 1002, '10.128.0.0/24')] : [])],
    ports: [...guestPorts(options, variant), ...furtherPorts(options)],
    ...(routed ? { routers: [{ id: 'r1', interfaces: [{ subnet: 'blue-v4' }, { subnet: 'red-v4' }] }] } : {}),
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

function realHosts({ managementDirectories }: TopologyVariant): readonly unknown[] {
  return HOSTS.map((name, index) => ({
    name,
    ovsdb: `tcp:${hostAddresses(index).managementIp}:${OVSDB_PORT}`,
    local_ip: hostAddresses(index).localIp,
    datapath_type: 'netdev',
    bridge_mappings: { physnet1: PHYSICAL_BRIDGE },
    ...(managementDirectories === undefined
      ? { controller: LISTEN }
      : { controller: null, mgmt_dir: managementDirectories[index] }),
  }));
}

function phantomHosts({ furtherPorts: count }: TopologyOptions): readonly unknown[] {
  return Array.from({ length: Math.ceil(count / PORTS_PER_PHANTOM) }, (_none, index) => ({
    name: `${PHANTOM}${index}`,
    // Nobody listens there, and nobody is asked twice a second.
    ovsdb: `tcp:127.0.0.1:${1 + index}`,
    local_ip: `172.28.1.${1 + index}`,
  }));
}

function network(id: string, segment: number, cidr: string): unknown {
  return { id, network_type: 'vxlan', segmentation_id: segment, subnets: [{ id: `${id}-v4`, cidr }] };
}

/** A file that has been edited gives the last of them further addresses, which every host is told of. */
function guestPorts(options: TopologyOptions, { changeCount = 0 }: TopologyVariant): readonly unknown[] {
  const further = Array.from({ length: changeCount }, (_none, index) => `10.0.0.${100 + index}`);
  return guestsOf(options).map(({ id, host, network: of, ip }, index) => ({
    id,
    network: of,
    host,
    mac_address: macOf(index),
    fixed_ips: id === 'third' ? [ip, ...further] : [ip],
  }));
}

function furtherPorts({ furtherPorts: count }: TopologyOptions): readonly unknown[] {
  return Array.from({ length: count }, (_none, index) => {
    const [high, middle, low] = [index >> 16, (index >> 8) & 255, index & 255];
    const host = `${PHANTOM}${Math.floor(index / PORTS_PER_PHANTOM)}`;
    return {
      id: `${host}-${index}`,
      network: 'blue',
      host,
      mac_address: `fa:16:3f:${twoDigits(high)}:${twoDigits(middle)}:${twoDigits(low)}`,
      fixed_ips: [`10.${1 + high}.${middle}.${low}`],
    };
  });
}
