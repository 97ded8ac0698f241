/** What the running controller holds for a host's bridges: the answer to `heddle flows --live`. Pure but for reading. */
import type { DesiredFlow, Origin } from '../compiler/compiler.ts';
import type { Flow } from '../flow/flow.ts';
import { formatFlow } from '../flow/format.ts';
import { HeddleError } from '../lib/errors.ts';
import type { ControlParams } from './control-socket.ts';
import type { Controller } from './controller.ts';
import type { HostAgent } from './host-agent.ts';
import { bridgesOf } from './wanted.ts';

/** Of one bridge. */
export interface LiveBridge {
  readonly host: string;
  readonly bridge: string;
  /** Ofport to name. */
  readonly portNames: readonly (readonly [number, string])[];
  readonly flows: readonly LiveFlow[];
}

/** Text with numbers for ports, as `ovs-ofctl dump-flows --no-stats --no-names` prints it, cookie included. */
export interface LiveFlow {
  readonly text: string;
  readonly origin: Origin;
}

/** Params: `host`, and optionally `bridge`. Throws NO_HOST, NO_BRIDGE. */
export function liveFlows(controller: Controller, params: ControlParams): readonly LiveBridge[] {
  const { agent, bridges } = chooseBridges(controller, params);
  return bridges.map((bridge) => ({
    host: agent.name,
    bridge,
    portNames: portNamesOf(agent, bridge),
    flows: [...(controller.compiler.book(agent.name, bridge)?.flows() ?? [])].map((desired) =>
      liveFlow(controller, desired),
    ),
  }));
}

/** The host of `params`, and the one bridge of it that they name, or all. Throws NO_HOST, NO_BRIDGE. */
export function chooseBridges(
  controller: Controller,
  { host: name, bridge }: ControlParams,
): { readonly agent: HostAgent; readonly bridges: readonly string[] } {
  const agent = controller.agents.get(String(name));
  if (agent === undefined) {
    const known = [...controller.agents.keys()].join(', ');
    throw new HeddleError('NO_HOST', `no host "${name}" in the topology; there are: ${known}`);
  }
  const bridges = bridgesOf(agent.host);
  if (bridge !== undefined && !bridges.includes(String(bridge))) {
    throw new HeddleError('NO_BRIDGE', `host ${name} has no bridge "${bridge}"; it has: ${bridges.join(', ')}`);
  }
  return { agent, bridges: bridges.filter((candidate) => bridge === undefined || candidate === bridge) };
}

/** Ofport to name, as the host's OVSDB has them. */
export function portNamesOf(agent: HostAgent, bridge: string): readonly (readonly [number, string])[] {
  return [...(agent.view?.bridges.get(bridge)?.ports ?? [])].flatMap(([portName, { ofport }]) =>
    ofport === undefined ? [] : [[ofport, portName] as const],
  );
}

function liveFlow(controller: Controller, { flow, origin }: DesiredFlow): LiveFlow {
  return { text: formatFlow(flow satisfies Flow), origin: controller.compiler.locate(origin) };
}
