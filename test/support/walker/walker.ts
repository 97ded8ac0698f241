/**
 * The walker: a packet on its way through the flows of a whole site, in this process. It says where copies arrive and with which
 * headers, what goes to the controller, and which flow of which table did it. Serves property tests of what reaches what; what
 * it says is held against `ofproto/trace` in test/ovs/walker.test.ts.
 *
 *     const walker = new Walker(bridges);
 *     const { arrivals } = walker.walk({ host: 'node1', bridge: 'br-int', ofport: 5 }, headers);
 *
 * It remembers MACs that NORMAL learns, flows that learn() adds and connections that ct() commits, from one walk to the next.
 */
import type { Action } from '../../../src/flow/action.ts';
import { type Flow, PORT } from '../../../src/flow/flow.ts';
import { type Context, clearTracking, type Lookup, perform, performActionSet, type Surroundings } from './actions.ts';
import { Conntrack } from './conntrack.ts';
import { type Headers, leaveBridge } from './headers.ts';
import {
  type Arrival,
  type PacketIn,
  type Place,
  type Step,
  type Walk,
  type WalkBridge,
  WalkError,
  type WalkPort,
} from './model.ts';
import { LearningSwitch } from './normal.ts';
import { Tables } from './tables.ts';

export interface WalkerOptions {
  /** Remember MACs and learn flows. Default: yes. */
  readonly learns?: boolean;
  /** Packets end at tunnels and wires, as in a trace of one host's switch. Default: they go on. */
  readonly stopsAtHost?: boolean;
  /** Keep `Walk.steps`. Default: no, it is the costly part. */
  readonly keepsSteps?: boolean;
}

/**
 * Lookups of one walk, and how deep they may lie within one another. Open vSwitch gives a packet 4096 on one host, 64 deep, and
 * then drops it with all its copies.
 */
const LOOKUPS_MAX = 4096;
const NESTING_MAX = 256;

/** A bridge with what it remembers. */
interface BridgeState {
  readonly bridge: WalkBridge;
  readonly tables: Tables;
  readonly normal: LearningSwitch;
}

export class Walker {
  readonly #bridges = new Map<string, BridgeState>();
  /** A connection tracker for each host. */
  readonly #conntracks = new Map<string, Conntrack>();
  readonly #options: WalkerOptions;
  readonly #segments = new Map<string, Place[]>();
  /** Ports that group buckets take for dead. */
  readonly deadPorts = new Set<string>();

  constructor(bridges: Iterable<WalkBridge>, options: WalkerOptions = {}) {
    this.#options = options;
    for (const bridge of bridges) {
      this.#bridges.set(bridgeKey(bridge), {
        bridge,
        tables: new Tables(bridge.flows),
        normal: new LearningSwitch(bridge.ports),
      });
      if (!this.#conntracks.has(bridge.host)) this.#conntracks.set(bridge.host, new Conntrack());
      for (const [ofport, port] of bridge.ports) {
        if (port.kind !== 'wire') continue;
        const members = this.#segments.get(port.segment) ?? [];
        this.#segments.set(port.segment, members);
        members.push({ host: bridge.host, bridge: bridge.bridge, ofport });
      }
    }
  }

  /** Let a packet in by a port. `headers` stays as it is. */
  walk(from: Place, headers: Headers): Walk {
    const run = new Run(this, this.#options);
    run.enter(from, headers);
    run.finish();
    return run;
  }

  /** For runs. */
  stateOf({ host, bridge }: { readonly host: string; readonly bridge: string }): BridgeState | undefined {
    return this.#bridges.get(bridgeKey({ host, bridge }));
  }

  /** For runs. */
  conntrackOf(host: string): Conntrack {
    const conntrack = this.#conntracks.get(host);
    if (conntrack === undefined) throw new WalkError(`there is no host ${host}`);
    return conntrack;
  }

  /** For runs: the other ports on a wire. */
  othersOn(segment: string, { host, bridge, ofport }: Place): readonly Place[] {
    return (this.#segments.get(segment) ?? []).filter(
      (one) => one.host !== host || one.bridge !== bridge || one.ofport !== ofport,
    );
  }
}

function bridgeKey({ host, bridge }: { readonly host: string; readonly bridge: string }): string {
  return `${host}\0${bridge}`;
}

/** A key of Walker.deadPorts. */
export function portKey({ host, bridge, ofport }: Place): string {
  return `${host}\0${bridge}\0${ofport}`;
}

function cameBy(inPort: number, headers: Headers): Headers {
  const copy = headers.clone();
  copy.set('inPort', inPort);
  return copy;
}

class Run implements Walk {
  readonly arrivals: Arrival[] = [];
  readonly tunnelled: Arrival[] = [];
  readonly packetIns: PacketIn[] = [];
  readonly steps: Step[] = [];
  readonly #walker: Walker;
  readonly #options: WalkerOptions;
  /** What goes on elsewhere when a host is done. */
  readonly #waiting: (() => void)[] = [];
  #lookups = 0;
  #nesting = 0;

  constructor(walker: Walker, options: WalkerOptions) {
    this.#walker = walker;
    this.#options = options;
  }

  /** Take the packet into a bridge and through its tables. `headers` may hold a tunnel's metadata. */
  enter(place: Place, headers: Headers): void {
    const state = this.#walker.stateOf(place);
    if (state === undefined) throw new WalkError(`there is no bridge ${place.host} ${place.bridge}`);
    const copy = headers.clone();
    copy.set('inPort', place.ofport);
    this.#process({ state, headers: copy, table: 0 });
  }

