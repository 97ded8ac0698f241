/**
 * One established connection to one bridge: requests by xid, flow dumps, bundles, callbacks. Serves switch/ and controller/.
 * Everything asked of a connection that has ended rejects at once with CONNECTION_CLOSED; nothing waits across epochs.
 */
import type { Action } from '../flow/action.ts';
import type { Match } from '../flow/flow.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import { BUNDLE_ATOMIC_ORDERED, bundleAddSlabs, messageSlabs } from './bundle.ts';
import { type ChannelDropCode, type Features, FIRST_FREE_XID } from './channel.ts';
import { type ChannelEnd, type ChannelSocket, frameXid } from './channel-socket.ts';
import { encodeMessage } from './codec.ts';
import { NXT_PACKET_IN2, OFPT_EXPERIMENTER } from './experimenter-codec.ts';
import { cutFlowDump, flowCounts, multipartHasMore, type RawFlow } from './flow-dump.ts';
import {
  type BundleControl,
  type FlowSelection,
  type Message,
  type MessageBody,
  type MessageOf,
  type MultipartReply,
  type MultipartRequest,
  PORT_STATUS_REASONS,
  type Port,
  type Role,
} from './messages.ts';
import { NICIRA_EXPERIMENTER } from './oxm.ts';
import { PacketInBudget, type PacketInCounts } from './packet-in-budget.ts';
import { ConnectionClosedError, OpenFlowError, PendingRequests, type XidRange } from './requests.ts';

/** A packet that the switch sent us, whichever message it came in. */
export interface PacketIn {
  /** One of PACKET_IN_REASONS. */
  readonly reason: number;
  readonly table: number;
  readonly cookie: bigint;
  /** in_port, registers and other metadata. */
  readonly match: Match;
  readonly data: Uint8Array;
  /** Size of the whole packet. */
  readonly totalSize: number;
  /** What the controller() action carried. */
  readonly userdata?: Uint8Array;
}

/** What the users of a connection may hear; all optional. Called in the order in which the switch spoke. */
export interface ConnectionHandlers {
  readonly packetIn?: (packet: PacketIn) => void;
  /** `ports` of the connection is up to date when it is called. */
  readonly portStatus?: (status: MessageOf<'portStatus'>) => void;
  readonly flowRemoved?: (removed: MessageOf<'flowRemoved'>) => void;
  /** An error that answers no request, bundle or batch. */
  readonly error?: (error: OpenFlowError) => void;
  /** Any other message that nobody waited for: flow monitor updates, role changes. */
  readonly message?: (message: Message) => void;
  readonly closed?: (end: ChannelEnd) => void;
}

export interface PacketOut {
  readonly data: Uint8Array;
  readonly actions: readonly Action[];
  /** Default: OFPP_CONTROLLER. */
  readonly inPort?: number;
}

/** One message of a bundle or batch that the switch refused, by its place in what was handed over. */
export interface RefusedMessage {
  readonly index: number;
  readonly error: OpenFlowError;
}

export interface BatchResult {
  /** False: nothing of it was applied. */
  readonly committed: boolean;
  readonly refused: readonly RefusedMessage[];
  /** Why the bundle as a whole failed. */
  readonly error?: OpenFlowError;
}

export interface SwitchConnectionOptions {
  readonly channel: ChannelSocket;
  readonly epoch: number;
  /** `tcp:127.0.0.1:41234`, `unix:/run/openvswitch/br-int.mgmt` */
  readonly peer: string;
  readonly features: Features;
  readonly ports: readonly Port[];
  readonly nowMs: () => number;
}

const OFPP_CONTROLLER = 0xfffffffd;
const XID_COUNT = 0x1_0000_0000;

