/** What `ofproto/trace` says became of a packet, in the walker's words. Serves the tests that hold the two against each other. */

import type { FieldName, FieldValue } from '../../../src/flow/fields.ts';
import { VLAN_PRESENT } from '../../../src/flow/match.ts';
import { formatMatch } from '../../../src/flow/match-text.ts';
import { ipFromText, macFromText } from '../../../src/lib/addresses.ts';
import { sizeOf } from './actions.ts';
import type { Headers } from './headers.ts';
import type { Walk, WalkBridge } from './model.ts';
import { packetMatch } from './packets.ts';

/** Datapath ports by number, as `BRIDGE OFPORT`. */
export type DatapathPorts = ReadonlyMap<number, string>;

/** Out of `dpif/show`. LOCAL has the number 65534 there. */
export function datapathPorts(text: string): DatapathPorts {
  const ports = new Map<number, string>();
  let bridge = '';
  for (const line of text.split('\n')) {
    bridge = /^ {2}(\S+):$/.exec(line)?.[1] ?? bridge;
    const port = /^ {4}\S+ (\d+)\/(\d+):/.exec(line);
    if (port !== null) ports.set(Number(port[2]), `${bridge} ${port[1]}`);
  }
  return ports;
}

/** Copies as `BRIDGE OFPORT: packet`, sorted; packet-ins as `controller REASON: packet`; tunnel ids as `BRIDGE OFPORT tun_id`. */
export interface Outcome {
  readonly copies: readonly string[];
  readonly tunnelIds: readonly string[];
}

export function outcomeOfWalk({ arrivals, tunnelled, packetIns }: Walk): Outcome {
  const copies = [...arrivals, ...tunnelled].map(
    ({ bridge, ofport, headers }) => `${bridge} ${portNumber(ofport)}: ${packetText(headers)}`,
  );
  const ins = packetIns.map(({ reason, headers }) => `controller ${reason}: ${packetText(headers)}`);
  const tunnelIds = tunnelled.map(({ bridge, ofport, headers }) => `${bridge} ${ofport} ${headers.get('tunnelId')}`);
  return { copies: [...copies, ...ins].sort(), tunnelIds: tunnelIds.sort() };
}

/** Inside, Open vSwitch tells a miss flow that says so (6) from none (0); OpenFlow 1.3 does not. */
const REASONS: Readonly<Record<string, string>> = { 6: '0' };

