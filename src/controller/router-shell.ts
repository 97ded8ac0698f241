/**
 * The shell around the slow path of routers (router/): packets that a br-int sent up become events of its state machines, and
 * what those want is done: frames out of ports, neighbours to the compiler, held packets back into the tables. An edge: the
 * clock and one timer are here.
 */
import type { RouterRegisters } from '../compiler/compiler.ts';
import type { Ip } from '../lib/addresses.ts';
import type { LimitedLog } from '../lib/log.ts';
import type { PacketIn, SwitchConnection } from '../openflow/connection.ts';
import { decodePacket } from '../packet/decode.ts';
import { claimOf } from '../packet/neighbours.ts';
import { PacketError } from '../packet/packet-error.ts';
import { type PacketInReasonName, packetInReasonOf } from '../pipeline/packet-in-reasons.ts';
import {
  type AdvertisedNetwork,
  type AdvertiserState,
  advertiserStep,
  advertiserWakeMs,
  type GuestPort,
  type HeldPacket,
  INITIAL_ADVERTISER,
  INITIAL_REASSEMBLER,
  type NeededAddress,
  type Neighbour,
  neighboursOf,
  type ReassemblerState,
  type RememberedNeighbour,
  type ResolverEvent,
  type ResolverState,
  type RouterEffect,
  type RouterModel,
  type RouterPacket,
  type RouterQuestion,
  reassemble,
  rememberedResolver,
  resolverStep,
  resolverWakeMs,
  respond,
} from './router/index.ts';

export interface RouterShellOptions {
  readonly limitedLog: LimitedLog;
  /** The picture of the site as it is now. */
  readonly model: () => RouterModel;
  /** Networks with guests of each host, which hear advertisements. */
  readonly advertised: () => readonly AdvertisedNetwork[];
  readonly registers: (host: string, match: PacketIn['match']) => RouterRegisters;
  /** To br-int of a host, while it is connected. */
  readonly connection: (host: string) => SwitchConnection | undefined;
  readonly setNeighbour: (neighbour: Neighbour) => void;
  readonly unsetNeighbour: (networkId: string, ip: Ip) => void;
  /** Who had which address in an earlier life; and all that are known now, after each change of that. */
  readonly remembered: readonly RememberedNeighbour[];
  readonly remember: (known: readonly RememberedNeighbour[]) => void;
  /** Addresses that are wanted whether or not a packet waits for them. */
  readonly needed: () => readonly NeededAddress[];
  /** A packet that a gateway held goes on; or nobody has the address that it is for. */
  readonly releaseAtGateway: (packet: HeldPacket) => void;
  readonly unreachableFromGateway: (packet: HeldPacket) => void;
  /** Resolves when the host's br-int holds all that was wanted of it at the call. */
  readonly settled: (host: string) => Promise<void>;
  readonly nowMs?: () => number;
  readonly random?: () => number;
}

