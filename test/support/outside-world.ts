/**
 * The world outside of a site: a provider's router on the wire of an external network, and a machine beyond it.
 *
 *     br-ex of every host ──── 203.0.113.0/24, fd00:e::/64 ──── provider ──── 198.51.100.0/24, fd00:f::/64 ──── world
 */
import { eventually } from '../../scripts/support/lab/command.ts';
import type { Guest } from '../../scripts/support/lab/guest.ts';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';
import { type PingOptions, type PingResult, ping, RunningPing } from '../../scripts/support/lab/ping.ts';
import type { Site } from './site.ts';

export const WIRE = 'public';
export const PROVIDER = { mac: '0e:00:00:00:ee:01', ip: '203.0.113.1', ip6: 'fd00:e::1' } as const;
export const WORLD = { ip: '198.51.100.10', ip6: 'fd00:f::10' } as const;

/** What its link on the wire has. */
export const PROVIDER_ADDRESSES = [`${PROVIDER.ip}/24`, `${PROVIDER.ip6}/64 nodad`];

/** The external network of a topology, in the words of its file. */
export const PUBLIC = {
  id: 'public',
  network_type: 'flat',
  physical_network: WIRE,
  external: true,
  subnets: [
    { id: 'public4', cidr: '203.0.113.0/24', gateway_ip: PROVIDER.ip },
    { id: 'public6', cidr: 'fd00:e::/64', gateway_ip: PROVIDER.ip6 },
  ],
} as const;

export class OutsideWorld {
  readonly provider: Namespace;
  readonly world: Namespace;

  private constructor(provider: Namespace, world: Namespace) {
    this.provider = provider;
    this.world = world;
  }

  /**
   * `routes` are what the provider reaches through the site: `10.0.0.0/24 via 203.0.113.21`. The provider is made, untagged on
   * the wire itself, unless one is given, which has its addresses and another way to it.
   */
  static async create(site: Site, routes: readonly string[] = [], given?: Namespace): Promise<OutsideWorld> {
    const addresses = PROVIDER_ADDRESSES;
    const provider =
      given ?? (await site.lab.addOutsider({ name: 'provider', segment: WIRE, mac: PROVIDER.mac, addresses }));
    const guest: Guest = await site.lab.addGuest({ name: 'world', mac: '0e:00:00:00:ee:10', addresses: [] });
    const world = guest.namespace;
    await provider.ip([`link add eth1 type veth peer name eth0 netns ${world.name}`, 'link set eth1 up']);
    await provider.ip(['address add 198.51.100.1/24 dev eth1', 'address add fd00:f::1/64 dev eth1 nodad']);
    await world.ip([
      'link set eth0 up',
      `address add ${WORLD.ip}/24 dev eth0`,
      `address add ${WORLD.ip6}/64 dev eth0 nodad`,
    ]);
    await world.ip(['route add default via 198.51.100.1', '-6 route add default via fd00:f::1'].map(plain));
    for (const [namespace, link] of [
      [provider, 'eth1'],
      [world, 'eth0'],
    ] as const) {
      await namespace.run(['ethtool', '-K', link, 'tx', 'off', 'tso', 'off', 'gso', 'off']);
    }
    const forward = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.icmp_ratelimit=0'];
    await provider.run(['sysctl', '-q', '-w', ...forward]);
    if (routes.length > 0) await provider.ip(routes.map((route) => `route add ${route}`));
    return new OutsideWorld(provider, world);
  }

  ping(target: string, options: PingOptions = {}): Promise<PingResult> {
    return ping(this.world, target, options);
  }

  /** A ping that goes on; begun when the first answer has come. */
  startPing(target: string, intervalMs: number): Promise<RunningPing> {
    return RunningPing.start(this.world, target, intervalMs);
  }

  /** Wait until an address answers the world. */
  async untilReached(target: string): Promise<void> {
    await eventually(`the world reaches ${target}`, async () => {
      const { received } = await this.ping(target, { count: 1, waitMs: 500 });
      return received === 1;
    });
  }
}

/** ip -batch takes the family from the address. */
const plain = (line: string): string => line.replace(/^-6 /, '');

/** Serves the address of whoever connects, on a TCP port. */
const ECHO_PEER = `
import socket, sys
server = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], int(sys.argv[2])))
server.listen(64)
print('listening', flush=True)
while True:
    peer, address = server.accept()
    peer.sendall(address[0].encode())
    peer.close()
`;

/** Start a server that tells who connects; comes back once it listens. Ends with the namespace. */
export async function tellPeers(namespace: Namespace, port = 80, address = '0.0.0.0'): Promise<void> {
  const child = namespace.start(['timeout', '300', '/usr/bin/python3', '-c', ECHO_PEER, address, `${port}`]);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
}

