/**
 * Which of several controllers programs a bridge: one, and when it goes, another. Serves controller/, which gives connections to
 * it rather than to the installer.
 *
 *     attach --no lease of another's--> master --ROLE_STATUS: another is it--> follower
 *        \------a lease of another's-------------------------------------------> follower --the lease ends--> master
 *
 * The switch is the arbiter (OpenFlow 1.3.5 §6.3.6): who asks for MASTER with a generation id that is not lower than any before gets
 * it, and everybody else is a slave, whose flow-mods are refused. Ids count up from what the switch says is the highest: no clock
 * is asked. Open vSwitch tells a master that it is none any more (ONF extension 191, on OpenFlow 1.3 too), but nobody tells a slave
 * that the master has gone. So a master keeps a lease on the switch itself: a flow in a table to which nothing leads, renewed three
 * times before it times out by itself. The others watch it with a flow monitor, which slaves may have. A master that closes takes
 * the lease away, and one that is started anew knows its own.
 */
import { cookieOf } from '../flow/cookie.ts';
import type { Flow } from '../flow/flow.ts';
import { LIMITS } from '../lib/limits.ts';
import type { Logger } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { FLOW_MONITOR_FLAGS, type FlowModCommand, type FlowUpdate, type Message } from '../openflow/messages.ts';
import { OpenFlowError } from '../openflow/requests.ts';
import { isClosed } from './send-operations.ts';

export type ElectionRole = 'undecided' | 'master' | 'follower';

export interface BridgeElectionOptions {
  /** Tells controllers apart, and is the same when one is started anew. */
  readonly identity: string;
  /** The bridge is ours: `BridgeInstaller.attach`. */
  readonly onMaster: (connection: SwitchConnection) => void;
  /** It is another's, from the beginning or by now: `BridgeInstaller.detach`. */
  readonly onFollower: (connection: SwitchConnection) => void;
  readonly logger: Logger;
  /** Whole seconds; default LIMITS.leaseMs. */
  readonly leaseMs?: number;
}

/** Of all tables the last that OpenFlow can name on Open vSwitch: 254 is its own. */
const LEASE_TABLE = 253;
/** drift-watch.ts counts its monitors of a connection from 1. */
const MONITOR_ID = 0x8000_0000;
/** No controller has asked for a role yet. */
const NO_GENERATION = 0xffff_ffff_ffff_ffffn;
const { initial, add, delete: remove, modify } = FLOW_MONITOR_FLAGS;

/** One connection's part in it. */
export class BridgeElection {
  readonly #connection: SwitchConnection;
  readonly #options: BridgeElectionOptions;
  readonly #leaseMs: number;
  readonly #lease: Flow;
  #role: ElectionRole = 'undecided';
  /** How often the switch has said that we are master no more. */
  #demotionCount = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: SwitchConnection, options: BridgeElectionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LIMITS.leaseMs;
    this.#lease = {
      table: LEASE_TABLE,
      priority: 0,
      match: {},
      actions: [],
      cookie: cookieOf('controller', 'lease', options.identity),
      hardTimeoutS: Math.ceil(this.#leaseMs / 1_000),
    };
    connection.subscribe({
      message: (message) => this.#receive(message),
      closed: () => this.#stopTimer(),
    });
    this.#attempt(() => this.#begin());
  }

  get role(): ElectionRole {
    return this.#role;
  }

  /** Let others take over at once. Call before the connection is closed. */
  resign(): void {
    this.#stopTimer();
    if (this.#role === 'master') this.#sendLease('deleteStrict');
    this.#role = 'undecided';
  }

  async #begin(): Promise<void> {
    const monitors = [{ id: MONITOR_ID, table: LEASE_TABLE, flags: initial | add | remove | modify }];
    const parts = await this.#connection.multipart({ kind: 'flowMonitor', monitors });
    const isTaken = parts.some(({ updates }) => updates.some((update) => this.#isOthersLease(update)));
    await (isTaken ? this.#follow() : this.#seek());
  }

  async #seek(): Promise<void> {
    const highest = await this.#highestGeneration();
    const demotions = this.#demotionCount;
    try {
      await this.#connection.requestRole('master', highest + 1n);
    } catch (error) {
      // Somebody else has asked meanwhile.
      if (!(error instanceof OpenFlowError) || error.code !== 'OFPRRFC_STALE') throw error;
      await this.#follow();
      return;
    }
    // Another asked before we read the answer.
    if (demotions !== this.#demotionCount) {
      await this.#follow();
      return;
    }
    this.#turn('master');
    this.#renew();
    this.#options.onMaster(this.#connection);
  }

  /** Leave the bridge to another as long as it keeps its lease. */
  async #follow(): Promise<void> {
    const wasMaster = this.#role === 'master';
    this.#turn('follower');
    this.#awaitEnd();
    this.#options.onFollower(this.#connection);
    if (!wasMaster) await this.#connection.requestRole('slave', await this.#highestGeneration());
  }

  async #highestGeneration(): Promise<bigint> {
    const { generationId } = await this.#connection.requestRole('noChange');
    return generationId === NO_GENERATION ? 0n : generationId;
  }

  #receive(message: Message): void {
    if (message.type === 'roleStatus' && message.role === 'slave') {
      this.#demotionCount += 1;
      if (this.#role === 'master') this.#attempt(() => this.#follow());
    }
    if (message.type !== 'multipartReply' || message.body.kind !== 'flowMonitor' || this.#role !== 'follower') return;
    for (const update of message.body.updates) {
      if (!this.#isOthersLease(update)) continue;
      if (update.event === 'deleted') this.#attempt(() => this.#takeOver());
      else this.#awaitEnd();
    }
  }

  #isOthersLease(update: FlowUpdate): boolean {
    if (update.event === 'abbreviated') return false;
    return update.flow.table === LEASE_TABLE && update.flow.cookie !== this.#lease.cookie;
  }

  /** The lease has been seen just now: as long again. */
  #awaitEnd(): void {
    this.#stopTimer();
    this.#timer = setTimeout(() => this.#attempt(() => this.#takeOver()), this.#leaseMs);
  }

  async #takeOver(): Promise<void> {
    if (this.#role !== 'follower') return;
    this.#stopTimer();
    this.#turn('undecided');
    await this.#seek();
  }

  #renew(): void {
    this.#stopTimer();
    if (this.#role !== 'master') return;
    this.#sendLease('add');
    this.#timer = setTimeout(() => this.#renew(), this.#leaseMs / 3);
  }

  #sendLease(command: FlowModCommand): void {
    this.#connection.send({ type: 'flowMod', command, flow: this.#lease });
  }

  #turn(role: ElectionRole): void {
    this.#role = role;
    if (role === 'undecided') return;
    const { dpid, peer } = this.#connection;
    this.#options.logger.info({ dpid, peer, role }, 'role on a bridge');
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** What the switch refuses here it refuses to anybody: the connection is given up, and the next one begins anew. */
  #attempt(work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      if (isClosed(error)) return;
      if (!(error instanceof OpenFlowError)) throw error;
      this.#connection.close('REFUSED_BY_PEER', error.message);
    });
  }
}
