/**
 * learn() (nicira-ext: NXAST_LEARN, NXAST_LEARN2; ovs-actions(7)). A row of ACTIONS in actions.ts.
 */
import type { LearnSpec, Subfield } from '../flow/action.ts';
import type { FieldValue } from '../flow/fields.ts';
import { FLOW_FLAGS } from '../flow/flow.ts';
import type { ActionRows } from './action-row.ts';
import { type ActionOf, asFieldValue, beginNicira, checkRange, endAction, readRange } from './action-row.ts';
import type { Cursor } from './cursor.ts';
import { portFrom16, portTo16, readFieldHeader, writeFieldHeader } from './oxm.ts';
import type { Slab } from './slab.ts';
import { WireError } from './wire-error.ts';

const NX_LEARN = 16;
const NX_LEARN2 = 45;
const LEARN_FLAGS = { sendFlowRemoved: FLOW_FLAGS.sendFlowRemoved.bit, deleteLearned: 2, writeResult: 4 } as const;

/** The 16 bits before each spec: length of the range, where its value comes from, what becomes of it. */
const SPEC_LENGTH_BITS = 0x3ff;
const SPEC_IMMEDIATE = 0x2000;
const SPEC_DESTINATION = { match: 0x0000, load: 0x0800, output: 0x1000 } as const;
const SPEC_DESTINATION_BITS = 0x1800;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function writeRange(slab: Slab, range: Subfield): void {
  writeFieldHeader(slab, range.field);
  slab.u16(range.start);
}

/**
 * An immediate value: whole 16-bit words, right-justified. Bits beyond the range may be set: Open vSwitch writes those of a
 * VLAN id with the one that says "tagged".
 */
function writeImmediate(slab: Slab, range: Subfield, value: FieldValue): void {
  const size = wordsSize(range.length);
  const wide = BigInt(range.field === 'inPortNxm' ? portTo16(Number(value)) : value);
  if (wide < 0n || wide >> BigInt(size * 8) !== 0n) {
    throw new WireError(
      'BAD_VALUE',
      slab.end,
      `learn: ${value} does not fit into ${range.length} bits of ${range.field}`,
    );
  }
  slab.big(wide, size);
}

function readImmediate(range: Subfield, value: bigint): FieldValue {
  return range.field === 'inPortNxm' ? portFrom16(Number(value)) : asFieldValue(range.field, value);
}

/** Bytes of the 16-bit words that hold so many bits. */
function wordsSize(bits: number): number {
  return Math.ceil(bits / 16) * 2;
}

function writeSpec(slab: Slab, spec: LearnSpec): void {
  switch (spec.kind) {
    case 'match':
      slab.u16(SPEC_DESTINATION.match | spec.destination.length);
      writeRange(slab, spec.source);
      writeRange(slab, spec.destination);
      break;
    case 'matchImmediate':
      slab.u16(SPEC_IMMEDIATE | SPEC_DESTINATION.match | spec.destination.length);
      writeImmediate(slab, spec.destination, spec.value);
      writeRange(slab, spec.destination);
      break;
    case 'load':
      slab.u16(SPEC_DESTINATION.load | spec.destination.length);
      writeRange(slab, spec.source);
      writeRange(slab, spec.destination);
      break;
    case 'loadImmediate':
      slab.u16(SPEC_IMMEDIATE | SPEC_DESTINATION.load | spec.destination.length);
      writeImmediate(slab, spec.destination, spec.value);
      writeRange(slab, spec.destination);
      break;
    case 'output':
      slab.u16(SPEC_DESTINATION.output | spec.source.length);
      writeRange(slab, spec.source);
      break;
  }
}

function writeLearn(slab: Slab, action: ActionOf<'learn'>): void {
  const result = action.resultDestination;
  const second = action.limit !== undefined || result !== undefined;
  const start = beginNicira(slab, second ? NX_LEARN2 : NX_LEARN);
  slab.u16(action.idleTimeoutS ?? 0);
  slab.u16(action.hardTimeoutS ?? 0);
  slab.u16(action.priority);
  slab.u64(action.cookie ?? 0n);
  let flags = 0;
  if (action.sendFlowRemoved === true) flags |= LEARN_FLAGS.sendFlowRemoved;
  if (action.deleteLearned === true) flags |= LEARN_FLAGS.deleteLearned;
  if (result !== undefined) flags |= LEARN_FLAGS.writeResult;
  slab.u16(flags);
  slab.u8(action.table);
  slab.reserve(1);
  slab.u16(action.finIdleTimeoutS ?? 0);
  slab.u16(action.finHardTimeoutS ?? 0);
  if (second) {
    slab.u32(action.limit ?? 0);
    slab.u16(result?.start ?? 0);
    slab.reserve(2);
    if (result !== undefined) writeFieldHeader(slab, result.field);
  }
  for (const spec of action.specs) writeSpec(slab, spec);
  endAction(slab, start);
}

