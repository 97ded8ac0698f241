/** A BFD packet, as Open vSwitch sends it where heddle has it ask other hosts whether they live. */
import { ipFromText, macFromText } from '../../src/lib/addresses.ts';
import type { Frame } from '../../src/packet/packet.ts';
import { BFD_MACS } from '../../src/pipeline/gateway-alive.ts';

const ip4 = (text: string): number => Number(ipFromText(text));

/** Its addresses are the ones that bfd:bfd_src_ip and bfd:bfd_dst_ip have by default (ovs-vswitchd.conf.db(5)). */
export const BFD_QUESTION: Frame = {
  destination: macFromText(BFD_MACS.asking),
  source: macFromText('0e:aa:00:00:00:01'),
  vlans: [],
  payload: {
    kind: 'ipv4',
    tos: 0xc0,
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 255,
    options: new Uint8Array(),
    source: ip4('169.254.1.1'),
    destination: ip4('169.254.1.0'),
    payload: { kind: 'udp', sourcePort: 50_000, destinationPort: 3784, data: new Uint8Array(24) },
  },
};