/** The address that a TCP server sees somebody come from; undefined: no connection within three seconds. */
export async function seenAs(from: Namespace, server: string, port = 80): Promise<string | undefined> {
  const { status, stdout } = await from.runAny(['timeout', '4', 'nc.openbsd', '-d', '-w', '3', server, `${port}`]);
  return status === 0 ? stdout : undefined;
}

const ASK = `
import socket, sys
asker = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
if len(sys.argv) > 3: asker.bind(('', int(sys.argv[3])))
asker.connect((sys.argv[1], int(sys.argv[2])))
asker.settimeout(2)
asker.send(b'anybody?')
try:
    print(asker.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
`;

/** Sends a datagram to a port and says what the socket gets: an answer, or the name of an error (`ConnectionRefusedError`). */
export async function askByUdp(from: Namespace, target: string, port: number, sourcePort?: number): Promise<string> {
  const source = sourcePort === undefined ? [] : [`${sourcePort}`];
  return (await from.run(['/usr/bin/python3', '-c', ASK, target, `${port}`, ...source])).trim();
}

/** The hops of traceroute(8) towards an address, by ICMP, UDP or TCP; `*` where nobody answered. */
export async function hops(from: Namespace, target: string, by: 'icmp' | 'udp' | 'tcp' = 'icmp'): Promise<string[]> {
  const how = { icmp: ['-I'], udp: [], tcp: ['-T', '-p', '80'] }[by];
  const output = await from.run(['traceroute', ...how, '-n', '-q', '2', '-w', '1', '-m', '8', target]);
  return output
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '')
    .map((line) => /^ *\d+ +(?:\* +)?([\da-f.:]+) /.exec(line)?.[1] ?? '*');
}

/** How a closed TCP port says no: `refused`; `open` if it is not closed; `silent` if nothing comes back within three seconds. */
export async function knock(from: Namespace, target: string, port: number): Promise<'refused' | 'open' | 'silent'> {
  const { status, stderr } = await from.runAny(['nc.openbsd', '-z', '-v', '-n', '-w', '3', target, `${port}`]);
  if (status === 0) return 'open';
  return stderr.includes('refused') ? 'refused' : 'silent';
}

/** Sends datagrams that must not be cut up until its socket refuses one, and says with what error and path MTU. */
const SEND_WHOLE = `
import socket, sys, time
target, size = sys.argv[1], int(sys.argv[2])
isIpv6 = ':' in target
sender = socket.socket(socket.AF_INET6 if isIpv6 else socket.AF_INET, socket.SOCK_DGRAM)
level, discover, do, mtu = (41, 23, 2, 24) if isIpv6 else (0, 10, 2, 14)
sender.setsockopt(level, discover, do)
sender.connect((target, 9))
for _ in range(60):
    try:
        sender.send(b'x' * size)
    except ConnectionRefusedError:
        pass
    except OSError as error:
        print(error.strerror, sender.getsockopt(level, mtu))
        break
    time.sleep(0.05)
`;

/** What a socket that sends datagrams of a size gets to hear: `Message too long 1450`; empty: nothing within three seconds. */
export async function tooLong(from: Namespace, target: string, size: number): Promise<string> {
  return (await from.run(['/usr/bin/python3', '-c', SEND_WHOLE, target, `${size}`])).trim();
}

/** Answers whoever asks with datagrams that must not be cut up: large ones until its socket refuses one, then one that fits. */
const ANSWER_LARGE = `
import socket, sys, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(0, 10, 2)
server.bind(('', int(sys.argv[1])))
print('listening', flush=True)
asked, asker = server.recvfrom(100)
for _ in range(60):
    try:
        server.sendto(b'x' * 1472, asker)
    except OSError as error:
        print(error.strerror, flush=True)
        break
    time.sleep(0.05)
server.sendto(b'x' * 1422, asker)
`;

const ASK_FOR_LARGE = `
import socket, sys
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(5)
asker.sendto(b'large', (sys.argv[1], int(sys.argv[2])))
print(len(asker.recv(2000)))
`;

/** Asks a server for an answer that is too large for its way, and gives what the server heard and what came. */
export async function askForLarge(
  from: Namespace,
  server: { readonly namespace: Namespace; readonly ip: string; readonly port: number },
): Promise<{ readonly heard: string; readonly came: string }> {
  const { namespace, ip, port } = server;
  const child = namespace.start(['timeout', '10', '/usr/bin/python3', '-c', ANSWER_LARGE, `${port}`]);
  let heard = '';
  await new Promise<void>((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      resolve();
    });
  });
  const { stdout } = await from.runAny(['/usr/bin/python3', '-c', ASK_FOR_LARGE, ip, `${port}`]);
  return { heard: heard.replace('listening', '').trim(), came: stdout.trim() };
}
