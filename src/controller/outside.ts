/**
 * Ways outside, on the controller's side: ties their state machines (router/gateways.ts, router/announcer.ts) to the compiler,
 * to hosts and to memory, and answers what their flows send up. Serves routers.ts. An edge: the clock and one timer are here.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Compiler, RouterRegisters } from '../compiler/compiler.ts';
import type { BoundFloatingIp } from '../compiler/gateways.ts';
import type { Ip } from '../lib/addresses.ts';
import type { LimitedLog } from '../lib/log.ts';
import type { PacketIn, SwitchConnection } from '../openflow/connection.ts';
import { decodePacket } from '../packet/decode.ts';
import { fragmentIpv4 } from '../packet/fragment.ts';
import { arpSenderOf, claimOf } from '../packet/neighbours.ts';
import { brInt } from '../pipeline/br-int.ts';
import { type PacketInReasonName, packetInReasonOf } from '../pipeline/packet-in-reasons.ts';
import type { Topology } from '../topology/model.ts';
import { GatewayWatch } from './gateway-watch.ts';
import type { HostAgent } from './host-agent.ts';
import type { Memory } from './memory.ts';
import { OutsideErrands } from './outside-errands.ts';
import { OutsideSender } from './outside-sender.ts';
import { askerAt, floatingIpAt, neededPlaces, type ServedSite, servedAddresses } from './outside-served.ts';
import {
  type AnnouncerEffect,
  type AnnouncerState,
  announcerStep,
  announcerWakeMs,
  rememberedAnnouncer,
  servedKey,
} from './router/announcer.ts';
import { type EchoState, translateReply, translateRequest } from './router/echo-translator.ts';
import {
  type Asker,
  type OutsideEffect,
  type OutsideEvent,
  type OutsidePlace,
  type OutsideState,
  outsideStep,
  outsideWakeMs,
  rememberedOutside,
  type WaitingPacket,
} from './router/gateways.ts';
import type { HeldPacket, RouterModel } from './router/index.ts';
import {
  answerAsGateway,
  complainAsFloatingIp,
  complainAsGateway,
  destinationOf,
  isCuttable,
  type OutsideComplaint,
  whenReadable,
} from './router/outside-responder.ts';
import { complain } from './router/responder.ts';

export interface OutsideOptions {
  readonly limitedLog: LimitedLog;
  readonly compiler: Compiler;
  readonly memory: Memory;
  readonly agents: ReadonlyMap<string, HostAgent>;
  readonly routerModel: () => RouterModel;
  /** A packet on a gateway is for an address inside that no flow there knows. */
  readonly resolveInside: (packet: HeldPacket, ip: Ip) => void;
  /** To br-int of a host, while it is connected. */
  readonly connection: (host: string) => SwitchConnection | undefined;
  /** Resolves when the host's br-int and physical bridges hold all that was wanted of them at the call. */
  readonly settled: (host: string) => Promise<void>;
  /** Flows have to follow. */
  readonly onChange: () => void;
  readonly nowMs?: () => number;
}

/** A packet on its way outside. */
interface Waiting extends WaitingPacket {
  readonly host: string;
  readonly ofport: number;
  readonly routerId: string;
  readonly isGateway: boolean;
}

/** A packet that a host's br-int sent up. */
interface Arrival {
  readonly host: string;
  readonly ofport: number;
  readonly packet: Uint8Array;
  readonly registers: RouterRegisters;
  /** It is on an external network, or on its way there. */
  readonly isOutside: boolean;
}

const { ROUTER_IN, ROUTER_DELIVER } = brInt.tables;

export class Outside {
  readonly #options: OutsideOptions;
  readonly #sender: OutsideSender;
  readonly #errands: OutsideErrands;
  readonly #nowMs: () => number;
  #neighbours: OutsideState<Waiting>;
  #announcer: AnnouncerState;
  #echoes: EchoState = new Map();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #watch = new GatewayWatch();

