/**
 * THE field table against Open vSwitch: the code points by letting ovs-ofctl decode each, the names by letting it parse them.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  FIELDS,
  type Field,
  type FieldName,
  type FieldValue,
  fullMask,
  type OxmClass,
  type OxmCode,
  type Prerequisite,
} from '../../src/flow/fields.ts';
import type { Masked, Match } from '../../src/flow/flow.ts';
import { missingPrerequisite, normaliseMatch } from '../../src/flow/match.ts';
import { formatMatch } from '../../src/flow/match-text.ts';
import { printedByOvs } from './second-opinion.ts';

const NAMES = Object.keys(FIELDS) as FieldName[];
const rowOf = (name: FieldName): Field => FIELDS[name];

const CLASS_NUMBERS: Readonly<Record<OxmClass, number>> = {
  oxm: 0x8000,
  xreg: 0x8001,
  nxm0: 0,
  nxm1: 1,
  ericoxm: 0x1000,
  onfoxm: 0xffff,
};
const ONF_EXPERIMENTER = '4f4e4600';

/** What a match needs beside a field. */
const NEEDED: Readonly<Record<Prerequisite, Match>> = {
  none: {},
  vlan: { vlanVid: 0x1005 },
  mpls: { ethType: 0x8847 },
  ip: { ethType: 0x0800 },
  ipv4: { ethType: 0x0800 },
  ipv6: { ethType: 0x86dd },
  arp: { ethType: 0x0806 },
  tcp: { ethType: 0x0800, ipProto: 6 },
  udp: { ethType: 0x0800, ipProto: 17 },
  sctp: { ethType: 0x0800, ipProto: 132 },
  icmpv4: { ethType: 0x0800, ipProto: 1 },
  icmpv6: { ethType: 0x86dd, ipProto: 58 },
  nd: { ethType: 0x86dd, ipProto: 58, icmpv6Type: 136 },
  ndSolicit: { ethType: 0x86dd, ipProto: 58, icmpv6Type: 135 },
  ndAdvert: { ethType: 0x86dd, ipProto: 58, icmpv6Type: 136 },
  ct: { ctState: { value: 1, mask: 1 } },
  ctIpv4: { ctState: { value: 1, mask: 1 }, ethType: 0x0800 },
  ctIpv6: { ctState: { value: 1, mask: 1 }, ethType: 0x86dd },
};

interface Case {
  readonly name: FieldName;
  readonly code: OxmCode;
  readonly match: Match;
}

/** A value that a field can have, and that is not all zeros or ones. */
function someValue(name: FieldName): FieldValue {
  if (name === 'ethType') return 0x88cc;
  if (name === 'ipFrag') return 1;
  if (name === 'vlanTci') return 0x7005;
  if (name === 'ipTos') return 0x20;
  if (name === 'packetType') return 0x15a5b;
  if (rowOf(name).format === 'port') return 0x5a5b;
  const full = BigInt(fullMask(name));
  const value = (0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5an & full) | 1n;
  return typeof fullMask(name) === 'bigint' ? value : Number(value);
}

function casesOf(name: FieldName): Case[] {
  const row = rowOf(name);
  // Ports of connection tracking are printed only beside the protocol.
  const needed = { ...NEEDED[row.prerequisite], ...(name.startsWith('ctTp') ? { ctNwProto: 6 } : {}) };
  const entries: (FieldValue | Masked)[] = [someValue(name)];
  const hasFreeMask = row.maskable === 'bitwise' && row.significantBits > 2 && !/^(?:vlanTci|tunGbpFlags)$/.test(name);
  if (hasFreeMask) {
    const one = typeof fullMask(name) === 'bigint' ? 1n : 1;
    entries.push({ value: one, mask: one === 1n ? 3n : 3 });
  }
  return row.codes.flatMap((code) => entries.map((entry) => ({ name, code, match: { ...needed, [name]: entry } })));
}

function hexOf(value: FieldValue, size: number): string {
  return value.toString(16).padStart(size * 2, '0');
}

function oxmOf(name: FieldName, code: OxmCode, entry: FieldValue | Masked): string {
  const size = rowOf(name).bits / 8;
  const experimenter = code[0] === 'onfoxm' ? ONF_EXPERIMENTER : '';
  const value = typeof entry === 'object' ? hexOf(entry.value, size) + hexOf(entry.mask, size) : hexOf(entry, size);
  const body = experimenter + value;
  const header = [
    CLASS_NUMBERS[code[0]] >>> 8,
    CLASS_NUMBERS[code[0]] & 0xff,
    (code[1] << 1) | Number(typeof entry === 'object'),
    body.length / 2,
  ];
  return header.map((byte) => hexOf(byte, 1)).join('') + body;
}

