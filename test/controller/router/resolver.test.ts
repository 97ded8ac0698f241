/** The resolver with a manual clock: what it asks, holds, learns, forgets, and what it does not believe. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RouterModel } from '../../../src/controller/router/model.ts';
import {
  type HeldPacket,
  INITIAL_RESOLVER,
  neighboursOf,
  type ResolverEvent,
  type ResolverState,
  rememberedResolver,
  resolverStep,
  resolverWakeMs,
} from '../../../src/controller/router/resolver.ts';
import { type Ip, ipFromText } from '../../../src/lib/addresses.ts';
import { LIMITS } from '../../../src/lib/limits.ts';
import { BLUE, fromB1, GREEN, ip4, ip6, MACS, modelOf, PORTS, show } from './site.ts';

const VIP = ip4('10.0.1.100');

class Machine {
  state: ResolverState = INITIAL_RESOLVER;
  nowMs = 0;
  model: RouterModel = modelOf();

  do(event: ResolverEvent): string[] {
    const [state, effects] = resolverStep(this.state, event, this.nowMs, this.model);
    this.state = state;
    return show(effects);
  }

  packet(ip: Ip = VIP, networkId = 'green'): string[] {
    return this.do({ type: 'packet', packet: held(ip), networkId, ip });
  }

  claim(host: string, ofport: number, mac: number, ip: Ip = VIP): string[] {
    return this.do({ type: 'claim', host, ofport, claim: { ip, mac } });
  }

  /** Let time pass up to the next thing due, and take it. */
  wake(): string[] {
    this.nowMs = resolverWakeMs(this.state) ?? Number.NaN;
    return this.do({ type: 'tick' });
  }

  get phases(): string[] {
    return [...this.state.entries.values()].map(({ phase }) => phase);
  }
}

function held(ip: Ip): HeldPacket {
  return { host: 'node1', ofport: 1, networkId: 'blue', routerId: 'r1', packet: fromB1(ip) };
}

const ASK = [
  'send node1 2: fa:16:3e:01:00:02 > ff:ff:ff:ff:ff:ff arp 1 10.0.1.1 10.0.1.100',
  'send node2 5,6: fa:16:3e:01:00:02 > ff:ff:ff:ff:ff:ff arp 1 10.0.1.1 10.0.1.100',
];
const PACKET = 'fa:16:3e:0b:00:01 > fa:16:3e:01:00:01 10.0.0.11 > 10.0.1.100 udp';
const UNREACHABLE = 'send node1 1: fa:16:3e:01:00:01 > fa:16:3e:0b:00:01 10.0.0.1 > 10.0.0.11 icmpv4 3/1 0';
const SET_G1 = 'set green 10.0.1.100 fa:16:3e:06:00:01 g1 node1 2';

