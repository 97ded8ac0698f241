/**
 * Random flows for property tests: every field in matches with its prerequisites, and every action, in the form in which a
 * switch reports them.
 */
import fc from 'fast-check';
import type { Action, LearnSpec, Nat, Subfield } from '../../src/flow/action.ts';
import { FIELDS, type Field, type FieldName, type FieldValue, fullMask, isWide } from '../../src/flow/fields.ts';
import { type Flow, type Masked, type Match, PORT } from '../../src/flow/flow.ts';
import { ETH_TYPE, missingPrerequisite, normaliseMatch, partsOf } from '../../src/flow/match.ts';
import { formatMatch } from '../../src/flow/match-text.ts';

const NAMES = Object.keys(FIELDS) as FieldName[];
const rowOf = (name: FieldName): Field => FIELDS[name];

const port = fc.oneof(fc.integer({ min: 1, max: 0xfeff }), fc.constantFrom(PORT.local, PORT.inPort, PORT.controller));
const table = fc.integer({ min: 0, max: 254 });
const uint = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const big = (bits: number) => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n });

function valueFrom(name: FieldName): fc.Arbitrary<FieldValue> {
  const row = rowOf(name);
  if (row.format === 'port') return name === 'inPort' ? port : fc.integer({ min: 1, max: 0xfeff });
  const full = fullMask(name);
  return typeof full === 'bigint' ? fc.bigInt({ min: 0n, max: full }) : fc.integer({ min: 0, max: full });
}

function entryOf(name: FieldName): fc.Arbitrary<FieldValue | Masked> {
  const row = rowOf(name);
  if (name === 'ipFrag') {
    return fc.constantFrom<FieldValue | Masked>(0, 1, 3, { value: 1, mask: 1 }, { value: 0, mask: 2 });
  }
  if (row.maskable === 'none') return valueFrom(name);
  return fc.oneof(valueFrom(name), fc.record({ value: valueFrom(name), mask: valueFrom(name) }));
}

/** Protocols of a match, so that most of its fields have their prerequisites. */
const PROTOCOLS: readonly Match[] = [
  {},
  { ethType: ETH_TYPE.arp },
  { ethType: ETH_TYPE.rarp },
  { ethType: ETH_TYPE.mpls },
  { ethType: 0x88cc },
  ...[6, 17, 132, 1, 2].map((ipProto) => ({ ethType: ETH_TYPE.ipv4, ipProto })),
  ...[6, 17, 132, 44].map((ipProto) => ({ ethType: ETH_TYPE.ipv6, ipProto })),
  ...[135, 136, 128].map((icmpv6Type) => ({ ethType: ETH_TYPE.ipv6, ipProto: 58, icmpv6Type })),
  { ethType: ETH_TYPE.ipv4 },
  { ethType: ETH_TYPE.ipv6 },
];
const PROTOCOL_FIELDS: readonly FieldName[] = ['ethType', 'ipProto', 'icmpv6Type', 'packetType'];
/** Open vSwitch prints these in part only: bits of connection tracking without ct_nw_proto, masks of Geneve options. */
const PRINTED_IN_PART = /^(?:ctTp|tunMetadata|tunGbpFlags)/;

export interface MatchOptions {
  /** Leave out what Open vSwitch does not print whole. */
  readonly forOvs?: boolean;
}

/** A match in normal form. */
export function arbitraryMatch({ forOvs = false }: MatchOptions = {}): fc.Arbitrary<Match> {
  const names = NAMES.filter((name) => !PROTOCOL_FIELDS.includes(name) && !(forOvs && PRINTED_IN_PART.test(name)));
  const applicable = (protocol: Match) =>
    names.filter((name) => {
      const context: Match = { ...protocol, ctState: 1, vlanVid: 0x1001, [name]: 0 };
      return missingPrerequisite(context) === undefined;
    });
  return fc.constantFrom(...PROTOCOLS).chain((protocol) =>
    fc
      .shuffledSubarray(applicable(protocol), { maxLength: 8 })
      .map(withoutSecondNames)
      .chain((chosen) => fc.tuple(...chosen.map((name) => entryOf(name).map((entry) => [name, entry] as const))))
      .map((entries) => normaliseMatch({ ...protocol, ...Object.fromEntries(entries) }))
      .filter((match) => missingPrerequisite(match) === undefined && !(forOvs && isMisreadByOvs(match))),
  );
}

