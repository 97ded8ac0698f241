/**
 * What the controller remembers across its lives, in values: host MACs, last places of ports, and what was derived for the
 * topology. Changes reach the state file (state-store.ts) soon, all of a moment together, and a state directory that cannot
 * be written is told and tried again.
 */
import { isDeepStrictEqual } from 'node:util';
import { ipFromText, ipToText, macFromText, macToText } from '../lib/addresses.ts';
import { LIMITS } from '../lib/limits.ts';
import type { LimitedLog } from '../lib/log.ts';
import { finish, STEP_LENGTH } from '../lib/steps.ts';
import { inTurns } from '../switch/turns.ts';
import type { HeldValues } from '../topology/load.ts';
import type { ServedAddress } from './router/announcer.ts';
import { type OutsidePlace, outsideKey } from './router/gateways.ts';
import type { RememberedNeighbour } from './router/index.ts';
import {
  type LivingState,
  readState,
  StateError,
  type StoredAddress,
  type StoredNeighbour,
  type StoredOwner,
  stateText,
  writeState,
  writeStateSoon,
} from './state-store.ts';

/** Who is at which MAC on an external network, as a host found it. */
export interface KnownOutside {
  readonly place: OutsidePlace;
  readonly mac: number;
}

export class Memory {
  readonly #directory: string;
  readonly #limitedLog: LimitedLog;
  readonly #hostMacs: Map<string, number>;
  readonly #portHosts: Map<string, string>;
  readonly #zoneNumbers: Map<string, number>;
  readonly #localVlans: Map<string, ReadonlyMap<string, number>>;
  #gatewayLeads: ReadonlyMap<string, string>;
  readonly #outsideNeighbours: Map<string, KnownOutside>;
  #servedAddresses: readonly ServedAddress[];
  #neighbours: readonly RememberedNeighbour[];
  #derived: HeldValues;
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;
  #isWriting = false;
  #isClosed = false;
  #failure: string | undefined;

  /** Throws StateError when there is a file that cannot be used. */
  constructor(directory: string, limitedLog: LimitedLog) {
    this.#directory = directory;
    this.#limitedLog = limitedLog;
    const state = readState(directory);
    this.#hostMacs = new Map(Object.entries(state.hostMacs).map(([name, mac]) => [name, macFromText(mac)]));
    this.#portHosts = new Map(Object.entries(state.portHosts));
    this.#zoneNumbers = new Map(Object.entries(state.zoneNumbers));
    const vlans = Object.entries(state.localVlans);
    this.#localVlans = new Map(vlans.map(([host, byNetwork]) => [host, new Map(Object.entries(byNetwork))]));
    this.#gatewayLeads = new Map(Object.entries(state.gatewayLeads));
    this.#outsideNeighbours = new Map(state.outsideNeighbours.map(readNeighbour));
    this.#servedAddresses = state.servedAddresses.map(readServed);
    this.#neighbours = state.neighbours.map(readOwner);
    this.#derived = state.derived;
  }

  /** Why the last write failed; undefined when it did not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Every MAC ever given, by host name. */
  get hostMacs(): ReadonlyMap<string, number> {
    return this.#hostMacs;
  }