export class SwitchConnection {
  /** Grows with every connection of the process: two lives of one bridge never share one. */
  readonly epoch: number;
  readonly dpid: bigint;
  readonly peer: string;
  readonly features: Features;
  readonly #channel: ChannelSocket;
  readonly #nowMs: () => number;
  readonly #requests = new PendingRequests();
  readonly #packetIns: PacketInBudget;
  readonly #handlers = new Set<ConnectionHandlers>();
  readonly #ports = new Map<number, Port>();
  #nextXid = FIRST_FREE_XID;
  #nextBundleId = 1;
  #end: ChannelEnd | undefined;

  constructor(options: SwitchConnectionOptions) {
    this.epoch = options.epoch;
    this.dpid = options.features.dpid;
    this.peer = options.peer;
    this.features = options.features;
    this.#channel = options.channel;
    this.#nowMs = options.nowMs;
    this.#packetIns = new PacketInBudget(options.nowMs());
    for (const port of options.ports) this.#ports.set(port.port, port);
  }

  get isOpen(): boolean {
    return this.#end === undefined && this.#channel.isOpen;
  }

  /** Why it ended; undefined while it lives. */
  get end(): ChannelEnd | undefined {
    return this.#end;
  }

  /** By ofport, kept up to date by PORT_STATUS. */
  get ports(): ReadonlyMap<number, Port> {
    return this.#ports;
  }

  /** Bytes that wait to be sent. */
  get queuedSize(): number {
    return this.#channel.queuedSize;
  }

  get packetInCounts(): PacketInCounts {
    return this.#packetIns.counts;
  }

  /** Gives a function that takes the handlers away again. */
  subscribe(handlers: ConnectionHandlers): () => void {
    this.#handlers.add(handlers);
    return () => this.#handlers.delete(handlers);
  }

  /** Send without waiting. Gives the xid; undefined when the connection has ended. */
  send(body: MessageBody): number | undefined {
    if (!this.isOpen) return undefined;
    const xid = this.#takeXids(1);
    this.#channel.send(encodeMessage({ ...body, xid }));
    return xid;
  }

  /** Send and wait for the reply, all parts of it. Rejects with OpenFlowError or ConnectionClosedError. */
  async request(body: MessageBody): Promise<readonly Message[]> {
    this.#assertOpen();
    const xid = this.#takeXids(1);
    const reply = this.#requests.messages(xid, nameOf(body), this.#nowMs());
    this.#channel.send(encodeMessage({ ...body, xid }));
    this.#channel.rearm();
    return reply;
  }

  /** Resolves when the switch has processed everything sent before. */
  async barrier(): Promise<void> {
    await this.request({ type: 'barrierRequest' });
  }

  /** The bodies of a multipart reply, one a part. */
  async multipart<Kind extends MultipartReply['kind']>(
    body: MultipartRequest & { readonly kind: Kind },
  ): Promise<readonly Extract<MultipartReply, { kind: Kind }>[]> {
    const replies = await this.request({ type: 'multipartRequest', more: false, body });
    const parts: Extract<MultipartReply, { kind: Kind }>[] = [];
    for (const reply of replies) {
      if (reply.type === 'multipartReply' && isKind(reply.body, body.kind)) parts.push(reply.body);
    }
    return parts;
  }

  /** Every flow that `selection` chooses (default: all), as bytes. */
  async dumpFlows(selection: FlowSelection = {}): Promise<RawFlow[]> {
    return cutFlowDump(await this.dumpFlowFrames(selection));
  }

  /** The parts of a flow dump as they came, for who cuts them (cutFlows) at leisure. */
  dumpFlowFrames(selection: FlowSelection = {}): Promise<readonly Uint8Array[]> {
    return this.#frames({ kind: 'flow', ...selection }, 'a flow dump');
  }

