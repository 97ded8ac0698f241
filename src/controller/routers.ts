/**
 * Routers that are flows, on the controller's side: ties the shell of their slow path (router-shell.ts) to hosts, compiler and
 * connections. Serves controller.ts.
 */
import type { Compiler } from '../compiler/compiler.ts';
import type { Site } from '../compiler/site.ts';
import type { LimitedLog } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { brInt } from '../pipeline/br-int.ts';
import type { Topology } from '../topology/model.ts';
import type { HostAgent } from './host-agent.ts';
import type { Memory } from './memory.ts';
import { Outside } from './outside.ts';
import { OutsideSender } from './outside-sender.ts';
import type { AdvertisedNetwork, HeldPacket, NeededAddress } from './router/index.ts';
import {
  beforeTranslation,
  complainAsFloatingIp,
  complainAsGateway,
  whenReadable,
} from './router/outside-responder.ts';
import { type PluggedPorts, RouterPicture } from './router-model.ts';
import { RouterShell } from './router-shell.ts';
import { physicalBridges } from './wanted.ts';

export interface RoutersOptions {
  readonly limitedLog: LimitedLog;
  readonly compiler: Compiler;
  readonly memory: Memory;
  readonly agents: ReadonlyMap<string, HostAgent>;
  /** A neighbour came or went: flows have to follow. */
  readonly onChange: () => void;
}

export class Routers {
  readonly #options: RoutersOptions;
  readonly #shell: RouterShell;
  readonly #outside: Outside;
  readonly #sender: OutsideSender;
  #topology: Topology | undefined;
  readonly #picture: RouterPicture;
  #networkIds: readonly string[] = [];
  #warnings: readonly string[] = [];
  /** By host: what was plugged in when the picture last changed. */
  #plugged = new Map<string, Ports>();
  /** Likewise, as the host last told it: the same map is not looked at again. */
  readonly #seen = new Map<string, Ports>();