/** The other end of a spec may be a range of the same length and another field: only its first bit is on the wire. */
function readSpec(cursor: Cursor, header: number): LearnSpec {
  const offset = cursor.offset - 2;
  const length = header & SPEC_LENGTH_BITS;
  const immediate = (header & SPEC_IMMEDIATE) !== 0;
  const kind = header & SPEC_DESTINATION_BITS;
  if (length === 0 || (header & ~(SPEC_LENGTH_BITS | SPEC_IMMEDIATE | SPEC_DESTINATION_BITS)) !== 0) {
    throw new WireError('BAD_VALUE', offset, `learn: a specification with header 0x${header.toString(16)}`);
  }
  if (kind === SPEC_DESTINATION.output && !immediate) return { kind: 'output', source: readSpecRange(cursor, length) };
  if (kind !== SPEC_DESTINATION.match && kind !== SPEC_DESTINATION.load) {
    throw new WireError('BAD_VALUE', offset, `learn: a specification with header 0x${header.toString(16)}`);
  }
  const name = kind === SPEC_DESTINATION.match ? 'match' : 'load';
  if (!immediate) {
    const source = readSpecRange(cursor, length);
    return { kind: name, source, destination: readSpecRange(cursor, length) };
  }
  const value = cursor.big(wordsSize(length));
  const destination = readSpecRange(cursor, length);
  return { kind: `${name}Immediate`, destination, value: readImmediate(destination, value) };
}

function readSpecRange(cursor: Cursor, length: number): Subfield {
  const offset = cursor.offset;
  const field = readFieldHeader(cursor);
  return checkRange({ field, start: cursor.u16(), length }, offset);
}

function readLearn(cursor: Cursor, code: number): ActionOf<'learn'> {
  const idleTimeoutS = cursor.u16();
  const hardTimeoutS = cursor.u16();
  const priority = cursor.u16();
  const cookie = cursor.u64();
  const flags = cursor.u16();
  const table = cursor.u8();
  cursor.take(1);
  const finIdleTimeoutS = cursor.u16();
  const finHardTimeoutS = cursor.u16();
  const specs: LearnSpec[] = [];
  const action: Mutable<ActionOf<'learn'>> = { type: 'learn', table, priority, specs };
  if (idleTimeoutS !== 0) action.idleTimeoutS = idleTimeoutS;
  if (hardTimeoutS !== 0) action.hardTimeoutS = hardTimeoutS;
  if (finIdleTimeoutS !== 0) action.finIdleTimeoutS = finIdleTimeoutS;
  if (finHardTimeoutS !== 0) action.finHardTimeoutS = finHardTimeoutS;
  if (cookie !== 0n) action.cookie = cookie;
  if ((flags & LEARN_FLAGS.sendFlowRemoved) !== 0) action.sendFlowRemoved = true;
  if ((flags & LEARN_FLAGS.deleteLearned) !== 0) action.deleteLearned = true;
  if (code === NX_LEARN2) {
    const limit = cursor.u32();
    if (limit !== 0) action.limit = limit;
    const resultStart = cursor.u16();
    cursor.take(2);
    if ((flags & LEARN_FLAGS.writeResult) !== 0) action.resultDestination = readRange(cursor, resultStart, 1);
  }
  while (cursor.left >= 2) {
    const header = cursor.u16();
    // Padding: the specifications end at a zero header or at the end of the action.
    if (header === 0) break;
    specs.push(readSpec(cursor, header));
  }
  return action;
}

export const LEARN_ACTIONS = {
  learn: { codes: { nicira: [NX_LEARN, NX_LEARN2] }, write: writeLearn, read: readLearn },
} as const satisfies Partial<ActionRows>;