  /** How many flows each table has, of those that have any: costs the switch next to nothing, however many they are. */
  async flowCounts(): Promise<ReadonlyMap<number, number>> {
    return flowCounts(await this.#frames({ kind: 'table' }, 'the counts of tables'));
  }

  /**
   * Apply whole messages (flow-mods, group-mods; their xids are replaced) as one atomic ordered bundle. Resolves with what the
   * switch refused: a refused message rolls the whole bundle back when it fails at commit (`committed: false`), and is left
   * out of it when it was refused as it was added.
   */
  async bundle(messages: readonly Uint8Array[]): Promise<BatchResult> {
    this.#assertOpen();
    const bundleId = this.#takeBundleId();
    const refused: RefusedMessage[] = [];
    const open = this.#bundleControl(bundleId, 'openRequest');
    const range = this.#watch(messages.length, 'a message of a bundle', refused);
    for (const slab of bundleAddSlabs(messages, { bundleId, firstXid: range.first })) this.#channel.send(slab);
    const commit = this.#bundleControl(bundleId, 'commitRequest');
    const [opened, committed] = await Promise.allSettled([open, commit]);
    this.#requests.unwatch(range);
    for (const outcome of [opened, committed]) {
      if (outcome.status === 'fulfilled') continue;
      if (outcome.reason instanceof OpenFlowError) return { committed: false, refused, error: outcome.reason };
      throw outcome.reason;
    }
    return { committed: true, refused };
  }

  /** Send whole messages one by one, then a barrier: each stands or falls by itself. */
  async batch(messages: readonly Uint8Array[]): Promise<BatchResult> {
    this.#assertOpen();
    const refused: RefusedMessage[] = [];
    const range = this.#watch(messages.length, 'a message', refused);
    for (const slab of messageSlabs(messages, range.first)) this.#channel.send(slab);
    try {
      await this.barrier();
    } finally {
      this.#requests.unwatch(range);
    }
    return { committed: true, refused };
  }

  /**
   * Ask for a role (OpenFlow 1.3.5 §6.3.6). Gives what the switch says then, the highest generation id that it has seen included.
   * Rejects with OpenFlowError OFPRRFC_STALE when that is higher than this one; `noChange` only asks.
   */
  async requestRole(role: Role, generationId = 0n): Promise<MessageOf<'roleReply'>> {
    const [reply] = await this.request({ type: 'roleRequest', role, generationId });
    if (reply?.type === 'roleReply') return reply;
    throw new HeddleError('UNREADABLE_REPLY', `${this.peer} answered a role request with ${reply?.type}`);
  }

  packetOut(packet: PacketOut): number | undefined {
    const { data, actions, inPort = OFPP_CONTROLLER } = packet;
    return this.send({ type: 'packetOut', inPort, actions, data });
  }

  close(code: ChannelDropCode = 'CLOSED', reason = 'closed by us'): void {
    this.#channel.close(code, reason);
  }

  // What the channel tells; wired by establish.ts, not for users.

  receive(message: Message): void {
    if (message.type === 'portStatus') this.#portStatus(message);
    if (this.#requests.take(message, this.#nowMs())) return;
    for (const handlers of this.#handlers) tell(handlers, message);
  }

  receiveFrame(frame: Uint8Array): boolean {
    if (isPacketIn(frame)) return !this.#packetIns.take(this.#nowMs());
    const xid = frameXid(frame);
    if (frame[1] !== OFPT_MULTIPART_REPLY || !this.#requests.wantsFrame(xid)) return false;
    if (!this.#requests.takeFrame(xid, frame, multipartHasMore(frame), this.#nowMs())) {
      this.close('PROTOCOL_VIOLATION', `a reply of more than ${LIMITS.replySize} bytes`);
    }
    return true;
  }

  receiveEnd(end: ChannelEnd): void {
    this.#end = end;
    this.#requests.rejectAll(new ConnectionClosedError(this.peer, end.reason));
    for (const handlers of this.#handlers) handlers.closed?.(end);
    this.#handlers.clear();
  }

  /** A message that answered a request could not be read: the answer will never be whole. */
  receiveUnreadable(xid: number, reason: string): void {
    this.#requests.fail(xid, reason);
  }

  get requestDeadlineMs(): number | undefined {
    return this.#requests.deadlineMs;
  }

  requestExpired(): void {
    this.close('REQUEST_TIMEOUT', `no answer to ${this.#requests.oldest} within ${LIMITS.requestTimeoutMs} ms`);
  }

  #assertOpen(): void {
    if (!this.isOpen) throw new ConnectionClosedError(this.peer, this.#end?.reason ?? 'closing');
  }

  async #frames(body: MultipartRequest, doing: string): Promise<readonly Uint8Array[]> {
    this.#assertOpen();
    const xid = this.#takeXids(1);
    const frames = this.#requests.frames(xid, doing, this.#nowMs());
    this.#channel.send(encodeMessage({ type: 'multipartRequest', xid, more: false, body }));
    this.#channel.rearm();
    return frames;
  }

  #bundleControl(bundleId: number, control: BundleControl): Promise<unknown> {
    return this.request({ type: 'bundleControl', bundleId, control, flags: BUNDLE_ATOMIC_ORDERED });
  }

  #watch(count: number, doing: string, refused: RefusedMessage[]): XidRange {
    const range: XidRange = {
      first: this.#takeXids(count),
      count,
      onError: (index, error) => refused.push({ index, error: new OpenFlowError(error, doing) }),
    };
    this.#requests.watch(range);
    return range;
  }

  #portStatus(status: MessageOf<'portStatus'>): void {
    if (status.reason === PORT_STATUS_REASONS.delete) this.#ports.delete(status.port.port);
    else this.#ports.set(status.port.port, status.port);
  }

  /** Consecutive xids, never across the end of their 32 bits, never one of the handshake's. */
  #takeXids(count: number): number {
    if (this.#nextXid + count > XID_COUNT) this.#nextXid = FIRST_FREE_XID;
    const first = this.#nextXid;
    this.#nextXid += count;
    return first;
  }

  #takeBundleId(): number {
    const bundleId = this.#nextBundleId;
    this.#nextBundleId = bundleId === XID_COUNT - 1 ? 1 : bundleId + 1;
    return bundleId;
  }
}