/** Of the names of one field, as reg0 and xreg0, the first. */
function withoutSecondNames(names: readonly FieldName[]): FieldName[] {
  const said = new Set<FieldName>();
  return names.filter((name) => {
    const parts = partsOf(name, fullMask(name)).map(([part]) => part);
    const isNew = !parts.some((part) => said.has(part));
    if (isNew) for (const part of parts) said.add(part);
    return isNew;
  });
}

/** ovs-ofctl takes an IPv6 mask that begins with a digit for a prefix length. */
function isMisreadByOvs(match: Match): boolean {
  return /\b(?:tun_ipv6|ct_ipv6|ipv6|nd)_[a-z]+=[^,]*\/\d[0-9a-f]*:/.test(formatMatch(match));
}

const WRITABLE = NAMES.filter((name) => rowOf(name).access === 'write' && !name.startsWith('tunMetadata'));

const subfield: fc.Arbitrary<Subfield> = fc.constantFrom(...WRITABLE).chain((field) => {
  const bits = rowOf(field).significantBits;
  return fc
    .integer({ min: 0, max: bits - 1 })
    .chain((start) => fc.integer({ min: 1, max: bits - start }).map((length) => ({ field, start, length })));
});

/** At most 64 bits, which is what one load writes and an output is read from. */
const word = subfield.map((range): Subfield => ({ ...range, length: Math.min(range.length, 64) }));

const valueFor = ({ field, length }: Subfield): fc.Arbitrary<FieldValue> =>
  isWide(rowOf(field)) ? big(length) : uint(length);

/** Two bit ranges of one length. */
const subfieldPair = subfield.chain((source) =>
  subfield
    .filter(({ field }) => rowOf(field).significantBits >= source.length)
    .map((destination) => ({
      source,
      destination: { ...destination, start: 0, length: source.length },
    })),
);

const learnSpec: fc.Arbitrary<LearnSpec> = fc.oneof(
  subfieldPair.map((pair) => ({ kind: 'match', ...pair }) as const),
  subfieldPair.map((pair) => ({ kind: 'load', ...pair }) as const),
  word.map((source) => ({ kind: 'output', source }) as const),
  subfield
    .filter(({ field, length }) => rowOf(field).format !== 'port' || length < rowOf(field).significantBits)
    .filter(({ field, length }) => rowOf(field).format !== 'tunFlags' || length < rowOf(field).significantBits)
    .chain((destination) =>
      valueFor(destination).map((value) => ({ kind: 'matchImmediate', destination, value }) as const),
    ),
  subfield.chain((destination) =>
    valueFor(destination).map((value) => ({ kind: 'loadImmediate', destination, value }) as const),
  ),
);

const present = fc.constant(true as const);

const nat: fc.Arbitrary<Nat> = fc.oneof(
  fc.constant({}),
  fc.record({ direction: fc.constantFrom('src' as const, 'dst' as const) }),
  fc
    .record(
      {
        direction: fc.constantFrom('src' as const, 'dst' as const),
        addressMin: fc.integer({ min: 1, max: 0x7fffffff }),
        addressMax: fc.integer({ min: 0x80000000, max: 0xffffffff }),
        portMin: fc.integer({ min: 1, max: 1000 }),
        portMax: fc.integer({ min: 1001, max: 0xffff }),
        persistent: present,
        random: present,
      },
      { requiredKeys: ['direction', 'addressMin'] },
    )
    .map(withoutLoneMaximum),
  fc
    .record(
      {
        direction: fc.constantFrom('src' as const, 'dst' as const),
        addressMin: fc.bigInt({ min: 1n, max: 1n << 100n }),
        addressMax: fc.bigInt({ min: 1n << 101n, max: (1n << 128n) - 1n }),
        portMin: fc.integer({ min: 1, max: 1000 }),
        portMax: fc.integer({ min: 1001, max: 0xffff }),
        hash: present,
      },
      { requiredKeys: ['direction', 'addressMin'] },
    )
    .map(withoutLoneMaximum),
);

