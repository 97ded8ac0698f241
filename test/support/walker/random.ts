/**
 * Random bridges, flows and packets for holding the walker against `ofproto/trace`: everything that the walker understands, in
 * combinations that Open vSwitch accepts. Two flows of one table never have one priority, so that what wins is defined.
 */
import fc from 'fast-check';
import type { Action } from '../../../src/flow/action.ts';
import { FIELDS, type FieldName, type FieldValue } from '../../../src/flow/fields.ts';
import { type Flow, type Masked, type Match, PORT } from '../../../src/flow/flow.ts';
import { ETH_TYPE, normaliseMatch, VLAN_PRESENT } from '../../../src/flow/match.ts';
import { Headers } from './headers.ts';
import type { WalkPort } from './model.ts';

/** The bridges and their ports: guests of two networks, a trunk, patches, tunnels, a wire. */
export const RANDOM_SITE: Readonly<Record<'int' | 'tun' | 'phy', ReadonlyMap<number, WalkPort>>> = {
  int: new Map<number, WalkPort>([
    [PORT.local, { kind: 'end', name: 'int' }],
    [1, { kind: 'patch', name: 'int-tun', bridge: 'tun', ofport: 1 }],
    [2, { kind: 'patch', name: 'int-phy', bridge: 'phy', ofport: 1 }],
    [11, { kind: 'end', name: 'a1', vlan: { mode: 'access', tag: 5 } }],
    [12, { kind: 'end', name: 'a2', vlan: { mode: 'access', tag: 5 } }],
    [13, { kind: 'end', name: 'b1', vlan: { mode: 'access', tag: 6 } }],
    [14, { kind: 'end', name: 'all' }],
    [15, { kind: 'end', name: 'some', vlan: { mode: 'trunk', trunks: [6, 7] } }],
  ]),
  tun: new Map<number, WalkPort>([
    [PORT.local, { kind: 'end', name: 'tun' }],
    [1, { kind: 'patch', name: 'tun-int', bridge: 'int', ofport: 1 }],
    [2, { kind: 'tunnel', name: 'vx2', host: 'h2', bridge: 'tun', ofport: 2 }],
    [3, { kind: 'tunnel', name: 'vx3', host: 'h3', bridge: 'tun', ofport: 2 }],
  ]),
  phy: new Map<number, WalkPort>([
    [PORT.local, { kind: 'end', name: 'phy' }],
    [1, { kind: 'patch', name: 'phy-int', bridge: 'int', ofport: 2 }],
    [2, { kind: 'wire', name: 'wire', segment: 'wire' }],
  ]),
};

export type RandomBridge = keyof typeof RANDOM_SITE;

const MACS = [0x0a00_0000_0001, 0x0a00_0000_0002, 0x0a00_0000_0003, 0x0e00_0000_0001];
const GROUPS = [0xffff_ffff_ffff, 0x3333_0000_0001, 0x0180_c200_0003];
const IPS = [0x0a00_0001, 0x0a00_0002, 0x0a00_0101];
const IP6S = [(0xfd00n << 112n) + 1n, (0xfd00n << 112n) + 2n];
const VLANS = [5, 6, 7];

const macs = fc.constantFrom(...MACS);
const ips = fc.constantFrom(...IPS);
const ip6s = fc.constantFrom(...IP6S);
const vlans = fc.constantFrom(...VLANS);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });

const ipv4Match = fc.oneof(ips, fc.constant<Masked>({ value: 0x0a00_0000, mask: 0xffff_ff00 }));
const ipv6Match = fc.oneof(ip6s, fc.constant<Masked>({ value: 0xfd00n << 112n, mask: 0xffffn << 112n }));

/** What is said of the protocol: prerequisites come with what needs them. */
const protocolMatch: fc.Arbitrary<Match> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Match>({}) },
  {
    weight: 2,
    arbitrary: fc
      .record({ arpOp: maybe(fc.constantFrom(1, 2)), arpTpa: maybe(ipv4Match) })
      .map((match): Match => ({ ethType: ETH_TYPE.arp, ...defined(match) })),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ ipv4Src: maybe(ipv4Match), ipv4Dst: maybe(ipv4Match), ipTtl: maybe(fc.constantFrom(1, 64)) })
      .map((match): Match => ({ ethType: ETH_TYPE.ipv4, ...defined(match) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ udpDst: maybe(fc.constantFrom(67, 4000)) })
      .map((match): Match => ({ ethType: ETH_TYPE.ipv4, ipProto: 17, ...defined(match) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ ipv6Dst: maybe(ipv6Match) })
      .map((match): Match => ({ ethType: ETH_TYPE.ipv6, ...defined(match) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ ndTarget: maybe(ip6s) })
      .map(
        (match): Match => ({ ethType: ETH_TYPE.ipv6, ipProto: 58, icmpv6Type: 135, icmpv6Code: 0, ...defined(match) }),
      ),
  },
);

const masked = (value: number, mask: number): Masked => ({ value, mask });
const commonMatch = (ports: readonly number[]): fc.Arbitrary<Match> =>
  fc
    .record({
      inPort: maybe(fc.constantFrom(...ports)),
      ethSrc: maybe(macs),
      ethDst: maybe(
        fc.oneof(
          fc.constantFrom(...MACS, ...GROUPS),
          fc.constantFrom(masked(0, 0x0100_0000_0000), masked(0x0100_0000_0000, 0x0100_0000_0000)),
        ),
      ),
      vlanVid: maybe(
        fc.oneof(
          vlans.map((vlan) => VLAN_PRESENT | vlan),
          fc.constantFrom<FieldValue | Masked>(0, masked(VLAN_PRESENT, VLAN_PRESENT)),
        ),
      ),
      reg0: maybe(fc.constantFrom(masked(1, 1), masked(0, 2), masked(0x50000, 0xffff_0000))),
      tunnelId: maybe(fc.constantFrom(0n, 1001n, 1002n)),
    })
    .map(defined);

function defined<T extends object>(value: T): Match {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined));
}

