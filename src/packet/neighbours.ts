/**
 * Frames by which IP addresses are found and announced: ARP (RFC 826) and neighbour discovery (RFC 4861 §7). Serves
 * controller/router/. And the other way round: what a received frame says about who has which address.
 */
import type { Ip } from '../lib/addresses.ts';
import {
  ALL_NODES,
  ARP_OPERATION,
  type Arp,
  BROADCAST_MAC,
  type Frame,
  type Ipv6,
  type NdMessage,
  type NdOption,
} from './packet.ts';

const ND_HOP_LIMIT = 255;

/** Who asks, and for what. */
export interface NeighbourQuestion<Address extends Ip> {
  readonly senderMac: number;
  readonly senderIp: Address;
  readonly targetIp: Address;
  /** Ask this one alone, to see whether it is still there. Absent: ask everyone. */
  readonly targetMac?: number;
}

export function arpRequest({ senderMac, senderIp, targetIp, targetMac }: NeighbourQuestion<number>): Frame {
  const operation = ARP_OPERATION.request;
  const arp: Arp = { kind: 'arp', operation, senderMac, senderIp, targetMac: targetMac ?? 0, targetIp };
  return { destination: targetMac ?? BROADCAST_MAC, source: senderMac, vlans: [], payload: arp };
}

/** That `senderIp` is at `senderMac`, to who asked. */
export function arpReply(answer: Omit<Arp, 'kind' | 'operation'>): Frame {
  const arp: Arp = { kind: 'arp', operation: ARP_OPERATION.reply, ...answer };
  return { destination: answer.targetMac, source: answer.senderMac, vlans: [], payload: arp };
}

/**
 * To everyone: `ip` is at `mac`. As a request that nobody answers (RFC 5227 §3, the default), or as a reply to nobody; some
 * stacks listen to one of the two only.
 */
export function gratuitousArp(announcement: {
  readonly mac: number;
  readonly ip: number;
  readonly as?: keyof typeof ARP_OPERATION;
}): Frame {
  const { mac, ip, as = 'request' } = announcement;
  const targetMac = as === 'request' ? 0 : BROADCAST_MAC;
  const operation = ARP_OPERATION[as];
  const arp: Arp = { kind: 'arp', operation, senderMac: mac, senderIp: ip, targetMac, targetIp: ip };
  return { destination: BROADCAST_MAC, source: mac, vlans: [], payload: arp };
}

/** As the ARP request; to everyone means to the solicited-node group of the target (RFC 4291 §2.7.1). */
export function neighborSolicitation(question: NeighbourQuestion<bigint>): Frame {
  const { senderMac, senderIp, targetIp, targetMac } = question;
  const group = solicitedNodeGroup(targetIp);
  return ndFrame(
    { source: senderMac, destination: targetMac ?? multicastMac(group) },
    { source: senderIp, destination: targetMac === undefined ? group : targetIp },
    {
      kind: 'neighborSolicitation',
      target: targetIp,
      options: [{ kind: 'sourceLinkLayer', mac: senderMac }],
    },
  );
}

/** That `target` is at `mac`: to who asked, or to all nodes (unsolicited) where nobody did. */
export function neighborAdvertisement(advertisement: {
  readonly mac: number;
  readonly target: bigint;
  readonly router: boolean;
  readonly asker?: { readonly mac: number; readonly ip: bigint };
}): Frame {
  const { mac, target, router, asker } = advertisement;
  return ndFrame(
    { source: mac, destination: asker?.mac ?? multicastMac(ALL_NODES) },
    { source: target, destination: asker?.ip ?? ALL_NODES },
    {
      kind: 'neighborAdvertisement',
      target,
      router,
      solicited: asker !== undefined,
      override: true,
      options: [{ kind: 'targetLinkLayer', mac }],
    },
  );
}

/** A frame of neighbour discovery. */
export function ndFrame(
  macs: { readonly source: number; readonly destination: number },
  ips: { readonly source: bigint; readonly destination: bigint },
  payload: NdMessage,
): Frame {
  const header = { trafficClass: 0, flowLabel: 0, hopLimit: ND_HOP_LIMIT, extensions: [] };
  return { ...macs, vlans: [], payload: { kind: 'ipv6', ...ips, ...header, payload } };
}

/** ff02::1:ffXX:XXXX. */
export function solicitedNodeGroup(ip: bigint): bigint {
  return 0xff02_0000_0000_0000_0000_0001_ff00_0000n | (ip & 0xff_ffffn);
}

/** 33:33 and the low 32 bits of the group (RFC 2464 §7). */
export function multicastMac(group: bigint): number {
  return 0x3333_0000_0000 + Number(group & 0xffff_ffffn);
}

/** That somebody has an address. */
export interface NeighbourClaim {
  readonly ip: Ip;
  readonly mac: number;
}

/**
 * What a frame claims: an ARP reply, a gratuitous ARP or a neighbour advertisement; undefined for everything else. A plain
 * ARP request claims nothing: who asks is not thereby who answers.
 */
export function claimOf(frame: Frame): NeighbourClaim | undefined {
  const { payload } = frame;
  if (payload.kind === 'arp') return claimOfArp(payload);
  return payload.kind === 'ipv6' ? claimOfNd(payload, frame.source) : undefined;
}

/** Where the sender of an ARP packet says that it is: who knows it already takes its word, also when it only asks (RFC 826). */
export function arpSenderOf({ payload }: Frame): NeighbourClaim | undefined {
  if (payload.kind !== 'arp' || payload.senderIp === 0 || !isUnicastMac(payload.senderMac)) return undefined;
  return { ip: payload.senderIp, mac: payload.senderMac };
}

function claimOfArp({ operation, senderIp, senderMac, targetIp }: Arp): NeighbourClaim | undefined {
  const isClaim = operation === ARP_OPERATION.reply || (operation === ARP_OPERATION.request && senderIp === targetIp);
  // A probe (RFC 5227 §2.1) comes from 0.0.0.0.
  if (!isClaim || senderIp === 0 || !isUnicastMac(senderMac)) return undefined;
  return { ip: senderIp, mac: senderMac };
}

function claimOfNd({ payload }: Ipv6, source: number): NeighbourClaim | undefined {
  if (payload.kind !== 'neighborAdvertisement') return undefined;
  // A solicited one may leave the option out (RFC 4861 §4.4): then the frame says it.
  const option = payload.options.find((one): one is NdOption & { kind: 'targetLinkLayer' } => {
    return one.kind === 'targetLinkLayer';
  });
  const mac = option?.mac ?? source;
  return isUnicastMac(mac) ? { ip: payload.target, mac } : undefined;
}

/** A MAC that one station has: neither zero nor of a group. */
export function isUnicastMac(mac: number): boolean {
  return mac !== 0 && (Math.floor(mac / 0x100_0000_0000) & 1) === 0;
}
