/**
 * Guests of random sites who speak as real ones do: ask by ARP or neighbour discovery, ping, and answer. Within a network and over
 * a common router every question has one answer, and it is true.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arpReply, arpRequest, neighborAdvertisement, neighborSolicitation } from '../../src/packet/neighbours.ts';
import type { Frame, Transport } from '../../src/packet/packet.ts';
import type { Port, Router, RouterPort, Topology } from '../../src/topology/model.ts';
import type { Headers } from '../support/walker/headers.ts';
import type { Walk } from '../support/walker/model.ts';
import { isCarried, pairsOf, Scene } from './scene.ts';
import { tenantSite } from './tenants.ts';

type Family = 'ipv4' | 'ipv6';

interface Address {
  readonly mac: number;
  readonly ip: number | bigint;
}

const isOf = (family: Family, ip: number | bigint): boolean => typeof ip === (family === 'ipv4' ? 'number' : 'bigint');

function addressOf({ macAddress, fixedIps }: Port, family: Family): Address | undefined {
  const ip = fixedIps.find(({ ipAddress }) => isOf(family, ipAddress))?.ipAddress;
  return ip === undefined ? undefined : { mac: macAddress, ip };
}

function gatewayOf({ interfaces }: Router, networkId: string, family: Family): Address | undefined {
  const found = interfaces.find((one: RouterPort) => one.networkId === networkId && isOf(family, one.ipAddress));
  return found === undefined ? undefined : { mac: found.macAddress, ip: found.ipAddress };
}

function question(from: Address, targetIp: number | bigint): Frame {
  if (typeof targetIp === 'number') return arpRequest({ senderMac: from.mac, senderIp: Number(from.ip), targetIp });
  return neighborSolicitation({ senderMac: from.mac, senderIp: BigInt(from.ip), targetIp });
}

function answer(to: Address, asker: Address): Frame {
  if (typeof to.ip === 'number')
    return arpReply({ senderMac: to.mac, senderIp: to.ip, targetMac: asker.mac, targetIp: Number(asker.ip) });
  return neighborAdvertisement({
    mac: to.mac,
    target: to.ip,
    router: false,
    asker: { mac: asker.mac, ip: BigInt(asker.ip) },
  });
}

/** What headers say of who has which address; undefined: nothing. */
function claimIn({ values }: Headers): Address | undefined {
  const { ethType, arpOp, arpSha, arpSpa, icmpv6Type, ndTarget, ndTll } = values;
  if (ethType === 0x0806 && arpOp === 2) return { mac: Number(arpSha), ip: Number(arpSpa) };
  if (ethType === 0x86dd && icmpv6Type === 136) return { mac: Number(ndTll), ip: BigInt(ndTarget ?? 0n) };
  return undefined;
}

const ECHO = { ipv4: { request: 8, reply: 0 }, ipv6: { request: 128, reply: 129 } } as const;

function echo(from: Address, to: Address, via: number, kind: 'request' | 'reply'): Frame {
  const macs = { source: from.mac, destination: via, vlans: [] };
  const common = { code: 0, rest: 1, data: new Uint8Array(56) };
  if (typeof from.ip === 'number' && typeof to.ip === 'number') {
    const payload: Transport = { kind: 'icmpv4', type: ECHO.ipv4[kind], ...common };
    const fragment = { identification: 1, dontFragment: true, moreFragments: false, fragmentOffset: 0 };
    const header = { tos: 0, ...fragment, ttl: 64, options: new Uint8Array() };
    return { ...macs, payload: { kind: 'ipv4', source: from.ip, destination: to.ip, ...header, payload } };
  }
  const payload: Transport = { kind: 'icmpv6', type: ECHO.ipv6[kind], ...common };
  const header = { trafficClass: 0, flowLabel: 0, hopLimit: 64, extensions: [] };
  const [source, destination] = [BigInt(from.ip), BigInt(to.ip)];
  return { ...macs, payload: { kind: 'ipv6', source, destination, ...header, payload } };
}

const echoType = ({ values }: Headers): number | undefined => {
  const type = values.ethType === 0x0800 ? values.icmpv4Type : values.icmpv6Type;
  return type === undefined ? undefined : Number(type);
};

class Talk {
  readonly #scene: Scene;

  constructor(topology: Topology) {
    this.#scene = new Scene(topology);
  }