const OFPT_PACKET_IN = 10;
const OFPT_MULTIPART_REPLY = 19;

/** Of the standard, or NXT_PACKET_IN2. Packets that came during the handshake are few, and not counted. */
function isPacketIn(frame: Uint8Array): boolean {
  if (frame[1] === OFPT_PACKET_IN) return true;
  if (frame[1] !== OFPT_EXPERIMENTER || frame.length < 16) return false;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return view.getUint32(8) === NICIRA_EXPERIMENTER && view.getUint32(12) === NXT_PACKET_IN2;
}

function isKind<Kind extends MultipartReply['kind']>(
  body: MultipartReply,
  kind: Kind,
): body is Extract<MultipartReply, { kind: Kind }> {
  return body.kind === kind;
}

function nameOf(body: MessageBody): string {
  if (body.type === 'multipartRequest') return `a ${body.body.kind} request`;
  if (body.type === 'bundleControl') return `a bundle's ${body.control}`;
  return body.type;
}

function tell(handlers: ConnectionHandlers, message: Message): void {
  switch (message.type) {
    case 'packetIn':
    case 'packetIn2':
      handlers.packetIn?.(packetInOf(message));
      return;
    case 'portStatus':
      handlers.portStatus?.(message);
      return;
    case 'flowRemoved':
      handlers.flowRemoved?.(message);
      return;
    case 'error':
      handlers.error?.(new OpenFlowError(message, 'a message'));
      return;
    default:
      handlers.message?.(message);
  }
}

function packetInOf(message: MessageOf<'packetIn' | 'packetIn2'>): PacketIn {
  const { data, match, reason = 0, table = 0, cookie = 0n, totalSize = data.length } = message;
  const userdata = message.type === 'packetIn2' ? message.userdata : undefined;
  return { reason, table, cookie, match, data, totalSize, ...(userdata === undefined ? {} : { userdata }) };
}