  constructor(options: OutsideOptions) {
    this.#options = options;
    this.#sender = new OutsideSender(options);
    this.#errands = new OutsideErrands({
      ...options,
      sender: this.#sender,
      isServed: (one) => isDeepStrictEqual(this.#announcer.served.get(servedKey(one)), one),
    });
    this.#nowMs = options.nowMs ?? (() => performance.now());
    const { memory, compiler } = options;
    this.#neighbours = rememberedOutside(memory.outsideNeighbours, this.#nowMs());
    this.#announcer = rememberedAnnouncer(memory.servedAddresses);
    compiler.setGatewayLeads(memory.gatewayLeads);
    for (const { place, mac } of memory.outsideNeighbours)
      compiler.setOutsideNeighbour(place.host, place.networkId, place.ip, mac);
  }

  /** After a pass: what is served where may be another. */
  refresh(topology: Topology): void {
    this.#lead(topology);
    const { agents, compiler } = this.#options;
    const { gateways } = compiler.site;
    const [announcer, announced] = announcerStep(
      this.#announcer,
      { type: 'served', addresses: servedAddresses(this.#site(topology)) },
      this.#nowMs(),
    );
    this.#announcer = announcer;
    this.#options.memory.rememberServed([...announcer.served.values()]);
    this.#announce(announced);
    this.#step({ type: 'needed', places: neededPlaces(gateways, agents.keys(), (place) => this.#askerAt(place)) });
    this.#errands.payOwed();
    this.#schedule();
  }

  /** Gateways that failed give way to those that live. */
  #lead({ settings }: Topology): void {
    const { agents, compiler, memory, onChange } = this.#options;
    const leads = this.#watch.choose({
      site: compiler.site,
      agents,
      leads: memory.gatewayLeads,
      preempts: settings.haPreempt,
    });
    if (isDeepStrictEqual(leads, memory.gatewayLeads)) return;
    memory.rememberGatewayLeads(leads);
    compiler.setGatewayLeads(leads);
    onChange();
  }

  /** A packet of a host's br-int; false: it is not about a way outside. */
  packetIn(host: string, packet: PacketIn): boolean {
    const reason = packet.userdata && packetInReasonOf(packet.userdata);
    const ofport = packet.match.inPort;
    if (reason === undefined || typeof ofport !== 'number') return false;
    const registers = this.#options.compiler.readRegisters(host, packet.match);
    const { networkId, isGateway } = registers;
    const isOutside = networkId !== undefined && this.#isExternal(host, networkId);
    if (!isOutside && isGateway !== true) return false;
    whenReadable(() => this.#answer(reason, { host, ofport, packet: packet.data, registers, isOutside }));
    this.#schedule();
    return true;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #isExternal(host: string, networkId: string): boolean {
    return this.#options.compiler.site.gateways.externalNetworksOn.elementsOf(host).has(networkId);
  }

  #answer(reason: PacketInReasonName, about: Arrival): void {
    const { host, packet, registers, isOutside, ofport } = about;
    const { networkId, routerId, nextHop } = registers;
    const isGateway = registers.isGateway === true;
    switch (reason) {
      case 'watch': {
        const frame = decodePacket(packet);
        const claim = claimOf(frame) ?? arpSenderOf(frame);
        if (claim !== undefined && networkId !== undefined) this.#step({ type: 'claim', host, networkId, claim });
        return;
      }
      case 'resolve': {
        if (routerId === undefined || networkId === undefined || nextHop === undefined) return;
        if (!isOutside) {
          this.#options.resolveInside({ host, ofport, networkId, routerId, packet, isAtGateway: true }, nextHop);
          return;
        }
        const place = { host, networkId, ip: nextHop };
        this.#step({ type: 'packet', place, packet: { host, ofport, routerId, isGateway, packet } });
        return;
      }
      case 'timeExceeded':
      case 'noRoute':
        this.#complain(about, { reason: reason === 'noRoute' ? 'networkUnreachable' : reason });
        return;
      case 'tooBig': {
        const floating = this.#floatingIpTo(host, networkId, packet);
        const egressId = floating?.portNetworkId ?? networkId;
        const mtu = egressId && this.#options.compiler.site.topology?.networks.get(egressId)?.mtu;
        if (typeof mtu !== 'number') return;
        if (isCuttable(packet)) this.#cutUp(about, { mtu, isFloating: floating !== undefined });
        else this.#complain(about, { reason, mtu });
        return;
      }
      case 'echo':
        this.#translate(about);
        return;
      case 'ownAddress': {
        const reply = routerId === undefined ? undefined : translateReply(this.#echoes, { packet, routerId });
        const answer = reply ?? answerAsGateway(packet);
        if (answer !== undefined && routerId !== undefined) this.#sender.route({ host, routerId, packet: answer });
        return;
      }
    }
  }

  /** A ping that conntrack could not translate. */
  #translate({ host, packet, registers: { routerId = '', networkId } }: Arrival): void {
    const { outside } = this.#options.compiler.site.gateways.model.routers.get(routerId) ?? {};
    const gatewayIp = outside?.addresses.find((ip) => typeof ip === 'number');
    if (gatewayIp === undefined || networkId === undefined) return;
    const [echoes, translated] = translateRequest(this.#echoes, { packet, routerId, gatewayIp }, this.#nowMs());
    this.#echoes = echoes;
    if (translated !== undefined)
      this.#sender.resubmit(host, networkId, { packet: translated, table: ROUTER_DELIVER.id });
  }

  /** Its pieces come in where it did. */
  #cutUp(
    { host, ofport, packet, registers }: Arrival,
    { mtu, isFloating }: { readonly mtu: number; readonly isFloating: boolean },
  ): void {
    const pieces = fragmentIpv4(packet, mtu);
    const { networkId, routerId } = registers;
    // The network carries more now: the flows that say so are on their way.
    if (pieces.length < 2 || networkId === undefined || routerId === undefined) return;
    for (const piece of pieces) {
      if (isFloating) this.#sender.resubmit(host, networkId, { packet: piece, table: ROUTER_IN.id });
      else
        this.#sender.route({
          host,
          routerId,
          packet: piece,
          ...(registers.isGateway !== true && { guestPort: ofport }),
        });
    }
  }

  /** An ICMP error, in the name of who the sender has spoken to. */
  #complain(about: Arrival, complaint: OutsideComplaint): void {
    const { host, packet, registers } = about;
    const { networkId, routerId, isGateway } = registers;
    if (networkId !== undefined && this.#floatingIpTo(host, networkId, packet) !== undefined) {
      const error = complainAsFloatingIp(packet, complaint);
      if (error !== undefined) this.#sender.resubmit(host, networkId, { packet: error, table: ROUTER_DELIVER.id });
    } else if (isGateway === true && routerId !== undefined) {
      const router = this.#options.compiler.site.gateways.model.routers.get(routerId);
      const error = router && complainAsGateway(packet, router, complaint);
      if (error !== undefined) this.#sender.route({ host, routerId, packet: error });
    } else this.#complainToGuest(about, complaint);
  }

  #complainToGuest({ host, ofport, packet, registers }: Arrival, complaint: OutsideComplaint): void {
    const { routerId } = registers;
    const model = this.#options.routerModel();
    const guest = model.portAt(host, ofport);
    if (guest === undefined || routerId === undefined) return;
    const about = { host, ofport, networkId: guest.networkId, packet, routerId };
    for (const effect of complain(model, about, complaint)) {
      if (effect.type !== 'send') continue;
      const actions = effect.ofports.map((port) => ({ type: 'output', port }) as const);
      this.#options.connection(host)?.packetOut({ data: effect.packet, actions });
    }
  }

  /** The floating IP that a packet from outside is for, before it is translated: it still bears a MAC that floating IPs are at. */
  #floatingIpTo(host: string, networkId: string | undefined, packet: Uint8Array): BoundFloatingIp | undefined {
    const to = destinationOf(packet);
    if (to === undefined || networkId === undefined || !this.#isExternal(host, networkId)) return undefined;
    return floatingIpAt(this.#options.compiler.site.gateways, this.#announcer.served.values(), {
      host,
      networkId,
      ...to,
    });
  }

  #step(event: OutsideEvent<Waiting>): void {
    const [state, effects] = outsideStep(this.#neighbours, event, this.#nowMs(), (place) => this.#askerAt(place));
    this.#neighbours = state;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: OutsideEffect<Waiting>): void {
    const { compiler, memory, onChange, limitedLog } = this.#options;
    switch (effect.type) {
      case 'ask':
        void this.#errands.ask(effect.host, effect.networkId, effect.packet);
        return;
      case 'set':
      case 'unset': {
        const { host, networkId, ip } = effect.place;
        const mac = effect.type === 'set' ? effect.mac : undefined;
        compiler.setOutsideNeighbour(host, networkId, ip, mac);
        memory.rememberOutsideNeighbour(effect.place, mac);
        onChange();
        return;
      }
      case 'goOn':
        void this.#goOn(effect.packet);
        return;
      case 'unanswered': {
        const { host, ofport, packet, routerId, isGateway } = effect.packet;
        const registers = { routerId, ...(isGateway && { isGateway }) };
        const about = { host, ofport, packet, registers, isOutside: false };
        whenReadable(() => this.#complain(about, { reason: 'hostUnreachable' }));
        return;
      }
      case 'refused': {
        const { host, refusal } = effect;
        limitedLog.warn(`outside ${refusal} ${host}`, { host, refusal }, 'a packet to outside was dropped');
      }
    }
  }

  /** Into the router again, where it was when its next hop was not known. */
  async #goOn({ host, ofport, routerId, isGateway, packet }: Waiting): Promise<void> {
    // The flow for the neighbour is wanted only after the pass that comes next.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#options.settled(host);
    this.#sender.route({ host, routerId, packet, ...(!isGateway && { guestPort: ofport }) });
  }

  #announce(effects: readonly AnnouncerEffect[]): void {
    for (const { type, served } of effects) {
      if (type === 'announce') void this.#errands.announce(served);
      else void this.#errands.end(served);
    }
  }

  #site(topology: Topology): ServedSite {
    const { compiler, memory } = this.#options;
    return { topology, gateways: compiler.site.gateways, hostMacs: memory.hostMacs, zoneNumbers: memory.zoneNumbers };
  }

  #askerAt(place: OutsidePlace): Asker | undefined {
    const { topology } = this.#options.compiler.site;
    return topology && askerAt(this.#site(topology), this.#announcer.served.values(), place);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const wakes = [outsideWakeMs(this.#neighbours), announcerWakeMs(this.#announcer)];
    const wakeMs = Math.min(...wakes.map((wake) => wake ?? Number.POSITIVE_INFINITY));
    if (this.#isClosed || wakeMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, Math.ceil(wakeMs - this.#nowMs())));
  }

  #tick(): void {
    this.#step({ type: 'tick' });
    const [state, effects] = announcerStep(this.#announcer, { type: 'tick' }, this.#nowMs());
    this.#announcer = state;
    this.#announce(effects);
    this.#schedule();
  }
}
