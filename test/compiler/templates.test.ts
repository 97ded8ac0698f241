/**
 * Templates against the writer: whatever a rule makes of an entity, its rows kept as numbers are the same flows, as values and
 * byte for byte.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BridgeLedger } from '../../src/compiler/book.ts';
import { RenderedRows, TemplatedFlow, Templates } from '../../src/compiler/templates.ts';
import { encodeFlow } from '../../src/openflow/template.ts';
import * as spoof from '../../src/pipeline/anti-spoof.ts';
import * as int from '../../src/pipeline/br-int.ts';
import * as phys from '../../src/pipeline/br-phys.ts';
import * as tun from '../../src/pipeline/br-tun.ts';
import * as dvr from '../../src/pipeline/dvr.ts';
import type { Features } from '../../src/pipeline/features.ts';
import { brInt, brPhys, brTun } from '../../src/pipeline/index.ts';
import type { AnyRule, Entity, Rule } from '../../src/pipeline/language.ts';
import * as routerIn from '../../src/pipeline/router-in.ts';
import * as routerOut from '../../src/pipeline/router-out.ts';
import * as routerRoute from '../../src/pipeline/router-route.ts';

const FEATURES: Features = { distributedRouting: true, l2Population: true, arpResponder: true };

const object = fc.string({ minLength: 1, maxLength: 40 }).map((id) => `port ${id}`);
const localVlan = fc.integer({ min: 1, max: 4094 });
const mac = fc.integer({ min: 0, max: 0xffff_ffff_ffff });
const ofport = fc.integer({ min: 1, max: 0xfeff });
const ipv4 = fc.integer({ min: 0, max: 0xffff_ffff });
const ipv6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const address = fc.oneof(ipv4, ipv6);
const few = <T>(element: fc.Arbitrary<T>) => fc.array(element, { maxLength: 2 });
/** As the topology has them: no bits behind the prefix. */
const prefix = fc.oneof(
  ipv4.map((ip) => ({ address: ip, length: 32 })),
  ipv4.map((ip) => ({ address: (ip & 0xffff_ff00) >>> 0, length: 24 })),
  ipv6.map((ip) => ({ address: ip, length: 128 })),
  ipv6.map((ip) => ({ address: (ip >> 64n) << 64n, length: 64 })),
  fc.constantFrom({ address: 0, length: 0 }, { address: 0n, length: 0 }),
);
const guarded = fc.record({
  object,
  ofport,
  macAddresses: fc.uniqueArray(mac, { minLength: 1, maxLength: 2 }),
  pairs: few(fc.record({ macAddress: mac, prefix })),
});
const receiver = fc.record({ object, localVlan, macAddress: mac, ofport });
const routerKey = fc.integer({ min: 1, max: 0xffff });
const tunnelType = fc.constantFrom('gre' as const, 'vxlan' as const, 'geneve' as const);
const routerInterface = fc.record({ object, routerKey, localVlan, macAddress: mac, addresses: few(address) });
const hostMac = fc.record({ object, hostMac: mac, ofport });
const neighbour = fc.record({ object, localVlan, macAddress: mac, addresses: few(address) });

interface Case {
  readonly rule: Rule<never>;
  readonly entity: fc.Arbitrary<Entity>;
  /** Mostly: the entities have so many shapes that some are too rare to be recorded. */
  readonly recorded: 'always' | 'mostly';
}

const CASES: readonly Case[] = [
  { rule: spoof.macSpoof, entity: guarded, recorded: 'mostly' },
  { rule: spoof.arpSpoof, entity: guarded, recorded: 'mostly' },
  { rule: spoof.advertisementSpoof, entity: guarded, recorded: 'mostly' },
  { rule: spoof.ipSpoof, entity: guarded, recorded: 'mostly' },
  {
    rule: tun.remotePort,
    entity: fc.record({
      object,
      localVlan,
      segmentationId: fc.integer({ min: 1, max: 0xff_ffff }),
      macAddress: mac,
      ipv4Addresses: few(ipv4),
      ofport,
    }),
    recorded: 'always',
  },
  { rule: tun.arpForLocal, entity: fc.record({ object, localVlan, ipv4Addresses: few(ipv4) }), recorded: 'always' },
  { rule: tun.routedElsewhere, entity: hostMac, recorded: 'always' },
  { rule: int.routedElsewhereByTunnel, entity: hostMac, recorded: 'always' },
  { rule: int.routedElsewhereByProvider, entity: hostMac, recorded: 'always' },
  { rule: phys.routedElsewhereOnWire, entity: hostMac, recorded: 'always' },
  { rule: tun.fromTunnel, entity: fc.record({ object, type: tunnelType, ofport }), recorded: 'always' },
  {
    rule: tun.tunnelToLocalVlan,
    entity: fc.record({ object, type: tunnelType, segmentationId: fc.integer({ min: 1, max: 0xff_ffff }), localVlan }),
    recorded: 'always',
  },
  {
    rule: dvr.routerMacOnTunnels,
    entity: fc.record({
      object,
      localVlan,
      macAddress: mac,
      hostMac: mac,
      ipv4Addresses: few(ipv4),
      hasIpv6: fc.boolean(),
    }),
    recorded: 'always',
  },
  { rule: routerIn.toRouterMac, entity: routerInterface, recorded: 'always' },
  { rule: routerIn.arpForRouter, entity: routerInterface, recorded: 'always' },
  {
    rule: routerRoute.ownAddress,
    entity: fc.record({ object, routerKey, addresses: few(address), ipv6Macs: few(mac) }),
    recorded: 'always',
  },
  { rule: routerRoute.neighbour, entity: neighbour, recorded: 'always' },
  { rule: routerRoute.resolvedNeighbour, entity: neighbour, recorded: 'always' },
  { rule: routerIn.guestVlan, entity: receiver, recorded: 'always' },
  { rule: routerIn.toRouter, entity: receiver, recorded: 'always' },
  { rule: routerOut.deliverHere, entity: receiver, recorded: 'always' },
  {
    rule: dvr.routedByTunnel,
    entity: fc.record({
      object,
      vlan: fc.oneof(localVlan, fc.constant('untagged' as const)),
      macAddress: mac,
      ofport,
      routerMac: mac,
    }),
    recorded: 'always',
  },
];