describe('asking', () => {
  test('an address that answers: asked on every host, found, released', () => {
    const machine = new Machine();
    expect(machine.packet()).toEqual(ASK);
    expect(machine.packet()).toEqual([]);
    expect(machine.claim('node1', 2, MACS.g1)).toEqual([
      SET_G1,
      `release node1 1: ${PACKET}`,
      `release node1 1: ${PACKET}`,
    ]);
    expect(neighboursOf(machine.state)).toMatchObject([
      { routerId: 'r1', neighbour: { networkId: 'green', ip: VIP, portId: 'g1' } },
    ]);
    // A packet that was on its way when the flow came.
    expect(machine.packet()).toEqual([`release node1 1: ${PACKET}`]);
  });

  test('one that does not: asked three times, a second apart, then unreachable, and remembered so for three', () => {
    const machine = new Machine();
    machine.packet();
    expect([machine.wake(), machine.nowMs]).toEqual([ASK, 1000]);
    machine.packet();
    expect([machine.wake(), machine.nowMs]).toEqual([ASK, 2000]);
    expect([machine.wake(), machine.nowMs]).toEqual([[UNREACHABLE, UNREACHABLE], 3000]);
    expect(machine.packet()).toEqual([UNREACHABLE]);
    expect([machine.wake(), machine.nowMs]).toEqual([[], 6000]);
    expect([machine.phases, resolverWakeMs(machine.state)]).toEqual([[], undefined]);
    expect(machine.packet()).toEqual(ASK);
  });

  test('one that comes late is believed all the same', () => {
    const machine = new Machine();
    machine.packet();
    for (let step = 0; step < 3; step++) machine.wake();
    expect(machine.phases).toEqual(['failed']);
    expect(machine.claim('node1', 2, MACS.g1)).toEqual([SET_G1]);
  });

  test('IPv6 by neighbour solicitation, from the address of the subnet', () => {
    const machine = new Machine();
    const ip = ip6('fd00::99');
    const ask = 'send node1 1: fa:16:3e:01:00:01 > 33:33:ff:00:00:99 fd00::1 > ff02::1:ff00:99 solicits fd00::99';
    expect(machine.packet(ip, 'blue')).toEqual([ask]);
    machine.wake();
    machine.wake();
    expect(machine.wake()).toEqual([
      'send node1 1: fa:16:3e:01:00:01 > fa:16:3e:0b:00:01 fd00::1 > fd00::11 icmpv6 1/3 0',
    ]);
  });

  test('a link-local next hop is asked from the link-local address', () => {
    const ask =
      'send node1 1: fa:16:3e:01:00:01 > 33:33:ff:00:00:99 fe80::f816:3eff:fe01:1 > ff02::1:ff00:99 solicits fe80::99';
    expect(new Machine().packet(ip6('fe80::99'), 'blue')).toEqual([ask]);
  });

  test.each([
    ['10.0.1.11', 'green', 'known'],
    ['10.0.1.255', 'green', 'broadcast'],
    ['10.0.1.0', 'green', 'broadcast'],
    ['10.0.2.9', 'green', 'notAttached'],
    ['10.0.1.9', 'red', 'notAttached'],
    ['10.0.1.9', 'blue', 'notAttached'],
  ])('%s on %s: refused, %s', (text, networkId, refusal) => {
    const machine = new Machine();
    expect(machine.packet(ipFromText(text), networkId)).toEqual([`refused node1 blue: ${refusal}`]);
    expect(machine.phases).toEqual([]);
  });
});

describe('ageing', () => {
  test('probed alone after a minute, kept while it answers, forgotten after three silent probes', () => {
    const machine = new Machine();
    machine.packet();
    machine.claim('node1', 2, MACS.g1);
    const probe = ['send node1 2: fa:16:3e:01:00:02 > fa:16:3e:06:00:01 arp 1 10.0.1.1 10.0.1.100'];
    expect([machine.wake(), machine.nowMs]).toEqual([probe, 60_000]);
    machine.nowMs += 10;
    expect(machine.claim('node1', 2, MACS.g1)).toEqual([]);
    expect([machine.wake(), machine.nowMs]).toEqual([probe, 120_010]);
    expect([machine.wake(), machine.wake(), machine.nowMs]).toEqual([probe, probe, 122_010]);
    expect(machine.packet()).toEqual([`release node1 1: ${PACKET}`]);
    expect([machine.wake(), machine.nowMs]).toEqual([['unset green 10.0.1.100'], 123_010]);
    expect(machine.phases).toEqual([]);
  });

  test('a tick before its time does nothing', () => {
    const machine = new Machine();
    machine.packet();
    machine.nowMs = 999;
    const before = machine.state;
    expect(machine.do({ type: 'tick' })).toEqual([]);
    expect(machine.state).toBe(before);
  });
});

