/**
 * What reaches what, walked: packets through all flows of random sites. Networks that no router connects stay apart whatever a
 * guest sends; guests who are honest reach whom they mean to, once, and over a router with the headers that a router leaves.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { invariant } from '../../src/lib/errors.ts';
import type { Frame, Transport } from '../../src/packet/packet.ts';
import type { Port, RouterPort } from '../../src/topology/model.ts';
import { guestFrame } from '../support/walker/guest-packets.ts';
import { isCarried, pairsOf, Scene } from './scene.ts';
import { connected, tenantSite } from './tenants.ts';

const UDP: Transport = { kind: 'udp', sourcePort: 40_000, destinationPort: 9, data: new Uint8Array(10) };

/** From a port's own address to another's, by way of `via`; undefined where they have no family in common. */
function honest(from: Port, to: Port, via: number, family: 'ipv4' | 'ipv6'): Frame | undefined {
  const isOfFamily = (ip: number | bigint): boolean => typeof ip === (family === 'ipv4' ? 'number' : 'bigint');
  const source = from.fixedIps.find(({ ipAddress }) => isOfFamily(ipAddress))?.ipAddress;
  const destination = to.fixedIps.find(({ ipAddress }) => isOfFamily(ipAddress))?.ipAddress;
  const macs = { source: from.macAddress, destination: via, vlans: [] };
  if (typeof source === 'number' && typeof destination === 'number') {
    const fragment = { identification: 1, dontFragment: true, moreFragments: false, fragmentOffset: 0 };
    const header = { tos: 0, ...fragment, ttl: 64, options: new Uint8Array() };
    return { ...macs, payload: { kind: 'ipv4', source, destination, ...header, payload: UDP } };
  }
  if (typeof source !== 'bigint' || typeof destination !== 'bigint') return undefined;
  const header = { trafficClass: 0, flowLabel: 0, hopLimit: 64, extensions: [] };
  return { ...macs, payload: { kind: 'ipv6', source, destination, ...header, payload: UDP } };
}

describe('random sites', () => {
  test('networks that no router connects stay apart, whatever a guest sends', () => {
    let reached = 0;
    const siteAndFrames = tenantSite.chain((topology) =>
      fc.record({
        topology: fc.constant(topology),
        frames: fc.tuple(
          ...[...topology.ports.values()].map((port) =>
            fc.array(guestFrame(topology, port), { minLength: 4, maxLength: 8 }).map((frames) => ({ port, frames })),
          ),
        ),
      }),
    );
    fc.assert(
      fc.property(siteAndFrames, ({ topology, frames }) => {
        const scene = new Scene(topology);
        const together = connected(topology);
        for (const { port, frames: list } of frames) {
          for (const frame of list) {
            const networks = scene.networksOf(scene.send(port, frame));
            expect([...networks].filter((id) => !together.get(port.networkId)?.has(id ?? ''))).toEqual([]);
            reached += networks.size;
          }
        }
      }),
      { numRuns: 300 },
    );
    expect(reached).toBeGreaterThan(150);
  });

  test('within a network everyone is reached once, as it was sent', () => {
    let reached = 0;
    fc.assert(
      fc.property(tenantSite, (topology) => {
        const scene = new Scene(topology);
        for (const [from, to] of pairsOf(topology)) {
          if (from.networkId !== to.networkId || !isCarried(topology, from, to)) continue;
          const frame = honest(from, to, to.macAddress, 'ipv4');
          invariant(frame, 'everyone has an IPv4 address', {});
          const copies = scene.guestsOf(scene.send(from, frame)).filter(({ port }) => port.id === to.id);
          expect(copies.map(({ headers }) => [headers.values.ethSrc, headers.values.ipTtl, headers.tags])).toEqual([
            [from.macAddress, 64, []],
          ]);
          reached++;
        }
      }),
      { numRuns: 250 },
    );
    expect(reached).toBeGreaterThan(100);
  });

  test.each(['ipv4', 'ipv6'] as const)(
    'over a router the one who is meant is reached, and nobody else (%s)',
    (family) => {
      let reached = 0;
      fc.assert(
        fc.property(tenantSite, (topology) => {
          const scene = new Scene(topology);
          for (const router of topology.routers.values()) {
            const on = (networkId: string): RouterPort | undefined =>
              router.interfaces.find((one) => one.networkId === networkId);
            for (const [from, to] of pairsOf(topology)) {
              const [entry, exit] = [on(from.networkId), on(to.networkId)];
              if (entry === undefined || exit === undefined || entry.networkId === exit.networkId) continue;
              const frame = honest(from, to, entry.macAddress, family);
              if (frame === undefined || !isCarried(topology, from, to)) continue;
              const copies = scene.guestsOf(scene.send(from, frame));
              expect(
                copies.map(({ port, headers }) => [port.id, headers.values.ethDst, headers.values.ipTtl, headers.tags]),
              ).toEqual([[to.id, to.macAddress, 63, []]]);
              // Where several routers have the network, the wire does not carry which of them it was.
              const routers = [...topology.routers.values()].flatMap(({ interfaces }) => interfaces);
              const macs = routers
                .filter(({ networkId }) => networkId === to.networkId)
                .map(({ macAddress }) => macAddress);
              expect(macs).toContain(copies[0]?.headers.values.ethSrc);
              if (from.host === to.host) expect(copies[0]?.headers.values.ethSrc).toBe(exit.macAddress);
              reached++;
            }
          }
        }),
        { numRuns: 250 },
      );
      expect(reached).toBeGreaterThan(50);
    },
  );

  test('no packet meets two flows of one priority that differ in what they do', () => {
    fc.assert(
      fc.property(
        tenantSite.chain((topology) =>
          fc.record({
            topology: fc.constant(topology),
            frames: fc.tuple(
              ...[...topology.ports.values()].map((port) =>
                guestFrame(topology, port).map((frame) => ({ port, frame })),
              ),
            ),
          }),
        ),
        ({ topology, frames }) => {
          const scene = new Scene(topology, { keepsSteps: true });
          for (const { port, frame } of frames) {
            for (const { flow, rivals } of scene.send(port, frame).steps) {
              expect(rivals.length === 0 ? [] : [flow, ...rivals]).toEqual([]);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