test('every rule with holes is held below', () => {
  const declared = [brInt, brPhys, brTun].flatMap((bridge): readonly AnyRule[] => bridge.declaredRules);
  const withHoles = declared.filter((rule) => 'holes' in rule).map(({ ruleName }) => ruleName);
  expect(CASES.map(({ rule }) => rule.ruleName).sort()).toEqual(withHoles.sort());
});

describe.each(CASES.map((one) => [one.rule.ruleName, one] as const))('%s', (_name, { rule, entity, recorded }) => {
  test('rows kept as numbers are the rows of the rule', () => {
    const templates = new Templates();
    const render = (one: Entity) => templates.render(rule, one as never, FEATURES);
    // Long enough for the usual shapes to be recorded.
    for (const one of fc.sample(entity, { numRuns: 3000, seed: 1 })) render(one);
    let templated = 0;
    let plain = 0;
    fc.assert(
      fc.property(entity, (one) => {
        const rows = render(one);
        const wanted = rule(one as never, FEATURES);
        expect(rows.map(({ flow }) => flow)).toEqual(wanted.map(({ flow }) => flow));
        expect(rows.map(({ origin }) => origin)).toEqual(wanted.map(({ origin }) => origin));
        for (const row of rows) {
          if (!(row instanceof TemplatedFlow)) {
            plain += 1;
            continue;
          }
          templated += 1;
          expect(Buffer.from(row.encoded().frame).toString('hex')).toBe(
            Buffer.from(encodeFlow(row.flow)).toString('hex'),
          );
        }
      }),
      { numRuns: 300 },
    );
    expect(templated).toBeGreaterThan(0);
    if (recorded === 'always') expect(plain).toBe(0);
  });
});

test('a rule that asks for a number that it calls a hole is rendered as it is', () => {
  const fickle = brTun.rules(
    'fickle-rule-of-a-test',
    { cases: { UCAST_TO_TUN: 'For even numbers another action.' }, holes: { ofport: 32 } },
    (port: Entity & { readonly ofport: number }, table) => [
      table.UCAST_TO_TUN(2, {}, { type: 'output', port: port.ofport % 2 === 0 ? 1 : port.ofport }),
    ],
  );
  const templates = new Templates();
  for (let port = 1; port < 100; port++) {
    const rows = templates.render(fickle, { object: 'x', ofport: port }, FEATURES);
    expect(rows).toEqual(fickle({ object: 'x', ofport: port }, FEATURES));
  }
});

describe.each([
  { rule: tun.remotePort, local: ['localVlan', 'segmentationId', 'ofport'], changing: 'ofport' },
  { rule: tun.arpForLocal, local: ['localVlan'], changing: undefined },
  { rule: routerRoute.neighbour, local: ['localVlan'], changing: undefined },
])('$rule.ruleName in two parts', ({ rule, local, changing }) => {
  test('the rows of an entity whose parts were taken apart before are the rows of the rule', () => {
    const entities = CASES.find((one) => one.rule === (rule as Rule<never>))?.entity;
    if (entities === undefined) throw new Error('no such case');
    const templates = new Templates();
    let recorded = 0;
    for (const entity of fc.sample(entities, { numRuns: 2000, seed: 2 })) {
      const properties = Object.entries(entity);
      const part = (isLocal: boolean) =>
        Object.fromEntries(properties.filter(([key]) => local.includes(key) === isLocal));
      const here = templates.part(rule as Rule<never>, { ...part(true), ...(changing && { [changing]: 1 }) } as never);
      if (changing !== undefined) here.having(changing, Object(entity)[changing]);
      const common = templates.part(rule as Rule<never>, part(false) as never);
      const book = new BridgeLedger('node1', 'br');
      const rendered = templates.renderParts(rule as Rule<never>, common, here, FEATURES);
      if (rendered instanceof RenderedRows) recorded += 1;
      book.claimAll(rendered);
      const expected = (rule as Rule<never>)(entity as never, FEATURES);
      // Twice the same address makes one row.
      expect(book.takeChange()?.put.length ?? 0).toBeLessThanOrEqual(expected.length);
      for (const desired of expected) {
        const found = book.find(desired.flow);
        expect(found?.flow).toEqual(desired.flow);
        expect(found?.origin).toEqual(desired.origin);
      }
    }
    expect(recorded).toBeGreaterThan(1500);
  });
});
