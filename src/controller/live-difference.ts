/** The running controller's books against its switches' dumps: the answer to `heddle diff --live`. */

import { HeddleError } from '../lib/errors.ts';
import { type BridgeDifference, compareInstalled, dumpInstalled } from './bridge-difference.ts';
import type { ControlParams } from './control-socket.ts';
import type { Controller } from './controller.ts';
import { chooseBridges, portNamesOf } from './live-flows.ts';

/** Params: `host`, and optionally `bridge`. Throws NO_HOST, NO_BRIDGE, NOT_CONNECTED. */
export function liveDifference(controller: Controller, params: ControlParams): Promise<readonly BridgeDifference[]> {
  const { agent, bridges } = chooseBridges(controller, params);
  return Promise.all(
    bridges.map(async (bridge) => {
      const connection = agent.installers.get(bridge)?.connection;
      if (connection === undefined) {
        const message = `${agent.name}: bridge ${bridge} is not connected; heddle status says what is waited for`;
        throw new HeddleError('NOT_CONNECTED', message);
      }
      const installed = await dumpInstalled(connection);
      const { compiler } = controller;
      const book = compiler.book(agent.name, bridge);
      const difference = compareInstalled(book, installed, (origin) => compiler.locate(origin));
      return { host: agent.name, bridge, portNames: portNamesOf(agent, bridge), ...difference };
    }),
  );
}
