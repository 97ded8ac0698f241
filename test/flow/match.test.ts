/**
 * The normal form of matches, their keys, and what two matches have to do with each other.
 */
import { describe, expect, it } from 'vitest';
import type { Match } from '../../src/flow/flow.ts';
import {
  ethTypeOf,
  flowKey,
  isTagged,
  matchCovers,
  matchesOverlap,
  matchKey,
  missingPrerequisite,
  normaliseMatch,
  sameMatch,
} from '../../src/flow/match.ts';
import { formatMatch } from '../../src/flow/match-text.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import { InvariantError } from '../../src/lib/errors.ts';

const matchOf = (text: string): Match => parseFlow(`${text},actions=drop`).match;

describe('normal form', () => {
  const cases: readonly (readonly [string, Match, Match])[] = [
    ['no empty masks', { reg0: { value: 5, mask: 0 }, ethSrc: 1 }, { ethSrc: 1 }],
    ['no masks of all ones', { ethDst: { value: 1, mask: 0xffffffffffff } }, { ethDst: 1 }],
    [
      'no bits outside of the mask',
      { ethDst: { value: 0xffffffffffff, mask: 0x010000000000 } },
      { ethDst: { value: 0x010000000000, mask: 0x010000000000 } },
    ],
    [
      'wide values as bigints',
      { metadata: { value: 0xffn, mask: 0x0fn } },
      { metadata: { value: 0x0fn, mask: 0x0fn } },
    ],
    ['registers in 32-bit parts', { xreg1: 0x500000006n }, { reg2: 5, reg3: 6 }],
    [
      'parts of registers where the mask says so',
      { xxreg0: { value: 7n, mask: 0xfn } },
      { reg3: { value: 7, mask: 0xf } },
    ],
    [
      'two claims on one register as one',
      { xreg0: { value: 1n, mask: 0xffn }, reg1: { value: 0x200, mask: 0xff00 } },
      { reg1: { value: 0x201, mask: 0xffff } },
    ],
    ['a VLAN header by id and priority', { vlanTci: 0x7005 }, { vlanVid: 0x1005, vlanPcp: 3 }],
    ['no VLAN header', { vlanTci: 0 }, { vlanVid: 0 }],
    ['bits of a VLAN id', { vlanTci: { value: 1, mask: 0x0fff } }, { vlanVid: { value: 1, mask: 0xfff } }],
    ['the TOS byte as DSCP', { ethType: 0x800, ipTos: 0x20 }, { ethType: 0x800, ipDscp: 8 }],
    ['the port of 16 bits as one of 32', { inPortNxm: 0xfffe }, { inPort: 0xfffffffe }],
    ['no packet type of Ethernet', { packetType: 0 }, {}],
    ['ct_state whole where its 8 bits are tested', { ctState: { value: 0x21, mask: 0xff } }, { ctState: 0x21 }],
  ];
  it.each(cases)('has %s', (_what, match, normal) => {
    expect(normaliseMatch(match)).toEqual(normal);
  });

  it('refuses what no packet can have', () => {
    expect(() => normaliseMatch({ inPort: 5, inPortNxm: 6 })).toThrow(InvariantError);
    expect(() => normaliseMatch({ xreg0: 1n, reg1: { value: 2, mask: 2 } })).toThrow(InvariantError);
  });

  it('has its fields in one order', () => {
    expect(Object.keys(normaliseMatch({ ipv4Src: 1, ethType: 0x800, inPort: 1 }))).toEqual([
      'inPort',
      'ethType',
      'ipv4Src',
    ]);
  });
});

