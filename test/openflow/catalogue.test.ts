/**
 * Every message of the catalogue, captured between a real Neutron agent and its switch, says to us what it said to os-ken.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Action, LearnSpec, Subfield } from '../../src/flow/action.ts';
import { FIELDS, type FieldName, type FieldValue } from '../../src/flow/fields.ts';
import type { Flow, Masked, Match } from '../../src/flow/flow.ts';
import { ipToText, macToText } from '../../src/lib/addresses.ts';
import {
  decodeInstructions,
  decodeMatch,
  decodeMessage,
  encodeInstructions,
  encodeMatch,
  encodeMessage,
} from '../../src/openflow/codec.ts';
import { FrameCutter } from '../../src/openflow/frame.ts';
import { FLOW_MOD_COMMANDS, type FlowStats, type Message, type Port } from '../../src/openflow/messages.ts';
import { WireError } from '../../src/openflow/wire-error.ts';
import { bytesOf, hex } from './second-opinion.ts';

interface Entry {
  readonly kind: string;
  readonly hex: string;
  readonly json: unknown;
}

/** Numbers beyond 53 bits (cookies) as bigints: JSON alone would round them. */
function exactNumbers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined) return value;
  return BigInt(context.source);
}

const CATALOGUE: readonly Entry[] = JSON.parse(
  readFileSync(new URL('../parity/captures/wire_catalogue.json', import.meta.url), 'utf8'),
  exactNumbers,
);

const NAMES: { readonly [Name in FieldName]?: string } = {
  tunnelId: 'tunnel_id',
  ipProto: 'ip_proto',
  ipv4Dst: 'ipv4_dst',
  ndTarget: 'ipv6_nd_target',
  inPort: 'in_port',
  inPortNxm: 'in_port',
};

function nameOf(field: FieldName): string {
  return NAMES[field] ?? FIELDS[field].ovsName;
}

function exact(value: number | bigint): number | bigint {
  return typeof value === 'bigint' && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function shownValue(field: FieldName, value: FieldValue): unknown {
  const { format } = FIELDS[field];
  if (format === 'mac') return macToText(Number(value));
  return format === 'ipv4' || format === 'ipv6' ? ipToText(value) : exact(value);
}

function tlv(field: FieldName, entry: FieldValue | Masked): unknown {
  const { value, mask } = typeof entry === 'object' ? entry : { value: entry, mask: undefined };
  const shown = mask === undefined ? null : shownValue(field, mask);
  return { OXMTlv: { field: nameOf(field), value: shownValue(field, value), mask: shown } };
}

function matchJson(match: Match): unknown {
  const fields = Object.entries(match) as [FieldName, FieldValue | Masked][];
  const byName = (left: string, right: string): number => (left < right ? -1 : 1);
  const sorted = fields.toSorted(([left], [right]) => byName(nameOf(left), nameOf(right)));
  return {
    OFPMatch: {
      oxm_fields: sorted.map(([name, entry]) => tlv(name, entry)),
      length: encodeMatch(match).length,
      type: 1,
    },
  };
}

const end = ({ field, start }: Subfield): unknown => [nameOf(field), start];

function specJson(spec: LearnSpec): unknown {
  switch (spec.kind) {
    case 'match':
      return { NXFlowSpecMatch: { dst: end(spec.destination), n_bits: spec.source.length, src: end(spec.source) } };
    case 'load':
      return { NXFlowSpecLoad: { dst: end(spec.destination), n_bits: spec.source.length, src: end(spec.source) } };
    case 'loadImmediate':
      return { NXFlowSpecLoad: { dst: end(spec.destination), n_bits: spec.destination.length, src: spec.value } };
    case 'output':
      return { NXFlowSpecOutput: { dst: '', n_bits: spec.source.length, src: end(spec.source) } };
    default:
      throw new Error(`the catalogue has no ${spec.kind}`);
  }
}

function actionJson(action: Action): unknown {
  const len = encodeInstructions([action]).length - 8;
  switch (action.type) {
    case 'output':
      return { OFPActionOutput: { len, max_len: action.maxLength ?? 0, port: action.port, type: 0 } };
    case 'pushVlan':
      return { OFPActionPushVlan: { ethertype: action.etherType, len, type: 17 } };
    case 'popVlan':
      return { OFPActionPopVlan: { len, type: 18 } };
    case 'setField':
      return { OFPActionSetField: { field: tlv(action.field, action.value), len, type: 25 } };
    case 'move': {
      const { source, destination } = action;
      const ends = { src_field: nameOf(source.field), src_ofs: source.start, dst_field: nameOf(destination.field) };
      const head = { experimenter: 0x2320, len, subtype: 6, type: 65535, n_bits: source.length };
      return { NXActionRegMove: { ...head, ...ends, dst_ofs: destination.start } };
    }
    case 'learn':
      return {
        NXActionLearn: {
          cookie: exact(action.cookie ?? 0n),
          experimenter: 0x2320,
          fin_hard_timeout: action.finHardTimeoutS ?? 0,
          fin_idle_timeout: action.finIdleTimeoutS ?? 0,
          flags: 0,
          hard_timeout: action.hardTimeoutS ?? 0,
          idle_timeout: action.idleTimeoutS ?? 0,
          len,
          priority: action.priority,
          specs: action.specs.map(specJson),
          subtype: 16,
          table_id: action.table,
          type: 65535,
        },
      };
    default:
      throw new Error(`the catalogue has no ${action.type}`);
  }
}

function instructionsJson(actions: readonly Action[]): unknown[] {
  const instructions: unknown[] = [];
  const applied = actions.filter((action) => action.type !== 'goto');
  const len = encodeInstructions(applied).length;
  if (applied.length > 0)
    instructions.push({ OFPInstructionActions: { actions: applied.map(actionJson), len, type: 4 } });
  for (const action of actions) {
    if (action.type === 'goto')
      instructions.push({ OFPInstructionGotoTable: { len: 8, table_id: action.table, type: 1 } });
  }
  return instructions;
}

function flowJson(flow: Flow): Record<string, unknown> {
  return {
    cookie: exact(flow.cookie),
    flags: flow.flags ?? 0,
    hard_timeout: flow.hardTimeoutS ?? 0,
    idle_timeout: flow.idleTimeoutS ?? 0,
    instructions: instructionsJson(flow.actions),
    match: matchJson(flow.match),
    priority: flow.priority,
    table_id: flow.table,
  };
}

function statsJson(stats: FlowStats): unknown {
  return {
    OFPFlowStats: {
      ...flowJson(stats.flow),
      byte_count: exact(stats.byteCount),
      duration_nsec: stats.durationNs,
      duration_sec: stats.durationS,
      length: 48 + Math.ceil(stats.matchBytes.length / 8) * 8 + stats.instructionBytes.length,
      packet_count: exact(stats.packetCount),
    },
  };
}

function portJson(port: Port): unknown {
  return {
    OFPPort: {
      port_no: port.port,
      hw_addr: macToText(port.macAddress),
      name: port.name,
      config: port.config,
      state: port.state,
      curr: port.current,
      advertised: port.advertised,
      supported: port.supported,
      peer: port.peer,
      curr_speed: port.currentSpeedKbps,
      max_speed: port.maxSpeedKbps,
    },
  };
}

function messageJson(message: Message): unknown {
  switch (message.type) {
    case 'hello':
      return { OFPHello: { elements: message.versions ?? [] } };
    case 'featuresRequest':
      return { OFPFeaturesRequest: {} };
    case 'barrierRequest':
      return { OFPBarrierRequest: {} };
    case 'barrierReply':
      return { OFPBarrierReply: {} };
    case 'portStatus':
      return { OFPPortStatus: { desc: portJson(message.port), reason: message.reason } };
    case 'flowMod':
      return {
        OFPFlowMod: {
          ...flowJson(message.flow),
          buffer_id: message.bufferId,
          command: FLOW_MOD_COMMANDS[message.command],
          cookie_mask: exact(message.cookieMask ?? 0n),
          out_group: message.outGroup,
          out_port: message.outPort,
        },
      };
    case 'multipartRequest':
      if (message.body.kind === 'portDesc') return { OFPPortDescStatsRequest: { flags: 0, type: 13 } };
      break;
    case 'multipartReply':
      if (message.body.kind === 'portDesc')
        return { OFPPortDescStatsReply: { body: message.body.ports.map(portJson), flags: 0, type: 13 } };
      if (message.body.kind === 'flow')
        return { OFPFlowStatsReply: { body: message.body.flows.map(statsJson), flags: 0, type: 1 } };
  }
  throw new Error(`the catalogue has no ${message.type}`);
}

/** The catalogue's json with the fields of each match in one order. */
function sortedMatches(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(sortedMatches);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => {
      if (key !== 'oxm_fields') return [key, sortedMatches(value)];
      const field = (entry: { OXMTlv: { field: string } }): string => entry.OXMTlv.field;
      return [key, value.toSorted((left: never, right: never) => (field(left) < field(right) ? -1 : 1))];
    }),
  );
}

