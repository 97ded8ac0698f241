/**
 * ct() and the nat() within it (nicira-ext: NXAST_CT, NXAST_NAT; ovs-actions(7)). A row of ACTIONS in actions.ts.
 */
import type { Action, Nat } from '../flow/action.ts';
import type { ActionRows } from './action-row.ts';
import { type ActionLists, type ActionOf, beginNicira, endAction, packRange, unpackRange } from './action-row.ts';
import type { Cursor } from './cursor.ts';
import { NICIRA_EXPERIMENTER, writeFieldHeader } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

const NX_CT = 35;
const NX_NAT = 36;
const NO_TABLE = 0xff;
const CT_FLAGS = { commit: 1, force: 2 } as const;
const NAT_FLAGS = { src: 1, dst: 2, persistent: 4, hash: 8, random: 16 } as const;
const NAT_RANGE = { ipv4Min: 1, ipv4Max: 2, ipv6Min: 4, ipv6Max: 8, portMin: 16, portMax: 32 } as const;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function writeNat(slab: Slab, nat: Nat): void {
  const start = beginNicira(slab, NX_NAT);
  slab.reserve(2);
  let flags = nat.direction === undefined ? 0 : NAT_FLAGS[nat.direction];
  if (nat.persistent === true) flags |= NAT_FLAGS.persistent;
  if (nat.hash === true) flags |= NAT_FLAGS.hash;
  if (nat.random === true) flags |= NAT_FLAGS.random;
  slab.u16(flags);
  const present = slab.reserve(2);
  let range = 0;
  if (nat.addressMin !== undefined) {
    range |= typeof nat.addressMin === 'bigint' ? NAT_RANGE.ipv6Min : NAT_RANGE.ipv4Min;
    writeAddress(slab, nat.addressMin);
  }
  if (nat.addressMax !== undefined) {
    range |= typeof nat.addressMax === 'bigint' ? NAT_RANGE.ipv6Max : NAT_RANGE.ipv4Max;
    writeAddress(slab, nat.addressMax);
  }
  if (nat.portMin !== undefined) {
    range |= NAT_RANGE.portMin;
    slab.u16(nat.portMin);
  }
  if (nat.portMax !== undefined) {
    range |= NAT_RANGE.portMax;
    slab.u16(nat.portMax);
  }
  slab.view.setUint16(present, range);
  endAction(slab, start);
}

function writeAddress(slab: Slab, address: number | bigint): void {
  if (typeof address === 'bigint') slab.big(address, 16);
  else slab.u32(address);
}

function readNat(cursor: Cursor): Nat {
  const nat: Mutable<Nat> = {};
  const offset = cursor.offset;
  cursor.take(2);
  const flags = cursor.u16();
  const range = cursor.u16();
  if (flags >> 5 !== 0 || (flags & 3) === 3 || (flags & 24) === 24 || range >> 6 !== 0) {
    throw new WireError('BAD_VALUE', offset, `nat with flags 0x${flags.toString(16)}, range 0x${range.toString(16)}`);
  }
  if ((flags & NAT_FLAGS.src) !== 0) nat.direction = 'src';
  if ((flags & NAT_FLAGS.dst) !== 0) nat.direction = 'dst';
  // Without a range to choose from the rest says nothing; Open vSwitch does not show it either.
  if (range === 0) return nat;
  if ((flags & NAT_FLAGS.persistent) !== 0) nat.persistent = true;
  if ((flags & NAT_FLAGS.hash) !== 0) nat.hash = true;
  if ((flags & NAT_FLAGS.random) !== 0) nat.random = true;
  if ((range & NAT_RANGE.ipv4Min) !== 0) nat.addressMin = cursor.u32();
  if ((range & NAT_RANGE.ipv4Max) !== 0) nat.addressMax = cursor.u32();
  if ((range & NAT_RANGE.ipv6Min) !== 0) nat.addressMin = cursor.big(16);
  if ((range & NAT_RANGE.ipv6Max) !== 0) nat.addressMax = cursor.big(16);
  if ((range & NAT_RANGE.portMin) !== 0) nat.portMin = cursor.u16();
  if ((range & NAT_RANGE.portMax) !== 0) nat.portMax = cursor.u16();
  return nat;
}

/** nat() before exec(): the order in which text has them, and in which Open vSwitch shows nat() as ct's own. */
function writeCt(slab: Slab, action: ActionOf<'ct'>, lists: ActionLists): void {
  const start = beginNicira(slab, NX_CT);
  slab.u16((action.commit === true ? CT_FLAGS.commit : 0) | (action.force === true ? CT_FLAGS.force : 0));
  const zone = action.zone ?? 0;
  if (typeof zone === 'number') {
    slab.reserve(4);
    slab.u16(zone);
  } else {
    writeFieldHeader(slab, zone.field);
    slab.u16(packRange(zone));
  }
  slab.u8(action.table ?? NO_TABLE);
  slab.reserve(3);
  slab.u16(action.alg ?? 0);
  if (action.nat !== undefined) writeNat(slab, action.nat);
  if (action.exec !== undefined) lists.write(slab, action.exec);
  endAction(slab, start);
}

function readZone(cursor: Cursor): ActionOf<'ct'>['zone'] {
  const header = cursor.offset;
  const source = cursor.u32();
  const value = cursor.u16();
  if (source === 0) return value === 0 ? undefined : value;
  const after = cursor.offset;
  cursor.offset = header;
  const zone = unpackRange(cursor, value);
  cursor.offset = after;
  return zone;
}

/** Whether the next action is NXAST_NAT. */
function natFollows(cursor: Cursor): boolean {
  if (cursor.left < 16) return false;
  const { view, offset } = cursor;
  return (
    view.getUint16(offset) === 0xffff &&
    view.getUint32(offset + 4) === NICIRA_EXPERIMENTER &&
    view.getUint16(offset + 8) === NX_NAT
  );
}

function readCt(cursor: Cursor, _code: number, lists: ActionLists): Action {
  const action: Mutable<ActionOf<'ct'>> = { type: 'ct' };
  const flags = cursor.u16();
  if ((flags & CT_FLAGS.commit) !== 0) action.commit = true;
  if ((flags & CT_FLAGS.force) !== 0) action.force = true;
  const zone = readZone(cursor);
  const table = cursor.u8();
  cursor.take(3);
  const alg = cursor.u16();
  if (zone !== undefined) action.zone = zone;
  if (table !== NO_TABLE) action.table = table;
  if (alg !== 0) action.alg = alg;
  const exec: Action[] = [];
  while (cursor.left > 0) {
    const start = cursor.offset;
    const size = cursor.left >= 4 ? cursor.view.getUint16(start + 2) : cursor.left;
    const outer = cursor.narrow(start, size, 'an action of ct()');
    if (size === 0) throw new WireError('BAD_LENGTH', start, 'an action of no length');
    if (natFollows(cursor)) {
      cursor.take(10);
      action.nat = readNat(cursor);
      cursor.offset = cursor.end;
    } else {
      exec.push(...lists.read(cursor));
    }
    cursor.end = outer;
  }
  if (exec.length > 0) action.exec = exec;
  return action;
}

export const CT_ACTIONS = {
  ct: { codes: { nicira: [NX_CT] }, write: writeCt, read: readCt },
} as const satisfies Partial<ActionRows>;
