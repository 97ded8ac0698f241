/**
 * Ethernet frames for those who do not play by the rules: bytes put together by hand, so that nothing of heddle's own
 * codec vouches for them.
 */

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd } as const;
const UDP = 17;
const ICMPV6 = 58;
const VXLAN_PORT = 4789;

function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

function ipv4(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

/** An IPv6 address with at most one `::`. */
function ipv6(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => part.split(':').filter(Boolean);
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2)
    sum += ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Ethernet {
  readonly source: string;
  readonly destination: string;
}

function ethernet({ source, destination }: Ethernet, etherType: number, payload: Buffer): Buffer {
  const frame = Buffer.concat([mac(destination), mac(source), u16(etherType), payload]);
  return Buffer.concat([frame, Buffer.alloc(Math.max(0, 60 - frame.length))]);
}

export interface ArpFrame extends Partial<Ethernet> {
  readonly operation: 'request' | 'reply';
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac?: string;
  readonly targetIp: string;
}

/** ARP (RFC 826); from the sender's MAC to everyone, unless it says otherwise. */
export function arpFrame(arp: ArpFrame): Buffer {
  const header = Buffer.from([0, 1, 8, 0, 6, 4, 0, arp.operation === 'request' ? 1 : 2]);
  const target = mac(arp.targetMac ?? '00:00:00:00:00:00');
  const body = Buffer.concat([header, mac(arp.senderMac), ipv4(arp.senderIp), target, ipv4(arp.targetIp)]);
  const addresses = { source: arp.source ?? arp.senderMac, destination: arp.destination ?? BROADCAST };
  return ethernet(addresses, ETHERTYPE.arp, body);
}

export interface UdpFrame extends Ethernet {
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly destinationPort?: number;
  readonly payload?: Buffer | string;
  /** Of IPv4: whole words, 40 bytes at most. */
  readonly ipOptions?: Buffer;
  /** The 16 bits of flags and fragment offset (RFC 791). Default: 0. */
  readonly fragment?: number;
  readonly ttl?: number;
}

/** UDP over IPv4, port 7777 unless given, without a UDP checksum (RFC 768 allows it). */
export function udpFrame(udp: UdpFrame): Buffer {
  const payload = Buffer.from(udp.payload ?? 'heddle');
  const length = 8 + payload.length;
  const datagram = Buffer.concat([u16(7777), u16(udp.destinationPort ?? 7777), u16(length), u16(0), payload]);
  const { ipOptions = Buffer.alloc(0), fragment = 0, ttl = 64 } = udp;
  const headerSize = 20 + ipOptions.length;
  const start = Buffer.concat([Buffer.from([0x40 + headerSize / 4, 0]), u16(headerSize + length), u16(1)]);
  const before = Buffer.concat([start, u16(fragment), Buffer.from([ttl, UDP])]);
  const addresses = Buffer.concat([ipv4(udp.sourceIp), ipv4(udp.destinationIp), ipOptions]);
  const sum = checksum(Buffer.concat([before, u16(0), addresses]));
  return ethernet(udp, ETHERTYPE.ipv4, Buffer.concat([before, u16(sum), addresses, datagram]));
}

/** UDP over IPv6, port 7777, with a checksum that nobody on the way looks at. */
export function udp6Frame({
  sourceIp,
  destinationIp,
  ...macs
}: Ethernet & Pick<UdpFrame, 'sourceIp' | 'destinationIp'>): Buffer {
  const datagram = Buffer.concat([u16(7777), u16(7777), u16(8 + 6), u16(1), Buffer.from('heddle')]);
  const header = Buffer.concat([Buffer.from([0x60, 0, 0, 0]), u16(datagram.length), Buffer.from([UDP, 64])]);
  return ethernet(macs, ETHERTYPE.ipv6, Buffer.concat([header, ipv6(sourceIp), ipv6(destinationIp), datagram]));
}

export interface NeighbourAdvertisement extends Ethernet {
  readonly sourceIp: string;
  readonly destinationIp: string;
  /** The address that is advertised, and the MAC that is claimed for it. */
  readonly target: string;
  readonly targetMac: string;
}

/** An unsolicited IPv6 neighbour advertisement (RFC 4861 §4.4). */
export function advertisementFrame(na: NeighbourAdvertisement): Buffer {
  const addresses = Buffer.concat([ipv6(na.sourceIp), ipv6(na.destinationIp)]);
  const option = Buffer.concat([Buffer.from([2, 1]), mac(na.targetMac)]);
  const rest = Buffer.concat([Buffer.from([0x20, 0, 0, 0]), ipv6(na.target), option]);
  const length = 4 + rest.length;
  const pseudo = Buffer.concat([
    addresses,
    Buffer.from([0, 0, 0, length, 0, 0, 0, ICMPV6]),
    Buffer.from([136, 0, 0, 0]),
  ]);
  const icmp = Buffer.concat([Buffer.from([136, 0]), u16(checksum(Buffer.concat([pseudo, rest]))), rest]);
  const header = Buffer.concat([Buffer.from([0x60, 0, 0, 0]), u16(length), Buffer.from([ICMPV6, 255]), addresses]);
  return ethernet(na, ETHERTYPE.ipv6, Buffer.concat([header, icmp]));
}

/** Put an 802.1Q tag into a frame. */
export function tagged(vlanId: number, frame: Buffer): Buffer {
  return Buffer.concat([frame.subarray(0, 12), u16(ETHERTYPE.vlan), u16(vlanId), frame.subarray(12)]);
}

/** Put a frame into VXLAN (RFC 7348), to the standard port. */
export function inVxlan(vni: number, outer: Omit<UdpFrame, 'payload' | 'destinationPort'>, inner: Buffer): Buffer {
  const header = Buffer.from([8, 0, 0, 0, (vni >> 16) & 0xff, (vni >> 8) & 0xff, vni & 0xff, 0]);
  return udpFrame({ ...outer, destinationPort: VXLAN_PORT, payload: Buffer.concat([header, inner]) });
}