  finish(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
  }

  #process({ state, headers, table }: { state: BridgeState; headers: Headers; table: number }): void {
    const around = this.#surroundings(state);
    const context: Context = {
      around,
      headers,
      table,
      isTableMiss: false,
      depth: 0,
      actionSet: new Map(),
      hasExited: false,
    };
    around.lookUp(context, { table, depth: 0 });
    performActionSet(context);
  }

  #surroundings(state: BridgeState): Surroundings {
    const { host, bridge } = state.bridge;
    return {
      lookUp: (context, lookup) => this.#lookUp(state, context, lookup),
      output: (context, port) => this.#output(state, context, port),
      packetIn: ({ headers, table }, reason) => {
        const ofport = Number(headers.get('inPort'));
        this.packetIns.push({ host, bridge, ofport, reason, table, headers: headers.clone() });
      },
      learn: (_context, flow) => {
        if (this.#options.learns !== false) state.tables.add(flow);
      },
      track: (context, action) => this.#track(state, context, action),
      group: (_context, id) => state.bridge.groups?.get(id),
      isAlive: (_context, ofport) =>
        state.bridge.ports.has(ofport) && !this.#walker.deadPorts.has(portKey({ host, bridge, ofport })),
    };
  }

  #lookUp(state: BridgeState, context: Context, { table, depth, inPort }: Lookup): void {
    this.#lookups++;
    this.#nesting++;
    if (this.#lookups > LOOKUPS_MAX || this.#nesting > NESTING_MAX)
      throw new WalkError('the packet goes round and round');
    const outer = context.depth;
    context.table = table;
    context.depth = depth;
    const found = state.tables.find(table, inPort === undefined ? context.headers : cameBy(inPort, context.headers));
    context.isTableMiss = found?.flow.priority === 0 && Object.keys(found.flow.match).length === 0;
    const step = this.#step(state, context, found);
    if (found !== undefined) perform(context, found.flow.actions);
    if (step !== undefined) step.after = context.headers.clone();
    context.depth = outer;
    this.#nesting--;
  }

  #step(
    { bridge: { host, bridge } }: BridgeState,
    { headers, table, depth }: Context,
    found: { readonly flow: Flow; readonly rivals: readonly Flow[] } | undefined,
  ): { after: Headers } | undefined {
    if (this.#options.keepsSteps !== true) return undefined;
    const before = headers.clone();
    const step = { host, bridge, table, rivals: found?.rivals ?? [], before, after: before, depth };
    const whole = found === undefined ? step : { ...step, flow: found.flow };
    this.steps.push(whole);
    return whole;
  }

  #output(state: BridgeState, context: Context, port: number): void {
    const { headers } = context;
    const inPort = Number(headers.get('inPort'));
    switch (port) {
      case PORT.inPort:
        this.#send(state, headers, inPort);
        return;
      case PORT.normal: {
        const learns = this.#options.learns !== false;
        for (const { ofport, tags } of state.normal.forward(headers, inPort, { learns })) {
          const copy = headers.clone();
          copy.tags = [...tags];
          this.#send(state, copy, ofport);
        }
        return;
      }
      case PORT.controller:
        context.around.packetIn(context, context.isTableMiss ? 0 : 1);
        return;
      case PORT.flood:
      case PORT.all:
        for (const ofport of state.bridge.ports.keys()) if (ofport !== inPort) this.#send(state, headers, ofport);
        return;
      default:
        // A switch never sends back where a packet came from, unless IN_PORT says so.
        if (port !== inPort) this.#send(state, headers, port);
    }
  }

  #send(state: BridgeState, headers: Headers, ofport: number): void {
    const { host, bridge } = state.bridge;
    const port = state.bridge.ports.get(ofport);
    if (port === undefined) return;
    const arrival: Arrival = { host, bridge, ofport, port, headers: headers.clone() };
    switch (port.kind) {
      case 'end':
        this.arrivals.push(arrival);
        return;
      case 'patch':
        this.enter({ host, bridge: port.bridge, ofport: port.ofport }, leaveBridge(headers, port.ofport));
        return;
      case 'wire':
        this.arrivals.push(arrival);
        this.#later(this.#walker.othersOn(port.segment, arrival), arrival.headers, port);
        return;
      case 'tunnel':
        this.tunnelled.push(arrival);
        this.#later([port], arrival.headers, port);
    }
  }

  /** On other hosts, when this one is done. */
  #later(places: readonly Place[], headers: Headers, port: WalkPort): void {
    if (this.#options.stopsAtHost === true) return;
    for (const place of places) {
      const copy = leaveBridge(headers, place.ofport);
      if (port.kind === 'tunnel') copy.set('tunnelId', headers.get('tunnelId'));
      this.#waiting.push(() => this.enter(place, copy));
    }
  }

  #track(state: BridgeState, context: Context, action: Action & { readonly type: 'ct' }): void {
    const { headers } = context;
    const zone = typeof action.zone === 'object' ? Number(headers.read(action.zone)) : (action.zone ?? 0);
    const exec = (tracked: Headers): void => perform({ ...context, headers: tracked }, action.exec ?? []);
    this.#walker.conntrackOf(state.bridge.host).track(action, zone, headers, exec);
    const { table } = action;
    if (table !== undefined) {
      const copy = headers.clone();
      this.#waiting.unshift(() => this.#process({ state, headers: copy, table }));
    }
    clearTracking(headers);
  }
}