export class RouterShell {
  /** Packets by why they came, and effects that were refused by why; since the start. */
  readonly packetIns = new Map<PacketInReasonName, number>();
  readonly refusals = new Map<string, number>();
  readonly #options: RouterShellOptions;
  readonly #nowMs: () => number;
  readonly #random: () => number;
  #resolver: ResolverState;
  #advertiser: AdvertiserState = INITIAL_ADVERTISER;
  #reassembler: ReassemblerState = INITIAL_REASSEMBLER;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: RouterShellOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
    this.#resolver = rememberedResolver(options.remembered, this.#nowMs());
  }

  /** Addresses that were found by asking. */
  get neighbourCount(): number {
    return this.#resolver.entries.size;
  }

  /** Networks, routers or ports are not what they were. */
  modelChanged(): void {
    this.#resolve({ type: 'modelChanged' });
    this.#resolve({ type: 'needed', addresses: this.#options.needed() });
    const event = { type: 'networks', networks: this.#options.advertised() } as const;
    const [state, effects] = advertiserStep(this.#advertiser, event, this.#nowMs(), this.#random);
    this.#advertiser = state;
    this.#carryOut(effects);
    this.#schedule();
  }

  /** A packet of a host's br-int. One that no rule of ours sent is not for us. */
  packetIn(host: string, packet: PacketIn): void {
    const reason = packet.userdata && packetInReasonOf(packet.userdata);
    const ofport = packet.match.inPort;
    if (reason === undefined || typeof ofport !== 'number') return;
    this.packetIns.set(reason, (this.packetIns.get(reason) ?? 0) + 1);
    const guest = this.#options.model().portAt(host, ofport);
    // Its port went while the packet was on its way.
    if (guest === undefined) return;
    this.#answer(reason, guest, packet);
    this.#schedule();
  }

  /** A packet on a router's gateway, for an address inside that no flow there knows. */
  resolveForGateway(packet: HeldPacket, ip: Ip): void {
    this.#resolve({ type: 'packet', packet, networkId: packet.networkId, ip });
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #answer(reason: PacketInReasonName, guest: GuestPort, { match, data }: PacketIn): void {
    const { host, ofport, networkId } = guest;
    const registers = this.#options.registers(host, match);
    const { routerId } = registers;
    const packet: RouterPacket = { host, ofport, networkId, packet: data, ...(routerId !== undefined && { routerId }) };
    switch (reason) {
      case 'resolve':
        this.#find(packet, registers);
        return;
      case 'watch':
        this.#hear(packet);
        return;
      case 'ownAddress':
        this.#complete(packet);
        return;
      case 'tooBig':
        if (registers.networkId === undefined) return;
        this.#respond(packet, { type: 'tooBig', egressNetworkId: registers.networkId });
        return;
      case 'echo':
        // Of gateways alone: outside.ts has it.
        return;
      default:
        this.#respond(packet, { type: reason });
    }
  }

  #respond(packet: RouterPacket, question: RouterQuestion): void {
    this.#carryOut(respond(this.#options.model(), packet, question));
  }

  #find(packet: RouterPacket, { routerId, networkId, nextHop }: RouterRegisters): void {
    if (routerId === undefined || networkId === undefined || nextHop === undefined) return;
    this.#resolve({ type: 'packet', packet: { ...packet, routerId }, networkId, ip: nextHop });
  }

  #hear({ host, ofport, packet }: RouterPacket): void {
    this.#whenReadable(host, () => {
      const claim = claimOf(decodePacket(packet));
      if (claim !== undefined) this.#resolve({ type: 'claim', host, ofport, claim });
    });
  }

  /** For the router itself: answered when all of it is there. */
  #complete(packet: RouterPacket): void {
    this.#whenReadable(packet.host, () => {
      const [state, whole] = reassemble(this.#reassembler, packet, this.#nowMs());
      this.#reassembler = state;
      if (whole !== undefined) this.#respond(whole, { type: 'ownAddress' });
    });
  }

  #whenReadable(host: string, read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#count('unreadable', host);
    }
  }

  #resolve(event: ResolverEvent): void {
    const [state, effects] = resolverStep(this.#resolver, event, this.#nowMs(), this.#options.model());
    this.#resolver = state;
    this.#carryOut(effects);
  }

  #carryOut(effects: readonly RouterEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          this.#send(effect);
          break;
        case 'setNeighbour':
          this.#options.setNeighbour(effect.neighbour);
          break;
        case 'unsetNeighbour':
          this.#options.unsetNeighbour(effect.networkId, effect.ip);
          break;
        case 'release':
          void this.#release(effect);
          break;
        case 'releaseAtGateway':
          this.#options.releaseAtGateway(effect.packet);
          break;
        case 'unreachableFromGateway':
          this.#options.unreachableFromGateway(effect.packet);
          break;
        case 'refused':
          this.#count(effect.refusal, effect.host);
          break;
      }
    }
    const isNews = effects.some(({ type }) => type === 'setNeighbour' || type === 'unsetNeighbour');
    if (isNews) this.#options.remember(neighboursOf(this.#resolver));
  }

  #send({ host, ofports, packet }: Extract<RouterEffect, { type: 'send' }>): void {
    const actions = ofports.map((port) => ({ type: 'output', port }) as const);
    this.#options.connection(host)?.packetOut({ data: packet, actions });
  }

  /** Through the tables again, once the flows that it waited for are there. */
  async #release({ host, ofport, packet }: Extract<RouterEffect, { type: 'release' }>): Promise<void> {
    await this.#options.settled(host);
    const actions = [{ type: 'resubmit', table: 0 }] as const;
    this.#options.connection(host)?.packetOut({ data: packet, actions, inPort: ofport });
  }

  #count(refusal: string, host: string): void {
    this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1);
    this.#options.limitedLog.warn(
      `slow path ${refusal} ${host}`,
      { host, refusal },
      'a packet to a router was dropped',
    );
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const wakes = [resolverWakeMs(this.#resolver), advertiserWakeMs(this.#advertiser)];
    const wakeMs = Math.min(...wakes.map((wake) => wake ?? Number.POSITIVE_INFINITY));
    if (this.#isClosed || wakeMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, Math.ceil(wakeMs - this.#nowMs())));
  }

  #tick(): void {
    this.#resolve({ type: 'tick' });
    const [state, effects] = advertiserStep(this.#advertiser, { type: 'tick' }, this.#nowMs(), this.#random);
    this.#advertiser = state;
    this.#carryOut(effects);
    this.#schedule();
  }
}
