/**
 * What routers' flows must not do, read off the flows of random sites: lead from a network to one that no router connects it
 * with. Each row of br-int is looked at for itself; that a packet passes them in turn is what the walker's tests are about.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Compiler } from '../../src/compiler/compiler.ts';
import { compileOffline, type OfflineBridge } from '../../src/compiler/offline.ts';
import type { Action } from '../../src/flow/action.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { brInt } from '../../src/pipeline/br-int.ts';
import * as dvr from '../../src/pipeline/dvr.ts';
import * as gateway from '../../src/pipeline/gateway.ts';
import * as nat from '../../src/pipeline/nat.ts';
import * as outside from '../../src/pipeline/outside.ts';
import * as routerIn from '../../src/pipeline/router-in.ts';
import * as routerOut from '../../src/pipeline/router-out.ts';
import { REGISTERS } from '../../src/pipeline/router-registers.ts';
import * as routerRoute from '../../src/pipeline/router-route.ts';
import type { Topology } from '../../src/topology/model.ts';
import { arbitraryInputs, compile, type Inputs } from './worlds.ts';

const { tables } = brInt;

/** The site with every port where its location says, so that it can be compiled alone. */
function placed({ topology, locations }: Inputs): Topology {
  const ports = [...topology.ports].map(([id, port]) => {
    const host = locations.get(id);
    return [id, host === undefined ? port : { ...port, host }] as const;
  });
  return { ...topology, ports: new Map(ports) };
}

/** What the numbers in the flows of one host's br-int stand for. */
class Host {
  readonly #topology: Topology;
  readonly #portNames: ReadonlyMap<number, string>;
  readonly #compiler: Compiler;
  readonly #name: string;

  constructor(topology: Topology, compiler: Compiler, { host, portNames }: OfflineBridge) {
    this.#topology = topology;
    this.#portNames = portNames;
    this.#compiler = compiler;
    this.#name = host;
  }

  networkOfVlan(localVlan: unknown): string | undefined {
    return this.#compiler.readRegisters(this.#name, { [REGISTERS.network]: Number(localVlan) }).networkId;
  }

  networkOfPort(ofport: unknown): string | undefined {
    return this.#topology.ports.get(this.#portNames.get(Number(ofport)) ?? '')?.networkId;
  }

  /** Networks that a router is attached to. */
  networksOfRouter(key: unknown): readonly string[] {
    const { routerId } = this.#compiler.readRegisters(this.#name, { [REGISTERS.router]: Number(key) });
    const router = this.#topology.routers.get(routerId ?? '');
    const outside = router?.externalGatewayInfo?.networkId;
    return [
      ...(router?.interfaces.map(({ networkId }) => networkId) ?? []),
      ...(outside === undefined ? [] : [outside]),
    ];
  }
}

const valueSet = ({ actions }: Flow, field: string): unknown =>
  actions.flatMap((action) => (action.type === 'setField' && action.field === field ? [action.value] : []))[0];

const outputsOf = ({ actions }: Flow): readonly number[] =>
  actions.flatMap((action: Action) => (action.type === 'output' && action.port < 0xff00 ? action.port : []));

/** Why a flow would lead from one network to another that it has no business with; undefined: it does not. */
function leak(flow: Flow, host: Host): string | undefined {
  const { match } = flow;
  const network = host.networkOfVlan(match.reg6);
  switch (flow.table) {
    case tables.ROUTER_IN.id: {
      const key = valueSet(flow, REGISTERS.router);
      if (key === undefined) return undefined;
      return host.networksOfRouter(key).includes(network ?? '') ? undefined : 'a router that is not on the network';
    }
    case tables.ROUTER_ROUTE.id: {
      const localVlan = valueSet(flow, REGISTERS.network);
      if (localVlan === undefined) return undefined;
      const isAttached = host.networksOfRouter(match.reg0).includes(host.networkOfVlan(localVlan) ?? '');
      return isAttached ? undefined : 'a network that the router is not on';
    }
    case tables.ROUTER_DELIVER.id:
      return outputsOf(flow).every((port) => [network, undefined].includes(host.networkOfPort(port)))
        ? undefined
        : 'a port of another network';
    case tables.TRANSIENT.id: {
      const localVlan = valueSet(flow, REGISTERS.network);
      if (localVlan === undefined) return undefined;
      const isTagged = typeof match.vlanVid === 'number';
      const from = isTagged ? host.networkOfVlan(Number(match.vlanVid) & 0xfff) : host.networkOfPort(match.inPort);
      const isOwn = from === host.networkOfVlan(localVlan);
      return isOwn ? undefined : "a port's frames in another network";
    }
    default:
      return undefined;
  }
}

describe('random sites', () => {
  test('no row of a router leads to a network that it is not on', () => {
    fc.assert(
      fc.property(arbitraryInputs, (inputs) => {
        const topology = placed(inputs);
        const { bridges, compiler } = compileOffline(topology);
        for (const one of bridges) {
          const host = topology.hosts.get(one.host);
          if (host?.bridges.integration !== one.bridge) continue;
          const names = new Host(topology, compiler, one);
          for (const { flow, origin } of one.book.flows()) expect(leak(flow, names), origin.rule).toBeUndefined();
        }
      }),
      { numRuns: 200 },
    );
  });

  test('have flows of every rule of routers, so that properties over them say something', () => {
    const rules = [dvr, routerIn, routerRoute, routerOut, nat, gateway, outside].flatMap((module) =>
      Object.values(module),
    );
    const missing = new Set(rules.flatMap((rule) => ('ruleName' in rule ? rule.ruleName : [])));
    expect(missing.size).toBeGreaterThan(20);
    for (const inputs of fc.sample(arbitraryInputs, { numRuns: 300, seed: 3 })) {
      for (const book of compile(inputs).books()) for (const { origin } of book.flows()) missing.delete(origin.rule);
      if (missing.size === 0) break;
    }
    expect([...missing]).toEqual([]);
  });

  test('a site without its last guest has the flows that it had before the first', () => {
    fc.assert(
      fc.property(arbitraryInputs, (inputs) => {
        const compiler = compile({ ...inputs, locations: new Map() });
        const baseline = sizes(compiler);
        for (const [port, host] of inputs.locations) compiler.setPortLocation(port, host);
        compiler.pass();
        for (const port of inputs.locations.keys()) compiler.setPortLocation(port, undefined);
        compiler.pass();
        expect(sizes(compiler)).toEqual(baseline);
      }),
      { numRuns: 50 },
    );
  });
});

const sizes = (compiler: Compiler) =>
  [...compiler.books()].map(({ host, bridge, size }) => `${host} ${bridge} ${size}`).sort();