describe('claims', () => {
  const reachable = (): Machine => {
    const machine = new Machine();
    machine.packet();
    machine.claim('node1', 2, MACS.g1);
    return machine;
  };

  test('an announcement from a port that may own the address moves it at once', () => {
    expect(reachable().claim('node2', 5, MACS.g2)).toEqual(['set green 10.0.1.100 fa:16:3e:06:00:02 g2 node2 5']);
    expect(reachable().claim('node1', 2, MACS.vrrp)).toEqual(['set green 10.0.1.100 00:00:5e:00:01:01 g1 node1 2']);
    expect(reachable().claim('node2', 6, 0x0202_0202_0202)).toEqual([
      'set green 10.0.1.100 02:02:02:02:02:02 open node2 6',
    ]);
  });

  test.each<[string, string, number, number, Ip, string[]]>([
    ["another port's MAC", 'node2', 5, MACS.g1, VIP, ['refused node2 green: mayNotOwn']],
    ['a virtual MAC that it was not given', 'node2', 5, MACS.vrrp, VIP, ['refused node2 green: mayNotOwn']],
    ['a port of another network', 'node1', 1, MACS.b1, VIP, []],
    ['a port that is not there', 'node3', 9, MACS.g1, VIP, []],
    ['an address that nobody asked for', 'node1', 2, MACS.g1, ip4('10.0.1.101'), []],
  ])('%s changes nothing', (_what, host, ofport, mac, ip, effects) => {
    const machine = reachable();
    const before = machine.state;
    expect(machine.claim(host, ofport, mac, ip)).toEqual(effects);
    expect(machine.state).toBe(before);
  });

  test('an address of the topology is not taken, not even by who may send anything', () => {
    const machine = new Machine();
    machine.packet();
    machine.model = modelOf({ known: ['green 10.0.1.100'] });
    expect(machine.claim('node2', 6, MACS.g2)).toEqual(['refused node2 green: known']);
  });
});

describe('a changed model', () => {
  const changed = (machine: Machine, model: RouterModel): string[] => {
    machine.model = model;
    return machine.do({ type: 'modelChanged' });
  };
  const both = (): Machine => {
    const machine = new Machine();
    machine.packet();
    machine.claim('node1', 2, MACS.g1);
    machine.packet(ip4('10.0.1.101'));
    return machine;
  };

  test('nothing that matters: nothing happens', () => {
    const machine = both();
    const before = machine.state;
    expect(changed(machine, modelOf())).toEqual([]);
    expect(machine.state).toBe(before);
  });

  test('the topology gives the addresses to ports', () => {
    const machine = both();
    expect(changed(machine, modelOf({ known: ['green 10.0.1.100', 'green 10.0.1.101'] }))).toEqual([
      'unset green 10.0.1.100',
      'release node1 1: fa:16:3e:0b:00:01 > fa:16:3e:01:00:01 10.0.0.11 > 10.0.1.101 udp',
    ]);
    expect(machine.phases).toEqual([]);
  });

  test.each([
    ['the port is gone', PORTS.filter(({ portId }) => portId !== 'g1')],
    ['the port moved', PORTS.map((port) => (port.portId === 'g1' ? { ...port, host: 'node2', ofport: 9 } : port))],
    ['its place is another port', PORTS.map((port) => (port.portId === 'g1' ? { ...port, portId: 'g9' } : port))],
    ['the port may not own it', PORTS.map((port) => (port.portId === 'g1' ? { ...port, allowed: [] } : port))],
  ])('%s: the neighbour goes, asking goes on', (_what, ports) => {
    const machine = both();
    expect(changed(machine, modelOf({ ports }))).toEqual(['unset green 10.0.1.100']);
    expect(machine.phases).toEqual(['asking']);
  });

  test('the router leaves the network: everything of its goes', () => {
    const machine = both();
    const green = { ...GREEN, interfaces: GREEN.interfaces.filter(({ routerId }) => routerId !== 'r1') };
    expect(changed(machine, modelOf({ networks: [BLUE, green] }))).toEqual(['unset green 10.0.1.100']);
    expect(machine.phases).toEqual([]);
  });
});

