/**
 * A small connection tracker: zones, new and established, both directions, source and destination NAT with ports. What Open
 * vSwitch's ct action needs (ovs-actions(7)); no timeouts, no TCP states, no ICMP errors.
 */
import type { Action, Nat } from '../../../src/flow/action.ts';
import type { FieldName, FieldValue } from '../../../src/flow/fields.ts';
import type { Headers } from './headers.ts';
import { WalkError } from './model.ts';

type CtAction = Action & { readonly type: 'ct' };

/** Flags of ct_state (ovs-fields(7)). */
export const CT_STATE = {
  new: 0x01,
  est: 0x02,
  rel: 0x04,
  rpl: 0x08,
  inv: 0x10,
  trk: 0x20,
  snat: 0x40,
  dnat: 0x80,
} as const;

interface Tuple {
  readonly protocol: number;
  readonly source: FieldValue;
  readonly destination: FieldValue;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

interface Connection {
  readonly original: Tuple;
  /** As a reply looks when it arrives, before it is translated back. */
  readonly reply: Tuple;
  hasReply: boolean;
  mark: FieldValue;
  label: FieldValue;
}

const PORT_FIELDS: ReadonlyMap<number, readonly [FieldName, FieldName]> = new Map([
  [6, ['tcpSrc', 'tcpDst']],
  [17, ['udpSrc', 'udpDst']],
  [132, ['sctpSrc', 'sctpDst']],
]);
const IPV6 = 0x86dd;
const IPV4 = 0x0800;

export class Conntrack {
  /** The port that the next translation into a range takes, if it is free: Open vSwitch chooses by a hash. Default: the first. */
  preferredPort: number | undefined;
  readonly #connections = new Map<string, { readonly connection: Connection; readonly isReply: boolean }>();

  /** The packet after `ct`: its state, and its addresses where they are translated. Changes `headers`. */
  track(action: CtAction, zone: number, headers: Headers, exec: (headers: Headers) => void): void {
    const ethType = headers.get('ethType');
    headers.set('ctZone', zone);
    if (ethType !== IPV4 && ethType !== IPV6) {
      headers.set('ctState', CT_STATE.trk | CT_STATE.inv);
      return;
    }
    let found = this.#find(zone, tupleOf(headers));
    if (found?.isReply && action.force === true && action.commit === true) {
      this.#forget(zone, found.connection);
      found = undefined;
    }
    let state: number = CT_STATE.trk;
    if (found === undefined) state |= CT_STATE.new;
    else if (found.isReply) state |= CT_STATE.rpl | CT_STATE.est;
    else state |= found.connection.hasReply ? CT_STATE.est : CT_STATE.new;
    if (found?.isReply) found.connection.hasReply = true;
    const original = tupleOf(headers);
    headers.set('ctMark', found?.connection.mark ?? 0);
    headers.set('ctLabel', found?.connection.label ?? 0n);
    const connection = found?.connection ?? this.#begin(zone, original, action);
    if (action.nat !== undefined) state |= translate(headers, connection, found?.isReply === true);
    headers.set('ctState', state);
    setOriginal(headers, connection.original);
    if (action.commit !== true) return;
    exec(headers);
    connection.mark = headers.get('ctMark');
    connection.label = headers.get('ctLabel');
    if (found === undefined) this.#remember(zone, connection);
  }

  #find(zone: number, tuple: Tuple): { readonly connection: Connection; readonly isReply: boolean } | undefined {
    return this.#connections.get(keyOf(zone, tuple));
  }

