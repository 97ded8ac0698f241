/**
 * Names that heddle gives on a host, and local VLANs. They are Neutron's, so that a host can go from one to the other. Serves
 * the controller, which writes them to OVSDB, and offline compilation.
 */
import { createHash } from 'node:crypto';
import { type Ip, ipToText } from '../lib/addresses.ts';
import { HeddleError } from '../lib/errors.ts';
import type { TunnelType } from '../pipeline/br-tun.ts';
import type { NetworkType } from '../topology/model.ts';

export const TUNNEL_TYPES: readonly TunnelType[] = ['vxlan', 'gre', 'geneve'];

export function isTunnelled(type: NetworkType | string): type is TunnelType {
  return type === 'vxlan' || type === 'gre' || type === 'geneve';
}

/** The patch between br-int and br-tun: the end on br-int, and the end on br-tun. */
export const PATCH_TUN = 'patch-tun';
export const PATCH_INT = 'patch-int';

/** Linux takes 15 characters for the name of an interface, and Neutron gives its patch ports no more. */
const NAME_LENGTH_MAX = 15;
const NAME_HASH_LENGTH = 6;

/** br-int's end of the patch to a physical bridge: `int-br-ex`. */
export function integrationPatchName(physicalBridge: string): string {
  return patchName('int-', physicalBridge);
}

/** The physical bridge's end of the patch to br-int: `phy-br-ex`. */
export function physicalPatchName(physicalBridge: string): string {
  return patchName('phy-', physicalBridge);
}

/** A name that is too long is cut, and made unique by a hash of all of it. */
function patchName(prefix: string, bridge: string): string {
  if (prefix.length + bridge.length <= NAME_LENGTH_MAX) return prefix + bridge;
  const hash = createHash('sha1').update(bridge).digest('hex').slice(0, NAME_HASH_LENGTH);
  return prefix + bridge.slice(0, NAME_LENGTH_MAX - prefix.length - NAME_HASH_LENGTH) + hash;
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** `vxlan-c0000202`: the remote address in hexadecimal, or for IPv6 the beginning of its SHA-1 in base 32. */
export function tunnelPortName(type: TunnelType, remoteIp: Ip): string {
  if (typeof remoteIp === 'number') return `${type}-${remoteIp.toString(16).padStart(8, '0')}`;
  const digest = createHash('sha1').update(ipToText(remoteIp)).digest();
  const length = NAME_LENGTH_MAX - type.length - 1;
  let bits = BigInt(`0x${digest.toString('hex')}`);
  let text = '';
  for (let index = 0; index < 32; index++) {
    text = BASE32.charAt(Number(bits & 31n)) + text;
    bits >>= 5n;
  }
  return `${type}-${text.slice(0, length)}`;
}

/** VLAN ids that frames can carry, without the dead one. */
const LOCAL_VLAN_MAX = 4094;

/** A host has more networks than there are VLAN ids. Code `NO_LOCAL_VLAN`. */
export class LocalVlanError extends HeddleError {
  constructor(networkId: string) {
    super(
      'NO_LOCAL_VLAN',
      `network ${networkId} gets no local VLAN: the host has ${LOCAL_VLAN_MAX} networks already; spread its ports over more hosts`,
      { networkId },
    );
  }
}

/**
 * A local VLAN for each network: the one it has, else the lowest that is free, in order of id. Networks that are not asked
 * for lose theirs. `inUse` are VLANs that belong to somebody else. Throws LocalVlanError.
 */
export function allocateLocalVlans(
  networkIds: Iterable<string>,
  kept: ReadonlyMap<string, number>,
  inUse: ReadonlySet<number> = new Set(),
): ReadonlyMap<string, number> {
  const wanted = [...networkIds].sort();
  const allocated = new Map<string, number>();
  const taken = new Set(inUse);
  for (const id of wanted) {
    const vlan = kept.get(id);
    if (vlan === undefined || taken.has(vlan)) continue;
    allocated.set(id, vlan);
    taken.add(vlan);
  }
  let candidate = 1;
  for (const id of wanted) {
    if (allocated.has(id)) continue;
    while (taken.has(candidate)) candidate++;
    if (candidate > LOCAL_VLAN_MAX) throw new LocalVlanError(id);
    allocated.set(id, candidate);
    taken.add(candidate);
  }
  return allocated;
}