  constructor(options: RoutersOptions) {
    this.#options = options;
    const { locations } = options.compiler.site.ports;
    this.#picture = new RouterPicture((portId) => locations.get(portId));
    this.#shell = new RouterShell({
      limitedLog: options.limitedLog,
      model: () => this.#picture,
      advertised: () => this.#advertised(),
      registers: (host, match) => options.compiler.readRegisters(host, match),
      connection: (host) => this.#integration(host)?.connection,
      setNeighbour: ({ networkId, ip, mac, portId }) => {
        options.compiler.setNeighbour(networkId, ip, { macAddress: mac, portId });
        options.onChange();
      },
      unsetNeighbour: (networkId, ip) => {
        options.compiler.setNeighbour(networkId, ip, undefined);
        options.onChange();
      },
      settled: async (host) => this.#integration(host)?.settled(),
      remembered: options.memory.neighbours,
      remember: (known) => options.memory.rememberNeighbours(known),
      needed: () => neededAddresses(options.compiler.site),
      releaseAtGateway: (packet) => void this.#releaseAtGateway(packet),
      unreachableFromGateway: (packet) => this.#complainAtGateway(packet),
    });
    for (const { neighbour } of options.memory.neighbours) {
      const { networkId, ip, mac: macAddress, portId } = neighbour;
      options.compiler.setNeighbour(networkId, ip, { macAddress, portId });
    }
    this.#sender = new OutsideSender({ ...options, connection: (host) => this.#integration(host)?.connection });
    this.#outside = new Outside({
      ...options,
      resolveInside: (packet, ip) => this.#shell.resolveForGateway(packet, ip),
      routerModel: () => this.#picture,
      connection: (host) => this.#integration(host)?.connection,
      settled: async (host) => {
        const agent = options.agents.get(host);
        if (agent === undefined) return;
        const bridges = [agent.host.bridges.integration, ...physicalBridges(agent.host)];
        await Promise.all(bridges.map((bridge) => agent.installers.get(bridge)?.settled()));
      },
    });
  }

  /** Packets to the controller by reason, and those that were dropped by why; since the start. */
  get counts(): { readonly packetIns: ReadonlyMap<string, number>; readonly refusals: ReadonlyMap<string, number> } {
    return this.#shell;
  }

  /** A bridge is connected: of a br-int, hear what it sends up. */
  attach(host: string, bridge: string, connection: SwitchConnection): void {
    if (bridge !== this.#options.agents.get(host)?.host.bridges.integration) return;
    connection.subscribe({
      packetIn: (packet) => {
        // A bridge with two connections sends every packet up twice.
        if (this.#integration(host)?.connection !== connection) return;
        if (!this.#outside.packetIn(host, packet)) this.#shell.packetIn(host, packet);
      },
    });
  }

  /** After a pass: take in what is new in the topology and on the hosts. */
  refresh(topology: Topology): void {
    const isNewTopology = topology !== this.#topology;
    let isStale = isNewTopology;
    for (const [host, agent] of this.#options.agents) {
      const ports = agent.facts?.integration.ports;
      if (ports === undefined || this.#seen.get(host) === ports) continue;
      this.#seen.set(host, ports);
      if (sameBindings(this.#plugged.get(host), ports)) continue;
      this.#plugged.set(host, ports);
      isStale = true;
    }
    for (const host of this.#plugged.keys()) if (!this.#options.agents.has(host)) this.#forget(host);
    if (isNewTopology) {
      this.#networkIds = [...topology.networks.keys()];
      this.#topology = topology;
      this.#logWarnings();
    }
    if (isStale) this.#picture.update(topology, this.#plugged);
    this.#outside.refresh(topology);
    if (isStale) this.#shell.modelChanged();
  }

  close(): void {
    this.#shell.close();
    this.#outside.close();
  }

  /** Each once, for as long as the file asks for it. */
  #logWarnings(): void {
    const warnings = this.#options.compiler.warnings();
    for (const warning of warnings) {
      if (!this.#warnings.includes(warning)) this.#options.limitedLog.warn(`routers ${warning}`, {}, warning);
    }
    this.#warnings = warnings;
  }

  /** Into the gateway's part of its router again, once the flow that it waited for is there. */
  async #releaseAtGateway({ host, routerId, packet }: HeldPacket): Promise<void> {
    // The flow for the neighbour is wanted only after the pass that comes next.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#integration(host)?.settled();
    this.#sender.route({ host, routerId, packet });
  }

  #complainAtGateway({ host, routerId, packet }: HeldPacket): void {
    const { routers, floatingIps } = this.#options.compiler.site.gateways.model;
    const router = routers.get(routerId);
    if (router === undefined) return;
    const complaint = { reason: 'hostUnreachable' } as const;
    whenReadable(() => {
      const asked = beforeTranslation(packet, router, floatingIps.values());
      const error = asked && complainAsFloatingIp(asked.packet, complaint);
      if (asked !== undefined && error !== undefined) {
        this.#sender.resubmit(host, asked.networkId, { packet: error, table: brInt.tables.ROUTER_DELIVER.id });
      }
      if (asked !== undefined) return;
      const reply = complainAsGateway(packet, router, complaint);
      if (reply !== undefined) this.#sender.route({ host, routerId, packet: reply });
    });
  }

  #integration(host: string) {
    const agent = this.#options.agents.get(host);
    return agent?.installers.get(agent.host.bridges.integration);
  }

  #forget(host: string): void {
    this.#plugged.delete(host);
    this.#seen.delete(host);
  }

  #advertised(): readonly AdvertisedNetwork[] {
    const model = this.#picture;
    return this.#networkIds.flatMap((networkId) => {
      const network = model.network(networkId);
      return network === undefined
        ? []
        : model.places(networkId).map(({ host, ofports }) => ({ host, network, ofports }));
    });
  }
}

type Ports = PluggedPorts extends ReadonlyMap<string, infer One> ? One : never;

/** What floating IPs lead to, where the port is nowhere: whoever has the address is looked for. */
function neededAddresses({ gateways, ports: { locations } }: Site): readonly NeededAddress[] {
  return [...gateways.model.floatingIps.values()]
    .filter(({ portId }) => locations.get(portId) === undefined)
    .map(({ portNetworkId: networkId, fixedIp: ip, routerId }) => ({ networkId, ip, routerId }));
}

function sameBindings(
  before: ReadonlyMap<string, { readonly ofport: number }> | undefined,
  after: ReadonlyMap<string, { readonly ofport: number }>,
): boolean {
  if (before === undefined || before.size !== after.size) return false;
  for (const [portId, { ofport }] of after) if (before.get(portId)?.ofport !== ofport) return false;
  return true;
}
