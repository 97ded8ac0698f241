/**
 * The walker against Open vSwitch's own account of the same packets through the same flows (`ofproto/trace`): where copies come
 * out, with which headers, what goes to the controller, and what is learnt for the next packet.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OvsSandbox } from '../support/ovs-sandbox.ts';
import { type Walk, type WalkBridge, WalkError } from '../support/walker/model.ts';
import { traceText } from '../support/walker/packets.ts';
import { flowsOf, packet, RANDOM_SITE, type RandomBridge } from '../support/walker/random.ts';
import { buildBridges, installFlows } from '../support/walker/switch.ts';
import { type DatapathPorts, outcomeOfTrace, outcomeOfWalk } from '../support/walker/trace.ts';
import { Walker } from '../support/walker/walker.ts';

describe('random flows', () => {
  let sandbox: OvsSandbox;
  let ports: DatapathPorts;

  beforeAll(async () => {
    sandbox = await OvsSandbox.start();
    ports = await buildBridges(sandbox, Object.entries(RANDOM_SITE));
  });
  afterAll(async () => sandbox?.stop());

  const scenario = fc.record({
    int: flowsOf('int'),
    tun: flowsOf('tun'),
    phy: flowsOf('phy'),
    packets: fc.array(packet, { minLength: 5, maxLength: 12 }),
  });

  test('do the same here and there, one packet after another', async () => {
    let copies = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async ({ packets, ...books }) => {
        const bridges = (Object.keys(RANDOM_SITE) as RandomBridge[]).map((bridge): WalkBridge => {
          return { host: 'h1', bridge, flows: books[bridge], ports: RANDOM_SITE[bridge] };
        });
        for (const bridge of bridges) await installFlows(sandbox, bridge);
        const walker = new Walker(bridges, { stopsAtHost: true });
        for (const { bridge, ofport, headers } of packets) {
          const account = await sandbox.appctl('ofproto/trace', bridge, traceText(headers, ofport), '-generate');
          const goesRound = /over max translation depth|resubmit limit|Translation failed/.test(account);
          const walk = (): Walk => walker.walk({ host: 'h1', bridge, ofport }, headers);
          if (goesRound) {
            // What was learnt on the way is not the same: begin anew.
            expect(walk, account).toThrow(WalkError);
            break;
          }
          const walked = outcomeOfWalk(walk());
          expect(walked.copies, account).toEqual(outcomeOfTrace(account, headers, { ports, bridges }).copies);
          copies += walked.copies.length;
        }
      }),
      // Not made smaller on failure: each try is a process for every packet, and the account says what happened.
      { numRuns: 30, endOnFailure: true },
    );
    expect(copies).toBeGreaterThan(200);
  });
});