const whole = (field: FieldName) => ({ field, start: 0, length: FIELDS[field].bits });
const part = (field: FieldName, start: number, length: number) => ({ field, start, length });

/** Actions that any packet may be given. */
const anyAction = (ports: readonly number[], table: number): fc.Arbitrary<Action> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .constantFrom(...ports, PORT.normal, PORT.normal, PORT.inPort, PORT.flood)
        .map((port): Action => ({ type: 'output', port })),
    },
    fc.constantFrom<Action>(
      { type: 'load', destination: part('reg0', 0, 2), value: 1 },
      { type: 'load', destination: part('reg0', 16, 16), value: 5 },
      { type: 'setField', field: 'reg1', value: 12 },
      { type: 'setField', field: 'xreg0', value: 0x5_0000_0000n },
      { type: 'move', source: whole('ethSrc'), destination: whole('ethDst') },
      { type: 'move', source: part('ethDst', 0, 16), destination: part('reg0', 0, 16) },
      { type: 'move', source: part('reg0', 0, 8), destination: part('ethSrc', 8, 8) },
      { type: 'outputReg', source: part('reg1', 0, 16) },
      { type: 'controller', maxLength: 128 },
      {
        type: 'clone',
        actions: [
          { type: 'setField', field: 'ethDst', value: MACS[3] ?? 0 },
          { type: 'output', port: PORT.normal },
        ],
      },
      {
        type: 'learn',
        table: 3,
        priority: 1000 + table,
        specs: [
          { kind: 'match', destination: whole('ethDst'), source: whole('ethSrc') },
          { kind: 'load', destination: whole('tunnelId'), source: whole('tunnelId') },
          { kind: 'output', source: whole('inPortNxm') },
        ],
      },
    ),
    fc.constantFrom(1001n, 1002n).map((value): Action => ({ type: 'setField', field: 'tunnelId', value })),
    macs.map((value): Action => ({ type: 'setField', field: 'ethSrc', value })),
    fc.tuple(macs, fc.constantFrom(0xff, 0xffff_ff00_0000)).map(([mac, mask]): Action => {
      return { type: 'setField', field: 'ethDst', value: Number(BigInt(mac) & BigInt(mask)), mask };
    }),
    {
      weight: 3,
      arbitrary: fc
        .integer({ min: table + 1, max: 4 })
        .map((to): Action => ({ type: 'resubmit', table: Math.min(to, 3) })),
    },
    fc.constantFrom(...ports).map((port): Action => ({ type: 'resubmit', port, table: 3 })),
  );

const SWAP: readonly Action[] = [
  { type: 'stackPush', source: whole('ethSrc') },
  { type: 'stackPush', source: whole('ethDst') },
  { type: 'stackPop', destination: whole('ethSrc') },
  { type: 'stackPop', destination: whole('ethDst') },
];

/** Actions that need what the match says. */
function actionsFor(match: Match): fc.Arbitrary<readonly Action[]> {
  const tagged = typeof match.vlanVid === 'object' || Number(match.vlanVid ?? 0) >= VLAN_PRESENT;
  const setVlan = vlans.map((vlan): Action => ({ type: 'setField', field: 'vlanVid', value: VLAN_PRESENT | vlan }));
  const push: Action = { type: 'pushVlan', etherType: 0x8100 };
  const choices: fc.Arbitrary<readonly Action[]>[] = [fc.constant([]), fc.constant(SWAP)];
  if (tagged)
    choices.push(
      setVlan.map((set) => [set]),
      fc.constant([{ type: 'popVlan' }]),
    );
  else choices.push(setVlan.map((set) => [push, set]));
  if (match.ethType === ETH_TYPE.ipv4) {
    choices.push(
      fc.constant([{ type: 'decTtl' }]),
      ips.map((value) => [{ type: 'setField', field: 'ipv4Dst', value }]),
      fc.constant([{ type: 'setTtl', ttl: 9 }]),
    );
  }
  if (match.ethType === ETH_TYPE.ipv6)
    choices.push(
      fc.constant([{ type: 'decTtl' }]),
      ip6s.map((value) => [{ type: 'setField', field: 'ipv6Dst', value }]),
    );
  if (match.ethType === ETH_TYPE.arp) {
    choices.push(
      fc.constant([
        { type: 'setField', field: 'arpOp', value: 2 },
        { type: 'move', source: whole('arpSha'), destination: whole('arpTha') },
        { type: 'move', source: whole('arpSpa'), destination: whole('arpTpa') },
        { type: 'setField', field: 'arpSha', value: MACS[3] ?? 0 },
        { type: 'load', destination: whole('arpSpa'), value: IPS[2] ?? 0 },
      ]),
    );
  }
  return fc.oneof(...choices);
}