describe('the catalogue', () => {
  it('is whole', () => {
    expect(CATALOGUE.length).toBe(94);
    expect(CATALOGUE.filter(({ json }) => 'OFPFlowMod' in (json as object)).length).toBe(86);
  });

  it.each(CATALOGUE)('$kind', ({ hex: text, json }) => {
    const bytes = bytesOf(text);
    const message = decodeMessage(bytes);
    expect(messageJson(message)).toEqual(sortedMatches(json));
    const again = encodeMessage(message);
    expect(again.length).toBe(bytes.length);
    const second = decodeMessage(again);
    // The order of a match's fields, which matchBytes keep, is ours.
    if (message.type === 'multipartReply') expect(hex(again)).toBe(text);
    expect(second).toEqual(message);
    if (message.type !== 'flowMod') return;
    expect(decodeMatch(encodeMatch(message.flow.match))).toEqual(message.flow.match);
    expect(decodeInstructions(encodeInstructions(message.flow.actions))).toEqual(message.flow.actions);
  });

  it('is cut from a stream of single bytes and of odd chunks', () => {
    const stream = Buffer.concat(CATALOGUE.map((entry) => bytesOf(entry.hex)));
    for (const size of [1, 7, 8, 9, 1000, 65_536]) {
      const cutter = new FrameCutter();
      const cut: string[] = [];
      for (let offset = 0; offset < stream.length; offset += size) {
        for (const frame of cutter.push(stream.subarray(offset, offset + size))) cut.push(hex(frame));
      }
      expect(cut).toEqual(CATALOGUE.map((entry) => entry.hex));
      expect(cutter.pendingSize).toBe(0);
    }
  });

  it.each(CATALOGUE)('$kind cut at each length is a WireError, or waits for the rest', ({ hex: text }) => {
    const bytes = bytesOf(text);
    for (let size = 0; size < bytes.length; size++) {
      expect(() => decodeMessage(bytes.subarray(0, size))).toThrow(WireError);
      const cutter = new FrameCutter();
      expect([...cutter.push(bytes.subarray(0, size))]).toEqual([]);
      expect(cutter.pendingSize).toBe(size);
    }
  });
});