  #remember(zone: number, connection: Connection): void {
    this.#connections.set(keyOf(zone, connection.original), { connection, isReply: false });
    this.#connections.set(keyOf(zone, connection.reply), { connection, isReply: true });
  }

  #forget(zone: number, connection: Connection): void {
    this.#connections.delete(keyOf(zone, connection.original));
    this.#connections.delete(keyOf(zone, connection.reply));
  }

  #begin(zone: number, original: Tuple, { nat, commit }: CtAction): Connection {
    const plain = reverse(original);
    const reply = nat === undefined || commit !== true ? plain : this.#translated(zone, plain, nat);
    return { original, reply, hasReply: false, mark: 0, label: 0n };
  }

  /** The reply to a translated packet: the first address and port of the range that nobody has. */
  #translated(zone: number, reply: Tuple, { direction, addressMin, addressMax, portMin, portMax }: Nat): Tuple {
    if (direction === undefined) return reply;
    const [address, port] =
      direction === 'src' ? (['destination', 'destinationPort'] as const) : (['source', 'sourcePort'] as const);
    const first = BigInt(addressMin ?? reply[address]);
    const last = BigInt(addressMax ?? addressMin ?? reply[address]);
    const hasPorts = PORT_FIELDS.has(reply.protocol);
    const [low, high] = hasPorts
      ? [portMin ?? reply[port], portMax ?? portMin ?? (portMin === undefined ? 65_535 : portMin)]
      : [reply[port], reply[port]];
    const preferred = portMin === undefined ? undefined : this.preferredPort;
    const ports = preferred === undefined || preferred < low || preferred > high ? [] : [preferred];
    for (let number = low; number <= high; number++) ports.push(number);
    for (let ip = first; ip <= last; ip++) {
      const value = typeof reply[address] === 'bigint' ? ip : Number(ip);
      for (const number of ports) {
        const candidate = { ...reply, [address]: value, [port]: number };
        if (!this.#connections.has(keyOf(zone, candidate))) return candidate;
      }
    }
    throw new WalkError('nat: no address and port of the range is free');
  }
}

function keyOf(zone: number, { protocol, source, destination, sourcePort, destinationPort }: Tuple): string {
  return `${zone} ${protocol} ${source} ${destination} ${sourcePort} ${destinationPort}`;
}

/** Request and reply of an echo are one connection: the identifier, which headers do not have, is taken as equal. */
function tupleOf(headers: Headers): Tuple {
  const protocol = Number(headers.get('ipProto'));
  const isIpv6 = headers.get('ethType') === IPV6;
  const ports = PORT_FIELDS.get(protocol);
  return {
    protocol,
    source: headers.get(isIpv6 ? 'ipv6Src' : 'ipv4Src'),
    destination: headers.get(isIpv6 ? 'ipv6Dst' : 'ipv4Dst'),
    sourcePort: ports === undefined ? 0 : Number(headers.get(ports[0])),
    destinationPort: ports === undefined ? 0 : Number(headers.get(ports[1])),
  };
}

function reverse({ protocol, source, destination, sourcePort, destinationPort }: Tuple): Tuple {
  return {
    protocol,
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
  };
}

/** Put the translated addresses in; gives the flags that say so. */
function translate(headers: Headers, { original, reply }: Connection, isReply: boolean): number {
  const before = tupleOf(headers);
  const after = reverse(isReply ? original : reply);
  const isIpv6 = headers.get('ethType') === IPV6;
  const ports = PORT_FIELDS.get(before.protocol);
  headers.set(isIpv6 ? 'ipv6Src' : 'ipv4Src', after.source);
  headers.set(isIpv6 ? 'ipv6Dst' : 'ipv4Dst', after.destination);
  if (ports !== undefined) {
    headers.set(ports[0], after.sourcePort);
    headers.set(ports[1], after.destinationPort);
  }
  const hasSource = before.source !== after.source || before.sourcePort !== after.sourcePort;
  const hasDestination = before.destination !== after.destination || before.destinationPort !== after.destinationPort;
  return (hasSource ? CT_STATE.snat : 0) | (hasDestination ? CT_STATE.dnat : 0);
}

function setOriginal(headers: Headers, original: Tuple): void {
  const isIpv6 = typeof original.source === 'bigint';
  headers.set(isIpv6 ? 'ctIpv6Src' : 'ctNwSrc', original.source);
  headers.set(isIpv6 ? 'ctIpv6Dst' : 'ctNwDst', original.destination);
  headers.set('ctNwProto', original.protocol);
  headers.set('ctTpSrc', original.sourcePort);
  headers.set('ctTpDst', original.destinationPort);
}