function flowIn(bridge: RandomBridge, table: number): fc.Arbitrary<Pick<Flow, 'table' | 'match' | 'actions'>> {
  const ports = [...RANDOM_SITE[bridge].keys()].filter((port) => port !== PORT.local);
  const goto =
    table < 3
      ? fc.integer({ min: table + 1, max: 3 }).map((to): readonly Action[] => [{ type: 'goto', table: to }])
      : fc.constant([]);
  return fc.tuple(commonMatch(ports), protocolMatch).chain(([common, protocol]) => {
    const match = normaliseMatch({ ...common, ...protocol });
    return fc
      .tuple(
        fc.array(anyAction(ports, table), { maxLength: 3 }),
        actionsFor(match),
        fc.array(anyAction(ports, table), { maxLength: 2 }),
        fc.oneof(fc.constant([]), goto),
      )
      .map(([before, special, after, last]) => ({ table, match, actions: [...before, ...special, ...after, ...last] }));
  });
}

/** Flows of one bridge: a few in each of four tables, and NORMAL at the bottom of the first. */
export function flowsOf(bridge: RandomBridge): fc.Arbitrary<readonly Flow[]> {
  const tables = [0, 1, 2, 3].map((table) =>
    fc.array(flowIn(bridge, table), { minLength: table === 0 ? 2 : 1, maxLength: 6 }),
  );
  return fc.tuple(...tables).map((all) => {
    const flows = all.flat().map((flow, index): Flow => ({ ...flow, priority: 10 + index, cookie: 0n }));
    return [
      ...flows,
      { table: 0, priority: 0, match: {}, actions: [{ type: 'output', port: PORT.normal }], cookie: 0n },
    ];
  });
}

/** A packet, and where it comes in. */
export interface RandomPacket {
  readonly bridge: RandomBridge;
  readonly ofport: number;
  readonly headers: Headers;
}

const ENTRIES: readonly (readonly [RandomBridge, number])[] = [
  ['int', 11],
  ['int', 11],
  ['int', 12],
  ['int', 13],
  ['int', 14],
  ['int', 15],
  ['tun', 2],
  ['tun', 3],
  ['phy', 2],
];

export const packet: fc.Arbitrary<RandomPacket> = fc
  .record({
    entry: fc.constantFrom(...ENTRIES),
    ethSrc: macs,
    ethDst: fc.constantFrom(...MACS, ...GROUPS),
    vlan: maybe(vlans),
    pcp: fc.constantFrom(0, 3),
    tunnelId: fc.constantFrom(1001n, 1002n),
    payload: fc.oneof(
      fc.record({
        ethType: fc.constant(0x0806),
        arpOp: fc.constantFrom(1, 2),
        arpSpa: ips,
        arpTpa: ips,
        arpSha: macs,
        arpTha: macs,
      }),
      fc.record({
        ethType: fc.constant(0x0800),
        ipProto: fc.constant(17),
        ipTtl: fc.constantFrom(1, 2, 64),
        ipv4Src: ips,
        ipv4Dst: ips,
        udpSrc: fc.constant(68),
        udpDst: fc.constantFrom(67, 4000),
      }),
      fc.record({
        ethType: fc.constant(0x86dd),
        ipProto: fc.constant(58),
        ipTtl: fc.constant(255),
        ipv6Src: ip6s,
        ipv6Dst: ip6s,
        icmpv6Type: fc.constant(135),
        icmpv6Code: fc.constant(0),
        ndTarget: ip6s,
        ndSll: macs,
      }),
      fc.constant({ ethType: 0x88cc }),
    ),
  })
  .map(({ entry: [bridge, ofport], ethSrc, ethDst, vlan, pcp, tunnelId, payload }) => {
    const tags = vlan === undefined ? [] : [VLAN_PRESENT | (pcp << 13) | vlan];
    const headers = new Headers({ ethSrc, ethDst, ...payload }, tags);
    if (bridge === 'tun') headers.set('tunnelId', tunnelId);
    return { bridge, ofport, headers };
  });