/** A flow-mod (OpenFlow 1.3.5 §7.3.4.1) that adds a flow without instructions. */
function flowModOf({ name, code, match }: Case): Uint8Array {
  const oxms = (Object.entries(match) as [FieldName, FieldValue | Masked][]).map(([field, entry]) =>
    oxmOf(field, field === name ? code : (rowOf(field).codes[0] ?? code), entry),
  );
  const fields = oxms.join('');
  const matchSize = 4 + fields.length / 2;
  const padding = '00'.repeat((8 - (matchSize % 8)) % 8);
  const body = `${'00'.repeat(16)}0000000000008000${'ff'.repeat(12)}000000000001${hexOf(matchSize, 2)}${fields}${padding}`;
  return Uint8Array.from(Buffer.from(`040e${hexOf(8 + body.length / 2, 2)}00000001${body}`, 'hex'));
}

describe('every code point', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'heddle-fields-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('is what ovs-ofctl reads it as', () => {
    // Options of Geneve tunnels can be matched only where a table of them is configured.
    const cases = NAMES.filter((name) => !name.startsWith('tunMetadata')).flatMap(casesOf);
    expect(cases.length).toBeGreaterThan(150);
    const file = join(directory, 'messages');
    writeFileSync(file, Buffer.concat(cases.map(flowModOf)));
    const output = execFileSync('ovs-ofctl', ['ofp-parse', file], { encoding: 'utf8', stdio: 'pipe' });
    const printed = output.split('\n').filter((line) => line.startsWith('OFPT_FLOW_MOD'));
    const wanted = cases.map(
      ({ match }) => `OFPT_FLOW_MOD (OF1.3) (xid=0x1): ADD ${formatMatch(normaliseMatch(match))} actions=drop`,
    );
    expect(printed.map((line) => line.replace('ADD  ', 'ADD '))).toEqual(wanted);
  });

  it('has its own name in bit ranges', () => {
    const headers = NAMES.flatMap((name) => rowOf(name).codes.map((code) => ({ name, header: code[2] })));
    // Read by an action that may use any field.
    const rows = headers.filter(
      ({ name }) => rowOf(name).significantBits <= 128 && rowOf(name).prerequisite === 'none',
    );
    const lines = rows.map(({ header }) => `actions=push:${header}[]`);
    const printed = printedByOvs(lines);
    expect(printed).toEqual(rows.map(({ name }) => `actions=push:${rowOf(name).headerName}[]`));
  });
});

describe('names', () => {
  it('are what ovs-ofctl calls the fields, aliases too', () => {
    const rows = NAMES.filter((name) => rowOf(name).access === 'write' && !name.startsWith('tunMetadata')).flatMap(
      (name) => {
        const { ovsName, aliases, prerequisite } = rowOf(name);
        const match = formatMatch(normaliseMatch(NEEDED[prerequisite]));
        return [ovsName, ...aliases]
          .filter((alias) => alias !== 'dl_vlan_pcp')
          .map((alias) => ({ ovsName, alias, match, bits: rowOf(name).significantBits }));
      },
    );
    const lines = rows.map(({ alias, match }) => `${match === '' ? '' : `${match},`}actions=pop:${alias}[0]`);
    const headers = new Map(NAMES.map((name) => [rowOf(name).ovsName, rowOf(name).headerName]));
    const wanted = rows.map(({ ovsName, match, bits }) => {
      const range = bits === 1 ? '' : '0';
      return `${match === '' ? '' : `${match} `}actions=pop:${headers.get(ovsName)}[${range}]`;
    });
    expect(printedByOvs(lines)).toEqual(wanted);
  });
});

it('prerequisites of the table are those by which matches are judged', () => {
  for (const name of NAMES) {
    const { prerequisite } = rowOf(name);
    const entry = someValue(name);
    expect(missingPrerequisite({ ...NEEDED[prerequisite], [name]: entry }), name).toBeUndefined();
    if (prerequisite !== 'none') expect(missingPrerequisite({ [name]: entry }), name).toMatchObject({ field: name });
  }
});