function withoutLoneMaximum(range: Nat): Nat {
  const { portMax, ...rest } = range;
  return portMax === undefined || rest.portMin === undefined ? rest : range;
}

const setField: fc.Arbitrary<Action> = fc.constantFrom(...WRITABLE).chain((field) => {
  const value = field === 'vlanVid' ? fc.integer({ min: 0x1000, max: 0x1fff }) : valueFrom(field);
  return value.map((chosen) => ({ type: 'setField', field, value: chosen }) as const);
});

const load: fc.Arbitrary<Action> = word.chain((destination) =>
  valueFor(destination).map((value) => ({ type: 'load', destination, value }) as const),
);

const ct: fc.Arbitrary<Action> = fc
  .record(
    {
      type: fc.constant('ct' as const),
      commit: present,
      force: present,
      zone: fc.oneof(
        fc.integer({ min: 1, max: 0xffff }),
        fc.constant({ field: 'reg6', start: 0, length: 16 } as const),
      ),
      table,
      nat,
      alg: fc.constantFrom(21, 69),
      exec: fc.array(
        fc.oneof(
          uint(32).map((value) => ({ type: 'setField', field: 'ctMark', value }) as const),
          big(128).map((value) => ({ type: 'setField', field: 'ctLabel', value }) as const),
        ),
        { minLength: 1, maxLength: 3 },
      ),
    },
    { requiredKeys: ['type'] },
  )
  .filter((action) => action.commit === true || (action.force === undefined && action.nat?.direction === undefined));

const plainActions: readonly fc.Arbitrary<Action>[] = [
  port.map((to) =>
    to === PORT.controller ? { type: 'output', port: to, maxLength: 128 } : { type: 'output', port: to },
  ),
  uint(31).map((group) => ({ type: 'group', group })),
  uint(32).map((queue) => ({ type: 'setQueue', queue })),
  fc.constantFrom(0x8100, 0x88a8).map((etherType) => ({ type: 'pushVlan', etherType })),
  fc.constant({ type: 'popVlan' }),
  fc.constantFrom(0x8847, 0x8848).map((etherType) => ({ type: 'pushMpls', etherType })),
  uint(16).map((etherType) => ({ type: 'popMpls', etherType })),
  uint(8).map((ttl) => ({ type: 'setMplsTtl', ttl })),
  fc.constant({ type: 'decMplsTtl' }),
  uint(8).map((ttl) => ({ type: 'setTtl', ttl })),
  fc.constant({ type: 'decTtl' }),
  fc.array(uint(16), { minLength: 1, maxLength: 3 }).map((controllerIds) => ({ type: 'decTtl', controllerIds })),
  setField,
  load,
  fc.record(
    {
      type: fc.constant('controller' as const),
      reason: fc.constantFrom(0, 2),
      maxLength: fc.integer({ min: 0, max: 0xfffe }),
      controllerId: fc.integer({ min: 1, max: 0xffff }),
      userdata: fc.uint8Array({ minLength: 1, maxLength: 20 }),
      pause: present,
      meter: fc.integer({ min: 1, max: 0xffff0000 }),
    },
    { requiredKeys: ['type', 'controllerId'] },
  ),
  word.map((source) => ({ type: 'outputReg', source })),
  fc.record({ type: fc.constant('outputTrunc' as const), port: fc.integer({ min: 1, max: 99 }), maxLength: uint(16) }),
  subfieldPair.map((pair) => ({ type: 'move', ...pair })),
  subfield.map((source) => ({ type: 'stackPush', source })),
  subfield.map((destination) => ({ type: 'stackPop', destination })),
  fc.record({ type: fc.constant('resubmit' as const), port: fc.integer({ min: 1, max: 0xfeff }) }),
  fc.record(
    { type: fc.constant('resubmit' as const), port: fc.integer({ min: 1, max: 0xfeff }), table, withCt: present },
    { requiredKeys: ['type', 'table'] },
  ),
  fc.record(
    {
      type: fc.constant('learn' as const),
      table,
      priority: uint(16),
      idleTimeoutS: fc.integer({ min: 1, max: 0xffff }),
      hardTimeoutS: fc.integer({ min: 1, max: 0xffff }),
      finIdleTimeoutS: fc.integer({ min: 1, max: 0xffff }),
      finHardTimeoutS: fc.integer({ min: 1, max: 0xffff }),
      cookie: fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }),
      sendFlowRemoved: present,
      deleteLearned: present,
      limit: fc.integer({ min: 1, max: 0xffff }),
      resultDestination: fc.constant({ field: 'reg0', start: 3, length: 1 } as const),
      specs: fc.array(learnSpec, { maxLength: 4 }),
    },
    { requiredKeys: ['type', 'table', 'priority', 'specs'] },
  ),
  ct,
  fc.constant({ type: 'ctClear' }),
  fc
    .constantFrom(6, 14, 22)
    .chain((size) => fc.uint8Array({ minLength: size, maxLength: size }))
    .map((data) => ({ type: 'note', data })),
  fc
    .tuple(uint(32), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 4, max: 64 }))
    .map(([id, clause, clauseCount]) => ({
      type: 'conjunction',
      id,
      clause,
      clauseCount,
    })),
  uint(16).map((length) => ({ type: 'checkPktLarger', length, destination: { field: 'reg3', start: 7, length: 1 } })),
  fc.record({
    type: fc.constant('multipath' as const),
    fields: fc.constantFrom('eth_src', 'symmetric_l4', 'symmetric_l3l4', 'symmetric_l3l4+udp', 'nw_src', 'nw_dst'),
    basis: uint(16),
    algorithm: fc.constantFrom('modulo_n', 'hash_threshold', 'hrw', 'iter_hash'),
    links: fc.integer({ min: 1, max: 0x10000 }),
    argument: uint(32),
    destination: fc.constant({ field: 'reg1', start: 0, length: 32 } as const),
  }),
  fc.constant({ type: 'exit' }),
  fc.constant({ type: 'decNshTtl' }),
];