describe('bounds', () => {
  test('packets for one address', () => {
    const machine = new Machine();
    for (let count = 0; count < LIMITS.heldPacketsPerAddress; count++) machine.packet();
    expect(machine.packet()).toEqual(['refused node1 blue: tooManyForAddress']);
    expect(machine.claim('node1', 2, MACS.g1)).toHaveLength(1 + LIMITS.heldPacketsPerAddress);
  });

  /** Router r1 on as many networks as it takes, each with addresses to ask for. */
  const manyNetworks = (count: number): RouterModel => {
    const names = Array.from({ length: count }, (_one, index) => `green${index}`);
    return modelOf({ networks: [BLUE, ...names.map((networkId) => ({ ...GREEN, networkId }))], ports: [] });
  };
  const perNetwork = LIMITS.heldPacketsPerNetwork / LIMITS.heldPacketsPerAddress;
  const fill = (machine: Machine, networkId: string): void => {
    for (let address = 0; address < perNetwork; address++) {
      for (let one = 0; one < LIMITS.heldPacketsPerAddress; one++)
        machine.packet(ip4('10.0.1.20') + address, networkId);
    }
  };

  test('packets for one network, and in all', () => {
    const machine = new Machine();
    const count = LIMITS.heldPackets / LIMITS.heldPacketsPerNetwork;
    machine.model = manyNetworks(count + 1);
    fill(machine, 'green0');
    expect(machine.packet(VIP, 'green0')).toEqual(['refused node1 blue: tooManyForNetwork']);
    for (let index = 1; index < count; index++) fill(machine, `green${index}`);
    expect(machine.packet(VIP, `green${count}`)).toEqual(['refused node1 blue: tooManyPackets']);
    for (let step = 0; step < 3; step++) machine.wake();
    expect(machine.packet(VIP, `green${count}`)).toEqual([]);
    expect(machine.phases.filter((phase) => phase === 'asking')).toHaveLength(1);
  });

  test('bytes in all', () => {
    const machine = new Machine();
    const packet = { ...held(VIP), packet: new Uint8Array(LIMITS.heldPacketsSize) };
    machine.do({ type: 'packet', packet, networkId: 'green', ip: VIP });
    expect(machine.packet()).toEqual(['refused node1 blue: tooManyPackets']);
  });

  test('addresses of one network; what nobody has makes way', () => {
    const machine = new Machine();
    const prefix = { address: ip4('10.0.0.0'), length: 16 };
    const green = {
      ...GREEN,
      interfaces: GREEN.interfaces.map((one) => ({ ...one, addresses: [{ ip: ip4('10.0.1.1'), prefix }] })),
    };
    machine.model = modelOf({ networks: [BLUE, green], ports: [] });
    const nth = (index: number): number => ip4('10.0.8.0') + index;
    for (let index = 0; index < LIMITS.resolvedAddressesPerNetwork; index++) machine.packet(nth(index));
    expect(machine.packet(nth(5000))).toEqual(['refused node1 blue: tooManyAddresses']);
    // Another network has room.
    expect(machine.packet(ip6('fd00::99'), 'blue')).toEqual([]);
    for (let step = 0; step < 3; step++) machine.wake();
    expect(machine.packet(nth(5000))).toEqual([]);
    expect(machine.state.entries.size).toBe(LIMITS.resolvedAddressesPerNetwork + 1);
  });

  test('whatever happens, the bounds hold, and nothing is due in the past after a tick', () => {
    const address = fc.integer({ min: 100, max: 104 }).map((last) => ip4('10.0.1.0') + last);
    const event = fc.oneof(
      address.map((ip): ResolverEvent => ({ type: 'packet', packet: held(ip), networkId: 'green', ip })),
      fc.record({
        type: fc.constant('claim' as const),
        host: fc.constantFrom('node1', 'node2'),
        ofport: fc.constantFrom(1, 2, 5, 6),
        claim: fc.record({ ip: address, mac: fc.constantFrom(MACS.g1, MACS.g2, MACS.vrrp) }),
      }),
      fc.constant<ResolverEvent>({ type: 'tick' }),
      fc.constant<ResolverEvent>({ type: 'modelChanged' }),
    );
    const steps = fc.array(fc.tuple(event, fc.nat(2000)), { maxLength: 80 });
    fc.assert(
      fc.property(steps, (list) => {
        const machine = new Machine();
        const standing = new Map<string, string>();
        for (const [one, passed] of list) {
          machine.nowMs += passed;
          for (const effect of machine.do(one)) {
            const [verb, network, ip, ...rest] = effect.split(' ');
            if (verb === 'set') standing.set(`${network} ${ip}`, rest.join(' '));
            if (verb === 'unset') expect(standing.delete(`${network} ${ip}`)).toBe(true);
          }
          if (one.type === 'tick') expect(resolverWakeMs(machine.state) ?? Infinity).toBeGreaterThan(machine.nowMs);
        }
        // What was set and not unset is what the machine says that it knows.
        expect(neighboursOf(machine.state)).toHaveLength(standing.size);
        for (const entry of machine.state.entries.values()) {
          if (entry.phase === 'asking') expect(entry.held.length).toBeLessThanOrEqual(LIMITS.heldPacketsPerAddress);
        }
      }),
    );
  });
});

