/** NORMAL: a VLAN learning switch, as Open vSwitch's is (ovs-vswitchd.conf.db(5), Port: vlan_mode; ovs-actions(7), output). */
import { VLAN_PRESENT } from '../../../src/flow/match.ts';
import type { Headers } from './headers.ts';
import type { WalkPort } from './model.ts';

/** Where NORMAL sends a copy, with the tag that it has there. */
export interface NormalOutput {
  readonly ofport: number;
  readonly tags: readonly number[];
}

export interface NormalOptions {
  /** Remember where the sender is. */
  readonly learns: boolean;
}

/** 01:80:c2:00:00:00 to 0f: link-local, never forwarded. */
const RESERVED_MULTICAST = 0x0180_c200_0000;

export class LearningSwitch {
  readonly #ports: ReadonlyMap<number, WalkPort>;
  /** By VLAN and MAC. */
  readonly #macs = new Map<string, number>();

  constructor(ports: ReadonlyMap<number, WalkPort>) {
    this.#ports = ports;
  }

  forward(headers: Headers, inPort: number, { learns }: NormalOptions): readonly NormalOutput[] {
    const port = this.#ports.get(inPort);
    const [source, destination] = [Number(headers.get('ethSrc')), Number(headers.get('ethDst'))];
    const isReserved = destination >= RESERVED_MULTICAST && destination <= RESERVED_MULTICAST + 0xf;
    if (port === undefined || isReserved) return [];
    const vlan = ingressVlan(port, headers);
    if (vlan === undefined) return [];
    if (learns && !isGroup(source)) this.#macs.set(`${vlan} ${source}`, inPort);
    const known = isGroup(destination) ? undefined : this.#macs.get(`${vlan} ${destination}`);
    const ofports = known === undefined || !this.#ports.has(known) ? [...this.#ports.keys()] : [known];
    const inner = headers.tags.slice(1);
    return ofports.flatMap((ofport) => {
      const to = this.#ports.get(ofport);
      if (ofport === inPort || to === undefined || !carries(to, vlan)) return [];
      // Without its outer tag a packet would be in the network that its inner one names.
      if (isAccess(to) && ((inner[0] ?? 0) & 0xfff) !== 0) return [];
      const pcp = (headers.tags[0] ?? 0) & 0xe000;
      const tags = isAccess(to) || vlan === 0 ? inner : [VLAN_PRESENT | pcp | vlan, ...inner];
      return [{ ofport, tags }];
    });
  }
}

function isGroup(mac: number): boolean {
  return (Math.floor(mac / 0x100_0000_0000) & 1) === 1;
}

function vlanOf(port: WalkPort) {
  return port.kind === 'end' ? port.vlan : undefined;
}

function isAccess(port: WalkPort): boolean {
  return vlanOf(port)?.mode === 'access';
}

function carries(port: WalkPort, vlan: number): boolean {
  const config = vlanOf(port);
  if (config === undefined) return true;
  return config.mode === 'access' ? config.tag === vlan : config.trunks.includes(vlan);
}

/** The VLAN that a packet is in by where it came from; undefined: the port does not take it. */
function ingressVlan(port: WalkPort, headers: Headers): number | undefined {
  const vid = (headers.tags[0] ?? 0) & 0xfff;
  const config = vlanOf(port);
  // What an access port takes is of its VLAN; a tag on it is another network's.
  if (config?.mode === 'access') return vid === 0 ? config.tag : undefined;
  return carries(port, vid) ? vid : undefined;
}