const plainAction = fc.oneof(...plainActions);
const nestedActions = fc.array(plainAction, { maxLength: 3 });
const clone: fc.Arbitrary<Action> = nestedActions.map((actions) => ({ type: 'clone', actions }) as const);

/** Actions and instructions in an order that a flow may have. */
export const arbitraryActions: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    fc.option(uint(32).map((meter): Action => ({ type: 'meter', meter }))),
    fc.array(fc.oneof({ weight: 9, arbitrary: plainAction }, { weight: 1, arbitrary: clone }), { maxLength: 6 }),
    fc.option(fc.constant<Action>({ type: 'clearActions' })),
    fc.option(
      fc
        .array(plainAction, { minLength: 1, maxLength: 3 })
        .map((actions): Action => ({ type: 'writeActions', actions })),
    ),
    fc.option(
      fc.oneof(
        big(64).map((value): Action => ({ type: 'writeMetadata', value })),
        fc.tuple(big(64), big(63)).map(([value, mask]): Action => ({ type: 'writeMetadata', value, mask })),
      ),
    ),
    fc.option(table.map((id): Action => ({ type: 'goto', table: id }))),
  )
  .map(([meter, actions, ...more]) => [meter, ...actions, ...more].filter((action) => action !== null));

/** A flow as a switch may report it. */
export function arbitraryFlow(options: MatchOptions = {}): fc.Arbitrary<Flow> {
  return fc.record(
    {
      table,
      priority: uint(16),
      match: arbitraryMatch(options),
      actions: arbitraryActions,
      cookie: big(64),
      idleTimeoutS: fc.integer({ min: 1, max: 0xffff }),
      hardTimeoutS: fc.integer({ min: 1, max: 0xffff }),
      flags: fc.integer({ min: 1, max: 31 }),
    },
    { requiredKeys: ['table', 'priority', 'match', 'actions', 'cookie'] },
  );
}