describe('keys', () => {
  it('are equal for equal matches, however they were written', () => {
    expect(matchKey(matchOf('ip,reg0=5,in_port=1'))).toBe(matchKey(matchOf('in_port=1,reg0=0x5,dl_type=0x0800')));
    expect(sameMatch(matchOf('ip,nw_src=10.0.0.0/8'), matchOf('ip,nw_src=10.1.2.3/255.0.0.0'))).toBe(true);
  });

  it('tell apart value, mask, field, table and priority', () => {
    const keys = ['reg0=1', 'reg0=2', 'reg0=1/1', 'reg0=1/3', 'reg1=1', 'table=1,reg0=1', 'priority=1,reg0=1', ''].map(
      (text) => flowKey(parseFlow(`${text},actions=drop`)),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('say nothing of actions and cookie', () => {
    expect(flowKey(parseFlow('ip,cookie=5,actions=output:1'))).toBe(flowKey(parseFlow('ip,actions=drop')));
  });
});

describe('two matches', () => {
  it.each([
    ['ip', 'ip,nw_src=10.0.0.1', true],
    ['ip,nw_src=10.0.0.0/8', 'ip,nw_src=10.0.0.1', true],
    ['ip,nw_src=10.0.0.0/8', 'ip,nw_src=11.0.0.1', false],
    ['ip', 'ipv6', false],
    ['dl_dst=01:00:00:00:00:00/01:00:00:00:00:00', 'dl_dst=ff:ff:ff:ff:ff:ff', true],
    ['dl_dst=01:00:00:00:00:00/01:00:00:00:00:00', 'dl_dst=fa:16:3e:00:00:01', false],
    ['in_port=1', 'dl_vlan=5', true],
    ['vlan_tci=0x1000/0x1000', 'dl_vlan=5', true],
    ['vlan_tci=0/0x1fff', 'dl_vlan=5', false],
    ['ct_state=+trk', 'ct_state=-trk', false],
    ['ct_state=+trk', 'ct_state=+new', true],
    ['metadata=1/1', 'metadata=2/2', true],
  ])('%s and %s overlap: %s', (a, b, overlap) => {
    expect(matchesOverlap(matchOf(a), matchOf(b))).toBe(overlap);
    expect(matchesOverlap(matchOf(b), matchOf(a))).toBe(overlap);
  });

  it.each([
    ['', 'ip,nw_src=10.0.0.1', true],
    ['ip', 'ip,nw_src=10.0.0.1', true],
    ['ip,nw_src=10.0.0.1', 'ip', false],
    ['ip,nw_src=10.0.0.0/8', 'ip,nw_src=10.1.0.0/16', true],
    ['ip,nw_src=10.0.0.0/16', 'ip,nw_src=10.0.0.0/8', false],
    ['ip,nw_src=10.0.0.0/8', 'ip,nw_src=11.0.0.0/16', false],
    ['in_port=1', 'in_port=1,dl_vlan=5', true],
    ['in_port=1', 'dl_vlan=5', false],
    ['vlan_tci=0x1000/0x1000', 'dl_vlan=5', true],
  ])('%s covers %s: %s', (general, specific, covers) => {
    expect(matchCovers(matchOf(general), matchOf(specific))).toBe(covers);
  });
});

describe('prerequisites', () => {
  const cases: readonly (readonly [Match, string | undefined])[] = [
    [{ ethType: 0x800, ipv4Src: 1 }, undefined],
    [{ packetType: 0x10800, ipv4Src: 1 }, undefined],
    [{ ipv4Src: 1 }, 'ipv4Src'],
    [{ ethType: 0x86dd, ipv4Src: 1 }, 'ipv4Src'],
    [{ ethType: 0x86dd, ipProto: 6, tcpDst: 80 }, undefined],
    [{ ethType: 0x800, ipProto: 17, tcpDst: 80 }, 'tcpDst'],
    [{ ethType: 0x86dd, ipProto: 58, icmpv6Type: 135, ndTarget: 1n, ndSll: 1 }, undefined],
    [{ ethType: 0x86dd, ipProto: 58, icmpv6Type: 136, ndSll: 1 }, 'ndSll'],
    [{ ethType: 0x86dd, ipProto: 58, icmpv6Type: 135, icmpv6Code: 1, ndTarget: 1n }, 'ndTarget'],
    [{ vlanPcp: 1 }, 'vlanPcp'],
    [{ vlanVid: 0, vlanPcp: 1 }, 'vlanPcp'],
    [{ vlanVid: { value: 0x1000, mask: 0x1000 }, vlanPcp: 1 }, undefined],
    [{ ethType: 0x800, ctState: { value: 0x20, mask: 0x30 }, ctNwSrc: 1 }, undefined],
    [{ ethType: 0x800, ctState: { value: 0x20, mask: 0x20 }, ctNwSrc: 1 }, 'ctNwSrc'],
    [{ ethType: 0x86dd, ctState: 1, ctNwSrc: 1 }, 'ctNwSrc'],
  ];
  it('are those of ovs-fields(7)', () => {
    for (const [match, field] of cases) expect(missingPrerequisite(match)?.field, formatMatch(match)).toBe(field);
  });
});

it('say what a match is about', () => {
  expect(ethTypeOf({ ethType: 0x806 })).toBe(0x806);
  expect(ethTypeOf({})).toBeUndefined();
  expect([isTagged({ vlanVid: 0x1001 }), isTagged({ vlanVid: 0 }), isTagged({})]).toEqual([true, false, false]);
});