/** `packet` as it went in. `bridges` say which ports are tunnels'. */
export function outcomeOfTrace(
  account: string,
  packet: Headers,
  { ports, bridges }: { readonly ports: DatapathPorts; readonly bridges: readonly WalkBridge[] },
): Outcome {
  const copies: string[] = [];
  const run = (actions: string, headers: Headers): void => {
    for (const action of splitActions(actions)) {
      const port = ports.get(Number(action));
      const reason = /^userspace\(.*controller\(reason=(\d)/.exec(action)?.[1];
      const size = /^check_pkt_len\(size=(\d+),gt\((.*)\),le\((.*)\)\)$/.exec(action);
      const clone = /^clone\((.*)\)$/.exec(action) ?? /^sample\(sample=100\.0%,actions\((.*)\)\)$/.exec(action);
      if (port !== undefined) copies.push(`${port}: ${packetText(headers)}`);
      else if (reason !== undefined) copies.push(`controller ${REASONS[reason] ?? reason}: ${packetText(headers)}`);
      else if (size !== null) run((sizeOf(headers) > Number(size[1]) ? size[2] : size[3]) ?? '', headers);
      else if (clone !== null) run(clone[1] ?? '', headers.clone());
      else if (action !== 'drop' && !action.startsWith('meter(')) change(headers, action);
    }
  };
  run(/^Datapath actions: (.*)$/m.exec(account)?.[1] ?? '', packet.clone());
  return { copies: copies.sort(), tunnelIds: tunnelIdsOf(account, bridges) };
}

function portNumber(ofport: number): number {
  return ofport === 0xffff_fffe ? 65_534 : ofport;
}

export function packetText(headers: Headers): string {
  return formatMatch(packetMatch(headers));
}

/** At commas outside of parentheses. */
function splitActions(actions: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const character of actions) {
    if (character === '(') depth++;
    if (character === ')') depth--;
    if (character === ',' && depth === 0) {
      parts.push(part);
      part = '';
    } else part += character;
  }
  return part === '' ? parts : [...parts, part];
}

/** Names of header fields in datapath actions (ovs-fields(7) has no word for them; odp-util prints them). */
const SETS: Readonly<Record<string, Readonly<Record<string, FieldName>>>> = {
  eth: { src: 'ethSrc', dst: 'ethDst' },
  ipv4: { src: 'ipv4Src', dst: 'ipv4Dst', ttl: 'ipTtl', tos: 'ipTos' },
  ipv6: { src: 'ipv6Src', dst: 'ipv6Dst', hlimit: 'ipTtl' },
  arp: { sip: 'arpSpa', tip: 'arpTpa', op: 'arpOp', sha: 'arpSha', tha: 'arpTha' },
  icmp: { type: 'icmpv4Type', code: 'icmpv4Code' },
  icmpv6: { type: 'icmpv6Type', code: 'icmpv6Code' },
  nd: { target: 'ndTarget', sll: 'ndSll', tll: 'ndTll' },
  nd_ext: { nd_reserved: 'ndReserved', nd_options_type: 'ndOptionsType' },
  udp: { src: 'udpSrc', dst: 'udpDst' },
  tcp: { src: 'tcpSrc', dst: 'tcpDst' },
};

function change(headers: Headers, action: string): void {
  const push = /^push_vlan\(vid=(\d+),pcp=(\d+)\)$/.exec(action);
  if (push !== null) {
    headers.tags.unshift(VLAN_PRESENT | Number(push[1]) | (Number(push[2]) << 13));
    return;
  }
  if (action === 'pop_vlan') {
    headers.tags.shift();
    return;
  }
  const set = /^set\((\w+)\((.*)\)\)$/.exec(action);
  const fields = SETS[set?.[1] ?? ''];
  if (set === null || fields === undefined) throw new Error(`ofproto/trace does what is not understood: ${action}`);
  for (const assignment of (set[2] ?? '').split(',')) {
    const [name = '', value = ''] = assignment.split('=');
    const field = fields[name];
    if (field === undefined) throw new Error(`ofproto/trace sets what is not understood: ${action}`);
    const [plain = '', mask] = value.split('/');
    if (mask === undefined) headers.set(field, numberOf(plain));
    else headers.setMasked(field, numberOf(plain), numberOf(mask));
  }
}

function numberOf(value: string): FieldValue {
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(value)) return macFromText(value);
  return /[.:]/.test(value) ? ipFromText(value) : Number(value);
}

/**
 * The datapath of a sandbox does not show tunnel ids: they are read out of the account, where each `output` stands after what
 * was set last.
 */
function tunnelIdsOf(account: string, bridges: readonly WalkBridge[]): readonly string[] {
  const found: string[] = [];
  let bridge: WalkBridge | undefined;
  let tunnelId = 0n;
  for (const line of account.split('\n')) {
    const heading = /^\s*bridge\("(.*)"\)$/.exec(line)?.[1];
    if (heading !== undefined) {
      bridge = bridges.find((one) => one.bridge === heading);
      tunnelId = 0n;
    }
    const set = /^\s*set_field:(0x[0-9a-f]+)->tun_id$/.exec(line)?.[1];
    const load = /^\s*load:(0|0x[0-9a-f]+)->NXM_NX_TUN_ID\[\]$/.exec(line)?.[1];
    tunnelId = BigInt(set ?? load ?? tunnelId);
    const ofport = Number(/^\s*output:(\d+)$/.exec(line)?.[1]);
    if (bridge?.ports.get(ofport)?.kind === 'tunnel') found.push(`${bridge.bridge} ${ofport} ${tunnelId}`);
  }
  return found.sort();
}