  rememberHostMac(host: string, mac: number): void {
    if (this.#hostMacs.get(host) === mac) return;
    this.#hostMacs.set(host, mac);
    this.#changed();
  }

  /** Where a port was last seen. */
  portHost(portId: string): string | undefined {
    return this.#portHosts.get(portId);
  }

  /** undefined: it is nowhere, and is known to be. */
  rememberPortHost(portId: string, host: string | undefined): void {
    if (this.#portHosts.get(portId) === host) return;
    this.#portHosts.delete(portId);
    if (host !== undefined) this.#portHosts.set(portId, host);
    // Whose place was found longest ago.
    const [oldest] = this.#portHosts.keys();
    if (this.#portHosts.size > LIMITS.portPlaces && oldest !== undefined) this.#portHosts.delete(oldest);
    this.#changed();
  }

  /** The number of every router that ever had conntrack zones. */
  get zoneNumbers(): ReadonlyMap<string, number> {
    return this.#zoneNumbers;
  }

  rememberZoneNumbers(numbers: ReadonlyMap<string, number>): void {
    if ([...numbers].every(([id, number]) => this.#zoneNumbers.get(id) === number)) return;
    // What is somebody else's now, its former owner has no more: one that is gone when numbers run out, or as hosts say.
    const owners = new Map([...numbers].map(([id, number]) => [number, id]));
    for (const [id, number] of this.#zoneNumbers) {
      const owner = owners.get(number);
      if (owner !== undefined && owner !== id) this.#zoneNumbers.delete(id);
    }
    for (const [id, number] of numbers) this.#zoneNumbers.set(id, number);
    this.#changed();
  }

  /** Of the networks that a host has or had, the VLANs. */
  localVlans(host: string): ReadonlyMap<string, number> {
    return this.#localVlans.get(host) ?? new Map();
  }

  rememberLocalVlans(host: string, vlans: ReadonlyMap<string, number>): void {
    this.#localVlans.set(host, vlans);
    this.#changed();
  }

  /** The gateway hosts that routers prefer against priorities. */
  get gatewayLeads(): ReadonlyMap<string, string> {
    return this.#gatewayLeads;
  }

  rememberGatewayLeads(leads: ReadonlyMap<string, string>): void {
    if (isDeepStrictEqual(this.#gatewayLeads, leads)) return;
    this.#gatewayLeads = leads;
    this.#changed();
  }

  get outsideNeighbours(): readonly KnownOutside[] {
    return [...this.#outsideNeighbours.values()];
  }

  /** undefined: nobody is there. */
  rememberOutsideNeighbour(place: OutsidePlace, mac: number | undefined): void {
    const key = outsideKey(place);
    if (this.#outsideNeighbours.get(key)?.mac === mac) return;
    if (mac === undefined) this.#outsideNeighbours.delete(key);
    else this.#outsideNeighbours.set(key, { place, mac });
    this.#changed();
  }

  /** Addresses of ours on external networks, and where each was served last. */
  get servedAddresses(): readonly ServedAddress[] {
    return this.#servedAddresses;
  }

  rememberServed(addresses: readonly ServedAddress[]): void {
    if (isDeepStrictEqual(this.#servedAddresses, addresses)) return;
    this.#servedAddresses = addresses;
    this.#changed();
  }

  /** Who inside was found to have which address. */
  get neighbours(): readonly RememberedNeighbour[] {
    return this.#neighbours;
  }

  rememberNeighbours(known: readonly RememberedNeighbour[]): void {
    this.#neighbours = known;
    this.#changed();
  }

  /** MACs and addresses that were derived, for the next reading of the topology. */
  get derived(): HeldValues {
    return this.#derived;
  }

  /**
   * What a topology that is in force derived. What earlier ones did stays, for who comes back, up to
   * `LIMITS.heldValues`: then the longest unused goes.
   */
  rememberDerived(values: HeldValues): void {
    finish(this.rememberDerivedSteps(values));
  }

  /** Likewise in steps. */
  *rememberDerivedSteps({ macs, addresses }: HeldValues): Generator<void, void> {
    const held = this.#derived;
    const derived = { macs: yield* merge(held.macs, macs), addresses: yield* merge(held.addresses, addresses) };
    if (derived.macs === held.macs && derived.addresses === held.addresses) return;
    this.#derived = derived;
    this.#changed();
  }

  /** Write what is not written yet, and set no more timers. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isDirty && !this.#isWriting) return;
    try {
      writeState(this.#directory, this.#living());
    } catch (error) {
      this.#notWritten(error);
    }
  }

  #changed(): void {
    this.#isDirty = true;
    if (this.#isWriting || this.#isClosed) return;
    this.#timer ??= setTimeout(() => void this.#write(), LIMITS.stateWriteIntervalMs);
  }

  /** A large state is made text in short turns, and written by other threads: a site that changes must not wait for it. */
  async #write(): Promise<void> {
    this.#timer = undefined;
    this.#isWriting = true;
    this.#isDirty = false;
    const text = await inTurns(stateText(this.#living()), { turnMs: LIMITS.backgroundTurnMs });
    try {
      await writeStateSoon(this.#directory, text, () => !this.#isClosed);
      this.#failure = undefined;
    } catch (error) {
      // A directory that could not be written may be writable later.
      if (!this.#isClosed) this.#notWritten(error);
    }
    this.#isWriting = false;
    if (this.#isDirty) this.#changed();
  }

  #notWritten(error: unknown): void {
    if (!(error instanceof StateError)) throw error;
    this.#isDirty = true;
    this.#failure = error.message;
    this.#limitedLog.warn('state', { code: error.code, reason: error.message }, 'the state file was not written');
  }

  #living(): LivingState {
    return {
      hostMacs: Object.fromEntries([...this.#hostMacs].sort(byKey).map(([name, mac]) => [name, macToText(mac)])),
      portHosts: this.#portHosts,
      zoneNumbers: Object.fromEntries([...this.#zoneNumbers].sort(byKey)),
      localVlans: this.#localVlans,
      gatewayLeads: Object.fromEntries([...this.#gatewayLeads].sort(byKey)),
      outsideNeighbours: [...this.#outsideNeighbours].sort(byKey).map(([, known]) => storedNeighbour(known)),
      servedAddresses: this.#servedAddresses.map(storedServed),
      neighbours: this.#neighbours.map(storedOwner),
      derived: this.#derived,
    };
  }
}

function readNeighbour({ host, network: networkId, ip, mac }: StoredNeighbour): [string, KnownOutside] {
  const place = { host, networkId, ip: ipFromText(ip) };
  return [outsideKey(place), { place, mac: macFromText(mac) }];
}

function storedNeighbour({ place: { host, networkId: network, ip }, mac }: KnownOutside): StoredNeighbour {
  return { host, network, ip: ipToText(ip), mac: macToText(mac) };
}

function readOwner({ router: routerId, port: portId, ofport, ...known }: StoredOwner): RememberedNeighbour {
  const { host, network: networkId, ip, mac } = known;
  return { routerId, neighbour: { networkId, ip: ipFromText(ip), mac: macFromText(mac), portId, host, ofport } };
}

function storedOwner({ routerId: router, neighbour }: RememberedNeighbour): StoredOwner {
  const { host, networkId: network, ip, mac, portId: port, ofport } = neighbour;
  return { host, network, ip: ipToText(ip), mac: macToText(mac), port, ofport, router };
}

function readServed({ host, network: networkId, ip, mac, connections }: StoredAddress): ServedAddress {
  const served = { host, networkId, ip: Number(ipFromText(ip)), mac: macFromText(mac) };
  if (connections === undefined) return served;
  return { ...served, connections: { ...connections, fixedIp: Number(ipFromText(connections.fixedIp)) } };
}

function storedServed({ host, networkId: network, ip, mac, connections }: ServedAddress): StoredAddress {
  const stored = { host, network, ip: ipToText(ip), mac: macToText(mac) };
  if (connections === undefined) return stored;
  return { ...stored, connections: { ...connections, fixedIp: ipToText(connections.fixedIp) } };
}

const byKey = (left: readonly [string, unknown], right: readonly [string, unknown]): number =>
  left[0] < right[0] ? -1 : 1;

type Held = Readonly<Record<string, string>>;

/** The values in use come last: the front is the longest unused. `held` itself: it holds them all. */
function* merge(held: Held, values: Held): Generator<void, Held> {
  const names = Object.keys(values);
  if (yield* holdsAll(held, values, names)) return held;
  const unused: string[] = [];
  for (const [index, name] of Object.keys(held).entries()) {
    if (!Object.hasOwn(values, name)) unused.push(name);
    if (index % STEP_LENGTH === 0) yield;
  }
  const room = Math.max(0, LIMITS.heldValues - names.length);
  const merged: Record<string, string> = {};
  for (const [index, name] of [...unused.slice(Math.max(0, unused.length - room)), ...names].entries()) {
    const value = values[name] ?? held[name];
    if (value !== undefined) merged[name] = value;
    if (index % STEP_LENGTH === 0) yield;
  }
  return merged;
}

function* holdsAll(held: Held, values: Held, names: readonly string[]): Generator<void, boolean> {
  for (const [index, name] of names.entries()) {
    if (held[name] !== values[name]) return false;
    if (index % STEP_LENGTH === 0) yield;
  }
  return true;
}