  at({ id }: Port, walk: Walk): readonly Headers[] {
    return this.#scene.guestsOf(walk).flatMap(({ port, headers }) => (port.id === id ? [headers] : []));
  }

  send(from: Port, frame: Frame): Walk {
    return this.#scene.send(from, frame);
  }

  /** The claims that reach an asker, of the switches and, where the question reaches it, of the guest that is asked. */
  resolve(asker: Port, from: Address, asked: Address, guest?: Port): readonly Address[] {
    const walk = this.send(asker, question(from, asked.ip));
    const heard = [...this.at(asker, walk)];
    if (guest !== undefined && this.at(guest, walk).length > 0)
      heard.push(...this.at(asker, this.send(guest, answer(asked, from))));
    return heard.flatMap((headers) => claimIn(headers) ?? []);
  }
}

test.each(['ipv4', 'ipv6'] as const)(
  'within a network: who asks for a guest hears of it, and nothing else (%s)',
  (family) => {
    let conversations = 0;
    fc.assert(
      fc.property(tenantSite, (topology) => {
        const talk = new Talk(topology);
        for (const [from, to] of pairsOf(topology)) {
          const [one, other] = [addressOf(from, family), addressOf(to, family)];
          if (from.networkId !== to.networkId || !one || !other || !isCarried(topology, from, to)) continue;
          expect(talk.resolve(from, one, other, to)).toEqual([other]);
          const there = talk.at(to, talk.send(from, echo(one, other, other.mac, 'request')));
          expect(there.map(({ values }) => [values.ethSrc, values.ipTtl])).toEqual([[one.mac, 64]]);
          conversations++;
        }
      }),
      { numRuns: 120 },
    );
    expect(conversations).toBeGreaterThan(30);
  },
);

test.each(['ipv4', 'ipv6'] as const)('over a router: both ask for their gateway, ping and answer (%s)', (family) => {
  let conversations = 0;
  fc.assert(
    fc.property(tenantSite, (topology) => {
      const talk = new Talk(topology);
      for (const router of topology.routers.values()) {
        for (const [from, to] of pairsOf(topology)) {
          const [one, other] = [addressOf(from, family), addressOf(to, family)];
          const [near, far] = [from, to].map(({ networkId }) => gatewayOf(router, networkId, family));
          if (!one || !other || !near || !far || from.networkId === to.networkId) continue;
          if (!isCarried(topology, from, to) || !isCarried(topology, to, from)) continue;
          expect(talk.resolve(from, one, near)).toEqual([near]);
          const there = talk.at(to, talk.send(from, echo(one, other, near.mac, 'request')));
          expect(there.map((headers) => [echoType(headers), headers.values.ipTtl])).toEqual([
            [ECHO[family].request, 63],
          ]);
          expect(talk.resolve(to, other, far)).toEqual([far]);
          const back = talk.at(from, talk.send(to, echo(other, one, far.mac, 'reply')));
          expect(back.map((headers) => [echoType(headers), headers.values.ipTtl])).toEqual([[ECHO[family].reply, 63]]);
          conversations++;
        }
      }
    }),
    { numRuns: 250 },
  );
  expect(conversations).toBeGreaterThan(30);
});

test.each(['ipv4', 'ipv6'] as const)(
  'every address of its routers answers a guest’s ping, with TTL 64, and it alone (%s)',
  (family) => {
    let conversations = 0;
    fc.assert(
      fc.property(tenantSite, (topology) => {
        const talk = new Talk(topology);
        for (const router of topology.routers.values()) {
          for (const port of topology.ports.values()) {
            const [own, near] = [addressOf(port, family), gatewayOf(router, port.networkId, family)];
            if (!own || !near) continue;
            for (const { ipAddress: ip } of router.interfaces) {
              if (!isOf(family, ip)) continue;
              const walk = talk.send(port, echo(own, { mac: near.mac, ip }, near.mac, 'request'));
              const heard = talk
                .at(port, walk)
                .map((headers) => [echoType(headers), headers.values.ipTtl, headers.values.ethSrc]);
              expect(heard).toEqual([[ECHO[family].reply, 64, near.mac]]);
              expect(walk.tunnelled).toEqual([]);
              expect(walk.packetIns).toEqual([]);
              conversations++;
            }
          }
        }
      }),
      { numRuns: 120 },
    );
    expect(conversations).toBeGreaterThan(30);
  },
);
