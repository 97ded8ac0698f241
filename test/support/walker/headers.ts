/**
 * A packet as tables see it: header fields, registers, tunnel and conntrack metadata under the names of the field table, with
 * the fields that are parts of one another kept as one. Serves the walker; what changes them is in actions.ts.
 */
import type { Subfield } from '../../../src/flow/action.ts';
import { FIELDS, type Field, type FieldName, type FieldValue, isWide } from '../../../src/flow/fields.ts';
import type { Masked, Match } from '../../../src/flow/flow.ts';
import { VLAN_PRESENT } from '../../../src/flow/match.ts';

/** A field that is not there is zero. Registers are kept in 32 bits, DSCP and ECN apart, the VLAN header in `tags`. */
export class Headers {
  values: { [Name in FieldName]?: FieldValue };
  /** VLAN headers whole (TCI with the present bit), outermost first. */
  tags: number[];
  /** Bytes of the frame without its tags. */
  size: number;
  /** What push and pop use. */
  stack: FieldValue[] = [];

  constructor(values: { readonly [Name in FieldName]?: FieldValue } = {}, tags: readonly number[] = [], size = 98) {
    this.values = {};
    this.tags = [...tags];
    this.size = size;
    for (const [name, value] of Object.entries(values)) this.set(name as FieldName, value);
  }

  clone(): Headers {
    const copy = new Headers();
    copy.values = { ...this.values };
    copy.tags = [...this.tags];
    copy.size = this.size;
    copy.stack = [...this.stack];
    return copy;
  }

  get(name: FieldName): FieldValue {
    const known = this.values[name];
    if (known !== undefined) return known;
    const derived = DERIVED[name];
    if (derived !== undefined) return derived.get(this);
    const wide = WIDE_REGISTERS.get(name);
    if (wide === undefined) return ZERO[name];
    return wide.reduce((value, part) => (value << 32n) | BigInt(this.get(part)), 0n);
  }

  set(name: FieldName, value: FieldValue): void {
    const derived = DERIVED[name];
    const wide = WIDE_REGISTERS.get(name);
    if (derived !== undefined) derived.set(this, Number(value));
    else if (wide === undefined) this.values[name] = ZERO[name] === 0n ? BigInt(value) : Number(value);
    else
      wide.forEach((part, index) => {
        this.values[part] = Number((BigInt(value) >> BigInt(32 * (wide.length - 1 - index))) & 0xffff_ffffn);
      });
  }

  /** `width` bits of a field, lowest first. */
  read({ field, start, length }: Subfield): FieldValue {
    const value = this.get(field);
    if (start === 0 && length >= FIELDS[field].bits) return value;
    return (BigInt(value) >> BigInt(start)) & ((1n << BigInt(length)) - 1n);
  }

  write({ field, start, length }: Subfield, bits: FieldValue): void {
    if (start === 0 && length >= FIELDS[field].bits) this.set(field, bits);
    else this.setMasked(field, BigInt(bits) << BigInt(start), ((1n << BigInt(length)) - 1n) << BigInt(start));
  }

  setMasked(field: FieldName, value: FieldValue, mask: FieldValue): void {
    const [bits, where] = [BigInt(value), BigInt(mask)];
    const merged = (BigInt(this.get(field)) & ~where) | (bits & where);
    this.set(field, ZERO[field] === 0n ? merged : Number(merged));
  }

  matches(match: Match): boolean {
    for (const name in match) {
      const entry = match[name as FieldName];
      if (entry !== undefined && !holds(this.get(name as FieldName), entry)) return false;
    }
    return true;
  }
}

const ZERO = Object.fromEntries(
  (Object.entries(FIELDS) as [FieldName, Field][]).map(([name, field]) => [name, isWide(field) ? 0n : 0]),
) as { readonly [Name in FieldName]: FieldValue };

/** xreg0 is reg0 and reg1, xxreg0 is reg0 to reg3, the highest bits first. */
const WIDE_REGISTERS: ReadonlyMap<FieldName, readonly FieldName[]> = new Map(
  (Object.keys(FIELDS) as FieldName[]).flatMap((name) => {
    const parts = /^(x+)reg(\d+)$/.exec(name);
    if (parts === null) return [];
    const count = parts[1] === 'x' ? 2 : 4;
    return [
      [
        name,
        Array.from({ length: count }, (_, index) => `reg${Number(parts[2]) * count + index}` as FieldName),
      ] as const,
    ];
  }),
);

interface Derived {
  readonly get: (headers: Headers) => number;
  readonly set: (headers: Headers, value: number) => void;
}

const outer = ({ tags }: Headers): number => tags[0] ?? 0;

function setOuter(headers: Headers, tci: number): void {
  // No header is one without the present bit: what removes the bit removes the header.
  if ((tci & VLAN_PRESENT) === 0) headers.tags.shift();
  else headers.tags[0] = tci;
}

/** 16-bit port numbers of NXM: the reserved ones stand at their end. */
const toNxmPort = (port: number): number => (port >= 0xffff_fff8 ? port - 0xffff_0000 : port);
const fromNxmPort = (port: number): number => (port >= 0xfff8 ? port + 0xffff_0000 : port);

const DERIVED: { readonly [Name in FieldName]?: Derived } = {
  vlanTci: { get: outer, set: setOuter },
  vlanVid: {
    get: (headers) => outer(headers) & 0x1fff,
    set: (headers, vid) => setOuter(headers, (outer(headers) & 0xe000) | VLAN_PRESENT | vid),
  },
  vlanPcp: {
    get: (headers) => outer(headers) >>> 13,
    set: (headers, pcp) => setOuter(headers, (outer(headers) & 0x1fff) | VLAN_PRESENT | (pcp << 13)),
  },
  ipTos: {
    get: (headers) => Number(headers.get('ipDscp')) << 2,
    set: (headers, tos) => headers.set('ipDscp', tos >>> 2),
  },
  inPortNxm: {
    get: (headers) => toNxmPort(Number(headers.get('inPort'))),
    set: (headers, port) => headers.set('inPort', fromNxmPort(port)),
  },
};

function holds(value: FieldValue, entry: FieldValue | Masked): boolean {
  if (typeof entry !== 'object') return value === entry;
  const { value: wanted, mask } = entry;
  if (typeof value === 'bigint' || typeof wanted === 'bigint' || typeof mask === 'bigint') {
    return (BigInt(value) & BigInt(mask)) === BigInt(wanted);
  }
  // The bitwise operators take 32 bits, MAC addresses have 48.
  const unit = 0x100_0000;
  const [high, low] = [Math.floor(value / unit) & Math.floor(mask / unit), (value % unit) & (mask % unit)];
  return high * unit + low === wanted;
}

/** What a patch port clears: everything that is not in the packet, apart from pkt_mark. */
const LOCAL_TO_BRIDGE: readonly FieldName[] = (Object.keys(FIELDS) as FieldName[]).filter((name) =>
  /^(reg\d+|metadata|tun.*|ct[A-Z].*|conjId|inPort)$/.test(name),
);

/** The packet as it comes out of the other end of a patch, or of a wire. */
export function leaveBridge(headers: Headers, inPort: number): Headers {
  const copy = headers.clone();
  for (const name of LOCAL_TO_BRIDGE) delete copy.values[name];
  copy.stack = [];
  copy.set('inPort', inPort);
  return copy;
}