describe('what is needed', () => {
  const needed = [{ networkId: 'green', ip: VIP, routerId: 'r1' }];
  const set = (machine: Machine): string[] => machine.do({ type: 'needed', addresses: needed });

  test('is asked for without a packet, of those alone who may have it, for as long as nobody answers', () => {
    const machine = new Machine();
    expect(set(machine)).toEqual(ASK);
    expect(set(machine)).toEqual([]);
    expect([machine.wake(), machine.wake(), machine.wake()]).toEqual([ASK, ASK, []]);
    const silentMs = machine.nowMs;
    expect(machine.wake()).toEqual(ASK);
    expect(machine.nowMs - silentMs).toBe(5_000);
    expect(machine.claim('node1', 2, MACS.g1)).toEqual([SET_G1]);
  });

  test('is asked for again when who had it falls silent, and no more when it is not needed', () => {
    const machine = new Machine();
    set(machine);
    machine.claim('node1', 2, MACS.g1);
    machine.wake();
    machine.wake();
    machine.wake();
    expect(machine.wake()).toEqual(['unset green 10.0.1.100', ...ASK]);
    machine.do({ type: 'needed', addresses: [] });
    for (let count = 0; count < 4; count++) machine.wake();
    expect(machine.phases).toEqual([]);
  });

  test('of an earlier life is where it was, also before its host was seen; then it is asked whether it still is', () => {
    const machine = new Machine();
    const neighbour = { networkId: 'green', ip: VIP, mac: MACS.g1, portId: 'g1', host: 'unseen', ofport: 2 };
    machine.state = rememberedResolver([{ routerId: 'r1', neighbour }], 0);
    expect(machine.do({ type: 'modelChanged' })).toEqual([]);
    expect(set(machine)).toEqual([]);
    expect(machine.phases).toEqual(['reachable']);
    expect(machine.wake()).toEqual([expect.stringContaining('send unseen 2: ')]);
  });
});

test('a packet that a gateway holds goes on there, and there it is said that nobody has the address', () => {
  const atGateway: HeldPacket = { ...held(VIP), networkId: 'green', isAtGateway: true };
  const event = { type: 'packet', packet: atGateway, networkId: 'green', ip: VIP } as const;
  const machine = new Machine();
  machine.do(event);
  expect(machine.claim('node1', 2, MACS.g1)).toEqual([SET_G1, `releaseAtGateway node1 r1: ${PACKET}`]);
  const other = new Machine();
  other.do(event);
  expect([other.wake(), other.wake()].flat()).toEqual([...ASK, ...ASK]);
  expect(other.wake()).toEqual([`unreachableFromGateway node1 r1: ${PACKET}`]);
});
